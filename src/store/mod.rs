//! Keeping collections of chunks and searching them. Knows nothing of models, files to ingest, or fusion.

#[cfg(test)]
mod conformance;
mod milvus;
mod sqlite;

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::{
    Chunk, ChunkId, CollectionInfo, DocumentRecord, Fingerprint, FingerprintMismatch, Hit, SourceSpec, Vector,
};

#[cfg(unix)]
pub use self::milvus::{LiteError, LiteServer};
pub use self::sqlite::SqliteStore;

/// What an engine can do by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// [`VectorStore::replace_document`] changes a document as one step, even if the process dies halfway.
    pub atomic_replace: bool,
    /// The engine ranks keywords itself (BM25).
    pub keyword_search: bool,
}

/// A place where collections live. Every method may be called from any task; reads go on during a write.
///
/// Dropping a returned future does not undo what the engine has begun; a write either happens whole or not at all.
#[async_trait]
pub trait VectorStore: Send + Sync {
    fn capabilities(&self) -> Capabilities;

    /// For people: the engine and its place, for example `embedded` or a server's address, without secrets.
    fn describe(&self) -> String;

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

    /// Puts a document in place of what its name held before, as one step: chunks, keyword index and vectors.
    /// `vectors` has one entry for each chunk, or is `None` when no model is to be had. When it returns, the document
    /// survives a `kill -9`.
    async fn replace_document(
        &self,
        collection: &str,
        document: &DocumentRecord,
        chunks: &[Chunk],
        vectors: Option<&[Vector]>,
    ) -> Result<(), StoreError>;

    /// Notes a new size, time, place or source of a document whose content is unchanged.
    async fn touch_document(&self, collection: &str, document: &DocumentRecord) -> Result<(), StoreError>;

    /// Takes documents out by name, all in one step where the engine can. Unknown names are no error.
    async fn remove_documents(&self, collection: &str, names: &[String]) -> Result<(), StoreError>;

    /// The `limit` chunks nearest to `vector` by the collection's metric, nearest first, ties by id. Exact where the
    /// engine can. Empty for a collection without vectors.
    async fn search_dense(&self, collection: &str, vector: &Vector, limit: usize) -> Result<Vec<Hit>, StoreError>;

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
    #[error(
        "a collection can't be called {name:?}: use letters, digits, `_`, `-` and `.`, at most 64, a letter or digit first"
    )]
    BadName { name: String },
    #[error(
        "collection {collection:?} holds {}, the configured model gives {}; hint: `askdocs ingest --force --collection {collection}` embeds it anew, or set embed.model = {:?}",
        mismatch.held, mismatch.offered, mismatch.held.model
    )]
    WrongModel { collection: String, mismatch: Box<FingerprintMismatch> },
    #[error("collection {collection:?} is being written by {holder}; hint: let it finish or stop it, then try again")]
    Busy { collection: String, holder: String },
    #[error("{path} was made by a newer askdocs (format {found}, this one knows up to {known}); hint: update askdocs")]
    TooNew { path: String, found: i64, known: i64 },
    #[error("could not {action} {place}: {reason}")]
    Failed { action: &'static str, place: String, reason: String },
}
