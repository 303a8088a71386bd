//! Placeholder while the floors are built.
use crate::domain::*;
use tokio_util::sync::CancellationToken;
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{0}")]
    Any(String),
}
pub struct Entry {
    pub name: String,
    pub location: String,
    pub size: u64,
    pub modified_ns: Option<i64>,
}
impl Entry {
    pub fn read(&self) -> Result<Document, String> {
        Err(String::new())
    }
}
pub struct Document {
    pub text: String,
    pub sha256: String,
}
impl Document {
    pub fn content(&self, version: &str) -> String {
        format!("{} {version}", self.sha256)
    }
}
pub struct Scan {
    pub entries: Vec<Entry>,
    pub skipped: Vec<Skip>,
    pub ignored: u64,
}
pub async fn scan(_spec: &SourceSpec, _p: &Progress, _c: &CancellationToken) -> Result<Scan, SourceError> {
    Err(SourceError::Any(String::new()))
}
pub fn chunk(_name: &str, _text: &str, _chunker: &Chunker, _count: &dyn Fn(&str) -> usize) -> Vec<Chunk> {
    vec![]
}
