//! Text selected with the mouse: its cells, how they look, and what they say.

use std::borrow::Cow;

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::{Modifier, Style},
    text::Line,
};
use unicode_segmentation::UnicodeSegmentation;

use super::{
    ViewCache,
    cache::Extent,
    inline::{Joint, joined},
    touch::Zone,
};
use crate::{
    app::{Point, Selection, State, TextPane},
    text::width,
};

/// The columns of a row that are selected: after its margin and up to its end. `None` where there are none.
fn columns(line: &Line<'_>, row: isize, (from, to): (Point, Point), gutter: usize) -> Option<(usize, usize)> {
    let (_, margin) = joined(line);
    let first = if row == from.row { from.column } else { 0 };
    let last = if row == to.row { to.column } else { usize::MAX };
    let end = line.width().min(last.saturating_add(1));
    let start = first.max(margin).max(gutter);
    (start < end).then_some((start, end))
}

/// The clusters of a row that lie in a range of columns, be it only in part.
fn slice(line: &Line<'_>, (start, end): (usize, usize)) -> String {
    let mut at = 0;
    let clusters = line.spans.iter().flat_map(|span| span.content.graphemes(true));
    let inside = clusters.filter(|cluster| {
        let from = at;
        at += width(cluster);
        from < end && at > start
    });
    inside.collect()
}

/// What the selected cells of some rows say: rows that were one line are one line again, and margins are left out.
/// `gutter`: columns of every row that are no text.
pub fn text<'a>(rows: impl Iterator<Item = (isize, &'a Line<'static>)>, ends: (Point, Point), gutter: usize) -> String {
    let mut text = String::new();
    let inside = rows.filter(|(row, _)| (ends.0.row..=ends.1.row).contains(row));
    for (row, line) in inside {
        match joined(line).0 {
            // Nor does it begin with what is above its first text, such as the name of a language.
            _ if text.is_empty() => {}
            Joint::Line => {
                text.truncate(text.trim_end_matches(' ').len());
                text.push('\n');
            }
            Joint::Space => text.push(' '),
            Joint::Nothing => {}
        }
        text.extend(columns(line, row, ends, gutter).map(|range| slice(line, range)));
    }
    text.truncate(text.trim_end().len());
    text
}

/// Columns at the left of a passage's rows, where the passage is marked.
const PASSAGE_GUTTER: usize = 2;

/// The rows of a pane from one on, as many as asked for, numbered as [`Point`] counts them.
fn rows<'a>(
    state: &'a State,
    cache: &'a ViewCache,
    pane: TextPane,
    from: isize,
    count: usize,
) -> Vec<(isize, Cow<'a, Line<'static>>)> {
    let start = match pane {
        TextPane::Chat => cache.measured.chat_start,
        TextPane::Passage => cache.measured.passage_start.cast_signed(),
    };
    let top = usize::try_from(from + start).unwrap_or(0);
    let numbers = top.cast_signed() - start..;
    match pane {
        TextPane::Chat => {
            let extent = Extent { top, height: count, rows: cache.measured.chat.rows };
            numbers.zip(cache.chat.visible(state, &cache.theme, extent).map(|(_, _, line)| line)).collect()
        }
        TextPane::Passage => {
            numbers.zip(cache.passage.rows().iter().map(Cow::Borrowed).skip(top).take(count)).collect()
        }
    }
}

fn gutter(pane: TextPane) -> usize {
    match pane {
        TextPane::Chat => 0,
        TextPane::Passage => PASSAGE_GUTTER,
    }
}

/// What is selected now.
pub fn selected(state: &State, cache: &ViewCache) -> Option<String> {
    let Selection { pane, .. } = state.touch.selection?;
    let (from, to) = state.touch.selection?.ends();
    let count = usize::try_from(to.row - from.row).unwrap_or(0) + 1;
    let text = text(
        rows(state, cache, pane, from.row, count).iter().map(|(row, line)| (*row, line.as_ref())),
        (from, to),
        gutter(pane),
    );
    Some(text).filter(|text| !text.is_empty())
}

/// Shows what is selected, where it is in view.
pub fn draw(state: &State, cache: &ViewCache, buffer: &mut Buffer) {
    let Some(selection) = state.touch.selection else { return };
    let zone = match selection.pane {
        TextPane::Chat => Zone::Chat,
        TextPane::Passage => Zone::PassageText,
    };
    let Some(place) = cache.measured.place(zone) else { return };
    let top = place.top(&cache.measured);
    for ((row, line), y) in
        rows(state, cache, selection.pane, top, usize::from(place.inner.height)).into_iter().zip(place.inner.y..)
    {
        let (from, to) = selection.ends();
        if !(from.row..=to.row).contains(&row) {
            continue;
        }
        if let Some((start, end)) = columns(&line, row, (from, to), gutter(selection.pane)) {
            reverse(buffer, place.inner, y, start, end);
        }
    }
}

fn reverse(buffer: &mut Buffer, inner: Rect, y: u16, start: usize, end: usize) {
    for column in start..end.min(usize::from(inner.width)) {
        let x = inner.x + column as u16;
        if let Some(cell) = buffer.cell_mut(Position { x, y }) {
            cell.set_style(Style::new().add_modifier(Modifier::REVERSED));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ui::{Theme, inline::paragraph, markdown::Markdown};

    fn all(rows: &[Line<'static>]) -> String {
        let ends = (Point { row: 0, column: 0 }, Point { row: isize::MAX, column: usize::MAX });
        text((0..).zip(rows), ends, 0)
    }

    #[test]
    fn rows_that_were_one_line_are_one_again_and_margins_are_left_out() {
        let answer = "A paragraph that is broken into rows.\n\n- an item that is wrapped as well\n- two\n\n```rust\nlet code = is_kept(to, the, letter);\n    indented\n```\n\n> a quotation over rows\n>\n> and more\n";
        for columns in 14..60 {
            let mut markdown = Markdown::new(columns, 0, Theme::default());
            markdown.update(answer, true);
            let expected = "A paragraph that is broken into rows.\n\n• an item that is wrapped as well\n• two\n\nlet code = is_kept(to, the, letter);\n    indented\n\na quotation over rows\n\nand more";
            assert_eq!(all(markdown.rows()), expected, "{columns} columns");
        }
    }

    proptest! {
        /// Whatever is selected of a text, at whatever width, is a part of that text, but for what wrapping did to the
        /// white space.
        #[test]
        fn a_selection_is_a_part_of_the_text(
            document in "([a-z漢é👩.]{1,9}[ \n]{1,2}){1,30}",
            columns in 4..30_usize,
            a in (0..40_isize, 0..30_usize),
            b in (0..40_isize, 0..30_usize),
        ) {
            let rows = paragraph(&document, columns, Style::new());
            let [a, b] = [a, b].map(|(row, column)| Point { row, column });
            let ends = (a.min(b), a.max(b));
            let selected = text((0..).zip(&rows), ends, 0);
            let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            prop_assert!(squeezed(&document).contains(&squeezed(&selected)), "{selected:?} of {document:?}");
            // Line ends are those of the document, not of the rows.
            let feeds = |text: &str| text.matches('\n').count();
            prop_assert!(feeds(&selected) <= feeds(&document));
            prop_assert_eq!(squeezed(&all(&rows)), squeezed(&document));
        }
    }
}
