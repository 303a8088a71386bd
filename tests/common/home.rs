//! A place of its own for a run of the program, with the model already there.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::model;

/// Makes a folder be found in another place too.
#[cfg(unix)]
pub fn link_folder(folder: &Path, place: &Path) {
    std::os::unix::fs::symlink(folder, place).unwrap();
}

/// The same file by file: not everybody may link folders there.
#[cfg(not(unix))]
pub fn link_folder(folder: &Path, place: &Path) {
    std::fs::create_dir(place).unwrap();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), place.join(entry.file_name()));
        if from.is_dir() {
            link_folder(&from, &to);
        } else if std::fs::hard_link(&from, &to).is_err() {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

pub struct Home {
    pub folder: tempfile::TempDir,
}

impl Home {
    /// With the shared cache of models.
    pub fn with_model() -> Self {
        model::files();
        let home = Self::empty();
        link_folder(&model::cache(), &home.path().join("cache"));
        home
    }

    /// With nothing at all.
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file below the home, with the folders above it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, content).unwrap();
        file
    }

    /// The program, to be run here, without a model hub to reach.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_askdocs"));
        command.args(arguments).current_dir(self.path()).env("ASKDOCS_HOME", self.path());
        for name in [
            "LEPTONAI_TOKEN",
            "OPENAI_API_KEY",
            "MILVUS_URI",
            "MILVUS_TOKEN",
            "HF_TOKEN",
            "ORT_DYLIB_PATH",
            "ASKDOCS_MILVUS_LITE",
            "NO_COLOR",
        ] {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }
}

/// What a finished run said.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}
