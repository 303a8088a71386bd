//! Which key does what: one table that the keyboard, the footer and the help overlay share.

use ratatui::crossterm::event::{
    Event,
    KeyCode::{
        self, BackTab, Backspace, Char, Delete, Down, End, Enter, Esc, F, Home, Left, PageDown, PageUp, Right, Tab, Up,
    },
    KeyEvent, KeyEventKind, KeyModifiers,
};

use super::{ViewCache, touch};
use crate::app::{
    Action, CollectionAction as Collection, CopyAction, Edit, Escape, EvidenceAction, Focus, RecallAction, State, Step,
    TouchAction, View,
};

/// A movement in a list or a text; how far it goes depends on what the last frame measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
}

#[derive(Clone, Debug)]
pub enum Does {
    Act(Action),
    Move(Move),
}

/// When a binding is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Everywhere,
    /// The keys go to a line of text: the input, or one of the collections view.
    Typing,
    /// The keys go to the input.
    Input,
    /// The history is searched.
    Recall,
    /// They do, and it is empty.
    EmptyInput,
    /// A character that is pressed is not typed: they don't, or the input is empty.
    NotTyping,
    /// Nothing is typed: a pane, another view or the help has them.
    Pane,
    /// The chat view has them, not its input.
    ChatPane,
    /// So it has, or the evidence view, and there is a turn.
    Copyable,
    /// In the chat view, whichever part of it.
    Chat,
    /// Anywhere but where a collection is about to be made or dropped.
    NotAsked,
    /// The list of collections has them.
    List,
    /// So it has, and one is selected.
    Selected,
    /// The table of a collection's rows has them.
    Rows,
    /// The text of a row has them.
    RowText,
    /// Either of the two.
    Browsing,
    /// The path of a new collection is typed.
    Path,
    /// A line of the collections view is typed.
    Line,
    /// The evidence view, or the chat that it belongs to.
    Turn,
    Evidence,
    /// A collection that holds nothing is about to be dropped.
    YesOrNo,
}

