//! The messages as they were sent, each with its length, and what the model thought before it answered.

use ratatui::{style::Style, text::Line};

use super::{
    super::{inline::paragraph, passages::CHARS_PER_TOKEN, theme::Theme},
    Wrapped,
};
use crate::{
    domain::{Turn, TurnId, TurnState},
    text::counted,
};

#[derive(Debug, PartialEq)]
pub struct Key {
    turn: TurnId,
    messages: usize,
    counted: bool,
    used: bool,
    thought: usize,
    running: bool,
    columns: usize,
}

pub fn key(turn: &Turn, columns: usize) -> Key {
    let (messages, counted, used) = (turn.prompt.len(), !turn.prompt_tokens.is_empty(), turn.usage.is_some());
    let (thought, running) = (turn.reasoning.len(), turn.state.is_running());
    Key { turn: turn.id, messages, counted, used, thought, running, columns }
}

pub fn wrap(turn: &Turn, columns: usize, theme: &Theme) -> Wrapped {
    if turn.prompt.is_empty() {
        let text = match &turn.state {
            TurnState::Waiting | TurnState::Retrieving => "It is made when the passages are there.",
            TurnState::Thinking | TurnState::Streaming | TurnState::Done(_) | TurnState::Stopped
                if turn.passages.is_empty() =>
            {
                "No passage was found, and no model was asked."
            }
            TurnState::Failed(_) if turn.passages.is_empty() => "None was made: the search failed.",
            TurnState::Thinking
            | TurnState::Streaming
            | TurnState::Done(_)
            | TurnState::Stopped
            | TurnState::Failed(_) => "No model was asked: sentences of the passages are quoted.",
        };
        let rows = paragraph(text, columns, theme.dim);
        return Wrapped { title: "Prompt".to_owned(), rows, ..Wrapped::default() };
    }
    let by_letters = |text: &str| (text.chars().count() as f64 / CHARS_PER_TOKEN).ceil() as usize;
    let (lengths, how): (Vec<usize>, &str) = match turn.prompt_tokens.len() == turn.prompt.len() {
        true => {
            (turn.prompt_tokens.clone(), "counted as the embedding model counts; the chat model's count is about that")
        }
        false => {
            (turn.prompt.iter().map(|message| by_letters(&message.content)).collect(), "counted as four letters each")
        }
    };
    let whole = match turn.usage {
        Some(usage) => format!("{} tokens by the server's count", usage.prompt_tokens),
        None => format!("about {} tokens", lengths.iter().sum::<usize>()),
    };
    let end = if turn.reasoning.is_empty() { "" } else { " What the model thought stands at the end." };
    let mut rows = paragraph(&format!("Tokens of a message: {how}.{end}"), columns, theme.dim);
    for (message, length) in turn.prompt.iter().zip(lengths) {
        let role = message.role.name();
        rows.push(Line::default());
        rows.push(Line::styled(format!("{role} · about {length} tokens"), theme.heading));
        rows.extend(paragraph(message.content.trim_end(), columns, Style::new()));
    }
    if !turn.reasoning.is_empty() {
        let length = counted(turn.reasoning.chars().count() as u64, "character");
        rows.push(Line::default());
        rows.push(Line::styled(format!("thought · {length}"), theme.heading));
        rows.extend(paragraph(turn.reasoning.trim_end(), columns, Style::new()));
    }
    Wrapped { title: format!("Prompt · {whole}"), rows, ..Wrapped::default() }
}
