use std::{ops::Range, sync::Arc};

use super::export::export;
use crate::{
    app::{
        Effect, EvidenceAction, EvidencePane, Found, RequestId, Rerun, SortBy, State, View,
        evidence::{BestSentence, CandidateRow, Comparison, Map, searchable},
    },
    domain::{Candidate, ChunkId, Mode, Projection, SearchSettings},
};

impl State {
    /// The candidate that is selected in the evidence view.
    pub fn shown_candidate(&self) -> Option<&Candidate> {
        self.shown_row().map(|row| row.candidate)
    }

    /// The collection that this one is in.
    pub fn candidate_collection(&self) -> Option<&str> {
        let (turn, row) = (self.shown_turn()?, self.shown_row()?);
        let of_turn = row.gone && self.evidence.comparison(turn) == Comparison::Collections;
        Some(if of_turn { &turn.collection } else { self.evidence.collection(turn) })
    }

    fn shown_row(&self) -> Option<CandidateRow<'_>> {
        let rows = self.evidence.rows(self.shown_turn()?);
        rows.get(self.evidence.index(&rows)).copied()
    }

    /// The view is shown from now on, with the passage selected that was selected in the chat.
    pub(super) fn enter_evidence(&mut self) -> Vec<Effect> {
        self.evidence.show(EvidencePane::Candidates);
        self.evidence.selected = self.shown_passage().map(|passage| (false, passage.chunk.id));
        self.load_evidence()
    }

    /// Asks for what the view shows of the selected candidate, each once: the text around it, its best sentence and, where
    /// the map has the keys, the map.
    pub(super) fn load_evidence(&mut self) -> Vec<Effect> {
        if self.evidence.sort == SortBy::Rerank && !self.is_reranked() {
            self.evidence.sort = SortBy::Rank;
        }
        let candidate = self.shown_candidate().map(|candidate| candidate.id);
        let Some((id, collection)) = candidate.zip(self.candidate_collection().map(str::to_owned)) else {
            return Vec::new();
        };
        let mut effects = self.load_around(collection.clone(), id);
        effects.extend(self.find_sentence(collection, id));
        if self.evidence.pane == EvidencePane::Map {
            effects.extend(self.make_map());
        }
        effects
    }

    /// Something in the table was ordered anew by its sentences.
    fn is_reranked(&self) -> bool {
        let rows = self.shown_turn().map(|turn| self.evidence.rows(turn)).unwrap_or_default();
        rows.iter().any(|row| row.candidate.scores.rerank.is_some())
    }

    fn find_sentence(&mut self, collection: String, id: ChunkId) -> Option<Effect> {
        let turn = self.shown_turn()?;
        let question = turn.question.clone();
        // Where the first ones were ordered by their likest sentences, these are the ones to see.
        let by_meaning = match self.evidence.found(turn) {
            Some(found) => found.mode.uses_dense() || found.timings.rerank.is_some(),
            None => turn.settings.mode.uses_dense() || turn.timings.rerank.is_some(),
        };
        let is_it =
            |best: &BestSentence| best.id == id && best.collection == collection && best.by_meaning == by_meaning;
        if self.evidence.best.as_ref().is_some_and(is_it) {
            return None;
        }
        let request = self.collections.request();
        self.evidence.best =
            Some(BestSentence { collection: collection.clone(), id, request, by_meaning, sentence: None });
        Some(Effect::FindSentence { request, collection, id, question, by_meaning })
    }

    fn make_map(&mut self) -> Option<Effect> {
        let request = self.collections.request();
        let turn = self.shown_turn()?;
        let candidates = self.evidence.found(turn).map_or(&turn.candidates, |found| &found.candidates);
        let ids: Vec<_> = candidates.iter().take(Map::MOST).map(|candidate| candidate.id).collect();
        // A search with other settings mostly finds what is there already.
        if self
            .evidence
            .map_of(turn)
            .is_some_and(|map| !matches!(map.made, Some(Err(_))) && ids.iter().all(|id| map.asked.contains(id)))
        {
            return None;
        }
        let (turn, question, collection) = (turn.id, turn.question.clone(), self.evidence.collection(turn).to_owned());
        self.evidence.map = Some(Map { turn, collection: collection.clone(), asked: ids.clone(), request, made: None });
        Some(Effect::Project { request, collection, question, ids })
    }

    pub(super) fn sentence_found(&mut self, request: RequestId, sentence: Option<Range<usize>>) {
        if let Some(best) = self.evidence.best.as_mut().filter(|best| best.request == request) {
            best.sentence = sentence;
        }
    }

    pub(super) fn projected(&mut self, request: RequestId, result: Result<Arc<Projection>, String>) {
        if let Some(map) = self.evidence.map.as_mut().filter(|map| map.request == request) {
            map.made = Some(result);
        }
    }

    pub(super) fn act_on_evidence(&mut self, action: EvidenceAction) -> Vec<Effect> {
        match action {
            EvidenceAction::Select(at) if self.evidence.choosing.is_some() => {
                let known = searchable(self.collections.entries.as_deref());
                self.evidence.choosing = known.get(at.min(known.len().saturating_sub(1))).map(|info| info.name.clone());
            }
            EvidenceAction::Select(at) => {
                let Some(turn) = self.shown_turn() else { return Vec::new() };
                let rows = self.evidence.rows(turn);
                self.evidence.selected = rows.get(at.min(rows.len().saturating_sub(1))).map(CandidateRow::key);
                self.evidence.scroll = None;
                return self.load_evidence();
            }
            EvidenceAction::SelectToward(toward) => {
                let nearest = self.shown_turn().and_then(|turn| self.evidence.toward(turn, toward));
                if nearest.is_some() {
                    self.evidence.selected = nearest;
                    return self.load_evidence();
                }
            }
            EvidenceAction::Sort => {
                // The selected one stays so wherever it goes.
                self.evidence.selected = self.shown_row().map(|row| row.key());
                self.evidence.sort = match self.evidence.sort.next() {
                    SortBy::Rerank if !self.is_reranked() => SortBy::Rerank.next(),
                    next => next,
                };
            }
            EvidenceAction::MoreK
            | EvidenceAction::LessK
            | EvidenceAction::NextMode
            | EvidenceAction::NextWeight
            | EvidenceAction::Rerank => {
                let Some(turn) = self.shown_turn() else { return Vec::new() };
                let before = self.evidence.settings(turn);
                if action == EvidenceAction::NextWeight && before.mode != Mode::Hybrid {
                    let told = "the weight is between two retrievers, so it is for hybrid search; ‹next-mode› changes the mode";
                    self.notice = Some(told.to_owned());
                    return Vec::new();
                }
                let Some(settings) = action.change(before) else { return Vec::new() };
                let collection =
                    self.evidence.rerun_of(turn).map_or(&turn.collection, |rerun| &rerun.collection).clone();
                return self.retrieve_again(collection, settings);
            }
            EvidenceAction::ChooseCollection => {
                let Some(turn) =
                    self.shown_turn().filter(|turn| !turn.state.is_running() || !turn.candidates.is_empty())
                else {
                    return Vec::new();
                };
                let collection = self.evidence.collection(turn).to_owned();
                self.evidence.show(EvidencePane::Candidates);
                self.evidence.choosing = Some(collection);
                return self.list_collections();
            }
            EvidenceAction::UseCollection => {
                let chosen = self.evidence.choosing.take();
                let known = searchable(self.collections.entries.as_deref());
                let chosen = chosen.filter(|name| known.iter().any(|info| info.name == *name));
                let settings = self.shown_turn().map(|turn| self.evidence.settings(turn));
                let (Some(collection), Some(settings)) = (chosen, settings) else { return Vec::new() };
                return self.retrieve_again(collection, settings);
            }
            EvidenceAction::Answer => {
                let Some(turn) = self.shown_turn() else { return Vec::new() };
                let rerun = self.evidence.rerun_of(turn);
                let collection = rerun.map_or(&turn.collection, |rerun| &rerun.collection).clone();
                let (question, settings) = (turn.question.clone(), self.evidence.settings(turn));
                self.evidence.turn_changed();
                self.view = View::Chat;
                return self.ask(question, settings, collection);
            }
            EvidenceAction::Export => {
                let Some((turn, at)) = self.shown_turn().zip(self.shown_index()) else { return Vec::new() };
                let info = self.collection().filter(|info| info.name == turn.collection);
                let embedding = info.and_then(|info| info.fingerprint.as_ref());
                match export(turn, at + 1, embedding, self.evidence.rerun_of(turn)) {
                    Ok(json) => return vec![Effect::Export { json }],
                    Err(error) => self.notice = Some(format!("the turn could not be written: {error}")),
                }
            }
            EvidenceAction::NextPane => return self.show_pane(self.evidence.pane.next()),
            EvidenceAction::PreviousPane => return self.show_pane(self.evidence.pane.previous()),
        }
        Vec::new()
    }

    fn show_pane(&mut self, pane: EvidencePane) -> Vec<Effect> {
        self.evidence.show(pane);
        self.load_evidence()
    }
}

