use insta::assert_snapshot;

use super::*;
use crate::{
    app::{Armed, COMMANDS, ChatScroll, Focus, Place, View},
    domain::{IngestReport, ProgressSnapshot, Skip, Stage},
    ui::keys::Keys,
};

/// One in which every command has a key that none has usually.
pub fn other_keymap() -> Keymap {
    let keys: Vec<_> = ('一'..).take(COMMANDS.len()).map(|c| [format!("alt-{c}")]).collect();
    Keymap::new(COMMANDS.iter().zip(&keys).map(|(command, keys)| (command.name, keys.as_slice()))).unwrap()
}

/// No usual key is a word of it, none of a single letter stands before what it would do, and every command has a key.
pub fn names_no_usual_key(screen: &str) {
    let usual = Keymap::default();
    let usual: Vec<String> =
        COMMANDS.iter().flat_map(|command| usual.keys(command, Place::Help)).map(|key| key.to_string()).collect();
    let words: Vec<&str> = screen.split(|c: char| !c.is_alphanumeric() && c != '-').collect();
    for (at, word) in words.iter().enumerate().filter(|(_, word)| usual.iter().any(|key| key == *word)) {
        let next = words.get(at + 1).copied().unwrap_or_default();
        let does = ["again", "closes", "drops", "goes", "keeps", "makes", "tells", "tries"].contains(&next);
        assert!(word.len() == 1 && !does, "{word} {next} in\n{screen}");
    }
    assert!(!screen.contains('‹'), "{screen}");
}

#[test]
fn characters_are_typed_where_they_are_typed_and_commands_elsewhere() {
    let mut world = World::ready(120, 30);
    world.key(KeyModifiers::SHIFT, KeyCode::Char('?'));
    assert!(world.state.help, "nothing is typed yet");
    world.key(KeyModifiers::NONE, KeyCode::Esc);
    world.key(KeyModifiers::SHIFT, KeyCode::Char('W'));
    world.key(KeyModifiers::NONE, KeyCode::Char('j'));
    world.key(KeyModifiers::SHIFT, KeyCode::Char('?'));
    world.key(KeyModifiers::CONTROL, KeyCode::Char('j'));
    world.key(KeyModifiers::ALT, KeyCode::Enter);
    world.key(KeyModifiers::CONTROL | KeyModifiers::ALT, KeyCode::Char('@'));
    world.key(KeyModifiers::CONTROL, KeyCode::Char('x'));
    world.input(Input::Paste("pasted\r\nlines\r\n".to_owned()));
    assert_eq!(world.state.input.text(), "Wj?\n\n@pasted\nlines\n");
    assert!(world.state.turns.is_empty() && world.effects.is_empty() && !world.state.help);
    world.key(KeyModifiers::NONE, KeyCode::Enter);
    assert_eq!(world.state.turns[0].question, "Wj?\n\n@pasted\nlines");
    world.key(KeyModifiers::CONTROL, KeyCode::Char('d'));
    assert_eq!(world.effects.last(), Some(&Effect::Quit));
    let release = KeyEvent { kind: ratatui::crossterm::event::KeyEventKind::Release, ..KeyCode::Char('a').into() };
    world.input(Input::Key(release));
    assert!(world.state.input.is_empty());
}

#[test]
fn what_is_read_holds_still_while_the_answer_grows() {
    let mut world = World::ready(120, 30);
    let turn = world.ask("x");
    world.send(retrieved(turn, &[]));
    world.send(delta(turn, &"A line of the answer.\n\n".repeat(40)));
    let end = world.screen();
    world.key(KeyModifiers::NONE, KeyCode::PageUp);
    let before = world.screen();
    assert_ne!(before, end);
    world.send(delta(turn, &"More of it.\n\n".repeat(40)));
    // Of what stands in the pane, not of its border.
    let rows = |screen: &str| {
        let inside = screen.lines().skip(2).take_while(|row| row.starts_with('│'));
        inside.map(|row| row.chars().take(59).collect::<String>()).collect::<Vec<_>>()
    };
    assert_eq!(rows(&world.screen()), rows(&before));
    assert!(world.screen().contains("↓ new text below"));
    world.key(KeyModifiers::NONE, KeyCode::Tab);
    world.key(KeyModifiers::SHIFT, KeyCode::Char('G'));
    assert_eq!((world.state.focus, world.state.chat_scroll), (Focus::Chat, ChatScroll::End));
    assert!(world.screen().contains("More of it.▌"));
    assert!(!world.screen().contains("new text below"));
    world.key(KeyModifiers::NONE, KeyCode::PageUp);
    world.send(delta(turn, "And more.\n\n"));
    world.click_on("new text");
    assert_eq!(world.state.chat_scroll, ChatScroll::End);
}

