use std::{path::PathBuf, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use crate::domain::Secret;

/// Gets the folder that holds Milvus Lite's program, downloading it when it is not there; an error is for people.
pub type LiteProgram = Arc<dyn Fn() -> BoxFuture<'static, Result<PathBuf, String>> + Send + Sync>;

/// Where a Milvus is.
#[derive(Clone)]
pub enum MilvusEndpoint {
    /// A database file, served by a Milvus Lite that this process runs.
    Lite { file: PathBuf, program: LiteProgram },
    /// `http://host:port`, `https://host:port` or `unix:/path`.
    Server { uri: String },
}

/// Which Milvus, and how to talk to it.
#[derive(Clone)]
pub struct MilvusOptions {
    pub endpoint: MilvusEndpoint,
    /// An API key or `user:password`.
    pub token: Option<Secret>,
    /// `None`: the server's default.
    pub database: Option<String>,
    /// PEM files. A CA replaces the system's roots.
    pub ca_certificate: Option<PathBuf>,
    pub client_certificate: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    /// The name that the server's certificate is for, where it is not the host's.
    pub tls_server_name: Option<String>,
    pub connect_timeout: Duration,
    pub call_timeout: Duration,
    /// Folder for what is kept on this machine: keyword indexes and write locks.
    pub local: PathBuf,
}
