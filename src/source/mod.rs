//! From a place to chunks: walk → read → extract → chunk. Files, folders, archives, `http(s)` URLs and the handbook that
//! is compiled in all give the same [`Entry`]s.
//!
//! It knows no embedding model (the chunker is given a token counter) and no store: what has changed since the last
//! time is for its callers to find out. It writes nothing but an unnamed temporary file for a large download. Names
//! and places that it returns are as they were found: whoever shows them sanitises them.

mod archive;
mod chunk;
mod error;
mod extract;
mod fetch;
mod filter;
mod handbook;
mod markdown;
mod pack;
mod place;
#[cfg(test)]
mod tests;
mod walk;

use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

pub use chunk::chunk;
pub use error::SourceError;
use filter::{Filter, Verdict};
use place::Place;
pub use place::{check, shown_location};
use tokio_util::sync::CancellationToken;

use crate::domain::{Chunker, Progress, Skip, SourceSpec, Stage};

/// What a source holds.
#[derive(Debug, Default)]
pub struct Scan {
    /// Documents to read, by name.
    pub entries: Vec<Entry>,
    /// What was asked for and can't be had, by name.
    pub skipped: Vec<Skip>,
    /// Files passed over because their kind holds no prose, such as pictures.
    pub ignored: u64,
}

/// A document that was found and not yet read.
#[derive(Debug)]
pub struct Entry {
    /// Its path below the source's root with forward slashes; a single file's own name.
    pub name: String,
    /// An absolute path, or the archive's path or URL, `!/` and the path inside. Never holds a URL's query.
    pub location: String,
    /// Length in bytes.
    pub size: u64,
    /// Time of last change in nanoseconds since 1970; only files have one, what comes out of archives has not.
    pub modified_ns: Option<i64>,
    data: Data,
}

#[derive(Debug)]
enum Data {
    File(PathBuf),
    Bytes(Cow<'static, [u8]>),
}

/// A document as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// UTF-8 without a byte order mark. Chunks' byte offsets count in this text.
    pub text: String,
    /// For [`crate::domain::DocumentRecord::content`]: sha256 of the bytes as they were found, in hexadecimal, a space,
    /// and the chunker's version.
    pub content: String,
}

/// Why a document that was found gives no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// It could not be read this time; what was known of it may still hold.
    #[error("{0}")]
    Failed(String),
    /// It was read and is no document: empty, binary, not UTF-8, too large.
    #[error("{0}")]
    NoText(String),
}

impl Entry {
    /// Reads the whole document. Blocks on files.
    ///
    /// # Errors
    /// Why it has to be skipped: unreadable, or binary, not UTF-8, empty or too large.
    pub fn read(&self, chunker: &Chunker) -> Result<Document, Unread> {
        let bytes = match &self.data {
            Data::Bytes(bytes) => Cow::Borrowed(bytes.as_ref()),
            Data::File(path) => {
                let mut bytes = Vec::new();
                File::open(path)
                    .and_then(|file| file.take(Limits::DEFAULT.document + 1).read_to_end(&mut bytes))
                    .map_err(|error| Unread::Failed(error::io_reason(&error)))?;
                Cow::Owned(bytes)
            }
        };
        // An old Word file is just "binary" by its bytes; its name tells more.
        let better =
            |reason| if let Verdict::Unread(kind) = filter::kind(&self.name) { filter::unread(kind) } else { reason };
        let text = extract::text(&bytes, Limits::DEFAULT.document).map_err(|reason| Unread::NoText(better(reason)))?;
        Ok(Document { content: extract::content(&bytes, chunker), text })
    }
}

/// Bounds on what comes from outside. Sizes in bytes.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// One document.
    document: u64,
    /// One download.
    download: u64,
    /// Everything an archive unpacks to.
    unpacked: u64,
    /// What is kept of an archive in memory.
    kept: u64,
    /// Files and folders in an archive.
    members: usize,
    /// How many times larger than packed a document in a .zip may be; prose stays below 20.
    ratio: u64,
    /// Without a byte for this long a download fails.
    stall: Duration,
}

impl Limits {
    const DEFAULT: Self = Self {
        document: 16 << 20,
        download: 512 << 20,
        unpacked: 1 << 30,
        kept: 256 << 20,
        members: 100_000,
        ratio: 200,
        stall: Duration::from_secs(30),
    };
}

