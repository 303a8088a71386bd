use std::sync::Arc;

use insta::assert_snapshot;

use super::*;
use crate::domain::{IngestReport, IngestRun, ProgressSnapshot, Skip, Stage};

/// The ingest view at every size, each with the state that `prepare` makes.
fn at_all_sizes(name: &str, ready: bool, prepare: impl Fn(&mut World)) {
    for (columns, rows) in SIZES {
        let mut world = if ready { World::ready(columns, rows) } else { World::new(columns, rows) };
        if !ready {
            world.send(opened(Some(handbook())));
        }
        world.key(KeyModifiers::CONTROL, KeyCode::Char('t'));
        prepare(&mut world);
        assert_snapshot!(format!("ingest_{name}_{columns}"), world.screen());
    }
}

fn downloading(world: &mut World) {
    for second in 0..13 {
        let snapshot = ProgressSnapshot {
            stage: Stage::Downloading,
            bytes_done: second * 3_100_000,
            bytes_total: 90_868_376,
            current: "all-minilm-l6-v2: model.safetensors".to_owned(),
            ..ProgressSnapshot::default()
        };
        world.send(Event::ModelProgress { snapshot, elapsed: Duration::from_secs(second) });
    }
}

fn skips(count: usize) -> Vec<Skip> {
    let reason = "not UTF-8: the byte at offset 1204, line 31, begins no character; convert it to UTF-8 first";
    let skip = |n| Skip {
        document: format!("broken/file{n}.md"),
        reason: reason.to_owned(),
        location: format!("/home/me/knowledge/broken/file{n}.md"),
    };
    (1..=count).map(skip).collect()
}

/// Half a minute of indexing, slower in its middle.
fn indexing(world: &mut World, skipped: usize) {
    world.key(KeyModifiers::CONTROL, KeyCode::Char('r'));
    let job = started_job(world);
    let mut chunks_done = 0;
    for second in 0..=30 {
        chunks_done += if (10..16).contains(&second) { 8 } else { 26 };
        let snapshot = ProgressSnapshot {
            stage: Stage::Indexing,
            documents_total: 226,
            documents_done: 30 + second * 2,
            documents_unchanged: 20,
            documents_read: 5 + second * 3,
            documents_passed: 20 + skipped as u64,
            size_total: 2_400_000,
            size_settled: 150_000,
            size_read: 50_000 + second * 30_000,
            chunks_total: 100 + second * 29,
            chunks_done,
            chunks_stored: chunks_done.saturating_sub(60),
            current: "site/en/userGuide/manage-collections/manage-partitions.md".to_owned(),
            skipped: Arc::new(skips(skipped)),
            ..ProgressSnapshot::default()
        };
        world.send(Event::IngestProgress { job, snapshot, elapsed: Duration::from_secs(second) });
    }
}

fn runs() -> Vec<IngestRun> {
    let report = |documents, skipped, interrupted| IngestReport {
        held_documents: documents,
        held_passages: documents * 12,
        skipped: skips(skipped),
        seconds: documents as f64 * 0.48,
        passages_per_s: 25.1,
        interrupted,
        ..IngestReport::default()
    };
    let run =
        |ended: &str, collection: &str, result| IngestRun::new(ended.to_owned(), collection.to_owned(), &result, 0.4);
    let why = "collection \"faq\" holds 768-dimensional vectors of bge-base, the configured model gives 384\nhint: askdocs ingest --force";
    vec![
        run("2026-01-31T17:05:12+01:00", "handbook", Ok(report(10, 0, false))),
        run("2026-01-30T09:31:00+01:00", "faq", Err(why.to_owned())),
        run("2026-01-29T23:59:59+01:00", "milvus-docs", Ok(report(226, 3, true))),
        run("2026-01-29T08:00:00+01:00", "milvus-docs", Ok(report(198, 0, false))),
    ]
}

fn end(world: &mut World, result: Result<IngestReport, String>) {
    let job = started_job(world);
    world.send(Event::IngestFinished { job, result, collection: Some(handbook().into()) });
}

#[test]
fn nothing_yet() {
    at_all_sizes("nothing", true, |_| ());
}

#[test]
fn a_download_and_its_end() {
    at_all_sizes("downloading", false, |world| {
        world.key(KeyModifiers::CONTROL, KeyCode::Char('r'));
        downloading(world);
    });
    at_all_sizes("download_cancelled", false, |world| {
        downloading(world);
        world.key(KeyModifiers::NONE, KeyCode::Char('x'));
        world.key(KeyModifiers::NONE, KeyCode::Char('x'));
        assert_eq!(world.effects.last(), Some(&Effect::CancelDownload));
    });
}

