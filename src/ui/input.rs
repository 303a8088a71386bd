//! The line where questions are written.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::{Line, Span},
};
use unicode_segmentation::UnicodeSegmentation;

use super::theme::Theme;
use crate::{
    app::{Editor, Places, State},
    text::width,
};

/// Columns of the prompt, and one behind the text for the cursor.
const MARGIN: u16 = 4;
const PROMPT: &str = " > ";
const MAX_ROWS: usize = 6;

/// Rows that the input wants on a screen of this size.
pub fn rows(state: &State, area: Rect) -> u16 {
    editor_rows(&state.input, area, MAX_ROWS.min(usize::from(area.height / 4)))
}

/// Rows that a text wants in an area of this width, `most` at most.
pub fn editor_rows(editor: &Editor, area: Rect, most: usize) -> u16 {
    let (rows, _) = wrapped(editor, columns(area));
    u16::try_from(rows.len().min(most).max(1)).unwrap_or(1)
}

pub fn draw(state: &State, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let active = Places::QUESTION.contains(state.place());
    draw_editor(&state.input, "ask a question about your documents", active, theme, frame, area);
}

/// Draws a text that is being written, or what is to be written where it is empty. The keys go to it when `active`.
pub fn draw_editor(editor: &Editor, empty: &str, active: bool, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let (rows, cursor) = wrapped(editor, columns(area));
    let height = usize::from(area.height);
    // The cursor's row stays in view, with as much before it as fits.
    let top = (usize::from(cursor.y) + 1).saturating_sub(height);
    for (y, row) in rows.iter().enumerate().skip(top).take(height) {
        let prompt = Span::styled(if y == 0 { PROMPT } else { "   " }, if active { theme.focus } else { theme.dim });
        let text = if editor.is_empty() { Span::styled(empty.to_owned(), theme.dim) } else { Span::raw(*row) };
        let at = Rect { y: area.y + (y - top) as u16, height: 1, ..area };
        frame.render_widget(Line::from(vec![prompt, text]), at);
    }
    if active && area.height > 0 {
        let x = area.x + PROMPT.len() as u16 + cursor.x;
        frame.set_cursor_position(Position { x, y: area.y + cursor.y - top as u16 });
    }
}

fn columns(area: Rect) -> usize {
    usize::from(area.width.saturating_sub(MARGIN)).max(2)
}

/// Breaks the text into rows, at spaces where it can, keeping every character; and where the cursor stands in them.
fn wrapped(input: &Editor, columns: usize) -> (Vec<&str>, Position) {
    let text = input.text();
    let mut starts = vec![0];
    // Columns used in the row, where it could break, and the columns used up to there.
    let (mut used, mut space) = (0, None);
    let mut cursor = None;
    for (at, cluster) in text.grapheme_indices(true) {
        if cluster == "\n" {
            if at == input.cursor() {
                cursor = Some((starts.len() - 1, used));
            }
            starts.push(at + 1);
            (used, space) = (0, None);
            continue;
        }
        let columns_of_it = width(cluster);
        if used + columns_of_it > columns && cluster != " " {
            let (start, before) = space.take().unwrap_or((at, used));
            starts.push(start);
            if let Some((row, column)) = cursor.filter(|(row, column)| row + 2 == starts.len() && *column >= before) {
                cursor = Some((row + 1, column - before));
            }
            used -= before;
        }
        if at == input.cursor() {
            cursor = Some((starts.len() - 1, used));
        }
        used += columns_of_it;
        if cluster == " " {
            space = Some((at + 1, used));
        }
    }
    let (row, column) = cursor.unwrap_or((starts.len() - 1, used));
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let rows = starts.iter().zip(ends).map(|(start, end)| text[*start..end].trim_end_matches('\n')).collect();
    // Spaces that hang over the edge have no column of their own.
    (rows, Position { x: column.min(columns) as u16, y: row as u16 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Edit;

    #[test]
    fn every_character_has_its_place_and_the_cursor_goes_with_it() {
        let mut input = Editor::default();
        input.insert("one two three\n\nfour漢字漢字");
        let (rows, cursor) = wrapped(&input, 8);
        assert_eq!(rows, ["one two ", "three", "", "four漢字", "漢字"]);
        assert_eq!(cursor, Position { x: 4, y: 4 });
        let mut seen = Vec::new();
        for _ in 0..19 {
            input.edit(Edit::Left);
            let (_, at) = wrapped(&input, 8);
            seen.push((at.x, at.y));
        }
        let expected = [
            (2, 4),
            (0, 4),
            (6, 3),
            (4, 3),
            (3, 3),
            (2, 3),
            (1, 3),
            (0, 3),
            (0, 2),
            (5, 1),
            (4, 1),
            (3, 1),
            (2, 1),
            (1, 1),
            (0, 1),
            (7, 0),
            (6, 0),
            (5, 0),
            (4, 0),
        ];
        assert_eq!(seen, expected);
    }
}
