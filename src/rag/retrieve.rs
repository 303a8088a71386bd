use std::sync::Arc;

use tokio::time::Instant;

use super::{RagError, fuse};
use crate::{
    domain::{ChunkId, CollectionInfo, Hit, Metric, Mode, Passage, Scores, SearchSettings, StageTimings},
    embed::{Embedder, Role},
    store::{StoreError, VectorStore},
};

/// What a search found.
#[derive(Clone, Debug)]
pub struct Retrieval {
    /// The top-k, best first.
    pub passages: Vec<Passage>,
    /// The mode that was really used: hybrid falls back to keyword where there are no vectors or no model.
    pub mode: Mode,
    pub metric: Metric,
    pub timings: StageTimings,
    /// What the person should know, for example why a retriever did not take part.
    pub notices: Vec<String>,
}

/// Embeds the question, searches, fuses and fetches the top-k.
///
/// # Errors
/// When the collection holds vectors of another model, when dense search is asked for and impossible, or when the
/// store or the model fails.
pub async fn retrieve(
    store: &dyn VectorStore,
    embedder: Option<&Arc<dyn Embedder>>,
    collection: &CollectionInfo,
    question: &str,
    settings: &SearchSettings,
) -> Result<Retrieval, RagError> {
    let start = Instant::now();
    let mut timings = StageTimings::default();
    let mut notices = Vec::new();
    let mode = effective_mode(settings.mode, embedder, collection, &mut notices)?;
    let embedder = embedder.filter(|_| mode.uses_dense());
    let limit = settings.candidates.max(settings.k);
    let name = collection.name.as_str();

    let dense_leg = async {
        let Some(embedder) = embedder else { return Ok((Vec::new(), None, None)) };
        let before = Instant::now();
        let vector = embed_query(Arc::clone(embedder), question.to_owned()).await?;
        let embedded = Instant::now();
        let hits = store.search_dense(name, &vector, limit).await?;
        Ok::<_, RagError>((hits, Some(embedded - before), Some(embedded.elapsed())))
    };
    let keyword_leg = async {
        if !mode.uses_keyword() {
            return Ok((Vec::new(), None));
        }
        let before = Instant::now();
        let hits = store.search_keyword(name, question, limit).await?;
        Ok::<_, RagError>((hits, Some(before.elapsed())))
    };
    let ((dense, embed_time, dense_time), (keyword, keyword_time)) = tokio::try_join!(dense_leg, keyword_leg)?;
    (timings.embed, timings.dense, timings.keyword) = (embed_time, dense_time, keyword_time);

    let before = Instant::now();
    let metric = collection.metric;
    let mut ranking = match mode {
        Mode::Hybrid => fuse(&dense, &keyword, metric, settings.fusion),
        Mode::Dense => single(&dense, |hit, rank| Scores {
            dense: Some(hit.score),
            dense_rank: Some(rank),
            ..Scores::none(metric)
        }),
        Mode::Keyword => single(&keyword, |hit, rank| Scores {
            keyword: Some(hit.score),
            keyword_rank: Some(rank),
            ..Scores::none(metric)
        }),
    };
    timings.fuse = Some(before.elapsed());
    ranking.truncate(settings.k);

    let ids: Vec<ChunkId> = ranking.iter().map(|(id, _)| *id).collect();
    let mut chunks = store.get(name, &ids).await?.into_iter().peekable();
    // A document may have been replaced since the search: what is gone is left out, and ranks stay without a gap.
    let found = ranking.into_iter().filter_map(|(id, scores)| {
        let chunk = chunks.next_if(|chunk| chunk.id == id)?;
        Some((chunk, scores))
    });
    let passages = found.zip(1..).map(|((chunk, scores), rank)| Passage { rank, chunk, scores }).collect();
    timings.retrieval = Some(start.elapsed());
    Ok(Retrieval { passages, mode, metric, timings, notices })
}

fn single(hits: &[Hit], scores: impl Fn(&Hit, u32) -> Scores) -> Vec<(ChunkId, Scores)> {
    hits.iter().zip(1..).map(|(hit, rank)| (hit.id, scores(hit, rank))).collect()
}

/// The mode that can be had with this model and collection.
fn effective_mode(
    wanted: Mode,
    embedder: Option<&Arc<dyn Embedder>>,
    collection: &CollectionInfo,
    notices: &mut Vec<String>,
) -> Result<Mode, RagError> {
    if wanted == Mode::Keyword {
        return Ok(wanted);
    }
    let missing = match (&collection.fingerprint, embedder) {
        (Some(held), Some(embedder)) => {
            held.check(embedder.fingerprint())
                .map_err(|mismatch| StoreError::WrongModel { collection: collection.name.clone(), mismatch })?;
            return Ok(wanted);
        }
        (_, None) if wanted == Mode::Dense => return Err(RagError::NoModel),
        (None, Some(_)) if wanted == Mode::Dense => {
            return Err(RagError::NoVectors { collection: collection.name.clone() });
        }
        (_, None) => "no embedding model is loaded: keyword search only",
        (None, Some(_)) => "this collection has no vectors yet: keyword search only; re-indexing embeds it",
    };
    notices.push(missing.to_owned());
    Ok(Mode::Keyword)
}

async fn embed_query(embedder: Arc<dyn Embedder>, question: String) -> Result<Vec<f32>, RagError> {
    let vectors = tokio::task::spawn_blocking(move || embedder.embed(Role::Query, &[&question]))
        .await
        .map_err(|error| RagError::Worker(error.to_string()))??;
    vectors.into_iter().next().ok_or_else(|| RagError::Worker("the embedding model gave no vector".to_owned()))
}
