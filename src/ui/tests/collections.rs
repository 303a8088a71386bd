use insta::assert_snapshot;

use super::{screens::check, *};
use crate::{
    app::{Entry, Step, View},
    domain::{Chunker, Fingerprint, Pooling, ProgressSnapshot},
};

/// What the same steps lead to at every size.
fn at_all_sizes(name: &str, steps: impl Fn(&mut World)) {
    for (columns, mut world) in worlds(World::ready) {
        steps(&mut world);
        assert_snapshot!(format!("collections_{name}_{columns}"), world.screen());
    }
}

pub fn listed(world: &mut World) {
    enter(world);
    list(world, Ok(entries()));
}

fn fingerprint() -> Fingerprint {
    Fingerprint {
        model: "all-minilm-l6-v2".to_owned(),
        sha256: "53aa51172d142c89".to_owned(),
        dim: 384,
        metric: Metric::Ip,
        pooling: Pooling::Mean,
        normalised: true,
        max_tokens: 256,
        query_prefix: String::new(),
        passage_prefix: String::new(),
    }
}

fn entries() -> Vec<Entry> {
    let source = |location: &str| SourceSpec {
        location: location.to_owned(),
        globs: vec!["*.md".to_owned()],
        chunker: Chunker::Markdown,
    };
    let made = |info: CollectionInfo| {
        let (fingerprint, dim, index) = (Some(fingerprint()), Some(384), "AUTOINDEX".to_owned());
        Entry::Readable(CollectionInfo { fingerprint, dim, index, bytes: Some(1_234_567), ..info }.into())
    };
    let manual = CollectionInfo {
        documents: 312,
        passages: 4_312,
        without_vectors: 12,
        sources: vec![source("/home/me/manual"), source("https://example.org/more.zip?key=secret")],
        ..CollectionInfo::empty("manual")
    };
    let tutorial = CollectionInfo {
        documents: 1,
        passages: 72,
        dim: Some(384),
        index: "AUTOINDEX".to_owned(),
        foreign: true,
        ..CollectionInfo::empty("my_rag_collection")
    };
    let reason = "could not read broken.db: file is not a database".to_owned();
    vec![
        Entry::Unreadable { name: "broken".to_owned(), reason },
        made(handbook()),
        made(manual),
        Entry::Readable(tutorial.into()),
        Entry::Readable(CollectionInfo::empty("nothing").into()),
    ]
}

fn enter(world: &mut World) {
    world.key(KeyModifiers::CONTROL, KeyCode::Char('o'));
    world.draw();
}

fn list(world: &mut World, result: Result<Vec<Entry>, String>) {
    let request = world.state.collections.reading.unwrap();
    world.send(Event::CollectionsListed { request, result });
    world.draw();
}

pub fn press(world: &mut World, keys: &str) {
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '↓' => KeyCode::Down,
            '↑' => KeyCode::Up,
            key => KeyCode::Char(key),
        };
        world.key(KeyModifiers::NONE, code);
        world.draw();
    }
}

/// Answers the reading of rows that was asked for last.
fn rows(world: &mut World, result: Result<u32, &str>) {
    let asked = world.effects.iter().rev().find_map(|effect| match effect {
        Effect::BrowseRows { request, offset, .. } => Some((*request, *offset as u32)),
        _ => None,
    });
    let (request, offset) = asked.unwrap();
    let text = "Milvus deals with two types of data, inserted data and metadata.\n\n".repeat(6);
    let row = |at| chunk(offset + at, &format!("manual/chapter-{}.md", at / 3), &format!("Section {at}"), &text);
    let result = result.map(|count| (0..count).map(row).collect()).map_err(str::to_owned);
    world.send(Event::Rows { request, result });
    world.draw();
}

/// What the form asked for last.
fn request(world: &World) -> crate::app::RequestId {
    match &world.state.collections.step {
        Step::Create(creating) => creating.reading.unwrap(),
        step => panic!("{step:?}"),
    }
}

#[test]
fn loading_and_error_and_empty() {
    at_all_sizes("loading", enter);
    at_all_sizes("error", |world| {
        enter(world);
        let error =
            "Milvus at http://localhost:19530 can't be reached: connection refused; hint: is the server running?";
        list(world, Err(error.to_owned()));
    });
    at_all_sizes("empty", |world| {
        enter(world);
        list(world, Ok(Vec::new()));
    });
}