impl Scope {
    fn holds(self, state: &State) -> bool {
        let chat = state.view == View::Chat && !state.help;
        let input = chat && state.focus == Focus::Input;
        let step = (state.view == View::Collections && !state.help).then_some(&state.collections.step);
        let line = step.is_some() && state.collections.line().is_some();
        match self {
            Self::Everywhere => true,
            Self::Typing => input || line,
            Self::Input => input,
            Self::Recall => state.recalling() && !state.help,
            Self::EmptyInput => input && !state.recalling() && state.input.is_empty(),
            Self::NotTyping => !line && (!input || (state.input.is_empty() && !state.recalling())),
            Self::Pane => !input && !line,
            Self::ChatPane => chat && !input,
            Self::Copyable => {
                ((chat && !input) || (state.view == View::Evidence && !state.help)) && !state.turns.is_empty()
            }
            Self::Chat => chat,
            Self::NotAsked => !matches!(step, Some(Step::Create(_) | Step::Drop(_))),
            Self::List => matches!(step, Some(Step::Choose)),
            Self::Selected => matches!(step, Some(Step::Choose)) && state.collections.entry().is_some(),
            Self::Rows => matches!(step, Some(Step::Browse(browsing)) if !browsing.in_text),
            Self::RowText => matches!(step, Some(Step::Browse(browsing)) if browsing.in_text),
            Self::Browsing => matches!(step, Some(Step::Browse(_))),
            Self::Path => matches!(step, Some(Step::Create(creating)) if creating.source.is_none()),
            Self::Line => line,
            Self::Turn => matches!(state.view, View::Chat | View::Evidence),
            Self::Evidence => state.view == View::Evidence && !state.help,
            Self::YesOrNo => matches!(step, Some(Step::Drop(dropping)) if !dropping.must_type()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Asking,
    Reading,
    Collections,
    Evidence,
    Everywhere,
}

impl Group {
    pub const ALL: [Self; 5] = [Self::Asking, Self::Reading, Self::Collections, Self::Evidence, Self::Everywhere];

    pub fn name(self) -> &'static str {
        match self {
            Self::Asking => "Asking",
            Self::Reading => "Reading",
            Self::Collections => "Collections",
            Self::Evidence => "Evidence",
            Self::Everywhere => "Everywhere",
        }
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Binding {
    keys: &'static [(KeyModifiers, KeyCode)],
    scope: Scope,
    does: Does,
    group: Group,
    /// The keys' names, and what they do, in the help. Empty where another row says it already.
    pub shown: &'static str,
    pub what: &'static str,
    /// One word for the footer; empty where it has no place there.
    short: &'static str,
}

const NONE: KeyModifiers = KeyModifiers::NONE;
const CTRL: KeyModifiers = KeyModifiers::CONTROL;
const ALT: KeyModifiers = KeyModifiers::ALT;
const SHIFT: KeyModifiers = KeyModifiers::SHIFT;

const fn bind(
    keys: &'static [(KeyModifiers, KeyCode)],
    scope: Scope,
    does: Does,
    (group, shown, what, short): (Group, &'static str, &'static str, &'static str),
) -> Binding {
    Binding { keys, scope, does, group, shown, what, short }
}

const fn edit(
    keys: &'static [(KeyModifiers, KeyCode)],
    edit: Edit,
    shown: &'static str,
    what: &'static str,
) -> Binding {
    let scope = if matches!(edit, Edit::Newline) { Scope::Input } else { Scope::Typing };
    bind(keys, scope, Does::Act(Action::Edit(edit)), (Group::Asking, shown, what, ""))
}

const fn collection(
    keys: &'static [(KeyModifiers, KeyCode)],
    scope: Scope,
    action: Collection,
    (shown, what, short): (&'static str, &'static str, &'static str),
) -> Binding {
    bind(keys, scope, Does::Act(Action::Collection(action)), (Group::Collections, shown, what, short))
}

const fn evidence(
    keys: &'static [(KeyModifiers, KeyCode)],
    action: EvidenceAction,
    (shown, what, short): (&'static str, &'static str, &'static str),
) -> Binding {
    bind(keys, Scope::Evidence, Does::Act(Action::Evidence(action)), (Group::Evidence, shown, what, short))
}

const fn moves(keys: &'static [(KeyModifiers, KeyCode)], by: Move, shown: &'static str, what: &'static str) -> Binding {
    let short = if matches!(by, Move::Up) { "scroll" } else { "" };
    bind(keys, Scope::Pane, Does::Move(by), (Group::Reading, shown, what, short))
}

/// The first row whose key and scope fit is taken.
#[rustfmt::skip]
pub static BINDINGS: &[Binding] = &[
    bind(&[(NONE, Enter)], Scope::Recall, Does::Act(Action::Recall(RecallAction::Take)), (Group::Asking, "Enter", "", "take it")),
    bind(&[(NONE, Enter)], Scope::Input, Does::Act(Action::Submit), (Group::Asking, "Enter", "ask; stops a running answer first", "ask")),
    edit(&[(CTRL, Char('j')), (ALT, Enter), (SHIFT, Enter)], Edit::Newline, "Ctrl-J, Alt-Enter", "new line"),
    bind(&[(NONE, Up)], Scope::Input, Does::Act(Action::Up), (Group::Asking, "↑↓", "line up or down; earlier questions", "")),
    bind(&[(NONE, Down)], Scope::Input, Does::Act(Action::Down), (Group::Asking, "", "", "")),
    bind(&[(NONE, PageUp)], Scope::Input, Does::Move(Move::PageUp), (Group::Asking, "PgUp, PgDn", "scroll the chat while writing", "")),
    bind(&[(NONE, PageDown)], Scope::Input, Does::Move(Move::PageDown), (Group::Asking, "", "", "")),
    bind(&[(CTRL, Char('e'))], Scope::Turn, Does::Act(Action::SwitchView(View::Evidence)), (Group::Everywhere, "", "", "")),
    bind(&[(CTRL, Char('s')), (ALT, Char('r'))], Scope::Chat, Does::Act(Action::Recall(RecallAction::Older)), (Group::Asking, "Ctrl-S, Alt-R", "search the questions asked before", "")),
    bind(&[(CTRL, Char('g')), (ALT, Char('e'))], Scope::Chat, Does::Act(Action::EditOutside), (Group::Asking, "Ctrl-G, Alt-E", "go on writing in $VISUAL or $EDITOR", "")),
    bind(&[(ALT, Char('c'))], Scope::Turn, Does::Act(Action::Copy(CopyAction::Answer)), (Group::Reading, "", "", "")),
    edit(&[(NONE, Left), (CTRL, Char('b'))], Edit::Left, "", ""),
    edit(&[(NONE, Right), (CTRL, Char('f'))], Edit::Right, "", ""),
    edit(&[(CTRL, Left), (ALT, Left), (ALT, Char('b'))], Edit::WordLeft, "Ctrl-←→", "word left or right"),
    edit(&[(CTRL, Right), (ALT, Right), (ALT, Char('f'))], Edit::WordRight, "", ""),
    edit(&[(NONE, Home), (CTRL, Char('a'))], Edit::LineStart, "Home, End", "start or end of the line"),
    edit(&[(NONE, End), (CTRL, Char('e'))], Edit::LineEnd, "", ""),
    edit(&[(CTRL, Char('w')), (CTRL, Backspace), (ALT, Backspace)], Edit::DeleteWordBack, "Ctrl-W", "delete the word before"),
    edit(&[(CTRL, Char('u'))], Edit::DeleteToLineStart, "Ctrl-U, Ctrl-K", "delete to the line's start or end"),
    edit(&[(CTRL, Char('k'))], Edit::DeleteToLineEnd, "", ""),
    edit(&[(ALT, Char('d')), (CTRL, Delete)], Edit::DeleteWordForward, "", ""),
    edit(&[(CTRL, Char('y'))], Edit::Yank, "Ctrl-Y", "put in again what was deleted so"),
    // Terminals send Ctrl-/ and Ctrl-_ as the character that reads as Ctrl-7.
    edit(&[(CTRL, Char('7')), (CTRL, Char('_')), (CTRL, Char('/'))], Edit::Undo, "Ctrl-/, Alt-/", "undo, redo"),
    edit(&[(ALT, Char('/')), (ALT, Char('_'))], Edit::Redo, "", ""),
    edit(&[(CTRL, Home)], Edit::TextStart, "", ""),
    edit(&[(CTRL, End)], Edit::TextEnd, "", ""),
    edit(&[(NONE, Backspace), (CTRL, Char('h'))], Edit::DeleteBack, "", ""),
    edit(&[(NONE, Delete)], Edit::DeleteForward, "", ""),
    bind(&[(CTRL, Char('d'))], Scope::EmptyInput, Does::Act(Action::Quit), (Group::Everywhere, "Ctrl-D", "quit, when the input is empty", "")),
    edit(&[(CTRL, Char('d'))], Edit::DeleteForward, "", ""),

    collection(&[(NONE, Enter)], Scope::Selected, Collection::Use, ("Enter", "ask the selected one from now on", "use")),
    collection(&[(NONE, Char('b')), (NONE, Tab), (NONE, Right)], Scope::Selected, Collection::Browse, ("b, Tab, →", "look at its rows", "rows")),
    collection(&[(NONE, Tab), (NONE, Right)], Scope::Rows, Collection::SwitchPane, ("Tab, ←→", "from the rows to the text of one, and back", "text")),
    collection(&[(NONE, Tab), (NONE, Left)], Scope::RowText, Collection::SwitchPane, ("Tab", "", "rows")),
    bind(&[(NONE, Left)], Scope::Rows, Does::Act(Action::Escape), (Group::Collections, "", "", "")),
    collection(&[(NONE, Enter)], Scope::Line, Collection::Confirm, ("Enter", "", "")),
    collection(&[(NONE, Tab)], Scope::Path, Collection::CompletePath, ("Tab", "complete the path of a new one", "complete")),
    collection(&[(NONE, Char('y'))], Scope::YesOrNo, Collection::Confirm, ("y", "", "")),
    bind(&[(NONE, Char('n'))], Scope::YesOrNo, Does::Act(Action::Escape), (Group::Collections, "", "", "")),
    bind(&[(NONE, Esc)], Scope::Everywhere, Does::Act(Action::Escape), (Group::Everywhere, "Esc", "close help; stop the answer; one step back", "")),

    bind(&[(CTRL, Char('s'))], Scope::Recall, Does::Act(Action::Recall(RecallAction::Older)), (Group::Asking, "Ctrl-S", "", "an older one")),

    evidence(&[(NONE, Char('s'))], EvidenceAction::Sort, ("s", "order by the next column", "sort")),
    evidence(&[(NONE, Tab)], EvidenceAction::NextPane, ("Tab, Shift-Tab", "candidates, passage, figures, prompt", "panes")),
    evidence(&[(SHIFT, BackTab), (NONE, BackTab)], EvidenceAction::PreviousPane, ("", "", "")),
    bind(&[(NONE, Char('[')), (NONE, Left)], Scope::Evidence, Does::Act(Action::OlderTurn), (Group::Evidence, "←→, [, ]", "an earlier or later question", "turns")),
    bind(&[(NONE, Char(']')), (NONE, Right)], Scope::Evidence, Does::Act(Action::NewerTurn), (Group::Evidence, "", "", "")),
    evidence(&[(NONE, Char('+')), (NONE, Char('='))], EvidenceAction::MoreK, ("+, -", "search again for more or fewer passages", "k")),
    evidence(&[(NONE, Char('-'))], EvidenceAction::LessK, ("", "", "")),
    evidence(&[(NONE, Char('m'))], EvidenceAction::NextMode, ("m", "search again in the next mode", "mode")),
    evidence(&[(NONE, Char('w'))], EvidenceAction::NextWeight, ("w", "search again, vectors weighing a tenth more", "weight")),
    evidence(&[(NONE, Char('a'))], EvidenceAction::Answer, ("a", "ask again with these settings", "answer")),
    evidence(&[(NONE, Char('x'))], EvidenceAction::Export, ("x", "write all of it into a JSON file", "export")),
    moves(&[(NONE, Up), (NONE, Char('k'))], Move::Up, "↑↓, k, j", "scroll; another passage in the list"),
    moves(&[(NONE, Down), (NONE, Char('j'))], Move::Down, "", ""),
    moves(&[(NONE, PageUp)], Move::PageUp, "PgUp, PgDn, Space", "a page up or down"),
    moves(&[(NONE, PageDown), (NONE, Char(' '))], Move::PageDown, "", ""),
    moves(&[(NONE, Home), (NONE, Char('g'))], Move::Top, "Home, End, g, G", "first or last"),
    moves(&[(NONE, End), (NONE, Char('G'))], Move::Bottom, "", ""),
    bind(&[(NONE, Char('[')), (NONE, Left)], Scope::ChatPane, Does::Act(Action::OlderTurn), (Group::Reading, "←→, [, ]", "passages of an earlier or later question", "turns")),
    bind(&[(NONE, Char(']')), (NONE, Right)], Scope::ChatPane, Does::Act(Action::NewerTurn), (Group::Reading, "", "", "")),
    bind(&[(NONE, Char('y'))], Scope::Copyable, Does::Act(Action::Copy(CopyAction::Here)), (Group::Reading, "y", "copy what is selected, the passage or the answer", "copy")),
    bind(&[(NONE, Char('Y'))], Scope::ChatPane, Does::Act(Action::Copy(CopyAction::Question)), (Group::Reading, "Y", "copy the question", "")),
    bind(&[(NONE, Char('c'))], Scope::ChatPane, Does::Act(Action::Copy(CopyAction::Code(0))), (Group::Reading, "c", "copy the code block in view; again: the next", "")),
    bind(&[(ALT, Char('m')), (NONE, F(6))], Scope::Everywhere, Does::Act(Action::Touch(TouchAction::Toggle)), (Group::Everywhere, "Alt-M, F6", "the mouse to the terminal, or back", "")),

    collection(&[(NONE, Char('n'))], Scope::List, Collection::Create, ("n", "make a new one from a folder", "new")),
    collection(&[(NONE, Char('d'))], Scope::Selected, Collection::Drop, ("d", "drop it, after asking", "drop")),
    collection(&[(NONE, Char('R'))], Scope::Selected, Collection::ReindexAll, ("R", "index all of it anew, not only what changed", "")),
    bind(&[(NONE, Tab)], Scope::Chat, Does::Act(Action::FocusNext), (Group::Everywhere, "Tab, Shift-Tab", "next or previous pane", "panes")),
    bind(&[(SHIFT, BackTab), (NONE, BackTab)], Scope::Chat, Does::Act(Action::FocusPrevious), (Group::Everywhere, "", "", "")),
    bind(&[(NONE, Char('?'))], Scope::NotTyping, Does::Act(Action::Help), (Group::Everywhere, "?, F1", "this help (? where it isn't typed)", "keys")),
    bind(&[(CTRL, Char('r'))], Scope::NotAsked, Does::Act(Action::Reindex), (Group::Everywhere, "Ctrl-R", "index what changed; get a missing model", "re-index")),
    collection(&[(NONE, Char('r'))], Scope::List, Collection::Reload, ("r", "read again what is shown", "read again")),
    collection(&[(NONE, Char('r'))], Scope::Browsing, Collection::Reload, ("r", "", "read again")),
    bind(&[(CTRL, Char('t')), (NONE, F(2))], Scope::Everywhere, Does::Act(Action::SwitchView(View::Ingest)), (Group::Everywhere, "Ctrl-T, F2", "ingest view and back to the chat", "ingest")),
    bind(&[(CTRL, Char('o')), (NONE, F(3))], Scope::Everywhere, Does::Act(Action::SwitchView(View::Collections)), (Group::Everywhere, "Ctrl-O, F3", "collections view and back to the chat", "collections")),
    bind(&[(CTRL, Char('e')), (NONE, F(4))], Scope::Everywhere, Does::Act(Action::SwitchView(View::Evidence)), (Group::Everywhere, "Ctrl-E, F4", "all that is known of a turn, and back", "evidence")),
    bind(&[(NONE, F(1))], Scope::Everywhere, Does::Act(Action::Help), (Group::Everywhere, "", "", "")),
    bind(&[(CTRL, Char('l'))], Scope::Everywhere, Does::Act(Action::Redraw), (Group::Everywhere, "Ctrl-L", "draw the screen anew", "")),
    bind(&[(CTRL, Char('z'))], Scope::Everywhere, Does::Act(Action::Suspend), (Group::Everywhere, "Ctrl-Z", "to the shell; `fg` comes back", "")),
    bind(&[(CTRL, Char('c'))], Scope::Everywhere, Does::Act(Action::Interrupt), (Group::Everywhere, "Ctrl-C", "clear the input or stop; twice quits", "")),
];

/// What a terminal event means now. `None` for what means nothing; a resize needs a frame but no action.
///
/// `cache` is the one that the last frame was drawn with: pages and ends are counted in its rows.
pub fn key(state: &State, cache: &ViewCache, event: Event) -> Option<Action> {
    let key = match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => key,
        Event::Paste(text) => return (!state.help).then_some(Action::Insert(text)),
        Event::Mouse(event) => return touch::mouse(state, cache, event),
        // Rows are others now, and with them what was selected.
        Event::Resize(..) => return state.touch.selection.map(|_| Action::Touch(TouchAction::Unselect)),
        Event::Key(_) | Event::FocusGained | Event::FocusLost => return None,
    };
    if let Some(binding) = BINDINGS.iter().find(|binding| binding.scope.holds(state) && binding.fits(key)) {
        return match &binding.does {
            Does::Act(action) => Some(touch::with_screen(state, cache, action.clone())),
            Does::Move(by) => cache.measured.resolve(state, *by),
        };
    }
    match key.code {
        // Ctrl with Alt is how some keyboards type a third symbol.
        Char(c) if Scope::Typing.holds(state) && key.modifiers.contains(CTRL) == key.modifiers.contains(ALT) => {
            Some(Action::Insert(c.to_string()))
        }
        _ => None,
    }
}

impl Binding {
    fn fits(&self, key: KeyEvent) -> bool {
        self.keys.iter().any(|(modifiers, code)| match code {
            // A symbol says by itself whether Shift was held.
            Char(_) => *code == key.code && *modifiers == key.modifiers - SHIFT,
            _ => *code == key.code && *modifiers == key.modifiers,
        })
    }

    pub fn group(&self) -> Group {
        self.group
    }
}

/// The keys worth naming now and what they do, the most important first.
pub fn footer(state: &State) -> Vec<(&'static str, &'static str)> {
    let mut named = Vec::new();
    for binding in BINDINGS.iter().filter(|binding| binding.scope.holds(state)) {
        let word = match &binding.does {
            Does::Act(Action::Escape) => escape_word(state.escape()),
            Does::Act(Action::SwitchView(view)) if state.view == *view => "chat",
            Does::Act(Action::Collection(Collection::Confirm)) => confirm_word(&state.collections.step),
            Does::Act(_) | Does::Move(_) => binding.short,
        };
        let name = binding.shown.split(',').next().unwrap_or(binding.shown);
        // A key does what the first row says that names it.
        if !word.is_empty() && !name.is_empty() && named.iter().all(|(before, _)| *before != name) {
            named.push((name, word));
        }
    }
    named
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
        Escape::CloseHelp => "close",
        Escape::DropSelection => "unselect",
        Escape::LeaveRecall => "back to the draft",
        Escape::ArmStopIngest | Escape::StopIngest => "stop indexing",
        Escape::LeaveIngest | Escape::LeaveCollections | Escape::LeaveEvidence => "back",
        Escape::BackToPath => "to the path",
        Escape::CancelStep => "cancel",
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
