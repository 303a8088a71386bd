//! Plain data that every other module speaks in. No I/O, no clock, no library types beyond serde's.

mod chunk;
mod collection;
mod model;
mod pace;
mod progress;
mod projection;
mod scores;
mod secret;
mod shard;
mod source;
mod theme;
mod turn;

pub use chunk::{Chunk, ChunkId, Vector};
pub use collection::{CollectionInfo, DocumentRecord, Fingerprint, FingerprintMismatch, Indexed, Pooling};
pub use model::ModelFiles;
pub use pace::{Counter, Pace};
pub use progress::{IngestReport, IngestRun, JobId, Progress, ProgressSnapshot, RunOutcome, Skip, Stage};
pub use projection::Projection;
pub use scores::{Candidate, Fusion, Hit, Metric, Mode, Passage, Scores};
pub use secret::Secret;
pub use shard::Shard;
pub use source::{Chunker, SourceSpec};
pub use theme::ThemeName;
pub use turn::{
    Answer, Citation, FinishReason, Message, Role, SearchSettings, StageTimings, Turn, TurnId, TurnState, Usage,
};
