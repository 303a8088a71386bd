//! A first day with the built program in a real terminal, from an empty folder on. The model hub, the package index and
//! the chat model are on loopback; what they serve of the first two are the real files.
#![cfg(unix)]

mod common;

use std::{
    collections::HashMap,
    fs,
    io::{self, Cursor, Write},
    path::Path,
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use common::{
    home::Home,
    keys, model,
    model_server::{Exchange, ModelServer},
    pty::Pty,
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

const PATIENCE: Duration = Duration::from_secs(120);

/// Where a server waits until the test has seen what is on the screen meanwhile.
struct Gate(Mutex<Receiver<()>>);

impl Gate {
    /// It opens for good when the other half is dropped.
    fn new() -> (Sender<()>, Self) {
        let (opener, opened) = channel();
        (opener, Self(Mutex::new(opened)))
    }

    fn pass(&self) {
        let _ = self.0.lock().unwrap().recv();
    }
}

/// A model hub below `hub` and a package index below `simple`, which stop in the middle of a large file.
fn mirror(library_gate: Gate, weights_gate: Gate) -> ModelServer {
    const WHEEL: &str = "onnxruntime-1.31.1-py3-none-any.whl";
    let (model, library) = model::files();
    let wheel = wheel(library);
    let folder = model.graph.parent().unwrap();
    ModelServer::start(move |exchange| {
        let path = exchange.request.strip_prefix("GET /v1/").unwrap_or_default().to_owned();
        let name = path.rsplit('/').next().unwrap_or_default();
        let bytes = "application/octet-stream";
        if path == "simple/onnxruntime/" {
            let page = format!("<!DOCTYPE html><a href=\"{WHEEL}\">{WHEEL}</a>");
            exchange.answer("200 OK", "text/html", page.as_bytes())
        } else if path == format!("simple/onnxruntime/{WHEEL}") {
            exchange.answer_in_two("200 OK", bytes, &wheel, || library_gate.pass())
        } else if path == format!("hub/sentence-transformers/all-MiniLM-L6-v2/resolve/main/{name}") {
            let between = || {
                if name == "model.safetensors" {
                    weights_gate.pass()
                }
            };
            exchange.answer_in_two("200 OK", bytes, &fs::read(folder.join(name))?, between)
        } else {
            exchange.answer("404 Not Found", "text/plain", path.as_bytes())
        }
    })
}

/// A wheel with ONNX Runtime in it, as far as `pip download` looks into one.
fn wheel(library: &Path) -> Vec<u8> {
    let name = library.file_name().unwrap().to_str().unwrap();
    let about = "Metadata-Version: 2.1\nName: onnxruntime\nVersion: 1.31.1\n";
    let kind = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [
        (format!("onnxruntime/capi/{name}"), fs::read(library).unwrap()),
        ("onnxruntime-1.31.1.dist-info/METADATA".to_owned(), about.into()),
        ("onnxruntime-1.31.1.dist-info/WHEEL".to_owned(), kind.into()),
        ("onnxruntime-1.31.1.dist-info/RECORD".to_owned(), Vec::new()),
    ] {
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file(name, stored).unwrap();
        zip.write_all(&content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Answers as it is told to, each question in its own way.
struct Parrot {
    answers: Mutex<Receiver<Answer>>,
    /// What it was asked.
    asked: Sender<String>,
}

/// The pieces of an answer.
enum Answer {
    /// Then it says nothing more until nobody listens, which is told.
    Endless(&'static str, Sender<()>),
    /// With something to wait for between the two.
    Whole(&'static str, Gate, &'static str),
}

impl Parrot {
    fn answer(&self, exchange: &mut Exchange) -> io::Result<()> {
        if exchange.request.ends_with("/models") {
            return exchange.answer_models(&["parrot"]);
        }
        let Ok(answer) = self.answers.lock().unwrap().recv() else { return Ok(()) };
        let _ = self.asked.send(exchange.body.clone());
        exchange.begin()?;
        match answer {
            Answer::Endless(start, hung_up) => {
                exchange.delta("content", start)?;
                exchange.wait_for_hanging_up();
                let _ = hung_up.send(());
                Ok(())
            }
            Answer::Whole(start, gate, rest) => {
                exchange.delta("content", start)?;
                gate.pass();
                exchange.delta("content", rest)?;
                exchange.finish("stop")
            }
        }
    }
}

/// A row of the evidence's table.
#[derive(Debug)]
struct Row {
    rank: u32,
    /// The rank before; `None` where there was none.
    was: Option<u32>,
    distance: Option<f32>,
}

/// The rows of the handbook's passages in the evidence's table, by place.
fn table(screen: &str) -> HashMap<String, Row> {
    let row = |line: &str| {
        let mut words = line.strip_prefix('┃')?.trim_start_matches(['▸', '•', ' ']).split_whitespace();
        let rank = words.next()?.parse().ok()?;
        let before: Vec<_> = words.by_ref().take_while(|word| !word.starts_with("handbook/")).collect();
        let place = line.split_whitespace().find(|word| word.starts_with("handbook/"))?;
        let words: Vec<_> = words.collect();
        let scores = words.windows(2).find(|pair| pair[1].starts_with('#'));
        let distance = scores.and_then(|pair| pair[0].parse().ok());
        let was = before.first().and_then(|word| word.trim_end_matches('•').parse().ok());
        Some((place.to_owned(), Row { rank, was, distance }))
    };
    screen.lines().filter_map(row).collect()
}

#[test]
fn a_first_day_from_the_download_to_a_collection_of_ones_own() {
    let home = Home::empty();
    let (open_library, library_gate) = Gate::new();
    let (open_weights, weights_gate) = Gate::new();
    let mirror = mirror(library_gate, weights_gate).url;
    let (hub, index) = (format!("{mirror}/hub"), format!("{mirror}/simple"));
    let mirrors = [
        ("HF_ENDPOINT", hub.as_str()),
        ("PIP_INDEX_URL", index.as_str()),
        ("PIP_CONFIG_FILE", "/dev/null"),
        ("PIP_NO_CACHE_DIR", "1"),
    ];
    let (answers, to_give) = channel();
    let (asked, questions) = channel();
    let parrot = Parrot { answers: Mutex::new(to_give), asked };
    let server = ModelServer::start(move |exchange| parrot.answer(exchange));
    let config =
        format!("[llm]\nprovider = \"custom\"\nbase_url = \"{}\"\nmodel = \"parrot\"\ncitations = true\n", server.url);
    home.write("config.toml", config);
    home.write("tea/tea.md", "# Tea\n\n## What does tea want?\n\nTea wants leaves, and water that is hot.\n");
    home.write("tea/coffee.md", "# Coffee\n\n## What does coffee want?\n\nCoffee wants beans and a mill.\n");

    // Nothing is there yet: the library and the model come, and the handbook is indexed.
    let mut pty = Pty::start_with(home.path(), &[], 40, 130, &mirrors);
    let press = |pty: &mut Pty, key: &str| pty.send(&keys::bytes(key));
    pty.wait_for_frame(&["Ask questions of your own documents"]);
    press(&mut pty, keys::INGEST);
    pty.wait_for_frame(&["downloading ONNX Runtime", " % of ", "waiting for the model"]);
    pty.wait_for("a part of the library", |screen| {
        let text = screen.contents();
        text.contains("downloading ONNX Runtime") && text.contains(" % of ") && !text.contains("  0 % of ")
    });
    drop(open_library);
    pty.wait_for_frame(&[
        "downloading all-minilm-l6-v2: model.safetensors",
        "50 % of 90.9 MB",
        "waiting for the model",
    ]);
    drop(open_weights);
    pty.wait_for_frame(&["all-minilm-l6-v2 · 384 dimensions · ready", "done in", " 0 skipped", "● ready"]);
    press(&mut pty, keys::INGEST);
    pty.wait_for_frame(&["┌ Chat", "● ready"]);

    // An answer is stopped: what has come of it stays, and the server is left alone.
    let (hangs_up, hung_up) = channel();
    answers.send(Answer::Endless("You put them into a drawer", hangs_up)).unwrap();
    pty.send("How do I index my own documents?");
    pty.wait_for_frame(&["> How do I index my own documents?"]);
    press(&mut pty, keys::ASK);
    pty.wait_for_frame(&["You put them into a drawer", "handbook/indexing.md", "◐ answering"]);
    press(&mut pty, keys::STEP_BACK);
    pty.wait_for_frame(&["You put them into a drawer", "■ stopped", "● ready"]);
    hung_up.recv_timeout(PATIENCE).unwrap();
    assert!(questions.recv_timeout(PATIENCE).unwrap().contains("askdocs ingest PATH"));

    // The same question once more, and its answer comes to an end.
    let (open_answer, answer_gate) = Gate::new();
    answers.send(Answer::Whole("You name", answer_gate, " their folder [1].")).unwrap();
    press(&mut pty, "Up");
    pty.wait_for_frame(&["> How do I index my own documents?"]);
    press(&mut pty, keys::ASK);
    pty.wait_for_frame(&["You name", "◐ answering"]);
    drop(open_answer);
    let both = ["You put them into a drawer", "■ stopped", "You name their folder [1].", "● ready"];
    pty.wait_for_frame(&both);
    questions.recv_timeout(PATIENCE).unwrap();

    // What it rests on: distances, and the ranks of another search beside those of the first.
    press(&mut pty, keys::EVIDENCE);
    let first = table(&pty.wait_for_frame(&["Evidence · hybrid", "turn 2", "nearest", "best sentence"]));
    assert!(first.len() > 5 && first.values().all(|row| row.was.is_none()), "{first:?}");
    let best = first.values().find(|row| row.rank == 1).unwrap();
    assert!(best.distance.is_some_and(|distance| distance > 0.5 && distance < 1.0), "{first:?}");
    press(&mut pty, keys::NEXT_MODE);
    let screen = pty.wait_for_frame(&["Searched again", "· dense ·", " was "]);
    let again = table(&screen);
    let known: Vec<_> = again.iter().filter_map(|(place, row)| Some((row, first.get(place)?))).collect();
    assert!(known.len() > 5, "{screen}");
    assert!(known.iter().all(|(now, before)| now.was == Some(before.rank)), "{first:?}\n{screen}");
    assert!(known.iter().all(|(now, before)| now.distance == before.distance), "{first:?}\n{screen}");
    assert!(known.iter().any(|(now, before)| now.rank != before.rank), "{screen}");
    press(&mut pty, keys::STEP_BACK);
    pty.wait_for_frame(&["Evidence · hybrid", "turn 2"]);
    press(&mut pty, keys::EVIDENCE);
    pty.wait_for_frame(&both);

    // Nothing has changed in the handbook.
    press(&mut pty, keys::REINDEX);
    pty.wait_for_frame(&["nothing has changed", "● ready"]);

    // A collection from a folder, which is asked from then on.
    press(&mut pty, keys::COLLECTIONS);
    pty.wait_for_frame(&["Collections · embedded · 1", "in use"]);
    press(&mut pty, keys::NEW);
    pty.wait_for_frame(&["New collection", "path, Tab completes it"]);
    pty.send("tea");
    pty.wait_for_frame(&["New collection", "> tea"]);
    press(&mut pty, "Enter");
    pty.wait_for_frame(&["Its name:"]);
    press(&mut pty, "Enter");
    pty.wait_for_frame(&["Collections · embedded · 2", "tea: indexed 2 documents", "● ready"]);
    press(&mut pty, "Enter");
    pty.wait_for_frame(&["┌ Chat", "tea · 2 passages", "● ready"]);
    answers.send(Answer::Whole("Leaves", Gate::new().1, " and hot water [1].")).unwrap();
    pty.send("What does tea want?");
    pty.wait_for_frame(&["> What does tea want?"]);
    press(&mut pty, keys::ASK);
    pty.wait_for_frame(&["Leaves and hot water [1].", "▸1 tea.md:", "● ready"]);
    let asked = questions.recv_timeout(PATIENCE).unwrap();
    assert!(asked.contains("Tea wants leaves") && !asked.contains("askdocs ingest PATH"), "{asked}");

    // A document more, and it is found.
    home.write("tea/milk.md", "# Milk\n\n## What does milk want?\n\nMilk wants a cold place.\n");
    press(&mut pty, keys::REINDEX);
    pty.wait_for_frame(&["tea · 3 passages", "● ready"]);
    answers.send(Answer::Whole("A cold", Gate::new().1, " place [1].")).unwrap();
    pty.send("What does milk want?");
    pty.wait_for_frame(&["> What does milk want?"]);
    press(&mut pty, keys::ASK);
    pty.wait_for_frame(&["A cold place [1].", "▸1 milk.md:", "● ready"]);
    assert!(questions.recv_timeout(PATIENCE).unwrap().contains("Milk wants a cold place"));
    press(&mut pty, keys::INGEST);
    pty.wait_for_frame(&["done in", "3 in the index · 2 unchanged", "Past runs · 4"]);
    press(&mut pty, keys::INGEST);
    pty.wait_for_frame(&["┌ Chat", "● ready"]);

    press(&mut pty, keys::QUIT_OR_CLEAR);
    pty.wait_for_frame(&["Ctrl-C again quits"]);
    press(&mut pty, keys::QUIT_OR_CLEAR);
    assert_eq!(pty.finish(), 0);
    assert!(pty.left_behind().is_empty(), "{:?}", pty.left_behind());
}
