use super::{chat::ChatRows, collections::RowText, keys::Move, passages::PassageRows, theme::Theme, touch::Place};
use crate::app::{
    Action, ChatScroll, CollectionAction, EvidenceAction, EvidencePane, Focus, Scroll, State, Step, View,
};

/// What drawing keeps from frame to frame: wrapped rows, and how large things turned out.
#[derive(Debug)]
pub struct ViewCache {
    pub(super) theme: Theme,
    pub(super) chat: ChatRows,
    pub(super) passage: PassageRows,
    pub(super) row: RowText,
    pub(super) measured: Measured,
}

impl ViewCache {
    pub fn new(theme: Theme) -> Self {
        let (chat, passage, row) = Default::default();
        Self { theme, chat, passage, row, measured: Measured::default() }
    }

    /// Bytes of answers given to the Markdown parser so far: what streaming cost.
    pub fn parsed_bytes(&self) -> usize {
        self.chat.parsed_bytes()
    }
}

/// How a pane's content lay in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Rows of the whole content, and of those that are in view: how many, from which on.
    pub rows: usize,
    pub height: usize,
    pub top: usize,
}

impl Extent {
    /// Content of `rows` rows seen from `top` on, or as near to that as there is content.
    pub fn new(rows: usize, height: usize, top: usize) -> Self {
        Self { rows, height, top: top.min(rows.saturating_sub(height)) }
    }

    pub fn below(self) -> usize {
        self.rows.saturating_sub(self.top + self.height)
    }

    /// The extent of a list that keeps the selected entry in view with as little movement as that takes.
    pub fn keeping(self, rows: usize, height: usize, selected: usize) -> Self {
        let height = height.max(1);
        Self::new(rows, height, self.top.min(selected).max((selected + 1).saturating_sub(height)))
    }

    /// The entry selected after a movement from `at`; `None` where there are none.
    fn selected(self, at: usize, by: Move) -> Option<usize> {
        let last = self.rows.checked_sub(1)?;
        let page = self.height.max(1);
        Some(match by {
            Move::Up => at.saturating_sub(1),
            Move::Down => (at + 1).min(last),
            Move::PageUp => at.saturating_sub(page),
            Move::PageDown => (at + page).min(last),
            Move::Top => 0,
            Move::Bottom => last,
        })
    }

    /// The top row after a movement.
    fn moved(self, by: Move) -> usize {
        let last = self.rows.saturating_sub(self.height);
        // A page keeps one row, so that the eye finds where it was.
        let page = self.height.saturating_sub(1).max(1);
        match by {
            Move::Up => self.top.saturating_sub(1),
            Move::Down => self.top + 1,
            Move::PageUp => self.top.saturating_sub(page),
            Move::PageDown => self.top + page,
            Move::Top => 0,
            Move::Bottom => last,
        }
        .min(last)
    }
}

/// The panes of the last frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    pub chat: Extent,
    /// Row of the chat where each turn starts.
    pub turn_starts: Vec<usize>,
    /// The list of passages, counted in passages.
    pub passages: Extent,
    pub passage: Extent,
    /// Row of the passage pane where the passage itself starts.
    pub passage_start: usize,
    pub skips: Extent,
    /// The list of collections, and the table of rows of one.
    pub collections: Extent,
    pub rows: Extent,
    pub row: Extent,
    /// The table of candidates, counted in candidates, and whichever other pane of the evidence view has the keys.
    pub candidates: Extent,
    pub evidence: Extent,
    pub help: Extent,
    /// What the mouse can be used on, those that lie above others last.
    pub places: Vec<Place>,
}

impl Measured {
    /// What a movement means for whatever has the keys.
    pub fn resolve(&self, state: &State, by: Move) -> Option<Action> {
        if state.help {
            return Some(Action::Scroll(Scroll::Help(self.help.moved(by))));
        }
        match state.view {
            View::Chat => self.resolve_in_chat(state, by),
            View::Ingest => Some(Action::Scroll(Scroll::Skips(self.skips.moved(by)))),
            View::Collections => self.resolve_in_collections(state, by),
            View::Evidence if state.evidence.pane == EvidencePane::Candidates => {
                let rows = state.evidence.rows(state.shown_turn()?);
                let to = self.candidates.selected(state.evidence.index(&rows), by)?;
                Some(Action::Evidence(EvidenceAction::Select(to)))
            }
            View::Evidence => Some(Action::Scroll(Scroll::Evidence(self.evidence.moved(by)))),
        }
    }

    fn resolve_in_collections(&self, state: &State, by: Move) -> Option<Action> {
        match &state.collections.step {
            Step::Choose => {
                let to = self.collections.selected(state.collections.index(), by)?;
                Some(Action::Collection(CollectionAction::Select(to)))
            }
            Step::Browse(browsing) if browsing.in_text => Some(Action::Scroll(Scroll::Row(self.row.moved(by)))),
            Step::Browse(browsing) => {
                let to = self.rows.selected(usize::try_from(browsing.at).unwrap_or(usize::MAX), by)?;
                Some(Action::Collection(CollectionAction::SelectRow(to as u64)))
            }
            Step::Create(_) | Step::Drop(_) => None,
        }
    }

    /// The part of the conversation that begins with a row.
    pub fn chat_from(&self, top: usize) -> ChatScroll {
        if top + self.chat.height >= self.chat.rows {
            return ChatScroll::End;
        }
        let turn = self.turn_starts.partition_point(|start| *start <= top).saturating_sub(1);
        let start = self.turn_starts.get(turn).copied().unwrap_or(0);
        ChatScroll::At { turn, row: top - start }
    }

    fn resolve_in_chat(&self, state: &State, by: Move) -> Option<Action> {
        match state.focus {
            Focus::Input | Focus::Chat => Some(Action::Scroll(Scroll::Chat(self.chat_from(self.chat.moved(by))))),
            Focus::Passages => {
                state.shown_turn()?.passages.first()?;
                Some(Action::SelectPassage(self.passages.selected(state.selected_passage, by)?))
            }
            Focus::PassageText => {
                let to = self.passage.moved(by).cast_signed() - self.passage_start.cast_signed();
                Some(Action::Scroll(Scroll::Passage(to)))
            }
        }
    }
}
