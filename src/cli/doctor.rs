use std::{env, fs};

use serde::Serialize;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    Outcome, UsageError,
    args::{Args, DoctorOptions},
    engine,
    output::Output,
    wire::{self, Wiring},
};
use crate::{
    artifacts::ArtifactError,
    chat::Probe,
    config::{Paths, Place, Store},
    domain::CollectionInfo,
    rag::RagError,
    store::{Capabilities, KeywordIndex, StoreError},
    text::counted,
};

/// Most collections that are listed by name.
const LISTED: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// Works, but not fully, or not yet.
    Note,
    Failed,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    found: String,
    /// What to do about it.
    next: Option<String>,
}

impl Check {
    fn new(name: &'static str, state: State, found: impl Into<String>) -> Self {
        Self { name, state, found: found.into(), next: None }
    }

    fn next(self, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..self }
    }

    /// An error whose hint is the next step.
    fn failed(name: &'static str, error: &anyhow::Error) -> Self {
        let text = format!("{error:#}");
        let parts = ["; hint: ", "\nhint: "].into_iter().find_map(|mark| text.split_once(mark));
        // Where nothing better is known, what has to be put right is what was found.
        let (what, hint) = parts.unwrap_or((&text, &text));
        Self::new(name, State::Failed, what).next(hint)
    }
}

/// Looks at everything that the program needs; downloads nothing and changes nothing. Exit code 1 when something that
/// is needed failed.
pub async fn run(
    args: &Args,
    options: &DoctorOptions,
    output: &Output,
    cancel: &CancellationToken,
) -> anyhow::Result<Outcome> {
    let Some(checks) = cancel.run_until_cancelled(look(args)).await else { return Ok(Outcome::Interrupted) };
    let failed = checks.iter().any(|check| check.state == State::Failed);
    let worst = |state| checks.iter().find(move |check| check.state == state && check.next.is_some());
    let next = worst(State::Failed).or_else(|| worst(State::Note)).and_then(|check| check.next.clone());
    if options.json {
        output.json(&serde_json::json!({ "ok": !failed, "checks": checks, "next": next }))?;
    } else {
        for check in &checks {
            let mark = match check.state {
                State::Ok => "ok    ",
                State::Note => "note  ",
                State::Failed => "FAILED",
            };
            output.strong_line(
                &format!("{mark} {:<14}", check.name),
                &check.found.replace('\n', "\n                      "),
            )?;
        }
        output.line(&format!(
            "\nnext: {}",
            next.as_deref().unwrap_or("nothing to do; `askdocs` opens the application")
        ))?;
    }
    if failed { anyhow::bail!("something that is needed does not work; see above") } else { Ok(Outcome::Done) }
}

async fn look(args: &Args) -> Vec<Check> {
    let paths = match Paths::find() {
        Ok(paths) => paths,
        Err(error) => return vec![Check::failed("folders", &error.into())],
    };
    let file = args.config.as_ref().unwrap_or(&paths.config_file).display().to_string();
    // A token that is cancelled from the start lets nothing be downloaded, whatever is found wrong with the files.
    let offline = CancellationToken::new();
    offline.cancel();
    let wiring = match Wiring::new(args, &offline) {
        Ok(wiring) => wiring,
        // What the command line or the environment says brings its own next step.
        Err(error) if error.is::<UsageError>() => return vec![Check::failed("store", &error)],
        Err(error) => {
            return vec![
                Check::failed("configuration", &error)
                    .next(format!("mend {file}; `askdocs config init` writes a good one where there is none")),
            ];
        }
    };
    let there = fs::exists(&file).unwrap_or(false);
    let found = if there { file } else { format!("{file} (not there: defaults)") };
    let mut checks = vec![Check::new("configuration", State::Ok, found)];
    checks.push(Check::new(
        "folders",
        State::Ok,
        format!("data {}, cache {}", paths.data.display(), paths.cache.display()),
    ));
    let (of_store, collection) = store(&wiring, &offline).await;
    checks.extend(of_store);
    checks.push(model(&wiring, &offline, collection.as_ref()).await);
    checks.push(chat(&wiring).await);
    checks
}

