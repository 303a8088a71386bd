use std::sync::Arc;

use super::ingest::UNDER_WAY;
use crate::{
    app::{
        Browsing, CollectionAction, Collections, Creating, Dropping, Editor, Effect, Entry, Focus, RequestId, State,
        Step, Store, View,
    },
    domain::{Chunk, CollectionInfo, SourceSpec},
    text::one_line,
};

impl State {
    /// The view is shown from now on: the list, with the collection in use selected. What was written of a new collection
    /// is still there.
    pub(super) fn enter_collections(&mut self) -> Vec<Effect> {
        if !matches!(self.collections.step, Step::Create(_)) {
            self.collections.step = Step::Choose;
        }
        self.collections.selected = self.collection_name().unwrap_or_default().to_owned();
        self.list_collections()
    }

    /// Reads the list anew; what was read before stays until then.
    pub(super) fn list_collections(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Store::Failed(_) = self.store {
            self.store = Store::Opening;
            effects.push(Effect::OpenStore);
        }
        let request = self.collections.request();
        self.collections.reading = Some(request);
        self.collections.error = None;
        effects.push(Effect::ListCollections { request });
        effects
    }

    pub(super) fn collections_listed(&mut self, request: RequestId, result: Result<Vec<Entry>, String>) -> Vec<Effect> {
        if self.collections.reading.take_if(|reading| *reading == request).is_none() {
            return Vec::new();
        }
        match result {
            Err(message) => {
                (self.collections.entries, self.collections.error) = (None, Some(message));
                self.collections.step = Step::Choose;
                Vec::new()
            }
            Ok(entries) => {
                if !entries.iter().any(|entry| entry.name() == self.collections.selected) {
                    self.collections.selected = self.collection_name().unwrap_or_default().to_owned();
                }
                self.collections.entries = Some(entries);
                self.take_counts();
                let mut effects = match self.collections.wanted.take() {
                    Some(name) => self.use_named(name),
                    None => self.ask_waiting(),
                };
                effects.extend(self.read_rows());
                effects
            }
        }
    }

    /// Takes over what the list says of the collection in use and of the one that is looked at.
    fn take_counts(&mut self) {
        if let Store::Open { name, collection, .. } = &mut self.store {
            let entries = self.collections.entries.as_deref().unwrap_or_default();
            match entries.iter().find(|entry| entry.name() == name) {
                Some(Entry::Readable(info)) => *collection = Some(Arc::clone(info)),
                Some(Entry::Unreadable { .. }) => {}
                None => *collection = None,
            }
        }
        let Collections { entries, step, .. } = &mut self.collections;
        if let Step::Browse(browsing) = step {
            let mut infos = entries.iter().flatten().filter_map(Entry::info);
            match infos.find(|info| info.name == browsing.collection) {
                Some(info) => browsing.refresh(info.passages),
                None => *step = Step::Choose,
            }
        }
    }

    pub(super) fn act_on_collections(&mut self, action: CollectionAction) -> Vec<Effect> {
        match action {
            CollectionAction::Select(at) => {
                let entries = self.collections.entries.as_deref().unwrap_or_default();
                if let Some(entry) = entries.get(at.min(entries.len().saturating_sub(1))) {
                    self.collections.selected = entry.name().to_owned();
                }
            }
            CollectionAction::Use => return self.use_selected(),
            CollectionAction::Browse => return self.browse_selected(),
            CollectionAction::SelectRow(at) => {
                if let Step::Browse(browsing) = &mut self.collections.step {
                    browsing.select(at);
                }
                return self.read_rows();
            }
            CollectionAction::SwitchPane => {
                if let Step::Browse(browsing) = &mut self.collections.step {
                    browsing.in_text = !browsing.in_text;
                }
            }
            CollectionAction::ReindexAll => return self.reindex(true),
            CollectionAction::Create => {
                if let Store::Open { .. } = self.store {
                    self.collections.step = Step::Create(Creating::default());
                }
            }
            CollectionAction::Drop => self.ask_to_drop(),
            CollectionAction::CompletePath => {
                let request = self.collections.request();
                if let Step::Create(creating) = &mut self.collections.step
                    && creating.source.is_none()
                {
                    creating.reading = Some(request);
                    return vec![Effect::CompletePath { request, path: creating.path.text().to_owned() }];
                }
            }
            CollectionAction::Confirm => return self.confirm(),
            CollectionAction::Reload => return self.list_collections(),
        }
        Vec::new()
    }

