//! What the collections view asks for.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use super::{Effects, Shared, contained, paths};
use crate::{
    app::{Entry, Event, RequestId},
    domain::Chunk,
    rag::RagError,
};

impl Effects {
    pub(super) fn list_collections(&self, request: RequestId) {
        self.answer(&self.shared.cancel, async move |shared| {
            let result = contained(shared.entries()).await.map_err(|error| error.to_string());
            Event::CollectionsListed { request, result }
        });
    }

    pub(super) fn browse(&mut self, request: RequestId, collection: String, offset: u64, limit: usize) {
        self.browsing.cancel();
        self.browsing = self.shared.cancel.child_token();
        self.answer(&self.browsing, async move |shared| {
            let result = contained(shared.rows(&collection, offset, limit)).await.map_err(|error| error.to_string());
            Event::Rows { request, result }
        });
    }

    /// Goes on also when the application is told to end: a collection is dropped whole.
    pub(super) fn drop_collection(&self, name: String) {
        self.spawn(async move |shared| {
            let result = contained(shared.drop_collection(&name)).await.map_err(|error| error.to_string());
            shared.send(Event::CollectionDropped { name, result }).await;
        });
    }

    pub(super) fn complete_path(&self, request: RequestId, path: String) {
        self.answer(&self.shared.cancel, async move |_| {
            let typed = path.clone();
            let completed = tokio::task::spawn_blocking(move || paths::complete(&typed)).await;
            let (path, candidates) = completed.unwrap_or((path, Vec::new()));
            Event::PathCompleted { request, path, candidates }
        });
    }

    pub(super) fn check_source(&self, request: RequestId, location: String) {
        self.answer(&self.shared.cancel, async move |shared| {
            let chunker = shared.chunker.clone();
            let checked = tokio::task::spawn_blocking(move || paths::check(&location, chunker)).await;
            let checked = checked.unwrap_or_else(|error| Err(RagError::Worker(error.to_string())));
            Event::SourceChecked { request, result: checked.map_err(|error| error.to_string()) }
        });
    }

    /// Sends what the work comes to, unless it is cancelled before.
    pub(super) fn answer<F>(&self, cancel: &CancellationToken, work: impl FnOnce(Arc<Shared>) -> F)
    where
        F: Future<Output = Event> + Send + 'static,
    {
        let cancel = cancel.clone();
        let work = work(Arc::clone(&self.shared)).boxed();
        self.spawn(async move |shared| {
            if let Some(event) = cancel.run_until_cancelled(work).await {
                shared.send(event).await;
            }
        });
    }
}

impl Shared {
    /// Every collection by name, also those that can't be read.
    async fn entries(&self) -> Result<Vec<Entry>, RagError> {
        let store = self.opened().await?.store;
        let mut entries: Vec<Entry> =
            store.collections().await?.into_iter().map(|info| Entry::Readable(Arc::new(info))).collect();
        let unreadable = store.unreadable().await?.into_iter();
        entries.extend(unreadable.map(|(name, error)| Entry::Unreadable { name, reason: error.to_string() }));
        entries.sort_by(|a, b| a.name().cmp(b.name()));
        // What could be read at one time and not at another, since someone else is at it, stands once.
        entries.dedup_by(|later, kept| later.name() == kept.name());
        Ok(entries)
    }

    async fn rows(&self, collection: &str, offset: u64, limit: usize) -> Result<Vec<Chunk>, RagError> {
        Ok(self.opened().await?.store.browse(collection, offset, limit).await?)
    }

    async fn drop_collection(&self, name: &str) -> Result<(), RagError> {
        // Whether it was there does not matter: it is gone.
        self.opened().await?.store.drop_collection(name).await?;
        Ok(())
    }
}
