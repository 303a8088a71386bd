use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU8, AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};

/// Numbers the ingests of one run of the program, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// What long work is doing right now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    #[default]
    Starting,
    /// Getting a file: a model, a library, an archive. Counts bytes.
    Downloading,
    /// Making the model ready: writing its graph, loading it.
    Preparing,
    /// Looking for documents.
    Scanning,
    /// Reading, chunking, embedding and storing documents.
    Indexing,
    Done,
}

impl Stage {
    const ALL: [Self; 6] =
        [Self::Starting, Self::Downloading, Self::Preparing, Self::Scanning, Self::Indexing, Self::Done];

    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Downloading => "downloading",
            Self::Preparing => "preparing the model",
            Self::Scanning => "looking for documents",
            Self::Indexing => "indexing",
            Self::Done => "done",
        }
    }
}

/// Something that was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    pub document: String,
    pub reason: String,
    /// Where it lies: an absolute path, a URL, or an archive's and the path inside. For people, not for scripts.
    #[serde(skip)]
    pub location: String,
}

/// The state of long work, written by whoever does it and read by whoever shows it, without either waiting: the
/// counters are atomic, the two texts sit behind short locks. Work takes `&Progress`; no event is sent per step.
#[derive(Debug, Default)]
pub struct Progress {
    stage: AtomicU8,
    bytes_done: AtomicU64,
    bytes_total: AtomicU64,
    documents_total: AtomicU64,
    documents_done: AtomicU64,
    documents_unchanged: AtomicU64,
    documents_read: AtomicU64,
    documents_passed: AtomicU64,
    size_total: AtomicU64,
    size_settled: AtomicU64,
    size_read: AtomicU64,
    chunks_total: AtomicU64,
    chunks_done: AtomicU64,
    chunks_stored: AtomicU64,
    /// What is in hand: a document's or a file's name.
    current: Mutex<String>,
    skipped: Mutex<Arc<Vec<Skip>>>,
}

/// [`Progress`] at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgressSnapshot {
    pub stage: Stage,
    /// Bytes got and to get, while downloading; a total of 0 means that it is not known.
    pub bytes_done: u64,
    pub bytes_total: u64,
    /// Documents found, and of those: looked at, and found unchanged.
    pub documents_total: u64,
    pub documents_done: u64,
    pub documents_unchanged: u64,
    /// Documents that were cut into chunks so far.
    pub documents_read: u64,
    /// Documents that needed no work or could not be read.
    pub documents_passed: u64,
    /// Bytes of the documents found, and of those: in documents that need no work, and in those cut into chunks.
    pub size_total: u64,
    pub size_settled: u64,
    pub size_read: u64,
    /// Chunks cut so far, and of those: embedded, and committed to the store.
    pub chunks_total: u64,
    pub chunks_done: u64,
    pub chunks_stored: u64,
    pub current: String,
    pub skipped: Arc<Vec<Skip>>,
}

impl ProgressSnapshot {
    /// Documents that were read or needed no reading.
    pub fn documents_looked_at(&self) -> u64 {
        self.documents_read + self.documents_passed
    }

    /// What is done of the work, and what is left, in bytes while downloading and in chunks while indexing. Documents
    /// not read yet are taken to have as many chunks to a byte as those read. `None` where that is not known.
    pub fn work(&self) -> Option<(f64, f64)> {
        match self.stage {
            Stage::Downloading if self.bytes_total > 0 => {
                Some((self.bytes_done as f64, self.bytes_total.saturating_sub(self.bytes_done) as f64))
            }
            Stage::Indexing if self.size_read > 0 => {
                let unread = self.size_total.saturating_sub(self.size_settled + self.size_read) as f64;
                let expected = unread * self.chunks_total as f64 / self.size_read as f64;
                Some((self.chunks_done as f64, self.chunks_total.saturating_sub(self.chunks_done) as f64 + expected))
            }
            Stage::Starting
            | Stage::Downloading
            | Stage::Preparing
            | Stage::Scanning
            | Stage::Indexing
            | Stage::Done => None,
        }
    }

