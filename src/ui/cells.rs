//! The last look at a frame's cells before they go to the terminal.

use ratatui::buffer::Buffer;

use crate::text::width;

/// Gives every character that takes room a cell of its own, with its marks.
///
/// A cluster of several such (a flag, a conjunct) is drawn into one cell, as if every terminal showed it as one thing
/// that comes and goes as a whole. Many spread it over the columns that it takes, and what is behind the first of them
/// would stay when it goes.
pub fn part_clusters(buffer: &mut Buffer) {
    let columns = usize::from(buffer.area.width);
    for at in 0..buffer.content.len() {
        let symbol = buffer.content[at].symbol();
        // One character, or one and a mark.
        if symbol.len() <= 4 {
            continue;
        }
        let pieces = pieces(symbol);
        if pieces.len() < 2 {
            continue;
        }
        let row_end = at - at % columns.max(1) + columns;
        let end = (at + width(symbol)).min(row_end);
        let cell = buffer.content[at].clone();
        let mut to = at;
        for piece in pieces {
            if to + width(&piece) > end {
                break;
            }
            buffer.content[to] = cell.clone();
            buffer.content[to].set_symbol(&piece);
            to += width(&piece);
        }
    }
}

/// Every character that takes room, with those behind it that take none.
fn pieces(symbol: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for c in symbol.chars() {
        let narrow = width(c.encode_utf8(&mut [0; 4])) == 0;
        match pieces.last_mut() {
            Some(piece) if narrow => piece.push(c),
            Some(_) | None => pieces.push(c.to_string()),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use ratatui::{layout::Rect, style::Style};

    use super::*;

    #[test]
    fn what_takes_several_columns_goes_with_all_of_them() {
        let mut drawn = Buffer::empty(Rect::new(0, 0, 10, 1));
        let text = "a\u{1f1e9}\u{1f1ea}\u{915}\u{94d}\u{937}\u{93f}e\u{301}\u{6f22}.";
        drawn.set_string(0, 0, text, Style::new());
        part_clusters(&mut drawn);
        let symbols: Vec<_> = drawn.content.iter().map(|cell| cell.symbol()).collect();
        let meant =
            ["a", "\u{1f1e9}", "\u{1f1ea}", "\u{915}\u{94d}", "\u{937}", "\u{93f}", "e\u{301}", "\u{6f22}", " ", "."];
        assert_eq!(symbols, meant);

        let empty = Buffer::empty(drawn.area);
        let cleared: Vec<u16> = drawn.diff(&empty).into_iter().map(|(x, ..)| x).collect();
        assert!([1, 2, 3, 4, 5].iter().all(|x| cleared.contains(x)), "{cleared:?}");
    }
}
