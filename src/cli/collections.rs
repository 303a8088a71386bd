use std::{
    io::{IsTerminal, Write},
    sync::Arc,
};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    Outcome, UsageError,
    args::CollectionsCommand,
    output::{Output, columns, excerpt},
    progress::{bytes, shown},
    wire::Wiring,
};
use crate::{
    domain::{Chunk, CollectionInfo, Progress, SourceSpec},
    source,
    store::{StoreError, VectorStore},
    text::{counted, one_line},
};

pub async fn run(
    wiring: &Wiring,
    command: &CollectionsCommand,
    output: &Output,
    cancel: &CancellationToken,
) -> anyhow::Result<Outcome> {
    let store = wiring.store_to_read()?;
    let work = carry_out(store.as_ref(), command, &wiring.progress, output);
    cancel.run_until_cancelled(work).await.unwrap_or(Ok(Outcome::Interrupted))
}

async fn carry_out(
    store: &dyn VectorStore,
    command: &CollectionsCommand,
    progress: &Arc<Progress>,
    output: &Output,
) -> anyhow::Result<Outcome> {
    match command {
        CollectionsCommand::List { json } => {
            let looked = async { Ok::<_, StoreError>((store.collections().await?, store.unreadable().await?)) };
            let (all, unreadable) = shown(output, progress, looked).await?;
            list(&all, &unreadable, store, *json, output)?;
        }
        CollectionsCommand::Show { name, json } => {
            let info = shown(output, progress, store.collection(name)).await?;
            let info = info.ok_or_else(|| no_collection(store, name))?;
            if *json {
                output.json(&collection_json(&info, store))?;
            } else {
                show(&info, store, output)?;
            }
        }
        CollectionsCommand::Rows { name, offset, n, json } => {
            let rows = shown(output, progress, store.browse(name, *offset, usize::from(*n))).await?;
            if *json {
                let rows: Vec<Value> = rows.iter().map(row_json).collect();
                output.json(&json!({ "name": name, "store": store.describe(), "offset": offset, "rows": rows }))?;
            } else if rows.is_empty() {
                output.notice(&format!("no passages in {name} from {offset} on"));
            } else {
                show_rows(&rows, *offset, output)?;
            }
        }
        CollectionsCommand::Drop { name, yes } => {
            let holds = match shown(output, progress, store.collection(name)).await {
                Ok(Some(info)) if info.foreign => format!("{} rows, made by another program", info.passages),
                Ok(Some(info)) => {
                    format!("{}, {}", counted(info.documents, "document"), counted(info.passages, "passage"))
                }
                Ok(None) => return Err(no_collection(store, name).into()),
                Err(error @ (StoreError::BadName { .. } | StoreError::Unreachable { .. })) => return Err(error.into()),
                // A damaged one can be dropped as well.
                Err(_) => "it can't be read".to_owned(),
            };
            let place = store.describe();
            let question = format!("Drop {name} from {place} ({holds})? The documents themselves stay.");
            let nobody = format!("dropping {name:?} needs --yes where nobody can be asked");
            if !yes && !confirmed(&question, &nobody).await? {
                output.notice("nothing was dropped");
                return Ok(Outcome::Done);
            }
            shown(output, progress, store.drop_collection(name)).await?;
            output.notice(&format!("dropped {name} from {place}: {holds}"));
        }
    }
    Ok(Outcome::Done)
}

fn no_collection(store: &dyn VectorStore, name: &str) -> StoreError {
    StoreError::NoCollection { name: name.to_owned(), store: store.describe() }
}

fn list(
    all: &[CollectionInfo],
    unreadable: &[(String, StoreError)],
    store: &dyn VectorStore,
    json: bool,
    output: &Output,
) -> anyhow::Result<()> {
    for (name, error) in unreadable {
        let (name, error) = (one_line(name), one_line(&error.to_string()));
        output.notice(&format!("note: collection {name} can't be read: {error}"));
    }
    if json {
        return output.json(&all.iter().map(|info| collection_json(info, store)).collect::<Vec<_>>());
    }
    if all.is_empty() {
        output
            .notice(&format!("there are no collections in {} yet; `askdocs ingest PATH` makes one", store.describe()));
    }
    for info in all {
        let documents = if info.foreign { String::new() } else { format!("{} documents", info.documents) };
        let (name, passages, vectors) = (one_line(&info.name), info.passages, vectors(info));
        output.line(&format!("{name:<24} {documents:>17} {passages:>9} passages  {vectors:<11}  {}", made_by(info)))?;
    }
    Ok(())
}

