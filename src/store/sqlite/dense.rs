//! Nearest vectors, exactly: small collections by reading every vector, large ones by scanning quantised vectors in
//! memory and reading those that may be among the nearest. Either way each score comes from the stored 32-bit floats.

use std::{
    collections::HashSet,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, Row};

use super::{
    Fault,
    quantised::{Key, Quantised, Query, nearness_of},
    rows::{self, Stamp},
    side_file,
};
use crate::domain::{ChunkId, Hit, Metric, Vector};

/// The quantised vectors as this process last saw them, if any.
pub type Cache = Mutex<Option<Cached>>;

pub struct Cached {
    index: Arc<Quantised>,
    /// How many rows the side file lacks or has too many.
    unsaved: usize,
}

/// The `limit` chunks nearest to `vector`, nearest first, ties by id. Empty for a collection without a model. More than
/// `few` vectors are scanned quantised.
pub fn search(
    conn: &Connection,
    cache: &Cache,
    side_file: &Path,
    few: usize,
    vector: &Vector,
    limit: usize,
) -> Result<Vec<Hit>, Fault> {
    let Some(fingerprint) = rows::fingerprint(conn)? else { return Ok(Vec::new()) };
    if vector.len() != fingerprint.dim {
        return Err(Fault::Bad(format!(
            "the question's vector has {} dimensions, the collection's have {}",
            vector.len(),
            fingerprint.dim
        )));
    }
    if limit == 0 {
        return Ok(Vec::new());
    }
    let stamp = rows::stamp(conn)?;
    let mut hits = match living_index(conn, cache, side_file, few, stamp, fingerprint.dim)? {
        Some(index) => scan(conn, &index, fingerprint.metric, vector, limit)?,
        None => read_all(conn, fingerprint.metric, vector)?,
    };
    hits.sort_unstable_by(|a, b| fingerprint.metric.nearer_first(a.score, b.score).then(a.id.cmp(&b.id)));
    hits.truncate(limit);
    Ok(hits)
}

/// How near two vectors of equal length are, as a number of the metric.
///
/// Adds up in 16 lanes in one fixed order, so that the same vectors give the same score on every machine and by either
/// way of searching; compilers turn the lanes into the machine's own.
pub fn score(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    let dot = |a, b| lanes(a, b, |x, y| x * y);
    match metric {
        Metric::Ip => dot(a, b),
        Metric::Cosine => {
            let lengths = dot(a, a).sqrt() * dot(b, b).sqrt();
            if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
        }
        Metric::L2 => lanes(a, b, |x, y| (x - y) * (x - y)).sqrt(),
    }
}

fn lanes(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0_f32; 16];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        for ((sum, x), y) in sums.iter_mut().zip(a).zip(b) {
            *sum += term(*x, *y);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| term(*x, *y)).sum();
    sums.iter().sum::<f32>() + rest
}

fn read_vector(row: &Row<'_>, column: usize, vector: &mut Vector) -> rusqlite::Result<()> {
    let blob = row.get_ref(column)?.as_blob()?;
    vector.clear();
    vector.extend(blob.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
    Ok(())
}

fn hit(metric: Metric, query: &[f32], key: i64, vector: &[f32]) -> Result<Hit, Fault> {
    let id = ChunkId::from_key(key).ok_or(rusqlite::Error::IntegralValueOutOfRange(0, key))?;
    Ok(Hit { id, score: score(metric, query, vector) })
}

fn read_all(conn: &Connection, metric: Metric, query: &[f32]) -> Result<Vec<Hit>, Fault> {
    let mut statement = conn.prepare_cached("SELECT id, vector FROM vectors")?;
    let mut rows = statement.query(())?;
    let (mut hits, mut vector) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        read_vector(row, 1, &mut vector)?;
        hits.push(hit(metric, query, row.get(0)?, &vector)?);
    }
    Ok(hits)
}

