use super::palette::NO_MODEL;
use super::{
    Action, CollectionAction as Collection, CopyAction, Edit, EvidenceAction as Evidence, FindAction,
    IngestAction as Ingest, PaletteAction, Place, Places, RecallAction, Setting, TouchAction, View,
};
use crate::domain::{Mode, SearchSettings};

/// Something that a person can do, under a name that never changes: what keys are bound to in the configuration, what
/// the palette lists, what stands behind a slash in the question.
#[derive(Debug)]
pub struct Command {
    pub name: &'static str,
    /// What it does, in the help and in the palette. Empty where another command says it already.
    pub what: &'static str,
    /// One word for the footer; empty where it has no place there.
    pub short: &'static str,
    pub places: Places,
    pub does: Does,
}

#[derive(Clone, Debug)]
pub enum Does {
    Act(Action),
    /// How far it goes depends on what the last frame measured.
    Move(Move),
    /// It needs a word more. Makes an action of it, or says why that can't be.
    Take {
        argument: &'static str,
        parse: fn(&str) -> Result<Action, String>,
    },
}

/// A movement in a list or a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    Up,
    Down,
    PageUp,
    PageDown,
    HalfPageUp,
    HalfPageDown,
    Top,
    Bottom,
    Left,
    Right,
}

impl Command {
    /// The command of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        COMMANDS.iter().find(|command| command.name == name)
    }

    /// Puts words in place of the commands that a text names as `‹name›`: which keys they have is not known here.
    pub fn name_in(text: &str, words: impl Fn(&Self) -> String) -> String {
        let mut told = String::new();
        let mut rest = text;
        while let Some((before, (name, after))) =
            rest.split_once('‹').and_then(|(before, rest)| Some((before, rest.split_once('›')?)))
        {
            told.push_str(before);
            told.push_str(&Self::find(name).map_or_else(|| format!("‹{name}›"), &words));
            rest = after;
        }
        told + rest
    }

    /// The list of commands and a slash offer it here: what the conversation's own keys do can be done from the question
    /// too, where these keys are letters.
    pub fn is_offered(&self, place: Place) -> bool {
        let beside = matches!(
            self.does,
            Does::Act(Action::Find(FindAction::Open) | Action::Copy(CopyAction::Question | CopyAction::Code(_)))
        ) && Places::QUESTION.contains(place);
        self.is_listed() && (self.places.contains(place) || beside)
    }

    /// It does something that can be chosen from a list, and not only a step in a text or a list.
    pub fn is_listed(&self) -> bool {
        match &self.does {
            Does::Act(Action::Edit(_) | Action::Escape | Action::Palette(_) | Action::Up | Action::Down)
            | Does::Move(_) => false,
            Does::Act(_) | Does::Take { .. } => !self.what.is_empty(),
        }
    }
}

const fn command(name: &'static str, places: Places, does: Does, what: &'static str, short: &'static str) -> Command {
    Command { name, what, short, places, does }
}

const fn act(name: &'static str, places: Places, action: Action, what: &'static str, short: &'static str) -> Command {
    command(name, places, Does::Act(action), what, short)
}

const fn edit(name: &'static str, edit: Edit, what: &'static str) -> Command {
    let places = match edit {
        Edit::Newline => Places::QUESTION,
        // Where nothing is written there is nothing to delete or go along: their keys are free for other things.
        Edit::DeleteForward | Edit::LineStart | Edit::LineEnd => {
            Places::TYPING.but(Places::of(&[Place::EmptyQuestion]))
        }
        _ => Places::TYPING,
    };
    command(name, places, Does::Act(Action::Edit(edit)), what, "")
}

const fn moves(name: &'static str, by: Move, what: &'static str, short: &'static str) -> Command {
    // The question is written while the chat is paged through, but a line up in it is its own.
    let places = Places::READING.and(Places::of(&[Place::Palette]));
    let pages = if matches!(by, Move::PageUp | Move::PageDown) { places.and(Places::QUESTION) } else { places };
    let ends = match by {
        Move::Top | Move::Bottom => pages.but(Places::TYPING).and(Places::of(&[Place::EmptyQuestion])),
        Move::HalfPageUp | Move::HalfPageDown => pages.but(Places::TYPING),
        Move::Up | Move::Down | Move::PageUp | Move::PageDown | Move::Left | Move::Right => pages,
    };
    command(name, ends, Does::Move(by), what, short)
}