    fn use_selected(&mut self) -> Vec<Effect> {
        match self.collections.entry() {
            Some(Entry::Readable(info)) => {
                let info = Arc::clone(info);
                self.report(format!("questions go to {} from now on", one_line(&info.name)));
                self.use_collection(info.name.clone(), Some(info));
                (self.view, self.focus) = (View::Chat, Focus::Input);
                self.ask_waiting()
            }
            Some(Entry::Unreadable { .. }) | None => self.tell_unreadable(),
        }
    }

    /// Asks the collection of that name from now on, as soon as it is known whether there is one.
    pub(super) fn use_named(&mut self, name: String) -> Vec<Effect> {
        let Some(entries) = &self.collections.entries else {
            self.collections.wanted = Some(name);
            return self.list_collections();
        };
        if entries.iter().any(|entry| entry.name() == name) {
            self.collections.selected = name;
            return self.use_selected();
        }
        let names: Vec<String> = entries.iter().map(|entry| one_line(entry.name())).collect();
        let there = if names.is_empty() { "none yet".to_owned() } else { names.join(", ") };
        self.notice = Some(format!("there is no collection {}; there is {there}", one_line(&name)));
        Vec::new()
    }

    /// What was asked so far stays as it is.
    fn use_collection(&mut self, used: String, info: Option<Arc<CollectionInfo>>) {
        if let Store::Open { name, collection, .. } = &mut self.store {
            (*name, *collection) = (used, info);
        }
    }

    fn browse_selected(&mut self) -> Vec<Effect> {
        match self.collections.entry() {
            Some(Entry::Readable(info)) => {
                self.collections.step = Step::Browse(Browsing::new(info));
                self.read_rows()
            }
            Some(Entry::Unreadable { .. }) | None => self.tell_unreadable(),
        }
    }

    fn tell_unreadable(&mut self) -> Vec<Effect> {
        if let Some(Entry::Unreadable { name, reason }) = self.collections.entry() {
            self.notice = Some(format!("{} can't be read: {reason}", one_line(name)));
        }
        Vec::new()
    }

    /// Asks for the rows that are missing around the selected one.
    fn read_rows(&mut self) -> Vec<Effect> {
        let Step::Browse(browsing) = &self.collections.step else { return Vec::new() };
        let Some(page) = browsing.next_page() else { return Vec::new() };
        let request = self.collections.request();
        let Step::Browse(browsing) = &mut self.collections.step else { return Vec::new() };
        browsing.read(request, page);
        let collection = browsing.collection.clone();
        let (offset, limit) = (page * Browsing::PAGE, Browsing::PAGE as usize);
        vec![Effect::BrowseRows { request, collection, offset, limit }]
    }

    pub(super) fn rows_read(&mut self, request: RequestId, result: Result<Vec<Chunk>, String>) -> Vec<Effect> {
        if let Step::Browse(browsing) = &mut self.collections.step {
            browsing.take(request, result);
        }
        self.read_rows()
    }

    fn ask_to_drop(&mut self) {
        let Some(entry) = self.collections.entry().cloned() else { return };
        if let Some(why) = self.in_the_way(entry.name()) {
            self.notice = Some(why);
            return;
        }
        let dropping = Dropping { entry, typed: Editor::default(), under_way: false, error: None };
        self.collections.step = Step::Drop(dropping);
    }

    /// Why a collection can't be dropped now.
    fn in_the_way(&self, name: &str) -> Option<String> {
        let job = self.ingest.as_ref().filter(|job| job.collection == name)?;
        let how = if job.stopping {
            "wait until it has stopped"
        } else {
            "stop it first (‹ingest›, then ‹stop› twice)"
        };
        Some(format!("{} is being indexed, so it can't be dropped; {how}", one_line(name)))
    }

