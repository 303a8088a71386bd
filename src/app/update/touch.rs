use crate::{
    app::{
        Action, CollectionAction, CopyAction, Effect, EvidenceAction, EvidencePane, Focus, IngestAction, Selection,
        State, Step, TouchAction, View, touch::code_blocks,
    },
    domain::{Chunk, Message},
    text::copyable,
};

impl Action {
    /// Whether the person does something else with it: what was done before is no longer told then.
    pub(super) fn goes_on(&self) -> bool {
        match self {
            Self::Scroll(_) | Self::Copy(_) | Self::Redraw | Self::Suspend => false,
            Self::Touch(touch) => {
                !matches!(touch, TouchAction::Press { .. } | TouchAction::Drag { .. } | TouchAction::Unselect)
            }
            _ => true,
        }
    }

    /// Whether what is selected with the mouse stays so.
    pub(super) fn keeps_selection(&self) -> bool {
        match self {
            Self::Scroll(_) | Self::Copy(_) | Self::Escape | Self::Redraw | Self::Suspend => true,
            Self::Touch(touch) => matches!(touch, TouchAction::Drag { .. }),
            _ => false,
        }
    }
}

impl State {
    pub(super) fn touch(&mut self, action: TouchAction) -> Vec<Effect> {
        match action {
            TouchAction::Press { focus, anchor } => {
                self.close_find();
                self.focus = focus;
                self.touch.anchor = anchor;
            }
            TouchAction::Drag { to, scroll } => {
                let Some((pane, anchor)) = self.touch.anchor else { return Vec::new() };
                self.touch.selection = Some(Selection { pane, anchor, head: to });
                return scroll.map_or_else(Vec::new, |scroll| self.act(Action::Scroll(scroll)));
            }
            TouchAction::ChoosePassage(at) => {
                self.focus = Focus::Passages;
                return self.act(Action::SelectPassage(at));
            }
            TouchAction::ChooseCandidate(at) => {
                self.evidence.show(EvidencePane::Candidates);
                return self.act(Action::Evidence(EvidenceAction::Select(at)));
            }
            TouchAction::ChooseRow(at) => {
                self.show_rows(false);
                return self.act(Action::Collection(CollectionAction::SelectRow(at)));
            }
            TouchAction::ShowTurn(at) => return self.select_turn(at),
            TouchAction::ShowCited { turn, passage } => {
                let mut effects = self.select_turn(turn);
                effects.extend(self.act(Action::SelectPassage(passage)));
                return effects;
            }
            TouchAction::PlaceCursor(at) => {
                self.focus = Focus::Input;
                self.input.place(at);
            }
            TouchAction::ChooseOnMap(at) => {
                self.evidence.show(EvidencePane::Map);
                return self.act(Action::Evidence(EvidenceAction::Select(at)));
            }
            TouchAction::ShowIngest(pane) => self.ingest_view.show(pane),
            TouchAction::ChooseEntry { pane, at } => {
                let again = self.ingest_view.pane == pane && self.ingest_list(pane).1 == at;
                self.ingest_view.show(pane);
                return self.act(Action::Ingest(if again { IngestAction::Open } else { IngestAction::Select(at) }));
            }
            TouchAction::ShowEvidence(pane) => self.evidence.show(pane),
            TouchAction::ShowRows { text } => self.show_rows(text),
            TouchAction::Unselect => self.touch.anchor = None,
            TouchAction::Toggle => {
                self.touch.mouse = !self.touch.mouse;
                let told = if self.touch.mouse {
                    "mouse in askdocs; Shift-drag selects as the terminal does"
                } else {
                    "mouse to the terminal: it selects and copies as everywhere else"
                };
                self.report(told.to_owned());
                return vec![Effect::CaptureMouse(self.touch.mouse)];
            }
        }
        Vec::new()
    }

    fn show_rows(&mut self, text: bool) {
        if let Step::Browse(browsing) = &mut self.collections.step {
            browsing.in_text = text;
        }
    }

