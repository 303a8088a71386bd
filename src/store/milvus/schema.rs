//! The collections that this program makes: their columns, and what is kept in words.

use std::hash::{BuildHasher, Hasher, RandomState};

use milvus::v2::prelude::{
    CollectionDesc, CollectionSchema, ConsistencyLevel, CreateCollectionRequest, CreateSimpleCollectionRequest,
    DataType, Error, FieldData, FieldSchema, IndexParam, IndexType, MetricType,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{
    domain::{Chunk, DocumentRecord, Fingerprint, Indexed, Metric, SourceSpec, Vector},
    store::{StoreError, check_vectors},
};

/// Version of this layout, in every collection's description.
const FORMAT: i64 = 1;
/// Milvus' longest VARCHAR in bytes.
pub const LONGEST_TEXT: usize = 65_535;
/// Milvus' longest name of a collection in bytes.
const LONGEST_NAME: usize = 255;

pub const COMPANION_SUFFIX: &str = "__askdocs";
pub const VECTOR: &str = "vector";
/// The columns of a chunk without its vector.
pub const CHUNK_COLUMNS: [&str; 11] = [
    "id",
    "document",
    "position",
    "heading",
    "first_line",
    "last_line",
    "first_byte",
    "end_byte",
    "tokens",
    "content",
    "text",
];
/// Which rows of a companion are documents, which are sources.
pub const IS_DOCUMENT: &str = "kind == 1";
pub const IS_SOURCE: &str = "kind == 2";

/// Where the records of a collection's documents and sources are.
pub fn companion(name: &str) -> String {
    format!("{name}{COMPANION_SUFFIX}")
}

/// Whether Milvus can have a collection of this name, and its companion.
pub fn check_name(name: &str) -> Result<(), StoreError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let ok = first && name.chars().all(plain) && name.len() + COMPANION_SUFFIX.len() <= LONGEST_NAME;
    if ok && !name.ends_with(COMPANION_SUFFIX) {
        return Ok(());
    }
    let rule = "letters, digits and `_` in Milvus, a letter or `_` first, not ending in `__askdocs`";
    Err(StoreError::BadName { name: name.to_owned(), rule })
}

/// What a collection of ours says of itself.
#[derive(Serialize, Deserialize)]
struct Description {
    askdocs: i64,
    fingerprint: Fingerprint,
}

/// A collection that this program made.
pub struct Own {
    pub fingerprint: Fingerprint,
}

impl Own {
    /// `None`: another program's.
    pub fn of(described: &CollectionDesc) -> Result<Option<Self>, StoreError> {
        #[derive(Deserialize)]
        struct Format {
            askdocs: i64,
        }
        let text = described.get_description();
        let Ok(Format { askdocs: found }) = serde_json::from_str(text) else { return Ok(None) };
        if found > FORMAT {
            let path = described.get_collection_name().to_owned();
            return Err(StoreError::TooNew { path, found, known: FORMAT });
        }
        let Description { fingerprint, .. } = parse("a collection's description", text)?;
        Ok(Some(Self { fingerprint }))
    }
}

fn integer(name: &str) -> FieldSchema {
    FieldSchema::new().name(name).data_type(DataType::Int64)
}

fn text(name: &str) -> FieldSchema {
    FieldSchema::new().name(name).data_type(DataType::VarChar).max_length(LONGEST_TEXT as u32)
}

fn vector(dim: usize) -> FieldSchema {
    FieldSchema::new().name(VECTOR).data_type(DataType::FloatVector).dimension(u32::try_from(dim).unwrap_or(u32::MAX))
}

fn index(metric: Metric) -> IndexParam {
    IndexParam::new().field_name(VECTOR).index_type(IndexType::AutoIndex).metric_type(metric_type(metric))
}

fn metric_type(metric: Metric) -> MetricType {
    match metric {
        Metric::Ip => MetricType::Ip,
        Metric::Cosine => MetricType::Cosine,
        Metric::L2 => MetricType::L2,
    }
}

