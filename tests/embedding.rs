//! The default embedding model, with the real weights and the real runtime.

#[path = "common/model.rs"]
mod model;

use std::fs;

use askdocs::{
    artifacts::{Artifacts, ModelSpec},
    domain::{Pooling, Progress},
    embed::{Embedder, FastEmbedder, Role},
};
use tokio_util::sync::CancellationToken;

const EXAMPLE: &str = "This is an example sentence";

/// The first numbers of the vector that sentence-transformers gives for [`EXAMPLE`].
const KNOWN: [f32; 4] = [0.067_656_9, 0.063_495_9, 0.048_713_1, 0.079_304_9];

fn near(a: &[f32], b: &[f32]) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4)
}

#[test]
fn gives_the_known_vector_at_length_one() {
    let embedder = model::embedder();
    let vectors = embedder.embed(Role::Query, &[EXAMPLE]).unwrap();
    assert!(near(&vectors[0], &KNOWN), "{:?}", &vectors[0][..4]);
    assert_eq!(vectors[0].len(), 384);
    let length = vectors[0].iter().map(|x| x * x).sum::<f32>().sqrt();
    assert!((length - 1.0).abs() < 1e-5, "{length}");

    let fingerprint = embedder.fingerprint();
    assert_eq!(fingerprint.sha256, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db");
    assert_eq!((fingerprint.dim, fingerprint.max_tokens, fingerprint.normalised), (384, 256, true));
}

#[test]
fn a_text_has_the_same_vector_alone_and_among_others_whatever_session_it_met() {
    let texts: Vec<String> = (1..14).map(|n| format!("{EXAMPLE} {}", "of some length ".repeat(n))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let together = model::embedder().embed(Role::Passage, &texts).unwrap();
    assert_eq!(together.len(), texts.len());
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(&model::embedder().embed(Role::Passage, &[text]).unwrap()[0], vector, "{text}");
    }
}

#[test]
fn a_text_is_cut_off_at_256_tokens_but_counted_whole() {
    let embedder = model::embedder();
    let words = |n| vec!["word"; n].join(" ");
    // Two of the 256 are the special tokens around the text.
    let [at_limit, beyond, below] = [254, 300, 253].map(|n| embedder.embed(Role::Passage, &[&words(n)]).unwrap());
    assert_eq!(at_limit, beyond);
    assert_ne!(at_limit, below);
    assert_eq!(embedder.count_tokens(&words(300)), 300);
    assert_eq!(embedder.count_tokens(""), 0);
}

#[test]
fn a_folder_with_a_graph_and_a_tokenizer_is_a_model() {
    let (files, library) = model::files();
    let home = tempfile::tempdir_in(model::cache()).unwrap();
    let folder = home.path().join("mine");
    fs::create_dir(&folder).unwrap();
    for name in ["model.onnx", "model.onnx_data", "model.safetensors", "tokenizer.json"] {
        let (from, to) = (files.graph.with_file_name(name), folder.join(name));
        // Windows keeps a file that somebody reads, whatever its name.
        if cfg!(windows) { fs::copy(from, to).map(drop) } else { fs::hard_link(from, to) }.unwrap();
    }
    let artifacts = Artifacts::from_env(home.path().join("cache"));
    let spec = ModelSpec::find(folder.to_str().unwrap(), Pooling::Mean, 128).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let get = || runtime.block_on(artifacts.embedding_model(&spec, &Progress::default(), &CancellationToken::new()));
    let mine = get().unwrap();

    let embedder = FastEmbedder::load(&mine, library, 1).unwrap();
    assert!(near(&embedder.embed(Role::Query, &[EXAMPLE]).unwrap()[0], &KNOWN));
    assert_eq!((embedder.fingerprint().dim, embedder.fingerprint().max_tokens), (384, 128));

    drop(embedder);
    fs::remove_file(folder.join("model.onnx_data")).unwrap();
    fs::write(folder.join("model.onnx_data"), "other weights").unwrap();
    assert_ne!(get().unwrap().sha256, mine.sha256, "other weights have another fingerprint");
    fs::remove_file(folder.join("tokenizer.json")).unwrap();
    assert!(get().unwrap_err().to_string().contains("has no tokenizer.json"));
}
