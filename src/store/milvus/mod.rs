//! Collections in Milvus.

#[cfg(unix)]
mod lite;

#[cfg(unix)]
pub use self::lite::{LiteError, LiteServer};
