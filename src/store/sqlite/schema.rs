//! The file of one collection: its tables, its format number, and how a connection to it is opened.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::fault::Fault;
use crate::store::StoreError;

/// How long SQLite waits for another connection by itself: for a checkpoint or a reader that recovers a log, since
/// writers already wait for each other at the collection's write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Each step brings a file from its index's format to the next; a file's `user_version` counts the steps it has had.
/// Never change a step that was released: add one.
pub const MIGRATIONS: &[&str] = &[
    // `chunks.seq` numbers chunks in the order of their insertion and is never used twice (AUTOINCREMENT): the full
    // text index keeps short distances between neighbours, and a chunk that is stored anew gets a new number, by which
    // a side file of vectors sees that it changed. The index of `vectors` lists the living numbers without reading
    // the vectors. The full text index keeps no text of its own.
    "PRAGMA application_id = 0x61736b64;
     CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
     CREATE TABLE sources (position INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, spec TEXT NOT NULL);
     CREATE TABLE documents (
         document INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, location TEXT NOT NULL, source TEXT NOT NULL,
         content TEXT NOT NULL, size INTEGER NOT NULL, modified_ns INTEGER, passages INTEGER NOT NULL,
         embedded INTEGER NOT NULL);
     CREATE TABLE chunks (
         seq INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL UNIQUE, document INTEGER NOT NULL,
         ordinal INTEGER NOT NULL, heading TEXT NOT NULL, first_line INTEGER NOT NULL, last_line INTEGER NOT NULL,
         first_byte INTEGER NOT NULL, end_byte INTEGER NOT NULL, tokens INTEGER NOT NULL, text TEXT NOT NULL,
         UNIQUE (document, ordinal));
     CREATE TABLE vectors (seq INTEGER PRIMARY KEY, id INTEGER NOT NULL, vector BLOB NOT NULL);
     CREATE INDEX vectors_living ON vectors (id);
     CREATE VIRTUAL TABLE passages USING fts5 (
         heading, text, content = '', contentless_delete = 1, tokenize = 'porter unicode61 remove_diacritics 2');
     INSERT INTO meta VALUES ('incarnation', random()), ('revision', random());",
];

/// Marks a file as a collection of this program.
const APPLICATION_ID: i64 = 0x6173_6b64;

/// A connection that reads, and whether it may be kept for later. `None` for a file that was begun and never filled.
pub enum Reader {
    /// An ordinary connection.
    Lasting(Connection),
    /// Reads a file in a folder where nothing can be written, as it was when it was opened: not to be kept.
    Passing(Connection),
}

/// Opens a collection's file for reading; `None` when it holds no collection (yet).
pub fn open_reader(path: &Path) -> Result<Option<Reader>, Fault> {
    let (conn, format) = match connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE) {
        Ok(open) => open,
        // Reading beside a writer takes a file of shared memory next to the collection. Where that can't be made,
        // nobody can have written since the last clean end, so the file may be read as it stands: unless a log is
        // left over, without which the file may be half of one state and half of another.
        Err(Fault::Sql(error)) if is_unwritable(&error) && log_is_empty(path).map_err(Fault::Io)? => {
            let uri = format!("{}?immutable=1", file_uri(path));
            let (conn, format) =
                connect(Path::new(&uri), OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)?;
            return Ok(check_format(&conn, path, format)?.then_some(Reader::Passing(conn)));
        }
        Err(error) => return Err(error),
    };
    if !check_format(&conn, path, format)? {
        return Ok(None);
    }
    if format < MIGRATIONS.len() {
        drop(conn);
        drop(open_writer(path)?);
        return open_reader(path);
    }
    conn.pragma_update(None, "query_only", true)?;
    Ok(Some(Reader::Lasting(conn)))
}

/// Opens a collection's file for writing; makes it, or brings it to the present format, where needed.
pub fn open_writer(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let (mut conn, format) = connect(path, flags)?;
    check_format(&conn, path, format)?;
    // NORMAL: what is committed survives the end of the process, however sudden. After a power cut the last documents
    // may be missing, never half there, and the next ingest sees that they are and stores them again. FULL would spare
    // that work and waits for the disk at every document: 5.7 ms instead of 2.8 where it was measured.
    conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216")?;
    migrate(&mut conn, MIGRATIONS)?;
    Ok(conn)
}

