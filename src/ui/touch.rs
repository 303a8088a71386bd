//! What the mouse does: which pane lies under it, and what in that pane.

use ratatui::{
    crossterm::event::{MouseButton, MouseEvent, MouseEventKind},
    layout::{Position, Rect},
};

use super::{
    ViewCache,
    cache::{Extent, Measured},
    find, input, selection,
    theme::Theme,
};
use crate::{
    app::{
        Action, ChatScroll, CollectionAction, CopyAction, EvidenceAction, EvidencePane, Focus, IngestAction,
        IngestPane, PaletteAction, Point, Scroll, State, Step, TextPane, TouchAction, code_blocks,
    },
    text::{one_line, width},
};

/// Rows that one step of the wheel scrolls a text by.
const WHEEL: isize = 3;

/// A part of the screen that knows what to do with the mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    Chat,
    Passages,
    PassageText,
    Input,
    Ingest(IngestPane),
    IngestEntry,
    Collections,
    Rows,
    RowText,
    Candidates,
    Evidence(EvidencePane),
    Help,
    Palette,
    /// The mark that there is new text below.
    NewText,
}

/// Where a zone was in the last frame.
#[derive(Clone, Debug)]
pub struct Spot {
    pub zone: Zone,
    pub area: Rect,
    /// Where its text or list is, without border and gutter.
    pub inner: Rect,
    /// For a list: which entry each row belongs to.
    pub entries: Vec<Option<usize>>,
}

impl Measured {
    /// Notes where a zone is. What is noted later lies above what was noted before.
    pub fn put(&mut self, zone: Zone, area: Rect, inner: Rect) {
        self.list(zone, area, inner, Vec::new());
    }

    /// Notes where a list is, and which entry each of its rows belongs to.
    pub fn list(&mut self, zone: Zone, area: Rect, inner: Rect, entries: Vec<Option<usize>>) {
        self.spots.push(Spot { zone, area, inner, entries });
    }

    pub fn place(&self, zone: Zone) -> Option<&Spot> {
        self.spots.iter().rfind(|place| place.zone == zone)
    }

    fn under(&self, at: Position) -> Option<&Spot> {
        self.spots.iter().rfind(|place| place.area.contains(at))
    }
}

impl Spot {
    /// The first row in view, counted as [`Point`] does.
    pub fn top(&self, measured: &Measured) -> isize {
        match self.zone {
            Zone::PassageText => measured.passage.top.cast_signed() - measured.passage_start.cast_signed(),
            _ => measured.chat.top.cast_signed() - measured.chat_start,
        }
    }

    /// The cell of the text at a place of the screen, or the nearest one that is in view.
    fn point(&self, at: Position, measured: &Measured) -> Point {
        let rows = self.inner.height.saturating_sub(1);
        let row = at.y.saturating_sub(self.inner.y).min(rows);
        Point {
            row: self.top(measured) + isize::try_from(row).unwrap_or(0),
            column: usize::from(at.x.saturating_sub(self.inner.x)),
        }
    }

    fn entry(&self, at: Position) -> Option<usize> {
        let row = at.y.checked_sub(self.inner.y)?;
        self.entries.get(usize::from(row)).copied().flatten()
    }
}

/// What a mouse event means now; `None` where nothing comes of it.
pub fn mouse(state: &State, cache: &ViewCache, event: MouseEvent) -> Option<Action> {
    let at = Position { x: event.column, y: event.row };
    match event.kind {
        MouseEventKind::ScrollUp => wheel(state, &cache.measured, at, -1),
        MouseEventKind::ScrollDown => wheel(state, &cache.measured, at, 1),
        MouseEventKind::Down(MouseButton::Left) => press(state, cache, at),
        MouseEventKind::Drag(MouseButton::Left) => drag(state, &cache.measured, at),
        MouseEventKind::Up(MouseButton::Left) => release(state, cache, at),
        MouseEventKind::Down(_)
        | MouseEventKind::Up(_)
        | MouseEventKind::Drag(_)
        | MouseEventKind::Moved
        | MouseEventKind::ScrollLeft
        | MouseEventKind::ScrollRight => None,
    }
}

/// What only the last frame tells is put into an action that copies.
pub fn with_screen(state: &State, cache: &ViewCache, action: Action) -> Action {
    match action {
        Action::Copy(CopyAction::Here) if state.touch.selection.is_some() => {
            selection::selected(state, cache).map_or(action, |text| Action::Copy(CopyAction::Selected(text)))
        }
        // A command that is chosen from the list does what its key would do.
        Action::Palette(PaletteAction::Run) => match state.chosen() {
            Some(chosen @ (Action::Copy(_) | Action::Find(_))) => with_screen(state, cache, chosen),
            Some(_) | None => action,
        },
        Action::Find(find) => find::with_rows(state, cache, find),
        Action::Copy(CopyAction::Code(_)) => Action::Copy(CopyAction::Code(code_in_view(state, cache))),
        other => other,
    }
}

