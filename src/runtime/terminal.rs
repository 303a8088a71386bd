use std::{
    fmt,
    io::{self, Write},
    panic,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    thread,
    time::Duration,
};

use crossterm::{
    Command,
    clipboard::CopyToClipboard,
    cursor,
    event::{
        self, DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange, EventStream,
        KeyboardEnhancementFlags, PopKeyboardEnhancementFlags, PushKeyboardEnhancementFlags,
    },
    execute, queue,
    style::{Print, ResetColor},
    terminal::{
        Clear, ClearType, DisableLineWrap, EnableLineWrap, EndSynchronizedUpdate, EnterAlternateScreen,
        LeaveAlternateScreen, SetTitle, disable_raw_mode, enable_raw_mode,
    },
};
use futures_util::Stream;

use super::{
    Host,
    output::Output,
    outside::{EditError, EditorCommand},
    signals::{Signal, Signals, is_gone},
};
use crate::text::one_line;

/// Most bytes that are given to the terminal's clipboard: what remains of the 100,000 characters of a sequence that
/// terminals commonly take once it is base64.
const MOST_COPIED_BYTES: usize = 74_000;

/// Whether the terminal is ours at the moment; the panic hook and the guard share it.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// How often writing to the terminal was begun or done: odd while it is under way.
static WRITES: AtomicU64 = AtomicU64::new(0);

type Switch = fn(&mut Vec<u8>) -> io::Result<()>;

/// What is switched on while the terminal is ours, and how each is undone; undone in the opposite order. What a terminal
/// does not know it ignores.
///
/// Keyboard flags (the kitty protocol's, so that Esc and Ctrl-J are keys of their own) are pushed without asking whether
/// they are supported: a terminal that does not answer would hold up the first frame for two seconds. They belong to the
/// alternate screen, so they go before it does. The title is kept on the terminal's own stack (xterm's window operations
/// 22 and 23); where there is none it is left empty.
const MODES: &[(Switch, Switch)] = &[
    // Where it is on already, what was drawn there is still on it.
    (|out| queue!(out, EnterAlternateScreen, Clear(ClearType::All)), |out| queue!(out, LeaveAlternateScreen)),
    (|out| queue!(out, Print("\x1b[22;0t")), |out| queue!(out, SetTitle(""), Print("\x1b[23;0t"))),
    (|out| queue!(out, EnableBracketedPaste), |out| queue!(out, DisableBracketedPaste)),
    // A character at the end of a row that the terminal takes for a wider one would move to the next.
    (|out| queue!(out, DisableLineWrap), |out| queue!(out, EnableLineWrap)),
    (|out| queue!(out, EnableFocusChange), |out| queue!(out, DisableFocusChange)),
    (
        |out| queue!(out, PushKeyboardEnhancementFlags(KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES)),
        |out| queue!(out, PopKeyboardEnhancementFlags),
    ),
    (|out| queue!(out, cursor::Hide), |out| queue!(out, cursor::Show)),
];

/// What an editor may have switched on and not off again: keys of the cursor and of the keypad as an application has
/// them, more keys told apart (xterm's and kitty's ways), the mouse, bracketed paste; the cursor's shape, wrapping.
const EDITORS_MODES_OFF: &str =
    "\x1b[?1l\x1b>\x1b[>4m\x1b[<u\x1b[?1006l\x1b[?1002l\x1b[?1000l\x1b[?2004l\x1b[0 q\x1b[?7h\x1b[?25h";

/// Holds the terminal in the application's modes, and gives it back whole when dropped, on a panic and on a signal.
pub struct TerminalGuard {
    signals: Signals,
    input: TerminalInput,
    output: Output,
    /// The mouse is ours while the terminal is.
    mouse: bool,
    /// The title that was set last; empty when it is to be set anew.
    title: String,
    /// The signal to end that came while another program had the terminal.
    ended: Option<u8>,
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
        signals.watch(let_go_of_output, || drop(disable_raw_mode()))?;
        let drawing = thread::current().id();
        panic::set_hook(Box::new(move |info| {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let payload = one_line(info.payload_as_str().unwrap_or("no message"));
            if thread::current().id() == drawing || !ENTERED.load(Ordering::SeqCst) {
                leave();
                // The message may quote a document.
                eprintln!("askdocs broke down at {place}: {payload}");
                eprintln!(
                    "What you were writing is kept. This is a mistake of the program; please report these lines."
                );
            } else {
                tracing::error!("a worker panicked at {place}: {payload}");
            }
        }));
        let input = TerminalInput::default();
        let mut guard = Self { signals, input, output: Output::default(), mouse, title: String::new(), ended: None };
        guard.take()?;
        Ok(guard)
    }

    /// What frames are to be drawn on.
    pub fn output(&self) -> Output {
        self.output.clone()
    }

    /// The terminal's events.
    pub fn input(&self) -> TerminalInput {
        self.input.resume();
        self.input.clone()
    }

    fn take(&mut self) -> io::Result<()> {
        self.title.clear();
        enter(self.mouse)
    }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        leave();
    }
}

impl Host for TerminalGuard {
    async fn signal(&mut self) -> Signal {
        match self.ended {
            Some(number) => Signal::End(number),
            None => self.signals.next().await,
        }
    }

