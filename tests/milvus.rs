//! The conformance suite and more against real Milvus: Milvus Lite always, a server where one is named.
//!
//! `.ci/milvus-server cargo test --test milvus` starts a server and sets `ASKDOCS_TEST_MILVUS`.

#![cfg_attr(not(unix), expect(unused, reason = "there is no Milvus Lite"))]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may panic")]

#[path = "common/conformance.rs"]
mod conformance;

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use askdocs::{
    artifacts::Artifacts,
    domain::{Indexed, Metric, Progress, Secret},
    store::{
        MilvusStore, StoreError, VectorStore,
        milvus::{LiteProgram, MilvusEndpoint, MilvusOptions},
    },
};
use conformance::{DIM, document, fingerprint, operation};
use futures_util::FutureExt;
use milvus::v2::prelude::{ClientV2, ConnectConfig, DropCollectionRequest, TelemetryConfig};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

fn options(endpoint: MilvusEndpoint, local: &Path) -> MilvusOptions {
    let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
    MilvusOptions {
        endpoint,
        token: std::env::var("ASKDOCS_TEST_MILVUS_TOKEN").ok().and_then(|token| Secret::new(&token)),
        database: None,
        ca_certificate: path("ASKDOCS_TEST_MILVUS_CA"),
        client_certificate: None,
        client_key: None,
        tls_server_name: None,
        connect_timeout: Duration::from_secs(5),
        call_timeout: Duration::from_secs(10),
        local: local.to_owned(),
    }
}

fn server(local: &Path) -> Option<MilvusStore> {
    let Ok(uri) = std::env::var("ASKDOCS_TEST_MILVUS") else {
        eprintln!("skipped: ASKDOCS_TEST_MILVUS is not set; .ci/milvus-server runs a server and sets it");
        return None;
    };
    Some(MilvusStore::new(options(MilvusEndpoint::Server { uri }, local)).unwrap())
}

/// Gets Milvus Lite as the program does, once, into the cache that all tests share.
fn program() -> LiteProgram {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-cache");
    let cache = std::env::var_os("ASKDOCS_TEST_CACHE").map_or_else(here, PathBuf::from);
    Arc::new(move || {
        let cache = cache.clone();
        async move {
            let artifacts = Artifacts::from_env(cache);
            let got = artifacts.milvus_lite(&Progress::default(), &CancellationToken::new()).await;
            got.map_err(|error| error.to_string())
        }
        .boxed()
    })
}

fn lite(file: &Path, local: &Path) -> MilvusStore {
    let endpoint = MilvusEndpoint::Lite { file: file.to_owned(), program: program() };
    MilvusStore::new(MilvusOptions { token: None, ..options(endpoint, local) }).unwrap()
}

