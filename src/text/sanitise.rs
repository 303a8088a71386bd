use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

/// A base character with more marks than this is abuse, not writing.
const MAX_MARKS: usize = 8;

/// Makes text that came from outside safe to write to a terminal.
///
/// Keeps line feeds; turns tabs into four spaces and CR LF into LF; drops every other control character (C0, DEL, C1),
/// bidirectional controls, tag characters, and what is invisible and could hide text; cuts a pile of combining marks to
/// eight. Since every byte of an escape sequence's introducer is a control character, no sequence survives: its rest
/// stays visible as plain text.
///
/// What makes one picture of several emoji, or another one (ZWJ, skin tones, variation selectors), goes as well: where
/// one terminal draws one, another draws all of them side by side, over whatever stands there. Letters keep their joiners.
pub fn sanitise(text: &str) -> Cow<'_, str> {
    Sanitiser::default().next(text)
}

/// [`sanitise`] for a text that comes in pieces, for example as an answer does, or in several styles.
#[derive(Clone, Debug, Default)]
pub struct Sanitiser {
    /// The last character that takes room.
    base: Option<char>,
    /// Marks on it so far.
    marks: usize,
}

impl Sanitiser {
    /// What of the next piece is safe behind the pieces before it.
    pub fn next<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        if text.chars().all(|c| c == '\n' || is_plain(c)) {
            if let Some(last) = text.chars().next_back() {
                (self.base, self.marks) = (Some(last), 0);
            }
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        for c in text.chars().filter(|c| !is_hostile(*c)) {
            if c.width() == Some(0) {
                let joins = match c {
                    '\u{200d}' => self.base.is_some_and(char::is_alphabetic),
                    // Vowels and finals of Korean, which are part of the syllable that begins before them.
                    '\u{1160}'..='\u{11ff}' | '\u{d7b0}'..='\u{d7ff}' => self.base.is_some_and(begins_syllable),
                    _ => true,
                };
                if joins && self.marks < MAX_MARKS {
                    self.marks += 1;
                    out.push(c);
                }
                continue;
            }
            let tints = matches!(c, '\u{1f3fb}'..='\u{1f3ff}') && self.base.is_some_and(|base| base > '\u{ff}');
            if !tints {
                (self.base, self.marks) = (Some(c), 0);
                if c == '\t' { out.push_str("    ") } else { out.push(c) }
            }
        }
        Cow::Owned(out)
    }
}

/// A text as it may be put into a clipboard: as it is, without the characters that a terminal would obey when it is
/// pasted there. Tabs, marks and joiners stay; control characters, bidirectional controls and tag characters go.
pub fn copyable(text: &str) -> String {
    let obeyed = |c: char| match c {
        '\n' | '\t' => false,
        '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}' => true,
        _ => c.is_control(),
    };
    text.chars().filter(|c| !obeyed(*c)).collect()
}

/// [`sanitise`], with every run of white space folded to one space: for titles, names and lists.
pub fn one_line(text: &str) -> String {
    sanitise(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Needs no look at its neighbours, and is as wide on every terminal: printable ASCII, and letters, signs and ideographs
/// well away from marks, controls and emoji.
pub fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{2ff}' | '\u{370}'..='\u{377}' | '\u{384}'..='\u{38a}' | '\u{38e}'..='\u{3a1}' | '\u{3a3}'..='\u{482}'
        | '\u{2010}'..='\u{2027}' | '\u{2800}'..='\u{28ff}' | '\u{2190}'..='\u{2319}' | '\u{231c}'..='\u{2328}'
        | '\u{232b}'..='\u{23e8}' | '\u{23f4}'..='\u{23ff}' | '\u{2500}'..='\u{25fc}' | '\u{25ff}' | '\u{2713}'..='\u{2718}' | '\u{3041}'..='\u{3096}'
        | '\u{30a1}'..='\u{30fa}' | '\u{4e00}'..='\u{9fd5}' | '\u{ac00}'..='\u{d7a3}')
}

/// A Korean initial consonant, or a syllable that a final may follow.
fn begins_syllable(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115f}' | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7a3}')
}

