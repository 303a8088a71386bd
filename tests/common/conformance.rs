//! What every engine must do, told as random operations compared with a plain model in memory.

use std::{collections::BTreeMap, time::Duration};

use askdocs::{
    domain::{Chunk, ChunkId, Chunker, DocumentRecord, Fingerprint, Hit, Indexed, Metric, Pooling, SourceSpec, Vector},
    store::{StoreError, VectorStore},
};
use proptest::{prelude::*, sample::select};

pub const DIM: usize = 8;

/// Words that stemming leaves alone.
const WORDS: [&str; 12] = ["cat", "dog", "fish", "bird", "ant", "bee", "cow", "hen", "owl", "pig", "ram", "été"];

/// A fingerprint that no real model has.
pub fn fingerprint(metric: Metric) -> Fingerprint {
    Fingerprint {
        model: "test".to_owned(),
        sha256: "00".repeat(32),
        dim: DIM,
        metric,
        pooling: Pooling::Mean,
        normalised: false,
        max_tokens: 256,
        query_prefix: String::new(),
        passage_prefix: String::new(),
    }
}

pub fn source() -> SourceSpec {
    SourceSpec { location: "/docs".to_owned(), globs: vec!["*.md".to_owned()], chunker: Chunker::Markdown }
}

/// A document of these texts. Ids depend on the name and the place only, so that a new version meets the old ids.
pub fn document(name: &str, texts: &[String], embedded: bool) -> (DocumentRecord, Vec<Chunk>) {
    let mut start = 0;
    let chunks: Vec<Chunk> = (0..)
        .zip(texts)
        .map(|(ordinal, text)| {
            let digest = name
                .bytes()
                .chain(u32::to_le_bytes(ordinal))
                .fold(7_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23));
            let bytes = start..start + text.len();
            start = bytes.end + 1;
            Chunk {
                id: ChunkId::from_digest(digest.to_be_bytes()),
                document: name.to_owned(),
                ordinal,
                heading: vec![name.to_owned(), format!("part {ordinal} > \"1\"")],
                lines: (ordinal + 1, ordinal + 1),
                bytes,
                text: text.clone(),
                tokens: 3,
            }
        })
        .collect();
    let record = DocumentRecord {
        name: name.to_owned(),
        location: format!("/docs/{name}"),
        source: source().key(),
        content: texts.concat(),
        size: start as u64,
        modified_ns: Some(-5),
        passages: chunks.len() as u32,
        embedded,
    };
    (record, chunks)
}

