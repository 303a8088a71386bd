use std::{ops::Range, sync::Arc, time::Duration};

use super::{
    Copied, CopyAction, Entry, EvidenceAction, FindAction, Found, IngestAction, PaletteAction, RecallAction, RequestId,
    Setting, TouchAction, View,
};
use crate::domain::{
    Candidate, Chunk, ChunkId, CollectionInfo, FinishReason, IngestReport, IngestRun, JobId, Message, Mode, Passage,
    ProgressSnapshot, Projection, SearchSettings, SourceSpec, StageTimings, ThemeName, TurnId, Usage,
};

/// Everything that can happen to the application.
#[derive(Clone, Debug)]
pub enum Event {
    /// The person did something.
    Action(Action),
    /// The store is open. `collection` is the one to show; `None` where it does not exist yet. `index`: it is to be
    /// indexed right away. `keeps_handbook`: the handbook is at home in this store.
    StoreOpened { store: String, name: String, collection: Option<CollectionInfo>, keeps_handbook: bool, index: bool },
    /// A collection holds something else now; what could not be answered before may be now.
    CollectionChanged(Arc<CollectionInfo>),
    /// The store can't be opened: nothing can be searched. The text says what to do.
    StoreFailed(String),
    /// The embedding model is being got or loaded; `elapsed` since that began. Sampled like an ingest's progress, a few times a second.
    ModelProgress { snapshot: ProgressSnapshot, elapsed: Duration },
    /// The embedding model is ready.
    ModelReady { name: String, dim: usize },
    /// There is no embedding model; keyword search still works. The text says what was tried and what to do.
    ModelFailed(String),
    /// Which model answers, as `provider: model`; `None` when sentences are quoted. `note` is worth telling once.
    ChatModel { label: Option<String>, note: Option<String> },
    /// The models that the configured server has, as it lists them.
    ChatModels(Result<Vec<String>, String>),
    /// Questions of earlier runs, oldest first.
    History(Vec<String>),
    /// Retrieval is done. `mode` is the one that was really used.
    Retrieved {
        turn: TurnId,
        mode: Mode,
        passages: Vec<Passage>,
        candidates: Arc<[Candidate]>,
        prompt: Arc<[Message]>,
        timings: StageTimings,
        notices: Vec<String>,
    },
    /// What a question found with other settings, or why it could not be searched for.
    RetrievedAgain { request: RequestId, result: Result<Arc<Found>, String> },
    /// The map of a question and its candidates, or why there is none.
    Projected { request: RequestId, result: Result<Arc<Projection>, String> },
    /// The best sentence of a candidate, as a byte range of its text, if it has one.
    SentenceFound { request: RequestId, sentence: Option<Range<usize>> },
    /// How long each message of a turn's prompt is in the embedding model's tokens.
    PromptCounted { turn: TurnId, tokens: Vec<usize> },
    /// The model that was asked has said nothing for so many whole seconds.
    Waited { turn: TurnId, seconds: u64 },
    /// The first piece of the answer is there.
    AnswerBegan { turn: TurnId, timings: StageTimings },
    /// A piece of the answer.
    Delta { turn: TurnId, text: String },
    /// The whole answer so far was thought.
    WasThought { turn: TurnId },
    /// A piece of a reasoning model's thought.
    Reasoning { turn: TurnId, text: String },
    /// The answer ended.
    Finished { turn: TurnId, finish: FinishReason, usage: Option<Usage>, timings: StageTimings },
    /// The turn failed; the text says why and what to do.
    TurnFailed { turn: TurnId, message: String },
    /// The chunks around a passage of a collection, itself included, in order; none where it is no longer there.
    Neighbours { collection: String, id: ChunkId, result: Result<Vec<Chunk>, String> },
    /// An ingest's progress, a few times a second while it runs; `elapsed` leaves pauses out.
    IngestProgress { job: JobId, snapshot: ProgressSnapshot, elapsed: Duration },
    /// An ingest ended. `collection` is what it left.
    IngestFinished { job: JobId, result: Result<IngestReport, String>, collection: Option<Arc<CollectionInfo>> },
    /// Ingests that have ended, also in earlier starts of the program, the last one first.
    PastRuns(Vec<IngestRun>),
    /// All collections of the store by name, or why they can't be listed.
    CollectionsListed { request: RequestId, result: Result<Vec<Entry>, String> },
    /// Rows of the collection that is looked at, or why they can't be read.
    Rows { request: RequestId, result: Result<Vec<Chunk>, String> },
    /// A collection is gone, or the reason why not.
    CollectionDropped { name: String, result: Result<(), String> },
    /// A path as far as it could be completed, and the folders that it could go on with.
    PathCompleted { request: RequestId, path: String, candidates: Vec<String> },
    /// What a path or URL leads to, or why it can't be indexed.
    SourceChecked { request: RequestId, result: Result<SourceSpec, String> },
    /// What was being written when the application ended last.
    Draft(String),
    /// The question as it came back from the person's own editor, or why it did not.
    Edited(Result<String, String>),
    /// A copy went out, or could not.
    Copied(Copied),
    /// Something to tell in the status line.
    Notice(String),
    /// Something was done: told there until the person does something else.
    Done(String),
}

