//! What an ingest will do, decided before anything is changed: which sources, which documents under which names, and
//! which are gone. It touches no store and no file.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::{IngestJob, RagError};
use crate::{
    domain::{Chunker, CollectionInfo, DocumentRecord, Shard, SourceSpec},
    source::{Entry, Scan},
    store::StoreError,
};

/// A source to go through.
pub(super) struct Wanted {
    pub spec: SourceSpec,
    /// One that the collection remembers and nobody named just now: its documents stay when it can't be reached, unless
    /// the collection starts over, when they would be lost.
    pub remembered: bool,
}

/// What an ingest amounts to, given what the collection holds.
pub(super) struct Task {
    /// In the order in which they were added to the collection.
    pub sources: Vec<Wanted>,
    /// The collection holds vectors of another model: all that it was made from is embedded anew.
    pub start_over: bool,
}

impl Task {
    pub fn new(job: &IngestJob, held: Option<&CollectionInfo>) -> Result<Self, RagError> {
        let held_fingerprint = held.and_then(|info| info.fingerprint.as_ref());
        let start_over = match (held_fingerprint, &job.embedder) {
            (Some(held), Some(embedder)) => match held.check(embedder.fingerprint()) {
                Ok(()) => false,
                Err(_) if job.force => match job.shard {
                    None => true,
                    Some(shard) => {
                        return Err(RagError::ShardStartsOver { collection: job.collection.clone(), shard });
                    }
                },
                Err(mismatch) => {
                    return Err(StoreError::WrongModel { collection: job.collection.clone(), mismatch }.into());
                }
            },
            (Some(_), None) if job.force => {
                return Err(RagError::NoModelToForce { collection: job.collection.clone() });
            }
            (Some(_) | None, _) => false,
        };
        let remembered = held.map(|info| info.sources.as_slice()).unwrap_or_default();
        let named = |spec: &SourceSpec| job.sources.iter().any(|source| source.key() == spec.key());
        let mut sources = Vec::new();
        if start_over || job.sources.is_empty() {
            let others = remembered.iter().filter(|spec| !named(spec)).cloned();
            sources.extend(others.map(|spec| Wanted { spec, remembered: true }));
        }
        sources.extend(job.sources.iter().cloned().map(|spec| Wanted { spec, remembered: false }));
        match held {
            _ if !sources.is_empty() => Ok(Self { sources, start_over }),
            Some(_) => Err(RagError::NoSources { collection: job.collection.clone() }),
            None => Err(StoreError::NoCollection { name: job.collection.clone(), store: job.store.describe() }.into()),
        }
    }
}

/// A document to look at, under its name in the collection, and what is known of it.
pub(super) struct Planned {
    pub entry: Entry,
    pub source: String,
    pub chunker: Chunker,
    pub record: Option<DocumentRecord>,
}

/// Which documents to look at, each place once however many sources hold it. The source that was added last takes it.
///
/// With a [`Shard`] every document gets its name as in a run for all of them, then only those of the share are looked at:
/// so names, and with them ids, are the same however the work is divided.
pub(super) struct Plan {
    pub entries: Vec<Planned>,
    /// What the collection holds, by location, and whose each name is.
    known: HashMap<String, DocumentRecord>,
    owners: HashMap<String, String>,
    /// Locations that a source has taken, and the names that they got.
    taken: HashMap<String, String>,
    names: HashSet<String>,
    /// Keys of the sources that were looked through.
    scanned: HashSet<String>,
    /// Places that were there and could not be looked at, with forward slashes: what is known of them, and below them,
    /// stays.
    unseen: Vec<String>,
    shard: Option<Shard>,
    pub force: bool,
    pub embed: bool,
}

impl Plan {
    pub fn new(known: Vec<DocumentRecord>, job: &IngestJob) -> Self {
        Self {
            entries: Vec::new(),
            owners: known.iter().map(|record| (record.name.clone(), record.source.clone())).collect(),
            known: known.into_iter().map(|record| (record.location.clone(), record)).collect(),
            taken: HashMap::new(),
            names: HashSet::new(),
            scanned: HashSet::new(),
            unseen: Vec::new(),
            shard: job.shard,
            force: job.force,
            embed: job.embedder.is_some(),
        }
    }