fn is_hostile(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        _ if c.is_control() => true,
        // Soft hyphen, combining grapheme joiner, Arabic letter mark, Hangul fillers, Khmer vowels that are not seen.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}'
        | '\u{ffa0}' => true,
        // Variation selectors: any text can be hidden in a row of them, and terminals disagree on how wide they make what
        // is before them. Mongolian ones.
        '\u{fe00}'..='\u{fe0f}' | '\u{180b}'..='\u{180f}' => true,
        // Zero-width space and non-joiner, direction marks; the joiner U+200D stays.
        '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}' => true,
        // Line and paragraph separators, bidirectional embeddings, overrides, isolates, invisible operators.
        '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        // Byte order mark, interlinear annotations and what is reserved beside them.
        '\u{feff}' | '\u{fff0}'..='\u{fffb}' => true,
        // Controls of hieroglyphs, shorthand and musical notation; tag characters and all that is reserved with them.
        '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' => true,
        '\u{e0000}'..='\u{e0fff}' => true,
        // Tone marks that some terminals give two columns and others none.
        '\u{302e}' | '\u{302f}' => true,
        // What is no character at all.
        '\u{fdd0}'..='\u{fdef}' => true,
        _ if u32::from(c) & 0xfffe == 0xfffe => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_hides_or_reorders_gets_through() {
        let cases = [
            ("plain — ünïcode 漢字 🙂", "plain — ünïcode 漢字 🙂"),
            ("a\x1b[31mred\x1b[0m", "a[31mred[0m"),
            ("t\x1b]0;title\x07x", "t]0;titlex"),
            ("\u{9b}2Jc1\u{85}", "2Jc1"),
            ("back\x08\x08space\x7f", "backspace"),
            ("one\r\ntwo\rthree\tfour", "one\ntwothree    four"),
            ("user\u{202e}txt.exe", "usertxt.exe"),
            ("a\u{200b}b\u{2060}c\u{feff}d\u{ad}e", "abcde"),
            ("flag\u{e0067}\u{e007f}", "flag"),
            ("👩\u{200d}👩\u{200d}👧 ❤\u{fe0f} 👍🏽 🏽", "👩👩👧 ❤ 👍 🏽"),
            ("क\u{94d}\u{200d}ष\u{e0100}\u{fe01}", "क\u{94d}\u{200d}ष"),
        ];
        for (from, to) in cases {
            assert_eq!(sanitise(from), to, "{from:?}");
        }
        let zalgo = format!("e{}x", "\u{301}".repeat(50));
        let cut = format!("e{}x", "\u{301}".repeat(MAX_MARKS));
        assert_eq!(sanitise(&zalgo), cut);
        assert_eq!(sanitise(&zalgo.replace('\u{301}', "\u{301}\u{7}")), cut, "what is dropped parts nothing");
    }

    #[test]
    fn pieces_are_as_safe_as_the_whole() {
        let text = format!("e{}x 👩\u{200d}👩 👍🏽 \u{1b}[2Ja\r\nb\tक\u{94d}\u{200d}ष", "\u{301}".repeat(50));
        let mut pieces = Sanitiser::default();
        let joined: String = text.chars().map(|c| pieces.next(c.encode_utf8(&mut [0; 4])).into_owned()).collect();
        assert_eq!(joined, sanitise(&text));
    }

    #[test]
    fn what_is_copied_is_the_text_without_what_a_terminal_would_obey() {
        assert_eq!(copyable("a\tb\r\nc\x1b]52;c;eA==\x07\u{9b}2J\u{202e}x\u{200c}y"), "a\tb\nc]52;c;eA==2Jx\u{200c}y");
    }

    #[test]
    fn korean_stays_whole_and_its_parts_alone_go() {
        // A syllable as some systems write file names, letter by letter.
        assert_eq!(sanitise("\u{1112}\u{1161}\u{11ab}국"), "\u{1112}\u{1161}\u{11ab}국");
        assert_eq!(sanitise("a\u{1161}b\u{d7b0}c\u{302e}d\u{fffe}e\u{10ffff}f\u{fdd0}"), "abcdef");
    }

    #[test]
    fn one_line_folds_white_space() {
        assert_eq!(one_line("  a\n\tb \r\n c\x1b[K "), "a b c[K");
    }
}
