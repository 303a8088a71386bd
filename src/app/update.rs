mod collections;
mod evidence;
mod export;
mod ingest;
mod input;
mod palette;
mod touch;

use std::{collections::btree_map::Entry, sync::Arc};

use super::{
    Action, Answerer, Armed, ChatScroll, Edit, Editor, Effect, Escape, Event, EvidencePane, Focus, IngestAction, Model,
    Place, Places, RecallAction, Scroll, State, Step, Store, View,
};
use crate::domain::{ChunkId, CollectionInfo, SearchSettings, StageTimings, ThemeName, Turn, TurnId, TurnState};

/// Whether a question can be asked now.
enum Readiness {
    Ready,
    /// Something it needs is on its way.
    NotYet,
    /// What it needs won't come by itself; the text says why and what to do.
    Never(String),
}

impl State {
    /// Changes the state by one event; returns what has to be done about it, in order.
    pub fn update(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Action(action) => self.act(action),
            Event::StoreOpened { store, name, collection, keeps_handbook, index } => {
                let index =
                    (index && self.ingest.is_none()).then(|| self.start_ingest(name.clone(), Vec::new(), false));
                let collection = collection.map(Arc::new);
                self.store = Store::Open { description: store, name, collection, keeps_handbook };
                let mut effects = self.ask_waiting();
                effects.extend(index);
                effects
            }
            Event::CollectionChanged(changed) => {
                self.note_collection(changed);
                self.ask_waiting()
            }
            Event::StoreFailed(message) => {
                if self.collections.reading.take().is_some() {
                    self.collections.error = Some(message.clone());
                }
                self.store = Store::Failed(message);
                self.ask_waiting()
            }
            Event::ModelProgress { snapshot, elapsed } => {
                if let Model::Loading { snapshot: last, pace } = &mut self.model {
                    pace.sample(&snapshot, elapsed);
                    *last = snapshot;
                }
                if !self.is_downloading() {
                    self.disarm(Armed::StopDownload);
                }
                Vec::new()
            }
            Event::ModelReady { name, dim } => {
                self.model = Model::Ready { name, dim };
                self.disarm(Armed::StopDownload);
                Vec::new()
            }
            Event::ModelFailed(message) => {
                self.model = Model::Failed(message);
                self.disarm(Armed::StopDownload);
                Vec::new()
            }
            Event::ChatModel { label, note } => {
                let known = self.answerer != Answerer::Unknown;
                self.answerer = label.map_or(Answerer::Quotes, Answerer::Model);
                match note {
                    Some(note) if known => self.report(note),
                    Some(note) => self.notice = Some(note),
                    None => {}
                }
                Vec::new()
            }
            Event::ChatModels(listed) => {
                match listed {
                    Ok(names) => self.chat_models = names,
                    Err(why) => self.notice = Some(why),
                }
                Vec::new()
            }
            Event::History(questions) => {
                self.asked_before = questions.len();
                self.history.load(questions);
                Vec::new()
            }
            Event::Retrieved { turn, mode, passages, candidates, prompt, timings, notices } => {
                let Some(turn) = self.asked_turn(turn) else { return Vec::new() };
                turn.state = TurnState::Thinking;
                // From here on the turn shows how it was really answered.
                turn.settings.mode = mode;
                turn.passages = passages;
                (turn.candidates, turn.prompt) = (candidates, prompt);
                turn.timings = timings;
                turn.notices.extend(notices);
                self.load_shown()
            }
            Event::RetrievedAgain { request, result } => self.retrieved_again(request, result),
            Event::Projected { request, result } => {
                self.projected(request, result);
                Vec::new()
            }
            Event::SentenceFound { request, sentence } => {
                self.sentence_found(request, sentence);
                Vec::new()
            }
            Event::PromptCounted { turn, tokens } => {
                if let Some(turn) = self.turns.iter_mut().find(|known| known.id == turn) {
                    turn.prompt_tokens = tokens;
                }
                Vec::new()
            }
            Event::Waited { turn, seconds } => {
                if let Some(turn) = self.asked_turn(turn) {
                    turn.waited_s = seconds;
                }
                Vec::new()
            }
            Event::AnswerBegan { turn, timings } => {
                if let Some(turn) = self.asked_turn(turn) {
                    (turn.timings, turn.waited_s) = (timings, 0);
                }
                Vec::new()
            }
            Event::Delta { turn, text } => {
                if let Some(turn) = self.asked_turn(turn) {
                    turn.state = TurnState::Streaming;
                    turn.answer.push_str(&text);
                }
                Vec::new()
            }
            Event::WasThought { turn } => {
                if let Some(turn) = self.asked_turn(turn) {
                    let thought = std::mem::take(&mut turn.answer);
                    turn.reasoning.push_str(&thought);
                }
                Vec::new()
            }
            Event::Reasoning { turn, text } => {
                if let Some(turn) = self.asked_turn(turn) {
                    turn.reasoning.push_str(&text);
                }
                Vec::new()
            }
            Event::Finished { turn, finish, usage, timings } => {
                if let Some(turn) = self.asked_turn(turn) {
                    turn.end(TurnState::Done(finish));
                    turn.usage = usage;
                    turn.timings = timings;
                }
                Vec::new()
            }
            Event::TurnFailed { turn, message } => {
                if let Some(turn) = self.asked_turn(turn) {
                    turn.end(TurnState::Failed(message));
                }
                Vec::new()
            }
            Event::Neighbours { collection, id, result } => {
                // Only what is still wanted: an ingest in between has made the rest out of date.
                if let Entry::Occupied(mut entry) = self.neighbours.entry((collection, id)) {
                    entry.insert(Some(result));
                }
                Vec::new()
            }
            Event::IngestProgress { job, snapshot, elapsed } => {
                if let Some(running) = self.ingest.as_mut().filter(|running| running.id == job) {
                    running.pace.sample(&snapshot, elapsed);
                    (running.snapshot, running.elapsed) = (snapshot, elapsed);
                }
                Vec::new()
            }
            Event::PastRuns(runs) => {
                self.past_runs(runs);
                Vec::new()
            }
            Event::IngestFinished { job, result, collection } => self.ingest_finished(job, result, collection),
            Event::CollectionsListed { request, result } => self.collections_listed(request, result),
            Event::Rows { request, result } => self.rows_read(request, result),
            Event::CollectionDropped { name, result } => self.collection_dropped(&name, result),
            Event::PathCompleted { request, path, candidates } => self.path_completed(request, path, candidates),
            Event::SourceChecked { request, result } => self.source_checked(request, result),
            Event::Draft(draft) => {
                self.restore_draft(&draft);
                Vec::new()
            }
            Event::Edited(result) => {
                self.edited(result);
                Vec::new()
            }
            Event::Copied(copied) => {
                match copied.reached() {
                    true => self.report(copied.tell()),
                    false => self.notice = Some(copied.tell()),
                }
                Vec::new()
            }
            Event::Done(text) => {
                self.report(text);
                Vec::new()
            }
            Event::Notice(text) => {
                self.notice = Some(text);
                Vec::new()
            }
        }
    }

    fn act(&mut self, action: Action) -> Vec<Effect> {
        let armed = self.armed.take();
        self.hints.note(&action);
        let last_code = self.touch.code.take();
        if matches!(action, Action::Palette(_) | Action::Insert(_) | Action::Edit(_)) {
            // The command that copies the next block is being written.
            self.touch.code.clone_from(&last_code);
        }
        if action != Action::Interrupt {
            self.cleared.clear();
        }
        if action.goes_on() {
            self.done = None;
        }
        if !action.keeps_selection() {
            self.touch.selection = None;
        }
        match action {
            Action::Submit if self.recalling() => return self.recall(RecallAction::Take),
            Action::Insert(text) if self.recalling() => self.change_recall(|line| _ = line.insert_line(&text)),
            Action::Edit(edit) if self.recalling() => self.change_recall(|line| line.edit(edit)),
            Action::Up if self.recalling() => return self.recall(RecallAction::Older),
            Action::Down if self.recalling() => return self.recall(RecallAction::Newer),
            Action::Insert(text) if self.place() == Place::Find => self.change_find(|line| _ = line.insert_line(&text)),
            Action::Edit(edit) if self.place() == Place::Find => self.change_find(|line| line.edit(edit)),
            Action::Find(action) => self.act_on_find(action),
            Action::Submit => return self.submit(),
            Action::Insert(text) if self.writes_line() => {
                self.write_line(|line| {
                    line.insert_line(&text);
                });
                return self.list_words();
            }
            Action::Edit(Edit::DeleteBack) if self.palette.as_ref().is_some_and(|p| p.slash && p.line.is_empty()) => {
                self.palette = None;
            }
            Action::Edit(edit) if self.writes_line() => self.write_line(|line| line.edit(edit)),
            Action::Insert(text) => self.put_in(&text),
            Action::Edit(edit) => {
                self.history.end_walk();
                self.input.edit(edit);
            }
            Action::Up => {
                if !self.input.up()
                    && let Some(question) = self.history.older(self.input.text())
                {
                    self.input.set(&question);
                }
            }
            Action::Down => {
                if !self.input.down()
                    && let Some(question) = self.history.newer()
                {
                    self.input.set(&question);
                }
            }
            Action::FocusNext => {
                self.focus = match self.focus {
                    Focus::Input => Focus::Chat,
                    Focus::Chat => Focus::Passages,
                    Focus::Passages => Focus::PassageText,
                    Focus::PassageText => Focus::Input,
                };
            }
            Action::FocusPrevious => {
                self.focus = match self.focus {
                    Focus::Input => Focus::PassageText,
                    Focus::PassageText => Focus::Passages,
                    Focus::Passages => Focus::Chat,
                    Focus::Chat => Focus::Input,
                };
            }
            Action::OlderTurn => return self.show_turn(self.shown_index().and_then(|at| at.checked_sub(1))),
            Action::NewerTurn => return self.show_turn(self.shown_index().map(|at| at + 1)),
            Action::SelectPassage(at) => {
                let count = self.shown_turn().map_or(0, |turn| turn.passages.len());
                self.selected_passage = at.min(count.saturating_sub(1));
                self.passage_scroll = 0;
                return self.load_neighbours();
            }
            Action::Scroll(scroll) => match scroll {
                Scroll::Chat(to) => self.chat_scroll = to,
                Scroll::Passage(to) => self.passage_scroll = to,
                Scroll::Row(to) => {
                    if let Step::Browse(browsing) = &mut self.collections.step {
                        browsing.scroll = to;
                    }
                }
                Scroll::Evidence(to) => self.evidence.scroll = Some(to),
                Scroll::Help(to) => self.help_scroll = to,
            },
            Action::SwitchView(view) => {
                self.view = if self.view == view { View::Chat } else { view };
                (self.help, self.palette) = (false, None);
                if self.view == View::Collections {
                    return self.enter_collections();
                }
                if self.view == View::Evidence {
                    return self.enter_evidence();
                }
            }
            Action::Ingest(IngestAction::Stop) => return self.stop_work(armed),
            Action::Ingest(action) => return self.act_on_ingest(action),
            Action::Collection(action) => return self.act_on_collections(action),
            Action::Evidence(action) => return self.act_on_evidence(action),
            Action::Palette(action) => return self.act_on_palette(action),
            Action::Set(setting) => return self.set(setting),
            Action::Help => {
                self.palette = None;
                self.help = !self.help;
                self.help_scroll = 0;
            }
            Action::Recall(action) => return self.recall(action),
            Action::EditOutside => return vec![Effect::EditOutside(self.input.text().to_owned())],
            Action::Copy(action) => return self.copy(action, last_code),
            Action::Touch(action) => return self.touch(action),
            Action::Reindex => return self.reindex(false),
            Action::Escape => {
                self.armed = armed;
                return self.step_back();
            }
            Action::Interrupt => {
                self.armed = Some(Armed::Quit);
                if armed == Some(Armed::Quit) {
                    return vec![Effect::Quit];
                }
                self.cleared.clear();
                if self.writes_line() {
                    self.write_line(|line| drop(line.take()));
                } else if self.recalling() {
                    self.recall = None;
                } else if self.place() == Place::Find {
                    self.close_find();
                } else if self.view == View::Chat && !self.input.is_empty() {
                    // Kept, so that Up brings back what was cleared by mistake.
                    self.history.push(self.input.text());
                    self.cleared = self.input.text().to_owned();
                    self.input.set("");
                } else {
                    return self.stop_answer();
                }
            }
            Action::NextTheme => self.set_theme(self.theme.next()),
            Action::SetTheme(theme) => self.set_theme(theme),
            Action::Redraw => return vec![Effect::Redraw],
            Action::Suspend if cfg!(windows) => {
                self.notice = Some("Windows can't stop a program and go on with it; open another tab".to_owned());
            }
            Action::Suspend => return vec![Effect::Suspend],
            Action::Quit => return vec![Effect::Quit],
        }
        Vec::new()
    }

    /// A line of text has the keys that is not the question.
    fn writes_line(&self) -> bool {
        Places::LINES.contains(self.place())
    }

    /// Changes the text that is looked for: the nearest row that holds it is shown.
    fn change_find(&mut self, change: impl FnOnce(&mut Editor)) {
        if let Some(find) = &mut self.find {
            change(&mut find.line);
            find.shown = None;
        }
    }

    /// Changes the line that has the keys.
    fn write_line(&mut self, write: impl FnOnce(&mut Editor)) {
        match &mut self.palette {
            Some(palette) => {
                write(&mut palette.line);
                palette.selected = 0;
            }
            None => self.write_collection_line(write),
        }
    }

    fn set_theme(&mut self, theme: ThemeName) {
        self.theme = theme;
        self.report(format!("theme {theme}; `theme = \"{theme}\"` under [ui] in the configuration keeps it"));
    }

    fn submit(&mut self) -> Vec<Effect> {
        if self.input.text().trim().is_empty() {
            return Vec::new();
        }
        match self.slashed(self.input.text().trim_end()) {
            None => {}
            Some(Err(why)) => {
                self.notice = Some(why);
                return Vec::new();
            }
            Some(Ok(action)) => {
                let written = self.input.take();
                self.history.push(&written);
                return self.act(action);
            }
        }
        let question = self.input.take().trim().to_owned();
        self.history.push(&question);
        let mut effects = self.ask(question.clone(), self.settings, String::new());
        effects.push(Effect::Remember(question));
        effects
    }

    /// Asks a question now, or as soon as that can be done; where no collection is named, of the one in use by then.
    fn ask(&mut self, question: String, settings: SearchSettings, collection: String) -> Vec<Effect> {
        let mut effects = self.stop_answer();
        self.last_turn += 1;
        self.turns.push(Turn {
            id: TurnId(self.last_turn),
            question,
            collection,
            settings,
            model: None,
            passages: Vec::new(),
            candidates: Arc::default(),
            prompt: Arc::default(),
            prompt_tokens: Vec::new(),
            answer: String::new(),
            reasoning: String::new(),
            waited_s: 0,
            usage: None,
            timings: StageTimings::default(),
            notices: Vec::new(),
            state: TurnState::Waiting,
        });
        self.follow_latest();
        (self.notice, self.done) = (None, None);
        effects.extend(self.ask_waiting());
        effects
    }

    /// The collection in use, if it is this one, holds something else now.
    fn note_collection(&mut self, changed: Arc<CollectionInfo>) {
        if let Store::Open { name, collection, .. } = &mut self.store
            && *name == changed.name
        {
            *collection = Some(Arc::clone(&changed));
        }
        let known = self.collections.entries.iter_mut().flatten();
        if let Some(entry) = known.into_iter().find(|entry| entry.name() == changed.name) {
            *entry = super::Entry::Readable(changed);
        }
    }

    /// Asks the waiting question if everything it needs is there, or fails it if that will never be.
    fn ask_waiting(&mut self) -> Vec<Effect> {
        let readiness = self.readiness();
        let model = match &self.answerer {
            Answerer::Model(label) => Some(label.clone()),
            Answerer::Unknown | Answerer::Quotes => None,
        };
        let in_use = self.collection_name().unwrap_or_default().to_owned();
        let is_open = matches!(self.store, Store::Open { .. });
        let filled = self.ingest.as_ref().filter(|job| job.lacks()).map(|job| job.collection.clone());
        let Some(turn) = self.turns.last_mut().filter(|turn| turn.state == TurnState::Waiting) else {
            return Vec::new();
        };
        // One that was named was searched before.
        let named = !turn.collection.is_empty();
        match if named && is_open { Readiness::Ready } else { readiness } {
            Readiness::NotYet => Vec::new(),
            Readiness::Never(why) => {
                (turn.state, turn.model) = (TurnState::Failed(why), model);
                Vec::new()
            }
            Readiness::Ready => {
                (turn.state, turn.model) = (TurnState::Retrieving, model);
                if !named {
                    turn.collection = in_use;
                }
                if filled.as_ref() == Some(&turn.collection) {
                    turn.notices.push("indexing is under way: what is not stored yet was not searched".to_owned());
                }
                vec![Effect::Ask {
                    turn: turn.id,
                    collection: turn.collection.clone(),
                    question: turn.question.clone(),
                    settings: turn.settings,
                }]
            }
        }
    }

    fn readiness(&self) -> Readiness {
        match &self.store {
            Store::Opening => Readiness::NotYet,
            Store::Failed(message) => Readiness::Never(message.clone()),
            Store::Open { collection: Some(collection), .. } if collection.passages > 0 => Readiness::Ready,
            Store::Open { name, .. } if self.ingest.as_ref().is_some_and(|job| job.collection == *name) => {
                Readiness::NotYet
            }
            Store::Open { name, .. } => {
                let ended = self.last_ingest.as_ref().filter(|ended| ended.collection == *name);
                let why = match ended.map(|ended| &ended.result) {
                    Some(Err(message)) => format!("\n{message}"),
                    Some(Ok(_)) => String::new(),
                    // Nothing that it is made from is known, so no index was begun by itself.
                    None => {
                        let hint = format!(
                            "hint: `askdocs ingest PATH --collection {name}` fills it; /collections shows what else there is"
                        );
                        return Readiness::Never(format!("the collection {name:?} holds no passages yet\n{hint}"));
                    }
                };
                let hint = "hint: /reindex indexes again, /ingest shows what happened";
                Readiness::Never(format!("the collection {name:?} holds no passages yet{why}\n{hint}"))
            }
        }
    }

    /// Stops the running answer, if there is one; its text is kept.
    fn stop_answer(&mut self) -> Vec<Effect> {
        let Some(turn) = self.turns.last_mut().filter(|turn| turn.state.is_running()) else { return Vec::new() };
        let asked = turn.state != TurnState::Waiting;
        turn.end(TurnState::Stopped);
        if asked { vec![Effect::CancelTurn(turn.id)] } else { Vec::new() }
    }

    /// The running turn, if it is this one and has been asked: whoever else sends something is late.
    fn asked_turn(&mut self, id: TurnId) -> Option<&mut Turn> {
        let turn = self.turns.last_mut()?;
        (turn.id == id && turn.state.is_running() && turn.state != TurnState::Waiting).then_some(turn)
    }

    fn follow_latest(&mut self) {
        self.selected_turn = None;
        self.selected_passage = 0;
        self.passage_scroll = 0;
        self.chat_scroll = ChatScroll::End;
    }

    /// Shows another turn's passages; nothing changes where there is no such turn.
    fn show_turn(&mut self, at: Option<usize>) -> Vec<Effect> {
        let Some(turn) = at.filter(|at| *at < self.turns.len()) else { return Vec::new() };
        self.follow_latest();
        if turn + 1 < self.turns.len() {
            self.selected_turn = Some(turn);
            self.chat_scroll = ChatScroll::At { turn, row: 0 };
        }
        self.evidence.turn_changed();
        self.load_shown()
    }

    /// Asks for the text around whatever is selected in the view that is shown.
    fn load_shown(&mut self) -> Vec<Effect> {
        if self.view == View::Evidence { self.load_evidence() } else { self.load_neighbours() }
    }

    /// Asks for the surroundings of the passage that is shown, once.
    fn load_neighbours(&mut self) -> Vec<Effect> {
        let shown = self.shown_turn().zip(self.shown_passage());
        let shown = shown.map(|(turn, passage)| (turn.collection.clone(), passage.chunk.id));
        shown.map_or_else(Vec::new, |(collection, id)| self.load_around(collection, id))
    }

    /// Asks for a chunk with its surroundings, once, and once more where that failed or it was not there: it may be again.
    fn load_around(&mut self, collection: String, id: ChunkId) -> Vec<Effect> {
        let key = (collection.clone(), id);
        let is_known = self.neighbours.get(&key).is_some_and(|known| match known {
            None => true,
            Some(Ok(chunks)) => chunks.iter().any(|chunk| chunk.id == id),
            Some(Err(_)) => false,
        });
        if is_known {
            return Vec::new();
        }
        self.neighbours.insert(key, None);
        vec![Effect::LoadNeighbours { collection, id }]
    }

    fn step_back(&mut self) -> Vec<Effect> {
        let step = self.escape();
        self.armed = None;
        self.notice = None;
        match step {
            Escape::ClosePalette => {
                // A question may begin with a path; what was written of it is not lost.
                if let Some(written) = self.palette.take().filter(|palette| palette.slash)
                    && self.input.is_empty()
                    && written.is_question()
                {
                    self.input.set(&format!("/{}", written.line.text()));
                }
            }
            Escape::CloseHelp => self.help = false,
            Escape::CloseEntry => self.ingest_view.open = false,
            Escape::DropSelection => self.touch.selection = None,
            Escape::LeaveRecall => self.recall = None,
            Escape::CloseFind => self.close_find(),
            Escape::LeaveIngest | Escape::LeaveCollections => self.view = View::Chat,
            Escape::LeaveEvidence => {
                self.view = View::Chat;
                return self.load_neighbours();
            }
            Escape::DropRerun => return self.drop_rerun(),
            Escape::CancelChoice => self.evidence.choosing = None,
            Escape::BackToCandidates => self.evidence.show(EvidencePane::Candidates),
            Escape::BackToPath | Escape::CancelStep | Escape::BackToRows | Escape::BackToList => self.leave_step(),
            Escape::StopAnswer => return self.stop_answer(),
            Escape::FocusInput => self.focus = Focus::Input,
            Escape::FollowLatest => {
                self.follow_latest();
                return self.load_neighbours();
            }
            Escape::Nothing => {}
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests;
