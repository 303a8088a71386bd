use std::time::Duration;

use super::*;
use crate::{
    app::{Copied, Edit, IngestAction},
    domain::{
        Candidate, Chunk, ChunkId, CollectionInfo, FinishReason, IngestReport, JobId, Metric, Mode, Passage,
        ProgressSnapshot, Scores,
    },
};

pub(super) fn collection(passages: u64) -> CollectionInfo {
    CollectionInfo { documents: 1, passages, ..CollectionInfo::empty("handbook") }
}

pub(super) fn opened(passages: u64) -> Event {
    let collection = (passages > 0).then(|| collection(passages));
    Event::StoreOpened {
        store: "embedded".to_owned(),
        name: "handbook".to_owned(),
        keeps_handbook: true,
        index: collection.is_none(),
        collection,
    }
}

pub(super) fn ready() -> State {
    let mut state = State::default();
    assert_eq!(state.update(opened(41)), []);
    state.update(Event::ModelReady { name: "m".to_owned(), dim: 384 });
    state
}

pub(super) fn act(state: &mut State, action: Action) -> Vec<Effect> {
    state.update(Event::Action(action))
}

pub(super) fn ask(state: &mut State, question: &str) -> Vec<Effect> {
    act(state, Action::Insert(question.to_owned()));
    act(state, Action::Submit)
}

pub(super) fn asks(turn: u64, question: &str) -> Effect {
    let (collection, question) = ("handbook".to_owned(), question.to_owned());
    Effect::Ask { turn: TurnId(turn), collection, question, settings: Default::default() }
}

/// Indexes the handbook.
fn indexes(job: u64) -> Effect {
    let (collection, sources) = ("handbook".to_owned(), Vec::new());
    Effect::StartIngest { job: JobId(job), collection, sources, force: false }
}

pub(super) fn loads(id: ChunkId) -> Effect {
    Effect::LoadNeighbours { collection: "handbook".to_owned(), id }
}

fn remember(question: &str) -> Effect {
    Effect::Remember(question.to_owned())
}

pub(super) fn passage(rank: u32) -> Passage {
    let chunk = Chunk {
        id: ChunkId::from_digest([rank as u8; 8]),
        document: "a.md".to_owned(),
        ordinal: rank,
        heading: Vec::new(),
        lines: (1, 2),
        bytes: 0..1,
        text: "text".to_owned(),
        tokens: 1,
    };
    Passage { rank, chunk, scores: Scores::none(Metric::Ip) }
}

pub(super) fn retrieved(turn: u64, passages: u32) -> Event {
    let passages: Vec<Passage> = (1..=passages).map(passage).collect();
    let (mode, timings) = (Mode::Hybrid, StageTimings::default());
    let candidates = passages.iter().map(|passage| candidate(passage.rank)).collect();
    let (prompt, notices) = Default::default();
    Event::Retrieved { turn: TurnId(turn), mode, passages, candidates, prompt, timings, notices }
}

fn candidate(rank: u32) -> Candidate {
    let Passage { chunk, scores, .. } = passage(rank);
    Candidate { rank, id: chunk.id, place: chunk.place(), title: chunk.title().to_owned(), scores }
}

fn delta(turn: u64, text: &str) -> Event {
    Event::Delta { turn: TurnId(turn), text: text.to_owned() }
}

pub(super) fn finished(turn: u64) -> Event {
    let timings = StageTimings::default();
    Event::Finished { turn: TurnId(turn), finish: FinishReason::Stop, usage: None, timings }
}

fn progress(job: u64, done: u64) -> Event {
    let snapshot = ProgressSnapshot { documents_done: done, ..ProgressSnapshot::default() };
    Event::IngestProgress { job: JobId(job), snapshot, elapsed: Duration::from_secs(1) }
}

pub(super) fn ingested(job: u64, result: Result<IngestReport, String>, passages: u64) -> Event {
    let collection = result.is_ok().then(|| collection(passages).into());
    Event::IngestFinished { job: JobId(job), result, collection }
}

#[test]
fn a_second_question_stops_the_first_and_nothing_late_gets_in() {
    let mut state = ready();
    assert_eq!(act(&mut state, Action::Submit), [], "nothing to ask");
    assert_eq!(ask(&mut state, " one\n"), [asks(1, "one"), remember("one")]);
    assert!(matches!(state.update(retrieved(1, 2))[..], [Effect::LoadNeighbours { .. }]));
    state.update(delta(1, "first "));
    assert_eq!(ask(&mut state, "two"), [Effect::CancelTurn(TurnId(1)), asks(2, "two"), remember("two")]);
    for late in [delta(1, "late"), retrieved(1, 1), finished(1)] {
        assert_eq!(state.update(late), []);
    }
    state.update(Event::TurnFailed { turn: TurnId(1), message: "late".to_owned() });
    assert_eq!((state.turns[0].answer.as_str(), &state.turns[0].state), ("first ", &TurnState::Stopped));
    assert_eq!(state.turns[0].passages.len(), 2);
    assert_eq!(state.turns[1].state, TurnState::Retrieving);
    state.update(retrieved(2, 1));
    state.update(delta(2, "second"));
    state.update(finished(2));
    state.update(delta(2, "after its end"));
    assert_eq!((state.turns[1].answer.as_str(), state.turns[1].state.is_running()), ("second", false));
}

