//! The conversation: questions, streamed answers, and how each of them ended.

use std::borrow::Cow;

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{
    ViewCache,
    cache::Extent,
    find,
    inline::{Inline, paragraph},
    keys::Keys,
    markdown::Markdown,
    pane, status,
    theme::Theme,
    touch::Zone,
};
use crate::{
    app::{Answerer, ChatScroll, Focus, Place, State, Store},
    domain::{FinishReason, SourceSpec, Turn, TurnState},
    text::{counted, one_line, width},
};

/// Columns before each row, where the shown turn is marked.
const GUTTER: u16 = 2;
/// Rows of a model's thoughts that are shown while it thinks.
const THOUGHT_ROWS: usize = 6;

/// The conversation's rows. Only a turn that runs, or ran in the last frame, is looked at again; of those that lie far
/// from what is in view only the number of rows is kept, since rows take many times the room of their text.
#[derive(Debug, Default)]
pub struct ChatRows {
    width: usize,
    turns: Vec<TurnRows>,
    /// Row where each turn starts, and at the end the number of all rows.
    starts: Vec<usize>,
    /// Bytes that were parsed for rows that are not kept any more.
    dropped_bytes: usize,
    /// Rows that there were when the end was last in view.
    seen: usize,
    /// What was looked for, in how many rows of which width, and the rows that hold it.
    found: Option<((String, usize, usize), Vec<usize>)>,
}

#[derive(Debug)]
struct TurnRows {
    key: Key,
    len: usize,
    /// `None` where nobody is likely to look.
    rows: Option<Rows>,
}

/// A turn's rows.
#[derive(Debug)]
struct Rows {
    head: Vec<Line<'static>>,
    body: Markdown,
    /// The answer's last row is being written and is not shown yet.
    held: bool,
    foot: Vec<Line<'static>>,
}

/// What a turn's rows depend on beside its answer, which only grows.
#[derive(Clone, Debug, PartialEq)]
struct Key {
    passages: usize,
    notices: usize,
    reasoning: usize,
    answer: usize,
    answering: String,
    waiting_for: &'static str,
    state: TurnState,
}

impl ChatRows {
    pub fn parsed_bytes(&self) -> usize {
        let kept = self.turns.iter().filter_map(|turn| turn.rows.as_ref());
        self.dropped_bytes + kept.map(|rows| rows.body.parsed_bytes()).sum::<usize>()
    }

    /// Columns of each row.
    pub fn width(&self) -> usize {
        self.width
    }