    #[cfg(unix)]
    async fn suspend(&mut self) -> io::Result<Option<u8>> {
        use tokio::time::timeout;

        use super::HEARD_WITHIN;

        leave();
        loop {
            stop()?;
            // What continues us is told as well; nothing is to be set anew for it. Where nobody could stop us, nobody did.
            let _ = timeout(HEARD_WITHIN, self.signals.continued()).await;
            if in_foreground() {
                return self.take().map(|()| None);
            }
            // A shell continues what it ends (`kill %1`); who is only continued has to wait for its terminal.
            if let Ok(number) = timeout(HEARD_WITHIN, self.signals.ended()).await {
                return Ok(Some(number));
            }
        }
    }

    #[cfg(not(unix))]
    async fn suspend(&mut self) -> io::Result<Option<u8>> {
        Ok(None)
    }

    fn take_again(&mut self) -> io::Result<()> {
        if !in_foreground() {
            return Ok(());
        }
        leave();
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
        let (edited, ended) = command.edit(text, self.signals.ended_outside(stop)).await;
        self.ended = ended;
        // An editor that broke may have left modes behind, which must not become those that the shell gets back.
        if edited.is_err() || ended.is_some() {
            let _ = write_out(EDITORS_MODES_OFF.as_bytes());
        }
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

    fn frame_drawn(&mut self, title: &str) -> io::Result<()> {
        if self.title != title {
            title.clone_into(&mut self.title);
            queue!(self.output, SetTitle(title))?;
        }
        counted_write(|| self.output.send(&mut io::stdout().lock()))
    }

    fn ring(&mut self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(b"\x07")?;
        out.flush()
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
            // crossterm reads on and on from a terminal that is gone.
            Some(_) if is_gone(Some(Duration::ZERO)) => Poll::Ready(None),
            Some(stream) => {
                let polled = Pin::new(stream).poll_next(cx);
                if polled.is_pending() {
                    tell_unread_again();
                }
                polled
            }
            // Whoever pauses it asks it again afterwards.
            None => Poll::Pending,
        }
    }
}

/// Has crossterm told anew of input that it left unread. It is told of new input only, and of several things at once it
/// looks at the first: a key that comes together with a resize would wait for the next key. Setting the modes that hold
/// already tells of all that is unread. Nothing is done from the background, where that would stop the program.
#[cfg(unix)]
fn tell_unread_again() {
    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
    let terminal = io::stdin();
    let unread = rustix::io::ioctl_fionread(&terminal).is_ok_and(|bytes| bytes > 0);
    if unread
        && in_foreground()
        && let Ok(modes) = tcgetattr(&terminal)
    {
        // Whoever can't set them can't read either, and is told so there.
        let _ = tcsetattr(&terminal, OptionalActions::Now, &modes);
    }
}

#[cfg(not(unix))]
fn tell_unread_again() {}

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

/// Stops the program, and returns when it is continued; at once where nobody could continue it.
///
/// Raw mode made Ctrl-Z a key like any other, and SIGTSTP is a signal that we answer, so it is not the one that stops
/// us: SIGTTOU does the same, down to being ignored in a process group that has no shell above it.
#[cfg(unix)]
fn stop() -> io::Result<()> {
    Ok(rustix::process::kill_current_process_group(rustix::process::Signal::TTOU)?)
}

/// Whether the terminal listens to us: switching it from the background would stop the program. One that controls
/// nobody listens to whoever has it.
#[cfg(unix)]
fn in_foreground() -> bool {
    rustix::termios::tcgetpgrp(io::stdin()).map_or(true, |group| group == rustix::process::getpgrp())
}

#[cfg(not(unix))]
fn stop() -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn in_foreground() -> bool {
    true
}

fn enter(mouse: bool) -> io::Result<()> {
    ENTERED.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    let mut bytes = Vec::new();
    for (on, _) in MODES {
        // Where a console can't do one, the others are still wanted.
        let _ = on(&mut bytes);
    }
    if mouse {
        queue!(bytes, EnableMouse)?;
    }
    write_out(&bytes)
}

fn write_out(bytes: &[u8]) -> io::Result<()> {
    counted_write(|| {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    })
}

fn counted_write<T>(write: impl FnOnce() -> T) -> T {
    WRITES.fetch_add(1, Ordering::SeqCst);
    let done = write();
    WRITES.fetch_add(1, Ordering::SeqCst);
    done
}

/// Whether a write to the terminal goes on and on, since nobody takes what it says. What waits there is dropped then, so
/// that the write can end.
#[cfg(unix)]
fn let_go_of_output() -> bool {
    if WRITES.load(Ordering::SeqCst).is_multiple_of(2) {
        return false;
    }
    if in_foreground() {
        let _ = rustix::termios::tcflush(io::stdout(), rustix::termios::QueueSelector::OFlush);
    }
    true
}

#[cfg(not(unix))]
fn let_go_of_output() -> bool {
    false
}

/// Every mode undone, whatever of it was done; errors have nowhere to go.
fn leave() {
    if ENTERED.swap(false, Ordering::SeqCst) {
        let mut bytes = Vec::new();
        // A frame may have been cut off in the middle.
        let _ = queue!(bytes, EndSynchronizedUpdate, ResetColor);
        // Windows refuses where the mouse was never taken.
        let _ = queue!(bytes, DisableMouse);
        for (_, off) in MODES.iter().rev() {
            let _ = off(&mut bytes);
        }
        let _ = write_out(&bytes);
        if in_foreground() {
            let _ = disable_raw_mode();
        }
    }
}
