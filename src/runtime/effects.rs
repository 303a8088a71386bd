mod collections;
mod paths;

use std::{any::Any, panic::AssertUnwindSafe, path::PathBuf, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Setup, clipboard::Clipboard, drafts, export, history};
use crate::{
    app::{Copied, Effect, Event},
    chat::ChatModel,
    domain::{
        Candidate, Chunk, ChunkId, Chunker, CollectionInfo, IngestReport, JobId, Progress, ProgressSnapshot,
        SearchSettings, SourceSpec, TurnId,
    },
    embed::Embedder,
    rag::{self, Ask, AskEvent, IngestJob, RagError, Templates},
    store::VectorStore,
    text::one_line,
};

/// How long a question waits for the model before keyword search answers alone: enough for loading, not for a download.
const MODEL_PATIENCE: Duration = Duration::from_secs(3);
/// How long quitting waits for tasks that were told to end.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Gets and loads the embedding model.
pub type Preparing = Arc<
    dyn Fn(Arc<Progress>, CancellationToken) -> BoxFuture<'static, anyhow::Result<Arc<dyn Embedder>>> + Send + Sync,
>;

/// Opens the store and names the collection to show.
pub type Opening = Box<dyn Fn() -> BoxFuture<'static, anyhow::Result<Opened>> + Send + Sync>;

/// An open store, and which of its collections to show.
#[derive(Clone)]
pub struct Opened {
    pub store: Arc<dyn VectorStore>,
    pub collection: String,
    /// The store is one that the handbook is indexed into by itself.
    pub keeps_handbook: bool,
}

/// Where the embedding model stands.
#[derive(Clone)]
enum Model {
    Pending,
    Ready(Arc<dyn Embedder>),
    Missing,
}

/// Work whose progress is sampled.
struct Watched {
    progress: Arc<Progress>,
    last: ProgressSnapshot,
    /// When the stage of `last` began, as far as samples can tell.
    started: Instant,
    cancel: CancellationToken,
}

impl Watched {
    fn new(parent: &CancellationToken) -> Self {
        Self {
            progress: Arc::default(),
            last: ProgressSnapshot::default(),
            started: Instant::now(),
            cancel: parent.child_token(),
        }
    }

    /// The progress now, and how long its stage has been going on: a pace counts from where its counter does. Going
    /// back from indexing to scan the next source begins nothing anew, since documents are counted over all of them.
    fn sample(&mut self) -> (ProgressSnapshot, Duration) {
        let now = self.progress.snapshot();
        if now.stage as u8 > self.last.stage as u8 || now.bytes_done < self.last.bytes_done {
            self.started = Instant::now();
            self.last.stage = now.stage;
        }
        self.last.bytes_done = now.bytes_done;
        (now, self.started.elapsed())
    }
}

/// Carries out effects as tasks; all of them end with [`Effects::stop`].
pub struct Effects {
    shared: Arc<Shared>,
    turn: Option<(TurnId, CancellationToken)>,
    job: Option<(JobId, Watched)>,
    model: Option<Watched>,
    /// Ends the reading of rows that is under way.
    browsing: CancellationToken,
    /// Ends the search with other settings that is under way.
    retrieving: CancellationToken,
}

/// What tasks need.
struct Shared {
    events: mpsc::Sender<Event>,
    tasks: TaskTracker,
    cancel: CancellationToken,
    opened: watch::Sender<Option<Opened>>,
    model: watch::Sender<Model>,
    open: Opening,
    prepare_model: Preparing,
    /// How documents of a new collection are cut.
    chunker: Chunker,
    chat: Option<Arc<dyn ChatModel>>,
    templates: Templates,
    history_file: PathBuf,
    draft_file: PathBuf,
    clipboard: Clipboard,
}

