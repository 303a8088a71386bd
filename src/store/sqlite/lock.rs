//! A collection's write lock: one writer at a time, among the tasks of this process and among all processes.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{Mutex as TaskMutex, OwnedMutexGuard},
    task::spawn_blocking,
    time::{Instant, sleep, timeout_at},
};

use super::{collection::is_still_there, fault::Fault};
use crate::store::StoreError;

/// How long to wait before looking again whether another process has let go.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The lock of one collection, as one store sees it.
pub struct WriteLock {
    collection: String,
    path: PathBuf,
    tasks: Arc<TaskMutex<()>>,
    /// What [`WriteLock::hold`] gave out last, while it is alive.
    held: Mutex<Weak<Held>>,
}

/// Holds the lock until dropped: the file's lock goes with the file, then the next task's turn comes.
pub struct Held {
    _file: File,
    _turn: OwnedMutexGuard<()>,
}

impl WriteLock {
    pub fn new(collection: &str, path: PathBuf) -> Self {
        let tasks = Arc::new(TaskMutex::new(()));
        Self { collection: collection.to_owned(), path, tasks, held: Mutex::new(Weak::new()) }
    }

    /// Takes the lock for a series of writes by this store.
    pub async fn hold(&self, patience: Duration) -> Result<Arc<Held>, StoreError> {
        let held = self.take(patience).await?;
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&held);
        Ok(held)
    }

    /// Takes the lock for one write. Within a series that this store holds the lock for, the write belongs to it.
    pub async fn join(&self, patience: Duration) -> Result<Arc<Held>, StoreError> {
        match self.series() {
            Some(held) => Ok(held),
            None => self.take(patience).await,
        }
    }

    /// The series of writes that is under way in this store.
    pub fn series(&self) -> Option<Arc<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    async fn take(&self, patience: Duration) -> Result<Arc<Held>, StoreError> {
        let deadline = Instant::now() + patience;
        let busy = |holder| StoreError::Busy { collection: self.collection.clone(), holder };
        let Ok(turn) = timeout_at(deadline, self.tasks.clone().lock_owned()).await else {
            return Err(busy("another task of this askdocs".to_owned()));
        };
        loop {
            let path = self.path.clone();
            let attempt = spawn_blocking(move || try_lock(&path)).await.map_err(io::Error::other);
            match attempt.and_then(|attempt| attempt) {
                Ok(Attempt::Locked(file)) => return Ok(Arc::new(Held { _file: file, _turn: turn })),
                Ok(Attempt::Busy(holder)) if Instant::now() >= deadline => return Err(busy(holder)),
                Ok(Attempt::Busy(_)) => sleep(POLL_INTERVAL).await,
                Err(error) => return Err(Fault::from(error).during("lock", &self.path)),
            }
        }
    }
}

enum Attempt {
    Locked(File),
    /// By whom, in words.
    Busy(String),
}

fn try_lock(path: &Path) -> io::Result<Attempt> {
    if let Some(folder) = path.parent() {
        crate::folder::make_private(folder)?;
    }
    loop {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            // Whoever dropped the collection meanwhile took the file away: a lock on it excludes nobody.
            Ok(()) if !is_still_there(&file, path)? => {}
            Ok(()) => {
                // For the message of whoever has to wait. It does no harm when it can't be written.
                let _ = file.set_len(0).and_then(|()| write!(file, "{}", process::id()));
                return Ok(Attempt::Locked(file));
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Some systems let nobody read a locked file.
                let _ = file.read_to_string(&mut holder);
                return Ok(Attempt::Busy(match holder.trim().parse::<u32>() {
                    Ok(process) => format!("another askdocs (process {process})"),
                    Err(_) => "another askdocs".to_owned(),
                }));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}
