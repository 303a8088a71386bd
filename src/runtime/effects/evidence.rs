//! What the evidence view asks for.

use std::{ops::Range, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{Effects, MODEL_PATIENCE, Model, Shared, contained};
use crate::{
    app::{Event, Found, RequestId},
    domain::{ChunkId, Message, Projection, SearchSettings},
    embed::Embedder,
    rag::{self, RagError},
    runtime::export,
};

/// How long a candidate is selected before its sentences are looked at: whoever runs through the table waits for none.
const SETTLED: Duration = Duration::from_millis(60);

/// Ends what is under way, each when the next of its kind begins.
#[derive(Default)]
pub struct Looking {
    /// The search with other settings.
    search: CancellationToken,
    map: CancellationToken,
    sentence: CancellationToken,
}

impl Effects {
    pub(super) fn retrieve_again(
        &mut self,
        request: RequestId,
        collection: String,
        question: String,
        settings: SearchSettings,
    ) {
        self.looking.search.cancel();
        self.looking.search = self.shared.cancel.child_token();
        self.answer(&self.looking.search, async move |shared| {
            let found = contained(shared.retrieve(collection, &question, &settings)).await;
            Event::RetrievedAgain { request, result: found.map(Arc::new).map_err(|error| error.to_string()) }
        });
    }

    pub(super) fn project(&mut self, request: RequestId, collection: String, question: String, ids: Vec<ChunkId>) {
        self.looking.map.cancel();
        self.looking.map = self.shared.cancel.child_token();
        self.answer(&self.looking.map, async move |shared| {
            let made = contained(shared.project(&collection, &question, &ids)).await;
            Event::Projected { request, result: made.map(Arc::new).map_err(|error| error.to_string()) }
        });
    }

    pub(super) fn find_sentence(
        &mut self,
        request: RequestId,
        collection: String,
        id: ChunkId,
        question: String,
        by_meaning: bool,
    ) {
        self.looking.sentence.cancel();
        self.looking.sentence = self.shared.cancel.child_token();
        self.answer(&self.looking.sentence, async move |shared| {
            tokio::time::sleep(SETTLED).await;
            let found = contained(shared.best_sentence(&collection, id, &question, by_meaning)).await;
            let sentence = found.unwrap_or_else(|error| {
                tracing::warn!("the best sentence of a passage could not be found: {error}");
                None
            });
            Event::SentenceFound { request, sentence }
        });
    }

    pub(super) fn export(&self, json: String) {
        self.answer(&self.shared.cancel, async move |shared| {
            let folder = shared.history_file.with_file_name("exports");
            let written = tokio::task::spawn_blocking(move || export::write(&folder, &json)).await;
            let failed = |error| Event::Notice(format!("the turn could not be written: {error}"));
            match written {
                Ok(Ok(file)) => Event::Done(format!("written to {}", file.display())),
                Ok(Err(error)) => failed(error.to_string()),
                Err(error) => failed(error.to_string()),
            }
        });
    }
}

impl Shared {
    async fn retrieve(&self, collection: String, question: &str, settings: &SearchSettings) -> Result<Found, RagError> {
        let (store, embedder, info, note) = self.searched(&collection, settings).await?;
        let found = rag::retrieve(store.as_ref(), embedder.as_ref(), &info, question, settings).await?;
        let mut notices = found.notices;
        notices.extend(note);
        let (mode, passages, candidates, timings) = (found.mode, found.passages, found.candidates, found.timings);
        Ok(Found { collection, mode, passages, candidates, timings, notices })
    }

    /// A map needs the model, so it waits for one that is on its way.
    async fn project(&self, name: &str, question: &str, ids: &[ChunkId]) -> Result<Projection, RagError> {
        let store = self.opened().await?.store;
        let embedder = match self.model(None).await {
            Model::Ready(embedder) => Some(embedder),
            Model::Missing | Model::Pending => None,
        };
        let info = store.collection(name).await?.ok_or_else(|| RagError::Empty { collection: name.to_owned() })?;
        let embedder = self.other_model(embedder.as_ref(), &info).await.or(embedder);
        rag::project(store.as_ref(), embedder.as_ref(), &info, question, ids).await
    }

    async fn best_sentence(
        &self,
        collection: &str,
        id: ChunkId,
        question: &str,
        by_meaning: bool,
    ) -> Result<Option<Range<usize>>, RagError> {
        let store = self.opened().await?.store;
        let embedder = match if by_meaning { self.model(Some(MODEL_PATIENCE)).await } else { Model::Missing } {
            Model::Ready(embedder) => Some(embedder),
            Model::Missing | Model::Pending => None,
        };
        match store.get(collection, &[id]).await?.first() {
            Some(chunk) => rag::best_sentence(embedder.as_ref(), chunk, question).await,
            None => Ok(None),
        }
    }
}

/// Lengths of a prompt's messages in the embedding model's tokens; `None` where there is no model, or no prompt.
pub async fn count_tokens(embedder: Option<Arc<dyn Embedder>>, prompt: Arc<[Message]>) -> Option<Vec<usize>> {
    let embedder = embedder.filter(|_| !prompt.is_empty())?;
    let count = move || prompt.iter().map(|message| embedder.count_tokens(&message.content)).collect();
    tokio::task::spawn_blocking(count).await.ok()
}
