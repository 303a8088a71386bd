//! The application in this process, driven like a person would: keys go in, a terminal emulator shows what comes out.
//!
//! Everything is real but its three seams: the terminal (crossterm's bytes go into a vt100 emulator), the input (a
//! channel), and the models (words counted in place of an embedding model; a chat model that says what the test tells
//! it to). The store is the embedded engine in a folder of its own.
//!
//! The application moves only while a test waits for something. Waiting is for what is drawn, never for time to pass: tests
//! run with time paused, so waiting in vain ends at once. Use it in `#[tokio::test(start_paused = true)]`.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fs,
    io::{self, Write},
    num::NonZero,
    path::Path,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use askdocs::{
    app::State,
    chat::{ChatError, ChatModel, Delta},
    domain::{
        Chunker, CollectionInfo, Fingerprint, FinishReason, Message, Metric, Pooling, SearchSettings, SourceSpec,
        ThemeName, Vector,
    },
    embed::{EmbedError, Embedder, Role},
    rag::{self, IngestJob, Templates},
    runtime::{self, EditError, Ended, Host, Opened, Setup, TerminalBackend},
    store::{SqliteStore, VectorStore},
    ui::{Keymap, Look},
};
use async_trait::async_trait;
use crossterm::event::{Event as Input, KeyEvent};
use futures_util::{FutureExt, StreamExt, stream, stream::BoxStream};
use ratatui::{
    Terminal,
    backend::{Backend, ClearType, WindowSize},
    buffer::Cell as Drawn,
    layout::{Position, Size},
};
use tempfile::TempDir;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use unicode_width::UnicodeWidthStr;

use super::{hostile, keys};

/// Longer than anything takes by the paused clock; whoever waits for longer waits in vain.
const PATIENCE: Duration = Duration::from_secs(600);

/// Documents by name.
type Documents = Vec<(String, Vec<u8>)>;

/// What the application is to be given.
pub struct Building {
    size: (u16, u16),
    collections: Vec<(String, Documents)>,
    handbook: bool,
    colour: bool,
    label: String,
    note: Option<String>,
    quotes: bool,
    history: Vec<u8>,
    store_failure: Option<String>,
    model_failure: Option<String>,
    embedding_model: String,
    other_model: Option<(String, bool)>,
}

impl Building {
    /// The handbook, which the application indexes by itself.
    pub fn handbook(self) -> Self {
        Self { handbook: true, ..self }
    }

    /// A collection of documents that is there already; the first one is in use.
    pub fn collection(mut self, name: &str, documents: &[(&str, &str)]) -> Self {
        let documents = documents.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
        self.collections.push((name.to_owned(), documents));
        self
    }

    /// The same with documents that need not be text.
    pub fn raw_collection(mut self, name: &str, documents: Documents) -> Self {
        self.collections.push((name.to_owned(), documents));
        self
    }

    /// How the chat model is called, and what is worth telling about it.
    pub fn labelled(self, label: &str, note: &str) -> Self {
        Self { label: label.to_owned(), note: (!note.is_empty()).then(|| note.to_owned()), ..self }
    }

    /// No chat model: sentences are quoted.
    pub fn quotes(self) -> Self {
        Self { quotes: true, ..self }
    }

    /// What the history file holds.
    pub fn history(self, lines: impl AsRef<[u8]>) -> Self {
        Self { history: lines.as_ref().to_vec(), ..self }
    }

    /// The store can't be opened, and says so.
    pub fn no_store(self, message: &str) -> Self {
        Self { store_failure: Some(message.to_owned()), ..self }
    }

    /// There is no embedding model, and this is why.
    pub fn no_model(self, message: &str) -> Self {
        Self { model_failure: Some(message.to_owned()), ..self }
    }

    /// What the embedding model calls itself.
    pub fn embedding_model(self, name: &str) -> Self {
        Self { embedding_model: name.to_owned(), ..self }
    }

    /// That collection was made with another embedding model, which is on this machine or not.
    pub fn made_with_another(self, collection: &str, is_here: bool) -> Self {
        Self { other_model: Some((collection.to_owned(), is_here)), ..self }
    }

    pub fn colour(self) -> Self {
        Self { colour: true, ..self }
    }

