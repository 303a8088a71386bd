use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    Outcome, UsageError,
    args::{Retrieval as Options, SearchOptions},
    output::{Output, columns, excerpt},
    wire::Wiring,
};
use crate::{
    domain::{CollectionInfo, Passage, SearchSettings, StageTimings},
    rag::{self, Retrieval},
    text::one_line,
};

pub async fn run(
    wiring: &Wiring,
    options: &SearchOptions,
    output: &Output,
    cancel: &CancellationToken,
) -> anyhow::Result<Outcome> {
    if options.query.trim().is_empty() {
        return Err(UsageError("the query is empty; hint: askdocs search 'some words'".into()).into());
    }
    let settings = settings(wiring, &options.retrieval);
    let search = async {
        let (collection, embedder) = wiring.ready(&settings, output, cancel).await?;
        let store = wiring.store()?;
        let found = rag::retrieve(store.as_ref(), embedder.as_ref(), &collection, &options.query, &settings).await?;
        say_notices(&found, embedder.is_some(), output);
        Ok::<_, anyhow::Error>((collection, found))
    };
    let Some(found) = cancel.run_until_cancelled(search).await else { return Ok(Outcome::Interrupted) };
    let (collection, found) = found?;
    if options.retrieval.json {
        output.json(&search_json(&options.query, &collection, &found))?;
        return Ok(Outcome::Done);
    }
    if found.passages.is_empty() {
        output.notice(&format!("nothing found in collection {:?}", collection.name));
    }
    for passage in &found.passages {
        print_passage(output, passage)?;
    }
    Ok(Outcome::Done)
}

/// What is worth knowing about a search. That there is no embedding model was said with its reason before.
pub fn say_notices(found: &Retrieval, with_model: bool, output: &Output) {
    for notice in found.notices.iter().filter(|_| with_model) {
        output.notice(&format!("note: {notice}"));
    }
}

/// The configured search with what the command line says otherwise.
pub fn settings(wiring: &Wiring, options: &Options) -> SearchSettings {
    let configured = wiring.config.search;
    SearchSettings {
        k: options.k.and_then(|k| usize::try_from(k).ok()).unwrap_or(configured.k),
        mode: options.mode.unwrap_or(configured.mode),
        rerank: match configured.rerank {
            0 if options.rerank => SearchSettings::RERANKED,
            n => n,
        },
        ..configured
    }
}

pub fn print_passage(output: &Output, passage: &Passage) -> std::io::Result<()> {
    let columns = columns();
    let chunk = &passage.chunk;
    output.strong_line(
        &format!("{:>2}  {}", passage.rank, one_line(&chunk.place())),
        &format!("  {}", one_line(chunk.title())),
    )?;
    output.faint_line(&format!("    {}", describe_scores(passage)))?;
    for row in excerpt(&chunk.text, columns - 4, 3) {
        output.line(&format!("    {row}"))?;
    }
    output.line("")
}

/// Every retriever's own score with its rank, for example `ip 0.649 #1   bm25 7.21 #3   fused 1.000`.
fn describe_scores(passage: &Passage) -> String {
    let scores = &passage.scores;
    let rank = |rank: Option<u32>| rank.map(|rank| format!(" #{rank}")).unwrap_or_default();
    let dense = scores.dense.map(|score| format!("{} {score:.3}{}", scores.metric, rank(scores.dense_rank)));
    let keyword = scores.keyword.map(|score| format!("bm25 {score:.2}{}", rank(scores.keyword_rank)));
    // Where it decides, its rank is the passage's own.
    let fused_rank = rank(scores.fused_rank.filter(|_| scores.rerank.is_some()));
    let fused = scores.fused.map(|score| format!("fused {score:.3}{fused_rank}"));
    let reranked = scores.rerank.map(|score| format!("rerank {score:.3}"));
    [dense, keyword, fused, reranked].into_iter().flatten().collect::<Vec<_>>().join("   ")
}

pub fn search_json(query: &str, collection: &CollectionInfo, found: &Retrieval) -> Value {
    json!({
        "query": query,
        "collection": collection.name,
        "mode": found.mode,
        "metric": found.metric,
        "hits": found.passages.iter().map(hit_json).collect::<Vec<_>>(),
        "timings_ms": timings_json(&found.timings),
    })
}

fn hit_json(passage: &Passage) -> Value {
    let (chunk, scores) = (&passage.chunk, &passage.scores);
    json!({
        "rank": passage.rank,
        "id": chunk.id,
        "document": chunk.document,
        "heading": chunk.heading,
        "lines": [chunk.lines.0, chunk.lines.1],
        "text": chunk.text,
        "scores": {
            "dense": scores.dense,
            "dense_rank": scores.dense_rank,
            "keyword": scores.keyword,
            "keyword_rank": scores.keyword_rank,
            "fused": scores.fused,
            "fused_rank": scores.fused_rank,
            "rerank": scores.rerank,
        },
    })
}

fn timings_json(timings: &StageTimings) -> Value {
    let ms = |time: Option<std::time::Duration>| time.map(|time| (time.as_secs_f64() * 1e6).round() / 1e3);
    json!({
        "embed": ms(timings.embed),
        "dense": ms(timings.dense),
        "keyword": ms(timings.keyword),
        "fuse": ms(timings.fuse),
        "rerank": ms(timings.rerank),
        "total": ms(timings.retrieval),
    })
}
