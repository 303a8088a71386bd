//! A text looked for in the conversation: the rows that hold it, and how they look.

use ratatui::{
    Frame,
    buffer::Buffer,
    layout::{Position, Rect},
    style::{Modifier, Style},
    text::{Line, Span},
};

use super::{ViewCache, cache::Measured, chat::ChatRows, theme::Theme};
use crate::{
    app::{Action, Find, FindAction, Place, State},
    domain::Turn,
    text::{fit, width},
};

/// Part of the pane that is kept above the row that was found.
const ABOVE: usize = 3;

/// Capitals count where the text has some.
pub fn folds(sought: &str) -> bool {
    !sought.chars().any(char::is_uppercase)
}

/// Whether a text holds another, as [`folds`] says.
pub fn holds(text: &str, sought: &str) -> bool {
    !sought.is_empty() && if folds(sought) { text.to_lowercase().contains(sought) } else { text.contains(sought) }
}

/// Whether rows of a turn could hold a text: the longest word of it is in what they are made from.
pub fn may_hold(turn: &Turn, sought: &str) -> bool {
    let longest = sought.split(|c: char| !c.is_alphanumeric()).max_by_key(|word| word.len()).unwrap_or_default();
    // Marks that may stand within a word, and are not shown.
    let answer = || turn.answer.replace(['*', '_', '`', '~', '\\'], "");
    let told = "You askdocs";
    longest.is_empty()
        || !turn.notices.is_empty()
        || [told, &turn.question].iter().any(|text| holds(text, longest))
        || holds(&answer(), longest)
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
            let rows = cache.chat.find(state, &cache.theme, state.sought());
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

/// Marks every place of the text in view, the shown row's in reverse.
pub fn mark(buffer: &mut Buffer, area: Rect, top: usize, shown: Option<usize>, sought: &str) {
    if sought.is_empty() {
        return;
    }
    let folds = folds(sought);
    for y in area.top()..area.bottom() {
        // The row's text, and the column that each byte of it stands in.
        let (mut text, mut columns) = (String::new(), Vec::new());
        let mut x = area.left();
        while x < area.right() {
            let symbol = buffer[(x, y)].symbol();
            let clean = if folds { symbol.to_lowercase() } else { symbol.to_owned() };
            columns.extend(std::iter::repeat_n(x, clean.len()));
            text.push_str(&clean);
            x += u16::try_from(width(symbol).max(1)).unwrap_or(1);
        }
        let is_shown = shown == Some(top + usize::from(y - area.top()));
        let look = if is_shown { Modifier::REVERSED | Modifier::BOLD } else { Modifier::UNDERLINED | Modifier::BOLD };
        for (start, found) in text.match_indices(sought) {
            let (Some(first), Some(last)) = (columns.get(start), columns.get(start + found.len() - 1)) else {
                continue;
            };
            for x in *first..=*last {
                if let Some(cell) = buffer.cell_mut(Position { x, y }) {
                    cell.set_style(Style::new().add_modifier(look));
                }
            }
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
