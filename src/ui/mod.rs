//! Placeholder while the floors are built.
use crate::app::{Action, State};
use ratatui::Frame;
#[derive(Default)]
pub struct ViewCache {}
pub fn view(_state: &State, _cache: &mut ViewCache, _frame: &mut Frame) {}
pub fn key(_state: &State, _event: &crossterm::event::Event) -> Option<Action> {
    None
}
