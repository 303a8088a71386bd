//! What drawing costs, without a terminal: frames at any size of the history, an answer that streams, what is held in
//! memory. Prints each figure with what it is measured against.
//!
//! Times are those of the thread that draws, on the processor; on Windows by the clock.

use std::time::Duration;

use anyhow::Context;
use askdocs::{
    app::{Action, ChatScroll, Event, Scroll, State},
    domain::{FinishReason, SearchSettings, StageTimings, TurnId},
    ui::{Keymap, Look, ViewCache, view},
};
use ratatui::{Terminal, backend::TestBackend};

const COLUMNS: u16 = 160;
const ROWS: u16 = 50;

fn main() -> anyhow::Result<()> {
    println!("{:44} {:>12} {:>12}", "", "measured", "at most");
    // First, so that nothing that was freed before is taken again.
    #[cfg(target_os = "linux")]
    memory()?;
    streaming()?;
    frames()
}

/// Time on the processor since this thread began.
#[cfg(unix)]
fn now() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(not(unix))]
fn now() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

fn told(what: &str, measured: f64, most: f64, unit: &str) {
    let verdict = if measured <= most { "ok" } else { "OVER" };
    println!("{what:44} {measured:>9.2} {unit:2} {most:>9.2} {unit:2}  {verdict}");
}

struct App {
    state: State,
    cache: ViewCache,
    terminal: Terminal<TestBackend>,
}

impl App {
    fn new() -> anyhow::Result<Self> {
        let mut app = Self {
            state: State::new(SearchSettings::default()),
            cache: ViewCache::new(Look::default(), Keymap::default()),
            terminal: Terminal::new(TestBackend::new(COLUMNS, ROWS))?,
        };
        let name = "bench".to_owned();
        let collection =
            askdocs::domain::CollectionInfo { passages: 1, ..askdocs::domain::CollectionInfo::empty(&name) };
        app.send(Event::StoreOpened {
            store: "embedded".to_owned(),
            name,
            keeps_handbook: false,
            index: false,
            collection: Some(collection),
        });
        app.send(Event::ModelReady { name: "model".to_owned(), dim: 1 });
        app.send(Event::ChatModel { label: Some("bench: model".to_owned()), note: None });
        Ok(app)
    }

    fn send(&mut self, event: Event) {
        drop(self.state.update(event));
    }

    fn ask(&mut self) -> anyhow::Result<TurnId> {
        self.send(Event::Action(Action::Insert("What does it hold?".to_owned())));
        self.send(Event::Action(Action::Submit));
        let turn = self.state.turns.last().context("no turn")?.id;
        self.send(Event::Retrieved {
            turn,
            mode: askdocs::domain::Mode::Hybrid,
            passages: Vec::new(),
            candidates: Vec::new().into(),
            prompt: Vec::new().into(),
            timings: StageTimings::default(),
            notices: Vec::new(),
        });
        Ok(turn)
    }

    fn answer(&mut self, text: &str) -> anyhow::Result<()> {
        let turn = self.ask()?;
        self.send(Event::Delta { turn, text: text.to_owned() });
        self.send(Event::Finished { turn, finish: FinishReason::Stop, usage: None, timings: StageTimings::default() });
        Ok(())
    }

    /// Draws a frame; returns what that took.
    fn draw(&mut self) -> anyhow::Result<Duration> {
        let begun = now();
        self.terminal.draw(|frame| view(&self.state, &mut self.cache, frame))?;
        Ok(now() - begun)
    }
}

/// A text of a kind and of about so many bytes.
fn text(kind: &str, bytes: usize) -> String {
    let mut text = match kind {
        "code" => "```rust\n".to_owned(),
        "table" => "| key | value |\n|---|---|\n".to_owned(),
        _ => String::new(),
    };
    let mut n = 0;
    while text.len() < bytes {
        n += 1;
        text += &match kind {
            "code" => format!("    let value_{n} = compute(\"text {n}\", {n}); // what comes of it\n"),
            "list" => format!("- item {n} of a list that **goes on** for long with `code` in it\n"),
            "table" => format!("| key {n} | the value that goes with it, and some more |\n"),
            "paragraph" => format!("Sentence {n} of a paragraph that never ends, with *words* in it. "),
            _ => format!(
                "## Part {n}\n\nA paragraph with **strong** words, `code` and a [link](http://localhost/{n}), as long as answers have them; and [1] a citation.\n\n- one\n- two\n\n```rust\nfn main() {{ println!(\"{n}\"); }}\n```\n\n"
            ),
        };
    }
    text
}

