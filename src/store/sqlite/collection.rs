//! One collection's files and the connections to them. Blocking: called from threads that may wait.

use std::{
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, TransactionBehavior};

use super::{
    Fault, dense, keyword,
    lock::WriteLock,
    rows,
    schema::{self, Reader},
};
use crate::{
    domain::{CollectionInfo, Hit, Metric, Vector},
    store::StoreError,
};

/// Reading connections that wait for the next reader; more are opened when needed and closed after use.
const IDLE_READERS: usize = 4;

/// A collection, whether its file is there or not.
pub struct Collection {
    pub name: String,
    folder: PathBuf,
    /// The only truth: `<name>.db`.
    pub file: PathBuf,
    /// `<name>.vec`: see [`super::side_file`].
    side_file: PathBuf,
    lock_file: PathBuf,
    pub lock: WriteLock,
    writer: Mutex<Option<Open>>,
    readers: Mutex<Vec<Open>>,
    vectors: dense::Cache,
    tuning: Tuning,
}

/// When a collection is large enough for the quicker, longer ways of searching.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Up to so many vectors are read at each search; a millisecond or two, and nothing to keep.
    pub few_vectors: usize,
    /// Up to so many chunks are all scored when they hold any word of a query.
    pub few_chunks: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { few_vectors: 1_000, few_chunks: 5_000 }
    }
}

/// A connection, and which file it is to: one of that name may have been dropped and made anew by another process.
struct Open {
    identity: Identity,
    conn: Connection,
}

impl Collection {
    pub fn new(folder: &Path, name: &str, tuning: Tuning) -> Self {
        let path = |ending: &str| folder.join(format!("{name}{ending}"));
        Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            file: path(".db"),
            side_file: path(".vec"),
            lock_file: path(".lock"),
            lock: WriteLock::new(name, path(".lock")),
            writer: Mutex::new(None),
            readers: Mutex::new(Vec::new()),
            vectors: Mutex::new(None),
            tuning,
        }
    }

    pub fn exists(&self) -> io::Result<bool> {
        Ok(identity_of(&self.file)?.is_some())
    }

    /// Reads one state of the collection, whatever is written meanwhile. `None` where there is no such collection.
    pub fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<Option<T>, Fault> {
        let Some(identity) = identity_of(&self.file)? else { return Ok(None) };
        let idle = {
            let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
            readers.retain(|open| open.identity == identity);
            readers.pop().map(|open| open.conn)
        };
        let reader = match idle {
            Some(conn) => Reader::Lasting(conn),
            None if !self.is_spelt_so()? => return Ok(None),
            None => match schema::open_reader(&self.file)? {
                Some(reader) => reader,
                None => return Ok(None),
            },
        };
        let (Reader::Lasting(conn) | Reader::Passing(conn)) = &reader;
        let transaction = conn.unchecked_transaction()?;
        let result = work(&transaction)?;
        transaction.finish()?;
        if let Reader::Lasting(conn) = reader {
            let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
            if readers.len() < IDLE_READERS {
                readers.push(Open { identity, conn });
            }
        }
        Ok(Some(result))
    }

    /// Writes as one step: all of `work` or nothing. `None` where there is no such collection and none is to be made.
    pub fn write<T>(&self, make: bool, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<Option<T>, Fault> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let identity = identity_of(&self.file)?;
        let open = match writer.take() {
            Some(open) if identity.is_some_and(|identity| identity == open.identity) => open,
            _ if identity.is_none() && !make => return Ok(None),
            _ => match self.open_writer(make)? {
                Some(open) => open,
                None => return Ok(None),
            },
        };
        let open = writer.insert(open);
        let transaction = open.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(Some(result))
    }

    fn open_writer(&self, make: bool) -> Result<Option<Open>, Fault> {
        if make {
            crate::folder::make_private(&self.folder)?;
            let clash = names(&self.folder)?.into_iter().find(|name| name.eq_ignore_ascii_case(&self.name));
            if let Some(other) = clash.filter(|other| *other != self.name) {
                let reason = format!(
                    "there is {other:?}, and some file systems take the two names for one; hint: choose another"
                );
                return Err(Fault::Bad(reason));
            }
        } else if !self.is_spelt_so()? {
            return Ok(None);
        }
        let conn = schema::open_writer(&self.file)?;
        Ok(identity_of(&self.file)?.map(|identity| Open { identity, conn }))
    }

    /// Whether the file that answers to this name has this name, which a file system may write in other letters.
    fn is_spelt_so(&self) -> io::Result<bool> {
        Ok(names(&self.folder)?.contains(&self.name))
    }

    /// Whether there was anything to drop. The caller holds the write lock; `release` whether for this only.
    pub fn drop_files(&self, release: bool) -> Result<bool, Fault> {
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        *self.vectors.lock().unwrap_or_else(PoisonError::into_inner) = None;
        // The collection is gone with its file; what is left of the others after a crash in between does no harm.
        let existed = remove(&self.file)?;
        remove(&schema::log_path(&self.file))?;
        remove(&schema::shared_memory_path(&self.file))?;
        remove(&self.side_file)?;
        super::side_file::remove_unfinished(&self.side_file)?;
        // Only where others who wait for this lock can tell that the file is gone (see `is_still_there`).
        if release && cfg!(unix) {
            remove(&self.lock_file)?;
        }
        Ok(existed)
    }

    pub fn info(&self, conn: &Connection) -> Result<CollectionInfo, Fault> {
        let (documents, passages, without_vectors) = rows::counts(conn)?;
        let fingerprint = rows::fingerprint(conn)?;
        let files = [&self.file, &schema::log_path(&self.file), &self.side_file];
        let bytes = files.into_iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum();
        Ok(CollectionInfo {
            name: self.name.clone(),
            documents,
            passages,
            without_vectors,
            metric: fingerprint.as_ref().map_or(Metric::Ip, |fingerprint| fingerprint.metric),
            dim: fingerprint.as_ref().map(|fingerprint| fingerprint.dim),
            fingerprint,
            index: "exact scan".to_owned(),
            foreign: false,
            bytes: Some(bytes),
            sources: rows::sources(conn)?,
        })
    }

    pub fn search_dense(&self, conn: &Connection, vector: &Vector, limit: usize) -> Result<Vec<Hit>, Fault> {
        dense::search(conn, &self.vectors, &self.side_file, self.tuning.few_vectors, vector, limit)
    }

    pub fn search_keyword(&self, conn: &Connection, query: &str, limit: usize) -> Result<Vec<Hit>, Fault> {
        keyword::search(conn, query, limit, self.tuning.few_chunks)
    }
}