impl Effects {
    /// Begins what the application needs from the start: the store, the model, and the handbook's index.
    pub fn start(setup: Setup, events: mpsc::Sender<Event>) -> Self {
        let label = setup.chat.as_ref().map(|chat| chat.label());
        let shared = Arc::new(Shared {
            events,
            tasks: TaskTracker::new(),
            cancel: CancellationToken::new(),
            opened: watch::Sender::new(None),
            model: watch::Sender::new(Model::Pending),
            open: setup.open,
            prepare_model: setup.prepare_model,
            chunker: setup.chunker,
            chat: setup.chat,
            templates: setup.templates,
            history_file: setup.history_file,
            draft_file: setup.draft_file,
            clipboard: Clipboard::new(setup.clipboard),
        });
        let browsing = CancellationToken::new();
        let mut effects = Self {
            shared: Arc::clone(&shared),
            turn: None,
            job: None,
            model: None,
            browsing,
            retrieving: CancellationToken::new(),
        };
        let note = setup.chat_note;
        effects.spawn(async move |shared| {
            shared.send(Event::ChatModel { label, note }).await;
            let (asked, draft) = (shared.history_file.clone(), shared.draft_file.clone());
            let kept = tokio::task::spawn_blocking(move || (history::load(&asked), drafts::load(&draft)));
            if let Ok((questions, draft)) = kept.await {
                shared.send(Event::History(questions)).await;
                if !draft.is_empty() {
                    shared.send(Event::Draft(draft)).await;
                }
            }
            shared.open().await;
        });
        effects.prepare_model();
        effects
    }

    /// Whether there is anything to sample.
    pub fn has_work(&self) -> bool {
        self.job.as_ref().map(|(_, watched)| watched).into_iter().chain(&self.model).any(|w| !w.cancel.is_cancelled())
    }

    /// The progress of what is running.
    pub fn sample(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.model.take_if(|watched| watched.cancel.is_cancelled());
        if let Some(watched) = &mut self.model {
            let (snapshot, elapsed) = watched.sample();
            events.push(Event::ModelProgress { snapshot, elapsed });
        }
        if let Some((job, watched)) = &mut self.job
            && !watched.cancel.is_cancelled()
        {
            let (snapshot, elapsed) = watched.sample();
            events.push(Event::IngestProgress { job: *job, snapshot, elapsed });
        }
        events
    }

