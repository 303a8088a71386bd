//! How fast the embedded store is beside what the machine can do: `cargo bench --bench store [CHUNKS]`.
//!
//! Prints medians and ratios. The vectors have 384 dimensions but vary along 64 directions, about as those of a
//! sentence model; the words of the texts are as unevenly frequent as in real ones.

use std::{
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use askdocs::{
    domain::{Chunk, ChunkId, DocumentRecord, Fingerprint, Indexed, Metric, Pooling, Vector},
    store::{SqliteStore, StoreError, VectorStore},
};

const DIM: usize = 384;
const CHUNKS_PER_DOCUMENT: usize = 20;
const WORDS_PER_CHUNK: usize = 150;
const QUERIES: usize = 60;
const CANDIDATES: usize = 100;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    // Cargo passes `--bench`.
    let chunks = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let folder = tempfile::tempdir()?;
    let mut world = World::new();

    println!("small: 50 chunks");
    small(folder.path(), &mut world).await?;

    println!("\nlarge: {chunks} chunks x {DIM}");
    let store = SqliteStore::open(folder.path())?;
    let (started, elapsed) = (Instant::now(), fill(&store, "large", chunks, &mut world).await?);
    println!(
        "insert      {:>9.0} chunks/s ({:.1} s with the making of the data)",
        chunks as f64 / elapsed.as_secs_f64(),
        started.elapsed().as_secs_f64()
    );
    let queries: Vec<Vector> = (0..QUERIES).map(|_| world.vector()).collect();
    time("first dense search, quantising all", store.search_dense("large", None, &queries[0], 5)).await?;
    let fresh = SqliteStore::open(folder.path())?;
    time("first dense search, side file there", fresh.search_dense("large", None, &queries[0], 5)).await?;

    let bytes: Vec<u8> = (0..chunks * DIM).map(|index| index as u8).collect();
    let threads = std::thread::available_parallelism()?.get().min(4);
    for limit in [5, CANDIDATES] {
        // In turn, so that whatever else the machine does slows both.
        let (mut dense, mut memory) = (Vec::new(), Vec::new());
        for query in &queries {
            memory.push(read_all(&bytes, threads));
            let started = Instant::now();
            black_box(store.search_dense("large", None, query, limit).await?);
            dense.push(started.elapsed());
        }
        let (dense, memory) = (median(dense), median(memory));
        let gigabytes_per_s = bytes.len() as f64 / memory.as_secs_f64() / 1e9;
        println!(
            "dense, {limit:>3} best {:>9.2} ms, {:.2} x reading as many bytes ({:.2} ms, {threads} threads, {gigabytes_per_s:.1} GB/s)",
            ms(dense),
            ms(dense) / ms(memory),
            ms(memory),
        );
    }
    for words in [3, 8, 16] {
        let mut times = Vec::new();
        for _ in 0..QUERIES {
            let query = world.text(words);
            let started = Instant::now();
            black_box(store.search_keyword("large", &query, CANDIDATES).await?);
            times.push(started.elapsed());
        }
        times.sort_unstable();
        println!(
            "keyword, {words:>2} words {:>9.2} ms, 9 of 10 within {:.2}",
            ms(times[QUERIES / 2]),
            ms(times[QUERIES * 9 / 10])
        );
    }
    let (record, chunk_rows, vectors) = world.document(chunks, CHUNKS_PER_DOCUMENT);
    store.replace_documents("large", vec![Indexed { record, chunks: chunk_rows, vectors: Some(vectors) }]).await?;
    time("dense search after one more document", store.search_dense("large", None, &queries[0], 5)).await?;
    let info = store.collection("large").await?.ok_or("no collection")?;
    println!("on disk     {:>9.0} MB", info.bytes.unwrap_or(0) as f64 / 1e6);
    Ok(())
}

async fn small(folder: &Path, world: &mut World) -> Outcome<()> {
    let store = SqliteStore::open(folder)?;
    fill(&store, "small", 50, world).await?;
    drop(store);
    let (vector, query) = (world.vector(), world.text(8));
    let fresh = || async {
        let started = Instant::now();
        let store = SqliteStore::open(folder)?;
        black_box(store.search_keyword("small", &query, CANDIDATES).await?);
        Outcome::Ok(started.elapsed())
    };
    let mut opened = Vec::new();
    for _ in 0..QUERIES {
        opened.push(fresh().await?);
    }
    let store = SqliteStore::open(folder)?;
    let (mut dense, mut keyword) = (Vec::new(), Vec::new());
    for _ in 0..QUERIES {
        let started = Instant::now();
        black_box(store.search_dense("small", None, &vector, CANDIDATES).await?);
        dense.push(started.elapsed());
        let started = Instant::now();
        black_box(store.search_keyword("small", &query, CANDIDATES).await?);
        keyword.push(started.elapsed());
    }
    for (name, times) in [("open and keyword", opened), ("dense", dense), ("keyword", keyword)] {
        println!("{name:<16} {:>9.3} ms", ms(median(times)));
    }
    Ok(())
}