#[derive(Clone, Debug)]
pub enum Operation {
    Replace { name: &'static str, texts: Vec<String>, vectors: Option<Vec<Vector>> },
    Touch { name: &'static str },
    Remove { names: Vec<String> },
    Clear,
    SearchDense { vector: Vector, limit: usize },
    SearchKeyword { words: Vec<&'static str>, limit: usize },
    Neighbours { name: &'static str, ordinal: usize, before: u32, after: u32 },
}

pub fn operation() -> impl Strategy<Value = Operation> {
    let name = || select(vec!["a.md", "b/c.md", "d e.md", "\"f\".md"]);
    // Small whole numbers, so that sums are exact and ties are many.
    let vector = || prop::collection::vec((-3_i8..=3).prop_map(f32::from), DIM);
    let text = prop::collection::vec(select(&WORDS[..]), 1..12).prop_map(|words| words.join(" "));
    let texts = prop::collection::vec(text, 0..6);
    let vectors = prop::collection::vec(vector(), 6);
    prop_oneof![
        6 => (name(), texts, prop::option::weighted(0.8, vectors)).prop_map(|(name, texts, vectors)| {
            let vectors = vectors.map(|vectors| vectors[..texts.len()].to_vec());
            Operation::Replace { name, texts, vectors }
        }),
        1 => name().prop_map(|name| Operation::Touch { name }),
        1 => prop::collection::vec(name().prop_map(str::to_owned), 0..3).prop_map(|names| Operation::Remove { names }),
        1 => Just(Operation::Clear),
        4 => (vector(), 0..25_usize).prop_map(|(vector, limit)| Operation::SearchDense { vector, limit }),
        4 => (prop::collection::vec(select(&WORDS[..]), 0..4), 0..25_usize)
            .prop_map(|(words, limit)| Operation::SearchKeyword { words, limit }),
        2 => (name(), 0..6_usize, 0..3_u32, 0..3_u32)
            .prop_map(|(name, ordinal, before, after)| Operation::Neighbours { name, ordinal, before, after }),
    ]
}

#[derive(Default)]
struct Model {
    documents: BTreeMap<String, Indexed>,
}

impl Model {
    fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.documents.values().flat_map(|document| &document.chunks)
    }

    fn dense(&self, metric: Metric, query: &[f32]) -> Vec<Hit> {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum::<f64>();
        let score = |vector: &[f32]| match metric {
            Metric::Ip => dot(query, vector),
            Metric::Cosine => {
                let lengths = (dot(query, query) * dot(vector, vector)).sqrt();
                if lengths > 0.0 { dot(query, vector) / lengths } else { 0.0 }
            }
            Metric::L2 => (dot(query, query) + dot(vector, vector) - 2.0 * dot(query, vector)).sqrt(),
        };
        let embedded =
            self.documents.values().filter_map(|document| Some((&document.chunks, document.vectors.as_ref()?)));
        let pairs = embedded.flat_map(|(chunks, vectors)| chunks.iter().zip(vectors));
        pairs.map(|(chunk, vector)| Hit { id: chunk.id, score: score(vector) as f32 }).collect()
    }

    /// BM25 over heading path and text with k1 = 1.2 and b = .75 (Robertson and Zaragoza 2009).
    fn keyword(&self, query: &[&str]) -> Vec<Hit> {
        let tokens = |chunk: &Chunk| -> Vec<String> {
            let text = chunk.indexed_text();
            let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
            words.map(str::to_owned).collect()
        };
        let rows: Vec<_> = self.chunks().map(|chunk| (chunk.id, tokens(chunk))).collect();
        let average = rows.iter().map(|(_, tokens)| tokens.len()).sum::<usize>() as f64 / rows.len() as f64;
        let mut words = query.to_vec();
        words.sort_unstable();
        words.dedup();
        let scores = rows.iter().filter(|(_, tokens)| tokens.iter().any(|token| words.contains(&token.as_str())));
        let score = |tokens: &Vec<String>| -> f64 {
            let add = |word: &&str| {
                let with_word = rows.iter().filter(|(_, tokens)| tokens.iter().any(|token| token == word)).count();
                let times = tokens.iter().filter(|token| token == word).count() as f64;
                let length = 1.0 - 0.75 + 0.75 * tokens.len() as f64 / average;
                idf(rows.len() as f64, with_word as f64) * times * 2.2 / (times + 1.2 * length)
            };
            words.iter().map(add).sum()
        };
        scores.map(|(id, tokens)| Hit { id: *id, score: score(tokens) as f32 }).collect()
    }
}

/// `got` must be the `limit` best of `all`, in order, ties by id; scores may differ by `tolerance`, and so may the order
/// of rows whose scores do not differ by more.
fn check_ranking(got: &[Hit], mut all: Vec<Hit>, metric: Metric, limit: usize, tolerance: f32) {
    let order = |a: &Hit, b: &Hit| metric.nearer_first(a.score, b.score).then(a.id.cmp(&b.id));
    all.sort_by(order);
    let expected = &all[..limit.min(all.len())];
    assert!(got.is_sorted_by(|a, b| order(a, b).is_lt()), "{got:?}");
    assert_eq!(got.len(), expected.len(), "{got:?} {expected:?}");
    for (got, expected) in got.iter().zip(expected) {
        let own = all.iter().find(|hit| hit.id == got.id).expect("a hit that matches");
        assert!((got.score - own.score).abs() <= tolerance, "{got:?} {own:?}");
        assert!((got.score - expected.score).abs() <= tolerance, "{got:?} {expected:?}");
        assert!(tolerance > 0.0 || got.id == expected.id, "{got:?} {expected:?}");
    }
}

/// SQLite's idf: never below a millionth.
pub fn idf(rows: f64, with_word: f64) -> f64 {
    ((rows - with_word + 0.5) / (with_word + 0.5)).ln().max(1e-6)
}

/// Runs the operations through the stores in turn, which share one place, and compares every answer with the model's.
/// `tolerance` is how far distances may be off, with what that means for the order of those that are nearly equal; 0
/// for an engine that breaks ties by id.
pub async fn check(
    stores: &[&dyn VectorStore],
    name: &str,
    metric: Metric,
    tolerance: f32,
    operations: Vec<Operation>,
) {
    let needs_vectors = stores[0].capabilities().needs_vectors;
    let mut model = Model::default();
    assert!(stores[0].collection(name).await.unwrap().is_none());
    stores[0].ensure_collection(name, None).await.unwrap();
    assert!(stores[0].search_dense(name, None, &vec![1.0; DIM], 3).await.unwrap().is_empty());
    stores[0].remember_source(name, &source()).await.unwrap();
    stores[0].ensure_collection(name, Some(&fingerprint(metric))).await.unwrap();
    let sources = vec![source()];
    for (step, operation) in operations.into_iter().enumerate() {
        let store = stores[step % stores.len()];
        match operation {
            Operation::Replace { name: document_name, texts, vectors } => {
                let (record, chunks) = document(document_name, &texts, vectors.is_some());
                let indexed = Indexed { record, chunks, vectors };
                if needs_vectors && indexed.vectors.is_none() {
                    let refused = store.replace_documents(name, vec![indexed]).await;
                    assert!(matches!(refused, Err(StoreError::NeedsVectors { .. })), "{refused:?}");
                    continue;
                }
                store.replace_documents(name, vec![indexed.clone()]).await.unwrap();
                model.documents.insert(indexed.record.name.clone(), indexed);
            }
            Operation::Touch { name: document_name } => {
                if let Some(Indexed { record, .. }) = model.documents.get_mut(document_name) {
                    record.modified_ns = None;
                    record.size += 1;
                    store.touch_document(name, record).await.unwrap();
                }
            }
            Operation::Remove { names } => {
                store.remove_documents(name, &names).await.unwrap();
                names.iter().for_each(|name| drop(model.documents.remove(name)));
            }
            Operation::Clear => {
                store.clear_collection(name).await.unwrap();
                assert_eq!(store.collection(name).await.unwrap().unwrap().fingerprint, None);
                store.ensure_collection(name, Some(&fingerprint(metric))).await.unwrap();
                model = Model::default();
            }
            Operation::SearchDense { vector, limit } => {
                let got = store.search_dense(name, Some(&fingerprint(metric)), &vector, limit).await.unwrap();
                let tolerance = if metric == Metric::Cosine { tolerance.max(1e-6) } else { tolerance };
                check_ranking(&got, model.dense(metric, &vector), metric, limit, tolerance);
            }
            Operation::SearchKeyword { words, limit } => {
                let got = store.search_keyword(name, &words.join(" \"* "), limit).await.unwrap();
                check_ranking(&got, model.keyword(&words), Metric::Ip, limit, 1e-4);
            }
            Operation::Neighbours { name: document_name, ordinal, before, after } => {
                let chunks = model.documents.get(document_name).map_or(&[][..], |document| &document.chunks);
                if let Some(chunk) = chunks.get(ordinal) {
                    let got = store.neighbours(name, chunk.id, before, after).await.unwrap();
                    let last = (ordinal + after as usize + 1).min(chunks.len());
                    assert_eq!(got, chunks[ordinal.saturating_sub(before as usize)..last]);
                }
            }
        }
        let names: Vec<String> = model.documents.keys().cloned().collect();
        let mut whole = store.read_documents(name, &names).await.unwrap();
        whole.sort_by(|a, b| a.record.name.cmp(&b.record.name));
        assert_eq!(whole, model.documents.values().cloned().collect::<Vec<_>>());
        let mut documents = store.documents(name).await.unwrap();
        documents.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(documents, model.documents.values().map(|document| document.record.clone()).collect::<Vec<_>>());
        let ids: Vec<ChunkId> = model.chunks().map(|chunk| chunk.id).collect();
        assert_eq!(store.get(name, &ids).await.unwrap(), model.chunks().cloned().collect::<Vec<_>>());
        let info = store.collection(name).await.unwrap().unwrap();
        let mut browsed: Vec<ChunkId> = Vec::new();
        for offset in (0..ids.len() as u64 + 5).step_by(5) {
            browsed.extend(store.browse(name, offset, 5).await.unwrap().iter().map(|chunk| chunk.id));
        }
        let (mut expected, mut got) = (ids.clone(), browsed);
        expected.sort_unstable();
        got.sort_unstable();
        assert_eq!(got, expected);
        let numbers = (info.documents as usize, info.passages as usize, info.metric);
        assert_eq!(numbers, (documents.len(), ids.len(), metric));
        assert_eq!((info.sources, info.fingerprint), (sources.clone(), Some(fingerprint(metric))));
    }
}

/// Everything that is not a sequence of operations.
pub async fn check_contract(store: &dyn VectorStore) {
    let missing = |error| matches!(error, StoreError::NoCollection { name, .. } if name == "none");
    assert!(missing(store.documents("none").await.unwrap_err()));
    assert!(missing(store.remember_source("none", &source()).await.unwrap_err()));
    assert!(missing(store.search_keyword("none", "x", 1).await.unwrap_err()));
    assert!(!store.drop_collection("none").await.unwrap());
    for name in ["", "../up", "a/b", ".hidden", "-x", "a b", "é", "nul\0", &"x".repeat(300)] {
        let refused = store.ensure_collection(name, None).await;
        assert!(matches!(refused, Err(StoreError::BadName { .. })), "{name:?}");
    }

    store.ensure_collection("faq", Some(&fingerprint(Metric::Ip))).await.unwrap();
    let other = Fingerprint { sha256: "11".repeat(32), ..fingerprint(Metric::Ip) };
    let refused = store.ensure_collection("faq", Some(&other)).await;
    assert!(matches!(refused, Err(StoreError::WrongModel { .. })), "{refused:?}");
    store.ensure_collection("faq", None).await.unwrap();

    // A source keeps its place when it is noted again.
    let elsewhere = SourceSpec { location: "/elsewhere".to_owned(), ..source() };
    let cut_otherwise = SourceSpec { chunker: Chunker::Split("# ".to_owned()), ..source() };
    for source in [&source(), &elsewhere, &cut_otherwise] {
        store.remember_source("faq", source).await.unwrap();
    }
    let info = store.collection("faq").await.unwrap().unwrap();
    assert_eq!(info.sources, [cut_otherwise, elsewhere]);
    let mut listed = store.collections().await.unwrap();
    listed.retain(|listed| listed.name == "faq");
    assert_eq!(listed, [info]);

    // A write that fails changes nothing.
    let (record, chunks) = document("a.md", &["cat".to_owned(), "dog".to_owned()], true);
    let vectors = [vec![1.0; DIM], vec![2.0; DIM]];
    let indexed = |record: &DocumentRecord, chunks: &[Chunk], vectors: Option<&[Vector]>| {
        vec![Indexed { record: record.clone(), chunks: chunks.to_vec(), vectors: vectors.map(<[Vector]>::to_vec) }]
    };
    store.replace_documents("faq", indexed(&record, &chunks, Some(&vectors))).await.unwrap();
    let changed = DocumentRecord { content: "new".to_owned(), ..record.clone() };
    let bad = [vec![1.0; DIM + 1], vec![f32::NAN; DIM]];
    for vectors in [&vectors[..1], &[vectors[0].clone(), bad[0].clone()], &[vectors[0].clone(), bad[1].clone()]] {
        assert!(store.replace_documents("faq", indexed(&changed, &chunks, Some(vectors))).await.is_err());
    }
    let twice = [chunks[0].clone(), chunks[0].clone()];
    assert!(store.replace_documents("faq", indexed(&changed, &twice, Some(&vectors))).await.is_err());
    assert_eq!(store.documents("faq").await.unwrap(), std::slice::from_ref(&record));
    let refused = store.search_dense("faq", Some(&other), &vectors[0], 9).await;
    assert!(matches!(refused, Err(StoreError::WrongModel { .. })), "{refused:?}");
    assert_eq!(store.search_dense("faq", None, &vectors[0], 9).await.unwrap().len(), 2);
    assert!(store.search_dense("faq", None, &vec![1.0; 3], 9).await.is_err());

    let unknown = ChunkId::from_key(1).unwrap();
    let got = store.get("faq", &[chunks[1].id, unknown, chunks[0].id]).await.unwrap();
    assert_eq!(got, [chunks[1].clone(), chunks[0].clone()]);
    assert!(store.neighbours("faq", unknown, 1, 1).await.unwrap().is_empty());

    // Whoever holds the lock may write; nobody else gets it.
    let guard = store.lock_for_writing("faq", Duration::ZERO).await.unwrap();
    store.remove_documents("faq", &["a.md".to_owned()]).await.unwrap();
    let refused = store.lock_for_writing("faq", Duration::from_millis(50)).await;
    assert!(matches!(refused, Err(StoreError::Busy { .. })));
    drop(guard);
    drop(store.lock_for_writing("faq", Duration::ZERO).await.unwrap());

    assert!(store.drop_collection("faq").await.unwrap());
    assert!(store.collections().await.unwrap().iter().all(|info| info.name != "faq"));
}

/// Nothing that a person types is syntax, and nothing makes a search fail.
pub async fn check_hostile_queries(store: &dyn VectorStore) {
    store.ensure_collection("q", Some(&fingerprint(Metric::Ip))).await.unwrap();
    let texts = ["The Écoles of cafe\u{301}s near state-of-the-art run_time() 漢字 ok", "OR AND NOT NEAR nothing"];
    let (record, chunks) = document("a.md", &texts.map(str::to_owned), true);
    let vectors = Some(vec![vec![1.0; DIM]; 2]);
    store.replace_documents("q", vec![Indexed { record, chunks: chunks.clone(), vectors }]).await.unwrap();
    let nothing = ["", " ", "\"", "\"\"", "*", "()", "\0", "🙂🙂", "\u{301}", "Ⓐ", "^", ":", "-", "--;", "~!@#$%^&*"];
    for query in nothing {
        assert_eq!(store.search_keyword("q", query, 5).await.unwrap(), [], "{query:?}");
    }
    let first = [
        "ecole",
        "ÉCOLES",
        "e\u{301}cole",
        "café",
        "caf\u{e9}s\"",
        "\"state",
        "art*",
        "heading:art",
        "NEAR(run time, 5)",
        "runs",
        "(art",
        "art AND",
        "art OR",
        "-art",
        "{text}: art",
        "zzz art",
        "art\0zzz",
        "漢字",
        "the\u{2014}art",
        "art;--",
        "'art",
    ];
    for query in first {
        let hits = store.search_keyword("q", query, 5).await.unwrap();
        assert!(hits.iter().any(|hit| hit.id == chunks[0].id), "{query:?}");
        assert!(hits.iter().all(|hit| hit.score > 0.0), "{query:?} {hits:?}");
    }
    let words: Vec<String> = (0..5_000).map(|number| format!("w{number}")).collect();
    assert_eq!(store.search_keyword("q", &words.join(" "), 5).await.unwrap(), []);
    assert_eq!(store.search_keyword("q", "nothing", 5).await.unwrap()[0].id, chunks[1].id);
    assert!(store.drop_collection("q").await.unwrap());
}
