use std::{sync::Arc, time::Duration};

use crate::{
    app::{Armed, Effect, EndedIngest, IngestAction, IngestJob, IngestPane, Model, State, Store, View},
    domain::{CollectionInfo, IngestReport, IngestRun, JobId, Pace, ProgressSnapshot, RunOutcome, SourceSpec},
    text::{counted, one_line},
};

/// Why there is no model after its download was stopped.
const STOPPED_DOWNLOAD: &str = "its download was stopped; what has come is kept where the source can go on from it";

impl State {
    /// Indexes the collection in use anew; in the collections view, the selected one.
    pub(super) fn reindex(&mut self, force: bool) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Model::Failed(_) = self.model {
            self.model = Model::default();
            effects.push(Effect::RetryModel);
        }
        // What could not be finished is gone on with where it is told of; in the list of collections it is the selected one.
        let unfinished = self.last_ingest.as_ref().filter(|ended| match &ended.result {
            Ok(report) => report.interrupted,
            Err(_) => true,
        });
        let selected = match self.view {
            View::Collections => self.collections.entry().map(|entry| entry.name().to_owned()),
            View::Ingest => unfinished.map(|ended| ended.collection.clone()),
            View::Chat | View::Evidence => None,
        };
        match (&self.store, &self.ingest) {
            (_, Some(_)) => self.notice = Some(UNDER_WAY.to_owned()),
            (Store::Open { name, .. }, None) => {
                let name = selected.unwrap_or_else(|| name.clone());
                effects.push(self.start_ingest(name, Vec::new(), force));
            }
            (Store::Opening, None) => self.notice = Some("the store is still being opened".to_owned()),
            (Store::Failed(_), None) => {
                self.notice = Some("the store could not be opened, so nothing can be indexed".to_owned());
            }
        }
        effects
    }

    pub(super) fn start_ingest(&mut self, collection: String, sources: Vec<SourceSpec>, force: bool) -> Effect {
        self.last_job += 1;
        let id = JobId(self.last_job);
        self.ingest = Some(IngestJob {
            id,
            anew: force,
            collection: collection.clone(),
            snapshot: ProgressSnapshot::default(),
            elapsed: Duration::ZERO,
            pace: Pace::default(),
            paused: false,
            stopping: false,
        });
        (self.ingest_view.skip, self.ingest_view.open) = (0, false);
        // How the last one ended is no longer how things stand.
        self.notice = None;
        Effect::StartIngest { job: id, collection, sources, force }
    }

    /// The runs that are known; at the start, whether the last one was cut off.
    pub(super) fn past_runs(&mut self, runs: Vec<IngestRun>) {
        let is_start = self.ingest_view.runs.is_empty() && self.ingest.is_none();
        if let Some(run) = runs.first().filter(|run| is_start && run.outcome == RunOutcome::CutOff) {
            let name = one_line(&run.collection);
            self.report(format!("the last indexing, of {name}, was cut off: ‹reindex› there goes on with it"));
        }
        self.ingest_view.set_runs(runs);
    }

    pub(super) fn ingest_finished(
        &mut self,
        job: JobId,
        result: Result<IngestReport, String>,
        left: Option<Arc<CollectionInfo>>,
    ) -> Vec<Effect> {
        let Some(ended) = self.ingest.take_if(|running| running.id == job) else { return Vec::new() };
        if let Some(left) = left {
            self.note_collection(left);
        }
        self.disarm(Armed::StopIngest);
        let in_use = self.collection_name() == Some(ended.collection.as_str());
        let of = if in_use { String::new() } else { format!("{}: ", ended.collection) };
        self.notice = Some(format!("{of}{}", summary(&result, ended.anew)));
        self.last_ingest = Some(EndedIngest { anew: ended.anew, collection: ended.collection, result });
        self.neighbours.clear();
        let mut effects = self.ask_waiting();
        effects.extend(self.load_shown());
        if self.view == View::Collections {
            effects.extend(self.list_collections());
        }
        effects
    }

    pub(super) fn act_on_ingest(&mut self, action: IngestAction) -> Vec<Effect> {
        let (count, _) = self.ingest_list(self.ingest_view.pane);
        let view = &mut self.ingest_view;
        match action {
            IngestAction::Pause => match &mut self.ingest {
                Some(job) if !job.stopping => {
                    job.paused = !job.paused;
                    return vec![Effect::PauseIngest { job: job.id, paused: job.paused }];
                }
                Some(_) => self.notice = Some("it is stopping already".to_owned()),
                None => self.notice = Some("nothing is being indexed; ‹reindex› indexes what changed".to_owned()),
            },
            IngestAction::Stop => return self.stop_work(None),
            IngestAction::NextPane => (view.pane, view.scroll) = (view.pane.step(1), 0),
            IngestAction::PreviousPane => (view.pane, view.scroll) = (view.pane.step(2), 0),
            IngestAction::Select(at) => match view.pane {
                IngestPane::Overview => {}
                IngestPane::Skips => view.skip = at,
                IngestPane::Runs => view.run = at,
            },
            IngestAction::Open if count > 0 => (view.open, view.scroll) = (true, 0),
            IngestAction::Open => {}
            IngestAction::Scroll(to) => view.scroll = to,
        }
        Vec::new()
    }

    /// Stops what is under way once it has been asked for twice.
    pub(super) fn stop_work(&mut self, armed: Option<Armed>) -> Vec<Effect> {
        let downloading = self.is_downloading();
        match &mut self.ingest {
            _ if downloading && armed == Some(Armed::StopDownload) => return self.stop_download(),
            _ if downloading => self.armed = Some(Armed::StopDownload),
            Some(job) if job.stopping => self.notice = Some("it is stopping already".to_owned()),
            Some(job) if armed == Some(Armed::StopIngest) => {
                job.stopping = true;
                return vec![Effect::CancelIngest(job.id)];
            }
            Some(_) => self.armed = Some(Armed::StopIngest),
            None => self.notice = Some("nothing is being indexed; ‹reindex› indexes what changed".to_owned()),
        }
        Vec::new()
    }

    /// Gives the model up for now: whatever waits for it goes on with keywords alone.
    pub(super) fn stop_download(&mut self) -> Vec<Effect> {
        self.model = Model::Failed(STOPPED_DOWNLOAD.to_owned());
        vec![Effect::CancelDownload]
    }

    pub(super) fn disarm(&mut self, armed: Armed) {
        self.armed.take_if(|now| *now == armed);
    }
}

