//! Packing blocks into chunks by their length in tokens. Each block is counted once; only what is too long to stay whole
//! is counted again, in halves.

use std::{borrow::Cow, ops::Range};

use unicode_segmentation::UnicodeSegmentation;

use super::{
    chunk::Piece,
    markdown::{Block, Kind, Section, line_start},
};

/// Chunks are filled to between these many tokens where their section is long enough.
pub(super) const MIN_TOKENS: usize = 200;
pub(super) const MAX_TOKENS: usize = 400;
/// A code fence, with what leads in to it, stays whole up to here.
pub(super) const MAX_CODE_TOKENS: usize = 600;
/// A paragraph up to here that ends in a colon is kept together with what it leads in to.
const MAX_LEAD_IN_TOKENS: usize = 60;
/// A paragraph up to here in front of the first heading goes with what follows.
const MAX_PREAMBLE_TOKENS: usize = 20;
/// A text with more bytes than this for each token that is allowed is too long whatever its count: counting something
/// huge as a whole would cost more memory than the document.
const MAX_BYTES_PER_TOKEN: usize = 64;

/// No language has words so long that a token stands for more bytes than this: a tokenizer that gives up on an endless
/// word and calls it one token must not make a chunk of megabytes.
const MOST_BYTES_OF_TOKEN: usize = 16;

/// URLs are not counted, but a chunk is not filled beyond this with them.
const MAX_BYTES: usize = 24 << 10;

/// Length of a text in tokens, URLs not counted unless they are all but endless.
pub(super) fn measure(text: &str, count: &dyn Fn(&str) -> usize) -> usize {
    tokens(text, &without_urls(text), count)
}

fn tokens(text: &str, without_urls: &str, count: &dyn Fn(&str) -> usize) -> usize {
    let beyond = text.len().saturating_sub(MAX_BYTES);
    count(without_urls).max(without_urls.len() / MOST_BYTES_OF_TOKEN).max(beyond / MOST_BYTES_OF_TOKEN)
}

/// Cuts sections into pieces. Two sections share a piece only where the first has nothing but its heading to say.
pub(super) fn pack(text: &str, sections: &[Section], count: &dyn Fn(&str) -> usize) -> Vec<Piece> {
    let mut packer = Packer { text, count, units: Vec::new(), held: None, pieces: Vec::new() };
    for section in sections {
        for block in &section.blocks {
            packer.add(block, &section.heading);
        }
        packer.finish_section(&section.heading);
    }
    if let Some(held) = packer.held.take() {
        packer.emit(held.bytes, &held.heading, held.tokens);
    }
    packer.pieces
}

/// What stays in one piece.
struct Unit {
    bytes: Range<usize>,
    tokens: usize,
}

/// A heading, a lead-in or an opening tag that waits for what it belongs to. At most half of [`MAX_TOKENS`].
struct Held {
    bytes: Range<usize>,
    tokens: usize,
    /// What the headings have in common, should nothing follow.
    heading: Vec<String>,
    /// Whether there are words besides headings.
    speaks: bool,
}

struct Packer<'a> {
    text: &'a str,
    count: &'a dyn Fn(&str) -> usize,
    /// Of the section in hand.
    units: Vec<Unit>,
    held: Option<Held>,
    pieces: Vec<Piece>,
}

