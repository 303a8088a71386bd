use crate::app::{Armed, Editor, Effect, Focus, Recall, RecallAction, State};

/// From so many lines or characters on, what was put in at once is told in numbers: not all of it is in view.
const LONG_LINES: usize = 6;
const LONG_CHARACTERS: usize = 1000;

impl State {
    /// Puts text in at the cursor, and tells how much where it is more than can be seen.
    pub(super) fn put_in(&mut self, text: &str) {
        self.history.end_walk();
        self.focus = Focus::Input;
        let fits = self.input.insert(text);
        let (lines, characters) = (text.lines().count(), text.chars().count());
        if !fits {
            self.notice = Some("the question is too long: its end was cut off".to_owned());
        } else if lines >= LONG_LINES || characters >= LONG_CHARACTERS {
            self.report(format!("{lines} lines, {characters} characters put in; nothing is asked before ‹ask›"));
        }
    }

    pub(super) fn recall(&mut self, action: RecallAction) -> Vec<Effect> {
        let Some(recall) = &mut self.recall else {
            if action == RecallAction::Older {
                self.focus = Focus::Input;
                self.recall = Some(Recall::default());
            }
            return Vec::new();
        };
        let found = self.history.containing(recall.text.text());
        match action {
            RecallAction::Older => recall.at = (recall.at + 1).min(found.len().saturating_sub(1)),
            RecallAction::Newer => recall.at = recall.at.saturating_sub(1),
            RecallAction::Take => {
                if let Some(question) = found.get(recall.at) {
                    self.input.set(question);
                    self.history.end_walk();
                    self.recall = None;
                }
            }
        }
        Vec::new()
    }

    /// Changes what is searched for in the history; the search begins anew with the newest.
    pub(super) fn change_recall(&mut self, change: impl FnOnce(&mut Editor)) {
        if let Some(recall) = &mut self.recall {
            change(&mut recall.text);
            recall.at = 0;
        }
    }

    /// What was written before the application ended last; what has been written since goes first.
    pub(super) fn restore_draft(&mut self, draft: &str) {
        if self.input.is_empty() && self.turns.is_empty() {
            self.input.insert(draft);
            self.report("what you had written is back; ‹interrupt› clears it".to_owned());
        } else {
            self.history.push(draft);
        }
    }

    /// What came back from the person's own editor.
    pub(super) fn edited(&mut self, result: Result<String, String>) {
        match result {
            Err(why) => self.notice = Some(why),
            Ok(text) => {
                self.history.end_walk();
                self.focus = Focus::Input;
                if !self.input.rewrite(text.trim_end()) {
                    self.notice = Some("the question is too long: its end was cut off".to_owned());
                }
            }
        }
    }

    /// What the person is writing, also while an earlier question stands in its place: worth keeping. Ctrl-C pressed
    /// twice quits, and takes nothing away.
    pub fn draft(&self) -> &str {
        match self.armed {
            Some(Armed::Quit) if !self.cleared.is_empty() => &self.cleared,
            _ => self.history.draft().unwrap_or(self.input.text()),
        }
    }
}
