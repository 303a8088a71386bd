use std::sync::Arc;

use futures_util::StreamExt;
use tokio::{sync::mpsc, time::Instant};

use super::{RagError, Retrieval, Templates, extractive, retrieve};
use crate::{
    chat::{ChatModel, Delta},
    domain::{CollectionInfo, FinishReason, SearchSettings, StageTimings, Usage},
    embed::Embedder,
    store::VectorStore,
};

/// What comes of a question, in this order: one `Retrieved`, one `Began` where a model answers, any number of `Text` and
/// `Reasoning`, one `Finished`.
#[derive(Clone, Debug)]
pub enum AskEvent {
    Retrieved(Retrieval),
    /// The first piece of the answer is there; how long everything up to it took.
    Began(StageTimings),
    Text(String),
    Reasoning(String),
    /// All text so far was thought.
    WasThought,
    Finished {
        finish: FinishReason,
        usage: Option<Usage>,
        timings: StageTimings,
    },
}

/// Everything a question is answered with.
pub struct Ask<'a> {
    pub store: &'a dyn VectorStore,
    pub embedder: Option<&'a Arc<dyn Embedder>>,
    /// `None`: sentences of the passages are quoted.
    pub model: Option<&'a Arc<dyn ChatModel>>,
    pub templates: &'a Templates,
    pub collection: &'a CollectionInfo,
}

/// Retrieves, then lets the model answer, or quotes sentences where there is no model. Stops when the receiver is
/// dropped; dropping the future closes the connection to the model.
///
/// # Errors
/// When retrieval or the model fails; what was sent before stays valid.
pub async fn ask(
    ask: Ask<'_>,
    question: &str,
    settings: &SearchSettings,
    events: mpsc::Sender<AskEvent>,
) -> Result<(), RagError> {
    let retrieval = retrieve(ask.store, ask.embedder, ask.collection, question, settings).await?;
    let mut timings = retrieval.timings;
    let passages = retrieval.passages.clone();
    let uses_vectors = retrieval.mode.uses_dense();
    if events.send(AskEvent::Retrieved(retrieval)).await.is_err() {
        return Ok(());
    }
    let before = Instant::now();
    let mut usage = None;
    let Some(model) = ask.model else {
        let embedder = ask.embedder.filter(|_| uses_vectors);
        let text = extractive::answer(embedder, &passages, question).await?;
        timings.first_token = Some(before.elapsed());
        let sent = events.send(AskEvent::Text(text)).await;
        if sent.is_ok() {
            let _ = events.send(AskEvent::Finished { finish: FinishReason::Stop, usage, timings }).await;
        }
        return Ok(());
    };
    let messages = ask.templates.messages(&passages, question);
    timings.prompt = Some(before.elapsed());

    let sent = Instant::now();
    let stream = model.stream(&messages).await?;
    let mut first: Option<Instant> = None;
    let mut finish = FinishReason::EndedEarly;
    // Whatever has come by the time we look is taken as one piece: a fast model does not flood the screen.
    let mut pieces = stream.ready_chunks(256);
    while let Some(deltas) = pieces.next().await {
        let (mut text, mut reasoning) = (String::new(), String::new());
        let (mut was_thought, mut failed) = (false, None);
        for delta in deltas {
            match delta {
                Ok(Delta::Text(piece)) => text.push_str(&piece),
                Ok(Delta::WasThought) => {
                    was_thought = true;
                    reasoning.push_str(&std::mem::take(&mut text));
                }
                Ok(Delta::Reasoning(piece)) => reasoning.push_str(&piece),
                Ok(Delta::Usage(counted)) => usage = Some(counted),
                Ok(Delta::Finished(reason)) => finish = reason,
                Err(error) => failed = Some(error),
            }
        }
        let begins = !(text.is_empty() && reasoning.is_empty()) && first.is_none();
        if begins {
            first = Some(Instant::now());
            timings.first_token = Some(sent.elapsed());
        }
        for event in [
            begins.then_some(AskEvent::Began(timings)),
            was_thought.then_some(AskEvent::WasThought),
            (!reasoning.is_empty()).then_some(AskEvent::Reasoning(reasoning)),
            (!text.is_empty()).then_some(AskEvent::Text(text)),
        ]
        .into_iter()
        .flatten()
        {
            if events.send(event).await.is_err() {
                return Ok(());
            }
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
    }
    timings.generation = first.map(|first| first.elapsed());
    let _ = events.send(AskEvent::Finished { finish, usage, timings }).await;
    Ok(())
}
