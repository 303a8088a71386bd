//! Milvus in all its forms behind the same trait: Milvus Lite in a child process, a server, Zilliz Cloud.
//!
//! A collection `faq` of ours is two of Milvus': `faq` with one row for each chunk (plain columns, so that any other
//! client can read and search it), whose description holds the fingerprint, and `faq__askdocs` with one row for each
//! document and source. A document is put in place by writing its new chunks, then deleting the old ones, then writing
//! its record: whoever is cut off in between finds the old record and does it again, and nobody ever sees the document
//! missing. Ids come from the content, so that doing it again is harmless.
//!
//! A collection that another program made is searched and read, never written. Servers of the versions that this was
//! built against rank no keywords, so these are ranked by an index on this machine (see `keywords`).

mod calls;
mod connect;
mod diagnose;
mod foreign;
mod keywords;
#[cfg(unix)]
mod lite;
#[cfg(not(unix))]
#[path = "no_lite.rs"]
mod lite;
mod options;
mod schema;
mod write;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use milvus::v2::prelude::{ConsistencyLevel, GetServerVersionRequest};

#[cfg(unix)]
pub use self::lite::{LiteError, LiteServer};
pub use self::options::{LiteProgram, MilvusEndpoint, MilvusOptions};
use self::{
    calls::Calls,
    connect::Connection,
    foreign::Foreign,
    keywords::Keywords,
    schema::{Own, companion},
};
use super::{Capabilities, Health, KeywordIndex, StoreError, VectorStore, WriteGuard, check};
use crate::domain::{
    Chunk, ChunkId, CollectionInfo, DocumentRecord, Fingerprint, Hit, Indexed, Metric, SourceSpec, Vector,
};

/// Milvus refuses to return more rows at once.
const MOST_ROWS: usize = 16_384;
/// Collections that are looked at side by side where all are listed.
const AT_ONCE: usize = 8;

/// Collections in a Milvus. Connects when it is first asked for something.
pub struct MilvusStore {
    calls: Calls,
    keywords: Keywords,
    collections: Mutex<HashMap<String, Arc<Seen>>>,
}

/// What this process knows of a collection.
#[derive(Default)]
struct Seen {
    /// Documents that this process wrote: reading these back has to wait for our own writes, everything else was there
    /// before.
    written: Mutex<BTreeSet<String>>,
    /// What made the vectors that this process writes.
    made_by: Mutex<Option<Fingerprint>>,
    /// Keys of another program's rows that are no ids themselves.
    keys: Mutex<HashMap<ChunkId, foreign::Key>>,
}

impl Seen {
    fn note_written<'a>(&self, documents: impl Iterator<Item = &'a str>) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend(documents.map(str::to_owned));
    }

    fn has_written<'a>(&self, mut documents: impl Iterator<Item = &'a str>) -> bool {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        documents.any(|name| written.contains(name))
    }
}

/// What a name stands for.
enum Kind {
    Own(Own),
    /// Only the companion is there: nothing has been embedded yet.
    Bare,
    Foreign(Foreign),
}

impl MilvusStore {
    pub fn new(options: MilvusOptions) -> Result<Self, StoreError> {
        let keywords = Keywords::new(&options.local)?;
        Ok(Self { calls: Calls::new(Connection::new(options)), keywords, collections: Mutex::default() })
    }

    fn seen(&self, name: &str) -> Arc<Seen> {
        Arc::clone(self.collections.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default())
    }

    fn forget(&self, name: &str) {
        self.collections.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.calls.forget(name);
        self.calls.forget(&companion(name));
    }

    fn no_collection(&self, name: &str) -> StoreError {
        StoreError::NoCollection { name: name.to_owned(), store: self.describe() }
    }

    async fn kind(&self, name: &str) -> Result<Option<Kind>, StoreError> {
        schema::check_name(name)?;
        match self.calls.describe(name).await? {
            Some(described) => Ok(Some(match Own::of(&described)? {
                Some(own) => Kind::Own(own),
                None => Kind::Foreign(Foreign::of(&self.calls, name, &described).await?),
            })),
            None if self.calls.describe(&companion(name)).await?.is_some() => Ok(Some(Kind::Bare)),
            None => Ok(None),
        }
    }

