//! Every way in which the application ends, stops and goes on, in a real terminal: it comes back whole.
#![cfg(unix)]

mod common;

use std::{
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use askdocs::runtime::TerminalGuard;
use common::{home::Home, model_server::ModelServer, pty::Pty};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};

const ASKDOCS: &str = env!("CARGO_BIN_EXE_askdocs");
const CTRL_Z: &str = "\x1a";

/// Runs one of the tests below that are parts of others.
fn part(name: &str) -> Vec<String> {
    let me = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    [&me, "--exact", name, "--ignored", "--nocapture"].map(str::to_owned).to_vec()
}

fn signal(name: &str, pid: &str) {
    assert!(Command::new("kill").args([name, "--", pid]).status().unwrap().success());
}

/// Waits for a file with something in it.
fn content(file: &Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match std::fs::read_to_string(file) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => assert!(Instant::now() < deadline, "{} does not come", file.display()),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_signal_gives_the_terminal_back_and_is_told_by_the_exit_code() {
    let home = Home::with_model();
    for (name, code) in
        [("-TERM", 143), ("-HUP", 129), ("-INT", 130), ("-QUIT", 131), ("-USR1", 138), ("-ALRM", 142), ("-XCPU", 152)]
    {
        let mut pty = Pty::start(home.path(), &[], 24, 80);
        pty.wait_for_text("handbook");
        for mode in [
            "alternate screen",
            "bracketed paste",
            "window title",
            "keyboard flags",
            "focus events",
            "lines cut off",
            "raw mode",
        ] {
            assert!(pty.left_behind().contains(&mode), "{mode} is in use meanwhile");
        }
        signal(name, &pty.child.process_id().unwrap().to_string());
        assert_eq!((name, pty.finish()), (name, code));
        assert!(pty.left_behind().is_empty(), "{name} leaves {:?}", pty.left_behind());
    }
}

/// Whatever is going on: what was written is there at the next start.
#[test]
fn a_signal_ends_it_in_any_state() {
    let home = Home::with_model();
    let server = ModelServer::start(|exchange| {
        exchange.begin()?;
        loop {
            exchange.delta("content", "and on ")?;
            thread::sleep(Duration::from_millis(5));
        }
    });
    let config = format!("[llm]\nprovider = \"custom\"\nbase_url = \"{}\"\nmodel = \"parrot\"\n", server.url);
    home.write("config.toml", config);
    let states: [(&str, &str, &str); 6] = [
        ("streaming", "What now?", "and on and on"),
        ("palette", "draft 2\x10", "a few letters of a command"),
        ("help", "draft 3\x1bOP", "Keys"),
        ("evidence", "draft 4\x05", "Evidence"),
        ("ingest", "draft 5\x14", "Ingest"),
        ("history", "draft 6\x13", "earlier question with"),
    ];
    for (state, keys, text) in states {
        let mut pty = Pty::start(home.path(), &[], 30, 100);
        pty.wait_for_text("indexed ");
        pty.send("\x15");
        pty.send(keys);
        if state == "streaming" {
            pty.wait_for_text("> What now?");
            pty.send("\r");
        }
        pty.wait_for_text(text);
        signal("-TERM", &pty.child.process_id().unwrap().to_string());
        assert_eq!((state, pty.finish()), (state, 143));
        assert!(pty.left_behind().is_empty(), "{state} leaves {:?}", pty.left_behind());
        let draft = std::fs::read_to_string(home.path().join("state/draft")).unwrap_or_default();
        let expected = keys.split(|c: char| c.is_control()).next().filter(|part| part.starts_with("draft"));
        assert_eq!((state, draft.as_str()), (state, expected.unwrap_or_default()));
    }
}

/// An editor that switches modes on, saves when it is told to end, and leaves a file of its own.
const EDITOR: &str = r#"#!/bin/sh
trap 'printf " and what was saved" >> "$1"; echo unsaved > "$1.swp"; exit 1' TERM
printf '\033[?1h\033=\033[?2004h\033[?1000h'
stty raw -echo
echo it edits
while :; do sleep 0.05; done
"#;

#[test]
fn a_signal_ends_the_editor_too_and_what_it_saved_is_kept() {
    let home = Home::with_model();
    let editor = home.write("editor", EDITOR);
    std::fs::set_permissions(&editor, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let temporary = home.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let environment = [("EDITOR", editor.to_str().unwrap()), ("TMPDIR", temporary.to_str().unwrap())];
    let mut pty = Pty::start_with(home.path(), &[], 24, 80, &environment);
    pty.wait_for_text("indexed ");
    pty.send("half");
    pty.wait_for_text("> half");
    pty.send("\x07");
    pty.wait_for_text("it edits");
    signal("-TERM", &pty.child.process_id().unwrap().to_string());
    assert_eq!(pty.finish(), 143);
    assert!(pty.left_behind().is_empty(), "{:?}", pty.left_behind());
    assert!(!pty.screen.screen().application_cursor() && !pty.screen.screen().application_keypad());
    assert_eq!(std::fs::read_to_string(home.path().join("state/draft")).unwrap(), "half and what was saved");
    // What it could not save is where only the person can read it.
    let [ref folder] =
        std::fs::read_dir(&temporary).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>()[..]
    else {
        panic!("not one folder is left");
    };
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(folder).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
}

/// A terminal that hangs, as over a connection that is stuck: nobody reads what the application draws.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn a_signal_ends_it_also_where_nobody_takes_what_it_draws() {
    let home = Home::with_model();
    let size = |cols| PtySize { rows: 200, cols, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size(300)).unwrap();
    let mut command = CommandBuilder::new(ASKDOCS);
    command.cwd(home.path());
    command.env("ASKDOCS_HOME", home.path());
    command.env("TERM", "xterm-256color");
    let mut child = pair.slave.spawn_command(command).unwrap();
    let pid = child.process_id().unwrap();
    // Its own thread writes to the terminal, and goes on with that.
    let deadline = Instant::now() + Duration::from_secs(60);
    let (mut stuck, mut wide) = (0, true);
    while stuck < 50 {
        let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap();
        assert!(Instant::now() < deadline, "the terminal takes everything: {call}");
        wide = !wide;
        pair.master.resize(size(if wide { 300 } else { 200 })).unwrap();
        stuck = if call.starts_with("1 0x1 ") { stuck + 1 } else { 0 };
        thread::sleep(Duration::from_millis(10));
    }
    signal("-TERM", &pid.to_string());
    let deadline = Instant::now() + Duration::from_secs(30);
    let ended = loop {
        match child.try_wait().unwrap() {
            Some(ended) => break ended,
            None if Instant::now() > deadline => {
                child.kill().unwrap();
                panic!("it goes on");
            }
            None => thread::sleep(Duration::from_millis(10)),
        }
    };
    assert_eq!(ended.exit_code(), 143);
}

/// A person at a shell: Ctrl-Z and `fg`, and the same by signals.
#[test]
fn it_is_stopped_and_goes_on_whoever_does_it() {
    let home = Home::with_model();
    let mut pty = Pty::start_command(home.path(), &["sh", "-i"], 24, 80, &[("PS1", "prompt> "), ("ENV", "")]);
    pty.wait_for_text("prompt>");
    pty.send(&format!("({ASKDOCS}; echo $? > ended)\n"));
    let shown = |screen: &vt100::Screen| screen.alternate_screen() && screen.contents().contains("Enter ask");
    let shell =
        |screen: &vt100::Screen| !screen.alternate_screen() && screen.contents().trim_end().ends_with("prompt>");
    pty.wait_for("the application", shown);
    // The shell asks again as soon as its own child has stopped; a thread that still runs would take what is typed.
    let stopped = |pid: &str| {
        let deadline = Instant::now() + Duration::from_secs(60);
        let is_stopped = |thread: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('T'))
        };
        while !std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten().all(is_stopped) {
            assert!(Instant::now() < deadline, "it goes on");
            thread::sleep(Duration::from_millis(1));
        }
    };
    let child = |pid: &str| {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        children.split_whitespace().next().unwrap().to_owned()
    };
    let job = child(&pty.child.process_id().unwrap().to_string());
    let pid = child(&job);

    pty.send("draft");
    pty.wait_for_text("> draft");
    pty.send(CTRL_Z);
    pty.wait_for("the shell after Ctrl-Z", shell);
    stopped(&pid);
    assert!(pty.left_behind().is_empty(), "Ctrl-Z leaves {:?}", pty.left_behind());
    pty.send("clear; fg\n");
    pty.wait_for("the application after fg", |screen| shown(screen) && screen.contents().contains("> draft"));

    signal("-TSTP", &pid);
    pty.wait_for("the shell after SIGTSTP", shell);
    stopped(&pid);
    assert!(pty.left_behind().is_empty(), "SIGTSTP leaves {:?}", pty.left_behind());
    pty.send("clear; fg\n");
    pty.wait_for("the application after fg", shown);

    // Nothing can be done about SIGSTOP; the shell is where the application was, and all is set anew afterwards.
    signal("-STOP", &format!("-{job}"));
    pty.wait_for_text("prompt>");
    stopped(&pid);
    pty.send("stty sane; echo RUBB''ISH\n");
    pty.wait_for_text("RUBBISH");
    pty.send("fg\n");
    pty.wait_for("a whole new frame", |screen| {
        let text = screen.contents();
        shown(screen) && text.contains("> draft") && !text.contains("RUBBISH") && !text.contains("prompt>")
    });
    for mode in ["raw mode", "window title", "keyboard flags", "focus events"] {
        assert!(pty.left_behind().contains(&mode), "{mode} is set again");
    }

    pty.send(CTRL_Z);
    pty.wait_for("the shell again", shell);
    stopped(&pid);
    pty.send(&format!("kill {pid}; kill -CONT %1\n"));
    assert_eq!(content(&home.path().join("ended")), "143");
    assert!(pty.left_behind().is_empty(), "ended in the background it leaves {:?}", pty.left_behind());
    // `exit` would be refused by a shell that has not heard of that yet.
    pty.child.kill().unwrap();
    pty.finish();
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_is_told() {
    let home = Home::empty();
    let part = part("panics_while_it_draws");
    let part: Vec<&str> = part.iter().map(String::as_str).collect();
    let mut pty = Pty::start_command(home.path(), &part, 24, 80, &[]);
    assert_eq!(pty.finish(), 101);
    let text = pty.screen.screen().contents();
    assert!(pty.left_behind().is_empty(), "{:?}\n{text}", pty.left_behind());
    // The message may hold what a document holds.
    assert!(text.contains("it broke]0;owned while drawing") && text.contains("is kept"), "{text}");
    assert!(!text.contains("a worker broke"), "{text}");
}

