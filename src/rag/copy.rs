use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::RagError;
use crate::{
    domain::{CollectionInfo, DocumentRecord, Indexed, Progress, Skip, Stage},
    store::{StoreError, VectorStore},
};

/// How long to wait for whoever writes one of the two collections.
const WRITER_PATIENCE: Duration = Duration::from_secs(2);
/// Passages that are on their way at once, more or less.
const PASSAGES_AT_ONCE: u32 = 512;
/// Passages that are read back and compared at the end.
const SAMPLE: u64 = 32;
/// How far a number of a vector may be from what it was: engines keep 32-bit floats.
const SAME: f32 = 1e-6;

/// What to copy, and where to.
#[derive(Clone, Copy)]
pub struct CopyJob<'a> {
    pub from: &'a dyn VectorStore,
    pub to: &'a dyn VectorStore,
    /// The collection's name there.
    pub collection: &'a str,
    /// Its name in the target.
    pub name: &'a str,
}

/// What a copy did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CopyReport {
    /// What the target holds now.
    pub documents: u64,
    pub passages: u64,
    /// Documents that were there already, as they are in the source.
    pub unchanged: u64,
    /// Documents that the target can't keep.
    pub skipped: Vec<Skip>,
    /// Passages that were read back from both sides and found equal.
    pub compared: u64,
    pub seconds: f64,
    /// Cancelled before the end; what was copied is kept, and the next run goes on from there.
    pub interrupted: bool,
}

/// Copies a collection from one store to another with its vectors, so that nothing is embedded again. A copy that was cut
/// off is continued by the next one: documents that the target has with an equal record are left alone. At the end the
/// counts of both sides are compared, and a sample of passages with their vectors.
///
/// # Errors
/// When the source is another program's or has passages without the vectors that the target needs; when the target holds
/// other documents or another model's vectors; when a store fails; when what arrived is not what was sent.
pub async fn copy(job: CopyJob<'_>, progress: &Progress, cancel: &CancellationToken) -> Result<CopyReport, RagError> {
    let start = Instant::now();
    let CopyJob { from, to, collection, name } = job;
    // Where nothing can be written, nobody writes: only another writer is in the way of reading.
    let _reading = match from.lock_for_writing(collection, WRITER_PATIENCE).await {
        Err(busy @ StoreError::Busy { .. }) => return Err(busy.into()),
        lock => lock.ok(),
    };
    let _writing = to.lock_for_writing(name, WRITER_PATIENCE).await?;
    progress.set_stage(Stage::Scanning);
    let info = job.source_info().await?;
    let ours = from.documents(collection).await?;
    let theirs = job.theirs(&info, &ours).await?;
    to.ensure_collection(name, info.fingerprint.as_ref()).await?;
    for source in &info.sources {
        to.remember_source(name, source).await?;
    }

    progress.set_stage(Stage::Indexing);
    progress.add_documents_total(ours.len() as u64, ours.iter().map(|record| record.size).sum());
    let mut report = CopyReport::default();
    let mut wanted = Vec::new();
    for record in &ours {
        if theirs.get(record.name.as_str()) == Some(record) {
            report.unchanged += 1;
            progress.document_unchanged(record.size);
        } else {
            wanted.push(record);
        }
    }
    for batch in batches(&wanted) {
        if cancel.is_cancelled() {
            report.interrupted = true;
            break;
        }
        job.carry(batch, progress).await?;
    }
    report.skipped = progress.snapshot().skipped.to_vec();
    if !report.interrupted {
        let arrived: Vec<&DocumentRecord> =
            ours.iter().filter(|record| report.skipped.iter().all(|skip| skip.document != record.name)).collect();
        report.compared = job.verify(&arrived).await?;
    }
    let left = to.collection(name).await?.unwrap_or_else(|| CollectionInfo::empty(name));
    (report.documents, report.passages) = (left.documents, left.passages);
    report.seconds = start.elapsed().as_secs_f64();
    progress.set_stage(Stage::Done);
    Ok(report)
}

