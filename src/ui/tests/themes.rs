//! Themes, ASCII and reduced motion: what they change of a screen, and what must not depend on colour.

use std::fmt::Write;

use insta::assert_snapshot;

use super::*;
use crate::{
    app::View,
    domain::{ProgressSnapshot, Stage},
    ui::Depth,
};

/// A chat with most of what has a style of its own.
fn chat(columns: u16, rows: u16, theme: ThemeName, look: Look) -> World {
    let mut world = World::ready(columns, rows);
    world.cache = ViewCache::new(look, Keymap::default());
    world.state.theme = theme;
    let turn = world.ask("How is data stored?");
    world.send(retrieved(turn, &["a note"]));
    world.send(delta(turn, "## Two kinds\n\n**Inserted** data in `MinIO` [1], see [docs](http://x/), café [9]\n"));
    world.send(finished(turn, FinishReason::Length));
    world
}

/// Which style each cell has, as letters, and what the letters mean.
fn styles(buffer: &Buffer) -> String {
    // The last cell is as plain as any.
    let mut known: Vec<_> = buffer.content.iter().rev().map(|cell| (cell.fg, cell.bg, cell.modifier)).take(1).collect();
    let mut out = String::new();
    for row in buffer.content.chunks(usize::from(buffer.area.width)) {
        for cell in row {
            let style = (cell.fg, cell.bg, cell.modifier);
            let at = known.iter().position(|other| *other == style).unwrap_or_else(|| {
                known.push(style);
                known.len() - 1
            });
            out.push(if at == 0 { ' ' } else { char::from(b'a' + at as u8 - 1) });
        }
        out.truncate(out.trim_end_matches(' ').len());
        out.push('\n');
    }
    for (at, (fg, bg, modifier)) in known.iter().enumerate() {
        let letter = if at == 0 { ' ' } else { char::from(b'a' + at as u8 - 1) };
        writeln!(out, "{letter:?} {fg} on {bg} {modifier:?}").unwrap();
    }
    out
}

#[test]
fn each_theme() {
    for theme in ThemeName::ALL {
        let mut world = chat(80, 24, theme, Look { depth: Depth::TrueColour, ..Look::default() });
        let screen = world.screen();
        assert_snapshot!(format!("theme_{theme}"), format!("{screen}\n{}", styles(world.draw())));
    }
}

#[test]
fn ascii() {
    let look = Look { ascii: true, ..Look::default() };
    assert_snapshot!("ascii", chat(80, 24, ThemeName::Terminal, look).screen());
    let mut tiny = chat(30, 8, ThemeName::Terminal, look);
    assert_snapshot!("ascii_tiny", tiny.screen());
    assert_eq!(super::super::title(&tiny.state, &tiny.cache), "askdocs . handbook");
}

#[test]
fn another_theme_is_taken_up_by_everything_that_was_drawn_before() {
    for theme in ThemeName::ALL {
        let mut world = chat(120, 30, ThemeName::Terminal, Look::default());
        world.draw();
        world.send(Event::Action(Action::SetTheme(theme)));
        world.send(Event::Action(Action::Help));
        world.send(Event::Action(Action::Help));
        let fresh = chat(120, 30, theme, Look::default()).draw().clone();
        assert_eq!(*world.draw(), fresh, "{theme}");
    }
    let mut world = World::ready(80, 24);
    for expected in ["dark", "light", "high-contrast", "mono", "terminal"] {
        world.send(Event::Action(Action::NextTheme));
        assert!(world.screen().contains(&format!("theme {expected};")));
    }
}

/// What is selected, and what has the keys, is told by signs and not only by styles.
#[test]
fn marks_tell_what_colours_do() {
    let tab = (KeyModifiers::NONE, KeyCode::Tab);
    let down = (KeyModifiers::NONE, KeyCode::Down);
    let cases = [
        (View::Chat, vec![tab, tab, tab]),
        (View::Chat, vec![tab, tab, down, down]),
        (View::Evidence, vec![down, down, tab, tab]),
    ];
    for (view, keys) in cases {
        let mut world = chat(120, 40, ThemeName::Mono, Look::default());
        world.send(Event::Action(Action::SwitchView(view)));
        world.state.view = view;
        let mut seen = vec![world.screen()];
        for (modifiers, code) in keys {
            world.key(modifiers, code);
            let screen = world.screen();
            assert!(!seen.contains(&screen), "{code:?} changed nothing but colours in\n{screen}");
            seen.push(screen);
        }
    }
    let mono = chat(120, 40, ThemeName::Mono, Look::default()).screen();
    assert!(mono.contains("`MinIO` [1]") && mono.contains("[9?]"), "{mono}");
    let coloured = chat(120, 40, ThemeName::Terminal, Look::default()).screen();
    assert!(coloured.contains("MinIO [1]"), "{coloured}");
}

#[test]
fn reduced_motion_shows_whole_rows_and_nothing_that_grows() {
    let mut world = World::ready(80, 24);
    world.cache = ViewCache::new(Look { still: true, ..Look::default() }, Keymap::default());
    let turn = world.ask("x");
    world.send(retrieved(turn, &[]));
    world.send(delta(turn, &"word ".repeat(20)));
    let before = world.screen();
    let cursor = |screen: &str| screen.contains("word ▌") || screen.contains("word▌");
    assert!(before.contains("word") && !cursor(&before), "{before}");
    world.send(delta(turn, "more"));
    assert_eq!(world.screen(), before, "a row that is not full is not shown");
    world.send(finished(turn, FinishReason::Stop));
    assert!(world.screen().contains("more"));
    let mut moving = World::ready(80, 24);
    let turn = moving.ask("x");
    moving.send(retrieved(turn, &[]));
    moving.send(delta(turn, "word"));
    assert!(cursor(&moving.screen()));

    let mut world = World::new(80, 24);
    world.cache = ViewCache::new(Look { still: true, ..Look::default() }, Keymap::default());
    world.send(Event::Action(Action::SwitchView(View::Ingest)));
    let snapshot =
        ProgressSnapshot { stage: Stage::Downloading, bytes_done: 50, bytes_total: 100, ..ProgressSnapshot::default() };
    world.send(Event::ModelProgress { snapshot, elapsed: Duration::ZERO });
    let screen = world.screen();
    assert!(screen.contains("50 % of 100 B") && !screen.contains('█'), "{screen}");
}

#[test]
fn the_title_says_what_goes_on_and_holds_nothing_hostile() {
    let mut world = World::ready(80, 24);
    let title = |world: &World| super::super::title(&world.state, &world.cache);
    assert_eq!(title(&world), "askdocs · handbook");
    let turn = world.ask("x");
    assert_eq!(title(&world), "askdocs · handbook · answering");
    world.send(finished(turn, FinishReason::Stop));
    world.send(Event::Action(Action::Reindex));
    let snapshot = ProgressSnapshot { documents_done: 2, documents_total: 5, ..ProgressSnapshot::default() };
    world.send(Event::IngestProgress { job: started_job(&world), snapshot, elapsed: Duration::ZERO });
    assert_eq!(title(&world), "askdocs · handbook · indexing 40 %");
    let name = format!("a\x1b]0;t\x07\u{9c}\nb{}", "c".repeat(200));
    let (store, collection) = ("s".to_owned(), None);
    world.send(Event::StoreOpened { store, name, collection, keeps_handbook: false, index: false });
    let title = title(&world);
    assert!(title.starts_with("askdocs · a]0;t b") && title.chars().count() <= 80, "{title:?}");
}