fn write(world: &mut World, text: &str) {
    for c in text.chars() {
        world.key(KeyModifiers::NONE, KeyCode::Char(c));
    }
}

#[test]
fn the_palette_finds_commands_by_a_few_letters_and_takes_their_words() {
    for (columns, mut world) in worlds(World::ready) {
        world.key(KeyModifiers::CONTROL, KeyCode::Char('p'));
        assert_snapshot!(format!("palette_{columns}"), world.screen());
        for _ in 0..9 {
            world.key(KeyModifiers::NONE, KeyCode::PageDown);
            world.draw();
        }
        assert_snapshot!(format!("palette_end_{columns}"), world.screen());
        write(&mut world, "mode");
        world.key(KeyModifiers::NONE, KeyCode::Enter);
        assert_snapshot!(format!("palette_word_{columns}"), world.screen());
        write(&mut world, "key");
        world.key(KeyModifiers::NONE, KeyCode::Enter);
        assert_eq!(world.state.settings.mode, Mode::Keyword);
        assert!(world.state.palette.is_none());
        world.key(KeyModifiers::CONTROL, KeyCode::Char('p'));
        write(&mut world, "qqqq");
        assert_snapshot!(format!("palette_empty_{columns}"), world.screen());
        world.key(KeyModifiers::NONE, KeyCode::Enter);
        assert!(world.screen().contains("there is no command like \"qqqq\""));
        world.key(KeyModifiers::NONE, KeyCode::Esc);
        assert!(world.state.palette.is_none());
    }
    let mut world = World::ready(80, 24);
    // What is selected is done, wherever the selection went.
    world.key(KeyModifiers::CONTROL, KeyCode::Char('p'));
    write(&mut world, "view");
    world.screen();
    world.key(KeyModifiers::NONE, KeyCode::Down);
    let row = world.screen().lines().find(|line| line.contains('▸')).unwrap().to_owned();
    world.key(KeyModifiers::NONE, KeyCode::Enter);
    let view = if row.contains("ingest") { View::Ingest } else { View::Collections };
    assert_eq!(world.state.view, view, "{row}");
}

#[test]
fn letters_strewn_over_a_sentence_are_no_command() {
    let mut world = World::ready(80, 24);
    for (written, told) in [
        ("/hlep", "there is no command like \"hlep\""),
        ("/sort", "/sort does nothing here"),
        ("/use", "/use does nothing here"),
        ("/quit now", "/quit takes nothing more"),
    ] {
        write(&mut world, written);
        assert!(world.screen().contains("nothing is called like this"), "{written}: {}", world.screen());
        world.key(KeyModifiers::NONE, KeyCode::Enter);
        assert!(world.screen().contains(told), "{written}: {}", world.screen());
        assert_eq!(world.state.armed, None, "{written}");
        world.key(KeyModifiers::NONE, KeyCode::Esc);
        world.state.input.set("");
    }
    // A later word of a name is as good as its first; a command that takes no word is not done where there is one.
    write(&mut world, "/code");
    assert!(world.screen().contains("copy-code"), "{}", world.screen());
    world.key(KeyModifiers::NONE, KeyCode::Esc);
    world.state.input.set("");
    world.input(Input::Paste("/quit now".to_owned()));
    world.key(KeyModifiers::NONE, KeyCode::Enter);
    assert!(world.screen().contains("/quit takes nothing more; a space before"), "{}", world.screen());
    assert_eq!((world.state.armed, world.state.input.text()), (None, "/quit now"));
    world.state.input.set("");
    // In the list of all, words of what is told count, and a slash is as good as none.
    world.key(KeyModifiers::CONTROL, KeyCode::Char('p'));
    write(&mut world, "passages question");
    assert!(world.screen().contains("▸ k NUMBER"), "{}", world.screen());
    world.key(KeyModifiers::NONE, KeyCode::Esc);
    world.key(KeyModifiers::CONTROL, KeyCode::Char('p'));
    write(&mut world, "/k 8");
    world.key(KeyModifiers::NONE, KeyCode::Enter);
    assert_eq!(world.state.settings.k, 8);
}

