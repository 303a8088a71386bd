use crate::{
    app::{Choice, Command, Does, Effect, Palette, PaletteAction, Setting, State, Store},
    domain::Fusion,
    text::one_line,
};

impl State {
    pub(super) fn act_on_palette(&mut self, action: PaletteAction) -> Vec<Effect> {
        match action {
            PaletteAction::Open { slash } => {
                self.help = false;
                self.palette = match self.palette {
                    Some(_) => None,
                    None => Some(Palette { slash, ..Palette::default() }),
                };
                // Their names can be chosen from.
                if self.palette.is_some() && matches!(self.store, Store::Open { .. }) {
                    return self.list_collections();
                }
            }
            PaletteAction::Ask(name) => {
                self.help = false;
                self.palette = Some(Palette::default());
                self.write_command(Some(format!("{name} ")));
                let mut effects = self.list_collections();
                effects.extend(self.list_words());
                return effects;
            }
            PaletteAction::Select(at) => {
                if let Some(palette) = &mut self.palette {
                    palette.selected = at;
                }
            }
            PaletteAction::Run => return self.run_choice(),
            PaletteAction::Complete => {
                let words = self.choice().map(|choice| match (&choice.command.does, choice.result) {
                    (Does::Take { .. }, None) => format!("{} ", choice.words),
                    _ => choice.words,
                });
                self.write_command(words);
                return self.list_words();
            }
        }
        Vec::new()
    }

    fn choice(&self) -> Option<Choice> {
        let at = self.palette.as_ref()?.selected;
        let mut choices = self.choices();
        (at < choices.len()).then(|| choices.swap_remove(at))
    }

    fn write_command(&mut self, words: Option<String>) {
        if let (Some(palette), Some(words)) = (&mut self.palette, words) {
            palette.line.set(&words);
            palette.selected = 0;
        }
    }

    /// Asks for the words that the command being written could take, where they are not known yet.
    pub(super) fn list_words(&mut self) -> Vec<Effect> {
        match &mut self.palette {
            Some(palette) if !palette.asks_models && palette.line.text().starts_with("model ") => {
                palette.asks_models = true;
                vec![Effect::ListModels]
            }
            Some(_) | None => Vec::new(),
        }
    }

    fn run_choice(&mut self) -> Vec<Effect> {
        let Some(choice) = self.choice() else {
            let written = self.palette.as_ref().map_or("", |palette| palette.line.text()).trim();
            let name = written.trim_start_matches('/');
            let begins = |name| Command::find(name).filter(|command| command.is_listed());
            let why = match (begins(name), name.split_once(char::is_whitespace)) {
                (Some(_), _) => format!("/{name} does nothing here"),
                (None, Some((first, _))) if begins(first).is_some() => format!("/{first} takes nothing more"),
                (None, _) => format!("there is no command like {:?}", one_line(written)),
            };
            self.notice = Some(format!("{why}; ‹escape› closes the list"));
            return Vec::new();
        };
        match choice.result {
            None => {
                self.write_command(Some(format!("{} ", choice.words)));
                self.list_words()
            }
            Some(Err(why)) => {
                self.notice = Some(why);
                Vec::new()
            }
            Some(Ok(action)) => {
                self.palette = None;
                self.act(action)
            }
        }
    }

    pub(super) fn set(&mut self, setting: Setting) -> Vec<Effect> {
        let now = match setting {
            Setting::K(k) => {
                self.settings.k = k;
                format!("a question gets {k} passages")
            }
            Setting::Mode(mode) => {
                self.settings.mode = mode;
                format!("questions are searched in {mode} mode")
            }
            Setting::Rerank(rerank) => {
                self.settings.rerank = rerank;
                match rerank {
                    0 => "the order of the search stays".to_owned(),
                    n => format!("the best {n} are ordered by the sentence of each that is likest the question"),
                }
            }
            Setting::DenseWeight(dense_weight) => {
                self.settings.fusion = Fusion::MinMax { dense_weight };
                format!("vectors weigh {dense_weight}, keywords {:.2}", 1.0 - dense_weight)
            }
            Setting::Model(name) => return vec![Effect::UseModel(name)],
            Setting::Collection(name) => return self.use_named(name),
        };
        self.report(format!("{now} from now on"));
        Vec::new()
    }
}
