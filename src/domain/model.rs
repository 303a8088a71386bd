use std::path::PathBuf;

use super::Pooling;

/// An embedding model on disk, checked and ready to be loaded: plain data, so that whoever gets models and whoever
/// loads them need not know each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFiles {
    /// The model's name, for people.
    pub name: String,
    /// The ONNX graph. Weights that it refers to by name lie in the same folder.
    pub graph: PathBuf,
    /// `tokenizer.json`.
    pub tokenizer: PathBuf,
    /// `config.json`, `tokenizer_config.json` and `special_tokens_map.json`, where the model has them.
    pub config: Option<PathBuf>,
    pub tokenizer_config: Option<PathBuf>,
    pub special_tokens_map: Option<PathBuf>,
    /// The graph's output to take, where the usual names would pick the wrong one.
    pub output: Option<&'static str>,
    /// sha256 of the weights, in hexadecimal.
    pub sha256: String,
    /// Length of a vector, where it is known before the model is loaded.
    pub dim: Option<usize>,
    pub pooling: Pooling,
    /// Longest input in tokens, special tokens counted.
    pub max_tokens: usize,
    /// What goes in front of a question and of a passage.
    pub query_prefix: String,
    pub passage_prefix: String,
}
