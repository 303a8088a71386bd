use super::{Effect, Event};

/// The whole application as data.
#[derive(Debug, Default)]
pub struct State {}

impl State {
    /// Changes the state by one event; returns what has to be done about it.
    pub fn update(&mut self, _event: Event) -> Vec<Effect> {
        Vec::new()
    }
}
