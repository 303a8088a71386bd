//! Milvus in all its forms behind the same trait: Milvus Lite in a child process, a server, Zilliz Cloud.

mod options;

pub use self::options::{LiteProgram, MilvusEndpoint, MilvusOptions};
