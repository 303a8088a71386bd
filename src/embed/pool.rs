//! Lending sessions to those who want to embed, questions first.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Role;

/// Sessions that are lent for one text at a time. Whoever embeds a question goes before whoever embeds passages, so a
/// question waits for at most one text in hand, never for the rest of a batch.
pub struct Pool<S> {
    state: Mutex<State<S>>,
    freed: Condvar,
    limit: usize,
}

struct State<S> {
    idle: Vec<S>,
    /// Sessions that exist or are being made.
    made: usize,
    questions_waiting: usize,
}

impl<S> Pool<S> {
    /// A pool that holds one session and may grow to `limit`.
    pub fn new(first: S, limit: usize) -> Self {
        let state = State { idle: vec![first], made: 1, questions_waiting: 0 };
        Self { state: Mutex::new(state), freed: Condvar::new(), limit: limit.max(1) }
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Makes one more session with `make` unless there are enough already; others go on meanwhile.
    ///
    /// # Errors
    /// Those of `make`; the pool stays as it was.
    pub fn grow<E>(&self, make: impl FnOnce() -> Result<S, E>) -> Result<(), E> {
        {
            let mut state = self.lock();
            if state.made >= self.limit {
                return Ok(());
            }
            state.made += 1;
        }
        match make() {
            Ok(session) => {
                self.give_back(session);
                Ok(())
            }
            Err(error) => {
                self.lock().made -= 1;
                Err(error)
            }
        }
    }

    /// Waits for a session and lends it to `use_it`, which must not panic: the session would not come back.
    pub fn with<T>(&self, role: Role, use_it: impl FnOnce(&mut S) -> T) -> T {
        let mut session = self.take(role);
        let result = use_it(&mut session);
        self.give_back(session);
        result
    }

    fn take(&self, role: Role) -> S {
        let mut state = self.lock();
        match role {
            Role::Query => {
                state.questions_waiting += 1;
                loop {
                    if let Some(session) = state.idle.pop() {
                        state.questions_waiting -= 1;
                        // Passages that held back for this question may take what else is idle.
                        self.freed.notify_all();
                        return session;
                    }
                    state = self.wait(state);
                }
            }
            Role::Passage => loop {
                if state.questions_waiting == 0
                    && let Some(session) = state.idle.pop()
                {
                    return session;
                }
                state = self.wait(state);
            },
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<S>>) -> MutexGuard<'a, State<S>> {
        self.freed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, session: S) {
        self.lock().idle.push(session);
        self.freed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, thread};

    use super::*;

    #[test]
    fn a_question_that_waits_goes_before_the_next_passage() {
        let pool = Pool::new((), 1);
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            pool.with(Role::Passage, |()| {
                scope.spawn(|| pool.with(Role::Query, |()| order.lock().unwrap().push("question")));
                while pool.lock().questions_waiting == 0 {
                    thread::yield_now();
                }
                order.lock().unwrap().push("passage in hand");
            });
            // Without precedence this thread would have the session again before the other one wakes up.
            pool.with(Role::Passage, |()| order.lock().unwrap().push("next passage"));
        });
        assert_eq!(order.into_inner().unwrap(), ["passage in hand", "question", "next passage"]);
    }

    #[test]
    fn grows_to_its_limit_and_no_further_whatever_fails() {
        let pool = Pool::new(0, 2);
        assert_eq!(pool.grow(|| Err("no memory")), Err("no memory"));
        assert_eq!(pool.grow(|| Ok::<_, &str>(1)), Ok(()));
        assert_eq!(pool.grow(|| Err("beyond the limit")), Ok(()));
        assert_eq!(pool.lock().idle, [0, 1]);
    }
}
