//! The line where questions are written.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::{Line, Span},
};
use unicode_segmentation::UnicodeSegmentation;

use super::{ViewCache, inline::paragraph, theme::Theme, touch::Zone};
use crate::{
    app::{Editor, Place, Places, Recall, State},
    text::width,
};

/// Columns of the prompt, and one behind the text for the cursor.
const MARGIN: u16 = 4;
const PROMPT: &str = " > ";
const MAX_ROWS: usize = 6;
const RECALL_PROMPT: &str = " earlier question with: ";

/// Rows that the input wants on a screen of this size.
pub fn rows(state: &State, area: Rect) -> u16 {
    let most = MAX_ROWS.min(usize::from(area.height / 4));
    match state.recall.as_ref().filter(|_| state.recalling()) {
        Some(recall) => {
            let found = found(state, recall).0.map_or(1, |question| recalled(question, area, most).len());
            u16::try_from(1 + found.min(most)).unwrap_or(1)
        }
        None => editor_rows(&state.input, area, most),
    }
}

/// Rows that a text wants in an area of this width, `most` at most.
pub fn editor_rows(editor: &Editor, area: Rect, most: usize) -> u16 {
    let (rows, _) = wrapped(editor, columns(area));
    u16::try_from(rows.len().min(most).max(1)).unwrap_or(1)
}

pub fn draw(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let active = Places::QUESTION.and(Places::of(&[Place::Recall])).contains(state.place());
    if let Some(recall) = state.recall.as_ref().filter(|_| state.recalling()) {
        draw_recall(state, recall, active, &cache.theme, frame, area);
        return;
    }
    cache.measured.put(Zone::Input, area, area);
    draw_editor(&state.input, "ask a question about your documents", active, &cache.theme, frame, area);
}

/// The question that is found now, its number from 1, and how many there are.
fn found<'a>(state: &'a State, recall: &Recall) -> (Option<&'a str>, usize, usize) {
    let found = state.history.containing(recall.text.text());
    let at = recall.at.min(found.len().saturating_sub(1));
    (found.get(at).copied(), at + 1, found.len())
}

/// The rows of a question that was found: as many as fit, the last one cut short where there are more.
fn recalled(question: &str, area: Rect, most: usize) -> Vec<Line<'static>> {
    let mut rows = paragraph(question.trim_end(), columns(area), ratatui::style::Style::new());
    if rows.len() > most.max(1) {
        rows.truncate(most.max(1));
        let last = rows.pop().map(|last| last + Span::raw(" …"));
        rows.extend(last);
    }
    rows
}

/// What is searched for in the history, and below it what was found.
fn draw_recall(state: &State, recall: &Recall, active: bool, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let (question, at, count) = found(state, recall);
    let told = match count {
        0 if recall.text.is_empty() => "  nothing was asked yet".to_owned(),
        0 => "  in none of them".to_owned(),
        _ => format!("  {at} of {count}"),
    };
    let prompt = if usize::from(area.width) < 60 { " earlier: " } else { RECALL_PROMPT };
    let room = usize::from(area.width).saturating_sub(width(prompt) + width(&told) + 1);
    // The end of a long text, where it is written.
    let text = recall.text.text();
    let cut = text.grapheme_indices(true).map(|(at, _)| at).find(|at| width(&text[*at..]) < room.max(1));
    let start = cut.unwrap_or(text.len()).min(recall.text.cursor());
    let typed = Span::styled(text[start..].to_owned(), theme.strong);
    let prompt = if start == 0 { prompt.to_owned() } else { format!("{}…", prompt.trim_end()) };
    let column = width(&prompt) + width(&text[start..recall.text.cursor()]);
    let row = Line::from(vec![Span::styled(prompt, theme.focus), typed, Span::styled(told, theme.dim)]);
    frame.render_widget(row, Rect { height: area.height.min(1), ..area });
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let rows = question.map(|question| recalled(question, area, usize::from(below.height))).unwrap_or_default();
    super::pane::rows(frame, below, PROMPT.len() as u16, rows.iter());
    if active && area.height > 0 {
        let x = area.x + u16::try_from(column).unwrap_or(u16::MAX).min(area.width.saturating_sub(1));
        frame.set_cursor_position(Position { x, y: area.y });
    }
}

