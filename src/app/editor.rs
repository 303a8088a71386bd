use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

use super::{Edit, undo::Undo};
use crate::text::sanitise;

/// A few lines of text being written, with a cursor that never stands inside a grapheme cluster. What was changed can
/// be undone, and what was deleted by words or lines can be put in again.
#[derive(Clone, Debug, Default)]
pub struct Editor {
    text: String,
    /// Byte offset in `text`.
    cursor: usize,
    undo: Undo,
    /// What was last deleted by words or lines.
    killed: String,
    /// It was by the last edit: what is deleted next is added to it.
    killing: bool,
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
    /// may come from a file. It can be undone.
    pub fn set(&mut self, text: &str) {
        self.killing = false;
        self.undo.seal();
        self.replace(0, self.text.len(), &sanitise(text));
        self.undo.seal();
    }

    /// Replaces everything by text from outside, as [`Editor::insert`] takes it. It can be undone.
    pub fn rewrite(&mut self, text: &str) -> bool {
        let mut new = Self::default();
        let fits = new.insert(text);
        if new.text != self.text {
            self.set(&new.text);
        }
        fits
    }

    /// Empties it for good and gives back what was there.
    pub fn take(&mut self) -> String {
        (self.cursor, self.killing) = (0, false);
        self.undo = Undo::default();
        std::mem::take(&mut self.text)
    }

    /// Puts text in at the cursor, without characters that a terminal would obey. Returns whether all of it had room.
    pub fn insert(&mut self, text: &str) -> bool {
        self.killing = false;
        // Terminals send a paste's line ends as CR.
        let lines = text.replace("\r\n", "\n").replace('\r', "\n");
        let clean = sanitise(&lines);
        let room = Self::MAX_BYTES.saturating_sub(self.text.len());
        let fits = clean.floor_char_boundary(room.min(clean.len()));
        self.replace(self.cursor, self.cursor, &clean[..fits]);
        fits == clean.len()
    }

    /// Puts in the first line of a text that holds anything: for what is one line only.
    pub fn insert_line(&mut self, text: &str) -> bool {
        self.insert(text.split(['\r', '\n']).find(|line| !line.is_empty()).unwrap_or_default())
    }

    /// Puts the cursor at a byte offset, or at the cluster's start that it lies in.
    pub fn place(&mut self, offset: usize) {
        let before = self.text.grapheme_indices(true).map(|(at, _)| at).take_while(|at| *at <= offset).last();
        self.go(if offset >= self.text.len() { self.text.len() } else { before.unwrap_or(0) });
    }

    pub fn edit(&mut self, edit: Edit) {
        match edit {
            Edit::Newline => {
                self.insert("\n");
            }
            Edit::Left => self.go(self.left()),
            Edit::Right => self.go(self.right()),
            Edit::WordLeft => self.go(self.word_left()),
            Edit::WordRight => self.go(self.word_right()),
            Edit::LineStart => self.go(self.line_start()),
            Edit::LineEnd => self.go(self.line_end()),
            Edit::TextStart => self.go(0),
            Edit::TextEnd => self.go(self.text.len()),
            Edit::DeleteBack => self.delete(self.left(), self.cursor),
            Edit::DeleteForward => self.delete(self.cursor, self.right()),
            Edit::DeleteWordBack => self.kill(self.word_left(), self.cursor),
            Edit::DeleteWordForward => self.kill(self.cursor, self.word_right()),
            Edit::DeleteToLineStart => {
                // At a line's start the line feed before it goes, so that the key can be pressed again.
                let start = self.line_start();
                self.kill(if start == self.cursor { self.left() } else { start }, self.cursor);
            }
            Edit::DeleteToLineEnd => {
                let end = self.line_end();
                self.kill(self.cursor, if end == self.cursor { self.right() } else { end });
            }
            Edit::Yank => {
                let killed = self.killed.clone();
                self.undo.seal();
                self.insert(&killed);
                self.undo.seal();
            }
            Edit::Undo => self.travel(Undo::undo),
            Edit::Redo => self.travel(Undo::redo),
        }
    }

    /// Goes a line up, keeping the column where it can. False on the first line.
    pub fn up(&mut self) -> bool {
        let start = self.line_start();
        let Some(end_above) = start.checked_sub(1) else { return false };
        let column = self.text[start..self.cursor].graphemes(true).count();
        let start_above = self.text[..end_above].rfind('\n').map_or(0, |at| at + 1);
        self.go(start_above + offset_of(&self.text[start_above..end_above], column));
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
        self.go(end + 1 + offset_of(line, column));
        true
    }