    /// The part of the work that is done, 0 to 1. While indexing, documents count by their bytes, and those that were
    /// read by the part of their chunks that is embedded.
    pub fn part(&self) -> f64 {
        let part = |done: f64, total: u64| if total > 0 { done / total as f64 } else { 0.0 };
        match self.stage {
            Stage::Starting | Stage::Preparing | Stage::Scanning => 0.0,
            Stage::Done => 1.0,
            Stage::Downloading => part(self.bytes_done as f64, self.bytes_total),
            Stage::Indexing => {
                let read = self.size_read as f64 * part(self.chunks_done as f64, self.chunks_total);
                part(self.size_settled as f64 + read, self.size_total)
            }
        }
    }
}

impl Progress {
    pub fn set_stage(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    /// Starts counting the bytes of one download.
    pub fn start_bytes(&self, total: u64) {
        self.bytes_done.store(0, Ordering::Relaxed);
        self.bytes_total.store(total, Ordering::Relaxed);
        self.set_stage(Stage::Downloading);
    }

    pub fn set_bytes(&self, done: u64) {
        self.bytes_done.store(done, Ordering::Relaxed);
    }

    pub fn set_current(&self, name: &str) {
        name.clone_into(&mut self.current.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Documents of so many bytes were found.
    pub fn add_documents_total(&self, n: u64, size: u64) {
        self.documents_total.fetch_add(n, Ordering::Relaxed);
        self.size_total.fetch_add(size, Ordering::Relaxed);
    }

    pub fn document_done(&self) {
        self.documents_done.fetch_add(1, Ordering::Relaxed);
    }

    pub fn document_unchanged(&self, size: u64) {
        self.documents_unchanged.fetch_add(1, Ordering::Relaxed);
        self.documents_passed.fetch_add(1, Ordering::Relaxed);
        self.size_settled.fetch_add(size, Ordering::Relaxed);
        self.document_done();
    }

    /// A document of `size` bytes was cut into `chunks`.
    pub fn document_read(&self, size: u64, chunks: u64) {
        self.documents_read.fetch_add(1, Ordering::Relaxed);
        self.size_read.fetch_add(size, Ordering::Relaxed);
        self.chunks_total.fetch_add(chunks, Ordering::Relaxed);
    }

    pub fn add_chunks_done(&self, n: u64) {
        self.chunks_done.fetch_add(n, Ordering::Relaxed);
    }

    pub fn add_chunks_stored(&self, n: u64) {
        self.chunks_stored.fetch_add(n, Ordering::Relaxed);
    }

    /// How many chunks are committed so far.
    pub fn chunks_stored(&self) -> u64 {
        self.chunks_stored.load(Ordering::Relaxed)
    }

    /// A document of `size` bytes that was found can't be read.
    pub fn document_skipped(&self, skip: Skip, size: u64) {
        self.documents_passed.fetch_add(1, Ordering::Relaxed);
        self.size_settled.fetch_add(size, Ordering::Relaxed);
        self.document_done();
        self.skip(skip);
    }

    /// Something that was asked for can't be had.
    pub fn skip(&self, skip: Skip) {
        Arc::make_mut(&mut self.skipped.lock().unwrap_or_else(PoisonError::into_inner)).push(skip);
    }

    pub fn snapshot(&self) -> ProgressSnapshot {
        let stage = self.stage.load(Ordering::Relaxed);
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ProgressSnapshot {
            stage: Stage::ALL.into_iter().find(|s| *s as u8 == stage).unwrap_or_default(),
            bytes_done: get(&self.bytes_done),
            bytes_total: get(&self.bytes_total),
            documents_total: get(&self.documents_total),
            documents_done: get(&self.documents_done),
            documents_unchanged: get(&self.documents_unchanged),
            documents_read: get(&self.documents_read),
            documents_passed: get(&self.documents_passed),
            size_total: get(&self.size_total),
            size_settled: get(&self.size_settled),
            size_read: get(&self.size_read),
            chunks_total: get(&self.chunks_total),
            chunks_done: get(&self.chunks_done),
            chunks_stored: get(&self.chunks_stored),
            current: self.current.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            skipped: Arc::clone(&self.skipped.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

/// What an ingest did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IngestReport {
    /// Documents found that are in the index now.
    pub documents: u64,
    /// Their chunks.
    pub passages: u64,
    /// All that the collection holds after it, also of sources that could not be looked at. For people, not for scripts.
    #[serde(skip)]
    pub held_documents: u64,
    #[serde(skip)]
    pub held_passages: u64,
    /// Documents that were in the index as they are.
    pub unchanged: u64,
    /// Documents taken out, since their source holds them no more.
    pub removed: u64,
    pub skipped: Vec<Skip>,
    /// Files passed over because they are of a kind that holds no prose, such as pictures.
    pub ignored: u64,
    pub seconds: f64,
    /// Chunks embedded and stored per second.
    pub passages_per_s: f64,
    /// Cancelled before the end; what was done is kept and the next run goes on from there.
    pub interrupted: bool,
}

/// An ingest that has ended, as it is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IngestRun {
    /// When it ended, in the local time of then: `2026-01-31T17:05:00+01:00`. Where it was cut off, when it began.
    pub ended: String,
    pub collection: String,
    /// In the collection after it.
    pub documents: u64,
    pub passages: u64,
    pub skipped: u64,
    /// The first of what was skipped, at most [`IngestRun::MOST_SKIPS`].
    #[serde(default)]
    pub skips: Vec<Skip>,
    /// Pauses left out.
    pub seconds: f64,
    pub passages_per_s: f64,
    pub outcome: RunOutcome,
}

/// How an ingest ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunOutcome {
    Done,
    /// Cancelled; what was done is kept.
    Stopped,
    /// The text says why.
    Failed(String),
    /// Its program was killed meanwhile; what was stored by then is kept.
    CutOff,
}

impl IngestRun {
    /// Most documents that are remembered with why they were skipped.
    pub const MOST_SKIPS: usize = 50;

    /// `seconds` is how long a run took that gave no report.
    pub fn new(ended: String, collection: String, result: &Result<IngestReport, String>, seconds: f64) -> Self {
        match result {
            Ok(report) => Self {
                ended,
                collection,
                documents: report.held_documents,
                passages: report.held_passages,
                skipped: report.skipped.len() as u64,
                skips: report.skipped.iter().take(Self::MOST_SKIPS).cloned().collect(),
                seconds: report.seconds,
                passages_per_s: report.passages_per_s,
                outcome: if report.interrupted { RunOutcome::Stopped } else { RunOutcome::Done },
            },
            Err(reason) => {
                Self { seconds, outcome: RunOutcome::Failed(reason.clone()), ..Self::cut_off(ended, collection) }
            }
        }
    }

    /// What is known of a run that has only begun.
    pub fn cut_off(began: String, collection: String) -> Self {
        Self {
            ended: began,
            collection,
            documents: 0,
            passages: 0,
            skipped: 0,
            skips: Vec::new(),
            seconds: 0.0,
            passages_per_s: 0.0,
            outcome: RunOutcome::CutOff,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_left_goes_by_chunks_and_those_to_come_by_bytes() {
        let progress = Progress::default();
        progress.set_stage(Stage::Indexing);
        progress.add_documents_total(4, 1_000);
        progress.document_unchanged(200);
        assert_eq!(progress.snapshot().work(), None, "nothing was read yet");
        progress.document_read(400, 40);
        progress.add_chunks_done(10);
        // 400 of the 800 bytes that need work gave 40 chunks: 80 in all.
        assert_eq!(progress.snapshot().work(), Some((10.0, 70.0)));
        assert!((progress.snapshot().part() - 0.3).abs() < 1e-9);
        progress.document_skipped(Skip { document: "x".into(), reason: "empty".into(), location: "/x".into() }, 400);
        assert_eq!(progress.snapshot().work(), Some((10.0, 30.0)));
        assert!((progress.snapshot().part() - 0.7).abs() < 1e-9);
    }
}
