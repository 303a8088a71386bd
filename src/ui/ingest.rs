//! What is being indexed, what was, and what was left out and why.

use std::time::Duration;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
};

use super::{
    ViewCache,
    cache::Extent,
    inline::{Inline, paragraph},
    pane, status,
    theme::Theme,
    touch::Zone,
};
use crate::{
    app::{IngestJob, Model, State, Store},
    domain::{IngestReport, ProgressSnapshot, Skip, Stage},
    text::{fit, one_line},
};

pub fn draw(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let theme = cache.theme;
    let columns = usize::from(area.width.saturating_sub(4)).max(2);
    let mut rows = model_rows(state, &theme, columns);
    rows.push(Line::default());
    rows.extend(index_rows(state, &theme, columns));
    let wanted = u16::try_from(rows.len() + 2).unwrap_or(u16::MAX);
    let skips = skips(state);
    let least = if skips.is_empty() { 3 } else { 5 };
    let height = wanted.min(area.height.saturating_sub(least)).max(3);
    let [top, bottom] = Layout::vertical([Constraint::Length(height), Constraint::Fill(1)]).areas(area);
    let inner = pane::inner(top);
    pane::draw(frame, top, &theme, "Ingest", false, Extent::new(rows.len(), usize::from(inner.height), 0));
    pane::rows(frame, inner, 1, rows.iter());
    draw_skips(state, skips, cache, frame, bottom);
}

pub(super) fn labelled(label: &str, text: &str, columns: usize, theme: &Theme, style: Style) -> Vec<Line<'static>> {
    let mut inline = Inline::default();
    inline.push(text, style);
    let rows = inline.rows(columns.saturating_sub(11).max(2)).into_iter().enumerate();
    let label = |y| Span::styled(format!("{:<11}", if y == 0 { label } else { "" }), theme.dim);
    rows.map(|(y, spans)| Line::from_iter([label(y)].into_iter().chain(spans))).collect()
}

fn gauge(part: f64, text: &str, columns: usize, theme: &Theme) -> Line<'static> {
    let bar_columns = columns.saturating_sub(11 + text.chars().count() + 2).min(40);
    let bar = status::bar(part, bar_columns);
    let rest = "·".repeat(bar_columns.saturating_sub(bar.chars().count()));
    Line::from(vec![
        Span::raw(" ".repeat(11)),
        Span::styled(bar, theme.bar),
        Span::styled(rest, theme.dim),
        Span::raw(format!("  {text}")),
    ])
}

fn model_rows(state: &State, theme: &Theme, columns: usize) -> Vec<Line<'static>> {
    let plain = Style::new();
    match &state.model {
        Model::Ready { name, dim } => {
            labelled("model", &format!("{} · {dim} dimensions · ready", one_line(name)), columns, theme, plain)
        }
        Model::Failed(message) => {
            let text = format!("! none, so keyword search only: {message}\nCtrl-R tries again.");
            labelled("model", &text, columns, theme, theme.warning)
        }
        Model::Loading { snapshot, elapsed } if snapshot.stage == Stage::Downloading => {
            download_rows("model", snapshot, *elapsed, columns, theme)
        }
        Model::Loading { snapshot, .. } => {
            let text = match snapshot.stage {
                Stage::Preparing => snapshot.stage.name(),
                Stage::Starting | Stage::Downloading | Stage::Scanning | Stage::Indexing | Stage::Done => "loading",
            };
            labelled("model", &format!("… {text}"), columns, theme, plain)
        }
    }
}

fn download_rows(
    label: &str,
    snapshot: &ProgressSnapshot,
    elapsed: Duration,
    columns: usize,
    theme: &Theme,
) -> Vec<Line<'static>> {
    let name = one_line(&snapshot.current);
    let mut rows = labelled(label, &format!("↓ downloading {name}"), columns, theme, Style::new());
    let part = snapshot.bytes_done as f64 / snapshot.bytes_total.max(1) as f64;
    rows.push(gauge(part, &status::download(snapshot, elapsed), columns, theme));
    rows
}

fn index_rows(state: &State, theme: &Theme, columns: usize) -> Vec<Line<'static>> {
    let plain = Style::new();
    let mut rows = Vec::new();
    match &state.store {
        Store::Opening => rows.extend(labelled("collection", "… opening the store", columns, theme, plain)),
        Store::Failed(message) => {
            rows.extend(labelled("collection", &format!("✗ {message}"), columns, theme, theme.bad));
        }
        Store::Open { description, name, collection, .. } => {
            let counts = collection.as_ref().map_or_else(
                || "not there yet".to_owned(),
                |c| format!("{} documents, {} passages", c.documents, c.passages),
            );
            let text = format!("{} · {counts} · {}", one_line(name), one_line(description));
            rows.extend(labelled("collection", &text, columns, theme, plain));
        }
    }
    rows.push(Line::default());
    if let Some(job) = &state.ingest {
        rows.extend(of_another(state, &job.collection, columns, theme));
        rows.extend(job_rows(job, columns, theme));
    }
    if let (Some(ended), None) = (&state.last_ingest, &state.ingest) {
        rows.extend(of_another(state, &ended.collection, columns, theme));
    }
    match state.last_ingest.as_ref().map(|ended| &ended.result) {
        Some(_) if state.ingest.is_some() => {}
        Some(Ok(report)) => rows.extend(report_rows(report, columns, theme)),
        Some(Err(message)) => {
            let text = format!("✗ failed: {message}\nCtrl-R tries again.");
            rows.extend(labelled("last run", &text, columns, theme, theme.bad));
        }
        None if state.ingest.is_none() => {
            rows.extend(labelled(
                "last run",
                "none since the start; Ctrl-R indexes what changed",
                columns,
                theme,
                theme.dim,
            ));
        }
        None => {}
    }
    rows
}

