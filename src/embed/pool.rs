//! Lending sessions to those who want to embed, questions first.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::Role;

/// Where passages keep a single session while they leave room, it begins one in so long a time: on one or two processors
/// it would be in the way on each of them, and a kernel may take a tick of 4 ms to send away even the lowest priority.
const SPARE: Duration = Duration::from_secs(10);

/// Sessions that are lent for one text at a time. While a question is [asked](Pool::asking), whoever embeds passages
/// gets none, so a question waits for at most one text in hand, never for the rest of a batch. Beyond the sessions for
/// passages there may be one more that they never take: a question finds it free whatever is in hand.
pub struct Pool<S> {
    state: Mutex<State<S>>,
    freed: Condvar,
    /// Most sessions that passages take at once.
    limit: usize,
}

struct State<S> {
    idle: Vec<S>,
    /// Sessions that exist or are being made.
    made: usize,
    /// Sessions that passages have now.
    with_passages: usize,
    /// Questions that are being embedded or wait for it.
    questions: usize,
    /// Until then passages take one session less.
    room_until: Option<Instant>,
    /// Until then they take none.
    rest_until: Option<Instant>,
}

impl<S> State<S> {
    fn pass_time(&mut self, now: Instant) {
        self.room_until = self.room_until.filter(|until| *until > now);
        // Nobody is at the keys any more.
        self.rest_until = self.rest_until.filter(|until| *until > now && self.room_until.is_some());
    }
}

/// While it lives a question is being embedded.
pub struct Asking<'a, S>(&'a Pool<S>);

impl<S> Pool<S> {
    /// A pool that holds one session and may grow to `limit`, and to one more for questions.
    pub fn new(first: S, limit: usize) -> Self {
        let state =
            State { idle: vec![first], made: 1, with_passages: 0, questions: 0, room_until: None, rest_until: None };
        Self { state: Mutex::new(state), freed: Condvar::new(), limit: limit.max(1) }
    }

    /// Most sessions that passages take at once.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Makes one more session for passages with `make` unless there are enough already; others go on meanwhile.
    ///
    /// # Errors
    /// Those of `make`; the pool stays as it was.
    pub fn grow<E>(&self, make: impl FnOnce() -> Result<S, E>) -> Result<(), E> {
        self.grow_to(self.limit, make)
    }

    /// Makes one more session than passages take, so that questions find one free.
    ///
    /// # Errors
    /// Those of `make`; the pool stays as it was.
    pub fn reserve<E>(&self, make: impl FnOnce() -> Result<S, E>) -> Result<(), E> {
        self.grow_to(self.limit + 1, make)
    }

    /// Whether a question would have to wait now, and a session more would change that.
    pub fn lacks_reserve(&self) -> bool {
        let state = self.lock();
        state.idle.is_empty() && state.with_passages > 0 && state.made <= self.limit
    }

    fn grow_to<E>(&self, limit: usize, make: impl FnOnce() -> Result<S, E>) -> Result<(), E> {
        {
            let mut state = self.lock();
            if state.made >= limit {
                return Ok(());
            }
            state.made += 1;
        }
        match make() {
            Ok(session) => {
                self.lock().idle.push(session);
                self.freed.notify_all();
                Ok(())
            }
            Err(error) => {
                self.lock().made -= 1;
                Err(error)
            }
        }
    }