/// Also gives the collection that would be used.
async fn store(wiring: &Wiring, offline: &CancellationToken) -> (Vec<Check>, Option<CollectionInfo>) {
    let mut checks = beforehand(wiring, offline).await;
    if checks.iter().any(|check| check.next.is_some()) {
        return (checks, None);
    }
    let answered = async {
        let store = wiring.store()?;
        let Store { connect_timeout, call_timeout, .. } = wiring.config.store;
        // Calls have limits of their own; this one is for whatever has none.
        let limit = connect_timeout + 3 * call_timeout;
        let health = timeout(limit, store.check())
            .await
            .map_err(|_| anyhow::anyhow!("{} said nothing for {} s", store.describe(), limit.as_secs()))??;
        let all = store.collections().await?;
        // One that can't be read is among those already.
        let name = wiring.collection_name(store.as_ref()).await.ok();
        let unreadable = store.unreadable().await?;
        Ok::<_, anyhow::Error>((store, health, all, unreadable, name))
    };
    let token = token(&wiring.config.store);
    let (store, health, all, unreadable, name) = match answered.await {
        Ok(answered) => answered,
        Err(error) => {
            let check = Check::failed("store", &error);
            let found = format!("{}{token}", check.found);
            checks.push(Check { found, ..check });
            return (checks, None);
        }
    };
    let Capabilities { atomic_replace, keywords, needs_vectors: _ } = store.capabilities();
    checks.push(Check::new(
        "store",
        State::Ok,
        format!(
            "{}{token}: {} answers in {:.1} ms; {}\n{}; {}",
            store.describe(),
            health.version,
            health.latency.as_secs_f64() * 1e3,
            names(&all),
            match keywords {
                KeywordIndex::Engine => "keywords are ranked in the engine",
                KeywordIndex::Local => "keywords are ranked by an index on this machine",
            },
            if atomic_replace {
                "a document is replaced in one step"
            } else {
                "a document's old version can be read until the new one is whole"
            },
        ),
    ));
    let is_bad = |name: &String| unreadable.iter().any(|(bad, _)| bad == name);
    let chosen = name.clone();
    let used = name.as_ref().and_then(|name| all.iter().find(|info| info.name == *name)).cloned();
    let collection = name.filter(|name| !is_bad(name)).map(|name| match &used {
        Some(info) if info.passages > 0 => {
            let vectors = match (&info.fingerprint, info.dim) {
                (Some(fingerprint), _) => fingerprint.to_string(),
                (None, Some(dim)) => format!("{dim}-dimensional {} vectors of an unknown model", info.metric),
                (None, None) => "without vectors: keyword search only".to_owned(),
            };
            let (documents, passages) = (info.documents, info.passages);
            let holds = if info.foreign {
                format!("{passages} rows of another program, read only")
            } else {
                format!("{}, {}", counted(documents, "document"), counted(passages, "passage"))
            };
            Check::new("collection", State::Ok, format!("{name}: {holds}, {vectors}"))
        }
        _ => Check::new("collection", State::Note, format!("{name} has nothing in it yet")).next("askdocs ingest PATH"),
    });
    checks.extend(unreadable.into_iter().map(|(bad, error)| {
        let error = error.into();
        if wiring.keeps_handbook() || chosen.as_deref() == Some(bad.as_str()) {
            return Check::failed("collection", &error);
        }
        // In a Milvus that others use too there may be anything.
        Check::new("collection", State::Note, format!("{bad} can't be read: {error:#}"))
    }));
    checks.extend(collection);
    (checks, used)
}

/// What a store needs on this machine before it is asked anything; a check with a next step means that it is not there.
async fn beforehand(wiring: &Wiring, offline: &CancellationToken) -> Vec<Check> {
    let Store { place, tls, .. } = &wiring.config.store;
    let files = [
        ("store.ca_certificate", &tls.ca_certificate),
        ("store.client_certificate", &tls.client_certificate),
        ("store.client_key", &tls.client_key),
    ];
    let mut checks = Vec::new();
    for (key, path) in files.into_iter().filter_map(|(key, path)| Some((key, path.as_ref()?))) {
        checks.push(match fs::read(path) {
            Ok(_) => Check::new("certificate", State::Ok, format!("{key}: {}", path.display())),
            Err(error) => Check::new("certificate", State::Failed, format!("{key}: {}: {error}", path.display()))
                .next(format!("set {key} to a PEM file that can be read")),
        });
    }
    if let Place::Lite(file) = place {
        let artifacts = wire::artifacts(&wiring.config, &wiring.paths);
        let check = match artifacts.milvus_lite(&wiring.progress, offline).await {
            Ok(folder) => Check::new("milvus lite", State::Ok, format!("its program is in {}", folder.display())),
            Err(ArtifactError::Cancelled) => Check::new("milvus lite", State::Note, "its program is not here yet")
                .next(format!(
                    "`askdocs ingest PATH --store {}` gets it by itself; it needs python3 with pip",
                    file.display()
                )),
            Err(error) => Check::failed("milvus lite", &error.into()),
        };
        checks.push(check);
        if !file.exists() {
            let place = file.display();
            let check = Check::new("store", State::Note, format!("Milvus Lite {place}: there is no such file yet"));
            checks.push(check.next(format!("askdocs ingest PATH --store {place}")));
        }
    }
    checks
}

