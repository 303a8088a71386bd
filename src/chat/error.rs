//! Why a model gave no answer, in words for people: what was asked, what came back, and what to do about it.

use std::{error::Error, time::Duration};

use reqwest::{StatusCode, Url, header::HeaderMap};
use serde_json::Value;

use super::wire::error_text;
use crate::{
    domain::Secret,
    http,
    text::{fit, one_line},
};

/// How much of what a server says is shown, in columns.
const SAID_COLUMNS: usize = 200;

/// Why there is no answer, or no more of it. Safe to show: what a server said is sanitised, cut short and free of the
/// key; addresses are shown without user names, passwords and queries.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    #[error(
        "{url} can't be a model server's address; hint: llm.base_url must begin with http:// or https://, for example http://127.0.0.1:8080/v1"
    )]
    BadUrl { url: String },
    #[error("{key} holds characters that can't be sent as a key; hint: set it again, without quotes or line breaks")]
    BadKey { key: String },
    #[error(
        "the key can't go to {url}: plain http would show it to every machine in between; hint: use https:// in llm.base_url, or configure no key"
    )]
    KeyInTheOpen { url: String },
    #[error("nothing listens at {origin}; hint: start the model server, or correct llm.base_url")]
    Refused { origin: String },
    #[error("the name of {origin} can't be found; hint: correct llm.base_url, or look at the network connection")]
    UnknownHost { origin: String },
    #[error(
        "no secure connection to {origin}: {reason}; hint: is it a plain http:// server, or another certificate's?"
    )]
    Tls { origin: String, reason: String },
    #[error(
        "{origin} could not be reached within {} s; hint: is it running, and does a firewall or proxy stand between?",
        limit.as_secs()
    )]
    ConnectTimeout { origin: String, limit: Duration },
    #[error("{origin} could not be reached: {reason}")]
    Unreachable { origin: String, reason: String },
    #[error("{url} sends on to {to}, and a key never follows; hint: if that is right, set llm.base_url to it")]
    Redirected { url: String, to: String },
    #[error("{url} answered {status}{}; hint: {hint}", colon(said))]
    Status { url: String, status: StatusCode, said: String, hint: String },
    #[error("{url} broke off: {said}{}", hint.map(|hint| format!("; hint: {hint}")).unwrap_or_default())]
    Server { url: String, said: String, hint: Option<&'static str> },
    #[error(
        "{url} sent something that is not a chat answer: {said}; hint: llm.base_url must be the address of an OpenAI-style API, often ending in /v1"
    )]
    Malformed { url: String, said: String },
    #[error("{url} sent an event of more than {limit_bytes} bytes, too long for a piece of an answer")]
    TooLong { url: String, limit_bytes: usize },
    #[error("{url} sent nothing for {} s; hint: it may be overloaded, ask again or raise {setting}", limit.as_secs())]
    Silent { url: String, limit: Duration, setting: &'static str },
    #[error("{url} closed the connection before it answered: {reason}")]
    Broken { url: String, reason: String },
}

