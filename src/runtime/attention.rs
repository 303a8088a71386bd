use std::time::Duration;

use tokio::time::Instant;

/// Work that took less is not worth calling anybody back for.
const LONG: Duration = Duration::from_secs(10);

/// Knows when to call the person back: work that took long has ended while they looked at something else. It has no
/// clock of its own.
#[derive(Debug)]
pub struct Attention {
    wanted: bool,
    /// The terminal has the focus, or never tells.
    pub is_here: bool,
    working_since: Option<Instant>,
}

impl Attention {
    pub fn new(wanted: bool) -> Self {
        Self { wanted, is_here: true, working_since: None }
    }

    /// To be asked whenever something has changed.
    pub fn is_due(&mut self, working: bool, now: Instant) -> bool {
        if working {
            self.working_since.get_or_insert(now);
            return false;
        }
        let was_long = self.working_since.take().is_some_and(|since| now - since >= LONG);
        self.wanted && was_long && !self.is_here
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_long_work_while_elsewhere_and_only_when_wanted() {
        let start = Instant::now();
        let rings = |wanted, is_here, seconds| {
            let mut attention = Attention { is_here, ..Attention::new(wanted) };
            let end = start + Duration::from_secs(seconds);
            [attention.is_due(true, start), attention.is_due(false, end), attention.is_due(false, end)]
        };
        assert_eq!(rings(true, false, 10), [false, true, false], "once");
        for case in [(false, false, 99), (true, true, 99), (true, false, 9)] {
            assert_eq!(rings(case.0, case.1, case.2), [false; 3], "{case:?}");
        }
    }
}