    pub(super) fn collection_dropped(&mut self, name: &str, result: Result<(), String>) -> Vec<Effect> {
        if let Err(message) = result {
            match &mut self.collections.step {
                Step::Drop(dropping) if dropping.entry.name() == name => {
                    dropping.under_way = false;
                    dropping.error = Some(message);
                }
                Step::Drop(_) | Step::Choose | Step::Browse(_) | Step::Create(_) => {
                    self.notice = Some(format!("{} could not be dropped: {message}", one_line(name)));
                }
            }
            return Vec::new();
        }
        let was_selected = self.collections.entry().is_some_and(|entry| entry.name() == name);
        let at = self.collections.index();
        if let Some(entries) = &mut self.collections.entries {
            entries.retain(|entry| entry.name() != name);
            if was_selected {
                let next = entries.get(at).or(entries.last());
                self.collections.selected = next.map_or("", Entry::name).to_owned();
            }
        }
        match &self.collections.step {
            Step::Drop(dropping) if dropping.entry.name() == name => self.collections.step = Step::Choose,
            Step::Browse(browsing) if browsing.collection == name => self.collections.step = Step::Choose,
            Step::Drop(_) | Step::Browse(_) | Step::Choose | Step::Create(_) => {}
        }
        self.neighbours.retain(|(collection, _), _| collection != name);
        self.report(format!("dropped {}", one_line(name)));
        if self.collection_name() == Some(name) {
            self.fall_back();
        }
        let mut effects = self.ask_waiting();
        if self.view == View::Collections {
            effects.extend(self.list_collections());
        }
        effects
    }

    /// The collection in use is gone: what is used without being named takes its place.
    fn fall_back(&mut self) {
        let keeps_handbook = matches!(self.store, Store::Open { keeps_handbook: true, .. });
        let own = self.collections.find(CollectionInfo::DEFAULT).is_some_and(|info| info.passages > 0);
        let name = if own || !keeps_handbook { CollectionInfo::DEFAULT } else { CollectionInfo::HANDBOOK };
        let next = self.collections.find(name).cloned();
        let then = match &next {
            Some(info) if info.passages > 0 => "questions go to it",
            Some(_) | None if name == CollectionInfo::HANDBOOK => "it holds nothing: ‹reindex› indexes it",
            Some(_) | None => "it holds nothing yet",
        };
        self.done = self.done.take().map(|told| format!("{told}; {name} is in use now, {then}"));
        self.use_collection(name.to_owned(), next);
    }

    fn confirm(&mut self) -> Vec<Effect> {
        match &self.collections.step {
            Step::Choose | Step::Browse(_) => Vec::new(),
            Step::Drop(_) => self.confirm_drop(),
            Step::Create(creating) if creating.source.is_some() => self.create(),
            Step::Create(creating) if creating.path.text().trim().is_empty() => Vec::new(),
            Step::Create(_) => self.check_path(),
        }
    }

    fn confirm_drop(&mut self) -> Vec<Effect> {
        let Step::Drop(dropping) = &self.collections.step else { return Vec::new() };
        let name = dropping.entry.name().to_owned();
        let in_the_way = self.in_the_way(&name);
        let Step::Drop(dropping) = &mut self.collections.step else { return Vec::new() };
        if dropping.under_way {
            return Vec::new();
        }
        dropping.error = in_the_way;
        if dropping.must_type() && dropping.typed.text().trim() != one_line(&name) {
            dropping.error = Some("that is not its name".to_owned());
        }
        if dropping.error.is_some() {
            return Vec::new();
        }
        dropping.under_way = true;
        vec![Effect::DropCollection { name }]
    }

    fn check_path(&mut self) -> Vec<Effect> {
        let request = self.collections.request();
        let Step::Create(creating) = &mut self.collections.step else { return Vec::new() };
        creating.reading = Some(request);
        creating.error = None;
        vec![Effect::CheckSource { request, location: creating.path.text().trim().to_owned() }]
    }

    pub(super) fn path_completed(&mut self, request: RequestId, path: String, candidates: Vec<String>) -> Vec<Effect> {
        if let Step::Create(creating) = &mut self.collections.step
            && creating.reading.take_if(|reading| *reading == request).is_some()
        {
            creating.path.take();
            creating.path.insert_line(&path);
            creating.candidates = Some(candidates);
            creating.error = None;
        }
        Vec::new()
    }

