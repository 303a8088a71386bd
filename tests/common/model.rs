//! The real model and the real ONNX Runtime, got once by the program's own code into a cache that all tests share.

#![expect(clippy::expect_used, reason = "no test can go on without the model")]

use std::{
    env,
    path::{Path, PathBuf},
    sync::OnceLock,
    thread,
};

use askdocs::{
    artifacts::{Artifacts, ModelSpec},
    domain::{ModelFiles, Progress},
    embed::FastEmbedder,
};
use tokio_util::sync::CancellationToken;

/// The shared cache: `ASKDOCS_TEST_CACHE`, or else a folder below `target`.
pub fn cache() -> PathBuf {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-cache");
    env::var_os("ASKDOCS_TEST_CACHE").map_or_else(here, PathBuf::from)
}

/// The default model's files and the library that runs them.
pub fn files() -> &'static (ModelFiles, PathBuf) {
    static FILES: OnceLock<(ModelFiles, PathBuf)> = OnceLock::new();
    FILES.get_or_init(|| {
        let get = async {
            let artifacts = Artifacts::from_env(cache());
            let (progress, cancel) = (Progress::default(), CancellationToken::new());
            let library = artifacts.onnx_runtime(&progress, &cancel).await.expect("ONNX Runtime");
            let model = artifacts.embedding_model(&ModelSpec::Default, &progress, &cancel).await.expect("the model");
            (model, library)
        };
        // On a thread of its own, since the caller may be in a runtime already.
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        thread::scope(|scope| scope.spawn(|| runtime().block_on(get)).join().expect("getting the model"))
    })
}

/// The default model, loaded once in a process, with two sessions.
pub fn embedder() -> &'static FastEmbedder {
    static EMBEDDER: OnceLock<FastEmbedder> = OnceLock::new();
    EMBEDDER.get_or_init(|| {
        let (model, library) = files();
        FastEmbedder::load(model, library, 2).expect("the model loads")
    })
}