    /// Shows a turn's passages without moving what is in view.
    fn select_turn(&mut self, at: usize) -> Vec<Effect> {
        if at >= self.turns.len() || self.shown_index() == Some(at) {
            return Vec::new();
        }
        let scroll = self.chat_scroll;
        self.follow_latest();
        self.chat_scroll = scroll;
        self.selected_turn = (at + 1 < self.turns.len()).then_some(at);
        self.evidence.turn_changed();
        self.load_shown()
    }

    /// `last_code`: the code block that the action before this one copied.
    pub(super) fn copy(&mut self, action: CopyAction, last_code: Option<usize>) -> Vec<Effect> {
        (self.touch.anchor, self.palette) = (None, None);
        let turn = self.shown_turn();
        let passage = match self.view {
            View::Evidence => self.candidate_chunk(),
            View::Chat | View::Ingest | View::Collections => self.shown_passage().map(|passage| &passage.chunk),
        };
        let on_prompt = self.view == View::Evidence && self.evidence.pane == EvidencePane::Prompt;
        let on_passage = self.view == View::Evidence || matches!(self.focus, Focus::Passages | Focus::PassageText);
        let missing = match action {
            CopyAction::Answer => "there is no answer to copy",
            CopyAction::Question => "nothing was asked yet",
            CopyAction::Code(_) => "there is no code block in this answer",
            CopyAction::Here if on_prompt => "there is no prompt to copy: no model was asked",
            CopyAction::Here | CopyAction::Passage if self.view == View::Evidence => "its text is not here to copy",
            CopyAction::Here | CopyAction::Passage => "there is no passage to copy",
            CopyAction::Selected(_) => "nothing is selected",
        };
        let (what, text) = match action {
            CopyAction::Here if on_prompt => ("the prompt".to_owned(), turn.map(|turn| prompt_text(&turn.prompt))),
            CopyAction::Here if on_passage => return self.copy(CopyAction::Passage, last_code),
            CopyAction::Here => return self.copy(CopyAction::Answer, last_code),
            CopyAction::Answer => ("the answer".to_owned(), turn.map(|turn| turn.answer.clone())),
            CopyAction::Question => ("the question".to_owned(), turn.map(|turn| turn.question.clone())),
            CopyAction::Passage => {
                let number = passage.map(|chunk| format!("the passage {}", chunk.place()));
                (number.unwrap_or_else(|| "the passage".to_owned()), passage.map(|chunk| chunk.text.clone()))
            }
            CopyAction::Selected(text) => ("the selection".to_owned(), Some(text)),
            CopyAction::Code(in_view) => {
                let blocks = turn.map(|turn| code_blocks(&turn.answer)).unwrap_or_default();
                let at = last_code.map_or(in_view.min(blocks.len().saturating_sub(1)), |last| last + 1);
                let at = at.checked_rem(blocks.len()).unwrap_or(0);
                self.touch.code = (!blocks.is_empty()).then_some(at);
                (format!("code block {} of {}", at + 1, blocks.len()), blocks.into_iter().nth(at))
            }
        };
        let Some(text) = text.map(|text| copyable(&text)).filter(|text| !text.is_empty()) else {
            self.notice = Some(missing.to_owned());
            return Vec::new();
        };
        vec![Effect::Copy { what, text }]
    }

    /// The selected candidate's chunk, once it has been read.
    fn candidate_chunk(&self) -> Option<&Chunk> {
        let (turn, id, collection) = (self.shown_turn()?, self.shown_candidate()?.id, self.candidate_collection()?);
        let own = turn.passages.iter().filter(|_| collection == turn.collection).map(|passage| &passage.chunk);
        self.around(collection, id).iter().chain(own).find(|chunk| chunk.id == id)
    }
}

/// The messages as they were sent, each below its role.
fn prompt_text(prompt: &[Message]) -> String {
    let message = |message: &Message| format!("{}:\n{}\n", message.role.name(), message.content.trim_end());
    prompt.iter().map(message).collect::<Vec<_>>().join("\n")
}
