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
    domain::{Indexed, Metric, Secret},
    store::{
        MilvusStore, StoreError, VectorStore,
        milvus::{MilvusEndpoint, MilvusOptions},
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
