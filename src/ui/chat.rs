//! The conversation: questions, streamed answers, and how each of them ended.

mod rows;

use std::borrow::Cow;

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

pub use self::rows::ChatRows;
use super::{
    ViewCache,
    cache::Extent,
    find,
    inline::{Inline, paragraph},
    keys::Keys,
    pane, status,
    theme::Theme,
    touch::Zone,
};
use crate::{
    app::{ChatScroll, Focus, Place, State, Store},
    domain::SourceSpec,
    text::width,
};

/// Columns before each row, where the shown turn is marked.
const GUTTER: u16 = 2;
pub fn draw(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let theme = cache.theme;
    let focused = state.focus == Focus::Chat && !state.overlaid();
    let inner = pane::inner(area);
    let width = usize::from(inner.width.saturating_sub(GUTTER)).max(2);
    if state.turns.is_empty() {
        let rows = welcome(state, Keys::new(&cache.keymap, Place::Question), &theme, width);
        let extent = Extent::new(rows.len(), usize::from(inner.height), first_row(state, rows.len()));
        cache.measured.chat = extent;
        cache.measured.turn_starts = vec![0];
        cache.measured.put(Zone::Chat, area, Rect::default());
        pane::draw(frame, area, &theme, "Chat", focused, extent);
        pane::rows(frame, inner, GUTTER, rows.iter().skip(extent.top));
        return;
    }
    let height = usize::from(inner.height);
    cache.chat.sync(state, &theme, width, height);
    cache.chat.sync_found(state, &theme);
    // While a text is written, the nearest place of it comes into view.
    let top = cache.chat.row_of(state.chat_scroll);
    let shown = state.find.as_ref().and_then(|find| find.shown.or_else(|| find::nearest(cache.chat.found(), top)));
    let top = match (&state.find, shown) {
        (Some(find), Some(row)) if find.shown.is_none() => find::top_for(row, height),
        (Some(_) | None, _) => top,
    };
    let rows = cache.chat.rows();
    let extent = Extent::new(rows, height, top);
    cache.measured.chat = extent;
    cache.measured.chat_start = cache.chat.shifted();
    cache.measured.turn_starts.clear();
    cache.measured.turn_starts.extend_from_slice(cache.chat.starts());
    let text = Rect { x: inner.x + GUTTER.min(inner.width), width: inner.width.saturating_sub(GUTTER), ..inner };
    cache.measured.put(Zone::Chat, area, text);
    pane::draw(frame, area, &theme, "Chat", focused, extent);
    if cache.chat.is_news(extent) {
        let place = pane::note(frame, area, "↓ new text below", theme.focus);
        cache.measured.put(Zone::NewText, place, place);
    }
    cache.chat.keep_near(state, &theme, extent);
    let lines: Vec<_> = cache.chat.visible(state, &theme, extent).collect();
    pane::rows(frame, inner, GUTTER, lines.iter().map(|(_, _, line)| line.as_ref()));
    marks(state, &cache.chat, &lines, &theme, frame, inner);
    if state.find.is_some() {
        let shown = shown.and_then(|row| u16::try_from(row.checked_sub(extent.top)?).ok()?.checked_add(text.y));
        find::mark(frame.buffer_mut(), text, lines.iter().map(|(_, _, line)| line.as_ref()), shown, state.sought());
    }
}

/// Draws what moves without the text changing: which turn is shown, and where the answer goes on.
fn marks(
    state: &State,
    chat: &ChatRows,
    lines: &[(usize, usize, Cow<'_, Line<'static>>)],
    theme: &Theme,
    frame: &mut Frame<'_>,
    inner: Rect,
) {
    for ((turn, row, line), y) in lines.iter().zip(inner.y..) {
        let (turn, row) = (*turn, *row);
        if row == 0 && state.turns.len() > 1 && state.shown_index() == Some(turn) {
            frame.render_widget(Span::styled("▸", theme.focus), Rect { y, width: 1, height: 1, ..inner });
        }
        if chat.is_written_at(turn, row) && !theme.still {
            let at = (inner.x + GUTTER).saturating_add(line.width() as u16).min(inner.right().saturating_sub(1));
            frame.render_widget("▌", Rect { x: at, y, width: 1, height: 1 });
        }
    }
}

fn first_row(state: &State, rows: usize) -> usize {
    match state.chat_scroll {
        ChatScroll::End => 0,
        ChatScroll::At { row, .. } => row.min(rows),
    }
}

/// What stands in the chat before the first question.
fn welcome(state: &State, keys: Keys<'_>, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let mut rows = Vec::new();
    for (text, style) in status::troubles(state, keys, theme) {
        rows.extend(paragraph(&text, width, style));
        rows.push(Line::default());
    }
    rows.extend(paragraph("Ask questions of your own documents, and see why it answered so.", width, theme.strong));
    let intro = keys.tell(
        "Write a question below and press ‹ask›. The passages that the answer rests on appear beside it, with every \
         score.",
    );
    rows.extend(paragraph(&intro, width, theme.dim));
    rows.push(Line::default());
    let handbook = match &state.store {
        Store::Opening => true,
        Store::Failed(_) => false,
        Store::Open { collection: None, keeps_handbook, .. } => *keeps_handbook,
        Store::Open { collection: Some(c), .. } => c.sources.iter().any(|s| s.location == SourceSpec::HANDBOOK),
    };
    if handbook {
        rows.extend(paragraph("The handbook of askdocs itself is here to try it on:", width, theme.dim));
        for example in
            ["How do I index my own documents?", "What do the scores mean?", "How do I connect a language model?"]
        {
            rows.extend(paragraph(&format!("  {example}"), width, theme.citation));
        }
        rows.push(Line::default());
    }
    if let Some(work) = status::work(state) {
        rows.extend(paragraph(&format!("… {work}"), width, theme.dim));
        let meanwhile = "You can ask already: a question waits until there is something to search.";
        if !matches!(state.store, Store::Failed(_)) && state.collection().is_none_or(|c| c.passages == 0) {
            rows.extend(paragraph(meanwhile, width, theme.dim));
        }
        rows.push(Line::default());
    }
    let told = [
        ("next-pane", "goes through the panes, to read and copy"),
        ("ingest", "shows what is indexed and what was skipped"),
        ("collections", "lists the collections and what is in them"),
        ("help", "lists all keys; ‹interrupt› twice quits"),
    ]
    .map(|(command, what)| (keys.of(command), keys.tell(what)));
    let columns = told.iter().map(|(key, _)| self::width(key)).max().unwrap_or(0) + 2;
    for (key, what) in told {
        let mut inline = Inline::default();
        inline.push(&format!("{key}{}", " ".repeat(columns - self::width(&key))), theme.strong);
        inline.push(&what, theme.dim);
        rows.extend(inline.rows(width).into_iter().map(Line::from));
    }
    rows
}
