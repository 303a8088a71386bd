use insta::assert_snapshot;

use super::*;
use crate::domain::{IngestRun, Mode, ProgressSnapshot, Skip, Stage};

const QUESTION: &str = "How is data stored in milvus?";

#[test]
fn first_frames() {
    for (columns, mut world) in worlds(World::new) {
        assert_snapshot!(format!("chat_opening_{columns}"), world.screen());
        world.send(Event::StoreFailed("/home/me/store.db is locked by another program\nhint: close it".to_owned()));
        assert_snapshot!(format!("chat_store_failed_{columns}"), world.screen());
    }
    for (columns, mut world) in worlds(World::ready) {
        assert_snapshot!(format!("chat_empty_{columns}"), world.screen());
    }
}

#[test]
fn model_downloading_while_a_question_waits() {
    for (columns, mut world) in worlds(World::new) {
        world.send(opened(None));
        world.send(Event::ModelProgress { snapshot: downloading(), elapsed: Duration::from_secs(12) });
        assert_snapshot!(format!("chat_downloading_{columns}"), world.screen());
        world.ask(QUESTION);
        assert_snapshot!(format!("chat_waiting_{columns}"), world.screen());
    }
}

fn downloading() -> ProgressSnapshot {
    ProgressSnapshot {
        stage: Stage::Downloading,
        bytes_done: 38_000_000,
        bytes_total: 90_868_376,
        current: "model.safetensors".to_owned(),
        ..ProgressSnapshot::default()
    }
}

#[test]
fn model_failed() {
    let why =
        "the model could not be got\n  hub: connection refused\n  wheel: pip was not found\nhint: install python3-pip";
    for (columns, mut world) in worlds(World::new) {
        world.send(opened(Some(handbook())));
        world.send(Event::ChatModel { label: None, note: None });
        world.send(Event::ModelFailed(why.to_owned()));
        assert_snapshot!(format!("chat_model_failed_{columns}"), world.screen());
        let turn = world.ask(QUESTION);
        let mut found = retrieved(turn, &["keyword search only: there is no embedding model"]);
        if let Event::Retrieved { mode, .. } = &mut found {
            *mode = Mode::Keyword;
        }
        world.send(found);
        world.send(delta(turn, "> Inserted data are stored in persistent storage as incremental log. [1]\n"));
        world.send(finished(turn, FinishReason::Stop));
        assert_snapshot!(format!("chat_quoted_{columns}"), world.screen());
    }
}

#[test]
fn nothing_indexed() {
    for (columns, mut world) in worlds(World::ready) {
        world.send(Event::CollectionChanged(CollectionInfo::empty("handbook").into()));
        world.ask(QUESTION);
        assert_snapshot!(format!("chat_nothing_indexed_{columns}"), world.screen());
    }
}

#[test]
fn streaming() {
    for (columns, mut world) in worlds(World::ready) {
        let turn = world.ask(QUESTION);
        assert_snapshot!(format!("chat_streaming_1_searching_{columns}"), world.screen());
        world.send(retrieved(turn, &[]));
        assert_snapshot!(format!("chat_streaming_2_passages_{columns}"), world.screen());
        world.send(Event::Reasoning { turn, text: "The passages speak of logs and of etcd.".to_owned() });
        assert_snapshot!(format!("chat_streaming_3_thinking_{columns}"), world.screen());
        let text = "Inserted data are kept in **persistent storage** as incremental log [1]; metadata";
        world.send(delta(turn, text));
        assert_snapshot!(format!("chat_streaming_4_text_{columns}"), world.screen());
    }
}

#[test]
fn done_with_citations_one_of_them_invented() {
    for (columns, mut world) in worlds(World::ready) {
        let turn = world.ask(QUESTION);
        world.send(retrieved(turn, &[]));
        world.send(delta(
            turn,
            "Two kinds of data [1, 2]:\n\n- **inserted** data, in `MinIO` or S3 [1]\n- metadata, in etcd [7]\n",
        ));
        world.send(finished(turn, FinishReason::Stop));
        assert_snapshot!(format!("chat_done_{columns}"), world.screen());
    }
}

