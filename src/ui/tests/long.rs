//! A long conversation: what a change of the width leaves where it is.

use ratatui::{
    crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind},
    layout::Rect,
    style::Modifier,
};

use super::*;
use crate::{
    app::{ChatScroll, Focus},
    ui::touch::Zone,
};

/// More text than one frame counts, with lines that are broken otherwise in another width.
fn conversation(columns: u16, rows: u16) -> World {
    let mut world = World::ready(columns, rows);
    for n in 0..50 {
        let turn = world.ask(&format!("What is part {n}?"));
        world.send(retrieved(turn, &[]));
        let paragraph = format!("Sentence of part {n} that is long enough to be broken into several rows. ").repeat(9);
        world.send(delta(turn, &format!("{paragraph}\n\n- one\n- two of {n}\n\n{paragraph}\n\nEnd of {n}.")));
        world.send(finished(turn, FinishReason::Stop));
    }
    world.state.focus = Focus::Chat;
    world
}

impl World {
    fn resize(&mut self, columns: u16, rows: u16) {
        self.terminal.backend_mut().resize(columns, rows);
    }

    fn inner(&self) -> Rect {
        self.cache.measured.place(Zone::Chat).unwrap().inner
    }

    /// The conversation's rows that are in view.
    fn chat(&mut self) -> Vec<String> {
        let buffer = self.draw().clone();
        let inner = self.inner();
        let row = |y| (inner.left()..inner.right()).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (inner.top()..inner.bottom()).map(|y| row(y).trim_end().to_owned()).collect()
    }
}

/// The same with all rows counted anew.
fn fresh(world: &World, columns: u16, rows: u16) -> World {
    let mut fresh = conversation(columns, rows);
    fresh.state.chat_scroll = world.state.chat_scroll;
    fresh
}

#[test]
fn another_width_shows_the_same_place_and_scrolls_from_there() {
    let keys = [KeyCode::PageUp, KeyCode::PageUp, KeyCode::PageDown, KeyCode::Up, KeyCode::PageUp];
    for scroll in [ChatScroll::End, ChatScroll::At { turn: 30, row: 5 }, ChatScroll::At { turn: 0, row: 0 }] {
        let mut world = conversation(120, 30);
        world.state.chat_scroll = scroll;
        world.draw();
        world.resize(71, 24);
        let mut fresh = fresh(&world, 71, 24);
        assert_eq!(world.chat(), fresh.chat(), "{scroll:?}");
        assert_ne!(world.cache.chat_rows(), fresh.cache.chat_rows(), "all were counted in one frame");
        for key in keys {
            for world in [&mut world, &mut fresh] {
                world.key(KeyModifiers::NONE, key);
            }
            assert_eq!(world.chat(), fresh.chat(), "{scroll:?}, {key:?}");
        }
        assert!(!world.screen().contains("new text"));
        for _ in 0..10 {
            world.draw();
        }
        assert_eq!(world.cache.chat_rows(), fresh.cache.chat_rows());
        assert_eq!(world.screen(), fresh.screen());
    }
}

#[test]
fn a_selection_stays_on_its_text_while_rows_above_are_counted() {
    let mut world = conversation(120, 30);
    world.state.chat_scroll = ChatScroll::At { turn: 30, row: 5 };
    world.draw();
    world.resize(71, 24);
    let rows = world.chat();
    let before = world.cache.chat_rows();
    let inner = world.inner();
    let at = |kind, row| {
        let event = MouseEvent { kind, column: inner.left(), row: inner.top() + row, modifiers: KeyModifiers::NONE };
        Input::Mouse(event)
    };
    world.input(at(MouseEventKind::Down(MouseButton::Left), 1));
    for _ in 0..10 {
        world.draw();
    }
    assert_ne!(world.cache.chat_rows(), before, "nothing was counted meanwhile");
    world.input(at(MouseEventKind::Drag(MouseButton::Left), 3));
    world.input(at(MouseEventKind::Up(MouseButton::Left), 3));
    let Some(Effect::Copy { text, .. }) = world.effects.last() else { panic!("{:?}", world.effects.last()) };
    let shown = rows[1..=3].join(" ");
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (shown, text) = (squeezed(&shown), squeezed(text));
    assert!(shown.starts_with(&text) && text.len() > shown.len() / 2, "{text:?} of {shown:?}");
}

