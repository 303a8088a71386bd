//! The event loop through its seams: keys go in through a channel, a fake store and fake models answer, and the screen
//! is a buffer. Time is paused: waiting costs nothing and always ends when all there is to do has been done.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use askdocs::{
    app::State,
    chat::{ChatError, ChatModel, Delta},
    domain::{
        Chunk, ChunkId, Chunker, CollectionInfo, DocumentRecord, Fingerprint, FinishReason, Hit, Indexed, Message,
        Metric, Pooling, SearchSettings, SourceSpec, Vector,
    },
    embed::{EmbedError, Embedder, Role},
    rag::Templates,
    runtime::{EditError, Host, Opened, Setup, run},
    store::{Capabilities, Health, KeywordIndex, StoreError, VectorStore, WriteGuard},
    ui::Look,
};
use async_trait::async_trait;
use crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use ratatui::{Terminal, backend::TestBackend};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

/// Longer than anything here takes but an ingest's slow write.
const A_WHILE: Duration = Duration::from_secs(1);
/// How long the fake store takes to keep a document.
const SLOW_WRITE: Duration = Duration::from_secs(3);

fn fingerprint() -> Fingerprint {
    Fingerprint {
        model: "fake".to_owned(),
        sha256: "0".to_owned(),
        dim: 1,
        metric: Metric::Ip,
        pooling: Pooling::Mean,
        normalised: true,
        max_tokens: 100,
        query_prefix: String::new(),
        passage_prefix: String::new(),
    }
}

/// Collections whose rows are all alike; at first there is `notes`, with one passage, or empty so that a folder is to be
/// indexed into it.
struct FakeStore {
    infos: Mutex<Vec<CollectionInfo>>,
    begun: AtomicUsize,
    written: AtomicUsize,
}

impl FakeStore {
    fn new(passages: u64, sources: Vec<SourceSpec>) -> Arc<Self> {
        let fingerprint = (passages > 0).then(fingerprint);
        let info =
            CollectionInfo { documents: passages, passages, fingerprint, sources, ..CollectionInfo::empty("notes") };
        Arc::new(Self { infos: Mutex::new(vec![info]), begun: AtomicUsize::new(0), written: AtomicUsize::new(0) })
    }

    /// Adds a collection of so many rows.
    fn add(&self, name: &str, rows: u64) {
        let fingerprint = Some(fingerprint());
        let info = CollectionInfo { documents: 1, passages: rows, fingerprint, ..CollectionInfo::empty(name) };
        self.infos.lock().unwrap().push(info);
    }
}

fn chunk(collection: &str) -> Chunk {
    let what = if collection == "notes" {
        ("tea.md", "Tea wants leaves. It needs some time, too.")
    } else {
        ("coffee.md", "Coffee wants beans.")
    };
    Chunk {
        id: ChunkId::from_digest([1; 8]),
        document: what.0.to_owned(),
        ordinal: 0,
        heading: Vec::new(),
        lines: (1, 1),
        bytes: 0..what.1.len(),
        text: what.1.to_owned(),
        tokens: 4,
    }
}

