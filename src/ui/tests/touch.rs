use insta::assert_snapshot;
use ratatui::{
    crossterm::event::{MouseButton, MouseEvent, MouseEventKind},
    style::Modifier,
};

use super::*;
use crate::app::{ChatScroll, CopyAction, EvidencePane, Focus, Step, View};

const CODE: &str = "Insert it so [2]:\n\n```python\nclient.insert(\"docs\", rows, partition_name=\"a partition\")\n\tflush()\x1b[2J\n```\n\nThen, because data that was inserted is kept in a log first, it is read from there [1].\n\n```\nsearch()\n```\n";

impl World {
    fn mouse(&mut self, kind: MouseEventKind, column: u16, row: u16) {
        self.draw();
        self.input(Input::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
    }

    fn click(&mut self, column: u16, row: u16) {
        self.mouse(MouseEventKind::Down(MouseButton::Left), column, row);
        self.mouse(MouseEventKind::Up(MouseButton::Left), column, row);
    }

    fn drag(&mut self, from: (u16, u16), to: (u16, u16)) {
        self.mouse(MouseEventKind::Down(MouseButton::Left), from.0, from.1);
        self.mouse(MouseEventKind::Drag(MouseButton::Left), to.0, to.1);
    }

    /// Where a text is on the screen.
    fn find(&mut self, text: &str) -> (u16, u16) {
        let buffer = self.draw();
        let columns = usize::from(buffer.area.width);
        let row_at =
            |row: &[ratatui::buffer::Cell], x: usize| row[x..].iter().map(|cell| cell.symbol()).collect::<String>();
        let rows = (0..).zip(buffer.content.chunks(columns));
        let found =
            rows.filter_map(|(y, row)| Some(((0..columns).find(|x| row_at(row, *x).starts_with(text))? as u16, y)));
        found
            .collect::<Vec<_>>()
            .first()
            .copied()
            .unwrap_or_else(|| panic!("{text:?} is not there:\n{}", self.screen()))
    }

    pub fn click_on(&mut self, text: &str) {
        let (column, row) = self.find(text);
        self.click(column, row);
    }

    /// The screen with what is reversed marked below each row.
    fn marked_screen(&mut self) -> String {
        let text = self.screen();
        let buffer = self.draw();
        let marks = buffer.content.chunks(usize::from(buffer.area.width)).map(|row| {
            let mark =
                |cell: &ratatui::buffer::Cell| if cell.modifier.contains(Modifier::REVERSED) { '^' } else { ' ' };
            row.iter().map(mark).collect::<String>().trim_end().to_owned()
        });
        let rows = text.lines().zip(marks).flat_map(|(row, marks)| [row.to_owned(), marks]);
        rows.filter(|row| !row.is_empty()).collect::<Vec<_>>().join("\n")
    }

    pub fn copied(&self) -> &str {
        match self.effects.last() {
            Some(Effect::Copy { text, .. }) => text,
            other => panic!("nothing was copied: {other:?}"),
        }
    }

    fn type_out(&mut self, text: &str) {
        for c in text.chars() {
            self.key(KeyModifiers::NONE, KeyCode::Char(c));
        }
    }
}

/// Two turns, the last one with code in its answer.
pub fn conversation(columns: u16, rows: u16) -> World {
    let mut world = World::ready(columns, rows);
    for (question, answer) in [("How is data stored?", "In a log [1, 3]."), ("How do I insert\nit?", CODE)] {
        let turn = world.ask(question);
        world.send(retrieved(turn, &[]));
        world.send(delta(turn, answer));
        world.send(finished(turn, FinishReason::Stop));
    }
    world
}

#[test]
fn what_is_dragged_over_is_selected_in_its_pane_only_and_copied() {
    for (columns, mut world) in worlds(conversation) {
        let (from, to) = (world.find("kept in a"), world.find("there [1]"));
        // Far to the right of the pane: only the row's own text is taken.
        world.drag(from, (columns - 1, to.1));
        assert_snapshot!(format!("selection_{columns}"), world.marked_screen());
        world.mouse(MouseEventKind::Up(MouseButton::Left), columns - 1, to.1);
        assert!(world.copied().starts_with("kept in a log first, it is read from there [1]."), "{:?}", world.copied());
        assert!(!world.copied().contains('\n'), "one paragraph: {:?}", world.copied());
    }

    let mut world = conversation(120, 30);
    let (from, to) = (world.find("client.insert"), world.find("flush()"));
    world.drag((to.0 + 6, to.1), from);
    world.mouse(MouseEventKind::Up(MouseButton::Left), from.0, from.1);
    let code = "client.insert(\"docs\", rows, partition_name=\"a partition\")\n    flush()";
    assert_eq!(world.copied(), code, "backwards, and without the margin");
    assert_eq!(world.state.escape(), crate::app::Escape::DropSelection);
    world.key(KeyModifiers::NONE, KeyCode::Esc);
    assert!(!world.marked_screen().contains('^'));

    // From the pane's border on: the line is taken whole.
    let mut world = conversation(120, 30);
    let from = world.find("client.insert");
    world.drag((0, from.1), (60, from.1));
    world.mouse(MouseEventKind::Up(MouseButton::Left), 60, from.1);
    assert!(world.copied().starts_with("client.insert(\"docs\", rows"), "{}", world.copied());

    // A passage's text, without the bar beside it; more comes into view where the pane ends.
    let (x, y) = world.find("Inserted data are");
    let (_, above) = world.find("Milvus deals");
    let count = world.effects.len();
    world.drag((x - 2, above), (x + 3, y));
    assert_eq!(world.state.focus, Focus::PassageText);
    world.key(KeyModifiers::NONE, KeyCode::Char('y'));
    assert_eq!(world.copied(), "Milvus deals with two types of data, inserted data and metadata.\n\nInse");
    assert_eq!(world.effects.len(), count + 1);
    world.input(Input::Resize(100, 30));
    assert_eq!(world.state.touch.selection, None);
}

#[test]
fn a_drag_beyond_the_end_goes_on() {
    let mut world = conversation(80, 24);
    let (x, y) = world.find("flush()");
    world.mouse(MouseEventKind::Down(MouseButton::Left), x, y);
    for _ in 0..30 {
        world.mouse(MouseEventKind::Drag(MouseButton::Left), x, 0);
    }
    assert_eq!(world.state.chat_scroll, ChatScroll::At { turn: 0, row: 0 });
    world.mouse(MouseEventKind::Up(MouseButton::Left), x, 0);
    let text = world.copied();
    assert!(text.contains("In a log [1, 3].") && text.ends_with("    f"), "{text:?}");
}

#[test]
fn a_click_goes_to_what_it_points_at() {
    let mut world = conversation(120, 30);
    world.click_on("How does Milvus flush");
    assert_eq!((world.state.focus, world.state.selected_passage), (Focus::Passages, 1));
    world.click_on("1, 3]");
    assert_eq!((world.state.selected_turn, world.state.selected_passage), (Some(0), 0));
    let (x, y) = world.find("3].");
    let scroll = world.state.chat_scroll;
    world.click(x, y);
    assert_eq!((world.state.shown_index(), world.state.selected_passage), (Some(0), 2));
    world.click_on("Then, because");
    assert_eq!((world.state.selected_turn, world.state.focus), (None, Focus::Chat));
    assert_eq!(world.state.chat_scroll, scroll, "what is in view stays so");
    world.send(Event::Action(Action::Insert("漢字 and more".to_owned())));
    world.click_on("and more");
    assert_eq!((world.state.focus, world.state.input.cursor()), (Focus::Input, "漢字 ".len()));

    world.key(KeyModifiers::NONE, KeyCode::F(4));
    world.click_on("guide/part1.md");
    let rows = world.state.evidence.rows(world.state.shown_turn().unwrap());
    assert_eq!(world.state.evidence.index(&rows), 4, "behind the line that marks the cut");
    world.click_on("Figures");
    assert_eq!(world.state.evidence.pane, EvidencePane::Figures);
    world.click_on("faq/product_faq.md:21-29");
    assert_eq!(world.state.evidence.pane, EvidencePane::Candidates);

    // What lies above everything takes the clicks; beside it, one closes it.
    world.key(KeyModifiers::NONE, KeyCode::F(1));
    world.click_on("In the evidence of a turn");
    assert!(world.state.help);
    world.click(0, 2);
    assert!(!world.state.help && world.state.view == View::Evidence);
}

#[test]
fn a_click_in_the_collections_selects() {
    let mut world = World::ready(120, 30);
    world.key(KeyModifiers::NONE, KeyCode::F(3));
    let request = world.state.collections.reading.unwrap();
    let info = |name: &str| CollectionInfo { documents: 9, passages: 41, ..CollectionInfo::empty(name) };
    let entries = ["handbook", "manual", "notes"].map(|name| crate::app::Entry::Readable(info(name).into()));
    world.send(Event::CollectionsListed { request, result: Ok(entries.into()) });
    world.click_on("manual");
    assert_eq!(world.state.collections.selected, "manual");
    let (x, y) = world.find("manual");
    world.mouse(MouseEventKind::ScrollDown, x, y);
    assert_eq!(world.state.collections.selected, "notes");
    world.key(KeyModifiers::NONE, KeyCode::Char('b'));
    let Some(Effect::BrowseRows { request, .. }) = world.effects.last().cloned() else { panic!() };
    let rows = (1..=41).map(|n| chunk(n, &format!("page{n}.md"), "x", "the text")).collect();
    world.send(Event::Rows { request, result: Ok(rows) });
    world.click_on("the text");
    let at = |world: &World| match &world.state.collections.step {
        Step::Browse(browsing) => (browsing.at, browsing.in_text),
        _ => panic!(),
    };
    assert_eq!(at(&world), (0, true));
    world.click_on("page4.md");
    assert_eq!(at(&world), (3, false));
}

#[test]
fn the_wheel_scrolls_what_lies_under_it_and_costs_nothing_at_the_end() {
    let mut world = conversation(100, 16);
    world.key(KeyModifiers::NONE, KeyCode::Tab);
    world.mouse(MouseEventKind::ScrollUp, 5, 5);
    assert_ne!(world.state.chat_scroll, ChatScroll::End);
    let (x, y) = world.find("Passages");
    world.mouse(MouseEventKind::ScrollDown, x, y + 1);
    assert_eq!((world.state.selected_passage, world.state.focus), (1, Focus::Chat), "the keys stay where they were");
    world.key(KeyModifiers::NONE, KeyCode::F(1));
    world.mouse(MouseEventKind::ScrollDown, 0, 0);
    assert_eq!(world.state.help_scroll, 3);
    world.key(KeyModifiers::NONE, KeyCode::F(1));
    for _ in 0..40 {
        world.mouse(MouseEventKind::ScrollDown, 5, 5);
        world.mouse(MouseEventKind::ScrollDown, x, y + 1);
    }
    assert_eq!(world.state.chat_scroll, ChatScroll::End);
    let mouse = |kind, column, row| Input::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE });
    world.draw();
    for (kind, column, row) in [
        (MouseEventKind::ScrollDown, 5, 5),
        (MouseEventKind::ScrollDown, x, y + 1),
        (MouseEventKind::Moved, 5, 5),
        (MouseEventKind::Drag(MouseButton::Left), 5, 5),
        (MouseEventKind::Up(MouseButton::Left), 5, 5),
        (MouseEventKind::Down(MouseButton::Right), 5, 5),
        (MouseEventKind::Down(MouseButton::Left), 500, 500),
    ] {
        assert_eq!(key(&world.state, &world.cache, mouse(kind, column, row)), None, "{kind:?} asks for no frame");
    }
}

