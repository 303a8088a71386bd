//! Markdown to rows of a width. A text that grows is parsed from its last block on; blocks before that never change.

use std::collections::BTreeSet;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use ratatui::{
    style::{Modifier, Style},
    text::{Line, Span},
};

use super::{
    code::{self, Code},
    inline::{Inline, Joint, cut, is_joint, joint, row_width},
    table::Table,
    theme::Theme,
};
use crate::text::{fit, one_line, sanitise};

/// Columns that text keeps however deep it is nested, where the width has them.
const MIN_TEXT: usize = 12;
/// Before what goes on with a line of code that is longer than a row.
const BROKEN: &str = "↪";
/// While it grows, a last block is parsed again when it got longer by one part in so many: the work stays proportional
/// to the length of the text even if all of it is one block.
const GROWTH: usize = 32;

/// A Markdown text as rows, kept up to date while the text grows.
#[derive(Debug)]
pub struct Markdown {
    width: usize,
    /// Number of passages that a citation may name.
    passages: usize,
    theme: Theme,
    /// Bytes of the text that are shown, and of those the ones in whole lines.
    seen: usize,
    seen_lines: usize,
    /// The last block's text, sanitised, and how much of it is whole lines.
    tail: String,
    tail_lines: usize,
    rows: Vec<Line<'static>>,
    /// Rows of blocks that won't change any more, and what those cite that was not given.
    settled_rows: usize,
    settled_unknown: BTreeSet<u32>,
    unknown: BTreeSet<u32>,
    parsed_bytes: usize,
    /// The blocks of code of the last block, as far as they have been looked at.
    codes: Vec<Code>,
    /// Code is shown without colours of its own.
    plain: bool,
}

impl Markdown {
    pub fn new(width: usize, passages: usize, theme: Theme) -> Self {
        Self {
            width,
            passages,
            theme,
            seen: 0,
            seen_lines: 0,
            tail: String::new(),
            tail_lines: 0,
            rows: Vec::new(),
            settled_rows: 0,
            settled_unknown: BTreeSet::new(),
            unknown: BTreeSet::new(),
            parsed_bytes: 0,
            codes: Vec::new(),
            plain: false,
        }
    }

    /// Without looking at what code means, which takes long.
    pub fn plain(self) -> Self {
        Self { plain: true, ..self }
    }

    /// Takes up what was added to `text` since the last time. `text` may only grow. Until it is `finished`, a little of
    /// its end may wait for more to come.
    pub fn update(&mut self, text: &str, finished: bool) {
        let more = text.len().saturating_sub(self.seen);
        let enough = more > 0 && more >= self.tail.len() / GROWTH;
        if !enough && (more == 0 || !finished) {
            return;
        }
        self.tail.truncate(self.tail_lines);
        if let Some(feed) = text[self.seen_lines..].rfind('\n') {
            let end = self.seen_lines + feed + 1;
            push_clean(&mut self.tail, &text[self.seen_lines..end]);
            (self.seen_lines, self.tail_lines) = (end, self.tail.len());
        }
        push_clean(&mut self.tail, &text[self.seen_lines..]);
        self.seen = text.len();
        self.parse();
        if finished {
            self.codes = Vec::new();
        }
    }

    pub fn rows(&self) -> &[Line<'static>] {
        &self.rows
    }

    /// Numbers cited that no given passage has.
    pub fn unknown_citations(&self) -> &BTreeSet<u32> {
        &self.unknown
    }

    /// Bytes of the text that the rows show.
    #[cfg(test)]
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// Bytes given to the parser in all: the work done.
    pub fn parsed_bytes(&self) -> usize {
        self.parsed_bytes
    }