#[async_trait]
impl VectorStore for FakeStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities { atomic_replace: true, keywords: KeywordIndex::Engine, needs_vectors: false }
    }
    fn describe(&self) -> String {
        "fake".to_owned()
    }
    async fn check(&self) -> Result<Health, StoreError> {
        Ok(Health { version: "fake".to_owned(), latency: Duration::ZERO })
    }
    async fn collections(&self) -> Result<Vec<CollectionInfo>, StoreError> {
        Ok(self.infos.lock().unwrap().clone())
    }
    async fn collection(&self, name: &str) -> Result<Option<CollectionInfo>, StoreError> {
        Ok(self.infos.lock().unwrap().iter().find(|info| info.name == name).cloned())
    }
    async fn ensure_collection(&self, name: &str, _: Option<&Fingerprint>) -> Result<(), StoreError> {
        if self.collection(name).await?.is_none() {
            self.add(name, 0);
        }
        Ok(())
    }
    async fn clear_collection(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }
    async fn drop_collection(&self, name: &str) -> Result<bool, StoreError> {
        let mut infos = self.infos.lock().unwrap();
        let before = infos.len();
        infos.retain(|info| info.name != name);
        Ok(infos.len() < before)
    }
    async fn remember_source(&self, _: &str, _: &SourceSpec) -> Result<(), StoreError> {
        Ok(())
    }
    async fn lock_for_writing(&self, _: &str, _: Duration) -> Result<WriteGuard, StoreError> {
        Ok(WriteGuard::new(()))
    }
    async fn documents(&self, _: &str) -> Result<Vec<DocumentRecord>, StoreError> {
        Ok(Vec::new())
    }
    async fn replace_documents(&self, collection: &str, documents: Vec<Indexed>) -> Result<(), StoreError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        sleep(SLOW_WRITE).await;
        self.written.fetch_add(1, Ordering::SeqCst);
        let mut infos = self.infos.lock().unwrap();
        if let Some(info) = infos.iter_mut().find(|info| info.name == collection) {
            info.documents += documents.len() as u64;
            info.passages += documents.iter().map(|document| document.chunks.len() as u64).sum::<u64>();
        }
        Ok(())
    }
    async fn read_documents(&self, _: &str, _: &[String]) -> Result<Vec<Indexed>, StoreError> {
        Ok(Vec::new())
    }
    async fn browse(&self, collection: &str, offset: u64, limit: usize) -> Result<Vec<Chunk>, StoreError> {
        let Some(info) = self.collection(collection).await? else { return Ok(Vec::new()) };
        let last = info.passages.min(offset + limit as u64);
        Ok((offset..last).map(|at| Chunk { lines: (at as u32 + 1, at as u32 + 1), ..chunk(collection) }).collect())
    }
    async fn touch_document(&self, _: &str, _: &DocumentRecord) -> Result<(), StoreError> {
        Ok(())
    }
    async fn remove_documents(&self, _: &str, _: &[String]) -> Result<(), StoreError> {
        Ok(())
    }
    async fn search_dense(
        &self,
        _: &str,
        _: Option<&Fingerprint>,
        _: &Vector,
        _: usize,
    ) -> Result<Vec<Hit>, StoreError> {
        Ok(vec![Hit { id: chunk("notes").id, score: 0.5 }])
    }
    async fn search_keyword(&self, _: &str, _: &str, _: usize) -> Result<Vec<Hit>, StoreError> {
        Ok(vec![Hit { id: chunk("notes").id, score: 2.0 }])
    }
    async fn get(&self, collection: &str, _: &[ChunkId]) -> Result<Vec<Chunk>, StoreError> {
        Ok(vec![chunk(collection)])
    }
    async fn neighbours(&self, collection: &str, _: ChunkId, _: u32, _: u32) -> Result<Vec<Chunk>, StoreError> {
        Ok(vec![chunk(collection)])
    }
}

struct FakeEmbedder {
    fingerprint: Fingerprint,
    panics: bool,
    /// How often it was asked to leave a processor free.
    made_room: Arc<AtomicUsize>,
}

impl Embedder for FakeEmbedder {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
    fn count_tokens(&self, text: &str) -> usize {
        text.len()
    }
    fn embed(&self, _: Role, texts: &[&str]) -> Result<Vec<Vector>, EmbedError> {
        assert!(!self.panics, "the embedder broke");
        Ok(vec![vec![1.0]; texts.len()])
    }
    fn make_room(&self, _: Duration) {
        self.made_room.fetch_add(1, Ordering::SeqCst);
    }
}

/// Gives its only stream away; asked once more, it panics.
struct FakeChat(Mutex<Option<mpsc::UnboundedReceiver<Delta>>>);

#[async_trait]
impl ChatModel for FakeChat {
    fn label(&self) -> String {
        "fake: parrot".to_owned()
    }
    fn model(&self) -> &str {
        "parrot"
    }
    async fn stream(&self, _: &[Message]) -> Result<BoxStream<'static, Result<Delta, ChatError>>, ChatError> {
        let pieces = self.0.lock().unwrap().take().expect("the chat model broke");
        Ok(futures_util::stream::unfold(pieces, async |mut pieces| Some((Ok(pieces.recv().await?), pieces))).boxed())
    }
    fn with_model(&self, name: &str) -> Arc<dyn ChatModel> {
        Arc::new(Renamed(name.to_owned()))
    }
    async fn models(&self) -> Result<Option<Vec<String>>, ChatError> {
        Ok(Some(vec!["parrot".to_owned(), "macaw".to_owned()]))
    }
}

/// Another model of the same server: says its name.
struct Renamed(String);

#[async_trait]
impl ChatModel for Renamed {
    fn label(&self) -> String {
        format!("fake: {}", self.0)
    }
    fn model(&self) -> &str {
        &self.0
    }
    async fn stream(&self, _: &[Message]) -> Result<BoxStream<'static, Result<Delta, ChatError>>, ChatError> {
        let says = [Delta::Text(format!("I am {}.", self.0)), Delta::Finished(FinishReason::Stop)];
        Ok(futures_util::stream::iter(says.map(Ok)).boxed())
    }
    fn with_model(&self, name: &str) -> Arc<dyn ChatModel> {
        Arc::new(Self(name.to_owned()))
    }
    async fn models(&self) -> Result<Option<Vec<String>>, ChatError> {
        Ok(None)
    }
}

/// A terminal that takes texts of up to 100 bytes, with an editor that writes on.
#[derive(Default)]
struct FakeHost {
    copied: Vec<String>,
    mouse: bool,
}

