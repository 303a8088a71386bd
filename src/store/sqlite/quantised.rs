//! Vectors of a large collection in memory, eight bits a number, to scan them at the speed of memory.
//!
//! Each vector keeps how far its eight bits are from the truth, so a scan gives not only near scores but limits that
//! no true score exceeds: whoever looks at every row within its limit (see [`Quantised::within`]) misses none. Knows
//! neither SQLite nor files.

use std::{num::NonZeroUsize, thread};

use simsimd::SpatialSimilarity;

use super::rows::Stamp;
use crate::domain::Metric;

/// Two threads scan twice as fast; fewer bytes than this are scanned before a second one has begun.
const BYTES_PER_THREAD: usize = 4 << 20;

/// More threads than this only wait for memory.
const MAX_THREADS: usize = 4;

/// Bound of the rounding in a true score as 32-bit floats give it, relative to the lengths of the vectors.
const ROUNDING: f64 = 2e-5;

/// The quantised vectors of a collection as of one [`Stamp`].
#[derive(Clone, Debug)]
pub struct Quantised {
    pub stamp: Stamp,
    pub dim: usize,
    /// Ascending, but after a read of a state that was past already; see [`Quantised::keep_only`].
    pub keys: Vec<Key>,
    pub rows: Vec<RowInfo>,
    /// `dim` numbers for each row.
    pub codes: Vec<i8>,
}

/// Which chunk a row is of: its number, which a chunk that is stored anew does not keep, and its id, which tells
/// chunks apart also where a file from a backup gave a number again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub seq: i64,
    pub id: i64,
}

/// What is known of a vector besides its codes: it is about `scale` times them.
#[derive(Clone, Copy, Debug)]
pub struct RowInfo {
    pub scale: f32,
    /// Length of the difference between the vector and `scale` times its codes.
    pub error: f32,
    /// Length of the vector.
    pub norm: f32,
}

/// A query made ready for scanning.
pub struct Query {
    metric: Metric,
    codes: Vec<i8>,
    info: RowInfo,
}

/// What a scan found.
pub struct Scan {
    /// About the inner product with each row.
    dots: Vec<f32>,
    /// The rows that seem nearest, as many as were asked for, in no order.
    pub best: Vec<usize>,
}

impl Quantised {
    /// Without rows.
    pub fn new(stamp: Stamp, dim: usize) -> Self {
        Self { stamp, dim, keys: Vec::new(), rows: Vec::new(), codes: Vec::new() }
    }

    /// Adds a row.
    pub fn push(&mut self, key: Key, vector: &[f32]) {
        self.rows.push(quantise(vector, &mut self.codes));
        self.keys.push(key);
    }

    /// Lets go of rows that are not among the `living`, which must be ascending; returns the living that it lacks. Rows
    /// whose keys are not in order are let go of as well.
    pub fn keep_only(&mut self, living: &[Key]) -> Vec<Key> {
        let (mut row, mut kept, mut lacking) = (0, 0, Vec::new());
        for key in living {
            while self.keys.get(row).is_some_and(|known| known < key) {
                row += 1;
            }
            if self.keys.get(row) != Some(key) {
                lacking.push(*key);
                continue;
            }
            if kept < row {
                self.keys[kept] = self.keys[row];
                self.rows[kept] = self.rows[row];
                self.codes.copy_within(row * self.dim..(row + 1) * self.dim, kept * self.dim);
            }
            (row, kept) = (row + 1, kept + 1);
        }
        self.keys.truncate(kept);
        self.rows.truncate(kept);
        self.codes.truncate(kept * self.dim);
        lacking
    }

