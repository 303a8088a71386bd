use tokio_util::sync::CancellationToken;

use super::RagError;
use crate::{
    domain::{CollectionInfo, Progress, SourceSpec},
    source,
    store::VectorStore,
};

/// Whether a collection should be indexed before it is used: it is empty and knows what it is made from, or it is the
/// handbook's and does not hold this program's pages with their vectors. `keeps_handbook`: the store is one that the
/// handbook is indexed into by itself.
///
/// # Errors
/// When the store fails.
pub async fn needs_index(store: &dyn VectorStore, collection: &str, keeps_handbook: bool) -> Result<bool, RagError> {
    let info = store.collection(collection).await?;
    if !(keeps_handbook && collection == CollectionInfo::HANDBOOK) {
        return Ok(info.is_some_and(|info| info.passages == 0 && !info.sources.is_empty()));
    }
    if info.is_none_or(|info| info.passages == 0) {
        return Ok(true);
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
