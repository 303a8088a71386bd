//! What is being got and indexed and how fast, what was, and what was left out and why.

mod entry;
mod lists;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
};

use super::{ViewCache, cache::Extent, inline::Inline, keys::Keys, pane, status, theme::Theme, touch::Zone};
use crate::{
    app::{IngestJob, IngestPane, Model, State, Store},
    domain::{Counter, IngestReport, Pace, ProgressSnapshot, Stage},
    text::{self, fit, one_line},
};

/// In fewer rows there is one pane, and of running work only what moves is shown.
const ROOMY_ROWS: u16 = 18;
/// Columns of what stands before a value.
const LABEL: usize = 11;
/// A shorter bar tells nothing.
const LEAST_BAR: usize = 5;

pub fn draw(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let theme = cache.theme;
    let columns = usize::from(area.width.saturating_sub(4)).max(2);
    let roomy = area.height >= ROOMY_ROWS;
    let rows = overview(state, cache.keys(state), &theme, columns, roomy);
    let wanted = u16::try_from(rows.len() + 2).unwrap_or(u16::MAX);
    let focused = state.ingest_view.pane == IngestPane::Overview;
    // Where there is room for one pane, it is the one that has the keys.
    let (top, bottom) = if roomy {
        let height = wanted.min(area.height.saturating_sub(5)).max(3);
        let [top, bottom] = Layout::vertical([Constraint::Length(height), Constraint::Fill(1)]).areas(area);
        (Some(top), Some(bottom))
    } else {
        (Some(area).filter(|_| focused), Some(area).filter(|_| !focused))
    };
    if let Some(area) = top {
        let inner = pane::inner(area);
        let scroll = if focused { state.ingest_view.scroll } else { 0 };
        let extent = Extent::new(rows.len(), usize::from(inner.height), scroll);
        if focused {
            cache.measured.ingest_text = extent;
        }
        cache.measured.put(Zone::Ingest(IngestPane::Overview), area, inner);
        let title = match roomy {
            true => lists::title(state, IngestPane::Overview),
            false => lists::title_of_one(state, cache.keys(state), IngestPane::Overview),
        };
        pane::draw(frame, area, &theme, &title, focused, extent);
        pane::rows(frame, inner, 1, rows.iter().skip(extent.top));
    }
    if let Some(area) = bottom {
        lists::draw(state, cache, frame, area);
    }
    if state.ingest_view.open {
        entry::draw(state, cache, frame, area);
    }
}

pub(super) fn labelled(label: &str, text: &str, columns: usize, theme: &Theme, style: Style) -> Vec<Line<'static>> {
    let mut inline = Inline::default();
    inline.push(text, style);
    let rows = inline.rows(columns.saturating_sub(LABEL).max(2)).into_iter().enumerate();
    let label = |y| Span::styled(format!("{:<LABEL$}", if y == 0 { label } else { "" }), theme.dim);
    rows.map(|(y, spans)| Line::from_iter([label(y)].into_iter().chain(spans))).collect()
}

fn gauge(part: f64, text: &str, columns: usize, theme: &Theme) -> Line<'static> {
    if theme.still {
        return Line::raw(format!("{}{text}", " ".repeat(LABEL)));
    }
    let bar_columns = columns.saturating_sub(LABEL + crate::text::width(text) + 2).min(40);
    if bar_columns < LEAST_BAR {
        return Line::raw(format!("{:LABEL$}{}", "", fit(text, columns.saturating_sub(LABEL))));
    }
    let bar = status::bar(part, bar_columns);
    let rest = "·".repeat(bar_columns.saturating_sub(bar.chars().count()));
    Line::from(vec![
        Span::raw(" ".repeat(LABEL)),
        Span::styled(bar, theme.bar),
        Span::styled(rest, theme.dim),
        Span::raw(format!("  {text}")),
    ])
}