impl Packer<'_> {
    fn add(&mut self, block: &Block, heading: &[String]) {
        let limit = match block.kind {
            Kind::Code => MAX_CODE_TOKENS,
            Kind::Heading | Kind::Prose | Kind::Table | Kind::Html => MAX_TOKENS,
        };
        let tokens = self.tokens_within(&block.bytes, limit);
        let mute = !has_words(self.slice(&block.bytes), block.kind);
        if let Some(tokens) =
            tokens.filter(|tokens| *tokens <= MAX_TOKENS / 2 && self.waits(block, heading, *tokens, mute))
        {
            let speaks = !mute && block.kind != Kind::Heading && !heading.is_empty();
            return self.hold(block, tokens, heading, speaks);
        }
        // A closing tag or a rule goes with what it closes.
        if mute
            && self.held.is_none()
            && let (Some(last), Some(tokens)) = (self.units.last_mut(), tokens)
            && last.tokens + tokens <= MAX_CODE_TOKENS
        {
            last.bytes.end = block.bytes.end;
            last.tokens += tokens;
            return;
        }
        let (start, before) = self.held.take().map_or((block.bytes.start, 0), |held| (held.bytes.start, held.tokens));
        if let Some(tokens) = tokens.filter(|tokens| before + tokens <= limit) {
            self.units.push(Unit { bytes: start..block.bytes.end, tokens: before + tokens });
            return;
        }
        let first = self.units.len();
        self.cut(block.bytes.clone(), block, limit - before);
        if let Some(unit) = self.units.get_mut(first) {
            unit.bytes.start = start;
            unit.tokens += before;
        }
    }

    /// Whether a block goes with what comes behind it.
    fn waits(&self, block: &Block, heading: &[String], tokens: usize, mute: bool) -> bool {
        let own = self.slice(&block.bytes).trim();
        let first = self.units.is_empty();
        match block.kind {
            Kind::Heading => true,
            _ if mute && (first || self.held.is_some()) => true,
            // An opening tag or a comment.
            Kind::Html => mute && own.starts_with('<') && !own.starts_with("</"),
            Kind::Prose if heading.is_empty() && first && tokens <= MAX_PREAMBLE_TOKENS => true,
            Kind::Prose => tokens <= MAX_LEAD_IN_TOKENS && own.ends_with([':', '：']),
            Kind::Table | Kind::Code => false,
        }
    }

    fn hold(&mut self, block: &Block, tokens: usize, heading: &[String], speaks: bool) {
        if self.held.as_ref().is_some_and(|held| held.tokens + tokens > MAX_TOKENS / 2) {
            self.release();
        }
        match &mut self.held {
            Some(held) => {
                held.bytes.end = block.bytes.end;
                held.tokens += tokens;
                held.speaks |= speaks;
                let common = held.heading.iter().zip(heading).take_while(|(a, b)| a == b).count();
                held.heading.truncate(common);
            }
            held @ None => {
                *held = Some(Held { bytes: block.bytes.clone(), tokens, heading: heading.to_vec(), speaks });
            }
        }
    }

    /// Nothing came that the held part belongs to.
    fn release(&mut self) {
        if let Some(Held { bytes, tokens, .. }) = self.held.take() {
            self.units.push(Unit { bytes, tokens });
        }
    }

    /// Turns the section's units into pieces of about equal length. A section that is only a heading waits for the next.
    fn finish_section(&mut self, heading: &[String]) {
        if !self.units.is_empty() || self.held.as_ref().is_some_and(|held| held.speaks) {
            self.release();
        }
        let units = std::mem::take(&mut self.units);
        let mut rest: usize = units.iter().map(|unit| unit.tokens).sum();
        let mut units = units.into_iter().peekable();
        while let Some(Unit { mut bytes, mut tokens }) = units.next() {
            // As many pieces as are needed, filled evenly: no crumb is left at the end.
            let target = rest / rest.div_ceil(MAX_TOKENS).max(1);
            while let Some(next) = units.next_if(|next| {
                let together = tokens + next.tokens;
                let nearer = together <= target || together - target < target.saturating_sub(tokens);
                let small = next.bytes.end - bytes.start <= MAX_BYTES;
                small && together <= MAX_TOKENS && (nearer || tokens < MIN_TOKENS)
            }) {
                bytes.end = next.bytes.end;
                tokens += next.tokens;
            }
            rest = rest.saturating_sub(tokens);
            self.emit(bytes, heading, tokens);
        }
    }

    /// Takes a piece over without the blank lines around it, its first line's indentation kept.
    fn emit(&mut self, bytes: Range<usize>, heading: &[String], tokens: usize) {
        let own = self.slice(&bytes);
        let end = bytes.start + own.trim_end().len();
        let mut start = bytes.start + (own.len() - own.trim_start().len());
        if start >= end {
            return;
        }
        let indented = line_start(self.text, start).max(bytes.start);
        if indented == 0 || self.text.as_bytes().get(indented - 1) == Some(&b'\n') {
            start = indented;
        }
        self.pieces.push(Piece { bytes: start..end, heading: heading.to_vec(), tokens });
    }

    /// Halves what is too long until each part fits.
    fn cut(&mut self, bytes: Range<usize>, block: &Block, limit: usize) {
        let tokens = self.tokens_within(&bytes, limit);
        let place = if tokens.is_some_and(|tokens| tokens <= limit) { None } else { self.cut_point(&bytes, block) };
        match place {
            Some(at) => {
                self.cut(bytes.start..at, block, limit);
                self.cut(at..bytes.end, block, limit);
            }
            // It fits, or it is a single character.
            None => self.units.push(Unit { bytes, tokens: tokens.unwrap_or(limit) }),
        }
    }

    /// The best place in the middle half: between parts, sentences or lines, words, and only then anywhere.
    fn cut_point(&self, bytes: &Range<usize>, block: &Block) -> Option<usize> {
        let text = self.slice(bytes);
        let middle = text.len() / 2;
        let low = text.floor_char_boundary(middle / 2);
        let high = text.floor_char_boundary(middle + middle / 2);
        let window = text.get(low..high).unwrap_or_default();
        let nearest = |places: &mut dyn Iterator<Item = usize>| {
            places.filter(|at| low.max(1) <= *at && *at <= high).min_by_key(|at| at.abs_diff(middle))
        };

        let first = block.marks.partition_point(|mark| *mark < bytes.start + low);
        let mut marks = block.marks.iter().skip(first).map(|mark| mark - bytes.start).take_while(|at| *at <= high);
        if let Some(mark) = nearest(&mut marks) {
            let at = line_start(text, mark);
            return Some(bytes.start + if at > 0 { at } else { mark });
        }
        let mut lines = window.match_indices('\n').map(|(at, _)| low + at + 1);
        let mut sentences = window.split_sentence_bound_indices().map(|(at, _)| at).filter(|at| {
            // A line's end counts as a sentence's end to Unicode.
            window.get(..*at).is_some_and(|before| before.trim_end().ends_with(SENTENCE_ENDS))
        });
        let mut sentences = sentences.by_ref().map(|at| low + at);
        let by_kind = match block.kind {
            Kind::Heading | Kind::Prose => nearest(&mut sentences),
            Kind::Table | Kind::Html | Kind::Code => nearest(&mut lines),
        };
        let space = |(at, c): (usize, char)| c.is_whitespace().then(|| low + at + c.len_utf8());
        let best = by_kind
            .or_else(|| nearest(&mut window.char_indices().filter_map(space)))
            .or_else(|| nearest(&mut window.grapheme_indices(true).map(|(at, _)| low + at).filter(|at| *at > low)))
            .or_else(|| nearest(&mut [text.floor_char_boundary(middle)].into_iter()))
            .or_else(|| Some(text.ceil_char_boundary(middle)).filter(|at| *at > 0 && *at < text.len()));
        best.map(|at| bytes.start + at)
    }

    /// `None` when it is beyond the limit without counting.
    fn tokens_within(&self, bytes: &Range<usize>, limit: usize) -> Option<usize> {
        let text = self.slice(bytes);
        let counted = without_urls(text);
        (counted.len() <= limit * MAX_BYTES_PER_TOKEN).then(|| tokens(text, &counted, self.count))
    }

    fn slice(&self, bytes: &Range<usize>) -> &str {
        self.text.get(bytes.clone()).unwrap_or_default()
    }
}

