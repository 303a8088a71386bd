//! Which store is used, and making it: the one place that knows all engines.

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{UsageError, args::Args};
use crate::{
    artifacts::Artifacts,
    config::{Config, Paths, Place, Store},
    domain::{Progress, Secret},
    http,
    store::{
        MilvusStore, SqliteStore, VectorStore,
        milvus::{LiteProgram, MilvusEndpoint, MilvusOptions},
    },
};

/// Names a store from outside of the configuration, as it does for Milvus' own clients.
const URI_ENV: &str = "MILVUS_URI";

/// The configured store, or the one that `--store` or else the environment names instead.
pub fn chosen(args: &Args, config: &Config) -> Result<Store, UsageError> {
    let at = |from: &str, uri: &str| config.store.at(uri).map_err(|message| UsageError(format!("{from}: {message}")));
    if let Some(uri) = &args.store {
        return at("--store", uri);
    }
    match env::var(URI_ENV) {
        Ok(uri) if !uri.is_empty() => at(URI_ENV, &uri),
        Err(env::VarError::NotUnicode(_)) => Err(UsageError(format!("{URI_ENV}: it is not UTF-8"))),
        Ok(_) | Err(env::VarError::NotPresent) => Ok(config.store.clone()),
    }
}

/// A store, concrete.
pub enum Engine {
    Embedded(Arc<SqliteStore>),
    Milvus(Arc<MilvusStore>),
}

impl Engine {
    /// Makes it; opens and connects nothing yet. `program` is for Milvus Lite.
    ///
    /// # Errors
    /// [`UsageError`] when the token would travel in the open.
    pub fn new(store: &Store, paths: &Paths, program: LiteProgram) -> anyhow::Result<Self> {
        Ok(match milvus_options(store, paths, program)? {
            None => Self::Embedded(Arc::new(SqliteStore::open(&paths.collections())?)),
            Some(options) => Self::Milvus(Arc::new(MilvusStore::new(options)?)),
        })
    }

    pub fn store(&self) -> Arc<dyn VectorStore> {
        match self {
            Self::Embedded(store) => Arc::<SqliteStore>::clone(store),
            Self::Milvus(store) => Arc::<MilvusStore>::clone(store),
        }
    }
}

fn milvus_options(store: &Store, paths: &Paths, program: LiteProgram) -> Result<Option<MilvusOptions>, UsageError> {
    let (endpoint, token) = match &store.place {
        Place::Embedded => return Ok(None),
        Place::Lite(file) => (MilvusEndpoint::Lite { file: file.clone(), program }, None),
        Place::Server(uri) => {
            let token = token(store);
            if token.is_some() && Url::parse(uri).is_ok_and(|url| http::is_in_the_open(&url)) {
                let name = store.token_env.as_deref().unwrap_or_default();
                return Err(UsageError(format!(
                    "the token in {name} would travel in the open, over plain http to another machine: {uri}; hint: use https://, or unset {name} where the server asks for none"
                )));
            }
            (MilvusEndpoint::Server { uri: uri.clone() }, token)
        }
    };
    Ok(Some(MilvusOptions {
        endpoint,
        token,
        database: store.database.clone(),
        ca_certificate: store.tls.ca_certificate.clone(),
        client_certificate: store.tls.client_certificate.clone(),
        client_key: store.tls.client_key.clone(),
        tls_server_name: store.tls.server_name.clone(),
        connect_timeout: store.connect_timeout,
        call_timeout: store.call_timeout,
        local: local(store, paths),
    }))
}

/// The token of a store, from the environment.
pub fn token(store: &Store) -> Option<Secret> {
    Secret::new(&env::var(store.token_env.as_ref()?).ok()?)
}

/// Where this machine keeps what belongs to a Milvus: a folder for each address and database, or file.
fn local(store: &Store, paths: &Paths) -> PathBuf {
    let place = match &store.place {
        Place::Lite(file) => canonical(file).display().to_string(),
        place @ (Place::Embedded | Place::Server(_)) => place.to_string(),
    };
    let digest = Sha256::digest(format!("{place}\n{}", store.database.as_deref().unwrap_or_default()));
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    paths.data.join("milvus").join(name)
}

/// One name for a file that need not be there yet, whatever links lead to its folder.
fn canonical(file: &Path) -> PathBuf {
    let folder = file.parent().and_then(|folder| folder.canonicalize().ok());
    match (folder, file.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        (_, _) => file.to_owned(),
    }
}

/// Whether two stores are one: what is written to one is in the other.
pub fn is_same(a: &Store, b: &Store) -> bool {
    match (&a.place, &b.place) {
        (Place::Lite(a), Place::Lite(b)) => canonical(a) == canonical(b),
        (a_place, b_place) => a_place == b_place && a.database == b.database,
    }
}

/// Gets Milvus Lite's program when it is needed, with progress.
pub fn lite_program(artifacts: Artifacts, progress: &Arc<Progress>, cancel: &CancellationToken) -> LiteProgram {
    let (progress, cancel) = (Arc::clone(progress), cancel.clone());
    Arc::new(move || {
        let (artifacts, progress, cancel) = (artifacts.clone(), Arc::clone(&progress), cancel.clone());
        Box::pin(async move { artifacts.milvus_lite(&progress, &cancel).await.map_err(|error| error.to_string()) })
    })
}
