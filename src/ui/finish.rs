//! What is done to a frame after everything has been drawn, whoever drew it: a theme's ground and text colour under
//! whatever has none of its own, and ASCII for terminals that show nothing else.

use ratatui::{buffer::Buffer, style::Color};

use super::theme::Theme;
use crate::text::width;

/// Gives every cell without colours those of the theme.
pub fn colour(buffer: &mut Buffer, theme: &Theme) {
    if theme.ground == Color::Reset {
        return;
    }
    for cell in &mut buffer.content {
        if cell.fg == Color::Reset {
            cell.fg = theme.text;
        }
        if cell.bg == Color::Reset {
            cell.bg = theme.ground;
        }
    }
}

/// Puts ASCII in place of everything else, column by column: lines, bars, arrows and marks become the nearest sign, a
/// letter with marks over it the bare letter, and what can't be shown one `?` for each of its columns.
pub fn ascii(buffer: &mut Buffer) {
    let columns = usize::from(buffer.area.width).max(1);
    for row in buffer.content.chunks_mut(columns) {
        let mut at = 0;
        while at < row.len() {
            let symbol = row[at].symbol();
            let taken = width(symbol).max(1).min(row.len() - at);
            if symbol.len() != 1 {
                let shown = sign(symbol);
                for cell in &mut row[at..at + taken] {
                    cell.set_char(shown);
                }
            }
            at += taken;
        }
    }
}

/// The same for a text that is no part of a frame.
pub fn ascii_text(text: &str) -> String {
    let mut bytes = [0; 4];
    text.chars().map(|c| if c.is_ascii() { c } else { sign(c.encode_utf8(&mut bytes)) }).collect()
}

/// What stands for a symbol in ASCII.
fn sign(symbol: &str) -> char {
    match symbol.chars().next().unwrap_or(' ') {
        c @ ' '..='~' => c,
        '\u{a0}' => ' ',
        '–' | '—' | '‐' | '‑' | '−' | '─' | '╌' | '┄' | '┈' => '-',
        '━' | '═' => '=',
        '│' | '╎' | '┆' | '┊' => '|',
        '┃' | '║' | '┏' | '┓' | '┗' | '┛' => '#',
        '\u{2500}'..='\u{257f}' => '+',
        // Bars that grow upward, then those that grow to the right, eighth by eighth.
        '▁' | '▂' => '_',
        '▃' | '▄' => '-',
        '▅' | '▆' => '=',
        '█' => '@',
        '▇'..='▋' | '▓' | '■' | '▪' => '#',
        '▌'..='▐' => '|',
        '▀' => '"',
        '░' | '·' => '.',
        '▒' => ':',
        '←' | '◂' | '◀' | '‹' | '⏎' | '↵' => '<',
        '→' | '▸' | '▶' | '►' | '›' | '❯' | '↪' => '>',
        '↑' | '▲' | '▴' => '^',
        '↓' | '▼' => 'v',
        // The mark of the column that a list is ordered by.
        '▾' => ':',
        '●' | '•' | '◆' | '★' => '*',
        '○' | '◌' | '◐' | '◑' | '◒' | '◓' | '◇' => 'o',
        '✓' | '✔' => '+',
        '✗' | '✘' | '×' => 'x',
        '…' | '≈' => '~',
        '“' | '”' | '„' | '«' | '»' => '"',
        '‘' | '’' | '‚' => '\'',
        '\u{2800}' => ' ',
        // Braille, which pictures are drawn with: the eight dots are the eight bits.
        c @ '\u{2801}'..='\u{28ff}' => {
            if (u32::from(c) & 0xff).count_ones() > 3 {
                '*'
            } else {
                '.'
            }
        }
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;

    /// Whatever the application itself draws; what documents hold may be a `?`.
    #[test]
    fn every_sign_of_our_own_has_one_in_ascii() {
        let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ui")];
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.extend(Some(path).filter(|path| !path.ends_with("tests")));
                    continue;
                }
                let code = std::fs::read_to_string(&path).unwrap_or_default();
                let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap();
                for c in code.chars().filter(|c| !c.is_ascii()) {
                    seen += 1;
                    assert_ne!(sign(c.encode_utf8(&mut [0; 4])), '?', "{c:?} in {}", path.display());
                }
            }
        }
        assert!(seen > 100, "only {seen} signs were looked at");
    }

    #[test]
    fn each_column_keeps_its_place() {
        let cases = [
            ("┏━┓│─▸a", "#=#|->a"),
            ("██▌·↑3 …", "@@|.^3 ~"),
            ("漢字b", "????b"),
            ("e\u{301}é👩\u{200d}👧x", "e???x"),
            ("⠀⠁⣿", " .*"),
        ];
        for (from, to) in cases {
            let mut buffer = Buffer::empty(Rect::new(0, 0, width(to) as u16, 1));
            buffer.set_string(0, 0, from, ratatui::style::Style::new());
            ascii(&mut buffer);
            assert_eq!(buffer.content.iter().map(|cell| cell.symbol()).collect::<String>(), to, "{from}");
        }
        assert_eq!(ascii_text("askdocs · café"), "askdocs . caf?");
    }
}
