use std::sync::Arc;

use insta::assert_snapshot;

use super::*;
use crate::{
    app::{EvidencePane, Found, RequestId, View},
    domain::{Fusion, Projection},
};

const QUESTION: &str = "How is data stored in milvus?";
const NONE: KeyModifiers = KeyModifiers::NONE;

fn shown(columns: u16, rows: u16) -> (World, TurnId) {
    let mut world = World::ready(columns, rows);
    let turn = world.ask(QUESTION);
    world.key(KeyModifiers::CONTROL, KeyCode::Char('e'));
    (world, turn)
}

/// A turn that was answered, in the evidence view.
fn answered(columns: u16, rows: u16) -> World {
    let (mut world, turn) = shown(columns, rows);
    world.send(retrieved(turn, &[]));
    world.send(finished(turn, FinishReason::Stop));
    world
}

impl World {
    fn keys(&mut self, keys: &str) {
        for key in keys.chars() {
            let code = match key {
                '⇥' => KeyCode::Tab,
                '↵' => KeyCode::Enter,
                '⎋' => KeyCode::Esc,
                '←' => KeyCode::Left,
                '→' => KeyCode::Right,
                '↑' => KeyCode::Up,
                '↓' => KeyCode::Down,
                key => KeyCode::Char(key),
            };
            self.draw();
            self.key(NONE, code);
        }
    }

    fn searched_again(&mut self, candidates: Vec<Candidate>, collection: &str, notices: &[&str]) {
        let Some(Effect::Retrieve { request, .. }) = self.effects.last().cloned() else { panic!("{:?}", self.effects) };
        let found = Found {
            collection: collection.to_owned(),
            mode: Mode::Hybrid,
            passages: Vec::new(),
            candidates: candidates.into(),
            timings: StageTimings { fuse: None, embed: None, ..timings() },
            notices: notices.iter().map(|&notice| notice.to_owned()).collect(),
        };
        self.send(Event::RetrievedAgain { request, result: Ok(Arc::new(found)) });
    }

    /// Answers what the view asked for about the selected candidate.
    fn read(&mut self) {
        let chunk = passages()[0].chunk.clone();
        let before = super::chunk(chunk.ordinal - 1, "faq/product_faq.md", "Before", "What stands before it.");
        let after = super::chunk(chunk.ordinal + 1, "faq/product_faq.md", "After", "What stands behind it.");
        let (collection, id) = ("handbook".to_owned(), chunk.id);
        let best = chunk.text.find("Inserted data are").unwrap()..chunk.text.len();
        self.send(Event::Neighbours { collection, id, result: Ok(vec![before, chunk, after]) });
        let request = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::FindSentence { request, .. } => Some(*request),
            _ => None,
        });
        self.send(Event::SentenceFound { request: request.unwrap(), sentence: Some(best) });
    }

    fn asked_for_map(&self) -> Vec<(RequestId, usize)> {
        let asked = self.effects.iter().filter_map(|effect| match effect {
            Effect::Project { request, ids, .. } => Some((*request, ids.len())),
            _ => None,
        });
        asked.collect()
    }
}

/// The candidates around the question in a spiral, nearest first.
fn projection(candidates: &[Candidate]) -> Arc<Projection> {
    let points = candidates.iter().map(|candidate| {
        let turn = candidate.rank as f32 * 0.9;
        (candidate.id, [turn.cos() * turn * 0.03, turn.sin() * turn * 0.01])
    });
    Arc::new(Projection { question: [0.0, 0.0], points: points.collect(), explained: [0.243, 0.127] })
}

/// Another order of the candidates: the second is not found any more, an unknown one is.
fn others() -> Vec<Candidate> {
    let mut found = candidates().to_vec();
    found.swap(0, 3);
    found.remove(1);
    found.insert(
        2,
        Candidate { id: ChunkId::from_digest([99; 8]), place: "guide/new.md:1-9".to_owned(), ..found[5].clone() },
    );
    for (candidate, rank) in found.iter_mut().zip(1..) {
        candidate.rank = rank;
    }
    found
}

