use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{EvidencePane, Focus, IngestPane, Scroll};

/// What is pointed at, selected and copied.
#[derive(Debug, Default)]
pub struct Touch {
    /// The mouse is ours; otherwise the terminal selects with it.
    pub mouse: bool,
    pub selection: Option<Selection>,
    /// Where the button went down in a text: a drag selects from there.
    pub(super) anchor: Option<(TextPane, Point)>,
    /// The code block that was copied by the last action.
    pub(super) code: Option<usize>,
}

/// A pane whose text can be selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextPane {
    Chat,
    /// The text of the selected passage.
    Passage,
}

/// A cell of a pane's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Counted as drawn: in the chat from its first row, in the passage's text from the passage's own first row, before
    /// which stands what is before it in the document.
    pub row: isize,
    pub column: usize,
}

/// The cells from one to another in reading order, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    pub pane: TextPane,
    /// Where the drag began, and where it has got to.
    pub anchor: Point,
    pub head: Point,
}

impl Touch {
    /// Where the button went down in a text, as long as nothing has come of it.
    pub fn anchor(&self) -> Option<(TextPane, Point)> {
        self.anchor
    }
}

impl Selection {
    /// First and last cell.
    pub fn ends(&self) -> (Point, Point) {
        (self.anchor.min(self.head), self.anchor.max(self.head))
    }
}

/// What the mouse does. The keyboard has a way of its own for each but selecting.
#[derive(Clone, Debug, PartialEq)]
pub enum TouchAction {
    /// The button went down in a pane of the chat view: the keys go there, and a drag in its text selects from here.
    Press {
        focus: Focus,
        anchor: Option<(TextPane, Point)>,
    },
    /// The mouse was moved with the button held; beyond the pane's end its text moves along.
    Drag {
        to: Point,
        scroll: Option<Scroll>,
    },
    /// Selects a candidate of the evidence view, or a row of a collection, by its place; the table has the keys then.
    ChooseCandidate(usize),
    ChooseRow(u64),
    /// Shows a turn's passages; what is in view stays so.
    ShowTurn(usize),
    /// Selects a passage of the shown turn by its place in the list, which has the keys then.
    ChoosePassage(usize),
    /// Shows a passage that a turn's answer cites, by its place in the turn's list, from 0.
    ShowCited {
        turn: usize,
        passage: usize,
    },
    /// Puts the input's cursor at a byte of its text.
    PlaceCursor(usize),
    ShowEvidence(EvidencePane),
    /// Selects a candidate by its place in the table, on the map, which has the keys then.
    ChooseOnMap(usize),
    ShowIngest(IngestPane),
    /// Selects an entry of a list of the ingest view, and shows it in full where it is selected already.
    ChooseEntry {
        pane: IngestPane,
        at: usize,
    },
    /// In the rows of a collection: to the text of one, or to the table.
    ShowRows {
        text: bool,
    },
    /// Forgets what is selected.
    Unselect,
    /// Gives the mouse to the terminal, or takes it back.
    Toggle,
}

/// What can be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyAction {
    /// Whatever has the keys: what is selected with the mouse, or else the passage or the answer.
    Here,
    /// The shown turn's answer, as it was written.
    Answer,
    Question,
    /// The selected passage, as the document holds it.
    Passage,
    /// A code block of the shown turn's answer, from 0; when the last action copied one, the one after that.
    Code(usize),
    /// What is selected with the mouse.
    Selected(String),
}

/// How a copy went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// `the answer`.
    pub what: String,
    pub characters: usize,
    /// The system's clipboard took it, or the reason why not.
    pub clipboard: Result<(), String>,
    /// It was given to the terminal, which has a clipboard of its own if it lets programs write there.
    pub terminal: bool,
}

impl Copied {
    /// Some clipboard was reached.
    pub fn reached(&self) -> bool {
        self.clipboard.is_ok() || self.terminal
    }

    /// In a sentence.
    pub fn tell(&self) -> String {
        let Self { what, characters, .. } = self;
        let unit = if *characters == 1 { "character" } else { "characters" };
        let done = |ways: &str| format!("copied {what}, {characters} {unit}, {ways}");
        match (&self.clipboard, self.terminal) {
            (Ok(()), true) => done("to the clipboard and through the terminal"),
            (Ok(()), false) => done("to the clipboard"),
            (Err(_), true) => done("through the terminal (OSC 52)"),
            (Err(why), false) => {
                let hint = "‹export› writes all of the turn into a file";
                format!("{what} is too long for the terminal's clipboard, {characters} {unit}: {hint} (and {why})")
            }
        }
    }
}

/// The code blocks of a Markdown text.
pub fn code_blocks(markdown: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut inside = false;
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => {
                inside = true;
                blocks.push(String::new());
            }
            Event::End(TagEnd::CodeBlock) => inside = false,
            Event::Text(text) if inside => {
                if let Some(block) = blocks.last_mut() {
                    block.push_str(&text);
                }
            }
            _ => {}
        }
    }
    blocks
}
