use std::borrow::Cow;

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

use super::Edit;
use crate::text::sanitise;

/// A few lines of text being written, with a cursor that never stands inside a grapheme cluster.
#[derive(Clone, Debug, Default)]
pub struct Editor {
    text: String,
    /// Byte offset in `text`.
    cursor: usize,
}

impl Editor {
    /// Longest text that can be written, in bytes; what goes beyond is cut off.
    pub const MAX_BYTES: usize = 64 * 1024;

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Byte offset of the cursor in the text.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Replaces everything and puts the cursor at the end; no character stays that a terminal would obey, since the text
    /// may come from a file.
    pub fn set(&mut self, text: String) {
        self.text = match sanitise(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(clean) => clean,
        };
        self.cursor = self.text.len();
    }

    /// Empties it and gives back what was there.
    pub fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Puts text in at the cursor, without characters that a terminal would obey. Returns whether all of it had room.
    pub fn insert(&mut self, text: &str) -> bool {
        // Terminals send a paste's line ends as CR.
        let lines = text.replace("\r\n", "\n").replace('\r', "\n");
        let clean = sanitise(&lines);
        let room = Self::MAX_BYTES.saturating_sub(self.text.len());
        let fits = clean.floor_char_boundary(room.min(clean.len()));
        self.text.insert_str(self.cursor, &clean[..fits]);
        self.cursor += fits;
        fits == clean.len()
    }

    /// Puts in the first line of a text that holds anything: for what is one line only.
    pub fn insert_line(&mut self, text: &str) -> bool {
        self.insert(text.split(['\r', '\n']).find(|line| !line.is_empty()).unwrap_or_default())
    }

    pub fn edit(&mut self, edit: Edit) {
        match edit {
            Edit::Newline => {
                self.insert("\n");
            }
            Edit::Left => self.cursor = self.left(),
            Edit::Right => self.cursor = self.right(),
            Edit::WordLeft => self.cursor = self.word_left(),
            Edit::WordRight => self.cursor = self.word_right(),
            Edit::LineStart => self.cursor = self.line_start(),
            Edit::LineEnd => self.cursor = self.line_end(),
            Edit::DeleteBack => self.delete_back_to(self.left()),
            Edit::DeleteForward => self.delete_forward_to(self.right()),
            Edit::DeleteWordBack => self.delete_back_to(self.word_left()),
            Edit::DeleteToLineStart => {
                // At a line's start the line feed before it goes, so that the key can be pressed again.
                let start = self.line_start();
                self.delete_back_to(if start == self.cursor { self.left() } else { start });
            }
            Edit::DeleteToLineEnd => {
                let end = self.line_end();
                self.delete_forward_to(if end == self.cursor { self.right() } else { end });
            }
        }
    }

    /// Goes a line up, keeping the column where it can. False on the first line.
    pub fn up(&mut self) -> bool {
        let start = self.line_start();
        let Some(end_above) = start.checked_sub(1) else { return false };
        let column = self.text[start..self.cursor].graphemes(true).count();
        let start_above = self.text[..end_above].rfind('\n').map_or(0, |at| at + 1);
        self.cursor = start_above + offset_of(&self.text[start_above..end_above], column);
        true
    }

    /// Goes a line down, keeping the column where it can. False on the last line.
    pub fn down(&mut self) -> bool {
        let end = self.line_end();
        if end == self.text.len() {
            return false;
        }
        let column = self.text[self.line_start()..self.cursor].graphemes(true).count();
        let below = &self.text[end + 1..];
        let line = &below[..below.find('\n').unwrap_or(below.len())];
        self.cursor = end + 1 + offset_of(line, column);
        true
    }

    fn delete_back_to(&mut self, start: usize) {
        self.text.replace_range(start..self.cursor, "");
        self.cursor = start;
    }

    fn delete_forward_to(&mut self, end: usize) {
        self.text.replace_range(self.cursor..end, "");
    }

