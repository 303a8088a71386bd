//! A map of a question and its candidates: their vectors, seen from the side where they differ most.

use std::sync::Arc;

use super::{RagError, retrieve::dense_or_refuse};
use crate::{
    domain::{ChunkId, CollectionInfo, Projection, Vector},
    embed::{Embedder, Role},
    store::VectorStore,
};

/// Texts that are embedded between two looks whether the map is still wanted.
const BATCH: usize = 16;
/// Steps after which an axis is taken as it is: by then it shows as much variance as the best one to a thousandth.
const MOST_STEPS: usize = 1000;
/// A step that turns an axis by less than this ends the search.
const STILL: f64 = 1e-18;

/// Places a question and chunks on the plane of their first two principal components.
///
/// The vectors are made again from the chunks' texts, by the model that the collection's vectors were made with: a text
/// gives the same vector every time, so this shows what the store holds, whichever engine that is, and needs nothing of
/// it but the texts. 100 passages take as long as indexing them did.
///
/// # Errors
/// When there is no model, when the collection has no vectors or those of another model, or when one of them fails.
pub async fn project(
    store: &dyn VectorStore,
    embedder: Option<&Arc<dyn Embedder>>,
    collection: &CollectionInfo,
    question: &str,
    ids: &[ChunkId],
) -> Result<Projection, RagError> {
    let embedder = dense_or_refuse(embedder, collection)?;
    let chunks = store.get(&collection.name, ids).await?;
    let mut vectors = embed(embedder, Role::Query, vec![question.to_owned()]).await?;
    for batch in chunks.chunks(BATCH) {
        let texts = batch.iter().map(|chunk| chunk.indexed_text()).collect();
        vectors.extend(embed(embedder, Role::Passage, texts).await?);
    }
    let placed = tokio::task::spawn_blocking(move || principal_components(&vectors));
    let (places, explained) = placed.await.map_err(|error| RagError::Worker(error.to_string()))?;
    let Some((question, rest)) = places.split_first() else {
        return Err(RagError::Worker("the embedding model gave no vector".to_owned()));
    };
    let points = chunks.iter().map(|chunk| chunk.id).zip(rest.iter().copied()).collect();
    Ok(Projection { question: *question, points, explained })
}

/// Vectors of texts, made on a thread of its own.
pub(super) async fn embed(
    embedder: &Arc<dyn Embedder>,
    role: Role,
    texts: Vec<String>,
) -> Result<Vec<Vector>, RagError> {
    let embedder = Arc::clone(embedder);
    let embed = move || embedder.embed(role, &texts.iter().map(String::as_str).collect::<Vec<_>>());
    Ok(tokio::task::spawn_blocking(embed).await.map_err(|error| RagError::Worker(error.to_string()))??)
}

/// Each vector's place on the first two principal components, and the part of the variance that each of these shows.
///
/// Computed from the Gram matrix of the centred vectors, which is small where they are few and long: its eigenvectors,
/// times the roots of their eigenvalues, are the places (classical scaling; Gower, Biometrika 1966). They are found by
/// power iteration from a fixed start, and each axis points to where its farthest place lies, so that the same vectors
/// give the same map.
pub(super) fn principal_components(vectors: &[Vector]) -> (Vec<[f32; 2]>, [f32; 2]) {
    let gram = centred_gram(vectors);
    let total: f64 = gram.iter().enumerate().map(|(i, row)| row[i]).sum();
    if total <= f64::from(f32::EPSILON) * vectors.len() as f64 {
        return (vec![[0.0; 2]; vectors.len()], [0.0; 2]);
    }
    let first = eigenvector(&gram, None);
    let second = eigenvector(&gram, Some(&first));
    let mut axes = [first, second].map(|axis| (dot(&axis, &times(&gram, &axis)).max(0.0), axis));
    // Two that are as good as equal may have been found the wrong way round.
    axes.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let explained = [0, 1].map(|axis| (axes[axis].0 / total) as f32);
    let place = |i: usize| [0, 1].map(|axis: usize| (axes[axis].0.sqrt() * axes[axis].1[i]) as f32);
    ((0..vectors.len()).map(place).collect(), explained)
}

/// Inner products of all pairs of the vectors, each taken from their mean.
fn centred_gram(vectors: &[Vector]) -> Vec<Vec<f64>> {
    let dim = vectors.first().map_or(0, Vec::len);
    let mut mean = vec![0.0; dim];
    for vector in vectors {
        mean.iter_mut().zip(vector).for_each(|(mean, value)| *mean += f64::from(*value) / vectors.len() as f64);
    }
    let centre = |vector: &Vector| vector.iter().zip(&mean).map(|(value, mean)| f64::from(*value) - mean).collect();
    let centred: Vec<Vec<f64>> = vectors.iter().map(centre).collect();
    centred.iter().map(|a| centred.iter().map(|b| dot(a, b)).collect()).collect()
}

