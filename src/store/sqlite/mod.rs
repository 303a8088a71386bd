//! The embedded engine: one SQLite file for each collection, searched in this process. Needs no server and no set-up.
//!
//! A collection `faq` is `faq.db` (the only truth, with its log beside it while in use), `faq.vec` (quantised vectors of
//! a large collection; may vanish at any time) and `faq.lock` (the write lock). Any number of processes may read while
//! one writes: a reader sees the state before or after a write, whole. Knows nothing of models: vectors come from
//! outside, and the fingerprint it keeps is for others to compare.

mod collection;
mod dense;
mod fault;
mod keyword;
mod lock;
mod quantised;
mod rows;
mod schema;
mod side_file;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::task::spawn_blocking;

use self::{
    collection::{Collection, Tuning},
    fault::Fault,
};
use super::{Capabilities, Health, KeywordIndex, StoreError, VectorStore, WriteGuard, check};
use crate::domain::{Chunk, ChunkId, CollectionInfo, DocumentRecord, Fingerprint, Hit, Indexed, SourceSpec, Vector};

/// How long a single write waits for the write lock.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// Collections as files in one folder.
///
/// A store holds a collection's write lock as one: while a [`WriteGuard`] of [`VectorStore::lock_for_writing`] lives,
/// every write through the same store belongs to that series, whichever task makes it, and waits for no lock.
pub struct SqliteStore {
    folder: PathBuf,
    /// Every collection that was asked for by name, with its connections.
    collections: Mutex<HashMap<String, Arc<Collection>>>,
    tuning: Tuning,
}

impl SqliteStore {
    /// A store in `folder`, which is made when the first collection is. Opens no file yet.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when there is something else than a folder in that place.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let open = || -> Result<PathBuf, Fault> {
            let folder = std::path::absolute(folder)?;
            if folder.exists() && !folder.is_dir() {
                return Err(Fault::Bad("it is not a folder".to_owned()));
            }
            Ok(folder)
        };
        let folder = open().map_err(|fault| fault.during("open the store", folder))?;
        Ok(Self { folder, collections: Mutex::new(HashMap::new()), tuning: Tuning::default() })
    }

    fn known(&self, name: &str) -> Result<Arc<Collection>, StoreError> {
        collection::check_name(name)?;
        let mut collections = self.collections.lock().unwrap_or_else(PoisonError::into_inner);
        let collection = collections
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(Collection::new(&self.folder, name, self.tuning)));
        Ok(collection.clone())
    }

    fn no_collection(&self, name: &str) -> StoreError {
        StoreError::NoCollection { name: name.to_owned(), store: format!("the folder {}", self.folder.display()) }
    }

    /// Every collection that has a file.
    async fn names(&self) -> Result<Vec<String>, StoreError> {
        let folder = self.folder.clone();
        blocking("list the collections in", &self.folder, move || Ok(collection::names(&folder)?)).await
    }

    /// Reads one state of a collection; `None` where there is no such collection.
    async fn read_if_there<T: Send + 'static>(
        &self,
        name: &str,
        action: &'static str,
        work: impl FnOnce(&Collection, &Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<Option<T>, StoreError> {
        let collection = self.known(name)?;
        let file = collection.file.clone();
        blocking(action, &file, move || collection.read(|conn| work(&collection, conn))).await
    }

    async fn read<T: Send + 'static>(
        &self,
        name: &str,
        action: &'static str,
        work: impl FnOnce(&Collection, &Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read_if_there(name, action, work).await?.ok_or_else(|| self.no_collection(name))
    }

    /// Writes as one step under the write lock. The lock goes along to the thread that writes: it is kept to the end
    /// also when nobody waits for the result any more.
    async fn write<T: Send + 'static>(
        &self,
        name: &str,
        action: &'static str,
        make: bool,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let collection = self.known(name)?;
        let file = collection.file.clone();
        if !make && !collection.exists().map_err(|error| Fault::from(error).during(action, &file))? {
            return Err(self.no_collection(name));
        }
        let held = collection.lock.join(WRITE_PATIENCE).await?;
        let write = move || {
            let result = collection.write(make, work);
            drop(held);
            result
        };
        blocking(action, &file, write).await?.ok_or_else(|| self.no_collection(name))
    }
}

/// Runs `work` where it may wait for the disk.
async fn blocking<T: Send + 'static>(
    action: &'static str,
    place: &Path,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, StoreError> {
    let result = spawn_blocking(work).await.unwrap_or_else(|error| Err(Fault::Bad(error.to_string())));
    result.map_err(|fault| fault.during(action, place))
}

