use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use async_trait::async_trait;

use super::*;
use crate::{
    domain::{Chunk, ChunkId, CollectionInfo, DocumentRecord, Hit},
    rag::copy::{CopyJob, CopyReport, copy},
    store::{Capabilities, Health, StoreError, WriteGuard},
};

/// A store with faults.
#[derive(Default)]
struct Faulty {
    /// Fails once so many documents were written.
    fails_after: Option<usize>,
    /// Writes this document's first vector a little otherwise.
    corrupts: Option<&'static str>,
    /// Says that it wrote this document, and does not.
    loses: Option<&'static str>,
    needs_vectors: bool,
    foreign: bool,
}

struct FaultyStore(Arc<dyn VectorStore>, Faulty, AtomicUsize);

#[async_trait]
impl VectorStore for FaultyStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities { needs_vectors: self.1.needs_vectors, ..self.0.capabilities() }
    }
    fn describe(&self) -> String {
        "the faulty store".to_owned()
    }
    async fn check(&self) -> Result<Health, StoreError> {
        self.0.check().await
    }
    async fn collections(&self) -> Result<Vec<CollectionInfo>, StoreError> {
        self.0.collections().await
    }
    async fn collection(&self, name: &str) -> Result<Option<CollectionInfo>, StoreError> {
        let info = self.0.collection(name).await?;
        Ok(info.map(|info| CollectionInfo { foreign: self.1.foreign, ..info }))
    }
    async fn ensure_collection(&self, name: &str, fingerprint: Option<&Fingerprint>) -> Result<(), StoreError> {
        self.0.ensure_collection(name, fingerprint).await
    }
    async fn clear_collection(&self, name: &str) -> Result<(), StoreError> {
        self.0.clear_collection(name).await
    }
    async fn drop_collection(&self, name: &str) -> Result<bool, StoreError> {
        self.0.drop_collection(name).await
    }
    async fn remember_source(&self, collection: &str, source: &SourceSpec) -> Result<(), StoreError> {
        self.0.remember_source(collection, source).await
    }
    async fn lock_for_writing(&self, collection: &str, patience: Duration) -> Result<WriteGuard, StoreError> {
        self.0.lock_for_writing(collection, patience).await
    }
    async fn documents(&self, collection: &str) -> Result<Vec<DocumentRecord>, StoreError> {
        self.0.documents(collection).await
    }
    async fn replace_documents(&self, collection: &str, documents: Vec<Indexed>) -> Result<(), StoreError> {
        for mut document in documents {
            if self.1.fails_after == Some(self.2.fetch_add(1, Ordering::SeqCst)) {
                return Err(StoreError::Unreachable { store: self.describe(), reason: "the line is cut".to_owned() });
            }
            if self.1.loses == Some(document.record.name.as_str()) {
                continue;
            }
            if self.1.corrupts == Some(document.record.name.as_str()) {
                document.vectors.as_mut().unwrap()[0][25] += 1e-4;
            }
            self.0.replace_documents(collection, vec![document]).await?;
        }
        Ok(())
    }
    async fn read_documents(&self, collection: &str, names: &[String]) -> Result<Vec<Indexed>, StoreError> {
        self.0.read_documents(collection, names).await
    }
    async fn browse(&self, collection: &str, offset: u64, limit: usize) -> Result<Vec<Chunk>, StoreError> {
        self.0.browse(collection, offset, limit).await
    }
    async fn touch_document(&self, collection: &str, document: &DocumentRecord) -> Result<(), StoreError> {
        self.0.touch_document(collection, document).await
    }
    async fn remove_documents(&self, collection: &str, names: &[String]) -> Result<(), StoreError> {
        self.0.remove_documents(collection, names).await
    }
    async fn search_dense(
        &self,
        collection: &str,
        made_by: Option<&Fingerprint>,
        vector: &Vector,
        limit: usize,
    ) -> Result<Vec<Hit>, StoreError> {
        self.0.search_dense(collection, made_by, vector, limit).await
    }
    async fn search_keyword(&self, collection: &str, query: &str, limit: usize) -> Result<Vec<Hit>, StoreError> {
        self.0.search_keyword(collection, query, limit).await
    }
    async fn get(&self, collection: &str, ids: &[ChunkId]) -> Result<Vec<Chunk>, StoreError> {
        self.0.get(collection, ids).await
    }
    async fn neighbours(&self, collection: &str, id: ChunkId, n: u32, m: u32) -> Result<Vec<Chunk>, StoreError> {
        self.0.neighbours(collection, id, n, m).await
    }
}

fn faulty(store: &Arc<dyn VectorStore>, faults: Faulty) -> FaultyStore {
    FaultyStore(Arc::clone(store), faults, AtomicUsize::new(0))
}

/// A store with pages of many parts, so that copying takes several batches.
async fn filled(home: &Path, pages: usize) -> Arc<dyn VectorStore> {
    for page in 0..pages {
        let text: String = (0..100).map(|part| format!("## Part {part}\n\nOf page {page}.\n\n")).collect();
        write(home, &format!("kb/{page:02}.md"), &text);
    }
    let store = open(&home.join("from"));
    index(&store, &[source(&home.join("kb"))], None, false).await.unwrap();
    store
}

