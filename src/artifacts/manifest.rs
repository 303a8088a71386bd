//! What is known of the files in one folder: a `manifest.json` with the sha256 of each.
//!
//! For a file whose sha256 is pinned in this program the manifest only saves time; for one chosen by name it holds the
//! sha256 that was declared when the file was first got, and no other bytes are accepted from then on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const FILE_NAME: &str = "manifest.json";

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Manifest {
    files: BTreeMap<String, Record>,
    /// Optional files that the source did not have.
    #[serde(default)]
    absent: BTreeSet<String>,
    #[serde(skip)]
    place: PathBuf,
}

/// A file as it was when its bytes were last hashed. Hashing 90 MB takes a tenth of a second, too long for every start,
/// so a file of the same size and time of change counts as the same file. This guards against damage and mix-ups;
/// whoever can write to the cache on purpose could change the manifest as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    sha256: String,
    size: u64,
    modified_ns: i64,
}

/// How a file on disk compares with what it should be.
#[derive(Debug, PartialEq, Eq)]
pub enum Check {
    Good,
    /// There is no such file, or nothing is known by which it could be trusted.
    Missing,
    /// Its bytes are others.
    Changed,
    /// Its size or time of change is another; only hashing can tell. Given only where hashing was not asked for.
    Unsure,
}

impl Manifest {
    /// Reads the manifest of `folder`; an absent or broken one is empty.
    pub fn load(folder: &Path) -> Self {
        let place = folder.join(FILE_NAME);
        let read = fs::read(&place).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { place, ..read.unwrap_or_default() }
    }

    /// Writes the manifest, whole or not at all.
    pub fn save(&self) -> io::Result<()> {
        let temporary = self.place.with_extension("json.part");
        fs::write(&temporary, serde_json::to_vec_pretty(self)?)?;
        fs::rename(&temporary, &self.place)
    }

    /// The sha256 that was recorded for a file.
    pub fn sha256(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(|record| record.sha256.as_str())
    }

    pub fn is_absent(&self, name: &str) -> bool {
        self.absent.contains(name)
    }

    /// Notes that the source has no such file.
    pub fn set_absent(&mut self, name: &str) {
        self.absent.insert(name.to_owned());
    }

    /// Compares `folder/name` with the sha256 it must have: `pinned`, or else the recorded one. Reads the file only
    /// with `hash`, and then only where its size or time of change is not as recorded.
    pub fn check(&mut self, folder: &Path, name: &str, pinned: Option<&str>, hash: bool) -> io::Result<Check> {
        let Some(expected) = pinned.or(self.sha256(name)).map(str::to_owned) else { return Ok(Check::Missing) };
        let path = folder.join(name);
        match stamp(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Check::Missing),
            Err(error) => Err(error),
            Ok((size, modified_ns)) => {
                let unchanged = Record { sha256: expected.clone(), size, modified_ns };
                if self.files.get(name) == Some(&unchanged) {
                    Ok(Check::Good)
                } else if !hash {
                    Ok(Check::Unsure)
                } else if sha256_of(&path)? == expected {
                    self.files.insert(name.to_owned(), unchanged);
                    Ok(Check::Good)
                } else {
                    Ok(Check::Changed)
                }
            }
        }
    }

    /// Records `folder/name`, whose bytes were just found to be `sha256`.
    pub fn record(&mut self, folder: &Path, name: &str, sha256: String) -> io::Result<()> {
        let (size, modified_ns) = stamp(&folder.join(name))?;
        self.files.insert(name.to_owned(), Record { sha256, size, modified_ns });
        self.absent.remove(name);
        Ok(())
    }

    /// The sha256 of a file that may be what it likes: hashed when it changed since it was last looked at.
    pub fn identify(&mut self, folder: &Path, name: &str) -> io::Result<String> {
        if self.check(folder, name, None, false)? != Check::Good {
            let sha256 = sha256_of(&folder.join(name))?;
            self.record(folder, name, sha256)?;
        }
        Ok(self.sha256(name).unwrap_or_default().to_owned())
    }
}

fn stamp(path: &Path) -> io::Result<(u64, i64)> {
    let metadata = fs::metadata(path)?;
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((metadata.len(), i64::try_from(modified.as_nanos()).unwrap_or(i64::MAX)))
}

/// The sha256 of a file, in hexadecimal.
pub fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
    }
    Ok(hex(&hasher.finalize()))
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