/// Takes the steps that a file has not had yet, all or none.
fn migrate(conn: &mut Connection, steps: &[&str]) -> Result<(), Fault> {
    if format_of(conn)? >= steps.len() {
        return Ok(());
    }
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been quicker.
    let done = format_of(&transaction)?;
    for step in steps.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", i64::try_from(steps.len().max(done)).unwrap_or(i64::MAX))?;
    transaction.commit()?;
    Ok(())
}

fn connect(path: &Path, flags: OpenFlags) -> Result<(Connection, usize), Fault> {
    let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(32);
    let format = format_of(&conn)?;
    Ok((conn, format))
}

fn format_of(conn: &Connection) -> Result<usize, Fault> {
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // A negative number is nobody's format; as the largest one it is refused with the newer ones.
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// Whether the file holds a collection; an error when it holds something else.
fn check_format(conn: &Connection, path: &Path, format: usize) -> Result<bool, Fault> {
    let known = MIGRATIONS.len();
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    if tables == 0 {
        return Ok(false);
    }
    // After the tables: both come in one step, and another process may take it between these lines.
    let application: i64 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let place = path.display().to_string();
    if application != APPLICATION_ID {
        let reason = "it is a database of another program; hint: move it elsewhere".to_owned();
        return Err(Fault::Store(StoreError::Failed { action: "open", place, reason }));
    }
    if format > known {
        let (found, known) = (i64::try_from(format).unwrap_or(i64::MAX), i64::try_from(known).unwrap_or(i64::MAX));
        return Err(Fault::Store(StoreError::TooNew { path: place, found, known }));
    }
    Ok(true)
}

fn is_unwritable(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::SystemIoFailure)
    )
}

fn log_is_empty(path: &Path) -> io::Result<bool> {
    match fs::metadata(log_path(path)) {
        Ok(log) => Ok(log.len() == 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// SQLite's write-ahead log of a collection's file.
pub fn log_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// SQLite's shared memory of a collection's file.
pub fn shared_memory_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-shm");
    name.into()
}

/// A path as SQLite takes it when options follow: everything but plain characters percent-encoded.
fn file_uri(path: &Path) -> String {
    let text = path.to_string_lossy();
    let text = if cfg!(windows) { text.replace('\\', "/") } else { text.into_owned() };
    // A drive has no slash in front, a server's name has two.
    let mut uri = String::from(if text.starts_with('/') { "file://" } else { "file:///" });
    for byte in text.bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b':' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_being_made_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..100 {
            let file = folder.path().join(format!("{round}.db"));
            std::thread::scope(|scope| {
                scope.spawn(|| drop(open_writer(&file).unwrap()));
                scope.spawn(|| while !file.exists() || open_reader(&file).unwrap().is_none() {});
            });
        }
    }

    #[test]
    fn a_path_becomes_an_address() {
        assert_eq!(file_uri(Path::new("/a b/ü.db")), "file:///a%20b/%C3%BC.db");
        if cfg!(windows) {
            assert_eq!(file_uri(Path::new(r"C:\kb\a?.db")), "file:///C:/kb/a%3F.db");
            assert_eq!(file_uri(Path::new(r"\\server\share\a.db")), "file:////server/share/a.db");
        }
    }

    #[test]
    fn a_file_takes_the_steps_it_lacks_and_keeps_its_rows() {
        let mut conn = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE a (x); INSERT INTO a VALUES (1)", "ALTER TABLE a ADD COLUMN y DEFAULT 2"];
        migrate(&mut conn, &steps[..1]).unwrap();
        migrate(&mut conn, &steps).unwrap();
        migrate(&mut conn, &steps).unwrap();
        let row = conn.query_row("SELECT x, y FROM a", (), |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
        assert_eq!(row.unwrap(), (1, 2));
        assert!(migrate(&mut conn, &["", "", "CREATE TABLE b (x); nonsense"]).is_err());
        assert_eq!(format_of(&conn).unwrap(), 2, "a step that fails leaves the file as it was");
        assert!(conn.prepare("SELECT * FROM b").is_err());
    }
}
