use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{
    Outcome, UsageError,
    args::IngestOptions,
    output::Output,
    progress::{self, shown},
    wire::{Wiring, now},
};
use crate::{
    domain::{CollectionInfo, IngestReport, IngestRun, Skip, SourceSpec},
    rag::{self, IngestJob},
    runtime::runs::{self, Running},
    source,
    text::{counted, one_line},
};

/// Most skipped documents that are listed one by one.
const LISTED: usize = 50;

pub async fn run(
    wiring: &Wiring,
    options: &IngestOptions,
    output: &Output,
    cancel: &CancellationToken,
) -> anyhow::Result<Outcome> {
    let json = options.json;
    if options.sources.is_empty() && !(options.globs.is_empty() && options.chunker.is_none()) {
        return Err(UsageError(
            "--glob and --chunker go with a path or URL; hint: askdocs ingest PATH --glob '*.md'".into(),
        )
        .into());
    }
    let chunker = options.chunker.clone().unwrap_or_else(|| wiring.config.chunker.clone());
    // Everything is looked at before any work, so that a typo in the last path does not cost an hour.
    let mut sources = Vec::new();
    for location in &options.sources {
        sources.push(source::check(location, options.globs.clone(), chunker.clone())?);
    }
    let store = wiring.store()?;
    let progress = &wiring.progress;
    let collection = match wiring.named_collection() {
        Some(name) => name,
        None if sources.is_empty() => shown(output, progress, wiring.collection_to_index(store.as_ref())).await?,
        None => CollectionInfo::DEFAULT.to_owned(),
    };
    if sources.is_empty() && wiring.keeps_handbook() && collection == CollectionInfo::HANDBOOK {
        sources.push(SourceSpec::handbook());
    }
    let work = async {
        let embedder = wiring.embedder_or_notice(true, output, cancel).await?;
        let (collection, force, shard) = (collection.clone(), options.force, options.shard);
        let job = IngestJob { store, embedder, collection, sources, force, shard };
        Ok::<_, anyhow::Error>(rag::ingest(&job, progress, &Arc::default(), cancel).await?)
    };
    let runs_file = wiring.paths.state.join(runs::FILE);
    let running = runs::begin(&runs_file, now(), collection.clone())
        .inspect_err(|error| tracing::warn!("that an ingest begins was not noted: {error}"));
    let worked = shown(output, progress, work).await;
    // A run that failed has said so.
    running.into_iter().for_each(Running::end);
    let report = match worked {
        Err(_) if cancel.is_cancelled() => {
            output.notice(interrupted(options.force));
            return Ok(Outcome::Interrupted);
        }
        report => report?,
    };
    let run = IngestRun::new(now(), collection.clone(), &Ok(report.clone()), report.seconds);
    if let Err(error) = runs::remember(&runs_file, &run) {
        tracing::warn!("the ingest was not kept in the list of past runs: {error}");
    }
    if json {
        output.json(&report)?;
    }
    let share = options.shard.map(|shard| format!(" (share {shard})")).unwrap_or_default();
    if report.interrupted {
        output.notice(interrupted(options.force));
    }
    say(&report, &format!("{collection}{share}"), output, json)?;
    Ok(match () {
        () if report.interrupted => Outcome::Interrupted,
        () if report.skipped.is_empty() => Outcome::Done,
        () => Outcome::Partly,
    })
}

fn interrupted(anew: bool) -> &'static str {
    match anew {
        false => "interrupted: what was indexed so far is kept, the same command continues",
        true => {
            "interrupted: what was indexed anew is kept, and so is the rest as it was; --force begins from the start"
        }
    }
}

/// What was left out, and why.
pub fn say_skipped(skipped: &[Skip], output: &Output) {
    for skip in skipped.iter().take(LISTED) {
        output.notice(&format!("skipped {}: {}", one_line(&skip.document), one_line(&skip.reason)));
    }
    if skipped.len() > LISTED {
        output.notice(&format!("and {} more; --json lists them all", skipped.len() - LISTED));
    }
}

/// The report in words; on standard output unless JSON is there.
pub fn say(report: &IngestReport, collection: &str, output: &Output, json: bool) -> std::io::Result<()> {
    say_skipped(&report.skipped, output);
    if json || output.quiet {
        return Ok(());
    }
    let mut parts =
        vec![format!("{}, {}", counted(report.held_documents, "document"), counted(report.held_passages, "passage"))];
    for (n, what) in [
        (report.unchanged, "unchanged"),
        (report.removed, "removed"),
        (report.skipped.len() as u64, "skipped"),
        (report.ignored, "of other kinds passed over"),
    ] {
        if n > 0 {
            parts.push(format!("{n} {what}"));
        }
    }
    let took = if report.seconds < 10.0 {
        format!("{:.1}s", report.seconds)
    } else {
        progress::duration(std::time::Duration::from_secs_f64(report.seconds))
    };
    output.line(&format!("{collection}: {} in {took}", parts.join(", ")))
}