/// What is told where a second ingest is asked for.
pub(super) const UNDER_WAY: &str = "indexing is under way already; ‹ingest› shows how far it is";

/// How an ingest ended, in one line.
fn summary(result: &Result<IngestReport, String>, anew: bool) -> String {
    let report = match result {
        Ok(report) => report,
        Err(message) => return format!("indexing failed: {}", message.lines().next().unwrap_or("")),
    };
    let totals =
        format!("{}, {}", counted(report.held_documents, "document"), counted(report.held_passages, "passage"));
    let skipped = match report.skipped.len() {
        0 => String::new(),
        n => format!(" · {n} skipped, ‹ingest› says why"),
    };
    let removed = if report.removed == 0 { String::new() } else { format!(" · {} removed", report.removed) };
    if report.interrupted && anew {
        format!("indexing stopped: {totals} are in the index, and not all of it is new{skipped}")
    } else if report.interrupted {
        format!("indexing stopped: {totals} are in the index, the next run goes on from there{skipped}")
    } else if report.documents == 0 && !report.skipped.is_empty() && report.removed == 0 {
        format!("nothing was found to index: {totals} stay{skipped}")
    } else if report.unchanged == report.documents && report.removed == 0 {
        format!("nothing has changed: {totals}{skipped}")
    } else if report.documents == report.held_documents && report.unchanged == 0 {
        format!("indexed {totals} in {:.1} s{removed}{skipped}", report.seconds)
    } else {
        let done = match report.documents.saturating_sub(report.unchanged) {
            0 => "nothing new".to_owned(),
            new => format!("indexed {}", counted(new, "document")),
        };
        format!("{done} in {:.1} s{removed} · {totals} in all{skipped}", report.seconds)
    }
}

#[cfg(test)]
mod tests;
