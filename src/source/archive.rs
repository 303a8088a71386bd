//! Unpacking .zip, .tar and .tar.gz into memory. Nothing an archive says is trusted: sizes are counted as they come,
//! names are checked, links never followed, and nothing is written.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io::{self, BufReader, Read, Seek, SeekFrom},
};

use flate2::read::MultiGzDecoder;
use tokio_util::sync::CancellationToken;
use zip::{ZipArchive, result::ZipError};

use super::{
    Data, Entry, Limits, Scan,
    error::{SourceError, io_reason, mib, too_large},
    filter::{self, Filter, Verdict, extension, unread},
};
use crate::text::one_line;

/// More than any sane table of contents or long file name takes, in bytes.
const MAX_DIRECTORY: u64 = 64 << 20;
const MAX_HEADER: u64 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Zip,
    Tar,
    TarGz,
}

impl Format {
    /// Tells an archive by its name, the server's word for it, or its first 512 bytes. Office documents and e-books are
    /// zip files as well, but no archives to a person.
    pub(super) fn of(name: &str, content_type: Option<&str>, head: &[u8]) -> Option<Self> {
        if matches!(filter::kind(name), Verdict::Unread(_)) {
            return None;
        }
        let lower = name.to_ascii_lowercase();
        match extension(&lower).as_str() {
            "zip" => return Some(Self::Zip),
            "tgz" => return Some(Self::TarGz),
            "tar" => return Some(Self::Tar),
            "gz" if lower.ends_with(".tar.gz") => return Some(Self::TarGz),
            _ => {}
        }
        match content_type {
            Some("application/zip" | "application/x-zip-compressed") => Some(Self::Zip),
            Some("application/gzip" | "application/x-gzip" | "application/x-gtar" | "application/x-tgz") => {
                Some(Self::TarGz)
            }
            Some("application/x-tar") => Some(Self::Tar),
            _ if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") => Some(Self::Zip),
            _ if head.starts_with(b"\x1f\x8b") => Some(Self::TarGz),
            _ if head.get(257..262) == Some(b"ustar") => Some(Self::Tar),
            _ => None,
        }
    }
}

/// Takes the wanted documents out of an archive. `place` is its path or URL.
///
/// # Errors
/// When it is damaged, cut short, or larger as a whole than the limits allow. A single member that can't be had is a
/// skip.
pub(super) fn unpack(
    format: Format,
    reader: impl Read + Seek,
    place: &str,
    filter: Filter,
    limits: Limits,
    cancel: &CancellationToken,
) -> Result<Scan, SourceError> {
    let mut unpacking =
        Unpacking { place, filter, limits, documents: BTreeMap::new(), scan: Scan::default(), kept: 0, members: 0 };
    let packed = Meter::new(place, "it", cancel);
    let unpacked = Meter::new(place, "what it unpacks to", cancel);
    unpacked.limit.set(limits.unpacked);
    let reader = packed.watch(reader);
    match format {
        Format::Zip => unpacking.zip(reader, &packed, &unpacked)?,
        Format::Tar => unpacking.tar(unpacked.watch(BufReader::new(reader)), &unpacked)?,
        Format::TarGz => unpacking.tar(unpacked.watch(MultiGzDecoder::new(BufReader::new(reader))), &unpacked)?,
    }
    let Unpacking { documents, mut scan, .. } = unpacking;
    scan.entries = documents.into_values().collect();
    scan.finish(&format!("{place}!/"));
    Ok(scan)
}

struct Unpacking<'a> {
    place: &'a str,
    filter: Filter,
    limits: Limits,
    /// By name: a later member replaces an earlier one of its name.
    documents: BTreeMap<String, Entry>,
    scan: Scan,
    kept: u64,
    members: usize,
}