#[test]
fn a_question_waits_for_the_first_index() {
    let mut state = State::default();
    assert_eq!(ask(&mut state, "early"), [remember("early")]);
    assert_eq!(ask(&mut state, "other"), [remember("other")], "what was never asked needs no cancelling");
    assert_eq!(state.turns[0].state, TurnState::Stopped);
    assert_eq!(state.update(opened(0)), [indexes(1)]);
    assert_eq!(state.turns[1].state, TurnState::Waiting);
    state.update(delta(2, "of nobody"));
    assert_eq!(state.turns[1].answer, "");
    assert_eq!(state.update(ingested(7, Ok(IngestReport::default()), 3)), [], "not the job that runs");
    assert_eq!(state.update(ingested(1, Ok(IngestReport::default()), 3)), [asks(2, "other")]);

    let mut state = State::default();
    ask(&mut state, "early");
    state.update(opened(0));
    assert_eq!(state.update(ingested(1, Err("disk full".to_owned()), 0)), []);
    let TurnState::Failed(why) = &state.turns[0].state else { panic!("{:?}", state.turns[0].state) };
    assert!(why.contains("disk full") && why.contains("hint"), "{why}");

    // Nobody said what is to be indexed: there is nothing to wait for.
    let mut state = State::default();
    ask(&mut state, "early");
    let empty = Event::StoreOpened {
        store: "s".to_owned(),
        name: "docs".to_owned(),
        collection: None,
        keeps_handbook: true,
        index: false,
    };
    assert_eq!(state.update(empty), []);
    let TurnState::Failed(why) = &state.turns[0].state else { panic!("{:?}", state.turns[0].state) };
    assert!(why.contains("askdocs ingest PATH --collection docs"), "{why}");

    let mut state = State::default();
    ask(&mut state, "early");
    state.update(Event::StoreFailed("locked".to_owned()));
    assert_eq!(state.turns[0].state, TurnState::Failed("locked".to_owned()));
}

#[test]
fn escape_goes_one_step_back_at_a_time() {
    let mut state = ready();
    ask(&mut state, "one");
    state.update(finished(1));
    ask(&mut state, "two");
    state.update(retrieved(2, 3));
    act(&mut state, Action::FocusNext);
    act(&mut state, Action::OlderTurn);
    act(&mut state, Action::Help);
    let mut steps = Vec::new();
    let mut effects = Vec::new();
    for _ in 0..5 {
        steps.push(state.escape());
        effects.extend(act(&mut state, Action::Escape));
    }
    let expected = [Escape::CloseHelp, Escape::StopAnswer, Escape::FocusInput, Escape::FollowLatest, Escape::Nothing];
    assert_eq!(steps, expected);
    assert_eq!(effects, [Effect::CancelTurn(TurnId(2))]);
    assert_eq!(state.turns[1].state, TurnState::Stopped);
}

#[test]
fn an_ingest_stops_when_it_is_asked_for_twice_and_only_then() {
    let mut state = ready();
    assert_eq!(act(&mut state, Action::Reindex), [indexes(1)]);
    assert_eq!(act(&mut state, Action::Reindex), []);
    assert!(state.told().is_some_and(|notice| notice.contains("under way")));
    act(&mut state, Action::SwitchView(View::Ingest));
    assert_eq!(act(&mut state, Action::Ingest(IngestAction::Stop)), []);
    act(&mut state, Action::Ingest(IngestAction::Select(1)));
    assert_eq!(act(&mut state, Action::Ingest(IngestAction::Stop)), [], "another key was pressed between the two");
    assert_eq!(act(&mut state, Action::Ingest(IngestAction::Stop)), [Effect::CancelIngest(JobId(1))]);
    state.update(progress(1, 5));
    state.update(progress(9, 99));
    assert_eq!(state.ingest.as_ref().map(|job| (job.snapshot.documents_done, job.stopping)), Some((5, true)));
    let stopped = IngestReport { interrupted: true, ..IngestReport::default() };
    state.update(ingested(1, Ok(stopped), 41));
    assert!(state.ingest.is_none() && state.told().is_some_and(|n| n.contains("stopped")));
    act(&mut state, Action::Escape);
    assert_eq!(state.view, View::Chat);
    assert_eq!(act(&mut state, Action::Reindex), [indexes(2)]);
}

