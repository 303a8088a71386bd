//! The collections of the store: a list with what is known of each, the rows of one, and what is asked before one is
//! made or dropped.

mod dialog;
mod rows;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
};

pub use self::rows::RowText;
use super::{
    ViewCache, cache::Extent, ingest::labelled, inline::paragraph, keys::Keys, pane, status, theme::Theme, touch::Zone,
};
use crate::{
    app::{Collections, Entry, State, Step, Store},
    domain::CollectionInfo,
    text::{self, fit, one_line, width},
};

pub fn draw(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    if let Step::Browse(browsing) = &state.collections.step {
        rows::draw(state, browsing, cache, frame, area);
        return;
    }
    draw_list(state, cache, frame, area);
    match &state.collections.step {
        Step::Choose | Step::Browse(_) => {}
        Step::Drop(dropping) => dialog::draw_drop(state, dropping, cache, frame, area),
        Step::Create(creating) => dialog::draw_create(state, creating, cache, frame, area),
    }
}

/// The store, for a title.
fn store_name(state: &State) -> String {
    match &state.store {
        Store::Open { description, .. } => one_line(description),
        Store::Opening | Store::Failed(_) => "the store".to_owned(),
    }
}

fn draw_list(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let theme = cache.theme;
    let shown = &state.collections;
    let focused = matches!(shown.step, Step::Choose) && !state.overlaid();
    let Some(entries) = shown.entries.as_deref().filter(|entries| !entries.is_empty()) else {
        cache.measured.collections = Extent::default();
        let title = format!("Collections · {}", store_name(state));
        pane::draw(frame, area, &theme, &title, focused, Extent::default());
        let inner = pane::inner(area);
        let rows = instead_of_list(state, cache.keys(state), usize::from(inner.width.saturating_sub(2)).max(2), &theme);
        pane::rows(frame, inner, 1, rows.iter());
        return;
    };
    let inner_columns = usize::from(area.width.saturating_sub(4)).max(2);
    let details = shown.entry().map(|entry| details(state, entry, cache.keys(state), inner_columns, &theme));
    let details = details.unwrap_or_default();
    // The table's borders and header, and as many rows as there are; the rest is for the details, of which the first
    // ones are always seen.
    let wanted = u16::try_from(entries.len() + 3).unwrap_or(u16::MAX);
    let kept = u16::try_from(details.len() + 2).unwrap_or(u16::MAX).min((area.height / 2).max(4));
    let height = wanted.min(area.height.saturating_sub(kept)).max(4);
    let [top, bottom] = Layout::vertical([Constraint::Length(height), Constraint::Fill(1)]).areas(area);

    let inner = pane::inner(top);
    let visible = usize::from(inner.height.saturating_sub(1));
    let extent = cache.measured.collections.keeping(entries.len(), visible, shown.index());
    cache.measured.collections = extent;
    if let Step::Choose = shown.step {
        let listed = (extent.top..entries.len()).map(Some);
        cache.measured.list(Zone::Collections, top, inner, [None].into_iter().chain(listed).collect());
    }
    let reading = if shown.reading.is_some() { " · reading …" } else { "" };
    let title = format!("Collections · {} · {}{reading}", store_name(state), entries.len());
    pane::draw(frame, top, &theme, &title, focused, extent);
    let table = table(state, entries, extent, usize::from(inner.width), &theme);
    pane::rows(frame, inner, 0, table.iter());

    let title = shown.entry().map(|entry| one_line(entry.name())).unwrap_or_default();
    let extent = Extent::new(details.len(), usize::from(bottom.height.saturating_sub(2)), 0);
    pane::draw(frame, bottom, &theme, &title, false, extent);
    pane::rows(frame, pane::inner(bottom), 1, details.iter());
}

