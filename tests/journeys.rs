//! What people do with the application, from key to screen.

mod common;

use askdocs::chat::{ChatError, Delta};
use common::{
    app::{App, Building},
    keys,
};
use crossterm::event::Event as Input;
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

const TEA: &str = "# Tea\n\nTea wants leaves and hot water.\n\n# Patience\n\nTea wants four minutes.\n";
const COFFEE: &str = "# Coffee\n\nCoffee wants beans and a mill.\n";

/// Two collections, of which `tea` is in use.
fn drinks(columns: u16, rows: u16) -> Building {
    App::at(columns, rows).collection("tea", &[("tea.md", TEA)]).collection("coffee", &[("coffee.md", COFFEE)])
}

#[tokio::test(start_paused = true)]
async fn an_answer_streams_and_a_stopped_one_is_kept_without_what_comes_late() {
    let mut app = drinks(100, 30).start().await;
    app.wait_for("● ready").await;
    app.ask("What does tea want?").await.wait_for("tea.md").await;
    assert!(!app.screen().contains("Leaves"), "the passages are there before the first word");
    app.says("Leaves and ").await.wait_for("Leaves and").await;
    app.says("water [1].").await.finishes().await.wait_for("Leaves and water [1].").await;
    app.wait_for("● ready").await;

    app.ask("And how long?").await.wait_for("· 4 s").await.says("Four").await.wait_for("Four").await;
    app.press(keys::STEP_BACK).await.wait_for("stopped").await;
    app.says(" hours").await.wait_for_hanging_up().await;
    app.press(keys::REDRAW).await;
    let screen = app.screen();
    assert!(screen.contains("Four") && !screen.contains("hours"), "{screen}");
    // The next question is not disturbed by what is left of the last one.
    app.ask("What else?").await.says("Nothing.").await.finishes().await.wait_for("Nothing.").await;
    assert_eq!(app.model.asked(), 3);
    app.quit().await;
}

#[tokio::test(start_paused = true)]
async fn a_model_that_fails_is_asked_again() {
    let refused = || ChatError::Refused { origin: "http://127.0.0.1:9".to_owned() };
    let mut app = drinks(100, 30).start().await;
    app.model.refuses(refused());
    app.ask("What does tea want?").await.wait_for("nothing listens at http://127.0.0.1:9").await.wait_for("hint").await;
    app.wait_for("● ready").await;
    // The question comes back by one key.
    app.press("Up").await.press(keys::ASK).await.says("Leaves").await.wait_for("Leaves").await;
    // What came before the line broke is kept.
    app.gives(Err(refused())).await.wait_for("● ready").await;
    assert!(app.screen().contains("Leaves"), "{}", app.screen());
    app.press("Up").await.press(keys::ASK).await.says("Water.").await.finishes().await.wait_for("Water.").await;
    app.quit().await;
}

#[tokio::test(start_paused = true)]
async fn another_collection_answers_after_a_switch_and_the_running_answer_goes_on() {
    let mut app = drinks(120, 30).start().await;
    app.ask("What do they want?").await.says("Lea").await.wait_for("tea.md").await;
    app.press(keys::COLLECTIONS).await.wait_for("coffee").await;
    app.press("Up").await.press("Enter").await.says("ves.").await.finishes().await.wait_for("Leaves.").await;
    app.ask("What do they want?").await.wait_for("coffee.md").await;
    app.says("Beans.").await.finishes().await.wait_for("Beans.").await;
    app.quit().await;
}

