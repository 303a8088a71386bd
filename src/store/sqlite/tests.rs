use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    process::{Child, ChildStderr, Command, Stdio},
};

use proptest::{prelude::*, sample::select, test_runner::Config};
use tempfile::TempDir;

use super::*;
use crate::{
    domain::Metric,
    store::conformance::{self, DIM, document, fingerprint, operation},
};

/// Both ways of searching at any size: all at once, and quantised and by rare words first.
const SMALL: Tuning = Tuning { few_vectors: 1 << 20, few_chunks: u64::MAX };
const LARGE: Tuning = Tuning { few_vectors: 0, few_chunks: 0 };

/// Tells a test that runs in a process of its own where to work.
const FOLDER: &str = "ASKDOCS_TEST_FOLDER";

fn open(folder: &Path, tuning: Tuning) -> SqliteStore {
    SqliteStore { tuning, ..SqliteStore::open(folder).unwrap() }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(Config { cases: 24, failure_persistence: None, ..Config::default() })]

    /// Three stores in one place stand for three processes: their connections and caches know nothing of each other.
    #[test]
    fn random_operations_agree_with_a_plain_model(
        operations in prop::collection::vec(operation(), 1..40),
        metric in select(vec![Metric::Ip, Metric::Cosine, Metric::L2]),
    ) {
        let folder = TempDir::new().unwrap();
        let stores = [SMALL, LARGE, LARGE].map(|tuning| open(folder.path(), tuning));
        let stores = stores.each_ref().map(|store| store as &dyn VectorStore);
        run(conformance::check(&stores, "Some.collection-1", metric, 0.0, operations));
    }
}

#[test]
fn the_contract_holds() {
    for tuning in [SMALL, LARGE] {
        let folder = TempDir::new().unwrap();
        run(conformance::check_contract(&open(&folder.path().join("made/when/needed"), tuning)));
        run(conformance::check_hostile_queries(&open(folder.path(), tuning)));
    }
}

fn indexed(record: &DocumentRecord, chunks: &[Chunk], vectors: Option<&[Vector]>) -> Indexed {
    Indexed { record: record.clone(), chunks: chunks.to_vec(), vectors: vectors.map(<[Vector]>::to_vec) }
}

/// Numbers that look random and are the same every time (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn vector(&mut self) -> Vector {
        (0..DIM).map(|_| (self.unit() - 0.5) as f32).collect()
    }

    /// As in real text: few words are everywhere, most are rare.
    fn word(&mut self) -> String {
        let rank = 2_000_f64.powf(self.unit()) as u64;
        format!("w{rank}")
    }

    fn text(&mut self) -> String {
        (0..30).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}

async fn fill(store: &SqliteStore, name: &str, chunks: usize, seed: u64) {
    let mut numbers = Numbers(seed);
    let texts: Vec<String> = (0..chunks).map(|_| numbers.text()).collect();
    let vectors: Vec<Vector> = (0..chunks).map(|_| numbers.vector()).collect();
    let (record, chunks) = document(name, &texts, true);
    store.ensure_collection("faq", Some(&fingerprint(Metric::L2))).await.unwrap();
    store.replace_documents("faq", vec![indexed(&record, &chunks, Some(&vectors))]).await.unwrap();
}

async fn nearest(store: &SqliteStore) -> Vec<Vec<Hit>> {
    let mut numbers = Numbers(99);
    let mut all = Vec::new();
    for limit in [1, 7, 100] {
        all.push(store.search_dense("faq", None, &numbers.vector(), limit).await.unwrap());
    }
    all
}

#[test]
fn rare_words_first_finds_what_all_words_find() {
    let folder = TempDir::new().unwrap();
    run(async {
        let (all_words, rare_first) = (open(folder.path(), SMALL), open(folder.path(), LARGE));
        fill(&all_words, "a.md", 4_000, 1).await;
        let mut numbers = Numbers(2);
        for round in 0..60 {
            let words: Vec<String> = (0..round % 29).map(|_| numbers.word()).collect();
            let (query, limit) = (words.join(" "), [1, 10, 100, 400, 3_000][round % 5]);
            let expected = all_words.search_keyword("faq", &query, limit).await.unwrap();
            let got = rare_first.search_keyword("faq", &query, limit).await.unwrap();
            assert_eq!(got.len(), expected.len(), "{query} {limit}");
            for (got, expected) in got.iter().zip(&expected) {
                // Words that are nearly everywhere add nothing instead of some millionths.
                assert!((got.score - expected.score).abs() < 1e-4, "{query} {limit} {got:?} {expected:?}");
            }
        }
    });
}

