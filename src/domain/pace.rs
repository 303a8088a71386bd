use std::{collections::VecDeque, time::Duration};

use super::{ProgressSnapshot, Stage};

/// Seconds over which rates are averaged: long enough for batches to even out, short enough to follow.
const RATE_S: f64 = 5.0;
/// The same for the rate that time left is reckoned from, which should not follow every slow document; half of the time
/// since the work began where that is less, since a beginning is often slow and soon tells nothing any more.
const WORK_RATE_S: (f64, f64) = (5.0, 20.0);
/// How quickly the time left that is shown moves toward what the rate says now. Down it goes in a third of the time since
/// the work began where that is less.
const LEFT_S: (f64, f64) = (1.5, 8.0);
/// What is done first counts as done in so many seconds at most, however long it was waited for.
const WAIT_S: f64 = 1.5;
/// No time left is named before there were so many seconds of work to reckon from, since the first of it was done.
const FIRST_S: f64 = 5.0;
/// How much the time left may grow in a second: this many seconds, and this part of it.
const MAX_GROWTH: (f64, f64) = (0.5, 0.05);
/// Samples nearer to each other than this are taken together.
const LEAST_STEP_S: f64 = 0.05;
/// Seconds between two values of [`Pace::recent`], and how many are kept.
const POINT_S: f64 = 1.0;
const POINTS: usize = 60;

/// What is counted while work goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Bytes of a download.
    Bytes,
    /// Documents looked at.
    Read,
    /// Chunks.
    Cut,
    Embedded,
    Stored,
}

impl Counter {
    const ALL: [Self; 5] = [Self::Bytes, Self::Read, Self::Cut, Self::Embedded, Self::Stored];

    /// What it stands at.
    pub fn of(self, snapshot: &ProgressSnapshot) -> u64 {
        match self {
            Self::Bytes => snapshot.bytes_done,
            Self::Read => snapshot.documents_looked_at(),
            Self::Cut => snapshot.chunks_total,
            Self::Embedded => snapshot.chunks_done,
            Self::Stored => snapshot.chunks_stored,
        }
    }

    /// The one that tells how fast the work of a stage goes.
    pub fn leading(stage: Stage) -> Option<Self> {
        match stage {
            Stage::Downloading => Some(Self::Bytes),
            Stage::Indexing => Some(Self::Embedded),
            Stage::Starting | Stage::Preparing | Stage::Scanning | Stage::Done => None,
        }
    }
}

/// How fast work goes and how long it still takes, from samples of its progress: exponentially smoothed rates, and a
/// time left that counts down steadily and moves toward better knowledge bit by bit. Each stage and each download has a
/// pace of its own. Time is whatever its caller says: leave pauses out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pace {
    leading: Option<Counter>,
    /// When this pace began, when its work first moved on and when it was last sampled, in seconds, and what the counters
    /// stood at then.
    start_s: f64,
    began_s: Option<f64>,
    at_s: f64,
    counts: [u64; Counter::ALL.len()],
    rates: [Rate; Counter::ALL.len()],
    work_rate: Rate,
    left_s: Option<f64>,
    recent: VecDeque<f64>,
    next_point_s: f64,
}

/// An exponentially weighted average of a rate. Dividing by the sum of the weights takes out the zero that it begins
/// with, as in Kingma and Ba, "Adam", 2015, section 3.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Rate {
    sum: f64,
    weight: f64,
}

impl Rate {
    fn add(&mut self, per_s: f64, step_s: f64, over_s: f64) {
        let share = 1.0 - (-step_s / over_s).exp();
        self.sum += share * (per_s - self.sum);
        self.weight += share * (1.0 - self.weight);
    }

    fn per_s(self) -> f64 {
        if self.weight > 0.0 { self.sum / self.weight } else { 0.0 }
    }
}

