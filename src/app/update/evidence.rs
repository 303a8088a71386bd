use std::{sync::Arc, time::Duration};

use serde_json::json;

use crate::{
    app::{Effect, EvidenceAction, EvidencePane, RequestId, Rerun, State, View},
    domain::{Candidate, SearchSettings, Turn},
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
            EvidenceAction::MoreK | EvidenceAction::LessK | EvidenceAction::NextMode | EvidenceAction::NextWeight => {
                let Some(turn) = self.shown_turn().filter(|turn| !turn.candidates.is_empty()) else {
                    return Vec::new();
                };
                let settings = action.change(self.evidence.settings(turn));
                return settings.map_or_else(Vec::new, |settings| self.retrieve_again(settings));
            }
            EvidenceAction::Answer => {
                let Some(turn) = self.shown_turn() else { return Vec::new() };
                let (question, settings) = (turn.question.clone(), self.evidence.settings(turn));
                self.evidence.turn_changed();
                self.view = View::Chat;
                return self.ask(question, settings);
            }
            EvidenceAction::Export => {
                return self.shown_turn().map_or_else(Vec::new, |turn| vec![Effect::Export { json: export(turn) }]);
            }
            EvidenceAction::NextPane => self.evidence.show(self.evidence.pane.step(1)),
            EvidenceAction::PreviousPane => self.evidence.show(self.evidence.pane.step(3)),
        }
        Vec::new()
    }
}

impl State {
    /// What was found before stays until there is something new.
    fn retrieve_again(&mut self, settings: SearchSettings) -> Vec<Effect> {
        let request = self.collections.request();
        let Some(turn) = self.shown_turn() else { return Vec::new() };
        let (id, collection, question) = (turn.id, turn.collection.clone(), turn.question.clone());
        let found = self.evidence.rerun_of(turn).and_then(|rerun| rerun.found.clone());
        self.evidence.rerun = Some(Rerun { turn: id, settings, request, found });
        vec![Effect::Retrieve { request, collection, question, settings }]
    }

    pub(super) fn retrieved_again(
        &mut self,
        request: RequestId,
        result: Result<Arc<[Candidate]>, String>,
    ) -> Vec<Effect> {
        let Some(rerun) = self.evidence.rerun.as_mut().filter(|rerun| rerun.request == request) else {
            return Vec::new();
        };
        match result {
            Ok(found) => rerun.found = Some(found),
            Err(message) => {
                self.evidence.rerun = None;
                self.notice = Some(message);
            }
        }
        if self.view == View::Evidence { self.load_candidate() } else { Vec::new() }
    }
}

/// Everything that is known of a turn; times in milliseconds.
fn export(turn: &Turn) -> String {
    let ms = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
    let times = &turn.timings;
    let json = json!({
        "question": turn.question,
        "collection": turn.collection,
        "settings": turn.settings,
        "model": turn.model,
        "passages": turn.passages,
        "candidates": &*turn.candidates,
        "prompt": &*turn.prompt,
        "answer": turn.answer,
        "reasoning": turn.reasoning,
        "usage": turn.usage,
        "notices": turn.notices,
        "timings_ms": {
            "embed": ms(times.embed),
            "dense": ms(times.dense),
            "keyword": ms(times.keyword),
            "fuse": ms(times.fuse),
            "retrieval": ms(times.retrieval),
            "prompt": ms(times.prompt),
            "first_token": ms(times.first_token),
            "generation": ms(times.generation),
        },
    });
    format!("{json:#}\n")
}
