//! The title line, the notice above the input, the footer, and the numbers they share with the views.

use std::{ops::Range, time::Duration};

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::{
    keys::{self, Keymap, Keys},
    theme::Theme,
};
use crate::{
    app::{Answerer, Armed, Command, Hint, IngestJob, Model, State, Store},
    domain::{Counter, Pace, ProgressSnapshot, Stage},
    text::{counted, fit, one_line, width, wrap},
};

/// From this height on a notice may have more than one row, and below this width one more than else.
const NOTICE_HEIGHT: u16 = 12;
const NARROW: u16 = 60;

/// Between two keys of the footer.
pub const SEPARATOR: &str = " · ";

/// What is searched, embedded and answered with at the left, how things stand at the right.
pub fn draw_title(state: &State, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let (standing, style) = standing(state, theme);
    let standing = format!("{} ", fit(&standing, usize::from(area.width).saturating_sub(11)));
    let room = usize::from(area.width).saturating_sub(width(&standing) + 11);
    // Each as it is told in full, shorter, and shortest.
    let collection = match &state.store {
        Store::Opening => [const { String::new() }; 3],
        Store::Failed(_) => ["no store"; 3].map(str::to_owned),
        Store::Open { description, name, collection, .. } => {
            let passages = counted(collection.as_ref().map_or(0, |collection| collection.passages), "passage");
            [format!("{name} · {passages} · {description}"), format!("{name} · {passages}"), name.clone()]
        }
    };
    let model = match &state.model {
        Model::Ready { name, dim } => [format!("{name} {dim}d"), name.clone(), String::new()],
        Model::Loading { .. } | Model::Failed(_) => [const { String::new() }; 3],
    };
    let answerer = match &state.answerer {
        Answerer::Unknown => ["", ""],
        Answerer::Quotes => ["quotes, no model", "quotes"],
        Answerer::Model(label) => [label.as_str(), label.split_once(": ").map_or(label.as_str(), |(_, model)| model)],
    };
    // Who answers is told as long as there is room for it.
    let ways = [(0, 0, 0), (0, 1, 0), (1, 1, 0), (1, 2, 0), (2, 2, 0), (2, 2, 1)];
    let mut ways = ways.into_iter().map(|(c, m, a)| {
        let parts = [&*collection[c], &*model[m], answerer[a]].map(one_line);
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("   ")
    });
    let shortest = ways.next_back().unwrap_or_default();
    let text = fit(&ways.find(|text| width(text) <= room).unwrap_or(shortest), room);
    let gap = usize::from(area.width).saturating_sub(10 + width(&text) + width(&standing));
    let spans = vec![
        Span::styled(" askdocs", theme.strong),
        Span::raw("  "),
        Span::styled(text, theme.dim),
        Span::raw(" ".repeat(gap)),
        Span::styled(standing, style),
    ];
    frame.render_widget(Line::from(spans), area);
}

/// The most important thing about the state, in two or three words behind a mark of its own.
fn standing(state: &State, theme: &Theme) -> (String, Style) {
    let loading = |snapshot: &ProgressSnapshot, pace: &Pace| match snapshot.stage {
        Stage::Downloading => format!("↓ {}", download(snapshot, pace)),
        Stage::Starting | Stage::Preparing | Stage::Scanning | Stage::Indexing | Stage::Done => {
            "… loading the model".to_owned()
        }
    };
    match (&state.store, &state.model, &state.ingest) {
        (Store::Failed(_), ..) => ("✗ no store".to_owned(), theme.bad),
        (Store::Opening, ..) => ("… opening".to_owned(), theme.dim),
        (_, Model::Loading { snapshot, pace }, _) if snapshot.stage == Stage::Downloading => {
            (loading(snapshot, pace), theme.warning)
        }
        (.., Some(job)) => {
            let counts = format!("{}/{}", job.snapshot.documents_done, job.snapshot.documents_total);
            (format!("… {} {counts}", doing(job)), theme.warning)
        }
        (_, Model::Loading { snapshot, pace }, None) => (loading(snapshot, pace), theme.dim),
        (..) if state.running_turn().is_some() => ("◐ answering".to_owned(), theme.good),
        (_, Model::Failed(_), None) => ("◐ keyword search only".to_owned(), theme.warning),
        (_, Model::Ready { .. }, None) => ("● ready".to_owned(), theme.good),
    }
}

/// What is being worked on in the background, in a sentence; `None` when nothing is.
pub fn work(state: &State) -> Option<String> {
    if state.store == Store::Opening {
        return Some("opening the store".to_owned());
    }
    if let Model::Loading { snapshot, pace } = &state.model {
        return Some(match snapshot.stage {
            Stage::Downloading => {
                format!("getting {} · {}", one_line(&snapshot.current), download(snapshot, pace))
            }
            Stage::Starting | Stage::Preparing | Stage::Scanning | Stage::Indexing | Stage::Done => {
                "loading the embedding model".to_owned()
            }
        });
    }
    let job = state.ingest.as_ref()?;
    let snapshot = &job.snapshot;
    Some(format!("{}: {} of {} documents", doing(job), snapshot.documents_done, snapshot.documents_total))
}

/// What a running ingest is at, in a word.
fn doing(job: &IngestJob) -> &'static str {
    match (job.stopping, job.paused) {
        (true, _) => "stopping",
        (false, true) => "paused",
        (false, false) => "indexing",
    }
}