#[test]
fn empty_loading_failed_and_full_at_every_size() {
    for (columns, rows) in SIZES {
        let mut world = World::ready(columns, rows);
        world.key(KeyModifiers::CONTROL, KeyCode::Char('e'));
        assert_snapshot!(format!("evidence_empty_{columns}"), world.screen());
        let (mut world, turn) = shown(columns, rows);
        assert_snapshot!(format!("evidence_loading_{columns}"), world.screen());
        world.send(Event::TurnFailed { turn, message: "the store is gone\nhint: bring it back".to_owned() });
        assert_snapshot!(format!("evidence_failed_{columns}"), world.screen());
        let mut world = answered(columns, rows);
        world.read();
        assert_snapshot!(format!("evidence_full_{columns}"), world.screen());
        world.keys("⇥");
        assert_snapshot!(format!("evidence_passage_{columns}"), world.screen());
        world.keys("⇥⇥");
        assert_snapshot!(format!("evidence_figures_{columns}"), world.screen());
        world.keys("⇥");
        let turn = world.state.shown_turn().unwrap().id;
        world.send(Event::PromptCounted { turn, tokens: vec![6] });
        assert_snapshot!(format!("evidence_prompt_{columns}"), world.screen());
    }
}

#[test]
fn what_the_model_thought_can_be_read_after_the_answer() {
    let (mut world, turn) = shown(80, 24);
    world.send(retrieved(turn, &[]));
    let prompt = |world: &mut World| {
        world.keys("⇥⇥⇥⇥G");
        world.screen()
    };
    assert!(!prompt(&mut world).contains("thought"));
    let thought = format!("{}Therefore a log.", "A step of it.\n".repeat(40));
    world.send(Event::Reasoning { turn, text: thought });
    world.send(delta(turn, "In a log."));
    world.send(finished(turn, FinishReason::Stop));
    world.keys("G");
    let screen = world.screen();
    assert!(screen.contains("A step of it.") && screen.contains("Therefore a log."), "{screen}");
    world.keys("g");
    assert!(world.screen().contains("stands at the end."), "{}", world.screen());
    world.state.view = View::Chat;
    let screen = world.screen();
    let told = screen.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("/evidence shows them below the prompt"), "{screen}");
}

#[test]
fn the_map_at_every_size() {
    for (columns, rows) in SIZES {
        let mut world = answered(columns, rows);
        assert_eq!(world.asked_for_map(), [], "it is made for those who look at it");
        world.keys("⇥⇥");
        let [(request, 30)] = world.asked_for_map()[..] else { panic!("{:?}", world.asked_for_map()) };
        world.send(Event::Projected { request: RequestId(0), result: Err("late".to_owned()) });
        assert_snapshot!(format!("evidence_map_loading_{columns}"), world.screen());
        let why = "collection \"handbook\" has no vectors; hint: index it".to_owned();
        world.send(Event::Projected { request, result: Err(why) });
        assert_snapshot!(format!("evidence_map_failed_{columns}"), world.screen());
        world.send(Event::Projected { request, result: Ok(projection(&candidates())) });
        assert_snapshot!(format!("evidence_map_{columns}"), world.screen());
        world.keys("jjj+");
        world.searched_again(others(), "handbook", &[]);
        assert_eq!(world.asked_for_map().len(), 2, "what is new has no place yet");
        world.keys("+");
        world.searched_again(candidates().to_vec(), "handbook", &[]);
        assert_eq!(world.asked_for_map().len(), 3);
        world.keys("+");
        world.searched_again(candidates()[..7].to_vec(), "handbook", &[]);
        assert_eq!(world.asked_for_map().len(), 3, "all of these were to be placed already");
    }
}