    fn go(&mut self, cursor: usize) {
        self.cursor = cursor;
        self.killing = false;
        self.undo.seal();
    }

    fn delete(&mut self, start: usize, end: usize) {
        self.killing = false;
        self.replace(start, end, "");
    }

    /// Deletes what can be put in again. What is deleted in one go becomes one text.
    fn kill(&mut self, start: usize, end: usize) {
        if start == end {
            return;
        }
        if !self.killing {
            self.killed.clear();
        }
        let at = if start < self.cursor { 0 } else { self.killed.len() };
        self.killed.insert_str(at, &self.text[start..end]);
        self.killing = true;
        self.replace(start, end, "");
    }

    /// Every change goes through here.
    fn replace(&mut self, start: usize, end: usize, with: &str) {
        if start == end && with.is_empty() {
            return;
        }
        self.undo.note(start, &self.text[start..end], with, self.cursor);
        self.text.replace_range(start..end, with);
        self.cursor = start + with.len();
    }

    fn travel(&mut self, step: fn(&mut Undo, &mut String) -> Option<usize>) {
        self.killing = false;
        if let Some(cursor) = step(&mut self.undo, &mut self.text) {
            self.cursor = cursor;
        }
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

    #[test]
    fn what_was_killed_is_put_in_again_and_everything_is_undone() {
        let mut e = editor("one two three");
        e.edit(Edit::DeleteWordBack);
        e.edit(Edit::DeleteWordBack);
        assert_eq!(e.text(), "one ");
        e.edit(Edit::TextStart);
        e.edit(Edit::Yank);
        assert_eq!((e.text(), e.cursor()), ("two threeone ", 9), "killed in one go, put in as one text");
        e.edit(Edit::DeleteWordForward);
        e.edit(Edit::Undo);
        e.edit(Edit::Undo);
        assert_eq!(e.text(), "one ");
        e.edit(Edit::Undo);
        e.edit(Edit::Undo);
        assert_eq!(e.text(), "one two three");
        e.edit(Edit::Undo);
        assert!(e.is_empty());
        e.edit(Edit::Undo);
        e.edit(Edit::Redo);
        assert_eq!(e.text(), "one two three");
        e.insert("!");
        e.edit(Edit::Redo);
        assert_eq!(e.text(), "one two three!", "what is written anew can't be redone over");
        // Typing is undone word by word.
        let mut typed = Editor::default();
        for c in "ab cd".chars() {
            typed.insert(&c.to_string());
        }
        typed.edit(Edit::Undo);
        assert_eq!(typed.text(), "ab ");
        typed.edit(Edit::Undo);
        assert!(typed.is_empty());
        typed.set("from the history");
        typed.edit(Edit::Undo);
        assert!(typed.is_empty());
        typed.take();
        typed.edit(Edit::Redo);
        assert!(typed.is_empty(), "what was asked is gone");
    }

    proptest! {
        /// Any sequence of edits leaves the cursor on a character's border and never panics; undoing all of it gives
        /// back nothing at all, and redoing all of that the text again.
        #[test]
        fn the_cursor_stays_between_clusters(
            steps in proptest::collection::vec((0..22u8, "[a 漢\u{301}\u{200d}👩\n]{0,3}"), 0..40),
        ) {
            const EDITS: [Edit; 18] = [
                Edit::Newline, Edit::Left, Edit::Right, Edit::WordLeft, Edit::WordRight, Edit::LineStart,
                Edit::LineEnd, Edit::DeleteBack, Edit::DeleteForward, Edit::DeleteWordBack,
                Edit::DeleteToLineStart, Edit::DeleteToLineEnd, Edit::TextStart, Edit::TextEnd,
                Edit::DeleteWordForward, Edit::Yank, Edit::Undo, Edit::Redo,
            ];
            let mut e = Editor::default();
            for (step, text) in steps {
                match usize::from(step) {
                    18 => { e.up(); }
                    19 => { e.down(); }
                    step if step > 19 => { e.insert(&text); }
                    step => e.edit(EDITS[step]),
                }
                prop_assert!(e.text().is_char_boundary(e.cursor()));
            }
            for _ in 0..80 { e.edit(Edit::Redo); }
            let end = e.text().to_owned();
            for _ in 0..80 { e.edit(Edit::Undo); }
            prop_assert!(e.is_empty());
            for _ in 0..80 { e.edit(Edit::Redo); }
            prop_assert_eq!(e.text(), end);
        }
    }
}
