//! The rows of one collection: a table of them, and the text of the selected one in full.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
};

use super::super::{ViewCache, cache::Extent, inline::paragraph, layout, pane, theme::Theme, touch::Zone};
use crate::{
    app::{Browsing, State},
    domain::Chunk,
    text::{self, fit, one_line, width},
};

/// The selected row's text, wrapped once.
#[derive(Debug, Default)]
pub struct RowText {
    /// The row, and the columns of the pane.
    of: Option<(Chunk, usize)>,
    rows: Vec<Line<'static>>,
}

pub fn draw(state: &State, browsing: &Browsing, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let behind = state.overlaid();
    let (table, text) = places(browsing, area);
    if let Some(area) = table {
        draw_table(state, browsing, !browsing.in_text && !behind, cache, frame, area);
    }
    if let Some(area) = text {
        draw_text(browsing, browsing.in_text && !behind, cache, frame, area);
    }
}

/// Side by side where there is room, else one above the other, else the one that has the keys.
fn places(browsing: &Browsing, area: Rect) -> (Option<Rect>, Option<Rect>) {
    if area.width >= layout::WIDE {
        let [table, text] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
        return (Some(table), Some(text));
    }
    if area.height < 14 {
        return if browsing.in_text { (None, Some(area)) } else { (Some(area), None) };
    }
    let table = if browsing.in_text { area.height / 3 } else { area.height / 2 };
    let [table, text] = Layout::vertical([Constraint::Length(table), Constraint::Fill(1)]).areas(area);
    (Some(table), Some(text))
}

fn draw_table(
    state: &State,
    browsing: &Browsing,
    focused: bool,
    cache: &mut ViewCache,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let theme = cache.theme;
    let inner = pane::inner(area);
    let columns = usize::from(inner.width);
    let name = one_line(&browsing.collection);
    let mut told = Vec::new();
    if let Some(message) = &browsing.error {
        let text = format!("✗ {message}\n{} tries again.", cache.keys(state).of("reload"));
        told.extend(paragraph(&text, columns.saturating_sub(2).max(2), theme.bad));
    }
    if browsing.total == 0 {
        let title = format!("{name} · no rows");
        cache.measured.rows = Extent::default();
        pane::draw(frame, area, &theme, &title, focused, Extent::default());
        told.extend(paragraph("This collection holds nothing yet.", columns.saturating_sub(2).max(2), theme.dim));
        pane::rows(frame, inner, 1, told.iter());
        return;
    }
    let title = format!("{name} · row {} of {}", text::count(browsing.at + 1), text::count(browsing.total));
    let [total, at] = [browsing.total, browsing.at].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let height = usize::from(inner.height).saturating_sub(told.len() + 1);
    let extent = cache.measured.rows.keeping(total, height, at);
    cache.measured.rows = extent;
    let listed = (extent.top..total).map(Some).take(height);
    let entries = std::iter::repeat_n(None, told.len() + 1).chain(listed).collect();
    cache.measured.list(Zone::Rows, area, inner, entries);
    pane::draw(frame, area, &theme, &title, focused, extent);

    let shown = extent.top as u64..(extent.top + extent.height).min(total) as u64;
    let rows: Vec<(u64, Option<&Chunk>)> = shown.map(|at| (at, browsing.row(at))).collect();
    let error_rows = u16::try_from(told.len()).unwrap_or(u16::MAX);
    let [error, list] = Layout::vertical([Constraint::Length(error_rows), Constraint::Fill(1)]).areas(inner);
    pane::rows(frame, error, 1, told.iter());
    pane::rows(frame, list, 0, table(&rows, browsing.at, columns, &theme).iter());
}

/// Document, lines and title of each row; a row that has not been read yet says so.
fn table(rows: &[(u64, Option<&Chunk>)], selected: u64, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    let place = |chunk: &Chunk| (one_line(&chunk.document), format!("{}-{}", chunk.lines.0, chunk.lines.1));
    let places: Vec<_> = rows.iter().map(|(_, row)| row.map(place)).collect();
    let widest = |text: fn(&(String, String)) -> &str, title: &str| {
        places.iter().flatten().map(|place| width(text(place))).max().unwrap_or(0).max(title.len())
    };
    let document_columns = widest(|place| &place.0, "document").min(columns * 2 / 5);
    let line_columns = widest(|place| &place.1, "lines").min(columns / 4);
    let title_columns = columns.saturating_sub(document_columns + line_columns + 5);
    let row = |mark: &str, document: &str, lines: &str, title: &str, style: Style, dim: Style| {
        let document = fit(document, document_columns);
        let lines = fit(lines, line_columns);
        let pad = " ".repeat(document_columns - width(&document));
        let before = " ".repeat(line_columns - width(&lines));
        Line::from(vec![
            Span::styled(format!("{mark}{document}{pad}"), style),
            Span::styled(format!("  {before}{lines}  "), dim),
            Span::styled(fit(title, title_columns), dim),
        ])
    };
    let mut out = vec![row(" ", "document", "lines", "title", theme.dim, theme.dim)];
    for ((at, chunk), place) in rows.iter().zip(&places) {
        let (mark, style) = if *at == selected { ("▸", theme.focus) } else { (" ", Style::new()) };
        out.push(match (chunk, place) {
            (Some(chunk), Some((document, lines))) => {
                row(mark, document, lines, &one_line(chunk.title()), style, Style::new())
            }
            (None, _) | (_, None) => row(mark, "…", "", "", style, theme.dim),
        });
    }
    out
}

fn draw_text(browsing: &Browsing, focused: bool, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let theme = cache.theme;
    let inner = pane::inner(area);
    let columns = usize::from(inner.width.saturating_sub(2)).max(2);
    let Some(chunk) = browsing.row(browsing.at) else {
        cache.measured.row = Extent::default();
        pane::draw(frame, area, &theme, "Row", focused, Extent::default());
        if browsing.error.is_none() && browsing.total > 0 {
            pane::rows(frame, inner, 1, paragraph("reading …", columns, theme.dim).iter());
        }
        return;
    };
    if cache.row.of.as_ref().is_none_or(|(held, width)| held != chunk || *width != columns) {
        let mut rows = Vec::new();
        if !chunk.heading.is_empty() {
            rows.extend(paragraph(&one_line(&chunk.heading.join(" > ")), columns, theme.strong));
        }
        rows.extend(paragraph(chunk.text.trim_end(), columns, Style::new()));
        cache.row = RowText { of: Some((chunk.clone(), columns)), rows };
    }
    let extent = Extent::new(cache.row.rows.len(), usize::from(inner.height), browsing.scroll);
    cache.measured.row = extent;
    cache.measured.put(Zone::RowText, area, inner);
    let tokens = if chunk.tokens > 0 { format!(" · {} tokens", chunk.tokens) } else { String::new() };
    let title = format!("{} · {}{tokens}", chunk.place(), chunk.id);
    pane::draw(frame, area, &theme, &title, focused, extent);
    pane::rows(frame, inner, 1, cache.row.rows.iter().skip(extent.top));
}
