use std::ops::Range;

use sha2::{Digest, Sha256};

use super::{
    filter::extension,
    markdown::{self, Block, Kind, Section},
    pack::{measure, pack},
};
use crate::{
    domain::{Chunk, ChunkId, Chunker},
    text::LineIndex,
};

/// A chunk before it has a name and a number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) bytes: Range<usize>,
    pub(super) heading: Vec<String>,
    pub(super) tokens: usize,
}

/// Cuts a document into chunks. `name` decides whether headings are looked for: in Markdown, and where there is no
/// extension; any other text is cut along its paragraphs. `count` gives a text's length in the embedding model's tokens.
///
/// The Markdown chunker packs whole blocks of one section into chunks of about 200 to 400 tokens; a section that is
/// shorter stays a chunk of its own, so that each question of a FAQ is found by itself. A heading's line is part of its
/// section's first chunk. Front matter is left out; every other character that isn't white space is in exactly one
/// chunk. A code fence stays whole up to 600 tokens.
pub fn chunk(name: &str, text: &str, chunker: &Chunker, count: &dyn Fn(&str) -> usize) -> Vec<Chunk> {
    let pieces = match chunker {
        Chunker::Split(separator) => split(text, separator, count),
        Chunker::Markdown if matches!(extension(name).as_str(), "" | "md" | "markdown" | "mdown" | "mkd" | "mdx") => {
            pack(text, &markdown::sections(text), count)
        }
        Chunker::Markdown => pack(text, &[paragraphs(text)], count),
    };
    let lines = LineIndex::new(text);
    let finish = |(ordinal, Piece { bytes, heading, tokens })| {
        let own = text.get(bytes.clone()).unwrap_or_default();
        Chunk {
            id: id(name, bytes.start, &heading, own),
            document: name.to_owned(),
            ordinal,
            lines: lines.lines(&bytes),
            text: own.to_owned(),
            tokens: u32::try_from(tokens).unwrap_or(u32::MAX),
            heading,
            bytes,
        }
    };
    (0..).zip(pieces).map(finish).collect()
}

/// Python's `text.split(separator)`, without the pieces that are only white space.
fn split(text: &str, separator: &str, count: &dyn Fn(&str) -> usize) -> Vec<Piece> {
    let mut start = 0;
    let mut pieces = Vec::new();
    for part in text.split(separator) {
        let bytes = start..start + part.len();
        start = bytes.end + separator.len();
        if !part.trim().is_empty() {
            pieces.push(Piece { bytes, heading: Vec::new(), tokens: measure(part, count) });
        }
    }
    pieces
}

/// Plain text: blocks with blank lines between them.
fn paragraphs(text: &str) -> Section {
    let mut starts = Vec::new();
    let (mut at, mut after_blank) = (0, true);
    for line in text.split_inclusive('\n') {
        let blank = line.trim().is_empty();
        if !blank && after_blank {
            starts.push(at);
        }
        after_blank = blank;
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let block = |(start, end)| Block { bytes: start..end, kind: Kind::Prose, marks: Vec::new() };
    Section { heading: Vec::new(), blocks: starts.iter().copied().zip(ends).map(block).collect() }
}

/// Every part is preceded by its length, so that no two different chunks give the same bytes to the digest.
fn id(name: &str, start: usize, heading: &[String], text: &str) -> ChunkId {
    let mut digest = Sha256::new();
    let mut put = |part: &str| {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    };
    put(name);
    put(&start.to_string());
    put(&heading.len().to_string());
    heading.iter().for_each(|part| put(part));
    put(text);
    let mut first = [0; 8];
    first.iter_mut().zip(digest.finalize()).for_each(|(to, from)| *to = from);
    ChunkId::from_digest(first)
}
