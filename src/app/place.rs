use super::{EvidencePane, Focus, State, Step, View};

/// What has the keys. A state has exactly one place; which commands there are in it says the table of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The question that is being written.
    Question,
    /// The same while nothing has been written.
    EmptyQuestion,
    /// The questions asked before are searched.
    Recall,
    /// The conversation.
    Chat,
    /// A text is looked for in it.
    Find,
    /// The list of passages.
    Passages,
    /// The text of one.
    PassageText,
    /// How indexing stands, or a list of the ingest view; and an entry of one in full.
    Ingest,
    IngestEntry,
    /// The list of collections.
    Collections,
    /// The same while there is none to select.
    NoCollections,
    /// The rows of a collection, and the text of one of them.
    Rows,
    RowText,
    /// The path, then the name of a collection that is about to be made.
    NewPath,
    NewName,
    /// A collection is about to be dropped: its name is typed, or a yes is enough.
    DropName,
    DropYes,
    /// The table of the evidence view.
    Candidates,
    /// The map in it.
    Map,
    /// One of its other panes.
    EvidencePane,
    /// A collection to search again in is chosen.
    Choosing,
    Help,
    Palette,
}

/// A set of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places(u64);

impl Places {
    pub const ALL: Self = Self(u64::MAX);
    /// A line of text has the keys: characters are typed.
    pub const TYPING: Self = Self::QUESTION.and(Self::LINES).and(Self::of(&[Place::Recall, Place::Find]));
    pub const QUESTION: Self = Self::of(&[Place::Question, Place::EmptyQuestion]);
    /// A line of text, but neither the question nor the search in earlier ones.
    pub const LINES: Self = Self::of(&[Place::NewPath, Place::NewName, Place::DropName, Place::Palette]);
    /// The panes of the chat view.
    pub const PANES: Self = Self::of(&[Place::Chat, Place::Passages, Place::PassageText]);
    pub const CHAT: Self = Self::QUESTION.and(Self::PANES).and(Self::of(&[Place::Recall]));
    pub const EVIDENCE: Self = Self::of(&[Place::Candidates, Place::Map, Place::EvidencePane]);
    pub const BROWSING: Self = Self::of(&[Place::Rows, Place::RowText]);
    /// Something that is read or chosen from.
    pub const READING: Self = Self::PANES.and(Self::EVIDENCE).and(Self::BROWSING).and(Self::of(&[
        Place::Ingest,
        Place::IngestEntry,
        Place::Collections,
        Place::NoCollections,
        Place::Choosing,
        Place::Help,
    ]));
    /// Something is about to be made or dropped.
    pub const ASKED: Self = Self::of(&[Place::NewPath, Place::NewName, Place::DropName, Place::DropYes]);

    pub const fn of(places: &[Place]) -> Self {
        let (mut set, mut at) = (0, 0);
        while at < places.len() {
            set |= 1 << places[at] as u64;
            at += 1;
        }
        Self(set)
    }

    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn but(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those that are in both.
    pub const fn and_in(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub const fn contains(self, place: Place) -> bool {
        self.0 & (1 << place as u64) != 0
    }

    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl Place {
    /// Characters that are pressed are typed.
    pub fn is_typing(self) -> bool {
        Places::TYPING.contains(self)
    }

    /// Its name in the help.
    pub fn title(self) -> &'static str {
        match self {
            Self::Question | Self::EmptyQuestion => "Writing a question",
            Self::Recall => "Searching earlier questions",
            Self::Find => "Looking for a text",
            Self::Chat => "In the conversation",
            Self::Passages => "In the list of passages",
            Self::PassageText => "In a passage",
            Self::Ingest | Self::IngestEntry => "In the ingest view",
            Self::Collections | Self::NoCollections => "In the list of collections",
            Self::Rows => "In the rows of a collection",
            Self::RowText => "In the text of a row",
            Self::NewPath | Self::NewName => "Making a collection",
            Self::DropName | Self::DropYes => "Dropping a collection",
            Self::Map => "On the map of the evidence",
            Self::Choosing => "Choosing a collection",
            Self::Candidates | Self::EvidencePane => "In the evidence of a turn",
            Self::Help => "In this help",
            Self::Palette => "Among the commands",
        }
    }
}

impl State {
    /// What has the keys now.
    pub fn place(&self) -> Place {
        if self.palette.is_some() {
            Place::Palette
        } else if self.help {
            Place::Help
        } else {
            self.place_below()
        }
    }

    /// An overlay has the keys.
    pub fn overlaid(&self) -> bool {
        self.help || self.palette.is_some()
    }

    /// What has the keys where no overlay is open.
    pub fn place_below(&self) -> Place {
        match self.view {
            View::Chat => match self.focus {
                Focus::Input if self.recall.is_some() => Place::Recall,
                Focus::Input if self.input.is_empty() => Place::EmptyQuestion,
                Focus::Input => Place::Question,
                Focus::Chat if self.find.is_some() => Place::Find,
                Focus::Chat => Place::Chat,
                Focus::Passages => Place::Passages,
                Focus::PassageText => Place::PassageText,
            },
            View::Ingest if self.ingest_view.open => Place::IngestEntry,
            View::Ingest => Place::Ingest,
            View::Collections => match &self.collections.step {
                Step::Choose if self.collections.entry().is_none() => Place::NoCollections,
                Step::Choose => Place::Collections,
                Step::Browse(browsing) if browsing.in_text => Place::RowText,
                Step::Browse(_) => Place::Rows,
                Step::Create(creating) if creating.source.is_some() => Place::NewName,
                Step::Create(_) => Place::NewPath,
                Step::Drop(dropping) if dropping.must_type() => Place::DropName,
                Step::Drop(_) => Place::DropYes,
            },
            View::Evidence if self.evidence.choosing.is_some() => Place::Choosing,
            View::Evidence => match self.evidence.pane {
                EvidencePane::Candidates => Place::Candidates,
                EvidencePane::Map => Place::Map,
                EvidencePane::Passage | EvidencePane::Figures | EvidencePane::Prompt => Place::EvidencePane,
            },
        }
    }
}