/// What the runtime has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Another model of the configured server answers from now on; `None`: no model, passages are quoted.
    UseModel(Option<String>),
    /// Ask the configured server which models it has.
    ListModels,
    /// Retrieve, then answer.
    Ask {
        turn: TurnId,
        collection: String,
        question: String,
        settings: SearchSettings,
    },
    CancelTurn(TurnId),
    /// Retrieve only. A search of this kind that is under way is given up.
    Retrieve {
        request: RequestId,
        collection: String,
        question: String,
        settings: SearchSettings,
    },
    /// Place a question and chunks on a plane. A placing that is under way is given up.
    Project {
        request: RequestId,
        collection: String,
        question: String,
        ids: Vec<ChunkId>,
    },
    /// Find the sentence of a chunk that is likest a question. A search of this kind that is under way is given up.
    FindSentence {
        request: RequestId,
        collection: String,
        id: ChunkId,
        question: String,
        by_meaning: bool,
    },
    /// Write a turn as JSON into a file of its own, and tell where.
    Export {
        json: String,
    },
    /// Index these sources, or where there are none whatever the collection was made from; `force` also what has not
    /// changed.
    StartIngest {
        job: JobId,
        collection: String,
        sources: Vec<SourceSpec>,
        force: bool,
    },
    CancelIngest(JobId),
    /// Hold an ingest up between two batches, or let it go on.
    PauseIngest {
        job: JobId,
        paused: bool,
    },
    /// Stop getting the embedding model.
    CancelDownload,
    /// Fetch the chunks around a passage.
    LoadNeighbours {
        collection: String,
        id: ChunkId,
    },
    /// Keep a question for the history of later runs.
    Remember(String),
    /// List the store's collections.
    ListCollections {
        request: RequestId,
    },
    /// Read rows of a collection from the `offset`-th on. A reading that is under way is given up.
    BrowseRows {
        request: RequestId,
        collection: String,
        offset: u64,
        limit: usize,
    },
    DropCollection {
        name: String,
    },
    /// Complete the path of a folder.
    CompletePath {
        request: RequestId,
        path: String,
    },
    /// Look at what a path or URL leads to.
    CheckSource {
        request: RequestId,
        location: String,
    },
    /// Put text into the clipboards that can be reached. `what` names it.
    Copy {
        what: String,
        text: String,
    },
    /// Take the mouse from the terminal, or give it back.
    CaptureMouse(bool),
    /// Let the person write on in an editor of their own.
    EditOutside(String),
    /// Try again to open the store.
    OpenStore,
    /// Try again to get the embedding model.
    RetryModel,
    /// Draw everything anew, whatever the terminal shows.
    Redraw,
    /// Ctrl-Z: give the terminal back to the shell until the person returns.
    Suspend,
    Quit,
}

