use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{ChatScroll, Editor, History};
use crate::domain::{
    Chunk, ChunkId, CollectionInfo, IngestReport, JobId, Passage, ProgressSnapshot, SearchSettings, Turn,
};

/// The whole application as data. Read it to draw; [`State::update`] changes it.
#[derive(Debug, Default)]
pub struct State {
    pub view: View,
    /// The help overlay is open.
    pub help: bool,
    pub focus: Focus,
    pub input: Editor,
    pub history: History,
    pub settings: SearchSettings,

    /// Oldest first. Only the last one can be running.
    pub turns: Vec<Turn>,
    /// Place in `turns` of the one whose passages are shown; `None` follows the last.
    pub selected_turn: Option<usize>,
    /// Place of the selected passage among the shown turn's, from 0.
    pub selected_passage: usize,
    /// Surroundings of passages, by passage; an empty list was asked for and has not come yet.
    pub neighbours: BTreeMap<ChunkId, Vec<Chunk>>,

    pub chat_scroll: ChatScroll,
    pub passage_scroll: isize,
    pub skips_scroll: usize,
    pub help_scroll: usize,

    pub store: Store,
    pub model: Model,
    pub answerer: Answerer,
    pub ingest: Option<IngestJob>,
    /// How the last ingest ended.
    pub last_ingest: Option<Result<IngestReport, String>>,

    /// Something to tell, until something else is told or the person goes on.
    pub notice: Option<String>,
    /// What the same key pressed once more will do.
    pub armed: Option<Armed>,

    pub(super) last_turn: u64,
    pub(super) last_job: u64,
}

/// What fills the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    #[default]
    Chat,
    Ingest,
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
    /// `description` names the engine and `name` the collection, which is `None` until it exists.
    Open { description: String, name: String, collection: Option<Arc<CollectionInfo>> },
    /// Nothing can be searched; the text says what to do.
    Failed(String),
}

/// The embedding model.
#[derive(Clone, Debug, PartialEq)]
pub enum Model {
    /// It is being got or loaded.
    Loading {
        snapshot: ProgressSnapshot,
        elapsed: Duration,
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
        Self::Loading { snapshot: ProgressSnapshot::default(), elapsed: Duration::ZERO }
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

/// An ingest that is running.
#[derive(Clone, Debug, PartialEq)]
pub struct IngestJob {
    pub id: JobId,
    pub snapshot: ProgressSnapshot,
    pub elapsed: Duration,
    /// It was asked to stop and is finishing what it has in hand.
    pub stopping: bool,
}

/// A key was pressed that does something only when pressed once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Armed {
    Quit,
    StopIngest,
}

/// What Escape does in a state: one step back, whatever that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    CloseHelp,
    /// In the ingest view while an ingest runs: asks to press it again.
    ArmStopIngest,
    StopIngest,
    LeaveIngest,
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

    /// The turn that is being answered, if one is.
    pub fn running_turn(&self) -> Option<&Turn> {
        self.turns.last().filter(|turn| turn.state.is_running())
    }

    /// The collection that is searched, once it is known and exists.
    pub fn collection(&self) -> Option<&CollectionInfo> {
        match &self.store {
            Store::Open { collection, .. } => collection.as_deref(),
            Store::Opening | Store::Failed(_) => None,
        }
    }

    /// What Escape would do now.
    pub fn escape(&self) -> Escape {
        if self.help {
            return Escape::CloseHelp;
        }
        match self.view {
            View::Ingest => match &self.ingest {
                Some(job) if !job.stopping && self.armed == Some(Armed::StopIngest) => Escape::StopIngest,
                Some(job) if !job.stopping => Escape::ArmStopIngest,
                Some(_) | None => Escape::LeaveIngest,
            },
            View::Chat if self.running_turn().is_some() => Escape::StopAnswer,
            View::Chat if self.focus != Focus::Input => Escape::FocusInput,
            View::Chat if self.selected_turn.is_some() || self.chat_scroll != ChatScroll::End => Escape::FollowLatest,
            View::Chat => Escape::Nothing,
        }
    }
}
