//! The table of candidates.

use std::cmp::Ordering;

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::super::{ViewCache, cache::Extent, inline::paragraph, pane, passages::decimals, theme::Theme, touch::Zone};
use crate::{
    app::{SortBy, State},
    domain::{Candidate, Fusion, Metric, Mode, Turn, TurnState},
    text::{fit, one_line, width},
};

/// Columns of one retriever: score, rank and movement, or where room is short without the last.
const LEG: usize = 15;
const SHORT_LEG: usize = 10;
/// Below this width the movements and the fused score give way.
const NARROW: usize = 60;
/// Columns of the rank of before.
const WAS: usize = 9;

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
    let inner = pane::inner(area);
    let columns = usize::from(inner.width);
    let rows = state.evidence.rows(turn);
    if rows.is_empty() {
        cache.measured.candidates = Extent::default();
        pane::draw(frame, area, &theme, &format!("Evidence · turn {}", index + 1), focused, Extent::default());
        let text = match &turn.state {
            TurnState::Waiting => "… waiting".to_owned(),
            TurnState::Retrieving => "… searching".to_owned(),
            TurnState::Stopped => "stopped before anything was found".to_owned(),
            TurnState::Failed(why) => format!("✗ {why}"),
            TurnState::Thinking | TurnState::Streaming | TurnState::Done(_) => "no passage was found".to_owned(),
        };
        pane::rows(frame, inner, 1, paragraph(&text, columns.saturating_sub(2).max(2), theme.dim).iter());
        return;
    }
    let settings = state.evidence.settings(turn);
    let k = settings.k;
    let rerun = state.evidence.rerun_of(turn);
    let again = rerun.is_some_and(|rerun| rerun.found.is_some());
    let selected = state.evidence.index(&rows);
    // The cut is a line of its own, where the order is the one that it cuts.
    let cut = (state.evidence.sort == SortBy::Rank && k < rows.len()).then_some(k);
    let behind = |at: usize| at + usize::from(cut.is_some_and(|cut| at >= cut));
    let height = usize::from(inner.height).saturating_sub(1);
    let extent = cache.measured.candidates.keeping(behind(rows.len()), height, behind(selected));
    cache.measured.candidates = Extent { rows: rows.len(), ..extent };
    let what = if rerun.is_some() { "Searched again" } else { "Evidence" };
    let mut title = format!("{what} · turn {} · {} candidates · {} · k={k}", index + 1, rows.len(), settings.mode);
    if settings.mode == Mode::Hybrid {
        title.push_str(&match settings.fusion {
            Fusion::MinMax { dense_weight } => format!(" · weight {dense_weight:.1}"),
            Fusion::Rrf { k } => format!(" · rrf {k:.0}"),
        });
    }
    pane::draw(frame, area, &theme, &title, focused, extent);

    let (leg, fused) = if columns < NARROW { (SHORT_LEG, 0) } else { (LEG, 7) };
    let room = columns.saturating_sub(9 + 2 * leg + fused + if again { WAS } else { 0 });
    // A title that can't be read gives its room to the place.
    let title = if room < 60 { 0 } else { (room / 2).max(room.saturating_sub(60)) };
    let layout = Columns { place: room.max(6) - title.min(room), title: title.saturating_sub(2), leg, again };
    let mut lines = vec![layout.header(state.evidence.sort, rows[0].scores.metric, &theme)];
    for (at, candidate) in rows.iter().enumerate() {
        if cut == Some(at) {
            let text = format!("── top {k} ");
            let rule = "─".repeat(columns.saturating_sub(width(&text)));
            lines.push(Line::styled(format!("{text}{rule}"), theme.dim));
        }
        let row = behind(at);
        if row >= extent.top && row < extent.top + extent.height {
            let was = turn.candidates.iter().find(|old| old.id == candidate.id).map(|old| old.rank);
            lines.push(layout.row(candidate, was, at == selected, candidate.rank as usize <= k, &theme));
        } else {
            lines.push(Line::default());
        }
    }
    let shown = lines.drain(1..).skip(extent.top).collect::<Vec<_>>();
    let entries = (0..rows.len()).flat_map(|at| (cut == Some(at)).then_some(None).into_iter().chain([Some(at)]));
    let entries = [None].into_iter().chain(entries.skip(extent.top)).collect();
    cache.measured.list(Zone::Candidates, area, inner, entries);
    pane::rows(frame, inner, 0, lines.iter().chain(&shown));
}