    /// Compares every row with the query and names `limit` rows that seem nearest.
    pub fn scan(&self, query: &Query, limit: usize) -> Scan {
        let mut dots = vec![0.0; self.rows.len()];
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = cores.min(MAX_THREADS).min(self.codes.len().div_ceil(BYTES_PER_THREAD)).max(1);
        let share = self.rows.len().div_ceil(threads).max(1);
        let mut parts = dots.chunks_mut(share).zip(self.rows.chunks(share)).zip(self.codes.chunks(share * self.dim));
        let mut best = thread::scope(|scope| {
            let first = parts.next();
            let others: Vec<_> = (1..)
                .zip(parts)
                .map(|(part, ((dots, rows), codes))| {
                    scope.spawn(move || self.scan_part(query, limit, part * share, dots, rows, codes))
                })
                .collect();
            let mut best = Best::new(limit);
            if let Some(((dots, rows), codes)) = first {
                best = self.scan_part(query, limit, 0, dots, rows, codes);
            }
            for other in others {
                match other.join() {
                    Ok(part) => part.rows.into_iter().for_each(|(nearness, row)| best.offer(nearness, row)),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            best
        });
        best.cut();
        Scan { dots, best: best.rows.into_iter().map(|(_, row)| row).collect() }
    }

    fn scan_part(
        &self,
        query: &Query,
        limit: usize,
        offset: usize,
        dots: &mut [f32],
        rows: &[RowInfo],
        codes: &[i8],
    ) -> Best {
        let mut best = Best::new(limit);
        let parts = dots.iter_mut().zip(rows).zip(codes.chunks_exact(self.dim));
        for (row, ((dot, info), codes)) in (offset..).zip(parts) {
            // Sums of products of integers: the same number on every machine. Lengths are equal, so there is one.
            let sum = i8::dot(&query.codes, codes).unwrap_or(0.0) as f32;
            *dot = sum * (query.info.scale * info.scale);
            best.offer(query.nearness(*dot, info.norm), row);
        }
        best
    }

    /// All rows that may truly be at least as near as `nearness` (see [`nearness_of`]).
    pub fn within(&self, query: &Query, scan: &Scan, nearness: f64) -> Vec<usize> {
        let within = |dot: f32, row: &RowInfo| query.nearest_possible(dot, row) >= nearness;
        let rows = scan.dots.iter().zip(&self.rows).enumerate();
        rows.filter(|(_, (dot, row))| within(**dot, row)).map(|(index, _)| index).collect()
    }
}

impl Query {
    pub fn new(metric: Metric, vector: &[f32]) -> Self {
        let mut codes = Vec::with_capacity(vector.len());
        let info = quantise(vector, &mut codes);
        Self { metric, codes, info }
    }

    /// Larger is nearer, whatever the metric.
    fn nearness(&self, dot: f32, norm: f32) -> f32 {
        match self.metric {
            Metric::Ip => dot,
            // The query's length is the same for all rows, so it may be left out.
            Metric::Cosine if norm > 0.0 => dot / norm,
            Metric::Cosine => 0.0,
            Metric::L2 => 2.0 * dot - norm * norm,
        }
    }

    /// The nearness, as [`nearness_of`] has it, that a row can't exceed.
    ///
    /// With query q = q' + f and row v = v' + e (primes: as quantised), q·v - q'·v' = q·e + f·v', of which by Cauchy
    /// and Schwarz nothing is larger than |q||e| + |f||v'|, and |v'| is at most |v| + |e|.
    fn nearest_possible(&self, dot: f32, row: &RowInfo) -> f64 {
        let [query_norm, query_error] = [self.info.norm, self.info.error].map(f64::from);
        let [norm, error] = [row.norm, row.error].map(f64::from);
        let most = f64::from(dot) + query_norm * error + query_error * (norm + error) + ROUNDING * query_norm * norm;
        match self.metric {
            Metric::Ip => most,
            Metric::Cosine if query_norm * norm > 0.0 => most / (query_norm * norm),
            Metric::Cosine => 0.0,
            Metric::L2 => {
                let lengths = query_norm + norm;
                2.0 * most - norm * norm - query_norm * query_norm + ROUNDING * lengths * lengths
            }
        }
    }
}

/// A true score as a nearness: larger is nearer, whatever the metric.
pub fn nearness_of(metric: Metric, score: f32) -> f64 {
    let score = f64::from(score);
    match metric {
        Metric::Ip | Metric::Cosine => score,
        Metric::L2 => -score * score,
    }
}

/// Appends a vector's codes: its numbers in steps of a 127th of the largest.
fn quantise(vector: &[f32], codes: &mut Vec<i8>) -> RowInfo {
    let largest = vector.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let scale = largest / 127.0;
    let step = if scale > 0.0 { scale.recip() } else { 0.0 };
    let (mut error, mut norm) = (0.0_f64, 0.0_f64);
    codes.extend(vector.iter().map(|value| {
        // Also where 1 / scale overflows the cast keeps within -128..=127, and the error tells the truth.
        let code = (value * step).round() as i8;
        let difference = f64::from(*value) - f64::from(scale) * f64::from(code);
        error += difference * difference;
        norm += f64::from(*value) * f64::from(*value);
        code
    }));
    // Rounded up, since they are limits.
    let up = |square: f64| (square.sqrt() * (1.0 + 1e-6)) as f32;
    RowInfo { scale, error: up(error), norm: up(norm) }
}

/// Keeps the rows that seem nearest, a few more than asked for at a time so as to sort seldom.
struct Best {
    limit: usize,
    floor: f32,
    rows: Vec<(f32, usize)>,
}

impl Best {
    fn new(limit: usize) -> Self {
        Self { limit, floor: f32::NEG_INFINITY, rows: Vec::new() }
    }

    fn offer(&mut self, nearness: f32, row: usize) {
        if nearness > self.floor || self.rows.len() < self.limit {
            self.rows.push((nearness, row));
            if self.rows.len() >= 2 * self.limit + 64 {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        if self.rows.len() > self.limit {
            let last = self.limit.saturating_sub(1);
            let (_, &mut (floor, _), _) = self.rows.select_nth_unstable_by(last, |a, b| b.0.total_cmp(&a.0));
            self.floor = floor;
            self.rows.truncate(self.limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::sqlite::dense::score;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// The promise that exact search stands on.
        #[test]
        fn no_true_score_exceeds_its_limit(
            query in prop::collection::vec(-1.0_f32..1.0, 24),
            vectors in prop::collection::vec(prop::collection::vec(-1.0_f32..1.0, 24), 1..20),
            size in prop::sample::select(vec![1e-3_f32, 1.0, 40.0]),
            metric in prop::sample::select(vec![Metric::Ip, Metric::Cosine, Metric::L2]),
        ) {
            let vectors: Vec<Vec<f32>> = vectors.into_iter().map(|v| v.into_iter().map(|x| x * size).collect()).collect();
            let mut index = Quantised::new(Stamp { incarnation: 0, revision: 0 }, 24);
            for (seq, vector) in (0..).zip(&vectors) {
                index.push(Key { seq, id: seq }, vector);
            }
            let ready = Query::new(metric, &query);
            let scan = index.scan(&ready, 1);
            for (row, vector) in vectors.iter().enumerate() {
                let nearness = nearness_of(metric, score(metric, &query, vector));
                prop_assert!(index.within(&ready, &scan, nearness).contains(&row));
                let possible = ready.nearest_possible(scan.dots[row], &index.rows[row]);
                let slack = if metric == Metric::Cosine { 0.2 } else { 0.2 * f64::from(size) * 24.0 };
                prop_assert!(possible - nearness < slack, "limits must be near to be of use: {possible} {nearness}");
            }
        }
    }
}