#[tokio::test]
#[ignore = "a part of another"]
async fn panics_while_it_draws() {
    let _guard = TerminalGuard::enter(true).unwrap();
    tokio::task::spawn_blocking(|| panic!("a worker broke")).await.unwrap_err();
    panic!("it broke\x1b]0;owned\x07 while drawing");
}

/// As when a window is closed or a connection breaks, also where no signal tells of it.
#[test]
fn it_ends_with_its_terminal() {
    for leads_session in [false, true] {
        let home = Home::with_model();
        let part = part("a_terminal_that_goes_away");
        let done = Command::new(&part[0])
            .args(&part[1..])
            .env("ASKDOCS_HOME", home.path())
            .env("START_WITH", if leads_session { "" } else { "setsid -w" })
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        assert_eq!((leads_session, content(&home.path().join("ended")).as_str()), (leads_session, "129"));
    }
}

#[test]
#[ignore = "a part of another"]
fn a_terminal_that_goes_away() {
    let home = std::env::var("ASKDOCS_HOME").unwrap();
    let start = std::env::var("START_WITH").unwrap();
    // The shell leads the session, so it must outlive the terminal to tell what became of the application.
    let script = format!("trap '' HUP; {start} {ASKDOCS}; echo $? > ended");
    let mut pty = Pty::start_command(Path::new(&home), &["sh", "-c", &script], 24, 80, &[]);
    pty.wait_for_text("handbook");
}

