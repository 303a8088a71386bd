//! The list of commands, over whatever is on the screen: found by a few letters of their names or of what they do.

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    text::{Line, Span},
    widgets::Clear,
};

use super::{ViewCache, input, keys::Keymap, pane, theme::Theme, touch::Zone};
use crate::{
    app::{Choice, Command, Does, State},
    text::{fit, one_line, width},
};

/// The most that it takes of a screen.
const COLUMNS: u16 = 84;
const ROWS: usize = 14;
/// In fewer columns what a command does is not told.
const LEAST_WHAT: usize = 12;

pub fn draw(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let Some(palette) = &state.palette else { return };
    let theme = cache.theme;
    let choices = state.choices();
    let height = u16::try_from(choices.len().clamp(1, ROWS)).unwrap_or(u16::MAX) + 3;
    let [area] = ratatui::layout::Layout::horizontal([Constraint::Length(COLUMNS.min(area.width))])
        .flex(ratatui::layout::Flex::Center)
        .areas(area);
    // It grows downwards: the line where it is written stays where it is.
    let area = Rect { height: height.min(area.height), ..area };
    let inner = pane::inner(area);
    let list = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    let extent = cache.measured.palette.keeping(choices.len(), usize::from(list.height), palette.selected);
    cache.measured.palette = extent;
    let entries = (extent.top..choices.len()).map(Some).take(extent.height);
    cache.measured.list(Zone::Palette, area, inner, [None].into_iter().chain(entries).collect());
    frame.render_widget(Clear, area);
    pane::draw(frame, area, &theme, "Commands", true, extent);
    let line = Rect { height: inner.height.min(1), ..inner };
    input::draw_editor(&palette.line, "a few letters of a command", true, &theme, frame, line);
    let columns = usize::from(list.width).saturating_sub(1);
    if choices.is_empty() {
        let name = palette.line.text().trim_start().trim_start_matches('/').split_once(' ').map(|(name, _)| name);
        let waits = name.and_then(Command::find).is_some_and(|command| matches!(command.does, Does::Take { .. }));
        let text = if waits { "write the word that it needs" } else { "nothing is called like this" };
        pane::rows(frame, list, 3, [Line::styled(text, theme.dim)].iter());
        return;
    }
    let shown = choices.iter().enumerate().skip(extent.top).take(extent.height);
    let rows: Vec<_> =
        shown.map(|(at, choice)| row(choice, at == palette.selected, state, &cache.keymap, &theme, columns)).collect();
    pane::rows(frame, list, 0, rows.iter());
}

/// The command, what it does, and its key at the right.
fn row(
    choice: &Choice,
    selected: bool,
    state: &State,
    keymap: &Keymap,
    theme: &Theme,
    columns: usize,
) -> Line<'static> {
    let here = state.place_below();
    let keys = if choice.command.places.contains(here) { keymap.keys(choice.command, here) } else { Vec::new() };
    let key = keys.first().map(ToString::to_string).unwrap_or_default();
    let words = match (&choice.command.does, &choice.result) {
        (Does::Take { argument, .. }, None) => format!("{} {argument}", choice.words),
        _ => one_line(&choice.words),
    };
    let (mark, style) = if selected { (" ▸ ", theme.focus) } else { ("   ", theme.strong) };
    let key_columns = if key.is_empty() { 0 } else { width(&key) + 2 };
    let names = 20.max(width(&words) + 2).min(columns.saturating_sub(3 + key_columns));
    let words = fit(&words, names);
    let room = columns.saturating_sub(3 + names + key_columns);
    let what = match &choice.result {
        Some(Err(why)) => fit(&one_line(why), room),
        Some(Ok(_)) | None if room < LEAST_WHAT => String::new(),
        Some(Ok(_)) | None => fit(choice.what, room),
    };
    let gap = columns.saturating_sub(3 + names + width(&what) + width(&key));
    Line::from(vec![
        Span::styled(mark, style),
        Span::styled(format!("{words}{}", " ".repeat(names - width(&words))), style),
        Span::styled(what, theme.dim),
        Span::raw(" ".repeat(gap)),
        Span::styled(key, theme.strong),
    ])
}
