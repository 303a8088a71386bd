//! What the person configured: `config.toml` and the environment, parsed once into a [`Config`] that needs no more
//! checks. Every key is optional in the file; `config.example.toml` shows them all with their defaults.
//!
//! It reads no documents and opens no connections; secrets are read from the environment when a client is made, and
//! never kept here.

mod paths;
mod provider;
mod raw;
mod show;
mod store;

use std::{collections::BTreeMap, fs, io, path::PathBuf, time::Duration};

pub use paths::Paths;
pub use provider::{Llm, Provider};
use raw::RawConfig;
pub use store::{Place, Store, Tls};

use crate::{
    domain::{Chunker, Fusion, Pooling, SearchSettings, ThemeName},
    text::one_line,
};

/// The commented example file: complete, and equal to the defaults.
pub const EXAMPLE: &str = include_str!("../../config.example.toml");

/// A complete, valid configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The collection to use where none is named. `None`: `docs`; in the embedded store the handbook
    /// where there is none.
    pub collection: Option<String>,
    pub store: Store,
    pub search: SearchSettings,
    pub embed: Embed,
    pub chunker: Chunker,
    /// `None`: sentences of the passages are quoted instead.
    pub llm: Option<Llm>,
    pub prompt: PromptTemplates,
    pub ui: Ui,
    /// Keys of commands in place of the usual ones, by the command's name, as they are written. That there are such
    /// commands and keys is not checked yet.
    pub keys: BTreeMap<String, Vec<String>>,
}

/// Which embedding model, and how to run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embed {
    /// A name of the catalogue, or the path of a folder with `model.onnx` and `tokenizer.json`.
    pub model: String,
    /// For a folder; a catalogue model knows its own.
    pub pooling: Pooling,
    /// For a folder; a catalogue model knows its own.
    pub max_tokens: usize,
    /// Model sessions that work side by side, one thread each.
    pub sessions: usize,
    /// ONNX Runtime's library; got by itself when `None`.
    pub onnxruntime: Option<PathBuf>,
}

/// How the application looks and behaves on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ui {
    /// The mouse works in the application; otherwise it is the terminal's.
    pub mouse: bool,
    pub theme: ThemeName,
    /// Draw with ASCII alone; `None`: where the locale knows no more.
    pub ascii: Option<bool>,
    /// Nothing moves by itself.
    pub reduced_motion: bool,
    /// Ring the terminal's bell when long work ends while the person is elsewhere.
    pub notify: bool,
}

impl Default for Ui {
    fn default() -> Self {
        Self { mouse: true, theme: ThemeName::default(), ascii: None, reduced_motion: false, notify: false }
    }
}

/// The texts that a model is asked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptTemplates {
    pub system: String,
    /// Holds `{context}` and `{question}`, each at least once.
    pub user: String,
    /// Number the passages and ask for `[n]` behind what is taken from passage n.
    pub citations: bool,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("could not read the configuration {path}: {reason}{hint}")]
    Read { path: String, reason: io::Error, hint: &'static str },
    #[error("{path}:{line}:{column}: {message}")]
    Parse { path: String, line: usize, column: usize, message: String },
    #[error("{path}:{line}:{column}: {key}: {message}")]
    Value { path: String, line: usize, column: usize, key: String, message: String },
    #[error("no home folder was found; hint: set ASKDOCS_HOME to a folder of your choice")]
    NoHome,
}

impl Config {
    /// Reads the configuration file: `explicit` must exist, the usual one need not.
    ///
    /// # Errors
    /// Names the file, and line and column where there is one.
    pub fn load(paths: &Paths, explicit: Option<&PathBuf>) -> Result<Self, ConfigError> {
        let file = explicit.unwrap_or(&paths.config_file);
        let name = file.display().to_string();
        match fs::read_to_string(file) {
            Ok(text) => Self::parse(&text, &name),
            Err(error) if error.kind() == io::ErrorKind::NotFound && explicit.is_none() => Self::parse("", &name),
            Err(reason) => {
                let hint = match reason.kind() {
                    io::ErrorKind::NotFound => "; hint: `askdocs config init` writes a commented one",
                    _ => "",
                };
                Err(ConfigError::Read { path: name, reason, hint })
            }
        }
    }

    /// Parses the text of a configuration file; `path` is only for messages.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, path: &str) -> Result<Self, ConfigError> {
        RawConfig::parse(text, path)?.validate().map_err(|(key, message)| ConfigError::about(text, path, key, &message))
    }
}

impl ConfigError {
    /// An error about the value of a key such as `keys.reindex` in a configuration file that was read before.
    pub fn value(paths: &Paths, explicit: Option<&PathBuf>, key: &str, message: &str) -> Self {
        let file = explicit.unwrap_or(&paths.config_file);
        // It could be read a moment ago; if not any more, the position is all that is lost.
        let text = fs::read_to_string(file).unwrap_or_default();
        Self::about(&text, &file.display().to_string(), key, message)
    }

