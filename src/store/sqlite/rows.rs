//! Documents, chunks and sources as rows. Every function works inside a transaction that its caller began.

use rusqlite::{Connection, OptionalExtension, Row, types::Type};

use super::{Fault, keyword::spaced};
use crate::domain::{Chunk, ChunkId, DocumentRecord, Fingerprint, Indexed, SourceSpec, Vector};

/// Separates the headings of a path in the keyword index; as punctuation it is no word there.
const HEADING_SEPARATOR: &str = " > ";

const CHUNK_COLUMNS: &str = "chunks.id, documents.name, chunks.ordinal, chunks.heading, chunks.first_line, \
    chunks.last_line, chunks.first_byte, chunks.end_byte, chunks.text, chunks.tokens";

/// Names the state of a collection's vectors: equal means that nothing about them has changed.
///
/// Both are random rather than counted, so that a file put back from a backup, or made anew under an old name, is never
/// taken for what came after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Renewed when the collection is made or cleared; within one, a chunk's number never means two chunks.
    pub incarnation: i64,
    /// Renewed by every write that touches vectors.
    pub revision: i64,
}

pub fn stamp(conn: &Connection) -> Result<Stamp, Fault> {
    let number = |key: &str| {
        conn.prepare_cached("SELECT value FROM meta WHERE key = ?")?.query_row([key], |row| row.get::<_, i64>(0))
    };
    Ok(Stamp { incarnation: number("incarnation")?, revision: number("revision")? })
}

pub fn fingerprint(conn: &Connection) -> Result<Option<Fingerprint>, Fault> {
    let json: Option<String> = conn
        .prepare_cached("SELECT value FROM meta WHERE key = 'fingerprint'")?
        .query_row((), |row| row.get(0))
        .optional()?;
    Ok(json.map(|json| serde_json::from_str(&json)).transpose().map_err(|error| unreadable(0, error))?)
}

pub fn set_fingerprint(conn: &Connection, fingerprint: &Fingerprint) -> Result<(), Fault> {
    let json = serde_json::to_string(fingerprint).map_err(|error| Fault::Bad(error.to_string()))?;
    conn.execute("INSERT OR REPLACE INTO meta VALUES ('fingerprint', ?)", [json])?;
    Ok(())
}

fn renew(conn: &Connection, key: &str) -> Result<(), Fault> {
    conn.prepare_cached("UPDATE meta SET value = random() WHERE key = ?")?.execute([key])?;
    Ok(())
}

/// Takes everything out but the collection itself.
pub fn clear(conn: &Connection) -> Result<(), Fault> {
    conn.execute_batch(
        "DELETE FROM meta WHERE key = 'fingerprint'; DELETE FROM documents; DELETE FROM chunks;
         DELETE FROM vectors; INSERT INTO passages (passages) VALUES ('delete-all')",
    )?;
    renew(conn, "incarnation")?;
    renew(conn, "revision")
}

/// Numbers of documents, of chunks, and of chunks without a vector.
pub fn counts(conn: &Connection) -> Result<(u64, u64, u64), Fault> {
    let count = |sql| conn.query_row(sql, (), |row| row.get::<_, i64>(0)).map(i64::unsigned_abs);
    let bare = count("SELECT coalesce(sum(passages), 0) FROM documents WHERE NOT embedded")?;
    Ok((count("SELECT count(*) FROM documents")?, count("SELECT count(*) FROM chunks")?, bare))
}

pub fn sources(conn: &Connection) -> Result<Vec<SourceSpec>, Fault> {
    let mut statement = conn.prepare_cached("SELECT spec FROM sources ORDER BY position")?;
    let specs = statement.query_map((), |row| {
        let json: String = row.get(0)?;
        serde_json::from_str(&json).map_err(|error| unreadable(0, error))
    })?;
    Ok(specs.collect::<Result<_, _>>()?)
}

pub fn remember_source(conn: &Connection, source: &SourceSpec) -> Result<(), Fault> {
    let spec = serde_json::to_string(source).map_err(|error| Fault::Bad(error.to_string()))?;
    conn.execute(
        "INSERT INTO sources (key, spec) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET spec = excluded.spec",
        [source.key(), spec],
    )?;
    Ok(())
}

const RECORD_COLUMNS: &str = "name, location, source, content, size, modified_ns, passages, embedded";

pub fn documents(conn: &Connection) -> Result<Vec<DocumentRecord>, Fault> {
    let sql = format!("SELECT {RECORD_COLUMNS} FROM documents ORDER BY name");
    let mut statement = conn.prepare_cached(&sql)?;
    let records = statement.query_map((), record)?;
    Ok(records.collect::<Result<_, _>>()?)
}

