use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;
use toml::de::DeTable;

use super::ConfigError;

/// The configuration file as it is written: everything optional.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    pub collection: Option<String>,
    pub store: RawStore,
    pub search: RawSearch,
    pub embed: RawEmbed,
    pub ingest: RawIngest,
    pub llm: RawLlm,
    pub ui: RawUi,
    pub keys: BTreeMap<String, RawKeys>,
}

/// The keys of a command.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a key such as \"ctrl-p\", or a list of them")]
pub enum RawKeys {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawStore {
    pub engine: Option<String>,
    pub uri: Option<String>,
    pub database: Option<String>,
    pub token_env: Option<String>,
    pub ca_certificate: Option<PathBuf>,
    pub client_certificate: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    pub tls_server_name: Option<String>,
    pub connect_timeout_s: Option<u64>,
    pub call_timeout_s: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawSearch {
    pub mode: Option<String>,
    pub k: Option<usize>,
    pub candidates: Option<usize>,
    pub rerank: Option<usize>,
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

impl RawKeys {
    pub fn list(self) -> Vec<String> {
        match self {
            Self::One(key) => vec![key],
            Self::Many(keys) => keys,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawUi {
    pub mouse: Option<bool>,
    pub theme: Option<String>,
    pub ascii: Option<bool>,
    pub reduced_motion: Option<bool>,
    pub notify: Option<bool>,
}

/// Every key of the file that is not in two tables, so that a test can hold the example against this list.
#[cfg(test)]
pub const KEYS: &[&str] = &[
    "collection",
    "engine",
    "uri",
    "database",
    "token_env",
    "ca_certificate",
    "client_certificate",
    "client_key",
    "tls_server_name",
    "connect_timeout_s",
    "call_timeout_s",
    "mode",
    "k",
    "candidates",
    "rerank",
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
    "mouse",
    "theme",
    "ascii",
    "reduced_motion",
    "notify",
];

impl RawConfig {
    /// # Errors
    /// With line and column; the offending line itself is not repeated, since it may hold a secret.
    pub fn parse(text: &str, path: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let (line, column) = line_and_column(text, error.span().map_or(0, |span| span.start));
            let message = crate::text::one_line(&explain(error.message()));
            ConfigError::Parse { path: path.to_owned(), line, column, message }
        })
    }
}

/// Line and column of a byte, both from 1; the column in characters.
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or("");
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before.get(line_start..).map_or(0, |s| s.chars().count()) + 1;
    (before.matches('\n').count() + 1, column)
}

/// Where a key such as `search.k` is written: its byte in the text, or that of the table where it should be.
pub fn offset(text: &str, key: &str) -> usize {
    let Ok(document) = DeTable::parse(text) else { return 0 };
    let (mut table, mut offset) = (Some(document.get_ref()), 0);
    for part in key.split('.') {
        let Some((name, value)) = table.and_then(|table| table.iter().find(|(name, _)| name.get_ref() == part)) else {
            break;
        };
        offset = name.span().start;
        table = value.get_ref().as_table();
    }
    offset
}

/// Rewords the parser's message about an unknown key and adds the nearest known one.
fn explain(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown field") {
        return message.trim().to_owned();
    }
    let Some(key) = quoted.next() else { return message.to_owned() };
    let known: Vec<&str> = quoted.collect();
    if ["api_key", "token", "key", "password"].contains(&key) {
        let names_variable = known.iter().find(|key| key.ends_with("_env")).unwrap_or(&"api_key_env");
        return format!(
            "unknown key `{key}`: keys don't belong into a file; set it as an environment variable and name that variable with `{names_variable}`"
        );
    }
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
