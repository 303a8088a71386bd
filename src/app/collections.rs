use std::{collections::BTreeMap, sync::Arc};

use super::Editor;
use crate::domain::{Chunk, CollectionInfo, SourceSpec};

/// Numbers what the collections view asks for. Only the answer to what was asked last is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// What the store holds, and what is being done with it.
#[derive(Debug, Default)]
pub struct Collections {
    /// By name; `None` until they have been read once.
    pub entries: Option<Vec<Entry>>,
    /// They are being read.
    pub reading: Option<RequestId>,
    /// Why they could not be read.
    pub error: Option<String>,
    /// Name of the selected one. While there is none of that name, the first counts as selected.
    pub selected: String,
    pub step: Step,
    /// Name of the one to be asked once the list is there.
    pub wanted: Option<String>,
    last_request: u64,
}

/// A collection in the list.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    Readable(Arc<CollectionInfo>),
    Unreadable { name: String, reason: String },
}

/// What has the keys.
#[derive(Debug, Default)]
pub enum Step {
    /// The list.
    #[default]
    Choose,
    Browse(Browsing),
    Drop(Dropping),
    Create(Creating),
}

/// The rows of one collection, of which those around the selected one are kept.
#[derive(Debug)]
pub struct Browsing {
    pub collection: String,
    /// How many rows there are, as far as is known.
    pub total: u64,
    /// The selected row, from 0.
    pub at: u64,
    /// The keys go to the row's text, not to the table.
    pub in_text: bool,
    /// Row of the text that is shown first.
    pub scroll: usize,
    /// Why rows could not be read.
    pub error: Option<String>,
    /// By number, each [`Browsing::PAGE`] rows long but the last.
    pages: BTreeMap<u64, Vec<Chunk>>,
    /// The page that is being read.
    reading: Option<(RequestId, u64)>,
}

/// A collection that is about to be dropped.
#[derive(Debug)]
pub struct Dropping {
    pub entry: Entry,
    /// What was typed of its name.
    pub typed: Editor,
    /// The store is at it.
    pub under_way: bool,
    /// What is in the way.
    pub error: Option<String>,
}

/// A collection that is about to be made.
#[derive(Debug, Default)]
pub struct Creating {
    /// A path or a URL.
    pub path: Editor,
    pub name: Editor,
    /// What the path leads to: the name is being written. `None` while the path is.
    pub source: Option<SourceSpec>,
    /// Folders that the path could go on with, after it was to be completed.
    pub candidates: Option<Vec<String>>,
    /// The path is being completed or looked at.
    pub reading: Option<RequestId>,
    pub error: Option<String>,
}

impl Collections {
    /// The selected one.
    pub fn entry(&self) -> Option<&Entry> {
        self.entries.as_ref()?.get(self.index())
    }

    /// Its place in the list.
    pub fn index(&self) -> usize {
        let entries = self.entries.as_deref().unwrap_or_default();
        entries.iter().position(|entry| entry.name() == self.selected).unwrap_or(0)
    }

    /// The collection of that name.
    pub fn find(&self, name: &str) -> Option<&Arc<CollectionInfo>> {
        self.entries.as_deref().unwrap_or_default().iter().filter_map(Entry::info).find(|info| info.name == name)
    }

    /// The line that is being written in, if one is.
    pub fn line(&self) -> Option<&Editor> {
        match &self.step {
            Step::Choose | Step::Browse(_) => None,
            Step::Drop(dropping) => dropping.must_type().then_some(&dropping.typed),
            Step::Create(creating) if creating.source.is_some() => Some(&creating.name),
            Step::Create(creating) => Some(&creating.path),
        }
    }

    pub(super) fn request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }
}

impl Entry {
    pub fn name(&self) -> &str {
        match self {
            Self::Readable(info) => &info.name,
            Self::Unreadable { name, .. } => name,
        }
    }

    /// What is known of it, where it can be read.
    pub fn info(&self) -> Option<&Arc<CollectionInfo>> {
        match self {
            Self::Readable(info) => Some(info),
            Self::Unreadable { .. } => None,
        }
    }
}

impl Browsing {
    /// Rows that are read at once.
    pub const PAGE: u64 = 100;
    /// Pages on either side of the selected row's that are kept.
    const KEPT: u64 = 3;

    pub(super) fn new(info: &CollectionInfo) -> Self {
        Self {
            collection: info.name.clone(),
            total: info.passages,
            at: 0,
            in_text: false,
            scroll: 0,
            error: None,
            pages: BTreeMap::new(),
            reading: None,
        }
    }

    /// A row, if it has been read.
    pub fn row(&self, at: u64) -> Option<&Chunk> {
        self.pages.get(&(at / Self::PAGE))?.get((at % Self::PAGE) as usize)
    }

    pub(super) fn select(&mut self, at: u64) {
        self.at = at.min(self.total.saturating_sub(1));
        self.scroll = 0;
    }

    /// What was read is out of date; there are `total` rows now.
    pub(super) fn refresh(&mut self, total: u64) {
        (self.total, self.error, self.reading) = (total, None, None);
        self.pages.clear();
        self.at = self.at.min(total.saturating_sub(1));
    }

    /// The page to read next: the selected row's, then the one ahead of it, then the one before.
    pub(super) fn next_page(&self) -> Option<u64> {
        let last = self.total.checked_sub(1)? / Self::PAGE;
        let here = self.at / Self::PAGE;
        let around = [Some(here), (here < last).then_some(here + 1), here.checked_sub(1)];
        let missing = around.into_iter().flatten().find(|page| !self.pages.contains_key(page))?;
        // One at a time. Only for the selected row the one under way is given up.
        let waits = self.reading.is_some_and(|(_, reading)| reading == missing || missing != here);
        (self.error.is_none() && !waits).then_some(missing)
    }

    pub(super) fn read(&mut self, request: RequestId, page: u64) {
        self.reading = Some((request, page));
    }

    /// Takes the answer to a request, if it is the one that is waited for.
    pub(super) fn take(&mut self, request: RequestId, rows: Result<Vec<Chunk>, String>) {
        let Some((_, page)) = self.reading.take_if(|(reading, _)| *reading == request) else { return };
        match rows {
            Err(message) => self.error = Some(message),
            Ok(rows) => {
                // A page that is not full is the last one: it tells how many rows there really are by now.
                let end = page * Self::PAGE + rows.len() as u64;
                if rows.is_empty() || end > self.total || (rows.len() as u64) < Self::PAGE {
                    self.total = if rows.is_empty() { self.total.min(end) } else { end };
                    self.at = self.at.min(self.total.saturating_sub(1));
                }
                if !rows.is_empty() {
                    self.pages.insert(page, rows);
                }
                let here = self.at / Self::PAGE;
                self.pages.retain(|page, _| page.abs_diff(here) <= Self::KEPT);
            }
        }
    }
}

impl Dropping {
    /// What holds nothing needs only a yes.
    pub fn must_type(&self) -> bool {
        self.entry.info().is_none_or(|info| info.documents > 0 || info.passages > 0)
    }
}