/// Names the collection that is or was indexed, where it is not the one in use.
fn of_another(state: &State, name: &str, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    if state.collection_name() == Some(name) {
        return Vec::new();
    }
    labelled("indexed", &one_line(name), columns, theme, theme.strong)
}

fn job_rows(job: &IngestJob, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    let snapshot = &job.snapshot;
    if snapshot.stage == Stage::Downloading && !job.stopping {
        return download_rows("now", snapshot, job.elapsed, columns, theme);
    }
    let stage = if job.stopping { "stopping: finishing what is in hand" } else { snapshot.stage.name() };
    let mut rows =
        labelled("now", &format!("{stage} · {}", status::duration(job.elapsed)), columns, theme, theme.strong);
    let part = snapshot.documents_done as f64 / snapshot.documents_total.max(1) as f64;
    let left = snapshot.time_left(job.elapsed).map(|left| format!(" · {} left", status::duration(left)));
    let text = format!("{:.0} %{}", part * 100.0, left.unwrap_or_default());
    rows.push(gauge(part, &text, columns, theme));
    let documents = format!(
        "{} found · {} done · {} unchanged · {} skipped",
        snapshot.documents_total,
        snapshot.documents_done,
        snapshot.documents_unchanged,
        snapshot.skipped.len()
    );
    rows.extend(labelled("documents", &documents, columns, theme, Style::new()));
    let seconds = job.elapsed.as_secs_f64();
    let pace = if seconds > 0.0 && snapshot.chunks_done > 0 {
        format!(" · {:.1} chunks/s", snapshot.chunks_done as f64 / seconds)
    } else {
        String::new()
    };
    let chunks = format!("{} cut · {} done{pace}", snapshot.chunks_total, snapshot.chunks_done);
    rows.extend(labelled("chunks", &chunks, columns, theme, Style::new()));
    if !snapshot.current.is_empty() {
        let current = fit(&one_line(&snapshot.current), columns.saturating_sub(11));
        rows.extend(labelled("in hand", &current, columns, theme, Style::new()));
    }
    rows
}

fn report_rows(report: &IngestReport, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    let end = if report.interrupted { "■ stopped after" } else { "done in" };
    let mut text = format!("{end} {:.1} s", report.seconds);
    if report.passages_per_s > 0.0 {
        text = format!("{text} · {:.1} chunks/s", report.passages_per_s);
    }
    let mut rows = labelled("last run", &text, columns, theme, theme.strong);
    let documents = format!(
        "{} in the index · {} unchanged · {} removed · {} skipped · {} of another kind passed over",
        report.documents,
        report.unchanged,
        report.removed,
        report.skipped.len(),
        report.ignored
    );
    rows.extend(labelled("documents", &documents, columns, theme, Style::new()));
    rows.extend(labelled("chunks", &report.passages.to_string(), columns, theme, Style::new()));
    if report.interrupted {
        rows.extend(labelled("", "What was done is kept; Ctrl-R goes on from there.", columns, theme, theme.dim));
    }
    rows
}

/// What the running ingest has left out so far, or else the last one.
fn skips(state: &State) -> &[Skip] {
    match (&state.ingest, state.last_ingest.as_ref().map(|ended| &ended.result)) {
        (Some(job), _) => &job.snapshot.skipped,
        (None, Some(Ok(report))) => &report.skipped,
        (None, Some(Err(_)) | None) => &[],
    }
}

fn draw_skips(state: &State, skips: &[Skip], cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let theme = cache.theme;
    let inner = pane::inner(area);
    let columns = usize::from(inner.width.saturating_sub(2)).max(2);
    let extent = Extent::new(skips.len(), usize::from(inner.height), state.skips_scroll);
    cache.measured.skips = extent;
    cache.measured.put(Zone::Skips, area, inner);
    pane::draw(frame, area, &theme, &format!("Skipped · {}", skips.len()), true, extent);
    if skips.is_empty() {
        pane::rows(frame, inner, 1, paragraph("nothing was skipped", columns, theme.dim).iter());
        return;
    }
    // One row each, so that only those in view are looked at.
    let row = |skip: &Skip| {
        let document = fit(&one_line(&skip.document), columns / 2);
        let reason = one_line(&skip.reason);
        let room = columns.saturating_sub(crate::text::width(&document) + 2);
        Line::from(vec![Span::raw(document), Span::styled(format!("  {}", fit(&reason, room)), theme.dim)])
    };
    let rows: Vec<_> = skips.iter().skip(extent.top).take(extent.height).map(row).collect();
    pane::rows(frame, inner, 1, rows.iter());
}
