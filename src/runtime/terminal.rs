use std::{
    io::{self, Write},
    panic,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crossterm::{
    cursor, event, execute, queue,
    style::ResetColor,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, SetTitle, disable_raw_mode, enable_raw_mode},
};

use super::Host;
use crate::text::one_line;

/// Whether the terminal is ours at the moment; the panic hook and the guard share it.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// Holds the terminal in the application's modes, and gives it back whole when dropped, on a panic and on a signal.
pub struct TerminalGuard {
    signals: Signals,
}

impl TerminalGuard {
    /// Takes the terminal. To be called on the thread that draws: a panic there ends the program, so the terminal is
    /// given back before its message is written. A panic on any other thread is caught where the work was begun; it goes
    /// to the log, and the screen stays as it is.
    ///
    /// # Errors
    /// When it can't be switched, or signals can't be heard.
    pub fn enter() -> io::Result<Self> {
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
        let guard = Self { signals };
        enter()?;
        Ok(guard)
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
        enter()
    }

    async fn terminated(&mut self) {
        self.signals.recv().await;
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
        let _ =
            execute!(out, event::DisableBracketedPaste, ResetColor, LeaveAlternateScreen, cursor::Show, SetTitle(""));
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
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn recv(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
