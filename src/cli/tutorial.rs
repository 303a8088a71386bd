use std::{fs, path::Path};

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::{
    Outcome, UsageError,
    args::{Args, AskOptions, Retrieval, SearchOptions, TutorialOptions},
    ask,
    collections::confirmed,
    engine::Engine,
    output::Output,
    progress::shown,
    search,
    wire::Wiring,
};
use crate::{
    domain::{Mode, Stage, Vector},
    embed::Role,
    store::VectorStore,
};

const COLLECTION: &str = "my_rag_collection";
const SEPARATOR: &str = "# ";
const QUESTION: &str = "How is data stored in milvus?";
const TOP: u64 = 3;
/// Passages embedded at once, so that the progress moves.
const BATCH: usize = 16;

/// "Build RAG with Milvus and Lepton AI", step by step: the FAQ cut at every "# ", a collection as `MilvusClient` makes
/// it, the question's three nearest passages with their distances, and the answer where a model is configured.
pub async fn run(
    args: &Args,
    wiring: Wiring,
    options: &TutorialOptions,
    output: &Output,
    cancel: &CancellationToken,
) -> anyhow::Result<Outcome> {
    let Engine::Milvus(milvus) = wiring.engine()? else {
        let message = "the tutorial is about Milvus, and the embedded store is none; hint: --store ./milvus_demo.db";
        return Err(UsageError(message.to_owned()).into());
    };
    // The configured collection is somebody's own, and this one is dropped.
    let name = args.collection.clone().unwrap_or_else(|| COLLECTION.to_owned());
    let texts = passages(&options.folder)?;
    let work = async {
        let progress = &wiring.progress;
        if let Some(held) = shown(output, progress, milvus.collection(&name)).await? {
            let question = format!("Drop {name} from {} ({} rows) to make it anew?", milvus.describe(), held.passages);
            let nobody =
                format!("there is a collection {name:?}, and dropping it needs --yes where nobody can be asked");
            if !options.yes && !confirmed(&question, &nobody).await? {
                output.notice("nothing was changed");
                return Ok(false);
            }
        }
        let rows = shown(output, progress, rows(&wiring, texts, cancel)).await?;
        let (dim, count) = (rows.first().map_or(0, |(_, vector, _)| vector.len()), rows.len());
        shown(output, progress, milvus.tutorial_collection(&name, dim, rows)).await?;
        output.notice(&format!("{name} in {}: {count} rows of {dim} dimensions\n", milvus.describe()));
        Ok::<_, anyhow::Error>(true)
    };
    let Some(made) = cancel.run_until_cancelled(work).await else { return Ok(Outcome::Interrupted) };
    if !made? {
        return Ok(Outcome::Done);
    }

    let wiring = wiring.with_collection(name);
    let retrieval = || Retrieval { k: Some(TOP), mode: Some(Mode::Dense), rerank: false, json: options.json };
    let with_model = wiring.config.llm.is_some();
    // The answer's JSON holds the passages.
    if !(options.json && with_model) {
        let search = SearchOptions { query: QUESTION.to_owned(), retrieval: retrieval() };
        let outcome = search::run(&wiring, &search, output, cancel).await?;
        if outcome != Outcome::Done || !with_model {
            return Ok(outcome);
        }
    }
    let ask = AskOptions { question: QUESTION.to_owned(), retrieval: retrieval(), no_llm: false };
    ask::run(&wiring, &ask, output, cancel).await
}

/// Python's `text.split("# ")` of every `*.md` of a folder, in the order of their names.
fn passages(folder: &Path) -> anyhow::Result<Vec<String>> {
    let shown = folder.display();
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("could not read the folder {shown}"))? {
        let file = entry.with_context(|| format!("could not read the folder {shown}"))?.path();
        if file.extension().is_some_and(|extension| extension == "md") {
            files.push(file);
        }
    }
    files.sort();
    let mut passages = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
        passages.extend(text.split(SEPARATOR).map(str::to_owned));
    }
    if passages.is_empty() {
        return Err(UsageError(format!(
            "there are no .md files in {shown}; hint: the tutorial's are in the folder en/faq of the Milvus documentation"
        ))
        .into());
    }
    Ok(passages)
}

/// The collection's rows: id, vector, text.
async fn rows(
    wiring: &Wiring,
    texts: Vec<String>,
    cancel: &CancellationToken,
) -> anyhow::Result<Vec<(i64, Vector, String)>> {
    let embedder = wiring.embedder(true, cancel).await?;
    let progress = wiring.progress.clone();
    let embed = move || {
        progress.set_stage(Stage::Indexing);
        let size = texts.iter().map(String::len).sum::<usize>() as u64;
        progress.add_documents_total(0, size);
        progress.document_read(size, texts.len() as u64);
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            let batch: Vec<&str> = batch.iter().map(String::as_str).collect();
            vectors.extend(embedder.embed(Role::Passage, &batch)?);
            progress.add_chunks_done(batch.len() as u64);
        }
        let rows = (0..).zip(vectors).zip(texts).map(|((id, vector), text)| (id, vector, text));
        Ok::<_, anyhow::Error>(rows.collect())
    };
    tokio::task::spawn_blocking(embed).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_are_pythons_split_in_the_order_of_names() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("b.md", "# B\n\n## C\nx"), ("a.md", "A"), ("no.txt", "# no")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        assert_eq!(passages(folder.path()).unwrap(), ["A", "", "B\n\n#", "C\nx"]);
    }
}
