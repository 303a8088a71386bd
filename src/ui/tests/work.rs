//! The cost of drawing, counted rather than timed.

use super::*;

/// Streams an answer in pieces of four characters with a frame after each; returns the bytes parsed for it.
fn stream(answer: &str) -> usize {
    let mut world = World::ready(40, 10);
    let turn = world.ask("x");
    world.send(retrieved(turn, &[]));
    let mut rest = answer;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.ceil_char_boundary(4.min(rest.len())));
        world.send(delta(turn, piece));
        world.draw();
        rest = after;
    }
    world.send(finished(turn, FinishReason::Stop));
    world.draw();
    world.cache.parsed_bytes()
}

#[test]
fn streaming_costs_in_proportion_to_the_answer() {
    let paragraphs = "A sentence of a paragraph with **bold** words and a citation [1].\n\n".repeat(32);
    let one_block = "a word and another one, ".repeat(90);
    for answer in [paragraphs, one_block] {
        let (short, long) = (stream(&answer), stream(&answer.repeat(3)));
        assert!(short <= answer.len() * 45, "{} bytes parsed for {}", short, answer.len());
        assert!(long <= short * 7 / 2, "{long} is more than in proportion to {short}");
    }
}

#[test]
fn what_is_finished_is_not_looked_at_again() {
    let mut world = World::ready(120, 30);
    for n in 0..50 {
        let turn = world.ask(&format!("question {n}"));
        world.send(retrieved(turn, &[]));
        world.send(delta(turn, &"A paragraph.\n\n".repeat(40)));
        world.send(finished(turn, FinishReason::Stop));
    }
    world.draw();
    let parsed = world.cache.parsed_bytes();
    for _ in 0..30 {
        world.key(KeyModifiers::NONE, KeyCode::PageUp);
        world.draw();
    }
    // Once more where it comes near what is in view, and not with every frame.
    let again = world.cache.parsed_bytes() - parsed;
    assert!(again > 0 && again < parsed, "{again} of {parsed} bytes");
    for _ in 0..10 {
        world.draw();
    }
    assert_eq!(world.cache.parsed_bytes() - parsed, again);
    assert!(world.screen().contains('↓'));
}
