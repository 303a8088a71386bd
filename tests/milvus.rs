//! The conformance suite and more against real Milvus: Milvus Lite always, a server where one is named.
//!
//! `.ci/milvus-server cargo test --test milvus` starts a server and sets `ASKDOCS_TEST_MILVUS`.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests may panic")]

#[path = "common/conformance.rs"]
mod conformance;

use std::{
    path::{Path, PathBuf},
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
