mod answer;
mod collections;
mod evidence;
mod ingest;
mod paths;
mod watched;

use std::{any::Any, panic::AssertUnwindSafe, path::PathBuf, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::{
    sync::{Mutex, mpsc, watch},
    time::timeout,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use self::watched::Watched;
use super::{Setup, clipboard::Clipboard, drafts, history, runs};
use crate::{
    app::{Copied, Effect, Event},
    chat::ChatModel,
    domain::{Chunk, ChunkId, Chunker, CollectionInfo, Fingerprint, JobId, Progress, SearchSettings, TurnId},
    embed::Embedder,
    rag::{self, RagError, Templates},
    store::{StoreError, VectorStore},
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

/// Loads the model that vectors of this fingerprint were made with, where all of it is on this machine.
pub type LoadOther =
    Arc<dyn Fn(Fingerprint) -> BoxFuture<'static, anyhow::Result<Option<Arc<dyn Embedder>>>> + Send + Sync>;

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

/// Carries out effects as tasks; all of them end with [`Effects::stop`].
pub struct Effects {
    shared: Arc<Shared>,
    turn: Option<(TurnId, CancellationToken)>,
    job: Option<(JobId, Watched)>,
    model: Option<Watched>,
    /// Ends the reading of rows that is under way.
    browsing: CancellationToken,
    /// Ends what the evidence view waits for.
    looking: evidence::Looking,
    /// Whatever becomes of the loop, its tasks are told to end.
    _over: DropGuard,
}

/// How long after a key somebody is taken to be at the keys.
const AT_THE_KEYS: Duration = Duration::from_secs(1);

/// What tasks need.
struct Shared {
    events: mpsc::Sender<Event>,
    tasks: TaskTracker,
    cancel: CancellationToken,
    opened: watch::Sender<Option<Opened>>,
    model: watch::Sender<Model>,
    open: Opening,
    prepare_model: Preparing,
    load_other: LoadOther,
    /// The model of the last collection that another one than the configured made.
    other: Mutex<Option<Arc<dyn Embedder>>>,
    /// How documents of a new collection are cut.
    chunker: Chunker,
    /// The configured chat model, and the one that answers now: another one of its server, or none.
    configured: Option<Arc<dyn ChatModel>>,
    chat: watch::Sender<Option<Arc<dyn ChatModel>>>,
    templates: Templates,
    history_file: PathBuf,
    runs_file: PathBuf,
    now: fn() -> String,
    draft_file: PathBuf,
    clipboard: Clipboard,
}

impl Effects {
    /// A person is at the keys: what an index is made with leaves them a processor for a moment.
    pub fn make_room(&self) {
        if let Model::Ready(embedder) = &*self.shared.model.borrow() {
            embedder.make_room(AT_THE_KEYS);
        }
    }

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
            load_other: setup.load_other,
            other: Mutex::default(),
            chunker: setup.chunker,
            chat: watch::Sender::new(setup.chat.clone()),
            configured: setup.chat,
            templates: setup.templates,
            runs_file: setup.history_file.with_file_name(runs::FILE),
            history_file: setup.history_file,
            now: setup.now,
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
            looking: evidence::Looking::default(),
            _over: shared.cancel.clone().drop_guard(),
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
            shared.send_runs(None).await;
        });
        effects.prepare_model();
        effects
    }

    /// Whether there is anything to sample.
    pub fn has_work(&self) -> bool {
        self.job.as_ref().map(|(_, watched)| watched).into_iter().chain(&self.model).any(Watched::moves)
    }

    /// The progress of what is running.
    pub fn sample(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(watched) = self.model.as_mut().filter(|watched| watched.moves()) {
            let (snapshot, elapsed) = watched.sample();
            events.push(Event::ModelProgress { snapshot, elapsed });
        }
        if let Some((job, watched)) = self.job.as_mut().filter(|(_, watched)| watched.moves()) {
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
            Effect::UseModel(name) => self.use_model(name),
            Effect::ListModels => self.list_models(),
            Effect::CancelTurn(turn) => {
                if let Some((_, cancel)) = self.turn.take_if(|(running, _)| *running == turn) {
                    cancel.cancel();
                }
            }
            Effect::Retrieve { request, collection, question, settings } => {
                self.retrieve_again(request, collection, question, settings);
            }
            Effect::Project { request, collection, question, ids } => {
                self.project(request, collection, question, ids);
            }
            Effect::FindSentence { request, collection, id, question, by_meaning } => {
                self.find_sentence(request, collection, id, question, by_meaning);
            }
            Effect::Export { json } => self.export(json),
            Effect::StartIngest { job, collection, sources, force } => {
                self.start_ingest(job, collection, sources, force);
            }
            Effect::CancelIngest(job) => {
                if let Some(watched) = self.running(job) {
                    watched.cancel.cancel();
                }
            }
            Effect::PauseIngest { job, paused } => {
                if let Some(watched) = self.running(job) {
                    watched.set_paused(paused);
                }
            }
            Effect::CancelDownload => self.cancel_download(),
            Effect::LoadNeighbours { collection, id } => self.spawn(async move |shared| {
                let result = shared.neighbours(&collection, id).await;
                shared.send(Event::Neighbours { collection, id, result }).await;
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
            // Given up by the person, or the application ends: nobody waits for it any more.
            let unwanted = cancel.is_cancelled();
            cancel.cancel();
            match prepared {
                Ok((embedder, name, dim)) => {
                    shared.model.send_replace(Model::Ready(embedder));
                    shared.send(Event::ModelReady { name, dim }).await;
                }
                Err(_) if unwanted => {}
                Err(error) => {
                    shared.model.send_replace(Model::Missing);
                    shared.send(Event::ModelFailed(format!("{error:#}"))).await;
                }
            }
        });
    }

    /// Stops getting the model; whatever waits for it goes on without.
    fn cancel_download(&mut self) {
        if let Some(watched) = self.model.take() {
            watched.cancel.cancel();
            self.shared.model.send_if_modified(|model| {
                let waited_for = matches!(model, Model::Pending);
                if waited_for {
                    *model = Model::Missing;
                }
                waited_for
            });
        }
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
    ) -> Result<(Arc<dyn VectorStore>, Option<Arc<dyn Embedder>>, CollectionInfo, Option<String>), RagError> {
        let store = self.opened().await?.store;
        let model = if settings.uses_model() { self.model(Some(MODEL_PATIENCE)).await } else { Model::Missing };
        let (embedder, note) = match model {
            Model::Ready(embedder) => (Some(embedder), None),
            Model::Missing => (None, None),
            Model::Pending => {
                (None, Some("the embedding model is still being prepared; ask again later for more".to_owned()))
            }
        };
        let collection = match store.collection(name).await? {
            Some(info) if info.passages > 0 => info,
            Some(_) => return Err(RagError::Empty { collection: name.to_owned() }),
            None => {
                // Another program dropped it.
                self.send(Event::CollectionChanged(Arc::new(CollectionInfo::empty(name)))).await;
                return Err(StoreError::NoCollection { name: name.to_owned(), store: store.describe() }.into());
            }
        };
        match self.other_model(embedder.as_ref(), &collection).await {
            Some(other) => {
                let note = format!("searched with {}, which made its vectors", one_line(&other.fingerprint().model));
                Ok((store, Some(other), collection, Some(note)))
            }
            None => Ok((store, embedder, collection, note)),
        }
    }

    /// The model that a collection's vectors were made with, where that is another one than `own` and is on this machine.
    async fn other_model(
        &self,
        own: Option<&Arc<dyn Embedder>>,
        collection: &CollectionInfo,
    ) -> Option<Arc<dyn Embedder>> {
        let held = collection.fingerprint.as_ref()?;
        let made_it = |model: &Arc<dyn Embedder>| held.check(model.fingerprint()).is_ok();
        if made_it(own?) {
            return None;
        }
        let mut other = self.other.lock().await;
        if !other.as_ref().is_some_and(made_it) {
            // One beside the configured one is enough.
            *other = None;
            match (self.load_other)(held.clone()).await {
                Ok(loaded) => *other = loaded.filter(made_it),
                Err(error) => {
                    tracing::warn!("the model of collection {:?} could not be loaded: {error:#}", collection.name)
                }
            }
        }
        other.clone()
    }

    async fn neighbours(&self, collection: &str, id: ChunkId) -> Result<Vec<Chunk>, String> {
        let store = self.opened().await.map_err(|error| error.to_string())?.store;
        store.neighbours(collection, id, 1, 1).await.map_err(|error| error.to_string())
    }
}
