use std::cmp::Ordering;

use crate::domain::{Candidate, ChunkId, Turn};

/// How one turn is looked at in full.
#[derive(Debug, Default)]
pub struct Evidence {
    pub pane: EvidencePane,
    pub sort: SortBy,
    /// The selected candidate. While the turn has none of that id, the first counts as selected.
    pub selected: Option<ChunkId>,
    /// First row shown of the pane that has the keys, where that is not the table.
    pub scroll: usize,
}

/// Which pane of the evidence view the keys go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EvidencePane {
    #[default]
    Candidates,
    /// The text of the selected candidate.
    Passage,
    /// Distances and timings.
    Figures,
    Prompt,
}

/// The column that the candidates are ordered by, best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    #[default]
    Rank,
    Dense,
    Keyword,
    Fused,
    Place,
}

/// What can be done in the evidence view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvidenceAction {
    /// Selects a candidate by its place in the table, from 0.
    Select(usize),
    /// Orders the table by the next column.
    Sort,
    NextPane,
    PreviousPane,
}

impl EvidencePane {
    const ALL: [Self; 4] = [Self::Candidates, Self::Passage, Self::Figures, Self::Prompt];

    pub(super) fn step(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|pane| *pane == self).unwrap_or(0);
        Self::ALL[(at + by) % Self::ALL.len()]
    }
}

impl SortBy {
    pub(super) fn next(self) -> Self {
        match self {
            Self::Rank => Self::Dense,
            Self::Dense => Self::Keyword,
            Self::Keyword => Self::Fused,
            Self::Fused => Self::Place,
            Self::Place => Self::Rank,
        }
    }

    fn compare(self, a: &Candidate, b: &Candidate) -> Ordering {
        // What a retriever did not find stands behind all that it did.
        let by_rank = |a: Option<u32>, b: Option<u32>| a.unwrap_or(u32::MAX).cmp(&b.unwrap_or(u32::MAX));
        let order = match self {
            Self::Rank => Ordering::Equal,
            Self::Dense => by_rank(a.scores.dense_rank, b.scores.dense_rank),
            Self::Keyword => by_rank(a.scores.keyword_rank, b.scores.keyword_rank),
            Self::Fused => {
                let fused = |candidate: &Candidate| candidate.scores.fused.unwrap_or(f32::NEG_INFINITY);
                fused(b).total_cmp(&fused(a))
            }
            Self::Place => (a.place.is_empty(), &a.place).cmp(&(b.place.is_empty(), &b.place)),
        };
        order.then(a.rank.cmp(&b.rank))
    }
}

impl Evidence {
    /// The turn's candidates as the table shows them.
    pub fn rows<'a>(&self, turn: &'a Turn) -> Vec<&'a Candidate> {
        let mut rows: Vec<&Candidate> = turn.candidates.iter().collect();
        rows.sort_by(|a, b| self.sort.compare(a, b));
        rows
    }

    /// Place in the table of the selected one.
    pub fn index(&self, rows: &[&Candidate]) -> usize {
        rows.iter().position(|candidate| Some(candidate.id) == self.selected).unwrap_or(0)
    }

    pub(super) fn show(&mut self, pane: EvidencePane) {
        (self.pane, self.scroll) = (pane, 0);
    }

    pub(super) fn turn_changed(&mut self) {
        (self.selected, self.scroll) = (None, 0);
    }
}
