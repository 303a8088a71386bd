use std::io::{IsTerminal, Write};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Outcome, UsageError, args::CollectionsCommand, output::Output, progress::bytes, wire::Wiring};
use crate::{
    domain::{CollectionInfo, SourceSpec},
    source,
    store::StoreError,
    text::one_line,
};

pub async fn run(
    wiring: &Wiring,
    command: CollectionsCommand,
    output: &Output,
    cancel: &CancellationToken,
) -> anyhow::Result<Outcome> {
    let store = wiring.store()?;
    match command {
        CollectionsCommand::List { json } => {
            let all = store.collections().await?;
            for (name, error) in store.unreadable().await? {
                output.notice(&format!("note: collection {name} can't be read: {}", one_line(&error.to_string())));
            }
            if json {
                output.json(&all.iter().map(collection_json).collect::<Vec<_>>())?;
            } else if all.is_empty() {
                output.notice("there are no collections yet; `askdocs ingest PATH` makes one");
            }
            for info in all.iter().filter(|_| !json) {
                output.line(&format!(
                    "{:<24} {:>7} documents {:>9} passages  {}",
                    info.name,
                    info.documents,
                    info.passages,
                    model(info)
                ))?;
            }
        }
        CollectionsCommand::Show { name, json } => {
            let info = store
                .collection(&name)
                .await?
                .ok_or_else(|| StoreError::NoCollection { name: name.clone(), store: store.describe() })?;
            if json {
                output.json(&collection_json(&info))?;
            } else {
                show(&info, output)?;
            }
        }
        CollectionsCommand::Drop { name, yes } => {
            let holds = match store.collection(&name).await {
                Ok(Some(info)) => format!("{} documents, {} passages", info.documents, info.passages),
                Ok(None) => return Err(StoreError::NoCollection { name, store: store.describe() }.into()),
                Err(error @ StoreError::BadName { .. }) => return Err(error.into()),
                // A damaged one can be dropped as well.
                Err(_) => "it can't be read".to_owned(),
            };
            let sure = if yes { Some(Ok(true)) } else { cancel.run_until_cancelled(confirmed(&name, &holds)).await };
            let Some(sure) = sure else { return Ok(Outcome::Interrupted) };
            if !sure? {
                output.notice("nothing was dropped");
                return Ok(Outcome::Done);
            }
            store.drop_collection(&name).await?;
            output.notice(&format!("dropped {name}: {holds}"));
        }
    }
    Ok(Outcome::Done)
}

fn model(info: &CollectionInfo) -> String {
    info.fingerprint.as_ref().map_or_else(|| "no vectors".to_owned(), |f| format!("{} {}d", f.model, f.dim))
}

fn show(info: &CollectionInfo, output: &Output) -> std::io::Result<()> {
    output.strong_line(&info.name, "")?;
    output.line(&format!("  documents   {}", info.documents))?;
    output.line(&format!("  passages    {}", info.passages))?;
    output.line(&format!("  model       {}", model(info)))?;
    output.line(&format!("  metric      {}", info.metric))?;
    if let Some(size) = info.bytes {
        output.line(&format!("  on disk     {}", bytes(size)))?;
    }
    for source in &info.sources {
        let globs = source.globs.iter().map(|glob| format!(" --glob {glob:?}")).collect::<String>();
        let location = one_line(&source::shown_location(&source.location));
        output.line(&format!("  made from   {location}{globs} ({})", source.chunker))?;
    }
    Ok(())
}

fn collection_json(info: &CollectionInfo) -> Value {
    json!({
        "name": info.name,
        "documents": info.documents,
        "passages": info.passages,
        "dim": info.fingerprint.as_ref().map(|f| f.dim),
        "metric": info.metric,
        "model": info.fingerprint.as_ref().map(|f| &f.model),
        "fingerprint": info.fingerprint,
        "bytes": info.bytes,
        "sources": info.sources.iter().map(source_json).collect::<Vec<_>>(),
    })
}

fn source_json(source: &SourceSpec) -> Value {
    json!(SourceSpec { location: source::shown_location(&source.location), ..source.clone() })
}

async fn confirmed(name: &str, holds: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(UsageError(format!("dropping {name:?} needs --yes where nobody can be asked")).into());
    }
    let question = format!("Drop {name} ({holds})? The documents themselves stay. [y/N] ");
    let mut err = std::io::stderr().lock();
    err.write_all(question.as_bytes())?;
    err.flush()?;
    drop(err);
    // A thread that waits for input can't be stopped; after Ctrl-C the program ends without it.
    let answer =
        tokio::task::spawn_blocking(|| std::io::stdin().lines().next().transpose()).await??.unwrap_or_default();
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