    /// Whether the collection holds nothing.
    pub fn is_new(&self) -> bool {
        self.owners.is_empty()
    }

    /// Whether the collection holds anything of a source.
    pub fn knows(&self, spec: &SourceSpec) -> bool {
        self.owners.values().any(|owner| *owner == spec.key())
    }

    pub fn add(&mut self, spec: &SourceSpec, scan: Scan) {
        let source = spec.key();
        for skip in &scan.skipped {
            let below = ["/", "!/"].map(|between| slashed(&format!("{}{between}{}", spec.location, skip.document)));
            self.unseen.extend(below);
        }
        for mut entry in scan.entries {
            if self.taken.contains_key(&entry.location) {
                continue;
            }
            let record = self.known.get(&entry.location).cloned();
            entry.name = match &record {
                // A document keeps its name, and with it its chunks' ids, whatever is added beside it.
                Some(record) if !self.names.contains(&record.name) => record.name.clone(),
                _ => self.free_name(spec, &entry),
            };
            let record = record.filter(|record| record.name == entry.name);
            self.taken.insert(entry.location.clone(), entry.name.clone());
            self.names.insert(entry.name.clone());
            if self.is_mine(&entry.location, &source) {
                self.entries.push(Planned { entry, source: source.clone(), chunker: spec.chunker.clone(), record });
            }
        }
        self.scanned.insert(source);
    }

    /// Whether a document is in the share that this plan is for.
    fn is_mine(&self, location: &str, source: &str) -> bool {
        self.shard.is_none_or(|shard| shard.holds(digest(&name_below(location, source))))
    }

    /// The entry's own name, with as many of the source's last folders in front as it takes to tell it from others.
    fn free_name(&self, spec: &SourceSpec, entry: &Entry) -> String {
        let source = spec.key();
        let is_free =
            |name: &String| !self.names.contains(name) && self.owners.get(name).is_none_or(|owner| *owner == source);
        let mut names = prefixes(&spec.location).into_iter().map(|prefix| format!("{prefix}{}", entry.name));
        // The whole path in front is free: no two sources have one location.
        names.clone().find(is_free).or_else(|| names.next_back()).unwrap_or_else(|| entry.name.clone())
    }

    /// Nothing is known any more: the collection starts over.
    pub fn forget_known(&mut self) {
        self.known.clear();
        for planned in &mut self.entries {
            planned.record = None;
        }
    }

