use std::{cmp::Ordering, ops::Range, sync::Arc};

use super::{Entry, RequestId};
use crate::domain::{
    Candidate, ChunkId, CollectionInfo, Fusion, Mode, Passage, Projection, SearchSettings, StageTimings, Turn, TurnId,
};

/// How one turn is looked at in full.
#[derive(Debug, Default)]
pub struct Evidence {
    pub pane: EvidencePane,
    pub sort: SortBy,
    /// Key of the selected row. While the table has none of that key, its first row counts as selected.
    pub selected: Option<RowKey>,
    /// First row shown of the pane that has the keys, where that is not the table; `None` for what it shows by itself.
    pub scroll: Option<usize>,
    /// The same question searched with other settings, or in another collection.
    pub rerun: Option<Rerun>,
    /// A collection to search again in is being chosen: the name of the selected one.
    pub choosing: Option<String>,
    /// The question and its candidates on a plane, once that was asked for.
    pub map: Option<Map>,
    /// The sentence of the selected candidate that is likest the question.
    pub best: Option<BestSentence>,
}

/// A turn's question searched once more, without an answer.
#[derive(Clone, Debug)]
pub struct Rerun {
    pub turn: TurnId,
    pub collection: String,
    pub settings: SearchSettings,
    /// The search that is under way.
    pub running: Option<RequestId>,
    /// How the last search ended, or why it could not be made; `None` before the first has.
    pub ended: Option<Result<Arc<Found>, String>>,
}

/// What a question found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub collection: String,
    /// The mode that was really used.
    pub mode: Mode,
    pub passages: Vec<Passage>,
    /// In their order.
    pub candidates: Arc<[Candidate]>,
    pub timings: StageTimings,
    pub notices: Vec<String>,
}

/// The map of what a question found in a collection.
#[derive(Clone, Debug)]
pub struct Map {
    pub turn: TurnId,
    pub collection: String,
    /// What was to be placed.
    pub asked: Vec<ChunkId>,
    pub request: RequestId,
    /// `None` while it is made.
    pub made: Option<Result<Arc<Projection>, String>>,
}

impl Map {
    /// Most candidates that are placed, the first ones: those that the table can name.
    pub const MOST: usize = 100;
}

/// The sentence of a candidate that is likest the question.
#[derive(Clone, Debug)]
pub struct BestSentence {
    pub collection: String,
    pub id: ChunkId,
    pub request: RequestId,
    /// It is looked for by the vectors' likeness, not by the words.
    pub by_meaning: bool,
    /// Byte range of the candidate's text; `None` while it is looked for, and where there is none.
    pub sentence: Option<Range<usize>>,
}

/// Which pane of the evidence view the keys go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EvidencePane {
    #[default]
    Candidates,
    /// The text of the selected candidate.
    Passage,
    Map,
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
    Rerank,
    Place,
}

/// A direction on the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toward {
    Left,
    Right,
    Up,
    Down,
}

/// What can be done in the evidence view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvidenceAction {
    /// Selects a row of the table by its place, from 0; while a collection is chosen, one of these.
    Select(usize),
    /// Selects the nearest candidate in that direction of the map.
    SelectToward(Toward),
    /// Orders the table by the next column.
    Sort,
    NextPane,
    PreviousPane,
    /// Search the turn's question again with another number of passages, another mode, another weight of the dense leg.
    MoreK,
    LessK,
    NextMode,
    NextWeight,
    /// With the first candidates ordered anew by their sentences, or without.
    Rerank,
    /// Lets the person choose a collection to search again in.
    ChooseCollection,
    /// Searches again in the chosen one.
    UseCollection,
    /// Asks the question again with the settings of the last search, in its collection.
    Answer,
    /// Writes the turn with all that is known of it into a file.
    Export,
}

/// How what is shown compares with what the turn was answered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It is that.
    Itself,
    /// The same collection with other settings: candidates are the same where their ids are.
    Settings,
    /// Another collection: only the ranks stand side by side.
    Collections,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct CandidateRow<'a> {
    pub candidate: &'a Candidate,
    /// It is the turn's, and the search that is shown did not find it.
    pub gone: bool,
    /// What the turn had: the same candidate or, of another collection, the one that stands at the same place.
    pub was: Option<&'a Candidate>,
}