#[test]
fn endings_that_are_not_whole() {
    for (columns, mut world) in worlds(World::ready) {
        for finish in [FinishReason::EndedEarly, FinishReason::Length, FinishReason::Other("content_filter".to_owned())]
        {
            let turn = world.ask(finish.name());
            world.send(retrieved(turn, &[]));
            world.send(delta(turn, "Half of an"));
            world.send(finished(turn, finish));
        }
        let turn = world.ask("fails");
        let message = "the server answered 401 Unauthorized: invalid token\nhint: set LEPTONAI_TOKEN".to_owned();
        world.send(Event::TurnFailed { turn, message });
        assert_snapshot!(format!("chat_failed_{columns}"), world.screen());
        let turn = world.ask("stopped");
        world.send(retrieved(turn, &[]));
        world.send(delta(turn, "What was said so"));
        world.key(KeyModifiers::NONE, KeyCode::Esc);
        assert_eq!(world.effects.last(), Some(&Effect::CancelTurn(turn)));
        assert_snapshot!(format!("chat_stopped_{columns}"), world.screen());
    }
}

/// A long conversation with whatever answers hold, read from its middle while the next question is written.
#[test]
fn full() {
    let answer = "# Where data goes\n\nTwo kinds [1]:\n\n1. inserted data 漢字漢字\n2. metadata [2]\n\n\
        | store | holds |\n|---|---|\n| MinIO | logs of what was inserted |\n| etcd | metadata |\n\n\
        ```python\nclient.insert(collection_name=\"docs\", data=rows, partition_name=\"a partition\")\n```\n\n\
        > Milvus deals with two types of data.\n";
    for (columns, mut world) in worlds(World::ready) {
        for n in 1..=6 {
            let turn = world.ask(&format!("Question {n}: {QUESTION}"));
            world.send(retrieved(turn, &["12 of 41 passages have no vectors yet; re-indexing embeds them"]));
            world.send(delta(turn, answer));
            world.send(finished(turn, FinishReason::Stop));
        }
        world.send(Event::Action(Action::Insert(
            "What about a node that\ngoes away in the middle of a write?".to_owned(),
        )));
        assert_snapshot!(format!("chat_full_{columns}"), world.screen());
        world.key(KeyModifiers::NONE, KeyCode::Tab);
        world.key(KeyModifiers::NONE, KeyCode::Char('['));
        world.key(KeyModifiers::NONE, KeyCode::Char('['));
        assert_snapshot!(format!("chat_older_turn_{columns}"), world.screen());
        world.key(KeyModifiers::NONE, KeyCode::Tab);
        world.key(KeyModifiers::NONE, KeyCode::Char('j'));
        assert_snapshot!(format!("chat_passages_{columns}"), world.screen());
    }
}

#[test]
fn passage_text_between_its_neighbours() {
    for (columns, mut world) in worlds(World::ready) {
        let turn = world.ask(QUESTION);
        world.send(retrieved(turn, &[]));
        world.send(finished(turn, FinishReason::Stop));
        let id = passages()[0].chunk.id;
        let long = "A neighbour that stands before it.\n".repeat(40);
        let chunks = vec![
            chunk(1, "faq/product_faq.md", "Before", &long),
            passages()[0].chunk.clone(),
            chunk(3, "faq/product_faq.md", "After", &long),
        ];
        world.send(Event::Neighbours { collection: "handbook".to_owned(), id, result: Ok(chunks) });
        world.key(KeyModifiers::SHIFT, KeyCode::BackTab);
        assert_snapshot!(format!("chat_passage_{columns}"), world.screen());
        world.key(KeyModifiers::NONE, KeyCode::Up);
        world.key(KeyModifiers::NONE, KeyCode::Char('k'));
        assert_snapshot!(format!("chat_passage_scrolled_{columns}"), world.screen());
        for (end, beyond, back) in
            [(KeyCode::Home, KeyCode::Up, KeyCode::Down), (KeyCode::End, KeyCode::PageDown, KeyCode::Up)]
        {
            world.key(KeyModifiers::NONE, end);
            let at_end = world.screen();
            for _ in 0..3 {
                world.key(KeyModifiers::NONE, beyond);
                assert_eq!(world.screen(), at_end, "there is nothing beyond the end");
            }
            world.key(KeyModifiers::NONE, back);
            assert_ne!(world.screen(), at_end, "and no way back from where nothing is");
        }
    }
}

