use std::{collections::BTreeMap, sync::Arc};

use super::{
    ChatScroll, Collections, Editor, EndedIngest, Evidence, EvidencePane, Find, Hints, History, IngestJob, IngestView,
    Palette, Place, Recall, Step, Touch,
};
use crate::domain::{
    Chunk, ChunkId, CollectionInfo, Pace, Passage, ProgressSnapshot, SearchSettings, Stage, ThemeName, Turn,
};

/// What stands around a passage in its document, itself included, or why that could not be read; `None` was asked for and
/// has not come yet.
pub type Surroundings = Option<Result<Vec<Chunk>, String>>;

/// The whole application as data. Read it to draw; [`State::update`] changes it.
#[derive(Debug, Default)]
pub struct State {
    pub view: View,
    pub theme: ThemeName,
    /// The help overlay is open.
    pub help: bool,
    /// The commands to choose from, while they are open.
    pub palette: Option<Palette>,
    pub focus: Focus,
    pub input: Editor,
    pub history: History,
    /// The history is being searched.
    pub recall: Option<Recall>,
    pub touch: Touch,
    pub find: Option<Find>,
    /// The text that was looked for last.
    pub(super) last_found: String,
    pub hints: Hints,
    /// Questions of earlier runs.
    pub(super) asked_before: usize,
    /// The models that the configured server lists, once it was asked.
    pub chat_models: Vec<String>,
    pub settings: SearchSettings,

    /// Oldest first. Only the last one can be running.
    pub turns: Vec<Turn>,
    /// Place in `turns` of the one whose passages are shown; `None` follows the last.
    pub selected_turn: Option<usize>,
    /// Place of the selected passage among the shown turn's, from 0.
    pub selected_passage: usize,
    /// By collection and passage.
    pub neighbours: BTreeMap<(String, ChunkId), Surroundings>,

    pub chat_scroll: ChatScroll,
    pub passage_scroll: isize,
    pub help_scroll: usize,

    pub store: Store,
    pub model: Model,
    pub answerer: Answerer,
    pub ingest: Option<IngestJob>,
    pub last_ingest: Option<EndedIngest>,
    pub ingest_view: IngestView,
    pub collections: Collections,
    pub evidence: Evidence,

    /// Something to tell, until something else is told or the person goes on. It names commands as `‹name›`.
    pub notice: Option<String>,
    /// Something that was done, told until the person does something else. A notice goes before it: it came later.
    pub(super) done: Option<String>,
    /// What the same key pressed once more will do.
    pub armed: Option<Armed>,

    /// What Ctrl-C has cleared, until something else is done: quitting keeps it as the draft.
    pub(super) cleared: String,
    pub(super) last_turn: u64,
    pub(super) last_job: u64,
}

/// What fills the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    #[default]
    Chat,
    Ingest,
    Collections,
    /// One turn in full.
    Evidence,
}

/// Which pane of the chat view the keys go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Focus {
    #[default]
    Input,
    Chat,
    Passages,
    PassageText,
}

/// The place where the collection lives.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Store {
    #[default]
    Opening,
    /// `description` names the engine and `name` the collection, which is `None` until it exists. `keeps_handbook`: the
    /// handbook can be indexed into it.
    Open { description: String, name: String, collection: Option<Arc<CollectionInfo>>, keeps_handbook: bool },
    /// Nothing can be searched; the text says what to do.
    Failed(String),
}

/// The embedding model.
#[derive(Clone, Debug, PartialEq)]
pub enum Model {
    /// It is being got or loaded.
    Loading {
        snapshot: ProgressSnapshot,
        pace: Box<Pace>,
    },
    Ready {
        name: String,
        dim: usize,
    },
    /// Keyword search only; the text says what was tried and what to do.
    Failed(String),
}

impl Default for Model {
    fn default() -> Self {
        Self::Loading { snapshot: ProgressSnapshot::default(), pace: Box::default() }
    }
}

/// Who answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Answerer {
    /// Not known yet.
    #[default]
    Unknown,
    /// No model is configured: sentences of the passages are quoted.
    Quotes,
    /// `provider: model`.
    Model(String),
}

/// A key was pressed that does something only when pressed once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Armed {
    Quit,
    StopIngest,
    StopDownload,
}

/// What Escape does in a state: one step back, whatever that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    ClosePalette,
    CloseHelp,
    /// From an entry of the ingest view's lists to the list.
    CloseEntry,
    /// Nothing is selected with the mouse any more.
    DropSelection,
    /// From the search in the history to what was being written.
    LeaveRecall,
    /// From the search in the conversation to where it has led.
    CloseFind,
    LeaveIngest,
    /// From the name of a new collection to its path.
    BackToPath,
    /// Neither makes nor drops a collection.
    CancelStep,
    /// From a row's text to the table of rows.
    BackToRows,
    /// From the rows to the list of collections.
    BackToList,
    LeaveCollections,
    /// Chooses no collection to search again in.
    CancelChoice,
    /// From another pane of the evidence view to its table.
    BackToCandidates,
    /// Forgets what was searched again.
    DropRerun,
    LeaveEvidence,
    /// The text so far is kept.
    StopAnswer,
    FocusInput,
    /// Back to the last turn and the end of the conversation.
    FollowLatest,
    Nothing,
}

