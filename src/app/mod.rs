//! What the application is: its state and how an event changes it. Pure: no tokio, no clock, no I/O, no terminal.
//!
//! [`State::update`] takes an [`Event`] and returns the [`Effect`]s that the runtime has to carry out. Results of
//! effects come back as events that carry ids, so that a late one of cancelled work is dropped.

mod event;
mod state;

pub use event::{Action, Effect, Event};
pub use state::State;