    fn left(&self) -> usize {
        let mut cursor = GraphemeCursor::new(self.cursor, self.text.len(), true);
        cursor.prev_boundary(&self.text, 0).ok().flatten().unwrap_or(0)
    }

    fn right(&self) -> usize {
        let mut cursor = GraphemeCursor::new(self.cursor, self.text.len(), true);
        cursor.next_boundary(&self.text, 0).ok().flatten().unwrap_or(self.text.len())
    }

    fn word_left(&self) -> usize {
        let words = self.text[..self.cursor].split_word_bound_indices();
        words.rev().find(|(_, word)| !word.trim().is_empty()).map_or(0, |(at, _)| at)
    }

    fn word_right(&self) -> usize {
        let words = self.text[self.cursor..].split_word_bound_indices();
        let mut words = words.map(|(at, word)| (at + word.len(), word));
        words.find(|(_, word)| !word.trim().is_empty()).map_or(self.text.len(), |(end, _)| self.cursor + end)
    }

    fn line_start(&self) -> usize {
        self.text[..self.cursor].rfind('\n').map_or(0, |at| at + 1)
    }

    fn line_end(&self) -> usize {
        self.text[self.cursor..].find('\n').map_or(self.text.len(), |at| self.cursor + at)
    }
}

/// Byte offset of the cluster at a column, or the line's end.
fn offset_of(line: &str, column: usize) -> usize {
    line.grapheme_indices(true).nth(column).map_or(line.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn editor(text: &str) -> Editor {
        let mut editor = Editor::default();
        editor.insert(text);
        editor
    }

    #[test]
    fn a_paste_keeps_its_lines_and_loses_what_a_terminal_would_obey() {
        assert_eq!(editor("a\r\nb\rc\x1b[2Jd\u{202e}\te").text(), "a\nb\nc[2Jd    e");
        let mut full = editor(&"x".repeat(Editor::MAX_BYTES - 1));
        assert!(!full.insert("漢字"), "no room");
        assert!(full.insert("y") && !full.insert("y"));
    }

    #[test]
    fn moves_by_cluster_word_and_line() {
        let mut e = editor("one two\n🇩🇪 e\u{301}x");
        e.edit(Edit::Left);
        e.edit(Edit::DeleteBack);
        assert_eq!(e.text(), "one two\n🇩🇪 x");
        e.edit(Edit::WordLeft);
        e.edit(Edit::DeleteForward);
        assert_eq!(e.text(), "one two\n x");
        assert!(e.up() && !e.up());
        e.edit(Edit::WordRight);
        assert_eq!(e.cursor(), 3);
        assert!(e.down() && !e.down());
        assert_eq!(e.cursor(), e.text().len(), "the line below is shorter");
        e.edit(Edit::DeleteToLineStart);
        e.edit(Edit::DeleteToLineStart);
        e.edit(Edit::DeleteWordBack);
        assert_eq!(e.text(), "one ");
        e.edit(Edit::LineStart);
        e.edit(Edit::DeleteToLineEnd);
        assert!(e.is_empty());
    }

    proptest! {
        /// Any sequence of edits leaves the cursor between clusters and never panics.
        #[test]
        fn the_cursor_stays_between_clusters(
            steps in proptest::collection::vec((0..16u8, "[a 漢\u{301}\u{200d}👩\n]{0,3}"), 0..40),
        ) {
            const EDITS: [Edit; 12] = [
                Edit::Newline, Edit::Left, Edit::Right, Edit::WordLeft, Edit::WordRight, Edit::LineStart,
                Edit::LineEnd, Edit::DeleteBack, Edit::DeleteForward, Edit::DeleteWordBack,
                Edit::DeleteToLineStart, Edit::DeleteToLineEnd,
            ];
            let mut e = Editor::default();
            for (step, text) in steps {
                match usize::from(step) {
                    12 => { e.up(); }
                    13 => { e.down(); }
                    step if step > 13 => { e.insert(&text); }
                    step => e.edit(EDITS[step]),
                }
                prop_assert!(e.text().is_char_boundary(e.cursor()));
            }
        }
    }
}