impl CopyJob<'_> {
    /// The collection to copy, if it can be.
    async fn source_info(&self) -> Result<CollectionInfo, RagError> {
        let (collection, store) = (self.collection.to_owned(), self.from.describe());
        let Some(info) = self.from.collection(self.collection).await? else {
            return Err(StoreError::NoCollection { name: collection, store }.into());
        };
        if info.foreign {
            return Err(RagError::CopyForeign { collection, store });
        }
        if info.without_vectors > 0 && self.to.capabilities().needs_vectors {
            let (to, bare) = (self.to.describe(), info.without_vectors);
            return Err(RagError::CopyBare { collection, store, bare, to });
        }
        Ok(info)
    }

    /// What the target holds by name, if that is nothing or a part of the same.
    async fn theirs(
        &self,
        info: &CollectionInfo,
        ours: &[DocumentRecord],
    ) -> Result<HashMap<String, DocumentRecord>, RagError> {
        let Some(held) = self.to.collection(self.name).await? else { return Ok(HashMap::new()) };
        let refused = |what: String| RagError::CopyMeets {
            name: self.name.to_owned(),
            to: self.to.describe(),
            what,
            from: self.from.describe(),
        };
        if held.foreign {
            return Err(refused("was made by another program".to_owned()));
        }
        match (&held.fingerprint, &info.fingerprint) {
            (Some(held), Some(ours)) if held.check(ours).is_err() => {
                return Err(refused(format!("holds {held}, not {ours}")));
            }
            (Some(held), None) => return Err(refused(format!("holds {held}, and there are none to copy"))),
            (Some(_), Some(_)) | (None, _) => {}
        }
        let sources: HashMap<&str, &str> =
            ours.iter().map(|record| (record.name.as_str(), record.source.as_str())).collect();
        let theirs = self.to.documents(self.name).await?;
        let other = |record: &&DocumentRecord| sources.get(record.name.as_str()) != Some(&record.source.as_str());
        let others: Vec<&DocumentRecord> = theirs.iter().filter(other).collect();
        if let Some(first) = others.first() {
            return Err(refused(format!("holds {} other documents, such as {}", others.len(), first.name)));
        }
        Ok(theirs.into_iter().map(|record| (record.name.clone(), record)).collect())
    }

    /// Reads documents from one side and writes them to the other.
    async fn carry(&self, batch: &[&DocumentRecord], progress: &Progress) -> Result<(), RagError> {
        let names: Vec<String> = batch.iter().map(|record| record.name.clone()).collect();
        if let Some(name) = names.first() {
            progress.set_current(name);
        }
        let mut documents = self.from.read_documents(self.collection, &names).await?;
        for record in batch {
            let there = documents.iter().any(|document| document.record == **record && is_complete(document));
            if !there {
                let what = format!("{} is not there as a whole", record.name);
                return Err(RagError::CopyUnread {
                    collection: self.collection.to_owned(),
                    from: self.from.describe(),
                    what,
                });
            }
        }
        documents.retain(|document| match self.to.check_fit(document) {
            Ok(()) => true,
            Err(error) => {
                let (document, size) = (&document.record, document.record.size);
                let (name, location) = (document.name.clone(), document.location.clone());
                progress.document_skipped(Skip { document: name, reason: error.to_string(), location }, size);
                false
            }
        });
        let counts: Vec<(u64, u64)> =
            documents.iter().map(|document| (document.record.size, document.chunks.len() as u64)).collect();
        self.to.replace_documents(self.name, documents).await?;
        for (size, chunks) in counts {
            progress.document_read(size, chunks);
            progress.add_chunks_done(chunks);
            progress.add_chunks_stored(chunks);
            progress.document_done();
        }
        Ok(())
    }

    /// Compares counts, and some passages spread evenly over the whole collection; returns how many.
    async fn verify(&self, arrived: &[&DocumentRecord]) -> Result<u64, RagError> {
        let differs = |what: String| RagError::CopyDiffers {
            name: self.name.to_owned(),
            to: self.to.describe(),
            from: self.from.describe(),
            what,
        };
        let total = arrived.iter().map(|record| u64::from(record.passages)).sum();
        let held = self.to.collection(self.name).await?.unwrap_or_else(|| CollectionInfo::empty(self.name));
        if (held.documents, held.passages) != (arrived.len() as u64, total) {
            return Err(differs(format!(
                "{} documents with {} passages there, {} with {total} here",
                held.documents,
                held.passages,
                arrived.len()
            )));
        }
        let mut compared = 0;
        for (record, places) in sample(arrived, total) {
            let name = std::slice::from_ref(&record.name);
            let (ours, theirs) = tokio::try_join!(
                self.from.read_documents(self.collection, name),
                self.to.read_documents(self.name, name)
            )?;
            let (Some(ours), Some(theirs)) = (ours.first(), theirs.first()) else {
                return Err(differs(format!("{} is missing", record.name)));
            };
            if let Some(what) = difference(ours, theirs, &places) {
                return Err(differs(format!("{}: {what}", record.name)));
            }
            compared += places.len() as u64;
        }
        Ok(compared)
    }
}

/// Documents in groups of about [`PASSAGES_AT_ONCE`] passages.
fn batches<'a>(documents: &'a [&'a DocumentRecord]) -> Vec<&'a [&'a DocumentRecord]> {
    let (mut batches, mut start, mut passages) = (Vec::new(), 0, 0_u32);
    for (at, record) in documents.iter().enumerate() {
        passages = passages.saturating_add(record.passages.max(1));
        if passages >= PASSAGES_AT_ONCE {
            batches.push(&documents[start..=at]);
            (start, passages) = (at + 1, 0);
        }
    }
    batches.extend(Some(&documents[start..]).filter(|rest| !rest.is_empty()));
    batches
}

/// [`SAMPLE`] passages at even distances: documents, and places in them.
fn sample<'a>(documents: &[&'a DocumentRecord], total: u64) -> Vec<(&'a DocumentRecord, Vec<usize>)> {
    let taken = SAMPLE.min(total);
    let mut picks = (0..taken).map(|n| n * total / taken).peekable();
    let (mut sample, mut start) = (Vec::new(), 0);
    for record in documents {
        let end = start + u64::from(record.passages);
        let mut places = Vec::new();
        while let Some(pick) = picks.next_if(|pick| *pick < end) {
            places.push((pick - start) as usize);
        }
        if !places.is_empty() {
            sample.push((*record, places));
        }
        start = end;
    }
    sample
}

/// Whether a document holds as many passages and vectors as it says.
fn is_complete(document: &Indexed) -> bool {
    let (chunks, vectors) = (document.chunks.len(), document.vectors.as_ref().map_or(0, Vec::len));
    chunks == document.record.passages as usize && vectors == if document.record.embedded { chunks } else { 0 }
}

/// Where two versions of a document differ, looking at these of their passages.
fn difference(ours: &Indexed, theirs: &Indexed, places: &[usize]) -> Option<String> {
    if ours.record != theirs.record {
        return Some("its record".to_owned());
    }
    for &place in places {
        if ours.chunks.get(place) != theirs.chunks.get(place) {
            return Some(format!("passage {place}"));
        }
        let vector = |document: &Indexed| document.vectors.as_ref().and_then(|vectors| vectors.get(place).cloned());
        let same = match (vector(ours), vector(theirs)) {
            (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= SAME),
            (None, None) => true,
            (_, _) => false,
        };
        if !same {
            return Some(format!("the vector of passage {place}"));
        }
    }
    None
}
