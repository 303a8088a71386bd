//! The built program's commands: what they print, how they end, and what they do with bad input.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic")]

mod common;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::Stdio,
    thread,
};

use common::home::{Home, Ran};
use serde_json::json;

/// Four short documents in two folders.
fn corpus(home: &Home) -> String {
    home.write("kb/storage.md", "# Storage\n\n## Where is data kept?\n\nData is kept in object storage as incremental logs.\n\n## Where is metadata kept?\n\nMetadata is kept in etcd.\n");
    home.write("kb/faq/limits.md", "# Limits\n\nAn insert must not exceed 64 MB.\n");
    home.write("kb/faq/licence.txt", "The software is free of charge, also in production.\n");
    home.path().join("kb").to_str().unwrap().to_owned()
}

#[test]
fn ingest_then_search_then_ask() {
    let home = Home::with_model();
    let kb = corpus(&home);
    let ran = home.run(&["ingest", &kb, "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let report = ran.json();
    assert_eq!((&report["documents"], &report["passages"], &report["unchanged"]), (&json!(3), &json!(4), &json!(0)));

    let found = home.run(&["search", "do I have to pay for it?", "--json", "-k", "2"]).json();
    assert_eq!((found["collection"].as_str(), found["metric"].as_str()), (Some("docs"), Some("ip")));
    assert_eq!(found["hits"].as_array().unwrap().len(), 2);
    let best = &found["hits"][0];
    assert_eq!((best["document"].as_str(), &best["lines"]), (Some("faq/licence.txt"), &json!([1, 1])));
    let dense = best["scores"]["dense"].as_f64().unwrap();
    assert!(dense > 0.2 && dense < 1.0, "{best}");
    assert_eq!(best["scores"]["dense_rank"], 1);

    let keyword = home.run(&["search", "etcd", "--mode", "keyword", "--json"]).json();
    assert_eq!(keyword["hits"][0]["heading"], json!(["Storage", "Where is metadata kept?"]));
    assert_eq!((&keyword["hits"][0]["scores"]["dense"], &keyword["timings_ms"]["embed"]), (&json!(null), &json!(null)));

    let answer = home.run(&["ask", "Where is metadata kept?", "--json"]).json();
    assert!(answer["answer"].as_str().unwrap().contains("Metadata is kept in etcd. [1]"), "{answer}");
    assert_eq!(answer["citations"][0], json!({"number": 1, "passage": true}));
    assert_eq!((&answer["model"], answer["finish_reason"].as_str()), (&json!(null), Some("stop")));

    // Nothing changed; then one document changes, one goes, one comes.
    assert_eq!(home.run(&["ingest", "--json"]).json()["unchanged"], 3);
    home.write("kb/storage.md", "# Storage\n\nEverything lives on tape now.\n");
    std::fs::remove_file(home.path().join("kb/faq/limits.md")).unwrap();
    home.write("kb/new.md", "# New\n\nA page that was not there before.\n");
    let report = home.run(&["ingest", "--json"]).json();
    assert_eq!((&report["documents"], &report["unchanged"], &report["removed"]), (&json!(3), &json!(1), &json!(1)));
    let found = home.run(&["search", "64 MB insert etcd", "--mode", "keyword", "--json"]).json();
    assert_eq!(found["hits"], json!([]), "what is gone is not found");

    let shown = home.run(&["collections", "show", "docs", "--json"]).json();
    assert_eq!(
        (&shown["documents"], &shown["dim"], shown["model"].as_str()),
        (&json!(3), &json!(384), Some("all-minilm-l6-v2"))
    );
    assert_eq!(home.run(&["collections", "drop", "docs"]).code, Some(2), "nobody there to ask");
    assert_eq!(home.run(&["collections", "drop", "docs", "--yes"]).code, Some(0));
    assert_eq!(home.run(&["collections", "list", "--json"]).json(), json!([]));
}

#[test]
fn the_tutorials_chunker_gives_its_passages_and_distances() {
    let home = Home::with_model();
    let file = home.write(
        "faq.md",
        "---\nid: x\n---\n\n# FAQ\n\n#### Where is data stored?\n\nIn logs.\n\n#### Who made it?\n\nPeople.\n",
    );
    let ran = home.run(&[
        "ingest",
        file.to_str().unwrap(),
        "--chunker",
        "split:# ",
        "--collection",
        "my_rag_collection",
        "--json",
    ]);
    assert_eq!(ran.json()["passages"], 4);
    let found = home
        .run(&["search", "where does the data go?", "--mode", "dense", "--collection", "my_rag_collection", "--json"])
        .json();
    assert_eq!(found["hits"][0]["text"], "Where is data stored?\n\nIn logs.\n\n###");
    let order: Vec<f64> =
        found["hits"].as_array().unwrap().iter().map(|hit| hit["scores"]["dense"].as_f64().unwrap()).collect();
    assert!(order.is_sorted_by(|a, b| a >= b), "a larger inner product is nearer: {order:?}");
}

#[test]
fn what_can_not_be_read_is_skipped_with_its_reason() {
    let home = Home::with_model();
    home.write("kb/good.md", "# Good\n\nThis one is fine.\n");
    home.write("kb/empty.md", "");
    home.write("kb/latin1.txt", b"caf\xe9 au lait");
    home.write("kb/binary.md", b"PK\x00\x01\x02");
    // Windows has no such names.
    #[cfg(unix)]
    home.write("kb/evil\u{1b}[2J.md", "");
    let ran = home.run(&["ingest", "kb", "--json"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let report = ran.json();
    assert_eq!(report["documents"], 1);
    let skipped = report["skipped"].as_array().unwrap();
    assert_eq!(skipped.len(), if cfg!(unix) { 4 } else { 3 }, "{report}");
    assert!(!ran.err.contains('\x1b'), "a file's name can't reach the terminal as it is: {:?}", ran.err);

    let ran = home.run(&["ingest", "kb", "no/such/place"]);
    assert_eq!(ran.code, Some(1));
    let place: std::path::PathBuf = ["no", "such", "place"].iter().collect();
    assert!(ran.err.contains(place.to_str().unwrap()), "{ran:?}");
}

#[test]
fn errors_name_the_place_and_end_with_the_right_code() {
    let home = Home::empty();
    home.write("config.toml", "[search]\nkk = 5\n");
    let ran = home.run(&["search", "x"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("config.toml:2:1: unknown key `kk`"), "{ran:?}");
    // A name that was mistyped is looked up where it does not hold.
    home.write("config.toml", "[keys]\nfoo = \"f9\"\n");
    let ran = home.run(&["config", "keys"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(
        ran.err.contains("config.toml:2:1: keys.foo: there is no command \"foo\"; `askdocs config keys`"),
        "{ran:?}"
    );
    assert!(ran.out.contains("\nreindex = [\"ctrl-r\"]"), "{ran:?}");
    home.write("config.toml", "[keys]\nreindex = \"f9\"\nhelp = [\"ctrl-t\"]\n");
    let ran = home.run(&["config", "show"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let conflict = "config.toml:3:1: keys.help: Ctrl-T would do two things at once: help, and ingest";
    assert!(ran.err.contains(conflict), "{ran:?}");
    assert_eq!(home.run(&["config", "init"]).code, Some(1), "what is there is not overwritten");
    std::fs::remove_file(home.path().join("config.toml")).unwrap();
    assert_eq!(home.run(&["config", "init"]).code, Some(0));
    assert_eq!(home.run(&["config", "show"]).code, Some(0));
    // What is told of the keys is a configuration that means the same.
    home.write("config.toml", "[keys]\nreindex = \"f9\"\n");
    let keys = home.run(&["config", "keys"]).out;
    assert!(keys.contains("\nreindex = [\"f9\"]") && keys.contains("\npage-down = [\"pgdn\", \"space\"]"), "{keys}");
    home.write("config.toml", &keys);
    assert_eq!(home.run(&["config", "keys"]).out, keys);

    assert_eq!(home.run(&["search"]).code, Some(2), "usage");
    let ran = home.run(&["search", "x", "--mode", "keyword", "--collection", "nope"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("\"nope\"") && ran.err.contains("hint:"), "{ran:?}");
    let ran = home.run(&["search", "x", "--mode", "keyword", "--collection", "../nope"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("can't be called"), "{ran:?}");
    for command in ["ask", "search"] {
        assert_eq!(home.run(&[command, " "]).code, Some(2));
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let home = Home::empty();
    let mut child =
        home.command(&["completions", "zsh"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

/// A model server that keeps what it was asked and answers in two pieces.
fn model_server() -> (String, thread::JoinHandle<(String, serde_json::Value)>) {
    serve_events(&[
        r#"{"choices":[{"delta":{"content":"In et"}}]}"#,
        r#"{"choices":[{"delta":{"content":"cd [1], surely [7]."},"finish_reason":"stop"}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}"#,
        "[DONE]",
    ])
}

/// A model server that answers one question with these events, then closes the connection.
fn serve_events(events: &'static [&'static str]) -> (String, thread::JoinHandle<(String, serde_json::Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let answer: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{answer}")
            .unwrap();
        (head, serde_json::from_slice(&body).unwrap())
    });
    (url, server)
}

#[test]
fn a_model_is_asked_with_the_tutorials_prompt_and_its_key_is_never_shown() {
    let home = Home::with_model();
    corpus(&home);
    assert_eq!(home.run(&["ingest", "kb", "-q"]).code, Some(0));
    let (url, server) = model_server();
    home.write(
        "config.toml",
        format!("[llm]\nprovider = \"custom\"\nbase_url = \"{url}\"\nmodel = \"tiny\"\napi_key_env = \"SOME_KEY\"\n"),
    );
    let ran = home
        .command(&["ask", "Where is metadata kept?", "-k", "1"])
        .env("SOME_KEY", "sk-very-secret")
        .output()
        .unwrap();
    let ran = Ran::from(ran);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "In etcd [1], surely [7].\n"), "{ran:?}");
    assert!(ran.err.contains("[7] names no passage"), "{ran:?}");
    assert!(!ran.err.contains("sk-very-secret"));

    let (head, body) = server.join().unwrap();
    assert!(head.starts_with("POST /v1/chat/completions"), "{head}");
    assert!(head.contains("Bearer sk-very-secret"));
    assert_eq!((body["model"].as_str(), &body["stream"]), (Some("tiny"), &json!(true)));
    assert_eq!(
        body["messages"][0]["content"],
        "\nHuman: You are an AI assistant. You are able to find answers to the questions from the contextual passage snippets provided.\n"
    );
    let user = body["messages"][1]["content"].as_str().unwrap();
    assert!(user.starts_with("\nUse the following pieces of information enclosed in <context> tags to provide an answer to the question enclosed in <question> tags.\n<context>\n"), "{user}");
    assert!(
        user.contains("Metadata is kept in etcd.")
            && user.ends_with("<question>\nWhere is metadata kept?\n</question>\n"),
        "{user}"
    );

    let json = home.command(&["ask", "x", "--json"]).env("SOME_KEY", "sk-very-secret").output().unwrap();
    let ran = Ran::from(json);
    assert_eq!(ran.code, Some(1), "the server is gone");
    assert!(ran.err.contains("127.0.0.1") && !ran.err.contains("sk-very-secret"), "{ran:?}");
}

/// Indexes the corpus without a model and configures a chat model at this address.
fn with_chat(home: &Home, url: &str) {
    home.write("config.toml", format!("[llm]\nprovider = \"custom\"\nbase_url = \"{url}\"\nmodel = \"tiny\"\n"));
}

/// Without any way to get a model.
fn offline(home: &Home, arguments: &[&str]) -> std::process::Command {
    let mut command = home.command(arguments);
    command.env("HF_ENDPOINT", "http://127.0.0.1:1").env("PATH", home.path());
    command
}

fn ran(mut command: std::process::Command) -> Ran {
    Ran::from(command.output().unwrap())
}

#[test]
fn an_answer_that_is_not_whole_says_so_and_ends_with_3() {
    let home = Home::empty();
    corpus(&home);
    assert_eq!(ran(offline(&home, &["ingest", "kb", "-q"])).code, Some(0));
    for (events, note) in [
        (&[r#"{"choices":[{"delta":{"content":"In [7]"},"finish_reason":"length"}]}"#, "[DONE]"][..], "cut off"),
        (&[r#"{"choices":[{"delta":{"content":"In [7]"}}]}"#], "ended early"),
        (&[r#"{"choices":[{"delta":{"content":"In [7]"},"finish_reason":"content_filter"}]}"#], "content_filter"),
    ] {
        let (url, server) = serve_events(events);
        with_chat(&home, &url);
        let ran = home.run(&["ask", "etcd", "--mode", "keyword", "-q"]);
        server.join().unwrap();
        assert_eq!((ran.code, ran.out.as_str()), (Some(3), "In [7]\n"), "{ran:?}");
        assert!(ran.err.contains(note) && ran.err.contains("[7] names no passage"), "{ran:?}");
        assert_eq!(ran.err.lines().count(), 2, "nothing else when quiet: {ran:?}");
    }
    let (url, server) = serve_events(&[
        r#"{"choices":[{"delta":{"content":"hm, etcd </th"}}]}"#,
        r#"{"choices":[{"delta":{"content":"ink>\n"},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ]);
    with_chat(&home, &url);
    let ran = home.run(&["ask", "etcd", "--mode", "keyword", "-q", "--json"]);
    server.join().unwrap();
    assert_eq!((ran.code, ran.json()["answer"].as_str()), (Some(3), Some("")), "only thought: {ran:?}");
    let quoted = home.run(&["ask", "etcd", "--mode", "keyword", "-q", "--no-llm"]);
    assert_eq!((quoted.code, quoted.err.lines().count()), (Some(0), 1), "{quoted:?}");
    let quoted = home.run(&["ask", "etcd", "--mode", "keyword", "--no-llm", "--json"]).json();
    assert_eq!(quoted["answerer"], "quotes");
}

#[test]
fn without_a_model_it_is_said_once_and_not_tried_for_again_at_once() {
    let home = Home::empty();
    let first = ran(offline(&home, &["search", "etcd"]));
    assert_eq!(first.code, Some(0), "the handbook is searched: {first:?}");
    assert!(first.err.contains("no embedding model, so keyword search only") && !first.err.contains("min ago"));
    assert!(!first.err.contains("no embedding model is loaded"), "said twice: {first:?}");
    assert!(ran(offline(&home, &["search", "etcd"])).err.contains("tried 0 min ago"));
    corpus(&home);
    assert!(!ran(offline(&home, &["ingest", "kb"])).err.contains("min ago"), "indexing tries again");
}

/// Text that would move the cursor, colour, forge a line or turn the reading direction.
#[cfg(unix)]
const HOSTILE: &str = "evil \u{1b}[2J\u{1b}]0;title\u{7} \u{9b}31m \u{202e}txt \u{2066}words\r";

#[cfg(unix)]
fn assert_clean(text: &str) {
    let bad = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!text.contains(bad), "{text:?}");
}

#[cfg(unix)]
#[test]
fn nothing_hostile_reaches_the_terminal() {
    let home = Home::empty();
    let name = "a\n99  forged.md:1\u{1b}[31m\u{202e}.md";
    home.write(&format!("kb/{name}"), format!("# Title {HOSTILE}\n\nSome {HOSTILE} about etcd.\n"));
    home.write("kb/b\n99  forged.md", b"caf\xe9");
    let ingested = ran(offline(&home, &["ingest", "kb"]));
    assert_eq!(ingested.code, Some(3), "one can't be read: {ingested:?}");
    let (url, server) = serve_events(&[
        r#"{"choices":[{"delta":{"content":"In \u001b"}}]}"#,
        r#"{"choices":[{"delta":{"content":"[2Jetcd\u202e \u009b1m\u2066 [1].\r"},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ]);
    with_chat(&home, &url);
    let asked = home.run(&["ask", "etcd", "--mode", "keyword"]);
    server.join().unwrap();
    assert_eq!((asked.code, asked.out.as_str()), (Some(0), "In [2Jetcd 1m [1].\n"), "{asked:?}");
    let found = home.run(&["search", "etcd", "--mode", "keyword"]);
    assert!(found.out.starts_with(" 1  a 99 forged.md:1[31m.md:"), "{found:?}");
    for ran in [&ingested, &asked, &found] {
        assert_clean(&ran.out);
        assert_clean(&ran.err);
        assert!(!ran.out.lines().chain(ran.err.lines()).any(|line| line.starts_with("99")), "{ran:?}");
    }
    // In JSON the very text is there, escaped.
    let json = home.run(&["ask", "etcd", "--mode", "keyword", "--no-llm", "--json"]);
    assert_clean(&json.out);
    assert_eq!(json.json()["hits"][0]["document"], name);
    assert!(json.json()["hits"][0]["text"].as_str().unwrap().contains("\u{1b}[2J"), "{json:?}");
}

#[test]
fn the_store_is_named_by_the_argument_or_the_environment_or_the_file() {
    let home = Home::empty();
    let list = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = home.command(&[&["collections", "list"], arguments].concat());
        ran_with(&mut command, environment)
    };
    let bad = ("MILVUS_URI", "ftp://h");
    assert_eq!(list(&["--store", "embedded"], &[bad]).code, Some(0), "the argument goes first");
    let named = list(&[], &[bad]);
    assert!(named.code == Some(2) && named.err.contains("MILVUS_URI: "), "{named:?}");
    home.write("config.toml", "[store]\nuri = \"./from_file.db\"\n");
    let named = list(&[], &[]);
    assert!(named.code == Some(1) && named.err.contains("no Milvus Lite file") && named.err.contains("from_file.db"));
    assert!(home.run(&["config", "show", "--store", "https://h"]).out.contains("uri = \"https://h:443\""));
    assert_eq!(list(&[], &[("MILVUS_URI", "embedded")]).code, Some(0), "the environment goes before the file");

    home.write("config.toml", "[store]\nuri = \"http://root:hunter2@h\"\n");
    for refused in [list(&[], &[]), list(&["--store", "https://root:hunter2@h"], &[])] {
        assert!(refused.code == Some(2) && refused.err.contains("MILVUS_TOKEN"), "{refused:?}");
        assert!(!refused.err.contains("hunter2"), "{refused:?}");
    }
    assert!(list(&[], &[]).err.contains("config.toml:2:1: store.uri"));
    std::fs::remove_file(home.path().join("config.toml")).unwrap();

    let secret = ("MILVUS_TOKEN", "root:hunter2");
    let open = list(&["--store", "http://milvus.example:19530"], &[secret]);
    assert!(open.code == Some(2) && open.err.contains("in the open") && !open.err.contains("hunter2"), "{open:?}");
    // Nobody listens on port 1; to this machine the token may go.
    home.write("config.toml", "[store]\nconnect_timeout_s = 1\n");
    let away = list(&["--store", "http://127.0.0.1:1"], &[secret]);
    assert!(away.code == Some(1) && away.err.contains("127.0.0.1:1") && !away.err.contains("hunter2"), "{away:?}");
}

fn ran_with(command: &mut std::process::Command, environment: &[(&str, &str)]) -> Ran {
    Ran::from(command.envs(environment.iter().copied()).output().unwrap())
}

#[cfg(unix)]
#[test]
fn somebodys_milvus_is_not_filled_with_the_handbook() {
    let home = Home::with_model();
    corpus(&home);
    let lite = |arguments: &[&str]| home.run(&[arguments, &["--store", "./milvus_demo.db"]].concat());
    let missing = lite(&["search", "etcd"]);
    assert!(missing.code == Some(1) && missing.err.contains("askdocs ingest PATH --store"), "{missing:?}");
    assert!(!home.path().join("milvus_demo.db").exists(), "reading makes no file");

    assert_eq!(lite(&["ingest", "kb", "--collection", "own", "-q"]).code, Some(0));
    for command in [&["search", "etcd"][..], &["ask", "etcd"], &["search", "etcd", "--mode", "keyword"], &["ingest"]] {
        let empty = lite(command);
        assert!(
            empty.code == Some(1) && empty.err.contains("\"docs\"") && empty.err.contains("ingest PATH"),
            "{empty:?}"
        );
    }
    let empty = lite(&["search", "etcd", "--collection", "handbook"]);
    assert!(empty.code == Some(1) && empty.err.contains("\"handbook\""), "{empty:?}");

    let all = lite(&["collections", "list", "--json"]).json();
    assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
    assert_eq!((&all[0]["name"], &all[0]["passages"], &all[0]["dim"]), (&json!("own"), &json!(4), &json!(384)));
    assert_eq!((&all[0]["metric"], &all[0]["foreign"]), (&json!("ip"), &json!(false)));
    assert!(all[0]["store"].as_str().unwrap().contains("milvus_demo.db"), "{all}");
    let shown = lite(&["collections", "show", "own"]);
    for part in ["rows        4", "dimension   384", "all-minilm-l6-v2 (sha256 53aa51172d14…)", "made from"] {
        assert!(shown.out.contains(part), "{part}: {shown:?}");
    }
    let rows = |offset: &str| lite(&["collections", "rows", "own", "-n", "3", "--offset", offset, "--json"]).json();
    let texts: Vec<String> = ["0", "3"]
        .into_iter()
        .flat_map(|offset| rows(offset)["rows"].as_array().unwrap().clone())
        .map(|row| row["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(texts.len(), 4, "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("free of charge")), "{texts:?}");
    assert!(lite(&["collections", "rows", "own"]).out.contains("faq/limits.md:"));

    let found = lite(&["search", "where is metadata?", "--collection", "own", "--json", "-k", "1"]).json();
    assert!(found["hits"][0]["text"].as_str().unwrap().contains("etcd"), "{found}");
    assert_eq!(lite(&["collections", "drop", "own"]).code, Some(2), "nobody there to ask");
    let dropped = lite(&["collections", "drop", "own", "--yes"]);
    assert!(dropped.err.contains("milvus_demo.db: 3 documents, 4 passages"), "{dropped:?}");
    assert_eq!(lite(&["collections", "list", "--json"]).json(), json!([]));
}

#[cfg(unix)]
#[test]
fn a_collection_goes_to_milvus_and_back_without_being_embedded_again() {
    let home = Home::with_model();
    corpus(&home);
    assert_eq!(home.run(&["ingest", "kb", "-q"]).code, Some(0));
    let found = |store: &str, collection: &str| {
        let arguments = ["search", "where is metadata?", "--json", "--store", store, "--collection", collection];
        let hits = home.run(&arguments).json()["hits"].as_array().unwrap().clone();
        hits.iter().map(|hit| (hit["id"].clone(), hit["scores"]["dense_rank"].clone())).collect::<Vec<_>>()
    };
    let there = home.run(&["copy", "embedded", "./milvus_demo.db", "--json"]);
    let report = there.json();
    assert_eq!((&report["documents"], &report["passages"], &report["compared"]), (&json!(3), &json!(4), &json!(4)));
    let back = home.run(&["copy", "milvus_demo.db", "embedded", "--as", "back"]);
    assert!(back.code == Some(0) && back.out.starts_with("back in embedded: 3 documents, 4 passages"), "{back:?}");
    let here = found("embedded", "docs");
    assert_eq!(here.len(), 4);
    assert_eq!((found("milvus_demo.db", "docs"), found("embedded", "back")), (here.clone(), here));
    assert_eq!(home.run(&["copy", "embedded", "milvus_demo.db", "--json"]).json()["unchanged"], 3);

    for onto_itself in [["copy", "embedded", "embedded"], ["copy", "./milvus_demo.db", "milvus_demo.db"]] {
        let refused = home.run(&onto_itself);
        assert!(refused.code == Some(2) && refused.err.contains("--as NAME"), "{refused:?}");
    }
    assert_eq!(home.run(&["copy", "./nowhere.db", "embedded"]).code, Some(1));
    assert!(!home.path().join("nowhere.db").exists());
    let mut both = home.command(&["copy", "http://127.0.0.1:1", "https://elsewhere.example"]);
    let both = ran_with(&mut both, &[("MILVUS_TOKEN", "root:hunter2")]);
    assert!(both.code == Some(2) && both.err.contains("--to-token-env") && !both.err.contains("hunter2"), "{both:?}");
}

#[cfg(unix)]
#[test]
fn the_tutorial_makes_its_collection_and_asks_its_question() {
    let home = Home::with_model();
    let text = "# FAQ\n\n#### Where does Milvus store data?\n\nIn logs.\n\n#### Who made it?\n\nPeople.\n";
    home.write("faq/product_faq.md", text);
    let run = |arguments: &[&str]| home.run(&[&["tutorial", "faq", "--store", "./milvus_demo.db"], arguments].concat());
    assert!(home.run(&["tutorial", "faq"]).err.contains("hint: --store ./milvus_demo.db"));
    let empty = home.run(&["tutorial", ".", "--store", "./milvus_demo.db"]);
    assert!(empty.code == Some(2) && empty.err.contains("en/faq"), "{empty:?}");

    let first = run(&[]);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(first.err.contains("4 rows of 384 dimensions") && first.out.contains("Where does Milvus store data?"));
    assert!(first.out.matches("  ip 0.").count() == 3, "{first:?}");
    assert_eq!(run(&[]).code, Some(2), "what is there is not dropped unasked");
    let again = run(&["--yes", "--json"]);
    assert_eq!(again.json()["collection"], "my_rag_collection", "{again:?}");
    let (url, server) = model_server();
    with_chat(&home, &url);
    let answered = run(&["--yes"]);
    server.join().unwrap();
    assert!(answered.code == Some(0) && answered.out.ends_with("In etcd [1], surely [7].\n"), "{answered:?}");
}

/// Like Ctrl-C.
#[cfg(unix)]
fn interrupt(child: &std::process::Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

#[cfg(unix)]
#[test]
fn an_interrupted_ingest_ends_with_130_and_the_next_one_goes_on() {
    let home = Home::with_model();
    for page in 0..40 {
        let text: String =
            (0..12).map(|i| format!("## Part {i}\n\nWhat {i} means to page {page}, at length.\n\n")).collect();
        home.write(&format!("kb/{page}.md"), text);
    }
    let mut child = home.command(&["ingest", "kb"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // It indexes from the moment that there is a collection.
    while !home.path().join("data/collections/docs.db").exists() {
        thread::yield_now();
    }
    interrupt(&child);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains("the same command continues"), "{said}");
    let report = home.run(&["ingest", "kb", "--json"]).json();
    assert_eq!((&report["documents"], &report["interrupted"]), (&json!(40), &json!(false)));
}

#[cfg(target_os = "linux")]
#[test]
fn a_question_that_is_waited_for_can_be_left() {
    let home = Home::empty();
    let mut child = home.command(&["ask", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    // Until it listens: the mask of caught signals has SIGINT's bit.
    let listens = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap() & 2 != 0
    };
    while !listens() {
        thread::yield_now();
    }
    interrupt(&child);
    // Its standard input is open still.
    let input = child.stdin.take();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(input);
}

#[test]
fn doctor_says_what_is_wrong_and_what_to_do() {
    let home = Home::with_model();
    let well = home.run(&["doctor", "--json"]);
    assert_eq!((well.code, &well.json()["ok"]), (Some(0), &json!(true)), "{well:?}");

    home.write("data/collections/docs.db", "not a database at all, but long enough to be looked at as one".repeat(40));
    home.write("data/collections/new.db", "");
    let ill = home.run(&["doctor", "--json"]);
    assert_eq!(ill.code, Some(1), "{ill:?}");
    assert!(ill.json()["next"].as_str().unwrap().contains("collections drop"), "{ill:?}");
    let checks = ill.json()["checks"].as_array().unwrap().clone();
    assert!(checks.iter().filter(|check| check["state"] == "failed").all(|check| check["next"].is_string()), "{ill:?}");
    let listed = home.run(&["collections", "list"]);
    assert!(listed.code == Some(0) && listed.err.contains("collection docs can't be read"), "{listed:?}");
    assert_eq!(home.run(&["collections", "drop", "docs", "--yes"]).code, Some(0));

    home.write("config.toml", "[embed]\nmodel = \"nowhere\"\n[llm]\nprovider = \"custom\"\nbase_url = \"http://127.0.0.1:1\"\nmodel = \"m\"\n");
    let ill = home.run(&["doctor"]);
    assert_eq!(ill.code, Some(1), "{ill:?}");
    assert!(ill.out.contains("FAILED model") && ill.out.contains("FAILED chat model"), "{ill:?}");
    assert!(ill.out.contains("\nnext: the nearest names are"), "{ill:?}");
}

#[cfg(unix)]
#[test]
fn doctor_says_for_each_store_what_was_tried_and_what_answered() {
    let home = Home::with_model();
    let doctor = |arguments: &[&str], environment: &[(&str, &str)]| {
        let ran = ran_with(&mut home.command(&[&["doctor", "--json"], arguments].concat()), environment);
        let checks = ran.json()["checks"].as_array().unwrap().clone();
        let found = |name: &str| {
            let check = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}: {ran:?}"));
            format!("{}: {}", check["state"].as_str().unwrap(), check["found"].as_str().unwrap())
        };
        assert!(!ran.out.contains("hunter2") && !ran.err.contains("hunter2"), "{ran:?}");
        (ran.code, found("store"), ran.json()["next"].as_str().unwrap_or_default().to_owned())
    };
    let (code, found, _) = doctor(&[], &[]);
    assert!(
        code == Some(0) && found.starts_with("ok: embedded: SQLite 3") && found.contains("in the engine"),
        "{found}"
    );

    home.write("config.toml", "[store]\nconnect_timeout_s = 1\n");
    let secret = ("MILVUS_TOKEN", "root:hunter2");
    let (code, found, next) = doctor(&["--store", "http://127.0.0.1:1"], &[secret]);
    assert_eq!(code, Some(1));
    assert!(found.starts_with("failed: Milvus http://127.0.0.1:1 can't be reached"), "{found}");
    assert!(found.ends_with("(with the token in MILVUS_TOKEN)") && !next.is_empty(), "{found} {next}");
    let (_, found, _) = doctor(&["--store", "http://127.0.0.1:1"], &[]);
    assert!(found.ends_with("(without a token: MILVUS_TOKEN is not set)"), "{found}");
    let (code, _, next) = doctor(&[], &[("MILVUS_URI", "http://root:hunter2@h")]);
    assert!(code == Some(1) && next.contains("MILVUS_TOKEN"), "{next}");

    home.write("config.toml", "[store]\nuri = \"https://127.0.0.1:1\"\nca_certificate = \"nowhere.pem\"\n");
    let unreadable = home.run(&["doctor"]);
    assert!(unreadable.out.contains("FAILED certificate") && unreadable.out.contains("nowhere.pem"), "{unreadable:?}");
    std::fs::remove_file(home.path().join("config.toml")).unwrap();

    corpus(&home);
    let lite = ["--store", "./milvus_demo.db"];
    let (code, found, next) = doctor(&lite, &[]);
    assert!(
        code == Some(0) && found.contains("no such file yet") && next.contains("ingest PATH --store"),
        "{found} {next}"
    );
    assert!(!home.path().join("milvus_demo.db").exists(), "it changes nothing");
    assert_eq!(home.run(&["ingest", "kb", "-q", lite[0], lite[1]]).code, Some(0));
    let (code, found, _) = doctor(&lite, &[]);
    assert!(code == Some(0) && found.contains("1 collection: docs") && found.contains("on this machine"), "{found}");
}

#[test]
fn a_source_is_shown_without_its_query_and_folders_are_private() {
    let home = Home::empty();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/page.md?key=hunter2", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut String::new()).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/markdown\r\ncontent-length: 8\r\nconnection: close\r\n\r\n# Etcd\n\n").unwrap();
    });
    let ingested = ran(offline(&home, &["ingest", &url]));
    server.join().unwrap();
    assert_eq!(ingested.code, Some(0), "{ingested:?}");
    for json in [&["--json"][..], &[]] {
        let shown = home.run(&[&["collections", "show", "docs"], json].concat());
        assert!(shown.out.contains("/page.md?…") && !shown.out.contains("hunter2"), "{shown:?}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(home.path().join("data")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
