use super::*;
use crate::{
    app::{
        Action, Escape, Event, Scroll,
        update::tests::{act, ask, finished, ingested, loads, opened, passage, ready, retrieved},
    },
    domain::{Chunker, IngestReport, JobId, TurnId, TurnState},
};

fn info(name: &str, rows: u64) -> CollectionInfo {
    CollectionInfo { documents: rows, passages: rows, ..CollectionInfo::empty(name) }
}

fn entries(infos: &[(&str, u64)]) -> Vec<Entry> {
    infos.iter().map(|(name, rows)| Entry::Readable(info(name, *rows).into())).collect()
}

/// Answers the list that was asked for last.
fn list(state: &mut State, infos: &[(&str, u64)]) -> Vec<Effect> {
    let request = state.collections.reading.unwrap();
    state.update(Event::CollectionsListed { request, result: Ok(entries(infos)) })
}

fn on(state: &mut State, action: CollectionAction) -> Vec<Effect> {
    act(state, Action::Collection(action))
}

/// The view with a list; the handbook is in use and selected.
fn listed(infos: &[(&str, u64)]) -> State {
    let mut state = ready();
    assert!(matches!(act(&mut state, Action::SwitchView(View::Collections))[..], [Effect::ListCollections { .. }]));
    assert_eq!(list(&mut state, infos), []);
    state
}

fn select(state: &mut State, name: &str) {
    let at = state.collections.entries.iter().flatten().position(|entry| entry.name() == name).unwrap();
    on(state, CollectionAction::Select(at));
}

fn type_in(state: &mut State, text: &str) {
    act(state, Action::Insert(text.to_owned()));
}

fn reads(request: u64, page: u64) -> Effect {
    let (collection, limit) = ("big".to_owned(), Browsing::PAGE as usize);
    Effect::BrowseRows { request: RequestId(request), collection, offset: page * Browsing::PAGE, limit }
}

fn rows(state: &mut State, request: u64, count: u64) -> Vec<Effect> {
    let chunks = (0..count).map(|at| passage(at as u32).chunk).collect();
    state.update(Event::Rows { request: RequestId(request), result: Ok(chunks) })
}

fn browsing(state: &State) -> &Browsing {
    match &state.collections.step {
        Step::Browse(browsing) => browsing,
        step => panic!("{step:?}"),
    }
}

fn creating(state: &State) -> &Creating {
    match &state.collections.step {
        Step::Create(creating) => creating,
        step => panic!("{step:?}"),
    }
}

fn dropping(state: &State) -> &Dropping {
    match &state.collections.step {
        Step::Drop(dropping) => dropping,
        step => panic!("{step:?}"),
    }
}

fn told(state: &State, text: &str) -> bool {
    state.told().is_some_and(|notice| notice.contains(text))
}

#[test]
fn only_the_last_list_counts_and_a_failure_can_be_tried_again() {
    let mut state = ready();
    act(&mut state, Action::SwitchView(View::Collections));
    let first = state.collections.reading.unwrap();
    let again = on(&mut state, CollectionAction::Reload);
    assert_eq!(again, [Effect::ListCollections { request: RequestId(2) }]);
    state.update(Event::CollectionsListed { request: first, result: Ok(entries(&[("late", 1)])) });
    assert!(state.collections.entries.is_none() && state.collections.reading.is_some());
    let failed = Event::CollectionsListed { request: RequestId(2), result: Err("no answer".to_owned()) };
    state.update(failed);
    assert_eq!(state.collections.error.as_deref(), Some("no answer"));
    on(&mut state, CollectionAction::Reload);
    assert_eq!(state.collections.error, None);
    list(&mut state, &[("handbook", 50), ("notes", 2)]);
    assert_eq!(state.collections.entry().map(Entry::name), Some("handbook"), "the one in use is selected");
    assert_eq!(state.collection().map(|info| info.passages), Some(50), "and its counts are the list's");

    let mut state = State::default();
    act(&mut state, Action::SwitchView(View::Collections));
    state.update(Event::StoreFailed("no server".to_owned()));
    assert_eq!(state.collections.error.as_deref(), Some("no server"));
    let again = on(&mut state, CollectionAction::Reload);
    assert_eq!(again, [Effect::OpenStore, Effect::ListCollections { request: RequestId(2) }]);
    assert_eq!(state.update(opened(41)), []);
    assert!(state.collections.reading.is_some(), "the list is still to come");
}