/// What the search's own row says.
fn told(world: &mut World) -> String {
    let screen = text(world.draw());
    screen.lines().find(|line| line.starts_with(" /")).unwrap().to_owned()
}

#[test]
fn a_search_knows_every_row_at_once() {
    let mut world = conversation(120, 30);
    world.draw();
    world.key(KeyModifiers::NONE, KeyCode::Char('/'));
    world.send(Event::Action(Action::Insert("two of 3".to_owned())));
    world.draw();
    world.resize(71, 24);
    let mut fresh = fresh(&world, 71, 24);
    fresh.key(KeyModifiers::NONE, KeyCode::Char('/'));
    fresh.send(Event::Action(Action::Insert("two of 3".to_owned())));
    assert_eq!(world.screen(), fresh.screen());
}

#[test]
fn a_search_does_not_depend_on_where_lines_break_or_how_it_was_written() {
    let phrase = "long enough to be broken into several";
    for columns in [120, 71, 44] {
        let mut world = conversation(columns, 30);
        let turn = world.ask("Will it break?");
        world.send(retrieved(turn, &[]));
        world.send(Event::TurnFailed { turn, message: "the parrot is unwell".to_owned() });
        for n in 0..9 {
            let turn = world.ask(&format!("And then {n}?"));
            world.send(retrieved(turn, &[]));
            world.send(delta(turn, &"More of it.\n\n".repeat(30)));
            world.send(finished(turn, FinishReason::Stop));
        }
        world.draw();
        world.state.focus = Focus::Chat;
        for (sought, expected) in
            [(phrase, "in 900 lines"), ("parrot is un", "in 1 line"), ("rows. Sent", "in 800 lines")]
        {
            world.key(KeyModifiers::NONE, KeyCode::Char('/'));
            world.draw();
            for c in sought.chars() {
                world.key(KeyModifiers::NONE, KeyCode::Char(c));
                world.draw();
            }
            assert!(told(&mut world).contains(expected), "{columns}: {}", told(&mut world));
            // As far as it is written, and one letter more that is nowhere.
            world.key(KeyModifiers::NONE, KeyCode::Char('ß'));
            assert!(told(&mut world).contains("in no line"), "{}", told(&mut world));
            world.key(KeyModifiers::NONE, KeyCode::Backspace);
            assert!(told(&mut world).contains(expected), "{columns}: {}", told(&mut world));
            world.key(KeyModifiers::NONE, KeyCode::Esc);
        }
    }
}

#[test]
fn a_phrase_is_marked_over_the_end_of_its_row() {
    let mut world = conversation(120, 30);
    world.key(KeyModifiers::NONE, KeyCode::Char('/'));
    world.send(Event::Action(Action::Insert("broken into several rows. Sentence".to_owned())));
    let buffer = world.draw().clone();
    let inner = world.inner();
    let marked: Vec<String> = (inner.top()..inner.bottom())
        .map(|y| {
            let cells = (inner.left()..inner.right()).map(|x| &buffer[(x, y)]);
            let marked = cells.filter(|cell| cell.modifier.intersects(Modifier::REVERSED | Modifier::UNDERLINED));
            marked.map(|cell| cell.symbol()).collect::<String>()
        })
        .filter(|text| !text.is_empty())
        .collect();
    let text = marked.join(" ").replace("  ", " ");
    assert!(text.contains("broken into several rows. Sentence") || text.contains("rows.Sentence"), "{marked:?}");
    assert!(
        marked.iter().any(|row| row.ends_with("several") || row.ends_with("into") || row.ends_with("rows.")),
        "{marked:?}"
    );
}