    /// The kind of a collection that must be there.
    async fn known(&self, name: &str) -> Result<Kind, StoreError> {
        self.kind(name).await?.ok_or_else(|| self.no_collection(name))
    }

    /// As [`Self::known`], and refuses another program's.
    async fn writable(&self, name: &str) -> Result<Option<Own>, StoreError> {
        match self.known(name).await? {
            Kind::Own(own) => Ok(Some(own)),
            Kind::Bare => Ok(None),
            Kind::Foreign(_) => Err(StoreError::Foreign { collection: name.to_owned() }),
        }
    }

    async fn info(&self, name: &str, kind: Kind) -> Result<CollectionInfo, StoreError> {
        let empty = CollectionInfo::empty(name);
        match kind {
            Kind::Foreign(foreign) => Ok(CollectionInfo {
                passages: self.calls.rows_of_foreign(name).await?,
                dim: foreign.vector.as_ref().map(|vector| vector.dim),
                metric: foreign.vector.as_ref().map_or(Metric::Ip, |vector| vector.metric),
                index: foreign.vector.map(|vector| vector.index).unwrap_or_default(),
                foreign: true,
                ..empty
            }),
            Kind::Bare => Ok(CollectionInfo { sources: self.sources(name, ConsistencyLevel::Strong).await?, ..empty }),
            Kind::Own(own) => {
                let (strong, beside) = (ConsistencyLevel::Strong, companion(name));
                let (passages, documents, sources, index) = tokio::try_join!(
                    self.calls.count(name, "", strong),
                    self.calls.count(&beside, schema::IS_DOCUMENT, strong),
                    self.sources(name, strong),
                    self.calls.index(name, schema::VECTOR),
                )?;
                Ok(CollectionInfo {
                    documents,
                    passages,
                    dim: Some(own.fingerprint.dim),
                    metric: own.fingerprint.metric,
                    index: index.map(|(index, _)| index).unwrap_or_default(),
                    fingerprint: Some(own.fingerprint),
                    sources,
                    ..empty
                })
            }
        }
    }

    async fn sources(&self, name: &str, consistency: ConsistencyLevel) -> Result<Vec<SourceSpec>, StoreError> {
        let records = self.calls.records(&companion(name), schema::IS_SOURCE, consistency).await?;
        let mut sources: Vec<(u64, SourceSpec)> =
            records.iter().map(|(_, json)| schema::parse("a source", json)).collect::<Result<_, _>>()?;
        sources.sort_by_key(|(position, _)| *position);
        Ok(sources.into_iter().map(|(_, source)| source).collect())
    }

    /// Makes a collection as Milvus' tutorial does: dropped if it is there, `id` and `vector` declared, everything else
    /// (here `text`) in the dynamic field, inner product, strong consistency.
    pub async fn tutorial_collection(
        &self,
        name: &str,
        dim: usize,
        rows: Vec<(i64, Vector, String)>,
    ) -> Result<(), StoreError> {
        schema::check_name(name)?;
        self.drop_collection(name).await?;
        self.calls.create(schema::tutorial(name, dim)?).await?;
        self.calls.insert_rows(name, rows).await
    }
}