#[test]
fn arrows_go_to_the_nearest_candidate_in_their_direction() {
    let mut world = answered(80, 24);
    world.keys("⇥⇥");
    let (request, _) = world.asked_for_map()[0];
    // A cross: the fourth in the middle, the first at its right, the second above, the third at the left, the fifth
    // below, and the sixth further to the right.
    let places = [[1.0, 0.1], [0.0, 1.0], [-1.0, 0.0], [0.0, 0.0], [0.1, -1.0], [1.5, 0.0]];
    let points = candidates().iter().map(|candidate| candidate.id).zip(places).collect();
    let map = Projection { question: [0.2, 0.2], points, explained: [0.5, 0.5] };
    world.send(Event::Projected { request, result: Ok(Arc::new(map)) });
    let mut walk = |keys: &str, rank: u32| {
        world.keys(keys);
        assert_eq!(world.state.shown_candidate().unwrap().rank, rank, "{keys}");
        let screen = world.screen();
        let mark = format!("▸{}{rank} ", if rank <= 5 { "•" } else { " " });
        assert!(screen.contains(&mark), "the table goes along: {mark}\n{screen}");
        assert!(screen.contains(&format!("[{rank}] ")), "{screen}");
    };
    walk("→", 6);
    walk("→", 6);
    walk("←", 1);
    walk("h", 4);
    walk("↑", 2);
    walk("k", 2);
    walk("↓", 4);
    walk("j", 5);
    walk("l", 1);
    walk("h", 4);
    walk("h", 3);
    world.keys("G→");
    assert_eq!(world.state.shown_candidate().unwrap().rank, 1, "from what has no place to the first that has one");
    world.keys("⎋");
    assert_eq!((world.state.view, world.state.evidence.pane), (View::Evidence, EvidencePane::Candidates));
}

#[test]
fn the_selected_candidate_stays_in_view_whatever_the_order() {
    let (mut world, turn) = shown(80, 24);
    world.send(retrieved(turn, &[]));
    world.draw();
    for _ in 0..20 {
        world.key(NONE, KeyCode::Char('j'));
        world.draw();
    }
    let id = world.state.shown_candidate().unwrap().id;
    assert_eq!(world.state.shown_candidate().unwrap().rank, 21);
    assert!(world.effects.contains(&Effect::LoadNeighbours { collection: "handbook".to_owned(), id }));
    for mark in ["ip▾", "bm25▾", "fused▾", "place▾", "rank▾"] {
        world.key(NONE, KeyCode::Char('s'));
        let screen = world.screen();
        assert!(screen.contains(mark) && screen.contains("▸ 21"), "{screen}");
    }
    world.key(NONE, KeyCode::Esc);
    assert_eq!(world.state.view, View::Chat);
}

#[test]
fn every_column_orders_its_best_first() {
    let ranks = |keys: &str| {
        let mut world = answered(80, 24);
        world.keys("w");
        world.searched_again(others(), "handbook", &[]);
        world.keys(keys);
        let turn = world.state.shown_turn().unwrap();
        let rows = world.state.evidence.rows(turn);
        let ends = [&rows[..4], &rows[27..30]].concat();
        ends.iter().map(|row| row.candidate.rank).collect::<Vec<_>>()
    };
    assert_eq!(ranks(""), [1, 2, 3, 4, 28, 29, 30]);
    assert_eq!(ranks("s"), [4, 2, 29, 28, 20, 25, 30], "what the vectors did not find stands last");
    assert_eq!(ranks("ss"), [4, 5, 3, 7, 26, 28, 30]);
    assert_eq!(ranks("sss"), [4, 2, 1, 5, 28, 29, 30]);
    assert_eq!(ranks("ssss"), [4, 2, 3, 1, 19, 23, 27], "lines are numbers");
}

#[test]
fn searching_again_shows_old_and_new_ranks() {
    for (columns, rows) in SIZES {
        let mut world = answered(columns, rows);
        world.keys("w");
        let Some(Effect::Retrieve { request, settings, .. }) = world.effects.last().cloned() else { panic!() };
        assert_eq!(settings.fusion, Fusion::MinMax { dense_weight: 0.7 });
        assert!(world.screen().contains("… searching again"));
        world.send(Event::RetrievedAgain { request: RequestId(0), result: Err("late".to_owned()) });
        world.searched_again(others(), "handbook", &["3 of 41 passages have no vectors yet"]);
        assert_snapshot!(format!("evidence_again_{columns}"), world.screen());
        world.keys("G");
        assert_eq!(world.state.shown_candidate().map(|lost| lost.rank), Some(2));
        let screen = world.screen();
        assert!(screen.contains("▸ gone 2") && screen.contains("gone: 1 found before"), "{screen}");
        world.send(Event::RetrievedAgain { request, result: Err("late too".to_owned()) });
        assert!(world.screen().contains("▸ gone 2"));
        world.keys("a");
        let asked = world.state.turns.last().unwrap();
        assert_eq!((asked.question.as_str(), asked.settings), (QUESTION, settings));
    }
}

