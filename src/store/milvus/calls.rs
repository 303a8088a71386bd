//! The calls to Milvus that the store is made of, each with what Milvus and its client need to be told.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use milvus::v2::prelude::{
    ClientV2, CollectionDesc, ConsistencyLevel, CreateCollectionRequest, CreateIndexRequest, DeleteRequest,
    DescribeCollectionRequest, DescribeIndexRequest, DropCollectionRequest, Error, FieldData,
    GetCollectionStatsRequest, GetLoadStateRequest, Ids, IndexType, InsertRequest, ListCollectionsRequest,
    LoadCollectionRequest, LoadState, MetricType, QueryRequest, SearchRequest, SearchVectors, UpsertRequest,
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{MOST_ROWS, connect::Connection, schema};
use crate::{
    domain::{Chunk, ChunkId, DocumentRecord, Indexed, Metric, Vector},
    store::StoreError,
};

/// How often to look whether a collection has been loaded.
const LOAD_POLL: Duration = Duration::from_millis(20);
/// How long the first question to a large collection waits for it to be loaded.
const LOAD_PATIENCE: Duration = Duration::from_secs(60);
/// Rows asked for at once: small rows, and whole chunks. The client refuses answers of 4 MiB and more.
const SMALL_PAGE: usize = 2_000;
const CHUNK_PAGE: usize = 500;
/// Ids in one filter.
const IDS_AT_ONCE: usize = 1_000;
/// What `insert` and `upsert` carry at once, in bytes and in rows.
const BYTES_AT_ONCE: usize = 4 << 20;
const ROWS_AT_ONCE: usize = 2_000;

pub struct Calls {
    connection: Connection,
    /// Collections that this process has seen loaded.
    loaded: Mutex<HashSet<String>>,
    /// Collections of which a read that waited for all writes has come back: later reads see at least as much.
    fresh: Mutex<HashSet<String>>,
}

/// A string in a filter. Filter templates, which would do this, fail on the servers that this runs on.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

pub fn in_list<T: ToString>(field: &str, values: &[T]) -> String {
    format!("{field} in [{}]", values.iter().map(T::to_string).collect::<Vec<_>>().join(","))
}

impl Calls {
    pub fn new(connection: Connection) -> Self {
        Self { connection, loaded: Mutex::default(), fresh: Mutex::default() }
    }

