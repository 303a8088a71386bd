//! All keys, over whatever is on the screen.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Clear,
};

use super::{
    ViewCache,
    cache::Extent,
    keys::{BINDINGS, Group},
    pane,
    theme::Theme,
    touch::Zone,
};
use crate::{
    app::{State, View},
    text::width,
};

/// Columns of the keys' names.
const NAMES: usize = 19;

pub fn draw(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let theme = cache.theme;
    let rows = rows(state, &theme);
    let columns = rows.iter().map(Line::width).max().unwrap_or(0) as u16 + 4;
    let area = area.centered(
        ratatui::layout::Constraint::Length(columns.min(area.width)),
        ratatui::layout::Constraint::Length((rows.len() as u16 + 2).min(area.height)),
    );
    let inner = pane::inner(area);
    let extent = Extent::new(rows.len(), usize::from(inner.height), state.help_scroll);
    cache.measured.help = extent;
    cache.measured.put(Zone::Help, area, inner);
    frame.render_widget(Clear, area);
    pane::draw(frame, area, &theme, "Keys", true, extent);
    pane::rows(frame, Rect { width: inner.width.saturating_sub(1), ..inner }, 1, rows.iter().skip(extent.top));
}

fn rows(state: &State, theme: &Theme) -> Vec<Line<'static>> {
    let mut rows = Vec::new();
    let mut groups = Group::ALL.to_vec();
    let here = match state.view {
        View::Chat | View::Ingest => None,
        View::Collections => Some(Group::Collections),
        View::Evidence => Some(Group::Evidence),
    };
    groups.retain(|group| !matches!(group, Group::Collections | Group::Evidence) || Some(*group) == here);
    if here.is_some() {
        // What the keys do here comes first, what they do in the chat last.
        groups.sort_by_key(|group| (*group == Group::Asking, Some(*group) != here));
    }
    for group in groups {
        if !rows.is_empty() {
            rows.push(Line::default());
        }
        rows.push(Line::styled(group.name(), theme.heading));
        for binding in BINDINGS.iter().filter(|binding| binding.group() == group && !binding.what.is_empty()) {
            let pad = " ".repeat(NAMES.saturating_sub(width(binding.shown)));
            rows.push(Line::from(vec![
                Span::styled(binding.shown, theme.strong),
                Span::raw(pad),
                Span::styled(binding.what, theme.dim),
            ]));
        }
    }
    rows
}
