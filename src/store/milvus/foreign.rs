//! Collections that other programs made, such as the one of Milvus' tutorial: their columns are found by looking.

use std::collections::HashMap;

use milvus::v2::prelude::{CollectionDesc, ConsistencyLevel, DataType, FieldData, FieldSchema, Ids};
use sha2::{Digest, Sha256};

use super::{
    MOST_ROWS,
    calls::{Calls, in_list, quoted},
};
use crate::{
    domain::{Chunk, ChunkId, DocumentRecord, Indexed, Metric},
    store::StoreError,
};

/// What a column with a passage's text, and one with its document's name, are usually called.
const TEXT_NAMES: [&str; 8] = ["text", "content", "chunk", "passage", "page_content", "body", "document", "answer"];
const DOCUMENT_NAMES: [&str; 9] =
    ["document", "doc", "source", "path", "file", "filename", "file_name", "title", "url"];
/// Where a server keeps what was not declared.
const DYNAMIC: &str = "$meta";
/// Rows read at once.
const PAGE: usize = 500;

/// A column with vectors that can be searched.
pub struct VectorColumn {
    pub name: String,
    pub dim: usize,
    pub metric: Metric,
    pub index: String,
}

pub struct Foreign {
    collection: String,
    key: String,
    /// Keys are words instead of numbers.
    words: bool,
    /// `None` where no column holds words.
    text: Option<String>,
    document: Option<String>,
    pub vector: Option<VectorColumn>,
}

impl Foreign {
    pub async fn of(calls: &Calls, name: &str, described: &CollectionDesc) -> Result<Self, StoreError> {
        let schema = described.get_schema();
        let fields = schema.get_fields();
        let key = fields.iter().find(|field| field.is_primary_key());
        let declared = |names: &[&str]| -> Option<String> {
            let is = |field: &&FieldSchema| field.get_data_type() == DataType::VarChar && !field.is_primary_key();
            let words: Vec<&FieldSchema> = fields.iter().filter(is).collect();
            let named = names.iter().find_map(|name| words.iter().find(|field| field.get_name() == *name));
            named.map(|field| field.get_name().to_owned())
        };
        let longest = || {
            let words =
                fields.iter().filter(|field| field.get_data_type() == DataType::VarChar && !field.is_primary_key());
            words.max_by_key(|field| field.get_max_length()).map(|field| field.get_name().to_owned())
        };
        let dynamic = schema.is_dynamic_field_enabled() || described.is_dynamic_field_enabled();
        let undeclared = || if dynamic { Some("text".to_owned()) } else { longest() };
        let text = declared(&TEXT_NAMES).or_else(undeclared);
        let document = declared(&DOCUMENT_NAMES).filter(|document| Some(document) != text.as_ref());
        let column = fields.iter().find(|field| field.get_data_type() == DataType::FloatVector);
        let vector = match column {
            None => None,
            Some(field) => calls.index(name, field.get_name()).await?.map(|(index, metric)| VectorColumn {
                name: field.get_name().to_owned(),
                dim: field.get_dimension() as usize,
                metric,
                index,
            }),
        };
        Ok(Self {
            collection: name.to_owned(),
            key: key.map_or("id", FieldSchema::get_name).to_owned(),
            words: key.is_some_and(|field| field.get_data_type() == DataType::VarChar),
            text,
            document,
            vector,
        })
    }

    fn columns(&self) -> Vec<&str> {
        let mut columns = vec![self.key.as_str()];
        columns.extend(self.text.as_deref());
        columns.extend(self.document.as_deref());
        columns
    }

    fn chunks(&self, columns: &[FieldData]) -> Vec<(Key, Chunk)> {
        let keys: Vec<Key> = match columns.iter().find(|column| column.name() == self.key) {
            Some(FieldData::Int64 { values, .. }) => values.iter().map(|key| Key::Number(*key)).collect(),
            Some(FieldData::VarChar { values, .. }) => values.iter().map(|key| Key::Word(key.clone())).collect(),
            _ => Vec::new(),
        };
        let rows = keys.into_iter().enumerate();
        let chunk = |(at, key): (usize, Key)| {
            let text = self.text.as_deref().map_or_else(|| key.to_string(), |name| word(columns, name, at));
            let document = self.document.as_deref().map(|name| word(columns, name, at)).filter(|name| !name.is_empty());
            let lines = u32::try_from(text.lines().count().max(1)).unwrap_or(u32::MAX);
            let chunk = Chunk {
                id: key.id(),
                document: document.unwrap_or_else(|| format!("{} {key}", self.collection)),
                ordinal: 0,
                heading: Vec::new(),
                lines: (1, lines),
                bytes: 0..text.len(),
                tokens: 0,
                text,
            };
            (key, chunk)
        };
        rows.map(chunk).collect()
    }

