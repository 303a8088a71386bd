use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    app::{
        Action, Escape, Event,
        update::tests::{ingested, opened, ready},
    },
    domain::{IngestRun, Skip, Stage},
};

fn act(state: &mut State, action: IngestAction) -> Vec<Effect> {
    state.update(Event::Action(Action::Ingest(action)))
}

fn escape(state: &mut State) -> Vec<Effect> {
    state.update(Event::Action(Action::Escape))
}

fn stop(state: &mut State) -> Vec<Effect> {
    act(state, IngestAction::Stop)
}

fn indexing() -> State {
    let mut state = ready();
    state.update(Event::Action(Action::SwitchView(View::Ingest)));
    state.update(Event::Action(Action::Reindex));
    state
}

#[test]
fn pausing_is_undone_by_itself_and_by_the_end() {
    let mut state = ready();
    assert_eq!(act(&mut state, IngestAction::Pause), [], "nothing runs");
    assert!(state.notice.is_some());
    let mut state = indexing();
    let pauses = |paused| [Effect::PauseIngest { job: JobId(1), paused }];
    assert_eq!(act(&mut state, IngestAction::Pause), pauses(true));
    assert_eq!(act(&mut state, IngestAction::Pause), pauses(false));
    assert_eq!(act(&mut state, IngestAction::Pause), pauses(true));
    // Stopping goes before a pause, which has nothing more to say then.
    assert_eq!((stop(&mut state), stop(&mut state)), (vec![], vec![Effect::CancelIngest(JobId(1))]));
    assert_eq!(act(&mut state, IngestAction::Pause), []);
    state.update(ingested(1, Ok(IngestReport { interrupted: true, ..IngestReport::default() }), 41));
    state.update(Event::Action(Action::Reindex));
    assert!(!state.ingest.as_ref().unwrap().paused, "the next one runs");
}

#[test]
fn a_download_is_stopped_when_it_is_asked_for_twice_and_got_again() {
    let mut state = State::default();
    state.update(opened(41));
    state.update(Event::Action(Action::SwitchView(View::Ingest)));
    let downloading = |done| Event::ModelProgress {
        snapshot: ProgressSnapshot {
            stage: Stage::Downloading,
            bytes_done: done,
            bytes_total: 100,
            ..ProgressSnapshot::default()
        },
        elapsed: Duration::from_secs(done),
    };
    state.update(downloading(1));
    assert_eq!(stop(&mut state), []);
    state.update(downloading(2));
    assert_eq!(state.armed, Some(Armed::StopDownload), "a sample in between is no other key");
    assert_eq!(stop(&mut state), [Effect::CancelDownload]);
    assert!(matches!(&state.model, Model::Failed(why) if why.contains("stopped")));
    state.update(downloading(3));
    assert!(matches!(state.model, Model::Failed(_)), "a late sample brings nothing back");
    let again = state.update(Event::Action(Action::Reindex));
    assert!(matches!(again[..], [Effect::RetryModel, Effect::StartIngest { .. }]), "{again:?}");
    state.update(downloading(4));
    assert!(state.is_downloading());
    // Once it is loaded, the same key means something else.
    stop(&mut state);
    state.update(Event::ModelReady { name: "m".to_owned(), dim: 384 });
    assert_eq!((state.armed, stop(&mut state), state.armed), (None, vec![], Some(Armed::StopIngest)));
    // Escape leaves, however often it is pressed, and the work goes on.
    assert_eq!((escape(&mut state), escape(&mut state)), (vec![], vec![]));
    assert_eq!((state.view, state.armed), (View::Chat, None));
    assert!(state.ingest.as_ref().is_some_and(|job| !job.stopping));
}

#[test]
fn entries_open_and_close_where_there_are_any() {
    let mut state = indexing();
    act(&mut state, IngestAction::NextPane);
    act(&mut state, IngestAction::Open);
    assert!(!state.ingest_view.open, "nothing was skipped yet");
    let skipped = ["a", "b", "c"].map(|name| Skip {
        document: name.to_owned(),
        reason: "empty".to_owned(),
        location: format!("/kb/{name}"),
    });
    let snapshot = ProgressSnapshot { skipped: Arc::new(skipped.to_vec()), ..ProgressSnapshot::default() };
    state.update(Event::IngestProgress { job: JobId(1), snapshot, elapsed: Duration::ZERO });
    act(&mut state, IngestAction::Select(9));
    assert_eq!(state.ingest_list(IngestPane::Skips), (3, 2));
    act(&mut state, IngestAction::Open);
    assert_eq!((state.ingest_view.open, state.escape()), (true, Escape::CloseEntry));
    escape(&mut state);
    assert_eq!((state.ingest_view.open, state.escape()), (false, Escape::LeaveIngest));
    act(&mut state, IngestAction::NextPane);
    assert_eq!((state.ingest_view.pane, state.ingest_list(IngestPane::Runs)), (IngestPane::Runs, (0, 0)));
    let run = IngestRun::new("2026-01-31T17:05:00+01:00".to_owned(), "docs".to_owned(), &Err("no".to_owned()), 1.0);
    state.update(Event::PastRuns(vec![run.clone(), run]));
    assert_eq!(state.ingest_list(IngestPane::Runs), (2, 0));
    act(&mut state, IngestAction::NextPane);
    assert_eq!(state.ingest_view.pane, IngestPane::Overview, "round and round");
}

#[test]
fn a_question_in_the_middle_is_told_what_it_can_not_know() {
    let mut state = indexing();
    let mut notices = |done| {
        let snapshot = ProgressSnapshot {
            stage: Stage::Indexing,
            documents_total: 8,
            documents_done: done,
            ..ProgressSnapshot::default()
        };
        state.update(Event::IngestProgress { job: JobId(1), snapshot, elapsed: Duration::ZERO });
        state.update(Event::Action(Action::Insert("why?".to_owned())));
        state.update(Event::Action(Action::Submit));
        state.turns.last().unwrap().notices.len()
    };
    assert_eq!((notices(3), notices(8)), (1, 0));
}

#[test]
fn only_what_goes_on_is_told_to() {
    for (anew, told) in [(false, "the next run goes on from there"), (true, "not all of it is new")] {
        let mut state = ready();
        state.start_ingest("handbook".to_owned(), Vec::new(), anew);
        state.update(ingested(1, Ok(IngestReport { interrupted: true, ..IngestReport::default() }), 41));
        let notice = state.notice.unwrap();
        assert!(notice.contains(told), "{notice}");
    }
}

#[test]
fn what_could_not_be_finished_is_gone_on_with_where_it_is_told_of() {
    let interrupted = IngestReport { interrupted: true, ..IngestReport::default() };
    for (result, expected) in
        [(Ok(interrupted), "other"), (Err("no".to_owned()), "other"), (Ok(IngestReport::default()), "handbook")]
    {
        let mut state = ready();
        state.start_ingest("other".to_owned(), Vec::new(), false);
        state.update(ingested(1, result, 41));
        state.update(Event::Action(Action::SwitchView(View::Ingest)));
        let again = state.update(Event::Action(Action::Reindex));
        let [Effect::StartIngest { collection, .. }] = &again[..] else { panic!("{again:?}") };
        assert_eq!(collection, expected);
    }
}
