use std::time::Duration;

use tokio::time::Instant;

/// Between two frames that no key asked for: 30 a second.
const STREAMING: Duration = Duration::from_millis(33);
/// The same for so long after a key: keys bring frames of their own, and the next one should not meet one that is drawn.
const BESIDE_KEYS: Duration = Duration::from_millis(66);
const AT_THE_KEYS: Duration = Duration::from_millis(500);
/// The same where nothing should move by itself: 4 a second.
const CALM: Duration = Duration::from_millis(250);
/// The same while the person is elsewhere.
const ELSEWHERE: Duration = Duration::from_secs(1);
/// Between two frames that keys asked for: a held key or a paste does not draw every character.
const TYPING: Duration = Duration::from_millis(8);

/// How often what changes by itself is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    #[default]
    Streaming,
    Calm,
}

/// Decides when to draw: only when something asked for it, soon after a key, at most 30 times a second otherwise. It
/// has no clock of its own.
#[derive(Debug, Default)]
pub struct FrameLimiter {
    pace: Pace,
    elsewhere: bool,
    last: Option<Instant>,
    /// The last frame that somebody waited for.
    last_waited: Option<Instant>,
    due: Option<Instant>,
    /// Somebody waits for the frame that is due.
    waited: bool,
}

impl FrameLimiter {
    pub fn new(pace: Pace) -> Self {
        Self { pace, ..Self::default() }
    }

    /// The person looks at something else now, or is back; true when they came back and may find an old frame.
    pub fn set_elsewhere(&mut self, elsewhere: bool) -> bool {
        std::mem::replace(&mut self.elsewhere, elsewhere) && !elsewhere && self.due.is_some()
    }

    /// Something changed by itself, for example a piece of an answer came.
    pub fn ask(&mut self, now: Instant) {
        let interval = match (self.elsewhere, self.pace) {
            (true, _) => ELSEWHERE,
            (false, Pace::Calm) => CALM,
            (false, Pace::Streaming) if self.last_waited.is_some_and(|last| now < last + AT_THE_KEYS) => BESIDE_KEYS,
            (false, Pace::Streaming) => STREAMING,
        };
        self.ask_within(now, interval);
    }

    /// The terminal has another size.
    pub fn ask_resized(&mut self, now: Instant) {
        self.ask_within(now, STREAMING);
    }

    /// A person did something and waits for it to show. Frames that came by themselves don't put it off.
    pub fn ask_now(&mut self, now: Instant) {
        self.waited = true;
        self.ask_after(self.last_waited, now, TYPING);
    }

    fn ask_within(&mut self, now: Instant, interval: Duration) {
        self.ask_after(self.last, now, interval);
    }

    fn ask_after(&mut self, last: Option<Instant>, now: Instant, interval: Duration) {
        let earliest = last.map_or(now, |last| (last + interval).max(now));
        self.due = Some(self.due.map_or(earliest, |due| due.min(earliest)));
    }

    /// When the next frame is to be drawn; `None` while nothing asks for one.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    pub fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    pub fn drawn(&mut self, now: Instant) {
        (self.last, self.due) = (Some(now), None);
        if std::mem::take(&mut self.waited) {
            self.last_waited = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn streams_are_coalesced_and_keys_are_not_kept_waiting() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut frames = FrameLimiter::default();
        assert_eq!(frames.due(), None, "idle costs nothing");
        frames.ask(at(0));
        assert!(frames.is_due(at(0)), "the first frame is drawn at once");
        frames.drawn(at(0));
        for ms in 1..20 {
            frames.ask(at(ms));
        }
        assert_eq!(frames.due(), Some(at(33)));
        frames.ask_now(at(20));
        assert_eq!(frames.due(), Some(at(20)), "a key overtakes the stream");
        frames.drawn(at(20));
        frames.ask_now(at(21));
        assert_eq!(frames.due(), Some(at(28)), "a held key does not draw every character");
        frames.drawn(at(28));
        assert_eq!(frames.due(), None);
        frames.ask(at(40));
        frames.drawn(at(61));
        frames.ask_now(at(62));
        assert_eq!(frames.due(), Some(at(62)), "a frame that came by itself does not put a key off");
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_by_itself_makes_room_for_whoever_types() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut frames = FrameLimiter::default();
        frames.ask_now(at(0));
        frames.drawn(at(0));
        frames.ask(at(5));
        assert_eq!(frames.due(), Some(at(66)));
        frames.ask_now(at(30));
        frames.drawn(at(30));
        frames.ask(at(31));
        assert_eq!(frames.due(), Some(at(96)), "the key's frame showed it");
        frames.drawn(at(96));
        frames.ask(at(540));
        frames.drawn(at(540));
        frames.ask(at(541));
        assert_eq!(frames.due(), Some(at(573)));
    }

    #[tokio::test(start_paused = true)]
    async fn calm_and_elsewhere_are_slower_and_keys_are_not() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut frames = FrameLimiter::new(Pace::Calm);
        frames.drawn(at(0));
        frames.ask(at(1));
        assert_eq!(frames.due(), Some(at(250)));
        frames.ask_now(at(2));
        assert_eq!(frames.due(), Some(at(2)));
        frames.drawn(at(8));
        frames.set_elsewhere(true);
        frames.ask(at(9));
        assert_eq!(frames.due(), Some(at(1008)));
        frames.ask_resized(at(10));
        assert_eq!(frames.due(), Some(at(41)));
    }
}
