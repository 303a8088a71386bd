//! The text of the selected candidate between its neighbours, with the question's words and the best sentence marked.

use std::{collections::BTreeSet, ops::Range};

use ratatui::{
    style::{Modifier, Style},
    text::{Line, Span},
};
use unicode_segmentation::UnicodeSegmentation;

use super::{
    super::{
        inline::{Inline, paragraph},
        theme::Theme,
    },
    Wrapped, named,
};
use crate::{
    app::State,
    domain::{Chunk, ChunkId, Turn, TurnId},
    text::one_line,
};

/// Words too common to say why a passage was found.
const COMMON: [&str; 24] = [
    "the", "and", "for", "how", "what", "where", "when", "why", "who", "which", "are", "was", "were", "does", "did",
    "can", "has", "have", "with", "that", "this", "from", "its", "not",
];
/// How the best sentence is written, beside the mark in the margin: it begins and ends within rows.
const BEST: Modifier = Modifier::ITALIC;
/// The margin beside rows of the best sentence, of the passage's other ones, and of its neighbours.
const MARGINS: [&str; 3] = ["▸ ", "▌ ", "  "];

#[derive(Debug, PartialEq)]
pub struct Key {
    turn: TurnId,
    candidate: Option<(String, ChunkId, u32)>,
    /// How many chunks are known of it and around it; whether it was looked for in vain.
    around: usize,
    missing: bool,
    best: Option<Range<usize>>,
    columns: usize,
}

pub fn key(state: &State, turn: &Turn, columns: usize) -> Key {
    let candidate = state.shown_candidate().zip(state.candidate_collection());
    let candidate = candidate.map(|(candidate, collection)| (collection.to_owned(), candidate.id, candidate.rank));
    let around = candidate.as_ref().map_or(0, |(collection, id, _)| state.around(collection, *id).len());
    let missing = missing(state).is_some();
    Key { turn: turn.id, candidate, around, missing, best: best(state).cloned(), columns }
}

pub fn wrap(state: &State, turn: &Turn, columns: usize, theme: &Theme) -> Wrapped {
    let Some((candidate, collection)) = state.shown_candidate().zip(state.candidate_collection()) else {
        return Wrapped { title: "Passage".to_owned(), ..Wrapped::default() };
    };
    let mut title = format!("{} · {}", candidate.rank, named(candidate));
    if collection != turn.collection {
        title.push_str(&format!(" · {}", one_line(collection)));
    }
    let around = state.around(collection, candidate.id);
    let found = state.evidence.found(turn).map(|found| found.passages.as_slice()).unwrap_or_default();
    let known =
        turn.passages.iter().filter(|_| collection == turn.collection).chain(found).map(|passage| &passage.chunk);
    let Some(chunk) = around.iter().chain(known).find(|chunk| chunk.id == candidate.id) else {
        let (why, style) = missing(state).map_or(("reading …".to_owned(), theme.dim), |why| (why, theme.warning));
        return Wrapped { title, rows: paragraph(&why, columns, style), ..Wrapped::default() };
    };
    let best = best(state);
    let by = if state.evidence.best.as_ref().is_some_and(|best| best.by_meaning) { "meaning" } else { "words" };
    let legend = if best.is_some() { format!("{}best sentence, by {by}", MARGINS[0]) } else { String::new() };
    let room = columns.saturating_sub(2).max(2);
    let mut wrapped = Wrapped { title, legend, ..Wrapped::default() };
    let beside =
        |other: &Chunk| paragraph(other.text.trim_end(), room, theme.dim).into_iter().map(|row| margin(2, row, theme));
    for before in around.iter().filter(|other| other.ordinal < chunk.ordinal) {
        wrapped.rows.extend(beside(before));
        wrapped.rows.push(Line::default());
    }
    wrapped.top = wrapped.rows.len();
    for row in marked(chunk, &turn.question, best, room, theme) {
        let is_best = row.spans.iter().any(|span| span.style.add_modifier.contains(BEST));
        if is_best {
            wrapped.best.get_or_insert(wrapped.rows.len());
        }
        wrapped.rows.push(margin(usize::from(!is_best), row, theme));
    }
    for after in around.iter().filter(|other| other.ordinal > chunk.ordinal) {
        wrapped.rows.push(Line::default());
        wrapped.rows.extend(beside(after));
    }
    wrapped
}

/// Why the selected candidate's text can't be shown, where that is known.
fn missing(state: &State) -> Option<String> {
    let key = (state.candidate_collection()?.to_owned(), state.shown_candidate()?.id);
    match state.neighbours.get(&key)?.as_ref()? {
        Ok(chunks) if chunks.iter().any(|chunk| chunk.id == key.1) => None,
        Ok(_) => Some("It is no longer in the collection: its document was changed or removed since.".to_owned()),
        Err(why) => Some(format!("✗ {why}")),
    }
}

fn best(state: &State) -> Option<&Range<usize>> {
    let shown = state.shown_candidate()?.id;
    state.evidence.best.as_ref().filter(|best| best.id == shown)?.sentence.as_ref()
}

fn margin(which: usize, mut row: Line<'static>, theme: &Theme) -> Line<'static> {
    let style = if which == 0 { theme.strong } else { theme.bar };
    row.spans.insert(0, Span::styled(MARGINS[which], style));
    row
}

/// A word in the form that it is compared in: in small letters, a plural's `s` left out.
fn bare(word: &str) -> String {
    let small = word.to_lowercase();
    small.strip_suffix('s').filter(|rest| rest.len() > 2).map_or(small.clone(), str::to_owned)
}

fn marked(
    chunk: &Chunk,
    question: &str,
    best: Option<&Range<usize>>,
    columns: usize,
    theme: &Theme,
) -> Vec<Line<'static>> {
    let words = question.unicode_words().filter(|word| {
        word.chars().count() > 1 && !word.is_ascii()
            || word.len() > 2 && !COMMON.contains(&word.to_lowercase().as_str())
    });
    let words: BTreeSet<String> = words.map(bare).collect();
    let hit = Modifier::BOLD | Modifier::UNDERLINED;
    let mut rows = Vec::new();
    let mut add = |text: &str, style: Style, best: &Range<usize>| {
        let mut inline = Inline::default();
        for (at, piece) in text.split_word_bound_indices() {
            let style = if best.contains(&at) { style.add_modifier(BEST) } else { style };
            let style = if words.contains(&bare(piece)) { style.add_modifier(hit) } else { style };
            inline.push_literal(piece, style);
        }
        rows.extend(inline.rows(columns).into_iter().map(Line::from));
    };
    if !chunk.heading.is_empty() {
        add(&one_line(&chunk.heading.join(" > ")), theme.strong, &(0..0));
    }
    add(chunk.text.trim_end(), Style::new(), best.unwrap_or(&(0..0)));
    rows
}