    fn about(text: &str, path: &str, key: &str, message: &str) -> Self {
        let (line, column) = raw::line_and_column(text, raw::offset(text, key));
        let (path, key, message) = (path.to_owned(), one_line(key), one_line(message));
        Self::Value { path, line, column, key, message }
    }
}

/// The tutorial's system prompt.
const SYSTEM_PROMPT: &str = "\nHuman: You are an AI assistant. You are able to find answers to the questions from the contextual passage snippets provided.\n";

/// The tutorial's user prompt.
const USER_PROMPT: &str = "\nUse the following pieces of information enclosed in <context> tags to provide an answer to the question enclosed in <question> tags.\n<context>\n{context}\n</context>\n<question>\n{question}\n</question>\n";

impl Default for PromptTemplates {
    fn default() -> Self {
        Self { system: SYSTEM_PROMPT.to_owned(), user: USER_PROMPT.to_owned(), citations: false }
    }
}

impl RawConfig {
    /// Turns what was written into what holds; an error names the key.
    fn validate(self) -> Result<Config, (&'static str, String)> {
        let Self { collection, store, search, embed, ingest, llm, ui, keys } = self;
        let defaults = SearchSettings::default();
        let fusion = match search.fusion.as_deref().unwrap_or("min-max") {
            "min-max" => Fusion::MinMax {
                dense_weight: within("search.dense_weight", search.dense_weight.unwrap_or(0.6), 0.0, 1.0)?,
            },
            "rrf" => Fusion::Rrf { k: within("search.rrf_k", search.rrf_k.unwrap_or(60.0), 1.0, 1000.0)? },
            other => return Err(("search.fusion", format!("no such fusion: {other:?}; use \"min-max\" or \"rrf\""))),
        };
        // A number that the chosen fusion does not use is still checked: a typo should not wait for the day it counts.
        within("search.dense_weight", search.dense_weight.unwrap_or(0.6), 0.0, 1.0)?;
        within("search.rrf_k", search.rrf_k.unwrap_or(60.0), 1.0, 1000.0)?;
        let mode = match search.mode {
            None => defaults.mode,
            Some(mode) => mode.parse().map_err(|message| ("search.mode", message))?,
        };
        let chunker = match ingest.chunker {
            None => Chunker::default(),
            Some(chunker) => chunker.parse().map_err(|message| ("ingest.chunker", message))?,
        };
        let pooling = match embed.pooling.as_deref().unwrap_or("mean") {
            "mean" => Pooling::Mean,
            "cls" => Pooling::Cls,
            other => return Err(("embed.pooling", format!("no such pooling: {other:?}; use \"mean\" or \"cls\""))),
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let prompt = PromptTemplates {
            system: llm.system_prompt.clone().unwrap_or_else(|| SYSTEM_PROMPT.to_owned()),
            user: llm.user_prompt.clone().unwrap_or_else(|| USER_PROMPT.to_owned()),
            citations: llm.citations.unwrap_or(false),
        };
        for placeholder in ["{context}", "{question}"] {
            if !prompt.user.contains(placeholder) {
                return Err(("llm.user_prompt", format!("it must contain {placeholder}")));
            }
        }
        Ok(Config {
            collection: collection.filter(|name| !name.is_empty()),
            store: Store::from_raw(store)?,
            search: SearchSettings {
                mode,
                k: count("search.k", search.k, defaults.k, 1, 1000)?,
                candidates: count("search.candidates", search.candidates, defaults.candidates, 1, 10_000)?,
                fusion,
                rerank: count("search.rerank", search.rerank, defaults.rerank, 0, 100)?,
            },
            embed: Embed {
                model: embed.model.unwrap_or_else(|| "all-minilm-l6-v2".to_owned()),
                pooling,
                max_tokens: count("embed.max_tokens", embed.max_tokens, 256, 8, 32_768)?,
                sessions: match count("embed.sessions", embed.sessions, 0, 0, 64)? {
                    0 => cores,
                    n => n,
                },
                onnxruntime: embed.onnxruntime.filter(|path| !path.as_os_str().is_empty()),
            },
            chunker,
            llm: Llm::from_raw(llm)?,
            prompt,
            ui: Ui {
                theme: match ui.theme {
                    None => ThemeName::default(),
                    Some(theme) => theme.parse().map_err(|message| ("ui.theme", message))?,
                },
                ascii: ui.ascii,
                reduced_motion: ui.reduced_motion.unwrap_or(false),
                notify: ui.notify.unwrap_or(false),
                mouse: ui.mouse.unwrap_or(true),
            },
            keys: keys.into_iter().map(|(name, keys)| (name, keys.list())).collect(),
        })
    }
}

fn within(key: &'static str, value: f32, least: f32, most: f32) -> Result<f32, (&'static str, String)> {
    if (least..=most).contains(&value) { Ok(value) } else { Err((key, format!("{value} is not in {least} to {most}"))) }
}

fn count(
    key: &'static str,
    value: Option<usize>,
    default: usize,
    least: usize,
    most: usize,
) -> Result<usize, (&'static str, String)> {
    let value = value.unwrap_or(default);
    if (least..=most).contains(&value) { Ok(value) } else { Err((key, format!("{value} is not in {least} to {most}"))) }
}

/// A whole number of seconds as a duration.
fn seconds(key: &'static str, value: Option<u64>, default: u64) -> Result<Duration, (&'static str, String)> {
    match value.unwrap_or(default) {
        0 => Err((key, "0 seconds leave no time at all; use 1 or more".to_owned())),
        n => Ok(Duration::from_secs(n)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Mode;

    fn error(text: &str) -> String {
        Config::parse(text, "askdocs.toml").unwrap_err().to_string()
    }

    #[test]
    fn the_example_is_complete_and_equal_to_the_defaults() {
        assert_eq!(Config::parse(EXAMPLE, "example").unwrap(), Config::parse("", "empty").unwrap());
        // With every commented key taken in, it parses as well: no key is missing and none is misspelt.
        let all: String = EXAMPLE
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(key)
                    if key.split_once(" = ").is_some_and(|(k, _)| k.chars().all(|c| c.is_lowercase() || c == '_')) =>
                {
                    key
                }
                _ => line,
            })
            .map(|line| format!("{line}\n"))
            .collect();
        let keys: Vec<&str> = all.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key).collect();
        for key in raw::KEYS {
            assert_eq!(keys.iter().filter(|k| *k == key).count(), 1, "{key} is in the example once");
        }
        assert!(RawConfig::parse(&all, "example").is_ok());
    }

