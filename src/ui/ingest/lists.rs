//! What was skipped, and the runs of earlier times: side by side where there is room, else the one that has the keys.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
};

use super::super::{
    ViewCache, cache::Extent, inline::paragraph, keys::Keys, layout::WIDE, pane, status, theme::Theme, touch::Zone,
};
use crate::{
    app::{IngestPane, State},
    domain::{IngestRun, RunOutcome, Skip},
    text::{self, fit, one_line, width},
};

pub fn draw(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    if area.width >= WIDE {
        let areas: [Rect; 2] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
        for (list, area) in [IngestPane::Skips, IngestPane::Runs].into_iter().zip(areas) {
            draw_list(state, list, &title(state, list), cache, frame, area);
        }
        return;
    }
    let list = match state.ingest_view.pane {
        IngestPane::Overview | IngestPane::Skips => IngestPane::Skips,
        IngestPane::Runs => IngestPane::Runs,
    };
    draw_list(state, list, &title_of_one(state, cache.keys(state), list), cache, frame, area);
}

pub fn title(state: &State, pane: IngestPane) -> String {
    match pane {
        IngestPane::Overview => "Ingest".to_owned(),
        IngestPane::Skips => match (state.skips().len() as u64, state.skipped()) {
            (listed, all) if listed < all => format!("Skipped · {listed} of {}", text::count(all)),
            (listed, _) => format!("Skipped · {listed}"),
        },
        IngestPane::Runs => format!("Past runs · {}", state.ingest_view.runs.len()),
    }
}

/// The same where the others can't be seen: which one comes next, and by which key.
pub fn title_of_one(state: &State, keys: Keys<'_>, pane: IngestPane) -> String {
    let focused = pane == state.ingest_view.pane;
    let next = state.ingest_view.pane.step(1);
    let key = keys.of("next-part");
    if focused || next != pane {
        format!("{} │ {key}: {}", title(state, pane), title(state, next))
    } else {
        format!("{} │ {key}", title(state, pane))
    }
}

pub fn draw_list(
    state: &State,
    list: IngestPane,
    title: &str,
    cache: &mut ViewCache,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let theme = cache.theme;
    let inner = pane::inner(area);
    let columns = usize::from(inner.width.saturating_sub(2)).max(2);
    let view = &state.ingest_view;
    let focused = list == view.pane;
    let (count, at) = state.ingest_list(list);
    let known = if focused { cache.measured.ingest_list } else { Extent::default() };
    let extent = known.keeping(count, usize::from(inner.height), if focused { at } else { 0 });
    if focused {
        cache.measured.ingest_list = extent;
    }
    cache.measured.list(Zone::Ingest(list), area, inner, (extent.top..count).map(Some).collect());
    pane::draw(frame, area, &theme, title, focused, extent);
    if count == 0 {
        let nothing = match list {
            IngestPane::Overview | IngestPane::Skips if state.last_ingest_failed() => {
                "indexing failed; what would have been skipped is not known"
            }
            IngestPane::Overview | IngestPane::Skips => "nothing was skipped",
            IngestPane::Runs => "nothing was indexed yet",
        };
        pane::rows(frame, inner, 1, paragraph(nothing, columns, theme.dim).iter());
        return;
    }
    // One row each, so that only those in view are looked at.
    let in_view = extent.top..count.min(extent.top + extent.height);
    let rows: Vec<Line<'static>> = in_view
        .map(|row| {
            let selected = focused && row == at;
            let mark = if selected { "▸" } else { " " };
            let style = if selected { theme.selected } else { Style::new() };
            let rest = match list {
                IngestPane::Overview => None,
                IngestPane::Skips => state.skips().get(row).map(|skip| skip_row(skip, columns - 1, style, &theme)),
                IngestPane::Runs => view.runs.get(row).map(|run| run_row(run, columns - 1, style, &theme)),
            };
            Line::from_iter([Span::styled(mark, style)].into_iter().chain(rest.unwrap_or_default()))
        })
        .collect();
    pane::rows(frame, inner, 1, rows.iter());
}

fn skip_row(skip: &Skip, columns: usize, style: Style, theme: &Theme) -> Vec<Span<'static>> {
    let document = fit(&one_line(&skip.document), columns / 2);
    let room = columns.saturating_sub(width(&document) + 2);
    let reason = fit(&one_line(&skip.reason), room);
    vec![Span::styled(document, style), Span::styled(format!("  {reason}"), theme.dim)]
}

fn run_row(run: &IngestRun, columns: usize, style: Style, theme: &Theme) -> Vec<Span<'static>> {
    let (how, of_how) = outcome(run, theme);
    let mut facts = vec![how.to_owned(), one_line(&run.collection)];
    if matches!(run.outcome, RunOutcome::Done | RunOutcome::Stopped) {
        facts.push(text::counted(run.documents, "document"));
        facts.push(text::counted(run.passages, "passage"));
    }
    if run.skipped > 0 {
        facts.push(format!("{} skipped", text::count(run.skipped)));
    }
    if run.outcome != RunOutcome::CutOff {
        facts.push(took(run));
    }
    let when = when(run);
    let text = fit(&facts.join(" · "), columns.saturating_sub(width(&when) + 2));
    let (how, rest) = text.split_at(if text.starts_with(how) { how.len() } else { 0 });
    vec![
        Span::styled(format!("{when}  "), theme.dim),
        Span::styled(how.to_owned(), of_how),
        Span::styled(rest.to_owned(), style),
    ]
}

/// Local time to the minute.
pub fn when(run: &IngestRun) -> String {
    let ended = one_line(&run.ended).replacen('T', " ", 1);
    ended.chars().take("2026-01-31 17:05".len()).collect()
}

pub fn outcome(run: &IngestRun, theme: &Theme) -> (&'static str, Style) {
    match run.outcome {
        RunOutcome::Done => ("done", theme.good),
        RunOutcome::Stopped => ("■ stopped", theme.warning),
        RunOutcome::Failed(_) => ("✗ failed", theme.bad),
        RunOutcome::CutOff => ("✗ cut off", theme.warning),
    }
}

/// How long it took, and how fast it went where it embedded anything.
pub fn took(run: &IngestRun) -> String {
    let time = match run.seconds {
        seconds if seconds < 10.0 => format!("{:.1} s", seconds.max(0.0)),
        seconds => status::duration(std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default()),
    };
    if run.passages_per_s > 0.0 { format!("{time} · {:.1}/s", run.passages_per_s) } else { time }
}
