use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Pause, RagError,
    plan::{Plan, Planned, Task},
};
use crate::{
    domain::{DocumentRecord, Indexed, IngestReport, Progress, Shard, Skip, SourceSpec, Stage, Vector},
    embed::{Embedder, Role},
    source::{self, Scan, SourceError, Unread},
    store::{StoreError, VectorStore},
};

/// How long a second ingest of the same collection waits for the first before it gives up.
const WRITER_PATIENCE: Duration = Duration::from_secs(2);
/// Chunks that are gathered over document borders before they are embedded, so that every session has work.
const GROUP: usize = 64;
/// Chunks handed to the embedder at once: small, so that progress moves and a cancel is heard soon.
const BATCH: usize = 16;
/// Chunks handed to the store at once, where as many are ready.
const STORED_AT_ONCE: usize = 512;
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
    /// Only this share of the documents; others index theirs into the same collection, at the same time or not. `None`:
    /// all of them.
    pub shard: Option<Shard>,
}

/// Makes the collection hold what its sources hold: new and changed documents are indexed, those gone are removed,
/// those unchanged are left alone. A document that can't be read is skipped with its reason. Every document is
/// replaced whole and counts as done only when its rows are committed, so a run that was cut off is continued by the
/// next one.
///
/// For all documents the collection's write lock is held throughout. Shares don't hold it, since they run side by side:
/// each of their writes stands by itself, and no two of them write the same document.
///
/// While `pause` holds, no further document is read and no further batch embedded; what is in hand is finished and
/// stored. The write lock stays held. Paused time counts neither in the report's seconds nor in its rate.
///
/// # Errors
/// When another writer is at work, when the collection is another model's and `force` is not set, when a source that was
/// named can't be had, or when the model or the store fails as a whole. What was committed before stays. A source that is
/// only remembered and can't be had is a skip.
pub async fn ingest(
    job: &IngestJob,
    progress: &Arc<Progress>,
    pause: &Arc<Pause>,
    cancel: &CancellationToken,
) -> Result<IngestReport, RagError> {
    let start = Instant::now();
    let store = job.store.as_ref();
    let name = job.collection.as_str();
    let _writing = match job.shard {
        None => Some(store.lock_for_writing(name, WRITER_PATIENCE).await?),
        Some(_) => None,
    };
    let mut report = IngestReport::default();
    let held = store.collection(name).await?;
    let task = Task::new(job, held.as_ref())?;

    if job.embedder.is_none() && store.capabilities().needs_vectors {
        return Err(StoreError::NeedsVectors { store: store.describe() }.into());
    }
    if held.as_ref().is_some_and(|info| info.foreign) {
        return Err(StoreError::Foreign { collection: name.to_owned() }.into());
    }

    // Everything is looked at before anything is changed: what can't be had leaves the collection as it is.
    progress.set_stage(Stage::Scanning);
    let known = if held.is_some() { store.documents(name).await? } else { Vec::new() };
    let mut plan = Plan::new(known, job);
    for wanted in task.sources.iter().rev() {
        pause.pass(cancel).await;
        match source::scan(&wanted.spec, progress, cancel).await {
            _ if cancel.is_cancelled() => return Err(RagError::Interrupted),
            Ok(scan) => {
                for skip in &scan.skipped {
                    progress.skip(skip.clone());
                }
                report.ignored += scan.ignored;
                let nothing = scan.entries.is_empty() && scan.skipped.is_empty();
                if nothing && !wanted.remembered && !plan.knows(&wanted.spec) {
                    return Err(RagError::NothingFound {
                        location: source::shown_location(&wanted.spec.location),
                        globs: wanted.spec.globs.clone(),
                        ignored: scan.ignored,
                    });
                }
                if scan.entries.is_empty() && plan.knows(&wanted.spec) && !job.force {
                    // A disk that is not mounted looks like this: what was indexed stays until somebody says so.
                    progress.skip(emptied(&wanted.spec, name));
                    continue;
                }
                plan.add(&wanted.spec, scan);
            }
            // So does its folder, where that is made for it.
            Err(SourceError::Missing { path }) if wanted.remembered && !plan.is_new() => {
                match plan.knows(&wanted.spec) {
                    true if task.start_over => {
                        return Err(RagError::SourceGone { collection: name.to_owned(), path });
                    }
                    true if job.force => plan.add(&wanted.spec, Scan::default()),
                    true => progress.skip(emptied(&wanted.spec, name)),
                    // It was taken out before.
                    false => {}
                }
            }
            Err(error) if wanted.remembered && !task.start_over => {
                let place = source::shown_location(&wanted.spec.location);
                progress.skip(Skip { document: place.clone(), reason: error.to_string(), location: place });
            }
            Err(error) => return Err(error.into()),
        }
    }
    progress
        .add_documents_total(plan.entries.len() as u64, plan.entries.iter().map(|planned| planned.entry.size).sum());
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
    gone.extend(run(job, plan, progress, pause, cancel, &mut report).await?);
    if !cancel.is_cancelled() && !gone.is_empty() {
        store.remove_documents(name, &gone).await?;
        report.removed = gone.len() as u64;
    }
    report.interrupted = cancel.is_cancelled();
    report.skipped = progress.snapshot().skipped.to_vec();
    let left = if job.shard.is_none() { store.collection(name).await? } else { None };
    (report.held_documents, report.held_passages) =
        left.map_or((report.documents, report.passages), |info| (info.documents, info.passages));
    report.seconds = start.elapsed().saturating_sub(pause.total()).as_secs_f64();
    let embedded = progress.snapshot().chunks_done;
    report.passages_per_s = if report.seconds > 0.0 { embedded as f64 / report.seconds } else { 0.0 };
    progress.set_stage(Stage::Done);
    Ok(report)
}