impl State {
    /// The application before anything has happened.
    pub fn new(settings: SearchSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// What is told now, with commands named as `‹name›`.
    pub fn told(&self) -> Option<&str> {
        self.notice.as_deref().or(self.done.as_deref())
    }

    /// Tells what was done.
    pub(super) fn report(&mut self, done: String) {
        (self.notice, self.done) = (None, Some(done));
    }

    /// The turn whose passages are shown.
    pub fn shown_turn(&self) -> Option<&Turn> {
        self.turns.get(self.shown_index()?)
    }

    /// The place of that turn in the list.
    pub fn shown_index(&self) -> Option<usize> {
        let last = self.turns.len().checked_sub(1)?;
        Some(self.selected_turn.unwrap_or(last).min(last))
    }

    /// The passage whose text is shown.
    pub fn shown_passage(&self) -> Option<&Passage> {
        self.shown_turn()?.passages.get(self.selected_passage)
    }

    /// What stands around the shown passage in its document, as far as it has come.
    pub fn shown_neighbours(&self) -> &[Chunk] {
        let key = self.shown_turn().zip(self.shown_passage());
        key.map_or(&[], |(turn, passage)| self.around(&turn.collection, passage.chunk.id))
    }

    /// A chunk of a collection with its neighbours, as far as they have come.
    pub fn around(&self, collection: &str, id: ChunkId) -> &[Chunk] {
        match self.neighbours.get(&(collection.to_owned(), id)) {
            Some(Some(Ok(chunks))) => chunks,
            Some(Some(Err(_)) | None) | None => &[],
        }
    }

    /// The turn that is being answered, if one is.
    pub fn running_turn(&self) -> Option<&Turn> {
        self.turns.last().filter(|turn| turn.state.is_running())
    }

    /// Files of the embedding model are being downloaded.
    pub fn is_downloading(&self) -> bool {
        matches!(&self.model, Model::Loading { snapshot, .. } if snapshot.stage == Stage::Downloading)
    }

    /// Whether there is something that a person may wait for.
    pub fn is_working(&self) -> bool {
        self.running_turn().is_some() || self.ingest.is_some()
    }

    /// Name of the collection that is searched, once the store is open.
    pub fn collection_name(&self) -> Option<&str> {
        match &self.store {
            Store::Open { name, .. } => Some(name),
            Store::Opening | Store::Failed(_) => None,
        }
    }

    /// The collection that is searched, once it is known and exists.
    pub fn collection(&self) -> Option<&CollectionInfo> {
        match &self.store {
            Store::Open { collection, .. } => collection.as_deref(),
            Store::Opening | Store::Failed(_) => None,
        }
    }

    /// The keys go to the search in the history.
    pub fn recalling(&self) -> bool {
        self.recall.is_some() && self.view == View::Chat && self.focus == Focus::Input
    }

    /// What Escape would do now.
    pub fn escape(&self) -> Escape {
        if self.palette.is_some() {
            return Escape::ClosePalette;
        }
        if self.help {
            return Escape::CloseHelp;
        }
        if self.touch.selection.is_some() {
            return Escape::DropSelection;
        }
        if self.recalling() {
            return Escape::LeaveRecall;
        }
        if self.place_below() == Place::Find {
            return Escape::CloseFind;
        }
        match self.view {
            View::Ingest if self.ingest_view.open => Escape::CloseEntry,
            View::Ingest => Escape::LeaveIngest,
            View::Collections => match &self.collections.step {
                Step::Choose => Escape::LeaveCollections,
                Step::Browse(browsing) if browsing.in_text => Escape::BackToRows,
                Step::Browse(_) => Escape::BackToList,
                Step::Create(creating) if creating.source.is_some() => Escape::BackToPath,
                Step::Create(_) | Step::Drop(_) => Escape::CancelStep,
            },
            View::Evidence if self.evidence.choosing.is_some() => Escape::CancelChoice,
            View::Evidence if self.evidence.pane != EvidencePane::Candidates => Escape::BackToCandidates,
            View::Evidence if self.evidence.rerun.is_some() => Escape::DropRerun,
            View::Evidence => Escape::LeaveEvidence,
            View::Chat if self.running_turn().is_some() => Escape::StopAnswer,
            View::Chat if self.focus != Focus::Input => Escape::FocusInput,
            View::Chat if self.selected_turn.is_some() || self.chat_scroll != ChatScroll::End => Escape::FollowLatest,
            View::Chat => Escape::Nothing,
        }
    }
}
