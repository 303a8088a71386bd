use std::io::{IsTerminal, Write};

use serde_json::{Value, json};

use super::{Outcome, UsageError, args::CollectionsCommand, output::Output, progress::bytes, wire::Wiring};
use crate::{domain::CollectionInfo, store::StoreError};

pub async fn run(wiring: &Wiring, command: CollectionsCommand, output: &Output) -> anyhow::Result<Outcome> {
    let store = wiring.store()?;
    match command {
        CollectionsCommand::List { json } => {
            let all = store.collections().await?;
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
            let info = store
                .collection(&name)
                .await?
                .ok_or_else(|| StoreError::NoCollection { name: name.clone(), store: store.describe() })?;
            if !yes && !confirmed(&info)? {
                output.notice("nothing was dropped");
                return Ok(Outcome::Done);
            }
            store.drop_collection(&name).await?;
            output.notice(&format!("dropped {name}: {} documents, {} passages", info.documents, info.passages));
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
        output.line(&format!("  made from   {}{globs} ({})", source.location, source.chunker))?;
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
        "sources": info.sources,
    })
}

fn confirmed(info: &CollectionInfo) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(UsageError(format!("dropping {:?} needs --yes where nobody can be asked", info.name)).into());
    }
    let mut err = std::io::stderr().lock();
    write!(err, "Drop {} with {} passages? The documents themselves stay. [y/N] ", info.name, info.passages)?;
    err.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
