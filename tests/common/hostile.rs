//! Text that would take a terminal over, hide something or shift a screen; and the check that none of it got through.

use std::collections::BTreeSet;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// A word to put in the place of hostile text, for a run to compare with.
pub const HARMLESS: &str = "harmless";

/// Most combining marks that may stand on one character.
const MOST_MARKS: usize = 8;

/// Each with what it tries.
pub fn texts() -> Vec<(&'static str, String)> {
    let emoji = "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}";
    [
        ("CSI: clear, home, colour", "x\u{1b}[2J\u{1b}[H\u{1b}[31mred\u{1b}[0m".to_owned()),
        ("CSI: other screen, mouse, cursor", "\u{1b}[?1049l\u{1b}[?1003h\u{1b}[?25hx".to_owned()),
        ("CSI: asks for an answer", "\u{1b}[6n\u{1b}[c\u{1b}[>q\u{1b}[21tx".to_owned()),
        ("CSI cut short", "x\u{1b}[".to_owned()),
        ("OSC 0: title", "\u{1b}]0;owned\u{7}x".to_owned()),
        ("OSC 2: title with ST", "\u{1b}]2;owned\u{1b}\\x".to_owned()),
        ("OSC 8: link", "\u{1b}]8;;http://evil.example\u{7}click\u{1b}]8;;\u{7}".to_owned()),
        ("OSC 52: clipboard", "\u{1b}]52;c;b3duZWQ=\u{7}x".to_owned()),
        ("OSC without an end", "x\u{1b}]0;".to_owned()),
        ("DCS", "\u{1b}P$q\"p\u{1b}\\x".to_owned()),
        ("APC", "\u{1b}_Gf=100;AAAA\u{1b}\\x".to_owned()),
        ("PM", "\u{1b}^private\u{1b}\\x".to_owned()),
        ("SOS", "\u{1b}Xstring\u{1b}\\x".to_owned()),
        ("ESC: reset, charset, keypad", "\u{1b}c\u{1b}(0\u{1b}=\u{1b}7x".to_owned()),
        ("ESC alone at the end", "x\u{1b}".to_owned()),
        ("C1: CSI, OSC, DCS, ST", "\u{9b}2J\u{9d}0;owned\u{9c}\u{90}q\u{9c}x\u{85}\u{84}y".to_owned()),
        ("BEL", "x\u{7}\u{7}y".to_owned()),
        ("BS", "xyz\u{8}\u{8}\u{8}abc".to_owned()),
        ("CR", "shown\rover".to_owned()),
        ("VT, FF", "x\u{b}y\u{c}z".to_owned()),
        ("tab", "x\ty\t\tz".to_owned()),
        ("DEL", "x\u{7f}\u{7f}y".to_owned()),
        ("NUL, SO, SI, SUB, CAN, XON", "x\u{0}\u{e}\u{f}\u{1a}\u{18}\u{11}\u{13}y".to_owned()),
        ("bidi overrides", "user\u{202e}txt.exe\u{202c}\u{202d}\u{202a}\u{202b}".to_owned()),
        ("bidi isolates and marks", "\u{2066}a\u{2067}b\u{2068}c\u{2069}\u{200e}\u{200f}\u{61c}".to_owned()),
        ("right-to-left letters", "abc \u{5d0}\u{5d1}\u{5d2} \u{627}\u{644}\u{639} def".to_owned()),
        ("tag characters", "x\u{e0001}\u{e0065}\u{e0076}\u{e0069}\u{e006c}\u{e007f}".to_owned()),
        ("zero-width", "pass\u{200b}\u{200c}\u{2060}\u{feff}\u{180e}word".to_owned()),
        ("invisible operators", "a\u{2061}\u{2062}\u{2063}\u{2064}\u{206a}\u{206f}b".to_owned()),
        ("50 combining marks", format!("e{}x", "\u{301}\u{489}".repeat(25))),
        ("50 marks with controls between", format!("e{}x", "\u{301}\u{7}".repeat(50))),
        ("50 marks in many runs", format!("e{}x", "`\u{301}\u{301}\u{301}\u{301}`*\u{301}\u{301}*".repeat(10))),
        ("marks on nothing", format!("{}x", "\u{20dd}".repeat(30))),
        ("enclosing and stacked", "a\u{20e3}b\u{20dd}\u{1dc4}\u{1dc5}".to_owned()),
        ("ZWJ emoji", format!("{emoji}{emoji}x")),
        ("ZWJ chain without an end", "\u{1f469}\u{200d}".repeat(40)),
        ("ZWJ between letters", "a\u{200d}\u{200d}\u{200d}b".to_owned()),
        ("skin tones", "\u{1f44d}\u{1f3fd}\u{1f44d}\u{1f3ff}x".to_owned()),
        ("flags", "\u{1f1e9}\u{1f1ea}\u{1f1eb}\u{1f1f7}\u{1f1e9}x".to_owned()),
        ("variation selectors", "\u{2764}\u{fe0f}\u{2764}\u{fe0e}x\u{fe00}\u{e0100}1\u{fe0f}\u{20e3}".to_owned()),
        ("wide", "\u{6f22}\u{5b57}\u{ff21}\u{1f680}x".to_owned()),
        ("conjoining jamo", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1161}x".to_owned()),
        ("Devanagari, Tamil, Thai", "\u{915}\u{94d}\u{937}\u{93f} \u{ba8}\u{bbf} \u{e01}\u{e33}\u{e49}".to_owned()),
        ("a very long cluster", format!("g{}x", "\u{1ab0}\u{200d}".repeat(3_000))),
        ("line and paragraph separators", "x\u{2028}y\u{2029}z".to_owned()),
        ("soft hyphens", "pass\u{ad}\u{ad}word".to_owned()),
        ("Hangul fillers", "x\u{115f}\u{1160}\u{3164}\u{ffa0}y".to_owned()),
        ("interlinear annotation", "\u{fff9}a\u{fffa}b\u{fffb}c\u{fffc}".to_owned()),
        ("private use, non-characters", "\u{e000}\u{f8ff}\u{fffe}\u{ffff}\u{10ffff}x".to_owned()),
        ("other format controls", "x\u{600}\u{6dd}\u{70f}\u{8e2}\u{110bd}\u{13430}\u{1bca0}\u{1d173}y".to_owned()),
        ("Markdown that is not meant", "[x](javascript:a) ![y](z) <b>&#27;[31m &#x9b;2J `\u{1b}[2J`".to_owned()),
    ]
    .into()
}