#[async_trait]
impl VectorStore for MilvusStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities { atomic_replace: false, keywords: KeywordIndex::Local, needs_vectors: true }
    }

    fn describe(&self) -> String {
        self.calls.place()
    }

    async fn check(&self) -> Result<Health, StoreError> {
        self.calls.names().await?;
        let start = Instant::now();
        self.calls.names().await?;
        let latency = start.elapsed();
        // Milvus Lite does not answer this.
        let request = GetServerVersionRequest::builder().build();
        let version = match (self.calls.is_lite(), request) {
            (false, Ok(request)) => {
                let asked = self
                    .calls
                    .run("ask the version of", "", |client| async move { client.server_version(request).await });
                format!("Milvus {}", asked.await?.version().trim_start_matches('v'))
            }
            (_, _) => format!("Milvus Lite {}", connect::LITE_VERSION),
        };
        Ok(Health { version, latency })
    }

    async fn collections(&self) -> Result<Vec<CollectionInfo>, StoreError> {
        let looked_at: Vec<_> = stream::iter(self.listed().await?)
            .map(|name| async move { (self.collection(&name).await, name) })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let mut infos = Vec::new();
        for (info, name) in looked_at {
            match info {
                Ok(info) => infos.extend(info),
                Err(error) => tracing::warn!(%error, name, "a collection is left out"),
            }
        }
        Ok(infos)
    }

    async fn unreadable(&self) -> Result<Vec<(String, StoreError)>, StoreError> {
        let looked_at = stream::iter(self.listed().await?).map(|name| async move {
            let error = match self.kind(&name).await {
                Ok(_) => self.calls.count(&name, "", ConsistencyLevel::Eventually).await.err(),
                Err(error) => Some(error),
            };
            error.map(|error| (name, error))
        });
        Ok(looked_at.buffered(AT_ONCE).filter_map(|found| async { found }).collect().await)
    }

    async fn collection(&self, name: &str) -> Result<Option<CollectionInfo>, StoreError> {
        match self.kind(name).await? {
            Some(kind) => Ok(Some(self.info(name, kind).await?)),
            None => Ok(None),
        }
    }

    async fn ensure_collection(&self, name: &str, fingerprint: Option<&Fingerprint>) -> Result<(), StoreError> {
        let kind = self.kind(name).await?;
        match (&kind, fingerprint) {
            (Some(Kind::Foreign(_)), _) => return Err(StoreError::Foreign { collection: name.to_owned() }),
            (Some(Kind::Own(own)), Some(offered)) => check(name, &own.fingerprint, offered)?,
            (Some(Kind::Own(_) | Kind::Bare) | None, _) => {}
        }
        // The companion first: a collection of ours without one would lose its documents' records.
        let beside = companion(name);
        if self.calls.describe(&beside).await?.is_none() {
            self.calls.create(schema::companion_schema(&beside)?).await?;
        }
        let Some(fingerprint) = fingerprint else { return Ok(()) };
        if let Some(Kind::Bare) | None = kind {
            self.forget_documents(name).await?;
            self.calls.create(schema::own(name, fingerprint)?).await?;
            // Another machine may have been quicker, with another model.
            if let Some(Kind::Own(own)) = self.kind(name).await? {
                check(name, &own.fingerprint, fingerprint)?;
            }
        }
        *self.seen(name).made_by.lock().unwrap_or_else(PoisonError::into_inner) = Some(fingerprint.clone());
        Ok(())
    }

    async fn clear_collection(&self, name: &str) -> Result<(), StoreError> {
        let own = self.writable(name).await?;
        // The records first: cut off in between, the collection is another model's still, and is cleared again.
        self.forget_documents(name).await?;
        if own.is_some() {
            self.calls.drop(name).await?;
        }
        self.forget(name);
        self.keywords.drop(name).await
    }

    async fn drop_collection(&self, name: &str) -> Result<bool, StoreError> {
        schema::check_name(name)?;
        let there = self.calls.names().await?;
        let beside = companion(name);
        let mut dropped = false;
        for name in [name, &beside] {
            if there.iter().any(|there| there == name) {
                self.calls.drop(name).await?;
                dropped = true;
            }
        }
        self.forget(name);
        self.keywords.drop(name).await?;
        Ok(dropped)
    }

    async fn remember_source(&self, collection: &str, source: &SourceSpec) -> Result<(), StoreError> {
        self.writable(collection).await?;
        self.write_source(collection, source).await
    }

    /// Other machines are not kept out: they write other documents (`--shard`), or the same ones to the same effect.
    async fn lock_for_writing(&self, collection: &str, patience: Duration) -> Result<WriteGuard, StoreError> {
        schema::check_name(collection)?;
        self.keywords.lock(collection, patience).await
    }

    async fn documents(&self, collection: &str) -> Result<Vec<DocumentRecord>, StoreError> {
        match self.known(collection).await? {
            Kind::Own(_) => {}
            // Without its chunks a record is of no worth: another program, or a drop that was cut off, took these away.
            Kind::Bare | Kind::Foreign(_) => return Ok(Vec::new()),
        }
        let mut records = self.records(collection, schema::IS_DOCUMENT, ConsistencyLevel::Strong).await?;
        records.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(records)
    }

    fn check_fit(&self, document: &Indexed) -> Result<(), StoreError> {
        schema::check_fit(document, &self.describe())
    }

    async fn replace_documents(&self, collection: &str, documents: Vec<Indexed>) -> Result<(), StoreError> {
        self.write_documents(collection, documents).await
    }

    async fn read_documents(&self, collection: &str, names: &[String]) -> Result<Vec<Indexed>, StoreError> {
        match self.known(collection).await? {
            Kind::Own(_) => self.whole_documents(collection, names, true).await,
            Kind::Bare => Ok(Vec::new()),
            Kind::Foreign(_) => Err(StoreError::Foreign { collection: collection.to_owned() }),
        }
    }

    async fn browse(&self, collection: &str, offset: u64, limit: usize) -> Result<Vec<Chunk>, StoreError> {
        match self.known(collection).await? {
            Kind::Bare => Ok(Vec::new()),
            Kind::Foreign(foreign) => foreign.browse(&self.calls, offset, limit).await,
            Kind::Own(_) => {
                // Milvus knows no order but that of the ids, which are hashes, and ends after 16,384 rows.
                self.bring_keywords_up_to_date(collection).await?;
                let ids: Vec<ChunkId> =
                    self.keywords.browse(collection, offset, limit).await?.iter().map(|chunk| chunk.id).collect();
                self.get(collection, &ids).await
            }
        }
    }

    async fn touch_document(&self, collection: &str, document: &DocumentRecord) -> Result<(), StoreError> {
        self.writable(collection).await?;
        self.touch(collection, document).await
    }

    async fn remove_documents(&self, collection: &str, names: &[String]) -> Result<(), StoreError> {
        let own = self.writable(collection).await?;
        self.remove(collection, own.is_some(), names).await
    }

    async fn search_dense(
        &self,
        collection: &str,
        made_by: Option<&Fingerprint>,
        vector: &Vector,
        limit: usize,
    ) -> Result<Vec<Hit>, StoreError> {
        let limit = limit.min(MOST_ROWS);
        let consistency = self.calls.consistency(collection);
        // Side by side, so that looking whose vectors these are costs no time of its own.
        let (kind, found) = tokio::join!(self.known(collection), async {
            match limit {
                0 => Ok(None),
                _ => self.calls.search(collection, schema::VECTOR, vector, limit, consistency).await.map(Some),
            }
        });
        let kind = kind?;
        match (&kind, made_by) {
            (Kind::Own(own), Some(made_by)) => check(collection, &own.fingerprint, made_by)?,
            (Kind::Own(_) | Kind::Bare | Kind::Foreign(_), _) => {}
        }
        let (found, metric) = match kind {
            Kind::Bare => return Ok(Vec::new()),
            Kind::Own(own) => (found?, own.fingerprint.metric),
            Kind::Foreign(foreign) => {
                let Some(field) = &foreign.vector else { return Ok(Vec::new()) };
                let metric = field.metric;
                let found = match (found, field.name.as_str()) {
                    (found, schema::VECTOR) => found?,
                    (_, _) if limit == 0 => None,
                    (_, name) => Some(self.calls.search(collection, name, vector, limit, consistency).await?),
                };
                (found, metric)
            }
        };
        let Some((ids, scores)) = found else { return Ok(Vec::new()) };
        let keys = foreign::keys(ids);
        let ids: Vec<ChunkId> = keys.iter().map(foreign::Key::id).collect();
        {
            let seen = self.seen(collection);
            let mut known = seen.keys.lock().unwrap_or_else(PoisonError::into_inner);
            known.extend(ids.iter().copied().zip(keys).filter(|(id, key)| !key.is_id(*id)));
        }
        // Milvus leaves out the root of the L2 distance.
        let length = |score: f32| if metric == Metric::L2 { score.max(0.0).sqrt() } else { score };
        let mut hits: Vec<Hit> =
            ids.into_iter().zip(scores).map(|(id, score)| Hit { id, score: length(score) }).collect();
        hits.sort_by(|a, b| metric.nearer_first(a.score, b.score).then(a.id.cmp(&b.id)));
        Ok(hits)
    }

    async fn search_keyword(&self, collection: &str, query: &str, limit: usize) -> Result<Vec<Hit>, StoreError> {
        self.bring_keywords_up_to_date(collection).await?;
        self.keywords.search(collection, query, limit).await
    }

    async fn get(&self, collection: &str, ids: &[ChunkId]) -> Result<Vec<Chunk>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let consistency = self.calls.consistency(collection);
        let own = self.calls.chunks_by_id(collection, ids, consistency);
        let (kind, chunks) = tokio::join!(self.known(collection), own);
        let mut by_id: HashMap<ChunkId, Chunk> = match kind? {
            Kind::Bare => return Ok(Vec::new()),
            Kind::Own(_) => chunks?.into_iter().map(|chunk| (chunk.id, chunk)).collect(),
            Kind::Foreign(foreign) => {
                let known = {
                    let seen = self.seen(collection);
                    let keys = seen.keys.lock().unwrap_or_else(PoisonError::into_inner);
                    ids.iter().filter_map(|id| keys.get(id).cloned().or_else(|| foreign.key_of(*id))).collect()
                };
                let mut found = foreign.get(&self.calls, known).await?;
                // A key that was found by its words is known by its hash only; the index beside has the row.
                let missing: Vec<ChunkId> = ids.iter().copied().filter(|id| !found.contains_key(id)).collect();
                found.extend(self.keywords.get(collection, &missing).await?.into_iter().map(|chunk| (chunk.id, chunk)));
                found
            }
        };
        Ok(ids.iter().filter_map(|id| by_id.remove(id)).collect())
    }

    async fn neighbours(
        &self,
        collection: &str,
        id: ChunkId,
        before: u32,
        after: u32,
    ) -> Result<Vec<Chunk>, StoreError> {
        let middle = self.get(collection, &[id]).await?;
        let Some(middle) = middle.first() else { return Ok(Vec::new()) };
        if let Kind::Foreign(_) = self.known(collection).await? {
            return Ok(vec![middle.clone()]);
        }
        let (first, last) = (middle.ordinal.saturating_sub(before), middle.ordinal.saturating_add(after));
        let document = calls::quoted(&middle.document);
        let filter = format!("document == {document} and position >= {first} and position <= {last}");
        let mut chunks = self.calls.chunks(collection, &filter, self.calls.consistency(collection)).await?;
        chunks.sort_by_key(|chunk| chunk.ordinal);
        Ok(chunks)
    }
}