    pub fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Ask { turn, collection, question, settings } => {
                let cancel = self.shared.cancel.child_token();
                self.turn = Some((turn, cancel.clone()));
                self.spawn(async move |shared| {
                    let asked = contained(shared.ask(turn, collection, &question, settings));
                    if let Some(Err(error)) = cancel.run_until_cancelled(asked).await {
                        shared.send(Event::TurnFailed { turn, message: error.to_string() }).await;
                    }
                });
            }
            Effect::CancelTurn(turn) => {
                if let Some((_, cancel)) = self.turn.take_if(|(running, _)| *running == turn) {
                    cancel.cancel();
                }
            }
            Effect::Retrieve { request, collection, question, settings } => {
                self.retrieving.cancel();
                self.retrieving = self.shared.cancel.child_token();
                self.answer(&self.retrieving, async move |shared| {
                    let found = contained(shared.retrieve(&collection, &question, &settings)).await;
                    Event::RetrievedAgain { request, result: found.map_err(|error| error.to_string()) }
                });
            }
            Effect::Export { json } => self.answer(&self.shared.cancel, async move |shared| {
                let folder = shared.history_file.with_file_name("exports");
                let written = tokio::task::spawn_blocking(move || export::write(&folder, &json)).await;
                Event::Notice(match written {
                    Ok(Ok(file)) => format!("written to {}", file.display()),
                    Ok(Err(error)) => format!("the turn could not be written: {error}"),
                    Err(error) => format!("the turn could not be written: {error}"),
                })
            }),
            Effect::StartIngest { job, collection, sources, force } => {
                let watched = Watched::new(&self.shared.cancel);
                let (progress, cancel) = (Arc::clone(&watched.progress), watched.cancel.clone());
                self.job = Some((job, watched));
                self.spawn(async move |shared| {
                    let result = contained(shared.index(collection, sources, force, &progress, &cancel)).await;
                    // From here on there is nothing to sample.
                    cancel.cancel();
                    let (result, collection) = match result {
                        Ok((report, collection)) => (Ok(report), collection.map(Arc::new)),
                        Err(error) => (Err(error.to_string()), None),
                    };
                    shared.send(Event::IngestFinished { job, result, collection }).await;
                });
            }
            Effect::CancelIngest(job) => {
                if let Some((running, watched)) = &self.job
                    && *running == job
                {
                    watched.cancel.cancel();
                }
            }
            Effect::LoadNeighbours { collection, id } => self.spawn(async move |shared| {
                if let Some(chunks) = shared.neighbours(&collection, id).await {
                    shared.send(Event::Neighbours { collection, id, chunks }).await;
                }
            }),
            Effect::Remember(question) => self.spawn(async move |shared| {
                let file = shared.history_file.clone();
                let kept = tokio::task::spawn_blocking(move || history::remember(&file, &question)).await;
                if let Ok(Err(error)) = kept {
                    tracing::warn!("the question was not kept for later: {error}");
                }
            }),
            Effect::ListCollections { request } => self.list_collections(request),
            Effect::BrowseRows { request, collection, offset, limit } => {
                self.browse(request, collection, offset, limit)
            }
            Effect::DropCollection { name } => self.drop_collection(name),
            Effect::CompletePath { request, path } => self.complete_path(request, path),
            Effect::CheckSource { request, location } => self.check_source(request, location),
            Effect::OpenStore => self.spawn(async move |shared| shared.open().await),
            Effect::RetryModel => self.prepare_model(),
            // The loop has the terminal and does these itself.
            Effect::Redraw
            | Effect::Copy { .. }
            | Effect::CaptureMouse(_)
            | Effect::EditOutside(_)
            | Effect::Suspend
            | Effect::Quit => {}
        }
    }

    /// Puts a text into the system's clipboard and tells how that went. `terminal`: the terminal has it already.
    pub fn copy(&self, what: String, text: String, terminal: bool) {
        self.answer(&self.shared.cancel, async move |shared| {
            let characters = text.chars().count();
            let clipboard = shared.clipboard.write(text).await;
            Event::Copied(Copied { what, characters, clipboard, terminal })
        });
    }

    /// Tells every task to end and waits until they have.
    pub async fn stop(self) {
        self.shared.cancel.cancel();
        self.shared.tasks.close();
        if timeout(STOP_PATIENCE, self.shared.tasks.wait()).await.is_err() {
            tracing::warn!("some work did not end within {STOP_PATIENCE:?}");
        }
        self.shared.clipboard.close().await;
    }

    fn spawn<F>(&self, task: impl FnOnce(Arc<Shared>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.shared.tasks.spawn(task(Arc::clone(&self.shared)));
    }

    fn prepare_model(&mut self) {
        let watched = Watched::new(&self.shared.cancel);
        let (progress, cancel) = (Arc::clone(&watched.progress), watched.cancel.clone());
        self.model = Some(watched);
        self.shared.model.send_replace(Model::Pending);
        self.spawn(async move |shared| {
            let prepared = contained(async {
                let embedder = (shared.prepare_model)(progress, cancel.clone()).await?;
                let (name, dim) = (embedder.fingerprint().model.clone(), embedder.fingerprint().dim);
                anyhow::Ok((embedder, name, dim))
            });
            let prepared = prepared.await;
            let stopping = cancel.is_cancelled();
            cancel.cancel();
            match prepared {
                Ok((embedder, name, dim)) => {
                    shared.model.send_replace(Model::Ready(embedder));
                    shared.send(Event::ModelReady { name, dim }).await;
                }
                Err(error) => {
                    shared.model.send_replace(Model::Missing);
                    if !stopping {
                        shared.send(Event::ModelFailed(format!("{error:#}"))).await;
                    }
                }
            }
        });
    }
}

