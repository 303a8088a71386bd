//! A Markdown document as sections of blocks. It knows structure only; how long anything is concerns [`super::pack`].

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag};

use crate::text::fit;

/// What stands under one heading, its own line first, up to the next heading of any level.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// The headings above, outermost first, its own last; plain text.
    pub(super) heading: Vec<String>,
    pub(super) blocks: Vec<Block>,
}

/// A paragraph, list, table, fence and so on, with the blank lines behind it. Blocks follow each other without gaps.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) bytes: Range<usize>,
    pub(super) kind: Kind,
    /// Where the parts of a list, quote or table begin, ascending: good places for a cut.
    pub(super) marks: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Heading,
    /// Paragraphs, lists, quotes.
    Prose,
    Table,
    Html,
    Code,
}

/// The sections of a document, front matter left out. Its `title` stands for a missing first-level heading.
pub(super) fn sections(text: &str) -> Vec<Section> {
    let matter = front_matter(text);
    let found = blocks(text, matter.as_ref().map_or(0, |matter| matter.end));

    let has_title = found.iter().any(|found| matches!(&found.heading, Some((1, title)) if !title.is_empty()));
    let base: Vec<String> = matter.and_then(|matter| matter.title).filter(|_| !has_title).into_iter().collect();

    let mut sections: Vec<Section> = Vec::new();
    // The headings in force with their levels.
    let mut open: Vec<(u8, String)> = Vec::new();
    for Found { block, heading } in found {
        let starts = heading.is_some() || sections.is_empty();
        if let Some((level, title)) = heading {
            open.retain(|(above, _)| *above < level);
            if !title.is_empty() {
                open.push((level, title));
            }
        }
        if starts {
            let heading = base.iter().chain(open.iter().map(|(_, title)| title)).cloned().collect();
            sections.push(Section { heading, blocks: Vec::new() });
        }
        if let Some(section) = sections.last_mut() {
            section.blocks.push(block);
        }
    }
    sections
}

struct Found {
    block: Block,
    /// Level and plain text, where the block is a heading.
    heading: Option<(u8, String)>,
}

/// The top-level blocks of `text[from..]`. What the parser swallows without a word (definitions of links) belongs to the
/// block in front of it, or to the first.
fn blocks(text: &str, from: usize) -> Vec<Found> {
    let Some(body) = text.get(from..).filter(|body| !body.trim().is_empty()) else { return Vec::new() };
    let mut found: Vec<Found> = Vec::new();
    let begin = |found: &mut Vec<Found>, at: usize, kind, level: Option<u8>| {
        let start = if found.is_empty() { from } else { line_start(text, from + at) };
        let heading = level.map(|level| (level, String::new()));
        found.push(Found { block: Block { bytes: start..start, kind, marks: Vec::new() }, heading });
    };
    let mut depth = 0_usize;
    // Right behind a start, a part's first part would begin after its bullet.
    let mut behind_start = false;
    for (event, range) in
        Parser::new_ext(body, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH).into_offset_iter()
    {
        let starts = matches!(event, Event::Start(_));
        match event {
            Event::Start(tag) => {
                if depth == 0 {
                    let level = if let Tag::Heading { level, .. } = &tag { Some(*level as u8) } else { None };
                    begin(&mut found, range.start, kind(&tag), level);
                } else if is_part(&tag)
                    && !behind_start
                    && let Some(last) = found.last_mut()
                {
                    last.block.marks.push(from + range.start);
                }
                depth += 1;
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Rule if depth == 0 => begin(&mut found, range.start, Kind::Html, None),
            Event::Text(words) | Event::Code(words) => add_to_title(&mut found, &words),
            Event::SoftBreak | Event::HardBreak => add_to_title(&mut found, " "),
            // Anchors and other tags in headings are dropped. The others aren't parsed or aren't top-level.
            Event::InlineHtml(_)
            | Event::Html(_)
            | Event::Rule
            | Event::FootnoteReference(_)
            | Event::TaskListMarker(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_) => {}
        }
        behind_start = starts;
    }
    if found.is_empty() {
        begin(&mut found, 0, Kind::Prose, None);
    }
    let starts: Vec<usize> = found.iter().map(|found| found.block.bytes.start).collect();
    let ends = starts.into_iter().skip(1).chain([text.len()]);
    for (found, end) in found.iter_mut().zip(ends) {
        found.block.bytes.end = end;
        if let Some((_, title)) = &mut found.heading {
            *title = tidy(title);
        }
    }
    found
}

fn add_to_title(found: &mut [Found], words: &str) {
    if let Some(Found { heading: Some((_, title)), .. }) = found.last_mut() {
        title.push_str(words);
    }
}

fn kind(tag: &Tag<'_>) -> Kind {
    match tag {
        Tag::Heading { .. } => Kind::Heading,
        Tag::CodeBlock(_) => Kind::Code,
        Tag::Table(_) => Kind::Table,
        Tag::HtmlBlock => Kind::Html,
        _ => Kind::Prose,
    }
}

/// Whether a nested tag begins a part that can stand by itself.
fn is_part(tag: &Tag<'_>) -> bool {
    matches!(
        tag,
        Tag::Item
            | Tag::Paragraph
            | Tag::BlockQuote(_)
            | Tag::CodeBlock(_)
            | Tag::HtmlBlock
            | Tag::List(_)
            | Tag::Table(_)
            | Tag::TableRow
            | Tag::Heading { .. }
    )
}

/// Moves back over the indentation in front of `at`.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).map_or(at, |before| before.trim_end_matches([' ', '\t']).len()).min(at)
}

/// Every chunk of a section carries its headings, so one without end would multiply.
const MAX_HEADING_COLUMNS: usize = 200;

/// A heading as plain text on one line, without an attribute block such as `{#id}`, cut where it is no heading any more.
fn tidy(title: &str) -> String {
    let title = title.trim_end();
    let bare = match title.rsplit_once('{') {
        Some((before, inside)) if inside.ends_with('}') && inside.starts_with(['#', '.', ':']) => before,
        _ => title,
    };
    fit(&bare.split_whitespace().collect::<Vec<_>>().join(" "), MAX_HEADING_COLUMNS)
}

struct FrontMatter {
    title: Option<String>,
    /// Byte offset of the first line behind it.
    end: usize,
}

/// Settings between two `---` (YAML) or `+++` (TOML) lines at the very start. Something between must look like a setting:
/// a document may as well begin with a rule.
fn front_matter(text: &str) -> Option<FrontMatter> {
    let mut lines = text.split_inclusive('\n');
    let first = lines.next()?;
    let (fence, separator) = match first.trim_end() {
        "---" => ("---", ':'),
        "+++" => ("+++", '='),
        _ => return None,
    };
    let mut end = first.len();
    let mut title = None;
    let mut has_setting = false;
    for line in lines {
        end += line.len();
        let bare = line.trim_end();
        if bare == fence || (bare == "..." && fence == "---") {
            return has_setting.then_some(FrontMatter { title, end });
        }
        let Some((key, value)) = bare.split_once(separator) else { continue };
        let key = key.trim_end();
        if key.is_empty() || !key.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c)) {
            continue;
        }
        has_setting = true;
        let value = value.trim().trim_matches(['"', '\'']).trim();
        if key.eq_ignore_ascii_case("title") && !value.is_empty() {
            title = Some(tidy(value));
        }
    }
    None
}
