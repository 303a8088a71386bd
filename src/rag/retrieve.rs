use std::sync::Arc;

use tokio::time::Instant;

use super::{
    RagError, fuse,
    rerank::{Ranked, rerank},
};
use crate::{
    domain::{
        Candidate, Chunk, ChunkId, CollectionInfo, Hit, Metric, Mode, Passage, Scores, SearchSettings, StageTimings,
    },
    embed::{Embedder, Role},
    store::{StoreError, VectorStore},
};

/// The part of a collection that may lack vectors before hybrid search uses keywords alone.
const MAX_WITHOUT_VECTORS: f64 = 0.1;

/// Most candidates whose chunks are read, so that they can be named.
const MOST_READ: usize = SearchSettings::MOST_K;

/// What a search found.
#[derive(Clone, Debug)]
pub struct Retrieval {
    /// The top-k, best first.
    pub passages: Vec<Passage>,
    /// Everything that the retrievers found, in the final order.
    pub candidates: Arc<[Candidate]>,
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
    let model = embedder;
    let embedder = embedder.filter(|_| mode.uses_dense());
    let limit = settings.candidates.max(settings.k);
    let name = collection.name.as_str();

    let dense_leg = async {
        let Some(embedder) = embedder else { return Ok((Vec::new(), None, None)) };
        let before = Instant::now();
        let vector = embed_query(Arc::clone(embedder), question.to_owned()).await?;
        let embedded = Instant::now();
        let hits = store.search_dense(name, Some(embedder.fingerprint()), &vector, limit).await?;
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
    let ranking = match mode {
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
    let read = ranking.len().min(MOST_READ.max(settings.k));
    let ids: Vec<ChunkId> = ranking[..read].iter().map(|(id, _)| *id).collect();
    let mut chunks = store.get(name, &ids).await?.into_iter().peekable();
    // A document may have been replaced since the search: what is gone is left out, and ranks stay without a gap.
    let mut ranked: Vec<Ranked> = Vec::with_capacity(ranking.len());
    for (at, (id, scores)) in ranking.into_iter().enumerate() {
        let chunk = chunks.next_if(|chunk| chunk.id == id);
        if chunk.is_some() || at >= read {
            ranked.push((id, chunk, scores));
        }
    }
    match model {
        _ if settings.rerank == 0 => {}
        Some(model) => {
            let before = Instant::now();
            rerank(model, question, &mut ranked, settings.rerank.min(read)).await?;
            timings.rerank = Some(before.elapsed());
        }
        None => notices.push("no embedding model is loaded: the first ones were not ordered anew".to_owned()),
    }
    let (mut passages, mut candidates) = (Vec::new(), Vec::<Candidate>::new());
    for ((id, chunk, scores), rank) in ranked.into_iter().zip(1..) {
        let place = chunk.as_ref().map(Chunk::place).unwrap_or_default();
        let title = chunk.as_ref().map(|chunk| chunk.title().to_owned()).unwrap_or_default();
        candidates.push(Candidate { rank, id, place, title, scores });
        passages.extend(chunk.filter(|_| rank as usize <= settings.k).map(|chunk| Passage { rank, chunk, scores }));
    }
    timings.retrieval = Some(start.elapsed());
    let candidates = candidates.into();
    Ok(Retrieval { passages, candidates, mode, metric, timings, notices })
}

fn single(hits: &[Hit], scores: impl Fn(&Hit, u32) -> Scores) -> Vec<(ChunkId, Scores)> {
    hits.iter().zip(1..).map(|(hit, rank)| (hit.id, scores(hit, rank))).collect()
}

/// The model that dense search in this collection uses.
///
/// # Errors
/// When there is none, when the collection has no vectors, or those of another model.
pub(super) fn dense_or_refuse<'a>(
    embedder: Option<&'a Arc<dyn Embedder>>,
    collection: &CollectionInfo,
) -> Result<&'a Arc<dyn Embedder>, RagError> {
    let mode = effective_mode(Mode::Dense, embedder, collection, &mut Vec::new())?;
    let none = || RagError::NoVectors { collection: collection.name.clone() };
    embedder.filter(|_| mode.uses_dense()).ok_or_else(none)
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
            let (bare, all) = (collection.without_vectors, collection.passages);
            if bare > 0 {
                notices.push(format!("{bare} of {all} passages have no vectors yet; re-indexing embeds them"));
            }
            // Where vectors are missing by the dozen, whatever has one would outrank whatever fits.
            if wanted == Mode::Dense || bare as f64 <= all as f64 * MAX_WITHOUT_VECTORS {
                return Ok(wanted);
            }
            "keyword search only until then"
        }
        // Another program's collection does not say what made its vectors; all that can be checked is their length.
        (None, Some(embedder)) if collection.foreign => {
            let (model, given) = (&embedder.fingerprint().model, embedder.fingerprint().dim);
            match collection.dim {
                Some(held) if held != given && wanted == Mode::Dense => {
                    let collection = collection.name.clone();
                    return Err(RagError::OtherDimension { collection, held, model: model.clone(), given });
                }
                Some(held) if held != given => "its vectors have another length than the model's: keyword search only",
                Some(_) => {
                    notices
                        .push(format!("it does not say which model made its vectors; searched as if it was {model}"));
                    return Ok(wanted);
                }
                None => "it has no vectors that this program can search: keyword search only",
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Fingerprint, Pooling, Vector},
        embed::EmbedError,
    };

    struct Fixed(Fingerprint);

    impl Embedder for Fixed {
        fn fingerprint(&self) -> &Fingerprint {
            &self.0
        }

        fn count_tokens(&self, _: &str) -> usize {
            0
        }

        fn embed(&self, _: Role, texts: &[&str]) -> Result<Vec<Vector>, EmbedError> {
            Ok(vec![vec![1.0]; texts.len()])
        }
    }

    fn fingerprint(sha256: &str) -> Fingerprint {
        Fingerprint {
            model: "m".into(),
            sha256: sha256.into(),
            dim: 1,
            metric: Metric::Ip,
            pooling: Pooling::Mean,
            normalised: true,
            max_tokens: 8,
            query_prefix: String::new(),
            passage_prefix: String::new(),
        }
    }

    #[test]
    fn the_mode_is_what_the_model_and_the_vectors_allow() {
        let embedder = |sha256| Arc::new(Fixed(fingerprint(sha256))) as Arc<dyn Embedder>;
        let collection = |held: Option<&str>, without_vectors| CollectionInfo {
            documents: 10,
            passages: 100,
            without_vectors,
            fingerprint: held.map(fingerprint),
            ..CollectionInfo::empty("c")
        };
        let mode = |wanted, embedder: Option<&Arc<dyn Embedder>>, collection: &CollectionInfo| {
            let mut notices = Vec::new();
            effective_mode(wanted, embedder, collection, &mut notices).map(|mode| (mode, notices.len()))
        };
        let (own, other) = (embedder("a"), embedder("b"));
        let whole = collection(Some("a"), 0);
        assert!(matches!(mode(Mode::Hybrid, Some(&own), &whole), Ok((Mode::Hybrid, 0))));
        assert!(matches!(mode(Mode::Hybrid, None, &whole), Ok((Mode::Keyword, 1))));
        assert!(matches!(mode(Mode::Keyword, Some(&other), &whole), Ok((Mode::Keyword, 0))));
        assert!(matches!(mode(Mode::Dense, None, &whole), Err(RagError::NoModel)));
        for wanted in [Mode::Dense, Mode::Hybrid] {
            let refused = mode(wanted, Some(&other), &whole);
            assert!(matches!(refused, Err(RagError::Store(StoreError::WrongModel { .. }))));
        }
        assert!(matches!(mode(Mode::Hybrid, Some(&own), &collection(None, 100)), Ok((Mode::Keyword, 1))));
        assert!(matches!(mode(Mode::Dense, Some(&own), &collection(None, 100)), Err(RagError::NoVectors { .. })));
        // Few missing vectors are worth a word, many would turn the ranking upside down.
        assert!(matches!(mode(Mode::Hybrid, Some(&own), &collection(Some("a"), 5)), Ok((Mode::Hybrid, 1))));
        assert!(matches!(mode(Mode::Hybrid, Some(&own), &collection(Some("a"), 50)), Ok((Mode::Keyword, 2))));
    }
}
