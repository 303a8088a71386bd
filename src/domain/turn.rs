use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Candidate, Fusion, Mode, Passage};

/// Numbers the questions of one run of the program, from 1. Results carry it, so that a late result of a cancelled
/// turn is told from one of the current turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TurnId(pub u64);

/// What a search is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchSettings {
    pub mode: Mode,
    /// How many passages are wanted.
    pub k: usize,
    /// How many candidates each retriever gives to fusion.
    pub candidates: usize,
    pub fusion: Fusion,
    /// How many of the best candidates are ordered anew by the sentence of each that is likest the question; 0: none.
    pub rerank: usize,
}

impl SearchSettings {
    /// More passages than this are no longer read.
    pub const MOST_K: usize = 100;
    /// How many are ordered anew where a person just wants that.
    pub const RERANKED: usize = 20;

    /// Something of it needs the embedding model.
    pub fn uses_model(&self) -> bool {
        self.mode.uses_dense() || self.rerank > 0
    }
}

impl Default for SearchSettings {
    fn default() -> Self {
        Self { mode: Mode::Hybrid, k: 5, candidates: 100, fusion: Fusion::default(), rerank: 0 }
    }
}

/// How long each stage of a turn took; `None` for a stage that did not run (yet).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimings {
    pub embed: Option<Duration>,
    pub dense: Option<Duration>,
    pub keyword: Option<Duration>,
    pub fuse: Option<Duration>,
    /// Ordering the first candidates anew by their sentences.
    pub rerank: Option<Duration>,
    /// From the start of retrieval to its passages; the two searches run side by side.
    pub retrieval: Option<Duration>,
    /// Building the prompt.
    pub prompt: Option<Duration>,
    /// From sending the prompt to the first piece of the answer.
    pub first_token: Option<Duration>,
    /// From the first piece of the answer to its end.
    pub generation: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    System,
    User,
    Assistant,
}

impl Role {
    /// The name that the protocol uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One message of a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    pub content: String,
}

/// Tokens as the model's server counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model said it was done.
    Stop,
    /// The model's length limit cut it off.
    Length,
    /// The server named another reason, for example a content filter.
    Other(String),
    /// The stream ended without a reason: the answer is not complete.
    EndedEarly,
}

impl FinishReason {
    /// The name that the protocol uses.
    pub fn name(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Other(name) => name,
            Self::EndedEarly => "ended_early",
        }
    }
}

/// `[n]` in an answer. `passage` is false where no passage of that number was given to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    pub number: u32,
    pub passage: bool,
}

/// A whole answer with what is known of its making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub text: String,
    pub model: String,
    pub finish: FinishReason,
    pub usage: Option<Usage>,
    pub citations: Vec<Citation>,
}

/// Where a turn stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TurnState {
    /// Waiting for something that is still being prepared, for example the first index.
    Waiting,
    Retrieving,
    /// Passages are there, the model has not said anything yet.
    Thinking,
    Streaming,
    Done(FinishReason),
    /// Stopped by the user; the text so far is kept.
    Stopped,
    /// What went wrong, and on further lines what to do about it.
    Failed(String),
}

impl TurnState {
    pub fn is_running(&self) -> bool {
        match self {
            Self::Waiting | Self::Retrieving | Self::Thinking | Self::Streaming => true,
            Self::Done(_) | Self::Stopped | Self::Failed(_) => false,
        }
    }
}

/// A question with everything that came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    pub id: TurnId,
    pub question: String,
    /// Name of the collection that was searched. Empty until the question has been asked.
    pub collection: String,
    pub settings: SearchSettings,
    /// The model that answers, or `None` when sentences of the passages are quoted instead.
    pub model: Option<String>,
    /// Best first; empty until retrieval is done.
    pub passages: Vec<Passage>,
    /// Everything that the retrievers found, in the final order; the passages are its first ones.
    pub candidates: Arc<[Candidate]>,
    /// What the model was asked with; empty where none was.
    pub prompt: Arc<[Message]>,
    /// How long each of these is in the embedding model's tokens, about as long as in the chat model's; empty until, and
    /// where, they were not counted.
    pub prompt_tokens: Vec<usize>,
    /// The answer so far, in Markdown.
    pub answer: String,
    /// What a reasoning model thought before and while answering, so far.
    pub reasoning: String,
    /// Whole seconds that the model has been waited for, until its first piece comes.
    pub waited_s: u64,
    pub usage: Option<Usage>,
    pub timings: StageTimings,
    /// Things worth knowing about this turn, for example that keyword search alone was used, and why.
    pub notices: Vec<String>,
    pub state: TurnState,
}

impl Turn {
    /// Nothing more comes: room for more text, as much as there is text, is given back.
    pub fn end(&mut self, state: TurnState) {
        self.answer.shrink_to_fit();
        self.reasoning.shrink_to_fit();
        self.state = state;
    }
}