/// Names a row of the table: the id is the turn's only where the candidate is gone.
pub type RowKey = (bool, ChunkId);

impl CandidateRow<'_> {
    pub fn key(&self) -> RowKey {
        (self.gone, self.candidate.id)
    }
}

impl EvidencePane {
    const ALL: [Self; 5] = [Self::Candidates, Self::Passage, Self::Map, Self::Figures, Self::Prompt];

    pub(super) fn next(self) -> Self {
        self.step(1)
    }

    pub(super) fn previous(self) -> Self {
        self.step(Self::ALL.len() - 1)
    }

    fn step(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|pane| *pane == self).unwrap_or(0);
        Self::ALL[(at + by) % Self::ALL.len()]
    }
}

impl SortBy {
    pub fn name(self) -> &'static str {
        match self {
            Self::Rank => "rank",
            Self::Dense => "dense",
            Self::Keyword => "bm25",
            Self::Fused => "fused",
            Self::Rerank => "rerank",
            Self::Place => "place",
        }
    }

    pub(super) fn next(self) -> Self {
        match self {
            Self::Rank => Self::Dense,
            Self::Dense => Self::Keyword,
            Self::Keyword => Self::Fused,
            Self::Fused => Self::Rerank,
            Self::Rerank => Self::Place,
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
            Self::Fused => by_rank(a.scores.fused_rank, b.scores.fused_rank),
            Self::Rerank => {
                let score = |candidate: &Candidate| candidate.scores.rerank.unwrap_or(f32::NEG_INFINITY);
                score(b).total_cmp(&score(a))
            }
            Self::Place => in_document(&a.place).cmp(&in_document(&b.place)),
        };
        order.then(a.rank.cmp(&b.rank))
    }
}

/// Orders places as they stand in their documents; what has none comes last.
fn in_document(place: &str) -> (bool, &str, u32) {
    let (document, lines) = place.rsplit_once(':').unwrap_or((place, ""));
    let first = lines.split('-').next().and_then(|line| line.parse().ok());
    (place.is_empty(), document, first.unwrap_or(0))
}

