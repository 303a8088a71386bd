//! A model behind an OpenAI-style HTTP API: Lepton, OpenAI, Ollama, llama.cpp, vLLM and their like.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use reqwest::{
    Client, RequestBuilder, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{
    ChatError, ChatModel, Delta,
    answer::{self, Patience},
    error::{self, Asked},
    wire::{Piece, Request, StreamOptions, model_names, stream_error},
};
use crate::{
    domain::{Message, Secret},
    http,
    text::one_line,
};

/// How much of an answer that is no stream is read: more than a model ever writes.
const MAX_BODY_BYTES: usize = 8 << 20;

/// How long a server may take to tell which models it has, or what went wrong.
const QUICK: Duration = Duration::from_secs(10);

/// The first pause before asking a loading server again; each next one is twice as long, up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// Where a model is and how to ask it.
#[derive(Clone, Debug)]
pub struct OpenAiOptions {
    /// The server's name for people, for example `lepton`.
    pub provider: String,
    /// What comes before `chat/completions`, with or without a slash at the end. A query is kept.
    pub base_url: Url,
    pub model: String,
    pub api_key: Option<Secret>,
    /// Where the key is, or would be, configured, for messages: for example `LEPTONAI_TOKEN`.
    pub key_source: Option<String>,
    pub temperature: Option<f32>,
    pub max_tokens: Option<u32>,
    /// How long a server may be silent while it answers. Any byte counts, comments too.
    pub idle_timeout: Duration,
    /// How long it may be silent before the first token, and how long a loading server is asked again.
    pub first_token_timeout: Duration,
}

impl OpenAiOptions {
    pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
    /// Local servers load models of many gigabytes, and read long prompts slowly.
    pub const DEFAULT_FIRST_TOKEN_TIMEOUT: Duration = Duration::from_secs(300);
}

/// A model behind an OpenAI-style HTTP API.
///
/// The key goes to the configured origin only: redirects are errors, and plain http to another machine is refused. Each
/// question has a connection of its own, so that closing it stops the answer.
pub struct OpenAiModel {
    options: OpenAiOptions,
    client: Client,
    headers: HeaderMap,
    chat: Arc<Asked>,
    models: Arc<Asked>,
}

impl OpenAiModel {
    /// Makes the client; sends nothing.
    ///
    /// # Errors
    /// When the address or the key can't be used, or the key would travel in the open.
    pub fn new(options: OpenAiOptions) -> Result<Self, ChatError> {
        let asked = |path: &[&str]| -> Result<Arc<Asked>, ChatError> {
            Ok(Arc::new(Asked {
                url: join(&options.base_url, path)?,
                model: options.model.clone(),
                key: options.api_key.clone(),
                key_source: options.key_source.clone(),
            }))
        };
        let (chat, models) = (asked(&["chat", "completions"])?, asked(&["models"])?);
        let url = &options.base_url;
        let has_secret = options.api_key.is_some() || !url.username().is_empty() || url.password().is_some();
        if has_secret && http::is_in_the_open(url) {
            return Err(ChatError::KeyInTheOpen { url: error::shown(url) });
        }
        let mut headers = HeaderMap::new();
        if let Some(key) = &options.api_key {
            let source = || options.key_source.clone().unwrap_or_else(|| format!("the key of {}", options.provider));
            let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose()))
                .map_err(|_| ChatError::BadKey { key: one_line(&source()) })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut client = http::client().redirect(Policy::none()).http1_only().pool_max_idle_per_host(0);
        if http::is_loopback(url) {
            // A proxy is another machine.
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| chat.transport_error(error))?;
        Ok(Self { options, client, headers, chat, models })
    }

    fn question(&self, messages: &[Message], with_usage: bool) -> RequestBuilder {
        self.client.post(self.chat.url.clone()).headers(self.headers.clone()).json(&Request {
            model: &self.options.model,
            messages,
            stream: true,
            stream_options: with_usage.then_some(StreamOptions { include_usage: true }),
            temperature: self.options.temperature,
            max_tokens: self.options.max_tokens,
        })
    }

    /// Asks until the server begins to answer: once more without `stream_options` where they are refused, and for a
    /// while where the model is still loading.
    async fn ask(&self, messages: &[Message]) -> Result<Response, ChatError> {
        let give_up = Instant::now() + self.options.first_token_timeout;
        let mut with_usage = true;
        let mut pause = FIRST_PAUSE;
        loop {
            let sent = timeout_at(give_up, self.question(messages, with_usage).send()).await;
            let response = sent.map_err(|_| self.silent())?.map_err(|error| self.chat.transport_error(error))?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            let headers = response.headers().clone();
            let body = read(response, QUICK).await;
            let text = String::from_utf8_lossy(&body);
            if with_usage && status.is_client_error() && text.contains("stream_options") {
                with_usage = false;
                continue;
            }
            let wait = if status == StatusCode::SERVICE_UNAVAILABLE { wait_for(&headers, &text, pause) } else { None };
            match wait {
                Some(wait) if Instant::now() + wait < give_up => {
                    sleep(wait).await;
                    pause = LAST_PAUSE.min(pause * 2);
                }
                Some(_) | None => return Err(self.chat.status_error(status, &headers, &body)),
            }
        }
    }

    fn silent(&self) -> ChatError {
        let limit = self.options.first_token_timeout;
        ChatError::Silent { url: self.chat.shown(), limit, setting: "llm.first_token_timeout_s" }
    }

    /// An answer in one piece, from a server that doesn't stream.
    fn whole(&self, body: &[u8]) -> Result<Vec<Delta>, ChatError> {
        let malformed = || self.chat.malformed(&String::from_utf8_lossy(body));
        let value: Value = serde_json::from_slice(body).map_err(|_| malformed())?;
        if let Some(said) = stream_error("message", &value) {
            return Err(self.chat.server_error(&said));
        }
        if !value["choices"][0].is_object() {
            return Err(malformed());
        }
        Ok(answer::whole(Piece::read(&value)))
    }
}