#[test]
fn list_and_what_is_known_of_each() {
    at_all_sizes("list", listed);
    at_all_sizes("unreadable", |world| {
        listed(world);
        press(world, "↑");
    });
    at_all_sizes("indexing", |world| {
        listed(world);
        world.key(KeyModifiers::CONTROL, KeyCode::Char('r'));
        let snapshot = ProgressSnapshot { documents_done: 3, documents_total: 9, ..ProgressSnapshot::default() };
        let job = started_job(world);
        world.send(Event::IngestProgress { job, snapshot, elapsed: Duration::ZERO });
    });
    // Two are large and another program's.
    for (keys, shown) in [("↓", "4,312 rows"), ("↓↓", "only read, never written")] {
        let mut world = World::ready(80, 24);
        listed(&mut world);
        press(&mut world, keys);
        let screen = world.screen();
        assert!(screen.contains(shown) && !screen.contains("secret"), "{shown} is not in\n{screen}");
    }
}

#[test]
fn rows_and_the_text_of_one() {
    let browse = |world: &mut World| {
        listed(world);
        press(world, "↓b");
    };
    at_all_sizes("rows_loading", browse);
    let read = |world: &mut World| {
        browse(world);
        rows(world, Ok(100));
        rows(world, Ok(100));
        world.key(KeyModifiers::NONE, KeyCode::PageDown);
        world.draw();
        press(world, "↓");
    };
    at_all_sizes("rows", read);
    at_all_sizes("row_text", |world| {
        read(world);
        press(world, "\t↓↓");
    });
    at_all_sizes("rows_error", |world| {
        browse(world);
        rows(world, Err("the server is gone"));
    });
    at_all_sizes("rows_empty", |world| {
        listed(world);
        press(world, "↓↓↓b");
    });
}

#[test]
fn a_drop_names_what_will_be_gone() {
    at_all_sizes("drop", |world| {
        listed(world);
        press(world, "↓dman\n");
    });
    at_all_sizes("drop_foreign", |world| {
        listed(world);
        press(world, "↓↓d");
    });
    at_all_sizes("drop_yes", |world| {
        listed(world);
        press(world, "↓↓↓d");
    });
    let mut world = World::ready(80, 24);
    listed(&mut world);
    press(&mut world, "↓↓↓dn");
    assert!(matches!(world.state.collections.step, Step::Choose));
    press(&mut world, "dy");
    assert_eq!(world.effects.last(), Some(&Effect::DropCollection { name: "nothing".to_owned() }));
    assert!(world.screen().contains("dropping …"));
}

#[test]
fn a_new_one_asks_for_a_path_and_a_name() {
    at_all_sizes("create_path", |world| {
        listed(world);
        press(world, "n");
    });
    let completed = |world: &mut World| {
        listed(world);
        press(world, "n/home/me/\t");
        let request = request(world);
        let candidates = (1..40).map(|n| format!("folder-{n}")).collect();
        world.send(Event::PathCompleted { request, path: "/home/me/folder-".to_owned(), candidates });
    };
    at_all_sizes("create", completed);
    at_all_sizes("create_failed", |world| {
        completed(world);
        press(world, "99\n");
        let result = Err("there is nothing at /home/me/folder-99".to_owned());
        world.send(Event::SourceChecked { request: request(world), result });
    });
    at_all_sizes("create_name", |world| {
        completed(world);
        press(world, "7\n");
        let request = request(world);
        let result = Ok(SourceSpec { location: "/home/me/manual".to_owned(), ..SourceSpec::handbook() });
        world.send(Event::SourceChecked { request, result });
        world.key(KeyModifiers::CONTROL, KeyCode::Char('u'));
        press(world, "manual");
    });
}

