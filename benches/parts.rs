//! Bare counterparts for `measure.py`, each a process of its own: a ratatui hello world, and the embedder alone.
//!
//! `parts hello` draws one frame and waits for a key; `parts embed CACHE FILE` loads the model and embeds the texts of a
//! JSON list, one after another through the library's own interface; `parts search HOME QUERY` opens the index, asks
//! the same question 200 times and prints medians; `parts during CACHE FOLDER` asks questions while a folder is indexed
//! and while that ingest is paused, by turns, and prints how much longer they take.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use askdocs::{
    artifacts::{Artifacts, ModelSpec},
    config::Paths,
    domain::{Chunker, Progress, SearchSettings},
    embed::{Embedder, FastEmbedder, Role},
    rag::{self, Ask, AskEvent, IngestJob, Pause, Templates},
    source,
    store::{SqliteStore, VectorStore},
};
use ratatui::{
    crossterm::event,
    widgets::{Block, Paragraph},
};
use tokio_util::sync::CancellationToken;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["hello"] => hello(),
        ["embed", cache, file] => embed(cache.into(), file),
        ["during", cache, folder] => during(cache.into(), folder),
        ["search", home, collection, query] => search(home, collection, query),
        [] => {
            println!("counterparts for benches/measure.py; run that");
            Ok(())
        }
        other => bail!("not understood: {other:?}"),
    }
}

fn hello() -> anyhow::Result<()> {
    let mut terminal = ratatui::try_init()?;
    terminal.draw(|frame| frame.render_widget(Paragraph::new("hello world").block(Block::bordered()), frame.area()))?;
    event::read()?;
    ratatui::try_restore()?;
    Ok(())
}

fn load(cache: PathBuf) -> anyhow::Result<FastEmbedder> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let artifacts = Artifacts::from_env(cache);
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let library = runtime.block_on(artifacts.onnx_runtime(&progress, &cancel))?;
    let files = runtime.block_on(artifacts.embedding_model(&ModelSpec::Default, &progress, &cancel))?;
    let sessions = std::thread::available_parallelism()?.get();
    Ok(FastEmbedder::load(&files, &library, sessions)?)
}

fn embed(cache: PathBuf, file: &str) -> anyhow::Result<()> {
    let texts: Vec<String> = serde_json::from_slice(&std::fs::read(file)?)?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let start = Instant::now();
    let embedder = load(cache)?;
    let loaded = start.elapsed();
    let vectors = embedder.embed(Role::Passage, &texts)?;
    println!("{} vectors, load {loaded:?}, embed {:?}", vectors.len(), start.elapsed() - loaded);
    Ok(())
}

fn search(home: &str, collection: &str, query: &str) -> anyhow::Result<()> {
    let paths = Paths::under(home.as_ref());
    let embedder: Arc<dyn Embedder> = Arc::new(load(paths.cache.clone())?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = SqliteStore::open(&paths.collections())?;
        let info = store.collection(collection).await?.context("no such collection")?;
        let (mut whole, mut alone) = (Vec::new(), Vec::new());
        for _ in 0..200 {
            let start = Instant::now();
            rag::retrieve(&store, Some(&embedder), &info, query, &SearchSettings::default()).await?;
            whole.push(start.elapsed());
            let start = Instant::now();
            embedder.embed(Role::Query, &[query])?;
            alone.push(start.elapsed());
        }
        whole.sort();
        alone.sort();
        let ms = |times: &[std::time::Duration]| times[times.len() / 2].as_secs_f64() * 1e3;
        println!("{{\"search_ms\": {:.3}, \"embed_ms\": {:.3}}}", ms(&whole), ms(&alone));
        Ok(())
    })
}

/// Questions with answers in any manual, of the length that people ask.
const QUESTIONS: [&str; 6] = [
    "How is data stored?",
    "What happens when a node goes away in the middle of a write?",
    "Which index types are there and when should I use which?",
    "How do I delete a collection?",
    "What is the largest number of dimensions?",
    "Can I search and insert at the same time?",
];
const ROUNDS: usize = 10;
/// Between two questions, so that the ingest goes on meanwhile.
const THINKING: Duration = Duration::from_millis(200);