fn document(conn: &Connection, name: &str) -> Result<Option<DocumentRecord>, Fault> {
    let sql = format!("SELECT {RECORD_COLUMNS} FROM documents WHERE name = ?");
    Ok(conn.prepare_cached(&sql)?.query_row([name], record).optional()?)
}

fn record(row: &Row<'_>) -> rusqlite::Result<DocumentRecord> {
    Ok(DocumentRecord {
        name: row.get(0)?,
        location: row.get(1)?,
        source: row.get(2)?,
        content: row.get(3)?,
        size: row.get::<_, i64>(4)?.unsigned_abs(),
        modified_ns: row.get(5)?,
        passages: row.get(6)?,
        embedded: row.get(7)?,
    })
}

/// Puts a document and its chunks in place of what its name held.
pub fn replace_document(conn: &Connection, document: &Indexed) -> Result<(), Fault> {
    let Indexed { record: document, chunks, vectors } = document;
    let vectors = vectors.as_deref();
    if let Some(vectors) = vectors {
        check_vectors(conn, chunks, vectors)?;
    }
    let number = document_number(conn, &document.name)?;
    let had_vectors = number.map(|number| take_out_chunks(conn, number)).transpose()?.unwrap_or(false);
    let number = put_record(conn, document)?;
    let mut chunk_row = conn.prepare_cached(
        "INSERT INTO chunks (id, document, ordinal, heading, first_line, last_line, first_byte, end_byte, tokens, text)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    let mut passage_row = conn.prepare_cached("INSERT INTO passages (rowid, heading, text) VALUES (?, ?, ?)")?;
    let mut vector_row = conn.prepare_cached("INSERT INTO vectors (seq, id, vector) VALUES (?, ?, ?)")?;
    let mut blob = Vec::new();
    for (index, chunk) in chunks.iter().enumerate() {
        let heading = serde_json::to_string(&chunk.heading).map_err(|error| Fault::Bad(error.to_string()))?;
        let row = (
            chunk.id.key(),
            number,
            chunk.ordinal,
            heading,
            chunk.lines.0,
            chunk.lines.1,
            chunk.bytes.start as i64,
            chunk.bytes.end as i64,
            chunk.tokens,
            &chunk.text,
        );
        let seq = chunk_row.insert(row).map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ConstraintViolation) => Fault::Bad(format!(
                "chunk {} ({}) has the id or the number of another chunk; hint: ingest it under another name",
                chunk.id, document.name
            )),
            _ => Fault::Sql(error),
        })?;
        let heading = chunk.heading.join(HEADING_SEPARATOR);
        passage_row.execute((seq, spaced(&heading), spaced(chunk.body())))?;
        if let Some(vector) = vectors.and_then(|vectors| vectors.get(index)) {
            blob.clear();
            blob.extend(vector.iter().flat_map(|value| value.to_le_bytes()));
            vector_row.execute((seq, chunk.id.key(), &blob))?;
        }
    }
    if had_vectors || vectors.is_some_and(|vectors| !vectors.is_empty()) { renew(conn, "revision") } else { Ok(()) }
}

fn check_vectors(conn: &Connection, chunks: &[Chunk], vectors: &[Vector]) -> Result<(), Fault> {
    let Some(fingerprint) = fingerprint(conn)? else {
        return Err(Fault::Bad("the collection has no model yet; give its fingerprint first".to_owned()));
    };
    crate::store::check_vectors(&fingerprint, chunks, vectors).map_err(Fault::Bad)
}

/// Notes what is known of a document; its row keeps its number.
fn put_record(conn: &Connection, document: &DocumentRecord) -> Result<i64, Fault> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO documents (name, location, source, content, size, modified_ns, passages, embedded)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (name) DO UPDATE SET location = excluded.location, source = excluded.source,
             content = excluded.content, size = excluded.size, modified_ns = excluded.modified_ns,
             passages = excluded.passages, embedded = excluded.embedded
         RETURNING document",
    )?;
    let row = (
        &document.name,
        &document.location,
        &document.source,
        &document.content,
        document.size as i64,
        document.modified_ns,
        document.passages,
        document.embedded,
    );
    Ok(statement.query_row(row, |row| row.get(0))?)
}

/// Notes what is known of a document that is there already; its chunks stay.
pub fn touch_document(conn: &Connection, document: &DocumentRecord) -> Result<(), Fault> {
    if document_number(conn, &document.name)?.is_some() {
        put_record(conn, document)?;
    }
    Ok(())
}