impl Evidence {
    /// The table: the turn's candidates or, where its question was searched again, what that found, beside what the turn
    /// had. What the turn had and the search did not find stands at the end. Empty where the search failed.
    pub fn rows<'a>(&'a self, turn: &'a Turn) -> Vec<CandidateRow<'a>> {
        let sorted = |candidates: &'a [Candidate]| {
            let mut sorted: Vec<&Candidate> = candidates.iter().collect();
            sorted.sort_by(|a, b| self.sort.compare(a, b));
            sorted
        };
        let row = |candidate, gone, was| CandidateRow { candidate, gone, was };
        let own = sorted(&turn.candidates);
        let found = match self.rerun_of(turn).and_then(|rerun| rerun.ended.as_ref()) {
            None => return own.into_iter().map(|candidate| row(candidate, false, None)).collect(),
            Some(Err(_)) => return Vec::new(),
            Some(Ok(found)) => found,
        };
        let new = sorted(&found.candidates);
        if self.comparison(turn) == Comparison::Collections {
            let rest = own.iter().skip(new.len()).map(|old| row(old, true, None));
            return new.iter().enumerate().map(|(at, new)| row(new, false, own.get(at).copied())).chain(rest).collect();
        }
        let lost = own.iter().filter(|old| !new.iter().any(|new| new.id == old.id)).map(|old| row(old, true, None));
        let old = |new: &Candidate| own.iter().find(|old| old.id == new.id).copied();
        new.iter().map(|new| row(new, false, old(new))).chain(lost).collect()
    }

    pub fn comparison(&self, turn: &Turn) -> Comparison {
        match self.found(turn) {
            None => Comparison::Itself,
            Some(found) if found.collection == turn.collection => Comparison::Settings,
            Some(_) => Comparison::Collections,
        }
    }

    /// Place in the table of the selected row.
    pub fn index(&self, rows: &[CandidateRow<'_>]) -> usize {
        rows.iter().position(|row| Some(row.key()) == self.selected).unwrap_or(0)
    }

    /// What the turn was searched with again, if it was.
    pub fn rerun_of(&self, turn: &Turn) -> Option<&Rerun> {
        self.rerun.as_ref().filter(|rerun| rerun.turn == turn.id)
    }

    /// What the turn's question found when it was searched again.
    pub fn found(&self, turn: &Turn) -> Option<&Arc<Found>> {
        self.rerun_of(turn)?.ended.as_ref()?.as_ref().ok()
    }

    /// The collection that what is shown was found in.
    pub fn collection<'a>(&'a self, turn: &'a Turn) -> &'a str {
        self.found(turn).map_or(&turn.collection, |found| &found.collection)
    }

    /// The settings that the next search of the turn's question starts from.
    pub fn settings(&self, turn: &Turn) -> SearchSettings {
        self.rerun_of(turn).map_or(turn.settings, |rerun| rerun.settings)
    }

    /// The map of what is shown, if it was asked for.
    pub fn map_of(&self, turn: &Turn) -> Option<&Map> {
        self.map.as_ref().filter(|map| map.turn == turn.id && map.collection == self.collection(turn))
    }

    /// The candidate nearest to the selected one in a direction of the map, both axes as long as each other. What lies
    /// aside counts twice, so that a step goes where it is meant to.
    pub(super) fn toward(&self, turn: &Turn, toward: Toward) -> Option<RowKey> {
        let projection = self.map_of(turn)?.made.as_ref()?.as_ref().ok()?;
        let rows = self.rows(turn);
        let spans =
            [0, 1].map(|axis| projection.range(axis)).map(|(least, most)| (most - least).max(f32::MIN_POSITIVE));
        let place = |row: &CandidateRow<'_>| {
            let point = projection
                .point(row.candidate.id)
                .filter(|_| !row.gone || self.comparison(turn) != Comparison::Collections)?;
            Some([point[0] / spans[0], point[1] / spans[1]])
        };
        let selected = rows.get(self.index(&rows)).and_then(place);
        // From what is not on the map the way leads to the first that is.
        let Some(from) = selected else { return rows.iter().find(|row| place(row).is_some()).map(CandidateRow::key) };
        let cost = |row: &CandidateRow<'_>| {
            let to = place(row)?;
            let (x, y) = (to[0] - from[0], to[1] - from[1]);
            let (along, aside) = match toward {
                Toward::Left => (-x, y),
                Toward::Right => (x, y),
                Toward::Up => (y, x),
                Toward::Down => (-y, x),
            };
            (along > 0.0).then_some(along + 2.0 * aside.abs())
        };
        let reachable = rows.iter().filter_map(|row| Some((cost(row)?, row)));
        reachable.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, row)| row.key())
    }

    pub(super) fn show(&mut self, pane: EvidencePane) {
        (self.pane, self.scroll) = (pane, None);
    }

    pub(super) fn turn_changed(&mut self) {
        (self.selected, self.scroll, self.rerun) = (None, None, None);
        (self.choosing, self.map, self.best) = (None, None, None);
    }
}

/// The collections that a question can be searched in, as they were listed.
pub fn searchable(entries: Option<&[Entry]>) -> Vec<&Arc<CollectionInfo>> {
    entries.unwrap_or_default().iter().filter_map(Entry::info).filter(|info| info.passages > 0).collect()
}

impl EvidenceAction {
    /// The settings after this action; `None` where it changes none.
    pub(super) fn change(self, mut settings: SearchSettings) -> Option<SearchSettings> {
        match self {
            Self::MoreK => settings.k = (settings.k + 1).min(SearchSettings::MOST_K.max(settings.k)),
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
            Self::Rerank => settings.rerank = if settings.rerank > 0 { 0 } else { SearchSettings::RERANKED },
            Self::Select(_)
            | Self::SelectToward(_)
            | Self::Sort
            | Self::NextPane
            | Self::PreviousPane
            | Self::ChooseCollection
            | Self::UseCollection
            | Self::Answer
            | Self::Export => return None,
        }
        Some(settings)
    }
}