/// What stands where the list would be: it is being read, could not be, or there is nothing in it.
fn instead_of_list(state: &State, keys: Keys<'_>, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    let Collections { entries, error, .. } = &state.collections;
    match (error, entries) {
        (Some(message), _) => {
            let mut rows = paragraph(&format!("✗ {message}"), columns, theme.bad);
            rows.push(Line::default());
            rows.extend(paragraph(&keys.tell("‹reload› tries again."), columns, theme.dim));
            rows
        }
        (None, None) => paragraph("reading …", columns, theme.dim),
        (None, Some(_)) => {
            let mut rows = paragraph("There are no collections here yet.", columns, theme.strong);
            rows.push(Line::default());
            let make = keys.tell("‹new-collection› makes one from a folder of documents.");
            rows.extend(paragraph(&make, columns, theme.dim));
            rows
        }
    }
}

/// A column of the table, and when it gives way: the highest number first.
struct Column {
    title: &'static str,
    right: bool,
    gives_way: u8,
    cell: fn(&CollectionInfo) -> String,
}

const COLUMNS: &[Column] = &[
    Column { title: "documents", right: true, gives_way: 1, cell: |info| text::count(info.documents) },
    Column { title: "rows", right: true, gives_way: 0, cell: |info| text::count(info.passages) },
    Column {
        title: "dim",
        right: true,
        gives_way: 3,
        cell: |info| info.dim.map_or_else(|| "–".to_owned(), |dim| dim.to_string()),
    },
    Column { title: "metric", right: false, gives_way: 5, cell: |info| info.metric.to_string() },
    Column { title: "index", right: false, gives_way: 6, cell: |info| one_line(&info.index) },
    Column { title: "model", right: false, gives_way: 2, cell: model },
    Column {
        title: "size",
        right: true,
        gives_way: 4,
        cell: |info| info.bytes.map_or_else(|| "–".to_owned(), |bytes| status::bytes(bytes as f64)),
    },
];

/// The model that made the vectors, with the first digits of its weights' sum.
fn model(info: &CollectionInfo) -> String {
    info.fingerprint.as_ref().map_or_else(
        || "–".to_owned(),
        |made_by| {
            let sum = made_by.sha256.get(..8).unwrap_or(&made_by.sha256);
            one_line(&format!("{} {sum}", made_by.model))
        },
    )
}

/// What is special about a collection, in words.
fn standing(state: &State, entry: &Entry) -> String {
    let mut words = Vec::new();
    if state.collection_name() == Some(entry.name()) {
        words.push("in use");
    }
    match entry {
        Entry::Unreadable { .. } => words.push("unreadable"),
        Entry::Readable(info) if info.foreign => words.push("read only"),
        Entry::Readable(_) => {}
    }
    if state.ingest.as_ref().is_some_and(|job| job.collection == entry.name()) {
        words.push("indexing");
    }
    words.join(", ")
}

