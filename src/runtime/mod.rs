//! Makes the application run: the event loop, effects as tasks, the terminal's guard, signals. It knows no concrete
//! engine or model: these come in as traits and factories from `cli`.
//!
//! The loop waits for input, for events of its tasks, for a draw that is due, and for the next sample of running work;
//! with nothing to do it does not wake at all.

mod attention;
mod backend;
mod bursts;
mod clipboard;
mod drafts;
mod effects;
mod export;
mod frames;
mod history;
mod output;
mod outside;
pub mod runs;
mod signals;
mod terminal;

use std::{
    collections::VecDeque,
    future::{pending, ready},
    io,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use attention::Attention;
pub use backend::TerminalBackend;
pub use clipboard::{OpenClipboard, Writing, system_clipboard};
use crossterm::event::Event as TerminalEvent;
use drafts::Drafts;
pub use drafts::claim as claim_draft;
use effects::Effects;
pub use effects::{LoadOther, Opened, Opening, Preparing};
use frames::{FrameLimiter, Pace};
use futures_util::{Stream, StreamExt};
pub use outside::EditError;
use ratatui::{
    Terminal,
    backend::Backend,
    layout::{Position, Rect},
};
pub use signals::Signal;
pub use terminal::{TerminalGuard, TerminalInput};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout},
};

use crate::{
    app::{Action, Effect, Event, State},
    chat::ChatModel,
    domain::Chunker,
    rag::Templates,
    ui,
};

/// How often running work is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(150);
/// Events that may wait for the loop; when it is full the sender waits, and so does the socket behind it.
const EVENT_QUEUE: usize = 256;
/// How long what a person should know of may take to be heard once its consequences are there.
const HEARD_WITHIN: Duration = Duration::from_millis(100);

/// What the application is made from. Nothing of it has been opened, loaded or connected yet: that happens behind the
/// first frame.
pub struct Setup {
    /// May be called again after a failure.
    pub open: Opening,
    /// Gets and loads the embedding model; may be called again after a failure.
    pub prepare_model: Preparing,
    /// Collections of other models are searched with these.
    pub load_other: LoadOther,
    /// `None`: sentences of the passages are quoted.
    pub chat: Option<Arc<dyn ChatModel>>,
    /// Worth telling once about the chat model, for example that its key is not set.
    pub chat_note: Option<String>,
    pub templates: Templates,
    /// How documents of a collection that is made in the application are cut.
    pub chunker: Chunker,
    /// Where questions are kept for later runs.
    pub history_file: PathBuf,
    /// The local time with its offset, as in RFC 3339.
    pub now: fn() -> String,
    /// Where the question that is being written is kept.
    pub draft_file: PathBuf,
    /// The system's clipboard; `None`: only the terminal's is written to.
    pub clipboard: Option<OpenClipboard>,
    pub look: ui::Look,
    /// Ring the terminal's bell when long work ends while the person is elsewhere.
    pub notify: bool,
    pub keymap: ui::Keymap,
}

/// How the application ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The person quit it.
    Quit,
    /// There is nothing to read keys from any more.
    InputClosed,
    /// By the signal of this number.
    Signal(u8),
}

/// What the loop asks of the place it runs in. A place that is no terminal has some of it only.
pub trait Host {
    /// Waits for what comes from outside the terminal.
    fn signal(&mut self) -> impl Future<Output = Signal> {
        pending()
    }

    /// Gives the terminal back to the shell until the person returns; gives the number of the signal that asked the
    /// program to end meanwhile.
    ///
    /// # Errors
    /// When the terminal can't be switched.
    fn suspend(&mut self) -> impl Future<Output = io::Result<Option<u8>>> {
        ready(Ok(None))
    }

    /// Gives text to the terminal's own clipboard. False where it is more than terminals take.
    ///
    /// # Errors
    /// When the terminal can't be written to.
    fn copy(&mut self, text: &str) -> io::Result<bool>;

