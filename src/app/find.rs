use super::{ChatScroll, Editor, Focus, State};

/// A text that is looked for in the conversation.
#[derive(Clone, Debug, Default)]
pub struct Find {
    pub line: Editor,
    /// The row of the conversation that was found and is shown; `None` while the text is written: the nearest one is shown.
    pub shown: Option<usize>,
    /// Where the keys went before, and go again.
    pub(super) from: Focus,
}

/// What can be done while looking for a text in the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindAction {
    Open,
    /// To the next or the previous row that holds it; which one that is, the rows tell: it becomes [`FindAction::Show`].
    Next,
    Previous,
    /// Shows the conversation from here on, so that this row is in view.
    Show {
        scroll: ChatScroll,
        row: usize,
    },
}

impl State {
    pub(super) fn act_on_find(&mut self, action: FindAction) {
        // It may have been chosen there.
        self.palette = None;
        match action {
            FindAction::Open => {
                self.find = Some(Find { from: self.focus, ..Find::default() });
                self.focus = Focus::Chat;
            }
            FindAction::Next | FindAction::Previous => {}
            FindAction::Show { scroll, row } => {
                self.chat_scroll = scroll;
                let (last, from) = (&self.last_found, self.focus);
                self.find.get_or_insert_with(|| {
                    let mut find = Find { from, ..Find::default() };
                    find.line.set(last);
                    find
                });
                self.focus = Focus::Chat;
                if let Some(find) = &mut self.find {
                    find.shown = Some(row);
                }
            }
        }
    }

    /// Closes it and remembers the text.
    pub(super) fn close_find(&mut self) {
        let Some(find) = self.find.take() else { return };
        if self.focus == Focus::Chat {
            self.focus = find.from;
        }
        if !find.line.is_empty() {
            find.line.text().clone_into(&mut self.last_found);
        }
    }

    /// The text that is looked for now, or was last.
    pub fn sought(&self) -> &str {
        self.find.as_ref().map_or(&self.last_found, |find| find.line.text())
    }
}