/// 64 KB come in pieces of a few bytes, a frame for every twenty of them as at 60 frames and 1,000 tokens a second. What
/// drawing costs is taken off: as much as the same frame costs when it is drawn again.
fn streaming() -> anyhow::Result<()> {
    for kind in ["answer", "code", "list", "table", "paragraph"] {
        let text = text(kind, 64 << 10);
        let mut costs = Vec::new();
        for _ in 0..5 {
            let mut app = App::new()?;
            let turn = app.ask()?;
            let (mut cost, mut drawing) = (Duration::ZERO, Duration::ZERO);
            let characters: Vec<char> = text.chars().collect();
            for (n, piece) in characters.chunks(4).enumerate() {
                app.send(Event::Delta { turn, text: piece.iter().collect() });
                if n % 20 == 19 {
                    cost += app.draw()?;
                    drawing += app.draw()?;
                }
            }
            costs.push(cost.saturating_sub(drawing));
        }
        told(&format!("parsing and wrapping 64 KB, {kind}"), median(costs).as_secs_f64() * 1e3, 150.0, "ms");
    }
    Ok(())
}

/// Frames of an empty chat against frames with 50,000 lines above, each scrolled a row further.
fn frames() -> anyhow::Result<()> {
    let mut little = App::new()?;
    little.answer(&text("answer", 8 << 10))?;
    let mut much = App::new()?;
    while much.cache.chat_rows() < 50_000 {
        for _ in 0..20 {
            much.answer(&text("answer", 16 << 10))?;
        }
        much.draw()?;
    }
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for n in 0..600 {
        for (app, took) in [(&mut little, &mut few), (&mut much, &mut many)] {
            let turn = app.state.turns.len() - 1;
            app.send(Event::Action(Action::Scroll(Scroll::Chat(ChatScroll::At { turn, row: n % 40 }))));
            took.push(app.draw()?);
        }
    }
    told("a frame below 50,000 lines, to one below few", ratio(median(many.clone()), median(few)), 1.2, "x");
    many.sort_unstable();
    told("a frame below 50,000 lines, p99", many[many.len() * 99 / 100].as_secs_f64() * 1e3, 3.3, "ms");
    // All over the history, as the wheel and the page keys go.
    let turns = much.state.turns.len();
    let mut jumps = Vec::new();
    for n in 0..600 {
        let to = ChatScroll::At { turn: n * 7919 % turns, row: n % 90 };
        much.send(Event::Action(Action::Scroll(Scroll::Chat(to))));
        jumps.push(much.draw()?);
    }
    jumps.sort_unstable();
    told("a frame anywhere in 50,000 lines, p99", jumps[jumps.len() * 99 / 100].as_secs_f64() * 1e3, 3.3, "ms");
    much.terminal.backend_mut().resize(COLUMNS - 20, ROWS);
    told("the first frame in another width", much.draw()?.as_secs_f64() * 1e3, 33.0, "ms");
    Ok(())
}

/// What 8 MB of answers hold in memory, beyond what there was before.
#[cfg(target_os = "linux")]
fn memory() -> anyhow::Result<()> {
    let mut app = App::new()?;
    app.draw()?;
    let before = resident()?;
    let mut bytes = 0;
    while bytes < 8 << 20 {
        let text = text("answer", 16 << 10);
        bytes += text.len();
        app.answer(&text)?;
        app.draw()?;
    }
    let held = resident()?.saturating_sub(before);
    told("memory to bytes of history", held as f64 / bytes as f64, 3.0, "x");
    Ok(())
}

/// Bytes of memory that are in use.
#[cfg(target_os = "linux")]
fn resident() -> anyhow::Result<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let pages: usize = pages.split(' ').nth(1).context("no resident pages")?.parse()?;
    Ok(pages * rustix::param::page_size())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}
