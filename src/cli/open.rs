use std::{
    fs::{self, File},
    io::{self, IsTerminal},
    path::Path,
    sync::Arc,
};

use crossterm::style::force_color_output;
use ratatui::Terminal;
use tokio_util::sync::CancellationToken;

use super::{
    Outcome, UsageError,
    appearance::appearance,
    output::Output,
    progress::shown,
    wire::{self, Wiring},
};
use crate::{
    app::State,
    config::Place,
    embed::Embedder,
    runtime::{self, Ended, Opened, Setup, TerminalBackend, TerminalGuard},
};

/// SIGHUP's number: a terminal that is gone has hung up, told or not.
const HANG_UP: u8 = 1;
/// From this size on the log is begun anew.
const LARGEST_LOG_BYTES: u64 = 1_000_000;

/// Opens the application.
pub async fn run(wiring: Wiring, output: &Output) -> anyhow::Result<Outcome> {
    if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        let message = "the application needs a terminal; hint: `askdocs ask QUESTION` and `askdocs search QUERY` work without one";
        return Err(UsageError(message.to_owned()).into());
    }
    let environment = |name: &str| std::env::var(name).ok();
    let (theme, look) = appearance(wiring.config.ui, output.colour(), environment)?;
    // Which colours are shown is decided by now; crossterm would decide again, and leave out what a person has chosen.
    force_color_output(true);
    log_to_file(&wiring);
    get_milvus_lite(&wiring, output).await?;
    let mut state = State::new(wiring.config.search);
    let mouse = wiring.config.ui.mouse;
    state.touch.mouse = mouse;
    state.theme = theme;
    let (chat, chat_note) = match wiring.chat() {
        Ok(chat) => {
            let key = wiring
                .config
                .llm
                .as_ref()
                .and_then(|llm| llm.api_key_env.clone().filter(|_| wire::api_key(llm).is_none()));
            (chat, key.map(|name| format!("{name} is not set: the model will be asked without a key")))
        }
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    let wiring = Arc::new(wiring);
    let (config, paths) = (wiring.config.clone(), wiring.paths.clone());
    let other = (config.clone(), paths.clone());
    // Held until the application has ended.
    let (draft_file, _lock) = runtime::claim_draft(&paths.state);
    let setup = Setup {
        chat,
        chat_note,
        templates: wiring.templates(),
        chunker: wiring.config.chunker.clone(),
        look,
        notify: wiring.config.ui.notify,
        keymap: wire::keymap(&wiring.config)?,
        history_file: paths.state.join("history.jsonl"),
        now: wire::now,
        draft_file,
        clipboard: Some(Box::new(runtime::system_clipboard)),
        prepare_model: Arc::new(move |progress, cancel| {
            let made = wire::prepare_model(config.clone(), paths.clone(), true, progress, cancel);
            Box::pin(async { Ok(Arc::new(made.await?.in_background()) as Arc<dyn Embedder>) })
        }),
        load_other: Arc::new(move |held| {
            let (mut config, paths) = (other.0.clone(), other.1.clone());
            (config.embed.model, config.embed.pooling, config.embed.max_tokens) =
                (held.model, held.pooling, held.max_tokens);
            // It answers questions and indexes nothing.
            config.embed.sessions = 1;
            Box::pin(async move {
                let is_here = wire::model_spec(&config)
                    .is_ok_and(|spec| wire::artifacts(&config, &paths).missing(&spec).is_empty());
                if !is_here {
                    return Ok(None);
                }
                let made = wire::prepare_model(config, paths, false, Arc::default(), CancellationToken::new()).await?;
                Ok(Some(Arc::new(made.in_background()) as Arc<dyn Embedder>))
            })
        }),
        open: Box::new(move || {
            let wiring = Arc::clone(&wiring);
            Box::pin(async move {
                let store = wiring.store()?;
                let collection = wiring.collection_name(store.as_ref()).await?;
                Ok(Opened { store, collection, keeps_handbook: wiring.keeps_handbook() })
            })
        }),
    };
    let mut guard = TerminalGuard::enter(mouse)?;
    let mut terminal = Terminal::new(TerminalBackend::new(guard.output()))?;
    let input = guard.input();
    let ended = runtime::run(setup, state, &mut terminal, input, &mut guard).await?;
    Ok(match ended {
        Ended::Quit => Outcome::Done,
        Ended::InputClosed => Outcome::Signalled(HANG_UP),
        Ended::Signal(number) => Outcome::Signalled(number),
    })
}

/// Gets Milvus Lite before the screen is taken, where it is needed and not here yet: nothing can be shown without it,
/// and what it takes to get it would be seen by nobody.
async fn get_milvus_lite(wiring: &Wiring, output: &Output) -> anyhow::Result<()> {
    let needed = matches!(wiring.config.store.place, Place::Lite(_));
    if needed && wire::artifacts(&wiring.config, &wiring.paths).is_milvus_lite_missing() {
        output.notice("getting Milvus Lite first");
        let got = shown(output, &wiring.progress, wiring.lite_program()()).await;
        got.map_err(|reason| anyhow::anyhow!("{reason}"))?;
    }
    Ok(())
}

/// The log in `folder`, to be added to; begun anew once it is large.
fn open_log(folder: &Path) -> io::Result<File> {
    crate::folder::make_private(folder)?;
    let path = folder.join("askdocs.log");
    if fs::metadata(&path).is_ok_and(|log| log.len() > LARGEST_LOG_BYTES) {
        fs::remove_file(&path)?;
    }
    File::options().append(true).create(true).open(path)
}

/// The application's log: a file, since the screen is taken. `ASKDOCS_LOG` sets the level.
fn log_to_file(wiring: &Wiring) {
    let Ok(file) = open_log(&wiring.paths.state) else { return };
    let filter = tracing_subscriber::EnvFilter::try_from_env("ASKDOCS_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("askdocs=info"));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(file).try_init();
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_log_is_added_to_until_it_is_large() {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().join("state");
        for line in [&b"one\n"[..], b"two\n"] {
            open_log(&state).unwrap().write_all(line).unwrap();
        }
        assert_eq!(fs::read(state.join("askdocs.log")).unwrap(), b"one\ntwo\n");
        open_log(&state).unwrap().set_len(LARGEST_LOG_BYTES + 1).unwrap();
        open_log(&state).unwrap();
        assert_eq!(fs::metadata(state.join("askdocs.log")).unwrap().len(), 0);
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&state).unwrap().permissions()) & 0o777,
            0o700
        );
    }
}
