//! What the application is: its state and how an event changes it. Pure: no tokio, no clock, no I/O, no terminal.
//!
//! [`State::update`] takes an [`Event`] and returns the [`Effect`]s that the runtime has to carry out. Results of
//! effects come back as events that carry ids, so that a late one of cancelled work is dropped. It does not know how
//! anything looks: a key has become an [`Action`] and a scroll position a row before they get here. What a person can do
//! is the table of [`COMMANDS`]; keys, palette, help and slash commands are made from it.

mod collections;
mod command;
mod editor;
mod event;
mod evidence;
mod find;
mod hints;
mod history;
mod ingest;
mod palette;
mod place;
mod state;
mod touch;
mod undo;
mod update;

pub use collections::{Browsing, Collections, Creating, Dropping, Entry, RequestId, Step};
pub use command::{COMMANDS, Command, Does, Move};
pub use editor::Editor;
pub use event::{Action, ChatScroll, CollectionAction, Edit, Effect, Event, Scroll};
pub use evidence::{
    BestSentence, CandidateRow, Comparison, Evidence, EvidenceAction, EvidencePane, Found, Map, Rerun, SortBy, Toward,
    searchable,
};
pub use find::{Find, FindAction};
pub use hints::{Hint, Hints};
pub use history::{History, Recall, RecallAction};
pub use ingest::{EndedIngest, IngestAction, IngestJob, IngestPane, IngestView};
pub use palette::{Choice, Palette, PaletteAction, Setting};
pub use place::{Place, Places};
pub use state::{Answerer, Armed, Escape, Focus, Model, State, Store, View};
pub use touch::{Copied, CopyAction, Point, Selection, TextPane, Touch, TouchAction, code_blocks};