    fn rows(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    /// Takes up what happened since the last frame.
    fn sync(&mut self, state: &State, theme: &Theme, width: usize) {
        if self.width != width || self.turns.len() > state.turns.len() {
            *self = Self { width, dropped_bytes: self.parsed_bytes(), ..Self::default() };
        }
        let settled = self.turns.iter().rposition(|turn| !turn.key.state.is_running()).map_or(0, |at| at + 1);
        self.starts.truncate(settled);
        let mut row = self.starts.last().map_or(0, |start| start + self.turns[settled - 1].len);
        for (at, turn) in state.turns.iter().enumerate().skip(settled) {
            let key = key(turn, state);
            match self.turns.get_mut(at) {
                Some(rows) if rows.key == key => {}
                Some(rows) => rows.update(turn, key, theme, width),
                None => {
                    let mut rows = TurnRows { key: key.clone(), len: 0, rows: None };
                    rows.update(turn, key, theme, width);
                    // Of all that are wrapped at once after a change of the width, few are in view.
                    if at + 1 < state.turns.len() {
                        self.dropped_bytes += rows.drop_rows();
                    }
                    self.turns.push(rows);
                }
            }
            self.starts.push(row);
            row += self.turns[at].len;
        }
        self.starts.push(row);
    }

    /// The rows that hold a text, ascending.
    pub fn find(&self, state: &State, theme: &Theme, sought: &str) -> Vec<usize> {
        let mut found = Vec::new();
        for ((rows, turn), start) in self.turns.iter().zip(&state.turns).zip(&self.starts) {
            // What was wrapped away is only wrapped again where it could be.
            let made;
            let rows = match &rows.rows {
                Some(rows) => rows,
                None if !find::may_hold(turn, sought) => continue,
                None => {
                    made = Rows::new(turn, &rows.key, theme, self.width);
                    &made
                }
            };
            found.extend(
                (*start..)
                    .zip(rows.lines())
                    .filter(|(_, line)| find::holds(&line.to_string(), sought))
                    .map(|(row, _)| row),
            );
        }
        found
    }

    /// The rows that the last frame's search has found.
    pub fn found(&self) -> &[usize] {
        self.found.as_ref().map_or(&[], |(_, rows)| rows)
    }

    /// Looks for the text where anything has changed.
    fn sync_found(&mut self, state: &State, theme: &Theme) {
        let Some(find) = &state.find else {
            self.found = None;
            return;
        };
        let key = (find.line.text().to_owned(), self.rows(), self.width);
        if self.found.as_ref().is_none_or(|(known, _)| *known != key) {
            let rows = self.find(state, theme, &key.0);
            self.found = Some((key, rows));
        }
    }

    /// The turn that a row belongs to.
    fn turn_at(&self, row: usize) -> usize {
        self.starts.partition_point(|start| *start <= row).saturating_sub(1)
    }

    /// Has the rows of the turns in view and a screen above and below it at hand, and lets go of the others.
    fn keep_near(&mut self, state: &State, theme: &Theme, extent: Extent) {
        let first = self.turn_at(extent.top.saturating_sub(extent.height));
        let last = self.turn_at(extent.top + 2 * extent.height);
        for (at, (rows, turn)) in self.turns.iter_mut().zip(&state.turns).enumerate() {
            let is_near = (first..=last).contains(&at);
            if is_near && rows.rows.is_none() {
                rows.rows = Some(Rows::new(turn, &rows.key, theme, self.width));
            } else if !is_near && !rows.key.state.is_running() {
                self.dropped_bytes += rows.drop_rows();
            }
        }
    }

    /// The rows of a range, with the turn and the row in it that each one is.
    pub fn visible<'a>(
        &'a self,
        state: &'a State,
        theme: &'a Theme,
        extent: Extent,
    ) -> impl Iterator<Item = (usize, usize, Cow<'a, Line<'static>>)> {
        let first = self.turn_at(extent.top);
        let skipped = extent.top - self.starts.get(first).copied().unwrap_or(0);
        let turns = self.turns.iter().zip(&state.turns).enumerate().skip(first);
        turns
            .flat_map(move |(at, (rows, turn))| {
                let from = if at == first { skipped } else { 0 };
                let lines: Vec<Cow<'a, Line<'static>>> = match &rows.rows {
                    Some(rows) => rows.lines().skip(from).take(extent.height).map(Cow::Borrowed).collect(),
                    None => {
                        let rows = Rows::new(turn, &rows.key, theme, self.width);
                        rows.lines().skip(from).take(extent.height).cloned().map(Cow::Owned).collect()
                    }
                };
                lines.into_iter().zip(from..).map(move |(line, row)| (at, row, line))
            })
            .take(extent.height)
    }
}

impl TurnRows {
    /// Returns what was parsed for them, in bytes.
    fn drop_rows(&mut self) -> usize {
        self.rows.take().map_or(0, |rows| rows.body.parsed_bytes())
    }

    fn update(&mut self, turn: &Turn, key: Key, theme: &Theme, width: usize) {
        let known = self.rows.take().filter(|_| self.key.passages == key.passages);
        let rows = match known {
            Some(mut rows) => {
                rows.update(turn, &key, theme, width);
                rows
            }
            None => Rows::new(turn, &key, theme, width),
        };
        (self.len, self.rows, self.key) = (rows.len(), Some(rows), key);
    }
}