#[async_trait]
impl ChatModel for OpenAiModel {
    fn label(&self) -> String {
        one_line(&format!("{}: {}", self.options.provider, self.options.model))
    }

    fn model(&self) -> &str {
        &self.options.model
    }

    async fn stream(&self, messages: &[Message]) -> Result<BoxStream<'static, Result<Delta, ChatError>>, ChatError> {
        let response = self.ask(messages).await?;
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match &*kind {
            "application/json" | "text/html" => {
                let body = read(response, self.options.first_token_timeout).await;
                Ok(stream::iter(self.whole(&body)?.into_iter().map(Ok)).boxed())
            }
            // Some servers call their event stream plain text, or nothing at all.
            _ => {
                let asked = self.chat.clone();
                let bytes = response.bytes_stream().map(move |chunk| chunk.map_err(|error| asked.broken(error)));
                let patience =
                    Patience { first_token: self.options.first_token_timeout, idle: self.options.idle_timeout };
                Ok(answer::deltas(bytes, self.chat.clone(), patience))
            }
        }
    }

    fn with_model(&self, name: &str) -> Arc<dyn ChatModel> {
        let asked = Asked { model: name.to_owned(), ..Asked::clone(&self.chat) };
        Arc::new(Self {
            options: OpenAiOptions { model: name.to_owned(), ..self.options.clone() },
            client: self.client.clone(),
            headers: self.headers.clone(),
            chat: Arc::new(asked),
            models: Arc::clone(&self.models),
        })
    }

    async fn models(&self) -> Result<Option<Vec<String>>, ChatError> {
        let request = self.client.get(self.models.url.clone()).headers(self.headers.clone());
        let sent = timeout(QUICK, request.send()).await;
        let silent = |_| ChatError::Unreachable {
            origin: self.models.url.origin().ascii_serialization(),
            reason: format!("it took the connection, but said nothing for {} s", QUICK.as_secs()),
        };
        let response = sent.map_err(silent)?.map_err(|error| self.models.transport_error(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response, QUICK).await;
        match status {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Ok(None),
            _ if !status.is_success() => Err(self.models.status_error(status, &headers, &body)),
            _ => {
                let value: Value = serde_json::from_slice(&body)
                    .map_err(|_| self.models.malformed(&String::from_utf8_lossy(&body)))?;
                Ok(model_names(&value).map(|names| names.iter().map(|name| one_line(name)).collect()))
            }
        }
    }
}

/// `base` with `path` behind its own, whether or not it ends in a slash.
fn join(base: &Url, path: &[&str]) -> Result<Url, ChatError> {
    let bad = || ChatError::BadUrl { url: error::shown(base) };
    if !matches!(base.scheme(), "http" | "https") {
        return Err(bad());
    }
    let mut url = base.clone();
    url.path_segments_mut().map_err(|()| bad())?.pop_if_empty().extend(path);
    Ok(url)
}

/// How long to wait before a server that answered 503 is asked again: what it says itself, but at least `pause`. `None`
/// when it neither names a time nor says that it is loading.
fn wait_for(headers: &HeaderMap, body: &str, pause: Duration) -> Option<Duration> {
    let named = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    match named {
        Some(seconds) => Some(Duration::from_secs(seconds).max(pause)),
        None => body.to_lowercase().contains("loading").then_some(pause),
    }
}

/// What comes of a body within `limit` and [`MAX_BODY_BYTES`]; a body that breaks off is not told from a whole one.
async fn read(mut response: Response, limit: Duration) -> Vec<u8> {
    let mut body: Vec<u8> = Vec::new();
    let give_up = Instant::now() + limit;
    while let Ok(Ok(Some(chunk))) = timeout_at(give_up, response.chunk()).await {
        let chunk: Bytes = chunk;
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BODY_BYTES {
            break;
        }
    }
    body
}