impl Pace {
    /// Takes a sample. `elapsed` is the time for which the work has been going on, and never less than before.
    pub fn sample(&mut self, snapshot: &ProgressSnapshot, elapsed: Duration) {
        let now_s = elapsed.as_secs_f64();
        let counts = Counter::ALL.map(|counter| counter.of(snapshot));
        let leading = Counter::leading(snapshot.stage);
        if leading != self.leading || counts[0] < self.counts[0] {
            let next_point_s = now_s + POINT_S;
            *self = Self { leading, start_s: now_s, at_s: now_s, counts, next_point_s, ..Self::default() };
            return;
        }
        let step_s = now_s - self.at_s;
        if step_s < LEAST_STEP_S {
            return;
        }
        for ((rate, now), (before, counter)) in
            self.rates.iter_mut().zip(counts).zip(self.counts.into_iter().zip(Counter::ALL))
        {
            let per_s = now.saturating_sub(before) as f64 / step_s;
            rate.add(per_s, step_s, RATE_S);
            if Some(counter) == leading {
                let (step_s, began_s) = match self.began_s {
                    Some(began_s) => (step_s, began_s),
                    None if now == before => continue,
                    None => ((now_s - self.start_s).min(WAIT_S), now_s),
                };
                self.began_s = Some(began_s);
                let per_s = now.saturating_sub(before) as f64 / step_s;
                self.work_rate.add(per_s, step_s, ((now_s - began_s) / 2.0).clamp(WORK_RATE_S.0, WORK_RATE_S.1));
            }
        }
        (self.counts, self.at_s) = (counts, now_s);
        self.left_s = snapshot.work().and_then(|(done, left)| self.reckon(done, left, step_s));
        if now_s >= self.next_point_s {
            self.next_point_s = (self.next_point_s + POINT_S).max(now_s);
            self.recent.push_back(leading.map_or(0.0, |leading| self.per_s(leading)));
            if self.recent.len() > POINTS {
                self.recent.pop_front();
            }
        }
    }

    fn reckon(&self, done: f64, left: f64, step_s: f64) -> Option<f64> {
        let rate = self.work_rate.per_s();
        let by_rate = if rate > 0.0 { left / rate } else { f64::INFINITY };
        let worked_s = self.began_s.map_or(0.0, |began_s| self.at_s - began_s);
        match self.left_s {
            None => (done > 0.0 && worked_s >= FIRST_S && by_rate.is_finite()).then_some(by_rate),
            Some(shown) => {
                let counted_down = (shown - step_s).max(0.0);
                let down_s = (worked_s / 3.0).clamp(LEFT_S.0, LEFT_S.1);
                let share = 1.0 - (-step_s / if by_rate < counted_down { down_s } else { LEFT_S.1 }).exp();
                // An endless time is far, not nowhere: the limit below holds.
                let moved = counted_down + (by_rate.min(1e9) - counted_down) * share;
                Some(moved.min(shown + step_s * (MAX_GROWTH.0 + MAX_GROWTH.1 * shown)))
            }
        }
    }

    /// How many a second, smoothed. What does not move any more falls to 0.
    pub fn per_s(&self, counter: Counter) -> f64 {
        self.rates[counter as usize].per_s()
    }

    /// Time left; `None` while that can't be told.
    pub fn left(&self) -> Option<Duration> {
        self.left_s.map(Duration::from_secs_f64)
    }

