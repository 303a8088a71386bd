use std::{cmp::Ordering, sync::Arc};

use super::RequestId;
use crate::domain::{Candidate, ChunkId, Fusion, Mode, SearchSettings, Turn, TurnId};

/// How one turn is looked at in full.
#[derive(Debug, Default)]
pub struct Evidence {
    pub pane: EvidencePane,
    pub sort: SortBy,
    /// The selected candidate. While the turn has none of that id, the first counts as selected.
    pub selected: Option<ChunkId>,
    /// First row shown of the pane that has the keys, where that is not the table.
    pub scroll: usize,
    /// The same question searched with other settings.
    pub rerun: Option<Rerun>,
}

/// A turn's question searched once more, without an answer.
#[derive(Clone, Debug)]
pub struct Rerun {
    pub turn: TurnId,
    pub settings: SearchSettings,
    pub request: RequestId,
    /// In their new order; `None` while they are searched for.
    pub found: Option<Arc<[Candidate]>>,
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
    /// Search the turn's question again with another number of passages, another mode, another weight of the dense leg.
    MoreK,
    LessK,
    NextMode,
    NextWeight,
    /// Asks the question again with the settings of the last search.
    Answer,
    /// Writes the turn with all that is known of it into a file.
    Export,
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
    /// The turn's candidates as the table shows them, or what its question found when it was searched again.
    pub fn rows<'a>(&'a self, turn: &'a Turn) -> Vec<&'a Candidate> {
        let again = self.rerun_of(turn).and_then(|rerun| rerun.found.as_ref());
        let mut rows: Vec<&Candidate> = again.unwrap_or(&turn.candidates).iter().collect();
        rows.sort_by(|a, b| self.sort.compare(a, b));
        rows
    }

    /// Place in the table of the selected one.
    pub fn index(&self, rows: &[&Candidate]) -> usize {
        rows.iter().position(|candidate| Some(candidate.id) == self.selected).unwrap_or(0)
    }

    /// What the turn was searched with again, if it was.
    pub fn rerun_of(&self, turn: &Turn) -> Option<&Rerun> {
        self.rerun.as_ref().filter(|rerun| rerun.turn == turn.id)
    }

    /// The settings that the next search of the turn's question starts from.
    pub fn settings(&self, turn: &Turn) -> SearchSettings {
        self.rerun_of(turn).map_or(turn.settings, |rerun| rerun.settings)
    }

    pub(super) fn show(&mut self, pane: EvidencePane) {
        (self.pane, self.scroll) = (pane, 0);
    }

    pub(super) fn turn_changed(&mut self) {
        (self.selected, self.scroll, self.rerun) = (None, 0, None);
    }
}

impl EvidenceAction {
    /// The settings after this action; `None` where it changes none.
    pub(super) fn change(self, mut settings: SearchSettings) -> Option<SearchSettings> {
        match self {
            Self::MoreK => settings.k += 1,
            Self::LessK => settings.k = settings.k.saturating_sub(1).max(1),
            Self::NextMode => {
                settings.mode = match settings.mode {
                    Mode::Hybrid => Mode::Dense,
                    Mode::Dense => Mode::Keyword,
                    Mode::Keyword => Mode::Hybrid,
                }
            }
            Self::NextWeight => {
                settings.fusion = match settings.fusion {
                    // In tenths, so that no rounding adds up.
                    Fusion::MinMax { dense_weight } => {
                        let tenths = ((dense_weight * 10.0).round() as u8 + 1) % 11;
                        Fusion::MinMax { dense_weight: f32::from(tenths) / 10.0 }
                    }
                    Fusion::Rrf { .. } => Fusion::default(),
                }
            }
            Self::Select(_) | Self::Sort | Self::NextPane | Self::PreviousPane | Self::Answer | Self::Export => {
                return None;
            }
        }
        Some(settings)
    }
}
