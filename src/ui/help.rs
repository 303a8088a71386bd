//! What the keys do where they go now, over whatever is on the screen.

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    text::{Line, Span},
    widgets::Clear,
};

use super::{ViewCache, cache::Extent, keys::Keymap, pane, theme::Theme, touch::Zone};
use crate::{
    app::{Action, COMMANDS, Command, Does, Places, State},
    text::{width, wrap},
};

/// Columns of the keys' names, and the most that one row of the help takes.
const NAMES: usize = 18;
const COLUMNS: u16 = 84;

pub fn draw(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let theme = cache.theme;
    let rows = rows(state, &cache.keymap, &theme, usize::from(area.width.min(COLUMNS)).saturating_sub(4));
    let columns = rows.iter().map(Line::width).max().unwrap_or(0) as u16 + 4;
    let area = area.centered(
        Constraint::Length(columns.min(area.width)),
        Constraint::Length((rows.len() as u16 + 2).min(area.height)),
    );
    let inner = pane::inner(area);
    let extent = Extent::new(rows.len(), usize::from(inner.height), state.help_scroll);
    cache.measured.help = extent;
    cache.measured.put(Zone::Help, area, inner);
    frame.render_widget(Clear, area);
    pane::draw(frame, area, &theme, "Keys", state.palette.is_none(), extent);
    pane::rows(frame, Rect { width: inner.width.saturating_sub(1), ..inner }, 1, rows.iter().skip(extent.top));
}

/// The commands of the place below the help: what is special there, how to move, then what works everywhere.
fn rows(state: &State, keymap: &Keymap, theme: &Theme, columns: usize) -> Vec<Line<'static>> {
    let place = state.place_below();
    let reached = |command: &Command| {
        // Where a line is written, a slash is a part of it, unless it begins a question.
        !place.is_typing() || Places::QUESTION.contains(place) || !keymap.keys(command, place).is_empty()
    };
    let here: Vec<&Command> = COMMANDS
        .iter()
        .filter(|command| command.places.contains(place) && !command.what.is_empty() && reached(command))
        .collect();
    let is_move = |command: &Command| matches!(command.does, Does::Move(_) | Does::Act(Action::Edit(_)));
    let is_everywhere = |command: &Command| command.places == Places::ALL;
    let mut rows = Vec::new();
    let mut section = |title: &str, commands: &mut dyn Iterator<Item = &&'static Command>| {
        let mut commands = commands.peekable();
        if commands.peek().is_none() {
            return;
        }
        if !rows.is_empty() {
            rows.push(Line::default());
        }
        rows.push(Line::styled(title.to_owned(), theme.heading));
        for command in commands {
            let mut keys = keymap.keys(command, place).into_iter();
            let name = match (keys.next(), &command.does) {
                (Some(key), _) => {
                    // The second one where there is room.
                    let both = keys.next().map(|other| format!("{key}, {other}"));
                    both.filter(|both| width(both) < NAMES).unwrap_or_else(|| key.to_string())
                }
                (None, Does::Take { argument, .. }) => format!("/{} {argument}", command.name),
                (None, Does::Act(_) | Does::Move(_)) => format!("/{}", command.name),
            };
            rows.extend(row(&name, command.what, theme, columns));
        }
    };
    section(place.title(), &mut here.iter().filter(|command| !is_everywhere(command) && !is_move(command)));
    section("Moving and writing", &mut here.iter().filter(|command| is_move(command)));
    section("Everywhere", &mut here.iter().filter(|command| is_everywhere(command) && !is_move(command)));
    rows
}

/// The keys, and beside them what they do, on as many rows as that takes.
fn row(keys: &str, what: &str, theme: &Theme, columns: usize) -> Vec<Line<'static>> {
    let names = (NAMES + 1).min(columns / 3).max(width(keys) + 1);
    let room = columns.saturating_sub(names).max(8);
    let rows = wrap(what, room, room).into_iter().enumerate();
    rows.map(|(at, part)| {
        let name = if at == 0 { keys } else { "" };
        let pad = " ".repeat(names - width(name));
        let what = Span::styled(what[part].to_owned(), theme.dim);
        Line::from(vec![Span::styled(name.to_owned(), theme.strong), Span::raw(pad), what])
    })
    .collect()
}
