//! What is asked before a collection is dropped or made.

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    style::Style,
    text::Line,
    widgets::Clear,
};

use super::{
    super::{ViewCache, cache::Extent, inline::paragraph, input, pane, theme::Theme},
    store_name,
};
use crate::{
    app::{Creating, Dropping, Editor, Entry, State},
    text::{self, one_line},
};

/// Columns of a dialog where there is room for them.
const COLUMNS: u16 = 76;
/// Most rows of a path that is long.
const PATH_ROWS: usize = 3;

/// A part of a dialog: lines of text, or a line that is being written.
enum Part<'a> {
    Text(Vec<Line<'static>>),
    /// The text, what stands there while it is empty, and whether the keys go to it.
    Line(&'a Editor, &'a str, bool),
}

impl Part<'_> {
    /// Rows that it wants in a dialog over an area.
    fn rows(&self, area: Rect) -> usize {
        let within = pane::inner(Rect { width: area.width.min(COLUMNS), ..area });
        match self {
            Part::Text(lines) => lines.len(),
            Part::Line(editor, ..) => usize::from(input::editor_rows(editor, within, PATH_ROWS)),
        }
    }
}

pub fn draw_drop(state: &State, dropping: &Dropping, cache: &ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let (keys, theme) = (cache.keys(state), &cache.theme);
    let columns = text_columns(area);
    let name = one_line(dropping.entry.name());
    let text = |text: &str, style| Part::Text(paragraph(text, columns, style));
    let place = format!("{name} in {}", store_name(state));
    let mut parts = Vec::new();
    match &dropping.entry {
        Entry::Readable(info) => {
            let (documents, rows) = (text::counted(info.documents, "document"), text::counted(info.passages, "row"));
            let stay = if info.foreign { "" } else { "; the files they were made from stay" };
            let holds = format!("{place} holds {documents} in {rows}. They can't be brought back{stay}.");
            parts.push(text(&holds, Style::new()));
            if info.foreign {
                parts.push(text("! Another program made it and may still need it.", theme.warning));
            }
        }
        Entry::Unreadable { .. } => {
            parts.push(text(&format!("What {place} holds can't be read, nor brought back."), Style::new()));
        }
    }
    if dropping.under_way {
        parts.push(text("dropping …", theme.dim));
    } else if dropping.must_type() {
        parts.push(text(&keys.tell("Type its name and press ‹confirm›:"), theme.strong));
        parts.push(Part::Line(&dropping.typed, "", !state.overlaid()));
    } else {
        parts.push(text(&keys.tell("‹yes› drops it, ‹no› keeps it."), theme.strong));
    }
    if let Some(message) = &dropping.error {
        parts.push(text(&keys.tell(&format!("✗ {message}")), theme.bad));
    }
    draw(&format!("Drop {name}"), &parts, theme, frame, area);
}

pub fn draw_create(state: &State, creating: &Creating, cache: &ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let (keys, theme) = (cache.keys(state), &cache.theme);
    let columns = text_columns(area);
    let text = |text: &str, style| Part::Text(paragraph(text, columns, style));
    let at_name = creating.source.is_some();
    let path_hint = keys.tell("path, ‹complete-path› completes it");
    let mut parts = vec![
        text("Made from a folder; a file, an archive or a URL will do too.", theme.dim),
        Part::Line(&creating.path, &path_hint, !at_name && !state.overlaid()),
    ];
    if at_name {
        parts.push(text("Its name:", theme.dim));
        parts.push(Part::Line(&creating.name, "name", !state.overlaid()));
        let known = state.collections.entries.iter().flatten().any(|entry| entry.name() == creating.name.text());
        if known {
            parts.push(text("! There is one of that name: this is added to it.", theme.warning));
        }
    }
    if creating.reading.is_some() {
        parts.push(text("reading …", theme.dim));
    }
    if let Some(message) = &creating.error {
        parts.push(text(&keys.tell(&format!("✗ {message}")), theme.bad));
    }
    if let Some(candidates) = &creating.candidates {
        let taken: usize = parts.iter().map(|part| part.rows(area)).sum();
        let room = usize::from(area.height.saturating_sub(2)).saturating_sub(taken).max(1);
        parts.push(Part::Text(listed(candidates, creating.path.text(), columns, room, theme)));
    }
    draw(&format!("New collection · {}", store_name(state)), &parts, theme, frame, area);
}

/// The folders that a path can go on with, as many as there is room for.
fn listed(candidates: &[String], path: &str, columns: usize, room: usize, theme: &Theme) -> Vec<Line<'static>> {
    if candidates.is_empty() {
        let there = path.ends_with(['/', '\\']);
        return paragraph(if there { "" } else { "no folder there begins so" }, columns, theme.dim);
    }
    let names: Vec<String> = candidates.iter().map(|name| format!("{}/", one_line(name))).collect();
    let mut rows = paragraph(&names.join("  "), columns, theme.code);
    if rows.len() > room {
        rows.truncate(room.saturating_sub(1).max(1));
        rows.push(Line::styled("… and more", theme.dim));
    }
    rows
}

fn text_columns(area: Rect) -> usize {
    usize::from(area.width.min(COLUMNS).saturating_sub(4)).max(2)
}

/// Draws the parts one below the other in a frame of their own, over whatever is there. Where they don't fit, the first
/// one, which explains, is cut short: what is typed, and what is wrong with it, is always seen.
fn draw(title: &str, parts: &[Part<'_>], theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let wanted: usize = parts.iter().map(|part| part.rows(area)).sum::<usize>() + 2;
    let height = u16::try_from(wanted).unwrap_or(u16::MAX).min(area.height);
    let mut too_many = wanted - usize::from(height);
    let dialog = area.centered(Constraint::Length(area.width.min(COLUMNS)), Constraint::Length(height));
    let inner = pane::inner(dialog);
    frame.render_widget(Clear, dialog);
    pane::draw(frame, dialog, theme, title, true, Extent::default());
    let mut y = inner.top();
    for part in parts {
        let wanted = part.rows(area);
        let rows = wanted.saturating_sub(too_many);
        too_many -= wanted - rows;
        let height = u16::try_from(rows).unwrap_or(u16::MAX).min(inner.bottom().saturating_sub(y));
        let place = Rect { y, height, ..inner };
        match part {
            Part::Text(lines) => pane::rows(frame, place, 1, lines.iter()),
            Part::Line(editor, empty, active) => input::draw_editor(editor, empty, *active, theme, frame, place),
        }
        y += height;
    }
}
