//! Keeping collections of chunks and searching them. Knows nothing of models, files to ingest, or fusion.

#[cfg(test)]
#[path = "../../tests/common/conformance.rs"]
mod conformance;
pub mod milvus;
mod sqlite;

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::{
    Chunk, ChunkId, CollectionInfo, DocumentRecord, Fingerprint, FingerprintMismatch, Hit, Indexed, SourceSpec, Vector,
};

#[cfg(unix)]
pub use self::milvus::{LiteError, LiteServer};
pub use self::{milvus::MilvusStore, sqlite::SqliteStore};

/// What an engine can do by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// [`VectorStore::replace_documents`] changes a document as one step, even if the process dies halfway. Where this
    /// is false, a reader may see the old version's chunks beside the new one's for a moment, never none of them.
    pub atomic_replace: bool,
    /// Where keywords are ranked (BM25).
    pub keywords: KeywordIndex,
    /// Chunks without vectors can't be kept.
    pub needs_vectors: bool,
}

/// Where a store ranks keywords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeywordIndex {
    /// In the engine itself.
    Engine,
    /// In an index on this machine, brought up to date with the engine before it is searched.
    Local,
}

/// What a store answered when it was asked whether it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The engine and its version, in words.
    pub version: String,
    /// Time of one small call to it.
    pub latency: Duration,
}

/// A place where collections live. Every method may be called from any task; reads go on during a write.
///
/// Dropping a returned future does not undo what the engine has begun; a write either happens whole or not at all.
#[async_trait]
pub trait VectorStore: Send + Sync {
    fn capabilities(&self) -> Capabilities;

    /// For people: the engine and its place, for example `embedded` or a server's address, without secrets.
    fn describe(&self) -> String;

    /// Asks the engine for a sign of life.
    async fn check(&self) -> Result<Health, StoreError>;

    /// All collections by name.
    async fn collections(&self) -> Result<Vec<CollectionInfo>, StoreError>;

    /// The collections that [`VectorStore::collections`] leaves out since they can't be read, each with the reason.
    async fn unreadable(&self) -> Result<Vec<(String, StoreError)>, StoreError> {
        Ok(Vec::new())
    }

    /// `None` when there is no such collection.
    async fn collection(&self, name: &str) -> Result<Option<CollectionInfo>, StoreError>;

    /// Makes the collection when there is none. With a fingerprint: gives it to a collection that has none yet, and
    /// refuses one that has another.
    ///
    /// # Errors
    /// [`StoreError::WrongModel`] when the collection holds vectors of another model.
    async fn ensure_collection(&self, name: &str, fingerprint: Option<&Fingerprint>) -> Result<(), StoreError>;

    /// Empties a collection (documents, vectors, fingerprint) but keeps its name and sources. Readers see it whole until
    /// it is empty. Used to start over with another model.
    async fn clear_collection(&self, name: &str) -> Result<(), StoreError>;

    /// Whether there was one to drop.
    async fn drop_collection(&self, name: &str) -> Result<bool, StoreError>;

    /// Notes what the collection is made from; a source with the same [`SourceSpec::key`] is replaced in its place.
    async fn remember_source(&self, collection: &str, source: &SourceSpec) -> Result<(), StoreError>;

    /// Takes the collection's write lock, waiting for at most `patience`, and holds it until the guard is dropped.
    /// Single writes take it by themselves; an ingest holds it throughout, so that two can't interleave.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when another process or task holds it for longer.
    async fn lock_for_writing(&self, collection: &str, patience: Duration) -> Result<WriteGuard, StoreError>;

    /// All documents of a collection.
    async fn documents(&self, collection: &str) -> Result<Vec<DocumentRecord>, StoreError>;

    /// Whether this engine can keep a document at all.
    ///
    /// # Errors
    /// [`StoreError::Unfit`], with the reason.
    fn check_fit(&self, _document: &Indexed) -> Result<(), StoreError> {
        Ok(())
    }

    /// Puts documents in place of what their names held before: chunks, keyword index and vectors, each document as one
    /// step where the engine can. `vectors` is `None` when no model is to be had. When it returns, all of them survive a
    /// `kill -9`.
    async fn replace_documents(&self, collection: &str, documents: Vec<Indexed>) -> Result<(), StoreError>;

    /// Whole documents by name, as they were stored; a name that is not there is left out.
    async fn read_documents(&self, collection: &str, names: &[String]) -> Result<Vec<Indexed>, StoreError>;

    /// Chunks in an order that stays the same while nothing is written, from the `offset`-th on.
    async fn browse(&self, collection: &str, offset: u64, limit: usize) -> Result<Vec<Chunk>, StoreError>;

