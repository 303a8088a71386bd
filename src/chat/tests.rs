//! The client against a server on loopback that answers by script.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt};
use reqwest::dns::{Name, Resolve, Resolving};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};

use super::{ChatError, ChatModel, Delta, OpenAiModel, OpenAiOptions, Probe, error::Asked};
use crate::{
    domain::{FinishReason, Message, Role, Secret, Usage},
    http,
};

const KEY: &str = "sk-very-secret";

/// Answers each connection by the next script, then closes it.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

enum Script {
    /// Sends this and closes.
    Say(String),
    /// Sends this, then waits until the other side closes.
    SayAndListen(String),
}

fn say(status: &str, headers: &str, body: &str) -> Script {
    Script::Say(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len()))
}

/// A streamed answer in chunks of a line.
fn streamed(lines: &[&str]) -> String {
    let mut text =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    for line in lines {
        text += &format!("{:x}\r\n{line}\n\n\r\n", line.len() + 2);
    }
    text
}

const TEXT: &str = r#"data: {"choices":[{"delta":{"content":"etcd"}}]}"#;
const STOP: &str = r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
const LOADING: &str = r#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#;

fn answer() -> Script {
    Script::Say(streamed(&[TEXT, STOP, "data: [DONE]"]) + "0\r\n\r\n")
}

impl Server {
    fn start(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        let task = tokio::spawn(async move {
            for script in scripts {
                let (mut socket, _) = listener.accept().await.unwrap();
                let request = read_request(&mut socket).await;
                seen.lock().unwrap().push(request);
                match script {
                    Script::Say(text) => socket.write_all(text.as_bytes()).await.unwrap(),
                    Script::SayAndListen(text) => {
                        socket.write_all(text.as_bytes()).await.unwrap();
                        assert_eq!(socket.read(&mut [0; 1]).await.unwrap_or(0), 0);
                    }
                }
            }
        });
        Self { url, requests, task }
    }

    fn model(&self) -> OpenAiModel {
        OpenAiModel::new(options(&format!("{}/api/v1/", self.url))).unwrap()
    }

    /// The requests, when every script has run.
    async fn requests(self) -> Vec<String> {
        timeout(Duration::from_secs(20), self.task).await.expect("the server waits for more").unwrap();
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

async fn read_request(socket: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return String::from_utf8(request).unwrap();
            }
        }
        assert_ne!(socket.read_buf(&mut request).await.unwrap(), 0, "half a request");
    }
}

fn options(base_url: &str) -> OpenAiOptions {
    OpenAiOptions {
        provider: "lepton".into(),
        base_url: base_url.parse().unwrap(),
        model: "mistral-7b".into(),
        api_key: Secret::new(KEY),
        key_source: Some("LEPTONAI_TOKEN".into()),
        temperature: None,
        max_tokens: None,
        idle_timeout: OpenAiOptions::DEFAULT_IDLE_TIMEOUT,
        first_token_timeout: OpenAiOptions::DEFAULT_FIRST_TOKEN_TIMEOUT,
    }
}

async fn ask(model: &OpenAiModel) -> Result<Vec<Delta>, ChatError> {
    let messages = [Message { role: Role::User, content: "How is data stored?".into() }];
    let whole = async { model.stream(&messages).await?.try_collect().await };
    timeout(Duration::from_secs(20), whole).await.expect("an answer or an error in time")
}

fn finished(finish: FinishReason) -> Vec<Delta> {
    vec![Delta::Text("etcd".into()), Delta::Finished(finish)]
}

#[tokio::test]
async fn streams_an_answer() {
    let server = Server::start(vec![answer()]);
    let model = server.model();
    assert_eq!(model.label(), "lepton: mistral-7b");
    assert_eq!(ask(&model).await.unwrap(), finished(FinishReason::Stop));
    let [request] = &server.requests().await[..] else { panic!("one request") };
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /api/v1/chat/completions HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("authorization: Bearer {KEY}")), "{head}");
    assert_eq!(
        body,
        r#"{"model":"mistral-7b","messages":[{"role":"user","content":"How is data stored?"}],"stream":true,"stream_options":{"include_usage":true}}"#
    );
}

#[tokio::test]
async fn an_abrupt_close_ends_early() {
    let server = Server::start(vec![Script::Say(streamed(&[TEXT])), Script::Say(streamed(&[":"]))]);
    let model = server.model();
    assert_eq!(ask(&model).await.unwrap(), finished(FinishReason::EndedEarly));
    let error = ask(&model).await.unwrap_err();
    assert!(matches!(error, ChatError::Broken { .. }), "{error}");
}