#[test]
fn it_bears_any_size() {
    let home = Home::with_model();
    let mut pty = Pty::start(home.path(), &[], 1, 1);
    pty.wait_for("a first frame", |screen| screen.alternate_screen() && screen.contents().contains('4'));
    for n in 0..300 {
        pty.resize(n % 50, n * 7 % 200);
    }
    pty.resize(0, 0);
    pty.send("still here");
    pty.resize(30, 120);
    pty.wait_for("the whole application at its last size", |screen| {
        let text = screen.contents();
        text.contains("> still here") && text.lines().count() == 30 && text.contains("┌ Passages")
    });
    pty.send("\x03\x03");
    assert_eq!(pty.finish(), 0);
    assert!(pty.left_behind().is_empty(), "{:?}", pty.left_behind());
}

#[test]
fn it_draws_what_the_terminal_can_show_or_says_why_not() {
    let home = Home::with_model();
    let mut pty = Pty::start_with(home.path(), &[], 24, 80, &[("LC_ALL", "C")]);
    pty.wait_for_text("+ Chat ---");
    assert!(pty.screen.screen().contents().is_ascii());
    assert!(pty.screen.callbacks().title.is_ascii());
    pty.send("\x03\x03");
    assert_eq!(pty.finish(), 0);

    // What a command prints, too, where it goes to a terminal.
    for (locale, ascii) in [("C", true), ("C.UTF-8", false)] {
        let mut pty = Pty::start_with(home.path(), &["search", "index documents"], 40, 80, &[("LC_ALL", locale)]);
        assert_eq!(pty.finish(), 0);
        assert_eq!(pty.seen.is_ascii(), ascii, "{locale}: {}", pty.screen.screen().contents());
    }

    let mut pty = Pty::start_with(home.path(), &[], 24, 80, &[("TERM", "dumb")]);
    assert_eq!(pty.finish(), 2);
    let text = pty.screen.screen().contents();
    assert!(text.contains("TERM is \"dumb\"") && text.contains("hint: `askdocs ask QUESTION`"), "{text}");
    assert_eq!(pty.screen.callbacks().updates, 0);
}