#[test]
fn what_was_written_behind_a_slash_is_not_lost() {
    let mut world = World::ready(80, 24);
    for (written, kept) in [
        ("/etc/hosts what is it", "/etc/hosts what is it"),
        ("/quit now", "/quit now"),
        ("/mode key", ""),
        ("/exp", ""),
    ] {
        write(&mut world, written);
        world.key(KeyModifiers::NONE, KeyCode::Esc);
        assert_eq!((world.state.palette.is_none(), world.state.input.text()), (true, kept), "{written}");
        world.state.input.set("");
    }
}

#[test]
fn the_key_of_a_shells_search_goes_on_in_the_search() {
    let mut world = touch::conversation(80, 24);
    world.effects.clear();
    world.key(KeyModifiers::CONTROL, KeyCode::Char('s'));
    world.key(KeyModifiers::CONTROL, KeyCode::Char('r'));
    assert!(world.state.recall.is_some() && world.state.ingest.is_none() && world.effects.is_empty());
}

#[test]
fn a_search_that_was_chosen_from_the_list_has_the_keys_while_it_is_open() {
    for focus in [Focus::Input, Focus::Chat] {
        let mut world = touch::conversation(80, 24);
        world.state.focus = focus;
        world.key(KeyModifiers::CONTROL, KeyCode::Char('p'));
        write(&mut world, "find");
        world.key(KeyModifiers::NONE, KeyCode::Enter);
        assert_eq!(world.state.place(), Place::Find, "{focus:?}: {}", world.screen());
        world.key(KeyModifiers::NONE, KeyCode::Esc);
        assert_eq!((world.state.find.is_none(), world.state.focus), (true, focus), "they go back to where they were");
    }
}

#[test]
fn the_command_copies_one_block_of_code_after_the_other() {
    let mut world = touch::conversation(80, 24);
    let mut copied = || {
        write(&mut world, "/copy-code");
        world.key(KeyModifiers::NONE, KeyCode::Enter);
        world.screen();
        world.copied().to_owned()
    };
    let (first, second) = (copied(), copied());
    assert_ne!(first, second);
}

#[test]
fn only_what_has_the_keys_has_a_thick_border() {
    let mut world = touch::conversation(120, 30);
    world.key(KeyModifiers::NONE, KeyCode::Tab);
    assert_eq!(world.screen().matches('┏').count(), 1);
    for open in [KeyCode::F(1), KeyCode::Char('p')] {
        let held = if open == KeyCode::F(1) { KeyModifiers::NONE } else { KeyModifiers::CONTROL };
        world.key(held, open);
        assert_eq!(world.screen().matches('┏').count(), 1, "{open:?}: {}", world.screen());
        world.key(KeyModifiers::NONE, KeyCode::Esc);
    }
}

#[test]
fn what_is_not_in_view_is_not_cleared() {
    let mut world = World::ready(80, 24);
    write(&mut world, "a question");
    world.key(KeyModifiers::CONTROL, KeyCode::Char('t'));
    world.key(KeyModifiers::CONTROL, KeyCode::Char('c'));
    assert_eq!((world.state.input.text(), world.state.armed), ("a question", Some(Armed::Quit)));
}