impl Rows {
    fn new(turn: &Turn, key: &Key, theme: &Theme, width: usize) -> Self {
        let body = Markdown::new(width, key.passages, *theme);
        let mut rows = Self { head: Vec::new(), body, held: false, foot: Vec::new() };
        rows.update(turn, key, theme, width);
        rows
    }

    fn update(&mut self, turn: &Turn, key: &Key, theme: &Theme, width: usize) {
        self.body.update(&turn.answer, !turn.state.is_running());
        self.head = head(turn, key, theme, width);
        self.foot = foot(turn, key, &self.body, theme, width);
        self.held = theme.still && key.state == TurnState::Streaming;
    }

    fn body(&self) -> &[Line<'static>] {
        let rows = self.body.rows();
        &rows[..rows.len().saturating_sub(usize::from(self.held))]
    }

    fn lines(&self) -> impl Iterator<Item = &Line<'static>> {
        self.head.iter().chain(self.body()).chain(&self.foot)
    }

    fn len(&self) -> usize {
        self.head.len() + self.body().len() + self.foot.len()
    }
}

fn key(turn: &Turn, state: &State) -> Key {
    let waiting_for = match (&turn.state, &state.store) {
        (TurnState::Waiting, Store::Opening) => "waiting for the store to open",
        (TurnState::Waiting, _) => "waiting for the first index; the question is asked as soon as it is there",
        _ => "",
    };
    let answering = match (&turn.model, &state.answerer) {
        (Some(model), _) => one_line(model),
        (None, Answerer::Unknown) => String::new(),
        (None, Answerer::Quotes | Answerer::Model(_)) if turn.state == TurnState::Waiting => String::new(),
        (None, Answerer::Quotes | Answerer::Model(_)) => "quoted from the passages (no model configured)".to_owned(),
    };
    Key {
        passages: turn.passages.len(),
        notices: turn.notices.len(),
        reasoning: turn.reasoning.len(),
        answer: turn.answer.len(),
        answering,
        waiting_for,
        state: turn.state.clone(),
    }
}

fn head(turn: &Turn, key: &Key, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let mut rows = Vec::new();
    let mut question = Inline::default();
    question.push(&turn.question, theme.strong);
    for (y, spans) in question.rows(width.saturating_sub(5).max(2)).into_iter().enumerate() {
        let label = if y == 0 { Span::styled("You  ", theme.dim) } else { Span::raw("     ") };
        rows.push(Line::from_iter([label].into_iter().chain(spans)));
    }
    rows.push(Line::default());
    let mut label = Inline::default();
    label.push("askdocs", theme.strong);
    if !key.answering.is_empty() {
        label.push(&format!(" · {}", key.answering), theme.dim);
    }
    rows.extend(label.rows(width).into_iter().map(Line::from));
    for notice in &turn.notices {
        rows.extend(paragraph(&format!("note: {}", one_line(notice)), width, theme.warning));
    }
    if turn.reasoning.is_empty() {
        return rows;
    }
    if turn.answer.is_empty() && turn.state.is_running() {
        let tail = turn.reasoning.len().saturating_sub(THOUGHT_ROWS * width);
        let tail = &turn.reasoning[turn.reasoning.ceil_char_boundary(tail)..];
        let thought = paragraph(tail.trim(), width, theme.dim);
        rows.push(Line::styled("thinking:", theme.dim));
        rows.extend(thought.into_iter().rev().take(THOUGHT_ROWS).rev());
    } else {
        let length = turn.reasoning.chars().count();
        rows.extend(paragraph(&format!("(it thought first: {length} characters)"), width, theme.dim));
    }
    rows
}

