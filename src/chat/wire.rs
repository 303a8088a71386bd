//! The OpenAI-style chat protocol as JSON: what is sent, and what is understood of the many shapes that come back.

use serde::Serialize;
use serde_json::Value;

use crate::{
    domain::{FinishReason, Message, Usage},
    text::{fit, one_line},
};

/// The body of a request for an answer.
#[derive(Serialize)]
pub(super) struct Request<'a> {
    pub model: &'a str,
    pub messages: &'a [Message],
    pub stream: bool,
    /// Asks for token counts at the end. Some servers refuse the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct StreamOptions {
    pub include_usage: bool,
}

/// What one event of a stream, or a whole answer, holds. Anything may be missing from it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Piece {
    pub text: String,
    pub reasoning: String,
    pub usage: Option<Usage>,
    pub finish: Option<FinishReason>,
}

impl Piece {
    /// Reads a chunk of a stream (`choices[0].delta`) or a whole answer (`choices[0].message`). Servers differ in what
    /// they leave out, send as null, or add: whatever is not understood counts as missing.
    pub fn read(value: &Value) -> Self {
        let choice = &value["choices"][0];
        let said = if choice["delta"].is_object() { &choice["delta"] } else { &choice["message"] };
        let reasoning = [&said["reasoning_content"], &said["reasoning"]].map(text);
        Self {
            text: text(&said["content"]),
            reasoning: reasoning.into_iter().find(|text| !text.is_empty()).unwrap_or_default(),
            usage: usage(&value["usage"]),
            finish: choice["finish_reason"].as_str().filter(|name| !name.is_empty()).map(|name| match name {
                "stop" => FinishReason::Stop,
                "length" => FinishReason::Length,
                other => FinishReason::Other(fit(&one_line(other), 40)),
            }),
        }
    }
}

/// A string, or the text parts of a list of parts.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

fn usage(value: &Value) -> Option<Usage> {
    let prompt_tokens = value["prompt_tokens"].as_u64()?;
    Some(Usage { prompt_tokens, completion_tokens: value["completion_tokens"].as_u64().unwrap_or(0) })
}

/// The error inside an event of a stream, in the shapes `{"error": {"message": ..}}`, `{"error": ".."}` and
/// `{"object": "error", "message": ..}`. `None` when it holds none.
pub(super) fn stream_error(kind: &str, value: &Value) -> Option<String> {
    let is_error = kind == "error" || value["object"] == "error" || !value["error"].is_null();
    is_error.then(|| error_text(value).unwrap_or_else(|| value.to_string()))
}

/// The sentence that an error's body has for people: also `{"message": ..}` and `{"detail": ".."}`.
pub(super) fn error_text(value: &Value) -> Option<String> {
    [&value["error"]["message"], &value["error"], &value["message"], &value["detail"]]
        .into_iter()
        .find_map(Value::as_str)
        .map(str::to_owned)
}

/// The names in a list of models; an alias counts as a name. `None` when the value is no such list.
pub(super) fn model_names(value: &Value) -> Option<Vec<String>> {
    let models = value["data"].as_array()?;
    let mut names: Vec<String> = Vec::new();
    for model in models {
        let aliases = model["aliases"].as_array().into_iter().flatten();
        for name in std::iter::once(&model["id"]).chain(aliases).filter_map(Value::as_str) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_what_servers_send_and_shrugs_at_the_rest() {
        let piece = |choice: Value| Piece::read(&json!({ "choices": [choice] }));
        let said = |text: &str| Piece { text: text.into(), ..Piece::default() };

        assert_eq!(piece(json!({"finish_reason": null, "delta": {"role": "assistant", "content": null}})), said(""));
        assert_eq!(piece(json!({"delta": {"content": " a"}})), said(" a"));
        assert_eq!(piece(json!({"message": {"content": "whole"}})), said("whole"));
        assert_eq!(piece(json!({"delta": {"content": [{"type": "text", "text": "a"}, {"text": "b"}]}})), said("ab"));
        assert_eq!(piece(json!({"delta": {"content": "<think>x"}})), said("<think>x"));
        assert_eq!(piece(json!({"delta": {"reasoning_content": "h"}})).reasoning, "h");
        assert_eq!(piece(json!({"delta": {"reasoning": "h", "reasoning_content": null}})).reasoning, "h");
        for (name, finish) in [
            ("stop", Some(FinishReason::Stop)),
            ("length", Some(FinishReason::Length)),
            ("tool\u{1b}_calls", Some(FinishReason::Other("tool_calls".into()))),
            ("", None),
        ] {
            assert_eq!(piece(json!({"delta": {}, "finish_reason": name})).finish, finish);
        }
        let counted = Piece::read(&json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}}));
        assert_eq!(counted.usage, Some(Usage { prompt_tokens: 3, completion_tokens: 5 }));
        for odd in [json!(null), json!([]), json!("x"), json!({"choices": {"a": 1}, "usage": null}), json!({})] {
            assert_eq!(Piece::read(&odd), Piece::default());
        }
    }

    #[test]
    fn finds_the_sentence_in_an_error() {
        for (body, sentence) in [
            (json!({"error": {"message": "no", "code": 1}}), Some("no")),
            (json!({"error": "no"}), Some("no")),
            (json!({"object": "error", "message": "no"}), Some("no")),
            (json!({"detail": "no"}), Some("no")),
            (json!({"detail": [1]}), None),
        ] {
            assert_eq!(error_text(&body).as_deref(), sentence);
        }
        assert_eq!(stream_error("message", &json!({"error": null, "choices": []})), None);
        assert_eq!(stream_error("error", &json!({"reason": 7})).as_deref(), Some("{\"reason\":7}"));
    }

    #[test]
    fn a_request_leaves_out_what_is_not_set() {
        let request = Request {
            model: "m",
            messages: &[Message { role: crate::domain::Role::User, content: "q".into() }],
            stream: true,
            stream_options: None,
            temperature: Some(0.3),
            max_tokens: None,
        };
        assert_eq!(
            serde_json::to_string(&request).unwrap(),
            r#"{"model":"m","messages":[{"role":"user","content":"q"}],"stream":true,"temperature":0.3}"#
        );
    }
}
