//! Makes the application run: the event loop, effects as tasks, the terminal's guard, signals. It knows no concrete
//! engine or model: these come in as traits and factories from `cli`.
//!
//! The loop waits for input, for events of its tasks, for a draw that is due, and for the next sample of running work;
//! with nothing to do it does not wake at all.

mod effects;
mod frames;
mod history;
mod terminal;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use crossterm::event::Event as TerminalEvent;
use effects::Effects;
pub use effects::{Opened, Preparing};
use frames::FrameLimiter;
use futures_util::{Stream, StreamExt, future::BoxFuture};
use ratatui::{Terminal, backend::Backend};
pub use terminal::TerminalGuard;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at, sleep_until},
};

use crate::{
    app::{Event, State},
    chat::ChatModel,
    rag::Templates,
    ui,
};

/// How often running work is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(150);
/// Events that may wait for the loop; when it is full the sender waits, and so does the socket behind it.
const EVENT_QUEUE: usize = 256;

/// What the application is made from. Nothing of it has been opened, loaded or connected yet: that happens behind the
/// first frame.
pub struct Setup {
    /// Opens the store and names the collection to show.
    pub open: Box<dyn FnOnce() -> BoxFuture<'static, anyhow::Result<Opened>> + Send>,
    /// Gets and loads the embedding model; may be called again after a failure.
    pub prepare_model: Preparing,
    /// `None`: sentences of the passages are quoted.
    pub chat: Option<Arc<dyn ChatModel>>,
    /// Worth telling once about the chat model, for example that its key is not set.
    pub chat_note: Option<String>,
    pub templates: Templates,
    /// Where questions are kept for later runs.
    pub history_file: PathBuf,
    pub theme: ui::Theme,
}

/// What the loop asks of the place it runs in.
pub trait Host {
    /// Gives the terminal back to the shell until the person returns.
    ///
    /// # Errors
    /// When the terminal can't be switched.
    fn suspend(&mut self) -> io::Result<()>;

    /// Waits for a signal that asks the program to end.
    fn terminated(&mut self) -> impl Future<Output = ()>;
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
) -> anyhow::Result<()>
where
    B: Backend,
    B::Error: Send + Sync + 'static,
    S: Stream<Item = io::Result<TerminalEvent>>,
    H: Host,
{
    let (events, mut inbox) = mpsc::channel(EVENT_QUEUE);
    let mut cache = ui::ViewCache::new(setup.theme);
    let mut frames = FrameLimiter::default();
    let mut input = std::pin::pin!(input);
    // The first frame before anything else is begun.
    terminal.draw(|frame| ui::view(&state, &mut cache, frame))?;
    frames.drawn(Instant::now());
    let mut effects = Effects::start(setup, events);
    let mut samples = interval_at(Instant::now() + SAMPLE_EVERY, SAMPLE_EVERY);
    samples.set_missed_tick_behavior(MissedTickBehavior::Skip);

    'running: loop {
        let now = Instant::now();
        if frames.is_due(now) {
            terminal.draw(|frame| ui::view(&state, &mut cache, frame))?;
            frames.drawn(Instant::now());
        }
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            () = host.terminated() => break,
            read = input.next() => match read {
                None | Some(Err(_)) => break,
                Some(Ok(event)) => {
                    frames.ask_now(Instant::now());
                    batch.extend(ui::key(&state, &cache, event).map(Event::Action));
                }
            },
            Some(event) = inbox.recv() => {
                frames.ask(Instant::now());
                batch.push(event);
                while batch.len() < EVENT_QUEUE && let Ok(event) = inbox.try_recv() {
                    batch.push(event);
                }
            },
            _ = samples.tick(), if effects.has_work() => {
                frames.ask(Instant::now());
                batch.extend(effects.sample());
            },
            () = sleep_until(frames.due().unwrap_or(now)), if frames.due().is_some() => {}
        }
        for event in batch {
            for effect in state.update(event) {
                match effect {
                    crate::app::Effect::Quit => break 'running,
                    crate::app::Effect::Suspend => {
                        host.suspend()?;
                        terminal.clear()?;
                        frames.ask_now(Instant::now());
                    }
                    crate::app::Effect::Redraw => {
                        terminal.clear()?;
                        frames.ask_now(Instant::now());
                    }
                    other => effects.carry_out(other),
                }
            }
        }
    }
    effects.stop().await;
    Ok(())
}
