use nucleo_matcher::{
    Config, Matcher, Utf32Str,
    pattern::{AtomKind, CaseMatching, Normalization, Pattern},
};

use super::{Action, COMMANDS, Command, Does, Editor, Place, State};
use crate::domain::{Mode, ThemeName};

/// Stands for no model among their names.
pub(super) const NO_MODEL: &str = "none";

/// What has been written of a command.
#[derive(Debug, Default)]
pub struct Palette {
    pub line: Editor,
    /// Place of the selected choice, from 0.
    pub selected: usize,
    /// It was opened by a slash: taking that back closes it.
    pub slash: bool,
    /// The server was asked which models it has.
    pub(super) asks_models: bool,
}

impl Palette {
    /// What was written behind a slash can't be the beginning of a command.
    pub(super) fn is_question(&self) -> bool {
        let text = self.line.text();
        let name = text.split_whitespace().next().unwrap_or_default();
        let takes_more = |command: &Command| matches!(command.does, Does::Take { .. });
        match Command::find(name) {
            None => text.contains(['/', ' ']),
            Some(command) => !takes_more(command) && text.trim() != name,
        }
    }
}

/// What can be done in the palette.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaletteAction {
    /// Opens it, or closes it where it is open.
    Open {
        slash: bool,
    },
    /// Opens it for the word that a command needs.
    Ask(&'static str),
    Select(usize),
    /// Does what is selected, or asks for what that still needs.
    Run,
    /// Writes the selected one's name out.
    Complete,
}

/// What a question is asked with from now on.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    K(usize),
    Mode(Mode),
    /// How many of the best candidates are ordered anew by their sentences; 0: none.
    Rerank(usize),
    /// Share of the dense retriever in min-max fusion, 0 to 1.
    DenseWeight(f32),
    Collection(String),
    /// Another model of the configured server; `None`: no model.
    Model(Option<String>),
}

/// A row of the palette.
#[derive(Debug)]
pub struct Choice {
    /// As it is written behind a slash.
    pub words: String,
    pub what: &'static str,
    pub command: &'static Command,
    /// What choosing it does; `None` while a word is missing, an error where the word makes no sense.
    pub result: Option<Result<Action, String>>,
}

impl State {
    /// What the palette offers now, the best first.
    pub fn choices(&self) -> Vec<Choice> {
        let Some(palette) = &self.palette else { return Vec::new() };
        let written = palette.line.text().trim_start();
        let written = written.strip_prefix('/').unwrap_or(written);
        if let Some((name, word)) = written.split_once(' ')
            && let Some(command) = Command::find(name)
            && let Does::Take { parse, .. } = command.does
        {
            return self.words(command, parse, word.trim());
        }
        let here = self.place_below();
        let mut found: Vec<(u32, Choice)> = Vec::new();
        let mut fuzzy = Fuzzy::new(written.trim_end(), AtomKind::Fuzzy);
        let mut told = Fuzzy::new(written.trim_end(), AtomKind::Substring);
        for command in COMMANDS.iter().filter(|command| command.is_offered(here)) {
            let score = if palette.slash {
                begins(command.name, written.trim_end())
            } else {
                // What it is called counts for more than what is told about it, where strewn letters mean nothing.
                fuzzy.score(command.name).map(|score| 4 * score).or_else(|| told.score(command.what))
            };
            if let Some(score) = score {
                let result = match &command.does {
                    Does::Act(action) => Some(Ok(action.clone())),
                    Does::Move(_) | Does::Take { .. } => None,
                };
                let choice = Choice { words: command.name.to_owned(), what: command.what, command, result };
                found.push((score, choice));
            }
        }
        found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        found.into_iter().map(|(_, choice)| choice).collect()
    }

    /// What the selected choice does, where it needs nothing more.
    pub fn chosen(&self) -> Option<Action> {
        let at = self.palette.as_ref()?.selected;
        self.choices().into_iter().nth(at)?.result?.ok()
    }