#[test]
fn a_slash_names_a_command_and_a_question_may_begin_with_one() {
    let mut world = World::ready(80, 24);
    write(&mut world, "/k 7");
    assert!(world.screen().contains("k 7"));
    world.key(KeyModifiers::NONE, KeyCode::Enter);
    assert_eq!((world.state.settings.k, world.state.turns.len()), (7, 0));
    for (written, told) in [
        ("/k seven", "k is a number from 1 to 100, not \"seven\""),
        ("/mode fast", "fast"),
        ("/nothing", "there is no command like \"nothing\""),
    ] {
        write(&mut world, written);
        world.key(KeyModifiers::NONE, KeyCode::Enter);
        assert!(world.screen().contains(told), "{written}: {}", world.screen());
        world.key(KeyModifiers::NONE, KeyCode::Esc);
    }
    for (columns, mut world) in worlds(World::ready) {
        write(&mut world, "/model ");
        assert_eq!(world.effects.iter().filter(|effect| **effect == Effect::ListModels).count(), 1);
        world.send(Event::ChatModels(Ok(vec!["parrot".to_owned(), "macaw\u{1b}[31m".to_owned()])));
        write(&mut world, "mac");
        world.key(KeyModifiers::NONE, KeyCode::Tab);
        assert_snapshot!(format!("palette_model_{columns}"), world.screen());
    }
    // Taking the slash back closes it, and pasted text is a question's.
    write(&mut world, "/");
    world.key(KeyModifiers::NONE, KeyCode::Backspace);
    assert!(world.state.palette.is_none());
    world.input(Input::Paste("/usr/bin is what?".to_owned()));
    world.key(KeyModifiers::NONE, KeyCode::Enter);
    assert_eq!(world.state.turns.last().unwrap().question, "/usr/bin is what?");
}

#[test]
fn help_is_about_the_place_below_it_and_names_the_keys_that_are_bound() {
    let mut world = World::ready(80, 24);
    let wanted = ["f9".to_owned()];
    world.cache = ViewCache::new(Look::default(), Keymap::new([("reindex", wanted.as_slice())]).unwrap());
    for title in ["Writing a question", "In the conversation", "In the list of passages", "In a passage"] {
        world.key(KeyModifiers::NONE, KeyCode::F(1));
        assert!(world.screen().contains(title), "{}", world.screen());
        world.key(KeyModifiers::NONE, KeyCode::Esc);
        world.key(KeyModifiers::NONE, KeyCode::Tab);
    }
    world.key(KeyModifiers::NONE, KeyCode::F(9));
    assert!(matches!(world.effects.last(), Some(Effect::StartIngest { .. })), "{:?}", world.effects.last());
    world.key(KeyModifiers::NONE, KeyCode::F(1));
    world.key(KeyModifiers::NONE, KeyCode::End);
    let screen = world.screen();
    assert!(!screen.contains("Ctrl-R"), "{screen}");
}

#[test]
fn a_hint_goes_away_once_it_was_followed_and_nobody_who_knows_sees_one() {
    let mut world = World::ready(80, 24);
    answered(&mut world);
    let mut told = Vec::new();
    let follow = [(KeyModifiers::CONTROL, KeyCode::Char('e')), (KeyModifiers::NONE, KeyCode::Tab)];
    for (modifiers, code) in follow.into_iter().chain([(KeyModifiers::CONTROL, KeyCode::Char('p'))]) {
        told.push(world.state.hint().unwrap().tells().0);
        world.key(modifiers, code);
        if world.state.view == View::Evidence || world.state.palette.is_some() {
            assert!(world.state.hint().is_none(), "only below the chat");
            world.key(KeyModifiers::NONE, KeyCode::Esc);
        }
    }
    assert_eq!(told, ["evidence", "next-pane", "commands"]);
    assert!(world.screen().contains("? shows the keys"));
    world.key(KeyModifiers::NONE, KeyCode::F(1));
    world.key(KeyModifiers::NONE, KeyCode::Esc);
    assert!(world.state.hint().is_none());

    let mut world = World::ready(80, 24);
    world.send(Event::History((0..20).map(|n| format!("question {n}")).collect()));
    answered(&mut world);
    assert!(world.state.hint().is_none());
}

fn answered(world: &mut World) {
    let turn = world.ask("x");
    world.send(retrieved(turn, &[]));
    world.send(delta(turn, "Leaves."));
    world.send(finished(turn, FinishReason::Stop));
}