#[async_trait]
impl VectorStore for SqliteStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities { atomic_replace: true, keywords: KeywordIndex::Engine, needs_vectors: false }
    }

    fn describe(&self) -> String {
        "embedded".to_owned()
    }

    async fn check(&self) -> Result<Health, StoreError> {
        let start = Instant::now();
        self.names().await?;
        Ok(Health { version: format!("SQLite {}", rusqlite::version()), latency: start.elapsed() })
    }

    async fn collections(&self) -> Result<Vec<CollectionInfo>, StoreError> {
        let mut infos = Vec::new();
        for name in self.names().await? {
            match self.collection(&name).await {
                Ok(info) => infos.extend(info),
                // One bad file must not hide the others; asked for by name it says what is wrong.
                Err(error) => tracing::warn!(%error, "a collection is left out"),
            }
        }
        Ok(infos)
    }

    async fn unreadable(&self) -> Result<Vec<(String, StoreError)>, StoreError> {
        let mut unreadable = Vec::new();
        for name in self.names().await? {
            if let Err(error) = self.collection(&name).await {
                unreadable.push((name, error));
            }
        }
        Ok(unreadable)
    }

    async fn collection(&self, name: &str) -> Result<Option<CollectionInfo>, StoreError> {
        self.read_if_there(name, "read", Collection::info).await
    }

    async fn ensure_collection(&self, name: &str, fingerprint: Option<&Fingerprint>) -> Result<(), StoreError> {
        // Nothing to write is the common case, and must work where nothing can be written.
        let held = self.read_if_there(name, "read", |_, conn| rows::fingerprint(conn)).await?;
        match (held, fingerprint) {
            (Some(_), None) => return Ok(()),
            (Some(Some(held)), Some(offered)) => return check(name, &held, offered),
            (Some(None), Some(_)) | (None, _) => {}
        }
        let (offered, collection) = (fingerprint.cloned(), name.to_owned());
        let work = move |conn: &Connection| match (rows::fingerprint(conn)?, offered) {
            (Some(held), Some(offered)) => check(&collection, &held, &offered).map_err(Fault::Store),
            (None, Some(offered)) => rows::set_fingerprint(conn, &offered),
            (_, None) => Ok(()),
        };
        self.write(name, "make", true, work).await
    }

    async fn clear_collection(&self, name: &str) -> Result<(), StoreError> {
        self.write(name, "clear", false, rows::clear).await
    }

    async fn drop_collection(&self, name: &str) -> Result<bool, StoreError> {
        let collection = self.known(name)?;
        let file = collection.file.clone();
        if !collection.exists().map_err(|error| Fault::from(error).during("drop", &file))? {
            return Ok(false);
        }
        let in_series = collection.lock.series().is_some();
        let held = collection.lock.join(WRITE_PATIENCE).await?;
        let work = move || {
            let result = collection.drop_files(!in_series);
            drop(held);
            result
        };
        blocking("drop", &file, work).await
    }

    async fn remember_source(&self, collection: &str, source: &SourceSpec) -> Result<(), StoreError> {
        let source = source.clone();
        self.write(collection, "note a source in", false, move |conn| rows::remember_source(conn, &source)).await
    }

    async fn lock_for_writing(&self, collection: &str, patience: Duration) -> Result<WriteGuard, StoreError> {
        Ok(WriteGuard::new(self.known(collection)?.lock.hold(patience).await?))
    }

    async fn documents(&self, collection: &str) -> Result<Vec<DocumentRecord>, StoreError> {
        self.read(collection, "read", |_, conn| rows::documents(conn)).await
    }

    async fn replace_documents(&self, collection: &str, documents: Vec<Indexed>) -> Result<(), StoreError> {
        let work =
            move |conn: &Connection| documents.iter().try_for_each(|document| rows::replace_document(conn, document));
        self.write(collection, "store documents in", false, work).await
    }

    async fn read_documents(&self, collection: &str, names: &[String]) -> Result<Vec<Indexed>, StoreError> {
        let names = names.to_vec();
        self.read(collection, "read", move |_, conn| rows::read_documents(conn, &names)).await
    }

    async fn browse(&self, collection: &str, offset: u64, limit: usize) -> Result<Vec<Chunk>, StoreError> {
        self.read(collection, "read", move |_, conn| rows::browse(conn, offset, limit)).await
    }

    async fn touch_document(&self, collection: &str, document: &DocumentRecord) -> Result<(), StoreError> {
        let document = document.clone();
        self.write(collection, "note a document in", false, move |conn| rows::touch_document(conn, &document)).await
    }

    async fn remove_documents(&self, collection: &str, names: &[String]) -> Result<(), StoreError> {
        let names = names.to_vec();
        self.write(collection, "remove documents from", false, move |conn| rows::remove_documents(conn, &names)).await
    }

    async fn search_dense(
        &self,
        collection: &str,
        made_by: Option<&Fingerprint>,
        vector: &Vector,
        limit: usize,
    ) -> Result<Vec<Hit>, StoreError> {
        let (vector, made_by) = (vector.clone(), made_by.cloned());
        let work = move |collection: &Collection, conn: &Connection| {
            if let (Some(held), Some(made_by)) = (rows::fingerprint(conn)?, made_by) {
                check(&collection.name, &held, &made_by).map_err(Fault::Store)?;
            }
            collection.search_dense(conn, &vector, limit)
        };
        self.read(collection, "search", work).await
    }

    async fn search_keyword(&self, collection: &str, query: &str, limit: usize) -> Result<Vec<Hit>, StoreError> {
        let query = query.to_owned();
        self.read(collection, "search", move |collection, conn| collection.search_keyword(conn, &query, limit)).await
    }

    async fn get(&self, collection: &str, ids: &[ChunkId]) -> Result<Vec<Chunk>, StoreError> {
        let ids = ids.to_vec();
        self.read(collection, "read", move |_, conn| rows::chunks(conn, &ids)).await
    }

    async fn neighbours(
        &self,
        collection: &str,
        id: ChunkId,
        before: u32,
        after: u32,
    ) -> Result<Vec<Chunk>, StoreError> {
        self.read(collection, "read", move |_, conn| rows::neighbours(conn, id, before, after)).await
    }
}
