//! What a turn looks like in numbers: the distances' distribution and a waterfall of the timings.

use std::time::Duration;

use ratatui::text::{Line, Span};

use super::super::{
    passages::{CHARS_PER_TOKEN, SHORTEST_MEASURED, decimals, milliseconds},
    status,
    theme::Theme,
};
use crate::{
    app::State,
    domain::{Candidate, Metric, StageTimings, Turn},
};

const NAMES: usize = 12;
const TIMES: usize = 9;

/// Of the turn or, where its question was searched again, of that search.
pub fn rows(state: &State, turn: &Turn, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    let found = state.evidence.found(turn);
    let candidates = found.map_or(&turn.candidates, |found| &found.candidates);
    let mut rows = distances(candidates, state.evidence.settings(turn).k, columns, theme);
    rows.extend(search(found.map_or(&turn.timings, |found| &found.timings), columns, theme));
    if found.is_none() {
        rows.extend(answer(turn, columns, theme));
    }
    for notice in found.map_or(&turn.notices, |found| &found.notices) {
        rows.extend(super::paragraph(&format!("! {notice}"), columns, theme.warning));
    }
    rows
}

/// How many candidates lie at which distance, nearest at the left; a mark under those of the top k. In hybrid mode the
/// cut is no single distance, so each of them is marked.
fn distances(candidates: &[Candidate], k: usize, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    const HEIGHTS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    let found = || candidates.iter().filter_map(|candidate| Some((candidate.scores.dense?, candidate.rank as usize)));
    let Some(metric) = candidates.first().map(|candidate| candidate.scores.metric) else { return Vec::new() };
    let least = found().map(|(score, _)| score).fold(f32::INFINITY, f32::min);
    let most = found().map(|(score, _)| score).fold(f32::NEG_INFINITY, f32::max);
    if least > most {
        return Vec::new();
    }
    let (nearest, farthest) = if metric == Metric::L2 { (least, most) } else { (most, least) };
    let bins = columns.clamp(1, 64);
    let mut counts = vec![0_usize; bins];
    let mut used = vec![false; bins];
    for (score, rank) in found() {
        let part = if most > least { (score - nearest) / (farthest - nearest) } else { 0.0 };
        let bin = ((part * bins as f32) as usize).min(bins - 1);
        counts[bin] += 1;
        used[bin] |= rank <= k;
    }
    let tallest = counts.iter().copied().max().unwrap_or(1).max(1);
    let bars: String = counts.iter().map(|count| HEIGHTS[(count * 8).div_ceil(tallest).min(8)]).collect();
    let marks: String = used.iter().map(|used| if *used { "^" } else { "·" }).collect();
    let ends = format!("{} nearest", decimals(nearest));
    let far = format!("farthest {}", decimals(farthest));
    let gap = " ".repeat(bins.saturating_sub(ends.len() + far.len()).max(1));
    vec![
        Line::styled(format!("{} of {} candidates · ^ top {k}", metric.name(), found().count()), theme.heading),
        Line::styled(bars, theme.bar),
        Line::raw(marks),
        Line::styled(format!("{ends}{gap}{far}"), theme.dim),
        Line::default(),
    ]
}

fn end(start: Duration, time: Option<Duration>) -> Duration {
    start + time.unwrap_or_default()
}

/// The stages of a search, each from where it began.
fn search(times: &StageTimings, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    let zero = Duration::ZERO;
    let embedded = end(zero, times.embed);
    let searched = end(embedded, times.dense).max(end(zero, times.keyword));
    let fused = end(searched, times.fuse);
    let fetch = times.retrieval.and_then(|all| all.checked_sub(end(fused, times.rerank)));
    let fetched = end(fused, fetch);
    let search = [
        ("embed", zero, times.embed),
        ("dense", embedded, times.dense),
        ("keyword", zero, times.keyword),
        ("fuse", searched, times.fuse),
        ("fetch", fused, fetch),
        ("rerank", fetched, times.rerank),
    ];
    stages("search", &search, columns, theme)
}

/// The stages of an answer, as far as it has come, on a scale of their own.
fn answer(turn: &Turn, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    let (times, zero) = (&turn.timings, Duration::ZERO);
    let prompted = end(zero, times.prompt);
    let first = end(prompted, times.first_token);
    let answer = if turn.model.is_some() { "first token" } else { "quotes" };
    let asked =
        [("prompt", zero, times.prompt), (answer, prompted, times.first_token), ("rest", first, times.generation)];
    let mut rows = stages("answer", &asked, columns, theme);
    let Some(time) = times.generation.filter(|time| turn.model.is_some() && !time.is_zero()) else { return rows };
    let (about, tokens) = match turn.usage {
        Some(usage) => ("", usage.completion_tokens as f64),
        None => ("about ", turn.answer.chars().count() as f64 / CHARS_PER_TOKEN),
    };
    let mut told = format!("{about}{tokens:.0} tokens");
    if time >= SHORTEST_MEASURED {
        told += &format!(" · {about}{:.0} tokens/s", tokens / time.as_secs_f64());
    }
    rows.push(Line::raw(told));
    rows
}

fn stages(
    title: &'static str,
    stages: &[(&'static str, Duration, Option<Duration>)],
    columns: usize,
    theme: &Theme,
) -> Vec<Line<'static>> {
    let ran = || stages.iter().filter_map(|(name, start, time)| Some((*name, *start, (*time)?)));
    let Some(whole) = ran().map(|(_, start, time)| start + time).max().filter(|whole| !whole.is_zero()) else {
        return Vec::new();
    };
    let room = columns.saturating_sub(NAMES + TIMES + 2).min(60);
    let mut rows = vec![Line::styled(format!("{title} · {}", milliseconds(whole, true)), theme.heading)];
    for (name, start, time) in ran() {
        let part = |time: Duration| time.as_secs_f64() / whole.as_secs_f64();
        let offset = ((part(start) * room as f64) as usize).min(room.saturating_sub(1));
        // What ran at all is seen, however short it was.
        let bar = status::bar(part(time).max(0.125 / room.max(1) as f64), room);
        rows.push(Line::from(vec![
            Span::raw(format!("{name:<NAMES$}{:>TIMES$}  ", milliseconds(time, true))),
            Span::styled(format!("{}{bar}", " ".repeat(offset)), theme.bar),
        ]));
    }
    rows
}
