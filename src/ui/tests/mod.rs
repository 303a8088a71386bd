//! Drives the application by events and looks at what is drawn.

mod collections;
mod evidence;
mod ingest;
mod keys;
mod long;
mod markdown;
mod screens;
mod themes;
mod touch;
mod work;

use std::time::Duration;

use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Buffer,
    crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers},
};

use super::{Keymap, Look, ViewCache, finish, key, view};
use crate::{
    app::{Action, Effect, Event, State},
    domain::{
        Candidate, Chunk, ChunkId, CollectionInfo, FinishReason, JobId, Message, Metric, Mode, Passage, Role, Scores,
        SourceSpec, StageTimings, ThemeName, TurnId, Usage,
    },
};

/// Columns and rows of the screens that every view is looked at on: a large one, the usual one, a small one.
pub const SIZES: [(u16, u16); 3] = [(200, 60), (80, 24), (40, 12)];

/// A world of each size, with its columns.
pub fn worlds(start: fn(u16, u16) -> World) -> [(u16, World); 3] {
    SIZES.map(|(columns, rows)| (columns, start(columns, rows)))
}

/// An application without a runtime: events in, effects out, a screen to look at.
pub struct World {
    pub state: State,
    pub cache: ViewCache,
    pub effects: Vec<Effect>,
    terminal: Terminal<TestBackend>,
}

impl World {
    /// Just started, nothing known yet.
    pub fn new(columns: u16, rows: u16) -> Self {
        Self {
            state: State::default(),
            cache: ViewCache::new(Look::default(), Keymap::default()),
            effects: Vec::new(),
            terminal: Terminal::new(TestBackend::new(columns, rows)).unwrap(),
        }
    }

    /// Everything is there: the handbook, the embedding model, a chat model.
    pub fn ready(columns: u16, rows: u16) -> Self {
        let mut world = Self::new(columns, rows);
        world.send(opened(Some(handbook())));
        world.send(Event::ModelReady { name: "all-minilm-l6-v2".to_owned(), dim: 384 });
        world.send(Event::ChatModel { label: Some("lepton: mistral-7b".to_owned()), note: None });
        world
    }

    pub fn send(&mut self, event: Event) {
        self.effects.extend(self.state.update(event));
    }

    pub fn key(&mut self, modifiers: KeyModifiers, code: KeyCode) {
        self.input(Input::Key(KeyEvent::new(code, modifiers)));
    }

    pub fn input(&mut self, input: Input) {
        if let Some(action) = key(&self.state, &self.cache, input) {
            self.send(Event::Action(action));
        }
    }

    /// Asks a question; returns the turn's id.
    pub fn ask(&mut self, question: &str) -> TurnId {
        self.send(Event::Action(Action::Insert(question.to_owned())));
        self.send(Event::Action(Action::Submit));
        self.state.turns.last().unwrap().id
    }

    /// Draws a frame, and looks whether it could be shown in ASCII as well.
    pub fn draw(&mut self) -> &Buffer {
        self.terminal.draw(|frame| view(&self.state, &mut self.cache, frame)).unwrap();
        let buffer = self.terminal.backend().buffer();
        let mut ascii = buffer.clone();
        finish::ascii(&mut ascii);
        let other = ascii.content.iter().find(|cell| !matches!(cell.symbol().as_bytes(), [b' '..=b'~']));
        assert_eq!(other, None, "not one printable ASCII character in a cell");
        buffer
    }

    /// The screen as text, without spaces at the ends of rows. Looks whether it names only keys that are configured.
    pub fn screen(&mut self) -> String {
        let other = keys::other_keymap();
        keys::names_no_usual_key(&self.screen_with(other));
        text(self.draw())
    }

    /// What the screen would be with other keys.
    pub fn screen_with(&self, keymap: Keymap) -> String {
        let area = self.terminal.backend().buffer().area;
        let mut terminal = Terminal::new(TestBackend::new(area.width, area.height)).unwrap();
        let mut cache = ViewCache::new(self.cache.look, keymap);
        terminal.draw(|frame| view(&self.state, &mut cache, frame)).unwrap();
        text(terminal.backend().buffer())
    }
}

fn text(buffer: &Buffer) -> String {
    let rows = buffer.content.chunks(usize::from(buffer.area.width));
    let text = rows.map(|row| {
        // A wide character's second cell holds nothing of its own.
        let mut skip = 0;
        let mut text = String::new();
        for cell in row {
            if skip == 0 {
                text.push_str(cell.symbol());
                skip = crate::text::width(cell.symbol());
            }
            skip = skip.saturating_sub(1);
        }
        text.trim_end().to_owned()
    });
    text.collect::<Vec<_>>().join("\n")
}