    fn parse(&mut self) {
        self.parsed_bytes += self.tail.len();
        self.rows.truncate(self.settled_rows);
        self.unknown.clone_from(&self.settled_unknown);
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
        let mut blocks = Blocks::new(self.width, self.passages, self.theme);
        blocks.codes = std::mem::take(&mut self.codes);
        blocks.plain = self.plain;
        let mut depth = 0;
        // Where the last block starts, and the rows and unknown citations before it.
        let mut last = None;
        for (event, range) in Parser::new_ext(&self.tail, options).into_offset_iter() {
            if depth == 0 {
                self.rows.append(&mut blocks.rows);
                self.unknown.append(&mut blocks.unknown);
                // A block's range may leave out its first line's indentation.
                let start = self.tail[..range.start].rfind('\n').map_or(0, |at| at + 1);
                last = Some((start, self.rows.len(), self.unknown.clone(), blocks.codes_seen));
                blocks.between = !self.rows.is_empty();
                blocks.codes.iter_mut().take(blocks.codes_seen).for_each(Code::rest);
            }
            let event = match event {
                Event::SoftBreak if is_footnote(&self.tail[range.end..]) => Event::HardBreak,
                event => event,
            };
            match event {
                Event::Start(_) => depth += 1,
                Event::End(_) => depth -= 1,
                Event::Text(_)
                | Event::Code(_)
                | Event::InlineMath(_)
                | Event::DisplayMath(_)
                | Event::Html(_)
                | Event::InlineHtml(_)
                | Event::FootnoteReference(_)
                | Event::SoftBreak
                | Event::HardBreak
                | Event::Rule
                | Event::TaskListMarker(_) => {}
            }
            blocks.take(event);
        }
        self.rows.append(&mut blocks.rows);
        self.unknown.append(&mut blocks.unknown);
        self.codes = blocks.codes;
        // A whole line that began another block has closed those before it for good. A line that is still being written
        // has not: `2` is a new paragraph, `2.` one more item of the list above.
        if let Some((start, rows, unknown, codes)) = last.filter(|(start, ..)| *start < self.tail_lines) {
            self.tail.drain(..start);
            self.tail_lines -= start;
            self.settled_rows = rows;
            self.settled_unknown = unknown;
            self.codes.drain(..codes.min(self.codes.len()));
        }
    }
}

/// Whether a text begins with the definition of a footnote, such as `[^1]: x`. They are shown as they are written, each on
/// a line of its own: what the parser would make of them changes with every definition that comes after.
fn is_footnote(text: &str) -> bool {
    let line = text.lines().next().unwrap_or_default();
    let name = line.trim_start_matches([' ', '>']).strip_prefix("[^").and_then(|rest| rest.split_once(']'));
    name.is_some_and(|(_, behind)| behind.trim_start_matches(JOINER).starts_with(':'))
}

/// Stands where the parser would see something that isn't there. No sanitised text holds one, and with everything
/// invisible it is dropped again.
const JOINER: char = '\u{2060}';

/// Sanitises whole lines or the beginning of one.
///
/// `[1]: x` would be taken for the definition of a link, vanish, and change what stands far above it.
fn push_clean(to: &mut String, text: &str) {
    let clean = sanitise(text);
    if clean.contains("]:") {
        to.push_str(&clean.replace("]:", &format!("]{JOINER}:")));
    } else {
        to.push_str(&clean);
    }
}

/// Something that text is set into: a list item or a quotation.
struct Margin {
    /// Before the first row; taken when it is written.
    first: Option<Span<'static>>,
    rest: Span<'static>,
}

/// Turns parser events into rows.
struct Blocks {
    width: usize,
    passages: usize,
    theme: Theme,
    rows: Vec<Line<'static>>,
    unknown: BTreeSet<u32>,
    /// An empty row is due before the next block.
    between: bool,
    margins: Vec<Margin>,
    /// The next number of each open list; `None` for bullets.
    lists: Vec<Option<u64>>,
    inline: Inline,
    styles: Vec<Style>,
    /// Target of each open link or picture, and where its text starts.
    links: Vec<(String, usize)>,
    code: Option<String>,
    /// Those of the text, and how many of them have been met.
    codes: Vec<Code>,
    codes_seen: usize,
    plain: bool,
    table: Option<Table>,
}

