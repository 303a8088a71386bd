//! The real Milvus Lite, got once by the program's own code into the cache that all tests share.

#![expect(clippy::expect_used, reason = "no test can go on without it")]

use std::path::PathBuf;

use askdocs::{artifacts::Artifacts, domain::Progress};
use tokio_util::sync::CancellationToken;

/// The folder with its program.
pub async fn program() -> PathBuf {
    let artifacts = Artifacts::from_env(super::model::cache());
    artifacts.milvus_lite(&Progress::default(), &CancellationToken::new()).await.expect("Milvus Lite")
}
