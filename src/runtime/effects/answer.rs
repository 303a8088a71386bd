//! Answers to questions, and the model that gives them.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{Effects, Shared, evidence};
use crate::{
    app::Event,
    chat::Probe,
    domain::{Message, SearchSettings, TurnId},
    rag::{self, Ask, AskEvent, RagError},
    text::one_line,
};

/// Most models of a server that are named where the wanted one is not among them.
const LISTED: usize = 5;

impl Effects {
    /// Another model of the configured server answers from now on, or none.
    pub(super) fn use_model(&self, name: Option<String>) {
        let Some(server) = &self.shared.configured else {
            let text = "no provider of models is configured; see [llm] in the configuration (`askdocs config path`)";
            return self.spawn(async move |shared| shared.send(Event::Notice(text.to_owned())).await);
        };
        let model = name.as_deref().map(|name| server.with_model(name));
        // At once: the next question is for it.
        self.shared.chat.send_replace(model.clone());
        self.spawn(async move |shared| {
            let Some(model) = model else {
                let note = Some("passages are quoted from now on; no model is asked".to_owned());
                return shared.send(Event::ChatModel { label: None, note }).await;
            };
            let label = model.label();
            let note = Some(format!("{label} answers from now on"));
            shared.send(Event::ChatModel { label: Some(label.clone()), note }).await;
            let probed = model.probe().await;
            let is_used = shared.chat.borrow().as_ref().is_some_and(|used| Arc::ptr_eq(used, &model));
            if let Ok(Probe::NotListed(there)) = probed
                && is_used
            {
                let some = there.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
                let more = if there.len() > LISTED { ", …" } else { "" };
                let told = format!("{label} answers from now on, though its server lists only {some}{more}");
                shared.send(Event::Notice(one_line(&told))).await;
            }
        });
    }

    pub(super) fn list_models(&self) {
        self.spawn(async move |shared| {
            let Some(server) = &shared.configured else { return };
            // None of a server without a list is known, and any may be there.
            let listed = server.models().await.map(Option::unwrap_or_default);
            shared.send(Event::ChatModels(listed.map_err(|error| error.to_string()))).await;
        });
    }
}

impl Shared {
    /// Answers a question, and tells each thing as it comes.
    pub(super) async fn ask(
        &self,
        turn: TurnId,
        name: String,
        question: &str,
        settings: SearchSettings,
    ) -> Result<(), RagError> {
        let (store, embedder, collection, note) = self.searched(&name, &settings).await?;
        let (sender, mut answer) = mpsc::channel(64);
        let model = self.chat.borrow().clone();
        let asked = Ask {
            store: store.as_ref(),
            embedder: embedder.as_ref(),
            model: model.as_ref(),
            templates: &self.templates,
            collection: &collection,
        };
        let forward = async {
            // Since when the model is waited for.
            let mut since: Option<Instant> = None;
            loop {
                let event = match next(&mut answer, since).await {
                    Ok(Some(event)) => event,
                    Ok(None) => return,
                    Err(seconds) => {
                        self.send(Event::Waited { turn, seconds }).await;
                        continue;
                    }
                };
                since = None;
                let event = match event {
                    AskEvent::Retrieved(found) => {
                        let mut notices = found.notices;
                        notices.extend(note.clone());
                        let (mode, passages, candidates, timings) =
                            (found.mode, found.passages, found.candidates, found.timings);
                        // The same template gives the same prompt that the model is sent.
                        let prompt = model.as_ref().map(|_| self.templates.messages(&passages, question));
                        let prompt: Arc<[Message]> = prompt.unwrap_or_default().into();
                        let counted = evidence::count_tokens(embedder.clone(), Arc::clone(&prompt));
                        self.send(Event::Retrieved { turn, mode, passages, candidates, prompt, timings, notices })
                            .await;
                        since = model.is_some().then(Instant::now);
                        let Some(tokens) = counted.await else { continue };
                        Event::PromptCounted { turn, tokens }
                    }
                    AskEvent::Began(timings) => Event::AnswerBegan { turn, timings },
                    AskEvent::Text(text) => Event::Delta { turn, text },
                    AskEvent::WasThought => Event::WasThought { turn },
                    AskEvent::Reasoning(text) => Event::Reasoning { turn, text },
                    AskEvent::Finished { finish, usage, timings } => Event::Finished { turn, finish, usage, timings },
                };
                self.send(event).await;
            }
        };
        let (asked, ()) = tokio::join!(rag::ask(asked, question, &settings, sender), forward);
        asked
    }
}

/// The next event; where a model is waited for, how many whole seconds that has taken, with each of them.
async fn next(answer: &mut mpsc::Receiver<AskEvent>, since: Option<Instant>) -> Result<Option<AskEvent>, u64> {
    let Some(since) = since else { return Ok(answer.recv().await) };
    let seconds = since.elapsed().as_secs() + 1;
    timeout_at(since + Duration::from_secs(seconds), answer.recv()).await.map_err(|_| seconds)
}