#[test]
fn small_and_tiny() {
    let mut world = World::ready(40, 10);
    assert_snapshot!("small", world.screen());
    assert_snapshot!("tiny", World::ready(30, 8).screen());
    for (columns, rows) in [(1, 1), (5, 3), (41, 11), (60, 14), (99, 15), (100, 10), (300, 100)] {
        let mut world = World::ready(columns, rows);
        let turn = world.ask(QUESTION);
        world.send(retrieved(turn, &[]));
        world.send(delta(turn, "| a | b |\n|---|---|\n| 漢字 | x |\n"));
        for _ in 0..4 {
            world.key(KeyModifiers::NONE, KeyCode::Tab);
            world.draw();
        }
        world.key(KeyModifiers::NONE, KeyCode::F(1));
        world.draw();
        world.key(KeyModifiers::NONE, KeyCode::F(2));
        world.draw();
    }
}

#[test]
fn without_colours_nothing_has_one() {
    let mut world = World::ready(120, 30);
    world.state.theme = ThemeName::Mono;
    let turn = world.ask(QUESTION);
    world.send(retrieved(turn, &["a note"]));
    world.send(delta(turn, "# h\n\n`code` [1] [9] [l](m)"));
    world.send(finished(turn, FinishReason::Length));
    world.key(KeyModifiers::NONE, KeyCode::Tab);
    let reset = ratatui::style::Color::Reset;
    assert!(world.draw().content.iter().all(|cell| (cell.fg, cell.bg) == (reset, reset)));
}

#[test]
fn help_overlay() {
    for (columns, mut world) in worlds(World::ready) {
        world.key(KeyModifiers::NONE, KeyCode::Char('?'));
        assert_snapshot!(format!("help_{columns}"), world.screen());
        world.key(KeyModifiers::NONE, KeyCode::End);
        assert_snapshot!(format!("help_scrolled_{columns}"), world.screen());
    }
}

