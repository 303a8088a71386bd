//! The keys that tests press, by what they are for: the one place to change when a key is given another meaning.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

pub const ASK: &str = "Enter";
pub const STEP_BACK: &str = "Esc";
pub const QUIT_OR_CLEAR: &str = "Ctrl-C";
pub const NEXT_PANE: &str = "Tab";
pub const HELP: &str = "F1";
pub const INGEST: &str = "Ctrl-T";
pub const COLLECTIONS: &str = "Ctrl-O";
pub const EVIDENCE: &str = "Ctrl-E";
pub const REINDEX: &str = "Ctrl-R";
pub const REDRAW: &str = "Ctrl-L";
pub const SUSPEND: &str = "Ctrl-Z";
/// In the evidence view.
pub const MORE_PASSAGES: &str = "+";
pub const NEXT_MODE: &str = "m";
pub const ELSEWHERE: &str = "c";
pub const ANSWER_AGAIN: &str = "a";
/// In the collections view.
pub const NEW: &str = "n";
pub const ROWS: &str = "b";
pub const DROP: &str = "d";

/// What a key's name stands for: `a`, `Enter`, `Ctrl-C`, `Alt-Enter`, `F2`.
pub fn event(name: &str) -> KeyEvent {
    let (mut modifiers, mut rest) = (KeyModifiers::NONE, name);
    while let Some((modifier, key)) = rest.split_once('-').filter(|(_, key)| !key.is_empty()) {
        modifiers |= match modifier {
            "Ctrl" => KeyModifiers::CONTROL,
            "Alt" => KeyModifiers::ALT,
            "Shift" => KeyModifiers::SHIFT,
            other => panic!("no modifier {other:?} in {name:?}"),
        };
        rest = key;
    }
    let one = |text: &str| text.chars().next().filter(|c| c.len_utf8() == text.len());
    let code = match rest {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" if modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
        "Tab" => KeyCode::Tab,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "PgUp" => KeyCode::PageUp,
        "PgDn" => KeyCode::PageDown,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "Backspace" => KeyCode::Backspace,
        "Delete" => KeyCode::Delete,
        "Space" => KeyCode::Char(' '),
        key => match (one(key), key.strip_prefix('F').and_then(|n| n.parse().ok())) {
            // As terminals send it: Ctrl and Alt with a letter come as the small one.
            (Some(c), _) => KeyCode::Char(if modifiers.is_empty() { c } else { c.to_ascii_lowercase() }),
            (None, Some(n)) => KeyCode::F(n),
            (None, None) => panic!("no key {name:?}"),
        },
    };
    KeyEvent::new(code, modifiers)
}

/// What a terminal sends when that key is pressed.
pub fn bytes(name: &str) -> String {
    let key = event(name);
    let plain = match key.code {
        KeyCode::Enter => "\r".to_owned(),
        KeyCode::Esc => "\x1b".to_owned(),
        KeyCode::Tab => "\t".to_owned(),
        KeyCode::BackTab => "\x1b[Z".to_owned(),
        KeyCode::Up => "\x1b[A".to_owned(),
        KeyCode::Down => "\x1b[B".to_owned(),
        KeyCode::PageUp => "\x1b[5~".to_owned(),
        KeyCode::PageDown => "\x1b[6~".to_owned(),
        KeyCode::F(n @ 1..=4) => format!("\x1bO{}", char::from(b'O' + n)),
        KeyCode::Char(c) if key.modifiers.contains(KeyModifiers::CONTROL) => char::from(c as u8 & 0x1f).to_string(),
        KeyCode::Char(c) => c.to_string(),
        _ => panic!("nobody has needed the bytes of {name:?} yet"),
    };
    if key.modifiers.contains(KeyModifiers::ALT) { format!("\x1b{plain}") } else { plain }
}
