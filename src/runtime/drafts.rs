//! What is being written, kept so that it survives whatever ends the program.

use std::{
    fs,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Instant, timeout},
};

/// How long after a change it is written.
const SOON: Duration = Duration::from_secs(1);
/// Windows side by side whose drafts are found again.
const MOST_WINDOWS: u32 = 9;
/// How long quitting waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Writes the draft soon after it was changed, at most once in a while, and at the end.
pub struct Drafts {
    file: PathBuf,
    /// What the file holds as far as we know.
    kept: String,
    /// What it does not hold yet.
    unkept: Option<String>,
    due: Option<Instant>,
    writing: Option<JoinHandle<()>>,
}

impl Drafts {
    pub fn new(file: PathBuf) -> Self {
        Self { file, kept: String::new(), unkept: None, due: None, writing: None }
    }

    /// The file holds this from the time before.
    pub fn found(&mut self, draft: &str) {
        draft.clone_into(&mut self.kept);
    }

    /// Looks at what is being written now. What was asked or cleared is forgotten at once.
    pub fn note(&mut self, draft: &str, now: Instant) {
        if draft != self.kept {
            self.unkept.get_or_insert_default().replace_range(.., draft);
        }
        if draft == self.kept {
            (self.due, self.unkept) = (None, None);
        } else if draft.is_empty() {
            self.due = Some(now);
        } else if self.due.is_none() {
            self.due = Some(now + SOON);
        }
    }

    /// When something is to be written.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Begins to write it, unless the time before is still at it.
    pub fn keep(&mut self, draft: &str, now: Instant) {
        if self.writing.as_ref().is_some_and(|writing| !writing.is_finished()) {
            self.due = Some(now + SOON);
            return;
        }
        (self.due, self.unkept) = (None, None);
        draft.clone_into(&mut self.kept);
        let (file, text) = (self.file.clone(), draft.to_owned());
        self.writing = Some(spawn_blocking(move || {
            if let Err(error) = write(&file, &text) {
                tracing::warn!("what is being written could not be kept: {error}");
            }
        }));
    }

    /// Writes what has not been written yet, and waits for that.
    pub async fn finish(mut self, draft: &str) {
        let last = async {
            if let Some(writing) = self.writing.take() {
                let _ = writing.await;
            }
            if draft != self.kept {
                self.keep(draft, Instant::now());
            }
            if let Some(writing) = self.writing.take() {
                let _ = writing.await;
            }
        };
        if timeout(PATIENCE, last).await.is_err() {
            tracing::warn!("what was being written could not be kept within {PATIENCE:?}");
        }
        self.unkept = None;
    }
}

/// On a panic nobody finishes it.
impl Drop for Drafts {
    fn drop(&mut self) {
        if let Some(draft) = self.unkept.take()
            && let Err(error) = write(&self.file, &draft)
        {
            tracing::warn!("what was being written could not be kept: {error}");
        }
    }
}

/// The file for this process's draft in a folder, as long as the lock beside it is held: windows side by side each have
/// their own. One that a window has left is taken up before an empty one.
pub fn claim(folder: &Path) -> (PathBuf, Option<fs::File>) {
    let names = || (1..=MOST_WINDOWS).map(|n| if n == 1 { "draft".to_owned() } else { format!("draft-{n}") });
    let left = names().filter(|name| folder.join(name).exists());
    for name in left.chain(names()) {
        let lock = fs::File::create(folder.join(format!("{name}.lock")));
        if let Ok(lock) = lock
            && lock.try_lock().is_ok()
        {
            return (folder.join(name), Some(lock));
        }
    }
    (folder.join(format!("draft-{}", std::process::id())), None)
}

/// What the program left when it ended last; empty where there is nothing.
pub fn load(file: &Path) -> String {
    fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The file holds the old text or the new one, whole, and nobody but the person can read it.
fn write(file: &Path, text: &str) -> io::Result<()> {
    if text.is_empty() {
        return match fs::remove_file(file) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Err(_) | Ok(()) => Ok(()),
        };
    }
    let folder = file.parent().unwrap_or(Path::new("."));
    crate::folder::make_private(folder)?;
    let mut new = tempfile::Builder::new().prefix(".draft").tempfile_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.persist(file).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_side_by_side_have_drafts_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let (one, one_lock) = claim(folder.path());
        let (two, two_lock) = claim(folder.path());
        assert_ne!(one, two);
        write(&one, "of the first").unwrap();
        write(&two, "of the second").unwrap();
        let (three, _third) = claim(folder.path());
        assert!(three != one && three != two && load(&three).is_empty());
        // What a window has left is taken up by the next one, and by one only.
        drop(two_lock);
        let (next, next_lock) = claim(folder.path());
        assert_eq!(load(&next), "of the second");
        drop((one_lock, next_lock));
        assert_eq!(load(&claim(folder.path()).0), "of the first");
    }

    #[test]
    fn what_was_written_last_is_kept_when_nobody_finishes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("draft");
        let mut drafts = Drafts::new(file.clone());
        for draft in ["h", "half", "half a question"] {
            drafts.note(draft, Instant::now());
        }
        drop(drafts);
        assert_eq!(load(&file), "half a question");
        let mut drafts = Drafts::new(file.clone());
        drafts.found("half a question");
        drafts.note("half a question, and", Instant::now());
        drafts.note("half a question", Instant::now());
        fs::remove_file(&file).unwrap();
        drop(drafts);
        assert!(!file.exists(), "it was as the file had it");
    }

    #[tokio::test]
    async fn a_draft_is_written_once_it_rests_and_forgotten_when_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/draft");
        let now = Instant::now();
        let mut drafts = Drafts::new(file.clone());
        drafts.note("", now);
        assert_eq!(drafts.due(), None, "nothing is written where nothing changed");
        drafts.note("h", now);
        drafts.note("half", now + SOON / 2);
        assert_eq!(drafts.due(), Some(now + SOON));
        drafts.keep("half", now + SOON);
        drafts.note("half", now + SOON);
        assert_eq!(drafts.due(), None);
        drafts.writing.take().unwrap().await.unwrap();
        assert_eq!(load(&file), "half");
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions()) & 0o777, 0o600);
        drafts.note("half a question", now);
        drafts.finish("half a question").await;
        assert_eq!(load(&file), "half a question");

        let mut next = Drafts::new(file.clone());
        next.found("half a question");
        next.note("half a question", now);
        assert_eq!(next.due(), None);
        next.note("", now);
        assert_eq!(next.due(), Some(now), "what was asked is not kept a moment longer");
        next.finish("").await;
        assert_eq!(load(&file), "");
        assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), 0, "nothing is left behind");
    }
}
