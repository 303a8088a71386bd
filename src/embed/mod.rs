//! Turning text into vectors. Knows nothing of documents, stores or where model files come from.

mod fastembed;
mod pool;

use std::time::Duration;

pub use self::fastembed::FastEmbedder;
use crate::domain::{Fingerprint, Vector};

/// What a text is embedded for: some models put another prefix before a question than before a passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Query,
    Passage,
}

/// A model that turns texts into vectors. CPU-bound, so not async: call it from a thread of its own.
pub trait Embedder: Send + Sync {
    /// What makes this model's vectors what they are.
    fn fingerprint(&self) -> &Fingerprint;

    /// Length of `text` in the model's tokens, special tokens not counted, not cut at the model's limit.
    fn count_tokens(&self, text: &str) -> usize;

    /// One vector of `fingerprint().dim` floats for each text, in the same order. A text beyond the model's limit is
    /// cut off there. The same text always gives the same vector, whatever it is embedded together with.
    ///
    /// # Errors
    /// When the runtime fails; nothing is returned then.
    fn embed(&self, role: Role, texts: &[&str]) -> Result<Vec<Vector>, EmbedError>;

    /// Somebody is at the keys meanwhile: for so long passages leave a processor free, and where that leaves them one they
    /// use it now and then. Passages in hand are not given up.
    fn make_room(&self, time: Duration) {
        let _ = time;
    }
}

/// Why embedding failed.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    #[error("the embedding model {model} could not be loaded: {reason}")]
    Load { model: String, reason: String },
    #[error("the embedding model {model} failed on a text: {reason}")]
    Run { model: String, reason: String },
}