#[test]
fn what_is_copied_is_what_the_document_holds() {
    let mut world = conversation(120, 30);
    world.key(KeyModifiers::ALT, KeyCode::Char('c'));
    assert_eq!(world.copied(), CODE.replace('\x1b', ""), "the source, and nothing that a terminal would obey");
    world.key(KeyModifiers::NONE, KeyCode::Tab);
    world.key(KeyModifiers::NONE, KeyCode::Char('Y'));
    assert_eq!(world.copied(), "How do I insert\nit?");
    world.draw();
    let mut code = || {
        world.key(KeyModifiers::NONE, KeyCode::Char('c'));
        world.draw();
        world.copied().to_owned()
    };
    let first = "client.insert(\"docs\", rows, partition_name=\"a partition\")\n\tflush()[2J\n";
    assert_eq!([code(), code(), code()], [first, "search()\n", first], "again: the next one");
    world.key(KeyModifiers::NONE, KeyCode::Tab);
    world.key(KeyModifiers::NONE, KeyCode::Char('j'));
    world.key(KeyModifiers::NONE, KeyCode::Char('y'));
    assert_eq!(world.copied(), passages()[1].chunk.text);
    world.key(KeyModifiers::NONE, KeyCode::Char('['));
    let count = world.effects.len();
    world.send(Event::Action(Action::Copy(CopyAction::Code(0))));
    assert_eq!(world.effects.len(), count);
    assert!(world.screen().contains("there is no code block in this answer"));

    // The block in view, where the answer is longer than the pane.
    let mut world = World::ready(80, 24);
    let turn = world.ask("x");
    world.send(retrieved(turn, &[]));
    let block = |n| format!("```\nblock({n})\n```\n\n{}", "A line between.\n\n".repeat(12));
    world.send(delta(turn, &(1..=3).map(block).collect::<String>()));
    world.send(finished(turn, FinishReason::Stop));
    world.key(KeyModifiers::NONE, KeyCode::Tab);
    world.draw();
    for (by, expected) in
        [(KeyCode::End, "block(3)\n"), (KeyCode::Home, "block(1)\n"), (KeyCode::PageDown, "block(1)\n")]
    {
        world.key(KeyModifiers::NONE, by);
        world.draw();
        world.key(KeyModifiers::NONE, KeyCode::Char('c'));
        assert_eq!(world.copied(), expected, "after {by:?}");
    }
}