    /// The words that a command could take, and the one that was written.
    fn words(
        &self,
        command: &'static Command,
        parse: fn(&str) -> Result<Action, String>,
        written: &str,
    ) -> Vec<Choice> {
        let known: Vec<String> = match command.name {
            "mode" => Mode::ALL.iter().map(|mode| mode.name().to_owned()).collect(),
            "theme" => ThemeName::ALL.iter().map(|theme| theme.name().to_owned()).collect(),
            "collection" => self.collections.entries.iter().flatten().map(|entry| entry.name().to_owned()).collect(),
            "model" => self.chat_models.iter().cloned().chain([NO_MODEL.to_owned()]).collect(),
            _ => Vec::new(),
        };
        let choice = |word: &str, what| Choice {
            words: format!("{} {word}", command.name),
            what,
            command,
            result: Some(parse(word)),
        };
        let mut fuzzy = Fuzzy::new(written, AtomKind::Fuzzy);
        let mut choices: Vec<Choice> =
            known.iter().filter(|word| fuzzy.score(word).is_some()).map(|word| choice(word, "")).collect();
        if let Some(exact) = known.iter().position(|word| word == written) {
            // What was written to the letter is meant, however many others hold it.
            choices.retain(|choice| choice.words != format!("{} {}", command.name, known[exact]));
            choices.insert(0, choice(written, ""));
        } else if !written.is_empty() && choices.is_empty() {
            choices.push(choice(written, command.what));
        }
        choices
    }

    /// The command that a question beginning with a slash is, if it is one: a slash and one word at least, on one line.
    ///
    /// # Errors
    /// When there is no such command, or none here; the text says what to do.
    pub(super) fn slashed(&self, question: &str) -> Option<Result<Action, String>> {
        let written = question.strip_prefix('/').filter(|written| !written.contains('\n'))?;
        let (name, word) = written.split_once(char::is_whitespace).unwrap_or((written, ""));
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        is_name.then(|| self.named(name, word.trim()))
    }

    fn named(&self, name: &str, word: &str) -> Result<Action, String> {
        let known = Command::find(name).filter(|command| command.is_listed());
        let Some(command) = known else {
            return Err(format!(
                "there is no command /{name}; ‹commands› lists them, a space before the slash asks it"
            ));
        };
        match &command.does {
            Does::Act(_) if !command.is_offered(Place::Question) => {
                Err(format!("/{name} does nothing here; ‹commands› lists what does"))
            }
            Does::Act(_) if !word.is_empty() => {
                Err(format!("/{name} takes nothing more; a space before the slash asks it"))
            }
            Does::Act(action) => Ok(action.clone()),
            Does::Take { parse, .. } => parse(word),
            Does::Move(_) => Err(format!("/{name} does nothing here")),
        }
    }
}

/// Behind a slash a name is written: its beginning counts, or that of a later word in it. Letters strewn over it don't,
/// or a slip of a finger would do something else.
fn begins(name: &str, written: &str) -> Option<u32> {
    if name.starts_with(written) {
        return Some(if name == written { 3 } else { 2 });
    }
    name.match_indices('-').any(|(at, _)| name[at + 1..].starts_with(written)).then_some(1)
}

/// Finds what holds the letters of a query in their order, or each of its words.
struct Fuzzy {
    pattern: Pattern,
    matcher: Matcher,
    buffer: Vec<char>,
}

impl Fuzzy {
    fn new(query: &str, kind: AtomKind) -> Self {
        let pattern = Pattern::new(query, CaseMatching::Smart, Normalization::Smart, kind);
        Self { pattern, matcher: Matcher::new(Config::DEFAULT), buffer: Vec::new() }
    }

    /// How well it fits, more being better; `None` where it does not.
    fn score(&mut self, text: &str) -> Option<u32> {
        self.pattern.score(Utf32Str::new(text, &mut self.buffer), &mut self.matcher)
    }
}
