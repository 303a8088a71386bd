use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
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

fn open(folder: &Path, tuning: Tuning) -> SqliteStore {
    SqliteStore { tuning, ..SqliteStore::open(folder).unwrap() }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn idf(rows: f64, with_word: f64) -> f64 {
    ((rows - with_word + 0.5) / (with_word + 0.5)).ln().max(1e-6)
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
        run(conformance::check(&stores, metric, idf, operations));
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
