//! What the Milvus adapter costs beside the bare client, against one server:
//! `cargo bench --bench milvus -- URI insert|search adapter|bare ROWS`. `benches/milvus.py` runs it beside pymilvus.
//!
//! Prints seconds for an insert of all rows, or the median of 400 searches in milliseconds. Rows have 384 dimensions and
//! a text of 60 words, in documents of 20.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use askdocs::{
    domain::{Chunk, ChunkId, DocumentRecord, Fingerprint, Indexed, Metric, Pooling, Vector},
    store::{
        MilvusStore, VectorStore,
        milvus::{MilvusEndpoint, MilvusOptions},
    },
};
use milvus::v2::prelude::{
    ClientV2, CollectionSchema, ConnectConfig, ConsistencyLevel, CreateCollectionRequest, DataType,
    DescribeCollectionRequest, DropCollectionRequest, FieldData, FieldSchema, IndexParam, IndexType, InsertRequest,
    MetricType, SearchRequest, SearchVectors, TelemetryConfig,
};

const DIM: usize = 384;
const CHUNKS_PER_DOCUMENT: usize = 20;
const ROWS_AT_ONCE: usize = 1_000;
const SEARCHES: usize = 400;
const TOP: usize = 100;

/// Numbers that look random and are the same every time (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn vector(&mut self) -> Vector {
        let raw: Vector = (0..DIM).map(|_| (self.next() >> 40) as f32 / (1 << 24) as f32 - 0.5).collect();
        let length = raw.iter().map(|value| value * value).sum::<f32>().sqrt();
        raw.into_iter().map(|value| value / length).collect()
    }

    fn text(&mut self) -> String {
        (0..60).map(|_| format!("word{}", self.next() % 20_000)).collect::<Vec<_>>().join(" ")
    }
}

fn document(number: usize, chunks: usize) -> Indexed {
    let mut numbers = Numbers(number as u64);
    let name = format!("folder/document-{number}.md");
    let chunk = |ordinal: u32, numbers: &mut Numbers| Chunk {
        id: ChunkId::from_digest(numbers.next().to_be_bytes()),
        document: name.clone(),
        ordinal,
        heading: vec!["A heading".to_owned()],
        lines: (1, 9),
        bytes: 0..100,
        text: numbers.text(),
        tokens: 200,
    };
    let chunks: Vec<Chunk> = (0..chunks as u32).map(|ordinal| chunk(ordinal, &mut numbers)).collect();
    let vectors = chunks.iter().map(|_| numbers.vector()).collect();
    let record = DocumentRecord {
        name: name.clone(),
        location: format!("/docs/{name}"),
        source: "/docs".to_owned(),
        content: "0".repeat(75),
        size: 8_000,
        modified_ns: Some(1),
        passages: chunks.len() as u32,
        embedded: true,
    };
    Indexed { record, chunks, vectors: Some(vectors) }
}

fn documents(rows: usize) -> Vec<Indexed> {
    (0..rows.div_ceil(CHUNKS_PER_DOCUMENT)).map(|n| document(n, CHUNKS_PER_DOCUMENT)).collect()
}

fn fingerprint() -> Fingerprint {
    Fingerprint {
        model: "bench".to_owned(),
        sha256: "00".repeat(32),
        dim: DIM,
        metric: Metric::Ip,
        pooling: Pooling::Mean,
        normalised: true,
        max_tokens: 256,
        query_prefix: String::new(),
        passage_prefix: String::new(),
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64)
}

type Failure = Box<dyn std::error::Error>;

async fn adapter_insert(store: &MilvusStore, rows: usize) -> Result<f64, Failure> {
    store.drop_collection("bench").await?;
    store.ensure_collection("bench", Some(&fingerprint())).await?;
    let documents = documents(rows);
    let _guard = store.lock_for_writing("bench", Duration::ZERO).await?;
    store.documents("bench").await?;
    let start = Instant::now();
    for some in documents.chunks(ROWS_AT_ONCE / CHUNKS_PER_DOCUMENT) {
        store.replace_documents("bench", some.to_vec()).await?;
    }
    Ok(start.elapsed().as_secs_f64())
}

async fn adapter_search(store: &MilvusStore) -> Result<f64, Failure> {
    let (fingerprint, mut numbers, mut times) = (fingerprint(), Numbers(7), Vec::new());
    for _ in 0..SEARCHES {
        let vector = numbers.vector();
        let start = Instant::now();
        black_box(store.search_dense("bench", Some(&fingerprint), &vector, TOP).await?);
        times.push(start.elapsed());
    }
    Ok(median(times) * 1e3)
}

