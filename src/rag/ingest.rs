use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::RagError;
use crate::{
    domain::{Chunk, Chunker, CollectionInfo, DocumentRecord, IngestReport, Progress, SourceSpec, Stage, Vector},
    embed::{Embedder, Role},
    source::{self, Entry, Scan, Unread},
    store::{StoreError, VectorStore},
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
/// When another writer is at work, when the collection is another model's and `force` is not set, when a source that was
/// named can't be had, or when the model or the store fails as a whole. What was committed before stays. A source that is
/// only remembered and can't be had is a skip.
pub async fn ingest(
    job: &IngestJob,
    progress: &Arc<Progress>,
    cancel: &CancellationToken,
) -> Result<IngestReport, RagError> {
    let start = Instant::now();
    let store = job.store.as_ref();
    let name = job.collection.as_str();
    let _writing = store.lock_for_writing(name, WRITER_PATIENCE).await?;
    let mut report = IngestReport::default();
    let held = store.collection(name).await?;
    let task = Task::new(job, held.as_ref())?;

    // Everything is looked at before anything is changed: what can't be had leaves the collection as it is.
    progress.set_stage(Stage::Scanning);
    let known = if held.is_some() { store.documents(name).await? } else { Vec::new() };
    let mut plan = Plan::new(known, job);
    for wanted in task.sources.iter().rev() {
        match source::scan(&wanted.spec, progress, cancel).await {
            _ if cancel.is_cancelled() => return Err(RagError::Interrupted),
            Ok(scan) => {
                for skip in &scan.skipped {
                    progress.skip(skip.document.clone(), skip.reason.clone());
                }
                report.ignored += scan.ignored;
                let nothing = scan.entries.is_empty() && scan.skipped.is_empty();
                if nothing && !wanted.may_be_missing && !plan.knows(&wanted.spec) {
                    return Err(RagError::NothingFound {
                        location: source::shown_location(&wanted.spec.location),
                        globs: wanted.spec.globs.clone(),
                        ignored: scan.ignored,
                    });
                }
                plan.add(&wanted.spec, scan);
            }
            Err(error) if wanted.may_be_missing => {
                progress.skip(source::shown_location(&wanted.spec.location), error.to_string())
            }
            Err(error) => return Err(error.into()),
        }
    }
    progress.add_documents_total(plan.entries.len() as u64);
    if task.start_over {
        store.clear_collection(name).await?;
        plan.forget_known();
    }
    store.ensure_collection(name, job.embedder.as_ref().map(|embedder| embedder.fingerprint())).await?;
    for spec in &job.sources {
        store.remember_source(name, spec).await?;
    }

    progress.set_stage(Stage::Indexing);
    let mut gone = plan.gone();
    gone.extend(run(job, plan, progress, cancel, &mut report).await?);
    if !cancel.is_cancelled() && !gone.is_empty() {
        store.remove_documents(name, &gone).await?;
        report.removed = gone.len() as u64;
    }
    report.interrupted = cancel.is_cancelled();
    report.skipped = progress.snapshot().skipped;
    report.seconds = start.elapsed().as_secs_f64();
    let embedded = progress.snapshot().chunks_done;
    report.passages_per_s = if report.seconds > 0.0 { embedded as f64 / report.seconds } else { 0.0 };
    progress.set_stage(Stage::Done);
    Ok(report)
}

/// A source to go through.
struct Wanted {
    spec: SourceSpec,
    /// One that the collection remembers and nobody named just now: its documents stay when it can't be reached.
    may_be_missing: bool,
}

/// What an ingest amounts to, given what the collection holds.
struct Task {
    /// In the order in which they were added to the collection.
    sources: Vec<Wanted>,
    /// The collection holds vectors of another model: all that it was made from is embedded anew.
    start_over: bool,
}

impl Task {
    fn new(job: &IngestJob, held: Option<&CollectionInfo>) -> Result<Self, RagError> {
        let held_fingerprint = held.and_then(|info| info.fingerprint.as_ref());
        let start_over = match (held_fingerprint, &job.embedder) {
            (Some(held), Some(embedder)) => match held.check(embedder.fingerprint()) {
                Ok(()) => false,
                Err(_) if job.force => true,
                Err(mismatch) => {
                    return Err(StoreError::WrongModel { collection: job.collection.clone(), mismatch }.into());
                }
            },
            (Some(_), None) if job.force => {
                return Err(RagError::NoModelToForce { collection: job.collection.clone() });
            }
            (Some(_) | None, _) => false,
        };
        let remembered = held.map(|info| info.sources.as_slice()).unwrap_or_default();
        let named = |spec: &SourceSpec| job.sources.iter().any(|source| source.key() == spec.key());
        let mut sources = Vec::new();
        if start_over || job.sources.is_empty() {
            // When starting over, a source that can't be reached would lose its documents.
            let others = remembered.iter().filter(|spec| !named(spec)).cloned();
            sources.extend(others.map(|spec| Wanted { spec, may_be_missing: !start_over }));
        }
        sources.extend(job.sources.iter().cloned().map(|spec| Wanted { spec, may_be_missing: false }));
        match held {
            _ if !sources.is_empty() => Ok(Self { sources, start_over }),
            Some(_) => Err(RagError::NoSources { collection: job.collection.clone() }),
            None => Err(StoreError::NoCollection { name: job.collection.clone(), store: job.store.describe() }.into()),
        }
    }
}

/// A document to look at, under its name in the collection, and what is known of it.
struct Planned {
    entry: Entry,
    source: String,
    chunker: Chunker,
    record: Option<DocumentRecord>,
}

/// Which documents to look at, each place once however many sources hold it. The source that was added last takes it.
struct Plan {
    entries: Vec<Planned>,
    /// What the collection holds, by location, and whose each name is.
    known: HashMap<String, DocumentRecord>,
    owners: HashMap<String, String>,
    /// Locations that a source has taken, and the names that they got.
    taken: HashMap<String, String>,
    names: HashSet<String>,
    /// Keys of the sources that were looked through.
    scanned: HashSet<String>,
    /// Places that were there and could not be looked at: what is known of them, and below them, stays.
    unseen: Vec<String>,
    force: bool,
    embed: bool,
}

impl Plan {
    fn new(known: Vec<DocumentRecord>, job: &IngestJob) -> Self {
        Self {
            entries: Vec::new(),
            owners: known.iter().map(|record| (record.name.clone(), record.source.clone())).collect(),
            known: known.into_iter().map(|record| (record.location.clone(), record)).collect(),
            taken: HashMap::new(),
            names: HashSet::new(),
            scanned: HashSet::new(),
            unseen: Vec::new(),
            force: job.force,
            embed: job.embedder.is_some(),
        }
    }

    /// Whether the collection holds anything of a source.
    fn knows(&self, spec: &SourceSpec) -> bool {
        self.owners.values().any(|owner| *owner == spec.key())
    }

    fn add(&mut self, spec: &SourceSpec, scan: Scan) {
        let source = spec.key();
        for skip in &scan.skipped {
            let below = ["/", "!/"].map(|between| format!("{}{between}{}", spec.location, skip.document));
            self.unseen.extend(below);
        }
        for mut entry in scan.entries {
            if self.taken.contains_key(&entry.location) {
                continue;
            }
            let record = self.known.get(&entry.location).cloned();
            entry.name = match &record {
                // A document keeps its name, and with it its chunks' ids, whatever is added beside it.
                Some(record) if !self.names.contains(&record.name) => record.name.clone(),
                _ => self.free_name(spec, &entry),
            };
            let record = record.filter(|record| record.name == entry.name);
            self.taken.insert(entry.location.clone(), entry.name.clone());
            self.names.insert(entry.name.clone());
            self.entries.push(Planned { entry, source: source.clone(), chunker: spec.chunker.clone(), record });
        }
        self.scanned.insert(source);
    }

    /// The entry's own name, with as many of the source's last folders in front as it takes to tell it from others.
    fn free_name(&self, spec: &SourceSpec, entry: &Entry) -> String {
        let source = spec.key();
        let is_free =
            |name: &String| !self.names.contains(name) && self.owners.get(name).is_none_or(|owner| *owner == source);
        let mut names = prefixes(&spec.location).into_iter().map(|prefix| format!("{prefix}{}", entry.name));
        // The whole path in front is free: no two sources have one location.
        names.clone().find(is_free).or_else(|| names.next_back()).unwrap_or_else(|| entry.name.clone())
    }

    /// Nothing is known any more: the collection starts over.
    fn forget_known(&mut self) {
        self.known.clear();
        for planned in &mut self.entries {
            planned.record = None;
        }
    }

    /// Names of documents whose source was looked through and holds them no more, or that go under another name now.
    fn gone(&self) -> Vec<String> {
        let unseen = |record: &DocumentRecord| {
            self.unseen.iter().any(|place| {
                record.location.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        let moved = |record: &DocumentRecord| self.taken.contains_key(&record.location);
        self.known
            .values()
            .filter(|record| !self.names.contains(&record.name))
            .filter(|record| moved(record) || self.scanned.contains(&record.source) && !unseen(record))
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
/// names of documents that are in the index but hold no text any more.
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
                None => flush(job, progress, &mut group, &to_store, cancel).await?,
            }
            if group.iter().map(|document| document.chunks.len()).sum::<usize>() >= GROUP {
                flush(job, progress, &mut group, &to_store, cancel).await?;
            }
        }
        Ok::<_, RagError>(())
    };
    let storing = store_all(job, finished, touched, progress, cancel);
    let ((), (documents, passages)) = tokio::try_join!(embedding, storing)?;
    let (unchanged, unchanged_passages, textless) =
        reader.await.map_err(|error| RagError::Worker(error.to_string()))?;
    report.documents += documents + unchanged;
    report.passages += passages + unchanged_passages;
    report.unchanged += unchanged;
    Ok(textless)
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
    let (mut unchanged, mut unchanged_passages, mut textless) = (0, 0, Vec::new());
    let count = |text: &str| match embedder {
        Some(embedder) => embedder.count_tokens(text),
        None => (text.split_whitespace().count() as f32 * TOKENS_PER_WORD) as usize,
    };
    for Planned { entry, source, chunker, record } in plan.entries {
        if cancel.is_cancelled() {
            break;
        }
        progress.set_current(&entry.name);
        let version = chunker.version();
        let usable = record.as_ref().filter(|r| !plan.force && (r.embedded || !plan.embed));
        let same_file = |r: &&DocumentRecord| {
            let same_chunker = r.content.split_once(' ').is_some_and(|(_, chunker)| chunker == version);
            let same_time = r.modified_ns.is_some() && r.modified_ns == entry.modified_ns;
            same_chunker && same_time && r.source == source && r.size == entry.size
        };
        if let Some(record) = usable.filter(same_file) {
            unchanged += 1;
            unchanged_passages += u64::from(record.passages);
            progress.document_unchanged();
            continue;
        }
        let document = match entry.read(&chunker) {
            Ok(document) => document,
            Err(unread) => {
                progress.skip(entry.name.clone(), unread.to_string());
                progress.document_done();
                // What can't be read right now may be the same as before; what holds no text is not.
                if record.is_some() && matches!(unread, Unread::NoText(_)) {
                    textless.push(entry.name);
                }
                continue;
            }
        };
        let mut new = DocumentRecord {
            name: entry.name,
            location: entry.location,
            source,
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
        let chunks = source::chunk(&new.name, &document.text, &chunker, &count);
        new.passages = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        progress.document_read(chunks.len() as u64);
        if to_embed.blocking_send(Prepared { record: new, chunks, vectors: None }).is_err() {
            break;
        }
    }
    (unchanged, unchanged_passages, textless)
}

/// Embeds the documents in hand, longest chunk first, and hands them on. On a cancel, those not embedded are let go.
async fn flush(
    job: &IngestJob,
    progress: &Progress,
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
            progress.add_chunks_done(batch.len() as u64);
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
                if vectors.is_none() {
                    progress.add_chunks_done(chunks.len() as u64);
                }
                progress.document_done();
            }
        }
    }
    while let Some(record) = touched.recv().await {
        job.store.touch_document(&job.collection, &record).await?;
    }
    Ok((documents, passages))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Skip;

    fn record(name: &str, location: &str) -> DocumentRecord {
        DocumentRecord {
            name: name.into(),
            location: location.into(),
            source: SourceSpec { location: "/kb".into(), globs: Vec::new(), chunker: Chunker::Markdown }.key(),
            content: String::new(),
            size: 1,
            modified_ns: None,
            passages: 1,
            embedded: true,
        }
    }

    #[test]
    fn what_could_not_be_looked_at_is_not_gone() {
        let known = vec![
            record("a.md", "/kb/a.md"),
            record("locked/b.md", "/kb/locked/b.md"),
            record("locked-not/c.md", "/kb/locked-not/c.md"),
        ];
        let mut plan = Plan {
            entries: Vec::new(),
            owners: HashMap::new(),
            known: known.into_iter().map(|record| (record.location.clone(), record)).collect(),
            taken: HashMap::new(),
            names: HashSet::new(),
            scanned: HashSet::new(),
            unseen: Vec::new(),
            force: false,
            embed: true,
        };
        assert!(plan.gone().is_empty(), "no source was looked through");
        let skipped = vec![Skip { document: "locked".into(), reason: "permission denied".into() }];
        let spec = SourceSpec { location: "/kb".into(), globs: Vec::new(), chunker: Chunker::Markdown };
        plan.add(&spec, Scan { skipped, ..Scan::default() });
        let mut gone = plan.gone();
        gone.sort();
        assert_eq!(gone, ["a.md", "locked-not/c.md"]);
    }
}