    /// Opens the application and waits for its first frame.
    pub async fn start(self) -> App {
        let folder = tempfile::tempdir().unwrap();
        let embedder: Arc<dyn Embedder> = Arc::new(Words(fingerprint(&self.embedding_model)));
        let other: Arc<dyn Embedder> =
            Arc::new(Words(Fingerprint { sha256: "another".to_owned(), ..fingerprint("other words") }));
        let (made_with_other, other_is_here) = self.other_model.unzip();
        let store: Arc<dyn VectorStore> = Arc::new(SqliteStore::open(&folder.path().join("collections")).unwrap());
        for (name, documents) in &self.collections {
            let source = write_documents(&folder.path().join("documents").join(name), documents);
            let job = IngestJob {
                store: Arc::clone(&store),
                embedder: Some(Arc::clone(if made_with_other.as_ref() == Some(name) { &other } else { &embedder })),
                collection: name.clone(),
                sources: vec![source],
                force: false,
                shard: None,
            };
            rag::ingest(&job, &Arc::default(), &Arc::default(), &CancellationToken::new()).await.unwrap();
        }
        let history_file = folder.path().join("history.jsonl");
        fs::write(&history_file, &self.history).unwrap();

        let first = self.collections.first().map(|(name, _)| name.clone());
        let collection = first.unwrap_or_else(|| CollectionInfo::HANDBOOK.to_owned());
        let opened = Opened { store, collection, keeps_handbook: self.handbook };
        let changed = Arc::new(Notify::new());
        let model =
            Arc::new(Parrot { label: self.label, changed: Arc::clone(&changed), talk: Mutex::new(Talk::default()) });
        let chat = (!self.quotes).then(|| Arc::clone(&model) as Arc<dyn ChatModel>);
        let (store_gate, store_is_open) = watch::channel(self.store_failure);
        let (model_gate, model_is_there) = watch::channel(self.model_failure);
        let setup = Setup {
            open: Box::new(move || {
                let (opened, failure) = (opened.clone(), store_is_open.borrow().clone());
                async move { failure.map_or(Ok(opened), |message| Err(anyhow::anyhow!("{message}"))) }.boxed()
            }),
            prepare_model: Arc::new(move |_, _| {
                let (embedder, failure) = (Arc::clone(&embedder), model_is_there.borrow().clone());
                async move { failure.map_or(Ok(embedder), |message| Err(anyhow::anyhow!("{message}"))) }.boxed()
            }),
            load_other: Arc::new(move |_| {
                let other = other_is_here.unwrap_or_default().then(|| Arc::clone(&other));
                async { Ok(other) }.boxed()
            }),
            chat,
            chat_note: self.note,
            templates: Templates { system: String::new(), user: "{context} {question}".to_owned(), citations: false },
            chunker: Chunker::Markdown,
            history_file,
            draft_file: folder.path().join("draft"),
            clipboard: None,
            now: || "2026-01-31T17:05:00+01:00".to_owned(),
            look: Look::default(),
            notify: false,
            keymap: Keymap::default(),
        };

        let theme = if self.colour { ThemeName::Terminal } else { ThemeName::Mono };
        let (columns, rows) = self.size;
        let screen = Rc::new(Screen {
            emulator: RefCell::new(vt100::Parser::new_with_callbacks(cells(rows), cells(columns), 0, Heard::default())),
            written: RefCell::default(),
            meant: RefCell::default(),
            size: Cell::new(Size::new(columns, rows)),
            frames: Cell::new(0),
            typed: Cell::new(0),
            shown: Cell::new(0),
            stopped: Cell::new(0),
            changed,
        });
        let (input, typed) = mpsc::unbounded_channel();
        let running = run(setup, theme, Rc::clone(&screen), typed).boxed_local();
        let mut app = App {
            running: Some(running),
            outcome: None,
            screen,
            model,
            input,
            sent: 0,
            store_gate,
            model_gate,
            folder,
        };
        app.wait("the first frame", |screen| screen.frames.get() > 0).await;
        app
    }
}

async fn run(
    setup: Setup,
    theme: ThemeName,
    screen: Rc<Screen>,
    typed: mpsc::UnboundedReceiver<Input>,
) -> anyhow::Result<Ended> {
    let reading = Rc::clone(&screen);
    let input = stream::unfold((typed, reading), async |(mut typed, reading)| {
        let event: Input = typed.recv().await?;
        reading.typed.set(reading.typed.get() + 1);
        reading.changed.notify_one();
        Some((Ok(event), (typed, reading)))
    });
    let wire = Wire(Rc::clone(&screen));
    let mut terminal = Terminal::new(Tty { out: TerminalBackend::new(wire), screen: Rc::clone(&screen) })?;
    let mut state = State::new(SearchSettings::default());
    state.theme = theme;
    runtime::run(setup, state, &mut terminal, input, &mut Shell(screen)).await
}

