//! Paths as a person types them: `~` for their home, and folders completed as a shell does.

use std::{
    env, fs,
    path::{self, Path, PathBuf},
};

use crate::{
    domain::{Chunker, SourceSpec},
    rag::RagError,
    source,
    text::sanitise,
};

/// Completes the last part of a path as far as only one folder, or what several begin with alike, can be meant. Returns
/// the path and, where there are several, their names. Names that a terminal can't show are left out.
pub fn complete(typed: &str) -> (String, Vec<String>) {
    if typed == "~" {
        return ("~/".to_owned(), Vec::new());
    }
    let (above, begun) = typed.split_at(typed.rfind(path::is_separator).map_or(0, |at| at + 1));
    let folder = if above.is_empty() { PathBuf::from(".") } else { at_home(above) };
    let mut names = folders(&folder);
    names.retain(|name| name.starts_with(begun) && (begun.starts_with('.') || !name.starts_with('.')));
    names.sort_unstable();
    let Some(first) = names.first() else { return (typed.to_owned(), Vec::new()) };
    if names.len() == 1 {
        return (format!("{above}{first}/"), Vec::new());
    }
    let alike = names.iter().fold(first.as_str(), |alike, name| common(alike, name));
    (format!("{above}{alike}"), names)
}

/// What a path or URL leads to.
///
/// # Errors
/// As [`source::check`].
pub fn check(typed: &str, chunker: Chunker) -> Result<SourceSpec, RagError> {
    let location =
        if typed.starts_with('~') { at_home(typed).to_string_lossy().into_owned() } else { typed.to_owned() };
    Ok(source::check(&location, Vec::new(), chunker)?)
}

fn at_home(path: &str) -> PathBuf {
    let below = path.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with(path::is_separator));
    match (below, env::home_dir()) {
        (Some(below), Some(home)) => home.join(below.trim_start_matches(path::is_separator)),
        (Some(_) | None, _) => PathBuf::from(path),
    }
}

/// Names of the folders in a folder; none where it can't be read.
fn folders(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    // A link to a folder is one.
    let folders = entries.filter(|entry| entry.path().is_dir());
    let names = folders.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| !name.contains('\n') && sanitise(name) == *name).collect()
}

fn common<'a>(a: &'a str, b: &str) -> &'a str {
    let same = a.char_indices().zip(b.chars()).find(|((_, a), b)| a != b);
    let end = same.map_or(a.len().min(b.len()), |((at, _), _)| at);
    a.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_completed_as_far_as_only_one_thing_can_be_meant() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().to_str().unwrap();
        for name in ["guides/deep", "guide-de", "höhe", "höhle", ".hidden"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        // Windows has no such names.
        let _ = fs::create_dir(folder.path().join("esc\u{1b}[2J"));
        fs::write(folder.path().join("guide.md"), "a file").unwrap();
        let cases: [(&str, &str, &[&str]); 8] = [
            ("/gui", "/guide", &["guide-de", "guides"]),
            ("/guides", "/guides/", &[]),
            ("/guides/", "/guides/deep/", &[]),
            ("/guides/deep/", "/guides/deep/", &[]),
            ("/h", "/höh", &["höhe", "höhle"]),
            ("/.", "/.hidden/", &[]),
            ("/none", "/none", &[]),
            ("/no/such/place/x", "/no/such/place/x", &[]),
        ];
        for (typed, path, names) in cases {
            let (got, candidates) = complete(&format!("{base}{typed}"));
            assert_eq!((got, candidates), (format!("{base}{path}"), names.iter().map(|n| (*n).to_owned()).collect()));
        }
        let (_, all) = complete(&format!("{base}/"));
        assert_eq!(all, ["guide-de", "guides", "höhe", "höhle"], "no hidden ones, no files, nothing hostile");
        assert_eq!(complete("~").0, "~/");
    }

    #[test]
    fn a_tilde_is_the_persons_home() {
        let home = env::home_dir().unwrap();
        assert_eq!(at_home("~/x"), home.join("x"));
        assert_eq!(at_home("~other/x"), PathBuf::from("~other/x"));
        let checked = check("~", Chunker::Markdown).unwrap();
        assert_eq!(PathBuf::from(checked.location), home);
        assert!(check("~/no-such-folder-anywhere", Chunker::Markdown).unwrap_err().to_string().contains("no-such"));
    }
}
