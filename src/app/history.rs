use std::collections::HashSet;

use super::Editor;

/// Questions asked before, and a walk through them that keeps the draft it started from.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Oldest first.
    questions: Vec<String>,
    /// Where the walk stands, and the draft it left; `None` while not walking.
    walk: Option<(usize, String)>,
}

impl History {
    /// Puts the questions of earlier runs before those of this one. Oldest first.
    pub fn load(&mut self, mut earlier: Vec<String>) {
        earlier.dedup();
        if let Some((at, _)) = &mut self.walk {
            *at += earlier.len();
        }
        self.questions.splice(..0, earlier);
    }

    /// Adds a question; the same twice in a row is kept once. Ends the walk.
    pub fn push(&mut self, question: &str) {
        self.walk = None;
        if self.questions.last().is_none_or(|last| last != question) {
            self.questions.push(question.to_owned());
        }
    }

    /// The question before, or `None` at the oldest. `draft` is what the input holds now.
    pub fn older(&mut self, draft: &str) -> Option<String> {
        let at = self.walk.as_ref().map_or(self.questions.len(), |(at, _)| *at).checked_sub(1)?;
        match &mut self.walk {
            Some((place, _)) => *place = at,
            None => self.walk = Some((at, draft.to_owned())),
        }
        self.questions.get(at).cloned()
    }

    /// The question after, or at the newest the draft; `None` when not walking.
    pub fn newer(&mut self) -> Option<String> {
        let (at, draft) = self.walk.take()?;
        let Some(question) = self.questions.get(at + 1) else { return Some(draft) };
        self.walk = Some((at + 1, draft));
        Some(question.clone())
    }

    /// The text was changed: what stands there is a draft of its own now.
    pub fn end_walk(&mut self) {
        self.walk = None;
    }

    /// What the walk left and comes back to; `None` while not walking.
    pub fn draft(&self) -> Option<&str> {
        self.walk.as_ref().map(|(_, draft)| draft.as_str())
    }

    /// The questions that a text is in, however it is spelt with capitals: newest first, the same ones once.
    pub fn containing(&self, text: &str) -> Vec<&str> {
        let text = text.to_lowercase();
        let mut seen = HashSet::new();
        let newest_first = self.questions.iter().rev().map(String::as_str);
        newest_first.filter(|question| question.to_lowercase().contains(&text) && seen.insert(*question)).collect()
    }
}

/// A search in the questions asked before. The input stays as it is until one is taken.
#[derive(Clone, Debug, Default)]
pub struct Recall {
    pub text: Editor,
    /// Place of the one that is shown among those found, newest first.
    pub at: usize,
}

/// What can be done in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecallAction {
    /// Begins to search; in a search, goes on to an older question.
    Older,
    Newer,
    /// Takes the question that is shown to the input.
    Take,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_comes_back_to_its_draft() {
        let mut history = History::default();
        assert_eq!(history.older("draft"), None);
        history.push("b");
        history.push("b");
        assert_eq!(history.older("draft").as_deref(), Some("b"));
        history.load(vec!["a".to_owned()]);
        assert_eq!(history.older("b").as_deref(), Some("a"));
        assert_eq!(history.older("a"), None);
        assert_eq!(history.newer().as_deref(), Some("b"));
        assert_eq!(history.newer().as_deref(), Some("draft"));
        assert_eq!(history.newer(), None);
    }

    #[test]
    fn a_search_gives_each_question_once_the_newest_first() {
        let mut history = History::default();
        for question in ["How is Äther stored?", "why", "how", "why"] {
            history.push(question);
        }
        assert_eq!(history.containing(""), ["why", "how", "How is Äther stored?"]);
        assert_eq!(history.containing("HOW"), ["how", "How is Äther stored?"]);
        assert_eq!(history.containing("äther s"), ["How is Äther stored?"]);
        assert!(history.containing("x").is_empty());
    }
}