fn foot(turn: &Turn, key: &Key, body: &Markdown, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let unknown = body.unknown_citations();
    let mut rows = Vec::new();
    if !unknown.is_empty() {
        let marks: Vec<_> = unknown.iter().map(|number| format!("[{number}?]")).collect();
        let verb = if marks.len() == 1 { "names a passage that was" } else { "name passages that were" };
        rows.extend(paragraph(&format!("! {} {verb} not given to the model", marks.join(" ")), width, theme.bad));
    }
    let (text, style) = match &turn.state {
        TurnState::Waiting => (format!("… {}", key.waiting_for), theme.dim),
        TurnState::Retrieving => ("… searching".to_owned(), theme.dim),
        TurnState::Thinking if key.passages == 0 => {
            ("… no passage was found; waiting for the answer".to_owned(), theme.dim)
        }
        TurnState::Thinking => {
            (format!("… {} found, waiting for the first word", counted(key.passages as u64, "passage")), theme.dim)
        }
        TurnState::Streaming | TurnState::Done(FinishReason::Stop) => (String::new(), theme.dim),
        TurnState::Done(FinishReason::Length) => ("! cut off at the model's length limit".to_owned(), theme.warning),
        TurnState::Done(FinishReason::Other(reason)) => {
            (format!("! the server ended the answer: {}", one_line(reason)), theme.warning)
        }
        TurnState::Done(FinishReason::EndedEarly) => {
            ("! answer ended early: the connection closed before the model was done".to_owned(), theme.warning)
        }
        TurnState::Stopped => ("■ stopped".to_owned(), theme.warning),
        TurnState::Failed(message) => (format!("✗ {message}"), theme.bad),
    };
    if !text.is_empty() {
        rows.extend(paragraph(&text, width, style));
    }
    rows.push(Line::default());
    rows
}

pub fn draw(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let theme = cache.theme;
    let focused = state.focus == Focus::Chat;
    let inner = pane::inner(area);
    let width = usize::from(inner.width.saturating_sub(GUTTER)).max(2);
    if state.turns.is_empty() {
        let rows = welcome(state, Keys::new(&cache.keymap, Place::Question), &theme, width);
        let extent = Extent::new(rows.len(), usize::from(inner.height), first_row(state, rows.len()));
        cache.measured.chat = extent;
        cache.measured.turn_starts = vec![0];
        cache.measured.put(Zone::Chat, area, Rect::default());
        pane::draw(frame, area, &theme, "Chat", focused, extent);
        pane::rows(frame, inner, GUTTER, rows.iter().skip(extent.top));
        return;
    }
    cache.chat.sync(state, &theme, width);
    let rows = cache.chat.rows();
    cache.chat.sync_found(state, &theme);
    let top = match state.chat_scroll {
        ChatScroll::End => rows,
        ChatScroll::At { turn, row } => cache.chat.starts.get(turn).map_or(rows, |start| start + row),
    };
    // While a text is written, the nearest place of it comes into view.
    let shown =
        state.find.as_ref().and_then(|find| find.shown.or_else(|| find::nearest(cache.chat.found(), top.min(rows))));
    let top = match (&state.find, shown) {
        (Some(find), Some(row)) if find.shown.is_none() => find::top_for(row, usize::from(inner.height)),
        (Some(_) | None, _) => top,
    };
    let extent = Extent::new(rows, usize::from(inner.height), top);
    cache.measured.chat = extent;
    cache.measured.turn_starts.clone_from(&cache.chat.starts);
    cache.measured.turn_starts.pop();
    let text = Rect { x: inner.x + GUTTER.min(inner.width), width: inner.width.saturating_sub(GUTTER), ..inner };
    cache.measured.put(Zone::Chat, area, text);
    pane::draw(frame, area, &theme, "Chat", focused, extent);
    if extent.below() == 0 || cache.chat.seen == 0 {
        cache.chat.seen = rows;
    } else if rows > cache.chat.seen {
        let place = pane::note(frame, area, "↓ new text below", theme.focus);
        cache.measured.put(Zone::NewText, place, place);
    }
    cache.chat.keep_near(state, &theme, extent);
    let lines: Vec<_> = cache.chat.visible(state, &theme, extent).collect();
    pane::rows(frame, inner, GUTTER, lines.iter().map(|(_, _, line)| line.as_ref()));
    marks(state, &cache.chat, &lines, &theme, frame, inner);
    if state.find.is_some() {
        find::mark(frame.buffer_mut(), text, extent.top, shown, state.sought());
    }
}