impl Host for FakeHost {
    fn copy(&mut self, text: &str) -> io::Result<bool> {
        self.copied.push(text.to_owned());
        Ok(text.len() <= 100)
    }
    fn capture_mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        Ok(())
    }
    async fn edit(&mut self, text: &str) -> io::Result<Result<String, EditError>> {
        Ok(if text.is_empty() { Err(EditError::NotSet) } else { Ok(format!("{text}, and why?\n")) })
    }
}

/// What the application can be given, and what came of it.
struct World {
    store: Arc<FakeStore>,
    embedder: Option<FakeEmbedder>,
    /// The embedding model does not come the first time.
    waits: bool,
    /// Since its download stands still.
    downloads: bool,
    /// How often getting the model was begun.
    prepared: Arc<AtomicUsize>,
    /// How often opening the store fails before it works.
    closed: usize,
    deltas: mpsc::UnboundedSender<Delta>,
    pieces: Option<mpsc::UnboundedReceiver<Delta>>,
    /// Where history and draft are kept; what is there stays for the next run.
    folder: tempfile::TempDir,
    /// The person does not quit: the terminal is gone.
    hangs_up: bool,
    /// What was put into the system's clipboard.
    clipboard: Arc<Mutex<Vec<String>>>,
}

struct Ran {
    screen: String,
    frames: usize,
    took: Duration,
    /// The first turn that was written out.
    exported: Option<String>,
    host: FakeHost,
}

impl World {
    fn new() -> Self {
        let (deltas, pieces) = mpsc::unbounded_channel();
        let embedder = Some(FakeEmbedder { fingerprint: fingerprint(), panics: false, made_room: Arc::default() });
        Self {
            store: FakeStore::new(1, Vec::new()),
            embedder,
            waits: false,
            downloads: false,
            prepared: Arc::default(),
            closed: 0,
            deltas,
            pieces: Some(pieces),
            folder: tempfile::tempdir().unwrap(),
            hangs_up: false,
            clipboard: Arc::default(),
        }
    }

    /// Runs the application while `person` types, and quits it when they are done.
    async fn run(&mut self, person: impl AsyncFnOnce(&Keys)) -> Ran {
        let folder = &self.folder;
        let opened = Opened { store: self.store.clone(), collection: "notes".to_owned(), keeps_handbook: true };
        let (embedder, waits) = (Mutex::new(self.embedder.take()), self.waits);
        let (prepared, downloads) = (Arc::clone(&self.prepared), self.downloads);
        let closed = AtomicUsize::new(self.closed);
        let setup = Setup {
            open: Box::new(move || {
                let opened = opened.clone();
                let fails = closed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
                async move { if fails { Err(anyhow::anyhow!("the server is away")) } else { Ok(opened) } }.boxed()
            }),
            chunker: Chunker::Markdown,
            load_other: Arc::new(|_| async { Ok(None) }.boxed()),
            prepare_model: Arc::new(move |progress, cancel| -> BoxFuture<_> {
                // The model that did not come the first time does so the second.
                let waits = prepared.fetch_add(1, Ordering::SeqCst) == 0 && waits;
                let embedder = embedder.lock().unwrap().take_if(|_| !waits);
                Box::pin(async move {
                    if waits {
                        if downloads {
                            progress.start_bytes(100);
                            progress.set_bytes(42);
                        }
                        cancel.cancelled().await;
                    }
                    embedder.map(|e| Arc::new(e) as Arc<dyn Embedder>).ok_or_else(|| anyhow::anyhow!("no model"))
                })
            }),
            chat: Some(Arc::new(FakeChat(Mutex::new(self.pieces.take())))),
            chat_note: None,
            templates: Templates { system: String::new(), user: "{context} {question}".to_owned(), citations: false },
            history_file: folder.path().join("history"),
            now: || "2026-01-31T17:05:00+01:00".to_owned(),
            draft_file: folder.path().join("draft"),
            clipboard: Some(Box::new({
                let clipboard = Arc::clone(&self.clipboard);
                move || {
                    Box::new(move |text| {
                        clipboard.lock().unwrap().push(text);
                        Ok(())
                    })
                }
            })),
            look: Look::default(),
            notify: false,
            keymap: askdocs::ui::Keymap::default(),
        };
        let (keys, typed) = mpsc::unbounded_channel();
        let keys = Keys(keys);
        let input = futures_util::stream::unfold(typed, async |mut typed| Some((Ok(typed.recv().await?), typed)));
        let mut terminal = Terminal::new(TestBackend::new(120, 30)).unwrap();
        let state = State::new(SearchSettings::default());
        let typing = async {
            sleep(A_WHILE).await;
            person(&keys).await;
            let done = Instant::now();
            if !self.hangs_up {
                keys.press('c', KeyModifiers::CONTROL);
                keys.press('c', KeyModifiers::CONTROL);
            }
            drop(keys);
            done
        };
        let mut host = FakeHost::default();
        let (ended, done) = tokio::join!(run(setup, state, &mut terminal, input, &mut host), typing);
        ended.unwrap();
        let took = done.elapsed();
        let buffer = terminal.backend().buffer();
        let rows = buffer.content().chunks(120);
        let screen = rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>() + "\n").collect();
        let exported = std::fs::read_to_string(folder.path().join("exports/export-1.json")).ok();
        Ran { screen, frames: terminal.get_frame().count(), took, exported, host }
    }
}