/// Random operation sequences, the same every time.
async fn conforms(stores: &[&dyn VectorStore], cases: usize, metrics: &[Metric]) {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    for case in 0..cases {
        let operations = prop::collection::vec(operation(), 1..30).new_tree(&mut runner).unwrap().current();
        let metric = metrics[case % metrics.len()];
        conformance::check(stores, "Some_collection_1", metric, 1e-4, operations).await;
        stores[0].drop_collection("Some_collection_1").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_what_every_engine_must() {
    let folder = TempDir::new().unwrap();
    let Some(store) = server(folder.path()) else { return };
    for name in ["Some_collection_1", "faq", "q"] {
        store.drop_collection(name).await.unwrap();
    }
    conformance::check_contract(&store).await;
    conformance::check_hostile_queries(&store).await;
    conforms(&[&store], 3, &[Metric::Ip, Metric::L2, Metric::Cosine]).await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn milvus_lite_does_what_every_engine_must() {
    let folder = TempDir::new().unwrap();
    let store = lite(&folder.path().join("demo.db"), &folder.path().join("local"));
    conformance::check_contract(&store).await;
    conformance::check_hostile_queries(&store).await;
    conforms(&[&store], 6, &[Metric::Ip, Metric::L2, Metric::Cosine]).await;
}

/// Documents whose vectors and texts follow from their number.
fn numbered(number: usize) -> Indexed {
    let texts: Vec<String> = (0..4).map(|part| format!("cat{number} dog{part} bird")).collect();
    let (record, chunks) = document(&format!("{number}.md"), &texts, true);
    let vector = |part: usize| (0..DIM).map(|at| ((number * 31 + part * 7 + at * 3) % 11) as f32 - 5.0).collect();
    Indexed { record, chunks, vectors: Some((0..4).map(vector).collect()) }
}

/// The names of all processes that serve a database.
#[cfg(unix)]
fn servers_of(file: &Path) -> Vec<String> {
    let pattern = format!("milvus {} unix:", file.display());
    let output = Command::new("pgrep").args(["-f", &pattern]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[cfg(unix)]
const FOLDER: &str = "ASKDOCS_TEST_FOLDER";

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs in a process of its own"]
async fn store_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let store = lite(&folder.join("demo.db"), &folder.join("local"));
    store.ensure_collection("faq", Some(&fingerprint(Metric::Ip))).await.unwrap();
    let mut number = store.documents("faq").await.unwrap().len();
    loop {
        store.replace_documents("faq", vec![numbered(number)]).await.unwrap();
        println!("stored {number}");
        number += 1;
    }
}

/// The program or its Milvus Lite is killed in the middle of storing, twenty times: what was acknowledged is there, the
/// next start works, and nothing is left of those that were killed.
#[cfg(unix)]
#[test]
fn what_was_acknowledged_survives_kills_of_the_program_and_of_milvus_lite() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().canonicalize().unwrap().join("demo.db");
    let mut acknowledged = 0;
    for round in 0..20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "store_until_killed", "--nocapture"])
            .env(FOLDER, file.parent().unwrap())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let stored = |line: String| line.split("stored ").nth(1)?.trim().parse::<usize>().ok();
        let mut left = 2 + round % 5;
        if round % 2 == 0 {
            // Milvus Lite dies under it: it is started again, and storing goes on.
            acknowledged = lines.by_ref().find_map(stored).unwrap() + 1;
            for server in servers_of(&file) {
                Command::new("kill").args(["-9", &server]).status().unwrap();
            }
        }
        for number in lines.by_ref().filter_map(stored) {
            acknowledged = number + 1;
            left -= 1;
            if left == 0 {
                child.kill().unwrap();
                break;
            }
        }
        assert_eq!(left, 0, "round {round}: it ended by itself");
        acknowledged = lines.filter_map(stored).last().map_or(acknowledged, |number| number + 1);
        child.wait().unwrap();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = lite(&file, &folder.path().join("local"));
        let documents = store.documents("faq").await.unwrap();
        // One more may have been stored without anybody having been told.
        assert!((acknowledged..=acknowledged + 1).contains(&documents.len()), "{acknowledged} {}", documents.len());
        for number in 0..acknowledged {
            let expected = numbered(number);
            let names = [expected.record.name.clone()];
            assert_eq!(store.read_documents("faq", &names).await.unwrap(), [expected], "{number}");
        }
        let info = store.collection("faq").await.unwrap().unwrap();
        assert!(info.passages >= acknowledged as u64 * 4);
        let refused = lite(&file, &folder.path().join("other")).check().await.unwrap_err().to_string();
        assert!(refused.contains("is in use by this askdocs"), "{refused}");
    });
    // The last one has ended with its store: the next start waits for that, and is the only one.
    let store = lite(&file, &folder.path().join("local"));
    runtime.block_on(store.check()).unwrap();
    assert_eq!(servers_of(&file).len(), 1);
}