const fn collection(
    name: &'static str,
    places: &[Place],
    action: Collection,
    what: &'static str,
    short: &'static str,
) -> Command {
    command(name, Places::of(places), Does::Act(Action::Collection(action)), what, short)
}

const fn evidence(name: &'static str, action: Evidence, what: &'static str, short: &'static str) -> Command {
    command(name, Places::EVIDENCE, Does::Act(Action::Evidence(action)), what, short)
}

const fn ingest(name: &'static str, action: Ingest, what: &'static str, short: &'static str) -> Command {
    command(name, Places::of(&[Place::Ingest]), Does::Act(Action::Ingest(action)), what, short)
}

const fn take(
    name: &'static str,
    argument: &'static str,
    parse: fn(&str) -> Result<Action, String>,
    what: &'static str,
) -> Command {
    command(name, Places::ALL, Does::Take { argument, parse }, what, "")
}

const LIST: &[Place] = &[Place::Collections];

/// All of them, the most important of each place first.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    act("ask", Places::QUESTION, Action::Submit, "ask; stops a running answer first", "ask"),
    edit("new-line", Edit::Newline, "new line"),
    act("line-up", Places::QUESTION.and(Places::of(&[Place::Recall])), Action::Up, "line up; from the first one to earlier questions", ""),
    act("line-down", Places::QUESTION.and(Places::of(&[Place::Recall])), Action::Down, "line down; from the last one back to the draft", ""),
    edit("left", Edit::Left, ""),
    edit("right", Edit::Right, ""),
    edit("word-left", Edit::WordLeft, "a word to the left"),
    edit("word-right", Edit::WordRight, "a word to the right"),
    edit("line-start", Edit::LineStart, "start of the line"),
    edit("line-end", Edit::LineEnd, "end of the line"),
    edit("delete-word", Edit::DeleteWordBack, "delete the word before"),
    edit("delete-to-start", Edit::DeleteToLineStart, "delete to the line's start"),
    edit("delete-to-end", Edit::DeleteToLineEnd, "delete to the line's end"),
    edit("delete-word-forward", Edit::DeleteWordForward, "delete the word behind"),
    edit("put-back", Edit::Yank, "put in again what was deleted so"),
    edit("undo", Edit::Undo, "undo"),
    edit("redo", Edit::Redo, "redo"),
    edit("text-start", Edit::TextStart, "start of the question"),
    edit("text-end", Edit::TextEnd, "end of the question"),
    edit("delete-back", Edit::DeleteBack, ""),
    edit("delete-forward", Edit::DeleteForward, ""),
    act("search-questions", Places::CHAT.but(Places::of(&[Place::Recall])), Action::Recall(RecallAction::Older), "search the questions asked before", ""),
    act("take-question", Places::of(&[Place::Recall]), Action::Recall(RecallAction::Take), "write on with the one found", "take it"),
    act("older-question", Places::of(&[Place::Recall]), Action::Recall(RecallAction::Older), "one asked before that", "older"),
    act("editor", Places::CHAT, Action::EditOutside, "go on writing in $VISUAL or $EDITOR", ""),
    act("leave", Places::of(&[Place::EmptyQuestion]), Action::Quit, "quit, while the question is empty", ""),
    act("slash", Places::of(&[Place::EmptyQuestion]), Action::Palette(PaletteAction::Open { slash: true }), "a command by its name", ""),

    act("run", Places::of(&[Place::Palette]), Action::Palette(PaletteAction::Run), "do it", "run"),
    act("complete", Places::of(&[Place::Palette]), Action::Palette(PaletteAction::Complete), "write its name out", "complete"),

    collection("use", LIST, Collection::Use, "ask the selected one from now on", "use"),
    collection("browse", LIST, Collection::Browse, "look at its rows", "rows"),
    collection("read-row", &[Place::Rows], Collection::SwitchPane, "read the selected row", "text"),
    collection("leave-row", &[Place::RowText], Collection::SwitchPane, "back to the rows", "rows"),
    act("leave-rows", Places::of(&[Place::Rows]), Action::Escape, "back to the list", ""),
    collection("confirm", &[Place::NewPath, Place::NewName, Place::DropName], Collection::Confirm, "go on with what is asked for", ""),
    collection("complete-path", &[Place::NewPath], Collection::CompletePath, "complete the path", "complete"),
    collection("yes", &[Place::DropYes], Collection::Confirm, "drop it", "drop"),
    act("no", Places::of(&[Place::DropYes]), Action::Escape, "leave it as it is", ""),
    act("escape", Places::ALL, Action::Escape, "one step back: close, stop, leave", ""),

    act("find", Places::PANES, Action::Find(FindAction::Open), "look for a text in the conversation", "find"),
    act("find-next", Places::PANES, Action::Find(FindAction::Next), "the next place of the text looked for", ""),
    act("find-previous", Places::PANES, Action::Find(FindAction::Previous), "the one before", ""),
    act("next-found", Places::of(&[Place::Find]), Action::Find(FindAction::Next), "the next place", "next"),
    act("previous-found", Places::of(&[Place::Find]), Action::Find(FindAction::Previous), "the one before", "next"),
    act("copy", Places::PANES.and(Places::EVIDENCE), Action::Copy(CopyAction::Here), "copy what is selected, the passage or the answer", "copy"),
    act("copy-question", Places::PANES, Action::Copy(CopyAction::Question), "copy the question", ""),
    act("copy-code", Places::PANES, Action::Copy(CopyAction::Code(0)), "copy the code block in view; again: the next", ""),
    act("copy-answer", Places::CHAT.and(Places::EVIDENCE), Action::Copy(CopyAction::Answer), "copy the answer", ""),

    evidence("sort", Evidence::Sort, "order by the next column", "sort"),
    evidence("next-evidence", Evidence::NextPane, "next pane: candidates, passage, map, figures, prompt", "panes"),
    evidence("previous-evidence", Evidence::PreviousPane, "previous pane", ""),
    evidence("more-passages", Evidence::MoreK, "search again for one passage more", "k"),
    evidence("fewer-passages", Evidence::LessK, "search again for one passage less", "k"),
    evidence("next-mode", Evidence::NextMode, "search again in the next mode", "mode"),
    evidence("next-weight", Evidence::NextWeight, "search again, vectors weighing a tenth more", "weight"),
    evidence("rerank-again", Evidence::Rerank, "search again, the best 20 ordered by their likest sentence, or not", "rerank"),
    evidence("search-elsewhere", Evidence::ChooseCollection, "search again in another collection", "collection"),
    act("choose", Places::of(&[Place::Choosing]), Action::Evidence(Evidence::UseCollection), "search again in the selected one", "search"),
    evidence("answer-again", Evidence::Answer, "ask again with these settings", "answer"),
    act("export", Places::EVIDENCE.and(Places::CHAT), Action::Evidence(Evidence::Export), "write all that is known of the turn into a JSON file", ""),

    ingest("pause", Ingest::Pause, "pause indexing, or go on", "pause"),
    ingest("stop", Ingest::Stop, "stop indexing or the model's download, after asking", "stop"),
    ingest("open", Ingest::Open, "all about the selected entry", "open"),
    ingest("next-part", Ingest::NextPane, "next pane: how it stands, what was skipped, past runs", "panes"),
    ingest("previous-part", Ingest::PreviousPane, "previous pane", ""),

    moves("up", Move::Up, "up", "scroll"),
    moves("down", Move::Down, "down", "scroll"),
    moves("page-up", Move::PageUp, "a page up", ""),
    moves("page-down", Move::PageDown, "a page down", ""),
    moves("half-page-up", Move::HalfPageUp, "half a page up", ""),
    moves("half-page-down", Move::HalfPageDown, "half a page down", ""),
    moves("top", Move::Top, "to the first", ""),
    moves("bottom", Move::Bottom, "to the last", ""),
    command("leftward", Places::PANES.and(Places::EVIDENCE), Does::Move(Move::Left), "to the left: an earlier question; on the map the nearest candidate there", ""),
    command("rightward", Places::PANES.and(Places::EVIDENCE), Does::Move(Move::Right), "to the right: a later question; on the map the nearest candidate there", ""),
    act("older-turn", Places::PANES.and(Places::EVIDENCE), Action::OlderTurn, "an earlier question's passages", "turns"),
    act("newer-turn", Places::PANES.and(Places::EVIDENCE), Action::NewerTurn, "a later question's passages", "turns"),

    collection("new-collection", &[Place::Collections, Place::NoCollections], Collection::Create, "make a collection from a folder", "new"),
    collection("drop", LIST, Collection::Drop, "drop it, after asking", "drop"),
    collection("reindex-all", LIST, Collection::ReindexAll, "index all of it anew, not only what changed", ""),
    act("next-pane", Places::CHAT, Action::FocusNext, "next pane", "panes"),
    act("previous-pane", Places::CHAT, Action::FocusPrevious, "previous pane", ""),
    act("help", Places::ALL, Action::Help, "these keys", "keys"),
    act("commands", Places::ALL, Action::Palette(PaletteAction::Open { slash: false }), "all commands, found by a few letters", "commands"),
    act("reindex", Places::ALL.but(Places::ASKED).but(Places::of(&[Place::Recall, Place::Find, Place::Palette])), Action::Reindex, "index what changed; get a missing model", "re-index"),
    collection("reload", &[Place::Collections, Place::NoCollections, Place::Rows, Place::RowText], Collection::Reload, "read again what is shown", "read again"),
    act("ingest", Places::ALL, Action::SwitchView(View::Ingest), "ingest view, and back to the chat", "ingest"),
    act("collections", Places::ALL, Action::SwitchView(View::Collections), "collections view, and back to the chat", "collections"),
    act("evidence", Places::ALL, Action::SwitchView(View::Evidence), "all that is known of a turn, and back to the chat", "evidence"),
    take("k", "NUMBER", k, "how many passages a question gets"),
    take("mode", "MODE", mode, "how questions are searched: hybrid, dense or keyword"),
    take("weight", "0 TO 1", weight, "how much vectors weigh beside keywords"),
    take("rerank", "NUMBER", rerank, "how many of the best are ordered anew by their likest sentence; 0: none"),
    take("collection", "NAME", named_collection, "ask another collection from now on"),
    take("model", "NAME", model, "another model of the configured server answers from now on; none quotes"),
    act("mouse", Places::ALL, Action::Touch(TouchAction::Toggle), "the mouse to the terminal, or back", ""),
    take("theme", "NAME", theme, "the colours: terminal, dark, light, high-contrast, mono"),
    act("next-theme", Places::ALL, Action::NextTheme, "the colours after these", ""),
    act("redraw", Places::ALL, Action::Redraw, "draw the screen anew", ""),
    act("suspend", Places::ALL, Action::Suspend, "to the shell; `fg` comes back", ""),
    act("interrupt", Places::ALL, Action::Interrupt, "clear the line or stop the answer; twice quits", ""),
    act("quit", Places::ALL, Action::Quit, "quit", ""),
];

