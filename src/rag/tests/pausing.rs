//! A pause in the middle of an ingest. Time is paused: it jumps on only when nothing is left to do, so a timeout means
//! that the work really rests.

use std::{
    sync::{Mutex, mpsc},
    time::Duration,
};

use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};

use super::*;
use crate::domain::ProgressSnapshot;

const LONG: Duration = Duration::from_secs(3600);

/// Says when it has a batch and embeds it when it is told to.
struct Gated {
    letters: Letters,
    begun: UnboundedSender<usize>,
    gate: Mutex<mpsc::Receiver<()>>,
}

impl Embedder for Gated {
    fn fingerprint(&self) -> &Fingerprint {
        self.letters.fingerprint()
    }
    fn count_tokens(&self, text: &str) -> usize {
        self.letters.count_tokens(text)
    }
    fn embed(&self, role: Role, texts: &[&str]) -> Result<Vec<Vector>, EmbedError> {
        self.begun.send(texts.len()).unwrap();
        self.gate.lock().unwrap().recv().unwrap();
        self.letters.embed(role, texts)
    }
}

/// An ingest of one document in four batches, and what holds it.
struct Paused {
    progress: Arc<Progress>,
    pause: Arc<Pause>,
    cancel: CancellationToken,
    begun: UnboundedReceiver<usize>,
    open: mpsc::Sender<()>,
    work: tokio::task::JoinHandle<Result<IngestReport, RagError>>,
    store: Arc<dyn VectorStore>,
    _home: tempfile::TempDir,
}

impl Paused {
    /// Runs up to the second batch and pauses there.
    async fn in_the_second_batch() -> Self {
        let home = tempfile::tempdir().unwrap();
        let text: String = (0..64).map(|part| format!("## Part {part}\n\n{}\n\n", "word ".repeat(300))).collect();
        write(home.path(), "kb/long.md", &text);
        let store = open(&home.path().join("store"));
        let ((begun, mut has_begun), (opener, gate)) = (unbounded_channel(), mpsc::channel());
        let job = IngestJob {
            store: Arc::clone(&store),
            embedder: Some(Arc::new(Gated { letters: Letters(fingerprint("own")), begun, gate: Mutex::new(gate) })),
            collection: COLLECTION.into(),
            sources: vec![source(&home.path().join("kb"))],
            force: false,
            shard: None,
        };
        let (progress, pause, cancel) = (Arc::<Progress>::default(), Arc::<Pause>::default(), CancellationToken::new());
        let work = {
            let (progress, pause, cancel) = (Arc::clone(&progress), Arc::clone(&pause), cancel.clone());
            tokio::spawn(async move { ingest(&job, &progress, &pause, &cancel).await })
        };
        has_begun.recv().await.unwrap();
        opener.send(()).unwrap();
        has_begun.recv().await.unwrap();
        pause.set(true);
        opener.send(()).unwrap();
        Self { progress, pause, cancel, begun: has_begun, open: opener, work, store, _home: home }
    }

    /// Waits until nothing moves; returns how things stand then.
    async fn rests(&mut self) -> ProgressSnapshot {
        let next = timeout(LONG, self.begun.recv()).await;
        assert!(next.is_err(), "a batch was begun: {next:?}");
        self.progress.snapshot()
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_the_next_batch_and_takes_no_time() {
    let mut paused = Paused::in_the_second_batch().await;
    let resting = paused.rests().await;
    assert!(resting.chunks_done > 0 && resting.chunks_done < resting.chunks_total, "{resting:?}");
    assert_eq!((resting.chunks_stored, resting.documents_done), (0, 0));
    paused.pause.set(false);
    for _ in 0..100 {
        // The gate stays open from here on.
        paused.open.send(()).unwrap();
    }
    let report = paused.work.await.unwrap().unwrap();
    assert_eq!((report.documents, report.interrupted), (1, false));
    assert_eq!(paused.pause.total(), LONG);
    assert!(report.seconds < LONG.as_secs_f64() / 2.0, "{} s, so the pause counted", report.seconds);
    assert_eq!(paused.progress.snapshot().chunks_stored, report.passages);
}

#[tokio::test(start_paused = true)]
async fn a_paused_ingest_can_be_cancelled() {
    let mut paused = Paused::in_the_second_batch().await;
    paused.rests().await;
    paused.cancel.cancel();
    let report = timeout(LONG, paused.work).await.unwrap().unwrap().unwrap();
    assert!(report.interrupted && report.passages == 0, "{report:?}");
    assert!(paused.store.documents(COLLECTION).await.unwrap().is_empty(), "a document is there whole or not at all");
}
