use super::{Action, PaletteAction, Places, State, TouchAction, View};
use crate::domain::TurnState;

/// From so many questions of earlier runs on, a person knows their way.
const KNOWS: usize = 20;

/// What somebody new is told below a finished answer, one at a time, until they have done it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    Evidence,
    Panes,
    Commands,
    Help,
}

impl Hint {
    const ALL: [Self; 4] = [Self::Evidence, Self::Panes, Self::Commands, Self::Help];

    /// The command that it is about, and what that does.
    pub fn tells(self) -> (&'static str, &'static str) {
        match self {
            Self::Evidence => ("evidence", "shows all that this answer rests on, and asks again with other settings"),
            Self::Panes => ("next-pane", "goes on to the passages, to read them and copy"),
            Self::Commands => ("commands", "finds every command by a few letters"),
            Self::Help => ("help", "shows the keys of wherever you are"),
        }
    }

    /// Whether doing this shows that it is known.
    fn is_done_by(self, action: &Action) -> bool {
        match self {
            Self::Evidence => matches!(action, Action::SwitchView(View::Evidence)),
            Self::Panes => matches!(
                action,
                Action::FocusNext | Action::FocusPrevious | Action::Touch(TouchAction::ChoosePassage(_))
            ),
            Self::Commands => matches!(action, Action::Palette(PaletteAction::Open { .. })),
            Self::Help => matches!(action, Action::Help),
        }
    }
}

/// Which hints have done their work.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints {
    done: [bool; Hint::ALL.len()],
}

impl Hints {
    pub(super) fn note(&mut self, action: &Action) {
        for (hint, done) in Hint::ALL.into_iter().zip(&mut self.done) {
            *done |= hint.is_done_by(action);
        }
    }
}

impl State {
    /// What to tell somebody new now, if there is anything.
    pub fn hint(&self) -> Option<Hint> {
        let answered = matches!(self.turns.last()?.state, TurnState::Done(_));
        if !answered || self.asked_before >= KNOWS || !Places::CHAT.contains(self.place()) {
            return None;
        }
        Hint::ALL.into_iter().zip(self.hints.done).find(|(_, done)| !done).map(|(hint, _)| hint)
    }
}
