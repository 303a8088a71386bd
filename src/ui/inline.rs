use std::{collections::BTreeSet, ops::Range};

use ratatui::{
    style::{Modifier, Style},
    text::{Line, Span},
};
use unicode_segmentation::UnicodeSegmentation;

use crate::text::{Sanitiser, next_citation, width, wrap};

/// A run of text with styles in it, before it is broken into rows.
#[derive(Clone, Debug, Default)]
pub struct Inline {
    text: String,
    /// One after the other, without holes.
    runs: Vec<Run>,
    /// Marks that are in another run than their letter are still counted.
    sanitiser: Sanitiser,
}

#[derive(Clone, Debug)]
struct Run {
    /// Byte offset behind the run's last byte.
    end: usize,
    style: Style,
    /// To the letter: what looks like a citation in it is none.
    literal: bool,
}

impl Inline {
    /// Appends text, sanitised: also what came in as a character reference such as `&#27;`.
    pub fn push(&mut self, text: &str, style: Style) {
        let text = self.sanitiser.next(text);
        self.push_run(&text, style, false);
    }

    /// Appends code.
    pub fn push_literal(&mut self, text: &str, style: Style) {
        let text = self.sanitiser.next(text);
        self.push_run(&text, style, true);
    }

    fn push_run(&mut self, text: &str, style: Style, literal: bool) {
        if text.is_empty() {
            return;
        }
        self.text.push_str(text);
        let end = self.text.len();
        match self.runs.last_mut() {
            Some(last) if last.style == style && last.literal == literal => last.end = end,
            Some(_) | None => self.runs.push(Run { end, style, literal }),
        }
    }

    /// Appends another one as it is.
    pub fn append(&mut self, other: &Self) {
        let mut start = 0;
        for run in &other.runs {
            self.push_run(&other.text[start..run.end], run.style, run.literal);
            start = run.end;
        }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Columns of its widest line.
    pub fn width(&self) -> usize {
        self.text.split('\n').map(width).max().unwrap_or(0)
    }

    /// Breaks it into rows of at most `columns`, at its line feeds and at words. A row that goes on with the line of the
    /// one above begins with a
    /// [`joint`].
    pub fn rows(&self, columns: usize) -> Vec<Vec<Span<'static>>> {
        let mut rows = Vec::new();
        let mut at = 0;
        for line in self.text.split('\n') {
            let mut end = None;
            for row in wrap(line, columns, columns) {
                let mut spans = self.spans(at + row.start..at + row.end);
                if let Some(end) = end.replace(row.end) {
                    spans.insert(0, joint(if row.start > end { Joint::Space } else { Joint::Nothing }));
                }
                rows.push(spans);
            }
            at += line.len() + 1;
        }
        rows
    }

    fn spans(&self, range: Range<usize>) -> Vec<Span<'static>> {
        let first = self.runs.partition_point(|run| run.end <= range.start);
        let mut start = range.start;
        let mut spans = Vec::new();
        for run in &self.runs[first..] {
            let end = run.end.min(range.end);
            if start >= end {
                break;
            }
            spans.push(Span::styled(self.text[start..end].to_owned(), run.style));
            start = end;
        }
        spans
    }

    /// Writes citations as `[1]` and `[1, 2]` and styles them so. A number that is not one of the `given` passages gets a
    /// question mark and is added to `unknown`.
    pub fn mark_citations(&mut self, given: usize, cited: Style, bad: Style, unknown: &mut BTreeSet<u32>) {
        if next_citation(&self.text, given).is_none() {
            return;
        }
        let old = std::mem::take(self);
        let mut start = 0;
        for run in &old.runs {
            let text = &old.text[start..run.end];
            start = run.end;
            if run.literal {
                self.push_run(text, run.style, true);
                continue;
            }
            let mut rest = text;
            while let Some((before, numbers, after)) = next_citation(rest, given) {
                self.push_run(before, run.style, false);
                for (i, number) in numbers.into_iter().enumerate() {
                    self.push_run(if i == 0 { "[" } else { ", " }, run.style.patch(cited), false);
                    if number >= 1 && number as usize <= given {
                        self.push_run(&number.to_string(), run.style.patch(cited), false);
                    } else {
                        unknown.insert(number);
                        self.push_run(&format!("{number}?"), run.style.patch(bad), false);
                    }
                }
                self.push_run("]", run.style.patch(cited), false);
                rest = after;
            }
            self.push_run(rest, run.style, false);
        }
    }
}

/// How a row's text goes on from that of the row above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// It is a line of its own.
    Line,
    /// Broken at white space, which is not shown.
    Space,
    /// Broken where there was nothing between.
    Nothing,
}

/// Tells how a row goes on from the one above. It takes no room and stands before the row's text: what is before it is
/// a margin, which no text of the document is. A row without one is a line of its own without a margin.
pub fn joint(joint: Joint) -> Span<'static> {
    // The style of nothing is never seen.
    Span::styled("", JOINT.add_modifier(modifier(joint)))
}

const JOINT: Style = Style::new().add_modifier(Modifier::HIDDEN);

fn modifier(joint: Joint) -> Modifier {
    match joint {
        Joint::Line => Modifier::BOLD,
        Joint::Space => Modifier::DIM,
        Joint::Nothing => Modifier::ITALIC,
    }
}

pub fn is_joint(span: &Span<'_>) -> bool {
    span.content.is_empty() && span.style.add_modifier.contains(Modifier::HIDDEN)
}

/// How a row goes on from the one above, and the columns of its margin.
pub fn joined(line: &Line<'_>) -> (Joint, usize) {
    let Some(at) = line.spans.iter().position(is_joint) else { return (Joint::Line, 0) };
    let modifiers = line.spans[at].style.add_modifier;
    let told = [Joint::Space, Joint::Nothing].into_iter().find(|joint| modifiers.contains(modifier(*joint)));
    (told.unwrap_or(Joint::Line), row_width(&line.spans[..at]))
}

/// Cuts one line into pieces of at most `columns`, to the letter and without looking for words. At least one piece.
pub fn cut(text: &str, columns: usize) -> Vec<&str> {
    if width(text) <= columns {
        return vec![text];
    }
    let mut pieces = Vec::new();
    let (mut start, mut used) = (0, 0);
    for (at, cluster) in text.grapheme_indices(true) {
        let columns_of_it = width(cluster);
        if used + columns_of_it > columns && at > start {
            pieces.push(&text[start..at]);
            (start, used) = (at, 0);
        }
        used += columns_of_it;
    }
    pieces.push(&text[start..]);
    pieces
}

/// Wraps plain text from outside to rows of one style, line feeds kept.
pub fn paragraph(text: &str, columns: usize, style: Style) -> Vec<Line<'static>> {
    let mut inline = Inline::default();
    inline.push(text, style);
    inline.rows(columns).into_iter().map(Line::from).collect()
}

/// Columns of a row of spans.
pub fn row_width(spans: &[Span<'_>]) -> usize {
    spans.iter().map(|span| width(&span.content)).sum()
}