/// Draws what moves without the text changing: which turn is shown, and where the answer goes on.
fn marks(
    state: &State,
    chat: &ChatRows,
    lines: &[(usize, usize, Cow<'_, Line<'static>>)],
    theme: &Theme,
    frame: &mut Frame<'_>,
    inner: Rect,
) {
    for ((turn, row, line), y) in lines.iter().zip(inner.y..) {
        let (turn, row) = (*turn, *row);
        if row == 0 && state.turns.len() > 1 && state.shown_index() == Some(turn) {
            frame.render_widget(Span::styled("▸", theme.focus), Rect { y, width: 1, height: 1, ..inner });
        }
        let Some((key, rows)) = chat.turns.get(turn).and_then(|turn| Some((&turn.key, turn.rows.as_ref()?))) else {
            continue;
        };
        let last = rows.head.len() + rows.body().len();
        if key.state == TurnState::Streaming && row + 1 == last && !theme.still {
            let at = (inner.x + GUTTER).saturating_add(line.width() as u16).min(inner.right().saturating_sub(1));
            frame.render_widget("▌", Rect { x: at, y, width: 1, height: 1 });
        }
    }
}

fn first_row(state: &State, rows: usize) -> usize {
    match state.chat_scroll {
        ChatScroll::End => 0,
        ChatScroll::At { row, .. } => row.min(rows),
    }
}

/// What stands in the chat before the first question.
fn welcome(state: &State, keys: Keys<'_>, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let mut rows = Vec::new();
    for (text, style) in status::troubles(state, keys, theme) {
        rows.extend(paragraph(&text, width, style));
        rows.push(Line::default());
    }
    rows.extend(paragraph("Ask questions of your own documents, and see why it answered so.", width, theme.strong));
    let intro = keys.tell(
        "Write a question below and press ‹ask›. The passages that the answer rests on appear beside it, with every \
         score.",
    );
    rows.extend(paragraph(&intro, width, theme.dim));
    rows.push(Line::default());
    let handbook = match &state.store {
        Store::Opening => true,
        Store::Failed(_) => false,
        Store::Open { collection: None, keeps_handbook, .. } => *keeps_handbook,
        Store::Open { collection: Some(c), .. } => c.sources.iter().any(|s| s.location == SourceSpec::HANDBOOK),
    };
    if handbook {
        rows.extend(paragraph("The handbook of askdocs itself is here to try it on:", width, theme.dim));
        for example in
            ["How do I index my own documents?", "What do the scores mean?", "How do I connect a language model?"]
        {
            rows.extend(paragraph(&format!("  {example}"), width, theme.citation));
        }
        rows.push(Line::default());
    }
    if let Some(work) = status::work(state) {
        rows.extend(paragraph(&format!("… {work}"), width, theme.dim));
        let meanwhile = "You can ask already: a question waits until there is something to search.";
        if !matches!(state.store, Store::Failed(_)) && state.collection().is_none_or(|c| c.passages == 0) {
            rows.extend(paragraph(meanwhile, width, theme.dim));
        }
        rows.push(Line::default());
    }
    let told = [
        ("next-pane", "goes through the panes, to read and copy"),
        ("ingest", "shows what is indexed and what was skipped"),
        ("collections", "lists the collections and what is in them"),
        ("help", "lists all keys; ‹interrupt› twice quits"),
    ]
    .map(|(command, what)| (keys.of(command), keys.tell(what)));
    let columns = told.iter().map(|(key, _)| self::width(key)).max().unwrap_or(0) + 2;
    for (key, what) in told {
        let mut inline = Inline::default();
        inline.push(&format!("{key}{}", " ".repeat(columns - self::width(&key))), theme.strong);
        inline.push(&what, theme.dim);
        rows.extend(inline.rows(width).into_iter().map(Line::from));
    }
    rows
}