#[test]
fn a_switch_leaves_the_running_answer_alone_and_takes_what_comes_after() {
    let mut state = ready();
    ask(&mut state, "one");
    assert_eq!(state.update(retrieved(1, 1)), [loads(passage(1).chunk.id)]);
    act(&mut state, Action::SwitchView(View::Collections));
    list(&mut state, &[("handbook", 41), ("notes", 2)]);
    select(&mut state, "notes");
    assert_eq!(on(&mut state, CollectionAction::Use), []);
    assert_eq!((state.view, state.focus), (View::Chat, Focus::Input));
    assert_eq!(state.collection().map(|info| (info.name.as_str(), info.passages)), Some(("notes", 2)));
    assert_eq!(state.turns[0].state, TurnState::Thinking);
    state.update(finished(1));
    assert!(matches!(&ask(&mut state, "two")[..], [Effect::Ask { collection, .. }, _] if collection == "notes"));
    // The same passage of another collection has surroundings of its own.
    let id = passage(1).chunk.id;
    let notes = Effect::LoadNeighbours { collection: "notes".to_owned(), id };
    assert_eq!(state.update(retrieved(2, 1)), [notes]);
    let chunks = vec![passage(1).chunk];
    state.update(Event::Neighbours { collection: "handbook".to_owned(), id, result: Ok(chunks) });
    assert!(state.shown_neighbours().is_empty());
    act(&mut state, Action::OlderTurn);
    assert_eq!(state.shown_neighbours().len(), 1);
}

#[test]
fn a_question_that_waits_goes_to_what_is_switched_to() {
    let mut state = State::default();
    state.update(opened(0));
    ask(&mut state, "early");
    act(&mut state, Action::SwitchView(View::Collections));
    list(&mut state, &[("empty", 0), ("notes", 2)]);
    select(&mut state, "notes");
    let asked = on(&mut state, CollectionAction::Use);
    assert!(matches!(&asked[..], [Effect::Ask { collection, .. }] if collection == "notes"), "{asked:?}");
    // The handbook's ingest is still under way: it ends without a word about the collection in use.
    state.update(ingested(1, Ok(IngestReport::default()), 41));
    assert_eq!(state.collection().map(|info| info.passages), Some(2));
    assert!(told(&state, "handbook: "));

    act(&mut state, Action::SwitchView(View::Collections));
    list(&mut state, &[("empty", 0), ("notes", 2)]);
    select(&mut state, "empty");
    on(&mut state, CollectionAction::Use);
    ask(&mut state, "of nothing");
    assert!(matches!(&state.turns[1].state, TurnState::Failed(why) if why.contains("\"empty\"")));
}