impl Blocks {
    fn new(width: usize, passages: usize, theme: Theme) -> Self {
        Self {
            width,
            passages,
            theme,
            rows: Vec::new(),
            unknown: BTreeSet::new(),
            between: false,
            margins: Vec::new(),
            lists: Vec::new(),
            inline: Inline::default(),
            styles: Vec::new(),
            links: Vec::new(),
            code: None,
            codes: Vec::new(),
            codes_seen: 0,
            plain: false,
            table: None,
        }
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some(code) => code.push_str(&text),
                None => self.push(&text),
            },
            Event::Code(text) => {
                let style = self.style().patch(self.theme.code);
                // Without a colour of its own, code is told by what it was written in.
                let quoted = self.theme.code.fg.is_none().then(|| format!("`{text}`"));
                self.inline.push_literal(quoted.as_deref().unwrap_or(&text), style);
            }
            Event::InlineHtml(html) if matches!(&*html, "<br>" | "<br/>" | "<br />") => self.push("\n"),
            Event::Html(text) | Event::InlineHtml(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.push(&text);
            }
            Event::FootnoteReference(name) => self.push(&format!("[^{name}]")),
            Event::SoftBreak => self.push(" "),
            Event::HardBreak => self.push("\n"),
            Event::Rule => {
                self.gap();
                let columns = self.columns();
                self.row(vec![Span::styled("─".repeat(columns), self.theme.dim)]);
            }
            Event::TaskListMarker(done) => self.push(if done { "[x] " } else { "[ ] " }),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => {
                self.flush();
                self.gap();
            }
            Tag::Heading { level, .. } => {
                self.flush();
                self.gap();
                self.styles.push(self.theme.heading.add_modifier(match level {
                    HeadingLevel::H1 => Modifier::UNDERLINED,
                    HeadingLevel::H2 => Modifier::empty(),
                    HeadingLevel::H3 | HeadingLevel::H4 | HeadingLevel::H5 | HeadingLevel::H6 => Modifier::ITALIC,
                }));
            }
            Tag::BlockQuote(_) => {
                self.flush();
                self.gap();
                let bar = Span::styled("│ ", self.theme.dim);
                self.margins.push(Margin { first: Some(bar.clone()), rest: bar });
            }
            Tag::CodeBlock(kind) => {
                self.flush();
                self.gap();
                let fence = match &kind {
                    CodeBlockKind::Fenced(fence) => &**fence,
                    CodeBlockKind::Indented => "",
                };
                if !self.codes.get(self.codes_seen).is_some_and(|code| code.is_of(fence)) {
                    self.codes.truncate(self.codes_seen);
                    self.codes.push(Code::new(fence));
                }
                self.codes_seen += 1;
                self.code = Some(String::new());
                self.label(fence);
            }
            Tag::List(number) => {
                self.flush();
                // A list in a list belongs to the item above it.
                if self.lists.is_empty() {
                    self.gap();
                }
                self.between = false;
                self.lists.push(number);
            }
            Tag::Item => {
                let mark = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}. ", *number - 1)
                    }
                    Some(None) | None => "• ".to_owned(),
                };
                let rest = Span::raw(" ".repeat(mark.chars().count()));
                self.margins.push(Margin { first: Some(Span::styled(mark, self.theme.strong)), rest });
            }
            Tag::Table(alignments) => {
                self.flush();
                self.gap();
                self.table = Some(Table { alignments, ..Table::default() });
            }
            Tag::TableHead => self.styles.push(self.theme.strong),
            Tag::TableRow => {
                if let Some(table) = &mut self.table {
                    table.rows.push(Vec::new());
                }
            }
            Tag::TableCell => {}
            Tag::Emphasis => self.styles.push(Style::new().add_modifier(Modifier::ITALIC)),
            Tag::Strong => self.styles.push(self.theme.strong),
            Tag::Strikethrough => self.styles.push(Style::new().add_modifier(Modifier::CROSSED_OUT)),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                self.links.push((sanitise(&dest_url).into_owned(), self.inline.text().len()));
                self.styles.push(self.theme.link);
            }
            // Extensions that are not switched on.
            Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => self.flush(),
            TagEnd::Heading(_) => {
                self.flush();
                self.styles.pop();
            }
            TagEnd::BlockQuote(_) | TagEnd::Item => {
                self.flush();
                // An item without anything in it is still an item.
                if self.margins.last().is_some_and(|margin| margin.first.is_some()) {
                    self.row(Vec::new());
                }
                self.margins.pop();
            }
            TagEnd::CodeBlock => {
                let code = self.code.take().unwrap_or_default();
                let columns = self.columns();
                let indent = columns.saturating_sub(2).min(2);
                let code = sanitise(&code);
                let mut colours =
                    self.codes.get_mut(self.codes_seen.saturating_sub(1)).map(std::mem::take).unwrap_or_default();
                if !self.plain {
                    colours.update(&code, &self.theme);
                }
                for (at, line) in code.trim_end_matches('\n').split('\n').enumerate() {
                    let mut start = 0;
                    for (y, piece) in cut(line, columns - indent).into_iter().enumerate() {
                        let (sign, goes_on) = if y == 0 { ("", Joint::Line) } else { (BROKEN, Joint::Nothing) };
                        let margin = Span::styled(format!("{:<indent$}", fit(sign, indent)), self.theme.dim);
                        let spans = colours.spans(at, piece, start, &self.theme);
                        self.row([margin, joint(goes_on)].into_iter().chain(spans).collect());
                        start += piece.len();
                    }
                }
                if let Some(place) = self.codes.get_mut(self.codes_seen.saturating_sub(1)) {
                    *place = colours;
                }
            }
            TagEnd::List(_) => {
                self.lists.pop();
            }
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    for row in table.layout(self.columns(), self.theme.dim) {
                        self.row(row);
                    }
                }
            }
            TagEnd::TableHead => {
                self.styles.pop();
            }
            TagEnd::TableCell => {
                let cell = self.take_inline();
                if let Some(table) = &mut self.table {
                    table.rows.last_mut().unwrap_or(&mut table.header).push(cell);
                }
            }
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => {
                self.styles.pop();
            }
            TagEnd::Link | TagEnd::Image => {
                self.styles.pop();
                if let Some((target, start)) = self.links.pop()
                    && !target.is_empty()
                    && self.inline.text()[start..] != *target
                {
                    let style = self.style().patch(self.theme.dim);
                    self.inline.push(&format!(" ({target})"), style);
                }
            }
            TagEnd::TableRow
            | TagEnd::FootnoteDefinition
            | TagEnd::DefinitionList
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition
            | TagEnd::Superscript
            | TagEnd::Subscript
            | TagEnd::MetadataBlock(_) => {}
        }
    }

    fn style(&self) -> Style {
        self.styles.iter().fold(Style::new(), |style, inner| style.patch(*inner))
    }

    fn push(&mut self, text: &str) {
        let style = self.style();
        self.inline.push(text, style);
    }

    fn take_inline(&mut self) -> Inline {
        let mut inline = std::mem::take(&mut self.inline);
        inline.mark_citations(self.passages, self.theme.citation, self.theme.bad, &mut self.unknown);
        inline
    }

    /// Writes the collected text as rows.
    fn flush(&mut self) {
        if self.inline.text().trim().is_empty() {
            self.inline = Inline::default();
            return;
        }
        let mut rows = self.take_inline().rows(self.columns());
        while rows.last().is_some_and(Vec::is_empty) {
            rows.pop();
        }
        for row in rows {
            self.row(row);
        }
    }

    /// Tells the language of the code that comes, and blocks apart that follow each other. It is all margin, since it is
    /// no text of the document.
    fn label(&mut self, fence: &str) {
        let language = one_line(code::language(fence));
        let named = if language.is_empty() { "code" } else { &language };
        let label = fit(&format!("─ {named}"), self.columns());
        self.row(vec![Span::styled(label, self.theme.dim), joint(Joint::Nothing)]);
    }

    /// The empty row between two blocks.
    fn gap(&mut self) {
        if std::mem::take(&mut self.between) {
            let margins = self.margins.iter().map(|margin| margin.rest.clone()).collect();
            let mut spans = clip(margins, self.width);
            spans.push(joint(Joint::Line));
            self.rows.push(Line::from(spans));
        }
    }

    /// Columns that the margins leave for text.
    fn columns(&self) -> usize {
        self.width.saturating_sub(self.margin_width()).max(2)
    }

    fn margin_width(&self) -> usize {
        let wanted: usize = self.margins.iter().map(|margin| margin.rest.width()).sum();
        wanted.min(self.width.saturating_sub(MIN_TEXT))
    }

    fn row(&mut self, content: Vec<Span<'static>>) {
        let room = self.margin_width();
        // An item's mark is text; a bar or room beside it is none.
        let marks = |margin: &Margin| margin.first.as_ref().is_some_and(|first| first.content != margin.rest.content);
        let begins = !self.margins.iter().any(marks) && !content.iter().any(is_joint);
        let margins = self.margins.iter_mut().map(|margin| margin.first.take().unwrap_or_else(|| margin.rest.clone()));
        let mut spans = clip(margins.collect(), room);
        spans.extend(begins.then(|| joint(Joint::Line)));
        spans.extend(content);
        self.rows.push(Line::from(spans));
        self.between = true;
    }
}

/// Leaves out the innermost margins where they take more than `columns`.
fn clip(mut margins: Vec<Span<'static>>, columns: usize) -> Vec<Span<'static>> {
    while row_width(&margins) > columns {
        margins.pop();
    }
    margins
}
