//! Ingests that have ended, one JSON object a line. Written by the application and by `askdocs ingest`. One that runs has a
//! file of its own beside them, which its program holds locked: a file that nobody holds was left by a killed program.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::domain::IngestRun;

/// Its name in the state folder.
pub const FILE: &str = "runs.jsonl";

/// Most runs that are given back. A file that holds twice as many lines is cut down to these.
const MOST: usize = 200;

/// What the files of runs that have not ended begin with.
const RUNNING: &str = "running-";

/// An ingest that runs.
pub struct Running {
    path: PathBuf,
    /// Locked for as long as it lives.
    _file: fs::File,
}

/// Notes beside the file of runs that one of a collection begins.
///
/// # Errors
/// When that can't be written.
pub fn begin(file: &Path, began: String, collection: String) -> io::Result<Running> {
    let folder = file.parent().unwrap_or(Path::new("."));
    crate::folder::make_private(folder)?;
    let (mut file, path) = tempfile::Builder::new().prefix(RUNNING).tempfile_in(folder)?.keep()?;
    // Before anything is in it: whoever finds it empty leaves it alone.
    file.lock()?;
    file.write_all(line(&IngestRun::cut_off(began, collection))?.as_bytes())?;
    Ok(Running { path, _file: file })
}

impl Running {
    /// It has ended, and that was remembered.
    pub fn end(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("{} could not be taken away: {error}", self.path.display());
        }
    }
}

/// Remembers runs whose program was killed.
///
/// # Errors
/// When the folder can't be read or the file of runs not be written.
pub fn remember_cut_off(file: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(file.parent().unwrap_or(Path::new("."))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries.filter_map(Result::ok) {
        if !entry.file_name().to_string_lossy().starts_with(RUNNING) {
            continue;
        }
        let Ok(mut left) = fs::OpenOptions::new().read(true).write(true).open(entry.path()) else { continue };
        if left.try_lock().is_err() {
            continue;
        }
        if let Ok(run) = io::read_to_string(&mut left).and_then(|text| Ok(serde_json::from_str(&text)?)) {
            remember(file, &run)?;
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

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

    #[test]
    fn a_run_whose_program_was_killed_is_told_as_cut_off_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state/runs.jsonl");
        remember_cut_off(&file).unwrap();
        let begun = |name: &str| begin(&file, "2026-01-31T17:05:00+01:00".to_owned(), name.to_owned()).unwrap();
        let (ended, lives, killed) = (begun("ended"), begun("lives"), begun("killed"));
        ended.end();
        drop(killed);
        // Another is just about to note that it begins.
        fs::write(file.with_file_name("running-new"), "").unwrap();
        for _ in 0..2 {
            remember_cut_off(&file).unwrap();
            let [run] = &load(&file)[..] else { panic!("{:?}", load(&file)) };
            assert_eq!((run.collection.as_str(), &run.outcome), ("killed", &RunOutcome::CutOff));
        }
        lives.end();
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 2, "the list, and what has just begun");
    }
}