/// A collection that another program made: read, never written.
async fn a_foreign_collection_is_read(store: &MilvusStore, name: &str) {
    let rows: Vec<_> = (0..12_i64)
        .map(|id| {
            let mut vector = vec![0.0; 4];
            vector[id as usize % 4] = 1.0 + id as f32;
            (id, vector, format!("passage {id} about \"owls\" {}", if id == 7 { "and pigs" } else { "" }))
        })
        .collect();
    store.tutorial_collection(name, 4, rows.clone()).await.unwrap();
    let info = store.collection(name).await.unwrap().unwrap();
    assert_eq!((info.passages, info.dim, info.metric, info.foreign), (12, Some(4), Metric::Ip, true));
    assert_eq!((info.index.as_str(), info.fingerprint), ("AUTOINDEX", None));
    let hits = store.search_dense(name, None, &vec![0.0, 1.0, 0.0, 0.0], 3).await.unwrap();
    assert_eq!(hits.iter().map(|hit| (hit.id.key(), hit.score)).collect::<Vec<_>>(), [(9, 10.0), (5, 6.0), (1, 2.0)]);
    let chunks = store.get(name, &[hits[0].id]).await.unwrap();
    assert_eq!(chunks[0].text, rows[9].2);
    let found = store.search_keyword(name, "PIGS", 5).await.unwrap();
    assert_eq!(found.iter().map(|hit| hit.id.key()).collect::<Vec<_>>(), [7]);
    let browsed = store.browse(name, 10, 5).await.unwrap();
    assert_eq!(browsed.iter().map(|chunk| chunk.id.key()).collect::<Vec<_>>(), [10, 11]);
    assert_eq!(store.neighbours(name, hits[0].id, 1, 1).await.unwrap(), chunks);

    let foreign =
        |result: Result<(), StoreError>| assert!(matches!(result, Err(StoreError::Foreign { .. })), "{result:?}");
    foreign(store.ensure_collection(name, Some(&fingerprint(Metric::Ip))).await);
    foreign(store.replace_documents(name, vec![numbered(1)]).await);
    foreign(store.remove_documents(name, &["1.md".to_owned()]).await);
    foreign(store.clear_collection(name).await);
    assert_eq!(store.collection(name).await.unwrap().unwrap().passages, 12);
    assert!(store.drop_collection(name).await.unwrap());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn another_programs_collection_in_milvus_lite() {
    let folder = TempDir::new().unwrap();
    a_foreign_collection_is_read(&lite(&folder.path().join("demo.db"), folder.path()), "my_rag_collection").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_programs_collection_in_a_server() {
    let folder = TempDir::new().unwrap();
    let Some(store) = server(folder.path()) else { return };
    a_foreign_collection_is_read(&store, "tutorial_like").await;
}

/// What another machine wrote is found here by its words too, and what it took away is not.
async fn the_keyword_index_follows(here: &MilvusStore, there: &MilvusStore, name: &str) {
    let found = async |query: &str| {
        let hits = here.search_keyword(name, query, 9).await.unwrap();
        here.get(name, &hits.iter().map(|hit| hit.id).collect::<Vec<_>>()).await.unwrap().len()
    };
    there.ensure_collection(name, Some(&fingerprint(Metric::Ip))).await.unwrap();
    there.replace_documents(name, (0..5).map(numbered).collect()).await.unwrap();
    assert_eq!((found("cat3").await, found("dog2").await), (4, 5));
    assert!(here.drop_collection(name).await.unwrap());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_keyword_index_is_made_anew() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("demo.db");
    {
        let store = lite(&file, &folder.path().join("one"));
        store.ensure_collection("faq", Some(&fingerprint(Metric::Ip))).await.unwrap();
        store.replace_documents("faq", (0..70).map(numbered).collect()).await.unwrap();
    }
    let store = lite(&file, &folder.path().join("other"));
    assert_eq!(store.search_keyword("faq", "cat66", 9).await.unwrap().len(), 4);
    assert_eq!(store.browse("faq", 275, 9).await.unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_machines_share_a_server() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (Some(here), Some(there)) = (server(one.path()), server(other.path())) else { return };
    here.drop_collection("shared").await.unwrap();
    the_keyword_index_follows(&here, &there, "shared").await;
}

/// Another program takes the chunks away and leaves the records: everything is indexed again.
#[tokio::test(flavor = "multi_thread")]
async fn records_without_chunks_count_for_nothing() {
    let folder = TempDir::new().unwrap();
    let Some(store) = server(folder.path()) else { return };
    store.drop_collection("bereft").await.unwrap();
    store.ensure_collection("bereft", Some(&fingerprint(Metric::Ip))).await.unwrap();
    store.replace_documents("bereft", (0..3).map(numbered).collect()).await.unwrap();
    let mut config = ConnectConfig::new().uri(std::env::var("ASKDOCS_TEST_MILVUS").unwrap());
    config = config.telemetry(TelemetryConfig::new().enabled(false));
    let other = ClientV2::new(&config).await.unwrap();
    let drop = DropCollectionRequest::builder().collection_name("bereft").build().unwrap();
    other.drop_collection(drop).await.unwrap();

    assert_eq!(store.documents("bereft").await.unwrap(), []);
    store.ensure_collection("bereft", Some(&fingerprint(Metric::Ip))).await.unwrap();
    assert_eq!(store.documents("bereft").await.unwrap(), []);
    store.replace_documents("bereft", vec![numbered(7)]).await.unwrap();
    let info = store.collection("bereft").await.unwrap().unwrap();
    assert_eq!((info.documents, info.passages), (1, 4));
    store.drop_collection("bereft").await.unwrap();
}

/// Another program makes its collection anew with as many rows: the words of the old ones are forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn another_programs_collection_made_anew() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let Some(there) = server(other.path()) else { return };
    let rows = |word: &str| (0..3).map(|id| (id, vec![1.0; 4], format!("{word} {id}"))).collect::<Vec<_>>();
    for word in ["okapi", "lemur"] {
        there.tutorial_collection("anew", 4, rows(word)).await.unwrap();
        // A process of its own each time.
        let here = server(one.path()).unwrap();
        for (query, expected) in [(word, 3), ("okapi", if word == "okapi" { 3 } else { 0 })] {
            assert_eq!(here.search_keyword("anew", query, 9).await.unwrap().len(), expected, "{word} {query}");
        }
    }
    there.drop_collection("anew").await.unwrap();
}