    /// Takes the mouse from the terminal, or gives it back.
    ///
    /// # Errors
    /// When the terminal can't be switched.
    fn capture_mouse(&mut self, on: bool) -> io::Result<()>;

    /// Gives the terminal to the person's own editor until they are done with the text; returns what they left, or why
    /// there is nothing.
    ///
    /// # Errors
    /// When the terminal can't be switched.
    fn edit(&mut self, text: &str) -> impl Future<Output = io::Result<Result<String, EditError>>>;

    /// Switches the terminal anew after others may have used it.
    ///
    /// # Errors
    /// When it can't be switched.
    fn take_again(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// A frame is complete: shows it, and `title` as the window's.
    ///
    /// # Errors
    /// When the terminal takes no more.
    fn frame_drawn(&mut self, title: &str) -> io::Result<()> {
        let _ = title;
        Ok(())
    }

    /// Calls the person back.
    ///
    /// # Errors
    /// When the terminal takes no more.
    fn ring(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs the application until it is quit or its input ends.
///
/// # Errors
/// When the terminal can't be drawn on.
pub async fn run<B, S, H>(
    setup: Setup,
    mut state: State,
    terminal: &mut Terminal<B>,
    input: S,
    host: &mut H,
) -> anyhow::Result<Ended>
where
    B: Backend,
    B::Error: Send + Sync + 'static,
    S: Stream<Item = io::Result<TerminalEvent>>,
    H: Host,
{
    let (events, inbox) = mpsc::channel(EVENT_QUEUE);
    let frames = FrameLimiter::new(if setup.look.still { Pace::Calm } else { Pace::Streaming });
    let cache = ui::ViewCache::new(setup.look, setup.keymap.clone());
    let mut screen = Screen { terminal, cache, frames, attention: Attention::new(setup.notify) };
    // The first frame before anything else is begun.
    if let Err(error) = screen.draw(&state, host) {
        return cause(error, host).await;
    }
    let mut drafts = Drafts::new(setup.draft_file.clone());
    let mut effects = Effects::start(setup, events);
    let input = bursts::with_pastes(input);
    // However the loop ends, its inbox is closed by then: no task waits for room in it while all are told to end.
    let ended = drive(&mut state, &mut screen, inbox, input, host, &mut effects, &mut drafts).await;
    tokio::join!(drafts.finish(state.draft()), effects.stop());
    match ended {
        Ok(ended) => Ok(ended),
        Err(error) => cause(error, host).await,
    }
}

/// What an error came of: a frame may miss a terminal that goes away before that is told.
async fn cause(error: anyhow::Error, host: &mut impl Host) -> anyhow::Result<Ended> {
    let told = timeout(HEARD_WITHIN, async {
        loop {
            if let Signal::End(number) = host.signal().await {
                return number;
            }
        }
    });
    told.await.map(Ended::Signal).map_err(|_| error)
}

/// What is drawn on, when, and whether somebody looks at it.
struct Screen<'a, B: Backend> {
    terminal: &'a mut Terminal<B>,
    cache: ui::ViewCache,
    frames: FrameLimiter,
    attention: Attention,
}

impl<B: Backend> Screen<'_, B>
where
    B::Error: Send + Sync + 'static,
{
    fn draw(&mut self, state: &State, host: &mut impl Host) -> anyhow::Result<()> {
        self.terminal.draw(|frame| ui::view(state, &mut self.cache, frame))?;
        host.frame_drawn(&ui::title(state, &self.cache))?;
        self.frames.drawn(Instant::now());
        Ok(())
    }

    /// Makes the next frame a whole one. `Terminal::clear` would ask the terminal where its cursor is, and wait for an
    /// answer that not every terminal gives; resizing to the same size clears without asking.
    fn clear(&mut self) -> Result<(), B::Error> {
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))?;
        self.frames.ask_now(Instant::now());
        Ok(())
    }
}

