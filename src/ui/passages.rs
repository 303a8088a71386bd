//! The passages of the shown turn with every retriever's own score, the text of one of them, and the turn's timings.

use std::time::Duration;

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{ViewCache, cache::Extent, inline::paragraph, pane, status, theme::Theme, touch::Zone};
use crate::{
    app::{Focus, State},
    domain::{Chunk, ChunkId, Metric, Mode, Passage, Scores, Turn, TurnState},
    text::{fit, one_line, width},
};

/// Columns of a full bar.
const BAR: usize = 16;
/// Characters per token of English text, where the server counts none.
pub const CHARS_PER_TOKEN: f64 = 4.0;
/// What took less has no speed worth telling.
pub const SHORTEST_MEASURED: Duration = Duration::from_millis(100);

/// The shown passage's rows, wrapped once.
#[derive(Debug, Default)]
pub struct PassageRows {
    key: Option<(String, ChunkId, usize, usize)>,
    rows: Vec<Line<'static>>,
    /// Where the passage itself starts, behind what stands before it in the document.
    start: usize,
}

impl PassageRows {
    pub fn rows(&self) -> &[Line<'static>] {
        &self.rows
    }
}

pub fn draw_list(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let theme = cache.theme;
    let focused = state.focus == Focus::Passages && !state.overlaid();
    let inner = pane::inner(area);
    cache.measured.put(Zone::Passages, area, inner);
    let Some((turn, index)) = state.shown_turn().zip(state.shown_index()) else {
        pane::draw(frame, area, &theme, "Passages", focused, Extent::default());
        let columns = usize::from(inner.width.saturating_sub(2)).max(2);
        let rows = paragraph("The passages an answer rests on appear here.", columns, theme.dim);
        pane::rows(frame, inner, 1, rows.iter());
        return;
    };
    let mut title = format!("Passages · turn {} · {} · k={}", index + 1, turn.settings.mode, turn.settings.k);
    if turn.settings.rerank > 0 {
        title = format!("{title} · rerank {}", turn.settings.rerank);
    }
    if !turn.collection.is_empty() && state.collection_name() != Some(turn.collection.as_str()) {
        title = format!("{title} · {}", turn.collection);
    }
    if turn.passages.is_empty() {
        pane::draw(frame, area, &theme, &title, focused, Extent::default());
        let text = match turn.state {
            TurnState::Waiting => "… waiting",
            TurnState::Retrieving => "… searching",
            TurnState::Stopped => "stopped before anything was found",
            TurnState::Failed(_) => "the search failed",
            TurnState::Thinking | TurnState::Streaming | TurnState::Done(_) => "no passage was found",
        };
        let columns = usize::from(inner.width.saturating_sub(2)).max(2);
        pane::rows(frame, inner, 1, paragraph(text, columns, theme.dim).iter());
        return;
    }
    let height = usize::from(inner.height / 2).max(1);
    let extent = cache.measured.passages.keeping(turn.passages.len(), height, state.selected_passage);
    cache.measured.passages = extent;
    let entries = (extent.top..turn.passages.len()).flat_map(|at| [Some(at); 2]).collect();
    cache.measured.list(Zone::Passages, area, inner, entries);
    pane::draw(frame, area, &theme, &title, focused, extent);
    let best = turn.passages.iter().filter_map(|passage| passage.scores.dense.or(passage.scores.keyword));
    let best = best.reduce(|a, b| if nearer(&turn.passages[0].scores, a, b) { a } else { b }).unwrap_or(1.0);
    let columns = usize::from(inner.width);
    let shown = turn.passages.iter().enumerate().skip(extent.top);
    let rows: Vec<_> = shown
        .flat_map(|(at, passage)| {
            entry(passage, at == state.selected_passage, turn.settings.mode, best, columns, &theme)
        })
        .collect();
    pane::rows(frame, inner, 0, rows.iter());
}

fn nearer(scores: &Scores, a: f32, b: f32) -> bool {
    match scores.dense {
        Some(_) => scores.metric.nearer_first(a, b).is_lt(),
        None => a > b,
    }
}

/// The two rows of a passage in the list.
fn entry(p: &Passage, selected: bool, mode: Mode, best: f32, columns: usize, theme: &Theme) -> [Line<'static>; 2] {
    let mark = if selected { "▸" } else { " " };
    let number = format!("{mark}{} ", p.rank);
    let room = columns.saturating_sub(width(&number));
    let place = one_line(&p.chunk.place());
    let title = one_line(p.chunk.title());
    // The place is what finds the passage again: it goes first, and gives way only to half the row.
    let place = fit(&place, room.saturating_sub(width(&title) + 2).max(room * 3 / 5));
    let title = fit(&title, room.saturating_sub(width(&place) + 2));
    let first = Line::from(vec![
        Span::styled(number, if selected { theme.focus } else { theme.strong }),
        Span::styled(place, if selected { theme.selected } else { ratatui::style::Style::new() }),
        Span::raw("  "),
        Span::styled(title, theme.dim),
    ]);
    [first, score_row(&p.scores, mode, best, columns, theme)]
}

