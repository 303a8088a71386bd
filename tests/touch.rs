//! Mouse, clipboard, the person's own editor and drafts, in a real terminal.
#![cfg(unix)]

mod common;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use common::{home::Home, pty::Pty};
use vt100::{MouseProtocolEncoding, MouseProtocolMode};

const CTRL_C: &str = "\x03";
const ENTER: &str = "\r";

fn quit(pty: &mut Pty) {
    pty.send(CTRL_C);
    pty.wait_for_text("again");
    pty.send(CTRL_C);
    assert_eq!(pty.finish(), 0);
    let screen = pty.screen.screen();
    assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
    assert_eq!(screen.mouse_protocol_mode(), MouseProtocolMode::None, "the mouse is the terminal's again");
}

/// Column and row, from 1 as a terminal counts them, of a text on the screen.
fn place(screen: &vt100::Screen, text: &str) -> (usize, usize) {
    let rows = screen.rows(0, screen.size().1.into());
    let found = rows.zip(1..).find_map(|(row, y)| Some((row[..row.find(text)?].chars().count() + 1, y)));
    found.unwrap_or_else(|| panic!("{text} is not on the screen:\n{}", screen.contents()))
}

/// Waits for what no screen tells.
fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited for {what} in vain");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_is_dragged_over_goes_through_the_terminal_to_its_clipboard() {
    let home = Home::with_model();
    let mut pty = Pty::start(home.path(), &[], 40, 120);
    pty.wait_for_text("askdocs");
    assert_eq!(pty.screen.screen().mouse_protocol_mode(), MouseProtocolMode::ButtonMotion);
    assert_eq!(pty.screen.screen().mouse_protocol_encoding(), MouseProtocolEncoding::Sgr);
    pty.send("What do the scores mean?\r");
    pty.wait_for_text("You  What do the scores mean?");
    pty.wait_for_text("handbook/scores.md");
    let (x, y) = place(pty.screen.screen(), "What do the scores mean?");
    pty.send(&format!("\x1b[<0;{x};{y}M\x1b[<32;{};{y}M\x1b[<0;{};{y}m", x + 30, x + 30));
    pty.wait_for_text("copied the selection, 24 characters, through the terminal (OSC 52)");
    let sent = b"\x1b]52;c;V2hhdCBkbyB0aGUgc2NvcmVzIG1lYW4/";
    assert!(pty.seen.windows(sent.len()).any(|bytes| bytes == sent), "the bytes of the question, as base64");

    // A click takes the keys to the list of passages and selects there.
    let (x, y) = place(pty.screen.screen(), " 2 ");
    pty.send(&format!("\x1b[<0;{};{y}M\x1b[<0;{};{y}m", x + 4, x + 4));
    pty.wait_for_text("▸2 ");
    pty.send("\x1bm");
    pty.wait_for("the mouse to be the terminal's", |screen| screen.mouse_protocol_mode() == MouseProtocolMode::None);
    pty.send("\x1bm");
    pty.wait_for_text("Shift-drag");
    quit(&mut pty);

    home.write("config.toml", "[ui]\nmouse = false\n");
    let mut pty = Pty::start(home.path(), &[], 24, 80);
    pty.wait_for_text("askdocs");
    pty.send("x");
    pty.wait_for_text("> x");
    assert_eq!(pty.screen.screen().mouse_protocol_mode(), MouseProtocolMode::None);
    quit(&mut pty);
}

const EDITOR: &str = r#"#!/bin/sh
here=$(dirname "$0")
test "$1" = '$HOME; x' || exit 9
printf '%s' "$2" > "$here/path"
echo x >> "$here/runs"
stat -c %a "$2" > "$here/mode"
if grep -q fail "$2"; then stty raw -echo; exit 3; fi
printf 'run %s: ' $(grep -c . "$here/runs")
read line
printf ' %s\nin the middle\n' "$line" >> "$2"
"#;

#[test]
fn a_question_is_written_on_in_an_editor_of_ones_own() {
    let home = Home::with_model();
    let editor = home.write("my tools/editor", EDITOR);
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    let command = format!("'{}' '$HOME; x'", editor.display());
    let environment = [("EDITOR", command.as_str()), ("VISUAL", " ")];
    let mut pty = Pty::start_with(home.path(), &[], 24, 80, &environment);
    // What is told then does not stand in the way of what is told later.
    pty.wait_for_text("indexed ");
    pty.send("half");
    pty.wait_for_text("> half");
    pty.send("\x07");
    pty.wait_for("the editor on the shell's screen", |screen| {
        screen.contents().contains("run 1: ") && !screen.alternate_screen() && !screen.bracketed_paste()
    });
    assert_eq!(pty.screen.screen().mouse_protocol_mode(), MouseProtocolMode::None);
    // All of it reaches the editor, in the terminal's own line mode, and nothing of it the application.
    pty.send("and the rest\n");
    pty.wait_for("the question as the editor left it", |screen| {
        let text = screen.contents();
        screen.alternate_screen() && text.contains("> half and the rest") && text.contains("   in the middle")
    });
    assert_eq!(fs::read_to_string(editor.with_file_name("mode")).unwrap(), "600\n");
    let gone = |pty: &str| !Path::new(&fs::read_to_string(editor.with_file_name(pty)).unwrap()).exists();
    assert!(gone("path"));
    pty.send(" fail");
    pty.wait_for_text("fail");
    pty.send("\x1be");
    pty.wait_for_text("ended with exit status: 3; the question is as it was");
    pty.wait_for_text("in the middle fail");
    assert!(gone("path"), "also when the editor failed");
    // It left the terminal in disorder, of which nothing is left: what is typed is seen again, line by line.
    pty.send("\x17\x07");
    pty.wait_for_text("run 3: ");
    pty.send("seen");
    pty.wait_for_text("run 3: seen");
    // And what was typed ahead of its end is typed into the question.
    pty.send("\nX");
    pty.wait_for_text("in the middleX");
    quit(&mut pty);

    let mut pty = Pty::start_with(home.path(), &[], 24, 80, &[("EDITOR", "/nowhere/editor")]);
    pty.wait_for_text("> half and the rest");
    pty.send("\x07");
    pty.wait_for_text("the editor /nowhere/editor could not be started");
    quit(&mut pty);
}

#[test]
fn a_draft_survives_what_kills_the_program() {
    let home = Home::with_model();
    let draft = home.path().join("state/draft");
    let mut pty = Pty::start(home.path(), &[], 24, 80);
    pty.wait_for_text("askdocs");
    pty.send("a long question\x1b\rof two lines");
    until("the draft to be kept", || fs::read(&draft).is_ok_and(|text| text == b"a long question\nof two lines"));
    assert_eq!(fs::metadata(&draft).unwrap().permissions().mode() & 0o777, 0o600);
    pty.child.kill().unwrap();
    pty.finish();

    let mut pty = Pty::start(home.path(), &[], 24, 80);
    pty.wait_for_text("of two lines");
    quit(&mut pty);

    let mut pty = Pty::start(home.path(), &[], 24, 80);
    pty.wait_for_text("of two lines");
    pty.send(ENTER);
    pty.wait_for_text("You  a long question");
    until("the draft to be gone", || !draft.exists());
    quit(&mut pty);
    assert!(!draft.exists());
}