/// The row that is first after some steps of the wheel; `None` where it can't be turned further.
fn scrolled(extent: Extent, steps: isize) -> Option<usize> {
    let last = extent.rows.saturating_sub(extent.height);
    let top = extent.top.saturating_add_signed(steps * WHEEL).min(last);
    (top != extent.top).then_some(top)
}

/// The entry next to the selected one.
fn next(count: usize, at: usize, steps: isize) -> Option<usize> {
    let to = at.saturating_add_signed(steps).min(count.saturating_sub(1));
    (to != at).then_some(to)
}

fn wheel(state: &State, measured: &Measured, at: Position, steps: isize) -> Option<Action> {
    let scroll = |extent, to: fn(usize) -> Scroll| scrolled(extent, steps).map(|top| Action::Scroll(to(top)));
    if let Some(palette) = &state.palette {
        let to = next(measured.palette.rows, palette.selected, steps)?;
        return Some(Action::Palette(PaletteAction::Select(to)));
    }
    if state.help {
        return scroll(measured.help, Scroll::Help);
    }
    match measured.under(at)?.zone {
        Zone::Chat | Zone::Input | Zone::NewText => {
            scrolled(measured.chat, steps).map(|top| Action::Scroll(Scroll::Chat(measured.chat_from(top))))
        }
        Zone::Passages => {
            let count = state.shown_turn()?.passages.len();
            next(count, state.selected_passage, steps).map(Action::SelectPassage)
        }
        Zone::PassageText => {
            let top = scrolled(measured.passage, steps)?;
            let from_start = top.cast_signed() - measured.passage_start.cast_signed();
            Some(Action::Scroll(Scroll::Passage(from_start)))
        }
        Zone::IngestEntry => scrolled_ingest(measured, steps),
        Zone::Ingest(pane) if pane != state.ingest_view.pane => Some(Action::Touch(TouchAction::ShowIngest(pane))),
        Zone::Ingest(IngestPane::Overview) => scrolled_ingest(measured, steps),
        Zone::Ingest(pane) => {
            let (count, at) = state.ingest_list(pane);
            next(count, at, steps).map(|to| Action::Ingest(IngestAction::Select(to)))
        }
        Zone::Collections => {
            let count = state.collections.entries.as_ref()?.len();
            let to = next(count, state.collections.index(), steps)?;
            Some(Action::Collection(CollectionAction::Select(to)))
        }
        Zone::Rows => {
            let Step::Browse(browsing) = &state.collections.step else { return None };
            let [count, at] = [browsing.total, browsing.at].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
            Some(Action::Collection(CollectionAction::SelectRow(next(count, at, steps)? as u64)))
        }
        Zone::RowText => scroll(measured.row, Scroll::Row),
        Zone::Candidates => {
            let rows = state.evidence.rows(state.shown_turn()?);
            let to = next(rows.len(), state.evidence.index(&rows), steps)?;
            Some(Action::Evidence(EvidenceAction::Select(to)))
        }
        Zone::Evidence(pane) if pane == state.evidence.pane => scroll(measured.evidence, Scroll::Evidence),
        Zone::Evidence(pane) => Some(Action::Touch(TouchAction::ShowEvidence(pane))),
        Zone::Help | Zone::Palette => None,
    }
}

fn scrolled_ingest(measured: &Measured, steps: isize) -> Option<Action> {
    scrolled(measured.ingest_text, steps).map(|top| Action::Ingest(IngestAction::Scroll(top)))
}

