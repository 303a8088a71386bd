use std::time::Duration;

use tokio::{runtime::Handle, sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

/// Holds work up and lets it go on. Work that takes a `&Pause` passes it between two steps; whoever shows the work sets
/// it. What waits here waits without a wake-up.
#[derive(Debug, Default)]
pub struct Pause {
    state: watch::Sender<Pausing>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Pausing {
    /// Since when, while it holds.
    since: Option<Instant>,
    /// Time of earlier pauses.
    before: Duration,
}

impl Pause {
    /// Begins or ends a pause. What is in hand is finished first.
    pub fn set(&self, paused: bool) {
        self.state.send_if_modified(|state| {
            match (state.since, paused) {
                (None, true) => state.since = Some(Instant::now()),
                (Some(since), false) => *state = Pausing { since: None, before: state.before + since.elapsed() },
                (None, false) | (Some(_), true) => return false,
            }
            true
        });
    }

    pub fn holds(&self) -> bool {
        self.state.borrow().since.is_some()
    }

    /// How long it has held so far, all pauses together.
    pub fn total(&self) -> Duration {
        let state = *self.state.borrow();
        state.before + state.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Returns when nothing holds the work up, or when it is cancelled.
    pub async fn pass(&self, cancel: &CancellationToken) {
        let mut state = self.state.subscribe();
        // An error would say that the pause is gone, which it can't be here.
        let _ = cancel.run_until_cancelled(state.wait_for(|state| state.since.is_none())).await;
    }

    /// The same for work on a thread of its own, as tokio's `spawn_blocking` gives it.
    pub fn pass_blocking(&self, cancel: &CancellationToken) {
        if self.holds() {
            Handle::current().block_on(self.pass(cancel));
        }
    }
}