/// The byte of the text that is drawn at a place of the screen, or the nearest one.
pub fn offset_at(editor: &Editor, area: Rect, at: Position) -> usize {
    let (rows, cursor) = wrapped(editor, columns(area));
    let top = first_row(cursor, usize::from(area.height));
    let row = (top + usize::from(at.y.saturating_sub(area.y))).min(rows.len().saturating_sub(1));
    offset_in(&rows, row, usize::from(at.x.saturating_sub(area.x)).saturating_sub(PROMPT.len()))
}

/// The byte of the text that is drawn a row above or below the cursor; `None` where there is no such row.
pub fn offset_beside(editor: &Editor, area: Rect, down: bool) -> Option<usize> {
    let (rows, cursor) = wrapped(editor, columns(area));
    let row = usize::from(cursor.y);
    let to = if down { Some(row + 1).filter(|row| *row < rows.len()) } else { row.checked_sub(1) }?;
    Some(offset_in(&rows, to, usize::from(cursor.x)))
}

/// The byte at a column of a row, or the nearest one.
fn offset_in(rows: &[(usize, &str)], row: usize, column: usize) -> usize {
    let Some((start, text)) = rows.get(row) else { return 0 };
    let mut used = 0;
    for (offset, cluster) in text.grapheme_indices(true) {
        used += width(cluster);
        if used > column {
            return start + offset;
        }
    }
    // Behind a row that is broken the next one begins: the cursor stays on this one.
    let last = text.grapheme_indices(true).next_back().map_or(0, |(offset, _)| offset);
    let breaks = rows.get(row + 1).is_some_and(|(next, _)| *next == start + text.len());
    start + if breaks { last } else { text.len() }
}

/// The cursor's row stays in view, with as much before it as fits.
fn first_row(cursor: Position, height: usize) -> usize {
    (usize::from(cursor.y) + 1).saturating_sub(height)
}

/// Draws a text that is being written, or what is to be written where it is empty. The keys go to it when `active`.
pub fn draw_editor(editor: &Editor, empty: &str, active: bool, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let (rows, cursor) = wrapped(editor, columns(area));
    let height = usize::from(area.height);
    let top = first_row(cursor, height);
    for (y, (_, row)) in rows.iter().enumerate().skip(top).take(height) {
        // There is more above or below.
        let prompt = match y {
            0 => PROMPT,
            y if y == top => " ↑ ",
            y if y + 1 == top + height && y + 1 < rows.len() => " ↓ ",
            _ => "   ",
        };
        let prompt = Span::styled(prompt, if active { theme.focus } else { theme.dim });
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

/// Breaks the text into rows with the byte where each begins, at spaces where it can, keeping every character; and where the cursor stands in them.
fn wrapped(input: &Editor, columns: usize) -> (Vec<(usize, &str)>, Position) {
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
    let rows = starts.iter().zip(ends).map(|(start, end)| (*start, text[*start..end].trim_end_matches('\n'))).collect();
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
        let rows: Vec<&str> = rows.into_iter().map(|(_, row)| row).collect();
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

    #[test]
    fn lines_are_gone_through_as_they_are_drawn() {
        let mut input = Editor::default();
        input.insert("one two three\n\nfour漢字漢字");
        let area = Rect { x: 2, y: 3, width: 12, height: 5 };
        let mut seen = Vec::new();
        while let Some(to) = offset_beside(&input, area, false) {
            input.place(to);
            seen.push(wrapped(&input, columns(area)).1.y);
        }
        assert_eq!(seen, [3, 2, 1, 0]);
        while let Some(to) = offset_beside(&input, area, true) {
            input.place(to);
            seen.push(wrapped(&input, columns(area)).1.y);
        }
        assert_eq!(seen[4..], [1, 2, 3, 4]);
    }

    #[test]
    fn a_click_puts_the_cursor_where_it_points() {
        let mut input = Editor::default();
        input.insert("one two three\n\nfour漢字漢字");
        let area = Rect { x: 2, y: 3, width: 12, height: 5 };
        // Wherever the cursor is drawn, a click puts it.
        for _ in 0..30 {
            let (_, cursor) = wrapped(&input, columns(area));
            let at = Position { x: area.x + PROMPT.len() as u16 + cursor.x, y: area.y + cursor.y };
            assert_eq!(offset_at(&input, area, at), input.cursor(), "{cursor:?}");
            input.edit(Edit::Left);
        }
        let click = |x, y| offset_at(&input, area, Position { x, y });
        assert_eq!(click(0, 0), 0);
        assert_eq!(click(100, 3), 7, "on the row that was clicked, not at the start of the next");
        assert_eq!(click(100, 4), 13);
        assert_eq!(click(100, 100), input.text().len());
    }
}