fn press(state: &State, cache: &ViewCache, at: Position) -> Option<Action> {
    let measured = &cache.measured;
    let place = measured.under(at);
    if let Some(palette) = &state.palette {
        // A click beside it closes it; one on what is selected does it.
        let Some(spot) = place.filter(|spot| spot.zone == Zone::Palette) else { return Some(Action::Escape) };
        let at = spot.entry(at)?;
        let action = if at == palette.selected { PaletteAction::Run } else { PaletteAction::Select(at) };
        return Some(with_screen(state, cache, Action::Palette(action)));
    }
    if state.help {
        // A click beside what lies above everything closes it.
        return place.is_none_or(|place| place.zone != Zone::Help).then_some(Action::Help);
    }
    let place = place?;
    let touch = |action| Some(Action::Touch(action));
    let text = |focus, pane| {
        // A line is taken whole by a drag from beside its beginning.
        let rows = place.inner.top()..place.inner.bottom();
        let begins = rows.contains(&at.y) && at.x < place.inner.right();
        let anchor = begins.then(|| (pane, place.point(at, measured)));
        touch(TouchAction::Press { focus, anchor })
    };
    match (place.zone, place.entry(at)) {
        (Zone::NewText, _) => Some(Action::Scroll(Scroll::Chat(ChatScroll::End))),
        (Zone::Chat, _) => text(Focus::Chat, TextPane::Chat),
        (Zone::PassageText, _) => text(Focus::PassageText, TextPane::Passage),
        (Zone::Passages, Some(passage)) => touch(TouchAction::ChoosePassage(passage)),
        (Zone::Passages, None) => touch(TouchAction::Press { focus: Focus::Passages, anchor: None }),
        (Zone::Input, _) => touch(TouchAction::PlaceCursor(input::offset_at(&state.input, place.inner, at))),
        (Zone::Collections, entry) => entry.map(|at| Action::Collection(CollectionAction::Select(at))),
        (Zone::Rows, Some(row)) => touch(TouchAction::ChooseRow(row as u64)),
        (Zone::Rows, None) => touch(TouchAction::ShowRows { text: false }),
        (Zone::RowText, _) => touch(TouchAction::ShowRows { text: true }),
        (Zone::Candidates, Some(at)) => touch(TouchAction::ChooseCandidate(at)),
        (Zone::Candidates, None) => touch(TouchAction::ShowEvidence(EvidencePane::Candidates)),
        (Zone::Evidence(EvidencePane::Map), _) => {
            let distance = |cell: &Position| cell.x.abs_diff(at.x).pow(2) + (2 * cell.y.abs_diff(at.y)).pow(2);
            let near = measured.map.iter().min_by_key(|(cell, _)| distance(cell));
            touch(match near.filter(|_| place.inner.contains(at)) {
                Some((_, candidate)) => TouchAction::ChooseOnMap(*candidate),
                None => TouchAction::ShowEvidence(EvidencePane::Map),
            })
        }
        (Zone::Evidence(pane), _) => touch(TouchAction::ShowEvidence(pane)),
        (Zone::Ingest(pane), Some(at)) => touch(TouchAction::ChooseEntry { pane, at }),
        (Zone::Ingest(pane), None) => touch(TouchAction::ShowIngest(pane)),
        (Zone::IngestEntry | Zone::Help | Zone::Palette, _) => None,
    }
}

fn drag(state: &State, measured: &Measured, at: Position) -> Option<Action> {
    let (pane, _) = state.touch.anchor()?;
    let place = measured.place(match pane {
        TextPane::Chat => Zone::Chat,
        TextPane::Passage => Zone::PassageText,
    })?;
    let mut to = place.point(at, measured);
    let steps = if at.y < place.inner.top() { -1 } else { isize::from(at.y >= place.inner.bottom()) };
    let extent = if pane == TextPane::Chat { measured.chat } else { measured.passage };
    let last = extent.rows.saturating_sub(extent.height);
    let top = extent.top.saturating_add_signed(steps).min(last);
    let scroll = (top != extent.top).then(|| match pane {
        TextPane::Chat => Scroll::Chat(measured.chat_from(top)),
        TextPane::Passage => Scroll::Passage(top.cast_signed() - measured.passage_start.cast_signed()),
    });
    to.row += top.cast_signed() - extent.top.cast_signed();
    let same = state.touch.selection.is_some_and(|selection| selection.head == to);
    (!same || scroll.is_some()).then_some(Action::Touch(TouchAction::Drag { to, scroll }))
}

fn release(state: &State, cache: &ViewCache, at: Position) -> Option<Action> {
    let (pane, anchor) = state.touch.anchor()?;
    if state.touch.selection.is_some() {
        return selection::selected(state, cache).map(|text| Action::Copy(CopyAction::Selected(text)));
    }
    let place = cache.measured.under(at).filter(|place| place.zone == Zone::Chat && pane == TextPane::Chat)?;
    if place.point(at, &cache.measured) != anchor {
        return None;
    }
    let top = usize::try_from(anchor.row + cache.measured.chat_start).ok()?;
    let row = Extent { top, height: 1, rows: cache.measured.chat.rows };
    let (turn, _, line) = cache.chat.visible(state, &cache.theme, row).next()?;
    let given = state.turns.get(turn)?.passages.len();
    match cited(&line, anchor.column, &cache.theme).filter(|passage| *passage < given) {
        Some(passage) => Some(Action::Touch(TouchAction::ShowCited { turn, passage })),
        None => (state.shown_index() != Some(turn)).then_some(Action::Touch(TouchAction::ShowTurn(turn))),
    }
}