/// Each retriever's own number under its own name, with its rank.
fn score_row(scores: &Scores, mode: Mode, best: f32, columns: usize, theme: &Theme) -> Line<'static> {
    let leg = |name: &str, score: Option<String>, rank: Option<u32>| match (score, rank) {
        (Some(score), Some(rank)) => format!("{name} {score} #{rank}"),
        (Some(score), None) => format!("{name} {score}"),
        (None, _) => format!("{name} –"),
    };
    let dense = leg(scores.metric.name(), scores.dense.map(decimals), scores.dense_rank);
    let keyword = leg("bm25", scores.keyword.map(bm25), scores.keyword_rank);
    let mut legs = Vec::new();
    if mode.uses_dense() {
        legs.push(dense);
    }
    if mode.uses_keyword() {
        legs.push(keyword);
    }
    // The number that decided the order.
    let last = scores.rerank.map(|score| ("rerank", score)).or(scores.fused.map(|score| ("fused", score)));
    let fused = last.map(|(name, score)| format!("  {name} {score:.2}")).unwrap_or_default();
    let parts = |first: usize, others: usize| {
        let head = format!("   {:<first$}", legs.first().map_or("", String::as_str));
        let tail: String = legs.iter().skip(1).map(|leg| format!("  {leg:<others$}")).collect();
        (head, tail + &fused)
    };
    let (mut head, mut tail) = parts(11, 12);
    if width(&head) + width(&tail) > columns {
        // One below the other has to wait for more room.
        (head, tail) = parts(0, 0);
        tail = fit(&tail, columns.saturating_sub(width(&head)));
    }
    let room = columns.saturating_sub(width(&head) + width(&tail) + 1).min(BAR);
    let filled = match (scores.dense, scores.keyword) {
        (Some(score), _) => match scores.metric {
            Metric::Ip | Metric::Cosine => score,
            // Smaller is nearer: the nearest fills the bar.
            Metric::L2 => best / score.max(f32::EPSILON),
        },
        (None, Some(score)) if !mode.uses_dense() => score / best.max(f32::EPSILON),
        (None, Some(_) | None) => 0.0,
    };
    // A bar that is too short to compare says nothing.
    let bar = if room >= 4 { format!(" {:<room$}", status::bar(f64::from(filled), room)) } else { String::new() };
    Line::from(vec![Span::raw(head), Span::styled(bar, theme.bar), Span::styled(tail, theme.dim)])
}

/// `12.3`, and `<.1` for what is little but more than nothing.
pub fn bm25(score: f32) -> String {
    if score > 0.0 && score < 0.05 { "<.1".to_owned() } else { format!("{score:.1}") }
}

/// `.649`, `-.02`, `12.3`: three digits that matter.
pub fn decimals(score: f32) -> String {
    if score.abs() < 1.0 {
        format!("{score:.3}").replacen("0.", ".", 1)
    } else if score.abs() < 10.0 {
        format!("{score:.2}")
    } else {
        format!("{score:.1}")
    }
}

pub fn draw_text(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let theme = cache.theme;
    let focused = state.focus == Focus::PassageText && !state.overlaid();
    let inner = pane::inner(area);
    let Some(passage) = state.shown_passage() else {
        cache.measured.passage = Extent::default();
        pane::draw(frame, area, &theme, "Passage", focused, Extent::default());
        return;
    };
    let neighbours = state.shown_neighbours();
    let columns = usize::from(inner.width.saturating_sub(2)).max(2);
    let collection = state.shown_turn().map(|turn| turn.collection.clone()).unwrap_or_default();
    let key = Some((collection, passage.chunk.id, neighbours.len(), columns));
    if cache.passage.key != key {
        cache.passage = passage_rows(&passage.chunk, neighbours, &theme, columns);
        cache.passage.key = key;
    }
    let rows = &cache.passage;
    let top = rows.start.saturating_add_signed(state.passage_scroll);
    let extent = Extent::new(rows.rows.len(), usize::from(inner.height), top);
    cache.measured.passage = extent;
    cache.measured.passage_start = rows.start;
    cache.measured.put(Zone::PassageText, area, inner);
    let title = format!("Passage {} · {}", passage.rank, passage.chunk.place());
    pane::draw(frame, area, &theme, &title, focused, extent);
    pane::rows(frame, inner, 0, rows.rows.iter().skip(extent.top));
}

