use tokio_util::sync::CancellationToken;

use super::RagError;
use crate::{
    domain::{CollectionInfo, Progress, SourceSpec},
    source,
    store::VectorStore,
};

/// Whether a collection should be indexed before it is used: it is empty, or it is the handbook's and does not hold
/// this program's pages with their vectors.
///
/// # Errors
/// When the store fails.
pub async fn needs_index(store: &dyn VectorStore, collection: &str) -> Result<bool, RagError> {
    let empty = store.collection(collection).await?.is_none_or(|info| info.passages == 0);
    if empty || collection != CollectionInfo::HANDBOOK {
        return Ok(empty);
    }
    let held = store.documents(collection).await?;
    let spec = SourceSpec::handbook();
    let pages = source::scan(&spec, &Progress::default(), &CancellationToken::new()).await?.entries;
    let is_held = |page: &source::Entry| {
        let content = page.read(&spec.chunker).map(|document| document.content);
        held.iter().any(|record| {
            record.embedded
                && record.name == page.name
                && content.as_ref().is_ok_and(|content| *content == record.content)
        })
    };
    // Sources of its own make it a person's collection that happens to have this name.
    let is_handbook = held.iter().all(|record| record.source == spec.key());
    Ok(is_handbook && (pages.len() != held.len() || !pages.iter().all(is_held)))
}