/// The passage, from 0, whose number is cited at a column of a row.
fn cited(line: &ratatui::text::Line<'_>, column: usize, theme: &Theme) -> Option<usize> {
    // The bytes of each piece of the row that looks as citations do, and the byte at the column.
    let (mut text, mut columns) = (String::new(), 0);
    let (mut start, mut touched) = (0, None);
    let mut was = false;
    for span in &line.spans {
        let cites = span.style.patch(theme.citation) == span.style;
        if cites && !was {
            start = text.len();
        }
        was = cites;
        for c in span.content.chars() {
            let end = columns + width(c.encode_utf8(&mut [0; 4]));
            if cites && (columns..end).contains(&column) {
                touched = Some((start, text.len()));
            }
            columns = end;
            text.push(c);
        }
    }
    let (start, at) = touched?;
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, ',' | ' ');
    let open = text[start..=at].rfind('[').map_or(start, |open| start + open + 1);
    let inside = &text[open..];
    let inside = &inside[..inside.find(|c| !is_part(c)).unwrap_or(inside.len())];
    // The number under the pointer, or the one before the comma there.
    let mut numbers = inside.split_inclusive(',').scan(open, |end, piece| {
        *end += piece.len();
        Some((*end, piece.trim_matches(|c: char| !c.is_ascii_digit())))
    });
    let last = inside.rsplit(',').next().unwrap_or_default().trim();
    let number = numbers.find(|(end, _)| at < *end).map_or(last, |(_, number)| number);
    number.parse::<usize>().ok()?.checked_sub(1)
}

/// The code block of the shown turn that begins in view, or else the one that reaches into it, from 0.
fn code_in_view(state: &State, cache: &ViewCache) -> usize {
    let Some((turn, index)) = state.shown_turn().zip(state.shown_index()) else { return 0 };
    let Extent { rows, height, top } = cache.measured.chat;
    let start = cache.measured.turn_starts.get(index).copied().unwrap_or(0);
    let whole = Extent { rows, height: rows.saturating_sub(start), top: start };
    let mut lines = cache.chat.visible(state, &cache.theme, whole).take_while(|(turn, ..)| *turn == index).zip(start..);
    let mut found = 0;
    for (at, block) in code_blocks(&turn.answer).iter().enumerate() {
        let first = one_line(block.lines().find(|line| !line.trim().is_empty()).unwrap_or_default());
        // Blocks come in the order of their rows; a long first line is only begun on its row.
        let begins = |line: &ratatui::text::Line<'_>| {
            let row = one_line(&line.to_string());
            !row.is_empty() && (row == first || (first.starts_with(&row) && width(&row) + 8 > cache.chat.width()))
        };
        let Some((_, row)) = lines.find(|((_, _, line), _)| begins(line)) else { break };
        if row >= top + height {
            break;
        }
        found = at;
        if row >= top {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use ratatui::text::{Line, Span};

    use super::*;
    use crate::ui::inline::Inline;

    #[test]
    fn a_citation_is_found_at_each_of_its_cells() {
        let theme = Theme::default();
        let mut inline = Inline::default();
        inline.push("漢 a[0] [2] and [1, 12] and ", ratatui::style::Style::new());
        inline.push_literal("x[1]", theme.code);
        inline.mark_citations(12, theme.citation, theme.bad, &mut Default::default());
        let line = Line::from(inline.rows(80).remove(0));
        let found: Vec<_> = (0..line.width()).map(|column| cited(&line, column, &theme)).collect();
        let text: Vec<String> = line.to_string().chars().map(String::from).collect();
        let columns = text.iter().flat_map(|c| std::iter::repeat_n(c.as_str(), width(c))).collect::<Vec<_>>();
        let shown: Vec<_> = columns.iter().zip(&found).filter_map(|(c, passage)| Some((*c, (*passage)?))).collect();
        let expected =
            [("[", 1), ("2", 1), ("]", 1), ("[", 0), ("1", 0), (",", 0), (" ", 11), ("1", 11), ("2", 11), ("]", 11)];
        assert_eq!(shown, expected, "and neither code nor a number that no passage has");
        assert_eq!(cited(&Line::from(Span::raw("[2]")), 1, &theme), None);
    }
}