/// The same beside bytes that are no text at all.
pub fn bytes() -> Vec<(&'static str, Vec<u8>)> {
    let mut all: Vec<_> = texts().into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
    all.extend([
        ("C1 as single bytes", b"x\x9b2J\x9d0;owned\x9c\x90q\x9c\x85y".to_vec()),
        ("a lone surrogate", b"x\xed\xa0\x80\xed\xb0\x80y".to_vec()),
        ("overlong ESC", b"x\xc0\x9b[2J\xe0\x80\x9b[31my".to_vec()),
        ("a cut sequence", b"x\xf0\x9f\x98".to_vec()),
        ("Latin-1", b"caf\xe9 \xff\xfe".to_vec()),
    ]);
    all
}

/// All of them, one after the other.
pub fn everything() -> String {
    texts().into_iter().map(|(_, text)| format!("{text}~")).collect()
}

/// What went to a terminal: the kinds of sequences, and what should not have gone there.
#[derive(Debug, Default)]
pub struct Traffic {
    pub sequences: BTreeSet<String>,
    /// Characters and bytes that no terminal may be sent.
    pub forbidden: BTreeSet<String>,
    pub titles: BTreeSet<String>,
    printed: String,
}

impl Traffic {
    pub fn of(bytes: &[u8]) -> Self {
        let mut traffic = Self::default();
        vte::Parser::new().advance(&mut traffic, bytes);
        match std::str::from_utf8(bytes) {
            // BEL may end a title; by itself it is a control like any other.
            Err(error) => drop(traffic.forbidden.insert(error.to_string())),
            Ok(text) => traffic
                .forbidden
                .extend(text.chars().filter(|c| is_forbidden(*c) && *c != '\u{7}').map(|c| format!("{c:?}"))),
        }
        let printed = std::mem::take(&mut traffic.printed);
        let too_many = |cluster: &&str| cluster.chars().skip(1).count() > MOST_MARKS;
        traffic.forbidden.extend(printed.graphemes(true).filter(too_many).map(|cluster| format!("{cluster:?}")));
        traffic
    }

