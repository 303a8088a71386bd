//! Stand-ins for what other branches bring: Milvus itself and Milvus Lite's program. Goes at the merge.

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;

use crate::{
    domain::{
        Chunk, ChunkId, CollectionInfo, DocumentRecord, Fingerprint, Hit, Indexed, Metric, Pooling, SourceSpec, Vector,
    },
    store::{
        Capabilities, Health, KeywordIndex, SqliteStore, StoreError, VectorStore, WriteGuard,
        milvus::{MilvusEndpoint, MilvusOptions},
    },
};

pub struct MilvusStore(SqliteStore, String, bool);

pub async fn milvus_lite() -> Result<PathBuf, String> {
    Ok(PathBuf::from("."))
}

impl MilvusStore {
    pub fn new(options: MilvusOptions) -> Result<Self, StoreError> {
        let (place, away) = match &options.endpoint {
            MilvusEndpoint::Lite { file, .. } => {
                let _ = std::fs::write(file, "");
                (format!("Milvus Lite {}", file.display()), false)
            }
            MilvusEndpoint::Server { uri } => (format!("Milvus {uri}"), true),
        };
        Ok(Self(SqliteStore::open(&options.local)?, place, away))
    }

    fn inner(&self) -> Result<&SqliteStore, StoreError> {
        if self.2 {
            let reason = "there is no server yet; hint: start one".to_owned();
            return Err(StoreError::Unreachable { store: self.1.clone(), reason });
        }
        Ok(&self.0)
    }

    pub async fn tutorial_collection(
        &self,
        name: &str,
        dim: usize,
        rows: Vec<(i64, Vector, String)>,
    ) -> Result<(), StoreError> {
        let fingerprint = Fingerprint {
            model: "all-minilm-l6-v2".into(),
            sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db".into(),
            dim,
            metric: Metric::Ip,
            pooling: Pooling::Mean,
            normalised: true,
            max_tokens: 256,
            query_prefix: String::new(),
            passage_prefix: String::new(),
        };
        self.drop_collection(name).await?;
        self.ensure_collection(name, Some(&fingerprint)).await?;
        let mut documents = Vec::new();
        for (id, vector, text) in rows {
            let chunk = Chunk {
                id: ChunkId::from_key(id).unwrap_or(ChunkId::from_digest([0; 8])),
                document: id.to_string(),
                ordinal: 0,
                heading: Vec::new(),
                lines: (1, 1),
                bytes: 0..text.len(),
                text,
                tokens: 0,
            };
            let record = DocumentRecord {
                name: id.to_string(),
                location: String::new(),
                source: String::new(),
                content: String::new(),
                size: 0,
                modified_ns: None,
                passages: 1,
                embedded: true,
            };
            documents.push(Indexed { record, chunks: vec![chunk], vectors: Some(vec![vector]) });
        }
        self.replace_documents(name, documents).await
    }
}

#[async_trait]
impl VectorStore for MilvusStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities { atomic_replace: false, keywords: KeywordIndex::Local, needs_vectors: true }
    }
    fn describe(&self) -> String {
        self.1.clone()
    }
    async fn check(&self) -> Result<Health, StoreError> {
        self.inner()?.check().await
    }
    async fn collections(&self) -> Result<Vec<CollectionInfo>, StoreError> {
        self.inner()?.collections().await
    }
    async fn collection(&self, name: &str) -> Result<Option<CollectionInfo>, StoreError> {
        self.inner()?.collection(name).await
    }
    async fn ensure_collection(&self, name: &str, fingerprint: Option<&Fingerprint>) -> Result<(), StoreError> {
        self.inner()?.ensure_collection(name, fingerprint).await
    }
    async fn clear_collection(&self, name: &str) -> Result<(), StoreError> {
        self.inner()?.clear_collection(name).await
    }
    async fn drop_collection(&self, name: &str) -> Result<bool, StoreError> {
        self.inner()?.drop_collection(name).await
    }
    async fn remember_source(&self, collection: &str, source: &SourceSpec) -> Result<(), StoreError> {
        self.inner()?.remember_source(collection, source).await
    }
    async fn lock_for_writing(&self, collection: &str, patience: Duration) -> Result<WriteGuard, StoreError> {
        self.inner()?.lock_for_writing(collection, patience).await
    }
    async fn documents(&self, collection: &str) -> Result<Vec<DocumentRecord>, StoreError> {
        self.inner()?.documents(collection).await
    }
    async fn replace_documents(&self, collection: &str, documents: Vec<Indexed>) -> Result<(), StoreError> {
        self.inner()?.replace_documents(collection, documents).await
    }
    async fn read_documents(&self, collection: &str, names: &[String]) -> Result<Vec<Indexed>, StoreError> {
        self.inner()?.read_documents(collection, names).await
    }
    async fn browse(&self, collection: &str, offset: u64, limit: usize) -> Result<Vec<Chunk>, StoreError> {
        self.inner()?.browse(collection, offset, limit).await
    }
    async fn touch_document(&self, collection: &str, document: &DocumentRecord) -> Result<(), StoreError> {
        self.inner()?.touch_document(collection, document).await
    }
    async fn remove_documents(&self, collection: &str, names: &[String]) -> Result<(), StoreError> {
        self.inner()?.remove_documents(collection, names).await
    }
    async fn search_dense(
        &self,
        collection: &str,
        made_by: Option<&Fingerprint>,
        vector: &Vector,
        limit: usize,
    ) -> Result<Vec<Hit>, StoreError> {
        self.inner()?.search_dense(collection, made_by, vector, limit).await
    }
    async fn search_keyword(&self, collection: &str, query: &str, limit: usize) -> Result<Vec<Hit>, StoreError> {
        self.inner()?.search_keyword(collection, query, limit).await
    }
    async fn get(&self, collection: &str, ids: &[ChunkId]) -> Result<Vec<Chunk>, StoreError> {
        self.inner()?.get(collection, ids).await
    }
    async fn neighbours(
        &self,
        collection: &str,
        id: ChunkId,
        before: u32,
        after: u32,
    ) -> Result<Vec<Chunk>, StoreError> {
        self.inner()?.neighbours(collection, id, before, after).await
    }
}
