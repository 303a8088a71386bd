//! Writing: chunks first, then out with the old ones, then the record that says so.

use std::{
    collections::HashSet,
    sync::PoisonError,
    time::{SystemTime, UNIX_EPOCH},
};

use milvus::v2::prelude::ConsistencyLevel;

use super::{
    MilvusStore,
    calls::portions,
    schema::{self, companion},
};
use crate::{
    domain::{Chunk, DocumentRecord, Indexed, SourceSpec, Vector},
    store::{StoreError, check},
};

/// Documents that are read back at once.
pub const DOCUMENTS_AT_ONCE: usize = 64;
/// Bytes of a row beside its text and its vector, about.
const ROW_BYTES: usize = 200;
const DOCUMENT: i64 = 1;
const SOURCE: i64 = 2;

/// Milliseconds since 1970 by this machine's clock.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

impl MilvusStore {
    pub(super) async fn write_documents(&self, collection: &str, documents: Vec<Indexed>) -> Result<(), StoreError> {
        if documents.is_empty() {
            return Ok(());
        }
        let own = self.writable(collection).await?;
        schema::check_documents(own.as_ref(), &documents, &self.calls.place())?;
        let names: Vec<String> = documents.iter().map(|document| document.record.name.clone()).collect();
        let made_by = self.seen(collection).made_by.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let (Some(own), Some(made_by)) = (&own, made_by) {
            // Another machine may have begun anew with another model.
            check(collection, &own.fingerprint, &made_by)?;
        }
        let gone = self.write_chunks(collection, &documents).await?;
        let remotely = async {
            self.calls.delete(collection, &gone).await?;
            self.put_records(collection, documents.iter().map(|document| &document.record)).await
        };
        // Not before the chunks: what is in the index and not in Milvus would be found and not be there.
        let (remotely, locally) = tokio::join!(remotely, self.keywords.replace(collection, &documents));
        if remotely.is_err() || locally.is_err() {
            // Taken out, they are fetched again before the next search.
            let taken_out = self.keywords.remove(collection, &names).await;
            return remotely.and(taken_out);
        }
        Ok(())
    }

    /// How much a read of these documents' chunks has to wait for: what others wrote was there at the first read, what we
    /// wrote takes a moment.
    fn consistency_for(&self, collection: &str, documents: &[&str]) -> ConsistencyLevel {
        match self.calls.consistency(collection) {
            ConsistencyLevel::Session if !self.seen(collection).has_written(documents.iter().copied()) => {
                ConsistencyLevel::Eventually
            }
            level => level,
        }
    }

    /// Writes the chunks; gives the keys of those that they replace.
    async fn write_chunks(&self, collection: &str, documents: &[Indexed]) -> Result<Vec<i64>, StoreError> {
        let seen = self.seen(collection);
        let names: Vec<&str> = documents.iter().map(|document| document.record.name.as_str()).collect();
        let consistency = self.consistency_for(collection, &names);
        let old: HashSet<i64> = self.calls.ids_of(collection, &names, consistency).await?.into_iter().collect();
        seen.note_written(names.iter().copied());

        let rows: Vec<(&Chunk, &str, &Vector)> = documents
            .iter()
            .flat_map(|document| {
                let content = document.record.content.as_str();
                let vectors = document.vectors.iter().flatten();
                document.chunks.iter().zip(vectors).map(move |(chunk, vector)| (chunk, content, vector))
            })
            .collect();
        for rows in portions(&rows, |(chunk, _, vector)| chunk.text.len() + 4 * vector.len() + ROW_BYTES) {
            let replace = rows.iter().any(|(chunk, _, _)| old.contains(&chunk.id.key()));
            self.calls.put(collection, schema::columns(rows.iter().copied())?, replace).await?;
        }
        let new: HashSet<i64> = rows.iter().map(|(chunk, _, _)| chunk.id.key()).collect();
        Ok(old.difference(&new).copied().collect())
    }

    async fn put_records<'a>(
        &self,
        collection: &str,
        records: impl Iterator<Item = &'a DocumentRecord>,
    ) -> Result<(), StoreError> {
        let rows: Vec<(i64, String)> = records.map(schema::document_json).collect::<Result<_, _>>()?;
        for rows in portions(&rows, |(_, json)| json.len() + ROW_BYTES) {
            self.calls.put(&companion(collection), schema::record_columns(DOCUMENT, now(), rows), true).await?;
        }
        Ok(())
    }

    pub(super) async fn touch(&self, collection: &str, document: &DocumentRecord) -> Result<(), StoreError> {
        let filter = format!("id == {}", schema::record_id("document", &document.name));
        let there =
            self.calls.records(&companion(collection), &filter, self.calls.consistency(&companion(collection))).await?;
        if there.is_empty() {
            return Ok(());
        }
        self.put_records(collection, [document].into_iter()).await?;
        self.keywords.touch(collection, document).await
    }

    pub(super) async fn remove(&self, collection: &str, chunks: bool, names: &[String]) -> Result<(), StoreError> {
        if names.is_empty() {
            return Ok(());
        }
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        if chunks {
            let consistency = self.consistency_for(collection, &all);
            let ids = self.calls.ids_of(collection, &all, consistency).await?;
            self.calls.delete(collection, &ids).await?;
        }
        let records: Vec<i64> = names.iter().map(|name| schema::record_id("document", name)).collect();
        self.calls.delete(&companion(collection), &records).await?;
        self.seen(collection).note_written(all.into_iter());
        self.keywords.remove(collection, names).await
    }

    pub(super) async fn write_source(&self, collection: &str, source: &SourceSpec) -> Result<(), StoreError> {
        let beside = companion(collection);
        let held = self.calls.records(&beside, schema::IS_SOURCE, ConsistencyLevel::Strong).await?;
        let mut known: Vec<(u64, SourceSpec)> =
            held.iter().map(|(_, json)| schema::parse("a source", json)).collect::<Result<_, _>>()?;
        if known.iter().any(|(_, held)| held == source) {
            return Ok(());
        }
        known.sort_by_key(|(position, _)| *position);
        let same = known.iter().find(|(_, held)| held.key() == source.key());
        let position = same
            .or(known.last())
            .map_or(0, |(position, held)| if held.key() == source.key() { *position } else { position + 1 });
        let row = schema::source_json(position, source)?;
        self.calls.put(&beside, schema::record_columns(SOURCE, now(), &[row]), true).await
    }
}