impl Unpacking<'_> {
    fn zip<R: Read + Seek>(
        &mut self,
        reader: Watched<'_, R>,
        packed: &Meter<'_>,
        unpacked: &Meter<'_>,
    ) -> Result<(), SourceError> {
        packed.limit.set(MAX_DIRECTORY);
        let opened = ZipArchive::new(BufReader::new(reader));
        let mut archive = opened.map_err(|error| packed.failure(&zip_reason(&error)))?;
        packed.limit.set(u64::MAX);
        for index in 0..archive.len() {
            self.count_member()?;
            let entry = archive.by_index_data(index).map_err(|error| packed.failure(&zip_reason(&error)))?;
            let raw_name = entry.name().map(|name| name.replace('\\', "/")).unwrap_or_default();
            if entry.is_dir() {
                continue;
            }
            let (size, compressed) = (entry.size(), entry.compressed_size());
            let obstacle = if entry.encrypted() {
                Some("encrypted; unpack it with its password first".to_owned())
            } else if entry.is_symlink() {
                Some(LINK.to_owned())
            } else if size > compressed.max(1024).saturating_mul(self.limits.ratio) {
                Some(format!(
                    "it unpacks to more than {} times its packed size, which no prose does",
                    self.limits.ratio
                ))
            } else {
                None
            };
            let Some(name) = self.wanted(&raw_name, obstacle, size) else { continue };
            let mut bytes = Vec::new();
            let read = archive.by_index(index).map_err(|error| zip_reason(&error)).and_then(|member| {
                let mut member = unpacked.watch(member.take(self.limits.document + 1));
                member.read_to_end(&mut bytes).map_err(|error| io_reason(&error))
            });
            match read {
                Ok(_) => self.keep(name, bytes)?,
                Err(reason) => match packed.tripped.take().or_else(|| unpacked.tripped.take()) {
                    Some(error) => return Err(error),
                    None => self.scan.skip(name, format!("damaged in the archive: {reason}")),
                },
            }
        }
        Ok(())
    }

    fn tar(&mut self, reader: impl Read, unpacked: &Meter<'_>) -> Result<(), SourceError> {
        let failed = |error: io::Error| unpacked.failure(&io_reason(&error));
        let mut archive = tar::Archive::new(reader);
        let mut entries = archive.entries().map_err(failed)?;
        loop {
            // Between members there are only headers, and the library keeps long ones in memory.
            unpacked.limit.set(self.limits.unpacked.min(unpacked.read.get().saturating_add(MAX_HEADER)));
            let Some(entry) = entries.next() else { break };
            unpacked.limit.set(self.limits.unpacked);
            let mut entry = entry.map_err(failed)?;
            self.count_member()?;
            let size = entry.size();
            let kind = entry.header().entry_type();
            let raw_name = String::from_utf8(entry.path_bytes().into_owned()).unwrap_or_default();
            let passed_over = kind.is_dir() || kind.is_pax_global_extensions() || raw_name.ends_with('/');
            let obstacle = if kind.is_symlink() || kind.is_hard_link() {
                Some(LINK.to_owned())
            } else if !kind.is_file() && !kind.is_contiguous() && !kind.is_gnu_sparse() {
                Some("not a regular file".to_owned())
            } else {
                None
            };
            let name = if passed_over { None } else { self.wanted(&raw_name, obstacle, size) };
            let mut bytes = Vec::new();
            if name.is_some() {
                entry.by_ref().take(self.limits.document).read_to_end(&mut bytes).map_err(failed)?;
            }
            // The rest of it, so that the limit of the headers begins behind it.
            io::copy(&mut entry, &mut io::sink()).map_err(failed)?;
            if let Some(name) = name {
                self.keep(name, bytes)?;
            }
        }
        unpacked.limit.set(self.limits.unpacked);
        // Only at its very end does a compressed stream prove that it is whole.
        io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(failed)?;
        Ok(())
    }

    fn count_member(&mut self) -> Result<(), SourceError> {
        self.members += 1;
        if self.members > self.limits.members {
            let what = format!("it holds more than {} files", self.limits.members);
            return Err(SourceError::TooLarge { place: self.place.to_owned(), what });
        }
        Ok(())
    }

    /// The name to keep a member under, if it is wanted and nothing speaks against it.
    fn wanted(&mut self, raw_name: &str, obstacle: Option<String>, size: u64) -> Option<String> {
        let name = match safe_name(raw_name) {
            Ok(name) => name,
            Err(reason) => {
                self.scan.skip(raw_name, reason);
                return None;
            }
        };
        // As in folders.
        if name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX") {
            return None;
        }
        let reason = match self.filter.judge(&name) {
            Verdict::Unasked => return None,
            Verdict::NoProse => {
                self.scan.ignored += 1;
                return None;
            }
            Verdict::Archive => Some("an archive inside an archive isn't opened; unpack it first".to_owned()),
            Verdict::Unread(kind) => Some(unread(kind)),
            Verdict::Read => {
                obstacle.or_else(|| (size > self.limits.document).then(|| too_large(size, self.limits.document)))
            }
        };
        match reason {
            None => Some(name),
            Some(reason) => {
                self.scan.skip(name, reason);
                None
            }
        }
    }

    fn keep(&mut self, name: String, bytes: Vec<u8>) -> Result<(), SourceError> {
        let size = bytes.len() as u64;
        if size > self.limits.document {
            self.scan.skip(name, "it is larger than the archive says");
            return Ok(());
        }
        self.kept += size;
        if self.kept > self.limits.kept {
            let what = format!("its documents together are more than {}", mib(self.limits.kept));
            return Err(SourceError::TooLarge { place: self.place.to_owned(), what });
        }
        let location = format!("{}!/{name}", self.place);
        let data = Data::Bytes(bytes.into());
        self.documents.insert(name.clone(), Entry { name, location, size, modified_ns: None, data });
        Ok(())
    }
}

