//! The table where the question was searched in another collection: both rankings side by side. Their candidates are not
//! the same ones, so only places and ranks can be compared.

use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::{
    super::{
        passages::{bm25, decimals},
        theme::Theme,
    },
    named,
    table::{marked, padded},
};
use crate::{
    app::{CandidateRow, SortBy},
    domain::{Candidate, Turn},
    text::one_line,
};

/// Columns of a rank with the marks before it, of the dense score, and of the keyword score.
const RANK: usize = 5;
const DENSE: usize = 8;
const KEYWORD: usize = 6;

/// One half of the table, the same for both.
pub struct Columns {
    place: usize,
    /// There is room for the scores.
    dense: bool,
    keyword: bool,
}

impl Columns {
    pub fn new(columns: usize) -> Self {
        let half = columns.saturating_sub(3) / 2;
        let (dense, keyword) = (half >= 24, half >= 32);
        let columns = Self { place: 0, dense, keyword };
        Self { place: half.saturating_sub(RANK + columns.scores()).max(4), ..columns }
    }

    fn scores(&self) -> usize {
        let parts = [(self.dense, DENSE), (self.keyword, KEYWORD)];
        parts.iter().filter(|(shown, _)| *shown).map(|(_, columns)| columns).sum()
    }

    pub fn header(&self, turn: &Turn, rows: &[CandidateRow<'_>], collection: &str, sort: SortBy) -> String {
        let half = |name: &str, one: Option<&Candidate>| {
            let metric = one.map_or("", |candidate| candidate.scores.metric.name());
            let place = marked(sort == SortBy::Place, &one_line(name));
            let mut text = format!("{:<RANK$}{}", marked(sort == SortBy::Rank, "  #"), padded(&place, self.place));
            if self.dense {
                text.push_str(&padded(&format!("  {}", marked(sort == SortBy::Dense, metric)), DENSE));
            }
            if self.keyword {
                text.push_str(&padded(&marked(sort == SortBy::Keyword, "bm25"), KEYWORD));
            }
            text
        };
        let new = rows.iter().find(|row| !row.gone).map(|row| row.candidate);
        format!("{} │ {}", half(collection, new), half(&turn.collection, turn.candidates.first()))
    }

    /// What was found at the left, what the turn had at the right.
    pub fn row(&self, row: &CandidateRow<'_>, selected: bool, k: usize, old_k: usize, theme: &Theme) -> Line<'static> {
        let (new, old) = if row.gone { (None, Some(row.candidate)) } else { (Some(row.candidate), row.was) };
        let style = |here: bool| if selected && here { theme.focus } else { Style::new() };
        Line::from(vec![
            Span::styled(self.half(new, selected && !row.gone, k), style(!row.gone)),
            Span::styled(" │ ", theme.dim),
            Span::styled(self.half(old, selected && row.gone, old_k), style(row.gone)),
        ])
    }

    fn half(&self, candidate: Option<&Candidate>, selected: bool, k: usize) -> String {
        let Some(candidate) = candidate else { return " ".repeat(RANK + self.place + self.scores()) };
        let mark = if selected { "▸" } else { " " };
        let dot = if candidate.rank as usize <= k { "•" } else { " " };
        let score = |score: Option<String>| score.unwrap_or_else(|| "–".to_owned());
        let scores = &candidate.scores;
        let mut text = format!("{mark}{dot}{:<3}{}", candidate.rank, padded(&named(candidate), self.place));
        if self.dense {
            text.push_str(&padded(&format!("  {}", score(scores.dense.map(decimals))), DENSE));
        }
        if self.keyword {
            text.push_str(&padded(&score(scores.keyword.map(bm25)), KEYWORD));
        }
        text
    }
}
