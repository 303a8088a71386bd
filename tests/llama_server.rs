//! The chat client against a real llama.cpp server: `.ci/llama-server cargo test --test llama_server`.
//!
//! Without `ASKDOCS_LLAMA_URL` (which that script sets) there is nothing to ask, and each test says so.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may panic")]

use std::time::Duration;

use askdocs::{
    chat::{ChatError, ChatModel, Delta, OpenAiModel, OpenAiOptions, Probe},
    domain::{FinishReason, Message, Role},
};
use futures_util::{StreamExt, TryStreamExt};
use reqwest::{Client, Url};
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// The server answers one question at a time, and its counters are shared.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

const MODEL: &str = "smollm2-135m";

fn base_url() -> Option<Url> {
    let url = std::env::var("ASKDOCS_LLAMA_URL").ok();
    if url.is_none() {
        eprintln!("skipped: ASKDOCS_LLAMA_URL is not set; .ci/llama-server runs a server and sets it");
    }
    url.map(|url| url.parse().unwrap())
}

fn model(base_url: &Url, model: &str, max_tokens: u32) -> OpenAiModel {
    OpenAiModel::new(OpenAiOptions {
        provider: "llama.cpp".into(),
        base_url: base_url.clone(),
        model: model.into(),
        api_key: None,
        key_source: None,
        temperature: Some(0.0),
        max_tokens: Some(max_tokens),
        idle_timeout: OpenAiOptions::DEFAULT_IDLE_TIMEOUT,
        first_token_timeout: OpenAiOptions::DEFAULT_FIRST_TOKEN_TIMEOUT,
    })
    .unwrap()
}

fn question(text: &str) -> [Message; 1] {
    [Message { role: Role::User, content: text.into() }]
}

fn client() -> Client {
    askdocs::http::client().no_proxy().timeout(Duration::from_secs(120)).build().unwrap()
}

#[tokio::test]
async fn the_streamed_text_equals_the_whole() {
    let Some(base_url) = base_url() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    let messages = question("Where does a vector database keep its data? Answer in one sentence.");
    let body = json!({"model": MODEL, "messages": messages, "temperature": 0.0, "max_tokens": 48});
    let url = format!("{base_url}/chat/completions");
    let whole: Value = client().post(url).json(&body).send().await.unwrap().json().await.unwrap();

    let stream = model(&base_url, MODEL, 48).stream(&messages).await.unwrap();
    let mut deltas: Vec<Delta> = stream.try_collect().await.unwrap();
    let finish = match whole["choices"][0]["finish_reason"].as_str().unwrap() {
        "stop" => FinishReason::Stop,
        _ => FinishReason::Length,
    };
    assert_eq!(deltas.pop(), Some(Delta::Finished(finish)));
    let Some(Delta::Usage(usage)) = deltas.pop() else { panic!("no usage: {deltas:?}") };
    assert_eq!(json!(usage.completion_tokens), whole["usage"]["completion_tokens"]);
    assert_eq!(json!(usage.prompt_tokens), whole["usage"]["prompt_tokens"]);
    let pieces = deltas.len();
    let text: String =
        deltas.into_iter().map(|delta| if let Delta::Text(text) = delta { text } else { panic!() }).collect();
    assert_eq!(json!(text), whole["choices"][0]["message"]["content"]);
    assert!(pieces > 5, "{pieces} pieces are no stream: {text}");
}

/// How many times the server has run the model since it started.
async fn model_runs(base_url: &Url) -> u64 {
    let metrics = client().get(base_url.join("/metrics").unwrap()).send().await.unwrap().text().await.unwrap();
    let runs = metrics.lines().find_map(|line| line.strip_prefix("llamacpp:n_decode_total "));
    runs.expect("the server counts").trim().parse().unwrap()
}

#[tokio::test]
async fn dropping_the_stream_stops_the_model() {
    const LONG: u32 = 1_000;
    let Some(base_url) = base_url() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    let before = model_runs(&base_url).await;
    let mut stream =
        model(&base_url, MODEL, LONG).stream(&question("Write a very long story about a river.")).await.unwrap();
    for _ in 0..5 {
        assert!(matches!(stream.next().await, Some(Ok(Delta::Text(_)))));
    }
    drop(stream);
    // One at a time: this is answered only when the long answer has been given up, or is whole.
    let stream = model(&base_url, MODEL, 1).stream(&question("Hi")).await.unwrap();
    let deltas: Vec<Delta> = stream.try_collect().await.unwrap();
    assert_eq!(deltas.last(), Some(&Delta::Finished(FinishReason::Length)));
    let runs = model_runs(&base_url).await - before;
    eprintln!("the model ran {runs} times for an answer of up to {LONG} tokens that was stopped after 5");
    assert!((5..u64::from(LONG) / 10).contains(&runs), "{runs} runs");
}

#[tokio::test]
async fn a_real_server_is_probed_and_refuses() {
    let Some(base_url) = base_url() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    assert_eq!(model(&base_url, MODEL, 1).probe().await.unwrap(), Probe::Listed);
    let other = model(&base_url, "mistral-7b", 1).probe().await.unwrap();
    assert_eq!(other, Probe::NotListed(vec![MODEL.into()]));

    let too_long = question(&"word ".repeat(6_000));
    let refused = model(&base_url, MODEL, 1).stream(&too_long).await.map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("400 Bad Request") && refused.contains("lower k"), "{refused}");
    let elsewhere = model(&base_url.join("/v2/").unwrap(), MODEL, 1).stream(&too_long).await.map(|_| ()).unwrap_err();
    assert!(matches!(&elsewhere, ChatError::Status { status, .. } if *status == 404), "{elsewhere}");
    eprintln!("{refused}\n{elsewhere}");
}
