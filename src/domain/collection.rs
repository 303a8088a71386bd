use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Chunk, Metric, SourceSpec, Vector};

/// How the hidden states of a text's tokens become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    Mean,
    Cls,
}

/// What made a collection's vectors. Two vectors may be compared only when their fingerprints are equal.
///
/// The chunker's version is kept per document (see [`DocumentRecord::content`]), since chunks of several chunkers can
/// be searched together while vectors of several models cannot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The model's name, for people. It takes no part in the comparison.
    pub model: String,
    /// sha256 of the weights that were loaded, in hexadecimal.
    pub sha256: String,
    pub dim: usize,
    pub metric: Metric,
    pub pooling: Pooling,
    pub normalised: bool,
    /// Longest input in tokens; what is beyond is cut off.
    pub max_tokens: usize,
    pub query_prefix: String,
    pub passage_prefix: String,
}

impl Fingerprint {
    /// Whether vectors of `other` may be compared with vectors of `self`.
    ///
    /// # Errors
    /// Names both sides when they may not.
    pub fn check(&self, other: &Self) -> Result<(), Box<FingerprintMismatch>> {
        let same = Self { model: other.model.clone(), ..self.clone() } == *other;
        if same { Ok(()) } else { Err(Box::new(FingerprintMismatch { held: self.clone(), offered: other.clone() })) }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sha = self.sha256.get(..8).unwrap_or(&self.sha256);
        write!(f, "{}-dimensional {} vectors of {} ({sha})", self.dim, self.metric, self.model)
    }
}

/// Vectors of `offered` can't be compared with vectors of `held`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FingerprintMismatch {
    pub held: Fingerprint,
    pub offered: Fingerprint,
}

/// What a store knows of one document, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentRecord {
    /// Its name in the collection: unique there, shown to people, for example `faq/product_faq.md`.
    pub name: String,
    /// Where it was read: an absolute path, or the archive's path or URL, `!/` and the path inside.
    pub location: String,
    /// Key of the [`SourceSpec`] it came with.
    pub source: String,
    /// sha256 of its bytes in hexadecimal, a space, and its chunker's version: equal means nothing to do.
    pub content: String,
    /// Length in bytes.
    pub size: u64,
    /// Time of last change in nanoseconds since 1970, where the source has one.
    pub modified_ns: Option<i64>,
    /// Number of chunks.
    pub passages: u32,
    /// Whether its chunks have vectors. False when it was indexed while no embedding model was to be had.
    pub embedded: bool,
}

/// A document with its chunks and, where there are any, their vectors, one for each chunk.
#[derive(Clone, Debug, PartialEq)]
pub struct Indexed {
    pub record: DocumentRecord,
    pub chunks: Vec<Chunk>,
    pub vectors: Option<Vec<Vector>>,
}

/// A collection as a list of collections shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CollectionInfo {
    pub name: String,
    pub documents: u64,
    pub passages: u64,
    /// Passages that have no vector: indexed while no model was to be had, or not reached yet.
    pub without_vectors: u64,
    /// What made its vectors; `None` while it has none, or when another program made it and did not say.
    pub fingerprint: Option<Fingerprint>,
    /// Dimension of its vectors; `None` while it has none.
    pub dim: Option<usize>,
    pub metric: Metric,
    /// How its vectors are searched, in the engine's words, for example `AUTOINDEX`.
    pub index: String,
    /// Made by another program: it can be searched and looked at, and is never written.
    pub foreign: bool,
    /// Bytes on disk, where the engine can tell.
    pub bytes: Option<u64>,
    /// What it was made from, in the order of addition.
    pub sources: Vec<SourceSpec>,
}

impl CollectionInfo {
    /// The collection that the built-in handbook is indexed into.
    pub const HANDBOOK: &'static str = "handbook";
    /// The collection that a person's documents go to where none is named.
    pub const DEFAULT: &'static str = "docs";

    /// One that holds nothing yet.
    pub fn empty(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            documents: 0,
            passages: 0,
            without_vectors: 0,
            fingerprint: None,
            dim: None,
            metric: Metric::Ip,
            index: String::new(),
            foreign: false,
            bytes: None,
            sources: Vec::new(),
        }
    }
}