fn colon(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

const CONTEXT_HINT: &str = "the question and its passages are longer than the model's context; use fewer passages (lower k), or start the server with a larger context";

/// What an error may say of the server, the request and the key.
#[derive(Clone)]
pub(super) struct Asked {
    pub url: Url,
    pub model: String,
    pub key: Option<Secret>,
    /// Where the key is, or would be, configured.
    pub key_source: Option<String>,
}

impl Asked {
    /// The address that was asked, as it may be shown.
    pub fn shown(&self) -> String {
        shown(&self.url)
    }

    /// Words of the server, as they may be shown.
    pub fn said(&self, text: &str) -> String {
        let text = self.key.as_ref().map_or_else(|| text.to_owned(), |key| key.redact(text));
        fit(&one_line(&text), SAID_COLUMNS)
    }

    /// Why a connection ended in the middle.
    pub fn broken(&self, error: reqwest::Error) -> ChatError {
        ChatError::Broken { url: self.shown(), reason: self.said(&http::reason(&error.without_url())) }
    }

    /// Why a request got no answer.
    pub fn transport_error(&self, error: reqwest::Error) -> ChatError {
        let origin = self.url.origin().ascii_serialization();
        let error = error.without_url();
        let reason = self.said(&http::reason(&error));
        if has_cause(&error, |cause| cause.is::<rustls::Error>()) {
            ChatError::Tls { origin, reason }
        } else if error.is_dns() {
            ChatError::UnknownHost { origin }
        } else if error.is_connect() && error.is_timeout() {
            ChatError::ConnectTimeout { origin, limit: http::CONNECT_TIMEOUT }
        } else if error.is_connect() && has_cause(&error, is_refusal) {
            ChatError::Refused { origin }
        } else if error.is_connect() {
            ChatError::Unreachable { origin, reason }
        } else {
            self.broken(error)
        }
    }

    /// What an answer with a status other than 2xx means.
    pub fn status_error(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ChatError {
        let url = self.shown();
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if let (true, Some(to)) = (status.is_redirection(), header("location")) {
            let to = self.url.join(to).map_or_else(|_| "an address that can't be read".to_owned(), |to| shown(&to));
            return ChatError::Redirected { url, to: self.said(&to) };
        }
        let body = String::from_utf8_lossy(body);
        let hint = match status.as_u16() {
            401 | 403 => self.key_hint(),
            404 | 405 => format!("is the path of llm.base_url right, and is there a model {:?}?", self.model),
            400 | 413 | 422 | 500 if too_long_for_context(&body) => CONTEXT_HINT.to_owned(),
            402 => "the account behind the key has to be looked at".to_owned(),
            429 => match header("retry-after").map(one_line) {
                Some(wait) if wait.chars().all(|c| c.is_ascii_digit()) => {
                    format!("it was asked too often; ask again in {} s", fit(&wait, 10))
                }
                Some(date) => format!("it was asked too often; ask again after {}", fit(&date, 40)),
                None => "it was asked too often, or the account's limit is reached; ask again in a while".to_owned(),
            },
            503 => "it is still loading its model, or overloaded; ask again in a while".to_owned(),
            500..=599 => "the server failed; its own log tells more".to_owned(),
            _ => "the [llm] settings in `askdocs config show` are what was asked for".to_owned(),
        };
        ChatError::Status { url, status, said: self.body_text(&body), hint }
    }

    /// An error that came inside an answer.
    pub fn server_error(&self, said: &str) -> ChatError {
        let hint = too_long_for_context(said).then_some(CONTEXT_HINT);
        ChatError::Server { url: self.shown(), said: self.said(said), hint }
    }

    pub fn malformed(&self, body: &str) -> ChatError {
        ChatError::Malformed { url: self.shown(), said: self.body_text(body) }
    }

    /// The sentence in an error's body, or the body's first words.
    fn body_text(&self, body: &str) -> String {
        // A JSON value is written anew, so that an escape in it can't keep a key from being recognised.
        let text =
            serde_json::from_str::<Value>(body).map(|value| error_text(&value).unwrap_or_else(|| value.to_string()));
        self.said(text.as_deref().unwrap_or(body))
    }

    fn key_hint(&self) -> String {
        match (&self.key, &self.key_source) {
            (Some(_), Some(source)) => {
                format!("the key in {source} was sent; is it right, and may it use the model {:?}?", self.model)
            }
            (Some(_), None) => format!("a key was sent; is it right, and may it use the model {:?}?", self.model),
            (None, Some(source)) => format!("no key was sent; set {source}"),
            (None, None) => "no key was sent, and this server wants one; see [llm] in the configuration".to_owned(),
        }
    }
}

/// Origin and path of an address: no user name, password or query, which may be secret.
pub(super) fn shown(url: &Url) -> String {
    if url.cannot_be_a_base() {
        return format!("{}:…", url.scheme());
    }
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    one_line(&format!("{}://{host}{port}{}", url.scheme(), url.path()))
}

/// The words of OpenAI (`context_length_exceeded`), llama.cpp (`exceeds the available context size`), vLLM (`maximum
/// context length is`) and their like.
fn too_long_for_context(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("context")
        && ["length", "size", "window", "exceed", "too long"].iter().any(|word| text.contains(word))
}

fn is_refusal(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused)
}

/// Whether one of an error's causes is as asked. Looks inside I/O errors too, which do not name what they wrap.
fn has_cause(error: &(dyn Error + 'static), is: impl Fn(&(dyn Error + 'static)) -> bool) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if is(cause) {
            return true;
        }
        let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = wrapped.map_or_else(|| cause.source(), |inner| Some(inner as &(dyn Error + 'static)));
    }
    false
}
