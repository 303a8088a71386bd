use super::*;
use crate::app::{ChatScroll, Focus};

#[test]
fn characters_are_typed_where_they_are_typed_and_commands_elsewhere() {
    let mut world = World::ready(120, 30);
    world.key(KeyModifiers::SHIFT, KeyCode::Char('?'));
    assert!(world.state.help, "nothing is typed yet");
    world.key(KeyModifiers::NONE, KeyCode::Esc);
    world.key(KeyModifiers::SHIFT, KeyCode::Char('W'));
    world.key(KeyModifiers::NONE, KeyCode::Char('j'));
    world.key(KeyModifiers::SHIFT, KeyCode::Char('?'));
    world.key(KeyModifiers::CONTROL, KeyCode::Char('j'));
    world.key(KeyModifiers::ALT, KeyCode::Enter);
    world.key(KeyModifiers::CONTROL | KeyModifiers::ALT, KeyCode::Char('@'));
    world.key(KeyModifiers::CONTROL, KeyCode::Char('x'));
    world.input(Input::Paste("pasted\r\nlines\r\n".to_owned()));
    assert_eq!(world.state.input.text(), "Wj?\n\n@pasted\nlines\n");
    assert!(world.state.turns.is_empty() && world.effects.is_empty() && !world.state.help);
    world.key(KeyModifiers::NONE, KeyCode::Enter);
    assert_eq!(world.state.turns[0].question, "Wj?\n\n@pasted\nlines");
    world.key(KeyModifiers::CONTROL, KeyCode::Char('d'));
    assert_eq!(world.effects.last(), Some(&Effect::Quit));
    let release = KeyEvent { kind: ratatui::crossterm::event::KeyEventKind::Release, ..KeyCode::Char('a').into() };
    world.input(Input::Key(release));
    assert!(world.state.input.is_empty());
}

#[test]
fn what_is_read_holds_still_while_the_answer_grows() {
    let mut world = World::ready(120, 30);
    let turn = world.ask("x");
    world.send(retrieved(turn, &[]));
    world.send(delta(turn, &"A line of the answer.\n\n".repeat(40)));
    let end = world.screen();
    world.key(KeyModifiers::NONE, KeyCode::PageUp);
    let before = world.screen();
    assert_ne!(before, end);
    world.send(delta(turn, &"More of it.\n\n".repeat(40)));
    let rows =
        |screen: &str| screen.lines().skip(2).map(|row| row.chars().take(60).collect::<String>()).collect::<Vec<_>>();
    assert_eq!(rows(&world.screen()), rows(&before));
    world.key(KeyModifiers::NONE, KeyCode::Tab);
    world.key(KeyModifiers::SHIFT, KeyCode::Char('G'));
    assert_eq!((world.state.focus, world.state.chat_scroll), (Focus::Chat, ChatScroll::End));
    assert!(world.screen().contains("More of it.▌"));
}