fn cells(n: u16) -> NonZero<u16> {
    NonZero::new(n).unwrap()
}

fn write_documents(folder: &Path, documents: &[(String, Vec<u8>)]) -> SourceSpec {
    for (name, content) in documents {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    let location = folder.to_str().unwrap().to_owned();
    SourceSpec { location, globs: Vec::new(), chunker: Chunker::Markdown }
}

/// The application, open.
pub struct App {
    running: Option<Pin<Box<dyn Future<Output = anyhow::Result<Ended>>>>>,
    outcome: Option<anyhow::Result<Ended>>,
    screen: Rc<Screen>,
    pub model: Arc<Parrot>,
    input: mpsc::UnboundedSender<Input>,
    /// Events sent so far.
    sent: u64,
    store_gate: watch::Sender<Option<String>>,
    model_gate: watch::Sender<Option<String>>,
    pub folder: TempDir,
}

impl App {
    /// On a terminal of this size.
    pub fn at(columns: u16, rows: u16) -> Building {
        Building {
            size: (columns, rows),
            collections: Vec::new(),
            handbook: false,
            colour: false,
            label: "test: parrot".to_owned(),
            note: None,
            quotes: false,
            history: Vec::new(),
            store_failure: None,
            model_failure: None,
            other_model: None,
            embedding_model: "words".to_owned(),
        }
    }

    /// Presses a key, by its name as in `Ctrl-C`, and waits until a frame shows what it did.
    pub async fn press(&mut self, key: &str) -> &mut Self {
        self.event(Input::Key(keys::event(key))).await
    }

    /// Types a text, character by character.
    pub async fn type_text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.event(Input::Key(KeyEvent::from(crossterm::event::KeyCode::Char(c)))).await;
        }
        self
    }

    pub async fn paste(&mut self, text: &str) -> &mut Self {
        self.event(Input::Paste(text.to_owned())).await
    }

    /// Asks a question.
    pub async fn ask(&mut self, question: &str) -> &mut Self {
        self.paste(question).await.press(keys::ASK).await
    }

    pub async fn resize(&mut self, columns: u16, rows: u16) -> &mut Self {
        self.screen.size.set(Size::new(columns, rows));
        self.screen.emulator.borrow_mut().screen_mut().set_size(cells(rows), cells(columns));
        self.event(Input::Resize(columns, rows)).await
    }

    /// Anything a terminal can send; waits until it was read and a frame has been drawn after it, as far as it means
    /// something, or the application has ended.
    pub async fn event(&mut self, event: Input) -> &mut Self {
        let Ok(()) = self.input.send(event) else { return self };
        self.sent += 1;
        let sent = self.sent;
        self.wait_or_end("an event to be read", |screen| screen.shown.get() >= sent || screen.typed.get() >= sent)
            .await;
        let screen = Rc::clone(&self.screen);
        let shown = async {
            while screen.shown.get() < sent {
                screen.changed.notified().await;
            }
        };
        // An event that means nothing costs no frame. The time is paused: it passes when nothing else is left to do.
        self.drive("a frame after an event", async { drop(timeout(Duration::from_secs(1), shown).await) }).await;
        self
    }

    /// Waits until this is on the screen.
    pub async fn wait_for(&mut self, text: &str) -> &mut Self {
        let what = format!("{text:?} on the screen");
        self.wait(&what, |screen| screen.contents().contains(text)).await;
        self
    }

    /// Waits until this is not on the screen any more.
    pub async fn wait_gone(&mut self, text: &str) -> &mut Self {
        let what = format!("{text:?} to go from the screen");
        self.wait(&what, |screen| !screen.contents().contains(text)).await;
        self
    }

    /// Says a piece of the answer, once the model has been asked.
    pub async fn says(&mut self, piece: &str) -> &mut Self {
        self.gives(Ok(Delta::Text(piece.to_owned()))).await
    }

    /// Ends the answer as a model does that is done.
    pub async fn finishes(&mut self) -> &mut Self {
        self.gives(Ok(Delta::Finished(FinishReason::Stop))).await
    }

    /// Gives any piece of an answer, or an error, once the model has been asked.
    pub async fn gives(&mut self, piece: Result<Delta, ChatError>) -> &mut Self {
        let model = Arc::clone(&self.model);
        self.wait("the chat model to be asked", |_| model.is_asked()).await;
        self.model.give(piece);
        self
    }

    /// Waits until nobody listens to the model any more.
    pub async fn wait_for_hanging_up(&mut self) -> &mut Self {
        let listening = self.model.line().expect("the model has been asked");
        self.drive("the model's answer to be dropped", async move { listening.closed().await }).await;
        self
    }

    /// Drops a collection as another program does.
    pub async fn drop_collection(&mut self, name: &str) -> &mut Self {
        let other = SqliteStore::open(&self.folder.path().join("collections")).unwrap();
        assert!(other.drop_collection(name).await.unwrap());
        self
    }

    /// From now on the store can be opened.
    pub fn mend_store(&mut self) {
        self.store_gate.send_replace(None);
    }

    /// From now on there is an embedding model.
    pub fn mend_model(&mut self) {
        self.model_gate.send_replace(None);
    }

    /// What the terminal shows, row by row.
    pub fn screen(&self) -> String {
        self.screen.contents()
    }

    /// Looks at the terminal emulator itself.
    pub fn emulator<T>(&self, look: impl FnOnce(&vt100::Parser<Heard>) -> T) -> T {
        look(&self.screen.emulator.borrow())
    }

    /// Every byte that went to the terminal.
    pub fn written(&self) -> Vec<u8> {
        self.screen.written.borrow().clone()
    }

    /// The terminal shows, cell by cell, what was drawn, and nothing of it could have done more than be seen.
    pub fn assert_clean(&self, what: &str) {
        let meant = self.screen.meant.borrow();
        let emulator = self.screen.emulator.borrow();
        let symbol = |x, y| meant.get(&(x, y)).cloned().unwrap_or_else(|| " ".to_owned());
        hostile::assert_shows(emulator.screen(), symbol, what);
        let heard = emulator.callbacks();
        assert!(heard.unknown.is_empty() && heard.bells == 0 && heard.clipboard.is_empty(), "{what}: {heard:?}");
    }

    /// Frames drawn so far.
    pub fn frames(&self) -> u64 {
        self.screen.frames.get()
    }

    /// How often the terminal was given back to the shell.
    pub fn suspended(&self) -> u32 {
        self.screen.stopped.get()
    }

    /// What is written in `folder` below the application's own.
    pub fn documents(&self, collection: &str) -> std::path::PathBuf {
        self.folder.path().join("documents").join(collection)
    }

    pub fn has_ended(&self) -> bool {
        self.running.is_none()
    }

    /// Ctrl-C twice from wherever it is, and waits for its end.
    pub async fn quit(mut self) {
        self.press(keys::QUIT_OR_CLEAR).await.press(keys::QUIT_OR_CLEAR).await;
        assert!(self.has_ended(), "Ctrl-C twice did not quit; the screen:\n{}", self.screen());
        self.outcome.unwrap().unwrap();
    }

    async fn wait(&mut self, what: &str, holds: impl Fn(&Screen) -> bool) {
        self.wait_or_end(what, &holds).await;
        let screen = self.screen();
        assert!(holds(&self.screen), "waited for {what}, and the application ended; the screen:\n{screen}");
    }

    async fn wait_or_end(&mut self, what: &str, holds: impl Fn(&Screen) -> bool) {
        let screen = Rc::clone(&self.screen);
        let waiting = async {
            while !holds(&screen) {
                screen.changed.notified().await;
            }
        };
        self.drive(what, waiting).await;
    }

    /// Lets the application run until this is over, or it has ended.
    async fn drive(&mut self, what: &str, waiting: impl Future<Output = ()>) {
        let Some(running) = self.running.as_mut() else { return };
        tokio::select! {
            biased;
            outcome = running => {
                self.running = None;
                self.outcome = Some(outcome);
            }
            waited = timeout(PATIENCE, waiting) => {
                assert!(waited.is_ok(), "waited for {what} in vain; the screen:\n{}", self.screen.contents());
            }
        }
    }
}