/// The loop itself; returns when the application is quit, its input ends, or it can't draw any more.
async fn drive<B, S, H>(
    state: &mut State,
    screen: &mut Screen<'_, B>,
    mut inbox: mpsc::Receiver<Event>,
    input: S,
    host: &mut H,
    effects: &mut Effects,
    drafts: &mut Drafts,
) -> anyhow::Result<Ended>
where
    B: Backend,
    B::Error: Send + Sync + 'static,
    S: Stream<Item = io::Result<TerminalEvent>>,
    H: Host,
{
    let mut input = std::pin::pin!(input);
    let mut samples = interval_at(Instant::now() + SAMPLE_EVERY, SAMPLE_EVERY);
    samples.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let now = Instant::now();
        if screen.frames.is_due(now) {
            screen.draw(state, host)?;
        }
        let mut batch = VecDeque::new();
        tokio::select! {
            biased;
            signal = host.signal() => match signal {
                Signal::End(number) => return Ok(Ended::Signal(number)),
                Signal::Stop => batch.push_back(Event::Action(Action::Suspend)),
                Signal::Continued => {
                    host.take_again()?;
                    screen.clear()?;
                }
            },
            read = input.next() => match read {
                None | Some(Err(_)) => return Ok(Ended::InputClosed),
                Some(Ok(event)) => {
                    match event {
                        TerminalEvent::FocusLost => screen.attention.is_here = false,
                        TerminalEvent::FocusGained => screen.attention.is_here = true,
                        // A window that is being dragged asks for a frame with every pixel.
                        TerminalEvent::Resize(..) => screen.frames.ask_resized(Instant::now()),
                        TerminalEvent::Key(_) | TerminalEvent::Mouse(_) | TerminalEvent::Paste(_) => {
                            // Whoever presses keys is here, whatever the terminal has told or not.
                            screen.attention.is_here = true;
                            effects.make_room();
                        }
                    }
                    if screen.frames.set_elsewhere(!screen.attention.is_here) {
                        screen.frames.ask_now(Instant::now());
                    }
                    let resized = matches!(event, TerminalEvent::Resize(..));
                    batch.extend(ui::key(state, &screen.cache, event).map(Event::Action));
                    // What means nothing, as most that a mouse does, costs no frame.
                    if !resized && !batch.is_empty() {
                        screen.frames.ask_now(Instant::now());
                    }
                }
            },
            Some(event) = inbox.recv() => {
                screen.frames.ask(Instant::now());
                batch.push_back(event);
                while batch.len() < EVENT_QUEUE && let Ok(event) = inbox.try_recv() {
                    batch.push_back(event);
                }
            },
            _ = samples.tick(), if effects.has_work() => {
                screen.frames.ask(Instant::now());
                batch.extend(effects.sample());
            },
            () = sleep_until(drafts.due().unwrap_or(now)), if drafts.due().is_some() => {
                drafts.keep(state.draft(), Instant::now());
            }
            () = sleep_until(screen.frames.due().unwrap_or(now)), if screen.frames.due().is_some() => {}
        }
        while let Some(event) = batch.pop_front() {
            if let Event::Draft(draft) = &event {
                drafts.found(draft);
            }
            for effect in state.update(event) {
                match effect {
                    Effect::Quit => return Ok(Ended::Quit),
                    Effect::Suspend => {
                        if let Some(number) = host.suspend().await? {
                            return Ok(Ended::Signal(number));
                        }
                        screen.clear()?;
                    }
                    Effect::Redraw => screen.clear()?,
                    Effect::Copy { what, text } => {
                        let terminal = host.copy(&text)?;
                        effects.copy(what, text, terminal);
                    }
                    Effect::CaptureMouse(on) => host.capture_mouse(on)?,
                    Effect::EditOutside(text) => {
                        let edited = host.edit(&text).await?;
                        screen.clear()?;
                        batch.push_back(Event::Edited(edited.map_err(|error| error.to_string())));
                    }
                    other => effects.carry_out(other),
                }
            }
        }
        drafts.note(state.draft(), Instant::now());
        if screen.attention.is_due(state.is_working(), Instant::now()) {
            host.ring()?;
        }
    }
}