async fn carry(from: &dyn VectorStore, to: &dyn VectorStore) -> Result<CopyReport, RagError> {
    let job = CopyJob { from, to, collection: COLLECTION, name: COLLECTION };
    copy(job, &Progress::default(), &CancellationToken::new()).await
}

#[tokio::test]
async fn a_copy_that_was_cut_off_goes_on_and_is_the_same_in_the_end() {
    let home = tempfile::tempdir().unwrap();
    let from = filled(home.path(), 14).await;
    let to = open(&home.path().join("to"));
    let cut = carry(from.as_ref(), &faulty(&to, Faulty { fails_after: Some(8), ..Faulty::default() })).await;
    assert!(cut.unwrap_err().to_string().contains("the line is cut"));
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let job = CopyJob { from: from.as_ref(), to: to.as_ref(), collection: COLLECTION, name: COLLECTION };
    let stopped = copy(job, &Progress::default(), &cancelled).await.unwrap();
    assert_eq!((stopped.interrupted, stopped.documents, stopped.compared), (true, 8, 0), "what was copied stays");

    let report = carry(from.as_ref(), to.as_ref()).await.unwrap();
    assert_eq!((report.unchanged, report.documents, report.passages, report.compared), (8, 14, 1400, 32));
    assert!(whole(to.as_ref()).await == whole(from.as_ref()).await);
    let (held, copied) = (from.collection(COLLECTION).await.unwrap(), to.collection(COLLECTION).await.unwrap());
    assert_eq!(held.unwrap().fingerprint, copied.unwrap().fingerprint);
    assert_eq!(carry(from.as_ref(), to.as_ref()).await.unwrap().unchanged, 14);

    // A page that changed goes over again; a copy of another name stands beside it.
    write(home.path(), "kb/03.md", "# Other\n\nText.\n");
    index(&from, &[], None, false).await.unwrap();
    assert_eq!(carry(from.as_ref(), to.as_ref()).await.unwrap().unchanged, 13);
    assert!(whole(to.as_ref()).await == whole(from.as_ref()).await);
    let job = CopyJob { from: from.as_ref(), to: from.as_ref(), collection: COLLECTION, name: "beside" };
    let beside = copy(job, &Progress::default(), &CancellationToken::new()).await.unwrap();
    assert_eq!((beside.documents, beside.unchanged), (14, 0));
}

#[tokio::test]
async fn what_did_not_arrive_as_it_was_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let from = filled(home.path(), 2).await;
    let corrupted = Faulty { corrupts: Some("01.md"), ..Faulty::default() };
    let lost = Faulty { loses: Some("01.md"), ..Faulty::default() };
    for (name, faults, what) in
        [("a", corrupted, "01.md: the vector of passage 0"), ("b", lost, "1 documents with 100 passages there")]
    {
        let to = faulty(&open(&home.path().join(name)), faults);
        let error = carry(from.as_ref(), &to).await.unwrap_err().to_string();
        for part in [what, "the faulty store", "embedded", "hint: "] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}

#[tokio::test]
async fn what_can_not_be_copied_is_refused_and_nothing_is_changed() {
    let home = tempfile::tempdir().unwrap();
    let from = filled(home.path(), 1).await;
    let foreign = faulty(&from, Faulty { foreign: true, ..Faulty::default() });
    let to = open(&home.path().join("to"));
    let refused = carry(&foreign, to.as_ref()).await;
    assert!(matches!(refused, Err(RagError::CopyForeign { .. })), "{refused:?}");

    let bare = open(&home.path().join("bare"));
    let sources = vec![source(&home.path().join("kb"))];
    let job = IngestJob {
        store: Arc::clone(&bare),
        embedder: None,
        collection: COLLECTION.into(),
        sources,
        force: false,
        shard: None,
    };
    ingest(&job, &Arc::new(Progress::default()), &Arc::default(), &CancellationToken::new()).await.unwrap();
    let needs = faulty(&to, Faulty { needs_vectors: true, ..Faulty::default() });
    let refused = carry(bare.as_ref(), &needs).await;
    assert!(matches!(refused, Err(RagError::CopyBare { bare: 100, .. })), "{refused:?}");
    assert!(to.collection(COLLECTION).await.unwrap().is_none());
    assert_eq!(carry(bare.as_ref(), to.as_ref()).await.unwrap().documents, 1, "an engine that can, takes them");

    for (name, other) in [("documents", false), ("model", true)] {
        let held = open(&home.path().join(name));
        write(home.path(), "more/b.md", "# B\n\nText.\n");
        let sources = [source(&home.path().join(if other { "kb" } else { "more" }))];
        index(&held, &sources, None, other).await.unwrap();
        let before = whole(held.as_ref()).await;
        let error = carry(from.as_ref(), held.as_ref()).await.unwrap_err();
        assert!(matches!(error, RagError::CopyMeets { .. }) && error.to_string().contains("--as"), "{error}");
        assert!(whole(held.as_ref()).await == before, "{name}");
    }
}