/// Makes a panic of the work an error of it, so that whoever waits for its end gets one.
async fn contained<T, E: From<RagError>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| Err(RagError::Worker(message(&*panic)).into()))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    one_line(text.unwrap_or("it left no message"))
}

impl Shared {
    /// A full queue makes the sender wait; a closed one means that the application is gone.
    async fn send(&self, event: Event) {
        let _ = self.events.send(event).await;
    }

    async fn open(&self) {
        match contained(async { (self.open)().await }).await {
            Ok(opened) => self.show_opened(opened).await,
            Err(error) => self.send(Event::StoreFailed(format!("{error:#}"))).await,
        }
    }

    async fn show_opened(&self, opened: Opened) {
        let (store, name, keeps_handbook) = (opened.store.describe(), opened.collection.clone(), opened.keeps_handbook);
        let shown = async {
            let collection = opened.store.collection(&name).await?;
            Ok::<_, RagError>((collection, rag::needs_index(opened.store.as_ref(), &name, keeps_handbook).await?))
        };
        match contained(shown).await {
            Ok((collection, index)) => {
                self.opened.send_replace(Some(opened));
                self.send(Event::StoreOpened { store, name, collection, keeps_handbook, index }).await;
            }
            Err(error) => self.send(Event::StoreFailed(error.to_string())).await,
        }
    }

    /// The store, once it is open.
    async fn opened(&self) -> Result<Opened, RagError> {
        let mut opened = self.opened.subscribe();
        let opened = opened.wait_for(Option::is_some).await.map_err(|_| RagError::Interrupted)?;
        opened.clone().ok_or(RagError::Interrupted)
    }

    /// The model, if it is ready or becomes so within `patience`.
    async fn model(&self, patience: Option<Duration>) -> Model {
        let mut model = self.model.subscribe();
        let ready = async { model.wait_for(|model| !matches!(model, Model::Pending)).await.map(|m| m.clone()) };
        let waited = match patience {
            None => ready.await.ok(),
            Some(patience) => timeout(patience, ready).await.ok().and_then(Result::ok),
        };
        waited.unwrap_or(Model::Pending)
    }

    /// What a search needs: the store, the model where it takes part, the collection, and what to tell about it.
    async fn searched(
        &self,
        name: &str,
        settings: &SearchSettings,
    ) -> Result<(Arc<dyn VectorStore>, Option<Arc<dyn Embedder>>, CollectionInfo, Option<&'static str>), RagError> {
        let store = self.opened().await?.store;
        let model = if settings.mode.uses_dense() { self.model(Some(MODEL_PATIENCE)).await } else { Model::Missing };
        let (embedder, note) = match model {
            Model::Ready(embedder) => (Some(embedder), None),
            Model::Missing => (None, None),
            Model::Pending => (None, Some("the embedding model is still being prepared; ask again later for more")),
        };
        let collection = store.collection(name).await?.filter(|info| info.passages > 0);
        let collection = collection.ok_or_else(|| RagError::Empty { collection: name.to_owned() })?;
        Ok((store, embedder, collection, note))
    }

    async fn retrieve(
        &self,
        collection: &str,
        question: &str,
        settings: &SearchSettings,
    ) -> Result<Arc<[Candidate]>, RagError> {
        let (store, embedder, collection, _) = self.searched(collection, settings).await?;
        Ok(rag::retrieve(store.as_ref(), embedder.as_ref(), &collection, question, settings).await?.candidates)
    }

