use std::time::Duration;

use crate::domain::{IngestReport, IngestRun, JobId, Pace, ProgressSnapshot, Skip, Stage};

/// An ingest that is running.
#[derive(Clone, Debug, PartialEq)]
pub struct IngestJob {
    pub id: JobId,
    /// All is indexed anew, not only what changed.
    pub anew: bool,
    /// Name of the collection that it fills.
    pub collection: String,
    pub snapshot: ProgressSnapshot,
    /// Since it began, pauses left out.
    pub elapsed: Duration,
    pub pace: Pace,
    /// It was asked to pause and does nothing but finish what it has in hand.
    pub paused: bool,
    /// It was asked to stop and is finishing what it has in hand.
    pub stopping: bool,
}

impl IngestJob {
    /// Documents were found that are not in the collection yet.
    pub fn lacks(&self) -> bool {
        self.snapshot.stage == Stage::Indexing && self.snapshot.documents_done < self.snapshot.documents_total
    }
}

/// How an ingest ended.
#[derive(Clone, Debug, PartialEq)]
pub struct EndedIngest {
    /// All was to be indexed anew, not only what changed.
    pub anew: bool,
    /// Name of the collection that it filled.
    pub collection: String,
    pub result: Result<IngestReport, String>,
}

/// The ingest view: how things stand, and below it two lists.
#[derive(Clone, Debug, Default)]
pub struct IngestView {
    /// Which part has the keys.
    pub pane: IngestPane,
    /// Place of the selected entry of each list, from 0. Beyond its end, the last one counts as selected.
    pub skip: usize,
    pub run: usize,
    /// The selected entry is shown in full.
    pub open: bool,
    /// First row that is shown of it, or else of how things stand.
    pub scroll: usize,
    /// Runs of this and earlier starts of the program, the last one first.
    pub runs: Vec<IngestRun>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IngestPane {
    /// How things stand.
    #[default]
    Overview,
    Skips,
    Runs,
}

impl IngestPane {
    pub const ALL: [Self; 3] = [Self::Overview, Self::Skips, Self::Runs];

    /// The pane so many further on, round and round.
    pub fn step(self, by: usize) -> Self {
        Self::ALL[(self as usize + by) % Self::ALL.len()]
    }
}

/// What can be done in the ingest view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngestAction {
    /// Holds the running ingest up, or lets it go on.
    Pause,
    /// Stops the running ingest, or the model's download while that runs, once it is asked for again.
    Stop,
    /// From how things stand to what was skipped, and on to past runs, or the other way.
    NextPane,
    PreviousPane,
    /// Selects an entry by its place in the list, from 0.
    Select(usize),
    /// Shows the selected entry in full.
    Open,
    /// Shows it, or how things stand, from another row on.
    Scroll(usize),
}

impl IngestView {
    /// A pane has the keys, and no entry is open.
    pub(super) fn show(&mut self, pane: IngestPane) {
        (self.pane, self.open, self.scroll) = (pane, false, 0);
    }

    /// Who looks at a run goes on looking at it.
    pub(super) fn set_runs(&mut self, runs: Vec<IngestRun>) {
        let looked_at = self.runs.get(self.run).filter(|_| self.pane == IngestPane::Runs);
        if let Some(at) = looked_at.and_then(|run| runs.iter().position(|other| other == run)) {
            self.run = at;
        }
        self.runs = runs;
    }
}

impl super::State {
    /// What the running ingest has left out so far, or else the last one; where none ran since the start, the first of what
    /// the last one that is known of the collection did.
    pub fn skips(&self) -> &[Skip] {
        match (&self.ingest, self.last_ingest.as_ref().map(|ended| &ended.result)) {
            (Some(job), _) => &job.snapshot.skipped,
            (None, Some(Ok(report))) => &report.skipped,
            (None, Some(Err(_))) => &[],
            (None, None) => self.last_known_run().map_or(&[], |run| &run.skips),
        }
    }

    /// How many were skipped of which [`Self::skips`] has the first.
    pub fn skipped(&self) -> u64 {
        match (&self.ingest, &self.last_ingest) {
            (None, None) => self.last_known_run().map_or(0, |run| run.skipped),
            (Some(_), _) | (_, Some(_)) => self.skips().len() as u64,
        }
    }

    /// The last ingest since the start failed as a whole, and none is running.
    pub fn last_ingest_failed(&self) -> bool {
        self.ingest.is_none() && self.last_ingest.as_ref().is_some_and(|ended| ended.result.is_err())
    }

    fn last_known_run(&self) -> Option<&IngestRun> {
        let name = self.collection_name()?;
        self.ingest_view.runs.iter().find(|run| run.collection == name)
    }

    /// How many entries a list of the ingest view has, and which of them is selected.
    pub fn ingest_list(&self, pane: IngestPane) -> (usize, usize) {
        let view = &self.ingest_view;
        let (count, at) = match pane {
            IngestPane::Overview => (0, 0),
            IngestPane::Skips => (self.skips().len(), view.skip),
            IngestPane::Runs => (view.runs.len(), view.run),
        };
        (count, at.min(count.saturating_sub(1)))
    }
}