#[test]
fn an_order_by_sentences_is_shown_beside_the_one_before() {
    for (columns, rows) in SIZES {
        let mut world = answered(columns, rows);
        world.keys("r");
        let Some(Effect::Retrieve { settings, .. }) = world.effects.last().cloned() else { panic!() };
        assert_eq!(settings.rerank, 20);
        let mut found = candidates().to_vec();
        found[..20].reverse();
        for (candidate, rank) in found.iter_mut().zip(1..) {
            candidate.rank = rank;
            candidate.scores.rerank = (rank <= 20).then_some(0.8 - rank as f32 * 0.02);
        }
        world.searched_again(found, "handbook", &[]);
        assert_snapshot!(format!("evidence_rerank_{columns}"), world.screen());
        for _ in 0..4 {
            world.keys("s");
        }
        world.draw();
        assert!(world.screen().contains("rerank▾"), "{}", world.screen());
        world.keys("r");
        let Some(Effect::Retrieve { settings, .. }) = world.effects.last().cloned() else { panic!() };
        assert_eq!(settings.rerank, 0);
        world.searched_again(candidates().to_vec(), "handbook", &[]);
        assert!(!world.screen().contains("by rerank"), "{}", world.screen());
    }
}

#[test]
fn what_decided_the_order_is_told_beside_the_answer() {
    let mut world = World::ready(120, 30);
    world.state.settings.rerank = 20;
    let turn = world.ask(QUESTION);
    let Event::Retrieved { turn, mode, mut passages, candidates, prompt, timings, notices } = retrieved(turn, &[])
    else {
        panic!()
    };
    for passage in &mut passages {
        passage.scores.rerank = Some(1.02 - passage.rank as f32 * 0.1);
    }
    let (second, rerank) = (Duration::from_millis(1_000), Some(Duration::from_millis(990)));
    let timings = StageTimings { retrieval: timings.retrieval.map(|time| time + second), rerank, ..timings };
    world.send(Event::Retrieved { turn, mode, passages, candidates, prompt, timings, notices });
    let screen = world.screen();
    for told in ["k=5 · rerank 20", "rerank 0.92", "rerank 0.82", "search 12 ms │ rerank 990 ms"] {
        assert!(screen.contains(told), "{told}: {screen}");
    }
}

#[test]
fn a_candidate_that_is_gone_or_cannot_be_read_says_so_and_is_looked_for_again() {
    let mut world = answered(80, 24);
    let loads = |world: &World| {
        let last = world.state.shown_candidate().unwrap().id;
        let asked =
            world.effects.iter().filter(|effect| matches!(effect, Effect::LoadNeighbours { id, .. } if *id == last));
        asked.count()
    };
    world.keys("G⇥");
    let id = world.state.shown_candidate().unwrap().id;
    for (result, told) in [
        (Err("the disk is gone".to_owned()), "✗ the disk is gone"),
        (Ok(Vec::new()), "It is no longer in the collection"),
    ] {
        assert!(world.screen().contains("reading …"), "{}", world.screen());
        world.send(Event::Neighbours { collection: "handbook".to_owned(), id, result });
        assert!(world.screen().contains(told), "{}", world.screen());
        world.effects.clear();
        world.keys("⇥⇥⇥⇥kj⇥");
        assert_eq!(loads(&world), 1, "{told}");
    }
}

#[test]
fn a_search_that_fails_says_so_and_leads_back() {
    for (columns, rows) in SIZES {
        let mut world = answered(columns, rows);
        world.keys("m");
        let Some(Effect::Retrieve { request, .. }) = world.effects.last().cloned() else { panic!() };
        let why = "dense search needs an embedding model, and none is loaded; hint: `askdocs doctor`".to_owned();
        world.send(Event::RetrievedAgain { request, result: Err(why) });
        assert_snapshot!(format!("evidence_again_failed_{columns}"), world.screen());
        world.keys("⎋");
        assert!(world.state.evidence.rerun.is_none() && world.state.view == View::Evidence);
        assert!(world.screen().contains("▸•1"), "what was there before is back");
    }
}