/// All that stands above the lists. Where there is no room for everything, what moves comes first.
fn overview(state: &State, keys: Keys<'_>, theme: &Theme, columns: usize, roomy: bool) -> Vec<Line<'static>> {
    let still = matches!(state.model, Model::Ready { .. }) && matches!(state.store, Store::Open { .. });
    let mut rows = Vec::new();
    if roomy || !still {
        rows.extend(model_rows(state, keys, theme, columns));
        if roomy {
            rows.push(Line::default());
        }
    }
    if roomy || !matches!(state.store, Store::Open { .. }) {
        rows.extend(collection_rows(state, theme, columns));
        if roomy {
            rows.push(Line::default());
        }
    }
    match &state.ingest {
        Some(job) => {
            rows.extend(of_another(state, &job.collection, columns, theme));
            rows.extend(job_rows(state, job, keys, columns, theme, roomy));
        }
        None => rows.extend(last_run_rows(state, keys, columns, theme)),
    }
    rows
}

fn model_rows(state: &State, keys: Keys<'_>, theme: &Theme, columns: usize) -> Vec<Line<'static>> {
    let plain = Style::new();
    match &state.model {
        Model::Ready { name, dim } => {
            labelled("model", &format!("{} · {dim} dimensions · ready", one_line(name)), columns, theme, plain)
        }
        Model::Failed(message) => {
            let text = format!("! none, so keyword search only: {message}\n{} tries again.", keys.of("reindex"));
            labelled("model", &text, columns, theme, theme.warning)
        }
        Model::Loading { snapshot, pace } if snapshot.stage == Stage::Downloading => {
            let mut rows = download_rows("model", snapshot, pace, columns, theme);
            let way_out = keys.tell("‹stop› twice stops it; questions are answered by keyword search meanwhile.");
            rows.extend(labelled("", &way_out, columns, theme, theme.dim));
            rows
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
    pace: &Pace,
    columns: usize,
    theme: &Theme,
) -> Vec<Line<'static>> {
    let name = one_line(&snapshot.current);
    let mut rows = labelled(label, &format!("↓ downloading {name}"), columns, theme, Style::new());
    rows.push(gauge(snapshot.part(), &status::download(snapshot, pace), columns, theme));
    rows
}

fn collection_rows(state: &State, theme: &Theme, columns: usize) -> Vec<Line<'static>> {
    let plain = Style::new();
    match &state.store {
        Store::Opening => labelled("collection", "… opening the store", columns, theme, plain),
        Store::Failed(message) => labelled("collection", &format!("✗ {message}"), columns, theme, theme.bad),
        Store::Open { description, name, collection, .. } => {
            let counts = collection.as_ref().map_or_else(
                || "not there yet".to_owned(),
                |c| format!("{}, {}", text::counted(c.documents, "document"), text::counted(c.passages, "passage")),
            );
            let text = format!("{} · {counts} · {}", one_line(name), one_line(description));
            labelled("collection", &text, columns, theme, plain)
        }
    }
}

/// Names the collection that is or was indexed, where it is not the one in use.
fn of_another(state: &State, name: &str, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    if state.collection_name() == Some(name) {
        return Vec::new();
    }
    labelled("indexed", &one_line(name), columns, theme, theme.strong)
}

fn job_rows(
    state: &State,
    job: &IngestJob,
    keys: Keys<'_>,
    columns: usize,
    theme: &Theme,
    roomy: bool,
) -> Vec<Line<'static>> {
    let IngestJob { snapshot, pace, .. } = job;
    if snapshot.stage == Stage::Downloading && !job.stopping && !job.paused {
        return download_rows("now", snapshot, pace, columns, theme);
    }
    let waits = snapshot.stage == Stage::Starting && matches!(state.model, Model::Loading { .. });
    let stage = match (job.stopping, job.paused) {
        (true, _) => "stopping: finishing what is in hand",
        (false, true) => "paused",
        (false, false) if waits => "waiting for the model",
        (false, false) => snapshot.stage.name(),
    };
    let text = format!("{stage} · {}", status::duration(job.elapsed));
    let style = if job.paused || job.stopping { theme.warning } else { theme.strong };
    let mut rows = labelled("now", &text, columns, theme, style);
    if snapshot.stage == Stage::Indexing {
        let left = pace.left().filter(|_| !job.stopping).map(|left| format!(" · {} left", status::duration(left)));
        let text = format!("{:.0} %{}", snapshot.part() * 100.0, left.unwrap_or_default());
        rows.push(gauge(snapshot.part(), &text, columns, theme));
    }
    if job.paused && !job.stopping {
        let text = keys.tell("What is embedded is kept and answers. ‹pause› goes on, ‹stop› twice stops.");
        rows.extend(labelled("", &text, columns, theme, theme.dim));
    }
    if snapshot.stage == Stage::Starting {
        return rows;
    }
    if roomy {
        rows.extend(stage_rows(job, columns, theme));
    } else {
        let [found, read, cut, embedded, stored] = [
            snapshot.documents_total,
            snapshot.documents_looked_at(),
            snapshot.chunks_total,
            snapshot.chunks_done,
            snapshot.chunks_stored,
        ]
        .map(text::count);
        let rate = rate(job, Counter::Embedded);
        let text = format!("{found} found, {read} read, {cut} cut, {embedded} embedded{rate}, {stored} stored");
        rows.extend(labelled("", &text, columns, theme, Style::new()));
    }
    if !snapshot.current.is_empty() {
        let current = fit(&one_line(&snapshot.current), columns.saturating_sub(LABEL));
        rows.extend(labelled("in hand", &current, columns, theme, Style::new()));
    }
    rows
}

/// ` · 25.1/s`, or nothing while it does not move.
fn rate(job: &IngestJob, counter: Counter) -> String {
    let per_s = job.pace.per_s(counter);
    if job.paused || per_s < 0.05 { String::new() } else { format!(" · {per_s:.1}/s") }
}

/// One row for each stage that a document goes through, and how the work has gone of late.
fn stage_rows(job: &IngestJob, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    let IngestJob { snapshot, pace, .. } = job;
    let looked_at = snapshot.documents_looked_at();
    let mut of_read = String::new();
    if snapshot.documents_unchanged > 0 {
        of_read = format!(" · {} unchanged", text::count(snapshot.documents_unchanged));
    }
    let skipped = snapshot.skipped.len() as u64;
    if skipped > 0 {
        of_read = format!("{of_read} · {} skipped", text::count(skipped));
    }
    let stages = [
        ("found", snapshot.documents_total, "documents", String::new(), String::new()),
        ("read", looked_at, "documents", rate(job, Counter::Read), of_read),
        ("chunked", snapshot.chunks_total, "chunks", rate(job, Counter::Cut), String::new()),
        ("embedded", snapshot.chunks_done, "chunks", rate(job, Counter::Embedded), String::new()),
        ("stored", snapshot.chunks_stored, "chunks", rate(job, Counter::Stored), String::new()),
    ];
    let digits = stages.iter().map(|stage| text::count(stage.1).len()).max().unwrap_or(0);
    let mut rows = Vec::new();
    for (name, count, of, rate, more) in stages {
        let text = format!("{:>digits$} {of}{rate}{more}", text::count(count));
        rows.extend(labelled(name, &fit(&text, columns.saturating_sub(LABEL)), columns, theme, Style::new()));
    }
    let recent = pace.recent();
    if recent.len() > 1 {
        let seconds = recent.len();
        let caption = format!("  chunks/s, the last {seconds} s");
        let line = status::sparkline(recent, columns.saturating_sub(LABEL + caption.len()));
        rows.push(Line::from(vec![
            Span::styled(format!("{:<LABEL$}", "pace"), theme.dim),
            Span::styled(line, theme.bar),
            Span::styled(caption, theme.dim),
        ]));
    }
    rows
}

fn last_run_rows(state: &State, keys: Keys<'_>, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    let Some(ended) = &state.last_ingest else {
        let text = keys.tell("none since the start; ‹reindex› indexes what changed");
        return labelled("last run", &text, columns, theme, theme.dim);
    };
    let mut rows = of_another(state, &ended.collection, columns, theme);
    match &ended.result {
        Ok(report) => rows.extend(report_rows(report, ended.anew, keys, columns, theme)),
        Err(message) => {
            let text = format!("✗ failed: {message}\n{} tries again.", keys.of("reindex"));
            rows.extend(labelled("last run", &text, columns, theme, theme.bad));
        }
    }
    rows
}

fn report_rows(report: &IngestReport, anew: bool, keys: Keys<'_>, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    let end = if report.interrupted { "■ stopped after" } else { "done in" };
    let mut text = format!("{end} {:.1} s", report.seconds);
    if report.passages_per_s > 0.0 {
        text = format!("{text} · {:.1} chunks/s", report.passages_per_s);
    }
    let mut rows = labelled("last run", &text, columns, theme, theme.strong);
    let documents = format!(
        "{} in the index · {} unchanged · {} removed · {} skipped · {} of another kind passed over",
        report.held_documents,
        report.unchanged,
        report.removed,
        report.skipped.len(),
        report.ignored
    );
    rows.extend(labelled("documents", &documents, columns, theme, Style::new()));
    rows.extend(labelled("chunks", &text::count(report.held_passages), columns, theme, Style::new()));
    if report.interrupted {
        let text = match anew {
            false => "What was done is kept; ‹reindex› goes on from there.",
            true => "What was done anew is kept, and so is the rest as it was; all anew begins from the start.",
        };
        rows.extend(labelled("", &keys.tell(text), columns, theme, theme.dim));
    }
    rows
}