#[tokio::test(start_paused = true)]
async fn a_collection_of_another_model_is_searched_with_that_one_where_it_is_here() {
    for is_here in [true, false] {
        let mut app = drinks(120, 30).made_with_another("coffee", is_here).start().await;
        app.ask("What does coffee want?").await.says("Tea.").await.finishes().await.wait_for("Tea.").await;
        app.press(keys::EVIDENCE).await.wait_for("candidates").await;
        app.press(keys::ELSEWHERE).await.wait_for("Search again in which").await;
        app.press("Up").await.press("Enter").await;
        if !is_here {
            app.wait_for("collection \"coffee\" holds").await;
            app.quit().await;
            continue;
        }
        app.wait_for("#▾ coffee").await.wait_for("coffee.md:1").await.wait_for("searched with other words").await;
        app.press(keys::ANSWER_AGAIN).await.says("Beans.").await.finishes().await.wait_for("Beans.").await;
        let screen = app.screen();
        assert!(screen.contains("coffee.md:1") && screen.contains("hybrid"), "{screen}");
        app.quit().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_collection_that_another_program_dropped_is_told_to_be_gone() {
    let mut app = drinks(120, 30).start().await;
    app.ask("What does tea want?").await.says("Leaves.").await.finishes().await.wait_for("Leaves.").await;
    app.drop_collection("tea").await;
    app.ask("And how long?").await.wait_for("there is no collection \"tea\"").await;
    assert!(app.screen().contains("tea · 0 passages"), "{}", app.screen());
    app.quit().await;
}

#[tokio::test(start_paused = true)]
async fn a_model_that_its_server_does_not_list_is_used_and_told_of() {
    let mut app = drinks(120, 30).start().await;
    app.type_text("/model kea").await.press("Enter").await;
    app.wait_for("kea answers from now on, though its server lists only parrot, macaw").await;
    app.type_text("/model macaw").await.press("Enter").await.wait_for("macaw answers from now on").await;
    app.wait_gone("lists only").await;
    app.quit().await;
}

#[tokio::test(start_paused = true)]
async fn changed_documents_are_indexed_while_an_answer_streams() {
    let mut app = drinks(120, 30).start().await;
    app.ask("What does tea want?").await.says("Leaves").await.wait_for("Leaves").await;
    std::fs::write(app.documents("tea").join("milk.md"), "# Milk\n\nSome tea wants milk, quoth the zebra.\n").unwrap();
    app.press(keys::REINDEX).await.wait_for("tea · 3 passages").await;
    app.says(" and water.").await.finishes().await.wait_for("Leaves and water.").await;
    app.ask("What does the zebra want?").await.wait_for("milk.md").await;
    app.says("Milk.").await.finishes().await.wait_for("Milk.").await;
    app.quit().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_away_at_first_is_tried_again_from_the_screen() {
    let mut app = drinks(120, 30).no_store("the server is away").no_model("the hub is away").start().await;
    app.wait_for("the server is away").await;
    app.press(keys::COLLECTIONS).await.wait_for("r tries again").await;
    app.mend_store();
    app.press("r").await.wait_for("in use").await;
    app.press(keys::STEP_BACK).await.wait_for("the hub is away").await;
    app.mend_model();
    app.press(keys::REINDEX).await.wait_for("● ready").await.wait_gone("the hub is away").await;
    app.quit().await;
}

#[tokio::test(start_paused = true)]
async fn the_handbook_indexes_itself_and_answers() {
    let mut app = App::at(100, 30).handbook().quotes().start().await;
    app.ask("How do I stop an answer?").await.wait_for("handbook/").await.wait_for("[1]").await;
    app.wait_for("● ready").await;
    app.quit().await;
}

/// What a person's hands, a cat or a broken terminal can do to the application, and what may happen meanwhile.
#[derive(Clone, Debug)]
enum Happening {
    Key(&'static str),
    Paste(&'static str),
    Resize(u16, u16),
    Focus(bool),
    Says(&'static str),
    Finishes,
    Fails,
}

/// Every key that means something somewhere, and some that don't; not those that quit.
const KEYS: &[&str] = &[
    "Enter",
    "Enter",
    "Enter",
    "Esc",
    "Tab",
    "Tab",
    "Shift-Tab",
    "Up",
    "Down",
    "Left",
    "Right",
    "PgUp",
    "PgDn",
    "Home",
    "End",
    "Backspace",
    "Delete",
    "Space",
    "F1",
    "F2",
    "F3",
    "F4",
    "F5",
    "F10",
    "Ctrl-T",
    "Ctrl-O",
    "Ctrl-O",
    "Ctrl-E",
    "Ctrl-E",
    "Ctrl-P",
    "Ctrl-R",
    "Ctrl-L",
    "Ctrl-Z",
    "Ctrl-J",
    "Ctrl-W",
    "Ctrl-U",
    "Ctrl-K",
    "Ctrl-S",
    "Ctrl-X",
    "Ctrl-Y",
    "Ctrl-G",
    "Ctrl-F",
    "Ctrl-N",
    "Alt-Enter",
    "Alt-b",
    "Alt-c",
    "Alt-d",
    "Alt-e",
    "Alt-m",
    "Alt-/",
    "F6",
    "Alt-1",
    "?",
    "/",
    ":",
    "a",
    "b",
    "c",
    "d",
    "e",
    "f",
    "g",
    "G",
    "h",
    "i",
    "j",
    "k",
    "l",
    "m",
    "n",
    "N",
    "o",
    "p",
    "q",
    "r",
    "R",
    "s",
    "t",
    "v",
    "w",
    "x",
    "y",
    "Y",
    "z",
    "+",
    "-",
    "=",
    "[",
    "]",
    "{",
    "}",
    "1",
    "2",
    "5",
    ".",
    ",",
    "'",
    "\"",
    "é",
    "漢",
];

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        30 => proptest::sample::select(KEYS).prop_map(Happening::Key),
        2 => proptest::sample::select(&["What does tea want?", "/", "/k 8", "two\nlines", "", "\u{1b}[31m", "."][..])
            .prop_map(Happening::Paste),
        2 => proptest::sample::select(&[(1, 1), (40, 10), (40, 12), (80, 24), (130, 40), (200, 60), (3, 50), (100, 2)][..])
            .prop_map(|(columns, rows)| Happening::Resize(columns, rows)),
        1 => any::<bool>().prop_map(Happening::Focus),
        2 => proptest::sample::select(&["Leaves [1]", "\n\n```rust\nfn", "| a | b |\n|--", "[9]"][..]).prop_map(Happening::Says),
        1 => Just(Happening::Finishes),
        1 => Just(Happening::Fails),
    ]
}

async fn happen(app: &mut App, happening: &Happening) {
    match happening {
        Happening::Key(key) => drop(app.press(key).await),
        Happening::Paste(text) => drop(app.paste(text).await),
        Happening::Resize(columns, rows) => drop(app.resize(*columns, *rows).await),
        Happening::Focus(true) => drop(app.event(Input::FocusGained).await),
        Happening::Focus(false) => drop(app.event(Input::FocusLost).await),
        Happening::Says(piece) => app.model.give(Ok(Delta::Text((*piece).to_owned()))),
        Happening::Finishes => app.model.give(Ok(Delta::Finished(askdocs::domain::FinishReason::Stop))),
        Happening::Fails => app.model.give(Err(ChatError::Refused { origin: "http://127.0.0.1:9".to_owned() })),
    }
}

/// From wherever any keys have led, a few times Esc leads to the chat's input, and Ctrl-C twice leaves.
#[test]
fn nothing_is_a_trap() {
    const STEPS: usize = 8;
    let config = Config { cases: 250, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let steps = (proptest::collection::vec(happening(), 1..30), any::<bool>());
    let tried = runner.run(&steps, |(happenings, goes_back)| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut app = drinks(100, 30).start().await;
            for what in &happenings {
                happen(&mut app, what).await;
                prop_assert!(!app.has_ended(), "{what:?} ended it");
            }
            app.resize(100, 30).await;
            if goes_back {
                let before = app.screen();
                for _ in 0..STEPS {
                    app.press(keys::STEP_BACK).await;
                }
                app.type_text("zq~zq").await;
                let screen = app.screen();
                let typed = screen.lines().any(|row| row.starts_with(" > ") && row.contains("zq~zq"))
                    || screen.lines().any(|row| row.starts_with("   ") && row.contains("zq~zq"));
                prop_assert!(typed, "Esc {STEPS} times led from\n{before}\nto\n{screen}");
            }
            app.quit().await;
            Ok(())
        })
    });
    if let Err(error) = tried {
        panic!("{error}");
    }
}