#[test]
fn the_history_is_searched_while_the_draft_waits() {
    for (columns, mut world) in worlds(World::ready) {
        world.type_out("a draft");
        world.key(KeyModifiers::CONTROL, KeyCode::Char('s'));
        assert_snapshot!(format!("history_empty_{columns}"), world.screen());
        let long = "Why is the index\nrebuilt when the model changes?\n".repeat(5);
        let asked = ["How is data stored?", long.as_str(), "How are scores fused?"].map(str::to_owned);
        world.send(Event::History(asked.into()));
        world.type_out("HOW");
        world.key(KeyModifiers::CONTROL, KeyCode::Char('s'));
        assert_snapshot!(format!("history_found_{columns}"), world.screen());
        world.key(KeyModifiers::CONTROL, KeyCode::Char('u'));
        world.type_out("index");
        assert_snapshot!(format!("history_long_{columns}"), world.screen());
        world.type_out("?!");
        assert_snapshot!(format!("history_nothing_{columns}"), world.screen());
        world.key(KeyModifiers::NONE, KeyCode::Enter);
        assert!(world.state.recall.is_some(), "nothing is taken where nothing was found");
        world.key(KeyModifiers::NONE, KeyCode::Esc);
        assert_eq!((world.state.input.text(), &world.state.recall.is_none()), ("a draft", &true));
    }

    let mut world = World::ready(120, 30);
    world.send(Event::History(["one", "two", "two", "three"].map(str::to_owned).into()));
    world.key(KeyModifiers::ALT, KeyCode::Char('r'));
    world.type_out("t");
    world.key(KeyModifiers::ALT, KeyCode::Char('r'));
    world.key(KeyModifiers::NONE, KeyCode::Enter);
    assert_eq!(world.state.input.text(), "two");
    assert!(world.state.turns.is_empty(), "it is taken, not asked");
    world.key(KeyModifiers::CONTROL, KeyCode::Char('/'));
    assert_eq!(world.state.input.text(), "", "and can be undone");
}