    /// Only what a harmless run sends as well, and nothing that is forbidden.
    pub fn assert_like(&self, harmless: &Self, what: &str) {
        assert_eq!(self.forbidden, BTreeSet::new(), "{what}");
        let more: Vec<_> = self.sequences.difference(&harmless.sequences).collect();
        assert!(more.is_empty(), "{what}: {more:?} beside {:?}", harmless.sequences);
        // Which of them are told depends on when one looks.
        let ours =
            ["", "askdocs", "askdocs · handbook", "askdocs · handbook · answering", "askdocs · handbook · indexing"];
        let is_ours = |title: &&String| {
            let told = title.split_once(" indexing ").map_or(title.as_str(), |(before, _)| before);
            ours.iter().any(|ours| *ours == told || ours.strip_suffix(" indexing") == Some(told))
        };
        let foreign: Vec<_> = self.titles.iter().filter(|title| !is_ours(title)).collect();
        assert!(foreign.is_empty(), "{what}: {foreign:?}");
    }
}

impl vte::Perform for Traffic {
    fn print(&mut self, c: char) {
        self.printed.push(c);
    }
    fn execute(&mut self, byte: u8) {
        self.printed.push('\n');
        self.sequences.insert(format!("control {byte:#04x}"));
    }
    fn hook(&mut self, _: &vte::Params, _: &[u8], _: bool, c: char) {
        self.sequences.insert(format!("DCS {c}"));
    }
    fn osc_dispatch(&mut self, parameters: &[&[u8]], _: bool) {
        let texts: Vec<_> = parameters.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
        self.sequences.insert(format!("OSC {}", texts.first().map_or("", String::as_str)));
        if matches!(texts.first().map(String::as_str), Some("0" | "1" | "2")) {
            self.titles.insert(texts[1..].join(";"));
        }
    }
    fn csi_dispatch(&mut self, parameters: &vte::Params, marks: &[u8], _: bool, c: char) {
        self.printed.push('\n');
        let marks = String::from_utf8_lossy(marks);
        // Which mode is set matters, which row or colour does not.
        let modes =
            matches!(c, 'h' | 'l' | 'n' | 't' | 'u').then(|| format!("{:?}", parameters.iter().collect::<Vec<_>>()));
        self.sequences.insert(format!("CSI {marks}{c} {}", modes.unwrap_or_default()));
    }
    fn esc_dispatch(&mut self, marks: &[u8], _: bool, byte: u8) {
        self.sequences.insert(format!("ESC {}{}", String::from_utf8_lossy(marks), char::from(byte)));
    }
}

/// What may stand in no cell and go to no terminal. ESC, CR and LF are judged as parts of sequences and lines.
pub fn is_forbidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{9}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1a}' | '\u{1c}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{200b}' | '\u{200c}'
        | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{13430}'..='\u{1343f}' | '\u{e0000}'..='\u{e0fff}')
}

/// What a terminal of `columns` by `rows` shows is, cell by cell, what was meant to stand there.
pub fn assert_shows(screen: &vt100::Screen, meant: impl Fn(u16, u16) -> String, what: &str) {
    let (rows, columns) = screen.size();
    for y in 0..rows.get() {
        let mut x = 0;
        while x < columns.get() {
            let symbol = meant(x, y);
            let columns_of_it = u16::try_from(symbol.width()).unwrap().max(1);
            // Some clusters the emulator spreads over the columns that they take.
            let cells =
                (x..x + columns_of_it).filter_map(|x| screen.cell(y, x)).filter(|cell| !cell.is_wide_continuation());
            let seen: String = cells.map(|cell| if cell.has_contents() { cell.contents() } else { " " }).collect();
            // And of a pile of marks it keeps only some.
            let same = symbol == seen || (symbol.starts_with(&seen) && seen.chars().count() > 1);
            let row = || screen.rows(0, columns.get()).nth(y.into());
            assert!(same, "{what}: at {x},{y} stands {seen:?}, meant was {symbol:?}, in {:?}", row());
            assert!(symbol.chars().count() <= MOST_MARKS + 1, "{what}: {symbol:?} in a cell");
            assert!(!seen.chars().any(|c| is_forbidden(c) || c.is_control()), "{what}: {seen:?} in a cell");
            x += columns_of_it;
        }
    }
}
