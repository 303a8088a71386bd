//! One turn in full: every candidate with each retriever's score and rank, how the ranks moved, the distances, the
//! timings, and the prompt as it was sent.

mod figures;
mod table;

use std::collections::BTreeSet;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Modifier, Style},
    text::Line,
};
use unicode_segmentation::UnicodeSegmentation;

use super::{
    ViewCache, cache::Extent, inline::Inline, inline::paragraph, layout, pane, passages, theme::Theme, touch::Zone,
};
use crate::{
    app::{EvidencePane, State},
    domain::{Chunk, Role, Turn, TurnState},
    text::one_line,
};

pub fn draw(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let theme = cache.theme;
    let Some((turn, index)) = state.shown_turn().zip(state.shown_index()) else {
        pane::draw(frame, area, &theme, "Evidence", true, Extent::default());
        let text = "Ask a question first: everything that its answer rests on is then shown here.";
        let rows = paragraph(text, usize::from(area.width.saturating_sub(4)).max(2), theme.dim);
        pane::rows(frame, pane::inner(area), 1, rows.iter());
        return;
    };
    for (shown, area) in places(state.evidence.pane, area) {
        let focused = state.evidence.pane == shown && !state.help;
        match shown {
            EvidencePane::Candidates => table::draw(state, turn, index, focused, cache, frame, area),
            EvidencePane::Passage | EvidencePane::Figures | EvidencePane::Prompt => {
                let columns = usize::from(area.width.saturating_sub(4)).max(2);
                let (title, rows) = match shown {
                    EvidencePane::Figures => ("Figures".to_owned(), figures::rows(turn, columns, &theme)),
                    EvidencePane::Prompt => prompt(turn, columns, &theme),
                    EvidencePane::Passage | EvidencePane::Candidates => passage(state, turn, columns, &theme),
                };
                let inner = pane::inner(area);
                cache.measured.put(Zone::Evidence(shown), area, inner);
                let scroll = if focused { state.evidence.scroll } else { 0 };
                let extent = Extent::new(rows.len(), usize::from(inner.height), scroll);
                if focused {
                    cache.measured.evidence = extent;
                }
                pane::draw(frame, area, &theme, &title, focused, extent);
                pane::rows(frame, inner, 1, rows.iter().skip(extent.top));
            }
        }
    }
}

/// The table with the others below it where there is room, else only the pane that has the keys.
fn places(focus: EvidencePane, area: Rect) -> Vec<(EvidencePane, Rect)> {
    if area.height < 14 {
        return vec![(focus, area)];
    }
    let text = if focus == EvidencePane::Prompt { focus } else { EvidencePane::Passage };
    let [top, bottom] = Layout::vertical([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
    if area.width >= layout::WIDE {
        let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(bottom);
        return vec![(EvidencePane::Candidates, top), (text, left), (EvidencePane::Figures, right)];
    }
    let below = if focus == EvidencePane::Figures { focus } else { text };
    vec![(EvidencePane::Candidates, top), (below, bottom)]
}

/// The selected candidate's text with the question's words marked.
fn passage(state: &State, turn: &Turn, columns: usize, theme: &Theme) -> (String, Vec<Line<'static>>) {
    let Some(candidate) = state.shown_candidate() else { return ("Passage".to_owned(), Vec::new()) };
    let title = format!("{} · {}", candidate.rank, named(&candidate.place, &candidate.id.to_string()));
    let around = state.neighbours.get(&(turn.collection.clone(), candidate.id));
    let mut chunks = around.into_iter().flatten().chain(turn.passages.iter().map(|passage| &passage.chunk));
    let Some(chunk) = chunks.find(|chunk| chunk.id == candidate.id) else {
        return (title, paragraph("reading …", columns, theme.dim));
    };
    (title, marked(chunk, &turn.question, columns, theme))
}

fn named(place: &str, id: &str) -> String {
    if place.is_empty() { id.to_owned() } else { one_line(place) }
}

/// Words too common to say why a passage was found.
const COMMON: [&str; 24] = [
    "the", "and", "for", "how", "what", "where", "when", "why", "who", "which", "are", "was", "were", "does", "did",
    "can", "has", "have", "with", "that", "this", "from", "its", "not",
];

/// A word in the form that it is compared in: in small letters, a plural's `s` left out.
fn bare(word: &str) -> String {
    let small = word.to_lowercase();
    small.strip_suffix('s').filter(|rest| rest.len() > 2).map_or(small.clone(), str::to_owned)
}

fn marked(chunk: &Chunk, question: &str, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    let words = question.unicode_words().filter(|word| {
        word.chars().count() > 1 && !word.is_ascii()
            || word.len() > 2 && !COMMON.contains(&word.to_lowercase().as_str())
    });
    let words: BTreeSet<String> = words.map(bare).collect();
    let hit = Modifier::BOLD | Modifier::UNDERLINED;
    let mut rows = Vec::new();
    let mut add = |text: &str, style: Style| {
        let mut inline = Inline::default();
        for piece in text.split_word_bounds() {
            let style = if words.contains(&bare(piece)) { style.add_modifier(hit) } else { style };
            inline.push_literal(piece, style);
        }
        rows.extend(inline.rows(columns).into_iter().map(Line::from));
    };
    if !chunk.heading.is_empty() {
        add(&one_line(&chunk.heading.join(" > ")), theme.strong);
    }
    add(chunk.text.trim_end(), Style::new());
    rows
}

/// The messages as they were sent.
fn prompt(turn: &Turn, columns: usize, theme: &Theme) -> (String, Vec<Line<'static>>) {
    if turn.prompt.is_empty() {
        let text = if turn.state.is_running() && turn.state != TurnState::Thinking {
            "It is made when the passages are there."
        } else {
            "No model was asked: sentences of the passages are quoted."
        };
        return ("Prompt".to_owned(), paragraph(text, columns, theme.dim));
    }
    let letters: usize = turn.prompt.iter().map(|message| message.content.chars().count()).sum();
    let counted = match turn.usage {
        Some(usage) => format!("{} tokens", usage.prompt_tokens),
        None => format!("about {:.0} tokens", letters as f64 / passages::CHARS_PER_TOKEN),
    };
    let mut rows = Vec::new();
    for message in turn.prompt.iter() {
        let role = match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        rows.push(Line::styled(role, theme.heading));
        rows.extend(paragraph(message.content.trim_end(), columns, Style::new()));
        rows.push(Line::default());
    }
    (format!("Prompt · {counted}"), rows)
}
