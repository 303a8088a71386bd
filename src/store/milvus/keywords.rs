//! The keyword index of a Milvus that ranks no keywords: an embedded collection without vectors on this machine, written
//! by the same ingest, so that the same words give the same ranks whatever the engine.
//!
//! Milvus holds the truth. Before it is searched the index is compared with it: records written since the last look are
//! fetched, and where the numbers of documents still differ, all records are. What is beside it on disk says how far that
//! has come. Everything here may be deleted at any time.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use milvus::v2::prelude::{CollectionDesc, ConsistencyLevel};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{
    Kind, MilvusStore,
    schema::{self, companion},
    write,
};
use crate::{
    domain::{Chunk, ChunkId, DocumentRecord, Hit, Indexed},
    store::{SqliteStore, StoreError, VectorStore, WriteGuard},
};

/// How long an index counts as up to date within one process.
const GOOD_FOR: Duration = Duration::from_secs(2);
/// How far the clocks of machines that write one collection may differ, in milliseconds.
const CLOCK_SKEW: i64 = 600_000;
/// Another program's collection with more rows than this is not indexed here.
const MOST_FOREIGN_ROWS: u64 = 200_000;

pub struct Keywords {
    folder: PathBuf,
    store: SqliteStore,
    looked_at: Mutex<HashMap<String, Instant>>,
}

/// How far an index has come.
#[derive(Default, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// Which collection: another one under the same name starts anew.
    collection: String,
    /// Records written up to then are in, by the clocks of those who wrote.
    written: i64,
}

/// What the index of a collection is called: its name, where the embedded engine knows such names.
fn key(name: &str) -> String {
    if name.len() <= 60 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return name.to_owned();
    }
    let digest = Sha256::digest(name);
    digest.iter().take(16).fold("long.".to_owned(), |key, byte| format!("{key}{byte:02x}"))
}

/// Tells a collection from another that has its name later: Milvus' number of it, and for ours the one that it got from us,
/// since Milvus Lite gives none.
fn identity(described: &CollectionDesc) -> String {
    format!("{} {}", described.get_collection_id(), described.get_description())
}

fn local(record: &DocumentRecord) -> DocumentRecord {
    DocumentRecord { embedded: false, ..record.clone() }
}

fn without_vectors(documents: &[Indexed]) -> Vec<Indexed> {
    let bare = |document: &Indexed| Indexed {
        record: local(&document.record),
        chunks: document.chunks.clone(),
        vectors: None,
    };
    documents.iter().map(bare).collect()
}

impl Keywords {
    pub fn new(folder: &Path) -> Result<Self, StoreError> {
        Ok(Self { folder: folder.to_owned(), store: SqliteStore::open(folder)?, looked_at: Mutex::default() })
    }

    pub async fn lock(&self, name: &str, patience: Duration) -> Result<WriteGuard, StoreError> {
        self.store.lock_for_writing(&key(name), patience).await
    }

    pub async fn replace(&self, name: &str, documents: &[Indexed]) -> Result<(), StoreError> {
        self.store.ensure_collection(&key(name), None).await?;
        self.store.replace_documents(&key(name), without_vectors(documents)).await
    }

    pub async fn touch(&self, name: &str, document: &DocumentRecord) -> Result<(), StoreError> {
        match self.store.touch_document(&key(name), &local(document)).await {
            Err(StoreError::NoCollection { .. }) => Ok(()),
            done => done,
        }
    }

    pub async fn remove(&self, name: &str, names: &[String]) -> Result<(), StoreError> {
        match self.store.remove_documents(&key(name), names).await {
            Err(StoreError::NoCollection { .. }) => Ok(()),
            done => done,
        }
    }

