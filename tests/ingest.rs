//! Indexing through the built program: cut off and continued, changed models, sources that meet.

mod common;

use std::{fs, path::Path};

use common::{
    home::{Home, link_folder},
    model,
};
use serde_json::{Value, json};

/// Pages that take a while to embed.
fn many_pages(home: &Home, pages: usize) {
    for page in 0..pages {
        let text: String = (0..12)
            .map(|i| format!("## Part {i} of page {page}\n\nThis part tells what number {} means to page {page}, at some length and with {} reasons.\n\n", page * 7 + i, i + 2))
            .collect();
        home.write(&format!("kb/page{page:03}.md"), format!("# Page {page}\n\n{text}"));
    }
}

/// Documents and passages of the default collection, which may not be there yet.
fn stored(home: &Home) -> (u64, u64) {
    let shown = home.run(&["collections", "show", "docs", "--json"]);
    let count = |name: &str| shown.json()[name].as_u64().unwrap();
    if shown.code == Some(0) { (count("documents"), count("passages")) } else { (0, 0) }
}

fn hits(home: &Home, query: &str) -> Vec<(Value, Value, Value)> {
    let found = home.run(&["search", query, "--json", "-k", "20"]).json();
    let hits = found["hits"].as_array().unwrap();
    hits.iter().map(|hit| (hit["id"].clone(), hit["document"].clone(), hit["scores"].clone())).collect()
}

#[test]
fn an_ingest_that_was_killed_is_continued_and_ends_as_if_it_had_not_been() {
    let whole = Home::with_model();
    many_pages(&whole, 40);
    assert_eq!(whole.run(&["ingest", "kb", "-q"]).code, Some(0));

    let cut = Home::with_model();
    many_pages(&cut, 40);
    let mut kept = 0;
    for _ in 0..3 {
        let mut child = cut.command(&["ingest", "kb", "-q"]).spawn().unwrap();
        // Killed once it has stored something new, whatever it is doing then.
        while child.try_wait().unwrap().is_none() && stored(&cut).0 <= kept {}
        child.kill().unwrap();
        child.wait().unwrap();
        let (documents, passages) = stored(&cut);
        assert!(documents > kept || kept == 40, "what was stored stays: {documents} after {kept}");
        assert_eq!(passages, documents * 12, "no document is there in part");
        kept = documents;
    }
    let report = cut.run(&["ingest", "kb", "--json"]).json();
    assert_eq!((&report["documents"], &report["passages"]), (&json!(40), &json!(480)));
    assert_eq!(report["unchanged"].as_u64(), Some(kept), "and is not embedded again");
    for query in ["what does number 19 mean?", "page 7 part 3", "reasons"] {
        assert_eq!(hits(&cut, query), hits(&whole, query), "{query}");
    }
}

#[test]
fn a_collection_of_another_model_is_refused_until_it_is_embedded_anew() {
    let home = Home::with_model();
    home.write("kb/a.md", "# Cats\n\nCats sleep for most of the day.\n");
    home.write("more/b.md", "# Dogs\n\nDogs like to run.\n");
    assert_eq!(home.run(&["ingest", "kb", "more", "-q"]).code, Some(0));

    // The same weights, pooled otherwise: other vectors.
    let (files, _) = model::files();
    let folder = home.path().join("own-model");
    link_folder(files.graph.parent().unwrap(), &folder);
    home.write(
        "config.toml",
        format!("[embed]\nmodel = {:?}\npooling = \"cls\"\nmax_tokens = 128\n", folder.to_str().unwrap()),
    );
    for command in [&["search", "cats"][..], &["ask", "cats"], &["ingest"], &["doctor"]] {
        let mut ran = home.run(command);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        ran.err.push_str(&ran.out);
        assert!(
            ran.err.contains("all-minilm-l6-v2") && ran.err.contains("own-model") && ran.err.contains("ingest --force"),
            "{ran:?}"
        );
    }
    assert_eq!(home.run(&["search", "cats", "--mode", "keyword"]).code, Some(0), "words need no model");

    // Starting over needs every source: while one is missing, nothing is lost.
    let away = home.path().join("away");
    fs::rename(home.path().join("more"), &away).unwrap();
    assert_eq!(home.run(&["ingest", "kb", "--force"]).code, Some(1));
    let shown = home.run(&["collections", "show", "docs", "--json"]).json();
    assert_eq!((&shown["documents"], shown["sources"].as_array().unwrap().len()), (&json!(2), 2));
    fs::rename(&away, home.path().join("more")).unwrap();

    let report = home.run(&["ingest", "kb", "--force", "--json"]).json();
    assert_eq!(report["documents"], 2, "all that the collection was made from is embedded anew: {report}");
    let found = home.run(&["search", "what do cats do?", "--json"]).json();
    assert_eq!(found["hits"][0]["document"], "a.md");
    assert_eq!(home.run(&["collections", "show", "docs", "--json"]).json()["model"], "own-model");
}