const SENTENCE_ENDS: [char; 14] = ['.', '!', '?', '…', '。', '！', '？', ':', ';', '"', '\'', ')', '”', '’'];

/// Whether there is anything to read, besides tags and comments in HTML.
fn has_words(text: &str, kind: Kind) -> bool {
    if kind != Kind::Html {
        return without_urls(text).contains(char::is_alphanumeric);
    }
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        if before.contains(char::is_alphanumeric) {
            return true;
        }
        let end = if tag.starts_with("!--") { "-->" } else { ">" };
        rest = tag.split_once(end).map_or("", |(_, behind)| behind);
    }
    rest.contains(char::is_alphanumeric)
}

/// The text without `scheme://...`, `data:` URLs and the targets of Markdown links.
fn without_urls(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    // Up to where the text was taken over or dropped.
    let mut done = 0;
    let mut at = 0;
    while at < bytes.len() {
        let here = bytes.get(at..).unwrap_or_default();
        let (from, to) = if here.starts_with(b"](") {
            (at + 2, at + 2 + target_len(here.get(2..).unwrap_or_default()))
        } else if here.starts_with(b"://") {
            let scheme = bytes.get(done..at).unwrap_or_default().iter().rev();
            (
                at - scheme.take_while(|b| b.is_ascii_alphanumeric()).count(),
                at + 3 + url_len(here.get(3..).unwrap_or_default()),
            )
        } else if here.starts_with(b"data:")
            && here.get(5..64.min(here.len())).is_some_and(|head| head.windows(7).any(|w| w == b"base64,"))
        {
            (at, at + url_len(here))
        } else {
            at += 1;
            continue;
        };
        out.push_str(text.get(done..from).unwrap_or_default());
        done = to;
        at = to;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(out)
}

/// Length of a URL in running text.
fn url_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|b| b.is_ascii_whitespace() || b"<>\"'`)]}|".contains(b)).unwrap_or(bytes.len())
}

/// Length of a link's target, up to a space or the closing parenthesis that isn't its own.
fn target_len(bytes: &[u8]) -> usize {
    let mut open = 0_usize;
    let ends = |b: &u8| match b {
        b'(' => {
            open += 1;
            false
        }
        b')' if open == 0 => true,
        b')' => {
            open -= 1;
            false
        }
        b => b.is_ascii_whitespace(),
    };
    bytes.iter().position(ends).unwrap_or(bytes.len())
}