    /// How much a read has to wait for. A server answers a `Strong` read only after its next time tick (.2 s), so that is
    /// asked until one has come back; later ones see that state, and with `Session` our own writes too.
    pub fn consistency(&self, name: &str) -> ConsistencyLevel {
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner).contains(name);
        if fresh { ConsistencyLevel::Session } else { ConsistencyLevel::Strong }
    }

    fn note_read(&self, name: &str, consistency: ConsistencyLevel) {
        if consistency == ConsistencyLevel::Strong {
            self.fresh.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        }
    }

    /// Forgets what is known of a collection.
    pub fn forget(&self, name: &str) {
        for known in [&self.loaded, &self.fresh] {
            known.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        }
    }

    pub fn place(&self) -> String {
        self.connection.place()
    }

    pub fn is_lite(&self) -> bool {
        self.connection.is_lite()
    }

    fn failed(&self, action: &'static str, collection: &str, error: &Error) -> StoreError {
        let place = match collection {
            "" => self.place(),
            name => format!("{} in {}", name.strip_suffix(schema::COMPANION_SUFFIX).unwrap_or(name), self.place()),
        };
        StoreError::Failed { action, place, reason: self.connection.reason(error) }
    }

    /// Makes a call. When the Milvus Lite behind the connection has died it is started again, once, and asked again:
    /// every call here may be made twice.
    async fn attempt<T, F: Future<Output = Result<T, Error>>>(
        &self,
        call: impl Fn(ClientV2) -> F,
    ) -> Result<Result<T, Error>, StoreError> {
        let client = self.connection.client().await?;
        let result = call(client).await;
        match result {
            Err(error) if self.is_lite() && is_transport(&error) && self.connection.lite_has_ended().await => {
                tracing::warn!(%error, "Milvus Lite has ended and is started again");
                self.loaded.lock().unwrap_or_else(PoisonError::into_inner).clear();
                Ok(call(self.connection.client().await?).await)
            }
            result => Ok(result),
        }
    }

    pub async fn run<T, F: Future<Output = Result<T, Error>>>(
        &self,
        action: &'static str,
        collection: &str,
        call: impl Fn(ClientV2) -> F,
    ) -> Result<T, StoreError> {
        self.attempt(call).await?.map_err(|error| self.failed(action, collection, &error))
    }

    /// As [`Self::run`], for reads that need the collection in the memory of the server. After a server's restart no
    /// collection is.
    async fn read<T, F: Future<Output = Result<T, Error>>>(
        &self,
        collection: &str,
        call: impl Fn(ClientV2) -> F,
    ) -> Result<T, StoreError> {
        for attempt in 0..2 {
            self.load(collection).await?;
            match self.attempt(&call).await? {
                Err(error) if attempt == 0 && is_not_loaded(&error) => {
                    self.loaded.lock().unwrap_or_else(PoisonError::into_inner).remove(collection);
                }
                result => return result.map_err(|error| self.failed("read", collection, &error)),
            }
        }
        let place = format!("{collection} in {}", self.place());
        Err(StoreError::Failed { action: "load", place, reason: "it is being unloaded again and again".to_owned() })
    }

    async fn load(&self, collection: &str) -> Result<(), StoreError> {
        if self.loaded.lock().unwrap_or_else(PoisonError::into_inner).contains(collection) {
            return Ok(());
        }
        let ask = LoadCollectionRequest::builder().collection_name(collection).sync(false).build();
        let look = GetLoadStateRequest::builder().collection_name(collection).build();
        let (ask, look) = (self.valid(ask)?, self.valid(look)?);
        let deadline = Instant::now() + LOAD_PATIENCE;
        let mut asked = false;
        loop {
            let state = self.run("look at", collection, |client| {
                let look = look.clone();
                async move { client.get_load_state(look).await }
            });
            let state = state.await?;
            if state.state() == LoadState::Loaded {
                break;
            }
            if !asked {
                self.run("load", collection, |client| {
                    let ask = ask.clone();
                    async move { client.load_collection(ask).await }
                })
                .await?;
                asked = true;
            } else if Instant::now() >= deadline {
                let place = format!("{collection} in {}", self.place());
                let reason =
                    format!("the server has loaded {} % of it so far; hint: try again in a while", state.progress());
                return Err(StoreError::Failed { action: "read", place, reason });
            } else {
                sleep(LOAD_POLL).await;
            }
        }
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).insert(collection.to_owned());
        Ok(())
    }

    fn valid<T>(&self, built: Result<T, Error>) -> Result<T, StoreError> {
        built.map_err(|error| self.failed("ask", "", &error))
    }

    /// Every collection's name.
    pub async fn names(&self) -> Result<Vec<String>, StoreError> {
        let request = self.valid(ListCollectionsRequest::builder().build())?;
        let listed = self.attempt(|client| {
            let request = request.clone();
            async move { client.list_collections(request).await }
        });
        match listed.await? {
            Ok(listed) => Ok(listed.collection_names().to_vec()),
            Err(Error::MalformedResponse(_)) => {
                let failed =
                    |reason| StoreError::Failed { action: "list the collections of", place: self.place(), reason };
                self.connection.lite_names().await.map_err(failed)
            }
            Err(error) => Err(self.failed("list the collections of", "", &error)),
        }
    }

    /// `None` where there is no such collection.
    pub async fn describe(&self, name: &str) -> Result<Option<CollectionDesc>, StoreError> {
        let request = self.valid(DescribeCollectionRequest::builder().collection_name(name).build())?;
        let described = self.attempt(|client| {
            let request = request.clone();
            async move { client.describe_collection(request).await }
        });
        match described.await? {
            Ok(described) => Ok(Some(described.description().clone())),
            Err(error) if is_not_found(&error) => {
                self.loaded.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
                Ok(None)
            }
            Err(error) => Err(self.failed("read", name, &error)),
        }
    }

    /// The type and the metric of a column's index. `None` where there is none that this program can search.
    pub async fn index(&self, name: &str, field: &str) -> Result<Option<(String, Metric)>, StoreError> {
        let request = self.valid(DescribeIndexRequest::builder().collection_name(name).build())?;
        let described = self.attempt(|client| {
            let request = request.clone();
            async move { client.describe_index(request).await }
        });
        // A collection without an index is an error to the server.
        let Ok(described) = described.await? else { return Ok(None) };
        Ok(described.indexes().iter().find(|index| index.get_field_name() == field).and_then(|index| {
            let kind = match index.get_index_type() {
                IndexType::AutoIndex => "AUTOINDEX".to_owned(),
                other => format!("{other:?}").to_uppercase(),
            };
            let metric = match index.get_metric_type() {
                MetricType::Ip => Metric::Ip,
                MetricType::Cosine => Metric::Cosine,
                MetricType::L2 | MetricType::Default => Metric::L2,
                _ => return None,
            };
            Some((kind, metric))
        }))
    }

    /// Makes a collection with its index. Somebody else may have been quicker: that is fine.
    pub async fn create(&self, request: CreateCollectionRequest) -> Result<(), StoreError> {
        let name = request.collection_name().to_owned();
        let indexes = request.index_params().to_vec();
        // The index separately: the client would wait for it with fixed pauses of half a second.
        let bare = self.valid(request.into_builder().index_params(Vec::new()).build())?;
        let made = self.attempt(|client| {
            let bare = bare.clone();
            async move { client.create_collection(bare).await }
        });
        match made.await? {
            Ok(()) => {}
            Err(error) if self.describe(&name).await?.is_none() => return Err(self.failed("make", &name, &error)),
            Err(_) => {}
        }
        let index =
            CreateIndexRequest::builder().collection_name(name.as_str()).index_params(indexes).sync(false).build();
        let index = self.valid(index)?;
        self.run("index", &name, |client| {
            let index = index.clone();
            async move { client.create_index(index).await }
        })
        .await?;
        self.load(&name).await
    }

    pub async fn drop(&self, name: &str) -> Result<(), StoreError> {
        let request = self.valid(DropCollectionRequest::builder().collection_name(name).build())?;
        self.run("drop", name, |client| {
            let request = request.clone();
            async move { client.drop_collection(request).await }
        })
        .await?;
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }

    /// Rows that match; all where `filter` is empty. The server's own statistics lag behind, so it counts.
    pub async fn count(&self, name: &str, filter: &str, consistency: ConsistencyLevel) -> Result<u64, StoreError> {
        let columns = self.query(name, filter, &["count(*)"], None, consistency).await?;
        match columns.first() {
            Some(FieldData::Int64 { values, .. }) => Ok(values.first().copied().unwrap_or(0).unsigned_abs()),
            _ => Ok(0),
        }
    }

    /// About how many rows another program's collection has. It is not loaded for that: it is not ours to fill somebody's
    /// server with.
    pub async fn rows_of_foreign(&self, name: &str) -> Result<u64, StoreError> {
        let look = self.valid(GetLoadStateRequest::builder().collection_name(name).build())?;
        let state = self.run("look at", name, |client| {
            let look = look.clone();
            async move { client.get_load_state(look).await }
        });
        if state.await?.state() == LoadState::Loaded {
            return self.count(name, "", ConsistencyLevel::Strong).await;
        }
        let ask = self.valid(GetCollectionStatsRequest::builder().collection_name(name).build())?;
        let stats = self.run("look at", name, |client| {
            let ask = ask.clone();
            async move { client.get_collection_stats(ask).await }
        });
        Ok(stats.await?.row_count().unwrap_or(0).unsigned_abs())
    }

    /// The first rows that match, fewer than asked for where as many would make too large an answer.
    pub async fn query_some(
        &self,
        name: &str,
        filter: &str,
        columns: &[&str],
        offset: u64,
        mut limit: usize,
        consistency: ConsistencyLevel,
    ) -> Result<Vec<FieldData>, StoreError> {
        loop {
            match self.query(name, filter, columns, Some((offset, limit)), consistency).await {
                Err(StoreError::Failed { reason, .. }) if limit > 1 && is_too_large(&reason) => {
                    limit = (limit / 4).max(1)
                }
                got => return got,
            }
        }
    }

    /// One answer, as columns. These are decoded by hand, since rows can't be had from servers that name no fields.
    pub async fn query(
        &self,
        name: &str,
        filter: &str,
        columns: &[&str],
        range: Option<(u64, usize)>,
        consistency: ConsistencyLevel,
    ) -> Result<Vec<FieldData>, StoreError> {
        let request = QueryRequest::builder()
            .collection_name(name)
            .filter(filter)
            .output_fields(columns.iter().copied())
            .consistency_level(consistency);
        let request = match range {
            Some((0, limit)) => request.limit(limit as i64),
            Some((offset, limit)) => request.limit(limit as i64).offset(offset as i64),
            None => request,
        };
        let request = self.valid(request.build())?;
        let answer = self.read(name, |client| {
            let request = request.clone();
            async move { client.query(request).await }
        });
        let answer = answer.await?;
        self.note_read(name, consistency);
        Ok(answer.results().get_output_fields().to_vec())
    }

    /// All rows that match, page by page in the order of the key, which is a number named `id`. The client's own
    /// iterators lose rows on some servers.
    async fn all(
        &self,
        name: &str,
        filter: &str,
        columns: &[&str],
        page: usize,
        consistency: ConsistencyLevel,
    ) -> Result<Vec<Vec<FieldData>>, StoreError> {
        let (mut pages, mut page, mut last) = (Vec::new(), page, None::<i64>);
        loop {
            let place = last.map_or("id >= 0".to_owned(), |last| format!("id > {last}"));
            let filter = if filter.is_empty() { place } else { format!("({filter}) and {place}") };
            let got = match self.query(name, &filter, columns, Some((0, page)), consistency).await {
                Err(StoreError::Failed { reason, .. }) if page > 1 && is_too_large(&reason) => {
                    page /= 4;
                    page = page.max(1);
                    continue;
                }
                got => got?,
            };
            let ids = integers(&got, "id");
            let Some(highest) = ids.iter().copied().max() else { return Ok(pages) };
            if ids.len() == page && !ids.is_sorted() {
                let reason = "the server gives rows in no order".to_owned();
                return Err(StoreError::Failed { action: "read", place: name.to_owned(), reason });
            }
            let done = ids.len() < page;
            pages.push(got);
            if done {
                return Ok(pages);
            }
            last = Some(highest);
        }
    }

    /// Keys and records of a companion.
    pub async fn records(
        &self,
        companion: &str,
        filter: &str,
        consistency: ConsistencyLevel,
    ) -> Result<Vec<(i64, String)>, StoreError> {
        let pages = self.all(companion, filter, &["id", "record"], SMALL_PAGE, consistency).await?;
        Ok(pages
            .iter()
            .flat_map(|page| integers(page, "id").iter().copied().zip(texts(page, "record").iter().cloned()))
            .collect())
    }

    /// Chunks that match, by key.
    pub async fn chunks(
        &self,
        name: &str,
        filter: &str,
        consistency: ConsistencyLevel,
    ) -> Result<Vec<Chunk>, StoreError> {
        let pages = self.all(name, filter, &schema::CHUNK_COLUMNS, CHUNK_PAGE, consistency).await?;
        pages.iter().map(|page| chunks(page)).collect::<Result<Vec<_>, _>>().map(|pages| pages.concat())
    }

    pub async fn chunks_by_id(
        &self,
        name: &str,
        ids: &[ChunkId],
        consistency: ConsistencyLevel,
    ) -> Result<Vec<Chunk>, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        for ids in ids.chunks(CHUNK_PAGE) {
            let keys: Vec<i64> = ids.iter().map(|id| id.key()).collect();
            found.extend(self.chunks(name, &in_list("id", &keys), consistency).await?);
        }
        Ok(found)
    }

    /// Keys of the chunks of these documents.
    pub async fn ids_of(
        &self,
        name: &str,
        documents: &[&str],
        consistency: ConsistencyLevel,
    ) -> Result<Vec<i64>, StoreError> {
        let mut ids = Vec::new();
        for documents in documents.chunks(IDS_AT_ONCE) {
            let documents: Vec<String> = documents.iter().map(|name| quoted(name)).collect();
            let pages = self.all(name, &in_list("document", &documents), &["id"], MOST_ROWS, consistency).await?;
            ids.extend(pages.iter().flat_map(|page| integers(page, "id").iter().copied()));
        }
        Ok(ids)
    }

    /// All chunks of these documents, with their vectors where these are wanted.
    pub async fn rows_of(
        &self,
        name: &str,
        documents: &[&str],
        with_vectors: bool,
        consistency: ConsistencyLevel,
    ) -> Result<Rows, StoreError> {
        let mut rows = Rows::default();
        if documents.is_empty() {
            return Ok(rows);
        }
        let documents: Vec<String> = documents.iter().map(|name| quoted(name)).collect();
        let mut columns = schema::CHUNK_COLUMNS.to_vec();
        if with_vectors {
            columns.push(schema::VECTOR);
        }
        for page in self.all(name, &in_list("document", &documents), &columns, CHUNK_PAGE, consistency).await? {
            let (mut vectors, page): (Vec<_>, Vec<_>) =
                page.into_iter().partition(|field| field.name() == schema::VECTOR);
            let vectors = match vectors.pop() {
                Some(FieldData::FloatVector { values, .. }) => values,
                _ => Vec::new(),
            };
            let mut vectors = vectors.into_iter();
            for chunk in chunks(&page)? {
                let vector = vectors.next();
                rows.by_document.entry(chunk.document.clone()).or_default().push((chunk, vector));
            }
        }
        Ok(rows)
    }

    /// Adds rows. `replace` where rows of these keys may be there: a plain insert would keep both, also when it is made
    /// once more after an answer that never came. So only the first attempt is one.
    pub async fn put(&self, name: &str, columns: Vec<FieldData>, replace: bool) -> Result<(), StoreError> {
        let insert = self.valid(InsertRequest::builder().collection_name(name).columns(columns).build())?;
        let upsert = self.valid(UpsertRequest::builder().insert(insert.clone()).build())?;
        let again = AtomicBool::new(replace);
        self.run("write into", name, |client| {
            let again = again.swap(true, Ordering::Relaxed);
            let (insert, upsert) = (insert.clone(), upsert.clone());
            async move {
                if again { client.upsert(upsert).await.map(drop) } else { client.insert(insert).await.map(drop) }
            }
        })
        .await
    }

    /// Takes rows out by key. A filter with the keys spelt out: giving them as keys fails on the oldest server.
    pub async fn delete(&self, name: &str, ids: &[i64]) -> Result<(), StoreError> {
        for ids in ids.chunks(IDS_AT_ONCE) {
            let request = DeleteRequest::builder().collection_name(name).filter(in_list("id", ids)).build();
            let request = self.valid(request)?;
            self.run("delete from", name, |client| {
                let request = request.clone();
                async move { client.delete(request).await }
            })
            .await?;
        }
        Ok(())
    }

    /// Keys and scores of the nearest rows.
    pub async fn search(
        &self,
        name: &str,
        field: &str,
        vector: &Vector,
        limit: usize,
        consistency: ConsistencyLevel,
    ) -> Result<(Ids, Vec<f32>), StoreError> {
        let request = SearchRequest::builder()
            .collection_name(name)
            .vector_field(field)
            .vectors(SearchVectors::Float(vec![vector.clone()]))
            .limit(limit as i64)
            .consistency_level(consistency)
            .build();
        let request = self.valid(request)?;
        let answer = self.read(name, |client| {
            let request = request.clone();
            async move { client.search(request).await }
        });
        let answer = answer.await?;
        self.note_read(name, consistency);
        let nearest = answer.results().get_results().first();
        Ok(nearest.map_or((Ids::Int64(Vec::new()), Vec::new()), |found| {
            (found.get_ids().clone(), found.get_scores().to_vec())
        }))
    }

    /// Rows with everything but key and vector in the dynamic field.
    pub async fn insert_rows(&self, name: &str, rows: Vec<(i64, Vector, String)>) -> Result<(), StoreError> {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let some = rows.by_ref().take(ROWS_AT_ONCE);
            let some = some.map(|(id, vector, text)| json!({ "id": id, "vector": vector, "text": text }));
            let insert = self.valid(InsertRequest::builder().collection_name(name).rows(some).build())?;
            self.run("write into", name, |client| {
                let insert = insert.clone();
                async move { client.insert(insert).await }
            })
            .await?;
        }
        Ok(())
    }
}