fn k(word: &str) -> Result<Action, String> {
    match word.parse() {
        Ok(k) if (1..=SearchSettings::MOST_K).contains(&k) => Ok(Action::Set(Setting::K(k))),
        Ok(_) | Err(_) => Err(format!("k is a number from 1 to 100, not {word:?}")),
    }
}

fn rerank(word: &str) -> Result<Action, String> {
    match word.parse() {
        Ok(n) if n <= SearchSettings::MOST_K => Ok(Action::Set(Setting::Rerank(n))),
        Ok(_) | Err(_) => Err(format!("rerank is how many, a number from 0 to 100, not {word:?}")),
    }
}

fn mode(word: &str) -> Result<Action, String> {
    word.parse::<Mode>().map(|mode| Action::Set(Setting::Mode(mode)))
}

fn theme(word: &str) -> Result<Action, String> {
    word.parse().map(Action::SetTheme)
}

fn weight(word: &str) -> Result<Action, String> {
    match word.parse() {
        Ok(weight) if (0.0..=1.0).contains(&weight) => Ok(Action::Set(Setting::DenseWeight(weight))),
        Ok(_) | Err(_) => Err(format!("the weight is a number from 0 to 1, not {word:?}")),
    }
}

fn model(word: &str) -> Result<Action, String> {
    Ok(Action::Set(Setting::Model(Some(word.to_owned()).filter(|name| name != NO_MODEL))))
}

fn named_collection(word: &str) -> Result<Action, String> {
    Ok(Action::Set(Setting::Collection(word.to_owned())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_one_word_and_names_one_command() {
        let names: BTreeSet<_> = COMMANDS.iter().map(|command| command.name).collect();
        assert_eq!(names.len(), COMMANDS.len());
        for name in names {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
        }
    }
}
