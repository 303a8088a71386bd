//! Ingests that have ended, one JSON object a line. Written by the application and by `askdocs ingest`.

use std::{fs, io, io::Write, path::Path};

use crate::domain::IngestRun;

/// Its name in the state folder.
pub const FILE: &str = "runs.jsonl";

/// Most runs that are given back. A file that holds twice as many lines is cut down to these.
const MOST: usize = 200;

/// The last one first. Lines that can't be read are left out: this is a convenience, never a reason to fail.
pub fn load(file: &Path) -> Vec<IngestRun> {
    let text = fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    text.lines().rev().filter_map(|line| serde_json::from_str(line).ok()).take(MOST).collect()
}

/// Adds a run; readable by nobody but the person.
///
/// # Errors
/// When the file can't be written.
pub fn remember(file: &Path, run: &IngestRun) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        crate::folder::make_private(folder)?;
    }
    // One write, so that two programs' lines never mix.
    open(file, fs::OpenOptions::new().append(true))?.write_all(line(run)?.as_bytes())?;
    if fs::read(file)?.iter().filter(|byte| **byte == b'\n').count() < 2 * MOST {
        return Ok(());
    }
    let kept = load(file).iter().rev().map(line).collect::<io::Result<String>>()?;
    // In one step: a program that ends here leaves the old file or the new one.
    let new = file.with_extension(format!("new-{}", std::process::id()));
    let written = open(&new, fs::OpenOptions::new().write(true).truncate(true))
        .and_then(|mut new| new.write_all(kept.as_bytes()))
        .and_then(|()| fs::rename(&new, file));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

fn line(run: &IngestRun) -> io::Result<String> {
    Ok(format!("{}\n", serde_json::to_string(run)?))
}

fn open(file: &Path, options: &mut fs::OpenOptions) -> io::Result<fs::File> {
    options.create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{IngestReport, RunOutcome};

    fn run(number: usize) -> IngestRun {
        let result = match number % 3 {
            0 => Err("no space\nhint: make some".to_owned()),
            rest => {
                Ok(IngestReport { held_documents: number as u64, interrupted: rest == 1, ..IngestReport::default() })
            }
        };
        IngestRun::new("2026-01-31T17:05:00+01:00".to_owned(), format!("c{number}"), &result, 1.5)
    }

    #[test]
    fn runs_come_back_newest_first_in_a_file_that_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state/runs.jsonl");
        assert!(load(&file).is_empty());
        for number in 0..3 {
            remember(&file, &run(number)).unwrap();
        }
        assert_eq!(load(&file), [run(2), run(1), run(0)]);
        assert_eq!(run(0).outcome, RunOutcome::Failed("no space\nhint: make some".to_owned()));
        // What is not a run does no harm, and goes when the file is cut down.
        fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(b"\xff not json\n").unwrap();
        for number in 3..2 * MOST {
            remember(&file, &run(number)).unwrap();
        }
        let runs = load(&file);
        assert_eq!((runs.len(), &runs[0], &runs[MOST - 1]), (MOST, &run(2 * MOST - 1), &run(MOST)));
        assert!(fs::read_to_string(&file).unwrap().lines().count() <= MOST + 1);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions()) & 0o777, 0o600);
    }
}
