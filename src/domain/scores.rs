use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Chunk, ChunkId};

/// How two vectors are compared. It travels with every score, since the direction of "nearer" depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Inner product: larger is nearer. Equal to the cosine for vectors of length 1.
    Ip,
    /// Cosine similarity: larger is nearer.
    Cosine,
    /// Euclidean distance: smaller is nearer.
    L2,
}

impl Metric {
    /// Orders the nearer score first.
    pub fn nearer_first(self, a: f32, b: f32) -> Ordering {
        match self {
            Self::Ip | Self::Cosine => b.total_cmp(&a),
            Self::L2 => a.total_cmp(&b),
        }
    }

    /// The short name shown beside a number: `ip`, `cosine` or `l2`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Cosine => "cosine",
            Self::L2 => "l2",
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which retrievers take part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    #[default]
    Hybrid,
    Dense,
    Keyword,
}

impl Mode {
    pub const ALL: [Self; 3] = [Self::Hybrid, Self::Dense, Self::Keyword];

    pub fn name(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Dense => "dense",
            Self::Keyword => "keyword",
        }
    }

    pub fn uses_dense(self) -> bool {
        self != Self::Keyword
    }

    pub fn uses_keyword(self) -> bool {
        self != Self::Dense
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.name() == s)
            .ok_or_else(|| format!("no such mode: {s:?}; use hybrid, dense or keyword"))
    }
}

/// How the dense and the keyword ranking become one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fusion {
    /// Each leg's scores scaled to 0..1 over its candidates, then added, the dense leg weighing `dense_weight` (0..1).
    MinMax { dense_weight: f32 },
    /// Reciprocal rank fusion, `sum of 1 / (k + rank)` (Cormack, Clarke and Buettcher, SIGIR 2009).
    Rrf { k: f32 },
}

impl Default for Fusion {
    fn default() -> Self {
        Self::MinMax { dense_weight: 0.6 }
    }
}

/// One row of one retriever's answer; a list of them is ordered best first, ties by id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    pub id: ChunkId,
    /// For a dense search a number of the collection's metric; for keyword search BM25, larger is better.
    pub score: f32,
}

/// Every score a passage got, each retriever's own, with its rank counted from 1. `None` where a retriever did not
/// take part or did not find the passage among its candidates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    pub metric: Metric,
    pub dense: Option<f32>,
    pub dense_rank: Option<u32>,
    /// BM25, larger is better.
    pub keyword: Option<f32>,
    pub keyword_rank: Option<u32>,
    /// Larger is better; in hybrid mode only.
    pub fused: Option<f32>,
    pub fused_rank: Option<u32>,
    /// Only of those that were ordered anew by it, larger is better: the cosine of the question with the sentence that is
    /// likest it, and a little for the score of before.
    pub rerank: Option<f32>,
}

impl Scores {
    pub fn none(metric: Metric) -> Self {
        Self {
            metric,
            dense: None,
            dense_rank: None,
            keyword: None,
            keyword_rank: None,
            fused: None,
            fused_rank: None,
            rerank: None,
        }
    }
}

/// A chunk that at least one retriever found, whether it got among the passages or not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// In the final order, from 1.
    pub rank: u32,
    pub id: ChunkId,
    /// `document:first-last`; empty where its chunk was not read.
    pub place: String,
    /// See [`Chunk::title`]; empty where its chunk was not read.
    pub title: String,
    pub scores: Scores,
}

/// A chunk that was retrieved for a question, with its final rank (from 1) and all its scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    pub rank: u32,
    pub chunk: Chunk,
    pub scores: Scores,
}
