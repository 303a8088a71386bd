use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use url::Url;

use super::{error::SourceError, filter::Filter};
use crate::{
    domain::{Chunker, SourceSpec},
    text::one_line,
};

/// Turns what a person gave into a source to scan: paths made absolute, URLs checked, globs compiled once. Touches
/// nothing but the path's metadata, so all arguments can be checked before any work.
///
/// # Errors
/// A path that does not exist or is neither file nor folder, a URL that can't be used, a bad glob.
pub fn check(location: &str, globs: Vec<String>, chunker: Chunker) -> Result<SourceSpec, SourceError> {
    let globs: Vec<String> =
        globs.into_iter().map(|glob| glob.strip_prefix("./").map_or(glob.clone(), str::to_owned)).collect();
    Filter::new(&globs)?;
    let location = match Place::parse(location)? {
        Place::Handbook => SourceSpec::HANDBOOK.to_owned(),
        Place::Url(url) => url.into(),
        Place::Path(path) => {
            let path = absolute(&path)?;
            metadata(&path)?;
            let not_utf8 = |path: PathBuf| SourceError::NameNotUtf8 { path: path.display().to_string() };
            path.into_os_string().into_string().map_err(|path| not_utf8(path.into()))?
        }
    };
    Ok(SourceSpec { location, globs, chunker })
}

#[derive(Debug)]
pub(super) enum Place {
    Handbook,
    Url(Url),
    Path(PathBuf),
}

impl Place {
    pub(super) fn parse(location: &str) -> Result<Self, SourceError> {
        if location == SourceSpec::HANDBOOK {
            return Ok(Self::Handbook);
        }
        let Some(scheme) = scheme(location) else { return Ok(Self::Path(location.into())) };
        if !matches!(scheme.as_str(), "http" | "https") {
            return Err(SourceError::Scheme { scheme });
        }
        let mut url = Url::parse(location).map_err(|error| SourceError::BadUrl { reason: error.to_string() })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SourceError::UrlCredentials { host: url.host_str().unwrap_or_default().to_owned() });
        }
        url.set_fragment(None);
        Ok(Self::Url(url))
    }
}

/// The lower-case scheme of what looks like `scheme://...`. One letter is a drive, not a scheme.
fn scheme(location: &str) -> Option<String> {
    let (scheme, _) = location.split_once("://")?;
    let plain = scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    plain.then(|| scheme.to_ascii_lowercase())
}

/// Absolute and without `.` and trailing slashes, so that one place has one name. Symbolic links stay as they are
/// unless there is a `..`, which only the file system can resolve; on Windows it means the folder that is written before.
fn absolute(path: &Path) -> Result<PathBuf, SourceError> {
    let result = if cfg!(not(windows)) && path.components().any(|part| part == Component::ParentDir) {
        fs::canonicalize(path)
    } else {
        std::path::absolute(path).map(|path| path.components().collect())
    };
    result.map_err(|error| missing_or_unreadable(path, &error))
}

/// Metadata of a file or a folder, links followed.
pub(super) fn metadata(path: &Path) -> Result<fs::Metadata, SourceError> {
    let metadata = fs::metadata(path).map_err(|error| missing_or_unreadable(path, &error))?;
    if metadata.is_dir() || metadata.is_file() {
        Ok(metadata)
    } else {
        Err(SourceError::NotAFile { path: path.display().to_string() })
    }
}

fn missing_or_unreadable(path: &Path, error: &io::Error) -> SourceError {
    match error.kind() {
        // `absolute` calls an empty path invalid; a file used as a folder has nothing in it.
        io::ErrorKind::NotFound | io::ErrorKind::InvalidInput | io::ErrorKind::NotADirectory => {
            SourceError::Missing { path: format!("\"{}\"", path.display()) }
        }
        _ => SourceError::unreadable(path, error),
    }
}

/// A URL as it may be shown and kept with documents: a query can hold a key.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.into()
}

/// A source's location as it may be shown to a person: what a URL asks for stands as `?…`, since it can hold a key.
pub fn shown_location(location: &str) -> String {
    match Place::parse(location) {
        Ok(Place::Url(url)) if url.query().is_some() => format!("{}?…", shown(&url)),
        Ok(Place::Handbook | Place::Path(_) | Place::Url(_)) | Err(_) => location.to_owned(),
    }
}

/// What a document of this URL is called: the last part of its path, or else the host.
pub(super) fn file_name(url: &Url) -> String {
    let last = url.path_segments().and_then(|mut parts| parts.rfind(|part| !part.is_empty()));
    let Some(last) = last else { return url.host_str().unwrap_or("document").to_owned() };
    let decoded = percent_encoding::percent_decode_str(last).decode_utf8_lossy();
    let plain = !decoded.contains(['/', '\\']) && one_line(&decoded) == decoded;
    if plain { decoded.into_owned() } else { last.to_owned() }
}