/// What is broken, in full, with what to do about it.
pub fn troubles(state: &State, keys: Keys<'_>, theme: &Theme) -> Vec<(String, Style)> {
    let again = format!("{} tries again.", keys.of("reindex"));
    let mut troubles = Vec::new();
    if let Store::Failed(message) = &state.store {
        troubles.push((format!("✗ The store could not be opened: {message}"), theme.bad));
    }
    if let Model::Failed(message) = &state.model {
        let text = format!("! Keyword search only, there is no embedding model: {message}\n{again}");
        troubles.push((text, theme.warning));
    }
    if let (Some(Err(message)), None) = (state.last_ingest.as_ref().map(|ended| &ended.result), &state.ingest) {
        troubles.push((format!("✗ Indexing failed: {message}\n{again}"), theme.bad));
    }
    troubles
}

/// `42 % of 90.9 MB · 3.1 MB/s · 17 s left`, as far as it is known.
pub fn download(snapshot: &ProgressSnapshot, pace: &Pace) -> String {
    let mut parts = Vec::new();
    if snapshot.bytes_total > 0 {
        let percent = snapshot.bytes_done as f64 * 100.0 / snapshot.bytes_total as f64;
        parts.push(format!("{percent:.0} % of {}", bytes(snapshot.bytes_total as f64)));
    } else {
        parts.push(bytes(snapshot.bytes_done as f64));
    }
    let bytes_per_s = pace.per_s(Counter::Bytes);
    if bytes_per_s > 0.0 {
        parts.push(format!("{}/s", bytes(bytes_per_s)));
    }
    if let Some(left) = pace.left() {
        parts.push(format!("{} left", duration(left)));
    }
    parts.join(" · ")
}

pub fn bytes(count: f64) -> String {
    match count {
        c if c >= 1e9 => format!("{:.1} GB", c / 1e9),
        c if c >= 1e6 => format!("{:.1} MB", c / 1e6),
        c if c >= 1e3 => format!("{:.0} kB", c / 1e3),
        c => format!("{c:.0} B"),
    }
}

/// `8 s`, `2 min 05 s`, `1 h 12 min`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A part from 0 to 1 of `columns`, in eighths of a column.
pub fn bar(part: f64, columns: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let part = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 };
    let eighths = (part * columns as f64 * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// Values as a row of bars, the last ones where there are more than `columns`; the largest of them is as high as it goes.
pub fn sparkline(values: impl ExactSizeIterator<Item = f64>, columns: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let skipped = values.len().saturating_sub(columns);
    let values: Vec<f64> = values.skip(skipped).collect();
    let most = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    values.iter().map(|value| BARS[((value / most * 7.0).round() as usize).min(7)]).collect()
}

/// What to tell now, as rows: what a key pressed again will do, the last notice, or what is broken.
pub fn notice(state: &State, keymap: &Keymap, theme: &Theme, area: Rect) -> Vec<Line<'static>> {
    let first = |text: &str| one_line(text.lines().next().unwrap_or(""));
    let keys = Keys::new(keymap, state.place());
    // What is told for a while gets more rows than what stays.
    let most = match area {
        Rect { height: ..NOTICE_HEIGHT, .. } => 1,
        Rect { width: ..NARROW, .. } => 3,
        Rect { .. } => 2,
    };
    let (text, style, most) = match (&state.armed, state.told(), &state.store, &state.model) {
        (Some(Armed::Quit), ..) => (keys.tell("‹interrupt› again quits"), theme.warning, most),
        (Some(Armed::StopIngest), ..) => {
            (keys.tell("‹stop› again stops indexing; what is done is kept"), theme.warning, most)
        }
        (Some(Armed::StopDownload), ..) => {
            (keys.tell("‹stop› again stops the download; keyword search works without it"), theme.warning, most)
        }
        (None, Some(told), ..) => (one_line(&keys.tell(told)), theme.strong, most),
        (None, None, Store::Failed(message), _) => (format!("no store: {}", first(message)), theme.bad, 1),
        (None, None, _, Model::Failed(message)) => {
            let told = keys.tell("keywords only (‹reindex› tries again, ‹ingest› tells more)");
            (format!("{told}: {}", first(message)), theme.warning, 1)
        }
        (None, None, Store::Opening | Store::Open { .. }, Model::Loading { .. } | Model::Ready { .. }) => {
            let told = state.hint().and_then(|hint| hinted(hint, state, keymap));
            (told.unwrap_or_default(), theme.dim, 1)
        }
    };
    let columns = usize::from(area.width.saturating_sub(2));
    let mut rows = wrap(&text, columns, columns);
    rows.truncate(most);
    let last = rows.len() - 1;
    let shown = |(at, row): (usize, Range<usize>)| match at == last {
        true => fit(&text[row.start..], columns),
        false => text[row].to_owned(),
    };
    rows.into_iter().enumerate().map(|row| Line::styled(shown(row), style)).collect()
}

/// A hint with the key that it is about; `None` where it has none.
fn hinted(hint: Hint, state: &State, keymap: &Keymap) -> Option<String> {
    let (name, what) = hint.tells();
    let keys = keymap.keys(Command::find(name)?, state.place());
    Some(format!("{} {what}", keys.first()?))
}

pub fn draw_footer(state: &State, keymap: &Keymap, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let mut spans = vec![Span::raw(" ")];
    for (name, word) in keys::footer(state, keymap, usize::from(area.width).saturating_sub(1)) {
        let separator = if spans.len() == 1 { "" } else { SEPARATOR };
        spans.push(Span::styled(separator, theme.dim));
        spans.push(Span::styled(name, theme.strong));
        spans.push(Span::styled(format!(" {word}"), theme.dim));
    }
    frame.render_widget(Line::from(spans), area);
}
