use std::{
    io::{IsTerminal, stderr},
    sync::Arc,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::output::Output;
use crate::{
    domain::{Counter, Pace, Progress, ProgressSnapshot, Stage},
    text::{fit, one_line},
    ui::ascii_text,
};

/// Between two looks at the progress, on a terminal and elsewhere.
const ON_TERMINAL: Duration = Duration::from_millis(100);
const ELSEWHERE: Duration = Duration::from_secs(2);

/// Shows long work on standard error while it runs: a bar on a terminal, a line now and then otherwise, nothing when
/// quiet.
pub async fn shown<T>(output: &Output, progress: &Arc<Progress>, work: impl Future<Output = T>) -> T {
    let terminal = stderr().is_terminal();
    let bar = if terminal && !output.quiet {
        ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
    } else {
        ProgressBar::hidden()
    };
    let (mut pace, start) = (Pace::default(), Instant::now());
    let mut ticks = interval(if terminal { ON_TERMINAL } else { ELSEWHERE });
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks.reset();
    let mut work = std::pin::pin!(work);
    let mut said = String::new();
    let result = loop {
        tokio::select! {
            biased;
            result = &mut work => break result,
            _ = ticks.tick() => {
                let snapshot = progress.snapshot();
                pace.sample(&snapshot, start.elapsed());
                if terminal {
                    show(&bar, &snapshot, &pace, output.ascii_beside());
                } else {
                    let line = describe(&snapshot, &pace);
                    if line != said {
                        output.notice(&line);
                        said = line;
                    }
                }
            }
        }
    };
    bar.finish_and_clear();
    result
}

fn show(bar: &ProgressBar, snapshot: &ProgressSnapshot, pace: &Pace, ascii: bool) {
    let (done, total) = match snapshot.stage {
        Stage::Downloading => (snapshot.bytes_done, snapshot.bytes_total),
        Stage::Indexing => (snapshot.documents_done, snapshot.documents_total),
        Stage::Starting | Stage::Preparing | Stage::Scanning | Stage::Done => (0, 0),
    };
    let template = if total > 0 { "{bar:24} {msg}" } else { "{spinner} {msg}" };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(match ascii {
            true => style.progress_chars("#- ").tick_chars("|/-\\ "),
            false => style.progress_chars("█▉▊▋▌▍▎▏ "),
        });
    }
    bar.set_length(total.max(1));
    bar.set_position(done);
    let message = describe(snapshot, pace);
    bar.set_message(if ascii { ascii_text(&message) } else { message });
    bar.tick();
}

/// One line about where the work stands.
pub fn describe(snapshot: &ProgressSnapshot, pace: &Pace) -> String {
    let current = fit(&one_line(&snapshot.current), 40);
    let left = pace.left().map(|left| format!(", {} left", duration(left))).unwrap_or_default();
    match snapshot.stage {
        Stage::Downloading if snapshot.bytes_total > 0 => {
            let (done, total) = (bytes(snapshot.bytes_done), bytes(snapshot.bytes_total));
            format!("downloading {current}: {done} of {total}{left}")
        }
        Stage::Downloading => format!("downloading {current}: {}", bytes(snapshot.bytes_done)),
        Stage::Indexing => {
            let rate = pace.per_s(Counter::Embedded);
            let documents = match (snapshot.documents_done, snapshot.documents_total) {
                (_, 0) => String::new(),
                (done, total) => format!("{done}/{total} documents, "),
            };
            format!("{documents}{} chunks, {rate:.0} chunks/s{left}  {current}", snapshot.chunks_done)
        }
        stage @ (Stage::Starting | Stage::Preparing | Stage::Scanning | Stage::Done) => stage.name().to_owned(),
    }
}

/// A number of bytes for people, in decimal units.
pub fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}

/// A duration for people, to the second.
pub fn duration(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m {:02}s", s / 60, s % 60),
        _ => format!("{}h {:02}m", s / 3600, s % 3600 / 60),
    }
}
