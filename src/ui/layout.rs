use ratatui::layout::{Constraint, Layout, Rect};

use crate::app::{Focus, State};

/// Smallest screen that anything useful fits on.
pub const MIN_COLUMNS: u16 = 40;
pub const MIN_ROWS: u16 = 10;

/// From this width on the passages stand beside the chat; below they stack.
pub const WIDE: u16 = 100;

/// The parts every view has.
pub struct Screen {
    pub title: Rect,
    pub body: Rect,
    pub notice: Rect,
    pub input: Rect,
    pub footer: Rect,
}

/// Splits the screen; the notice and the input get as many rows as they want.
pub fn screen(area: Rect, notice_rows: u16, input_rows: u16) -> Screen {
    let rows = [
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(notice_rows),
        Constraint::Length(input_rows),
        Constraint::Length(1),
    ];
    let [title, body, notice, input, footer] = Layout::vertical(rows).areas(area);
    Screen { title, body, notice, input, footer }
}

/// The chat view's panes; one that has no room is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Panes {
    pub chat: Option<Rect>,
    pub list: Option<Rect>,
    pub text: Option<Rect>,
    pub timings: Option<Rect>,
}

/// Places the panes. Where they stack, the ones that have the keys get the room.
pub fn panes(body: Rect, state: &State) -> Panes {
    let passages = state.shown_turn().map_or(0, |turn| turn.passages.len());
    let list_rows = u16::try_from(passages.clamp(1, 20) * 2 + 2).unwrap_or(u16::MAX);
    if body.width >= WIDE {
        let [chat, side] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(body);
        let list = list_rows.max(4).min(side.height * 45 / 100).max(4);
        let timings = if side.height >= 14 { 3 } else { 0 };
        let rows = [Constraint::Length(list), Constraint::Fill(1), Constraint::Length(timings)];
        let [list, text, timings] = Layout::vertical(rows).areas(side);
        return Panes { chat: Some(chat), list: Some(list), text: Some(text), timings: Some(timings).filter(has_rows) };
    }
    let reading_passages = matches!(state.focus, Focus::Passages | Focus::PassageText);
    if body.height < 14 {
        // Room for one pane: the one that has the keys.
        let (chat, list, text) = match state.focus {
            Focus::Input | Focus::Chat => (Some(body), None, None),
            Focus::Passages => (None, Some(body), None),
            Focus::PassageText => (None, None, Some(body)),
        };
        return Panes { chat, list, text, timings: None };
    }
    if state.turns.is_empty() && !reading_passages {
        return Panes { chat: Some(body), ..Panes::default() };
    }
    if reading_passages {
        let chat = body.height / 4;
        let list = list_rows.clamp(4, 6.max(body.height * 3 / 10));
        let rows =
            [Constraint::Length(chat.max(4)), Constraint::Length(list), Constraint::Fill(1), Constraint::Length(1)];
        let [chat, list, text, timings] = Layout::vertical(rows).areas(body);
        return Panes { chat: Some(chat), list: Some(list), text: Some(text), timings: Some(timings) };
    }
    let list = list_rows.clamp(4, body.height * 35 / 100);
    let rows = [Constraint::Fill(1), Constraint::Length(list), Constraint::Length(1)];
    let [chat, list, timings] = Layout::vertical(rows).areas(body);
    Panes { chat: Some(chat), list: Some(list), text: None, timings: Some(timings) }
}

fn has_rows(area: &Rect) -> bool {
    area.height > 0
}
