//! Bare counterparts for `measure.py`, each a process of its own: a ratatui hello world, and the embedder alone.
//!
//! `parts hello` draws one frame and waits for a key; `parts embed CACHE FILE` loads the model and embeds the texts of a
//! JSON list, one after another through the library's own interface; `parts search HOME QUERY` opens the index, asks
//! the same question 200 times and prints medians.

use std::{path::PathBuf, sync::Arc, time::Instant};

use anyhow::{Context, bail};
use askdocs::{
    artifacts::{Artifacts, ModelSpec},
    config::Paths,
    domain::{Progress, SearchSettings},
    embed::{Embedder, FastEmbedder, Role},
    rag,
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
