//! Whole ingests and copies with the embedded store and a model that only counts letters.

mod copies;
mod pausing;

use std::{fs, path::Path, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    domain::{
        ChunkId, Chunker, CollectionInfo, Fingerprint, Indexed, IngestReport, Metric, Pooling, Progress, SourceSpec,
        Vector,
    },
    embed::{Embedder, Role},
    store::{SqliteStore, VectorStore},
};

pub const COLLECTION: &str = "docs";

pub fn fingerprint(sha256: &str) -> Fingerprint {
    Fingerprint {
        model: "letters".into(),
        sha256: sha256.into(),
        dim: 26,
        metric: Metric::Ip,
        pooling: Pooling::Mean,
        normalised: true,
        max_tokens: 256,
        query_prefix: String::new(),
        passage_prefix: String::new(),
    }
}

pub struct Letters(pub Fingerprint);

impl Embedder for Letters {
    fn fingerprint(&self) -> &Fingerprint {
        &self.0
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn embed(&self, _: Role, texts: &[&str]) -> Result<Vec<Vector>, EmbedError> {
        let count = |text: &str, letter: u8| text.bytes().filter(|b| b.to_ascii_lowercase() == letter).count() as f32;
        let vector = |text: &&str| {
            let counts: Vector = (b'a'..=b'z').map(|letter| count(text, letter)).collect();
            let length = counts.iter().map(|x| x * x).sum::<f32>().sqrt().max(1.0);
            counts.iter().map(|x| x / length).collect()
        };
        Ok(texts.iter().map(vector).collect())
    }
}

pub fn open(folder: &Path) -> Arc<dyn VectorStore> {
    Arc::new(SqliteStore::open(folder).unwrap())
}

pub fn source(folder: &Path) -> SourceSpec {
    SourceSpec { location: folder.to_str().unwrap().into(), globs: Vec::new(), chunker: Chunker::Markdown }
}

pub fn write(root: &Path, name: &str, text: &str) {
    let file = root.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

pub async fn index(
    store: &Arc<dyn VectorStore>,
    sources: &[SourceSpec],
    shard: Option<&str>,
    force: bool,
) -> Result<IngestReport, RagError> {
    index_with(store, sources, shard, force, if force { "other" } else { "own" }).await
}

/// With the model of these weights.
async fn index_with(
    store: &Arc<dyn VectorStore>,
    sources: &[SourceSpec],
    shard: Option<&str>,
    force: bool,
    weights: &str,
) -> Result<IngestReport, RagError> {
    let job = IngestJob {
        store: Arc::clone(store),
        embedder: Some(Arc::new(Letters(fingerprint(weights)))),
        collection: COLLECTION.into(),
        sources: sources.to_vec(),
        force,
        shard: shard.map(|shard| shard.parse().unwrap()),
    };
    ingest(&job, &Arc::new(Progress::default()), &Arc::default(), &CancellationToken::new()).await
}

/// All that a collection holds.
pub async fn whole(store: &dyn VectorStore) -> (Vec<SourceSpec>, Vec<Indexed>) {
    let names: Vec<String> = store.documents(COLLECTION).await.unwrap().into_iter().map(|r| r.name).collect();
    let sources = store.collection(COLLECTION).await.unwrap().unwrap().sources;
    (sources, store.read_documents(COLLECTION, &names).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_on_a_disk_that_is_not_there_is_kept_and_counted() {
    let home = tempfile::tempdir().unwrap();
    let [here, away] = ["here", "away"].map(|name| home.path().join(name));
    write(&here, "a.md", "# A\n\nOne.\n");
    write(&away, "b.md", "# B\n\nTwo.\n\n## C\n\nThree.\n");
    let store = open(&home.path().join("store"));
    let first = index(&store, &[source(&here), source(&away)], None, false).await.unwrap();
    let held = (first.held_documents, first.held_passages);
    assert_eq!((held, first.documents), ((2, first.passages), 2));
    // Its folder is there and empty, as where a disk is mounted; then that is gone too.
    fs::remove_file(away.join("b.md")).unwrap();
    for round in ["empty", "gone"] {
        let next = index(&store, &[], None, false).await.unwrap();
        assert_eq!((next.removed, next.unchanged, (next.held_documents, next.held_passages)), (0, 1, held), "{round}");
        assert_eq!(next.skipped.len(), 1, "{round}: {:?}", next.skipped);
        assert!(next.skipped[0].reason.contains("its documents stay"), "{round}: {:?}", next.skipped);
        let _ = fs::remove_dir(&away);
    }
    // An empty disk may hold something that can't be read.
    #[cfg(unix)]
    {
        fs::create_dir(&away).unwrap();
        std::os::unix::fs::symlink("nowhere", away.join("x.md")).unwrap();
        let next = index(&store, &[], None, false).await.unwrap();
        assert_eq!((next.removed, next.held_documents, next.skipped.len()), (0, 2, 2), "{:?}", next.skipped);
        fs::remove_dir_all(&away).unwrap();
    }
    // With another model all of it has to be there; with the same it is taken out when that is asked for, and not told
    // for ever after.
    let gone = index(&store, &[], None, true).await.unwrap_err().to_string();
    assert!(gone.contains("away\" is not there") && gone.contains("drop"), "{gone}");
    let same = async |force| index_with(&store, &[], None, force, "own").await.unwrap();
    let forced = same(true).await;
    assert_eq!((forced.held_documents, forced.removed, forced.skipped.len()), (1, 1, 0));
    assert_eq!(same(false).await.skipped, []);
    fs::create_dir(&away).unwrap();
    let forced = index(&store, &[], None, true).await.unwrap();
    assert_eq!((forced.held_documents, forced.skipped.len()), (1, 0));
    write(&away, "b.md", "# B\n\nTwo.\n");
    assert_eq!(index_with(&store, &[], None, false, "other").await.unwrap().held_documents, 2, "it came back");
}

const SHARES: [&str; 4] = ["1/4", "2/4", "3/4", "4/4"];

#[tokio::test(flavor = "multi_thread")]
async fn shares_give_together_what_one_run_gives() {
    let home = tempfile::tempdir().unwrap();
    let [one, two, three] = ["one", "two", "three"].map(|name| home.path().join(name));
    // Names that meet, also with the names that those would get which have to give way.
    for (root, name) in
        [(&one, "b.md"), (&one, "three/b.md"), (&one, "x/a.md"), (&two, "b.md"), (&two, "one/b.md"), (&three, "b.md")]
    {
        write(root, name, &format!("# {name}\n\nOf {}.\n", root.display()));
    }
    for page in 0..30 {
        let text: String = (0..page % 7 + 1).map(|part| format!("## Part {part}\n\nOf page {page}.\n\n")).collect();
        write(if page % 3 == 0 { &two } else { &one }, &format!("pages/{page}.md"), &text);
    }
    let (first, then) = ([source(&one), source(&two)], [source(&three)]);
    let stores = ["single", "in turn", "at once"].map(|name| home.path().join(name));
    let [single, in_turn, at_once] = stores.each_ref().map(|folder| open(folder));

    for round in 0..3 {
        let sources = match round {
            // Two sources, then another beside them, then whatever it was made from, with changes.
            0 => &first[..],
            1 => &then[..],
            _ => {
                fs::remove_file(one.join("b.md")).unwrap();
                fs::remove_file(two.join("pages/3.md")).unwrap();
                fs::remove_dir_all(one.join("x")).unwrap();
                write(&one, "pages/1.md", "# Another\n\nText.\n");
                write(&two, "new.md", "# New\n\nPage.\n");
                &[]
            }
        };
        let report = index(&single, sources, None, false).await.unwrap();
        let mut sums = [(0, 0, 0, 0); 2];
        let mut add = |which: usize, part: &IngestReport| {
            let sum = &mut sums[which];
            *sum = (sum.0 + part.documents, sum.1 + part.passages, sum.2 + part.unchanged, sum.3 + part.removed);
        };
        for share in SHARES {
            let part = index(&in_turn, sources, Some(share), false).await.unwrap();
            assert!(part.documents > 0 || round == 1, "{share} of round {round} is a real share");
            add(0, &part);
        }
        // Each with a store of its own on the same files, as in a process of its own.
        let tasks = SHARES.map(|share| {
            let (store, sources) = (open(&stores[2]), sources.to_vec());
            tokio::spawn(async move { index(&store, &sources, Some(share), false).await.unwrap() })
        });
        for task in tasks {
            add(1, &task.await.unwrap());
        }
        let expected = whole(single.as_ref()).await;
        assert!(whole(in_turn.as_ref()).await == expected, "in turn, round {round}");
        assert!(whole(at_once.as_ref()).await == expected, "at once, round {round}");
        let all = (report.documents, report.passages, report.unchanged, report.removed);
        assert_eq!(sums, [all, all], "round {round}");
    }
    assert!(whole(single.as_ref()).await.1.len() > 30);
}

#[tokio::test]
async fn one_share_does_not_start_over_for_all() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "kb/a.md", "# A\n\nText.\n");
    let (store, sources) = (open(&home.path().join("store")), [source(&home.path().join("kb"))]);
    index(&store, &sources, None, false).await.unwrap();
    let before = whole(store.as_ref()).await;
    let refused = index(&store, &sources, Some("1/2"), true).await;
    assert!(matches!(refused, Err(RagError::ShardStartsOver { .. })), "{refused:?}");
    assert!(whole(store.as_ref()).await == before);
    assert_eq!(index(&store, &sources, None, true).await.unwrap().documents, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_is_of_the_vectors_that_the_store_holds() {
    let home = tempfile::tempdir().unwrap();
    let pages = ["alpha beta", "beta gamma gamma", "delta", "zz top of the pops", "quite another matter"];
    for (page, text) in pages.iter().enumerate() {
        write(home.path(), &format!("kb/{page}.md"), &format!("# Page\n\n## One\n\nOf {text}.\n\n## Two\n\n{text}!\n"));
    }
    let store = open(&home.path().join("store"));
    index(&store, &[source(&home.path().join("kb"))], None, false).await.unwrap();
    let held = whole(store.as_ref()).await.1;
    let (mut ids, mut vectors) = (Vec::new(), Vec::new());
    for document in held {
        ids.extend(document.chunks.iter().map(|chunk| chunk.id));
        vectors.extend(document.vectors.unwrap());
    }
    let own: Arc<dyn Embedder> = Arc::new(Letters(fingerprint("own")));
    let info = store.collection(COLLECTION).await.unwrap().unwrap();
    vectors.insert(0, own.embed(Role::Query, &["gamma?"]).unwrap().remove(0));
    let (expected, explained) = project::principal_components(&vectors);
    let map = async |embedder: Option<&Arc<dyn Embedder>>, info: &CollectionInfo, ids: &[ChunkId]| {
        project::project(store.as_ref(), embedder, info, "gamma?", ids).await
    };
    let made = map(Some(&own), &info, &ids).await.unwrap();
    assert_eq!((made.question, made.explained), (expected[0], explained));
    assert!(made.points.iter().map(|(id, _)| *id).eq(ids.iter().copied()) && ids.len() == 2 * pages.len());
    assert!(made.points.iter().map(|(_, point)| *point).eq(expected[1..].iter().copied()));
    assert!(explained[0] > explained[1] && explained[1] > 0.0);

    let gone = ChunkId::from_digest([7; 8]);
    let fewer = map(Some(&own), &info, &[ids[2], gone, ids[0]]).await.unwrap();
    assert!(fewer.points.iter().map(|(id, _)| *id).eq([ids[2], ids[0]]));
    let refused = map(None, &info, &ids).await;
    assert!(matches!(refused, Err(RagError::NoModel)), "{refused:?}");
    let other: Arc<dyn Embedder> = Arc::new(Letters(fingerprint("other")));
    let refused = map(Some(&other), &info, &ids).await;
    assert!(matches!(refused, Err(RagError::Store(StoreError::WrongModel { .. }))), "{refused:?}");
    let bare = CollectionInfo { fingerprint: None, ..info };
    let refused = map(Some(&own), &bare, &ids).await;
    assert!(matches!(refused, Err(RagError::NoVectors { .. })), "{refused:?}");
}