    /// The leading counter's rate, one value for each second of the last minute, oldest first.
    pub fn recent(&self) -> impl ExactSizeIterator<Item = f64> {
        self.recent.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Indexing of documents of 10 bytes, each with one chunk.
    fn indexing(documents: u64, read: u64, embedded: u64) -> ProgressSnapshot {
        ProgressSnapshot {
            stage: Stage::Indexing,
            documents_total: documents,
            documents_read: read,
            size_total: documents * 10,
            size_read: read * 10,
            chunks_total: read,
            chunks_done: embedded,
            ..ProgressSnapshot::default()
        }
    }

    /// Samples every 150 ms of what `at` says for a second; returns each time left with its second.
    fn followed(
        pace: &mut Pace,
        seconds: std::ops::Range<f64>,
        at: impl Fn(f64) -> ProgressSnapshot,
    ) -> Vec<(f64, f64)> {
        let mut left = Vec::new();
        let mut second = seconds.start;
        while second < seconds.end {
            pace.sample(&at(second), Duration::from_secs_f64(second));
            left.extend(pace.left().map(|left| (second, left.as_secs_f64())));
            second += 0.15;
        }
        left
    }

    #[test]
    fn work_in_batches_counts_down_steadily_to_its_end() {
        let mut pace = Pace::default();
        // 25 chunks a second, counted in batches of 16; 1,000 in all.
        let left = followed(&mut pace, 0.0..38.0, |second| {
            let embedded = (second * 25.0) as u64 / 16 * 16;
            indexing(1_000, (embedded + 64).min(1_000), embedded)
        });
        assert!(left[0].0 >= FIRST_S && left.len() > 200);
        for pair in left.windows(2) {
            assert!(pair[1].1 - pair[0].1 < 0.2, "grows from {:?} to {:?}", pair[0], pair[1]);
        }
        for (second, left) in left {
            let truly = 40.0 - second;
            assert!((left - truly).abs() < 1.0 + truly * 0.12, "{left} at {second} where {truly} are left");
        }
        assert!((pace.per_s(Counter::Embedded) - 25.0).abs() < 4.0, "{}", pace.per_s(Counter::Embedded));
        assert_eq!(pace.recent().len(), 37, "a value for each second");
    }

    #[test]
    fn a_slow_beginning_is_soon_forgotten() {
        let mut pace = Pace::default();
        // Nothing for two seconds, then two a second for as long, then 30; 2,000 in all.
        let embedded = |second: f64| (second - 2.0).clamp(0.0, 2.0) * 2.0 + (second - 4.0).max(0.0) * 30.0;
        let left = followed(&mut pace, 0.0..60.0, |second| indexing(2_000, 2_000, embedded(second) as u64));
        assert!(left[0].0 >= 2.0 + FIRST_S, "{:?}", left[0]);
        for (second, left) in left.into_iter().filter(|(second, _)| *second > 10.0) {
            let truly = (2_000.0 - embedded(second)) / 30.0;
            assert!(left < 1.0 + truly * 1.4 && left > truly * 0.9, "{left} at {second} where {truly} are left");
        }
    }

    #[test]
    fn neither_a_stall_nor_a_find_makes_it_jump() {
        let mut pace = Pace::default();
        followed(&mut pace, 0.0..10.0, |second| indexing(500, 500, (second * 10.0) as u64));
        let before = pace.left().unwrap().as_secs_f64();
        assert!((before - 40.0).abs() < 2.0, "{before}");
        // Nothing moves for a minute, then five times as much is found.
        for (seconds, documents) in [(10.0..70.0, 500), (70.0..130.0, 2_500)] {
            let left = followed(&mut pace, seconds, |_| indexing(documents, documents, 100));
            for pair in left.windows(2) {
                let limit = pair[0].1 + 0.16 * (MAX_GROWTH.0 + MAX_GROWTH.1 * pair[0].1);
                assert!(pair[1].1 <= limit, "from {:?} to {:?}", pair[0], pair[1]);
            }
        }
        assert!(pace.left().unwrap().as_secs_f64() > before, "it does say that it will take longer");
        assert!(pace.per_s(Counter::Embedded) < 0.01);
    }

    #[test]
    fn every_stage_and_every_download_has_a_pace_of_its_own() {
        let mut pace = Pace::default();
        let bytes = |done| ProgressSnapshot {
            stage: Stage::Downloading,
            bytes_done: done,
            bytes_total: 10_000,
            ..ProgressSnapshot::default()
        };
        followed(&mut pace, 0.0..6.0, |second| bytes((second * 1_000.0) as u64));
        assert!((pace.left().unwrap().as_secs_f64() - 4.0).abs() < 0.5);
        // A smaller, slower file.
        followed(&mut pace, 6.0..12.1, |second| bytes(((second - 6.0) * 100.0) as u64));
        assert!((pace.per_s(Counter::Bytes) - 100.0).abs() < 1.0 && pace.left().unwrap().as_secs() > 85);
        pace.sample(&indexing(100, 10, 0), Duration::from_secs(20));
        assert_eq!((pace.left(), pace.per_s(Counter::Embedded)), (None, 0.0));
    }
}
