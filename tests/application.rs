//! The whole application in a real terminal: from its first frame to an answer, and back to the shell.
#![cfg(unix)]

mod common;

use common::{home::Home, pty::Pty};

const CTRL_C: &str = "\x03";

#[test]
fn from_the_first_frame_to_an_answer_and_back_to_the_shell() {
    let home = Home::with_model();
    let mut pty = Pty::start(home.path(), &[], 40, 120);
    pty.wait_for_text("askdocs");
    assert!(pty.screen.screen().alternate_screen());
    // Asked before the first index is there: the question waits and is answered.
    pty.send("What do the scores mean?\r");
    pty.wait_for("a quoted sentence with its citation", |screen| {
        let text = screen.contents();
        text.contains("inner product") && text.contains("[1]") && text.contains("handbook/scores.md")
    });
    pty.wait_for("the model to be ready", |screen| screen.contents().contains("all-minilm-l6-v2"));

    // Again, with vectors this time: the passages show both retrievers' scores.
    pty.send("How do I stop an answer?\r");
    pty.wait_for("dense scores beside keyword scores", |screen| {
        let text = screen.contents();
        text.contains("ip ") && text.contains("bm25") && text.contains("Press Esc while the answer")
    });

    // What the store holds, row by row, and back to the chat.
    pty.send("\x0f");
    pty.wait_for("the list of collections", |screen| {
        let text = screen.contents();
        text.contains("Collections · embedded · 1") && text.contains("in use") && text.contains("all-minilm-l6-v2 5")
    });
    pty.send("b");
    pty.wait_for_text("row 1 of");
    pty.send("G");
    pty.wait_for_text("handbook/troubleshooting.md");
    pty.send("\x0f");
    pty.wait_for_text("Press Esc while the answer");

    // Small and back: nothing breaks, the answer is still there.
    pty.resize(8, 30);
    pty.wait_for("the hint that there is too little room", |screen| screen.contents().contains("40"));
    pty.resize(40, 120);
    pty.wait_for_text("Press Esc while the answer");

    pty.send(CTRL_C);
    pty.wait_for_text("again");
    pty.send(CTRL_C);
    assert_eq!(pty.finish(), 0);
    assert!(pty.left_behind().is_empty(), "{:?}", pty.left_behind());
    let history = std::fs::read_to_string(home.path().join("state/history.jsonl")).unwrap();
    assert_eq!(history.lines().count(), 2, "questions are kept for the next run");
}

#[test]
fn an_empty_milvus_is_shown_as_it_is_and_left_so() {
    let home = Home::with_model();
    let lite = ["--store", "./milvus_demo.db"];
    let mut pty = Pty::start(home.path(), &lite, 40, 120);
    pty.wait_for_text("milvus_demo.db");
    pty.send("What do the scores mean?\r");
    pty.wait_for_text("askdocs ingest PATH --collection docs");
    pty.wait_for_text("all-minilm-l6-v2");
    pty.send(CTRL_C);
    pty.send(CTRL_C);
    assert_eq!(pty.finish(), 0);
    let list = home.run(&[&["collections", "list", "--json"][..], &lite].concat());
    assert_eq!(list.json(), serde_json::json!([]), "nothing was put into it");
}

/// The emulator never answers when it is asked where its cursor is, as some real terminals don't.
#[test]
fn drawing_anew_asks_the_terminal_nothing() {
    let home = Home::with_model();
    let mut pty = Pty::start(home.path(), &[], 24, 80);
    pty.wait_for_text("askdocs");
    // Ctrl-Z: nobody is there to stop it for, so it comes back at once.
    for (key, typed) in [("\x0c", "once"), ("\x1a", "twice")] {
        pty.screen.process(b"\x1b[HRUBBISH");
        pty.send(key);
        pty.send(typed);
        pty.wait_for("a whole new screen that goes on", |screen| {
            let text = screen.contents();
            screen.alternate_screen() && text.contains(typed) && text.contains("askdocs") && !text.contains("RUBBISH")
        });
    }
    pty.send(CTRL_C);
    pty.send(CTRL_C);
    assert_eq!(pty.finish(), 0);
}

#[test]
fn without_a_model_keyword_search_answers_and_the_screen_says_what_is_missing() {
    let home = Home::empty();
    // No hub, and no Python to ask for a wheel.
    let config = home.write("bin/nothing", "");
    let mut pty = Pty::start_with(
        home.path(),
        &[],
        40,
        120,
        &[("HF_ENDPOINT", "http://127.0.0.1:9"), ("PATH", config.parent().unwrap().to_str().unwrap())],
    );
    pty.wait_for_text("askdocs");
    pty.send("How do I stop an answer?\r");
    pty.wait_for("a quoted answer", |screen| screen.contents().contains("Press Esc while the answer"));
    pty.wait_for_text("keyword search only");
    pty.send(CTRL_C);
    pty.send(CTRL_C);
    assert_eq!(pty.finish(), 0);
}
