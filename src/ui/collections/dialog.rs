//! What is asked before a collection is dropped or made.

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    text::Line,
    widgets::Clear,
};

use super::{
    super::{cache::Extent, inline::paragraph, input, pane, status, theme::Theme},
    store_name,
};
use crate::{
    app::{Creating, Dropping, Editor, Entry, State},
    text::one_line,
};

/// Columns of a dialog where there is room for them.
const COLUMNS: u16 = 76;
/// Most rows of a path that is long.
const PATH_ROWS: usize = 3;

/// A part of a dialog: lines of text, or a line that is being written.
enum Part<'a> {
    Text(Vec<Line<'static>>),
    /// The text, what stands there while it is empty, and whether the keys go to it.
    Line(&'a Editor, &'static str, bool),
}

pub fn draw_drop(state: &State, dropping: &Dropping, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let columns = text_columns(area);
    let name = one_line(dropping.entry.name());
    let text = |text: &str, style| Part::Text(paragraph(text, columns, style));
    let holds = match &dropping.entry {
        Entry::Readable(info) => {
            let [documents, rows] = [info.documents, info.passages].map(status::count);
            format!("It holds {documents} documents in {rows} rows.")
        }
        Entry::Unreadable { .. } => "What it holds can't be read.".to_owned(),
    };
    let mut parts = vec![text(&format!("Drop the collection {name} in {}?", store_name(state)), theme.strong)];
    let foreign = dropping.entry.info().is_some_and(|info| info.foreign);
    if foreign {
        parts.push(text(&format!("{holds} They can't be brought back."), theme.dim));
        parts.push(text("! Another program made it and may still need it.", theme.warning));
    } else {
        let what = format!("{holds} They can't be brought back; the files they were made from stay.");
        parts.push(text(&what, theme.dim));
    }
    parts.push(Part::Text(vec![Line::default()]));
    if dropping.under_way {
        parts.push(text("dropping …", theme.dim));
    } else if dropping.must_type() {
        parts.push(text("Type its name and press Enter:", theme.strong));
        parts.push(Part::Line(&dropping.typed, "", !state.help));
    } else {
        parts.push(text("y drops it, n keeps it.", theme.strong));
    }
    if let Some(message) = &dropping.error {
        parts.push(text(&format!("✗ {message}"), theme.bad));
    }
    draw(&format!("Drop {name}"), &parts, theme, frame, area);
}

pub fn draw_create(state: &State, creating: &Creating, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let columns = text_columns(area);
    let text = |text: &str, style| Part::Text(paragraph(text, columns, style));
    let at_name = creating.source.is_some();
    let mut parts = vec![
        text("Made from a folder; a file, an archive or a URL will do too.", theme.dim),
        Part::Line(&creating.path, "path, Tab completes it", !at_name && !state.help),
    ];
    if at_name {
        parts.push(text("Its name:", theme.dim));
        parts.push(Part::Line(&creating.name, "name", !state.help));
        let known = state.collections.entries.iter().flatten().any(|entry| entry.name() == creating.name.text());
        if known {
            parts.push(text("! There is one of that name: this is added to it.", theme.warning));
        }
    }
    if creating.reading.is_some() {
        parts.push(text("reading …", theme.dim));
    }
    if let Some(message) = &creating.error {
        parts.push(text(&format!("✗ {message}"), theme.bad));
    }
    if let Some(candidates) = &creating.candidates {
        parts.push(Part::Text(listed(candidates, creating.path.text(), columns, area, theme)));
    }
    draw(&format!("New collection · {}", store_name(state)), &parts, theme, frame, area);
}

/// The folders that a path can go on with, as many as there is room for.
fn listed(candidates: &[String], path: &str, columns: usize, area: Rect, theme: &Theme) -> Vec<Line<'static>> {
    if candidates.is_empty() {
        let there = path.ends_with(['/', '\\']);
        return paragraph(if there { "" } else { "no folder there begins so" }, columns, theme.dim);
    }
    let room = usize::from(area.height).saturating_sub(8).max(1);
    let names: Vec<String> = candidates.iter().map(|name| format!("{}/", one_line(name))).collect();
    let mut rows = paragraph(&names.join("  "), columns, theme.code);
    if rows.len() > room {
        rows.truncate(room.saturating_sub(1));
        rows.push(Line::styled("… and more", theme.dim));
    }
    rows
}

fn text_columns(area: Rect) -> usize {
    usize::from(area.width.min(COLUMNS).saturating_sub(4)).max(2)
}

/// Draws the parts one below the other in a frame of their own, over whatever is there.
fn draw(title: &str, parts: &[Part<'_>], theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let width = area.width.min(COLUMNS);
    let within = pane::inner(Rect { width, ..area });
    let rows = |part: &Part<'_>| match part {
        Part::Text(lines) => u16::try_from(lines.len()).unwrap_or(u16::MAX),
        Part::Line(editor, ..) => input::editor_rows(editor, within, PATH_ROWS),
    };
    let height = parts.iter().map(rows).fold(2_u16, u16::saturating_add).min(area.height);
    let area = area.centered(Constraint::Length(width), Constraint::Length(height));
    let inner = pane::inner(area);
    frame.render_widget(Clear, area);
    pane::draw(frame, area, theme, title, true, Extent::default());
    let mut y = inner.top();
    for part in parts {
        let height = rows(part).min(inner.bottom().saturating_sub(y));
        let place = Rect { y, height, ..inner };
        match part {
            Part::Text(lines) => pane::rows(frame, place, 1, lines.iter()),
            Part::Line(editor, empty, active) => input::draw_editor(editor, empty, *active, theme, frame, place),
        }
        y += height;
    }
}