#[test]
fn drafts_long_pastes_and_the_mouse_are_told() {
    let mut world = World::ready(120, 30);
    world.send(Event::Draft("half a question\x1b[2J".to_owned()));
    assert_eq!(world.state.input.text(), "half a question[2J");
    world.input(Input::Paste("a line\n".repeat(20)));
    assert!(world.screen().contains("20 lines, 140 characters put in"));
    for (columns, mut world) in worlds(World::ready) {
        world.input(Input::Paste("a line\n".repeat(20)));
        assert_snapshot!(format!("long_paste_{columns}"), world.screen());
    }
    world.send(Event::Draft("of another start".to_owned()));
    world.key(KeyModifiers::CONTROL, KeyCode::Home);
    world.key(KeyModifiers::NONE, KeyCode::Up);
    assert_eq!(world.state.input.text(), "of another start", "what was written goes before what had been");
    assert!(world.state.draft().starts_with("half a question"), "the draft is what is kept");
    world.key(KeyModifiers::ALT, KeyCode::Char('m'));
    assert_eq!(world.effects.last(), Some(&Effect::CaptureMouse(true)));
    assert!(world.screen().contains("Shift-drag"));
    world.send(Event::Edited(Ok("from\toutside\n\n".to_owned())));
    assert_eq!(world.state.input.text(), "from    outside");
    world.send(Event::Edited(Err("no editor is set".to_owned())));
    assert!(world.screen().contains("no editor is set"));
    assert_eq!(world.state.input.text(), "from    outside");
    world.key(KeyModifiers::CONTROL, KeyCode::Char('c'));
    assert_eq!((world.state.input.text(), world.state.draft()), ("", "from    outside"), "the next one might quit");
    world.key(KeyModifiers::NONE, KeyCode::Char('x'));
    assert_eq!(world.state.draft(), "x", "it did not");
}