#[test]
fn rows_are_read_a_page_ahead_one_page_at_a_time() {
    let mut state = listed(&[("big", 1_050)]);
    assert_eq!(on(&mut state, CollectionAction::Browse), [reads(2, 0)]);
    assert_eq!(on(&mut state, CollectionAction::SelectRow(1)), [], "it is on its way");
    assert_eq!(rows(&mut state, 2, 100), [reads(3, 1)], "the page ahead");
    assert_eq!(rows(&mut state, 3, 100), []);
    assert!(browsing(&state).row(199).is_some() && browsing(&state).row(200).is_none());
    assert_eq!(on(&mut state, CollectionAction::SelectRow(100)), [reads(4, 2)]);
    // A jump does not wait for the page ahead, and what comes late of that is dropped.
    assert_eq!(on(&mut state, CollectionAction::SelectRow(u64::MAX)), [reads(5, 10)]);
    assert_eq!(browsing(&state).at, 1_049);
    assert_eq!(rows(&mut state, 4, 100), []);
    assert_eq!(rows(&mut state, 5, 50), [reads(6, 9)], "then the page before");
    assert!(browsing(&state).row(1_049).is_some());
    assert!(browsing(&state).row(0).is_none(), "what is far away is let go");
    // The reason why something can't be read stays until it is tried again.
    state.update(Event::Rows { request: RequestId(6), result: Err("gone away".to_owned()) });
    assert_eq!(browsing(&state).error.as_deref(), Some("gone away"));
    assert_eq!(on(&mut state, CollectionAction::SelectRow(0)), []);
    on(&mut state, CollectionAction::SelectRow(1_049));
    on(&mut state, CollectionAction::Reload);
    assert_eq!(list(&mut state, &[("big", 1_000)]), [reads(8, 9)], "it has fewer rows by now");
    assert_eq!((browsing(&state).at, browsing(&state).error.as_deref()), (999, None));
    assert_eq!(rows(&mut state, 8, 30), [reads(9, 8)]);
    assert_eq!((browsing(&state).total, browsing(&state).at), (930, 929), "and fewer still");
    on(&mut state, CollectionAction::Reload);
    list(&mut state, &[("big", 1_050)]);
    on(&mut state, CollectionAction::SelectRow(500));
    assert_eq!(rows(&mut state, 12, 100), [reads(13, 6)]);
    assert_eq!(rows(&mut state, 13, 100), [reads(14, 4)]);
    assert_eq!(on(&mut state, CollectionAction::SelectRow(600)), [], "a page ahead waits for one that is under way");
    assert_eq!(rows(&mut state, 14, 100), [reads(15, 7)]);
    on(&mut state, CollectionAction::Reload);
    assert_eq!(list(&mut state, &[("handbook", 41)]), [], "another program dropped it");
    assert!(matches!(state.collections.step, Step::Choose));
}

#[test]
fn a_drop_needs_the_name_and_nothing_that_writes() {
    let mut state = listed(&[("docs", 3), ("empty", 0), ("handbook", 41), ("notes", 2)]);
    select(&mut state, "notes");
    on(&mut state, CollectionAction::Drop);
    assert_eq!(on(&mut state, CollectionAction::Confirm), []);
    type_in(&mut state, "note");
    assert_eq!(on(&mut state, CollectionAction::Confirm), []);
    assert!(dropping(&state).error.as_deref().is_some_and(|why| why.contains("not its name")));
    type_in(&mut state, "s");
    let drops = |name: &str| vec![Effect::DropCollection { name: name.to_owned() }];
    assert_eq!(on(&mut state, CollectionAction::Confirm), drops("notes"));
    assert_eq!(on(&mut state, CollectionAction::Confirm), [], "once is enough");
    let result = Err("someone writes to it".to_owned());
    state.update(Event::CollectionDropped { name: "notes".to_owned(), result });
    assert_eq!(dropping(&state).error.as_deref(), Some("someone writes to it"));
    assert_eq!(on(&mut state, CollectionAction::Confirm), drops("notes"));
    // Left before it is done: it is told all the same.
    act(&mut state, Action::Escape);
    let dropped = |name: &str| Event::CollectionDropped { name: name.to_owned(), result: Ok(()) };
    assert!(matches!(state.update(dropped("notes"))[..], [Effect::ListCollections { .. }]));
    assert!(told(&state, "dropped notes"));
    assert_eq!(state.collections.entry().map(Entry::name), Some("handbook"), "the one that stands there now");

    // The one in use: documents of the person's own come first, then the handbook, else nothing.
    for (before, name, in_use, passages) in [
        (&[("docs", 3), ("empty", 0), ("handbook", 41)][..], "handbook", "docs", Some(3)),
        (&[("docs", 3), ("empty", 0), ("handbook", 41)], "docs", "handbook", Some(41)),
        (&[("docs", 0), ("empty", 0), ("handbook", 41)], "handbook", "handbook", None),
    ] {
        on(&mut state, CollectionAction::Reload);
        list(&mut state, before);
        select(&mut state, name);
        on(&mut state, CollectionAction::Drop);
        type_in(&mut state, name);
        assert_eq!(on(&mut state, CollectionAction::Confirm), drops(name));
        state.update(dropped(name));
        assert_eq!((state.collection_name(), state.collection().map(|info| info.passages)), (Some(in_use), passages));
    }
    assert!(told(&state, "‹reindex›"));

    // Somebody's server is never filled with the handbook, so nobody is sent to look for it there.
    if let Store::Open { name, keeps_handbook, .. } = &mut state.store {
        (*name, *keeps_handbook) = ("theirs".to_owned(), false);
    }
    list(&mut state, &[("empty", 0), ("handbook", 3)]);
    state.update(dropped("theirs"));
    assert_eq!((state.collection_name(), state.collection()), (Some("docs"), None));

    select(&mut state, "empty");
    on(&mut state, CollectionAction::Drop);
    assert_eq!(state.collections.line().map(Editor::text), None, "what is empty needs no name");
    assert_eq!(on(&mut state, CollectionAction::Confirm), drops("empty"));
    act(&mut state, Action::Escape);

    act(&mut state, Action::Reindex);
    on(&mut state, CollectionAction::Drop);
    assert!(matches!(state.collections.step, Step::Choose) && told(&state, "being indexed"));
}