pub fn remove_documents(conn: &Connection, names: &[String]) -> Result<(), Fault> {
    let mut had_vectors = false;
    for name in names {
        if let Some(number) = document_number(conn, name)? {
            had_vectors |= take_out_chunks(conn, number)?;
            conn.prepare_cached("DELETE FROM documents WHERE document = ?")?.execute([number])?;
        }
    }
    if had_vectors { renew(conn, "revision") } else { Ok(()) }
}

fn document_number(conn: &Connection, name: &str) -> Result<Option<i64>, Fault> {
    let mut statement = conn.prepare_cached("SELECT document FROM documents WHERE name = ?")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

/// Whether vectors went with them.
fn take_out_chunks(conn: &Connection, document: i64) -> Result<bool, Fault> {
    let out = |table: &str, key: &str| {
        let sql = format!("DELETE FROM {table} WHERE {key} IN (SELECT seq FROM chunks WHERE document = ?)");
        conn.prepare_cached(&sql)?.execute([document])
    };
    let vectors = out("vectors", "seq")?;
    out("passages", "rowid")?;
    conn.prepare_cached("DELETE FROM chunks WHERE document = ?")?.execute([document])?;
    Ok(vectors > 0)
}

/// The chunks of these ids, in the order asked.
pub fn chunks(conn: &Connection, ids: &[ChunkId]) -> Result<Vec<Chunk>, Fault> {
    let sql = format!("SELECT {CHUNK_COLUMNS} FROM chunks JOIN documents USING (document) WHERE chunks.id = ?");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(statement.query_row([id.key()], chunk).optional()?);
    }
    Ok(found)
}

/// Chunks in the order in which they were stored.
pub fn browse(conn: &Connection, offset: u64, limit: usize) -> Result<Vec<Chunk>, Fault> {
    let sql = format!(
        "SELECT {CHUNK_COLUMNS} FROM chunks JOIN documents USING (document) ORDER BY chunks.seq LIMIT ? OFFSET ?"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let found = statement.query_map((limit as i64, offset as i64), chunk)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Whole documents, as they were stored.
pub fn read_documents(conn: &Connection, names: &[String]) -> Result<Vec<Indexed>, Fault> {
    let sql = format!(
        "SELECT {CHUNK_COLUMNS}, vectors.vector FROM chunks JOIN documents USING (document)
         LEFT JOIN vectors USING (seq) WHERE documents.name = ? ORDER BY chunks.ordinal"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut found = Vec::new();
    for name in names {
        let Some(record) = document(conn, name)? else { continue };
        let (mut chunks, mut vectors) = (Vec::new(), Vec::new());
        let mut rows = statement.query([name])?;
        while let Some(row) = rows.next()? {
            chunks.push(chunk(row)?);
            if let Some(blob) = row.get_ref(10)?.as_blob_or_null().map_err(rusqlite::Error::from)? {
                let values = blob.chunks_exact(4).filter_map(|bytes| bytes.try_into().ok().map(f32::from_le_bytes));
                vectors.push(values.collect());
            }
        }
        let vectors = record.embedded.then_some(vectors);
        found.push(Indexed { record, chunks, vectors });
    }
    Ok(found)
}

/// A chunk with those of its document around it, in order.
pub fn neighbours(conn: &Connection, id: ChunkId, before: u32, after: u32) -> Result<Vec<Chunk>, Fault> {
    let sql = format!(
        "SELECT {CHUNK_COLUMNS} FROM chunks AS middle JOIN chunks USING (document) JOIN documents USING (document)
         WHERE middle.id = ?1 AND chunks.ordinal BETWEEN middle.ordinal - ?2 AND middle.ordinal + ?3
         ORDER BY chunks.ordinal"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let found = statement.query_map((id.key(), before, after), chunk)?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn chunk(row: &Row<'_>) -> rusqlite::Result<Chunk> {
    let (key, heading, start, end): (i64, String, i64, i64) = (row.get(0)?, row.get(3)?, row.get(6)?, row.get(7)?);
    Ok(Chunk {
        id: ChunkId::from_key(key).ok_or(rusqlite::Error::IntegralValueOutOfRange(0, key))?,
        document: row.get(1)?,
        ordinal: row.get(2)?,
        heading: serde_json::from_str(&heading).map_err(|error| unreadable(3, error))?,
        lines: (row.get(4)?, row.get(5)?),
        bytes: start as usize..end as usize,
        text: row.get(8)?,
        tokens: row.get(9)?,
    })
}

fn unreadable(column: usize, error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
