use super::{ViewCache, finish};
use crate::{
    app::{Model, State},
    domain::Stage,
    text::{fit, one_line},
};

/// Columns of the longest title.
const COLUMNS: usize = 80;

/// The window's title: which collection, and what is going on. Fit to be written to a terminal.
pub fn title(state: &State, cache: &ViewCache) -> String {
    let mut parts = vec!["askdocs".to_owned()];
    parts.extend(state.collection_name().map(one_line));
    parts.extend(work(state));
    let title = fit(&parts.join(" · "), COLUMNS);
    if cache.look.ascii { finish::ascii_text(&title) } else { title }
}

fn work(state: &State) -> Option<String> {
    let part = |done: u64, all: u64| {
        (done.min(all) * 100).checked_div(all).map(|part| format!(" {part} %")).unwrap_or_default()
    };
    if let Some(job) = &state.ingest {
        return Some(format!("indexing{}", part(job.snapshot.documents_done, job.snapshot.documents_total)));
    }
    match &state.model {
        Model::Loading { snapshot, .. } if snapshot.stage == Stage::Downloading => {
            return Some(format!("downloading{}", part(snapshot.bytes_done, snapshot.bytes_total)));
        }
        Model::Loading { .. } | Model::Ready { .. } | Model::Failed(_) => {}
    }
    state.running_turn().map(|_| "answering".to_owned())
}