#[test]
fn a_new_collection_is_checked_named_and_indexed() {
    let mut state = listed(&[("handbook", 41), ("my_docs", 2)]);
    on(&mut state, CollectionAction::Create);
    assert_eq!(on(&mut state, CollectionAction::Confirm), [], "no path yet");
    type_in(&mut state, "/home/m\n");
    let completes = on(&mut state, CollectionAction::CompletePath);
    assert_eq!(completes, [Effect::CompletePath { request: RequestId(2), path: "/home/m".to_owned() }]);
    type_in(&mut state, "e/");
    let completed = |request, path: &str| {
        let candidates = vec!["a".to_owned(), "b".to_owned()];
        Event::PathCompleted { request: RequestId(request), path: path.to_owned(), candidates }
    };
    state.update(completed(2, "/home/mo"));
    assert_eq!(creating(&state).path.text(), "/home/me/", "that was of another path");
    on(&mut state, CollectionAction::CompletePath);
    state.update(completed(3, "/home/me/my"));
    assert_eq!((creating(&state).path.text(), creating(&state).candidates.is_some()), ("/home/me/my", true));
    type_in(&mut state, " docs");
    assert_eq!(creating(&state).candidates, None);

    let checks = on(&mut state, CollectionAction::Confirm);
    assert_eq!(checks, [Effect::CheckSource { request: RequestId(4), location: "/home/me/my docs".to_owned() }]);
    state.update(Event::SourceChecked { request: RequestId(4), result: Err("not there".to_owned()) });
    assert_eq!(creating(&state).error.as_deref(), Some("not there"));
    on(&mut state, CollectionAction::Confirm);
    let location = "/home/me/my docs".to_owned();
    let source = SourceSpec { location, globs: Vec::new(), chunker: Chunker::Markdown };
    state.update(Event::SourceChecked { request: RequestId(5), result: Ok(source.clone()) });
    assert_eq!(creating(&state).name.text(), "my_docs_2");
    act(&mut state, Action::Interrupt);
    assert_eq!(on(&mut state, CollectionAction::Confirm), []);
    assert!(creating(&state).error.as_deref().is_some_and(|why| why.contains("name")));
    type_in(&mut state, "täg/1");
    let expected =
        Effect::StartIngest { job: JobId(1), collection: "t_g_1".to_owned(), sources: vec![source], force: false };
    assert_eq!(on(&mut state, CollectionAction::Confirm), [expected]);
    assert_eq!(state.collections.entry().map(Entry::name), Some("t_g_1"), "it shows from the start");
    assert_eq!(state.collection_name(), Some("handbook"), "nobody switched");
    // A second one can be prepared, but not begun.
    on(&mut state, CollectionAction::Create);
    type_in(&mut state, "/x");
    on(&mut state, CollectionAction::Confirm);
    let source = SourceSpec { location: "/x".to_owned(), globs: Vec::new(), chunker: Chunker::Markdown };
    state.update(Event::SourceChecked { request: RequestId(6), result: Ok(source) });
    assert_eq!(on(&mut state, CollectionAction::Confirm), []);
    assert!(creating(&state).error.as_deref().is_some_and(|why| why.contains("under way")));
    let left = Some(info("t_g_1", 9).into());
    let ended = Event::IngestFinished { job: JobId(1), result: Ok(IngestReport::default()), collection: left };
    assert!(matches!(state.update(ended)[..], [Effect::ListCollections { .. }]));
    assert!(told(&state, "t_g_1: "));
    assert_eq!(state.collection().map(|info| info.passages), Some(41), "the one in use is as it was");
}

