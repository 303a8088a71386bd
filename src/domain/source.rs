use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How documents are cut into chunks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Chunker {
    /// Along headings and blocks, 200-400 tokens, code fences and short sections whole.
    #[default]
    Markdown,
    /// At every occurrence of a separator, which is dropped; Python's `text.split(separator)`.
    Split(String),
}

impl Chunker {
    /// Names the algorithm and its version: it changes whenever the same document would give other chunks.
    pub fn version(&self) -> String {
        match self {
            Self::Markdown => "markdown/1".to_owned(),
            Self::Split(separator) => format!("split/1:{separator}"),
        }
    }
}

impl fmt::Display for Chunker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Markdown => f.write_str("markdown"),
            Self::Split(separator) => write!(f, "split:{separator}"),
        }
    }
}

impl FromStr for Chunker {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.split_once(':') {
            None if s == "markdown" => Ok(Self::Markdown),
            Some(("split", separator)) if !separator.is_empty() => {
                // The quotes of `split:"# "` survive where no shell has taken them off.
                let bare = separator.strip_prefix('"').and_then(|s| s.strip_suffix('"')).filter(|s| !s.is_empty());
                Ok(Self::Split(bare.unwrap_or(separator).to_owned()))
            }
            _ => {
                Err(format!("no such chunker: {s:?}; use \"markdown\" or \"split:SEPARATOR\", for example 'split:# '"))
            }
        }
    }
}

impl TryFrom<String> for Chunker {
    type Error = String;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Chunker> for String {
    fn from(chunker: Chunker) -> Self {
        chunker.to_string()
    }
}

/// One thing a collection is made from, kept with the collection so that it can be re-indexed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSpec {
    /// An absolute path, an `http(s)` URL, or [`SourceSpec::HANDBOOK`].
    pub location: String,
    /// Only documents whose path below the location matches one of these; all when empty.
    pub globs: Vec<String>,
    pub chunker: Chunker,
}

impl SourceSpec {
    /// The location of the handbook that is compiled into the program.
    pub const HANDBOOK: &'static str = "builtin:handbook";

    pub fn handbook() -> Self {
        Self { location: Self::HANDBOOK.to_owned(), globs: Vec::new(), chunker: Chunker::Markdown }
    }

    /// Identifies the source in its collection. The chunker is not part of it: the same folder cut another way
    /// replaces what was there.
    pub fn key(&self) -> String {
        [std::slice::from_ref(&self.location), &self.globs].concat().join("\u{1f}")
    }
}