#[test]
fn whatever_happens_to_the_side_file_the_nearest_are_the_same() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let side_file = path("faq.vec");
    run(async {
        fill(&open(folder.path(), SMALL), "a.md", 300, 1).await;
        nearest(&open(folder.path(), LARGE)).await;
        let stale = fs::read(&side_file).unwrap();
        // A backup, and a side file that has seen more than it.
        fs::copy(path("faq.db"), path("backup")).unwrap();
        fill(&open(folder.path(), SMALL), "b.md", 300, 2).await;
        nearest(&open(folder.path(), LARGE)).await;
        let ahead = fs::read(&side_file).unwrap();
        fs::rename(path("backup"), path("faq.db")).unwrap();
        fill(&open(folder.path(), SMALL), "c.md", 200, 3).await;

        let expected = nearest(&open(folder.path(), SMALL)).await;
        nearest(&open(folder.path(), LARGE)).await;
        let good = fs::read(&side_file).unwrap();
        let mut bad = vec![stale, ahead, Vec::new(), vec![0; 4_096], [good.as_slice(), &[0]].concat()];
        bad.extend([7, 47, 48, 200, good.len() - 1].map(|length| good[..length].to_vec()));
        for at in [0, 10, 17, 25, 33, 41, 60, 1_000, good.len() - 3] {
            let mut flipped = good.clone();
            flipped[at] ^= 0x40;
            bad.push(flipped);
        }
        for (case, bytes) in bad.iter().enumerate() {
            fs::write(&side_file, bytes).unwrap();
            assert_eq!(nearest(&open(folder.path(), LARGE)).await, expected, "case {case}");
            assert_eq!(fs::read(&side_file).unwrap(), good, "case {case}: it is put right");
        }
        fs::remove_file(&side_file).unwrap();
        assert_eq!(nearest(&open(folder.path(), LARGE)).await, expected);
        assert_eq!(fs::read(&side_file).unwrap(), good);

        // Small changes are taken from the truth and do not rewrite it.
        let (record, chunks) = document("d.md", &["one".to_owned()], true);
        let store = open(folder.path(), LARGE);
        store.replace_documents("faq", vec![indexed(&record, &chunks, Some(&[vec![9.0; DIM]]))]).await.unwrap();
        for store in [store, open(folder.path(), LARGE)] {
            assert_eq!(store.search_dense("faq", None, &vec![9.0; DIM], 1).await.unwrap()[0].id, chunks[0].id);
            assert_eq!(fs::read(&side_file).unwrap(), good);
        }

        // Nor need it be writable.
        fs::remove_file(&side_file).unwrap();
        fs::create_dir(&side_file).unwrap();
        open(folder.path(), SMALL).remove_documents("faq", &["d.md".to_owned()]).await.unwrap();
        assert_eq!(nearest(&open(folder.path(), LARGE)).await, expected);
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.filter(|name| name.to_string_lossy().starts_with('.')).count() == 0, "nothing half done is left");
    });
}