/// Everything a person can do, with what it is done to; [`Command`](super::Command) gives the names.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Sends the question.
    Submit,
    /// Puts text in at the cursor: a typed character, or a paste of any number of lines.
    Insert(String),
    /// Moves or deletes in the input.
    Edit(Edit),
    /// In the input: a line up, or to an older question from the first line.
    Up,
    /// In the input: a line down, or back toward the draft from the last line.
    Down,
    FocusNext,
    FocusPrevious,
    /// Shows the passages of the turn before or after the one shown.
    OlderTurn,
    NewerTurn,
    /// Selects a passage of the shown turn by its place in the list, from 0.
    SelectPassage(usize),
    /// Shows another part of a pane.
    Scroll(Scroll),
    /// Goes to a view, or back to the chat where it is shown already.
    SwitchView(View),
    Help,
    /// Does something in the collections view.
    Collection(CollectionAction),
    /// Does something in the evidence view.
    Evidence(EvidenceAction),
    /// Does something in the ingest view.
    Ingest(IngestAction),
    /// Does something in the list of commands.
    Palette(PaletteAction),
    /// Changes what questions are asked with.
    Set(Setting),
    /// Looks for a text in the conversation.
    Find(FindAction),
    /// Looks for a question asked before.
    Recall(RecallAction),
    /// Goes on writing the question in the person's own editor.
    EditOutside,
    Copy(CopyAction),
    /// Does something with the mouse.
    Touch(TouchAction),
    /// Indexes anew what has changed in the collection in use, or the selected one; where the embedding model could not be had, tries to get that first.
    Reindex,
    /// One step back: see [`Escape`](super::Escape).
    Escape,
    /// Ctrl-C: clears the input or stops the answer; a second one quits.
    Interrupt,
    /// Draws in the theme after this one, or in this one.
    NextTheme,
    SetTheme(ThemeName),
    Redraw,
    Suspend,
    Quit,
}

/// What can be done in the collections view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectionAction {
    /// Selects a collection by its place in the list, from 0.
    Select(usize),
    /// Asks the selected one from now on.
    Use,
    /// Looks at its rows.
    Browse,
    /// Selects a row, from 0.
    SelectRow(u64),
    /// From the table of rows to the text of one, or back.
    SwitchPane,
    /// Indexes the selected one anew, also what has not changed.
    ReindexAll,
    /// Makes a new one from a folder.
    Create,
    /// Drops the selected one, after asking.
    Drop,
    /// Completes the path of the one to be made.
    CompletePath,
    /// Goes on with what is asked for: takes the path, makes it, drops it.
    Confirm,
    /// Reads what is shown again.
    Reload,
}

/// What can be done in the input beside putting text in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    Newline,
    Left,
    Right,
    WordLeft,
    WordRight,
    LineStart,
    LineEnd,
    TextStart,
    TextEnd,
    DeleteBack,
    DeleteForward,
    DeleteWordBack,
    DeleteWordForward,
    DeleteToLineStart,
    DeleteToLineEnd,
    /// Puts in again what was last deleted by words or lines.
    Yank,
    Undo,
    Redo,
}

/// Where a pane shows its content from. Rows are counted as drawn, so whoever asks for one has measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scroll {
    Chat(ChatScroll),
    /// Rows below the selected passage's own first row; negative shows what stands before it in the document.
    Passage(isize),
    /// A pane of the evidence view that is not its table.
    Evidence(usize),
    /// The text of a collection's row.
    Row(usize),
    Help(usize),
}

/// Which part of the conversation is in view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChatScroll {
    /// The end, following it as it grows.
    #[default]
    End,
    /// From row `row` (from 0) of the turn at this place in the list. It holds still whatever is added below.
    At { turn: usize, row: usize },
}
