use std::fmt;

use ratatui::crossterm::event::{
    KeyCode::{self, BackTab, Char},
    KeyEvent, KeyModifiers,
};

use super::defaults::DEFAULTS;
use crate::app::{COMMANDS, Command, Place, Places};

/// A key with what is held down beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chord {
    modifiers: KeyModifiers,
    code: KeyCode,
}

/// Names of the keys that are not a character.
const NAMED: [(&str, KeyCode, &str); 14] = [
    ("enter", KeyCode::Enter, "Enter"),
    ("esc", KeyCode::Esc, "Esc"),
    ("tab", KeyCode::Tab, "Tab"),
    ("backspace", KeyCode::Backspace, "Backspace"),
    ("delete", KeyCode::Delete, "Delete"),
    ("insert", KeyCode::Insert, "Insert"),
    ("up", KeyCode::Up, "↑"),
    ("down", KeyCode::Down, "↓"),
    ("left", KeyCode::Left, "←"),
    ("right", KeyCode::Right, "→"),
    ("home", KeyCode::Home, "Home"),
    ("end", KeyCode::End, "End"),
    ("pgup", KeyCode::PageUp, "PgUp"),
    ("pgdn", KeyCode::PageDown, "PgDn"),
];

impl Chord {
    /// Reads a key as the configuration writes it: `ctrl-p`, `alt-enter`, `shift-tab`, `f1`, `space`, `?`, `R`.
    ///
    /// # Errors
    /// When there is no such key; the text says how they are written.
    pub fn parse(written: &str) -> Result<Self, String> {
        let mut modifiers = KeyModifiers::NONE;
        let mut rest = written.trim();
        while let Some((name, key)) = rest.split_once('-').filter(|(_, key)| !key.is_empty()) {
            modifiers |= match name.to_ascii_lowercase().as_str() {
                "ctrl" => KeyModifiers::CONTROL,
                "alt" => KeyModifiers::ALT,
                "shift" => KeyModifiers::SHIFT,
                _ => break,
            };
            rest = key;
        }
        let lower = rest.to_ascii_lowercase();
        let code = if let Some((_, code, _)) = NAMED.iter().find(|(name, ..)| *name == lower) {
            *code
        } else if lower == "space" {
            Char(' ')
        } else if let Some(number) =
            lower.strip_prefix('f').and_then(|n| n.parse().ok()).filter(|n| (1..=24).contains(n))
        {
            KeyCode::F(number)
        } else {
            let mut characters = rest.chars();
            match (characters.next(), characters.next()) {
                (Some(c), None) if !c.is_control() => Char(c),
                _ => {
                    return Err(format!(
                        "no such key: {written:?}; keys are written like \"ctrl-p\", \"alt-enter\", \"shift-tab\", \"f5\", \"space\" or \"?\""
                    ));
                }
            }
        };
        Ok(Self::of(KeyEvent::new(code, modifiers)))
    }

    /// The chord of a key press. A symbol says by itself whether Shift was held, except beside Ctrl or Alt.
    pub fn of(key: KeyEvent) -> Self {
        let held = key.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
        let (modifiers, code) = match key.code {
            BackTab => (held | KeyModifiers::SHIFT, KeyCode::Tab),
            // What most terminals send for these is the other key; they can't be told apart.
            Char('[') if held == KeyModifiers::CONTROL => (KeyModifiers::NONE, KeyCode::Esc),
            Char('i' | 'I') if held == KeyModifiers::CONTROL => (KeyModifiers::NONE, KeyCode::Tab),
            Char('m' | 'M') if held == KeyModifiers::CONTROL => (KeyModifiers::NONE, KeyCode::Enter),
            Char(c) if held == KeyModifiers::SHIFT => (KeyModifiers::NONE, Char(c.to_ascii_uppercase())),
            Char(c) if held.is_empty() => (KeyModifiers::NONE, Char(c)),
            Char(c) => (held, Char(c.to_ascii_lowercase())),
            code => (held, code),
        };
        Self { modifiers, code }
    }

    /// As the configuration writes it: what [`Chord::parse`] reads.
    pub fn written(self) -> String {
        let modifiers =
            [(KeyModifiers::CONTROL, "ctrl-"), (KeyModifiers::ALT, "alt-"), (KeyModifiers::SHIFT, "shift-")];
        let held = modifiers.iter().filter(|(modifier, _)| self.modifiers.contains(*modifier)).map(|(_, name)| *name);
        let key = match self.code {
            Char(' ') => "space".to_owned(),
            Char(c) => c.to_string(),
            KeyCode::F(number) => format!("f{number}"),
            code => NAMED.iter().find(|(_, named, _)| *named == code).map_or("?", |(name, ..)| name).to_owned(),
        };
        held.collect::<String>() + &key
    }

