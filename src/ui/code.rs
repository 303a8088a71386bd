//! Colours of code, line by line, so that a block that grows is looked at once.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use ratatui::{
    style::{Modifier, Style},
    text::Span,
};
use synoptic::{Highlighter, TokOpt};

use super::theme::Theme;

/// Columns of a tab; no line that gets here holds one.
const TAB: usize = 4;
/// A line of more bytes than this is data, and stays plain.
const LONGEST: usize = 2000;

/// Highlighters that no block uses now, by language and without any line. Making one takes a millisecond, and its
/// expressions are slow until they have seen some text.
static IDLE: Mutex<BTreeMap<String, Vec<Highlighter>>> = Mutex::new(BTreeMap::new());

/// A block of code as far as it has been looked at.
#[derive(Debug, Default)]
pub struct Code {
    fence: String,
    highlighter: Option<Lent>,
    /// Lines that are whole, with the byte where each of their tokens ends and how that looks.
    lines: Vec<(String, Vec<(usize, Style)>)>,
}

impl Code {
    /// A block whose fence names this language; any other name stays plain.
    pub fn new(fence: &str) -> Self {
        Self { fence: fence.to_owned(), highlighter: None, lines: Vec::new() }
    }

    /// Whether this is what the block's fence says: while it is written, it may say more than before.
    pub fn is_of(&self, fence: &str) -> bool {
        self.fence == fence
    }

    /// Looks at the lines that came since the last time. The last line, while it is still written, stays plain.
    pub fn update(&mut self, code: &str, theme: &Theme) {
        let mut whole = code.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        // What was there before stays as it is: text only grows.
        for line in whole.by_ref().skip(self.lines.len()) {
            if self.highlighter.is_none() {
                self.highlighter = Lent::of(&self.fence);
                let known = self.lines.iter().map(|(line, _)| line);
                self.highlighter.iter_mut().for_each(|lent| known.clone().for_each(|line| lent.0.append(shown(line))));
            }
            let Some(Lent(highlighter, _)) = &mut self.highlighter else { return };
            highlighter.append(shown(line));
            let mut end = 0;
            let tokens = highlighter.line(self.lines.len(), shown(line)).into_iter().map(|token| {
                let (text, style) = match token {
                    TokOpt::Some(text, name) => (text, style(&name, theme)),
                    TokOpt::None(text) => (text, theme.code),
                };
                end += text.len();
                (end, style)
            });
            let tokens = tokens.collect();
            self.lines.push((line.to_owned(), tokens));
        }
    }

    /// Nothing more is likely to come: another block may use the highlighter.
    pub fn rest(&mut self) {
        self.highlighter = None;
    }

    /// A piece of a line, which begins at this byte of it, in its colours.
    pub fn spans(&self, line: usize, piece: &str, start: usize, theme: &Theme) -> Vec<Span<'static>> {
        let plain = || vec![Span::styled(piece.to_owned(), theme.code)];
        let Some((text, tokens)) = self.lines.get(line) else { return plain() };
        if text.get(start..start + piece.len()) != Some(piece) {
            return plain();
        }
        let mut spans = Vec::new();
        let (mut at, stop) = (start, start + piece.len());
        for (end, style) in tokens.iter().copied().chain([(stop, theme.code)]) {
            let end = end.min(stop);
            if let Some(token) = text.get(at..end).filter(|token| !token.is_empty()) {
                spans.push(Span::styled(token.to_owned(), style));
                at = end;
            }
        }
        spans
    }
}

/// The language that a fence names, if it does.
pub fn language(fence: &str) -> &str {
    fence.split([' ', ',', '{', '\t']).next().unwrap_or_default()
}

/// What of a line is highlighted.
fn shown(line: &str) -> &str {
    if line.len() > LONGEST { "" } else { line }
}

/// A highlighter and its language; it goes back to the idle ones when its block is done with it.
#[derive(Debug)]
struct Lent(Highlighter, String);

impl Lent {
    /// `None` for languages that are not known.
    fn of(fence: &str) -> Option<Self> {
        let language = language(fence).to_ascii_lowercase();
        let extension = match language.as_str() {
            "rust" => "rs",
            "python" | "python3" => "py",
            "javascript" | "jsx" | "node" => "js",
            "typescript" => "ts",
            "golang" => "go",
            "kotlin" => "kt",
            "csharp" | "c#" => "cs",
            "haskell" => "hs",
            "perl" => "pm",
            "shell" | "zsh" | "console" | "fish" => "sh",
            "jsonc" | "json5" => "json",
            "patch" => "diff",
            "latex" => "tex",
            other => other,
        };
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).get_mut(extension).and_then(Vec::pop);
        let highlighter = idle.or_else(|| synoptic::from_extension(extension, TAB))?;
        Some(Self(highlighter, extension.to_owned()))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut highlighter = std::mem::replace(&mut self.0, Highlighter::new(TAB));
        highlighter.run(&[]);
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        idle.entry(std::mem::take(&mut self.1)).or_default().push(highlighter);
    }
}

/// How a token of that name looks, by weight as well as by colour.
fn style(name: &str, theme: &Theme) -> Style {
    match name {
        "comment" | "quote" => theme.dim.add_modifier(Modifier::ITALIC),
        "string" | "character" | "insertion" => theme.good,
        "keyword" | "heading" | "header" | "tag" | "bold" => theme.code.add_modifier(Modifier::BOLD),
        "digit" | "boolean" | "key" => theme.number,
        "deletion" => theme.bad,
        "link" | "image" => theme.link,
        _ => theme.code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(code: &Code, lines: &[&str], theme: &Theme) -> Vec<(String, Style)> {
        let spans = lines.iter().enumerate().flat_map(|(at, line)| code.spans(at, line, 0, theme));
        spans.map(|span| (span.content.into_owned(), span.style)).collect()
    }

    #[test]
    fn a_block_that_grows_looks_as_if_it_had_come_at_once() {
        let theme = Theme::default();
        let text = "/* 漢字\n end */ let s = \"é\u{301}\"; // 1\nfn f() -> u8 { 12 }\n";
        let lines: Vec<&str> = text.lines().collect();
        let mut whole = Code::new("rust,ignore");
        whole.update(text, &theme);
        let expected = shown(&whole, &lines, &theme);
        assert!(expected.contains(&("let".to_owned(), style("keyword", &theme))), "{expected:?}");
        assert!(expected.contains(&("// 1".to_owned(), style("comment", &theme))), "{expected:?}");
        assert!(expected.contains(&(" end */".to_owned(), style("comment", &theme))), "{expected:?}");
        let mut grown = Code::new("rust");
        for (at, _) in text.char_indices() {
            grown.update(&text[..at], &theme);
            if at % 7 == 0 {
                grown.rest();
            }
        }
        assert_eq!(shown(&grown, &lines[..2], &theme), shown(&whole, &lines[..2], &theme));
        grown.update(text, &theme);
        assert_eq!(shown(&grown, &lines, &theme), expected);
        // Whatever pieces a line is cut into, they are its text.
        let line = lines[1];
        let pieces: String = [&line[..9], &line[9..]]
            .iter()
            .zip([0, 9])
            .flat_map(|(piece, start)| whole.spans(1, piece, start, &theme))
            .map(|span| span.content.into_owned())
            .collect();
        assert_eq!(pieces, line);
        assert_eq!(shown(&Code::new("klingon"), &["x"], &theme), [("x".to_owned(), theme.code)]);
    }
}