pub fn opened(collection: Option<CollectionInfo>) -> Event {
    Event::StoreOpened {
        store: "embedded".to_owned(),
        name: "handbook".to_owned(),
        keeps_handbook: true,
        index: collection.is_none(),
        collection,
    }
}

pub fn handbook() -> CollectionInfo {
    CollectionInfo {
        documents: 9,
        passages: 41,
        sources: vec![SourceSpec::handbook()],
        ..CollectionInfo::empty("handbook")
    }
}

pub fn chunk(ordinal: u32, document: &str, heading: &str, text: &str) -> Chunk {
    Chunk {
        id: ChunkId::from_digest([ordinal as u8 + 1; 8]),
        document: document.to_owned(),
        ordinal,
        heading: vec!["Product FAQ".to_owned(), heading.to_owned()],
        lines: (ordinal * 10 + 1, ordinal * 10 + 9),
        bytes: 0..text.len(),
        text: text.to_owned(),
        tokens: 100,
    }
}

pub fn passages() -> Vec<Passage> {
    let texts = [
        (
            "Where does Milvus store data?",
            "Milvus deals with two types of data, inserted data and metadata.\n\nInserted data are stored in persistent storage as incremental log.",
        ),
        ("How does Milvus flush data?", "Milvus returns success when inserted data are loaded to the message queue."),
        (
            "Does Milvus support inserting and searching data simultaneously?",
            "Yes. Insert operations and query operations are handled by two separate modules.",
        ),
    ];
    let scores = [(0.649, 1, Some((7.2, 3)), 1.0), (0.597, 2, Some((9.8, 1)), 0.94), (0.412, 5, None, 0.31)];
    let both = texts.into_iter().zip(scores).zip(1..);
    both.map(|(((heading, text), (dense, dense_rank, keyword, fused)), rank)| Passage {
        rank,
        chunk: chunk(rank * 2, "faq/product_faq.md", heading, text),
        scores: Scores {
            metric: Metric::Ip,
            dense: Some(dense),
            dense_rank: Some(dense_rank),
            keyword: keyword.map(|(score, _)| score),
            keyword_rank: keyword.map(|(_, rank)| rank),
            fused: Some(fused),
            fused_rank: Some(rank),
            rerank: None,
        },
    })
    .collect()
}

pub fn timings() -> StageTimings {
    let ms = |n| Some(Duration::from_millis(n));
    StageTimings {
        embed: ms(5),
        dense: Some(Duration::from_micros(1_700)),
        keyword: ms(1),
        fuse: None,
        rerank: None,
        retrieval: Some(Duration::from_micros(7_200)),
        prompt: Some(Duration::from_micros(80)),
        first_token: ms(310),
        generation: ms(2_000),
    }
}

pub fn retrieved(turn: TurnId, notices: &[&str]) -> Event {
    let timings = StageTimings { first_token: None, generation: None, prompt: None, ..timings() };
    let notices = notices.iter().map(|&notice| notice.to_owned()).collect();
    let prompt = vec![Message { role: Role::User, content: "Use the passages to answer.".to_owned() }].into();
    let (mode, passages, candidates) = (Mode::Hybrid, passages(), candidates());
    Event::Retrieved { turn, mode, passages, candidates, prompt, timings, notices }
}

/// The passages, and more that did not get among them.
pub fn candidates() -> std::sync::Arc<[Candidate]> {
    let found = passages().into_iter().map(|Passage { rank, chunk, scores }| {
        let (place, title) = (chunk.place(), chunk.title().to_owned());
        Candidate { rank, id: chunk.id, place, title, scores }
    });
    let more = (4..=30).map(|rank| Candidate {
        rank,
        id: ChunkId::from_digest([rank as u8 + 100; 8]),
        place: format!("guide/part{}.md:{}-{}", rank % 4, rank * 7, rank * 7 + 5),
        title: format!("Section {rank}"),
        scores: Scores {
            metric: Metric::Ip,
            dense: (rank % 5 > 0).then_some(0.5 - rank as f32 * 0.013),
            dense_rank: (rank % 5 > 0).then_some(34 - rank),
            keyword: (rank % 2 > 0).then_some(6.0 - rank as f32 * 0.1),
            keyword_rank: (rank % 2 > 0).then_some(rank - 2),
            fused: Some(0.3 - rank as f32 * 0.01),
            fused_rank: Some(rank),
            rerank: None,
        },
    });
    found.chain(more).collect()
}

pub fn delta(turn: TurnId, text: &str) -> Event {
    Event::Delta { turn, text: text.to_owned() }
}

pub fn finished(turn: TurnId, finish: FinishReason) -> Event {
    let usage = Some(Usage { prompt_tokens: 900, completion_tokens: 84 });
    Event::Finished { turn, finish, usage, timings: timings() }
}

pub fn started_job(world: &World) -> JobId {
    world.state.ingest.as_ref().unwrap().id
}