impl MilvusStore {
    /// Takes the records of all documents out of the companion.
    async fn forget_documents(&self, name: &str) -> Result<(), StoreError> {
        let records = self.calls.records(&companion(name), schema::IS_DOCUMENT, ConsistencyLevel::Strong).await?;
        let ids: Vec<i64> = records.into_iter().map(|(id, _)| id).collect();
        self.calls.delete(&companion(name), &ids).await
    }

    /// Every name that a person would call a collection: companions only where what they belong to is missing.
    async fn listed(&self) -> Result<Vec<String>, StoreError> {
        let names: BTreeSet<String> = self.calls.names().await?.into_iter().collect();
        let mut listed: BTreeSet<String> =
            names.iter().map(|name| name.strip_suffix(schema::COMPANION_SUFFIX).unwrap_or(name).to_owned()).collect();
        listed.retain(|name| !name.is_empty());
        Ok(listed.into_iter().collect())
    }

    async fn records(
        &self,
        collection: &str,
        filter: &str,
        consistency: ConsistencyLevel,
    ) -> Result<Vec<DocumentRecord>, StoreError> {
        let records = self.calls.records(&companion(collection), filter, consistency).await?;
        records.iter().map(|(_, json)| schema::document_record(json)).collect()
    }

    /// Whole documents, in the order of their names; without vectors these are `None`.
    async fn whole_documents(
        &self,
        collection: &str,
        names: &[String],
        with_vectors: bool,
    ) -> Result<Vec<Indexed>, StoreError> {
        let mut whole = Vec::with_capacity(names.len());
        for names in names.chunks(write::DOCUMENTS_AT_ONCE) {
            let consistency = self.calls.consistency(collection);
            let ids: Vec<i64> = names.iter().map(|name| schema::record_id("document", name)).collect();
            let filter = calls::in_list("id", &ids);
            let records = self.records(collection, &filter, self.calls.consistency(&companion(collection))).await?;
            let found: Vec<&str> = records.iter().map(|record| record.name.as_str()).collect();
            let mut rows = self.calls.rows_of(collection, &found, with_vectors, consistency).await?;
            whole.extend(records.into_iter().map(|record| rows.whole(record, with_vectors)));
        }
        Ok(whole)
    }
}
