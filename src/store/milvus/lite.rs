//! A Milvus Lite server as a child process, over one database file, for this process alone.
//!
//! Between the two stands a small shell that waits on a pipe held by us. However we end, the pipe closes; the shell then
//! ends the server and cleans up. Both inherit the lock on the file, so that it is free when the server is gone and not
//! before. The server listens on a socket in a folder that only its owner can enter; what it would write to the home
//! folder, to `/tmp` or to a log goes into that folder or to us.
//!
//! Knows nothing of what is said over the socket.

mod lock;

use std::{
    env,
    ffi::OsStr,
    fs::{self, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt, process::ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::AsyncReadExt,
    net::UnixStream,
    process::{Child, ChildStderr, Command},
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::text::one_line;

/// How often to look whether the socket answers: it takes some ten milliseconds.
const READY_POLL: Duration = Duration::from_millis(2);
/// How long to wait for whoever has the file: a server whose application was killed takes a moment to end.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
const LOCK_POLL: Duration = Duration::from_millis(20);
/// How long to wait for the last words of a server that has ended.
const LOG_PATIENCE: Duration = Duration::from_secs(1);
/// So much of the end of the log is kept.
const LOG_BYTES: usize = 4 << 10;
/// The system allows 103 bytes (macOS) or 107 (Linux) for the path of a socket.
const MAX_SOCKET_PATH: usize = 103;

/// What the shell runs; `$1` program folder, `$2` database, `$3` socket folder, `$4` lock file, `$5` our own
/// `LD_LIBRARY_PATH`. Its stdin is the pipe, its stdout the lock, its stderr the log.
///
/// What a terminal sends to everything in it ends nothing here: that is for the application to decide. Hence only KILL
/// ends the server; it loses nothing by that, and handles no other signal either. The watcher reads by a builtin, so
/// that no process of its own is left when it is killed.
const SUPERVISOR: &str = r#"
trap '' HUP INT QUIT TERM
exec 3<&0 </dev/null 4>&1 >/dev/null
LD_LIBRARY_PATH="$1${5:+:$5}" DYLD_LIBRARY_PATH="$1" "$1/milvus" "$2" "unix:$3/socket" ERROR 3<&- 4>&4 &
server=$!
exec 2>/dev/null
{ read -r line <&3; kill -KILL "$server"; } &
watcher=$!
wait "$server"
code=$?
kill -KILL "$watcher"
wait "$watcher"
rm -rf "$3"
rm -f "$4"
exit "$code"
"#;

/// A Milvus Lite server of this process's own over one database file. Dropping it ends the server.
#[derive(Debug)]
pub struct LiteServer {
    /// Closing it is the order to end.
    lifeline: OwnedFd,
    socket: String,
    shell: Mutex<Child>,
    log: Log,
    /// Removed by the shell; by us as well, in case that it is the shell that was killed.
    _folder: TempDir,
}

impl LiteServer {
    /// Takes the file's lock, starts the server and waits until its socket answers, for at most `ready_timeout`. Makes the
    /// file when there is none. `program` is the folder with the program `milvus` and its libraries.
    ///
    /// # Errors
    /// When the file is in use (after two seconds, in which one that is just ending may end), can't be one, or the
    /// server does not come up. Then nothing is left running.
    pub async fn start(file: &Path, program: &Path, ready_timeout: Duration) -> Result<Self, LiteError> {
        let database = real_path(file)?;
        let lock_file = lock::path_for(&database).ok_or_else(|| LiteError::no_database(file, "no file"))?;
        let folder = socket_folder()?;
        let not_runnable = |reason: String| LiteError::NotRunnable { program: program.to_owned(), reason };
        let program_folder = std::path::absolute(program).map_err(|e| not_runnable(e.to_string()))?;
        let lock = take_lock(&database, &lock_file).await?;

        let deadline = Instant::now() + ready_timeout;
        // A statement of its own: the lock must not stay open here for as long as the command is kept.
        let spawned = Command::new("/bin/sh")
            .args(["-c", SUPERVISOR, "askdocs-milvus-lite"].map(OsStr::new))
            .args([program_folder.as_os_str(), database.as_os_str(), folder.path().as_os_str(), lock_file.as_os_str()])
            .arg(env::var_os("LD_LIBRARY_PATH").unwrap_or_default())
            // None of a person's settings or secrets are its business. It can't do without a home.
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()))
            .envs([("HOME", folder.path()), ("TMPDIR", folder.path())])
            .env("GLOG_logtostderr", "1")
            .current_dir(folder.path())
            // Away from what the terminal sends to the programs in front.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(lock)
            .stderr(Stdio::piped())
            .spawn();
        let mut shell = spawned.map_err(|e| {
            // Worth a try only: a lock file that is nobody's is no hindrance.
            let _ = fs::remove_file(&lock_file);
            not_runnable(format!("/bin/sh: {e}"))
        })?;
        let pipe_is_lost = || not_runnable("its pipes can't be had".to_owned());
        let lifeline = shell.stdin.take().and_then(|pipe| pipe.into_owned_fd().ok()).ok_or_else(pipe_is_lost)?;
        let (log, collector) = Log::collect(shell.stderr.take().ok_or_else(pipe_is_lost)?);

        let socket = folder.path().join("socket").display().to_string();
        let answers = async {
            while UnixStream::connect(&socket).await.is_err() {
                sleep(READY_POLL).await;
            }
        };
        tokio::select! {
            () = answers => Ok(Self { lifeline, socket, shell: Mutex::new(shell), log, _folder: folder }),
            status = shell.wait() => {
                // The log ends with the last process that could write to it.
                let _ = timeout(LOG_PATIENCE, collector).await;
                match status.map(code_of) {
                    // Not to be found, not to be run, or without a library that it needs.
                    Ok(126 | 127) => Err(not_runnable(log.last_words())),
                    Ok(code) => Err(LiteError::Ended { file: database, how: how_it_ended(code, &log) }),
                    Err(e) => Err(LiteError::Ended { file: database, how: e.to_string() }),
                }
            }
            () = sleep_until(deadline) => {
                drop(lifeline);
                let _ = shell.wait().await;
                Err(LiteError::NotReady { file: database, waited: ready_timeout, log: log.last_words() })
            }
        }
    }

    /// `unix:/…` for a Milvus client.
    pub fn uri(&self) -> String {
        format!("unix:{}", self.socket)
    }

    /// How the server ended, in words, when it has.
    pub fn ended(&self) -> Option<String> {
        match self.shell.lock().unwrap_or_else(PoisonError::into_inner).try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(how_it_ended(code_of(status), &self.log)),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Ends the server and waits until it is gone and the file is free. Dropping does the same without waiting.
    pub async fn stop(self) {
        drop(self.lifeline);
        let mut shell = self.shell.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Err(reason) = shell.wait().await {
            tracing::warn!(%reason, "could not wait for Milvus Lite to end");
        }
    }
}

/// The file itself, absolute and with links followed: the lock belongs beside it, and Milvus Lite follows no link.
fn real_path(file: &Path) -> Result<PathBuf, LiteError> {
    match fs::canonicalize(file) {
        // Newer ones make a folder.
        Ok(path) if path.is_dir() => Err(LiteError::no_database(file, "a folder")),
        Ok(path) if !path.is_file() => Err(LiteError::no_database(file, "no plain file")),
        Ok(path) => Ok(path),
        Err(_) if file.is_symlink() => Err(LiteError::no_database(file, "a link that leads nowhere")),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            let name = file.file_name().ok_or_else(|| LiteError::no_database(file, "no file"))?;
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let no_folder = || LiteError::NoFolder { file: file.to_owned(), folder: folder.to_owned() };
            let folder_path = fs::canonicalize(folder).ok().filter(|path| path.is_dir()).ok_or_else(no_folder)?;
            Ok(folder_path.join(name))
        }
        Err(reason) => Err(LiteError::NotUsable { file: file.to_owned(), reason }),
    }
}