#[test]
fn another_collection_stands_beside_the_turns_own() {
    for (columns, rows) in SIZES {
        let mut world = answered(columns, rows);
        world.keys("c");
        assert!(world.screen().contains("… reading the list"));
        let Some(Effect::ListCollections { request }) = world.effects.last().cloned() else { panic!() };
        let named = |name: &str, passages| CollectionInfo { documents: 1, passages, ..CollectionInfo::empty(name) };
        let known =
            [handbook(), named("hollow", 0), named("notes", 7)].map(|info| crate::app::Entry::Readable(info.into()));
        world.send(Event::CollectionsListed { request, result: Ok(known.into()) });
        assert_snapshot!(format!("evidence_choice_{columns}"), world.screen());
        world.keys("x⎋");
        assert!(world.state.evidence.choosing.is_none() && world.state.evidence.rerun.is_none());
        assert!(
            !world.effects.iter().any(|effect| matches!(effect, Effect::Export { .. })),
            "only what is named on screen"
        );
        let before = world.effects.len();
        world.keys("c");
        let Some(Effect::ListCollections { request }) = world.effects[before..].first().cloned() else { panic!() };
        let known =
            [handbook(), named("hollow", 0), named("notes", 7)].map(|info| crate::app::Entry::Readable(info.into()));
        world.send(Event::CollectionsListed { request, result: Ok(known.into()) });
        world.keys("j↵");
        let Some(Effect::Retrieve { collection, .. }) = world.effects.last() else { panic!("{:?}", world.effects) };
        assert_eq!(collection, "notes", "the empty one is not offered");
        let all = candidates();
        let found = all.iter().skip(20).zip(1..=7).map(|(same, rank)| Candidate {
            rank,
            place: format!("notes/{rank}.md:1-3"),
            ..same.clone()
        });
        world.searched_again(found.collect(), "notes", &[]);
        assert_snapshot!(format!("evidence_beside_{columns}"), world.screen());
        assert_eq!(world.state.candidate_collection(), Some("notes"));
        for _ in 0..29 {
            world.keys("j");
        }
        // Ids may be the same in both: the cursor gets to the end all the same.
        assert_eq!(world.state.candidate_collection(), Some("handbook"));
        assert_eq!(world.state.shown_candidate().map(|old| old.rank), Some(30));
        assert!(world.screen().contains("▸ 30"));
        world.keys("a");
        assert!(matches!(world.effects.last(), Some(Effect::Ask { collection, .. }) if collection == "notes"));
        assert_eq!(world.state.collection_name(), Some("handbook"), "only this question goes there");
    }
}

#[test]
fn the_first_token_is_timed_when_it_comes() {
    let (mut world, turn) = shown(80, 24);
    world.send(retrieved(turn, &[]));
    world.keys("⇥⇥⇥");
    world.keys("G");
    assert!(!world.screen().contains("first token"));
    world.send(Event::AnswerBegan { turn, timings: StageTimings { generation: None, ..timings() } });
    world.send(delta(turn, "Inserted"));
    world.keys("G");
    let screen = world.screen();
    assert!(screen.contains("first token    310 ms") && !screen.contains("┃ rest"), "{screen}");
}

#[test]
fn each_of_the_top_k_is_marked_among_the_distances() {
    let mut world = answered(80, 24);
    let marks = |world: &mut World, k: usize| {
        let screen = world.screen();
        let below = screen.lines().skip_while(|line| !line.contains(&format!("^ top {k}"))).nth(2);
        below.unwrap_or_else(|| panic!("{screen}")).matches('^').count()
    };
    world.keys("⇥⇥⇥");
    assert_eq!(marks(&mut world, 5), 4, "the vectors did not find the fifth");
    world.keys("--");
    world.searched_again(candidates().to_vec(), "handbook", &[]);
    assert_eq!(marks(&mut world, 3), 3);
}

