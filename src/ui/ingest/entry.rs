//! An entry of the lists in full, over the view.

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    style::Style,
    text::Line,
    widgets::Clear,
};

use super::{
    super::{ViewCache, cache::Extent, keys::Keys, pane, theme::Theme, touch::Zone},
    labelled, lists,
};
use crate::{
    app::{IngestPane, State},
    domain::{IngestRun, RunOutcome, Skip},
    text,
};

/// Columns where there is room for them.
const COLUMNS: u16 = 84;

pub fn draw(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let theme = cache.theme;
    let width = COLUMNS.min(area.width);
    let columns = usize::from(width.saturating_sub(4)).max(2);
    let pane_of_it = state.ingest_view.pane;
    let (_, at) = state.ingest_list(pane_of_it);
    let entry = match pane_of_it {
        IngestPane::Overview => None,
        IngestPane::Skips => {
            state.skips().get(at).map(|skip| ("Skipped", of_skip(skip, cache.keys(state), columns, &theme)))
        }
        IngestPane::Runs => state.ingest_view.runs.get(at).map(|run| ("Past run", of_run(run, columns, &theme))),
    };
    let Some((title, rows)) = entry else { return };
    let height = u16::try_from(rows.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let area = area.centered(Constraint::Length(width), Constraint::Length(height));
    let inner = pane::inner(area);
    let extent = Extent::new(rows.len(), usize::from(inner.height), state.ingest_view.scroll);
    cache.measured.ingest_text = extent;
    cache.measured.put(Zone::IngestEntry, area, inner);
    frame.render_widget(Clear, area);
    pane::draw(frame, area, &theme, title, true, extent);
    pane::rows(frame, inner, 1, rows.iter().skip(extent.top));
}

fn of_skip(skip: &Skip, keys: Keys<'_>, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    let plain = Style::new();
    let mut rows = labelled("document", &skip.document, columns, theme, theme.strong);
    if !skip.location.is_empty() {
        rows.extend(labelled("place", &skip.location, columns, theme, plain));
    }
    // Reasons that know a way out name it behind a semicolon.
    let reason = skip.reason.as_str();
    let known = reason.split_once("; hint: ").or_else(|| reason.rsplit_once("; "));
    let (reason, advice) = known.unwrap_or((reason, "see to what the reason says"));
    rows.extend(labelled("reason", reason, columns, theme, theme.warning));
    let again = keys.tell("‹reindex› looks at it again and leaves alone what is the same.");
    let advice = format!("{advice}. {again}");
    rows.extend(labelled("what to do", &advice, columns, theme, plain));
    rows
}

fn of_run(run: &IngestRun, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    let plain = Style::new();
    let (how, style) = lists::outcome(run, theme);
    let when = run.ended.replacen('T', " ", 1);
    let mut rows =
        labelled(if run.outcome == RunOutcome::CutOff { "began" } else { "ended" }, &when, columns, theme, plain);
    rows.extend(labelled("collection", &run.collection, columns, theme, theme.strong));
    rows.extend(labelled("outcome", how, columns, theme, style));
    match &run.outcome {
        RunOutcome::CutOff => {
            let text = "askdocs was ended before it was done; what was stored by then is kept, and indexing the collection again goes on from there";
            rows.extend(labelled("reason", text, columns, theme, theme.warning));
            return rows;
        }
        RunOutcome::Failed(reason) => rows.extend(labelled("reason", reason, columns, theme, theme.warning)),
        RunOutcome::Done | RunOutcome::Stopped => {
            let [documents, passages] =
                [(run.documents, "document"), (run.passages, "passage")].map(|(n, what)| text::counted(n, what));
            rows.extend(labelled("it held", &format!("{documents}, {passages}"), columns, theme, plain));
            rows.extend(labelled("skipped", &text::count(run.skipped), columns, theme, plain));
            for skip in &run.skips {
                let text = format!("{}: {}", text::one_line(&skip.document), text::one_line(&skip.reason));
                rows.extend(labelled("", &text, columns, theme, theme.dim));
            }
            // Runs of earlier versions kept none of them.
            let more = run.skipped.saturating_sub(run.skips.len() as u64);
            if more > 0 && !run.skips.is_empty() {
                rows.extend(labelled("", &format!("and {} more", text::count(more)), columns, theme, theme.dim));
            }
        }
    }
    rows.extend(labelled("took", &lists::took(run), columns, theme, plain));
    rows
}
