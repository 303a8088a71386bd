use std::{io, path::Path};

use crate::text::one_line;

/// Why a source as a whole can't be had. A single document that can't be read is a [`crate::domain::Skip`] instead.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("there is no file or folder {path}; hint: check the spelling, or give an http(s) URL")]
    Missing { path: String },
    #[error("{path} can't be opened: {reason}")]
    Unreadable { path: String, reason: String },
    #[error("{path} is neither a file nor a folder; hint: give a document, a folder of them or an archive")]
    NotAFile { path: String },
    #[error("{path} can't be used: its name is not UTF-8; hint: rename it")]
    NameNotUtf8 { path: String },
    #[error("the glob {glob:?} can't be used: {reason}; hint: write it relative to the source, for example '**/*.md'")]
    BadGlob { glob: String, reason: String },
    #[error("{scheme}:// addresses can't be read; hint: give a path or an http(s) URL")]
    Scheme { scheme: String },
    #[error("not a URL: {reason}; hint: it should look like https://host/path/guide.md")]
    BadUrl { reason: String },
    #[error(
        "the URL of {host} carries a user name or password, which would be kept with the collection; hint: download the file yourself and give its path"
    )]
    UrlCredentials { host: String },
    #[error("{url} answered {status}{}", said(body))]
    Status { url: String, status: String, body: String },
    #[error("{url} can't be downloaded: {reason}")]
    Fetch { url: String, reason: String },
    #[error("{url} sent nothing for {seconds} s; hint: try again, or download the file yourself and give its path")]
    Stalled { url: String, seconds: u64 },
    #[error(
        "{url} is a web page, and HTML isn't read; hint: give the address of a Markdown or text file (on a code host: its raw file) or of an archive"
    )]
    WebPage { url: String },
    #[error("{place} is too large: {what}; hint: take a part of it, or unpack it and give the folder")]
    TooLarge { place: String, what: String },
    #[error("{place} can't be unpacked: {reason}; hint: it may be damaged or cut short, get it again")]
    BrokenArchive { place: String, reason: String },
    #[error("cancelled")]
    Cancelled,
    #[error("reading failed in an unexpected way: {0}; hint: please report this")]
    Internal(String),
}

impl SourceError {
    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::Unreadable { path: path.display().to_string(), reason: io_reason(error) }
    }
}

fn said(body: &str) -> String {
    if body.is_empty() { String::new() } else { format!(": {body}") }
}

/// The everyday failures in plain words.
pub(super) fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "no permission to read it".to_owned(),
        io::ErrorKind::NotFound => "it is not there any more".to_owned(),
        _ => one_line(&error.to_string()),
    }
}

/// A size in MiB for people, rounded up to a tenth so that what is over a limit looks so.
pub(super) fn mib(bytes: u64) -> String {
    let tenths = (bytes.saturating_mul(10)).div_ceil(1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// Why a document of `size` bytes is skipped.
pub(super) fn too_large(size: u64, limit: u64) -> String {
    format!("{} is more than the {} that a document may have", mib(size), mib(limit))
}
