use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    Effects, Model, Opened, Shared, Watched, contained,
    runs::{self, Running},
};
use crate::{
    app::Event,
    domain::{CollectionInfo, IngestReport, IngestRun, JobId, Progress, SourceSpec},
    rag::{self, IngestJob, Pause, RagError},
    store::VectorStore,
};

/// How often a collection is looked at that is being filled: its counts are shown, and stores may take long to count.
const COUNT_EVERY: Duration = Duration::from_secs(2);

/// What an ingest is watched and held by.
#[derive(Clone)]
struct Reins {
    progress: Arc<Progress>,
    pause: Arc<Pause>,
    cancel: CancellationToken,
}

impl Effects {
    pub(super) fn start_ingest(&mut self, job: JobId, collection: String, sources: Vec<SourceSpec>, force: bool) {
        let watched = Watched::new(&self.shared.cancel);
        let reins = Reins {
            progress: Arc::clone(&watched.progress),
            pause: Arc::clone(&watched.pause),
            cancel: watched.cancel.clone(),
        };
        self.job = Some((job, watched));
        let started = tokio::time::Instant::now();
        self.spawn(async move |shared| {
            let running = shared.note_begin(collection.clone()).await;
            let result = contained(shared.index(collection.clone(), sources, force, &reins)).await;
            // From here on there is nothing to sample.
            reins.cancel.cancel();
            let seconds = started.elapsed().saturating_sub(reins.pause.total()).as_secs_f64();
            let (result, left) = match result {
                Ok((report, left)) => (Ok(report), left.map(Arc::new)),
                Err(error) => (Err(error.to_string()), None),
            };
            let run = IngestRun::new((shared.now)(), collection, &result, seconds);
            shared.send(Event::IngestFinished { job, result, collection: left }).await;
            shared.send_runs(Some(run)).await;
            running.into_iter().for_each(Running::end);
        });
    }

    /// The ingest, if it is this one that runs.
    pub(super) fn running(&mut self, job: JobId) -> Option<&mut Watched> {
        self.job.as_mut().filter(|(running, _)| *running == job).map(|(_, watched)| watched)
    }
}

impl Shared {
    /// Notes that an ingest begins, in case that the program is killed meanwhile.
    async fn note_begin(&self, collection: String) -> Option<Running> {
        let (file, now) = (self.runs_file.clone(), (self.now)());
        let noted = tokio::task::spawn_blocking(move || runs::begin(&file, now, collection)).await.ok()?;
        noted.inspect_err(|error| tracing::warn!("that an ingest begins was not noted: {error}")).ok()
    }

    /// Keeps a run that has ended, or at the start those that were cut off, and tells all that are known.
    pub(super) async fn send_runs(&self, ended: Option<IngestRun>) {
        let file = self.runs_file.clone();
        let known = tokio::task::spawn_blocking(move || {
            let kept = ended.map_or_else(|| runs::remember_cut_off(&file), |run| runs::remember(&file, &run));
            if let Err(error) = kept {
                tracing::warn!("the ingest was not kept in the list of past runs: {error}");
            }
            runs::load(&file)
        });
        if let Ok(runs) = known.await {
            self.send(Event::PastRuns(runs)).await;
        }
    }

    /// Indexes the sources, or where there are none whatever the collection was made from.
    async fn index(
        &self,
        collection: String,
        mut sources: Vec<SourceSpec>,
        force: bool,
        reins: &Reins,
    ) -> Result<(IngestReport, Option<CollectionInfo>), RagError> {
        let Opened { store, keeps_handbook, .. } = self.opened().await?;
        let is_handbook = keeps_handbook && collection == CollectionInfo::HANDBOOK && sources.is_empty();
        if is_handbook {
            sources.push(SourceSpec::handbook());
        }
        let mut job = IngestJob {
            store: Arc::clone(&store),
            embedder: None,
            collection: collection.clone(),
            sources,
            force,
            shard: None,
        };
        let empty = store.collection(&collection).await?.is_none_or(|info| info.passages == 0);
        if is_handbook && empty && matches!(*self.model.borrow(), Model::Pending) {
            // The handbook is small: it answers by keywords within a moment, while the model is still on its way.
            rag::ingest(&job, &Arc::default(), &reins.pause, &reins.cancel).await?;
            if let Some(info) = store.collection(&collection).await? {
                self.send(Event::CollectionChanged(Arc::new(info))).await;
            }
        }
        // Stopped before anything was done: what the collection holds is as it was.
        let stopped = async || {
            let left = store.collection(&collection).await?;
            let (documents, passages) = left.as_ref().map_or((0, 0), |info| (info.documents, info.passages));
            let (held_documents, held_passages) = (documents, passages);
            let report = IngestReport {
                documents,
                passages,
                held_documents,
                held_passages,
                interrupted: true,
                ..IngestReport::default()
            };
            Ok((report, left))
        };
        let Some(model) = reins.cancel.run_until_cancelled(self.model(None)).await else {
            return stopped().await;
        };
        job.embedder = match model {
            Model::Ready(embedder) => Some(embedder),
            Model::Missing | Model::Pending => None,
        };
        let report = tokio::select! {
            report = rag::ingest(&job, &reins.progress, &reins.pause, &reins.cancel) => match report {
                Err(RagError::Interrupted) => return stopped().await,
                report => report?,
            },
            never = self.follow(store.as_ref(), &collection, reins) => match never {},
        };
        Ok((report, store.collection(&collection).await?))
    }

    /// Tells now and then what a collection holds that is being filled.
    async fn follow(&self, store: &dyn VectorStore, collection: &str, reins: &Reins) -> Infallible {
        let mut told = 0;
        loop {
            sleep(COUNT_EVERY).await;
            reins.pause.pass(&reins.cancel).await;
            let stored = reins.progress.chunks_stored();
            if stored == told {
                continue;
            }
            told = stored;
            match store.collection(collection).await {
                Ok(Some(info)) => self.send(Event::CollectionChanged(Arc::new(info))).await,
                Ok(None) => {}
                // The ingest itself says what is wrong.
                Err(error) => tracing::debug!(%error, "the collection could not be counted"),
            }
        }
    }
}
