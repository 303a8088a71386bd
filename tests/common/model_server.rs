//! An OpenAI-style model server on a loopback port that answers as the test tells it to.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

/// Serves until the test's process ends.
pub struct ModelServer {
    /// For `llm.base_url`.
    pub url: String,
}

/// One request, and the way back.
pub struct Exchange {
    /// `GET /v1/models`, for example.
    pub request: String,
    pub body: String,
    stream: TcpStream,
}

impl ModelServer {
    /// Every request is answered by `answer` on a thread of its own; what it fails with is the caller's hanging up.
    pub fn start(answer: impl Fn(&mut Exchange) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answer = Arc::clone(&answer);
                thread::spawn(move || Exchange::read(stream).and_then(|mut exchange| answer(&mut exchange)));
            }
        });
        Self { url }
    }
}

impl Exchange {
    fn read(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let (mut request, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if request.is_empty() {
                line.clone_into(&mut request);
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let request = request.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        Ok(Self { request, body: String::from_utf8_lossy(&body).into_owned(), stream })
    }

    /// A whole answer.
    pub fn answer(&mut self, status: &str, content: &str, body: &[u8]) -> io::Result<()> {
        self.answer_in_two(status, content, body, || {})
    }

    /// The same in two halves, and something to do between them.
    pub fn answer_in_two(
        &mut self,
        status: &str,
        content: &str,
        body: &[u8],
        between: impl FnOnce(),
    ) -> io::Result<()> {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {content}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        let (one, other) = body.split_at(length / 2);
        self.stream.write_all(head.as_bytes())?;
        self.stream.write_all(one)?;
        between();
        self.stream.write_all(other)
    }

    /// The list of models, or 404 for what is not asked here.
    pub fn answer_models(&mut self, names: &[&str]) -> io::Result<()> {
        let data: Vec<_> = names.iter().map(|name| serde_json::json!({ "id": name })).collect();
        self.answer("200 OK", "application/json", serde_json::json!({ "data": data }).to_string().as_bytes())
    }

    /// Begins a stream of events.
    pub fn begin(&mut self) -> io::Result<()> {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        self.stream.write_all(head.as_bytes())
    }

    /// Sends bytes of the stream as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        write!(self.stream, "{:x}\r\n", bytes.len())?;
        self.stream.write_all(bytes)?;
        self.stream.write_all(b"\r\n")
    }

    /// Sends a piece of the answer, `content` or `reasoning_content`.
    pub fn delta(&mut self, field: &str, text: &str) -> io::Result<()> {
        let event = serde_json::json!({ "choices": [{ "delta": { field: text } }] });
        self.send(format!("data: {event}\n\n").as_bytes())
    }

    /// Waits until nobody listens any more.
    pub fn wait_for_hanging_up(&mut self) {
        // A reset is as good as an end.
        let _ = self.stream.read_to_end(&mut Vec::new());
    }

    /// Ends the stream for this reason.
    pub fn finish(&mut self, reason: &str) -> io::Result<()> {
        let event = serde_json::json!({ "choices": [{ "delta": {}, "finish_reason": reason }] });
        self.send(format!("data: {event}\n\ndata: [DONE]\n\n").as_bytes())?;
        self.stream.write_all(b"0\r\n\r\n")
    }
}
