//! A text looked for in the conversation: the rows that hold it, and how they look.

use ratatui::{
    Frame,
    buffer::Buffer,
    layout::{Position, Rect},
    style::{Modifier, Style},
    text::{Line, Span},
};

use super::{
    ViewCache,
    cache::Measured,
    chat::ChatRows,
    inline::{Joint, is_joint, joined},
    theme::Theme,
};
use crate::{
    app::{Action, Find, FindAction, Place, State},
    domain::{FinishReason, Turn, TurnState},
    text::{fit, width},
};

/// Part of the pane that is kept above the row that was found.
const ABOVE: usize = 3;

/// Capitals count where the text has some.
pub fn folds(sought: &str) -> bool {
    !sought.chars().any(char::is_uppercase)
}

/// Whether a text holds another, as [`folds`] says.
fn holds(text: &str, sought: &str) -> bool {
    !sought.is_empty() && if folds(sought) { text.to_lowercase().contains(sought) } else { text.contains(sought) }
}

/// Whether rows of a turn could hold a text: the longest word of it is in what they are made from. `label` is what the
/// turn tells of the model.
pub fn may_hold(turn: &Turn, label: &str, sought: &str) -> bool {
    let longest = sought.split(|c: char| !c.is_alphanumeric()).max_by_key(|word| word.len()).unwrap_or_default();
    // Marks that may stand within a word, and are not shown.
    let answer = || turn.answer.replace(['*', '_', '`', '~', '\\'], "");
    let told = "You askdocs";
    // Few turns tell more than that.
    let tells_more = !turn.notices.is_empty()
        || !turn.reasoning.is_empty()
        || turn.state != TurnState::Done(FinishReason::Stop)
        || turn.answer.contains('&');
    longest.is_empty()
        || tells_more
        || [told, label, &turn.question].iter().any(|text| holds(text, longest))
        || holds(&answer(), longest)
}

/// Looks through lines that were broken into rows, each line as a whole. A row comes with how it goes on from the one
/// above, and in parts with where each of them is; `tell` gets the parts that a found place lies on.
fn look<T>(rows: impl Iterator<Item = (Joint, Vec<(String, T)>)>, sought: &str, mut tell: impl FnMut(&[(usize, T)])) {
    let folds = folds(sought);
    // The line so far, and where in it each part begins.
    let (mut text, mut parts) = (String::new(), Vec::new());
    let end = [(Joint::Line, Vec::new())];
    for (joint, row) in rows.chain(end) {
        match joint {
            Joint::Line => {
                for (start, found) in text.match_indices(sought) {
                    let first = parts.partition_point(|(at, _)| *at <= start).saturating_sub(1);
                    let end = parts.partition_point(|(at, _)| *at < start + found.len());
                    tell(&parts[first..end]);
                }
                text.clear();
                parts.clear();
            }
            Joint::Space => text.push(' '),
            Joint::Nothing => {}
        }
        for (part, place) in row {
            parts.push((text.len(), place));
            text.push_str(&if folds { part.to_lowercase() } else { part });
        }
    }
}

/// Those of some rows where a text begins, from 0, ascending.
pub fn rows_that_hold<'a>(rows: impl Iterator<Item = &'a Line<'static>>, sought: &str) -> Vec<usize> {
    let mut found = Vec::new();
    if sought.is_empty() {
        return found;
    }
    let rows = rows.zip(0..).map(|(line, row)| {
        let joint = joined(line).0;
        // The margin is repeated in every row of a line.
        let from = line.spans.iter().position(is_joint).filter(|_| joint != Joint::Line).unwrap_or(0);
        (joint, vec![(line.spans[from..].iter().map(|span| &*span.content).collect(), row)])
    });
    look(rows, sought, |parts| found.extend(parts.first().map(|(_, row)| *row)));
    found.dedup();
    found
}

/// The row to be shown while the text is written: the first one that holds it from `top` on, or else the first of all.
pub fn nearest(rows: &[usize], top: usize) -> Option<usize> {
    rows.iter().copied().find(|row| *row >= top).or_else(|| rows.first().copied())
}

/// The first row of the view in which a row that was found is well in view.
pub fn top_for(row: usize, height: usize) -> usize {
    row.saturating_sub(height / ABOVE)
}