/// Chunks by document.
#[derive(Default)]
pub struct Rows {
    by_document: HashMap<String, Vec<(Chunk, Option<Vector>)>>,
}

impl Rows {
    pub fn whole(&mut self, record: DocumentRecord, with_vectors: bool) -> Indexed {
        let mut rows = self.by_document.remove(&record.name).unwrap_or_default();
        rows.sort_by_key(|(chunk, _)| chunk.ordinal);
        let (chunks, vectors): (Vec<Chunk>, Vec<Option<Vector>>) = rows.into_iter().unzip();
        let vectors = with_vectors.then(|| vectors.into_iter().flatten().collect());
        Indexed { record, chunks, vectors }
    }
}

/// Splits rows so that a request stays well below what servers accept.
pub fn portions<T>(rows: &[T], bytes: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let (mut portions, mut start, mut size) = (Vec::new(), 0, 0);
    for (at, row) in rows.iter().enumerate() {
        let bytes = bytes(row);
        if at > start && (size + bytes > BYTES_AT_ONCE || at - start == ROWS_AT_ONCE) {
            portions.push(&rows[start..at]);
            (start, size) = (at, 0);
        }
        size += bytes;
    }
    if start < rows.len() {
        portions.push(&rows[start..]);
    }
    portions
}

pub fn integers<'a>(columns: &'a [FieldData], name: &str) -> &'a [i64] {
    columns
        .iter()
        .find_map(|column| match column {
            FieldData::Int64 { name: found, values } if found == name => Some(values.as_slice()),
            _ => None,
        })
        .unwrap_or_default()
}