/// The eigenvector of the greatest eigenvalue, of length 1; with `besides`, the greatest of those at right angles to it.
/// All zeros where there is none.
fn eigenvector(gram: &[Vec<f64>], besides: Option<&[f64]>) -> Vec<f64> {
    // Any start will do that is not at right angles to what is looked for, and nothing is likely to be so to this one.
    let mut axis: Vec<f64> = (0..gram.len()).map(|i| ((i * i + 1) as f64).sin()).collect();
    for _ in 0..MOST_STEPS {
        let mut next = times(gram, &axis);
        if let Some(besides) = besides {
            let along = dot(&next, besides);
            next.iter_mut().zip(besides).for_each(|(value, other)| *value -= along * other);
        }
        let length = dot(&next, &next).sqrt();
        if length <= f64::EPSILON * gram.len() as f64 {
            return vec![0.0; gram.len()];
        }
        next.iter_mut().for_each(|value| *value /= length);
        let turned: f64 = next.iter().zip(&axis).map(|(a, b)| (a - b).powi(2)).sum();
        axis = next;
        if turned < STILL {
            break;
        }
    }
    // What rounding leaves the same size on both sides must not decide where it points.
    let farthest = axis.iter().copied().reduce(|far, value| if value.abs() > far.abs() + 1e-9 { value } else { far });
    if farthest.is_some_and(|value| value < 0.0) {
        axis.iter_mut().for_each(|value| *value = -*value);
    }
    axis
}

fn times(matrix: &[Vec<f64>], vector: &[f64]) -> Vec<f64> {
    matrix.iter().map(|row| dot(row, vector)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points of a plane, turned into a space of five dimensions and moved away from its origin.
    fn in_space(points: &[[f32; 2]]) -> Vec<Vector> {
        let (u, v) = ([0.5, 0.5, 0.5, 0.5, 0.0], [0.5, -0.5, 0.5, -0.5, 0.0]);
        points.iter().map(|[x, y]| (0..5).map(|i| x * u[i] + y * v[i] + 3.0 + i as f32).collect()).collect()
    }

    fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
        (a[0] - b[0]).hypot(a[1] - b[1])
    }

    #[test]
    fn a_plane_is_found_in_space_as_it_was() {
        let points = [[9.0, 1.0], [-4.0, 2.0], [-6.0, -1.5], [2.0, -2.0], [0.5, 0.5], [-1.5, 0.0]];
        let (placed, explained) = principal_components(&in_space(&points));
        for (a, b) in placed.iter().zip(&points).flat_map(|a| placed.iter().zip(&points).map(move |b| (a, b))) {
            assert!((distance(*a.0, *b.0) - distance(*a.1, *b.1)).abs() < 1e-4, "{a:?} {b:?}");
        }
        assert!((explained[0] + explained[1] - 1.0).abs() < 1e-6, "nothing lies outside the plane: {explained:?}");
        // The covariance of these is [[139.5, 6.25], [6.25, 11.5]] / 6, so by the formula for two rows its greater
        // eigenvalue's part is (151 + sqrt(128^2 + 4 * 6.25^2)) / (2 * 151).
        assert!((explained[0] - 0.925_857_3).abs() < 1e-5, "{explained:?}");
        // Wherever the search starts, each axis points to where its farthest place lies.
        for first in 0..points.len() {
            let mut points = points;
            points.rotate_left(first);
            let mut again = principal_components(&in_space(&points)).0;
            again.rotate_right(first);
            assert!(again[0][0] > 8.9, "{again:?}");
            assert!(again.iter().zip(&placed).all(|(a, b)| distance(*a, *b) < 1e-4), "{again:?} {placed:?}");
        }
    }

    #[test]
    fn what_has_no_plane_still_has_a_place() {
        assert_eq!(principal_components(&[]), (vec![], [0.0; 2]));
        assert_eq!(principal_components(&[vec![1.0, 2.0]]), (vec![[0.0; 2]], [0.0; 2]));
        let same = vec![vec![0.3, 0.1]; 4];
        assert_eq!(principal_components(&same), (vec![[0.0; 2]; 4], [0.0; 2]));
        let (line, explained) = principal_components(&in_space(&[[1.0, 0.0], [-1.0, 0.0], [4.0, 0.0]]));
        assert!((explained[0] - 1.0).abs() < 1e-6 && explained[1] < 1e-6, "{explained:?}");
        assert!(line.iter().all(|point| point[1].abs() < 1e-3), "{line:?}");
    }

    proptest::proptest! {
        /// No direction shows more of the variance than the first axis, nor than the second one at right angles to it.
        #[test]
        fn no_other_axis_shows_more(values in proptest::collection::vec(-1.0_f32..1.0, 60), other in proptest::collection::vec(-1.0_f64..1.0, 10)) {
            let vectors: Vec<Vector> = values.chunks(6).map(<[f32]>::to_vec).collect();
            let (placed, explained) = principal_components(&vectors);
            let gram = centred_gram(&vectors);
            let total: f64 = (0..gram.len()).map(|i| gram[i][i]).sum();
            let axes = [0, 1].map(|axis: usize| placed.iter().map(|point| f64::from(point[axis])).collect::<Vec<_>>());
            proptest::prop_assert!(dot(&axes[0], &axes[1]).abs() < 1e-3);
            let share = |axis: &[f64]| dot(axis, &times(&gram, axis)) / dot(axis, axis).max(1e-12) / total;
            proptest::prop_assert!(share(&other) <= f64::from(explained[0]) + 2e-3);
            let along = dot(&other, &axes[0]) / dot(&axes[0], &axes[0]).max(1e-12);
            let beside: Vec<f64> = other.iter().zip(&axes[0]).map(|(value, axis)| value - along * axis).collect();
            proptest::prop_assert!(share(&beside) <= f64::from(explained[1]) + 2e-3);
            proptest::prop_assert!(explained[0] >= explained[1]);
        }
    }
}