/// Whether a server is asked with a token, and where it is from.
fn token(store: &Store) -> String {
    match (&store.place, &store.token_env) {
        (Place::Embedded | Place::Lite(_), _) => String::new(),
        (Place::Server(_), Some(name)) if engine::token(store).is_some() => format!(" (with the token in {name})"),
        (Place::Server(_), Some(name)) => format!(" (without a token: {name} is not set)"),
        (Place::Server(_), None) => " (without a token)".to_owned(),
    }
}

fn names(all: &[CollectionInfo]) -> String {
    let names: Vec<&str> = all.iter().take(LISTED).map(|info| info.name.as_str()).collect();
    let more = if all.len() > LISTED { ", …" } else { "" };
    match all.len() {
        0 => "no collections yet".to_owned(),
        1 => format!("1 collection: {}", names.concat()),
        n => format!("{n} collections: {}{more}", names.join(", ")),
    }
}

/// Loads the model, and holds it against the collection that would be searched with it.
async fn model(wiring: &Wiring, offline: &CancellationToken, collection: Option<&CollectionInfo>) -> Check {
    let missing = match wire::model_spec(&wiring.config) {
        Ok(spec) => wire::artifacts(&wiring.config, &wiring.paths).missing(&spec),
        Err(error) => return Check::failed("model", &error),
    };
    if !missing.is_empty() {
        return Check::new("model", State::Note, format!("not here yet: {}", missing.join(", ")))
            .next("`askdocs` gets it by itself; it needs a model hub, or python3 with pip");
    }
    match wiring.embedder(true, offline).await {
        Ok(embedder) => {
            let ours = embedder.fingerprint();
            let mismatch = collection.and_then(|info| {
                let name = info.name.clone();
                match (&info.fingerprint, info.dim) {
                    (Some(held), _) => {
                        let mismatch = held.check(ours).err()?;
                        Some(StoreError::WrongModel { collection: name, mismatch }.into())
                    }
                    (None, Some(held)) if held != ours.dim => {
                        let (model, given) = (ours.model.clone(), ours.dim);
                        Some(RagError::OtherDimension { collection: name, held, model, given }.into())
                    }
                    (None, _) => None,
                }
            });
            match mismatch {
                Some(error) => Check::failed("model", &error),
                None => Check::new("model", State::Ok, ours.to_string()),
            }
        }
        Err(error) => Check::failed("model", &error),
    }
}

async fn chat(wiring: &Wiring) -> Check {
    let Some(llm) = &wiring.config.llm else {
        let set = ["LEPTONAI_TOKEN", "OPENAI_API_KEY"].into_iter().find(|name| env::var_os(name).is_some());
        let provider = if set == Some("OPENAI_API_KEY") { "openai" } else { "lepton" };
        return match set {
            Some(name) => {
                Check::new("chat model", State::Note, format!("none, though {name} is set: sentences are quoted"))
                    .next(format!("set llm.provider = \"{provider}\" to let a model answer"))
            }
            None => Check::new("chat model", State::Ok, "none: sentences of the passages are quoted"),
        };
    };
    let model = match wire::chat_model(llm) {
        Ok(model) => model,
        Err(error) => return Check::failed("chat model", &error),
    };
    let label = format!("{} at {}", model.label(), llm.base_url);
    let no_key = llm.api_key_env.as_ref().filter(|_| wire::api_key(llm).is_none());
    match (model.probe().await, no_key) {
        (Err(_), Some(name)) => Check::new("chat model", State::Failed, format!("{label}: {name} is not set"))
            .next(format!("set {name} to your key")),
        (Err(error), None) => Check::failed("chat model", &error.into()),
        (Ok(Probe::Listed | Probe::NoList), _) => Check::new("chat model", State::Ok, format!("{label} answers")),
        (Ok(Probe::NotListed(others)), _) => {
            let others = others.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
            Check::new("chat model", State::Note, format!("{label} answers, but lists no such model"))
                .next(format!("set llm.model to one of: {others}"))
        }
    }
}
