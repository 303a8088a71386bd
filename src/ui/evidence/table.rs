//! The table of candidates.

use std::cmp::Ordering;

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::{
    super::{
        ViewCache,
        cache::Extent,
        inline::paragraph,
        keys::Keys,
        pane,
        passages::{bm25, decimals},
        theme::Theme,
        touch::Zone,
    },
    beside, legend, named,
};
use crate::{
    app::{CandidateRow, Comparison, SortBy, State, searchable},
    domain::{Fusion, Metric, Mode, Turn, TurnState},
    text::{self, fit, one_line, width},
};

/// Columns of one retriever: score, rank and movement, or where room is short without the last, or the rank alone.
const LEG: usize = 15;
const SHORT_LEG: usize = 10;
const RANK_LEG: usize = 5;
/// Below this width the movements and the fused score give way.
const NARROW: usize = 60;
/// Below these widths the movements give way where the fused score has a rank and another column stands behind it: those of
/// the fused score below the second; all of them below the first, or where the rank of before has a column too.
const MIDDLE: usize = 76;
const WIDE: usize = 100;
/// Columns of a score by itself.
const SCORE: usize = 7;
/// Columns of the rank of before.
const WAS: usize = 9;

/// A line of the table: a candidate by its place, or a rule with a word on it.
enum Entry {
    Row(usize),
    Rule(String),
}

pub fn draw(
    state: &State,
    turn: &Turn,
    index: usize,
    focused: bool,
    cache: &mut ViewCache,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let theme = cache.theme;
    if let Some(chosen) = &state.evidence.choosing {
        return draw_choice(state, chosen, cache, frame, area);
    }
    let inner = pane::inner(area);
    let columns = usize::from(inner.width);
    let rows = state.evidence.rows(turn);
    if rows.is_empty() {
        cache.measured.candidates = Extent::default();
        let what = if state.evidence.rerun_of(turn).is_some() { "Searched again" } else { "Evidence" };
        pane::draw(frame, area, &theme, &format!("{what} · turn {}", index + 1), focused, Extent::default());
        let text = paragraph(&nothing(state, turn, cache.keys(state)), columns.saturating_sub(2).max(2), theme.dim);
        pane::rows(frame, inner, 1, text.iter());
        return;
    }
    let settings = state.evidence.settings(turn);
    let entries = entries(state, turn, &rows, settings.k);
    let selected = state.evidence.index(&rows);
    let place = entries.iter().position(|entry| matches!(entry, Entry::Row(at) if *at == selected)).unwrap_or(0);
    let height = usize::from(inner.height).saturating_sub(1);
    let extent = cache.measured.candidates.keeping(entries.len(), height, place);
    cache.measured.candidates = Extent { rows: rows.len(), ..extent };
    let comparison = state.evidence.comparison(turn);
    let sort = state.evidence.sort;
    let reranked = rows.iter().any(|row| row.candidate.scores.rerank.is_some());
    let was_k = (comparison != Comparison::Itself).then_some(turn.settings.k);
    let layout = Columns::new(columns, was_k, reranked, sort, rows[0].candidate.scores.metric);
    let beside = beside::Columns::new(columns);
    let collections = comparison == Comparison::Collections;
    let header = match collections {
        true => beside.header(turn, &rows, state.evidence.collection(turn), sort),
        false => layout.header(sort),
    };
    let mut title = title(state, turn, index, &rows, columns);
    // A column that is not shown can't be marked.
    if !header.contains(SORTED) {
        let by = if sort == SortBy::Dense { rows[0].candidate.scores.metric.name() } else { sort.name() };
        title = format!("by {by} · {title}");
    }
    pane::draw(frame, area, &theme, &title, focused, extent);
    let mut lines = vec![Line::styled(header, theme.strong)];
    lines.extend(entries.iter().skip(extent.top).take(extent.height).map(|entry| match entry {
        Entry::Rule(text) => {
            let rule = "─".repeat(columns.saturating_sub(width(text) + 3));
            Line::styled(format!("── {text}{rule}"), theme.dim)
        }
        Entry::Row(at) if collections => beside.row(&rows[*at], *at == selected, settings.k, turn.settings.k, &theme),
        Entry::Row(at) => layout.row(&rows[*at], *at == selected, settings.k, &theme),
    }));
    let listed = entries.iter().skip(extent.top).map(|entry| match entry {
        Entry::Rule(_) => None,
        Entry::Row(at) => Some(*at),
    });
    cache.measured.list(Zone::Candidates, area, inner, [None].into_iter().chain(listed).collect());
    pane::rows(frame, inner, 0, lines.iter());
}

