use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
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
    chunks_total: AtomicU64,
    chunks_done: AtomicU64,
    /// What is in hand: a document's or a file's name.
    current: Mutex<String>,
    skipped: Mutex<Vec<Skip>>,
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
    /// Chunks cut so far, and of those: embedded.
    pub chunks_total: u64,
    pub chunks_done: u64,
    pub current: String,
    pub skipped: Vec<Skip>,
}

impl ProgressSnapshot {
    /// Time left at the pace so far. Chunks count, since a document may have one or a thousand; those of documents not
    /// read yet are taken to be as many as in those read. `None` before there is a pace.
    pub fn time_left(&self, elapsed: Duration) -> Option<Duration> {
        let (done, total) = match self.stage {
            Stage::Downloading => (self.bytes_done as f64, self.bytes_total as f64),
            Stage::Indexing => {
                let to_read = self.documents_total.saturating_sub(self.documents_unchanged);
                let read = self.documents_read.max(1) as f64;
                (self.chunks_done as f64, self.chunks_total as f64 * (to_read as f64 / read).max(1.0))
            }
            Stage::Starting | Stage::Preparing | Stage::Scanning | Stage::Done => return None,
        };
        (done > 0.0 && total > done).then(|| elapsed.mul_f64((total - done) / done))
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

    pub fn add_documents_total(&self, n: u64) {
        self.documents_total.fetch_add(n, Ordering::Relaxed);
    }

    pub fn document_done(&self) {
        self.documents_done.fetch_add(1, Ordering::Relaxed);
    }

    pub fn document_unchanged(&self) {
        self.documents_unchanged.fetch_add(1, Ordering::Relaxed);
        self.document_done();
    }

    /// A document was cut into `chunks`.
    pub fn document_read(&self, chunks: u64) {
        self.documents_read.fetch_add(1, Ordering::Relaxed);
        self.chunks_total.fetch_add(chunks, Ordering::Relaxed);
    }

    pub fn add_chunks_done(&self, n: u64) {
        self.chunks_done.fetch_add(n, Ordering::Relaxed);
    }

    pub fn skip(&self, document: impl Into<String>, reason: impl Into<String>) {
        let skip = Skip { document: document.into(), reason: reason.into() };
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner).push(skip);
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
            chunks_total: get(&self.chunks_total),
            chunks_done: get(&self.chunks_done),
            current: self.current.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            skipped: self.skipped.lock().unwrap_or_else(PoisonError::into_inner).clone(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_goes_by_chunks() {
        let progress = Progress::default();
        progress.set_stage(Stage::Indexing);
        progress.add_documents_total(5);
        progress.document_unchanged();
        let left = |seconds| progress.snapshot().time_left(Duration::from_secs(seconds));
        assert_eq!(left(1), None, "no pace yet");
        progress.document_read(10);
        progress.document_read(30);
        progress.add_chunks_done(20);
        // 40 chunks in 2 of the 4 documents that need work: 80 in all, 20 of them in 5 s.
        assert_eq!(left(5), Some(Duration::from_secs(15)));
    }
}