#[test]
fn a_text_is_found_in_the_conversation_wherever_it_is() {
    let sought = |world: &mut World| {
        for n in 0..12 {
            let turn = world.ask(&format!("question {n}"));
            world.send(retrieved(turn, &[]));
            let word = if n % 5 == 1 { "a **Nee**dle in it" } else { "hay" };
            world.send(delta(turn, &format!("{}Here is {word}.\n\n", "A line.\n\n".repeat(9))));
            world.send(finished(turn, FinishReason::Stop));
        }
        world.key(KeyModifiers::NONE, KeyCode::Tab);
        world.draw();
        write(world, "/needle");
        world.draw();
    };
    for (columns, mut world) in worlds(World::ready) {
        sought(&mut world);
        assert_snapshot!(format!("find_{columns}"), world.screen());
        write(&mut world, " that nobody has ever written in any of these conversations");
        assert_snapshot!(format!("find_nothing_{columns}"), world.screen());
    }
    let mut world = World::ready(80, 24);
    sought(&mut world);
    world.key(KeyModifiers::NONE, KeyCode::Enter);
    let screen = world.screen();
    assert!(screen.contains("line 2 of 3") && screen.contains("a Needle in it"), "{screen}");
    world.key(KeyModifiers::NONE, KeyCode::Up);
    world.key(KeyModifiers::NONE, KeyCode::Up);
    assert!(world.screen().contains("line 3 of 3"), "round and round");
    let there = world.screen();
    // It stays where it has led, and goes on from there by a key.
    world.key(KeyModifiers::NONE, KeyCode::Esc);
    let rows = |screen: &str| screen.lines().skip(2).take(8).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows(&world.screen()), rows(&there));
    write(&mut world, "n");
    assert!(world.screen().contains("line 3 of 3"), "{}", world.screen());
    world.key(KeyModifiers::NONE, KeyCode::Down);
    assert!(world.screen().contains("line 1 of 3"), "{}", world.screen());
    // Capitals count where there are some, and what is nowhere leaves everything as it is.
    world.key(KeyModifiers::CONTROL, KeyCode::Char('u'));
    write(&mut world, "NEEDLE");
    assert!(world.screen().contains("in no line"));
    world.key(KeyModifiers::NONE, KeyCode::Enter);
    world.key(KeyModifiers::CONTROL, KeyCode::Char('c'));
    assert!(world.state.find.is_none());
}

type Steps = fn(&mut World);

/// What names keys beside the screens that are looked at elsewhere.
const NAMES_KEYS: [(Steps, &str); 15] = [
    (|_| (), "lists all keys; ‹interrupt› twice quits"),
    (|world| world.send(Event::ModelFailed("why".to_owned())), "keywords only (‹reindex› tries again"),
    (|world| world.key(KeyModifiers::CONTROL, KeyCode::Char('c')), "‹interrupt› again quits"),
    (|world| world.send(Event::Draft("draft".to_owned())), "‹interrupt› clears it"),
    (|world| world.input(Input::Paste("line\n".repeat(9))), "nothing is asked before ‹ask›"),
    (|world| collections::press(world, "/nothing\n"), "‹escape› closes the list"),
    (|world| submit(world, "/nothing here"), "‹commands› lists them"),
    (|world| submit(world, "/sort"), "‹commands› lists what does"),
    (
        |world| {
            index(world);
            index(world);
        },
        "under way already; ‹ingest› shows",
    ),
    (
        |world| {
            index(world);
            world.key(KeyModifiers::CONTROL, KeyCode::Char('t'));
            world.key(KeyModifiers::NONE, KeyCode::Char('x'));
        },
        "‹stop› again stops indexing",
    ),
    (
        |world| {
            *world = World::new(200, 60);
            world.send(opened(None));
            let snapshot = ProgressSnapshot { stage: Stage::Downloading, ..ProgressSnapshot::default() };
            world.send(Event::ModelProgress { snapshot, elapsed: Duration::ZERO });
            world.key(KeyModifiers::CONTROL, KeyCode::Char('t'));
            world.key(KeyModifiers::NONE, KeyCode::Char('x'));
        },
        "‹stop› again stops the download",
    ),
    (
        |world| {
            world.key(KeyModifiers::CONTROL, KeyCode::Char('t'));
            write(world, "p");
        },
        "‹reindex› indexes what changed",
    ),
    (
        |world| {
            index(world);
            let skip = Skip { document: "a.md".to_owned(), reason: "why".to_owned(), location: String::new() };
            let report = IngestReport { skipped: vec![skip], interrupted: true, ..IngestReport::default() };
            let job = started_job(world);
            world.send(Event::IngestFinished { job, result: Ok(report), collection: None });
            world.key(KeyModifiers::CONTROL, KeyCode::Char('t'));
        },
        "1 skipped, ‹ingest› says why",
    ),
    (
        |world| {
            collections::listed(world);
            index(world);
            write(world, "d");
        },
        "stop it first (‹ingest›, then ‹stop› twice)",
    ),
    (
        |world| {
            collections::listed(world);
            write(world, "n");
        },
        "path, ‹complete-path› completes it",
    ),
];

