//! Nothing that comes from outside takes the terminal over, hides anything or shifts the screen, whichever way it comes.
#![cfg(unix)] // A file can be called anything, and a terminal is told what is sent.

mod common;

use askdocs::{
    chat::{ChatError, Delta},
    domain::FinishReason,
};
use common::{
    app::App,
    home::Home,
    hostile::{self, HARMLESS, Traffic},
    keys,
    model_server::{Exchange, ModelServer},
    pty::Pty,
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

/// Sequences that plain output may hold where it is a terminal's: colours, and what a progress bar is drawn with.
const PLAIN: &[&str] = &["control 0x0a", "control 0x0d", "CSI m ", "CSI K ", "CSI A ", "CSI B "];

fn assert_plain(bytes: &[u8], allowed: &[&str], what: &str) {
    let traffic = Traffic::of(bytes);
    assert!(traffic.forbidden.is_empty(), "{what}: {:?} in {}", traffic.forbidden, String::from_utf8_lossy(bytes));
    let more: Vec<_> = traffic.sequences.iter().filter(|name| !allowed.contains(&name.as_str())).collect();
    assert!(more.is_empty(), "{what}: {more:?} in {:?}", String::from_utf8_lossy(bytes));
}

/// Answers with all that is hostile: byte by byte, in every field, or as an error, by what the question asks for.
fn answer(exchange: &mut Exchange) -> std::io::Result<()> {
    let everything = hostile::everything();
    if exchange.request.ends_with("/models") {
        return exchange.answer_models(&[&everything, "other"]);
    }
    if exchange.body.contains("refuse") {
        let mut body = format!("{{\"error\": {{\"message\": {}}}}}", serde_json::json!(everything)).into_bytes();
        if exchange.body.contains("bytes") {
            body = hostile::bytes().into_iter().flat_map(|(_, bytes)| bytes).collect();
        }
        return exchange.answer("400 Bad Request", "text/plain", &body);
    }
    exchange.begin()?;
    exchange.delta("reasoning_content", &everything)?;
    for c in everything.chars() {
        exchange.delta("content", c.encode_utf8(&mut [0; 4]))?;
    }
    // What is no UTF-8 at all, each byte by itself.
    exchange.send(b"data: {\"choices\": [{\"delta\": {\"content\": \"")?;
    for (_, bytes) in hostile::bytes() {
        for byte in bytes.iter().filter(|byte| !matches!(byte, b'\n' | b'\r' | b'"' | b'\\' | 0..0x20)) {
            exchange.send(&[*byte])?;
        }
    }
    exchange.send(b"\"}}]}\n\n")?;
    exchange.finish(&everything)
}

/// Documents, folders and archives of all that is hostile.
fn hostile_home() -> Home {
    use std::os::unix::ffi::OsStrExt;
    let home = Home::with_model();
    for (what, bytes) in hostile::bytes() {
        let name: Vec<u8> = bytes.iter().copied().filter(|byte| !matches!(byte, b'/' | 0)).take(150).collect();
        let text = [b"# Tea\n\nTea wants leaves: ", &bytes[..]].concat();
        let plain = what.replace([' ', '/', ':', ',', '.'], "-");
        home.write(&format!("kb/{plain}.md"), text.iter().copied().filter(|byte| *byte != 0).collect::<Vec<_>>());
        let folder = home.path().join("kb").join(std::ffi::OsStr::from_bytes(&name));
        let _ = std::fs::create_dir(&folder);
        let _ = std::fs::write(folder.join(std::ffi::OsStr::from_bytes(&[&name[..], b".txt"].concat())), &text);
    }
    let server = ModelServer::start(answer);
    let text = serde_json::json!(hostile::everything().replace('\0', ""));
    home.write(
        "config.toml",
        format!("[llm]\nprovider = \"custom\"\nbase_url = \"{}\"\nmodel = {}\n", server.url, toml_string(&text)),
    );
    home
}

/// JSON's strings are TOML's but for surrogates, and DEL has to be escaped.
fn toml_string(text: &serde_json::Value) -> String {
    text.to_string().replace('\u{7f}', "\\u007f")
}

#[test]
fn no_text_does_more_to_plain_output_than_stand_there() {
    let home = hostile_home();
    let hostile_text = hostile::everything().replace('\0', "");
    let text = hostile_text.as_str();
    let commands: &[&[&str]] = &[
        &["ingest", "kb"],
        &["ingest", "kb", "--force", "--json"],
        &["ingest", text],
        &["search", "tea leaves", "-k", "60"],
        &["search", "tea leaves", "-k", "60", "--json"],
        &["search", "tea", "--color", "always"],
        &["search", text, "--collection", text],
        &["ask", "What does tea want?", "-k", "60"],
        &["ask", "What does tea want?", "--json"],
        &["ask", "What does tea want?", "--no-llm"],
        &["ask", "refuse"],
        &["ask", "refuse bytes"],
        &["collections", "list"],
        &["collections", "show", "docs"],
        &["collections", "rows", "docs", "-n", "100"],
        &["collections", "rows", "docs", "--json"],
        &["collections", "show", text],
        &["doctor"],
        &["doctor", "--json"],
        &["config", "show"],
        &["search", "tea", "--store", text],
        &["search", "tea", "--mode", text],
        &["search", "tea", "--config", text],
        &[text],
    ];
    let failed: Vec<_> = commands
        .iter()
        .filter(|arguments| {
            let shown = || {
                let what = arguments.join(" ");
                let what = &what[..what.floor_char_boundary(60)];
                let colour: &[&str] = if arguments.contains(&"always") { &["CSI m "] } else { &[] };
                let output = home.command(arguments).output().unwrap();
                assert_plain(
                    &output.stdout,
                    &[&["control 0x0a"], colour].concat(),
                    &format!("{what:?} on standard output"),
                );
                assert_plain(
                    &output.stderr,
                    &[&["control 0x0a"], colour].concat(),
                    &format!("{what:?} on standard error"),
                );
                let mut pty = Pty::start(home.path(), arguments, 40, 100);
                pty.finish();
                assert_plain(&pty.seen, PLAIN, &format!("{what:?} on a terminal"));
            };
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(shown)).is_err()
        })
        .map(|arguments| arguments[0])
        .collect();
    assert!(failed.is_empty(), "each failed for the reason above: {failed:?}");
}