/// The header and the entries in view, as many columns as there is room for.
fn table(state: &State, entries: &[Entry], extent: Extent, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    const GAP: usize = 2;
    let names: Vec<String> = entries.iter().map(|entry| one_line(entry.name())).collect();
    let standings: Vec<String> = entries.iter().map(|entry| standing(state, entry)).collect();
    let widest =
        |cells: &[String], title: &str| cells.iter().map(|cell| width(cell)).max().unwrap_or(0).max(width(title));
    let standing_columns = widest(&standings, "");
    let cells: Vec<Vec<String>> = COLUMNS
        .iter()
        .map(|column| {
            entries.iter().map(|entry| entry.info().map_or_else(String::new, |info| (column.cell)(info))).collect()
        })
        .collect();
    let widths: Vec<usize> = COLUMNS.iter().zip(&cells).map(|(column, cells)| widest(cells, column.title)).collect();
    let name_columns = widest(&names, "collection");
    let room = columns.saturating_sub(2 + if standing_columns > 0 { standing_columns + GAP } else { 0 });
    // Columns go until a name of decent length has room beside them.
    let mut shown: Vec<usize> = (0..COLUMNS.len()).collect();
    let needs = |shown: &[usize]| shown.iter().map(|at| widths[*at] + GAP).sum::<usize>();
    while room < needs(&shown) + name_columns.min(24)
        && let Some(worst) = (0..shown.len()).max_by_key(|at| COLUMNS[shown[*at]].gives_way)
        && COLUMNS[shown[worst]].gives_way > 0
    {
        shown.remove(worst);
    }
    let name_columns = name_columns.min(room.saturating_sub(needs(&shown)).max(4));
    let pad = |cell: &str, columns: usize, right: bool| {
        let cell = fit(cell, columns);
        let space = " ".repeat(columns - width(&cell));
        if right { format!("{space}{cell}") } else { format!("{cell}{space}") }
    };
    let row = |mark: &str, name: &str, standing: &str, texts: Vec<&str>, style: Style, dim: Style| {
        let mut spans = vec![Span::styled(format!("{mark}{}", pad(name, name_columns, false)), style)];
        if standing_columns > 0 {
            spans.push(Span::styled(format!("  {}", pad(standing, standing_columns, false)), dim.patch(theme.strong)));
        }
        for (at, text) in shown.iter().zip(texts) {
            spans.push(Span::styled(format!("  {}", pad(text, widths[*at], COLUMNS[*at].right)), dim));
        }
        Line::from(spans)
    };
    let titles = shown.iter().map(|at| COLUMNS[*at].title).collect();
    let mut lines = vec![row(" ", "collection", "", titles, theme.dim, theme.dim)];
    for at in extent.top..entries.len().min(extent.top + extent.height) {
        let selected = at == state.collections.index();
        let (mark, style) = if selected { ("▸", theme.focus) } else { (" ", Style::new()) };
        let texts = shown.iter().map(|column| cells[*column][at].as_str()).collect();
        lines.push(row(mark, &names[at], &standings[at], texts, style, Style::new()));
    }
    lines
}

/// Everything that is known of a collection.
fn details(state: &State, entry: &Entry, keys: Keys<'_>, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    let mut rows = Vec::new();
    let plain = Style::new();
    if let Some(job) = state.ingest.as_ref().filter(|job| job.collection == entry.name()) {
        let (done, all) = (job.snapshot.documents_done, job.snapshot.documents_total);
        let text = format!("… being indexed: {done} of {all} documents; {} tells more", keys.of("ingest"));
        rows.extend(labelled("now", &text, columns, theme, theme.warning));
    }
    let info = match entry {
        Entry::Readable(info) => info,
        Entry::Unreadable { reason, .. } => {
            rows.extend(labelled("unreadable", &format!("✗ {reason}"), columns, theme, theme.bad));
            return rows;
        }
    };
    let mut holds = format!("{} · {}", text::counted(info.documents, "document"), text::counted(info.passages, "row"));
    if info.without_vectors > 0 {
        holds = format!("{holds} · {} of them without vectors", text::count(info.without_vectors));
    }
    if let Some(bytes) = info.bytes {
        holds = format!("{holds} · {}", status::bytes(bytes as f64));
    }
    rows.extend(labelled("holds", &holds, columns, theme, plain));
    if info.foreign {
        let text = "made by another program; it is only read, never written";
        rows.extend(labelled("", text, columns, theme, theme.warning));
    }
    let dim = info.dim.map_or_else(|| "none".to_owned(), |dim| format!("{dim} dimensions · {}", info.metric));
    let index = if info.index.is_empty() { String::new() } else { format!(" · {}", info.index) };
    rows.extend(labelled("vectors", &format!("{dim}{index}"), columns, theme, plain));
    let model = match &info.fingerprint {
        Some(_) => model(info),
        None if info.foreign => "it does not say which one".to_owned(),
        None => "none yet".to_owned(),
    };
    rows.extend(labelled("model", &model, columns, theme, plain));
    for (at, source) in info.sources.iter().enumerate() {
        let globs: String = source.globs.iter().map(|glob| format!(" {glob}")).collect();
        // What a URL asks for can hold a key.
        let location = source.location.split_once('?').filter(|(place, _)| place.contains("://"));
        let location = location.map_or(source.location.as_str(), |(place, _)| place);
        let text = one_line(&format!("{location}{globs} ({})", source.chunker));
        rows.extend(labelled(if at == 0 { "made from" } else { "" }, &text, columns, theme, plain));
    }
    rows
}
