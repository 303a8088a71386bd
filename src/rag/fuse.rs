use std::collections::BTreeMap;

use crate::domain::{ChunkId, Fusion, Hit, Metric, Scores};

/// Joins the two retrievers' candidates to one ranking, best first, ties by id. Every chunk keeps each retriever's own
/// score and rank. Either list may be empty; each has to be ordered best first.
pub fn fuse(dense: &[Hit], keyword: &[Hit], metric: Metric, fusion: Fusion) -> Vec<(ChunkId, Scores)> {
    let mut all: BTreeMap<ChunkId, Scores> = BTreeMap::new();
    let mut fused: BTreeMap<ChunkId, f32> = BTreeMap::new();
    let (dense_parts, keyword_parts) = match fusion {
        Fusion::MinMax { dense_weight } => {
            let sign = if metric == Metric::L2 { -1.0 } else { 1.0 };
            (scaled(dense, sign, dense_weight), scaled(keyword, 1.0, 1.0 - dense_weight))
        }
        Fusion::Rrf { k } => (reciprocal_ranks(dense.len(), k), reciprocal_ranks(keyword.len(), k)),
    };
    for ((hit, rank), part) in dense.iter().zip(1..).zip(dense_parts) {
        let scores = all.entry(hit.id).or_insert_with(|| Scores::none(metric));
        (scores.dense, scores.dense_rank) = (Some(hit.score), Some(rank));
        *fused.entry(hit.id).or_default() += part;
    }
    for ((hit, rank), part) in keyword.iter().zip(1..).zip(keyword_parts) {
        let scores = all.entry(hit.id).or_insert_with(|| Scores::none(metric));
        (scores.keyword, scores.keyword_rank) = (Some(hit.score), Some(rank));
        *fused.entry(hit.id).or_default() += part;
    }
    let mut ranking: Vec<(ChunkId, Scores)> = all
        .into_iter()
        .map(|(id, mut scores)| {
            scores.fused = fused.get(&id).copied();
            (id, scores)
        })
        .collect();
    // The map gave them by id and the sort is stable: ties stay by id.
    ranking.sort_by(|a, b| b.1.fused.unwrap_or(0.0).total_cmp(&a.1.fused.unwrap_or(0.0)));
    ranking.iter_mut().zip(1..).for_each(|((_, scores), rank)| scores.fused_rank = Some(rank));
    ranking
}

/// Each score's place between the list's worst (0) and best (1), times `weight`. All 1 where they are equal.
fn scaled(hits: &[Hit], sign: f32, weight: f32) -> Vec<f32> {
    let scores = || hits.iter().map(|hit| hit.score * sign);
    let least = scores().fold(f32::INFINITY, f32::min);
    let span = scores().fold(f32::NEG_INFINITY, f32::max) - least;
    scores().map(|score| weight * if span > 0.0 { (score - least) / span } else { 1.0 }).collect()
}

fn reciprocal_ranks(n: usize, k: f32) -> Vec<f32> {
    (1..=n).map(|rank| 1.0 / (k + rank as f32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(list: &[(i64, f32)]) -> Vec<Hit> {
        list.iter().map(|&(key, score)| Hit { id: id(key), score }).collect()
    }

    fn id(key: i64) -> ChunkId {
        ChunkId::from_key(key).unwrap()
    }

    fn order(ranking: &[(ChunkId, Scores)]) -> Vec<(i64, f32)> {
        ranking.iter().map(|(id, s)| (id.key(), (s.fused.unwrap() * 1000.0).round() / 1000.0)).collect()
    }

    #[test]
    fn min_max_scales_each_leg_over_its_own_candidates() {
        let dense = hits(&[(1, 0.9), (2, 0.7), (3, 0.5)]);
        let keyword = hits(&[(3, 12.0), (4, 8.0), (1, 4.0)]);
        let ranking = fuse(&dense, &keyword, Metric::Ip, Fusion::MinMax { dense_weight: 0.6 });
        assert_eq!(order(&ranking), [(1, 0.6), (3, 0.4), (2, 0.3), (4, 0.2)]);
        let three = ranking[1].1;
        assert_eq!((three.dense, three.dense_rank), (Some(0.5), Some(3)));
        assert_eq!((three.keyword, three.keyword_rank), (Some(12.0), Some(1)));
        assert_eq!(ranking[2].1.keyword, None, "what a leg did not find has no score of it");
    }

    #[test]
    fn a_smaller_distance_is_nearer_under_l2() {
        let dense = hits(&[(1, 0.1), (2, 0.9)]);
        let ranking = fuse(&dense, &[], Metric::L2, Fusion::default());
        assert_eq!(order(&ranking), [(1, 0.6), (2, 0.0)]);
    }

    #[test]
    fn reciprocal_ranks_add_up_and_ties_go_by_id() {
        let ranking =
            fuse(&hits(&[(7, 0.9), (2, 0.8)]), &hits(&[(2, 5.0), (7, 4.0)]), Metric::Ip, Fusion::Rrf { k: 60.0 });
        let both = 1.0 / 61.0 + 1.0 / 62.0;
        assert_eq!(ranking.iter().map(|(id, _)| id.key()).collect::<Vec<_>>(), [2, 7]);
        assert!(ranking.iter().all(|(_, s)| (s.fused.unwrap() - both).abs() < 1e-6));
    }

    #[test]
    fn one_candidate_counts_in_full() {
        let ranking = fuse(&hits(&[(1, 0.3)]), &hits(&[(1, 2.0)]), Metric::Ip, Fusion::default());
        assert_eq!(order(&ranking), [(1, 1.0)]);
        assert!(fuse(&[], &[], Metric::Ip, Fusion::default()).is_empty());
    }
}
