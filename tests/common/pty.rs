//! A program in a real pseudo-terminal, most often the built one, seen through a terminal emulator.

use std::{
    io::{Read, Write},
    num::NonZero,
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// Far more than anything takes on a slow machine; a test that gets here has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// The title that the window has before anything is started in it.
const SHELL_TITLE: &str = "shell";

/// What a terminal keeps beside its screen, as far as the application touches it.
pub struct Modes {
    pub title: String,
    titles: Vec<String>,
    keyboard_flags: Vec<u16>,
    focus_events: bool,
    cut_off: bool,
    updating: bool,
    /// Synchronised updates so far.
    pub updates: usize,
    pub bells: usize,
}

impl Default for Modes {
    fn default() -> Self {
        Self {
            title: SHELL_TITLE.to_owned(),
            titles: Vec::new(),
            keyboard_flags: Vec::new(),
            focus_events: false,
            cut_off: false,
            updating: false,
            updates: 0,
            bells: 0,
        }
    }
}

impl vt100::Callbacks for Modes {
    fn audible_bell(&mut self, _: &mut vt100::Screen) {
        self.bells += 1;
    }

    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.title = String::from_utf8(title.to_vec()).unwrap();
    }

    fn unhandled_csi(&mut self, _: &mut vt100::Screen, i1: Option<u8>, _: Option<u8>, params: &[&[u16]], c: char) {
        let numbers: Vec<u16> = params.iter().map(|param| param[0]).collect();
        match (i1, numbers.as_slice(), c) {
            (None, [22, ..], 't') => self.titles.push(self.title.clone()),
            (None, [23, ..], 't') => self.title = self.titles.pop().unwrap_or_default(),
            (Some(b'>'), [flags], 'u') => self.keyboard_flags.push(*flags),
            (Some(b'<'), _, 'u') => drop(self.keyboard_flags.pop()),
            (Some(b'?'), [7], 'h' | 'l') => self.cut_off = c == 'l',
            (Some(b'?'), [1004], 'h' | 'l') => self.focus_events = c == 'h',
            (Some(b'?'), [2026], 'h' | 'l') => {
                self.updating = c == 'h';
                self.updates += usize::from(self.updating);
            }
            _ => {}
        }
    }
}

pub struct Pty {
    pub screen: vt100::Parser<Modes>,
    /// Every byte that the program has written, as far as it was read.
    pub seen: Vec<u8>,
    /// The line discipline's settings before anything was started.
    cooked: String,
    pub child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
}

fn settings(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios().unwrap())
}

fn cells(n: u16) -> NonZero<u16> {
    NonZero::new(n).unwrap()
}

impl Pty {
    /// Starts the program with `home` as its `ASKDOCS_HOME` and nothing else of the environment but what it needs.
    pub fn start(home: &Path, arguments: &[&str], rows: u16, cols: u16) -> Self {
        Self::start_with(home, arguments, rows, cols, &[])
    }

    /// The same with some variables set otherwise.
    pub fn start_with(home: &Path, arguments: &[&str], rows: u16, cols: u16, environment: &[(&str, &str)]) -> Self {
        Self::start_command(home, &[&[env!("CARGO_BIN_EXE_askdocs")], arguments].concat(), rows, cols, environment)
    }

    /// Starts any program so.
    pub fn start_command(
        home: &Path,
        command_line: &[&str],
        rows: u16,
        cols: u16,
        environment: &[(&str, &str)],
    ) -> Self {
        let pair = native_pty_system().openpty(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
        let mut command = CommandBuilder::new(command_line[0]);
        command.args(&command_line[1..]);
        command.cwd(home);
        command.env_clear();
        command.env("ASKDOCS_HOME", home);
        command.env("TERM", "xterm-256color");
        for name in ["PATH", "HOME", "LANG"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        for (name, value) in environment {
            command.env(name, value);
        }
        let cooked = settings(pair.master.as_ref());
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        let writer = pair.master.take_writer().unwrap();
        let screen = vt100::Parser::new_with_callbacks(cells(rows), cells(cols), 0, Modes::default());
        Self { screen, seen: Vec::new(), cooked, child, master: pair.master, writer, output }
    }

    /// What is not as it was before the application had the terminal; empty when it is whole.
    pub fn left_behind(&self) -> Vec<&'static str> {
        let (screen, modes) = (self.screen.screen(), self.screen.callbacks());
        let checks = [
            ("alternate screen", screen.alternate_screen()),
            ("hidden cursor", screen.hide_cursor()),
            ("bracketed paste", screen.bracketed_paste()),
            ("mouse", screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None),
            ("window title", modes.title != SHELL_TITLE || !modes.titles.is_empty()),
            ("keyboard flags", !modes.keyboard_flags.is_empty()),
            ("focus events", modes.focus_events),
            ("lines cut off", modes.cut_off),
            ("a frame that did not end", modes.updating),
            ("raw mode", settings(self.master.as_ref()) != self.cooked),
        ];
        checks.into_iter().filter(|(_, left)| *left).map(|(name, _)| name).collect()
    }

    fn take(&mut self, bytes: &[u8]) {
        self.screen.process(bytes);
        self.seen.extend_from_slice(bytes);
    }

    pub fn send(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    pub fn resize(&mut self, rows: u16, cols: u16) {
        self.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
        if rows > 0 && cols > 0 {
            self.screen.screen_mut().set_size(cells(rows), cells(cols));
        }
    }

    /// Reads the screen until `is_there` holds; the screen is in the message when it never does.
    pub fn wait_for(&mut self, what: &str, is_there: impl Fn(&vt100::Screen) -> bool) {
        self.wait(what, |parser| is_there(parser.screen()));
    }

    /// Waits for a frame with all of these texts in it, and returns it. A frame that is half drawn is none.
    pub fn wait_for_frame(&mut self, texts: &[&str]) -> String {
        self.wait(&format!("{texts:?} in one frame"), |parser| {
            let screen = parser.screen().contents();
            !parser.callbacks().updating && texts.iter().all(|text| screen.contains(text))
        });
        self.screen.screen().contents()
    }

    fn wait(&mut self, what: &str, is_there: impl Fn(&vt100::Parser<Modes>) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_there(&self.screen) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("waited for {what} in vain; the screen:\n{}", self.screen.screen().contents());
                }
            }
        }
    }

    pub fn wait_for_text(&mut self, text: &str) {
        self.wait_for(text, |screen| screen.contents().contains(text));
    }

    /// Waits for the program's end and everything it wrote; returns its exit code.
    pub fn finish(&mut self) -> u32 {
        let status = self.child.wait().unwrap();
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(500)) {
            self.take(&bytes);
        }
        status.exit_code()
    }
}