struct Columns {
    place: usize,
    title: usize,
    leg: usize,
    /// What is shown was searched again: the ranks of before stand beside the new ones.
    again: bool,
}

impl Columns {
    fn header(&self, sort: SortBy, metric: Metric, theme: &Theme) -> Line<'static> {
        let mark = |by: SortBy, name: &str| format!("{name}{}", if by == sort { "▾" } else { "" });
        let was = if self.again { format!("{:<WAS$}", "was") } else { String::new() };
        let mut text =
            format!("{:<7}{was}{}", mark(SortBy::Rank, " rank"), padded(&mark(SortBy::Place, "place"), self.place));
        if self.title > 0 {
            text = format!("{text}  {}", padded("title", self.title));
        }
        let dense = mark(SortBy::Dense, metric.name());
        let keyword = mark(SortBy::Keyword, "bm25");
        let leg = self.leg;
        let fused = if leg == LEG { mark(SortBy::Fused, "fused") } else { String::new() };
        let text = format!("{text}  {dense:<leg$}{keyword:<leg$}{fused}");
        Line::styled(text, theme.strong)
    }

    fn row(&self, candidate: &Candidate, was: Option<u32>, selected: bool, used: bool, theme: &Theme) -> Line<'static> {
        let scores = &candidate.scores;
        let mark = if selected { "▸" } else { " " };
        let dot = if used { "•" } else { " " };
        let place = super::named(&candidate.place, &candidate.id.to_string());
        let style = if selected { theme.focus } else { Style::new() };
        let mut spans = vec![
            Span::styled(format!("{mark}{dot}{:<5}", candidate.rank), style),
            Span::raw(if self.again { before(was, candidate.rank) } else { String::new() }),
            Span::styled(padded(&place, self.place), style),
        ];
        if self.title > 0 {
            spans.push(Span::styled(format!("  {}", padded(&one_line(&candidate.title), self.title)), theme.dim));
        }
        let keyword = scores.keyword.map(|score| format!("{score:.1}"));
        let mut legs = format!("  {}", self.leg(scores.dense.map(decimals), scores.dense_rank, candidate.rank));
        legs.push_str(&self.leg(keyword, scores.keyword_rank, candidate.rank));
        if self.leg == LEG {
            legs.push_str(&scores.fused.map_or_else(|| "–".to_owned(), |fused| format!("{fused:.3}")));
        }
        spans.push(Span::raw(legs));
        Line::from(spans)
    }

    /// `.649 #1 ▲2`: what a retriever said, and how far the final rank is from its own.
    fn leg(&self, score: Option<String>, rank: Option<u32>, last: u32) -> String {
        let (Some(score), Some(rank)) = (score, rank) else { return padded("–", self.leg) };
        let moved = if self.leg < LEG { String::new() } else { format!(" {}", moved(rank, last)) };
        padded(&format!("{score:<5} #{rank:<3}{moved}"), self.leg)
    }
}

/// `4 ▲3`: the rank of before, and how far it is from the new one.
fn before(was: Option<u32>, now: u32) -> String {
    padded(&was.map_or_else(|| "–".to_owned(), |was| format!("{was:<3} {}", moved(was, now))), WAS)
}

fn moved(from: u32, to: u32) -> String {
    match from.cmp(&to) {
        Ordering::Greater => format!("▲{}", from - to),
        Ordering::Less => format!("▼{}", to - from),
        Ordering::Equal => "=".to_owned(),
    }
}

fn padded(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    let pad = " ".repeat(columns.saturating_sub(width(&text)));
    text + &pad
}