/// What a real terminal is sent from the first frame to the end, title and modes with it, for this text in an answer, in
/// the model's name and in the history.
fn session(text: &str) -> Traffic {
    let home = Home::with_model();
    let said = text.to_owned();
    let server = ModelServer::start(move |exchange| {
        exchange.begin()?;
        exchange.delta("reasoning_content", &said)?;
        for c in said.chars() {
            exchange.delta("content", c.encode_utf8(&mut [0; 4]))?;
        }
        exchange.delta("content", " the end")?;
        exchange.finish(&said)
    });
    let model = toml_string(&serde_json::json!(text.replace('\0', "")));
    home.write(
        "config.toml",
        format!("[llm]\nprovider = \"custom\"\nbase_url = \"{}\"\nmodel = {model}\n", server.url),
    );
    home.write("state/history.jsonl", format!("{}\n", serde_json::json!(format!("{text} old"))));
    let mut pty = Pty::start(home.path(), &[], 40, 120);
    pty.wait_for_text("● ready");
    pty.send("\x1b[A");
    pty.wait_for_text("old");
    pty.send(&keys::bytes(keys::ASK));
    pty.wait_for_text("the end");
    pty.wait_for_text("● ready");
    pty.send(&keys::bytes(keys::QUIT_OR_CLEAR));
    pty.wait_for_text("again");
    pty.send(&keys::bytes(keys::QUIT_OR_CLEAR));
    assert_eq!(pty.finish(), 0);
    let log = std::fs::read(home.path().join("state/askdocs.log")).unwrap_or_default();
    assert_plain(&log, &["control 0x0a"], "the log");
    Traffic::of(&pty.seen)
}

#[test]
fn a_real_terminal_is_told_nothing_but_what_is_ours() {
    let harmless = session(HARMLESS);
    harmless.assert_like(&harmless, "nothing hostile");
    session(&hostile::everything()).assert_like(&harmless, "everything hostile");
}
