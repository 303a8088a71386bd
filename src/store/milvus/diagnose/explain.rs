//! What a Milvus server that answers means when it refuses.

/// A code as it came with a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The status of the call itself.
    Grpc(i32),
    /// Milvus' own, in its answer (`pkg/util/merr` of its source).
    Milvus(i32),
}

/// Why Milvus refuses, for a person, with the next step. To be read after the name of the server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("it wants to know who asks, and no token is set; hint: put an API key or USER:PASSWORD into MILVUS_TOKEN")]
    NoToken,
    #[error("it does not accept the token; hint: check the API key or USER:PASSWORD in MILVUS_TOKEN")]
    WrongToken,
    #[error(
        "this needs a right that the token's user does not have ({what}); hint: whoever runs the server can grant it"
    )]
    NotPermitted { what: String },
    #[error("there is no database {name:?} on it; hint: check store.database, or leave it out for the default one")]
    NoDatabase { name: String },
    #[error("the collection is not loaded into memory (yet); hint: try again in a moment")]
    NotLoaded,
    #[error(
        "its vectors have another length than these ({what}); hint: the collection was made with another embedding model"
    )]
    OtherDimension { what: String },
    #[error("it takes no more requests for now ({what}); hint: wait a little, or raise its limits")]
    TooMany { what: String },
    #[error("it is not ready ({what}); hint: it may be starting up, so try again in a moment; else look into its log")]
    NotReady { what: String },
    #[error("it has no room left ({what}); hint: give the server more memory or disk, or drop what is not needed")]
    NoRoom { what: String },
    #[error("a message is larger than it or the client takes ({what}); hint: smaller passages or fewer at a time")]
    TooLarge { what: String },
    #[error("it does not know the calls of Milvus ({what}); hint: correct the port (Milvus' own is 19530)")]
    NotMilvus { what: String },
}

/// What a refusal means, if it is one of those that a person can do something about. `text` is what the server said; what
/// is kept of it is one sanitised line.
///
/// Seen from Milvus 2.3.5 and Milvus Lite 2.5.1, and by the codes in the source of 2.5 and 2.6. The codes are looked at
/// first; the words are for servers that say only "unexpected error".
pub fn explain(code: Code, text: &str) -> Option<Refusal> {
    let what = crate::text::one_line(text);
    let lower = what.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let by_code = match code {
        Code::Grpc(grpc::UNAUTHENTICATED) | Code::Milvus(1400 | 1800) if says(&["missing authorization"]) => {
            Some(Refusal::NoToken)
        }
        Code::Grpc(grpc::UNAUTHENTICATED) | Code::Milvus(1400 | 1800) => Some(Refusal::WrongToken),
        Code::Grpc(grpc::PERMISSION_DENIED) | Code::Milvus(1401) => Some(Refusal::NotPermitted { what: what.clone() }),
        Code::Grpc(grpc::UNIMPLEMENTED) if says(&["unknown service", "mapped from http"]) => {
            Some(Refusal::NotMilvus { what: what.clone() })
        }
        Code::Grpc(grpc::RESOURCE_EXHAUSTED | grpc::OUT_OF_RANGE) if says(&["larger than max", "too large"]) => {
            Some(Refusal::TooLarge { what: what.clone() })
        }
        Code::Grpc(grpc::RESOURCE_EXHAUSTED) | Code::Milvus(4 | 8 | 1003 | 1807) => {
            Some(Refusal::TooMany { what: what.clone() })
        }
        Code::Grpc(grpc::UNAVAILABLE) | Code::Milvus(1 | 2) if !says(&["has been dropped"]) => {
            Some(Refusal::NotReady { what: what.clone() })
        }
        Code::Milvus(101 | 103 | 201 | 202) => Some(Refusal::NotLoaded),
        Code::Milvus(3 | 7 | 9 | 12 | 605) => Some(Refusal::NoRoom { what: what.clone() }),
        Code::Milvus(800) => Some(Refusal::NoDatabase { name: database(&what) }),
        Code::Grpc(_) | Code::Milvus(_) => None,
    };
    by_code.or_else(|| {
        if says(&["should divide the dim", "dimension mismatch", "is not equal to schema dim"]) {
            Some(Refusal::OtherDimension { what })
        } else if says(&["not ready", "not healthy", "service unavailable"]) {
            Some(Refusal::NotReady { what })
        } else if says(&["collection not loaded", "not fully loaded"]) {
            Some(Refusal::NotLoaded)
        } else if says(&["quota exceeded", "limit exceeded", "not enough memory", "outofmemory", "out of memory"]) {
            Some(Refusal::NoRoom { what })
        } else {
            None
        }
    })
}

/// Of `database not found[database=NAME]`.
fn database(text: &str) -> String {
    let name = text.split_once("[database=").and_then(|(_, rest)| rest.split_once(']'));
    name.map_or(text, |(name, _)| name).to_owned()
}

/// gRPC's status codes, of its specification.
mod grpc {
    pub const PERMISSION_DENIED: i32 = 7;
    pub const RESOURCE_EXHAUSTED: i32 = 8;
    pub const OUT_OF_RANGE: i32 = 11;
    pub const UNIMPLEMENTED: i32 = 12;
    pub const UNAVAILABLE: i32 = 14;
    pub const UNAUTHENTICATED: i32 = 16;
}