/// Its vectors' length and metric, for example `384d ip`.
fn vectors(info: &CollectionInfo) -> String {
    info.dim.map_or_else(|| "no vectors".to_owned(), |dim| format!("{dim}d {}", info.metric))
}

fn made_by(info: &CollectionInfo) -> String {
    match &info.fingerprint {
        Some(fingerprint) => one_line(&fingerprint.model),
        None if info.foreign => "made by another program, read only".to_owned(),
        None => String::new(),
    }
}

fn show(info: &CollectionInfo, store: &dyn VectorStore, output: &Output) -> std::io::Result<()> {
    output.strong_line(&one_line(&info.name), "")?;
    let row = |name: &str, value: String| output.line(&format!("  {name:<11} {}", one_line(&value)));
    row("store", store.describe())?;
    if info.foreign {
        row("made by", "another program: it is searched and looked at, never written".to_owned())?;
    } else {
        row("documents", info.documents.to_string())?;
    }
    row("rows", info.passages.to_string())?;
    if info.without_vectors > 0 {
        row("bare", format!("{} rows have no vector: keyword search only", info.without_vectors))?;
    }
    row("dimension", info.dim.map_or_else(|| "no vectors".to_owned(), |dim| dim.to_string()))?;
    row("metric", info.metric.to_string())?;
    row("index", info.index.clone())?;
    if let Some(fingerprint) = &info.fingerprint {
        let sha256 = fingerprint.sha256.get(..12).unwrap_or(&fingerprint.sha256);
        row("model", format!("{} (sha256 {sha256}…)", fingerprint.model))?;
    }
    if let Some(size) = info.bytes {
        row("on disk", bytes(size))?;
    }
    for source in &info.sources {
        let globs = source.globs.iter().map(|glob| format!(" --glob {glob:?}")).collect::<String>();
        let location = source::shown_location(&source.location);
        row("made from", format!("{location}{globs} ({})", source.chunker))?;
    }
    Ok(())
}

fn show_rows(rows: &[Chunk], offset: u64, output: &Output) -> std::io::Result<()> {
    for (number, chunk) in (offset..).zip(rows) {
        let title = one_line(chunk.title());
        output.strong_line(&format!("{number:>5}  {}", one_line(&chunk.place())), &format!("  {title}"))?;
        output.faint_line(&format!("       {} · {} tokens", chunk.id, chunk.tokens))?;
        for row in excerpt(&chunk.text, columns() - 7, 2) {
            output.line(&format!("       {row}"))?;
        }
    }
    Ok(())
}

fn collection_json(info: &CollectionInfo, store: &dyn VectorStore) -> Value {
    json!({
        "name": info.name,
        "store": store.describe(),
        "foreign": info.foreign,
        "documents": info.documents,
        "passages": info.passages,
        "without_vectors": info.without_vectors,
        "dim": info.dim,
        "metric": info.metric,
        "index": info.index,
        "model": info.fingerprint.as_ref().map(|f| &f.model),
        "fingerprint": info.fingerprint,
        "bytes": info.bytes,
        "sources": info.sources.iter().map(source_json).collect::<Vec<_>>(),
    })
}

fn source_json(source: &SourceSpec) -> Value {
    json!(SourceSpec { location: source::shown_location(&source.location), ..source.clone() })
}

fn row_json(chunk: &Chunk) -> Value {
    json!({
        "id": chunk.id,
        "document": chunk.document,
        "ordinal": chunk.ordinal,
        "heading": chunk.heading,
        "lines": [chunk.lines.0, chunk.lines.1],
        "tokens": chunk.tokens,
        "text": chunk.text,
    })
}

/// Asks on the terminal. A thread that waits for input can't be stopped; after Ctrl-C the program ends without it.
///
/// # Errors
/// `nobody` as a [`UsageError`] where there is no terminal.
pub async fn confirmed(question: &str, nobody: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(UsageError(nobody.to_owned()).into());
    }
    let mut err = std::io::stderr().lock();
    write!(err, "{} [y/N] ", one_line(question))?;
    err.flush()?;
    drop(err);
    let answer =
        tokio::task::spawn_blocking(|| std::io::stdin().lines().next().transpose()).await??.unwrap_or_default();
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