const LINK: &str = "a link inside an archive, which isn't followed";

/// A member's path in plain form: forward slashes, no `.` and no empty parts.
fn safe_name(raw: &str) -> Result<String, &'static str> {
    let drive = raw.as_bytes().get(1) == Some(&b':') && raw.starts_with(|c: char| c.is_ascii_alphabetic());
    if raw.starts_with('/') || drive {
        return Err("its name in the archive is an absolute path");
    }
    if raw.contains('\0') {
        return Err("its name in the archive holds a zero byte");
    }
    let parts: Vec<&str> = raw.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err("its name leads out of the archive");
    }
    if parts.is_empty() { Err("its name in the archive can't be read") } else { Ok(parts.join("/")) }
}

fn zip_reason(error: &ZipError) -> String {
    match error {
        ZipError::Io(error) => io_reason(error),
        _ => one_line(&error.to_string()),
    }
}

/// Counts the bytes of a stream, and stops it when there are too many or the work was cancelled.
struct Meter<'a> {
    place: &'a str,
    what: &'static str,
    cancel: &'a CancellationToken,
    read: Cell<u64>,
    limit: Cell<u64>,
    /// Why the stream was stopped; libraries between turn the error that they were given into others.
    tripped: RefCell<Option<SourceError>>,
}

impl<'a> Meter<'a> {
    fn new(place: &'a str, what: &'static str, cancel: &'a CancellationToken) -> Self {
        Self { place, what, cancel, read: Cell::new(0), limit: Cell::new(u64::MAX), tripped: RefCell::default() }
    }

    fn watch<R>(&'a self, inner: R) -> Watched<'a, R> {
        Watched { inner, meter: self }
    }

    /// Why the stream was stopped, or else that the archive is broken.
    fn failure(&self, reason: &str) -> SourceError {
        let broken = || SourceError::BrokenArchive { place: self.place.to_owned(), reason: reason.to_owned() };
        self.tripped.take().unwrap_or_else(broken)
    }
}

struct Watched<'a, R> {
    inner: R,
    meter: &'a Meter<'a>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let meter = self.meter;
        let read = self.inner.read(buffer)?;
        meter.read.set(meter.read.get() + read as u64);
        let stop = if meter.cancel.is_cancelled() {
            SourceError::Cancelled
        } else if meter.read.get() > meter.limit.get() {
            let what = format!("{} (or a table or name in it) is more than {}", meter.what, mib(meter.limit.get()));
            SourceError::TooLarge { place: meter.place.to_owned(), what }
        } else {
            return Ok(read);
        };
        meter.tripped.replace(Some(stop));
        Err(io::Error::other("stopped"))
    }
}

impl<R: Seek> Seek for Watched<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
