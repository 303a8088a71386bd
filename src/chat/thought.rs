//! What a model thought, where its server leaves that in the answer's text: between `<think>` and `</think>` at its
//! beginning, as the chat templates of DeepSeek-R1 and Qwen3 have it. Some put the first of these into the prompt already, so
//! that it is only told in the end.

use std::collections::VecDeque;

use super::Delta;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Parts the pieces of an answer's text into thought and answer.
#[derive(Debug, Default)]
pub(super) struct Thought {
    at: At,
    /// What may be the beginning of a tag.
    held: String,
}

#[derive(Debug, Default)]
enum At {
    /// Nothing but white space and a part of the tag has come.
    #[default]
    Beginning,
    Thought,
    /// Text came at once: the answer, or a thought that ends with the tag. There is code in it, or none yet.
    Unopened {
        coded: bool,
    },
    /// Behind the thought, where the answer has not begun.
    Gap,
    Answer,
}

impl Thought {
    /// Takes a piece of any length.
    pub fn part(&mut self, text: &str, to: &mut VecDeque<Delta>) {
        if matches!(self.at, At::Answer) {
            return push(text, Delta::Text, to);
        }
        self.held.push_str(text);
        if matches!(self.at, At::Beginning) {
            let begun = self.held.trim_start();
            if let Some(thought) = begun.strip_prefix(OPEN) {
                (self.at, self.held) = (At::Thought, thought.to_owned());
            } else if !OPEN.starts_with(begun) {
                self.at = At::Unopened { coded: false };
            }
        }
        if let At::Unopened { coded } = self.at {
            match self.held.split_once(CLOSE) {
                // Who writes of tags has them in code.
                Some((thought, answer)) if !coded && !thought.contains('`') => {
                    push(thought, Delta::Text, to);
                    to.push_back(Delta::WasThought);
                    (self.at, self.held) = (At::Gap, answer.to_owned());
                }
                Some(_) => {
                    self.at = At::Answer;
                    return push(&std::mem::take(&mut self.held), Delta::Text, to);
                }
                None => {
                    let text = self.but_a_beginning();
                    self.at = At::Unopened { coded: coded || text.contains('`') };
                    push(&text, Delta::Text, to);
                }
            }
        }
        if matches!(self.at, At::Thought) {
            if let Some((thought, answer)) = self.held.split_once(CLOSE) {
                push(thought, Delta::Reasoning, to);
                (self.at, self.held) = (At::Gap, answer.to_owned());
            } else {
                push(&self.but_a_beginning(), Delta::Reasoning, to);
            }
        }
        if matches!(self.at, At::Gap) {
            let answer = self.held.trim_start();
            if !answer.is_empty() {
                self.at = At::Answer;
                push(answer, Delta::Text, to);
                self.held.clear();
            }
        }
    }

    /// What is held, but for what may be the beginning of the end's tag.
    fn but_a_beginning(&mut self) -> String {
        let kept = (1..CLOSE.len()).rev().find(|kept| self.held.ends_with(&CLOSE[..*kept])).unwrap_or(0);
        let kept = self.held.split_off(self.held.len() - kept);
        std::mem::replace(&mut self.held, kept)
    }

    /// Nothing more comes.
    pub fn end(&mut self, to: &mut VecDeque<Delta>) {
        let held = std::mem::take(&mut self.held);
        match self.at {
            At::Beginning | At::Unopened { .. } | At::Answer => push(&held, Delta::Text, to),
            At::Thought => push(&held, Delta::Reasoning, to),
            At::Gap => {}
        }
    }
}

fn push(text: &str, kind: fn(String) -> Delta, to: &mut VecDeque<Delta>) {
    if !text.is_empty() {
        to.push_back(kind(text.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thought and answer of a text that comes in pieces of so many bytes.
    fn parted(text: &str, bytes: usize) -> (String, String) {
        let (mut thought, mut to) = (Thought::default(), VecDeque::new());
        text.as_bytes().chunks(bytes).for_each(|piece| thought.part(std::str::from_utf8(piece).unwrap(), &mut to));
        thought.end(&mut to);
        let (mut thoughts, mut answer) = (String::new(), String::new());
        for delta in to {
            match delta {
                Delta::Reasoning(text) => thoughts.push_str(&text),
                Delta::Text(text) => answer.push_str(&text),
                Delta::WasThought => thoughts.push_str(&std::mem::take(&mut answer)),
                other => panic!("{other:?}"),
            }
        }
        (thoughts, answer)
    }

    #[test]
    fn a_thought_is_parted_from_the_answer_wherever_the_pieces_end() {
        for (text, thought, answer) in [
            ("<think>\nhm < </thin </think>\n\nYes </think>.", "\nhm < </thin ", "Yes </think>."),
            ("\n <think></think>No", "", "No"),
            ("<think>cut off </th", "cut off </th", ""),
            ("<think>only</think> \n", "only", ""),
            ("no beginning </think>\n\nYes </think>.", "no beginning ", "Yes </think>."),
            ("A `<think>` ends with </think>", "", "A `<think>` ends with </think>"),
            ("</think>Yes", "", "Yes"),
            ("Not </thin", "", "Not </thin"),
            ("  <thin", "", "  <thin"),
            ("<thinking>", "", "<thinking>"),
            (" ", "", " "),
        ] {
            for bytes in 1..=text.len() {
                assert_eq!(parted(text, bytes), (thought.to_owned(), answer.to_owned()), "{text:?} by {bytes}");
            }
        }
    }
}