/// The passage as it was sent, a bar beside it, between its dimmed neighbours in the document.
fn passage_rows(chunk: &Chunk, neighbours: &[Chunk], theme: &Theme, columns: usize) -> PassageRows {
    let mut out = PassageRows::default();
    let beside = |chunk: &Chunk| {
        let text = paragraph(chunk.text.trim_end(), columns, theme.dim);
        text.into_iter().map(|line| with_mark("  ", line, theme)).chain([Line::default()])
    };
    for before in neighbours.iter().filter(|other| other.ordinal < chunk.ordinal) {
        out.rows.extend(beside(before));
    }
    out.start = out.rows.len();
    if !chunk.heading.is_empty() {
        let heading = paragraph(&one_line(&chunk.heading.join(" > ")), columns, theme.strong);
        out.rows.extend(heading.into_iter().map(|line| with_mark("▌ ", line, theme)));
    }
    let text = paragraph(chunk.text.trim_end(), columns, ratatui::style::Style::new());
    out.rows.extend(text.into_iter().map(|line| with_mark("▌ ", line, theme)));
    for after in neighbours.iter().filter(|other| other.ordinal > chunk.ordinal) {
        out.rows.push(Line::default());
        out.rows.extend(beside(after));
    }
    out
}

fn with_mark(mark: &'static str, mut line: Line<'static>, theme: &Theme) -> Line<'static> {
    line.spans.insert(0, Span::styled(mark, theme.bar));
    line
}

/// In a border where there is room for one, else on one row.
pub fn draw_timings(state: &State, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let bordered = area.height >= 3;
    let inner = if bordered { pane::inner(area) } else { area };
    let room = usize::from(inner.width.saturating_sub(1));
    let turn = state.shown_turn();
    let parts = |units: bool| turn.map(|turn| timings(turn, units)).unwrap_or_default();
    // With units where there is room for them, else as bare milliseconds, as far apart as fits.
    let forms = [("Timings", true, " │ "), ("Timings · ms", false, " │ "), ("Timings · ms", false, "│")];
    let mut forms = forms.map(|(title, units, between)| (title, parts(units).join(between))).into_iter();
    let tightest = forms.next_back().unwrap_or_default();
    let (title, text) = forms.find(|(_, text)| width(text) <= room).unwrap_or(tightest);
    let text = fit(&text, room);
    if bordered {
        pane::draw(frame, area, theme, title, false, Extent::default());
    }
    pane::rows(frame, inner, 1, [Line::styled(text, theme.dim)].iter());
}

/// The stages that have run, with their units or, where room is short, as bare milliseconds.
fn timings(turn: &Turn, units: bool) -> Vec<String> {
    let times = &turn.timings;
    let embed = times.embed.unwrap_or_default();
    let legs = times.dense.unwrap_or_default().max(times.keyword.unwrap_or_default());
    let rerank = times.rerank.unwrap_or_default();
    let search = times.retrieval.map(|all| all.saturating_sub(embed + rerank)).or((!legs.is_zero()).then_some(legs));
    let answer = if turn.model.is_some() { "first token" } else { "quotes" };
    let stages = [
        ("embed", times.embed),
        ("search", search),
        ("rerank", times.rerank),
        ("prompt", times.prompt),
        (answer, times.first_token),
    ];
    let mut parts = Vec::new();
    for (name, time) in stages {
        if let Some(time) = time {
            parts.push(format!("{name} {}", milliseconds(time, units)));
        }
    }
    // What came in a moment came in one piece, and its speed says nothing.
    let generation = times.generation.filter(|time| *time >= SHORTEST_MEASURED).map(|time| time.as_secs_f64());
    if let (Some(_), Some(seconds)) = (&turn.model, generation) {
        let unit = if units { " tokens/s" } else { "/s" };
        parts.push(match turn.usage {
            Some(usage) => format!("{:.0}{unit}", usage.completion_tokens as f64 / seconds),
            None => format!("~{:.0}{unit}", turn.answer.chars().count() as f64 / CHARS_PER_TOKEN / seconds),
        });
    }
    parts
}

pub fn milliseconds(time: Duration, units: bool) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match (units, ms < 10.0) {
        (true, true) => format!("{ms:.1} ms"),
        (true, false) => format!("{ms:.0} ms"),
        (false, _) => format!("{ms:.0}"),
    }
}
