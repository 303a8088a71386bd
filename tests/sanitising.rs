//! Nothing that comes from outside takes the terminal over, hides anything or shifts the screen, whichever way it comes.

mod common;

use askdocs::{
    chat::{ChatError, Delta},
    domain::FinishReason,
};
use common::{
    app::App,
    hostile::{self, HARMLESS, Traffic},
    keys,
};
use http::StatusCode;

/// What a file can be called: no slash, no NUL, not too long.
fn file_name(text: &str) -> String {
    let bare: String = text.chars().filter(|c| !matches!(c, '/' | '\0')).collect();
    format!("n{}", &bare[..bare.floor_char_boundary(150)])
}

/// In Markdown's every shape. A document with a NUL is no text and would be skipped.
fn markdown(text: &str) -> String {
    let text = text.replace('\0', "");
    format!(
        "# Tea {text}\n\nTea {text} wants leaves {text}.\n\n- {text}\n  1. {text}\n\n> {text}\n\n| a | {text} |\n|---|:-:|\n| {text} | b |\n\n\
         ```rust {text}\nlet tea = \"{text}\";\n```\n\n**{text}** `{text}` [{text}](http://example.org/{text}) [1] [99]\n"
    )
}

/// Everything that a person can be shown, with this text in every place where something from outside stands.
async fn show_everywhere(text: &str, columns: u16, rows: u16) -> Vec<u8> {
    let name = file_name(text);
    let note = format!("note {text}");
    let history = format!("{}\n", serde_json::json!(format!("old {text}")));
    let documents = vec![
        (format!("{name}/{name}.md"), markdown(text).into_bytes()),
        ("plain.txt".to_owned(), format!("Tea wants {} leaves.\n", text.replace('\0', "")).into_bytes()),
    ];
    let mut app = App::at(columns, rows)
        .raw_collection("tea", documents)
        .collection("coffee", &[("coffee.md", "Coffee.\n")])
        .labelled(&format!("label {text}"), &note)
        .embedding_model(&format!("model {text}"))
        .history(history)
        .start()
        .await;
    app.wait_for("note").await.assert_clean("a notice");
    app.press("Up").await.wait_for("> old").await.assert_clean("a question of an earlier run");
    app.press(keys::QUIT_OR_CLEAR).await;

    // The question, the passages, thoughts and an answer that comes in pieces.
    app.paste(&format!("What wants {text} leaves?")).await.assert_clean("a paste");
    app.press(keys::ASK).await.says("An answer: ").await.wait_for("An answer").await.assert_clean("passages");
    app.gives(Ok(Delta::Reasoning(format!("Thinking of {text}")))).await;
    for c in markdown(text).chars().take(1_500) {
        app.says(c.encode_utf8(&mut [0; 4])).await;
    }
    app.says("\n\nend").await.wait_for("end").await.assert_clean("an answer while it comes");
    app.gives(Ok(Delta::Finished(FinishReason::Other(format!("reason {text}"))))).await;
    app.wait_gone("answering").await.assert_clean("an answer with an odd end");
    for pane in 0..4 {
        app.press(keys::NEXT_PANE).await;
        for key in ["Down", "PgUp", "Home"] {
            app.press(key).await.assert_clean(&format!("pane {pane} after {key}"));
        }
    }

    // All that is known of the turn.
    app.press(keys::EVIDENCE).await.wait_for("candidates").await.assert_clean("evidence");
    for pane in 0..4 {
        app.press(keys::NEXT_PANE).await.press("PgDn").await.assert_clean(&format!("pane {pane} of the evidence"));
    }
    app.press(keys::MORE_PASSAGES).await.press(keys::EVIDENCE).await.assert_clean("evidence of another search");

    // A server that says something odd.
    app.model.refuses(ChatError::Status {
        url: format!("http://127.0.0.1:9/{text}"),
        status: StatusCode::BAD_REQUEST,
        said: format!("said {text}"),
        hint: format!("hint {text}"),
    });
    app.ask("And coffee?").await.wait_for("✗").await.assert_clean("a server's refusal");

    // What the store holds, row by row, and a collection to be made from a folder of that name.
    app.press(keys::COLLECTIONS).await.wait_for("coffee").await.press("Down").await.assert_clean("collections");
    app.press(keys::ROWS).await.wait_for("row 1 of").await.assert_clean("rows");
    app.press(keys::NEXT_PANE).await.press("PgDn").await.assert_clean("the text of a row");
    app.press(keys::STEP_BACK).await.press(keys::STEP_BACK).await.press(keys::NEW).await;
    let folder = app.documents("tea").to_str().unwrap().to_owned();
    app.paste(&format!("{folder}/n")).await.press(keys::NEXT_PANE).await.assert_clean("a completed path");
    app.press("Enter").await.press("Enter").await.assert_clean("a folder's name");
    app.press(keys::STEP_BACK).await.press(keys::STEP_BACK).await.press(keys::STEP_BACK).await;

    // An ingest with something to skip.
    std::fs::write(app.documents("tea").join(format!("{name}.txt")), b"caf\xe9 \x9b2J").unwrap();
    app.press(keys::REINDEX).await.press(keys::INGEST).await.wait_for("skipped").await.assert_clean("an ingest");
    app.press("Down").await.press(keys::HELP).await.assert_clean("help");
    app.press(keys::REDRAW).await.assert_clean("all of it anew");
    let written = app.written();
    app.quit().await;

    // Nothing works, and everything has something to say.
    let mut app =
        App::at(columns, rows).no_store(&format!("store {text}")).no_model(&format!("model {text}")).start().await;
    app.wait_for("store").await.assert_clean("no store");
    for view in [keys::INGEST, keys::COLLECTIONS] {
        app.press(view).await.assert_clean("a view without a store");
    }
    app.quit().await;
    written
}

/// Runs it with time paused.
fn run<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(what)
}

#[test]
fn no_text_does_more_to_the_screen_than_stand_there() {
    let harmless = Traffic::of(&run(show_everywhere(HARMLESS, 100, 30)));
    let fails = |(what, text): &(&str, String)| {
        let shown = || Traffic::of(&run(show_everywhere(text, 100, 30))).assert_like(&harmless, what);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(shown)).is_err()
    };
    let failed: Vec<_> = hostile::texts().into_iter().filter(fails).map(|(what, _)| what).collect();
    assert!(failed.is_empty(), "each failed for the reason above: {failed:?}");
}
