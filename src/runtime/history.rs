//! Questions of earlier runs: one JSON string a line, so that a question of several lines stays one entry.

use std::{fs, io::Write, path::Path};

/// Most questions that are given back.
const MOST: usize = 500;

/// Oldest first. Lines that can't be read are left out: history is a convenience, never a reason to fail.
pub fn load(file: &Path) -> Vec<String> {
    let text = fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let questions: Vec<String> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    questions[questions.len().saturating_sub(MOST)..].to_vec()
}

/// Adds a question; readable by nobody but the person.
///
/// # Errors
/// When the file can't be written.
pub fn remember(file: &Path, question: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // One write, so that two programs' lines never mix.
    let line = format!("{}\n", serde_json::Value::from(question));
    options.open(file)?.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_come_back_in_order_and_rubbish_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/history.jsonl");
        assert!(load(&file).is_empty());
        remember(&file, "one").unwrap();
        remember(&file, "two\nlines \"quoted\"").unwrap();
        fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(b"\xff not json\n").unwrap();
        remember(&file, "three").unwrap();
        assert_eq!(load(&file), ["one", "two\nlines \"quoted\"", "three"]);
    }
}