    /// The character that the key types, if nothing is bound to it.
    pub fn types(self) -> Option<char> {
        match self.code {
            Char(c) if self.modifiers.is_empty() => Some(c),
            _ => None,
        }
    }

    /// Where it can't be bound: characters are typed where text is written. A question may begin with any letter or
    /// digit, so only the marks can mean something else there.
    fn typed(self) -> Places {
        match self.types() {
            None => Places::of(&[]),
            Some(c) if c.is_ascii_punctuation() => Places::TYPING.but(Places::of(&[Place::EmptyQuestion])),
            Some(_) => Places::TYPING,
        }
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (modifier, name) in
            [(KeyModifiers::CONTROL, "Ctrl-"), (KeyModifiers::ALT, "Alt-"), (KeyModifiers::SHIFT, "Shift-")]
        {
            if self.modifiers.contains(modifier) {
                f.write_str(name)?;
            }
        }
        match self.code {
            Char(' ') => f.write_str("Space"),
            Char(c) if self.modifiers.is_empty() => write!(f, "{c}"),
            Char(c) => write!(f, "{}", c.to_ascii_uppercase()),
            KeyCode::F(number) => write!(f, "F{number}"),
            code => {
                let named = NAMED.iter().find(|(_, named, _)| *named == code);
                f.write_str(named.map_or("?", |(.., name)| name))
            }
        }
    }
}

/// Commands without which a place could not be left.
const NEEDED: [&str; 2] = ["escape", "interrupt"];

/// Which keys each command has: the usual ones, and what the person wants otherwise.
#[derive(Clone, Debug)]
pub struct Keymap {
    /// In the order of [`COMMANDS`].
    chords: Vec<Vec<Chord>>,
}

/// Why keys can't be as they are configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct KeyError {
    /// The command whose keys are at fault.
    pub command: String,
    pub message: String,
}

impl Default for Keymap {
    fn default() -> Self {
        let keys_of = |command: &Command| DEFAULTS.iter().find(|(name, _)| *name == command.name);
        let chords = COMMANDS.iter().map(|command| {
            let keys = keys_of(command).map_or(&[][..], |(_, keys)| keys);
            keys.iter().filter_map(|key| Chord::parse(key).ok()).collect()
        });
        Self { chords: chords.collect() }
    }
}

impl Keymap {
    /// The usual keys, but for these commands, by name, the given ones in place of theirs.
    ///
    /// # Errors
    /// When there is no such command or key, when a key could never be pressed there, or when another command that works
    /// in the same places has it.
    pub fn new<'a>(wanted: impl IntoIterator<Item = (&'a str, &'a [String])>) -> Result<Self, KeyError> {
        let mut map = Self::default();
        let mut changed = Vec::new();
        for (name, keys) in wanted {
            let error = |message| KeyError { command: name.to_owned(), message };
            let at = COMMANDS.iter().position(|command| command.name == name);
            let at = at.ok_or_else(|| error(unknown(name)))?;
            let chords: Result<Vec<_>, _> = keys.iter().map(|key| Chord::parse(key)).collect();
            map.chords[at] = chords.map_err(error)?;
            for chord in &map.chords[at] {
                if !COMMANDS[at].places.but(chord.typed()).meets(Places::ALL) {
                    return Err(error(format!("{chord} is typed where {name} works; add ctrl or alt to it")));
                }
            }
            changed.push(at);
        }
        for (command, chords) in COMMANDS.iter().zip(&map.chords) {
            // Where none of its keys works because all of them are typed.
            let without = chords.iter().fold(Places::ALL, |places, chord| places.and_in(chord.typed()));
            if NEEDED.contains(&command.name) && without.meets(Places::ALL) {
                let message = format!(
                    "{0} needs a key that works everywhere, also where text is written; hint: add one like \"{1}\"",
                    command.name,
                    DEFAULTS.iter().find(|(name, _)| *name == command.name).map_or("f12", |(_, keys)| keys[0]),
                );
                return Err(KeyError { command: command.name.to_owned(), message });
            }
        }
        for at in changed {
            if let Some((chord, other)) = map.conflict(at) {
                let name = COMMANDS[at].name;
                let message = format!(
                    "{chord} would do two things at once: {name}, and {}; hint: give {} another key here too, or [] for none",
                    other.name, other.name
                );
                return Err(KeyError { command: name.to_owned(), message });
            }
        }
        Ok(map)
    }

    /// The first key of a command that another one has in the same places.
    fn conflict(&self, at: usize) -> Option<(Chord, &'static Command)> {
        let others = || COMMANDS.iter().zip(&self.chords).enumerate().filter(|(other, _)| *other != at);
        self.chords[at].iter().find_map(|chord| {
            let places = COMMANDS[at].places.but(chord.typed());
            let other = others().find(|(_, (other, chords))| chords.contains(chord) && other.places.meets(places));
            other.map(|(_, (other, _))| (*chord, other))
        })
    }

    /// What a chord does in a place.
    pub fn command(&self, place: Place, chord: Chord) -> Option<&'static Command> {
        let works = |command: &Command| command.places.but(chord.typed()).contains(place);
        COMMANDS
            .iter()
            .zip(&self.chords)
            .find(|(command, chords)| works(command) && chords.contains(&chord))
            .map(|at| at.0)
    }

    /// The keys of a command, wherever each of them works.
    pub fn all_keys(&self, command: &Command) -> &[Chord] {
        let at = COMMANDS.iter().position(|other| std::ptr::eq(other, command));
        at.map_or(&[], |at| &self.chords[at])
    }

    /// The keys of a command that work in a place.
    pub fn keys(&self, command: &Command, place: Place) -> Vec<Chord> {
        self.all_keys(command).iter().copied().filter(|chord| !chord.typed().contains(place)).collect()
    }
}

