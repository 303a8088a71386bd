//! The question and its candidates on a plane. What a point is, its mark says: the question has one of its own, the top k
//! carry their ranks, the selected one stands in brackets, and all others are dots.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    style::Style,
    symbols::Marker,
    text::Line,
    widgets::canvas::{Canvas, Points},
};

use super::{
    super::{ViewCache, cache::Extent, inline::paragraph, pane, theme::Theme, touch::Zone},
    columns, legend, named,
};
use crate::{
    app::{CandidateRow, Comparison, EvidencePane, State},
    domain::{Projection, Turn, TurnState},
    text::width,
};

/// The question's mark: like no dot and no digit, in ASCII neither.
const QUESTION: &str = "◇";
/// Room at each edge, as a part of the map's extent.
const MARGIN: f64 = 0.06;

pub fn draw(state: &State, turn: &Turn, focused: bool, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let theme = &cache.theme.clone();
    let inner = pane::inner(area);
    cache.measured.map.clear();
    cache.measured.put(Zone::Evidence(EvidencePane::Map), area, inner);
    let made = state.evidence.map_of(turn).map(|map| &map.made);
    let projection = match made {
        Some(Some(Ok(projection))) => projection,
        Some(Some(Err(why))) => return explain(&format!("✗ There is no map: {why}"), focused, theme, frame, area),
        Some(None) => return explain("… placing the candidates by their meaning", focused, theme, frame, area),
        None => return explain(nothing(turn), focused, theme, frame, area),
    };
    let rows = state.evidence.rows(turn);
    let k = state.evidence.settings(turn).k;
    let elsewhere = state.evidence.comparison(turn) == Comparison::Collections;
    let placed: Vec<(&CandidateRow<'_>, [f32; 2])> = rows
        .iter()
        .filter(|row| !(row.gone && elsewhere))
        .filter_map(|row| Some((row, projection.point(row.candidate.id)?)))
        .collect();
    let [first, second] = projection.explained.map(|part| f64::from(part) * 100.0);
    let mut title = format!("Map · {first:.0} % of the variance across, {second:.0} % up");
    let candidates = rows.iter().filter(|row| !row.gone).count();
    if placed.len() < candidates {
        title.push_str(&format!(" · {} of {candidates}", placed.len()));
    }
    pane::draw(frame, area, theme, &title, focused, Extent::default());

    let selected = rows.get(state.evidence.index(&rows));
    let is_top = |row: &CandidateRow<'_>| !row.gone && row.candidate.rank as usize <= k;
    let plane = Plane::new(projection, inner);
    let question = plane.cell(projection.question);
    let cells = placed.iter().filter_map(|(placed, point)| {
        let at = rows.iter().position(|row| row.key() == placed.key())?;
        let (x, y) = plane.cell(*point);
        Some((Position { x: inner.x + x, y: inner.y + y }, at))
    });
    cache.measured.map = cells.collect();
    let dots = placed.iter().filter(|(row, _)| !is_top(row));
    let dots: Vec<(f64, f64)> = dots.map(|(_, point)| (f64::from(point[0]), f64::from(point[1]))).collect();
    let colour = theme.bar.fg.unwrap_or_default();
    let canvas = Canvas::default()
        .marker(Marker::Braille)
        .x_bounds(plane.x)
        .y_bounds(plane.y)
        .paint(|context| context.draw(&Points::new(&dots, colour)));
    frame.render_widget(canvas, inner);
    // The best rank is written last, so that it is the one that is read where marks meet.
    let mut tops: Vec<_> = placed.iter().filter(|(row, _)| is_top(row)).collect();
    tops.sort_by_key(|(row, _)| std::cmp::Reverse(row.candidate.rank));
    for (row, point) in tops {
        plane.write(frame, *point, Some(question), &row.candidate.rank.to_string(), theme.strong);
    }
    let chosen = selected.and_then(|row| placed.iter().find(|(placed, _)| placed.key() == row.key()));
    if let Some((row, point)) = chosen {
        plane.write(frame, *point, Some(question), &format!("[{}]", row.candidate.rank), theme.focus);
    }
    plane.write(frame, projection.question, None, QUESTION, theme.warning);

    let name = match (selected, chosen) {
        (Some(row), Some(_)) => format!("[{}] {}", row.candidate.rank, named(row.candidate)),
        (Some(row), None) => format!("{} is not on the map", row.candidate.rank),
        (None, _) => String::new(),
    };
    let most = k.min(candidates);
    let top = if most > 1 { format!("1-{most}") } else { "1".to_owned() };
    legend(frame, area, theme, &format!("{QUESTION} question · {top} top {k} · {name} · dots: the rest"));
}

fn nothing(turn: &Turn) -> &'static str {
    match turn.state {
        TurnState::Waiting | TurnState::Retrieving => "… searching",
        TurnState::Thinking | TurnState::Streaming | TurnState::Done(_) | TurnState::Stopped | TurnState::Failed(_) => {
            "There is nothing to place on a map."
        }
    }
}

fn explain(text: &str, focused: bool, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    pane::draw(frame, area, theme, "Map", focused, Extent::default());
    pane::rows(frame, pane::inner(area), 1, paragraph(text, columns(area), theme.dim).iter());
}

/// Where points of the map lie in a pane. Each axis fills its side, so lengths along different axes don't compare.
struct Plane {
    area: Rect,
    x: [f64; 2],
    y: [f64; 2],
}

impl Plane {
    fn new(projection: &Projection, area: Rect) -> Self {
        let [x, y] = [0, 1].map(|axis| {
            let (least, most) = projection.range(axis);
            let (least, most) = (f64::from(least), f64::from(most));
            let margin = (most - least).max(1e-6) * MARGIN;
            [least - margin, most + margin]
        });
        Self { area, x, y }
    }

    /// The cell that a point lies in, from the pane's upper left.
    fn cell(&self, point: [f32; 2]) -> (u16, u16) {
        let part = |value: f32, [least, most]: [f64; 2]| (f64::from(value) - least) / (most - least);
        let cell = |part: f64, cells: u16| ((part * f64::from(cells)) as u16).min(cells.saturating_sub(1));
        (cell(part(point[0], self.x), self.area.width), cell(1.0 - part(point[1], self.y), self.area.height))
    }

    /// Writes a mark with its middle on a point, or beside a cell that is to be kept free.
    fn write(&self, frame: &mut Frame<'_>, point: [f32; 2], free: Option<(u16, u16)>, mark: &str, style: Style) {
        let columns = (width(mark) as u16).min(self.area.width);
        if self.area.is_empty() || columns == 0 {
            return;
        }
        let (x, y) = self.cell(point);
        let left = x.saturating_sub((columns - 1) / 2).min(self.area.width - columns);
        let left = match free {
            Some((column, row)) if row == y && (left..left + columns).contains(&column) => {
                if column + columns < self.area.width { column + 1 } else { column.saturating_sub(columns) }
            }
            Some(_) | None => left,
        };
        let line = Line::styled(mark.to_owned(), style);
        frame.buffer_mut().set_line(self.area.x + left, self.area.y + y, &line, columns);
    }
}