impl State {
    /// What was found before stays until there is something new.
    fn retrieve_again(&mut self, collection: String, settings: SearchSettings) -> Vec<Effect> {
        let request = self.collections.request();
        let Some(turn) = self.shown_turn().filter(|turn| !turn.state.is_running() || !turn.candidates.is_empty())
        else {
            return Vec::new();
        };
        let (id, question) = (turn.id, turn.question.clone());
        let ended = self.evidence.rerun_of(turn).and_then(|rerun| rerun.ended.clone());
        let running = Some(request);
        self.evidence.rerun = Some(Rerun { turn: id, collection: collection.clone(), settings, running, ended });
        vec![Effect::Retrieve { request, collection, question, settings }]
    }

    pub(super) fn retrieved_again(&mut self, request: RequestId, result: Result<Arc<Found>, String>) -> Vec<Effect> {
        let Some(rerun) = self.evidence.rerun.as_mut().filter(|rerun| rerun.running == Some(request)) else {
            return Vec::new();
        };
        rerun.running = None;
        if let Ok(found) = &result {
            self.notice = (!found.notices.is_empty()).then(|| found.notices.join("; "));
        }
        rerun.ended = Some(result);
        if self.view == View::Evidence { self.load_evidence() } else { Vec::new() }
    }

    /// Back to what the turn was answered from; what is selected stays so if it is among that.
    pub(super) fn drop_rerun(&mut self) -> Vec<Effect> {
        self.evidence.selected = self.evidence.selected.map(|(_, id)| (false, id));
        self.evidence.rerun = None;
        self.notice = None;
        self.load_evidence()
    }
}