async fn take_lock(database: &Path, lock_file: &Path) -> Result<fs::File, LiteError> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        let path = lock_file.to_owned();
        let attempt = spawn_blocking(move || lock::try_lock(&path)).await.map_err(io::Error::other);
        match attempt.and_then(|attempt| attempt) {
            Ok(lock::Attempt::Locked(file)) => return Ok(file),
            Ok(lock::Attempt::Busy(_)) if Instant::now() < deadline => sleep(LOCK_POLL).await,
            Ok(lock::Attempt::Busy(holder)) => return Err(LiteError::InUse { file: database.to_owned(), holder }),
            Err(reason) => return Err(LiteError::NotUsable { file: database.to_owned(), reason }),
        }
    }
}

/// A new folder for the socket, where its path is short and plain enough.
fn socket_folder() -> Result<TempDir, LiteError> {
    let places = [env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from), Some(env::temp_dir()), Some("/tmp".into())];
    let mut reason = "no path is short and plain enough".to_owned();
    for place in places.into_iter().flatten().filter(|place| is_fit_for_socket(place)) {
        let mut builder = tempfile::Builder::new();
        match builder.prefix("askdocs-").permissions(Permissions::from_mode(0o700)).tempdir_in(&place) {
            Ok(folder) => return Ok(folder),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(LiteError::NoSocketFolder { reason })
}

/// Whether a socket in a folder in there has a path that is not too long, and that means the same as text, as a path and
/// in a URI.
fn is_fit_for_socket(place: &Path) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    let plain = place.to_str().is_some_and(|text| text.chars().all(is_plain));
    plain && place.is_absolute() && place.as_os_str().len() + "/askdocs-XXXXXX/socket".len() <= MAX_SOCKET_PATH
}