    /// Announces a question: from now until the guard is dropped no passage is begun.
    pub fn asking(&self) -> Asking<'_, S> {
        self.lock().questions += 1;
        Asking(self)
    }

    /// Waits for a session and lends it to `use_it`, which must not panic: the session would not come back. A question
    /// has to be [announced](Pool::asking) before.
    pub fn with<T>(&self, role: Role, use_it: impl FnOnce(&mut S) -> T) -> T {
        let mut session = self.take(role);
        let result = use_it(&mut session);
        let mut state = self.lock();
        state.idle.push(session);
        state.with_passages -= usize::from(role == Role::Passage);
        drop(state);
        self.freed.notify_all();
        result
    }

    /// Until then passages leave one session, and so a processor, to whatever else there is to do; one they keep, which
    /// works now and then where it is the only one.
    pub fn make_room_until(&self, until: Instant) {
        self.lock().room_until = Some(until);
    }

    /// A session is lent.
    fn lend(&self, role: Role, state: &mut State<S>, now: Instant) {
        if role == Role::Passage {
            state.with_passages += 1;
            state.rest_until = state.room_until.filter(|_| self.limit <= 2).map(|_| now + SPARE);
        }
    }

    fn may_take(&self, role: Role, state: &State<S>) -> bool {
        let room = usize::from(self.limit > 1 && state.room_until.is_some());
        let rests = state.rest_until.is_some();
        match role {
            Role::Query => true,
            Role::Passage => state.questions == 0 && !rests && state.with_passages < self.limit - room,
        }
    }

    fn take(&self, role: Role) -> S {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            state.pass_time(now);
            if self.may_take(role, &state)
                && let Some(session) = state.idle.pop()
            {
                self.lend(role, &mut state, now);
                return session;
            }
            state = self.wait(state);
        }
    }

    /// Until something has changed, or may have with time.
    fn wait<'a>(&self, state: MutexGuard<'a, State<S>>) -> MutexGuard<'a, State<S>> {
        let Some(until) = [state.rest_until, state.room_until].into_iter().flatten().min() else {
            return self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        let left = until.saturating_duration_since(Instant::now());
        self.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Drop for Asking<'_, S> {
    fn drop(&mut self) {
        self.0.lock().questions -= 1;
        self.0.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Mutex, mpsc},
        thread,
        time::Duration,
    };

    use super::*;

    #[test]
    fn no_passage_is_begun_while_a_question_is_asked() {
        let pool = Pool::new((), 1);
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            pool.with(Role::Passage, |()| {
                scope.spawn(|| {
                    let asking = pool.asking();
                    scope.spawn(|| {
                        pool.with(Role::Passage, |()| order.lock().unwrap().push("next passage"));
                    });
                    // Three texts of one question; a passage could slip in between them.
                    for text in ["question", "its second text", "its third"] {
                        pool.with(Role::Query, |()| order.lock().unwrap().push(text));
                        thread::yield_now();
                    }
                    drop(asking);
                });
                while pool.lock().questions == 0 {
                    thread::yield_now();
                }
                order.lock().unwrap().push("passage in hand");
            });
        });
        let expected = ["passage in hand", "question", "its second text", "its third", "next passage"];
        assert_eq!(order.into_inner().unwrap(), expected);
    }

    #[test]
    fn a_reserved_session_serves_a_question_whatever_is_in_hand_and_no_passage() {
        let pool = Pool::new(0, 2);
        pool.grow(|| Ok::<_, ()>(1)).unwrap();
        let (begun, has_begun) = mpsc::channel();
        let (release, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        thread::scope(|scope| {
            // Gone when an assertion fails, so that nothing waits for it then.
            let release = release;
            let passage = || {
                pool.with(Role::Passage, |_| {
                    begun.send(()).unwrap();
                    gate.lock().unwrap().recv().unwrap();
                });
            };
            scope.spawn(passage);
            scope.spawn(passage);
            has_begun.recv().unwrap();
            has_begun.recv().unwrap();
            assert!(pool.lacks_reserve());
            pool.reserve(|| Ok::<_, ()>(2)).unwrap();
            assert!(!pool.lacks_reserve());
            let asking = pool.asking();
            // Both passages are still in hand.
            assert_eq!(pool.with(Role::Query, |session| *session), 2);
            drop(asking);
            let state = pool.lock();
            assert!(state.idle == [2] && !pool.may_take(Role::Passage, &state), "a third passage has to wait");
            drop(state);
            release.send(()).unwrap();
            release.send(()).unwrap();
        });
    }

    #[test]
    fn passages_leave_one_session_for_a_while_and_never_the_last() {
        let may_take = |pool: &Pool<()>| pool.may_take(Role::Passage, &pool.lock());
        let pool = Pool::new((), 3);
        pool.grow(|| Ok::<_, ()>(())).unwrap();
        pool.grow(|| Ok::<_, ()>(())).unwrap();
        let both = |then: &dyn Fn()| pool.with(Role::Passage, |()| pool.with(Role::Passage, |()| then()));
        pool.make_room_until(Instant::now() + Duration::from_secs(3600));
        both(&|| assert!(!may_take(&pool), "one is left"));
        assert!(may_take(&pool));
        // Once that time is over all are taken, and nobody has to wake who waits for it.
        pool.make_room_until(Instant::now() + Duration::from_millis(20));
        both(&|| pool.with(Role::Passage, |()| ()));
        let single = Pool::new((), 1);
        single.make_room_until(Instant::now() + Duration::from_secs(3600));
        single.with(Role::Passage, |()| ());
    }

    #[test]
    fn a_single_session_begins_few_passages_while_somebody_is_at_the_keys() {
        for (limit, rests) in [(1, true), (2, true), (3, false)] {
            let pool = Pool::new((), limit);
            let now = Instant::now();
            let mut state = pool.lock();
            let passage = |state: &mut State<()>, seconds: f64| {
                let then = now + Duration::from_secs_f64(seconds);
                state.pass_time(then);
                let may = pool.may_take(Role::Passage, state);
                if may {
                    pool.lend(Role::Passage, state, then);
                    state.with_passages -= 1;
                }
                assert!(pool.may_take(Role::Query, state));
                may
            };
            assert!(passage(&mut state, 0.0) && passage(&mut state, 0.1), "nobody is there");
            state.room_until = Some(now + Duration::from_secs(60));
            assert!(passage(&mut state, 1.0), "the first one");
            assert_eq!(passage(&mut state, 1.1), !rests, "{limit}");
            assert_eq!(passage(&mut state, 5.9), !rests, "{limit}");
            assert!(passage(&mut state, 59.9), "it never stands still");
            assert!(passage(&mut state, 60.1), "the keys are left alone again");
        }
    }

    #[test]
    fn grows_to_its_limit_and_no_further_whatever_fails() {
        let pool = Pool::new(0, 2);
        assert_eq!(pool.grow(|| Err("no memory")), Err("no memory"));
        assert_eq!(pool.grow(|| Ok::<_, &str>(1)), Ok(()));
        assert_eq!(pool.grow(|| Err("beyond the limit")), Ok(()));
        assert_eq!(pool.lock().idle, [0, 1]);
        assert_eq!(pool.reserve(|| Ok::<_, &str>(2)), Ok(()));
        assert_eq!(pool.reserve(|| Err("one is enough")), Ok(()));
        assert_eq!(pool.lock().idle, [0, 1, 2]);
    }
}
