use std::{env, fs};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    Outcome,
    args::{Args, DoctorOptions},
    output::Output,
    wire::{self, Wiring},
};
use crate::{chat::Probe, config::Paths, domain::CollectionInfo, store::StoreError};

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
    let (of_store, collection) = store(&wiring).await;
    checks.extend(of_store);
    checks.push(model(&wiring, &offline, collection.as_ref()).await);
    checks.push(chat(&wiring).await);
    checks
}

/// Also gives the collection that would be used.
async fn store(wiring: &Wiring) -> (Vec<Check>, Option<CollectionInfo>) {
    let listed = async {
        let store = wiring.store()?;
        let all = store.collections().await?;
        // One that can't be read is among those already.
        let name = wiring.collection_name(store.as_ref()).await.ok();
        let unreadable = store.unreadable().await?;
        Ok::<_, anyhow::Error>((store.describe(), all, unreadable, name))
    };
    let (described, all, unreadable, name) = match listed.await {
        Ok(listed) => listed,
        Err(error) => return (vec![Check::failed("store", &error)], None),
    };
    let used = name.as_ref().and_then(|name| all.iter().find(|info| info.name == *name)).cloned();
    let names: Vec<&str> = all.iter().map(|info| info.name.as_str()).collect();
    let found = if names.is_empty() { "no collections yet".to_owned() } else { names.join(", ") };
    let is_bad = |name: &String| unreadable.iter().any(|(bad, _)| bad == name);
    let collection = name.filter(|name| !is_bad(name)).map(|name| match all.iter().find(|info| info.name == name) {
        Some(info) if info.passages > 0 => {
            let vectors =
                info.fingerprint.as_ref().map_or("without vectors: keyword search only".to_owned(), |f| f.to_string());
            Check::new(
                "collection",
                State::Ok,
                format!("{name}: {} documents, {} passages, {vectors}", info.documents, info.passages),
            )
        }
        _ => Check::new("collection", State::Note, format!("{name} has nothing in it yet")).next("askdocs ingest PATH"),
    });
    let mut checks = vec![Check::new("store", State::Ok, format!("{described}: {found}"))];
    checks.extend(unreadable.into_iter().map(|(_, error)| Check::failed("collection", &error.into())));
    checks.extend(collection);
    (checks, used)
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
            let held = collection.and_then(|info| Some((info, info.fingerprint.as_ref()?)));
            match held.map(|(info, held)| (info, held.check(embedder.fingerprint()))) {
                Some((info, Err(mismatch))) => {
                    let error = StoreError::WrongModel { collection: info.name.clone(), mismatch };
                    Check::failed("model", &error.into())
                }
                Some((_, Ok(()))) | None => Check::new("model", State::Ok, embedder.fingerprint().to_string()),
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