#[test]
fn two_interrupts_in_a_row_quit() {
    let mut state = ready();
    act(&mut state, Action::Insert("half a question".to_owned()));
    assert_eq!(act(&mut state, Action::Interrupt), []);
    assert!(state.input.is_empty() && state.armed == Some(Armed::Quit));
    act(&mut state, Action::Up);
    assert_eq!(state.input.text(), "half a question", "what was cleared by mistake comes back");
    assert_eq!(ask(&mut state, "?").len(), 2);
    assert_eq!(act(&mut state, Action::Interrupt), [Effect::CancelTurn(TurnId(1))]);
    state.update(Event::Notice("in between".to_owned()));
    assert_eq!(act(&mut state, Action::Interrupt), [Effect::Quit]);
}

#[test]
fn what_was_done_is_told_until_the_person_goes_on_and_what_failed_stays() {
    let copied = |clipboard| {
        let what = "the answer".to_owned();
        Event::Copied(Copied { what, characters: 9, clipboard, terminal: false })
    };
    let mut state = ready();
    state.update(copied(Ok(())));
    act(&mut state, Action::Scroll(Scroll::Help(1)));
    assert!(state.told().is_some_and(|told| told.starts_with("copied the answer")));
    act(&mut state, Action::Insert("x".to_owned()));
    assert_eq!(state.told(), None);
    state.update(Event::Done("written".to_owned()));
    state.update(copied(Err("there is none".to_owned())));
    let failed = state.told().unwrap().to_owned();
    assert!(failed.contains("‹export› writes"), "{failed}: what else can be done");
    act(&mut state, Action::Insert("x".to_owned()));
    assert_eq!(state.told(), Some(&*failed));
    state.update(Event::Done("written".to_owned()));
    assert_eq!(state.told(), Some("written"), "the last word");
    act(&mut state, Action::SwitchView(View::Ingest));
    assert_eq!(state.told(), None);
    state.update(Event::Notice("no".to_owned()));
    act(&mut state, Action::Escape);
    assert_eq!(state.told(), None);
}

#[test]
fn up_and_down_walk_the_history_from_the_edge_lines() {
    let mut state = ready();
    state.update(Event::History(vec!["a".to_owned(), "b\nc".to_owned()]));
    act(&mut state, Action::Insert("dra\nft".to_owned()));
    let mut seen = Vec::new();
    for action in [Action::Up, Action::Up, Action::Up, Action::Up, Action::Down, Action::Down, Action::Down] {
        act(&mut state, action);
        seen.push(state.input.text().to_owned());
    }
    assert_eq!(seen, ["dra\nft", "b\nc", "b\nc", "a", "b\nc", "dra\nft", "dra\nft"]);
    act(&mut state, Action::Up);
    act(&mut state, Action::Up);
    act(&mut state, Action::Edit(Edit::DeleteBack));
    act(&mut state, Action::Down);
    assert_eq!(state.input.text(), "b\n", "an edited question is a draft of its own");
}

#[test]
fn passages_follow_the_shown_turn_and_load_their_surroundings_once() {
    let mut state = ready();
    ask(&mut state, "one");
    state.update(retrieved(1, 2));
    state.update(finished(1));
    ask(&mut state, "two");
    let id = |rank: u8| ChunkId::from_digest([rank; 8]);
    assert_eq!(state.update(retrieved(2, 3)), [], "that passage's surroundings were asked for already");
    assert_eq!(act(&mut state, Action::SelectPassage(9)), [loads(id(3))]);
    assert_eq!(state.selected_passage, 2);
    state.update(Event::Neighbours {
        collection: "handbook".to_owned(),
        id: id(3),
        result: Ok(vec![passage(3).chunk]),
    });
    state.update(Event::Neighbours {
        collection: "handbook".to_owned(),
        id: id(8),
        result: Ok(vec![passage(8).chunk]),
    });
    let read: Vec<usize> = [1, 3].map(|rank| state.around("handbook", id(rank)).len()).into();
    assert_eq!((read, state.neighbours.len()), (vec![0, 1], 2));
    act(&mut state, Action::OlderTurn);
    assert_eq!((state.shown_index(), state.selected_passage), (Some(0), 0));
    assert_eq!(state.chat_scroll, ChatScroll::At { turn: 0, row: 0 });
    act(&mut state, Action::OlderTurn);
    assert_eq!(state.shown_index(), Some(0), "there is no older one");
    act(&mut state, Action::NewerTurn);
    assert_eq!((state.selected_turn, state.chat_scroll), (None, ChatScroll::End));
    act(&mut state, Action::Reindex);
    let changed = state.update(ingested(1, Ok(IngestReport::default()), 41));
    assert_eq!(changed, [loads(id(1))], "the index changed, so what was loaded is out of date");
}

#[test]
fn reindexing_gets_a_missing_model_first() {
    let mut state = ready();
    state.update(Event::ModelFailed("no network".to_owned()));
    let expected = [Effect::RetryModel, indexes(1)];
    assert_eq!(act(&mut state, Action::Reindex), expected);
    assert!(matches!(state.model, Model::Loading { .. }));
}
