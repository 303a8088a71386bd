use std::{collections::btree_map::Entry, sync::Arc, time::Duration};

use super::{
    Action, Answerer, Armed, ChatScroll, Effect, Escape, Event, Focus, IngestJob, Model, Scroll, State, Store, View,
};
use crate::domain::{IngestReport, JobId, ProgressSnapshot, StageTimings, Turn, TurnId, TurnState};

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
            Event::StoreOpened { store, name, collection, index } => {
                self.store = Store::Open { description: store, name, collection: collection.map(Arc::new) };
                let index = (index && self.ingest.is_none()).then(|| self.start_ingest());
                let mut effects = self.ask_waiting();
                effects.extend(index);
                effects
            }
            Event::CollectionChanged(changed) => {
                if let Store::Open { collection, .. } = &mut self.store {
                    *collection = Some(changed);
                }
                self.ask_waiting()
            }
            Event::StoreFailed(message) => {
                self.store = Store::Failed(message);
                self.ask_waiting()
            }
            Event::ModelProgress { snapshot, elapsed } => {
                self.model = Model::Loading { snapshot, elapsed };
                Vec::new()
            }
            Event::ModelReady { name, dim } => {
                self.model = Model::Ready { name, dim };
                Vec::new()
            }
            Event::ModelFailed(message) => {
                self.model = Model::Failed(message);
                Vec::new()
            }
            Event::ChatModel { label, note } => {
                self.answerer = label.map_or(Answerer::Quotes, Answerer::Model);
                if note.is_some() {
                    self.notice = note;
                }
                Vec::new()
            }
            Event::History(questions) => {
                self.history.load(questions);
                Vec::new()
            }
            Event::Retrieved { turn, mode, passages, timings, notices } => {
                let Some(turn) = self.asked_turn(turn) else { return Vec::new() };
                turn.state = TurnState::Thinking;
                // From here on the turn shows how it was really answered.
                turn.settings.mode = mode;
                turn.passages = passages;
                turn.timings = timings;
                turn.notices.extend(notices);
                self.load_neighbours()
            }
            Event::Delta { turn, text } => {
                if let Some(turn) = self.asked_turn(turn) {
                    turn.state = TurnState::Streaming;
                    turn.answer.push_str(&text);
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
                    turn.state = TurnState::Done(finish);
                    turn.usage = usage;
                    turn.timings = timings;
                }
                Vec::new()
            }
            Event::TurnFailed { turn, message } => {
                if let Some(turn) = self.asked_turn(turn) {
                    turn.state = TurnState::Failed(message);
                }
                Vec::new()
            }
            Event::Neighbours { id, chunks } => {
                // Only what is still wanted: an ingest in between has made the rest out of date.
                if let Entry::Occupied(mut entry) = self.neighbours.entry(id) {
                    entry.insert(chunks);
                }
                Vec::new()
            }
            Event::IngestProgress { job, snapshot, elapsed } => {
                if let Some(running) = self.ingest.as_mut().filter(|running| running.id == job) {
                    (running.snapshot, running.elapsed) = (snapshot, elapsed);
                }
                Vec::new()
            }
            Event::IngestFinished { job, result, collection } => {
                if self.ingest.take_if(|running| running.id == job).is_none() {
                    return Vec::new();
                }
                if let (Store::Open { collection: shown, .. }, Some(left)) = (&mut self.store, collection) {
                    *shown = Some(left);
                }
                if self.armed == Some(Armed::StopIngest) {
                    self.armed = None;
                }
                self.notice = Some(summary(&result));
                self.last_ingest = Some(result);
                self.skips_scroll = 0;
                self.neighbours.clear();
                let mut effects = self.ask_waiting();
                effects.extend(self.load_neighbours());
                effects
            }
            Event::Notice(text) => {
                self.notice = Some(text);
                Vec::new()
            }
        }
    }

    fn act(&mut self, action: Action) -> Vec<Effect> {
        let armed = self.armed.take();
        match action {
            Action::Submit => return self.submit(),
            Action::Insert(text) => {
                self.history.end_walk();
                self.focus = Focus::Input;
                if !self.input.insert(&text) {
                    self.notice = Some("the question is too long: its end was cut off".to_owned());
                }
            }
            Action::Edit(edit) => {
                self.history.end_walk();
                self.input.edit(edit);
            }
            Action::Up => {
                if !self.input.up()
                    && let Some(question) = self.history.older(self.input.text())
                {
                    self.input.set(question);
                }
            }
            Action::Down => {
                if !self.input.down()
                    && let Some(question) = self.history.newer()
                {
                    self.input.set(question);
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
                Scroll::Skips(to) => self.skips_scroll = to,
                Scroll::Help(to) => self.help_scroll = to,
            },
            Action::SwitchView => {
                self.view = match self.view {
                    View::Chat => View::Ingest,
                    View::Ingest => View::Chat,
                };
                self.help = false;
            }
            Action::Help => {
                self.help = !self.help;
                self.help_scroll = 0;
            }
            Action::Reindex => return self.reindex(),
            Action::Escape => {
                self.armed = armed;
                return self.step_back();
            }
            Action::Interrupt => {
                if armed == Some(Armed::Quit) {
                    return vec![Effect::Quit];
                }
                self.armed = Some(Armed::Quit);
                if !self.input.is_empty() {
                    // Kept, so that Up brings back what was cleared by mistake.
                    let cleared = self.input.take();
                    self.history.push(&cleared);
                } else {
                    return self.stop_answer();
                }
            }
            Action::Redraw => return vec![Effect::Redraw],
            Action::Suspend => return vec![Effect::Suspend],
            Action::Quit => return vec![Effect::Quit],
        }
        Vec::new()
    }

    fn submit(&mut self) -> Vec<Effect> {
        if self.input.text().trim().is_empty() {
            return Vec::new();
        }
        let question = self.input.take().trim().to_owned();
        self.history.push(&question);
        let mut effects = self.stop_answer();
        self.last_turn += 1;
        self.turns.push(Turn {
            id: TurnId(self.last_turn),
            question: question.clone(),
            settings: self.settings,
            model: None,
            passages: Vec::new(),
            answer: String::new(),
            reasoning: String::new(),
            usage: None,
            timings: StageTimings::default(),
            notices: Vec::new(),
            state: TurnState::Waiting,
        });
        self.follow_latest();
        self.notice = None;
        effects.extend(self.ask_waiting());
        effects.push(Effect::Remember(question));
        effects
    }

    /// Asks the waiting question if everything it needs is there, or fails it if that will never be.
    fn ask_waiting(&mut self) -> Vec<Effect> {
        let readiness = self.readiness();
        let answerer = self.answerer.clone();
        let Some(turn) = self.turns.last_mut().filter(|turn| turn.state == TurnState::Waiting) else {
            return Vec::new();
        };
        match readiness {
            Readiness::NotYet => Vec::new(),
            Readiness::Never(why) => {
                turn.state = TurnState::Failed(why);
                Vec::new()
            }
            Readiness::Ready => {
                turn.state = TurnState::Retrieving;
                turn.model = match answerer {
                    Answerer::Model(label) => Some(label),
                    Answerer::Unknown | Answerer::Quotes => None,
                };
                vec![Effect::Ask { turn: turn.id, question: turn.question.clone(), settings: turn.settings }]
            }
        }
    }

    fn readiness(&self) -> Readiness {
        match &self.store {
            Store::Opening => Readiness::NotYet,
            Store::Failed(message) => Readiness::Never(message.clone()),
            Store::Open { collection: Some(collection), .. } if collection.passages > 0 => Readiness::Ready,
            Store::Open { .. } if self.ingest.is_some() => Readiness::NotYet,
            // Nothing that it is made from is known, so no index was begun by itself.
            Store::Open { name, .. } if self.last_ingest.is_none() => Readiness::Never(format!(
                "the collection {name:?} holds no passages yet\nhint: `askdocs ingest PATH --collection {name}` fills it"
            )),
            Store::Open { name, .. } => {
                let why = match &self.last_ingest {
                    Some(Err(message)) => format!("\n{message}"),
                    Some(Ok(_)) | None => String::new(),
                };
                let hint = "hint: Ctrl-R indexes again, Ctrl-T shows what happened";
                Readiness::Never(format!("the collection {name:?} holds no passages yet{why}\n{hint}"))
            }
        }
    }

    /// Stops the running answer, if there is one; its text is kept.
    fn stop_answer(&mut self) -> Vec<Effect> {
        let Some(turn) = self.turns.last_mut().filter(|turn| turn.state.is_running()) else { return Vec::new() };
        let asked = turn.state != TurnState::Waiting;
        turn.state = TurnState::Stopped;
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
        self.load_neighbours()
    }

    /// Asks for the surroundings of the passage that is shown, once.
    fn load_neighbours(&mut self) -> Vec<Effect> {
        let Some(id) = self.shown_passage().map(|passage| passage.chunk.id) else { return Vec::new() };
        match self.neighbours.entry(id) {
            Entry::Occupied(_) => Vec::new(),
            Entry::Vacant(entry) => {
                entry.insert(Vec::new());
                vec![Effect::LoadNeighbours(id)]
            }
        }
    }

    fn reindex(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Model::Failed(_) = self.model {
            self.model = Model::default();
            effects.push(Effect::RetryModel);
        }
        match (&self.store, &self.ingest) {
            (_, Some(_)) => self.notice = Some("indexing is under way already; Ctrl-T shows how far it is".to_owned()),
            (Store::Open { .. }, None) => effects.push(self.start_ingest()),
            (Store::Opening, None) => self.notice = Some("the store is still being opened".to_owned()),
            (Store::Failed(_), None) => {
                self.notice = Some("the store could not be opened, so nothing can be indexed".to_owned());
            }
        }
        effects
    }

    fn start_ingest(&mut self) -> Effect {
        self.last_job += 1;
        let id = JobId(self.last_job);
        let snapshot = ProgressSnapshot::default();
        self.ingest = Some(IngestJob { id, snapshot, elapsed: Duration::ZERO, stopping: false });
        self.skips_scroll = 0;
        Effect::StartIngest { job: id, force: false }
    }

    fn step_back(&mut self) -> Vec<Effect> {
        let step = self.escape();
        self.armed = None;
        self.notice = None;
        match step {
            Escape::CloseHelp => self.help = false,
            Escape::ArmStopIngest => self.armed = Some(Armed::StopIngest),
            Escape::StopIngest => {
                if let Some(job) = &mut self.ingest {
                    job.stopping = true;
                    return vec![Effect::CancelIngest(job.id)];
                }
            }
            Escape::LeaveIngest => self.view = View::Chat,
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

/// How an ingest ended, in one line.
fn summary(result: &Result<IngestReport, String>) -> String {
    let report = match result {
        Ok(report) => report,
        Err(message) => return format!("indexing failed: {}", message.lines().next().unwrap_or("")),
    };
    let totals = format!("{} documents, {} passages", report.documents, report.passages);
    let skipped = match report.skipped.len() {
        0 => String::new(),
        n => format!(" · {n} skipped, Ctrl-T says why"),
    };
    if report.interrupted {
        format!("indexing stopped: {totals} are in the index, the next run goes on from there{skipped}")
    } else if report.unchanged == report.documents && report.removed == 0 {
        format!("nothing has changed: {totals}{skipped}")
    } else {
        format!("indexed {totals} in {:.1} s{skipped}", report.seconds)
    }
}

#[cfg(test)]
mod tests;