struct Keys(mpsc::UnboundedSender<Input>);

impl Keys {
    fn code(&self, code: KeyCode, modifiers: KeyModifiers) {
        self.0.send(Input::Key(KeyEvent::new(code, modifiers))).unwrap();
    }
    fn press(&self, key: char, modifiers: KeyModifiers) {
        self.code(KeyCode::Char(key), modifiers);
    }
    /// Presses keys one after the other and lets things happen; `↵` is Enter, `⎋` is Esc, `⇥` is Tab.
    async fn type_out(&self, keys: &str) {
        for key in keys.chars() {
            let code = match key {
                '↵' => KeyCode::Enter,
                '⎋' => KeyCode::Esc,
                '⇥' => KeyCode::Tab,
                key => KeyCode::Char(key),
            };
            self.code(code, KeyModifiers::NONE);
            sleep(A_WHILE).await;
        }
    }
    async fn ask(&self, question: &str) {
        self.0.send(Input::Paste(question.to_owned())).unwrap();
        self.code(KeyCode::Enter, KeyModifiers::NONE);
        sleep(A_WHILE).await;
    }
}

fn text(text: &str) -> Delta {
    Delta::Text(text.to_owned())
}

#[tokio::test(start_paused = true)]
async fn an_answer_streams_to_the_screen() {
    let mut world = World::new();
    let deltas = world.deltas.clone();
    let ran = world.run(async |keys| {
        keys.ask("What does tea want?").await;
        deltas.send(text("Leaves and ")).unwrap();
        sleep(A_WHILE).await;
        deltas.send(text("time.")).unwrap();
        deltas.send(Delta::Finished(FinishReason::Stop)).unwrap();
        sleep(A_WHILE).await;
    });
    let Ran { screen, .. } = ran.await;
    for shown in ["What does tea want?", "Leaves and time.", "tea.md", "hybrid", "fake: parrot"] {
        assert!(screen.contains(shown), "{shown} is not in\n{screen}");
    }
}

