use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::RagError;
use crate::{
    domain::{Chunk, DocumentRecord, IngestReport, Progress, SourceSpec, Stage, Vector},
    embed::{Embedder, Role},
    source::{self, Entry, Scan},
    store::VectorStore,
};

/// How long a second ingest of the same collection waits for the first before it gives up.
const WRITER_PATIENCE: Duration = Duration::from_secs(2);
/// Chunks that are gathered over document borders before they are embedded, so that every session has work.
const GROUP: usize = 64;
/// Chunks handed to the embedder at once: small, so that progress moves and a cancel is heard soon.
const BATCH: usize = 16;
/// Documents that may wait between two stages.
const QUEUE: usize = 32;
/// Tokens are counted by words where there is no model: English has about this many tokens to a word.
const TOKENS_PER_WORD: f32 = 1.3;

/// What to index, and with what.
#[derive(Clone)]
pub struct IngestJob {
    pub store: Arc<dyn VectorStore>,
    /// `None`: documents are indexed for keyword search only; a later ingest with a model embeds them.
    pub embedder: Option<Arc<dyn Embedder>>,
    pub collection: String,
    /// Empty: whatever the collection was made from.
    pub sources: Vec<SourceSpec>,
    /// Index unchanged documents too, and start over when the collection is another model's.
    pub force: bool,
}

/// A document on its way from its source to the store.
struct Prepared {
    record: DocumentRecord,
    chunks: Vec<Chunk>,
    vectors: Option<Vec<Vector>>,
}

/// Makes the collection hold what its sources hold: new and changed documents are indexed, those gone are removed,
/// those unchanged are left alone. A document that can't be read is skipped with its reason. Every document is
/// replaced whole and counts as done only when its rows are committed, so a run that was cut off is continued by the
/// next one.
///
/// # Errors
/// When another writer is at work, when the collection is another model's and `force` is not set, or when a source,
/// the model or the store fails as a whole. What was committed before stays.
pub async fn ingest(
    job: &IngestJob,
    progress: &Arc<Progress>,
    cancel: &CancellationToken,
) -> Result<IngestReport, RagError> {
    let start = Instant::now();
    let store = job.store.as_ref();
    let name = job.collection.as_str();
    let _writing = store.lock_for_writing(name, WRITER_PATIENCE).await?;
    let sources = prepare_collection(job).await?;

    let mut report = IngestReport::default();
    let mut vanished: Vec<String> = Vec::new();
    for spec in &sources {
        progress.set_stage(Stage::Scanning);
        let scan = match source::scan(spec, progress, cancel).await {
            Err(_) if cancel.is_cancelled() => break,
            scan => scan?,
        };
        for skip in &scan.skipped {
            progress.skip(skip.document.clone(), skip.reason.clone());
        }
        report.ignored += scan.ignored;
        progress.add_documents_total(scan.entries.len() as u64);
        progress.set_stage(Stage::Indexing);
        let known = store.documents(name).await?;
        let plan = Plan::new(spec, scan, &known, job);
        let gone = plan.gone(&known);
        store.remember_source(name, spec).await?;
        let unreadable = run(job, plan, progress, cancel, &mut report).await?;
        if cancel.is_cancelled() {
            break;
        }
        vanished.extend(gone);
        vanished.extend(unreadable);
    }
    if !cancel.is_cancelled() && !vanished.is_empty() {
        store.remove_documents(name, &vanished).await?;
        report.removed = vanished.len() as u64;
    }
    report.interrupted = cancel.is_cancelled();
    report.skipped = progress.snapshot().skipped;
    report.seconds = start.elapsed().as_secs_f64();
    let embedded = progress.snapshot().chunks_done;
    report.passages_per_s = if report.seconds > 0.0 { embedded as f64 / report.seconds } else { 0.0 };
    progress.set_stage(Stage::Done);
    Ok(report)
}

/// Checks or makes the collection; returns the sources to go through.
async fn prepare_collection(job: &IngestJob) -> Result<Vec<SourceSpec>, RagError> {
    let (store, name) = (job.store.as_ref(), job.collection.as_str());
    let fingerprint = job.embedder.as_ref().map(|embedder| embedder.fingerprint());
    let held = store.collection(name).await?;
    let mut sources = job.sources.clone();
    let remembered = held.as_ref().map(|info| info.sources.clone()).unwrap_or_default();
    if sources.is_empty() {
        sources.clone_from(&remembered);
    }
    if sources.is_empty() {
        return Err(RagError::NoSources { collection: name.to_owned() });
    }
    let other_model = match (held.as_ref().and_then(|info| info.fingerprint.as_ref()), fingerprint) {
        (Some(held), Some(offered)) => held.check(offered).is_err(),
        _ => false,
    };
    if other_model && job.force {
        // Vectors of two models can't live together: all that the collection was made from is embedded anew.
        store.clear_collection(name).await?;
        for spec in remembered {
            if sources.iter().all(|source| source.key() != spec.key()) {
                sources.push(spec);
            }
        }
    }
    store.ensure_collection(name, fingerprint).await?;
    Ok(sources)
}

