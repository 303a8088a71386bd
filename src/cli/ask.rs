use std::io::Read;

use anyhow::Context;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Outcome, UsageError,
    args::AskOptions,
    output::Output,
    search::{say_notices, search_json, settings},
    wire::Wiring,
};
use crate::{
    domain::{CollectionInfo, FinishReason, Usage},
    rag::{self, Ask, AskEvent, EXTRACTIVE_LABEL, Retrieval},
    text::{Sanitiser, one_line},
};

/// Longest question read from standard input, in bytes.
const LONGEST: u64 = 1 << 20;

/// What has come of the question so far.
#[derive(Default)]
struct Answered {
    retrieval: Option<Retrieval>,
    text: String,
    written: Sanitiser,
    finish: Option<(FinishReason, Option<Usage>)>,
}

pub async fn run(
    wiring: &Wiring,
    options: &AskOptions,
    output: &Output,
    cancel: &CancellationToken,
) -> anyhow::Result<Outcome> {
    // A thread that waits for input can't be stopped; the program ends without it.
    let Some(question) = cancel.run_until_cancelled(question(options.question.clone())).await else {
        return Ok(Outcome::Interrupted);
    };
    let question = question?;
    let settings = settings(wiring, &options.retrieval);
    let model = if options.no_llm { None } else { wiring.chat()? };
    let json = options.retrieval.json;
    let templates = wiring.templates();

    let mut answered = Answered::default();
    let mut shown: Option<CollectionInfo> = None;
    let work = async {
        let (collection, embedder) = wiring.ready(&settings, output, cancel).await?;
        let store = wiring.store()?;
        let with_model = embedder.is_some();
        let ask = Ask {
            store: store.as_ref(),
            embedder: embedder.as_ref(),
            model: model.as_ref(),
            templates: &templates,
            collection: shown.insert(collection),
        };
        let (events, mut inbox) = mpsc::channel(64);
        let take = async {
            while let Some(event) = inbox.recv().await {
                take(event, &mut answered, json, with_model, output)?;
            }
            Ok::<_, anyhow::Error>(())
        };
        let (asked, taken) = tokio::join!(rag::ask(ask, &question, &settings, events), take);
        taken?;
        asked.map_err(anyhow::Error::from)
    };
    let result = cancel.run_until_cancelled(work).await;
    if !json && !answered.text.is_empty() && !answered.text.ends_with('\n') {
        output.line("")?;
    }
    let Some(result) = result else {
        output.notice("stopped: the answer is not complete");
        return Ok(Outcome::Interrupted);
    };
    result?;
    let (Some(retrieval), Some(collection)) = (answered.retrieval, shown) else { return Ok(Outcome::Done) };
    let (finish, usage) = answered.finish.unwrap_or((FinishReason::EndedEarly, None));
    let is_empty = model.is_some() && answered.text.trim().is_empty();
    let citations = rag::citations(&answered.text, retrieval.passages.len());
    if json {
        let mut document = search_json(&question, &collection, &retrieval);
        document["answer"] = json!(answered.text);
        document["answerer"] = json!(if model.is_some() { "model" } else { "quotes" });
        document["model"] = model.as_ref().map_or(json!(null), |model| json!(model.model()));
        document["finish_reason"] = json!(finish.name());
        document["usage"] = json!(usage);
        document["citations"] = json!(citations);
        output.json(&document)?;
    } else {
        output.notice("");
        if model.is_none() {
            output.warn(EXTRACTIVE_LABEL);
        }
        for passage in &retrieval.passages {
            output.notice(&format!("[{}] {}", passage.rank, one_line(&passage.chunk.place())));
        }
        for citation in citations.iter().filter(|citation| !citation.passage) {
            output.warn(&format!("note: [{}] names no passage that was given to the model", citation.number));
        }
        match &finish {
            FinishReason::Stop if is_empty => {
                output.warn("note: the model answered nothing; --no-llm quotes the passages")
            }
            FinishReason::Stop => {}
            FinishReason::Length => output.warn("note: cut off at the model's length limit; llm.max_tokens raises it"),
            FinishReason::EndedEarly => {
                output.warn("note: the answer ended early: the server closed it without saying that the model was done")
            }
            FinishReason::Other(reason) => output.warn(&format!("note: the model stopped because of {reason:?}")),
        }
    }
    Ok(if finish == FinishReason::Stop && !is_empty { Outcome::Done } else { Outcome::Partly })
}

fn take(event: AskEvent, answered: &mut Answered, json: bool, with_model: bool, output: &Output) -> anyhow::Result<()> {
    match event {
        AskEvent::Retrieved(retrieval) => {
            say_notices(&retrieval, with_model, output);
            answered.retrieval = Some(retrieval);
        }
        AskEvent::Text(text) => {
            if !json {
                output.piece(&text, &mut answered.written)?;
            }
            answered.text.push_str(&text);
        }
        AskEvent::WasThought => {
            if !json {
                output.line("")?;
                output.warn("note: what is above is what the model thought");
            }
            answered.text.clear();
        }
        AskEvent::Began(_) | AskEvent::Reasoning(_) => {}
        AskEvent::Finished { finish, usage, .. } => answered.finish = Some((finish, usage)),
    }
    Ok(())
}

async fn question(argument: String) -> anyhow::Result<String> {
    if argument != "-" {
        return nonempty(argument);
    }
    let read = || {
        let mut bytes = Vec::new();
        std::io::stdin().lock().take(LONGEST).read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = tokio::task::spawn_blocking(read).await?.context("could not read the question")?;
    let text =
        String::from_utf8(bytes).map_err(|_| UsageError("the question on standard input is not UTF-8".into()))?;
    nonempty(text.trim().to_owned())
}

fn nonempty(question: String) -> anyhow::Result<String> {
    if question.trim().is_empty() {
        return Err(UsageError("the question is empty; hint: askdocs ask 'How do I ...?'".into()).into());
    }
    Ok(question)
}