fn during(cache: PathBuf, folder: &str) -> anyhow::Result<()> {
    let embedder: Arc<dyn Embedder> = Arc::new(load(cache)?);
    let home = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let store: Arc<dyn VectorStore> = Arc::new(SqliteStore::open(&home.path().join("collections"))?);
        let (pause, cancel) = (Arc::<Pause>::default(), CancellationToken::new());
        let progress = Arc::<Progress>::default();
        let job = IngestJob {
            store: Arc::clone(&store),
            embedder: Some(Arc::clone(&embedder)),
            collection: "during".to_owned(),
            sources: vec![source::check(folder, Vec::new(), Chunker::Markdown)?],
            force: true,
            shard: None,
        };
        let work = {
            let (progress, pause, cancel) = (Arc::clone(&progress), Arc::clone(&pause), cancel.clone());
            tokio::spawn(async move {
                // Over and over, so that it lasts as long as the questions.
                while !cancel.is_cancelled() {
                    rag::ingest(&job, &progress, &pause, &cancel).await?;
                }
                anyhow::Ok(())
            })
        };
        while progress.chunks_stored() < 300 && !work.is_finished() {
            tokio::time::sleep(THINKING).await;
        }
        let before = resident_mb();
        // [idle, indexing] of each: the search, and the whole answer of quoted sentences.
        let (mut searches, mut answers) = <([Vec<Duration>; 2], [Vec<Duration>; 2])>::default();
        for round in 0..=ROUNDS {
            for (which, paused) in [(0, true), (1, false)] {
                pause.set(paused);
                tokio::time::sleep(Duration::from_secs(1)).await;
                for question in QUESTIONS {
                    let (search, answer) = ask(store.as_ref(), &embedder, question).await?;
                    // The first round makes connections and sessions.
                    if round > 0 {
                        searches[which].push(search);
                        answers[which].push(answer);
                    }
                    tokio::time::sleep(THINKING).await;
                }
            }
        }
        println!("memory: {before:.0} MB before the first question, {:.0} MB after the last", resident_mb());
        cancel.cancel();
        work.await??;
        for (what, times) in [("search", searches), ("whole answer", answers)] {
            let [idle, indexing] = times.map(|mut times| {
                times.sort();
                [0.5, 0.9].map(|part| times[(times.len() as f64 * part) as usize].as_secs_f64() * 1e3)
            });
            println!(
                "{what}: median {:.1} ms idle, {:.1} ms while indexing, ratio {:.2}; p90 {:.1} and {:.1} ms, ratio {:.2}",
                idle[0],
                indexing[0],
                indexing[0] / idle[0],
                idle[1],
                indexing[1],
                indexing[1] / idle[1]
            );
        }
        Ok(())
    })
}

/// How long it takes until the passages are there, and until the answer is.
async fn ask(
    store: &dyn VectorStore,
    embedder: &Arc<dyn Embedder>,
    question: &str,
) -> anyhow::Result<(Duration, Duration)> {
    let start = Instant::now();
    let collection = store.collection("during").await?.context("no such collection")?;
    let templates = Templates { system: String::new(), user: String::new(), citations: false };
    let asked = Ask { store, embedder: Some(embedder), model: None, templates: &templates, collection: &collection };
    let (sender, mut events) = tokio::sync::mpsc::channel(64);
    let mut found = Duration::ZERO;
    let read = async {
        while let Some(event) = events.recv().await {
            if matches!(event, AskEvent::Retrieved(_)) {
                found = start.elapsed();
            }
        }
    };
    let settings = SearchSettings::default();
    let (asked, ()) = tokio::join!(rag::ask(asked, question, &settings, sender), read);
    asked?;
    Ok((found, start.elapsed()))
}

/// Memory of this process, where the system tells; 0 elsewhere.
fn resident_mb() -> f64 {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0) / 1e3
}
