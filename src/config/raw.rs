use std::path::PathBuf;

use serde::Deserialize;

use super::ConfigError;

/// The configuration file as it is written: everything optional.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    pub collection: Option<String>,
    pub search: RawSearch,
    pub embed: RawEmbed,
    pub ingest: RawIngest,
    pub llm: RawLlm,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawSearch {
    pub mode: Option<String>,
    pub k: Option<usize>,
    pub candidates: Option<usize>,
    pub fusion: Option<String>,
    pub dense_weight: Option<f32>,
    pub rrf_k: Option<f32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawEmbed {
    pub model: Option<String>,
    pub pooling: Option<String>,
    pub max_tokens: Option<usize>,
    pub sessions: Option<usize>,
    pub onnxruntime: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawIngest {
    pub chunker: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawLlm {
    pub provider: Option<String>,
    pub base_url: Option<String>,
    pub model: Option<String>,
    pub api_key_env: Option<String>,
    pub temperature: Option<f32>,
    pub max_tokens: Option<u32>,
    pub first_token_timeout_s: Option<u64>,
    pub idle_timeout_s: Option<u64>,
    pub citations: Option<bool>,
    pub system_prompt: Option<String>,
    pub user_prompt: Option<String>,
}

/// Every key of the file that is not in two tables, so that a test can hold the example against this list.
#[cfg(test)]
pub const KEYS: &[&str] = &[
    "collection",
    "mode",
    "k",
    "candidates",
    "fusion",
    "dense_weight",
    "rrf_k",
    "pooling",
    "sessions",
    "onnxruntime",
    "chunker",
    "provider",
    "base_url",
    "api_key_env",
    "temperature",
    "first_token_timeout_s",
    "idle_timeout_s",
    "citations",
    "system_prompt",
    "user_prompt",
];

impl RawConfig {
    /// # Errors
    /// With line and column; the offending line itself is not repeated, since it may hold a secret.
    pub fn parse(text: &str, path: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start.min(text.len()));
            let before = text.get(..offset).unwrap_or("");
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            ConfigError::Parse {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                column: before.get(line_start..).map_or(0, |s| s.chars().count()) + 1,
                message: crate::text::one_line(&explain(error.message())),
            }
        })
    }
}

/// Rewords the parser's message about an unknown key and adds the nearest known one.
fn explain(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown field") {
        return message.trim().to_owned();
    }
    let Some(key) = quoted.next() else { return message.to_owned() };
    if ["api_key", "token", "key", "password"].contains(&key) {
        return format!(
            "unknown key `{key}`: keys don't belong into a file; set it as an environment variable and name that variable with `api_key_env`"
        );
    }
    let known: Vec<&str> = quoted.collect();
    match nearest(key, &known) {
        Some(near) => format!("unknown key `{key}`; did you mean `{near}`?"),
        None => format!("unknown key `{key}`; known here: {}", known.join(", ")),
    }
}

/// The known word most like what was written, if any is like it at all.
pub fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|word| (strsim::jaro_winkler(written, word), *word))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}