/// The collections in a folder, by name.
pub fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let file_name = entry?.file_name();
        let name = file_name.to_str().and_then(|file| file.strip_suffix(".db"));
        names.extend(name.filter(|name| check_name(name).is_ok()).map(str::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}

const NAME_RULE: &str = "letters, digits, `_`, `-` and `.`, at most 64, a letter or digit first";
const NO_DEVICE: &str = "Windows takes it for a device, as it does `con`, `nul` and `com1`";

/// Whether a collection may be called so; only such names ever become part of a path.
pub fn check_name(name: &str) -> Result<(), StoreError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let ok = name.len() <= 64 && name.chars().all(plain) && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    match ok {
        true if cfg!(windows) && is_device(name) => Err(StoreError::BadName { name: name.to_owned(), rule: NO_DEVICE }),
        true => Ok(()),
        false => Err(StoreError::BadName { name: name.to_owned(), rule: NAME_RULE }),
    }
}

/// Whether a file of this name, with whatever ending, is a device on Windows.
fn is_device(name: &str) -> bool {
    let name = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let number = name.strip_prefix("com").or_else(|| name.strip_prefix("lpt"));
    matches!(name.as_str(), "con" | "prn" | "aux" | "nul")
        || number.is_some_and(|number| number.len() == 1 && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether there was a file to remove.
fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Tells a file from another that has its name later. Where a system has no such thing, it does not let an open file be
/// removed either, so that all are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64);

fn identity_of(path: &Path) -> io::Result<Option<Identity>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(identity(&metadata))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an open file is still the one at this path.
pub fn is_still_there(file: &File, path: &Path) -> io::Result<bool> {
    Ok(identity_of(path)? == Some(identity(&file.metadata()?)))
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    Identity(metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Identity {
    Identity(0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_known_by_name() {
        for name in ["nul", "CON", "aux.notes", "com1", "Lpt9.md"] {
            assert!(is_device(name), "{name}");
        }
        for name in ["null", "console", "com", "com10", "comet", "docs.con"] {
            assert!(!is_device(name), "{name}");
        }
        assert_eq!(check_name("nul").is_err(), cfg!(windows));
    }
}
