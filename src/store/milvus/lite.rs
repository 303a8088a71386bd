//! Milvus Lite in a child process of our own, over one database file.
//!
//! It listens on a socket in a folder that only its owner may enter. Lite itself would let two processes work on one
//! file, so there is a lock beside it. It ends with this process whatever ends this process: a shell between the two
//! waits for the end of a pipe that only we hold, and then ends the server. The lock belongs to an open file that the
//! server has inherited, so it lasts exactly as long as the server.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    net::UnixStream,
    time::{Instant, sleep},
};

/// How often to look whether a lock is free, or the server ready.
const POLL: Duration = Duration::from_millis(5);
/// How long to wait for a server whose process is just ending.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);
/// What the system allows for the path of a socket, with a little to spare.
const LONGEST_SOCKET_PATH: usize = 100;

/// Runs `$1/milvus` on the file `$2` with the socket and its log in the folder `$3`, holding the lock `$4` as its output.
/// Neither Ctrl-C nor a closed terminal may end it before its server. `read` returns when the pipe has no writer any
/// more. The server is killed, not asked: it ignores the same signals, and what it has acknowledged is on disk. Removing the lock's file while it is held is safe, since whoever waits for it looks whether it is still there.
const SUPERVISOR: &str = r#"
trap '' INT HUP TERM
exec 4<&0 </dev/null
LD_LIBRARY_PATH="$1" DYLD_LIBRARY_PATH="$1" "$1/milvus" "$2" "unix:$3/s" ERROR 3>&1 >"$3/log" 2>&1 4<&- &
server=$!
{ read -r _ <&4; kill -KILL $server; } >/dev/null 2>&1 &
watcher=$!
wait $server
kill -KILL $watcher 2>/dev/null
rm -rf "$3"
rm -f "$4"
"#;

/// Why there is no Milvus Lite.
#[derive(Debug, thiserror::Error)]
pub enum LiteError {
    #[error(
        "{} is in use by {holder}; hint: end that program, or use a Milvus server, which many can use at once", file.display()
    )]
    InUse { file: PathBuf, holder: String },
    #[error("could not {action} {}: {reason}; hint: choose a place for the database that can be written", path.display())]
    Place { action: &'static str, path: PathBuf, reason: io::Error },
    #[error("could not run {}: {reason}; hint: `askdocs doctor` checks it", program.display())]
    Run { program: PathBuf, reason: io::Error },
    #[error("Milvus Lite ended at once{}; hint: {} may be no database of Milvus Lite", said(log), file.display())]
    Ended { file: PathBuf, log: String },
    #[error("Milvus Lite was not ready after {seconds} s; hint: set store.connect_timeout_s higher")]
    NotReady { seconds: u64 },
}

fn said(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!(" ({log})") }
}

/// A running server; dropping it ends it.
pub struct LiteServer {
    /// Held so that the shell knows that we live.
    pipe: Option<ChildStdin>,
    shell: Mutex<Option<Child>>,
    folder: TempDir,
}

impl LiteServer {
    /// Takes the lock, starts the server and waits until it answers.
    ///
    /// # Errors
    /// When somebody else has the file, or the server can't be run or is not ready in time.
    pub async fn start(file: &Path, program: &Path, ready_timeout: Duration) -> Result<Self, LiteError> {
        let place = |action, path: &Path| {
            let path = path.to_owned();
            move |reason| LiteError::Place { action, path, reason }
        };
        let file = canonical(file).map_err(place("find the folder of", file))?;
        let mut lock_path = file.clone().into_os_string();
        lock_path.push(".lock");
        let lock_path = PathBuf::from(lock_path);
        let lock = lock(&file, &lock_path).await?;
        let folder = private_folder().map_err(place("make a folder in", &std::env::temp_dir()))?;

        let run = |reason| LiteError::Run { program: program.join("milvus"), reason };
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SUPERVISOR, "askdocs-milvus-lite"])
            .args([program, &file, folder.path(), &lock_path])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(lock)
            .stderr(Stdio::null())
            // Out of the terminal's foreground, whose signals are for us.
            .process_group(0)
            .spawn()
            .map_err(run)?;
        let server = Self { pipe: shell.stdin.take(), shell: Mutex::new(Some(shell)), folder };

        let deadline = Instant::now() + ready_timeout;
        while let Err(_not_yet) = UnixStream::connect(server.folder.path().join("s")).await {
            if server.ended().is_some() {
                return Err(LiteError::Ended { file, log: server.last_words() });
            }
            if Instant::now() >= deadline {
                return Err(LiteError::NotReady { seconds: ready_timeout.as_secs() });
            }
            sleep(POLL).await;
        }
        Ok(server)
    }

    /// Where it listens, as a Milvus client takes it.
    pub fn uri(&self) -> String {
        format!("unix:{}/s", self.folder.path().display())
    }

    /// Whether it has ended by itself: how, in words.
    pub fn ended(&self) -> Option<String> {
        let mut shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner);
        match shell.as_mut()?.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(status.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// The end of its log, while that is there.
    fn last_words(&self) -> String {
        let log = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        crate::text::one_line(log.lines().rfind(|line| !line.trim().is_empty()).unwrap_or(""))
    }
}

impl Drop for LiteServer {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut shell) = shell {
            // It ends by itself now; somebody has to take note, or it stays in the list of processes.
            std::thread::spawn(move || shell.wait());
        }
    }
}

/// The one name of a file that need not be there yet.
fn canonical(file: &Path) -> io::Result<PathBuf> {
    match file.canonicalize() {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file = std::path::absolute(file)?;
            match (file.parent(), file.file_name()) {
                (Some(folder), Some(name)) => Ok(folder.canonicalize()?.join(name)),
                _ => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// A new folder that only its owner may enter, with a path short enough for a socket.
fn private_folder() -> io::Result<TempDir> {
    let mut last = io::Error::other("its path is too long for a socket");
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    for parent in runtime.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]) {
        if !parent.is_absolute() || parent.as_os_str().len() + 20 > LONGEST_SOCKET_PATH || parent.to_str().is_none() {
            continue;
        }
        match tempfile::Builder::new().prefix("askdocs-").tempdir_in(&parent) {
            Ok(folder) => return Ok(folder),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The lock of a database, with our number in it.
async fn lock(file: &Path, path: &Path) -> Result<File, LiteError> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        let place = |reason| LiteError::Place { action: "lock", path: path.to_owned(), reason };
        let mut lock =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(place)?;
        match lock.try_lock() {
            Ok(()) if is_still_there(&lock, path) => {
                let mut note = || -> io::Result<()> {
                    lock.set_len(0)?;
                    lock.rewind()?;
                    write!(lock, "{}", std::process::id())
                };
                return note().map(|()| lock).map_err(place);
            }
            // Its file was removed by who held it last.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                let mut holder = String::new();
                // Only for the message.
                let known = lock.read_to_string(&mut holder).is_ok() && !holder.is_empty();
                let holder =
                    if known { format!("another askdocs (process {holder})") } else { "another program".to_owned() };
                return Err(LiteError::InUse { file: file.to_owned(), holder });
            }
            Err(TryLockError::WouldBlock) => sleep(POLL).await,
            Err(TryLockError::Error(error)) => return Err(place(error)),
        }
    }
}

fn is_still_there(lock: &File, path: &Path) -> bool {
    match (lock.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}