#[test]
fn sources_that_meet_keep_their_documents_apart() {
    let home = Home::with_model();
    home.write("one/README.md", "# One\n\nThe first readme tells of apples.\n");
    home.write("two/README.md", "# Two\n\nThe second readme tells of pears.\n");
    assert_eq!(home.run(&["ingest", "one", "-q"]).code, Some(0));
    assert_eq!(home.run(&["ingest", "two", "-q"]).code, Some(0));
    let documents = |home: &Home| {
        let mut names: Vec<String> =
            hits(home, "readme").into_iter().map(|hit| hit.1.as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(documents(&home), ["README.md", "two/README.md"]);
    // Again, in any order: the names stay and nothing is embedded twice.
    let report = home.run(&["ingest", "--json"]).json();
    assert_eq!((&report["documents"], &report["unchanged"]), (&json!(2), &json!(2)));
    assert_eq!(documents(&home), ["README.md", "two/README.md"]);
    // The same file by itself is the same document, not a second one.
    assert_eq!(home.run(&["ingest", "one/README.md", "-q"]).code, Some(0));
    assert_eq!(documents(&home), ["README.md", "two/README.md"]);
    // A file and the folder that it lies in: one document, however often and in whatever order they are indexed.
    home.write("one/sub/deep.md", "# Deep\n\nA deep page tells of plums in a readme.\n");
    for sources in [&["one"][..], &["one/sub/deep.md"], &[], &[]] {
        let ran = home.run(&[&["ingest", "-q"], sources].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(documents(&home), ["README.md", "sub/deep.md", "two/README.md"], "{sources:?}");
    }
    // Another way of cutting replaces what was there.
    assert_eq!(home.run(&["ingest", "two", "--chunker", "split:# ", "-q"]).code, Some(0));
    let found = home.run(&["search", "pears", "--mode", "keyword", "--json"]).json();
    assert_eq!(found["hits"][0]["text"], "Two\n\nThe second readme tells of pears.\n");
    assert_eq!(found["hits"].as_array().unwrap().len(), 1);
}

#[test]
fn a_remembered_source_that_is_away_keeps_its_documents_and_holds_up_no_other() {
    let home = Home::with_model();
    home.write("one/a.md", "# Cats\n\nCats sleep for most of the day.\n");
    home.write("two/b.md", "# Dogs\n\nDogs like to run.\n");
    assert_eq!(home.run(&["ingest", "one", "two", "-q"]).code, Some(0));
    fs::rename(home.path().join("one"), home.path().join("away")).unwrap();
    home.write("two/c.md", "# Birds\n\nBirds sing in the morning.\n");
    let ran = home.run(&["ingest", "--json"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(Path::new(ran.json()["skipped"][0]["document"].as_str().unwrap()).ends_with("one"), "{ran:?}");
    assert_eq!(hits(&home, "cats dogs birds").len(), 3);
    assert_eq!(home.run(&["ingest", "one"]).code, Some(1), "named, it is an error before any work");
}

#[test]
fn a_collection_that_lost_all_its_documents_is_still_the_one_to_index() {
    let home = Home::empty();
    home.write("kb/a.md", "# Cats\n\nCats sleep for most of the day.\n");
    assert_eq!(home.run(&["ingest", "kb", "-q"]).code, Some(0));
    fs::remove_file(home.path().join("kb/a.md")).unwrap();
    home.write("other/b.md", "# Dogs\n\nDogs like to run.\n");
    assert_eq!(home.run(&["ingest"]).code, Some(3), "its documents stay");
    assert_eq!(home.run(&["ingest", "other", "-q"]).code, Some(0));
    fs::remove_dir_all(home.path().join("other")).unwrap();
    fs::remove_dir_all(home.path().join("kb")).unwrap();
    assert_eq!(home.run(&["ingest", "--force", "--json"]).json()["removed"], 2);
    home.write("kb/a.md", "# Cats\n\nCats are back.\n");
    let ran = home.run(&["ingest"]);
    assert!(ran.out.starts_with("docs: 1 document, 1 passage"), "{ran:?}");
}

#[test]
fn without_a_model_no_vector_is_thrown_away() {
    let home = Home::with_model();
    home.write("kb/a.md", "# Cats\n\nCats sleep for most of the day.\n");
    assert_eq!(home.run(&["ingest", "kb", "-q"]).code, Some(0));
    let offline = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so");
        common::home::Ran::from(command.output().unwrap())
    };
    let ran = offline(&["ingest", "--force"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("needs the embedding model"), "{ran:?}");
    assert_eq!(offline(&["ingest", "--json"]).json()["unchanged"], 1);
    // What changed is found by its words, and embedded when the model is back.
    home.write("kb/a.md", "# Cats\n\nCats purr.\n");
    assert_eq!(offline(&["ingest", "-q"]).code, Some(0));
    assert_eq!(offline(&["search", "purr", "--json"]).json()["hits"][0]["scores"]["dense"], json!(null));
    assert_eq!(home.run(&["ingest", "--json"]).json()["unchanged"], 0);
    assert!(home.run(&["search", "purr", "--json"]).json()["hits"][0]["scores"]["dense"].is_f64());
}

#[test]
fn a_folder_that_can_not_be_written_leaves_the_old_index_answering() {
    let home = Home::with_model();
    home.write("kb/a.md", "# Cats\n\nCats sleep for most of the day.\n");
    assert_eq!(home.run(&["ingest", "kb", "-q"]).code, Some(0));
    home.write("kb/b.md", "# Dogs\n\nDogs like to run.\n");
    // The write lock is a file; where a folder stands in its place no write can begin, whoever runs this.
    let lock = home.path().join("data/collections/docs.lock");
    let _ = fs::remove_file(&lock);
    fs::create_dir(&lock).unwrap();
    let ran = home.run(&["ingest"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("docs.lock"), "{ran:?}");
    assert_eq!(hits(&home, "cats").len(), 1);
}