    pub async fn browse(&self, calls: &Calls, offset: u64, limit: usize) -> Result<Vec<Chunk>, StoreError> {
        let left = (MOST_ROWS as u64).saturating_sub(offset);
        let limit = limit.min(usize::try_from(left).unwrap_or(usize::MAX));
        if limit == 0 {
            return Ok(Vec::new());
        }
        let all = self.after(None);
        let rows =
            calls.query_some(&self.collection, &all, &self.columns(), offset, limit, ConsistencyLevel::Strong).await?;
        Ok(self.chunks(&rows).into_iter().map(|(_, chunk)| chunk).collect())
    }

    /// A filter for the rows behind a key.
    fn after(&self, key: Option<&Key>) -> String {
        match key {
            None if self.words => format!("{} >= \"\"", self.key),
            None => format!("{} >= {}", self.key, i64::MIN + 1),
            Some(Key::Word(word)) => format!("{} > {}", self.key, quoted(word)),
            Some(Key::Number(number)) => format!("{} > {number}", self.key),
        }
    }

    /// The key that an id is, unless it is the hash of one.
    pub fn key_of(&self, id: ChunkId) -> Option<Key> {
        (!self.words).then(|| Key::Number(id.key()))
    }

    /// The rows of these keys.
    pub async fn get(&self, calls: &Calls, mut keys: Vec<Key>) -> Result<HashMap<ChunkId, Chunk>, StoreError> {
        let mut found = HashMap::new();
        while !keys.is_empty() {
            let some = PAGE.min(keys.len());
            let literals: Vec<String> = keys.iter().take(some).map(Key::literal).collect();
            let (filter, columns) = (in_list(&self.key, &literals), self.columns());
            let consistency = calls.consistency(&self.collection);
            let rows = calls.query_some(&self.collection, &filter, &columns, 0, some, consistency).await?;
            let rows = self.chunks(&rows);
            if rows.is_empty() {
                keys.drain(..some);
            }
            for (key, chunk) in rows {
                keys.retain(|wanted| *wanted != key);
                found.insert(chunk.id, chunk);
            }
        }
        Ok(found)
    }

    /// All rows as documents of one page of rows each.
    pub async fn everything(&self, calls: &Calls) -> Result<Vec<Indexed>, StoreError> {
        let (mut documents, mut last) = (Vec::new(), None);
        loop {
            let filter = self.after(last.as_ref());
            let columns = self.columns();
            let strong = ConsistencyLevel::Strong;
            let rows = calls.query_some(&self.collection, &filter, &columns, 0, PAGE, strong).await?;
            let rows = self.chunks(&rows);
            let Some((key, _)) = rows.last() else { return Ok(documents) };
            last = Some(key.clone());
            let name = format!("page {}", documents.len());
            let chunks: Vec<Chunk> = (0..)
                .zip(rows)
                .map(|(ordinal, (_, chunk))| Chunk { document: name.clone(), ordinal, ..chunk })
                .collect();
            let record = DocumentRecord {
                name,
                location: self.collection.clone(),
                source: String::new(),
                content: String::new(),
                size: 0,
                modified_ns: None,
                passages: u32::try_from(chunks.len()).unwrap_or(u32::MAX),
                embedded: false,
            };
            documents.push(Indexed { record, chunks, vectors: None });
        }
    }
}

/// A row's key.
#[derive(Clone, PartialEq, Eq)]
pub enum Key {
    Number(i64),
    Word(String),
}

impl Key {
    /// Whether an id is the key itself.
    pub fn is_id(&self, id: ChunkId) -> bool {
        matches!(self, Self::Number(number) if *number == id.key())
    }

    /// As it stands in a filter.
    fn literal(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Word(word) => quoted(word),
        }
    }

    /// A number that a chunk may have is the id itself, anything else is hashed.
    pub fn id(&self) -> ChunkId {
        let digest = |bytes: &[u8]| {
            let mut first = [0; 8];
            first.copy_from_slice(&Sha256::digest(bytes)[..8]);
            ChunkId::from_digest(first)
        };
        match self {
            Self::Number(number) => ChunkId::from_key(*number).unwrap_or_else(|| digest(&number.to_be_bytes())),
            Self::Word(word) => digest(word.as_bytes()),
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Word(word) => f.write_str(word),
        }
    }
}

pub fn keys(ids: Ids) -> Vec<Key> {
    match ids {
        Ids::Int64(numbers) => numbers.into_iter().map(Key::Number).collect(),
        Ids::VarChar(words) => words.into_iter().map(Key::Word).collect(),
        // The client has no other kinds; should it get some, their rows can't be named.
        _ => Vec::new(),
    }
}

/// A text, declared or from what was not.
fn word(columns: &[FieldData], name: &str, at: usize) -> String {
    let from_json = |values: &[serde_json::Value]| {
        let value = values.get(at)?;
        let value = value.get(name).unwrap_or(value);
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    let found = columns.iter().find_map(|column| match column {
        FieldData::VarChar { name: found, values } if found == name => values.get(at).cloned(),
        FieldData::Json { name: found, values } if found == name || found == DYNAMIC => from_json(values),
        _ => None,
    });
    found.unwrap_or_default()
}
