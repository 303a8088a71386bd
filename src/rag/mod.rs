//! Retrieval-augmented generation itself: ingest, retrieve, ask. It works through the traits [`VectorStore`],
//! [`Embedder`] and [`ChatModel`] and knows no engine, model or screen.
//!
//! [`VectorStore`]: crate::store::VectorStore
//! [`Embedder`]: crate::embed::Embedder
//! [`ChatModel`]: crate::chat::ChatModel

mod ask;
mod copy;
mod extractive;
mod fuse;
mod handbook;
mod ingest;
mod pause;
mod plan;
mod project;
mod prompt;
mod rerank;
mod retrieve;
#[cfg(test)]
mod tests;

pub use ask::{Ask, AskEvent, ask};
pub use copy::{CopyJob, CopyReport, copy};
pub use extractive::{LABEL as EXTRACTIVE_LABEL, best_sentence};
pub use fuse::fuse;
pub use handbook::needs_index;
pub use ingest::{IngestJob, ingest};
pub use pause::Pause;
pub use project::project;
pub use prompt::{Templates, citations};
pub use retrieve::{Retrieval, retrieve};

use crate::{chat::ChatError, domain::Shard, embed::EmbedError, source::SourceError, store::StoreError};

/// Why a question could not be answered or a source not be indexed.
#[derive(Debug, thiserror::Error)]
pub enum RagError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Embed(#[from] EmbedError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Chat(#[from] ChatError),
    #[error(
        "dense search needs an embedding model, and none is loaded; hint: `--mode keyword` works without one, `askdocs doctor` says what is missing"
    )]
    NoModel,
    #[error(
        "collection {collection:?} has no vectors; hint: `askdocs ingest --collection {collection}` embeds it once a model is there, `--mode keyword` works now"
    )]
    NoVectors { collection: String },
    #[error(
        "collection {collection:?} holds {held}-dimensional vectors, {model} gives {given}; hint: set embed.model to the model that made it, `--mode keyword` works now"
    )]
    OtherDimension { collection: String, held: usize, model: String, given: usize },
    #[error("collection {collection:?} is empty; hint: `askdocs ingest PATH --collection {collection}` fills it")]
    Empty { collection: String },
    #[error("collection {collection:?} does not know what it was made from; hint: name the files or folders")]
    NoSources { collection: String },
    #[error(
        "{collection:?} would be made anew from all that it came from, and {path} is not there; hint: bring it back, or drop the collection (`askdocs collections drop {collection}`) and index what there is"
    )]
    SourceGone { collection: String, path: String },
    #[error(
        "embedding everything in {collection:?} anew needs the embedding model, and none is loaded; hint: `askdocs doctor` says what is missing; without --force, what changed is indexed for keyword search"
    )]
    NoModelToForce { collection: String },
    #[error(
        "nothing to index in {location}{}{}; hint: Markdown and plain text are read, and a glob is matched against the path below it, such as 'en/faq/*.md'",
        if globs.is_empty() { String::new() } else { format!(" that matches {}", globs.join(" or ")) },
        if *ignored == 0 { String::new() } else { format!(" ({ignored} files of other kinds)") }
    )]
    NothingFound { location: String, globs: Vec<String>, ignored: u64 },
    #[error(
        "--force would start {collection:?} over with the configured model, which one share ({shard}) can't do for all; hint: `askdocs ingest --force --collection {collection}` without --shard, or drop the collection first"
    )]
    ShardStartsOver { collection: String, shard: Shard },
    #[error(
        "collection {collection:?} in {store} was made by another program and does not say what its documents are, so it can't be copied; hint: index the documents themselves: `askdocs ingest PATH --store TO`"
    )]
    CopyForeign { collection: String, store: String },
    #[error(
        "{bare} passages of {collection:?} in {store} have no vectors, and {to} keeps passages by their vectors; hint: `askdocs ingest --collection {collection}` there embeds them, then copy again"
    )]
    CopyBare { collection: String, store: String, bare: u64, to: String },
    #[error(
        "collection {name:?} in {to} {what}, so nothing is copied into it from {from}; hint: `--as NAME` copies beside it, or drop it first with `askdocs collections drop {name}` there"
    )]
    CopyMeets { name: String, to: String, what: String, from: String },
    #[error(
        "collection {collection:?} in {from} could not be read: {what}; hint: `askdocs ingest --collection {collection}` there puts it right"
    )]
    CopyUnread { collection: String, from: String, what: String },
    #[error(
        "what is in {to} under {name:?} is not what {from} holds: {what}; hint: `askdocs collections drop {name}` there, then copy again"
    )]
    CopyDiffers { name: String, to: String, from: String, what: String },
    #[error("a worker stopped unexpectedly: {0}")]
    Worker(String),
    #[error("interrupted")]
    Interrupted,
}