#[test]
fn the_keys_are_those_of_the_view() {
    at_all_sizes("help", |world| {
        listed(world);
        press(world, "?");
    });
    let mut world = World::ready(80, 24);
    listed(&mut world);
    press(&mut world, "b");
    // A page in the table, a row in the text, and nothing is typed anywhere.
    rows(&mut world, Ok(20));
    press(&mut world, " Gg");
    assert_eq!(world.effects.iter().filter(|effect| matches!(effect, Effect::BrowseRows { .. })).count(), 1);
    world.key(KeyModifiers::NONE, KeyCode::Left);
    world.input(Input::Paste("nowhere".to_owned()));
    assert!(world.state.input.is_empty() && world.state.view == View::Collections);
    press(&mut world, "n");
    world.input(Input::Paste("~/what is ?\nnot this".to_owned()));
    press(&mut world, " n?");
    assert_eq!(world.state.collections.line().map(|line| line.text()), Some("~/what is ? n?"));
    world.key(KeyModifiers::CONTROL, KeyCode::Char('r'));
    assert!(world.state.ingest.is_none(), "not while something is asked");
    world.key(KeyModifiers::NONE, KeyCode::F(3));
    assert_eq!(world.state.view, View::Chat);
    world.key(KeyModifiers::NONE, KeyCode::F(3));
    assert_eq!(world.state.collections.line().map(|line| line.text()), Some("~/what is ? n?"), "it is not lost");
}

#[test]
fn any_size_and_no_colours() {
    for (columns, rows_of_it) in [(1, 1), (40, 10), (41, 11), (60, 14), (99, 15), (100, 10), (300, 100)] {
        let mut world = World::ready(columns, rows_of_it);
        world.state.theme = ThemeName::Mono;
        listed(&mut world);
        for keys in ["↑", "↓d", "n/a/very/long/path/that/goes/on/and/on/and/on/over/the/edge", "b", "\t"] {
            world.key(KeyModifiers::NONE, KeyCode::Esc);
            if world.state.view == View::Chat {
                listed(&mut world);
            }
            press(&mut world, keys);
            if keys == "b" {
                rows(&mut world, Ok(100));
            }
            let reset = ratatui::style::Color::Reset;
            assert!(world.draw().content.iter().all(|cell| (cell.fg, cell.bg) == (reset, reset)));
        }
    }
}

#[test]
fn nothing_hostile_from_the_store_reaches_a_cell() {
    let evil = "a\x1b[31mb\x1b]0;t\x07c\u{9b}2Jd\u{202e}e\u{200b}f\u{2066}g\r\n\tz".to_owned();
    let mut world = World::ready(120, 30);
    let info = CollectionInfo {
        documents: 1,
        passages: 1,
        index: evil.clone(),
        fingerprint: Some(Fingerprint { model: evil.clone(), sha256: evil.clone(), ..fingerprint() }),
        sources: vec![SourceSpec {
            location: evil.clone(),
            globs: vec![evil.clone()],
            chunker: Chunker::Split(evil.clone()),
        }],
        ..CollectionInfo::empty(&evil)
    };
    world.send(Event::StoreOpened {
        store: evil.clone(),
        name: evil.clone(),
        collection: None,
        keeps_handbook: true,
        index: false,
    });
    enter(&mut world);
    list(&mut world, Err(evil.clone()));
    check(&mut world);
    press(&mut world, "r");
    let broken = Entry::Unreadable { name: format!("{evil}2"), reason: evil.clone() };
    list(&mut world, Ok(vec![Entry::Readable(info.into()), broken]));
    check(&mut world);
    for keys in ["↓", "\n", "↑d"] {
        press(&mut world, keys);
        check(&mut world);
    }
    world.input(Input::Paste(evil.clone()));
    check(&mut world);
    press(&mut world, "\n");
    check(&mut world);
    world.send(Event::CollectionDropped { name: evil.clone(), result: Err(evil.clone()) });
    check(&mut world);
    world.key(KeyModifiers::NONE, KeyCode::Esc);
    press(&mut world, "b");
    let Some(Effect::BrowseRows { request: asked, .. }) = world.effects.last().cloned() else { panic!() };
    let row = Chunk { heading: vec![evil.clone()], ..chunk(0, &evil, &evil, &evil) };
    world.send(Event::Rows { request: asked, result: Ok(vec![row]) });
    check(&mut world);
    world.key(KeyModifiers::NONE, KeyCode::Esc);
    press(&mut world, "n");
    world.input(Input::Paste(evil.clone()));
    press(&mut world, "\n");
    let asked = request(&world);
    world.send(Event::SourceChecked { request: asked, result: Err(evil.clone()) });
    check(&mut world);
    press(&mut world, "\t");
    let asked = request(&world);
    world.send(Event::PathCompleted { request: asked, path: evil.clone(), candidates: vec![evil.clone()] });
    check(&mut world);
    world.send(Event::CollectionDropped { name: evil.clone(), result: Err(evil) });
    check(&mut world);
}