/// Time spent in the store.
async fn fill(store: &SqliteStore, name: &str, chunks: usize, world: &mut World) -> Outcome<Duration> {
    let fingerprint = Fingerprint {
        model: "bench".to_owned(),
        sha256: "00".repeat(32),
        dim: DIM,
        metric: Metric::Ip,
        pooling: Pooling::Mean,
        normalised: true,
        max_tokens: 256,
        query_prefix: String::new(),
        passage_prefix: String::new(),
    };
    store.ensure_collection(name, Some(&fingerprint)).await?;
    let _guard = store.lock_for_writing(name, Duration::ZERO).await?;
    let (mut elapsed, mut done) = (Duration::ZERO, 0);
    while done < chunks {
        let (record, rows, vectors) = world.document(done, CHUNKS_PER_DOCUMENT.min(chunks - done));
        done += rows.len();
        let started = Instant::now();
        store.replace_documents(name, vec![Indexed { record, chunks: rows, vectors: Some(vectors) }]).await?;
        elapsed += started.elapsed();
    }
    Ok(elapsed)
}

async fn time<T>(name: &str, work: impl Future<Output = Result<T, StoreError>>) -> Outcome<()> {
    let started = Instant::now();
    black_box(work.await?);
    println!("{name:<36} {:>9.1} ms", ms(started.elapsed()));
    Ok(())
}

/// The time it takes to look at every byte once, with nothing to think about.
fn read_all(bytes: &[u8], threads: usize) -> Duration {
    let started = Instant::now();
    std::thread::scope(|scope| {
        for part in bytes.chunks(bytes.len().div_ceil(threads)) {
            scope.spawn(move || {
                let (words, _) = part.as_chunks::<8>();
                black_box(words.iter().fold(0_u64, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word))))
            });
        }
    });
    started.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Makes up documents, the same ones every time.
struct World {
    state: u64,
    /// The directions along which vectors vary.
    directions: Vec<Vector>,
}

impl World {
    fn new() -> Self {
        let mut world = Self { state: 1, directions: Vec::new() };
        world.directions = (0..64).map(|_| (0..DIM).map(|_| world.normal()).collect()).collect();
        world
    }

    /// Between 0 and 1 (splitmix64).
    fn unit(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normally distributed.
    fn normal(&mut self) -> f32 {
        ((0..4).map(|_| self.unit()).sum::<f64>() - 2.0) as f32
    }

    fn vector(&mut self) -> Vector {
        let mut vector: Vector = (0..DIM).map(|_| self.normal()).collect();
        for direction in 0..self.directions.len() {
            let weight = self.normal();
            for (value, along) in vector.iter_mut().zip(&self.directions[direction]) {
                *value += weight * along;
            }
        }
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        vector.iter().map(|value| value / length).collect()
    }

    fn text(&mut self, words: usize) -> String {
        let word = |unit: f64| format!("w{}", 50_000_f64.powf(unit) as u64);
        (0..words).map(|_| word(self.unit())).collect::<Vec<_>>().join(" ")
    }

    fn document(&mut self, first: usize, chunks: usize) -> (DocumentRecord, Vec<Chunk>, Vec<Vector>) {
        let name = format!("folder/{first}.md");
        let rows: Vec<Chunk> = (0..chunks)
            .map(|index| Chunk {
                id: ChunkId::from_digest((self.unit().to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes()),
                document: name.clone(),
                ordinal: index as u32,
                heading: vec![self.text(3), self.text(4)],
                lines: (1, 2),
                bytes: 0..1,
                text: self.text(WORDS_PER_CHUNK),
                tokens: 200,
            })
            .collect();
        let vectors = rows.iter().map(|_| self.vector()).collect();
        let record = DocumentRecord {
            location: format!("/{name}"),
            source: "/folder".to_owned(),
            content: name.clone(),
            name,
            size: 1,
            modified_ns: None,
            passages: rows.len() as u32,
            embedded: true,
        };
        (record, rows, vectors)
    }
}
