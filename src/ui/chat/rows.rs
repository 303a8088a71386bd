use std::borrow::Cow;

use ratatui::text::{Line, Span};

use crate::{
    app::{Answerer, ChatScroll, State, Store},
    domain::{FinishReason, Turn, TurnState},
    text::{counted, one_line},
    ui::{
        cache::Extent,
        find,
        inline::{Inline, paragraph},
        markdown::Markdown,
        theme::Theme,
    },
};

/// From so many seconds on it is told how long a model has been waited for.
const LONG_S: u64 = 3;

/// Rows of a model's thoughts that are shown while it thinks.
const THOUGHT_ROWS: usize = 6;

/// Bytes of answers that a frame may wrap just to know how many rows they have.
const MEASURED_BYTES: usize = 32 << 10;

/// The conversation's rows. Only a turn that runs, or ran in the last frame, is looked at again; of those that lie far
/// from what is in view only the number of rows is kept, since rows take many times the room of their text.
///
/// After a change of the width even that is a guess for most of them at first: those near the view are counted at once,
/// the others a few in each frame, so that no frame has to wait for a long conversation.
#[derive(Debug, Default)]
pub struct ChatRows {
    width: usize,
    turns: Vec<TurnRows>,
    /// Row where each turn starts, and at the end the number of all rows.
    starts: Vec<usize>,
    /// How far counting has moved what is in view, in rows, since the beginning.
    shifted: isize,
    /// Bytes that were parsed for rows that are not kept any more.
    dropped_bytes: usize,
    /// Rows that there were when the end was last in view.
    seen: usize,
    /// The rows where the text begins that is looked for.
    found: Vec<usize>,
}

#[derive(Debug)]
struct TurnRows {
    key: Key,
    len: usize,
    /// Whether they have been counted in this width.
    counted: bool,
    /// A text that was looked for, and the rows of the turn where it begins.
    found: Option<(String, Vec<usize>)>,
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
    waited_s: u64,
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

