use crate::{
    domain::{Citation, Message, Passage, Role},
    text::next_citation,
};

/// The texts that a model is asked with; see `llm.system_prompt` and `llm.user_prompt` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates {
    pub system: String,
    /// `{context}` and `{question}` are filled in.
    pub user: String,
    /// Number the passages and ask for `[n]`.
    pub citations: bool,
}

/// Added to the system prompt when citations are wanted.
const CITE: &str = "Each passage begins with its number in square brackets. Behind each statement, name the passages it comes from by these numbers, for example [1] or [2][3].\n";

impl Templates {
    /// The messages for one question, in the order in which they are sent.
    pub fn messages(&self, passages: &[Passage], question: &str) -> Vec<Message> {
        let mut system = self.system.clone();
        if self.citations {
            system.push_str(CITE);
        }
        vec![
            Message { role: Role::System, content: system },
            Message { role: Role::User, content: fill(&self.user, &self.context(passages), question) },
        ]
    }

    /// The passages' texts joined by line feeds, as the tutorial does.
    fn context(&self, passages: &[Passage]) -> String {
        let texts: Vec<String> = passages
            .iter()
            .map(|passage| {
                let text = &passage.chunk.text;
                if self.citations { format!("[{}] {}", passage.rank, text.trim_start()) } else { text.clone() }
            })
            .collect();
        texts.join("\n")
    }
}

/// Fills both placeholders in one pass, so that a passage that contains `{question}` stays as it is.
fn fill(template: &str, context: &str, question: &str) -> String {
    let mut out = String::with_capacity(template.len() + context.len() + question.len());
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        rest = if let Some(after) = from.strip_prefix("{context}") {
            out.push_str(context);
            after
        } else if let Some(after) = from.strip_prefix("{question}") {
            out.push_str(question);
            after
        } else {
            out.push('{');
            &from[1..]
        };
    }
    out.push_str(rest);
    out
}

/// Every passage that an answer cites, once each in order of appearance; `passage` is false where none of that number was
/// given.
pub fn citations(answer: &str, passages: usize) -> Vec<Citation> {
    let mut found: Vec<Citation> = Vec::new();
    let mut rest = answer;
    while let Some((_, numbers, after)) = next_citation(rest, passages) {
        for number in numbers {
            if found.iter().all(|citation| citation.number != number) {
                found.push(Citation { number, passage: (1..=passages).contains(&(number as usize)) });
            }
        }
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_passage_says_is_never_taken_for_a_placeholder() {
        let filled = fill("<{context}|{question}|{other}>", "a {question} b", "why {context}?");
        assert_eq!(filled, "<a {question} b|why {context}?|{other}>");
    }

    #[test]
    fn citations_are_found_and_checked() {
        let found = citations("As [2] says, and [1, 2][2-3]; but [9], [0], [x], [12345] and [1](http://a) differ.", 3);
        let numbers: Vec<(u32, bool)> = found.iter().map(|c| (c.number, c.passage)).collect();
        assert_eq!(numbers, [(2, true), (1, true), (3, true), (9, false), (0, false)]);
    }
}