/// What one source asks for: which of its entries to look at, under which name, against what is known of them.
struct Plan {
    source: String,
    chunker: crate::domain::Chunker,
    entries: Vec<(Entry, Option<DocumentRecord>)>,
    /// Names that the source holds, read or skipped.
    present: BTreeSet<String>,
    force: bool,
    embed: bool,
}

impl Plan {
    fn new(spec: &SourceSpec, scan: Scan, known: &[DocumentRecord], job: &IngestJob) -> Self {
        let source = spec.key();
        let by_name: HashMap<&str, &DocumentRecord> = known.iter().map(|r| (r.name.as_str(), r)).collect();
        // Two sources may hold documents of one name. The same file is taken over; another file gets its source's
        // last folder name in front, as far up as it takes.
        let clashes = |prefix: &str| {
            scan.entries.iter().any(|entry| {
                by_name
                    .get(format!("{prefix}{}", entry.name).as_str())
                    .is_some_and(|record| record.source != source && record.location != entry.location)
            })
        };
        let prefix = prefixes(&spec.location).into_iter().find(|prefix| !clashes(prefix)).unwrap_or_default();
        let named = |name: &str| format!("{prefix}{name}");
        let mut present: BTreeSet<String> = scan.skipped.iter().map(|skip| named(&skip.document)).collect();
        let entries = scan
            .entries
            .into_iter()
            .map(|mut entry| {
                entry.name = named(&entry.name);
                present.insert(entry.name.clone());
                let record = by_name.get(entry.name.as_str()).map(|record| (*record).clone());
                (entry, record)
            })
            .collect();
        let embed = job.embedder.is_some();
        Self { source, chunker: spec.chunker.clone(), entries, present, force: job.force, embed }
    }

    /// Documents that came from this source, or from a file that it holds under another name now, and are no more.
    fn gone(&self, known: &[DocumentRecord]) -> Vec<String> {
        let places: BTreeSet<&str> = self.entries.iter().map(|(entry, _)| entry.location.as_str()).collect();
        known
            .iter()
            .filter(|record| record.source == self.source || places.contains(record.location.as_str()))
            .filter(|record| !self.present.contains(&record.name))
            .map(|record| record.name.clone())
            .collect()
    }
}

/// Nothing, then the location's last folder, its last two, and so on.
fn prefixes(location: &str) -> Vec<String> {
    let parts: Vec<&str> = location.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
    (0..=parts.len()).map(|n| parts[parts.len() - n..].iter().map(|part| format!("{part}/")).collect()).collect()
}

/// Runs the stages side by side: a thread reads and chunks, this task gathers and embeds, another stores. Returns the
/// names of documents that are in the index but hold nothing readable any more.
async fn run(
    job: &IngestJob,
    plan: Plan,
    progress: &Arc<Progress>,
    cancel: &CancellationToken,
    report: &mut IngestReport,
) -> Result<Vec<String>, RagError> {
    let (to_embed, mut prepared) = mpsc::channel::<Prepared>(QUEUE);
    let (to_store, finished) = mpsc::channel::<Prepared>(QUEUE);
    let (unchanged_to_store, touched) = mpsc::channel::<DocumentRecord>(QUEUE);
    let reader = {
        let (progress, cancel, embedder) = (Arc::clone(progress), cancel.clone(), job.embedder.clone());
        tokio::task::spawn_blocking(move || {
            read_all(plan, embedder.as_deref(), &progress, &cancel, &to_embed, &unchanged_to_store)
        })
    };
    // Owns its channel ends: the storing side ends when the last sender is gone, the reader when its receiver is.
    let embedding = async move {
        let mut group: Vec<Prepared> = Vec::new();
        while !cancel.is_cancelled() {
            // Waits only when there is nothing in hand, so that a slow reader never holds back what is ready.
            let next = if group.is_empty() { prepared.recv().await } else { prepared.try_recv().ok() };
            match next {
                Some(document) => group.push(document),
                None if group.is_empty() => break,
                None => flush(job, &mut group, &to_store, cancel).await?,
            }
            if group.iter().map(|document| document.chunks.len()).sum::<usize>() >= GROUP {
                flush(job, &mut group, &to_store, cancel).await?;
            }
        }
        Ok::<_, RagError>(())
    };
    let storing = store_all(job, finished, touched, progress, cancel);
    let ((), (documents, passages)) = tokio::try_join!(embedding, storing)?;
    let (unchanged, unchanged_passages, unreadable) =
        reader.await.map_err(|error| RagError::Worker(error.to_string()))?;
    report.documents += documents + unchanged;
    report.passages += passages + unchanged_passages;
    report.unchanged += unchanged;
    Ok(unreadable)
}

