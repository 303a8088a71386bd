use ratatui::layout::Position;

use super::{
    chat::ChatRows,
    collections::RowText,
    evidence::Wrapped,
    keys::{Keymap, Keys},
    passages::PassageRows,
    theme::{Look, Theme},
    touch::Spot,
};
use crate::{
    app::{
        Action, ChatScroll, CollectionAction, EvidenceAction, EvidencePane, Focus, IngestAction, IngestPane, Move,
        PaletteAction, Place, Scroll, State, Step, Toward, View, searchable,
    },
    domain::ThemeName,
};

/// What drawing keeps from frame to frame: wrapped rows, and how large things turned out.
#[derive(Debug)]
pub struct ViewCache {
    pub(super) look: Look,
    name: ThemeName,
    pub(super) theme: Theme,
    pub(super) keymap: Keymap,
    pub(super) chat: ChatRows,
    pub(super) passage: PassageRows,
    pub(super) row: RowText,
    pub(super) evidence: Wrapped,
    pub(super) measured: Measured,
}

impl ViewCache {
    pub fn new(look: Look, keymap: Keymap) -> Self {
        let name = ThemeName::default();
        let (chat, passage, row, evidence) = Default::default();
        let theme = Theme::new(name, look);
        Self { look, name, theme, keymap, chat, passage, row, evidence, measured: Measured::default() }
    }

    /// Takes up another theme: rows that were wrapped in the old one's styles are made anew.
    pub(super) fn follow(&mut self, name: ThemeName) {
        if self.name != name {
            (self.name, self.theme) = (name, Theme::new(name, self.look));
            (self.passage, self.row, self.evidence) = Default::default();
            self.chat.forget();
        }
    }

    /// What texts in the view call the keys, whatever is open over it.
    pub(super) fn keys(&self, state: &State) -> Keys<'_> {
        Keys::new(&self.keymap, state.place_below())
    }

    /// Rows of the conversation in the last frame.
    pub fn chat_rows(&self) -> usize {
        self.measured.chat.rows
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
            Move::Left | Move::Right => at,
            Move::Up => at.saturating_sub(1),
            Move::Down => (at + 1).min(last),
            Move::PageUp => at.saturating_sub(page),
            Move::PageDown => (at + page).min(last),
            Move::HalfPageUp => at.saturating_sub(page.div_ceil(2)),
            Move::HalfPageDown => (at + page.div_ceil(2)).min(last),
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
            Move::Left | Move::Right => self.top,
            Move::Up => self.top.saturating_sub(1),
            Move::Down => self.top + 1,
            Move::PageUp => self.top.saturating_sub(page),
            Move::PageDown => self.top + page,
            Move::HalfPageUp => self.top.saturating_sub(self.height.div_ceil(2)),
            Move::HalfPageDown => self.top + self.height.div_ceil(2),
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
    /// Row of the chat that selections call 0: counting may have moved it.
    pub chat_start: isize,
    /// Row of the chat where each turn starts.
    pub turn_starts: Vec<usize>,
    /// The list of passages, counted in passages.
    pub passages: Extent,
    pub passage: Extent,
    /// Row of the passage pane where the passage itself starts.
    pub passage_start: usize,
    /// The list of the ingest view that has the keys, and the text of it that has them.
    pub ingest_list: Extent,
    pub ingest_text: Extent,
    /// The list of collections, and the table of rows of one.
    pub collections: Extent,
    pub rows: Extent,
    pub row: Extent,
    /// The table of candidates, counted in candidates, and whichever other pane of the evidence view has the keys.
    pub candidates: Extent,
    pub evidence: Extent,
    pub help: Extent,
    /// The list of commands, counted in choices.
    pub palette: Extent,
    /// What the mouse can be used on, those that lie above others last.
    pub spots: Vec<Spot>,
    /// The cells of the candidates on the map, and their places in the table.
    pub map: Vec<(Position, usize)>,
}

impl Measured {
    /// What a movement means for whatever has the keys.
    pub fn resolve(&self, state: &State, by: Move) -> Option<Action> {
        match (by, state.place() == Place::Map) {
            (Move::Left, true) => return Some(Action::Evidence(EvidenceAction::SelectToward(Toward::Left))),
            (Move::Right, true) => return Some(Action::Evidence(EvidenceAction::SelectToward(Toward::Right))),
            (Move::Left, false) => return Some(Action::OlderTurn),
            (Move::Right, false) => return Some(Action::NewerTurn),
            (
                Move::Up
                | Move::Down
                | Move::PageUp
                | Move::PageDown
                | Move::HalfPageUp
                | Move::HalfPageDown
                | Move::Top
                | Move::Bottom,
                _,
            ) => {}
        }
        if let Some(palette) = &state.palette {
            let to = self.palette.selected(palette.selected, by)?;
            return Some(Action::Palette(PaletteAction::Select(to)));
        }
        if state.help {
            return Some(Action::Scroll(Scroll::Help(self.help.moved(by))));
        }
        match state.view {
            View::Chat => self.resolve_in_chat(state, by),
            View::Ingest if state.ingest_view.open || state.ingest_view.pane == IngestPane::Overview => {
                Some(Action::Ingest(IngestAction::Scroll(self.ingest_text.moved(by))))
            }
            View::Ingest => {
                let (_, at) = state.ingest_list(state.ingest_view.pane);
                Some(Action::Ingest(IngestAction::Select(self.ingest_list.selected(at, by)?)))
            }
            View::Collections => self.resolve_in_collections(state, by),
            View::Evidence => self.resolve_in_evidence(state, by),
        }
    }

    fn resolve_in_evidence(&self, state: &State, by: Move) -> Option<Action> {
        let toward = |toward| Some(Action::Evidence(EvidenceAction::SelectToward(toward)));
        let at = match (state.evidence.pane, by, &state.evidence.choosing) {
            (_, _, Some(chosen)) => {
                let known = searchable(state.collections.entries.as_deref());
                known.iter().position(|info| info.name == *chosen).unwrap_or(0)
            }
            (EvidencePane::Map, Move::Up, None) => return toward(Toward::Up),
            (EvidencePane::Map, Move::Down, None) => return toward(Toward::Down),
            (EvidencePane::Map | EvidencePane::Candidates, _, None) => {
                state.evidence.index(&state.evidence.rows(state.shown_turn()?))
            }
            (EvidencePane::Passage | EvidencePane::Figures | EvidencePane::Prompt, _, None) => {
                return Some(Action::Scroll(Scroll::Evidence(self.evidence.moved(by))));
            }
        };
        Some(Action::Evidence(EvidenceAction::Select(self.candidates.selected(at, by)?)))
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