/// The code that the shell ended with, which is its server's; 128 and more by a signal.
fn code_of(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

fn how_it_ended(code: i32, log: &Log) -> String {
    let how = if code > 128 { format!("killed by signal {}", code - 128) } else { format!("exit code {code}") };
    match log.last_words() {
        words if words.is_empty() => how,
        words => format!("{how}; {words}"),
    }
}

/// The end of what the server wrote to its log.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Reads on until no process is left that could write.
    fn collect(mut pipe: ChildStderr) -> (Self, JoinHandle<()>) {
        let log = Self::default();
        let end = log.clone();
        let collector = tokio::spawn(async move {
            let mut buffer = [0; 1 << 10];
            while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
                let mut kept = end.0.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend(buffer.iter().take(read));
                let surplus = kept.len().saturating_sub(LOG_BYTES);
                kept.drain(..surplus);
            }
        });
        (log, collector)
    }

    /// The last three lines in one, without the time and place in the server's source that they start with.
    fn last_words(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept);
        let words = |line: &str| one_line(line.rsplit_once("[milvus][]").map_or(line, |(_, words)| words));
        let lines: Vec<String> = text.lines().map(words).filter(|line| !line.is_empty()).collect();
        lines.get(lines.len().saturating_sub(3)..).unwrap_or_default().join("; ")
    }
}

/// Why there is no Milvus Lite over a file.
#[derive(Debug, thiserror::Error)]
pub enum LiteError {
    #[error(
        "the Milvus Lite file {} is in use by {holder}; hint: end that first, or run a Milvus server, which serves many",
        file.display()
    )]
    InUse { file: PathBuf, holder: String },
    #[error("there is no folder {} for the Milvus Lite file {}; hint: make the folder, or correct the path", folder.display(), file.display())]
    NoFolder { file: PathBuf, folder: PathBuf },
    #[error("{} is {found}, not a Milvus Lite 2 file; hint: name another file; a new one is made where there is none", file.display())]
    NoDatabase { file: PathBuf, found: &'static str },
    #[error(
        "can't use the Milvus Lite file {}: {reason}; hint: it needs a file and a folder that you may write to",
        file.display()
    )]
    NotUsable { file: PathBuf, reason: io::Error },
    #[error(
        "there is no place for Milvus Lite's socket: {reason}; hint: set TMPDIR to a folder with a short, plain path that you may write to"
    )]
    NoSocketFolder { reason: String },
    #[error(
        "Milvus Lite in {} can't be run: {reason}; hint: correct ASKDOCS_MILVUS_LITE where it is set; it needs a system with glibc 2.17 or newer and libstdc++, or macOS; a Milvus server's address works in place of the file",
        program.display()
    )]
    NotRunnable { program: PathBuf, reason: String },
    #[error(
        "Milvus Lite did not start over {} ({how}); hint: see that it is a file of Milvus Lite 2 and that you may write to it and its folder",
        file.display()
    )]
    Ended { file: PathBuf, how: String },
    #[error("Milvus Lite over {} was not ready within {} s{}; hint: try again when the machine is less busy", file.display(), waited.as_secs_f64(), said(log))]
    NotReady { file: PathBuf, waited: Duration, log: String },
}

impl LiteError {
    fn no_database(file: &Path, found: &'static str) -> Self {
        Self::NoDatabase { file: file.to_owned(), found }
    }
}

fn said(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!(" (it said: {log})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_goes_where_its_path_is_short_and_plain() {
        let long = format!("/{}", "a".repeat(80));
        for (place, fit) in [
            ("/run/user/1000", true),
            ("/tmp", true),
            (&long, true),
            (&format!("{long}a"), false),
            ("tmp", false),
            ("/my tmp", false),
            ("/100%25", false),
            ("/größe", false),
        ] {
            assert_eq!(is_fit_for_socket(Path::new(place)), fit, "{place}");
        }
    }

    #[tokio::test]
    async fn only_the_end_of_a_log_is_kept_and_told() {
        let long = "echo 'E20260101 12:00:00.000000 7 storage.cpp:65] [SERVER][Open][milvus][]Open failed'";
        let script =
            format!("i=0; while [ $i -lt 500 ]; do i=$((i+1)); {long} >&2; done; echo ' ' >&2; printf 'x\\377' >&2");
        let mut child = Command::new("/bin/sh").args(["-c", &script]).stderr(Stdio::piped()).spawn().unwrap();
        let (log, collector) = Log::collect(child.stderr.take().unwrap());
        collector.await.unwrap();
        assert_eq!(log.last_words(), "Open failed; Open failed; x\u{fffd}");
        assert_eq!(log.0.lock().unwrap().len(), LOG_BYTES);
    }
}