    /// Names of documents whose source was looked through and holds them no more, or that go under another name now.
    pub fn gone(&self) -> Vec<String> {
        let unseen = |record: &DocumentRecord| {
            let location = slashed(&record.location);
            self.unseen
                .iter()
                .any(|place| location.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
        };
        let moved = |record: &DocumentRecord| self.taken.contains_key(&record.location);
        self.known
            .values()
            .filter(|record| !self.names.contains(&record.name))
            .filter(|record| moved(record) || self.scanned.contains(&record.source) && !unseen(record))
            .filter(|record| self.is_mine(&record.location, &record.source))
            .map(|record| record.name.clone())
            .collect()
    }
}

/// A document's path below its source with forward slashes, given the source's key: the same on every machine, wherever
/// the source lies there. A file that is a source by itself goes by its name.
fn name_below(location: &str, source: &str) -> String {
    let root = source.split('\u{1f}').next().unwrap_or_default();
    // Documents don't keep a URL's query.
    let root = if root.contains("://") { root.split('?').next().unwrap_or_default() } else { root };
    let below = match location.strip_prefix(root) {
        None => location,
        Some("") => location.rsplit(['/', '\\']).next().unwrap_or_default(),
        Some(rest) => rest.strip_prefix('!').unwrap_or(rest).trim_start_matches(['/', '\\']),
    };
    slashed(below)
}

/// With forward slashes, as names of documents have them and places on Windows have not.
fn slashed(location: &str) -> String {
    location.replace('\\', "/")
}

fn digest(name: &str) -> u64 {
    Sha256::digest(name).iter().take(8).fold(0, |digest, byte| digest << 8 | u64::from(*byte))
}

/// Nothing, then the location's last folder, its last two, and so on.
fn prefixes(location: &str) -> Vec<String> {
    let parts: Vec<&str> = location.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
    (0..=parts.len()).map(|n| parts[parts.len() - n..].iter().map(|part| format!("{part}/")).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Skip;

    fn record(name: &str, location: &str) -> DocumentRecord {
        DocumentRecord {
            name: name.into(),
            location: location.into(),
            source: SourceSpec { location: "/kb".into(), globs: Vec::new(), chunker: Chunker::Markdown }.key(),
            content: String::new(),
            size: 1,
            modified_ns: None,
            passages: 1,
            embedded: true,
        }
    }

    fn empty(known: Vec<DocumentRecord>) -> Plan {
        Plan {
            entries: Vec::new(),
            owners: HashMap::new(),
            known: known.into_iter().map(|record| (record.location.clone(), record)).collect(),
            taken: HashMap::new(),
            names: HashSet::new(),
            scanned: HashSet::new(),
            unseen: Vec::new(),
            shard: None,
            force: false,
            embed: true,
        }
    }

    fn skip(document: &str) -> Skip {
        Skip { document: document.into(), reason: "permission denied".into(), location: String::new() }
    }

    #[test]
    fn what_could_not_be_looked_at_is_not_gone() {
        let known = vec![
            record("a.md", "/kb/a.md"),
            record("locked/b.md", "/kb/locked/b.md"),
            record("locked-not/c.md", "/kb/locked-not/c.md"),
        ];
        let mut plan = empty(known);
        assert!(plan.gone().is_empty(), "no source was looked through");
        let skipped = vec![skip("locked")];
        let spec = SourceSpec { location: "/kb".into(), globs: Vec::new(), chunker: Chunker::Markdown };
        plan.add(&spec, Scan { skipped, ..Scan::default() });
        let mut gone = plan.gone();
        gone.sort();
        assert_eq!(gone, ["a.md", "locked-not/c.md"]);
    }

    #[test]
    fn nor_where_places_are_written_with_backslashes() {
        let root = "C:\\kb";
        let spec = SourceSpec { location: root.into(), globs: Vec::new(), chunker: Chunker::Markdown };
        let known = ["locked\\sub\\b.md", "c.md"].map(|name| DocumentRecord {
            source: spec.key(),
            ..record(&name.replace('\\', "/"), &format!("{root}\\{name}"))
        });
        let mut plan = empty(known.to_vec());
        plan.add(&spec, Scan { skipped: vec![skip("locked/sub")], ..Scan::default() });
        assert_eq!(plan.gone(), ["c.md"]);
    }

    #[test]
    fn a_share_goes_by_the_path_below_the_source() {
        let glob = "/kb\u{1f}*.md";
        let cases = [
            ("/kb/a/b.md", "/kb", "a/b.md"),
            ("/kb/a/b.md", glob, "a/b.md"),
            ("/other/place/a/b.md", "/other/place", "a/b.md"),
            ("C:\\kb\\a\\b.md", "C:\\kb", "a/b.md"),
            ("/kb/b.md", "/kb/b.md", "b.md"),
            ("/x/kb.zip!/a/b.md", "/x/kb.zip", "a/b.md"),
            ("https://h/kb.zip!/a/b.md", "https://h/kb.zip?key=1", "a/b.md"),
            ("/b.md", "/", "b.md"),
        ];
        for (location, source, below) in cases {
            assert_eq!(name_below(location, source), below, "{location} in {source}");
        }
        assert_eq!(digest("a/b.md"), 0x5a05_f1b2_31ec_94b2, "for ever and on every machine the same");
    }
}