/// A collection of chunks.
pub fn own(name: &str, fingerprint: &Fingerprint) -> Result<CreateCollectionRequest, StoreError> {
    let description = Description { askdocs: FORMAT, fingerprint: fingerprint.clone() };
    let schema = CollectionSchema::new()
        .description(to_json(&description)?)
        // The client's default.
        .enable_dynamic_field(false)
        .add_field(integer("id").primary_key(true))
        .add_field(text("text"))
        .add_field(text("document"))
        // As text: the oldest server that this runs on takes only objects in a JSON column.
        .add_field(text("heading"))
        .add_field(integer("position"))
        .add_field(integer("first_line"))
        .add_field(integer("last_line"))
        .add_field(integer("first_byte"))
        .add_field(integer("end_byte"))
        .add_field(integer("tokens"))
        .add_field(text("content"))
        .add_field(vector(fingerprint.dim));
    create(name, schema, fingerprint.metric)
}

/// A companion. Milvus has no collection without a vector, so each row has one that means nothing.
pub fn companion_schema(name: &str) -> Result<CreateCollectionRequest, StoreError> {
    let schema = CollectionSchema::new()
        .description(format!("{{\"askdocs_companion\":{}}}", RandomState::new().build_hasher().finish()))
        .enable_dynamic_field(false)
        .add_field(integer("id").primary_key(true))
        .add_field(integer("kind"))
        .add_field(integer("written"))
        .add_field(text("record"))
        .add_field(vector(2));
    create(name, schema, Metric::Ip)
}

/// As `MilvusClient.create_collection(name, dimension, metric_type="IP", consistency_level="Strong")` does.
pub fn tutorial(name: &str, dim: usize) -> Result<CreateCollectionRequest, StoreError> {
    let simple = CreateSimpleCollectionRequest::builder()
        .collection_name(name)
        .dimension(u32::try_from(dim).unwrap_or(u32::MAX))
        .primary_field("id")
        .vector_field(VECTOR)
        .auto_id(false)
        .enable_dynamic_field(true)
        .metric_type(MetricType::Ip)
        .consistency_level(ConsistencyLevel::Strong)
        .build();
    simple.map(Into::into).map_err(|error| invalid(name, &error))
}

fn create(name: &str, schema: CollectionSchema, metric: Metric) -> Result<CreateCollectionRequest, StoreError> {
    CreateCollectionRequest::builder()
        .collection_name(name)
        .schema(schema)
        .consistency_level(ConsistencyLevel::Strong)
        .index_params(vec![index(metric)])
        .build()
        .map_err(|error| invalid(name, &error))
}

fn invalid(name: &str, error: &Error) -> StoreError {
    StoreError::Failed {
        action: "describe to Milvus",
        place: format!("collection {name:?}"),
        reason: error.to_string(),
    }
}

/// Whether Milvus' columns can hold a document.
pub fn check_fit(document: &Indexed, store: &str) -> Result<(), StoreError> {
    let heading = |chunk: &Chunk| to_json(&chunk.heading).map(|heading| heading.len());
    let mut longest = document_json(&document.record)?.1.len();
    for chunk in &document.chunks {
        longest = longest.max(chunk.text.len()).max(heading(chunk)?);
    }
    if longest <= LONGEST_TEXT {
        return Ok(());
    }
    let reason = format!(
        "a passage or heading of it has {longest} bytes, Milvus keeps at most {LONGEST_TEXT}; hint: `--chunker markdown` cuts it into smaller ones"
    );
    Err(StoreError::Unfit { document: document.record.name.clone(), store: store.to_owned(), reason })
}

/// Whether documents can be stored in a collection of this fingerprint.
pub fn check_documents(own: Option<&Own>, documents: &[Indexed], store: &str) -> Result<(), StoreError> {
    let bad = |name: &str, reason: String| StoreError::Failed {
        action: "store",
        place: format!("{name} in {store}"),
        reason,
    };
    let mut ids = std::collections::HashSet::new();
    for document in documents {
        let name = &document.record.name;
        let (Some(vectors), Some(own)) = (&document.vectors, own) else {
            return Err(StoreError::NeedsVectors { store: store.to_owned() });
        };
        check_vectors(&own.fingerprint, &document.chunks, vectors).map_err(|reason| bad(name, reason))?;
        check_fit(document, store)?;
        if let Some(chunk) = document.chunks.iter().find(|chunk| !ids.insert(chunk.id)) {
            return Err(bad(name, format!("two chunks have the id {}", chunk.id)));
        }
    }
    Ok(())
}

