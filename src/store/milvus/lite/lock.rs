//! The lock of a Milvus Lite file: one server at a time, since Milvus Lite itself does not refuse a second one.
//!
//! It is the lock that pymilvus takes: over the whole of `.NAME.lock` beside the file, by `fcntl`. So neither starts a
//! server where the other has one. It has to outlive a process that is killed, for as long as the server does; so it
//! must be one that children inherit, and that goes when the last of them has ended.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process,
};

/// What came of trying to take a lock.
pub enum Attempt {
    /// Held by every process that has this open file, until the last closes it.
    Locked(File),
    /// By whom, in words.
    Busy(String),
}

/// Where the lock of a database is. `None`: the path has no file name.
pub fn path_for(database: &Path) -> Option<PathBuf> {
    let mut name = std::ffi::OsString::from(".");
    name.push(database.file_name()?);
    name.push(".lock");
    Some(database.with_file_name(name))
}

/// Takes the lock when it is free. Whoever holds it may remove the file; do so last, and only then let go.
pub fn try_lock(path: &Path) -> io::Result<Attempt> {
    loop {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match system::try_lock(&file)? {
            // Its last holder took the file away meanwhile: a lock on it excludes nobody.
            Ok(()) if !is_still_there(&file, path)? => {}
            Ok(()) => {
                // For the message of whoever is refused. It does no harm when it can't be written.
                let _ = file.set_len(0).and_then(|()| write!(file, "{}", process::id()));
                return Ok(Attempt::Locked(file));
            }
            Err(Some(process)) => return Ok(Attempt::Busy(format!("another program (process {process})"))),
            Err(None) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                return Ok(Attempt::Busy(match holder.trim().parse::<u32>() {
                    Ok(process) if process == process::id() => "this askdocs".to_owned(),
                    Ok(process) => format!("another askdocs (process {process})"),
                    Err(_) => "another program".to_owned(),
                }));
            }
        }
    }
}

/// Whether `path` still leads to this very file.
fn is_still_there(file: &File, path: &Path) -> io::Result<bool> {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match fs::metadata(path) {
        Ok(metadata) => Ok(identity(metadata) == identity(file.metadata()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::{ffi::c_short, fs::File, io};

    use nix::{
        errno::Errno,
        fcntl::{FcntlArg, fcntl},
        libc,
    };

    /// An open file description's lock: conflicts with the `fcntl` locks of processes, but is inherited. When it is
    /// taken: by which process, where that is known.
    pub fn try_lock(file: &File) -> io::Result<Result<(), Option<i32>>> {
        let mut whole = libc::flock {
            l_type: libc::F_WRLCK as c_short,
            l_whence: libc::SEEK_SET as c_short,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        match fcntl(file, FcntlArg::F_OFD_SETLK(&whole)) {
            Ok(_) => Ok(Ok(())),
            Err(Errno::EAGAIN | Errno::EACCES) => {
                // Tells of one that is in the way; nobody's where it is an open file description's, or just went.
                let told = fcntl(file, FcntlArg::F_OFD_GETLK(&mut whole)).is_ok();
                Ok(Err(Some(whole.l_pid).filter(|&process| told && process > 0)))
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::{
        fs::{File, TryLockError},
        io,
    };

    /// `flock`, which by the manuals of macOS and the BSDs conflicts with `fcntl` locks, and is inherited.
    pub fn try_lock(file: &File) -> io::Result<Result<(), Option<i32>>> {
        match file.try_lock() {
            Ok(()) => Ok(Ok(())),
            Err(TryLockError::WouldBlock) => Ok(Err(None)),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn one_at_a_time_though_each_takes_the_file_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_for(&folder.path().join("faq.db")).unwrap();
        let taken = AtomicBool::new(false);
        let take = || {
            let mut times = 0;
            while times < 300 {
                if let Attempt::Locked(file) = try_lock(&path).unwrap() {
                    assert!(!taken.swap(true, Ordering::SeqCst), "two at once");
                    thread::yield_now();
                    taken.store(false, Ordering::SeqCst);
                    fs::remove_file(&path).unwrap();
                    drop(file);
                    times += 1;
                }
            }
        };
        thread::scope(|scope| (0..3).for_each(|_| drop(scope.spawn(take))));
        assert!(!path.exists());
    }
}