async fn bare(uri: &str) -> Result<ClientV2, Failure> {
    Ok(ClientV2::new(&ConnectConfig::new().uri(uri).telemetry(TelemetryConfig::new().enabled(false))).await?)
}

async fn bare_insert(client: &ClientV2, rows: usize) -> Result<f64, Failure> {
    client.drop_collection(DropCollectionRequest::builder().collection_name("bench_bare").build()?).await.ok();
    let text = |name: &str| FieldSchema::new().name(name).data_type(DataType::VarChar).max_length(65_535);
    let number = |name: &str| FieldSchema::new().name(name).data_type(DataType::Int64);
    let schema = CollectionSchema::new()
        .add_field(number("id").primary_key(true))
        .add_field(text("text"))
        .add_field(text("document"))
        .add_field(text("heading"))
        .add_field(number("position"))
        .add_field(FieldSchema::new().name("vector").data_type(DataType::FloatVector).dimension(DIM as u32));
    let index = IndexParam::new().field_name("vector").index_type(IndexType::AutoIndex).metric_type(MetricType::Ip);
    let make = CreateCollectionRequest::builder()
        .collection_name("bench_bare")
        .schema(schema)
        .consistency_level(ConsistencyLevel::Strong)
        .index_params(vec![index])
        .build()?;
    client.create_collection(make).await?;
    let documents = documents(rows);
    let start = Instant::now();
    for some in documents.chunks(ROWS_AT_ONCE / CHUNKS_PER_DOCUMENT) {
        let chunks: Vec<&Chunk> = some.iter().flat_map(|document| &document.chunks).collect();
        let texts = |name: &str, of: fn(&Chunk) -> String| FieldData::VarChar {
            name: name.to_owned(),
            values: chunks.iter().map(|chunk| of(chunk)).collect(),
        };
        let numbers = |name: &str, of: fn(&Chunk) -> i64| FieldData::Int64 {
            name: name.to_owned(),
            values: chunks.iter().map(|chunk| of(chunk)).collect(),
        };
        let columns = vec![
            numbers("id", |chunk| chunk.id.key()),
            texts("text", |chunk| chunk.text.clone()),
            texts("document", |chunk| chunk.document.clone()),
            texts("heading", |chunk| chunk.heading.join(" > ")),
            numbers("position", |chunk| chunk.ordinal.into()),
            FieldData::FloatVector {
                name: "vector".to_owned(),
                values: some.iter().flat_map(|document| document.vectors.iter().flatten().cloned()).collect(),
            },
        ];
        client.insert(InsertRequest::builder().collection_name("bench_bare").columns(columns).build()?).await?;
    }
    Ok(start.elapsed().as_secs_f64())
}

async fn bare_search(client: &ClientV2) -> Result<f64, Failure> {
    let (mut numbers, mut times) = (Numbers(7), Vec::new());
    let describe = DescribeCollectionRequest::builder().collection_name("bench").build()?;
    client.describe_collection(describe).await?;
    for _ in 0..SEARCHES {
        let vector = numbers.vector();
        let start = Instant::now();
        let request = SearchRequest::builder()
            .collection_name("bench")
            .vector_field("vector")
            .vectors(SearchVectors::Float(vec![vector]))
            .limit(TOP as i64)
            .consistency_level(ConsistencyLevel::Session)
            .build()?;
        black_box(client.search(request).await?);
        times.push(start.elapsed());
    }
    Ok(median(times) * 1e3)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [uri, what, how, rows] = arguments.as_slice() else {
        println!("left out: URI insert|search adapter|bare ROWS");
        return Ok(());
    };
    let rows: usize = rows.parse()?;
    let local = tempfile::TempDir::new()?;
    let options = MilvusOptions {
        endpoint: MilvusEndpoint::Server { uri: uri.clone() },
        token: None,
        database: None,
        ca_certificate: None,
        client_certificate: None,
        client_key: None,
        tls_server_name: None,
        connect_timeout: Duration::from_secs(5),
        call_timeout: Duration::from_secs(30),
        local: local.path().to_owned(),
    };
    let store = MilvusStore::new(options)?;
    let result = match (what.as_str(), how.as_str()) {
        ("insert", "adapter") => adapter_insert(&store, rows).await?,
        ("insert", _) => bare_insert(&bare(uri).await?, rows).await?,
        (_, "adapter") => adapter_search(&store).await?,
        (_, _) => bare_search(&bare(uri).await?).await?,
    };
    println!("{result:.3}");
    Ok(())
}