    pub async fn drop(&self, name: &str) -> Result<(), StoreError> {
        self.store.drop_collection(&key(name)).await?;
        self.looked_at.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        match fs::remove_file(self.mark_file(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed(name, &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    pub async fn search(&self, name: &str, query: &str, limit: usize) -> Result<Vec<Hit>, StoreError> {
        match self.store.search_keyword(&key(name), query, limit).await {
            Err(StoreError::NoCollection { .. }) => Ok(Vec::new()),
            found => found,
        }
    }

    pub async fn browse(&self, name: &str, offset: u64, limit: usize) -> Result<Vec<Chunk>, StoreError> {
        match self.store.browse(&key(name), offset, limit).await {
            Err(StoreError::NoCollection { .. }) => Ok(Vec::new()),
            found => found,
        }
    }

    pub async fn get(&self, name: &str, ids: &[ChunkId]) -> Result<Vec<Chunk>, StoreError> {
        match self.store.get(&key(name), ids).await {
            Err(StoreError::NoCollection { .. }) => Ok(Vec::new()),
            found => found,
        }
    }

    fn mark_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{}.mark", key(name)))
    }

    fn mark(&self, name: &str) -> Option<Mark> {
        serde_json::from_slice(&fs::read(self.mark_file(name)).ok()?).ok()
    }

    fn set_mark(&self, name: &str, mark: &Mark) -> Result<(), StoreError> {
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            serde_json::to_writer(&mut file, mark)?;
            file.persist(self.mark_file(name))?;
            Ok(())
        };
        write().map_err(|error| self.failed(name, &error))
    }

    fn failed(&self, name: &str, error: &io::Error) -> StoreError {
        let place = self.mark_file(name).display().to_string();
        StoreError::Failed { action: "note the state of the keyword index in", place, reason: error.to_string() }
    }

    fn is_recent(&self, name: &str) -> bool {
        let looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        looked_at.get(name).is_some_and(|at| at.elapsed() < GOOD_FOR)
    }

    fn was_looked_at(&self, name: &str) -> bool {
        self.looked_at.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }

    fn note_look(&self, name: &str) {
        self.looked_at.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Instant::now());
    }
}

impl MilvusStore {
    /// Brings the index of a collection up to date with what Milvus holds.
    pub(super) async fn bring_keywords_up_to_date(&self, name: &str) -> Result<(), StoreError> {
        if self.keywords.is_recent(name) {
            return Ok(());
        }
        let kind = self.known(name).await?;
        let _writing = match self.keywords.lock(name, Duration::ZERO).await {
            Ok(writing) => writing,
            // Whoever writes the collection on this machine writes the index as well.
            Err(StoreError::Busy { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        match kind {
            Kind::Bare => {}
            Kind::Own(_) => self.fetch_changes(name).await?,
            Kind::Foreign(foreign) => {
                let rows = self.calls.count(name, "", ConsistencyLevel::Strong).await?;
                let held = self.keywords.store.collection(&key(name)).await?.map_or(0, |info| info.passages);
                let collection = self.calls.describe(name).await?.map(|described| identity(&described));
                let mark = Mark { collection: collection.unwrap_or_default(), written: 0 };
                // Milvus Lite numbers no collection, so there it is indexed anew once in each process.
                let same = !self.calls.is_lite() && self.keywords.mark(name).is_some_and(|known| known == mark);
                let first = !self.keywords.was_looked_at(name);
                if rows <= MOST_FOREIGN_ROWS && (rows != held || (first && !same)) {
                    self.keywords.drop(name).await?;
                    for document in foreign.everything(&self.calls).await? {
                        self.keywords.replace(name, &[document]).await?;
                    }
                    self.keywords.set_mark(name, &mark)?;
                }
            }
        }
        self.keywords.note_look(name);
        Ok(())
    }

    async fn fetch_changes(&self, name: &str) -> Result<(), StoreError> {
        let beside = companion(name);
        let Some(described) = self.calls.describe(&beside).await? else { return Ok(()) };
        let collection = identity(&described);
        let mut mark = self.keywords.mark(name).unwrap_or_default();
        if mark.collection != collection {
            if mark != Mark::default() {
                self.keywords.drop(name).await?;
            }
            mark = Mark { collection: collection.clone(), written: 0 };
        }
        let index = &self.keywords.store;
        index.ensure_collection(&key(name), None).await?;
        let mut held: HashMap<String, DocumentRecord> =
            index.documents(&key(name)).await?.into_iter().map(|record| (record.name.clone(), record)).collect();
        let begun = write::now();
        let consistency = self.calls.consistency(&beside);
        let since = format!("{} and written > {}", schema::IS_DOCUMENT, mark.written - CLOCK_SKEW);
        let count = self.calls.count(&beside, schema::IS_DOCUMENT, consistency);
        let changed = self.records(name, &since, consistency);
        let (count, changed) = tokio::try_join!(count, changed)?;
        self.fetch(name, &mut held, changed).await?;
        if count != held.len() as u64 {
            let all = self.records(name, schema::IS_DOCUMENT, consistency).await?;
            let there: std::collections::HashSet<&str> = all.iter().map(|record| record.name.as_str()).collect();
            let gone: Vec<String> = held.keys().filter(|name| !there.contains(name.as_str())).cloned().collect();
            index.remove_documents(&key(name), &gone).await?;
            self.fetch(name, &mut held, all).await?;
        }
        self.keywords.set_mark(name, &Mark { collection, written: begun })
    }

    /// Fetches those documents whose records differ from what the index holds.
    async fn fetch(
        &self,
        name: &str,
        held: &mut HashMap<String, DocumentRecord>,
        records: Vec<DocumentRecord>,
    ) -> Result<(), StoreError> {
        let stale = records.into_iter().filter(|record| held.get(&record.name) != Some(&local(record)));
        let stale: Vec<String> = stale.map(|record| record.name).collect();
        for names in stale.chunks(write::DOCUMENTS_AT_ONCE) {
            let documents = self.whole_documents(name, names, false).await?;
            held.extend(documents.iter().map(|document| (document.record.name.clone(), local(&document.record))));
            self.keywords.store.replace_documents(&key(name), without_vectors(&documents)).await?;
        }
        Ok(())
    }
}