#[test]
fn the_selected_collection_is_the_one_that_is_indexed() {
    let mut state = listed(&[("handbook", 41), ("notes", 2)]);
    select(&mut state, "notes");
    let indexes = |job, force| {
        let (collection, sources) = ("notes".to_owned(), Vec::new());
        vec![Effect::StartIngest { job: JobId(job), collection, sources, force }]
    };
    assert_eq!(act(&mut state, Action::Reindex), indexes(1, false));
    state.update(Event::IngestFinished { job: JobId(1), result: Err("no".to_owned()), collection: None });
    assert_eq!(on(&mut state, CollectionAction::ReindexAll), indexes(2, true));
}

#[test]
fn a_name_comes_from_the_last_part_of_a_path() {
    for (location, name) in [
        ("/home/me/Notes", "Notes"),
        ("/home/me/my notes (old)/", "my_notes_old"),
        (r"C:\Users\me\notes", "notes"),
        ("/srv/2024-reports.tar.gz", "docs_2024_reports"),
        ("https://example.org/a/guide.zip?key=secret/word", "guide"),
        ("https://example.org/", "example_org"),
        ("builtin:handbook", "handbook_2"),
        ("/", "docs"),
        ("/文書", "docs"),
    ] {
        assert_eq!(name_for(location, &["handbook".to_owned()]), name);
    }
    assert!(name_for(&"x".repeat(200), &[]).len() <= MAX_NAME);
}

#[test]
fn escape_leads_back_to_the_chat_from_everywhere() {
    let source = SourceSpec { location: "/x".to_owned(), globs: Vec::new(), chunker: Chunker::Markdown };
    let text = |state: &mut State| {
        on(state, CollectionAction::Browse);
        on(state, CollectionAction::SwitchPane);
        act(state, Action::Scroll(Scroll::Row(3)));
    };
    let name = |state: &mut State| {
        on(state, CollectionAction::Create);
        type_in(state, "/x");
        on(state, CollectionAction::Confirm);
        let request = creating(state).reading.unwrap();
        state.update(Event::SourceChecked { request, result: Ok(source.clone()) });
    };
    let reading = |state: &mut State| drop(on(state, CollectionAction::Reload));
    let drop_it = |state: &mut State| drop(on(state, CollectionAction::Drop));
    let help = |state: &mut State| {
        drop_it(state);
        act(state, Action::Help);
    };
    type Case<'a> = (&'a dyn Fn(&mut State), &'a [Escape]);
    let cases: [Case<'_>; 5] = [
        (&reading, &[Escape::LeaveCollections]),
        (&text, &[Escape::BackToRows, Escape::BackToList, Escape::LeaveCollections]),
        (&name, &[Escape::BackToPath, Escape::CancelStep, Escape::LeaveCollections]),
        (&drop_it, &[Escape::CancelStep, Escape::LeaveCollections]),
        (&help, &[Escape::CloseHelp, Escape::CancelStep, Escape::LeaveCollections]),
    ];
    for (into, expected) in cases {
        let mut state = listed(&[("handbook", 41)]);
        into(&mut state);
        let mut steps = Vec::new();
        while state.view == View::Collections {
            steps.push(state.escape());
            assert_eq!(act(&mut state, Action::Escape), []);
        }
        assert_eq!((steps.as_slice(), state.view), (expected, View::Chat));
    }
    let mut state = ready();
    ask(&mut state, "one");
    act(&mut state, Action::SwitchView(View::Collections));
    assert_eq!(act(&mut state, Action::Escape), [], "the answer goes on");
    assert_eq!(act(&mut state, Action::Escape), [Effect::CancelTurn(TurnId(1))]);
}