#[test]
fn nothing_hostile_reaches_a_cell() {
    const EVIL: &str = "a\x1b[31mb\x1b]0;t\x07c\u{9b}2Jd\u{202e}e\u{200b}f\u{2066}g&#27;[2J&#x202e;h\r\n\tz";
    let evil = EVIL.to_owned();
    let mut world = World::new(120, 30);
    let mut collection = handbook();
    collection.sources[0].location.clone_from(&evil);
    world.send(Event::StoreOpened {
        store: evil.clone(),
        name: evil.clone(),
        collection: Some(collection),
        keeps_handbook: true,
        index: false,
    });
    world.send(Event::ModelReady { name: evil.clone(), dim: 1 });
    world.send(Event::ChatModel { label: Some(evil.clone()), note: Some(evil.clone()) });
    let turn = world.ask(EVIL);
    let mut passages = passages();
    for passage in &mut passages {
        passage.chunk.document.clone_from(&evil);
        passage.chunk.heading = vec![evil.clone()];
        passage.chunk.text.clone_from(&evil);
    }
    let id = passages[0].chunk.id;
    let mut candidates = candidates().to_vec();
    for candidate in &mut candidates {
        (candidate.place, candidate.title) = (evil.clone(), evil.clone());
    }
    let prompt = vec![crate::domain::Message { role: crate::domain::Role::User, content: evil.clone() }];
    let before = Chunk { ordinal: 0, id: ChunkId::from_digest([99; 8]), ..passages[0].chunk.clone() };
    world.send(Event::Retrieved {
        turn,
        mode: Mode::Hybrid,
        passages,
        candidates: candidates.into(),
        prompt: prompt.into(),
        timings: timings(),
        notices: vec![evil.clone()],
    });
    world.send(Event::Neighbours { collection: "handbook".to_owned(), id, result: Ok(vec![before]) });
    world.send(Event::Reasoning { turn, text: evil.clone() });
    check(&mut world);
    world.key(KeyModifiers::CONTROL, KeyCode::Char('e'));
    for _ in 0..4 {
        check(&mut world);
        world.key(KeyModifiers::NONE, KeyCode::Tab);
    }
    world.key(KeyModifiers::CONTROL, KeyCode::Char('e'));
    let markdown =
        format!("# {EVIL}\n\n- {EVIL}\n\n```\n{EVIL}\n```\n\n[{EVIL}](http://x/{EVIL})\n\n|{EVIL}|\n|-|\n|&#27;|\n");
    for piece in markdown.split_inclusive(|_| true) {
        world.send(delta(turn, piece));
        check(&mut world);
    }
    world.send(finished(turn, FinishReason::Other(evil.clone())));
    check(&mut world);
    let turn = world.ask("x");
    world.send(Event::TurnFailed { turn, message: evil.clone() });
    world.send(Event::Notice(evil.clone()));
    world.input(Input::Paste(evil.clone()));
    check(&mut world);
    world.send(Event::ModelFailed(evil.clone()));
    world.key(KeyModifiers::CONTROL, KeyCode::Char('r'));
    world.key(KeyModifiers::NONE, KeyCode::F(2));
    let job = started_job(&world);
    let skipped = vec![Skip { document: evil.clone(), reason: evil.clone(), location: evil.clone() }];
    let snapshot = ProgressSnapshot { current: evil.clone(), skipped: skipped.into(), ..ProgressSnapshot::default() };
    world.send(Event::ModelProgress {
        snapshot: ProgressSnapshot { stage: Stage::Downloading, ..snapshot.clone() },
        elapsed: Duration::ZERO,
    });
    world.send(Event::IngestProgress { job, snapshot, elapsed: Duration::ZERO });
    check(&mut world);
    world.key(KeyModifiers::NONE, KeyCode::Tab);
    world.key(KeyModifiers::NONE, KeyCode::Enter);
    assert!(world.state.ingest_view.open);
    check(&mut world);
    world.key(KeyModifiers::NONE, KeyCode::Esc);
    let run = IngestRun::new(evil.clone(), evil.clone(), &Err(evil.clone()), f64::NAN);
    world.send(Event::PastRuns(vec![run]));
    world.key(KeyModifiers::NONE, KeyCode::Tab);
    check(&mut world);
    world.key(KeyModifiers::NONE, KeyCode::Enter);
    check(&mut world);
    world.send(Event::IngestFinished { job, result: Err(evil.clone()), collection: None });
    world.send(Event::StoreFailed(evil));
    check(&mut world);
    world.key(KeyModifiers::NONE, KeyCode::F(2));
    check(&mut world);
}

/// Every cell holds one plain cluster that a sanitiser would leave as it is.
pub fn check(world: &mut World) {
    let hostile = world.draw().content.iter().find(|cell| {
        !cell.symbol().bytes().all(|byte| matches!(byte, b' '..=b'~'))
            && (crate::text::sanitise(cell.symbol()) != cell.symbol() || cell.symbol().contains('\n'))
    });
    assert_eq!(hostile, None);
}

#[test]
fn a_thought_that_only_its_end_tells_leaves_the_answer() {
    let mut world = World::ready(80, 24);
    let turn = world.ask("Why?");
    world.send(retrieved(turn, &[]));
    world.send(delta(turn, "plan the answer\n\nin two paragraphs"));
    assert!(world.screen().contains("in two paragraphs"));
    world.send(Event::WasThought { turn });
    let screen = world.screen();
    assert!(screen.contains("thinking:") && !screen.contains("You  plan"), "{screen}");
    world.send(delta(turn, "Because."));
    world.send(finished(turn, FinishReason::Stop));
    let screen = world.screen();
    assert!(screen.contains("Because.") && screen.contains("it thought first: 34 characters"), "{screen}");
    assert!(!screen.contains("in two paragraphs"), "{screen}");
}