/// Lists the documents of a source. Files are listed and not read; URLs are downloaded (with byte progress) and
/// archives unpacked into memory.
///
/// What matches no glob is passed over in silence. Nothing found is no error: see whether `entries` is empty.
///
/// # Errors
/// When the source as a whole can't be had: no such path, a failed download, a broken archive, cancelled.
pub async fn scan(spec: &SourceSpec, progress: &Progress, cancel: &CancellationToken) -> Result<Scan, SourceError> {
    scan_within(spec, Limits::DEFAULT, progress, cancel).await
}

async fn scan_within(
    spec: &SourceSpec,
    limits: Limits,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Scan, SourceError> {
    let filter = Filter::new(&spec.globs)?;
    progress.set_stage(Stage::Scanning);
    match Place::parse(&spec.location)? {
        Place::Handbook => Ok(handbook::scan(&filter)),
        Place::Path(path) => blocking(cancel, move |cancel| scan_path(&path, filter, limits, cancel)).await,
        Place::Url(url) => {
            progress.set_current(&place::shown(&url));
            let download = fetch::fetch(&url, &limits, progress, cancel).await?;
            progress.set_stage(Stage::Scanning);
            blocking(cancel, move |cancel| scan_download(&url, download, filter, limits, cancel)).await
        }
    }
}

/// Runs blocking work that watches its token, and leaves it behind, cancelled, when the caller stops waiting.
async fn blocking<T: Send + 'static>(
    cancel: &CancellationToken,
    work: impl FnOnce(&CancellationToken) -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    let child = cancel.child_token();
    let _cancels_when_dropped = child.clone().drop_guard();
    let task = tokio::task::spawn_blocking(move || work(&child));
    match cancel.run_until_cancelled(task).await {
        Some(Ok(result)) => result,
        // The task panicked, or the runtime is shutting down.
        Some(Err(error)) if error.is_panic() => Err(SourceError::Internal(error.to_string())),
        Some(Err(_)) | None => Err(SourceError::Cancelled),
    }
}

fn scan_path(path: &Path, filter: Filter, limits: Limits, cancel: &CancellationToken) -> Result<Scan, SourceError> {
    let metadata = place::metadata(path)?;
    if metadata.is_dir() {
        return walk::walk(path, &filter, &limits, cancel);
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let location = path.to_string_lossy().into_owned();
    let head = File::open(path).and_then(|mut file| head(&mut file));
    // A file that can't be opened is a document to skip, unless its name says that it is an archive.
    let format = archive::Format::of(&name, None, head.as_deref().unwrap_or_default());
    if let Some(format) = format {
        let unreadable = |error: io::Error| SourceError::unreadable(path, &error);
        let file = File::open(path).map_err(unreadable)?;
        return archive::unpack(format, file, &location, filter, limits, cancel);
    }
    let mut scan = Scan::default();
    if filter.takes(&name) {
        let modified_ns = walk::modified_ns(&metadata);
        let data = Data::File(path.to_owned());
        scan.entries.push(Entry { name, location, size: metadata.len(), modified_ns, data });
    }
    Ok(scan)
}

fn scan_download(
    url: &url::Url,
    download: fetch::Download,
    filter: Filter,
    limits: Limits,
    cancel: &CancellationToken,
) -> Result<Scan, SourceError> {
    let (location, name) = (place::shown(url), place::file_name(url));
    let fetch::Download { mut body, size, content_type } = download;
    let failed = |error: io::Error| SourceError::Fetch { url: location.clone(), reason: error::io_reason(&error) };
    let head = head(&mut body).map_err(failed)?;
    if let Some(format) = archive::Format::of(&name, content_type.as_deref(), &head) {
        return archive::unpack(format, body, &location, filter, limits, cancel);
    }
    if extract::is_web_page(content_type.as_deref(), &head) {
        return Err(SourceError::WebPage { url: location });
    }
    let mut scan = Scan::default();
    if filter.takes(&name) {
        let mut bytes = Vec::new();
        body.take(limits.document + 1).read_to_end(&mut bytes).map_err(failed)?;
        scan.entries.push(Entry { name, location, size, modified_ns: None, data: Data::Bytes(bytes.into()) });
    }
    Ok(scan)
}

/// The first bytes, enough to tell formats apart; the reader is at the start again afterwards.
fn head(reader: &mut (impl Read + Seek)) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    reader.take(512).read_to_end(&mut head)?;
    reader.seek(SeekFrom::Start(0))?;
    Ok(head)
}
