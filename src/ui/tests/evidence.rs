use insta::assert_snapshot;

use super::*;

const QUESTION: &str = "How is data stored in milvus?";
const SIZES: [(u16, u16); 3] = [(200, 60), (80, 24), (40, 12)];

fn shown(columns: u16, rows: u16) -> (World, TurnId) {
    let mut world = World::ready(columns, rows);
    let turn = world.ask(QUESTION);
    world.key(KeyModifiers::CONTROL, KeyCode::Char('e'));
    (world, turn)
}

#[test]
fn empty_loading_and_full_at_every_size() {
    for (columns, rows) in SIZES {
        let mut world = World::ready(columns, rows);
        world.key(KeyModifiers::CONTROL, KeyCode::Char('e'));
        assert_snapshot!(format!("evidence_empty_{columns}"), world.screen());
        let (mut world, turn) = shown(columns, rows);
        assert_snapshot!(format!("evidence_loading_{columns}"), world.screen());
        world.send(retrieved(turn, &[]));
        world.send(finished(turn, FinishReason::Stop));
        assert_snapshot!(format!("evidence_full_{columns}"), world.screen());
        world.key(KeyModifiers::NONE, KeyCode::Tab);
        world.key(KeyModifiers::NONE, KeyCode::Tab);
        assert_snapshot!(format!("evidence_figures_{columns}"), world.screen());
        world.key(KeyModifiers::NONE, KeyCode::Tab);
        assert_snapshot!(format!("evidence_prompt_{columns}"), world.screen());
    }
}

#[test]
fn the_selected_candidate_stays_in_view_whatever_the_order() {
    let (mut world, turn) = shown(80, 24);
    world.send(retrieved(turn, &[]));
    world.draw();
    for _ in 0..20 {
        world.key(KeyModifiers::NONE, KeyCode::Char('j'));
        world.draw();
    }
    let id = world.state.shown_candidate().unwrap().id;
    assert_eq!(world.state.shown_candidate().unwrap().rank, 21);
    assert!(world.effects.contains(&Effect::LoadNeighbours { collection: "handbook".to_owned(), id }));
    for mark in ["ip▾", "bm25▾", "fused▾", "place▾", "rank▾"] {
        world.key(KeyModifiers::NONE, KeyCode::Char('s'));
        let screen = world.screen();
        assert!(screen.contains(mark) && screen.contains("▸ 21"), "{screen}");
    }
    world.key(KeyModifiers::NONE, KeyCode::Esc);
    assert_eq!(world.state.view, crate::app::View::Chat);
}

#[test]
fn searching_again_shows_old_and_new_ranks() {
    for (columns, rows) in SIZES {
        let (mut world, turn) = shown(columns, rows);
        world.send(retrieved(turn, &[]));
        world.send(finished(turn, FinishReason::Stop));
        world.key(KeyModifiers::NONE, KeyCode::Char('w'));
        let Some(Effect::Retrieve { request, settings, .. }) = world.effects.last().cloned() else { panic!() };
        assert_eq!(settings.fusion, crate::domain::Fusion::MinMax { dense_weight: 0.7 });
        let mut found = candidates().to_vec();
        found.swap(0, 3);
        found.remove(1);
        for (candidate, rank) in found.iter_mut().zip(1..) {
            candidate.rank = rank;
        }
        world.send(Event::RetrievedAgain { request: crate::app::RequestId(0), result: Err("late".to_owned()) });
        world.send(Event::RetrievedAgain { request, result: Ok(found.into()) });
        assert_snapshot!(format!("evidence_again_{columns}"), world.screen());
        world.key(KeyModifiers::NONE, KeyCode::Char('a'));
        let asked = world.state.turns.last().unwrap();
        assert_eq!((asked.question.as_str(), asked.settings), (QUESTION, settings));
    }
}
