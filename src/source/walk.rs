use std::{
    fs::{self, Metadata},
    path::Path,
    time::UNIX_EPOCH,
};

use ignore::WalkBuilder;
use tokio_util::sync::CancellationToken;

use super::{
    Data, Entry, Limits, Scan,
    error::{SourceError, io_reason, too_large},
    filter::{Filter, Verdict, unread},
};
use crate::{domain::Skip, text::one_line};

/// Lists a folder, by name. Hidden files and what `.gitignore` and `.ignore` name are left out, in or out of a
/// repository; inside one, the ignore files above the folder count too, up to the repository's root.
///
/// Symbolic links are not followed: one to a place inside the folder is passed over, since its target is listed by its
/// own name; one that leads out of it is a skip.
pub(super) fn walk(
    root: &Path,
    filter: &Filter,
    limits: &Limits,
    cancel: &CancellationToken,
) -> Result<Scan, SourceError> {
    // The walk starts from where a link as root leads to; names stay below the root as it was given.
    let real_root = fs::canonicalize(root).map_err(|error| SourceError::unreadable(root, &error))?;
    let in_repository = real_root.ancestors().any(|folder| folder.join(".git").exists());
    let walk = WalkBuilder::new(&real_root)
        .parents(in_repository)
        // A person's own ignore file would make the same folder differ from machine to machine.
        .git_global(false)
        .require_git(false)
        .follow_links(false)
        .build();
    let mut scan = Scan::default();
    for found in walk {
        if cancel.is_cancelled() {
            return Err(SourceError::Cancelled);
        }
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                let (path, reason) = explain(&error);
                let path = path.unwrap_or(&real_root);
                if path == real_root {
                    return Err(SourceError::Unreadable { path: root.display().to_string(), reason });
                }
                scan.skip(path.strip_prefix(&real_root).unwrap_or(path).to_string_lossy(), reason);
                continue;
            }
        };
        let Some(kind) = found.file_type() else { continue };
        if kind.is_dir() {
            continue;
        }
        let below = found.path().strip_prefix(&real_root).unwrap_or(found.path());
        let parts: Option<Vec<&str>> = below.iter().map(|part| part.to_str()).collect();
        let Some(name) = parts.map(|parts| parts.join("/")) else {
            scan.skip(below.to_string_lossy(), "its name is not UTF-8; rename it");
            continue;
        };
        if kind.is_symlink() {
            let target = fs::canonicalize(found.path());
            let asked = filter.judge(&name) == Verdict::Read || target.as_ref().is_ok_and(|target| target.is_dir());
            match target {
                Ok(target) if target.starts_with(&real_root) => {}
                Ok(_) if asked => {
                    scan.skip(name, "a symbolic link that leads out of the folder; give its target as well")
                }
                Err(_) if asked => scan.skip(name, "a symbolic link that leads nowhere"),
                Ok(_) | Err(_) => {}
            }
            continue;
        }
        match filter.judge(&name) {
            Verdict::Unasked => {}
            Verdict::NoProse | Verdict::Archive => scan.ignored += 1,
            Verdict::Unread(kind) => scan.skip(name, unread(kind)),
            Verdict::Read if !kind.is_file() => scan.skip(name, "not a regular file"),
            Verdict::Read => match found.metadata() {
                Err(error) => scan.skip(name, explain(&error).1),
                Ok(metadata) if metadata.len() > limits.document => {
                    scan.skip(name, too_large(metadata.len(), limits.document));
                }
                Ok(metadata) => {
                    let location = root.join(below).to_string_lossy().into_owned();
                    let (size, modified_ns) = (metadata.len(), modified_ns(&metadata));
                    let data = Data::File(found.into_path());
                    scan.entries.push(Entry { name, location, size, modified_ns, data });
                }
            },
        }
    }
    scan.finish(&root.join("").to_string_lossy());
    Ok(scan)
}

impl Scan {
    pub(super) fn skip(&mut self, document: impl Into<String>, reason: impl Into<String>) {
        let (document, reason) = (document.into(), reason.into());
        self.skipped.push(Skip { document, reason, location: String::new() });
    }

    /// Puts it in order. `before` stands in front of a document's name to make its place.
    pub(super) fn finish(&mut self, before: &str) {
        for skip in &mut self.skipped {
            skip.location = format!("{before}{}", skip.document);
        }
        self.entries.sort_by(|a, b| a.name.cmp(&b.name));
        self.skipped.sort_by(|a, b| a.document.cmp(&b.document));
    }
}

/// Nanoseconds since 1970, negative before.
pub(super) fn modified_ns(metadata: &Metadata) -> Option<i64> {
    let modified = metadata.modified().ok()?;
    match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(|ns| -ns),
    }
}

/// The path that a walk failed at and why, without the walker's own wrapping.
fn explain(error: &ignore::Error) -> (Option<&Path>, String) {
    match error {
        ignore::Error::WithPath { path, err } => (Some(path), explain(err).1),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => explain(err),
        ignore::Error::Io(error) => (None, io_reason(error)),
        ignore::Error::Partial(_)
        | ignore::Error::Loop { .. }
        | ignore::Error::Glob { .. }
        | ignore::Error::UnrecognizedFileType(_)
        | ignore::Error::InvalidDefinition => (None, one_line(&error.to_string())),
    }
}
