//! What can go wrong inside the engine, and how a person is told.

use std::{io, path::Path};

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// An error that does not know yet what it kept from being done.
#[derive(Debug)]
pub enum Fault {
    Sql(rusqlite::Error),
    Io(io::Error),
    /// What was asked makes no sense; the text says why.
    Bad(String),
    /// Says everything itself.
    Store(StoreError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Fault {
    pub fn during(self, action: &'static str, place: &Path) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Sql(error) => {
                let hint = error.sqlite_error_code().and_then(sql_hint);
                failed(action, place, &error.to_string(), hint)
            }
            Self::Io(error) => failed(action, place, &error.to_string(), io_hint(error.kind())),
            Self::Bad(reason) => failed(action, place, &reason, None),
        }
    }
}

const FULL: &str = "free some space and try again; what was stored before is untouched";
const FAILING: &str = "the disk may be full or failing; what was stored before is untouched";
const NOT_WRITABLE: &str = "make the folder writable, or set ASKDOCS_HOME to one that is; searching works without";
const DAMAGED: &str = "`askdocs collections drop` it and ingest again";

fn sql_hint(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::DiskFull => Some(FULL),
        ErrorCode::SystemIoFailure => Some(FAILING),
        ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => Some(NOT_WRITABLE),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Some(DAMAGED),
        _ => None,
    }
}

fn io_hint(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Some(FULL),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Some(NOT_WRITABLE),
        _ => None,
    }
}

fn failed(action: &'static str, place: &Path, reason: &str, hint: Option<&str>) -> StoreError {
    let reason = hint.map_or_else(|| reason.to_owned(), |hint| format!("{reason}; hint: {hint}"));
    StoreError::Failed { action, place: place.display().to_string(), reason }
}
