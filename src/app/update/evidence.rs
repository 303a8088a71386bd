use crate::{
    app::{Effect, EvidenceAction, EvidencePane, State},
    domain::Candidate,
};

impl State {
    /// The candidate that is selected in the evidence view.
    pub fn shown_candidate(&self) -> Option<&Candidate> {
        let rows = self.evidence.rows(self.shown_turn()?);
        rows.get(self.evidence.index(&rows)).copied()
    }

    /// The view is shown from now on, with the passage selected that was selected in the chat.
    pub(super) fn enter_evidence(&mut self) -> Vec<Effect> {
        self.evidence.show(EvidencePane::Candidates);
        self.evidence.selected = self.shown_passage().map(|passage| passage.chunk.id);
        self.load_candidate()
    }

    pub(super) fn load_candidate(&mut self) -> Vec<Effect> {
        self.shown_candidate().map(|candidate| candidate.id).map_or_else(Vec::new, |id| self.load_around(id))
    }

    pub(super) fn act_on_evidence(&mut self, action: EvidenceAction) -> Vec<Effect> {
        match action {
            EvidenceAction::Select(at) => {
                let Some(turn) = self.shown_turn() else { return Vec::new() };
                let rows = self.evidence.rows(turn);
                self.evidence.selected = rows.get(at.min(rows.len().saturating_sub(1))).map(|candidate| candidate.id);
                self.evidence.scroll = 0;
                return self.load_candidate();
            }
            EvidenceAction::Sort => {
                // The selected one stays so wherever it goes.
                self.evidence.selected = self.shown_candidate().map(|candidate| candidate.id);
                self.evidence.sort = self.evidence.sort.next();
            }
            EvidenceAction::NextPane => self.evidence.show(self.evidence.pane.step(1)),
            EvidenceAction::PreviousPane => self.evidence.show(self.evidence.pane.step(3)),
        }
        Vec::new()
    }
}