/// What only the rows tell is put into an action of the search.
pub fn with_rows(state: &State, cache: &ViewCache, action: FindAction) -> Action {
    let Measured { chat, .. } = &cache.measured;
    Action::Find(match action {
        FindAction::Next | FindAction::Previous => {
            let rows = cache.chat.find(state, &cache.theme);
            // From the row that is shown, or else from what is in view.
            let at = state.find.as_ref().and_then(|find| find.shown).or_else(|| nearest(&rows, chat.top));
            let was_shown = state.find.is_some();
            let to = match (action, at) {
                (_, None) => None,
                (FindAction::Next, Some(at)) if was_shown => {
                    rows.iter().copied().find(|row| *row > at).or_else(|| rows.first().copied())
                }
                (FindAction::Previous, Some(at)) => {
                    rows.iter().rev().copied().find(|row| *row < at).or_else(|| rows.last().copied())
                }
                (_, at) => at,
            };
            match to {
                Some(row) => FindAction::Show { scroll: cache.measured.chat_from(top_for(row, chat.height)), row },
                None => action,
            }
        }
        FindAction::Open | FindAction::Show { .. } => action,
    })
}

/// Marks every place of the text in view, the shown row's in reverse. `lines` are the rows in view.
pub fn mark<'a>(
    buffer: &mut Buffer,
    area: Rect,
    lines: impl Iterator<Item = &'a Line<'static>>,
    shown: Option<u16>,
    sought: &str,
) {
    if sought.is_empty() {
        return;
    }
    let mut found = Vec::new();
    let rows = lines.zip(area.top()..area.bottom()).map(|(line, y)| {
        let (joint, margin) = joined(line);
        let margin = if joint == Joint::Line { 0 } else { u16::try_from(margin).unwrap_or(u16::MAX) };
        let mut cells = Vec::new();
        let mut x = area.left().saturating_add(margin);
        let end = area.left().saturating_add(u16::try_from(line.width()).unwrap_or(u16::MAX)).min(area.right());
        while x < end {
            let symbol = buffer[(x, y)].symbol();
            cells.push((symbol.to_owned(), Position { x, y }));
            x += u16::try_from(width(symbol).max(1)).unwrap_or(1);
        }
        (joint, cells)
    });
    look(rows, sought, |cells| {
        let is_shown = cells.first().map(|(_, cell)| cell.y) == shown;
        found.extend(cells.iter().map(|(_, cell)| (*cell, is_shown)));
    });
    for (cell, is_shown) in found {
        let look = if is_shown { Modifier::REVERSED | Modifier::BOLD } else { Modifier::UNDERLINED | Modifier::BOLD };
        if let Some(cell) = buffer.cell_mut(cell) {
            cell.set_style(Style::new().add_modifier(look));
        }
    }
}

/// The text that is written, how often it is there, and the keys, in one row.
pub fn draw(state: &State, find: &Find, chat: &ChatRows, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let rows = chat.found();
    let at = find.shown.and_then(|shown| rows.iter().position(|row| *row == shown));
    let told = match (find.line.is_empty(), rows.len(), at) {
        (true, ..) => "  a text to look for in the conversation".to_owned(),
        (false, 0, _) => "  in no line".to_owned(),
        (false, 1, _) => "  in 1 line".to_owned(),
        (false, count, None) => format!("  in {count} lines"),
        (false, count, Some(at)) => format!("  line {} of {count}", at + 1),
    };
    let room = usize::from(area.width).saturating_sub(width(&told) + 4);
    let text = find.line.text();
    // The end of a long text, where it is written.
    let start = text.char_indices().map(|(at, _)| at).find(|at| width(&text[*at..]) <= room).unwrap_or(text.len());
    let line = Line::from(vec![
        Span::styled(if start == 0 { " / " } else { " /…" }, theme.focus),
        Span::styled(text[start..].to_owned(), theme.strong),
        Span::styled(fit(&told, usize::from(area.width).saturating_sub(width(&text[start..]) + 3)), theme.dim),
    ]);
    frame.render_widget(line, area);
    if state.place() == Place::Find {
        let before = text.get(start..find.line.cursor()).map_or(0, width);
        let x = area.x + 3 + u16::try_from(before).unwrap_or(u16::MAX);
        frame.set_cursor_position(Position { x: x.min(area.right().saturating_sub(1)), y: area.y });
    }
}