    async fn ask(&self, turn: TurnId, name: String, question: &str, settings: SearchSettings) -> Result<(), RagError> {
        let (store, embedder, collection, note) = self.searched(&name, &settings).await?;
        let (sender, mut answer) = mpsc::channel(64);
        let asked = Ask {
            store: store.as_ref(),
            embedder: embedder.as_ref(),
            model: self.chat.as_ref(),
            templates: &self.templates,
            collection: &collection,
        };
        let forward = async {
            while let Some(event) = answer.recv().await {
                let event = match event {
                    AskEvent::Retrieved(found) => {
                        let mut notices = found.notices;
                        notices.extend(note.map(str::to_owned));
                        let (mode, passages, candidates, timings) =
                            (found.mode, found.passages, found.candidates, found.timings);
                        // The same template gives the same prompt that the model is sent.
                        let prompt = self.chat.as_ref().map(|_| self.templates.messages(&passages, question));
                        let prompt = prompt.unwrap_or_default().into();
                        Event::Retrieved { turn, mode, passages, candidates, prompt, timings, notices }
                    }
                    AskEvent::Text(text) => Event::Delta { turn, text },
                    AskEvent::Reasoning(text) => Event::Reasoning { turn, text },
                    AskEvent::Finished { finish, usage, timings } => Event::Finished { turn, finish, usage, timings },
                };
                self.send(event).await;
            }
        };
        let (asked, ()) = tokio::join!(rag::ask(asked, question, &settings, sender), forward);
        asked
    }

    /// Indexes the sources, or where there are none whatever the collection was made from.
    async fn index(
        &self,
        collection: String,
        mut sources: Vec<SourceSpec>,
        force: bool,
        progress: &Arc<Progress>,
        cancel: &CancellationToken,
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
            rag::ingest(&job, &Arc::default(), cancel).await?;
            if let Some(info) = store.collection(&collection).await? {
                self.send(Event::CollectionChanged(Arc::new(info))).await;
            }
        }
        let Some(model) = cancel.run_until_cancelled(self.model(None)).await else {
            // Stopped while it waited for the model: what the collection holds is as it was.
            let left = store.collection(&collection).await?;
            let (documents, passages) = left.as_ref().map_or((0, 0), |info| (info.documents, info.passages));
            return Ok((IngestReport { documents, passages, interrupted: true, ..IngestReport::default() }, left));
        };
        job.embedder = match model {
            Model::Ready(embedder) => Some(embedder),
            Model::Missing | Model::Pending => None,
        };
        let report = rag::ingest(&job, progress, cancel).await?;
        Ok((report, store.collection(&collection).await?))
    }

    async fn neighbours(&self, collection: &str, id: ChunkId) -> Option<Vec<Chunk>> {
        let store = self.opened().await.ok()?.store;
        match store.neighbours(collection, id, 1, 1).await {
            Ok(chunks) => Some(chunks),
            Err(error) => {
                tracing::warn!("the text around a passage could not be read: {error}");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Stage;

    #[tokio::test(start_paused = true)]
    async fn a_pace_counts_from_where_its_counter_does() {
        let mut watched = Watched::new(&CancellationToken::new());
        let mut after_10_s_of = async |stage| {
            watched.progress.set_stage(stage);
            watched.sample();
            tokio::time::advance(Duration::from_secs(10)).await;
            watched.sample().1.as_secs()
        };
        assert_eq!(after_10_s_of(Stage::Starting).await, 10);
        assert_eq!(after_10_s_of(Stage::Downloading).await, 10);
        assert_eq!(after_10_s_of(Stage::Scanning).await, 10);
        assert_eq!(after_10_s_of(Stage::Indexing).await, 10);
        // The next source: documents go on being counted.
        assert_eq!(after_10_s_of(Stage::Scanning).await, 20);
        assert_eq!(after_10_s_of(Stage::Indexing).await, 30);
        // The next download: bytes are counted anew.
        watched.progress.set_bytes(7);
        watched.sample();
        watched.progress.start_bytes(0);
        assert_eq!(watched.sample().1, Duration::ZERO);
    }
}