/// What a terminal made of the application's bytes, beside its screen.
#[derive(Debug, Default)]
pub struct Heard {
    pub titles: Vec<String>,
    pub clipboard: Vec<Vec<u8>>,
    pub bells: u32,
    /// Controls and sequences that the emulator does not know.
    pub unknown: Vec<String>,
}

impl vt100::Callbacks for Heard {
    fn audible_bell(&mut self, _: &mut vt100::Screen) {
        self.bells += 1;
    }
    fn visual_bell(&mut self, _: &mut vt100::Screen) {
        self.bells += 1;
    }
    fn set_window_icon_name(&mut self, _: &mut vt100::Screen, name: &[u8]) {
        self.titles.push(String::from_utf8_lossy(name).into_owned());
    }
    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.titles.push(String::from_utf8_lossy(title).into_owned());
    }
    fn copy_to_clipboard(&mut self, _: &mut vt100::Screen, _: &[u8], data: &[u8]) {
        self.clipboard.push(data.to_vec());
    }
    fn unhandled_char(&mut self, _: &mut vt100::Screen, c: char) {
        self.unknown.push(format!("character {c:?}"));
    }
    fn unhandled_control(&mut self, _: &mut vt100::Screen, byte: u8) {
        self.unknown.push(format!("control {byte:#x}"));
    }
    fn unhandled_escape(&mut self, _: &mut vt100::Screen, _: Option<u8>, _: Option<u8>, byte: u8) {
        self.unknown.push(format!("escape {:?}", char::from(byte)));
    }
}