    pub fn rows(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    /// Row where each turn starts.
    pub fn starts(&self) -> &[usize] {
        &self.starts[..self.turns.len()]
    }

    /// How far counting has moved what is in view, in rows, since the beginning.
    pub fn shifted(&self) -> isize {
        self.shifted
    }

    /// The first row in view.
    pub fn row_of(&self, scroll: ChatScroll) -> usize {
        match scroll {
            ChatScroll::End => self.rows(),
            ChatScroll::At { turn, row } => self.starts().get(turn).map_or(self.rows(), |start| start + row),
        }
    }

    /// Takes up what happened since the last frame, of a view of so many rows.
    pub fn sync(&mut self, state: &State, theme: &Theme, width: usize, height: usize) {
        if self.turns.len() > state.turns.len() {
            *self = Self { dropped_bytes: self.parsed_bytes(), ..Self::default() };
        }
        if self.width != width {
            self.width = width;
            self.forget();
        }
        let settled = self.turns.iter().rposition(|turn| !turn.key.state.is_running()).map_or(0, |at| at + 1);
        for (at, turn) in state.turns.iter().enumerate().skip(settled) {
            let key = key(turn, state);
            match self.turns.get_mut(at) {
                Some(rows) if rows.key == key && rows.counted => {}
                Some(rows) => rows.update(turn, key, theme, width),
                None => {
                    let mut rows = TurnRows { key: key.clone(), len: 0, counted: false, found: None, rows: None };
                    rows.update(turn, key, theme, width);
                    self.turns.push(rows);
                }
            }
        }
        self.add_up();
        self.count(state, theme, height);
    }

    /// All have to be wrapped anew.
    pub fn forget(&mut self) {
        self.dropped_bytes += self.turns.iter_mut().map(TurnRows::drop_rows).sum::<usize>();
        self.turns.iter_mut().for_each(|turn| (turn.counted, turn.found) = (false, None));
    }

    fn add_up(&mut self) {
        self.starts.clear();
        let mut row = 0;
        for turn in &self.turns {
            self.starts.push(row);
            row += turn.len;
        }
        self.starts.push(row);
    }

    /// Counts the rows of turns that have not been since the width changed.
    fn count(&mut self, state: &State, theme: &Theme, height: usize) {
        if self.turns.iter().all(|turn| turn.counted) {
            return;
        }
        // Found rows are told by their numbers, so all have to be right.
        let mut budget = if state.sought().is_empty() { MEASURED_BYTES } else { usize::MAX };
        loop {
            // The one whose place on the screen must not change, and what can be scrolled to at once.
            let extent = Extent::new(self.rows(), height, self.row_of(state.chat_scroll));
            let anchor = self.turn_at(extent.top);
            let near = self.turn_at(extent.top.saturating_sub(height))..=self.turn_at(extent.top + 2 * height);
            let uncounted = |at: &usize| !self.turns[*at].counted;
            let next = near.clone().find(uncounted).or_else(|| {
                // Outward from there, those that fit into what this frame may do.
                let distance = |at: &usize| at.abs_diff(anchor);
                let next = (0..self.turns.len()).filter(uncounted).min_by_key(distance)?;
                budget = budget.checked_sub(state.turns.get(next)?.answer.len())?;
                Some(next)
            });
            let Some((at, turn)) = next.and_then(|at| Some((at, state.turns.get(at)?))) else { return };
            let (before, rows) = (self.starts[anchor], self.rows().cast_signed());
            self.dropped_bytes += self.turns[at].count(turn, theme, self.width);
            self.add_up();
            self.shifted += self.starts[anchor].cast_signed() - before.cast_signed();
            self.seen = self.seen.saturating_add_signed(self.rows().cast_signed() - rows);
        }
    }

    /// The rows where the text begins that is looked for now or was last, ascending.
    pub fn find(&self, state: &State, theme: &Theme) -> Vec<usize> {
        let sought = state.sought();
        let turns = self.turns.iter().zip(&state.turns).zip(&self.starts);
        turns
            .flat_map(|((rows, turn), start)| {
                let found = match &rows.found {
                    Some((text, found)) if text == sought => found.clone(),
                    Some(_) | None => rows.find(turn, sought, theme, self.width),
                };
                found.into_iter().map(move |row| start + row)
            })
            .collect()
    }

    /// The rows that the last frame's search has found.
    pub fn found(&self) -> &[usize] {
        &self.found
    }

    /// Looks for the text in the turns where anything has changed.
    pub fn sync_found(&mut self, state: &State, theme: &Theme) {
        self.found.clear();
        if state.find.is_none() {
            return;
        }
        let sought = state.sought();
        for (rows, turn) in self.turns.iter_mut().zip(&state.turns) {
            let found = match rows.found.take() {
                Some(same) if same.0 == sought => same,
                // Where a part of it is not, it is not.
                Some((part, found)) if found.is_empty() && !part.is_empty() && sought.contains(&part) => {
                    (sought.to_owned(), found)
                }
                Some(_) | None => (sought.to_owned(), rows.find(turn, sought, theme, self.width)),
            };
            rows.found = Some(found);
        }
        self.found = self.find(state, theme);
    }

    /// The turn that a row belongs to.
    fn turn_at(&self, row: usize) -> usize {
        self.starts().partition_point(|start| *start <= row).saturating_sub(1)
    }

    /// Whether text has come below the view since its end was last in it.
    pub fn is_news(&mut self, extent: Extent) -> bool {
        let rows = self.rows();
        if extent.below() == 0 || self.seen == 0 {
            self.seen = rows;
        }
        rows > self.seen
    }

    /// Whether the answer that is being written goes on behind this row of a turn.
    pub fn is_written_at(&self, turn: usize, row: usize) -> bool {
        let Some(turn) = self.turns.get(turn) else { return false };
        let last = turn.rows.as_ref().map(|rows| rows.head.len() + rows.body().len());
        turn.key.state == TurnState::Streaming && last == Some(row + 1)
    }

    /// Has the rows of the turns in view at hand, and lets go of those further away than a screen.
    pub fn keep_near(&mut self, state: &State, theme: &Theme, extent: Extent) {
        let first = self.turn_at(extent.top.saturating_sub(extent.height));
        let last = self.turn_at(extent.top + 2 * extent.height);
        let in_view = self.turn_at(extent.top)..=self.turn_at(extent.top + extent.height.saturating_sub(1));
        for (at, (rows, turn)) in self.turns.iter_mut().zip(&state.turns).enumerate() {
            let is_near = (first..=last).contains(&at);
            if in_view.contains(&at) && rows.rows.is_none() {
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
    /// The rows of the turn where a text begins. What was wrapped away is only wrapped again where it could be.
    fn find(&self, turn: &Turn, sought: &str, theme: &Theme, width: usize) -> Vec<usize> {
        match &self.rows {
            Some(rows) => find::rows_that_hold(rows.lines(), sought),
            None if !find::may_hold(turn, &self.key.answering, sought) => Vec::new(),
            None => find::rows_that_hold(Rows::plain(turn, &self.key, theme, width).lines(), sought),
        }
    }

    /// Counts its rows without keeping them. Returns what was parsed for that, in bytes.
    fn count(&mut self, turn: &Turn, theme: &Theme, width: usize) -> usize {
        let rows = Rows::plain(turn, &self.key, theme, width);
        (self.len, self.counted) = (rows.len(), true);
        rows.body.parsed_bytes()
    }

    /// Returns what was parsed for them, in bytes.
    fn drop_rows(&mut self) -> usize {
        self.rows.take().map_or(0, |rows| rows.body.parsed_bytes())
    }

    fn update(&mut self, turn: &Turn, key: Key, theme: &Theme, width: usize) {
        // An answer only grows, unless it turns out to have been a thought.
        let grows = self.key.passages == key.passages && self.key.answer <= key.answer;
        let known = self.rows.take().filter(|_| grows);
        let rows = match known {
            Some(mut rows) => {
                rows.update(turn, &key, theme, width);
                rows
            }
            None => Rows::new(turn, &key, theme, width),
        };
        (self.len, self.counted, self.found, self.rows, self.key) = (rows.len(), true, None, Some(rows), key);
    }
}

impl Rows {
    fn new(turn: &Turn, key: &Key, theme: &Theme, width: usize) -> Self {
        Self::with(Markdown::new(width, key.passages, *theme), turn, key, theme, width)
    }

    /// The same rows, to be counted or looked through: code without its colours.
    fn plain(turn: &Turn, key: &Key, theme: &Theme, width: usize) -> Self {
        Self::with(Markdown::new(width, key.passages, *theme).plain(), turn, key, theme, width)
    }

    fn with(body: Markdown, turn: &Turn, key: &Key, theme: &Theme, width: usize) -> Self {
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
        waited_s: turn.waited_s,
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
        let length = counted(turn.reasoning.chars().count() as u64, "character");
        let told = format!("(it thought first: {length}; /evidence shows them below the prompt)");
        rows.extend(paragraph(&told, width, theme.dim));
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
            let waited = if key.waited_s < LONG_S { String::new() } else { format!(" · {} s", key.waited_s) };
            let found = counted(key.passages as u64, "passage");
            (format!("… {found} found, waiting for the first word{waited}"), theme.dim)
        }
        TurnState::Done(FinishReason::Stop) if turn.model.is_some() && turn.answer.trim().is_empty() => {
            ("! the model answered nothing; /model chooses another".to_owned(), theme.warning)
        }
        TurnState::Streaming | TurnState::Done(FinishReason::Stop) => (String::new(), theme.dim),
        TurnState::Done(FinishReason::Length) => ("! cut off at the model's length limit".to_owned(), theme.warning),
        TurnState::Done(FinishReason::Other(reason)) => {
            (format!("! the server ended the answer: {}", one_line(reason)), theme.warning)
        }
        TurnState::Done(FinishReason::EndedEarly) => (
            "! answer ended early: the server closed it without saying that the model was done".to_owned(),
            theme.warning,
        ),
        TurnState::Stopped => ("■ stopped".to_owned(), theme.warning),
        TurnState::Failed(message) => (format!("✗ {message}"), theme.bad),
    };
    if !text.is_empty() {
        rows.extend(paragraph(&text, width, style));
    }
    rows.push(Line::default());
    rows
}