#[tokio::test(start_paused = true)]
async fn escape_drops_the_stream_and_keeps_what_came() {
    let mut world = World::new();
    let deltas = world.deltas.clone();
    let ran = world.run(async |keys| {
        keys.ask("What does tea want?").await;
        deltas.send(text("early")).unwrap();
        sleep(A_WHILE).await;
        assert!(!deltas.is_closed());
        // What comes with the key itself is late already.
        keys.code(KeyCode::Esc, KeyModifiers::NONE);
        deltas.send(text("late")).unwrap();
        sleep(A_WHILE).await;
        assert!(deltas.is_closed(), "nobody listens to the model any more");
    });
    let Ran { screen, .. } = ran.await;
    assert!(screen.contains("early") && screen.contains("stopped") && !screen.contains("late"), "{screen}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_what_it_happened_in_and_nothing_else() {
    let mut world = World::new();
    world.pieces = None;
    let chat = world.run(async |keys| keys.ask("What does tea want?").await).await.screen;
    assert!(chat.contains("the chat model broke") && chat.contains("ready"), "{chat}");

    let mut world = World::new();
    world.embedder = Some(FakeEmbedder { fingerprint: fingerprint(), panics: true, made_room: Arc::default() });
    let embedder = world.run(async |keys| keys.ask("What does tea want?").await).await.screen;
    assert!(embedder.contains("the embedder broke") && embedder.contains("ready"), "{embedder}");
}

#[tokio::test(start_paused = true)]
async fn what_indexes_makes_room_for_keys_and_not_for_answers() {
    let mut world = World::new();
    let made_room = Arc::clone(&world.embedder.as_ref().unwrap().made_room);
    let deltas = world.deltas.clone();
    world
        .run(async |keys| {
            keys.ask("What does tea want?").await;
            let asked = made_room.load(Ordering::SeqCst);
            assert!(asked > 0);
            for _ in 0..20 {
                deltas.send(text("leaves ")).unwrap();
                sleep(A_WHILE).await;
            }
            assert_eq!(made_room.load(Ordering::SeqCst), asked);
            keys.press('x', KeyModifiers::NONE);
            sleep(A_WHILE).await;
            assert_eq!(made_room.load(Ordering::SeqCst), asked + 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn quitting_waits_for_a_write_under_way_and_leaves_no_task_behind() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tea.md"), "# Tea\n\nTea wants leaves.\n").unwrap();
    let location = folder.path().to_str().unwrap().to_owned();
    let source = SourceSpec { location, globs: Vec::new(), chunker: Chunker::Markdown };
    let mut world = World::new();
    world.store = FakeStore::new(0, vec![source]);
    let ran = world.run(async |_| ()).await;
    let counts = [&world.store.begun, &world.store.written].map(|count| count.load(Ordering::SeqCst));
    assert_eq!(counts, [1, 1], "{}", ran.screen);
    assert!(ran.took <= SLOW_WRITE, "{:?}", ran.took);
    assert_eq!(Arc::strong_count(&world.store), 1, "a task still holds the store");
}

#[tokio::test(start_paused = true)]
async fn an_ingest_that_waits_for_the_model_can_be_stopped_kindly() {
    let mut world = World::new();
    world.waits = true;
    let ran = world.run(async |keys| {
        keys.press('r', KeyModifiers::CONTROL);
        keys.press('t', KeyModifiers::CONTROL);
        sleep(A_WHILE).await;
        keys.type_out("xx").await;
        sleep(A_WHILE).await;
    });
    let Ran { screen, .. } = ran.await;
    assert!(screen.contains("stopped") && !screen.contains("failed"), "{screen}");
}

#[tokio::test(start_paused = true)]
async fn a_copy_goes_to_the_system_and_through_the_terminal() {
    let mut world = World::new();
    let (deltas, clipboard) = (world.deltas.clone(), Arc::clone(&world.clipboard));
    let long = "Leaves. ".repeat(20);
    let ran = world.run(async |keys| {
        keys.ask("What does tea want?").await;
        deltas.send(text(&long)).unwrap();
        deltas.send(Delta::Finished(FinishReason::Stop)).unwrap();
        sleep(A_WHILE).await;
        keys.type_out("⇥Yy").await;
        // The thread of the clipboard has a clock of its own.
        while clipboard.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
        sleep(A_WHILE).await;
        keys.press('m', KeyModifiers::ALT);
        sleep(A_WHILE).await;
    });
    let Ran { host, screen, .. } = ran.await;
    assert_eq!(host.copied, ["What does tea want?", &long]);
    assert_eq!(*clipboard.lock().unwrap(), host.copied);
    assert!(host.mouse, "{screen}");
}

#[tokio::test(start_paused = true)]
async fn a_mouse_that_is_only_moved_draws_nothing() {
    let mouse = |kind| Input::Mouse(MouseEvent { kind, column: 70, row: 20, modifiers: KeyModifiers::NONE });
    let still = World::new().run(async |_| ()).await.frames;
    let mut world = World::new();
    let moved = world.run(async |keys| {
        for _ in 0..100 {
            for kind in [MouseEventKind::Moved, MouseEventKind::ScrollDown, MouseEventKind::Drag(MouseButton::Left)] {
                keys.0.send(mouse(kind)).unwrap();
                sleep(Duration::from_millis(50)).await;
            }
        }
    });
    assert_eq!(moved.await.frames, still);
}

#[tokio::test(start_paused = true)]
async fn what_is_being_written_survives_and_what_was_asked_does_not_come_back() {
    let mut world = World::new();
    let draft = world.folder.path().join("draft");
    world.hangs_up = true;
    world.run(async |keys| keys.type_out("half").await).await;
    assert_eq!(std::fs::read_to_string(&draft).unwrap(), "half");

    let again = |world: World| World { folder: world.folder, ..World::new() };
    let mut world = again(world);
    let ran = world.run(async |keys| {
        keys.press('g', KeyModifiers::CONTROL);
        sleep(A_WHILE).await;
    });
    assert_shows(&ran.await.screen, &["askdocs"]);
    assert_eq!(std::fs::read_to_string(&draft).unwrap(), "half, and why?", "the editor's text, and quitting keeps it");

    let mut world = again(world);
    let ran = world.run(async |keys| {
        keys.code(KeyCode::Enter, KeyModifiers::NONE);
        sleep(A_WHILE).await;
        assert!(!draft.exists(), "as soon as it is asked");
    });
    assert_shows(&ran.await.screen, &["You  half, and why?"]);

    // Many keys at once with Enter among them: a paste of a terminal that does not mark them.
    let mut world = again(world);
    world.hangs_up = true;
    let ran = world.run(async |keys| {
        for c in "one line↵and another↵".chars() {
            let code = if c == '↵' { KeyCode::Enter } else { KeyCode::Char(c) };
            keys.code(code, KeyModifiers::NONE);
        }
        sleep(A_WHILE).await;
    });
    assert_shows(&ran.await.screen, &[" > one line", "   and another"]);
    assert_eq!(std::fs::read_to_string(&draft).unwrap(), "one line\nand another\n");
}

#[tokio::test(start_paused = true)]
async fn idle_draws_nothing() {
    let short = World::new().run(async |_| ()).await;
    let long = World::new().run(async |_| sleep(Duration::from_secs(3600)).await).await;
    assert!(short.frames > 1);
    assert_eq!(short.frames, long.frames);
}

/// A store of three collections, of which `notes` is in use.
fn world_of_collections() -> World {
    let world = World::new();
    world.store.add("docs", 3);
    world.store.add("drinks", 230);
    world
}

fn assert_shows(screen: &str, texts: &[&str]) {
    for text in texts {
        assert!(screen.contains(text), "{text} is not in\n{screen}");
    }
}

#[tokio::test(start_paused = true)]
async fn collections_are_listed_looked_into_and_switched() {
    let mut world = world_of_collections();
    let ran = world.run(async |keys| {
        keys.press('o', KeyModifiers::CONTROL);
        sleep(A_WHILE).await;
    });
    let list = ran.await.screen;
    assert_shows(&list, &["Collections · fake · 3", "docs", "drinks", "230", "▸notes", "in use"]);

    let mut world = world_of_collections();
    let ran = world.run(async |keys| {
        keys.press('o', KeyModifiers::CONTROL);
        sleep(A_WHILE).await;
        keys.type_out("kbG").await;
    });
    let rows = ran.await.screen;
    assert_shows(&rows, &["drinks · row 230 of 230", "coffee.md", "229-229", "Coffee wants beans."]);

    let mut world = world_of_collections();
    let deltas = world.deltas.clone();
    let ran = world.run(async |keys| {
        // A running answer is not disturbed; what is asked after the switch goes to the other collection.
        keys.press('o', KeyModifiers::CONTROL);
        sleep(A_WHILE).await;
        keys.type_out("k↵").await;
        keys.ask("What do they want?").await;
        keys.press('o', KeyModifiers::CONTROL);
        sleep(A_WHILE).await;
        keys.type_out("j↵").await;
        deltas.send(text("Beans.")).unwrap();
        deltas.send(Delta::Finished(FinishReason::Stop)).unwrap();
        sleep(A_WHILE).await;
    });
    let chat = ran.await.screen;
    assert_shows(&chat, &["notes · 1 passage ·", "What do they want?", "Beans.", "coffee.md", "k=5 · drinks", "ready"]);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_collection_in_use_falls_back() {
    let mut world = world_of_collections();
    let ran = world.run(async |keys| {
        keys.press('o', KeyModifiers::CONTROL);
        sleep(A_WHILE).await;
        keys.type_out("dnote↵s↵").await;
        sleep(A_WHILE).await;
        keys.code(KeyCode::Esc, KeyModifiers::NONE);
        keys.ask("What do they want?").await;
    });
    assert_shows(&ran.await.screen, &["docs · 3 passages", "coffee.md"]);
    let names: Vec<String> = world.store.infos.lock().unwrap().iter().map(|info| info.name.clone()).collect();
    assert_eq!(names, ["docs", "drinks"]);
}

#[tokio::test(start_paused = true)]
async fn a_collection_is_made_from_a_folder_and_not_dropped_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("recipes")).unwrap();
    std::fs::write(folder.path().join("recipes/tea.md"), "# Tea\n\nTea wants leaves.\n").unwrap();
    let path = folder.path().join("rec").to_str().unwrap().to_owned();
    let mut world = world_of_collections();
    let ran = world.run(async |keys| {
        keys.press('o', KeyModifiers::CONTROL);
        sleep(A_WHILE).await;
        keys.type_out("n").await;
        keys.0.send(Input::Paste(path)).unwrap();
        keys.type_out("⇥↵").await;
        keys.code(KeyCode::Enter, KeyModifiers::NONE);
        sleep(A_WHILE).await;
        keys.type_out("d").await;
    });
    let screen = ran.await.screen;
    assert_shows(&screen, &["▸recipes", "indexing", "d drop"]);
    assert!(!screen.contains("Drop recipes"), "{screen}");
    assert_eq!(world.store.written.load(Ordering::SeqCst), 1);
    assert!(world.store.infos.lock().unwrap().iter().any(|info| info.name == "recipes"));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_away_is_tried_again() {
    let mut world = world_of_collections();
    world.closed = 2;
    let ran = world.run(async |keys| {
        keys.press('o', KeyModifiers::CONTROL);
        sleep(A_WHILE).await;
    });
    assert_shows(&ran.await.screen, &["✗ the server is away", "r tries again"]);
    let mut world = world_of_collections();
    world.closed = 2;
    let ran = world.run(async |keys| {
        keys.press('o', KeyModifiers::CONTROL);
        sleep(A_WHILE).await;
        keys.type_out("r").await;
    });
    assert_shows(&ran.await.screen, &["Collections · fake · 3", "▸notes", "in use", "ready"]);
}

#[tokio::test(start_paused = true)]
async fn the_evidence_of_a_turn_is_shown_in_full() {
    let mut world = World::new();
    let deltas = world.deltas.clone();
    let ran = world.run(async |keys| {
        keys.ask("What does tea want?").await;
        deltas.send(text("Leaves.")).unwrap();
        deltas.send(Delta::Finished(FinishReason::Stop)).unwrap();
        sleep(A_WHILE).await;
        keys.press('e', KeyModifiers::CONTROL);
        sleep(A_WHILE).await;
        keys.type_out("⇥⇥⇥⇥").await;
    });
    let screen = ran.await.screen;
    assert_shows(
        &screen,
        &["1 candidates", "tea.md:1", ".500  #1", "2.0   #1", "Prompt · about", "It needs some time, too. What"],
    );
}

#[tokio::test(start_paused = true)]
async fn a_question_is_searched_again_without_an_answer_and_written_out() {
    let mut world = World::new();
    let deltas = world.deltas.clone();
    let ran = world.run(async |keys| {
        keys.ask("What does tea want?").await;
        deltas.send(text("Leaves.")).unwrap();
        deltas.send(Delta::Finished(FinishReason::Stop)).unwrap();
        sleep(A_WHILE).await;
        keys.press('e', KeyModifiers::CONTROL);
        // The fake model panics when it is asked twice: nothing but the search is done again.
        keys.type_out("m+mx").await;
    });
    let Ran { screen, exported, .. } = ran.await;
    assert_shows(&screen, &["Searched again", "keyword · k=6", "was", "1   ="]);
    assert_shows(
        &exported.unwrap(),
        &["\"question\": \"What does tea want?\"", "\"answer\": \"Leaves.\"", "\"fused\": "],
    );
    assert!(!screen.contains(".500  #1"), "vectors took no part\n{screen}");
}

#[tokio::test(start_paused = true)]
async fn the_question_and_its_candidates_are_placed_on_a_map() {
    for (model, shown) in [
        (true, ["Map · 0 % of the variance", "◇ question · 1 top 5 · [1] tea.md:1"]),
        (false, ["✗ There is no map:", "search needs an embedding"]),
    ] {
        let mut world = World::new();
        world.embedder = world.embedder.filter(|_| model);
        let ran = world.run(async |keys| {
            keys.ask("What does tea want?").await;
            keys.press('e', KeyModifiers::CONTROL);
            sleep(A_WHILE).await;
            keys.type_out("⇥⇥").await;
        });
        assert_shows(&ran.await.screen, &shown);
    }
}

#[tokio::test(start_paused = true)]
async fn the_best_sentence_and_the_prompts_length_are_told() {
    let mut world = World::new();
    let deltas = world.deltas.clone();
    let ran = world.run(async |keys| {
        keys.ask("What does tea want of us?").await;
        keys.press('e', KeyModifiers::CONTROL);
        sleep(A_WHILE).await;
        deltas.send(text("Leaves.")).unwrap();
        keys.type_out("⇥⇥⇥⇥").await;
    });
    // The fake model counts bytes; nobody has counted what the answer took.
    let screen = ran.await.screen;
    assert_shows(&screen, &["Prompt · about 68 tokens", "user · about 68 tokens", "first token"]);
    assert!(!screen.contains("tokens/s"), "the answer goes on\n{screen}");

    let ran = World::new()
        .run(async |keys| {
            keys.ask("What does tea want of us?").await;
            keys.press('e', KeyModifiers::CONTROL);
            sleep(A_WHILE).await;
        })
        .await;
    assert_shows(&ran.screen, &["▸ Tea wants leaves. It needs some time, too.", "▸ best sentence, by meaning"]);
}

#[tokio::test(start_paused = true)]
async fn a_question_is_searched_again_in_another_collection() {
    let mut world = world_of_collections();
    let deltas = world.deltas.clone();
    let ran = world.run(async |keys| {
        keys.ask("What does tea want?").await;
        deltas.send(text("Leaves.")).unwrap();
        deltas.send(Delta::Finished(FinishReason::Stop)).unwrap();
        sleep(A_WHILE).await;
        keys.press('e', KeyModifiers::CONTROL);
        keys.type_out("ckk↵").await;
    });
    let screen = ran.await.screen;
    assert_shows(&screen, &["Searched again", "#▾ docs", "#▾ notes", "coffee.md:1", "tea.md:1", "Coffee wants beans."]);
}

/// A store without passages, made from a folder of `pages` documents of one passage each.
fn world_to_index(pages: usize) -> (World, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    for page in 0..pages {
        // Longer than a chunk may be together with another.
        std::fs::write(folder.path().join(format!("{page:02}.md")), format!("# {page}\n\nTea wants leaves.\n"))
            .unwrap();
    }
    let location = folder.path().to_str().unwrap().to_owned();
    let source = SourceSpec { location, globs: Vec::new(), chunker: Chunker::Markdown };
    let mut world = World::new();
    world.store = FakeStore::new(0, vec![source]);
    (world, folder)
}

#[tokio::test(start_paused = true)]
async fn a_download_is_stopped_and_got_again() {
    let (mut world, _folder) = world_to_index(1);
    (world.waits, world.downloads) = (true, true);
    let prepared = Arc::clone(&world.prepared);
    let ran = world.run(async |keys| {
        keys.press('t', KeyModifiers::CONTROL);
        sleep(A_WHILE).await;
        // The ingest that waited for the model goes on by keywords alone.
        keys.type_out("xx").await;
        sleep(SLOW_WRITE).await;
    });
    let screen = ran.await.screen;
    assert_shows(&screen, &["its download was stopped", "Ctrl-R tries again", "keyword search only", "done in"]);
    assert!(!screen.contains("cancelled"), "stopping is no failure\n{screen}");
    assert_eq!(prepared.load(Ordering::SeqCst), 1);

    let (mut world, _folder) = world_to_index(1);
    (world.waits, world.downloads) = (true, true);
    let ran = world.run(async |keys| {
        keys.press('t', KeyModifiers::CONTROL);
        sleep(A_WHILE).await;
        keys.type_out("xx").await;
        keys.press('r', KeyModifiers::CONTROL);
        sleep(A_WHILE).await;
    });
    assert_shows(&ran.await.screen, &["fake · 1 dimensions · ready"]);
}

#[tokio::test(start_paused = true)]
async fn a_paused_ingest_rests_and_is_remembered_when_it_has_ended() {
    let (mut world, _folder) = world_to_index(20);
    world.store.infos.lock().unwrap()[0].passages = 1;
    let ran = world.run(async |keys| {
        // All three are there before the ingest has begun anything.
        keys.press('r', KeyModifiers::CONTROL);
        keys.press('t', KeyModifiers::CONTROL);
        keys.press('p', KeyModifiers::NONE);
        sleep(Duration::from_secs(3600)).await;
        keys.press('p', KeyModifiers::NONE);
        sleep(SLOW_WRITE * 4).await;
        keys.type_out("⇥⇥").await;
    });
    let Ran { screen, frames, .. } = ran.await;
    assert_shows(
        &screen,
        &["done in", "21 passages", "Past runs · 1", "2026-01-31 17:05  done · notes · 20 documents"],
    );
    assert!(!screen.contains("min"), "the hour of the pause counts\n{screen}");
    assert!(frames < 150, "{frames} frames: a pause rests");
}

#[tokio::test(start_paused = true)]
async fn quitting_while_paused_is_quick() {
    let (mut world, _folder) = world_to_index(20);
    world.store.infos.lock().unwrap()[0].passages = 1;
    let ran = world.run(async |keys| {
        keys.press('r', KeyModifiers::CONTROL);
        keys.press('t', KeyModifiers::CONTROL);
        keys.press('p', KeyModifiers::NONE);
        sleep(A_WHILE).await;
    });
    let ran = ran.await;
    assert_shows(&ran.screen, &["paused"]);
    assert!(ran.took < A_WHILE, "{:?}", ran.took);
    assert_eq!(world.store.begun.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn the_title_follows_what_is_stored() {
    // More than are stored at once: the first write is of what is ready, the others come after it.
    let (mut world, _folder) = world_to_index(60);
    world.store.infos.lock().unwrap()[0].passages = 1;
    let ran = world.run(async |keys| {
        keys.press('r', KeyModifiers::CONTROL);
        // The first write is done and was counted, the second is not.
        sleep(SLOW_WRITE + SLOW_WRITE / 2).await;
        keys.press('t', KeyModifiers::CONTROL);
        sleep(A_WHILE / 10).await;
    });
    let Ran { screen, .. } = ran.await;
    let title = screen.lines().next().unwrap();
    assert!(title.contains("indexing") && !title.contains("notes · 1 passage ·"), "{screen}");
}

#[tokio::test(start_paused = true)]
async fn another_model_of_the_server_answers() {
    let ran = World::new()
        .run(async |keys| {
            keys.type_out("/model mac↵").await;
            keys.ask("Who are you?").await;
        })
        .await;
    assert_shows(&ran.screen, &["fake: macaw", "I am macaw."]);
    let ran = World::new()
        .run(async |keys| {
            keys.type_out("/model none↵").await;
            keys.ask("What does tea want of us?").await;
        })
        .await;
    assert_shows(&ran.screen, &["quotes, no model", "Tea wants leaves."]);
    // A name that the server does not list may be there all the same.
    let ran = World::new().run(async |keys| keys.type_out("/model kea↵").await).await;
    assert_shows(&ran.screen, &["fake 1d   fake: kea"]);
}