/// What the terminal shows, and what has happened to it.
struct Screen {
    emulator: RefCell<vt100::Parser<Heard>>,
    written: RefCell<Vec<u8>>,
    /// What was meant to stand in each cell, where anything was drawn since the last clearing.
    meant: RefCell<HashMap<(u16, u16), String>>,
    size: Cell<Size>,
    frames: Cell<u64>,
    /// Events that the application has taken, and how many of them its last frame knew of.
    typed: Cell<u64>,
    shown: Cell<u64>,
    stopped: Cell<u32>,
    /// A frame was drawn, or the chat model was asked.
    changed: Arc<Notify>,
}

impl Screen {
    fn contents(&self) -> String {
        let emulator = self.emulator.borrow();
        let screen = emulator.screen();
        let (_, columns) = screen.size();
        screen.rows(0, columns.get()).collect::<Vec<_>>().join("\n")
    }
}

struct Wire(Rc<Screen>);

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.emulator.borrow_mut().process(bytes);
        self.0.written.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Crossterm's own bytes; only the size is the test's.
struct Tty {
    out: TerminalBackend<Wire>,
    screen: Rc<Screen>,
}

impl Backend for Tty {
    type Error = io::Error;

    fn draw<'a, I: Iterator<Item = (u16, u16, &'a Drawn)>>(&mut self, content: I) -> io::Result<()> {
        let mut meant = self.screen.meant.borrow_mut();
        self.out.draw(content.inspect(|(x, y, cell)| {
            // What a wide character covers is not drawn by itself.
            for behind in 1..cell.symbol().width() as u16 {
                meant.remove(&(x + behind, *y));
            }
            meant.insert((*x, *y), cell.symbol().to_owned());
        }))
    }
    fn hide_cursor(&mut self) -> io::Result<()> {
        self.out.hide_cursor()
    }
    fn show_cursor(&mut self) -> io::Result<()> {
        self.out.show_cursor()
    }
    fn get_cursor_position(&mut self) -> io::Result<Position> {
        panic!("the terminal was asked where its cursor is: not every one answers")
    }
    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.out.set_cursor_position(position)
    }
    fn clear(&mut self) -> io::Result<()> {
        self.screen.meant.borrow_mut().clear();
        self.out.clear()
    }
    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        self.screen.meant.borrow_mut().clear();
        self.out.clear_region(region)
    }
    fn size(&self) -> io::Result<Size> {
        Ok(self.screen.size.get())
    }
    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.screen.size.get(), pixels: Size::default() })
    }
    /// The last thing of a frame.
    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.out)?;
        let screen = &self.screen;
        screen.frames.set(screen.frames.get() + 1);
        screen.shown.set(screen.typed.get());
        screen.changed.notify_one();
        Ok(())
    }
}

struct Shell(Rc<Screen>);

