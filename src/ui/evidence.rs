//! One turn in full: every candidate with each retriever's score and rank, how the ranks moved, the candidates' texts, a
//! map of them, the distances, the timings, and the prompt as it was sent.

mod beside;
mod figures;
mod map;
mod passage;
mod prompt;
mod table;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::Line,
};

use super::{ViewCache, cache::Extent, inline::paragraph, layout, pane, theme::Theme, touch::Zone};
use crate::{
    app::{EvidencePane, State},
    domain::Turn,
    text::{fit, one_line, width},
};

/// From this width on a map that was made has a place of its own.
const VERY_WIDE: u16 = 150;

/// Text of a pane, wrapped once.
#[derive(Debug, Default)]
pub struct Wrapped {
    key: Option<Key>,
    title: String,
    /// Stands in the lower border.
    legend: String,
    rows: Vec<Line<'static>>,
    /// The row that is shown first where nobody scrolled, and one that should be in view then too.
    top: usize,
    best: Option<usize>,
}

/// What wrapped text was made from.
#[derive(Debug, PartialEq)]
enum Key {
    Passage(passage::Key),
    Prompt(prompt::Key),
}

impl Wrapped {
    fn first_row(&self, height: usize) -> usize {
        match self.best {
            Some(best) if best >= self.top + height => best.saturating_sub(height / 3),
            Some(_) | None => self.top,
        }
    }
}

pub fn draw(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let theme = cache.theme;
    let Some((turn, index)) = state.shown_turn().zip(state.shown_index()) else {
        pane::draw(frame, area, &theme, "Evidence", true, Extent::default());
        let text = "Ask a question first: everything that its answer rests on is then shown here.";
        let rows = paragraph(text, usize::from(area.width.saturating_sub(4)).max(2), theme.dim);
        pane::rows(frame, pane::inner(area), 1, rows.iter());
        return;
    };
    for (shown, area) in places(state.evidence.pane, state.evidence.map_of(turn).is_some(), area) {
        let focused = state.evidence.pane == shown && !state.overlaid();
        match shown {
            EvidencePane::Candidates => table::draw(state, turn, index, focused, cache, frame, area),
            EvidencePane::Map => map::draw(state, turn, focused, cache, frame, area),
            EvidencePane::Figures => {
                let rows = figures::rows(state, turn, columns(area), &theme);
                let title = if state.evidence.found(turn).is_some() { "Figures · searched again" } else { "Figures" };
                draw_rows(state, cache, (title, ""), shown, &rows, 0, focused, frame, area);
            }
            EvidencePane::Passage | EvidencePane::Prompt => draw_text(state, turn, shown, focused, cache, frame, area),
        }
    }
}

fn draw_text(
    state: &State,
    turn: &Turn,
    shown: EvidencePane,
    focused: bool,
    cache: &mut ViewCache,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let theme = cache.theme;
    let mut wrapped = std::mem::take(&mut cache.evidence);
    let key = match shown {
        EvidencePane::Prompt => Key::Prompt(prompt::key(turn, columns(area))),
        _ => Key::Passage(passage::key(state, turn, columns(area))),
    };
    if wrapped.key.as_ref() != Some(&key) {
        wrapped = match &key {
            Key::Prompt(_) => prompt::wrap(turn, columns(area), &theme),
            Key::Passage(_) => passage::wrap(state, turn, columns(area), &theme),
        };
        wrapped.key = Some(key);
    }
    let top = wrapped.first_row(usize::from(pane::inner(area).height));
    draw_rows(state, cache, (&wrapped.title, &wrapped.legend), shown, &wrapped.rows, top, focused, frame, area);
    cache.evidence = wrapped;
}

/// A pane of rows, shown from `top` on where nobody scrolled.
#[expect(clippy::too_many_arguments, reason = "what is drawn, and where")]
fn draw_rows(
    state: &State,
    cache: &mut ViewCache,
    (title, foot): (&str, &str),
    shown: EvidencePane,
    rows: &[Line<'static>],
    top: usize,
    focused: bool,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let inner = pane::inner(area);
    let top = state.evidence.scroll.filter(|_| focused).unwrap_or(top);
    let extent = Extent::new(rows.len(), usize::from(inner.height), top);
    if focused {
        cache.measured.evidence = extent;
    }
    cache.measured.put(Zone::Evidence(shown), area, inner);
    pane::draw(frame, area, &cache.theme, title, focused, extent);
    legend(frame, area, &cache.theme, foot);
    pane::rows(frame, inner, 1, rows.iter().skip(extent.top));
}

/// Columns of a pane's text.
fn columns(area: Rect) -> usize {
    usize::from(area.width.saturating_sub(4)).max(2)
}

/// Writes into the lower border of a pane.
fn legend(frame: &mut Frame<'_>, area: Rect, theme: &Theme, text: &str) {
    let room = usize::from(area.width.saturating_sub(4));
    if text.is_empty() || room < 8 || area.height < 2 {
        return;
    }
    let text = format!(" {} ", fit(text, room.saturating_sub(2)));
    let columns = width(&text) as u16;
    frame.buffer_mut().set_line(area.x + 2, area.bottom() - 1, &Line::styled(text, theme.dim), columns);
}

/// The table with the others below it where there is room, else only the pane that has the keys.
fn places(focus: EvidencePane, has_map: bool, area: Rect) -> Vec<(EvidencePane, Rect)> {
    use EvidencePane::{Candidates, Figures, Map, Passage, Prompt};
    if area.height < 14 {
        return vec![(focus, area)];
    }
    let text = if focus == Prompt { Prompt } else { Passage };
    let reading = focus == Map || focus != Candidates && area.width < layout::WIDE;
    let shares = if reading { [2, 3] } else { [1, 1] };
    let [top, bottom] = Layout::vertical(shares.map(Constraint::Fill)).areas(area);
    let below = match focus {
        _ if area.width >= VERY_WIDE && (has_map || focus == Map) => vec![text, Map, Figures],
        Map if area.width >= layout::WIDE => vec![text, Map],
        Candidates | Passage | Figures | Prompt if area.width >= layout::WIDE => vec![text, Figures],
        Map | Figures => vec![focus],
        Candidates | Passage | Prompt => vec![text],
    };
    let widths = Layout::horizontal(vec![Constraint::Fill(1); below.len()]).split(bottom);
    std::iter::once((Candidates, top)).chain(below.into_iter().zip(widths.iter().copied())).collect()
}

/// Where a candidate stands in its document, or its id where that is not known.
fn named(candidate: &crate::domain::Candidate) -> String {
    if candidate.place.is_empty() { candidate.id.to_string() } else { one_line(&candidate.place) }
}