    pub(super) fn source_checked(&mut self, request: RequestId, result: Result<SourceSpec, String>) -> Vec<Effect> {
        let entries = self.collections.entries.as_deref().unwrap_or_default();
        let taken: Vec<String> = entries.iter().map(|entry| entry.name().to_owned()).collect();
        if let Step::Create(creating) = &mut self.collections.step
            && creating.reading.take_if(|reading| *reading == request).is_some()
        {
            creating.candidates = None;
            match result {
                Ok(source) => {
                    creating.name.set(&name_for(&source.location, &taken));
                    creating.source = Some(source);
                }
                Err(message) => creating.error = Some(message),
            }
        }
        Vec::new()
    }

    /// Starts the ingest of the new collection.
    fn create(&mut self) -> Vec<Effect> {
        let busy = self.ingest.is_some();
        let Step::Create(creating) = &mut self.collections.step else { return Vec::new() };
        let name = creating.name.text().to_owned();
        creating.error = match () {
            () if busy => Some(UNDER_WAY.to_owned()),
            () if name.is_empty() => Some("it needs a name".to_owned()),
            () => None,
        };
        if creating.error.is_some() {
            return Vec::new();
        }
        let Some(source) = creating.source.take() else { return Vec::new() };
        self.collections.step = Step::Choose;
        self.collections.selected.clone_from(&name);
        if let Some(entries) = &mut self.collections.entries
            && let Err(at) = entries.binary_search_by(|entry| entry.name().cmp(&name))
        {
            // It shows from the start; what there is of it comes with the next list.
            entries.insert(at, Entry::Readable(CollectionInfo::empty(&name).into()));
        }
        self.report(format!("indexing into {name}; ‹ingest› shows how far it is"));
        vec![self.start_ingest(name, vec![source], false)]
    }

    /// Changes the line of a step that has the keys, if one has.
    pub(super) fn write_collection_line(&mut self, write: impl FnOnce(&mut Editor)) {
        match &mut self.collections.step {
            Step::Choose | Step::Browse(_) => {}
            Step::Drop(dropping) if dropping.under_way || !dropping.must_type() => {}
            Step::Drop(dropping) => {
                write(&mut dropping.typed);
                dropping.error = None;
            }
            Step::Create(creating) => {
                creating.error = None;
                if creating.source.is_some() {
                    write(&mut creating.name);
                    plain(&mut creating.name);
                } else {
                    write(&mut creating.path);
                    // What was asked for another path is late.
                    (creating.candidates, creating.reading) = (None, None);
                }
            }
        }
    }

    pub(super) fn leave_step(&mut self) {
        match &mut self.collections.step {
            Step::Choose => {}
            Step::Browse(browsing) if browsing.in_text => browsing.in_text = false,
            Step::Create(creating) if creating.source.is_some() => (creating.source, creating.error) = (None, None),
            Step::Browse(_) | Step::Create(_) | Step::Drop(_) => self.collections.step = Step::Choose,
        }
    }
}

/// Longest name that every engine takes.
const MAX_NAME: usize = 64;

/// Keeps of a name what every engine takes; everything else becomes `_`.
fn plain(name: &mut Editor) {
    let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.text().len() <= MAX_NAME && name.text().chars().all(ok) {
        return;
    }
    let clean: String = name.text().chars().map(|c| if ok(c) { c } else { '_' }).take(MAX_NAME).collect();
    name.set(&clean);
}

/// A name for a collection made from a place, after the last part of its path, that is not taken yet.
fn name_for(location: &str, taken: &[String]) -> String {
    let path = if location.contains("://") { location.split('?').next().unwrap_or("") } else { location };
    let last = path.rsplit(['/', '\\', ':']).find(|part| !part.is_empty()).unwrap_or("");
    let endings = [".tar.gz", ".tgz", ".tar", ".zip", ".md", ".txt"];
    let stem = endings.iter().find_map(|ending| last.strip_suffix(ending)).unwrap_or(last);
    let parts: Vec<&str> = stem.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect();
    let mut name = parts.join("_");
    name.truncate(MAX_NAME - 8);
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        // Some engines want a letter first.
        name = format!("{}{}{name}", CollectionInfo::DEFAULT, if name.is_empty() { "" } else { "_" });
    }
    let is_free = |name: &String| !taken.contains(name);
    let mut numbered = std::iter::once(name.clone()).chain((2..).map(|n| format!("{name}_{n}")));
    numbered.find(is_free).unwrap_or(name)
}

#[cfg(test)]
mod tests;