/// Rows as columns, in the schema's types.
pub fn columns<'a>(
    rows: impl Iterator<Item = (&'a Chunk, &'a str, &'a Vector)> + Clone,
) -> Result<Vec<FieldData>, StoreError> {
    let integers = |name: &str, of: fn(&Chunk) -> i64| FieldData::Int64 {
        name: name.to_owned(),
        values: rows.clone().map(|(chunk, _, _)| of(chunk)).collect(),
    };
    let texts = |name: &str, of: fn(&Chunk) -> String| FieldData::VarChar {
        name: name.to_owned(),
        values: rows.clone().map(|(chunk, _, _)| of(chunk)).collect(),
    };
    let headings: Result<Vec<String>, StoreError> = rows.clone().map(|(chunk, _, _)| to_json(&chunk.heading)).collect();
    Ok(vec![
        integers("id", |chunk| chunk.id.key()),
        texts("text", |chunk| chunk.text.clone()),
        texts("document", |chunk| chunk.document.clone()),
        FieldData::VarChar { name: "heading".to_owned(), values: headings? },
        integers("position", |chunk| chunk.ordinal.into()),
        integers("first_line", |chunk| chunk.lines.0.into()),
        integers("last_line", |chunk| chunk.lines.1.into()),
        integers("first_byte", |chunk| chunk.bytes.start as i64),
        integers("end_byte", |chunk| chunk.bytes.end as i64),
        integers("tokens", |chunk| chunk.tokens.into()),
        FieldData::VarChar {
            name: "content".to_owned(),
            values: rows.clone().map(|(_, content, _)| content.to_owned()).collect(),
        },
        FieldData::FloatVector { name: VECTOR.to_owned(), values: rows.map(|(_, _, vector)| vector.clone()).collect() },
    ])
}

/// Rows of a companion.
pub fn record_columns(kind: i64, written: i64, rows: &[(i64, String)]) -> Vec<FieldData> {
    let integers = |name: &str, values: Vec<i64>| FieldData::Int64 { name: name.to_owned(), values };
    vec![
        integers("id", rows.iter().map(|(id, _)| *id).collect()),
        integers("kind", vec![kind; rows.len()]),
        integers("written", vec![written; rows.len()]),
        FieldData::VarChar { name: "record".to_owned(), values: rows.iter().map(|(_, json)| json.clone()).collect() },
        FieldData::FloatVector { name: VECTOR.to_owned(), values: vec![vec![0.0, 0.0]; rows.len()] },
    ]
}

/// The key of a record: 63 bits of a hash of what it is called.
pub fn record_id(kind: &str, name: &str) -> i64 {
    let digest = Sha256::new().chain_update(kind).chain_update([0]).chain_update(name).finalize();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    (u64::from_be_bytes(bytes) >> 1) as i64
}

#[derive(Serialize, Deserialize)]
struct Record {
    name: String,
    location: String,
    source: String,
    content: String,
    size: u64,
    modified_ns: Option<i64>,
    passages: u32,
    embedded: bool,
}

pub fn document_json(record: &DocumentRecord) -> Result<(i64, String), StoreError> {
    let DocumentRecord { name, location, source, content, size, modified_ns, passages, embedded } = record.clone();
    let id = record_id("document", &name);
    Ok((id, to_json(&Record { name, location, source, content, size, modified_ns, passages, embedded })?))
}

pub fn document_record(json: &str) -> Result<DocumentRecord, StoreError> {
    let Record { name, location, source, content, size, modified_ns, passages, embedded } = parse("a document", json)?;
    Ok(DocumentRecord { name, location, source, content, size, modified_ns, passages, embedded })
}

/// A source and its place in the order of addition.
pub fn source_json(position: u64, source: &SourceSpec) -> Result<(i64, String), StoreError> {
    Ok((record_id("source", &source.key()), to_json(&(position, source))?))
}

fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    let failed = |error: serde_json::Error| StoreError::Failed {
        action: "write down",
        place: "a record for Milvus".to_owned(),
        reason: error.to_string(),
    };
    serde_json::to_string(value).map_err(failed)
}

pub fn parse<T: DeserializeOwned>(what: &str, json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|error| StoreError::Failed {
        action: "read",
        place: what.to_owned(),
        reason: format!("{error}; hint: another program may have written into the collection"),
    })
}
