use std::{
    fmt,
    io::{self, Write},
    panic,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    thread,
    time::Duration,
};

use crossterm::{
    Command,
    clipboard::CopyToClipboard,
    cursor,
    event::{self, EventStream},
    execute, queue,
    style::ResetColor,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, SetTitle, disable_raw_mode, enable_raw_mode},
};

use futures_util::Stream;

use super::{
    Host,
    outside::{EditError, EditorCommand},
};
use crate::text::one_line;

/// Most bytes that are given to the terminal's clipboard: what remains of the 100,000 characters of a sequence that
/// terminals commonly take once it is base64.
const MOST_COPIED_BYTES: usize = 74_000;

/// Whether the terminal is ours at the moment; the panic hook and the guard share it.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// Holds the terminal in the application's modes, and gives it back whole when dropped, on a panic and on a signal.
pub struct TerminalGuard {
    signals: Signals,
    input: TerminalInput,
    /// The mouse is ours while the terminal is.
    mouse: bool,
    /// A signal to end came while nobody was waiting for one.
    terminated: bool,
}

impl TerminalGuard {
    /// Takes the terminal. To be called on the thread that draws: a panic there ends the program, so the terminal is
    /// given back before its message is written. A panic on any other thread is caught where the work was begun; it goes
    /// to the log, and the screen stays as it is. `mouse`: that one too.
    ///
    /// # Errors
    /// When it can't be switched, or signals can't be heard.
    pub fn enter(mouse: bool) -> io::Result<Self> {
        let signals = Signals::new()?;
        let earlier = panic::take_hook();
        let drawing = thread::current().id();
        panic::set_hook(Box::new(move |info| {
            if thread::current().id() == drawing || !ENTERED.load(Ordering::SeqCst) {
                leave();
                earlier(info);
            } else {
                let place = info.location().map(ToString::to_string).unwrap_or_default();
                let payload = one_line(info.payload_as_str().unwrap_or("no message"));
                tracing::error!("a worker panicked at {place}: {payload}");
            }
        }));
        let guard = Self { signals, input: TerminalInput::default(), mouse, terminated: false };
        guard.take()?;
        Ok(guard)
    }

    /// The terminal's events.
    pub fn input(&self) -> TerminalInput {
        self.input.resume();
        self.input.clone()
    }

    fn take(&self) -> io::Result<()> {
        enter()?;
        if self.mouse { execute!(io::stdout(), EnableMouse) } else { Ok(()) }
    }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        leave();
    }
}

impl Host for TerminalGuard {
    fn suspend(&mut self) -> io::Result<()> {
        leave();
        // Raw mode made Ctrl-Z a key like any other, so the program stops itself; this returns when it is continued.
        #[cfg(unix)]
        rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
        self.take()
    }

    fn copy(&mut self, text: &str) -> io::Result<bool> {
        let fits = text.len() <= MOST_COPIED_BYTES;
        if fits {
            execute!(io::stdout(), CopyToClipboard::to_clipboard_from(text))?;
        }
        Ok(fits)
    }

    fn capture_mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        if on { execute!(io::stdout(), EnableMouse) } else { execute!(io::stdout(), DisableMouse) }
    }

    async fn edit(&mut self, text: &str) -> io::Result<Result<String, EditError>> {
        let command = match EditorCommand::from_env() {
            Ok(command) => command,
            Err(error) => return Ok(Err(error)),
        };
        // Nobody but the editor reads what is typed now.
        self.input.pause();
        leave();
        #[cfg(unix)]
        let modes = rustix::termios::tcgetattr(io::stdin());
        let edited = tokio::select! {
            edited = command.edit(text) => edited,
            () = self.signals.end() => {
                self.terminated = true;
                Ok(text.to_owned())
            }
        };
        // An editor that broke may have left modes behind, which must not become those that the shell gets back.
        #[cfg(unix)]
        if let Ok(modes) = modes {
            let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, &modes);
        }
        // The end of the stream wakes whoever waits for input inside crossterm. A wake that nobody was there to take would
        // come together with the next input; crossterm, told of both once, would leave that unread. What was typed ahead
        // is told once more when the modes change.
        let _ = event::poll(Duration::ZERO);
        // Ctrl-C and the like were meant for the editor.
        self.signals.forget_keys()?;
        self.take()?;
        self.input.resume();
        Ok(edited)
    }

    async fn terminated(&mut self) {
        if !self.terminated {
            self.signals.recv().await;
        }
    }
}

/// What the terminal tells. It isn't read while another program has the terminal.
#[derive(Clone, Default)]
pub struct TerminalInput(Arc<Mutex<Option<EventStream>>>);

impl TerminalInput {
    fn pause(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn resume(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
    }
}

impl Stream for TerminalInput {
    type Item = io::Result<event::Event>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(stream) => Pin::new(stream).poll_next(cx),
            // Whoever pauses it asks it again afterwards.
            None => Poll::Pending,
        }
    }
}

/// Buttons, drags and the wheel, in the form without limits to columns. crossterm's own command asks for every movement
/// too, which is a great deal of input for nothing.
#[derive(Debug)]
struct EnableMouse;

#[derive(Debug)]
struct DisableMouse;

impl Command for EnableMouse {
    fn write_ansi(&self, f: &mut impl fmt::Write) -> fmt::Result {
        f.write_str("\x1b[?1000h\x1b[?1002h\x1b[?1006h")
    }

    #[cfg(windows)]
    fn execute_winapi(&self) -> io::Result<()> {
        event::EnableMouseCapture.execute_winapi()
    }

    #[cfg(windows)]
    fn is_ansi_code_supported(&self) -> bool {
        false
    }
}

impl Command for DisableMouse {
    fn write_ansi(&self, f: &mut impl fmt::Write) -> fmt::Result {
        f.write_str("\x1b[?1006l\x1b[?1002l\x1b[?1000l")
    }

    #[cfg(windows)]
    fn execute_winapi(&self) -> io::Result<()> {
        event::DisableMouseCapture.execute_winapi()
    }

    #[cfg(windows)]
    fn is_ansi_code_supported(&self) -> bool {
        false
    }
}

fn enter() -> io::Result<()> {
    ENTERED.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    let mut out = io::stdout();
    queue!(out, EnterAlternateScreen, event::EnableBracketedPaste, cursor::Hide, SetTitle("askdocs"))?;
    out.flush()
}

/// Every mode undone, whatever of it was done; errors have nowhere to go.
fn leave() {
    if ENTERED.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        let _ = execute!(
            out,
            DisableMouse,
            event::DisableBracketedPaste,
            ResetColor,
            LeaveAlternateScreen,
            cursor::Show,
            SetTitle("")
        );
        let _ = disable_raw_mode();
    }
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.quit.recv() => {}
        }
    }

    /// One that no key of the terminal sends.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }

    /// Forgets those that keys of the terminal have sent.
    fn forget_keys(&mut self) -> io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        self.interrupt = signal(SignalKind::interrupt())?;
        self.quit = signal(SignalKind::quit())?;
        Ok(())
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn end(&mut self) {
        std::future::pending().await
    }

    fn forget_keys(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn recv(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