#[test]
fn all_of_a_turn_is_exported() {
    let mut world = answered(80, 24);
    let turn = world.state.shown_turn().unwrap().id;
    world.send(Event::PromptCounted { turn, tokens: vec![6] });
    let export = |world: &mut World| {
        world.keys("x");
        let Some(Effect::Export { json }) = world.effects.last() else { panic!() };
        serde_json::from_str::<serde_json::Value>(json).unwrap()
    };
    let json = export(&mut world);
    assert_eq!(
        (&json["state"], &json["finish_reason"], &json["model"]),
        (&"done".into(), &"stop".into(), &"lepton: mistral-7b".into())
    );
    assert_eq!((json["passages"].as_array().unwrap().len(), json["candidates"].as_array().unwrap().len()), (3, 30));
    assert_eq!((&json["prompt_tokens_about"][0], &json["timings_ms"]["first_token"]), (&6.into(), &310.0.into()));
    assert_eq!(json["searched_again"], serde_json::Value::Null);
    world.keys("w");
    world.searched_again(others(), "handbook", &["a note"]);
    let again = export(&mut world)["searched_again"].clone();
    assert_eq!((&again["candidates"][0]["rank"], &again["notices"][0]), (&1.into(), &"a note".into()));
    assert_eq!(again["settings"]["fusion"]["min-max"]["dense_weight"], 0.7, "as it was set, not as its bits are");
}

#[test]
fn nothing_depends_on_colour() {
    let mut world = answered(80, 24);
    world.state.theme = ThemeName::Mono;
    world.read();
    world.keys("⇥⇥");
    let (request, _) = world.asked_for_map()[0];
    world.send(Event::Projected { request, result: Ok(projection(&candidates())) });
    let reset = ratatui::style::Color::Reset;
    for _ in 0..5 {
        assert!(world.draw().content.iter().all(|cell| (cell.fg, cell.bg) == (reset, reset)));
        world.keys("⇥");
    }
}

#[test]
fn nothing_hostile_reaches_a_cell() {
    let evil = "a\x1b[31mb\x1b]0;t\x07c\u{9b}2Jd\u{202e}e\u{200b}f\u{2066}g\r\n\tz".to_owned();
    let mut world = answered(120, 40);
    let hostile = |candidate: &Candidate| Candidate { place: evil.clone(), title: evil.clone(), ..candidate.clone() };
    let found: Vec<Candidate> = candidates().iter().take(9).map(hostile).collect();
    let look = |world: &mut World| {
        for _ in 0..5 {
            super::screens::check(world);
            world.keys("⇥");
        }
    };
    world.keys("⇥⇥");
    let (request, _) = world.asked_for_map()[0];
    world.send(Event::Projected { request, result: Err(evil.clone()) });
    super::screens::check(&mut world);
    world.send(Event::Projected { request, result: Ok(projection(&found)) });
    world.keys("⇥⇥⇥c");
    let Some(Effect::ListCollections { request }) = world.effects.last().cloned() else { panic!() };
    let named = CollectionInfo { passages: 9, ..CollectionInfo::empty(&evil) };
    world.send(Event::CollectionsListed { request, result: Ok(vec![crate::app::Entry::Readable(named.into())]) });
    super::screens::check(&mut world);
    world.keys("g↵");
    world.searched_again(found.clone(), &evil, &[&evil]);
    look(&mut world);
    world.keys("+");
    world.searched_again(found, "handbook", &[&evil]);
    look(&mut world);
    world.keys("+");
    let Some(Effect::Retrieve { request, .. }) = world.effects.last().cloned() else { panic!() };
    world.send(Event::RetrievedAgain { request, result: Err(evil.clone()) });
    look(&mut world);
}

#[test]
fn what_has_the_keys_is_copied_and_a_weight_is_for_two_retrievers() {
    let mut world = answered(120, 40);
    world.keys("y");
    let Some(Effect::Copy { what, .. }) = world.effects.last().cloned() else { panic!() };
    assert!(what.starts_with("the passage"), "{what}");
    while world.state.evidence.pane != EvidencePane::Prompt {
        world.key(KeyModifiers::NONE, KeyCode::Tab);
    }
    world.keys("y");
    let Some(Effect::Copy { what, text }) = world.effects.last().cloned() else { panic!() };
    let prompt = &world.state.turns[0].prompt;
    assert_eq!(what, "the prompt");
    assert!(prompt.iter().all(|message| text.contains(message.content.trim_end())), "{text}");

    let mut world = answered(120, 40);
    world.keys("w");
    assert!(matches!(world.effects.last(), Some(Effect::Retrieve { .. })));
    world.keys("m");
    let asked = world.effects.len();
    world.keys("w");
    assert_eq!(world.effects.len(), asked);
    assert!(world.screen().contains("it is for hybrid search"), "{}", world.screen());
}