/// Why the documents of a source are kept in which none are found any more, or that is not there itself.
fn emptied(source: &SourceSpec, collection: &str) -> Skip {
    let place = source::shown_location(&source.location);
    let reason = format!(
        "nothing is left of what was there, so its documents stay; hint: if they are gone for good, index the whole collection anew, in the list of collections or by `askdocs ingest --force --collection {collection}`"
    );
    Skip { document: place.clone(), reason, location: place }
}

/// Runs the stages side by side: a thread reads and chunks, this task gathers and embeds, another stores. Returns the
/// names of documents that are in the index but hold no text any more.
async fn run(
    job: &IngestJob,
    plan: Plan,
    progress: &Arc<Progress>,
    pause: &Arc<Pause>,
    cancel: &CancellationToken,
    report: &mut IngestReport,
) -> Result<Vec<String>, RagError> {
    let (to_embed, mut prepared) = mpsc::channel::<Indexed>(QUEUE);
    let (to_store, finished) = mpsc::channel::<Indexed>(QUEUE);
    let (unchanged_to_store, touched) = mpsc::channel::<DocumentRecord>(QUEUE);
    let reader = {
        let (progress, pause, cancel) = (Arc::clone(progress), Arc::clone(pause), cancel.clone());
        let embedder = job.embedder.clone();
        tokio::task::spawn_blocking(move || {
            read_all(plan, embedder.as_deref(), &progress, &pause, &cancel, &to_embed, &unchanged_to_store)
        })
    };
    // Owns its channel ends: the storing side ends when the last sender is gone, the reader when its receiver is.
    let embedding = async move {
        let mut group: Vec<Indexed> = Vec::new();
        while !cancel.is_cancelled() {
            // Waits only when there is nothing in hand, so that a slow reader never holds back what is ready.
            let next = if group.is_empty() { prepared.recv().await } else { prepared.try_recv().ok() };
            match next {
                Some(document) => group.push(document),
                None if group.is_empty() => break,
                None => flush(job, progress, pause, &mut group, &to_store, cancel).await?,
            }
            if group.iter().map(|document| document.chunks.len()).sum::<usize>() >= GROUP {
                flush(job, progress, pause, &mut group, &to_store, cancel).await?;
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
    pause: &Pause,
    cancel: &CancellationToken,
    to_embed: &mpsc::Sender<Indexed>,
    touched: &mpsc::Sender<DocumentRecord>,
) -> (u64, u64, Vec<String>) {
    let (mut unchanged, mut unchanged_passages, mut textless) = (0, 0, Vec::new());
    let count = |text: &str| match embedder {
        Some(embedder) => embedder.count_tokens(text),
        None => (text.split_whitespace().count() as f32 * TOKENS_PER_WORD) as usize,
    };
    for Planned { entry, source, chunker, record } in plan.entries {
        pause.pass_blocking(cancel);
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
            progress.document_unchanged(entry.size);
            continue;
        }
        let document = match entry.read(&chunker) {
            Ok(document) => document,
            Err(unread) => {
                let (document, location) = (entry.name.clone(), entry.location.clone());
                progress.document_skipped(Skip { document, reason: unread.to_string(), location }, entry.size);
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
            progress.document_unchanged(new.size);
            new.embedded = record.embedded;
            if touched.blocking_send(new).is_err() {
                break;
            }
            continue;
        }
        let chunks = source::chunk(&new.name, &document.text, &chunker, &count);
        new.passages = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        progress.document_read(new.size, chunks.len() as u64);
        if to_embed.blocking_send(Indexed { record: new, chunks, vectors: None }).is_err() {
            break;
        }
    }
    (unchanged, unchanged_passages, textless)
}

/// Embeds the documents in hand, longest chunk first, and hands them on. On a cancel, those not embedded are let go.
async fn flush(
    job: &IngestJob,
    progress: &Progress,
    pause: &Pause,
    group: &mut Vec<Indexed>,
    to_store: &mpsc::Sender<Indexed>,
    cancel: &CancellationToken,
) -> Result<(), RagError> {
    pause.pass(cancel).await;
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
            pause.pass(cancel).await;
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
    mut finished: mpsc::Receiver<Indexed>,
    mut touched: mpsc::Receiver<DocumentRecord>,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<(u64, u64), RagError> {
    let (mut documents, mut passages) = (0, 0);
    loop {
        tokio::select! {
            Some(record) = touched.recv() => job.store.touch_document(&job.collection, &record).await?,
            document = finished.recv() => {
                let Some(document) = document else { break };
                // What is ready by now goes along: one call to the store costs more than one document in it.
                let mut batch = vec![document];
                let mut chunks = 0;
                while let Some(document) = batch.last()
                    && chunks + document.chunks.len() < STORED_AT_ONCE
                {
                    chunks += document.chunks.len();
                    match finished.try_recv() {
                        Ok(document) => batch.push(document),
                        Err(_) => break,
                    }
                }
                if cancel.is_cancelled() {
                    continue;
                }
                batch.retain(|document| match job.store.check_fit(document) {
                    Ok(()) => true,
                    Err(error) => {
                        let (document, location) = (document.record.name.clone(), document.record.location.clone());
                        progress.skip(Skip { document, reason: error.to_string(), location });
                        progress.document_done();
                        false
                    }
                });
                let counts: Vec<(u64, bool)> =
                    batch.iter().map(|document| (document.chunks.len() as u64, document.vectors.is_some())).collect();
                job.store.replace_documents(&job.collection, batch).await?;
                for (chunks, embedded) in counts {
                    documents += 1;
                    passages += chunks;
                    if !embedded {
                        progress.add_chunks_done(chunks);
                    }
                    progress.add_chunks_stored(chunks);
                    progress.document_done();
                }
            }
        }
    }
    while let Some(record) = touched.recv().await {
        job.store.touch_document(&job.collection, &record).await?;
    }
    Ok((documents, passages))
}
