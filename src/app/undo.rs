use std::collections::VecDeque;

/// Most bytes that are kept for undoing.
const MOST_BYTES: usize = 1 << 20;

/// The changes of a text, to go back and forth over. A run of typing or deleting is one change, up to a word's end.
#[derive(Clone, Debug, Default)]
pub struct Undo {
    /// Oldest first.
    changes: VecDeque<Change>,
    /// How many of them hold; those behind were undone.
    held: usize,
    /// Nothing more is added to the last change.
    sealed: bool,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Change {
    at: usize,
    removed: String,
    inserted: String,
    /// Where the cursor was.
    cursor: usize,
}

impl Change {
    fn bytes(&self) -> usize {
        self.removed.len() + self.inserted.len() + size_of::<Self>()
    }

    /// Whether a change goes on where this one ended, and belongs to it.
    fn goes_on(&self, at: usize, removed: &str, inserted: &str) -> bool {
        let word_ended = self.inserted.ends_with(char::is_whitespace) && !inserted.starts_with(char::is_whitespace);
        let typed = self.removed.is_empty() && removed.is_empty() && at == self.at + self.inserted.len() && !word_ended;
        let deleted = self.inserted.is_empty() && inserted.is_empty() && at + removed.len() == self.at;
        // A paste or a deleted line stands by itself.
        (typed || deleted) && inserted.chars().count() <= 1 && removed.chars().count() <= 1
    }
}

impl Undo {
    /// Notes that `removed` gives way to `inserted` at a byte offset.
    pub fn note(&mut self, at: usize, removed: &str, inserted: &str, cursor: usize) {
        for undone in self.changes.drain(self.held..) {
            self.bytes -= undone.bytes();
        }
        self.bytes += removed.len() + inserted.len();
        let sealed = std::mem::take(&mut self.sealed);
        match self.changes.back_mut() {
            Some(last) if !sealed && last.goes_on(at, removed, inserted) => {
                last.inserted.push_str(inserted);
                last.removed.insert_str(0, removed);
                last.at = at.min(last.at);
            }
            Some(_) | None => {
                self.bytes += size_of::<Change>();
                let (removed, inserted) = (removed.to_owned(), inserted.to_owned());
                self.changes.push_back(Change { at, removed, inserted, cursor });
            }
        }
        while self.bytes > MOST_BYTES
            && let Some(oldest) = self.changes.pop_front()
        {
            self.bytes -= oldest.bytes();
        }
        self.held = self.changes.len();
    }

    /// What comes next is a change of its own.
    pub fn seal(&mut self) {
        self.sealed = true;
    }

    /// Takes the last change back; returns where the cursor goes. `None` where there is none.
    pub fn undo(&mut self, text: &mut String) -> Option<usize> {
        let at = self.held.checked_sub(1)?;
        let change = self.changes.get(at)?;
        text.replace_range(change.at..change.at + change.inserted.len(), &change.removed);
        (self.held, self.sealed) = (at, true);
        Some(change.cursor)
    }

    /// Makes the change again that was taken back last.
    pub fn redo(&mut self, text: &mut String) -> Option<usize> {
        let change = self.changes.get(self.held)?;
        text.replace_range(change.at..change.at + change.removed.len(), &change.inserted);
        (self.held, self.sealed) = (self.held + 1, true);
        Some(change.at + change.inserted.len())
    }
}