/// Why there is no candidate to show.
fn nothing(state: &State, turn: &Turn, keys: Keys<'_>) -> String {
    let back = keys.tell("‹escape› goes back to what the answer was made from.");
    match state.evidence.rerun_of(turn) {
        Some(rerun) if rerun.running.is_some() => return "… searching again".to_owned(),
        Some(rerun) => match &rerun.ended {
            Some(Err(why)) => return format!("✗ {why}\n\n{back}"),
            Some(Ok(_)) => return format!("nothing was found\n\n{back}"),
            None => {}
        },
        None => {}
    }
    match &turn.state {
        TurnState::Waiting => "… waiting".to_owned(),
        TurnState::Retrieving => "… searching".to_owned(),
        TurnState::Stopped => "stopped before anything was found".to_owned(),
        TurnState::Failed(why) => format!("✗ {why}"),
        TurnState::Thinking | TurnState::Streaming | TurnState::Done(_) => "no passage was found".to_owned(),
    }
}

/// The table's lines: the cut is a line of its own where the order is the one that it cuts, and what the search lost
/// stands below another.
fn entries(state: &State, turn: &Turn, rows: &[CandidateRow<'_>], k: usize) -> Vec<Entry> {
    let collections = state.evidence.comparison(turn) == Comparison::Collections;
    let found = rows.iter().filter(|row| !row.gone).count();
    let cut = (state.evidence.sort == SortBy::Rank && k < found).then_some(k);
    let mut entries = Vec::with_capacity(rows.len() + 2);
    for at in 0..rows.len() {
        if cut == Some(at) {
            entries.push(Entry::Rule(format!("top {k} ")));
        }
        if at == found && !collections {
            entries.push(Entry::Rule(format!("gone: {} found before and not now ", rows.len() - found)));
        }
        entries.push(Entry::Row(at));
    }
    entries
}

fn title(state: &State, turn: &Turn, index: usize, rows: &[CandidateRow<'_>], columns: usize) -> String {
    let rerun = state.evidence.rerun_of(turn);
    let settings = state.evidence.settings(turn);
    let mut what = match rerun {
        Some(rerun) if rerun.running.is_some() => "… searching again",
        Some(_) if columns < WIDE => "Again",
        Some(_) => "Searched again",
        None => "Evidence",
    }
    .to_owned();
    let mode = state.evidence.found(turn).filter(|_| rerun.is_some_and(|rerun| rerun.running.is_none()));
    let mode = mode.map_or(settings.mode, |found| found.mode);
    // What was changed comes first: the end is cut off where room is short.
    let (between, weight, rerank) = if columns < NARROW { (" ", "w=", "r=") } else { (" · ", "weight ", "rerank ") };
    what.push_str(&format!(" · {mode}{between}k={}", settings.k));
    if mode == Mode::Hybrid {
        what.push_str(between);
        what.push_str(&match settings.fusion {
            Fusion::MinMax { dense_weight } => format!("{weight}{}", (dense_weight * 1e3).round() / 1e3),
            Fusion::Rrf { k } => format!("rrf {k:.0}"),
        });
    }
    if settings.rerank > 0 {
        what.push_str(&format!("{between}{rerank}{}", settings.rerank));
    }
    let found = rows.iter().filter(|row| !row.gone).count();
    if state.evidence.comparison(turn) == Comparison::Settings {
        let new = rows.iter().filter(|row| !row.gone && row.was.is_none()).count();
        what.push_str(&format!(" · {new} new, {} gone", rows.len() - found));
    }
    what + &format!(" · {found} candidates · turn {}", index + 1)
}

struct Columns {
    place: usize,
    title: usize,
    leg: usize,
    /// Of the fused score, and of the one that ordered the first ones anew; 0 where they are not shown.
    fused: usize,
    rerank: usize,
    metric: Metric,
    /// What is shown was searched again: the ranks of before stand beside the new ones, and this many were used.
    was_k: Option<usize>,
}

impl Columns {
    fn new(columns: usize, was_k: Option<usize>, reranked: bool, sort: SortBy, metric: Metric) -> Self {
        let (leg, fused, rerank) = match reranked {
            // What the table is ordered by is in it.
            _ if columns < NARROW && matches!(sort, SortBy::Fused | SortBy::Rerank) => {
                let leg = if was_k.is_some() { 0 } else { RANK_LEG };
                if sort == SortBy::Fused { (leg, SCORE, 0) } else { (leg, 0, SCORE) }
            }
            _ if columns < NARROW && was_k.is_some() => (RANK_LEG, 0, 0),
            _ if columns < NARROW => (SHORT_LEG, 0, 0),
            false => (LEG, SCORE, 0),
            true if columns < MIDDLE || columns < WIDE && was_k.is_some() => (SHORT_LEG, SHORT_LEG, SCORE),
            true if columns < WIDE => (LEG, SHORT_LEG, SCORE),
            true => (LEG, LEG, SCORE),
        };
        let room = columns.saturating_sub(9 + 2 * leg + fused + rerank + was_k.map_or(0, |_| WAS));
        // A title that can't be read gives its room to the place.
        let title = if room < 60 { 0 } else { (room / 2).max(room.saturating_sub(60)) };
        Self { place: room.max(6) - title.min(room), title: title.saturating_sub(2), leg, fused, rerank, metric, was_k }
    }

    fn header(&self, sort: SortBy) -> String {
        let mark = |by: SortBy, name: &str| marked(by == sort, name);
        let was = if self.was_k.is_some() { format!("{:<WAS$}", "was") } else { String::new() };
        let mut text =
            format!("{:<7}{was}{}", mark(SortBy::Rank, " rank"), padded(&mark(SortBy::Place, "place"), self.place));
        if self.title > 0 {
            text = format!("{text}  {}", padded("title", self.title));
        }
        let dense = padded(&mark(SortBy::Dense, self.metric.name()), self.leg);
        let keyword = padded(&mark(SortBy::Keyword, "bm25"), self.leg);
        let fused = padded(&mark(SortBy::Fused, "fused"), self.fused);
        let rerank = padded(&mark(SortBy::Rerank, "rerank"), self.rerank);
        format!("{text}  {dense}{keyword}{fused}{rerank}")
    }

    fn row(&self, row: &CandidateRow<'_>, selected: bool, k: usize, theme: &Theme) -> Line<'static> {
        let candidate = row.candidate;
        let scores = &candidate.scores;
        let mark = if selected { "▸" } else { " " };
        let dot = if !row.gone && candidate.rank as usize <= k { "•" } else { " " };
        let style = match (selected, row.gone) {
            (true, _) => theme.focus,
            (false, true) => theme.dim,
            (false, false) => Style::new(),
        };
        let (rank, was) = match (row.gone, row.was) {
            (true, _) => ("gone".to_owned(), candidate.rank.to_string()),
            (false, Some(was)) => {
                let dot = if self.was_k.is_some_and(|k| was.rank as usize <= k) { "•" } else { "" };
                let before = format!("{}{dot}", was.rank);
                (candidate.rank.to_string(), format!("{before:<4}{}", moved(was.rank, candidate.rank)))
            }
            (false, None) => (candidate.rank.to_string(), "new".to_owned()),
        };
        let mut spans = vec![
            Span::styled(format!("{mark}{dot}{rank:<5}"), style),
            Span::raw(if self.was_k.is_some() { padded(&was, WAS) } else { String::new() }),
            Span::styled(padded(&named(candidate), self.place), style),
        ];
        if self.title > 0 {
            spans.push(Span::styled(format!("  {}", padded(&one_line(&candidate.title), self.title)), theme.dim));
        }
        let keyword = scores.keyword.map(bm25);
        let last = candidate.rank;
        let mut legs = format!("  {}", leg(self.leg, scores.dense.map(decimals), scores.dense_rank, last));
        legs.push_str(&leg(self.leg, keyword, scores.keyword_rank, last));
        let three = |score: f32| format!("{score:.3}");
        legs.push_str(&match self.fused {
            0 => String::new(),
            SCORE => padded(&scores.fused.map_or_else(|| "–".to_owned(), three), SCORE),
            room => leg(room, scores.fused.map(three), scores.fused_rank, last),
        });
        if self.rerank > 0 {
            legs.push_str(&padded(&scores.rerank.map_or_else(|| "–".to_owned(), decimals), self.rerank));
        }
        spans.push(Span::styled(legs, if row.gone { theme.dim } else { Style::new() }));
        Line::from(spans)
    }
}

/// `.649 #1 ▲2`: what a retriever said, and how far the final rank is from its own.
fn leg(columns: usize, score: Option<String>, rank: Option<u32>, last: u32) -> String {
    let (Some(score), Some(rank)) = (score, rank) else { return padded("–", columns) };
    let text = match columns {
        0 => String::new(),
        RANK_LEG => format!("#{rank}"),
        SHORT_LEG => format!("{score:<5} #{rank}"),
        _ => format!("{score:<5} #{rank:<3} {}", moved(rank, last)),
    };
    padded(&text, columns)
}

/// Stands behind the name of the column that the table is ordered by.
const SORTED: &str = "▾";

/// A column's name, marked where the table is ordered by it.
pub fn marked(sorted: bool, name: &str) -> String {
    format!("{name}{}", if sorted { SORTED } else { "" })
}

fn moved(from: u32, to: u32) -> String {
    match from.cmp(&to) {
        Ordering::Greater => format!("▲{}", from - to),
        Ordering::Less => format!("▼{}", to - from),
        Ordering::Equal => "=".to_owned(),
    }
}

pub fn padded(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    let pad = " ".repeat(columns.saturating_sub(width(&text)));
    text + &pad
}

/// The collections that the question can be searched in.
fn draw_choice(state: &State, chosen: &str, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let theme = cache.theme;
    let inner = pane::inner(area);
    let known = searchable(state.collections.entries.as_deref());
    let selected = known.iter().position(|info| info.name == chosen).unwrap_or(0);
    let extent = cache.measured.candidates.keeping(known.len(), usize::from(inner.height), selected);
    cache.measured.candidates = extent;
    pane::draw(frame, area, &theme, "Search again in which collection?", !state.overlaid(), extent);
    cache.measured.list(Zone::Candidates, area, inner, (extent.top..known.len()).map(Some).collect());
    legend(frame, area, &theme, &cache.keys(state).tell("‹choose› searches · ‹escape› cancels"));
    let columns = usize::from(inner.width);
    let mut lines: Vec<Line<'static>> = Vec::new();
    for (at, info) in known.iter().enumerate().skip(extent.top) {
        let (mark, style) = if at == selected { ("▸", theme.focus) } else { (" ", Style::new()) };
        let model = info.fingerprint.as_ref().map_or("no vectors", |fingerprint| &fingerprint.model);
        let name = format!("{mark} {}  ", padded(&one_line(&info.name), 20.min(columns / 2)));
        let about = format!("{} · {}", text::counted(info.passages, "passage"), one_line(model));
        let about = fit(&about, columns.saturating_sub(1 + width(&name)));
        lines.push(Line::from(vec![Span::styled(name, style), Span::styled(about, theme.dim)]));
    }
    if known.is_empty() {
        let text = match &state.collections.error {
            Some(why) => format!("✗ {why}"),
            None if state.collections.reading.is_some() => "… reading the list".to_owned(),
            None => "there is no collection with passages in it".to_owned(),
        };
        lines = paragraph(&text, columns.saturating_sub(2).max(2), theme.dim);
    }
    pane::rows(frame, inner, 1, lines.iter());
}