#[tokio::test]
async fn dropping_the_stream_closes_the_connection() {
    let server = Server::start(vec![Script::SayAndListen(streamed(&[TEXT]))]);
    let messages = [Message { role: Role::User, content: "q".into() }];
    let mut stream = server.model().stream(&messages).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), Delta::Text("etcd".into()));
    drop(stream);
    server.requests().await;
}

#[tokio::test]
async fn a_server_that_does_not_stream_answers_too() {
    let whole = r#"{"choices":[{"finish_reason":"length","index":0,"message":{"role":"assistant","content":"etcd"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
    let json = "Content-Type: application/json; charset=utf-8\r\n";
    let server = Server::start(vec![
        say("200 OK", json, whole),
        say("200 OK", json, r#"{"error":"no such thing"}"#),
        say("200 OK", json, r#"{"id": 1}"#),
        say("200 OK", "Content-Type: text/html\r\n", "<html><title>Welcome</title>"),
    ]);
    let model = server.model();
    let usage = Delta::Usage(Usage { prompt_tokens: 3, completion_tokens: 1 });
    let mut expected = finished(FinishReason::Length);
    expected.insert(1, usage);
    assert_eq!(ask(&model).await.unwrap(), expected);
    assert!(ask(&model).await.unwrap_err().to_string().contains("broke off: no such thing"));
    assert!(ask(&model).await.unwrap_err().to_string().contains("not a chat answer: {\"id\":1}"));
    assert!(ask(&model).await.unwrap_err().to_string().contains("not a chat answer: <html><title>Welcome"));
}

#[tokio::test]
async fn refusals_say_what_to_do_and_never_the_key() {
    let cases = [
        (
            say("401 Unauthorized", "", &format!(r#"{{"error":{{"message":"Bad key {KEY}\u001b[2J"}}}}"#)),
            "answered 401 Unauthorized: Bad key ***[2J; hint: the key in LEPTONAI_TOKEN was sent; is it right, and may \
             it use the model \"mistral-7b\"?",
        ),
        (
            say("404 Not Found", "", "<h1>Nothing\there</h1>"),
            "answered 404 Not Found: <h1>Nothing here</h1>; hint: is the path of llm.base_url right, and is there a \
             model \"mistral-7b\"?",
        ),
        (
            say(
                "400 Bad Request",
                "",
                r#"{"error":{"message":"request (6031 tokens) exceeds the available context size (4096 tokens)"}}"#,
            ),
            "exceeds the available context size (4096 tokens); hint: the question and its passages are longer than the \
             model's context; use fewer passages (lower k), or start the server with a larger context",
        ),
        (
            say("429 Too Many Requests", "Retry-After: 17\r\n", ""),
            "answered 429 Too Many Requests; hint: it was asked too often; ask again in 17 s",
        ),
        (say("500 Internal Server Error", "", &"long ".repeat(100)), "long…; hint: the server failed"),
        (
            // What would take longer than the patience is not waited for.
            say("503 Service Unavailable", "Retry-After: 3000\r\n", LOADING),
            "answered 503 Service Unavailable: Loading model; hint: it is still loading its model",
        ),
    ];
    let (scripts, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let server = Server::start(scripts);
    let model = server.model();
    for expected in expected {
        let error = ask(&model).await.unwrap_err();
        let shown = error.to_string();
        assert!(shown.starts_with(&format!("{}/api/v1/chat/completions answered", server.url)), "{shown}");
        assert!(shown.contains(expected), "{shown}");
        assert!(!format!("{error:?} {shown}").contains(KEY), "{shown}");
    }

    let server = Server::start(vec![say("401 Unauthorized", "", "")]);
    let model = OpenAiModel::new(OpenAiOptions { api_key: None, ..options(&server.url) }).unwrap();
    let error = ask(&model).await.unwrap_err().to_string();
    assert!(error.ends_with("hint: no key was sent; set LEPTONAI_TOKEN"), "{error}");
    assert!(!server.requests().await[0].to_lowercase().contains("authorization"));
}

#[tokio::test]
async fn asks_again_while_a_model_loads_and_without_what_is_refused() {
    let server = Server::start(vec![
        say("503 Service Unavailable", "", LOADING),
        say("400 Bad Request", "", r#"{"error":{"message":"unknown field: stream_options"}}"#),
        answer(),
    ]);
    assert_eq!(ask(&server.model()).await.unwrap(), finished(FinishReason::Stop));
    let with_options: Vec<_> = server.requests().await.iter().map(|text| text.contains("stream_options")).collect();
    assert_eq!(with_options, [true, true, false]);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let target = format!("http://{}/v1/chat", elsewhere.local_addr().unwrap());
    let location = format!("Location: {target}?token={KEY}\r\n");
    let server = Server::start(vec![say("307 Temporary Redirect", &location, "")]);
    let error = ask(&server.model()).await.unwrap_err().to_string();
    assert!(error.contains(&format!("sends on to {target}, and a key never follows")), "{error}");
    assert!(!error.contains(KEY), "{error}");
    assert_eq!(elsewhere.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_key_never_travels_in_the_open() {
    let new = |url: &str, key: Option<&str>| {
        OpenAiModel::new(OpenAiOptions { api_key: key.and_then(Secret::new), ..options(url) }).map(|_| ())
    };
    for url in ["http://192.0.2.1/v1", "http://localhost.example.org/v1", "http://u:p@example.org/v1?key=k"] {
        let error = new(url, Some(KEY)).unwrap_err();
        assert!(matches!(&error, ChatError::KeyInTheOpen { url } if !url.contains(['?', '@'])), "{error}");
    }
    for url in ["http://127.0.0.2:1/v1", "http://localhost:1", "http://[::1]:1/", "https://example.org"] {
        assert!(new(url, Some(KEY)).is_ok(), "{url}");
    }
    assert!(new("http://192.0.2.1/v1", None).is_ok());
    assert!(matches!(new("http://u@192.0.2.1/v1", None), Err(ChatError::KeyInTheOpen { .. })));
    assert!(matches!(new("http://:p@192.0.2.1/v1", None), Err(ChatError::KeyInTheOpen { .. })));
    assert!(matches!(new("ftp://example.org/v1", None), Err(ChatError::BadUrl { .. })));
    assert!(matches!(new("data:x", None), Err(ChatError::BadUrl { .. })));
    let error = new("https://example.org", Some("two\nlines")).unwrap_err().to_string();
    assert!(error.starts_with("LEPTONAI_TOKEN holds") && !error.contains("lines;"), "{error}");
}

#[tokio::test]
async fn says_why_a_server_cannot_be_reached() {
    // Bound, so that no one else gets the port, but not listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let free = socket.local_addr().unwrap();
    let of = async |base_url: String| ask(&OpenAiModel::new(options(&base_url)).unwrap()).await.unwrap_err();
    let error = of(format!("http://u:p@{free}/v1?key=x")).await;
    assert!(matches!(&error, ChatError::Refused { origin } if *origin == format!("http://{free}")), "{error}");
    // Plain http behind https.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await;
    });
    let error = of(url).await;
    assert!(matches!(&error, ChatError::Tls { .. }), "{error}");
    server.await.unwrap();
}

/// Finds no name, or never ends looking.
struct Names {
    ends: bool,
}

impl Resolve for Names {
    fn resolve(&self, _: Name) -> Resolving {
        if self.ends { Box::pin(async { Err("no such name".into()) }) } else { Box::pin(std::future::pending()) }
    }
}

#[tokio::test]
async fn says_which_part_of_connecting_failed() {
    let asked = Asked {
        url: "https://u:p@model.example/v1?key=x".parse().unwrap(),
        model: "m".into(),
        key: None,
        key_source: None,
    };
    let of = async |names: Names| {
        let client = http::client().no_proxy().dns_resolver(Arc::new(names)).connect_timeout(Duration::from_millis(1));
        let error = client.build().unwrap().get(asked.url.clone()).send().await.unwrap_err();
        asked.transport_error(error)
    };
    let error = of(Names { ends: true }).await;
    assert!(matches!(&error, ChatError::UnknownHost { origin } if origin == "https://model.example"), "{error}");
    let error = of(Names { ends: false }).await;
    assert!(matches!(&error, ChatError::ConnectTimeout { origin, .. } if origin == "https://model.example"), "{error}");
}

#[tokio::test]
async fn probes_for_the_model() {
    let list = |id: &str| say("200 OK", "", &format!(r#"{{"data":[{{"id":"{id}","aliases":["b\u001b"]}}]}}"#));
    let server = Server::start(vec![
        list("mistral-7b"),
        list("mistral-7b:latest"),
        list("a"),
        say("404 Not Found", "", ""),
        say("401 Unauthorized", "", ""),
    ]);
    let model = server.model();
    assert_eq!(model.probe().await.unwrap(), Probe::Listed);
    assert_eq!(model.probe().await.unwrap(), Probe::Listed);
    assert_eq!(model.probe().await.unwrap(), Probe::NotListed(vec!["a".into(), "b".into()]));
    assert_eq!(model.probe().await.unwrap(), Probe::NoList);
    assert!(matches!(model.probe().await, Err(ChatError::Status { .. })));
    let requests = server.requests().await;
    assert!(requests.iter().all(|request| request.starts_with("GET /api/v1/models HTTP/1.1\r\n")));
}
