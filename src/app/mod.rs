//! What the application is: its state and how an event changes it. Pure: no tokio, no clock, no I/O, no terminal.
//!
//! [`State::update`] takes an [`Event`] and returns the [`Effect`]s that the runtime has to carry out. Results of
//! effects come back as events that carry ids, so that a late one of cancelled work is dropped. It does not know how
//! anything looks: a key has become an [`Action`] and a scroll position a row before they get here.

mod collections;
mod editor;
mod event;
mod evidence;
mod history;
mod state;
mod touch;
mod undo;
mod update;

pub use collections::{Browsing, Collections, Creating, Dropping, Entry, RequestId, Step};
pub use editor::Editor;
pub use event::{Action, ChatScroll, CollectionAction, Edit, Effect, Event, Scroll};
pub use evidence::{Evidence, EvidenceAction, EvidencePane, Rerun, SortBy};
pub use history::{History, Recall, RecallAction};
pub use state::{Answerer, Armed, EndedIngest, Escape, Focus, IngestJob, Model, State, Store, View};
pub use touch::{Copied, CopyAction, Point, Selection, TextPane, Touch, TouchAction, code_blocks};