/// Windows removes no file that somebody has open.
#[cfg(unix)]
#[test]
fn a_collection_made_anew_under_its_name_is_not_mistaken_for_the_old_one() {
    let folder = TempDir::new().unwrap();
    run(async {
        let (one, other) = (open(folder.path(), LARGE), open(folder.path(), LARGE));
        fill(&one, "a.md", 20, 1).await;
        let old = nearest(&other).await;
        other.remember_source("faq", &conformance::source()).await.unwrap();
        assert!(one.drop_collection("faq").await.unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(matches!(other.documents("faq").await, Err(StoreError::NoCollection { .. })));
        assert!(matches!(other.clear_collection("faq").await, Err(StoreError::NoCollection { .. })));
        fill(&one, "a.md", 20, 2).await;
        let new = nearest(&other).await;
        assert_eq!(new, nearest(&open(folder.path(), SMALL)).await);
        assert_ne!(new, old);
        other.remove_documents("faq", &["a.md".to_owned()]).await.unwrap();
        drop(other);
        assert!(one.documents("faq").await.unwrap().is_empty());
        drop(one);
        let other = open(folder.path(), SMALL);
        assert!(other.documents("faq").await.unwrap().is_empty());

        let refused = other.ensure_collection("Faq", None).await.unwrap_err().to_string();
        assert!(refused.contains("\"faq\""), "{refused}");
    });
}

#[test]
fn a_read_sees_one_state_to_its_end() {
    let folder = TempDir::new().unwrap();
    let (reader, writer) = (open(folder.path(), LARGE), open(folder.path(), SMALL));
    run(fill(&writer, "b.md", 20, 1));
    let collection = reader.known("faq").unwrap();
    let query = Numbers(5).vector();
    let checked = collection.read(|old| {
        let before = collection.search_dense(old, &query, 10)?;
        run(async {
            fill(&writer, "a.md", 10, 2).await;
            fill(&writer, "b.md", 3, 3).await;
            let after = writer.search_dense("faq", None, &query, 10).await.unwrap();
            assert_ne!(after, before);
            assert_eq!(reader.search_dense("faq", None, &query, 10).await.unwrap(), after);
        });
        assert_eq!(collection.search_dense(old, &query, 10)?, before);
        Ok(())
    });
    assert!(checked.unwrap().is_some());
}

#[test]
fn what_is_no_collection_of_this_format_is_refused_and_hides_no_other() {
    let folder = TempDir::new().unwrap();
    run(async {
        let store = open(folder.path(), SMALL);
        fill(&store, "a.md", 2, 1).await;
        for name in ["newer", "foreign"] {
            store.ensure_collection(name, None).await.unwrap();
        }
        drop(store);
        let change = |name: &str, sql| Connection::open(folder.path().join(name)).unwrap().execute_batch(sql).unwrap();
        change("newer.db", "PRAGMA user_version = 7");
        change("foreign.db", "PRAGMA application_id = 1");
        fs::write(folder.path().join("noise.db"), [7; 5_000]).unwrap();
        fs::write(folder.path().join("begun.db"), []).unwrap();

        let store = open(folder.path(), SMALL);
        let known = schema::MIGRATIONS.len() as i64;
        for result in [store.documents("newer").await.map(drop), store.clear_collection("newer").await] {
            assert!(matches!(result, Err(StoreError::TooNew { found: 7, known: k, .. }) if k == known), "{result:?}");
        }
        for name in ["foreign", "noise"] {
            let result = store.documents(name).await;
            assert!(matches!(result, Err(StoreError::Failed { .. })), "{result:?}");
            assert!(store.ensure_collection(name, None).await.is_err());
        }
        assert!(store.collection("begun").await.unwrap().is_none());
        let names: Vec<_> = store.collections().await.unwrap().into_iter().map(|info| info.name).collect();
        assert_eq!(names, ["faq"]);
        store.ensure_collection("begun", None).await.unwrap();
        assert!(store.collection("begun").await.unwrap().is_some());
    });
}

/// This test program again, with one test that is ignored otherwise, in `folder`.
fn in_own_process(program: &Path, test: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.args([&format!("store::sqlite::tests::{test}"), "--exact", "--ignored", "--nocapture"]);
    command.env(FOLDER, folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn this_program() -> PathBuf {
    std::env::current_exe().unwrap()
}

fn own_folder() -> PathBuf {
    PathBuf::from(std::env::var_os(FOLDER).expect("run by another test only"))
}

/// How a process is told of that holds the lock; who it is is written in the file, and Windows lets nobody else read that.
fn another(process: u32) -> String {
    if cfg!(windows) { "another askdocs".to_owned() } else { format!("another askdocs (process {process})") }
}

fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    BufReader::new(child.stderr.take().unwrap() as ChildStderr).lines().map(Result::unwrap)
}

const NAMES: [&str; 3] = ["a.md", "b.md", "c.md"];

/// A version of a document: how many chunks it has, and each chunk's text and vector, tell the version.
fn version(name: &str, version: usize) -> (DocumentRecord, Vec<Chunk>, Vec<Vector>) {
    let texts = vec![format!("version{version}"); 2 + version % 5];
    let (record, chunks) = document(name, &texts, true);
    let vectors = vec![vec![version as f32; DIM]; chunks.len()];
    (DocumentRecord { content: version.to_string(), ..record }, chunks, vectors)
}

/// Stores version after version and tells of each that is stored.
#[test]
#[ignore = "runs in a process of its own"]
fn write_until_killed() {
    run(async {
        let store = open(&own_folder(), SMALL);
        let _guard = store.lock_for_writing("faq", Duration::from_secs(10)).await.unwrap();
        store.ensure_collection("faq", Some(&fingerprint(Metric::Ip))).await.unwrap();
        let stored = store.documents("faq").await.unwrap();
        let start = stored.iter().map(|record| record.content.parse().unwrap()).max().unwrap_or(0);
        for number in start + 1.. {
            for name in NAMES {
                let (record, chunks, vectors) = version(name, number);
                store.replace_documents("faq", vec![indexed(&record, &chunks, Some(&vectors))]).await.unwrap();
                eprintln!("stored {name} {number}");
            }
        }
    });
}

/// The version that one read of a document's chunks shows; fails on a mix or a part.
async fn version_of_chunks(store: &SqliteStore, name: &str) -> usize {
    let first = version(name, 1).1[0].id;
    let chunks = store.neighbours("faq", first, 0, 100).await.unwrap();
    let number = chunks[0].text.strip_prefix("version").unwrap().parse().unwrap();
    assert_eq!(chunks, version(name, number).1);
    number
}

/// The versions that one dense search shows, which finds every chunk; fails on a mix or a part.
async fn versions_of_vectors(store: &SqliteStore) -> Vec<usize> {
    let hits = store.search_dense("faq", None, &vec![1.0; DIM], 1_000).await.unwrap();
    let score_of: BTreeMap<ChunkId, f32> = hits.iter().map(|hit| (hit.id, hit.score)).collect();
    let versions = NAMES.map(|name| {
        let number = (score_of[&version(name, 1).1[0].id] / DIM as f32) as usize;
        let (_, chunks, _) = version(name, number);
        assert!(chunks.iter().all(|chunk| score_of[&chunk.id] == (number * DIM) as f32));
        (number, chunks.len())
    });
    assert_eq!(hits.len(), versions.iter().map(|(_, chunks)| chunks).sum::<usize>());
    versions.map(|(number, _)| number).to_vec()
}

#[test]
fn killing_a_writer_loses_nothing_and_readers_never_see_a_part() {
    let folder = TempDir::new().unwrap();
    run(async {
        let readers = [SMALL, LARGE].map(|tuning| open(folder.path(), tuning));
        let mut stored: BTreeMap<String, usize> = BTreeMap::new();
        for round in 0..6 {
            let mut writer = in_own_process(&this_program(), "write_until_killed", folder.path()).spawn().unwrap();
            let pid = writer.id();
            let mut lines = lines(&mut writer).filter_map(|line| {
                let (name, number) = line.strip_prefix("stored ")?.split_once(' ')?;
                Some((name.to_owned(), number.parse::<usize>().ok()?))
            });
            for _ in 0..5 + 9 * round {
                stored.extend(lines.next());
                if stored.len() == NAMES.len() {
                    let reader = &readers[round % 2];
                    for (name, number) in NAMES.iter().zip(versions_of_vectors(reader).await) {
                        assert!(number >= stored[*name]);
                        assert!(version_of_chunks(reader, name).await >= number);
                    }
                }
            }
            let refused = readers[0].lock_for_writing("faq", Duration::ZERO).await.err().unwrap().to_string();
            assert!(refused.contains(&another(pid)), "{refused}");
            writer.kill().unwrap();
            stored.extend(lines);
            // As who is killed ends on Unix, or on Windows.
            assert!(matches!(writer.wait().unwrap().code(), None | Some(1)), "it was writing to the end");

            let fresh = open(folder.path(), LARGE);
            let vectors = versions_of_vectors(&fresh).await;
            for (record, vector_version) in fresh.documents("faq").await.unwrap().into_iter().zip(vectors) {
                let number = record.content.parse().unwrap();
                assert!(number >= stored[&record.name], "{} was stored and is lost", record.name);
                assert_eq!((vector_version, version_of_chunks(&fresh, &record.name).await), (number, number));
                assert_eq!(record, version(&record.name, number).0);
                let (_, chunks, _) = version(&record.name, number);
                let hits = fresh.search_keyword("faq", &format!("version{number}"), 100).await.unwrap();
                assert!(chunks.iter().all(|chunk| hits.iter().any(|hit| hit.id == chunk.id)));
                let old =
                    fresh.search_keyword("faq", &format!("version{}", number.saturating_sub(2)), 100).await.unwrap();
                assert!(old.is_empty());
            }
        }
    });
}

#[cfg(unix)]
#[test]
#[ignore = "runs in a process of its own"]
fn read_where_nothing_can_be_written() {
    let folder = own_folder();
    run(async {
        for tuning in [SMALL, LARGE] {
            let store = open(&folder, tuning);
            store.ensure_collection("faq", Some(&fingerprint(Metric::L2))).await.unwrap();
            assert_eq!(store.collections().await.unwrap().len(), 1);
            assert_eq!(store.search_keyword("faq", "w1", 5).await.unwrap().len(), 5);
            assert_eq!(nearest(&store).await.len(), 3);
            let error = store.remove_documents("faq", &["a.md".to_owned()]).await.unwrap_err().to_string();
            let parts = [folder.to_str().unwrap(), "ermission denied", "hint: make the folder writable"];
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    });
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_not_writable_still_answers() {
    use std::{
        fs::Permissions,
        os::unix::{fs::PermissionsExt, process::CommandExt},
    };

    let folder = TempDir::new().unwrap();
    let place = folder.path().join("sealed");
    run(fill(&open(&place, SMALL), "a.md", 50, 1));
    fs::remove_file(place.join("faq.lock")).unwrap();
    for (path, mode) in [(folder.path(), 0o755), (&place.join("faq.db"), 0o444), (&place, 0o555)] {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let mut program = this_program();
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        // No permission binds root, and nobody else may be allowed to where this program lies.
        fs::copy(&program, folder.path().join("program")).unwrap();
        program = folder.path().join("program");
    }
    let mut command = in_own_process(&program, "read_where_nothing_can_be_written", &place);
    if is_root {
        command.uid(65_534).gid(65_534);
    }
    let output = command.output().unwrap();
    fs::set_permissions(&place, Permissions::from_mode(0o755)).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(unix)]
#[test]
#[ignore = "runs in a process of its own"]
fn write_until_the_disk_is_full() {
    let folder = own_folder();
    run(async {
        let store = open(&folder, SMALL);
        store.ensure_collection("faq", Some(&fingerprint(Metric::Ip))).await.unwrap();
        let mut number = 0;
        let error = loop {
            let (record, chunks) = document(&format!("{number}.md"), &vec![Numbers(number).text(); 40], false);
            match store.replace_documents("faq", vec![indexed(&record, &chunks, None)]).await {
                Ok(()) => number += 1,
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("what was stored before is untouched"), "{error}");
        for store in [store, open(&folder, SMALL)] {
            assert_eq!(store.documents("faq").await.unwrap().len() as u64, number);
            assert!(!store.search_keyword("faq", "w1 w2 w3", 5).await.unwrap().is_empty());
        }
    });
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_old_documents_answering() {
    let folder = TempDir::new().unwrap();
    let program = in_own_process(&this_program(), "write_until_the_disk_is_full", folder.path());
    // A limit on the size of files stands for a full disk; units are 512 bytes.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 1500; exec \"$0\" \"$@\""]);
    limited.arg(program.get_program()).args(program.get_args()).env(FOLDER, folder.path());
    let output = limited.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::metadata(folder.path().join("faq.db")).unwrap().len() > 0, "it ran");
}

/// Patience runs on tokio's clock, which is paused here: no time is spent.
#[tokio::test(start_paused = true)]
async fn a_second_writer_waits_for_as_long_as_it_was_told() {
    let folder = TempDir::new().unwrap();
    let (one, other) = (open(folder.path(), SMALL), open(folder.path(), SMALL));
    one.ensure_collection("faq", None).await.unwrap();
    // Not at once: a process that another test begins holds our locks too, until it runs its program.
    let guard = one.lock_for_writing("faq", Duration::from_secs(60)).await.unwrap();

    let refused = one.lock_for_writing("faq", Duration::from_secs(60)).await.err().unwrap().to_string();
    assert!(refused.contains("another task of this askdocs"), "{refused}");
    let refused = other.clear_collection("faq").await.unwrap_err().to_string();
    assert!(refused.contains(&another(std::process::id())), "{refused}");

    // A write that nobody waits for any more leaves no lock behind, nor does a wait that is given up.
    drop(Box::pin(other.lock_for_writing("faq", Duration::from_secs(60))));
    let waiting = tokio::time::timeout(Duration::from_secs(1), other.lock_for_writing("faq", Duration::from_secs(60)));
    assert!(waiting.await.is_err());
    let (waited, ()) = tokio::join!(other.lock_for_writing("faq", Duration::from_secs(60)), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(guard);
    });
    drop(waited.unwrap());
    one.clear_collection("faq").await.unwrap();
}
