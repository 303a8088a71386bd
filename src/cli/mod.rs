//! The command line: arguments, wiring, output. The only place that names concrete engines and models.

mod appearance;
mod args;
mod ask;
mod collections;
mod configuration;
mod copy;
mod doctor;
mod engine;
mod environment;
mod ingest;
mod open;
mod output;
mod progress;
mod search;
mod tutorial;
mod wire;

use std::{io, process::ExitCode};

use args::{Args, Command};
use clap::Parser;
use output::Output;
use tokio_util::sync::CancellationToken;
use wire::Wiring;

use crate::{config::ConfigError, text::sanitise};

/// The exit code after Ctrl-C, by convention 128 and the signal's number.
const INTERRUPTED: u8 = 130;

/// How a command ended, short of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Something was skipped, or the answer is not whole.
    Partly,
    Interrupted,
    /// By the signal of this number, in order.
    Signalled(u8),
}

/// The arguments or the configuration make no sense: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Parses the arguments, runs the command, prints its error. Exit codes: 0 done, 1 failed, 2 usage or configuration,
/// 3 done in part, 130 interrupted; the application ended by another signal: 128 and its number.
pub fn main() -> ExitCode {
    environment::prepare();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) if !error.use_stderr() => error.exit(),
        // It repeats what was typed, and a file's name that a shell has put in is not.
        Err(error) => {
            eprint!("{}", sanitise(&error.to_string()));
            return ExitCode::from(2);
        }
    };
    let output = Output::new(&args);
    match run(args, &output) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Partly) => ExitCode::from(3),
        Ok(Outcome::Interrupted) => ExitCode::from(INTERRUPTED),
        Ok(Outcome::Signalled(number)) => ExitCode::from(128 + number),
        // Whoever read our output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            let usage = error.is::<UsageError>() || error.is::<ConfigError>();
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}

fn run(args: Args, output: &Output) -> anyhow::Result<Outcome> {
    match &args.command {
        // These work without a valid configuration.
        Some(Command::Config { command }) => return configuration::run(command, &args, output),
        Some(Command::Completions { shell }) => return configuration::completions(*shell),
        _ => {}
    }
    let runtime = Background(Some(tokio::runtime::Builder::new_multi_thread().enable_all().build()?));
    runtime.block_on(async {
        let cancel = CancellationToken::new();
        let Some(command) = &args.command else {
            return open::run(Wiring::new(&args, &cancel)?, output).await;
        };
        // The application has Ctrl-C as a key; everywhere else it cancels.
        let interrupt = cancel.clone();
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                interrupt.cancel();
            }
            // Whoever asks twice does not want to wait for what is being put in order.
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(INTERRUPTED.into());
            }
        });
        let wiring = || Wiring::new(&args, &cancel);
        match command {
            Command::Ingest(options) => ingest::run(&wiring()?, options, output, &cancel).await,
            Command::Search(options) => search::run(&wiring()?, options, output, &cancel).await,
            Command::Ask(options) => ask::run(&wiring()?, options, output, &cancel).await,
            Command::Collections { command } => collections::run(&wiring()?, command, output, &cancel).await,
            Command::Copy(options) => copy::run(&args, &wiring()?, options, output, &cancel).await,
            Command::Tutorial(options) => tutorial::run(&args, wiring()?, options, output, &cancel).await,
            Command::Doctor(options) => doctor::run(&args, options, output, &cancel).await,
            Command::Config { .. } | Command::Completions { .. } => Ok(Outcome::Done),
        }
    })
}

/// A runtime whose end nobody waits for, a panic's neither: a thread that still runs a model must not keep an interrupted
/// program alive.
struct Background(Option<tokio::runtime::Runtime>);

impl Background {
    fn block_on<T>(&self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        self.0.as_ref().ok_or_else(|| anyhow::anyhow!("the runtime has ended"))?.block_on(work)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
