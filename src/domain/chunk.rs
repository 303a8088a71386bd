use std::{fmt, ops::Range, str::FromStr};

use serde::{Deserialize, Serialize};

/// One embedding: `dim` finite 32-bit floats, of length 1 when the model normalises.
pub type Vector = Vec<f32>;

/// A chunk's identity: 63 bits derived from the document's name, the chunk's place and its text, so that the same
/// input always gives the same id and a repeated insert is harmless. Never negative, so it fits any signed key.
///
/// Printed and serialised as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ChunkId(i64);

impl ChunkId {
    /// Takes the first 63 bits of a digest of the chunk.
    pub fn from_digest(digest: [u8; 8]) -> Self {
        Self((u64::from_be_bytes(digest) >> 1) as i64)
    }

    /// The id of a row that carries this key. `None` when negative: no chunk has such an id.
    pub fn from_key(key: i64) -> Option<Self> {
        (key >= 0).then_some(Self(key))
    }

    /// The id as a signed 64-bit key, for stores.
    pub fn key(self) -> i64 {
        self.0
    }
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for ChunkId {
    type Err = std::num::ParseIntError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        i64::from_str_radix(s, 16).map(Self)
    }
}

impl Serialize for ChunkId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChunkId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A piece of a document: what is embedded, searched, shown and cited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    pub id: ChunkId,
    /// The document's name in the collection, for example `faq/product_faq.md`.
    pub document: String,
    /// Position in the document, from 0.
    pub ordinal: u32,
    /// The headings above the chunk, outermost first, its own heading last. Empty where there are none.
    pub heading: Vec<String>,
    /// First and last line in the document, counted from 1, both included.
    pub lines: (u32, u32),
    /// Byte range in the document's UTF-8 text.
    pub bytes: Range<usize>,
    /// The document's text of that range, to the letter.
    pub text: String,
    /// Length in the embedding model's tokens, URLs not counted.
    pub tokens: u32,
}

impl Chunk {
    /// What is embedded: the heading path on its own line, then the [`body`](Self::body).
    pub fn indexed_text(&self) -> String {
        if self.heading.is_empty() {
            return self.text.clone();
        }
        format!("{}\n{}", self.heading.join(" > "), self.body())
    }

    /// The text without the heading lines that it begins with, since these are in the heading path already.
    pub fn body(&self) -> &str {
        let mut text = self.text.as_str();
        while let Some((line, rest)) = text.split_once('\n')
            && !self.heading.is_empty()
            && (line.trim().is_empty() || self.is_own_heading(line))
        {
            text = rest;
        }
        text
    }

    /// Whether a line is `# ` and a heading of the path, whatever markup is in it.
    fn is_own_heading(&self, line: &str) -> bool {
        let bare = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
        line.trim_start().starts_with('#') && self.heading.iter().any(|heading| bare(heading) == bare(line))
    }

    /// `document:first-last`, the way a passage is named to a person.
    pub fn place(&self) -> String {
        let (first, last) = self.lines;
        if first == last { format!("{}:{first}", self.document) } else { format!("{}:{first}-{last}", self.document) }
    }

    /// The innermost heading, or the text's first line that holds a letter or digit.
    pub fn title(&self) -> &str {
        self.heading.last().map_or_else(
            || {
                let has_word = |line: &&str| line.chars().any(char::is_alphanumeric);
                self.text.lines().map(str::trim).find(has_word).unwrap_or("")
            },
            String::as_str,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_is_indexed_once() {
        let chunk = |text: &str| Chunk {
            id: ChunkId::from_digest([0; 8]),
            document: "a.md".into(),
            ordinal: 0,
            heading: vec!["Storage".into(), "Where is data?".into()],
            lines: (1, 1),
            bytes: 0..text.len(),
            text: text.into(),
            tokens: 0,
        };
        let path = "Storage > Where is data?\n";
        assert_eq!(chunk("# Storage\n\n## Where is *data*?\n\nOn disk.\n").indexed_text(), format!("{path}On disk.\n"));
        assert_eq!(chunk("# Other\nOn disk.").indexed_text(), format!("{path}# Other\nOn disk."));
        assert_eq!(
            chunk("On disk.\n## Where is data?\n").indexed_text(),
            format!("{path}On disk.\n## Where is data?\n")
        );
    }
}
