//! What a terminal event means: a key becomes the command that has it where the keys go, and that an action.

mod defaults;
mod keymap;

pub use keymap::{Chord, KeyError, Keymap};
use ratatui::crossterm::event::{Event, KeyCode::Char, KeyEventKind, KeyModifiers};

use super::{
    ViewCache, input,
    status::SEPARATOR,
    touch::{self, Zone},
};
use crate::{
    app::{
        Action, COMMANDS, CollectionAction as Collection, Command, Does, Escape, IngestAction, PaletteAction, Place,
        Places, State, Step, TouchAction,
    },
    text::width,
};

/// What a terminal event means now. `None` for what means nothing; a resize needs a frame but no action.
///
/// `cache` is the one that the last frame was drawn with: pages and ends are counted in its rows.
pub fn key(state: &State, cache: &ViewCache, event: Event) -> Option<Action> {
    let key = match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => key,
        // Text is pasted where it can be seen.
        Event::Paste(text) => {
            let seen = Places::TYPING.and(Places::PANES).contains(state.place());
            return seen.then_some(Action::Insert(text));
        }
        Event::Mouse(event) => return touch::mouse(state, cache, event),
        // Rows are others now, and with them what was selected.
        Event::Resize(..) => return state.touch.selection.map(|_| Action::Touch(TouchAction::Unselect)),
        Event::Key(_) | Event::FocusGained | Event::FocusLost => return None,
    };
    let place = state.place();
    if let Some(command) = cache.keymap.command(place, Chord::of(key)) {
        return match &command.does {
            // In a question that is broken into rows, up and down are those that are seen.
            Does::Act(action @ (Action::Up | Action::Down)) if Places::QUESTION.contains(place) => {
                let area = cache.measured.place(Zone::Input).map(|spot| spot.area);
                let to = area.and_then(|area| input::offset_beside(&state.input, area, *action == Action::Down));
                Some(to.map_or_else(|| action.clone(), |to| Action::Touch(TouchAction::PlaceCursor(to))))
            }
            Does::Act(action) => Some(touch::with_screen(state, cache, action.clone())),
            Does::Move(by) => cache.measured.resolve(state, *by),
            Does::Take { .. } => Some(Action::Palette(PaletteAction::Ask(command.name))),
        };
    }
    // Ctrl with Alt is how some keyboards type a third symbol.
    let held = |modifier| key.modifiers.contains(modifier);
    match key.code {
        Char(c) if place.is_typing() && held(KeyModifiers::CONTROL) == held(KeyModifiers::ALT) => {
            Some(Action::Insert(c.to_string()))
        }
        _ => None,
    }
}

/// What texts call the keys in a place.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    keymap: &'a Keymap,
    place: Place,
}

impl<'a> Keys<'a> {
    pub fn new(keymap: &'a Keymap, place: Place) -> Self {
        Self { keymap, place }
    }

    /// The first key of the command of that name, or its name in the palette where it has none.
    pub fn of(self, name: &str) -> String {
        let keys = Command::find(name).map(|command| self.keymap.keys(command, self.place)).unwrap_or_default();
        keys.first().map_or_else(|| format!("/{name}"), ToString::to_string)
    }

    /// A text of the application with the keys of the commands that it names.
    pub fn tell(self, text: &str) -> String {
        Command::name_in(text, |command| self.of(command.name))
    }
}

/// The keys worth naming now and what they do, the most important first: as many as there is room for, and always the
/// way out.
pub fn footer(state: &State, keymap: &Keymap, columns: usize) -> Vec<(String, &'static str)> {
    let place = state.place();
    let named = COMMANDS.iter().filter(|command| command.places.contains(place));
    let mut footer: Vec<(String, &'static str)> = Vec::new();
    let mut way_out = None;
    for command in named {
        let word = match &command.does {
            Does::Act(Action::Escape) if command.name == "escape" => escape_word(state.escape()),
            Does::Act(Action::SwitchView(view)) if state.view == *view => "chat",
            Does::Act(Action::Ingest(action)) => ingest_word(*action, state).unwrap_or(command.short),
            Does::Act(Action::Collection(Collection::Confirm)) => confirm_word(&state.collections.step),
            Does::Act(_) | Does::Move(_) | Does::Take { .. } => command.short,
        };
        let keys = keymap.keys(command, place);
        let Some(key) = keys.first().filter(|_| !word.is_empty()) else { continue };
        match footer.last_mut() {
            // Up and down, more and less are told as one.
            Some((keys, last)) if *last == word => keys.push_str(&key.to_string()),
            Some(_) | None => footer.push((key.to_string(), word)),
        }
        if command.name == "escape" {
            way_out = Some(footer.len() - 1);
        }
    }
    let wide = |(key, word): &(String, &str)| width(key) + 1 + width(word) + width(SEPARATOR);
    let mut last = footer.len();
    while footer.iter().map(wide).sum::<usize>() > columns + width(SEPARATOR) && last > 0 {
        last -= 1;
        if way_out != Some(last) {
            footer.remove(last);
        }
    }
    footer
}

/// Where it is another word than usual.
fn ingest_word(action: IngestAction, state: &State) -> Option<&'static str> {
    match action {
        IngestAction::Pause => match &state.ingest {
            Some(job) if job.stopping => Some(""),
            Some(job) if job.paused => Some("go on"),
            Some(_) => None,
            None => Some(""),
        },
        IngestAction::Stop if state.is_downloading() => None,
        IngestAction::Stop => state.ingest.as_ref().is_none_or(|job| job.stopping).then_some(""),
        IngestAction::Open => (state.ingest_list(state.ingest_view.pane).0 == 0).then_some(""),
        IngestAction::NextPane | IngestAction::PreviousPane | IngestAction::Select(_) | IngestAction::Scroll(_) => None,
    }
}

fn confirm_word(step: &Step) -> &'static str {
    match step {
        Step::Choose | Step::Browse(_) => "",
        Step::Drop(_) => "drop",
        Step::Create(creating) if creating.source.is_some() => "index",
        Step::Create(_) => "go on",
    }
}

fn escape_word(escape: Escape) -> &'static str {
    match escape {
        Escape::ClosePalette | Escape::CloseHelp | Escape::CloseEntry => "close",
        Escape::DropSelection => "unselect",
        Escape::CloseFind => "close",
        Escape::LeaveRecall => "back",
        Escape::LeaveIngest | Escape::LeaveCollections | Escape::LeaveEvidence => "back",
        Escape::BackToPath => "to the path",
        Escape::CancelStep => "cancel",
        Escape::CancelChoice => "cancel",
        Escape::DropRerun => "to the turn's own",
        Escape::BackToCandidates => "to the table",
        Escape::BackToRows => "to the rows",
        Escape::BackToList => "to the list",
        Escape::StopAnswer => "stop",
        Escape::FocusInput => "to the input",
        Escape::FollowLatest => "to the latest",
        Escape::Nothing => "",
    }
}