fn submit(world: &mut World, text: &str) {
    world.input(Input::Paste(text.to_owned()));
    world.key(KeyModifiers::NONE, KeyCode::Enter);
}

fn index(world: &mut World) {
    world.key(KeyModifiers::CONTROL, KeyCode::Char('r'));
}

#[test]
fn texts_name_the_keys_that_are_configured() {
    let other = other_keymap();
    let none: Vec<_> = COMMANDS
        .iter()
        .filter(|command| !["escape", "interrupt"].contains(&command.name))
        .map(|c| (c.name, &[][..]))
        .collect();
    let none = Keymap::new(none).unwrap();
    for (steps, text) in NAMES_KEYS {
        let mut world = World::ready(200, 60);
        steps(&mut world);
        let usual = world.screen();
        for (screen, keymap) in [
            (usual, &Keymap::default()),
            (world.screen_with(other.clone()), &other),
            (world.screen_with(none.clone()), &none),
        ] {
            let expected = Keys::new(keymap, world.state.place()).tell(text);
            assert!(!expected.contains('‹') && screen.contains(&expected), "{expected:?} is not in\n{screen}");
        }
    }
    let tiny = World::ready(30, 8);
    assert!(tiny.screen_with(other).contains("twice quits") && tiny.screen_with(none).contains("Ctrl-C twice"));
}

#[test]
fn the_way_out_is_named_where_there_is_little_room() {
    let mut world = World::ready(40, 12);
    world.key(KeyModifiers::CONTROL, KeyCode::Char('s'));
    let other = other_keymap();
    let way_out = format!("{} back", Keys::new(&other, world.state.place()).of("escape"));
    let screen = world.screen_with(other);
    assert!(screen.lines().last().unwrap().ends_with(&way_out), "{way_out} is not at the end of\n{screen}");
}

#[test]
fn while_the_question_is_empty_its_ends_are_those_of_the_conversation() {
    let mut world = touch::conversation(80, 12);
    world.draw();
    world.key(KeyModifiers::NONE, KeyCode::Home);
    assert!(world.screen().contains("You  How is data stored?"), "{}", world.screen());
    world.key(KeyModifiers::NONE, KeyCode::End);
    assert_eq!(world.state.chat_scroll, ChatScroll::End);
    write(&mut world, "ab");
    world.key(KeyModifiers::NONE, KeyCode::Home);
    write(&mut world, "c");
    assert_eq!((world.state.input.text(), world.state.chat_scroll), ("cab", ChatScroll::End));
}

#[test]
fn the_keys_of_a_search_are_those_that_work_while_its_line_is_written() {
    let mut world = touch::conversation(120, 60);
    world.key(KeyModifiers::NONE, KeyCode::Tab);
    world.key(KeyModifiers::NONE, KeyCode::Char('/'));
    world.key(KeyModifiers::NONE, KeyCode::F(1));
    let screen = world.screen();
    let row = |what: &str| screen.lines().find(|line| line.contains(what)).unwrap_or_default().to_owned();
    assert!(row("the next place").contains("↓, Enter") && row("the one before").contains("↑"), "{screen}");
    assert!(!screen.contains("/find-next") && !screen.contains("/k NUMBER"), "{screen}");
    world.key(KeyModifiers::NONE, KeyCode::Esc);
    world.key(KeyModifiers::NONE, KeyCode::Esc);
    world.key(KeyModifiers::NONE, KeyCode::F(1));
    let screen = world.screen();
    assert!(screen.contains("/k NUMBER"), "{screen}");
}
