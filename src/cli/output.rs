use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::{
    appearance::only_ascii,
    args::{Args, Color},
};
use crate::{
    text::{Sanitiser, sanitise, width, wrap},
    ui::ascii_text,
};

/// Where a command's words go: results to standard output, everything else to standard error, sanitised both.
pub struct Output {
    pub quiet: bool,
    /// Colour on standard output, and on standard error.
    colour: (bool, bool),
    /// Whether what reads them is a terminal that has nothing but ASCII. A file or a program gets UTF-8 in any case.
    ascii: (bool, bool),
}

impl Output {
    pub fn new(args: &Args) -> Self {
        let takes_colour = takes_colour();
        let wanted = |is_terminal: bool| match args.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                is_terminal && takes_colour && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        };
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let only_ascii = only_ascii(|name| std::env::var(name).ok());
        Self { quiet: args.quiet, colour: (wanted(out), wanted(err)), ascii: (out && only_ascii, err && only_ascii) }
    }

    /// What standard output, or else standard error, can show of a text.
    fn clean(&self, text: &str, is_result: bool) -> String {
        shown(&sanitise(text), if is_result { self.ascii.0 } else { self.ascii.1 })
    }

    /// Whether standard error is a terminal that has nothing but ASCII.
    pub fn ascii_beside(&self) -> bool {
        self.ascii.1
    }

    /// Whether standard output is to be coloured.
    pub fn colour(&self) -> bool {
        self.colour.0
    }

    /// A line of the result.
    pub fn line(&self, text: &str) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{}", self.clean(text, true))
    }

    /// A line of the result with its first `strong` bytes in bold.
    pub fn strong_line(&self, strong: &str, rest: &str) -> io::Result<()> {
        let (strong, rest) = (self.clean(strong, true), self.clean(rest, true));
        let mut out = io::stdout().lock();
        if self.colour.0 { writeln!(out, "\x1b[1m{strong}\x1b[0m{rest}") } else { writeln!(out, "{strong}{rest}") }
    }

    /// A line that matters less than the others.
    pub fn faint_line(&self, text: &str) -> io::Result<()> {
        let text = self.clean(text, true);
        let mut out = io::stdout().lock();
        if self.colour.0 { writeln!(out, "\x1b[2m{text}\x1b[0m") } else { writeln!(out, "{text}") }
    }

    /// A piece of the result without a line end, shown at once. `before` knows the pieces before it.
    pub fn piece(&self, text: &str, before: &mut Sanitiser) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(shown(&before.next(text), self.ascii.0).as_bytes())?;
        out.flush()
    }

    /// One JSON document. Characters that could reach a terminal as controls are escaped, in strings the only place
    /// where they can stand.
    pub fn json(&self, value: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        let mut safe = String::with_capacity(text.len());
        let (mut before, mut buffer) = (Sanitiser::default(), [0; 4]);
        for c in text.chars() {
            let c_alone: &str = c.encode_utf8(&mut buffer);
            if before.next(c_alone) == c_alone {
                safe.push(c);
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    safe.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
        writeln!(io::stdout().lock(), "{safe}")?;
        Ok(())
    }

    /// Something worth knowing beside the result.
    pub fn notice(&self, text: &str) {
        if !self.quiet {
            self.warn(text);
        }
    }

    /// What a result is not worth reading without: said even when quiet.
    pub fn warn(&self, text: &str) {
        // Standard error may be closed; there is no other place to say so.
        let _ = writeln!(io::stderr().lock(), "{}", self.clean(text, false));
    }

    /// Why the command failed, with hints on lines of their own.
    pub fn error(&self, error: &anyhow::Error) {
        let text = format!("{error:#}");
        let text = self.clean(&text, false);
        let mut err = io::stderr().lock();
        for (i, part) in text.split("; hint: ").enumerate() {
            let (label, code) = if i == 0 { ("error:", "31") } else { ("hint:", "36") };
            let _ = if self.colour.1 {
                writeln!(err, "\x1b[1;{code}m{label}\x1b[0m {part}")
            } else {
                writeln!(err, "{label} {part}")
            };
        }
    }
}

fn shown(clean: &str, ascii: bool) -> String {
    if ascii { ascii_text(clean) } else { clean.to_owned() }
}

/// Whether a terminal understands sequences. A console of Windows has to be told to, and an old one does not.
#[cfg(windows)]
fn takes_colour() -> bool {
    crossterm::ansi_support::supports_ansi()
}

#[cfg(not(windows))]
fn takes_colour() -> bool {
    true
}

/// The first `rows` rows of a text at a width, white space folded, with `…` where more follows.
pub fn excerpt(text: &str, columns: usize, rows: usize) -> Vec<String> {
    let flat = crate::text::one_line(text);
    let all = wrap(&flat, columns, columns);
    let more = all.len() > rows;
    let mut out: Vec<String> = all.into_iter().take(rows).map(|row| flat[row].to_owned()).collect();
    if more && let Some(last) = out.last_mut() {
        while width(last) >= columns && last.pop().is_some() {}
        last.push('…');
    }
    out
}

/// Columns of the terminal, or 80.
pub fn columns() -> usize {
    crossterm::terminal::size().map_or(80, |(columns, _)| usize::from(columns)).clamp(40, 120)
}