impl Host for Shell {
    async fn suspend(&mut self) -> io::Result<Option<u8>> {
        self.0.stopped.set(self.0.stopped.get() + 1);
        Ok(None)
    }
    fn copy(&mut self, _: &str) -> io::Result<bool> {
        Ok(true)
    }
    fn capture_mouse(&mut self, _: bool) -> io::Result<()> {
        Ok(())
    }
    async fn edit(&mut self, _: &str) -> io::Result<Result<String, EditError>> {
        Ok(Err(EditError::NotSet))
    }
}

/// A chat model that says what the test tells it to.
#[derive(Default)]
pub struct Parrot {
    label: String,
    changed: Arc<Notify>,
    talk: Mutex<Talk>,
}

#[derive(Default)]
struct Talk {
    /// What it was asked with, the latest last.
    asked: Vec<Vec<Message>>,
    refusal: Option<ChatError>,
    line: Option<mpsc::UnboundedSender<Result<Delta, ChatError>>>,
}

impl Parrot {
    /// The next question is refused with this.
    pub fn refuses(&self, error: ChatError) {
        self.talk.lock().unwrap().refusal = Some(error);
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.talk.lock().unwrap().asked.len()
    }

    fn line(&self) -> Option<mpsc::UnboundedSender<Result<Delta, ChatError>>> {
        self.talk.lock().unwrap().line.clone()
    }

    fn is_asked(&self) -> bool {
        self.line().is_some()
    }

    /// Nobody need listen any more: a late piece is the test's point then.
    pub fn give(&self, piece: Result<Delta, ChatError>) {
        let ends = !matches!(piece, Ok(Delta::Text(_) | Delta::Reasoning(_) | Delta::Usage(_)));
        let mut talk = self.talk.lock().unwrap();
        if let Some(line) = &talk.line {
            let _ = line.send(piece);
        }
        if ends {
            talk.line = None;
        }
    }
}

#[async_trait]
impl ChatModel for Parrot {
    fn label(&self) -> String {
        self.label.clone()
    }
    fn model(&self) -> &str {
        &self.label
    }
    async fn stream(&self, messages: &[Message]) -> Result<BoxStream<'static, Result<Delta, ChatError>>, ChatError> {
        let (line, pieces) = mpsc::unbounded_channel();
        {
            let mut talk = self.talk.lock().unwrap();
            talk.asked.push(messages.to_vec());
            if let Some(error) = talk.refusal.take() {
                return Err(error);
            }
            talk.line = Some(line);
        }
        self.changed.notify_one();
        Ok(stream::unfold(pieces, async |mut pieces| Some((pieces.recv().await?, pieces))).boxed())
    }
    fn with_model(&self, name: &str) -> Arc<dyn ChatModel> {
        Arc::new(Self { label: name.to_owned(), ..Self::default() })
    }
    async fn models(&self) -> Result<Option<Vec<String>>, ChatError> {
        Ok(Some(vec!["parrot".to_owned(), "macaw".to_owned()]))
    }
}

const DIMENSIONS: usize = 32;

fn fingerprint(model: &str) -> Fingerprint {
    Fingerprint {
        model: model.to_owned(),
        sha256: "0".repeat(64),
        dim: DIMENSIONS,
        metric: Metric::Ip,
        pooling: Pooling::Mean,
        normalised: true,
        max_tokens: 256,
        query_prefix: String::new(),
        passage_prefix: String::new(),
    }
}

/// Counts words: texts that share many are near each other.
struct Words(Fingerprint);

impl Embedder for Words {
    fn fingerprint(&self) -> &Fingerprint {
        &self.0
    }
    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }
    fn embed(&self, _: Role, texts: &[&str]) -> Result<Vec<Vector>, EmbedError> {
        let embed = |text: &&str| {
            let mut counts = vec![0.0_f32; DIMENSIONS];
            for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
                let hash =
                    word.to_lowercase().bytes().fold(5381_u32, |hash, byte| (hash * 33 % 1_000_003) ^ u32::from(byte));
                counts[hash as usize % DIMENSIONS] += 1.0;
            }
            counts[0] += 0.01;
            let length = counts.iter().map(|count| count * count).sum::<f32>().sqrt();
            counts.into_iter().map(|count| count / length).collect()
        };
        Ok(texts.iter().map(embed).collect())
    }
}
