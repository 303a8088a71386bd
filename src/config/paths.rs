use std::{env, path::PathBuf};

use directories::ProjectDirs;

use super::ConfigError;

/// Where things are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    pub config_file: PathBuf,
    /// Collections of the embedded store.
    pub data: PathBuf,
    /// Models and libraries: may be deleted at any time, and is got again.
    pub cache: PathBuf,
    /// Log and question history.
    pub state: PathBuf,
}

impl Paths {
    /// Under `ASKDOCS_HOME` when that is set, else where the system keeps such things.
    ///
    /// # Errors
    /// When neither is known.
    pub fn find() -> Result<Self, ConfigError> {
        if let Some(home) = env::var_os("ASKDOCS_HOME").filter(|home| !home.is_empty()) {
            return Ok(Self::under(&std::path::absolute(&home).unwrap_or_else(|_| PathBuf::from(home))));
        }
        let dirs = ProjectDirs::from("", "", "askdocs").ok_or(ConfigError::NoHome)?;
        Ok(Self {
            config_file: dirs.config_dir().join("config.toml"),
            // On Windows not what goes along from machine to machine.
            data: dirs.data_local_dir().to_owned(),
            cache: dirs.cache_dir().to_owned(),
            state: dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned(),
        })
    }

    /// Everything under one folder.
    pub fn under(home: &std::path::Path) -> Self {
        Self {
            config_file: home.join("config.toml"),
            data: home.join("data"),
            cache: home.join("cache"),
            state: home.join("state"),
        }
    }

    /// The folder with the embedded store's collections.
    pub fn collections(&self) -> PathBuf {
        self.data.join("collections")
    }
}