    #[test]
    fn errors_name_the_place_and_the_next_step() {
        let cases = [
            ("[search]\nk = 5\nmodee = \"dense\"\n", "askdocs.toml:3:1: unknown key `modee`; did you mean `mode`?"),
            ("[serach]\n", "askdocs.toml:1:2: unknown key `serach`; did you mean `search`?"),
            ("[search]\nk = \"five\"\n", "askdocs.toml:2:5: "),
            ("[search\n", "askdocs.toml:1:"),
            ("[search]\nk = 0\n", "askdocs.toml:2:1: search.k: 0 is not in 1 to 1000"),
            (
                "[search]\ndense_weight = 2.0\nfusion = \"rrf\"",
                "askdocs.toml:2:1: search.dense_weight: 2 is not in 0 to 1",
            ),
            (
                "[search]\nmode = \"vector\"\n",
                "askdocs.toml:2:1: search.mode: no such mode: \"vector\"; use hybrid, dense or keyword",
            ),
            (
                "[llm]\nprovider = \"leptn\"\n",
                "askdocs.toml:2:1: llm.provider: no such provider: \"leptn\"; did you mean \"lepton\"?",
            ),
            (
                "[ui]\ntheme = \"pink\"\n",
                "askdocs.toml:2:1: ui.theme: no such theme: \"pink\"; there are terminal, dark, light, high-contrast, mono",
            ),
            ("[llm]\nprovider = \"custom\"\n", "askdocs.toml:1:2: llm.base_url: provider \"custom\" needs it"),
            ("search.mode = \"dense\"\n  search . \"k\" = 0\n", "askdocs.toml:2:12: search.k: 0 is"),
            ("embed = { pooling = \"max\" }\n", "askdocs.toml:1:11: embed.pooling: no such pooling"),
            ("[llm]\nuser_prompt = \"{question}\"\n", "askdocs.toml:2:1: llm.user_prompt: it must contain {context}"),
        ];
        for (text, expected) in cases {
            let error = error(text);
            assert!(error.contains(expected), "{text:?}\n  gave {error}\n  not  {expected}");
        }
    }

    #[test]
    fn a_key_in_the_file_is_refused_and_not_repeated() {
        let error = error("[llm]\nprovider = \"openai\"\napi_key = \"sk-very-secret\"\n");
        assert!(error.contains("askdocs.toml:3:1") && error.contains("api_key_env"), "{error}");
        assert!(!error.contains("sk-very-secret"), "{error}");
    }

    #[test]
    fn presets_fill_in_what_was_not_written() {
        let config = Config::parse("[llm]\nprovider = \"lepton\"\n[search]\nmode = \"dense\"\nk = 3", "f").unwrap();
        let llm = config.llm.unwrap();
        assert_eq!(llm.base_url.as_str(), "https://mistral-7b.lepton.run/api/v1/");
        assert_eq!((llm.model.as_str(), llm.api_key_env.as_deref()), ("mistral-7b", Some("LEPTONAI_TOKEN")));
        assert_eq!((config.search.mode, config.search.k), (Mode::Dense, 3));
        let own = "[llm]\nprovider = \"custom\"\nbase_url = \"http://localhost:9/v1\"\nmodel = \"m\"\n";
        let llm = Config::parse(own, "f").unwrap().llm.unwrap();
        assert_eq!(llm.base_url.as_str(), "http://localhost:9/v1/");
        assert_eq!(llm.api_key_env, None);
    }
}