fn unknown(name: &str) -> String {
    let likeness = |command: &&Command| strsim::jaro_winkler(name, command.name);
    let near = COMMANDS.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b))).filter(|near| likeness(near) > 0.8);
    match near {
        Some(near) => format!("there is no command {name:?}; did you mean {:?}?", near.name),
        None => format!("there is no command {name:?}; `askdocs config keys` names them all"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, keys: &[&str]) -> Result<Keymap, String> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        Keymap::new([(name, keys.as_slice())]).map_err(|error| error.message)
    }

    #[test]
    fn the_usual_keys_are_keys_of_commands_and_none_does_two_things() {
        let map = Keymap::default();
        for (name, keys) in DEFAULTS {
            assert!(Command::find(name).is_some(), "{name}");
            for key in *keys {
                let chord = Chord::parse(key).unwrap();
                assert_eq!(Chord::parse(&chord.written()), Ok(chord), "{key}");
            }
        }
        for (at, command) in COMMANDS.iter().enumerate() {
            assert_eq!(
                map.conflict(at).map(|(chord, other)| (chord.to_string(), other.name)),
                None,
                "{}",
                command.name
            );
        }
    }

    #[test]
    fn keys_are_told_as_they_are_written() {
        for (written, told) in [
            ("ctrl-p", "Ctrl-P"),
            ("Ctrl-Shift-R", "Ctrl-Shift-R"),
            ("shift-tab", "Shift-Tab"),
            ("alt-enter", "Alt-Enter"),
            ("R", "R"),
            ("-", "-"),
            ("ctrl--", "Ctrl--"),
            ("space", "Space"),
            ("F5", "F5"),
            ("shift-a", "A"),
            ("ctrl-[", "Esc"),
            ("ctrl-i", "Tab"),
            ("ctrl-m", "Enter"),
        ] {
            assert_eq!(Chord::parse(written).unwrap().to_string(), told);
        }
        for rubbish in ["", "ctrl-", "super-x", "f99", "xy", "\u{7}"] {
            assert!(Chord::parse(rubbish).is_err(), "{rubbish:?}");
        }
    }

    #[test]
    fn a_wanted_key_takes_the_place_of_the_usual_ones_and_conflicts_are_told() {
        let map = wanted("reindex", &["f9"]).unwrap();
        let pressed = |key: &str| map.command(Place::Chat, Chord::parse(key).unwrap()).map(|command| command.name);
        assert_eq!((pressed("f9"), pressed("ctrl-r")), (Some("reindex"), None));
        assert_eq!(
            wanted("reindex", &["ctrl-t"]).unwrap_err(),
            "Ctrl-T would do two things at once: reindex, and ingest; hint: give ingest another key here too, or [] for none"
        );
        assert_eq!(wanted("reindx", &[]).unwrap_err(), "there is no command \"reindx\"; did you mean \"reindex\"?");
        assert_eq!(wanted("word-left", &["w"]).unwrap_err(), "w is typed where word-left works; add ctrl or alt to it");
        assert!(wanted("sort", &["p"]).is_ok(), "the same key elsewhere is no conflict");
        for (name, keys) in [("escape", &[][..]), ("escape", &["q"]), ("interrupt", &[]), ("interrupt", &["!"])] {
            let refused = wanted(name, keys).unwrap_err();
            assert!(refused.starts_with(&format!("{name} needs a key that works everywhere")), "{refused}");
        }
        assert!(wanted("escape", &["q", "f12"]).is_ok());
        let both = [("reindex", vec!["ctrl-t".to_owned()]), ("ingest", Vec::new())];
        assert!(Keymap::new(both.iter().map(|(name, keys)| (*name, keys.as_slice()))).is_ok());
    }
}
