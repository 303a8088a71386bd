//! Stands for Milvus Lite where there is none.

use std::{path::Path, time::Duration};

/// There is none on this system.
#[derive(Debug, thiserror::Error)]
#[error("Milvus Lite does not run on this system; hint: use a Milvus server, such as --store http://localhost:19530")]
pub struct LiteError;

pub enum LiteServer {}

impl LiteServer {
    #[expect(clippy::unused_async, reason = "as where there is one")]
    pub async fn start(_: &Path, _: &Path, _: Duration) -> Result<Self, LiteError> {
        Err(LiteError)
    }

    pub fn uri(&self) -> String {
        match *self {}
    }

    pub fn ended(&self) -> Option<String> {
        match *self {}
    }
}