/// Every row that may be among the `limit` nearest, with its true score.
fn scan(conn: &Connection, index: &Quantised, metric: Metric, vector: &[f32], limit: usize) -> Result<Vec<Hit>, Fault> {
    let query = Query::new(metric, vector);
    let found = index.scan(&query, limit.min(index.keys.len()));
    let mut statement = conn.prepare_cached("SELECT vector FROM vectors WHERE seq = ?")?;
    let mut stored = Vec::new();
    let mut read = |row: usize| -> Result<Hit, Fault> {
        let Key { seq, id } = index.keys[row];
        statement.query_row([seq], |row| read_vector(row, 0, &mut stored))?;
        hit(metric, vector, id, &stored)
    };
    let mut hits = Vec::new();
    // The last of the rows that seem nearest is at least as far as the last of those that are. So no row matters that
    // can't be as near as it.
    let mut last = f64::INFINITY;
    for row in &found.best {
        let hit = read(*row)?;
        last = last.min(nearness_of(metric, hit.score));
        hits.push(hit);
    }
    let seen: HashSet<usize> = found.best.iter().copied().collect();
    for row in index.within(&query, &found, last) {
        if !seen.contains(&row) {
            hits.push(read(row)?);
        }
    }
    Ok(hits)
}

/// The quantised vectors as of `stamp`; `None` when there are so few that none are kept.
fn living_index(
    conn: &Connection,
    cache: &Cache,
    side_file: &Path,
    few: usize,
    stamp: Stamp,
    dim: usize,
) -> Result<Option<Arc<Quantised>>, Fault> {
    // Held while it is brought up to date, so that two searches do not both do so.
    let mut cached = cache.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(cached) = cached.as_ref().filter(|cached| cached.index.stamp == stamp) {
        return Ok(Some(cached.index.clone()));
    }
    let more: bool = conn
        .prepare_cached("SELECT count(*) > ?1 FROM (SELECT 1 FROM vectors LIMIT ?1 + 1)")?
        .query_row([few as i64], |row| row.get(0))?;
    if !more {
        *cached = None;
        return Ok(None);
    }
    let is_of_this = |known: &Cached| known.index.stamp.incarnation == stamp.incarnation && known.index.dim == dim;
    let on_disk = || side_file::load(side_file, dim).map(|index| Cached { index: Arc::new(index), unsaved: 0 });
    let known = cached.take().filter(is_of_this).or_else(|| on_disk().filter(is_of_this));
    let mut fresh = match known {
        Some(known) if known.index.stamp == stamp => known,
        known => bring_up_to_date(conn, known, stamp, dim)?,
    };
    if fresh.unsaved > fresh.index.keys.len() / 8 {
        fresh.unsaved = 0;
        if let Err(error) = side_file::save(side_file, &fresh.index) {
            tracing::debug!(file = %side_file.display(), %error, "could not keep the quantised vectors");
        }
    }
    Ok(Some(cached.insert(fresh).index.clone()))
}

/// Takes what is `known` of the living vectors and reads the others.
fn bring_up_to_date(conn: &Connection, known: Option<Cached>, stamp: Stamp, dim: usize) -> Result<Cached, Fault> {
    let (index, unsaved) = known.map_or_else(|| (Arc::new(Quantised::new(stamp, dim)), 0), |k| (k.index, k.unsaved));
    // In place, unless a search that began before is still at it.
    let mut index = Arc::unwrap_or_clone(index);
    let mut living = conn
        .prepare_cached("SELECT seq, id FROM vectors INDEXED BY vectors_living")?
        .query_map((), |row| Ok(Key { seq: row.get(0)?, id: row.get(1)? }))?
        .collect::<Result<Vec<_>, _>>()?;
    living.sort_unstable();
    let before = index.keys.len();
    let lacking = index.keep_only(&living);
    let gone = before - index.keys.len();
    let mut read = conn.prepare_cached("SELECT vector FROM vectors WHERE seq = ?")?;
    let mut vector = Vec::new();
    for key in &lacking {
        read.query_row([key.seq], |row| read_vector(row, 0, &mut vector))?;
        index.push(*key, &vector);
    }
    index.stamp = stamp;
    Ok(Cached { index: Arc::new(index), unsaved: unsaved + gone + lacking.len() })
}