pub fn texts<'a>(columns: &'a [FieldData], name: &str) -> &'a [String] {
    columns
        .iter()
        .find_map(|column| match column {
            FieldData::VarChar { name: found, values } if found == name => Some(values.as_slice()),
            _ => None,
        })
        .unwrap_or_default()
}

fn chunks(columns: &[FieldData]) -> Result<Vec<Chunk>, StoreError> {
    let number = |name: &'static str, at: usize| integers(columns, name).get(at).copied().unwrap_or(0);
    let small = |name, at| u32::try_from(number(name, at)).unwrap_or(0);
    let place = |name, at| usize::try_from(number(name, at)).unwrap_or(0);
    let word = |name: &'static str, at: usize| texts(columns, name).get(at).cloned().unwrap_or_default();
    let ids = integers(columns, "id").iter().enumerate();
    let chunk = |(at, id): (usize, &i64)| {
        Ok(Chunk {
            // Only keys from 0 on are asked for.
            id: ChunkId::from_key(*id).unwrap_or_else(|| ChunkId::from_digest(id.to_be_bytes())),
            document: word("document", at),
            ordinal: small("position", at),
            heading: schema::parse("a heading", &word("heading", at))?,
            lines: (small("first_line", at), small("last_line", at)),
            bytes: place("first_byte", at)..place("end_byte", at),
            text: word("text", at),
            tokens: small("tokens", at),
        })
    };
    ids.map(chunk).collect()
}

/// The client names errors of the transport in its own ways.
fn is_transport(error: &Error) -> bool {
    match error {
        Error::RetryExhausted { source, .. } => is_transport(source),
        Error::Grpc(_) | Error::Timeout(_) => true,
        _ => false,
    }
}

/// Milvus 2.3 and later answer 100, before it was 4 (`CollectionNotExists`); Lite says it in words.
fn is_not_found(error: &Error) -> bool {
    match error {
        Error::RetryExhausted { source, .. } => is_not_found(source),
        Error::Server(server) => {
            let reason = server.reason().to_lowercase();
            server.code() == 100
                || server.legacy_code() == 4
                || reason.contains("collection not found")
                || reason.contains("can't find collection")
        }
        _ => false,
    }
}

fn is_not_loaded(error: &Error) -> bool {
    match error {
        Error::RetryExhausted { source, .. } => is_not_loaded(source),
        Error::Server(server) => {
            let reason = server.reason().to_lowercase();
            server.code() == 101 || reason.contains("not loaded") || reason.contains("not been loaded")
        }
        _ => false,
    }
}

fn is_too_large(reason: &str) -> bool {
    reason.contains("message length too large") || reason.contains("larger than max")
}
