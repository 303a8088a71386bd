use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    Outcome, UsageError,
    args::{Args, CopyOptions},
    engine,
    ingest::say_skipped,
    output::Output,
    progress::shown,
    wire::{self, Wiring},
};
use crate::{
    config::{Config, Place, Store},
    domain::CollectionInfo,
    rag::{self, CopyJob},
    text::counted,
};

pub async fn run(
    args: &Args,
    wiring: &Wiring,
    options: &CopyOptions,
    output: &Output,
    cancel: &CancellationToken,
) -> anyhow::Result<Outcome> {
    if args.store.is_some() {
        let message = "copy names both of its stores; hint: askdocs copy embedded ./milvus_demo.db --collection docs";
        return Err(UsageError(message.to_owned()).into());
    }
    let config = Config::load(&wiring.paths, args.config.as_ref())?;
    let from = side(&config, "FROM", &options.from, options.from_token_env.as_deref())?;
    let to = side(&config, "TO", &options.to, options.to_token_env.as_deref())?;
    let collection = wiring.named_collection().unwrap_or_else(|| CollectionInfo::DEFAULT.to_owned());
    let name = options.name.clone().unwrap_or_else(|| collection.clone());
    let one_store = engine::is_same(&from, &to);
    if one_store && name == collection {
        let message =
            format!("{collection:?} would be copied onto itself; hint: `--as NAME` gives the copy another name");
        return Err(UsageError(message).into());
    }
    one_token_for_one_server(&from, &to)?;
    wire::must_be_there(&from)?;

    let source = wiring.other_engine(&from)?;
    // A Milvus Lite file has one server at a time.
    let target = if one_store { None } else { Some(wiring.other_engine(&to)?) };
    let (source, target) = (source.store(), target.as_ref().unwrap_or(&source).store());
    let job = CopyJob { from: source.as_ref(), to: target.as_ref(), collection: &collection, name: &name };
    let work = shown(output, &wiring.progress, rag::copy(job, &wiring.progress, cancel));
    let interrupted = || output.notice("interrupted: what was copied so far is kept, the same command continues");
    let Some(report) = cancel.run_until_cancelled(work).await else {
        interrupted();
        return Ok(Outcome::Interrupted);
    };
    let report = report?;
    if options.json {
        output.json(&json!({
            "from": source.describe(),
            "to": target.describe(),
            "collection": collection,
            "name": name,
            "documents": report.documents,
            "passages": report.passages,
            "unchanged": report.unchanged,
            "skipped": report.skipped,
            "compared": report.compared,
            "seconds": report.seconds,
            "interrupted": report.interrupted,
        }))?;
    }
    say_skipped(&report.skipped, output);
    if report.interrupted {
        interrupted();
        return Ok(Outcome::Interrupted);
    }
    if !(options.json || output.quiet) {
        let unchanged =
            if report.unchanged > 0 { format!(", {} there already", report.unchanged) } else { String::new() };
        output.line(&format!(
            "{name} in {}: {}, {}{unchanged} in {:.1}s; {} compared with {}",
            target.describe(),
            counted(report.documents, "document"),
            counted(report.passages, "passage"),
            report.seconds,
            counted(report.compared, "passage"),
            source.describe(),
        ))?;
    }
    Ok(if report.skipped.is_empty() { Outcome::Done } else { Outcome::Partly })
}

fn side(config: &Config, which: &str, uri: &str, token_env: Option<&str>) -> Result<Store, UsageError> {
    let store = config.store.at(uri).map_err(|message| UsageError(format!("{which}: {message}")))?;
    let token_env = token_env.map(str::to_owned).or_else(|| store.token_env.clone());
    Ok(Store { token_env, ..store })
}

/// A token is for the server that gave it: not for the other one as well, only since both are named.
fn one_token_for_one_server(from: &Store, to: &Store) -> Result<(), UsageError> {
    let both = matches!((&from.place, &to.place), (Place::Server(a), Place::Server(b)) if a != b);
    if both && from.token_env == to.token_env && engine::token(from).is_some() {
        let name = from.token_env.as_deref().unwrap_or_default();
        return Err(UsageError(format!(
            "the token in {name} would go to two servers, {} and {}; hint: name a variable for each with --from-token-env and --to-token-env",
            from.place, to.place
        )));
    }
    Ok(())
}