    /// Notes a new size, time, place or source of a document whose content is unchanged.
    async fn touch_document(&self, collection: &str, document: &DocumentRecord) -> Result<(), StoreError>;

    /// Takes documents out by name, all in one step where the engine can. Unknown names are no error.
    async fn remove_documents(&self, collection: &str, names: &[String]) -> Result<(), StoreError>;

    /// The `limit` chunks nearest to `vector` by the collection's metric, nearest first, ties by id. Exact where the
    /// engine can. Empty for a collection without vectors. `made_by` is what made `vector`: it is compared with what the
    /// collection holds in the moment of the search.
    ///
    /// # Errors
    /// [`StoreError::WrongModel`] when the collection holds vectors of another model.
    async fn search_dense(
        &self,
        collection: &str,
        made_by: Option<&Fingerprint>,
        vector: &Vector,
        limit: usize,
    ) -> Result<Vec<Hit>, StoreError>;

    /// The `limit` best chunks by BM25 over heading path and text, best first, ties by id. `query` is raw text of a
    /// person: any of its words may match, none of its characters is syntax.
    async fn search_keyword(&self, collection: &str, query: &str, limit: usize) -> Result<Vec<Hit>, StoreError>;

    /// The chunks of these ids, in the order asked; an id that is not there (any more) is left out.
    async fn get(&self, collection: &str, ids: &[ChunkId]) -> Result<Vec<Chunk>, StoreError>;

    /// The chunks of the same document up to `before` in front of and `after` behind a chunk, in order, itself included.
    async fn neighbours(
        &self,
        collection: &str,
        id: ChunkId,
        before: u32,
        after: u32,
    ) -> Result<Vec<Chunk>, StoreError>;
}

/// Holds a collection's write lock until dropped.
pub struct WriteGuard(#[expect(dead_code, reason = "held for its drop")] Box<dyn std::any::Any + Send + Sync>);

impl WriteGuard {
    /// Wraps whatever releases the lock when dropped.
    pub fn new(held: impl std::any::Any + Send + Sync) -> Self {
        Self(Box::new(held))
    }
}

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "there is no collection {name:?} in {store}; hint: `askdocs collections list` names those there are, `askdocs ingest PATH --collection {name}` makes one"
    )]
    NoCollection { name: String, store: String },
    #[error("a collection can't be called {name:?}: use {rule}")]
    BadName { name: String, rule: &'static str },
    #[error(
        "collection {collection:?} holds {}, the configured model gives {}; hint: `askdocs ingest --force --collection {collection}` embeds it anew, or set embed.model = {:?}",
        mismatch.held, mismatch.offered, mismatch.held.model
    )]
    WrongModel { collection: String, mismatch: Box<FingerprintMismatch> },
    #[error("collection {collection:?} is being written by {holder}; hint: let it finish or stop it, then try again")]
    Busy { collection: String, holder: String },
    #[error("{path} was made by a newer askdocs (format {found}, this one knows up to {known}); hint: update askdocs")]
    TooNew { path: String, found: i64, known: i64 },
    #[error("{document} can't be kept in {store}: {reason}")]
    Unfit { document: String, store: String, reason: String },
    #[error(
        "collection {collection:?} was made by another program and is only read; hint: give `--collection` another name, or `askdocs collections drop {collection}` first"
    )]
    Foreign { collection: String },
    #[error(
        "{store} keeps passages by their vectors, and there is no embedding model to make them; hint: `askdocs doctor` says why there is none"
    )]
    NeedsVectors { store: String },
    #[error("{store} can't be reached: {reason}")]
    Unreachable { store: String, reason: String },
    #[error("could not {action} {place}: {reason}")]
    Failed { action: &'static str, place: String, reason: String },
}

/// Whether vectors of `offered` may be put beside, or compared with, what a collection holds.
fn check(collection: &str, held: &Fingerprint, offered: &Fingerprint) -> Result<(), StoreError> {
    held.check(offered).map_err(|mismatch| StoreError::WrongModel { collection: collection.to_owned(), mismatch })
}

/// Whether vectors fit their chunks and a collection of this fingerprint.
fn check_vectors(fingerprint: &Fingerprint, chunks: &[Chunk], vectors: &[Vector]) -> Result<(), String> {
    if vectors.len() != chunks.len() {
        return Err(format!("{} vectors for {} chunks", vectors.len(), chunks.len()));
    }
    for vector in vectors {
        if vector.len() != fingerprint.dim {
            let (got, held) = (vector.len(), fingerprint.dim);
            return Err(format!("a vector has {got} dimensions, the collection's have {held}"));
        }
        if !vector.iter().map(|value| value * value).sum::<f32>().is_finite() {
            return Err("a vector holds something that is no number, or is too long".to_owned());
        }
    }
    Ok(())
}