/// Reads, compares and chunks every document of a plan; blocking.
fn read_all(
    plan: Plan,
    embedder: Option<&dyn Embedder>,
    progress: &Progress,
    cancel: &CancellationToken,
    to_embed: &mpsc::Sender<Prepared>,
    touched: &mpsc::Sender<DocumentRecord>,
) -> (u64, u64, Vec<String>) {
    let (mut unchanged, mut unchanged_passages, mut unreadable) = (0, 0, Vec::new());
    let count = |text: &str| match embedder {
        Some(embedder) => embedder.count_tokens(text),
        None => (text.split_whitespace().count() as f32 * TOKENS_PER_WORD) as usize,
    };
    let version = plan.chunker.version();
    for (entry, record) in plan.entries {
        if cancel.is_cancelled() {
            break;
        }
        progress.set_current(&entry.name);
        let usable = record.as_ref().filter(|r| !plan.force && (r.embedded || !plan.embed));
        let same_file = |r: &&DocumentRecord| {
            let unmoved = r.location == entry.location && r.source == plan.source && r.size == entry.size;
            let same_chunker = r.content.split_once(' ').is_some_and(|(_, chunker)| chunker == version);
            unmoved && same_chunker && r.modified_ns.is_some() && r.modified_ns == entry.modified_ns
        };
        if let Some(record) = usable.filter(same_file) {
            unchanged += 1;
            unchanged_passages += u64::from(record.passages);
            progress.document_unchanged();
            continue;
        }
        let document = match entry.read(&plan.chunker) {
            Ok(document) => document,
            Err(reason) => {
                progress.skip(entry.name.clone(), reason);
                progress.document_done();
                if record.is_some() {
                    unreadable.push(entry.name);
                }
                continue;
            }
        };
        let mut new = DocumentRecord {
            name: entry.name,
            location: entry.location,
            source: plan.source.clone(),
            content: document.content,
            size: entry.size,
            modified_ns: entry.modified_ns,
            passages: 0,
            embedded: plan.embed,
        };
        if let Some(record) = usable.filter(|record| record.content == new.content) {
            new.passages = record.passages;
            unchanged += 1;
            unchanged_passages += u64::from(record.passages);
            progress.document_unchanged();
            new.embedded = record.embedded;
            if touched.blocking_send(new).is_err() {
                break;
            }
            continue;
        }
        let chunks = source::chunk(&new.name, &document.text, &plan.chunker, &count);
        new.passages = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        progress.add_chunks_total(chunks.len() as u64);
        if to_embed.blocking_send(Prepared { record: new, chunks, vectors: None }).is_err() {
            break;
        }
    }
    (unchanged, unchanged_passages, unreadable)
}

/// Embeds the documents in hand, longest chunk first, and hands them on. On a cancel, those not embedded are let go.
async fn flush(
    job: &IngestJob,
    group: &mut Vec<Prepared>,
    to_store: &mpsc::Sender<Prepared>,
    cancel: &CancellationToken,
) -> Result<(), RagError> {
    let mut documents = std::mem::take(group);
    if let Some(embedder) = &job.embedder {
        // Chunks of like length side by side keep all sessions busy to the end of a batch.
        let mut texts: Vec<(usize, usize, String)> = documents
            .iter()
            .enumerate()
            .flat_map(|(d, document)| {
                document.chunks.iter().enumerate().map(move |(c, chunk)| (d, c, chunk.indexed_text()))
            })
            .collect();
        texts.sort_by_key(|(d, c, text)| (std::cmp::Reverse(text.len()), *d, *c));
        for document in &mut documents {
            document.vectors = Some(vec![Vector::new(); document.chunks.len()]);
        }
        for batch in texts.chunks(BATCH) {
            if cancel.is_cancelled() {
                return Ok(());
            }
            let owned: Vec<String> = batch.iter().map(|(_, _, text)| text.clone()).collect();
            let embedder = Arc::clone(embedder);
            let vectors = tokio::task::spawn_blocking(move || {
                let texts: Vec<&str> = owned.iter().map(String::as_str).collect();
                embedder.embed(Role::Passage, &texts)
            })
            .await
            .map_err(|error| RagError::Worker(error.to_string()))??;
            for ((d, c, _), vector) in batch.iter().zip(vectors) {
                if let Some(slot) = documents[*d].vectors.as_mut().and_then(|all| all.get_mut(*c)) {
                    *slot = vector;
                }
            }
        }
    }
    for document in documents {
        // A closed channel means that storing failed; its error is what gets reported.
        if to_store.send(document).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Commits documents as they come; returns how many documents and passages.
async fn store_all(
    job: &IngestJob,
    mut finished: mpsc::Receiver<Prepared>,
    mut touched: mpsc::Receiver<DocumentRecord>,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<(u64, u64), RagError> {
    let (mut documents, mut passages) = (0, 0);
    loop {
        tokio::select! {
            Some(record) = touched.recv() => job.store.touch_document(&job.collection, &record).await?,
            document = finished.recv() => {
                let Some(Prepared { record, chunks, vectors }) = document else { break };
                if cancel.is_cancelled() {
                    continue;
                }
                job.store.replace_document(&job.collection, &record, &chunks, vectors.as_deref()).await?;
                documents += 1;
                passages += chunks.len() as u64;
                progress.add_chunks_done(chunks.len() as u64);
                progress.document_done();
            }
        }
    }
    while let Some(record) = touched.recv().await {
        job.store.touch_document(&job.collection, &record).await?;
    }
    Ok((documents, passages))
}
