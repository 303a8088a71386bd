use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{Progress, ProgressSnapshot},
    rag::Pause,
};

/// So many samples in a row without a change, and paused work is taken to have finished what it had in hand.
const QUIET: u32 = 20;

/// Work whose progress is sampled.
pub struct Watched {
    pub progress: Arc<Progress>,
    pub pause: Arc<Pause>,
    /// Ends the work; and is cancelled when it has ended.
    pub cancel: CancellationToken,
    started: Instant,
    last: ProgressSnapshot,
    /// Samples since something changed.
    quiet: u32,
}

impl Watched {
    pub fn new(parent: &CancellationToken) -> Self {
        Self {
            progress: Arc::default(),
            pause: Arc::default(),
            cancel: parent.child_token(),
            started: Instant::now(),
            last: ProgressSnapshot::default(),
            quiet: 0,
        }
    }

    pub fn set_paused(&mut self, paused: bool) {
        self.pause.set(paused);
        self.quiet = 0;
    }

    /// Whether it is worth sampling: paused work costs nothing once it rests.
    pub fn moves(&self) -> bool {
        let rests = self.pause.holds() && self.quiet >= QUIET;
        !rests && !self.cancel.is_cancelled()
    }

    /// The progress now, and how long the work has been going on, pauses left out.
    pub fn sample(&mut self) -> (ProgressSnapshot, Duration) {
        let now = self.progress.snapshot();
        self.quiet = if now == self.last { self.quiet + 1 } else { 0 };
        self.last.clone_from(&now);
        (now, self.elapsed())
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.pause.total())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_takes_no_time_and_soon_no_samples() {
        let mut watched = Watched::new(&CancellationToken::new());
        let ten_seconds = || tokio::time::advance(Duration::from_secs(10));
        ten_seconds().await;
        watched.set_paused(true);
        ten_seconds().await;
        assert_eq!(watched.sample().1.as_secs(), 10);
        watched.progress.add_chunks_done(16);
        assert_eq!(watched.sample().0.chunks_done, 16, "what was in hand is still seen");
        while watched.moves() {
            watched.sample();
        }
        watched.set_paused(false);
        ten_seconds().await;
        assert!(watched.moves());
        assert_eq!(watched.sample().1.as_secs(), 20);
        watched.cancel.cancel();
        assert!(!watched.moves());
    }
}