#[test]
fn an_ingest_from_its_start_to_its_end() {
    at_all_sizes("running", true, |world| indexing(world, 3));
    at_all_sizes("paused", true, |world| {
        indexing(world, 0);
        world.key(KeyModifiers::NONE, KeyCode::Char('p'));
        let job = started_job(world);
        assert_eq!(world.effects.last(), Some(&Effect::PauseIngest { job, paused: true }));
    });
    at_all_sizes("stopping", true, |world| {
        indexing(world, 30);
        world.key(KeyModifiers::NONE, KeyCode::Tab);
        world.draw();
        world.key(KeyModifiers::NONE, KeyCode::PageDown);
        world.key(KeyModifiers::NONE, KeyCode::Char('x'));
        world.key(KeyModifiers::NONE, KeyCode::Char('x'));
        let job = started_job(world);
        assert_eq!(world.effects.last(), Some(&Effect::CancelIngest(job)));
    });
    at_all_sizes("ended", true, |world| {
        indexing(world, 3);
        let (unchanged, removed, ignored) = (20, 2, 14);
        let report =
            IngestReport { held_documents: 223, held_passages: 2_712, unchanged, removed, ignored, ..runs_report() };
        end(world, Ok(report));
    });
    at_all_sizes("failed", true, |world| {
        indexing(world, 0);
        end(world, Err("the disk is full: /home/me/data\nhint: make room, or set ASKDOCS_HOME".to_owned()));
    });
}

fn runs_report() -> IngestReport {
    IngestReport { skipped: skips(3), seconds: 104.2, passages_per_s: 25.8, ..IngestReport::default() }
}

#[test]
fn past_runs() {
    at_all_sizes("history", true, |world| {
        world.send(Event::PastRuns(runs()));
        world.key(KeyModifiers::SHIFT, KeyCode::BackTab);
        world.draw();
        world.key(KeyModifiers::NONE, KeyCode::Down);
    });
}

#[test]
fn entries_in_full() {
    at_all_sizes("skip", true, |world| {
        indexing(world, 3);
        world.key(KeyModifiers::NONE, KeyCode::Tab);
        world.draw();
        world.key(KeyModifiers::NONE, KeyCode::End);
        world.key(KeyModifiers::NONE, KeyCode::Enter);
    });
    at_all_sizes("run", true, |world| {
        world.send(Event::PastRuns(runs()));
        world.key(KeyModifiers::SHIFT, KeyCode::BackTab);
        world.draw();
        world.key(KeyModifiers::NONE, KeyCode::Down);
        world.key(KeyModifiers::NONE, KeyCode::Enter);
        world.draw();
        // As far as there is something to scroll to.
        world.key(KeyModifiers::NONE, KeyCode::Down);
    });
}

#[test]
fn what_was_skipped_is_known_after_a_restart() {
    let mut report = IngestReport { skipped: skips(60), ..IngestReport::default() };
    let run = |name: &str, report: &IngestReport| {
        IngestRun::new("2026-01-31T17:05:00+01:00".to_owned(), name.to_owned(), &Ok(report.clone()), 1.0)
    };
    let of_handbook = run("handbook", &report);
    report.skipped.clear();
    let mut world = World::ready(80, 24);
    world.send(Event::PastRuns(vec![run("other", &report), of_handbook]));
    world.key(KeyModifiers::CONTROL, KeyCode::Char('t'));
    let screen = world.screen();
    assert!(screen.contains("Skipped · 50 of 60") && screen.contains("broken/file1.md"), "{screen}");
    for key in [KeyCode::Tab, KeyCode::Tab, KeyCode::Down, KeyCode::Enter, KeyCode::End] {
        world.key(KeyModifiers::NONE, key);
        world.draw();
    }
    // A run that ends meanwhile does not change what is looked at.
    let mut runs = world.state.ingest_view.runs.clone();
    runs.insert(0, run("other", &report));
    world.send(Event::PastRuns(runs));
    let screen = world.screen();
    assert!(screen.contains("broken/file50.md: not UTF-8") && screen.contains("and 10 more"), "{screen}");
}

#[test]
fn a_run_that_was_cut_off_is_told_at_the_start_and_how_it_goes_on() {
    let cut_off = IngestRun::cut_off("2026-01-31T17:05:00+01:00".to_owned(), "docs".to_owned());
    let mut world = World::ready(80, 24);
    world.send(Event::PastRuns(vec![cut_off.clone()]));
    let screen = world.screen();
    assert!(screen.contains("the last indexing, of docs, was cut off: Ctrl-R there goes on with it"), "{screen}");
    world.key(KeyModifiers::CONTROL, KeyCode::Char('t'));
    for key in [KeyCode::Tab, KeyCode::Tab] {
        world.key(KeyModifiers::NONE, key);
    }
    let screen = world.screen();
    assert!(screen.contains("2026-01-31 17:05  ✗ cut off · docs"), "{screen}");
    world.key(KeyModifiers::NONE, KeyCode::Enter);
    let screen = world.screen();
    assert!(screen.contains("began") && screen.contains("goes on from"), "{screen}");
    // It is no news later on.
    let mut world = World::ready(80, 24);
    for runs in [vec![IngestRun { collection: "other".to_owned(), ..cut_off.clone() }; 2], vec![cut_off]] {
        world.key(KeyModifiers::NONE, KeyCode::Char('x'));
        world.send(Event::PastRuns(runs));
    }
    assert!(!world.screen().contains("of docs"), "{}", world.screen());
}
