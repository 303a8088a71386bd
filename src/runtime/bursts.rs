//! Pastes of terminals that don't mark them: many keys at once with Enter among them are a paste, not a question.

use std::{collections::VecDeque, io, pin::Pin, time::Duration};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures_util::{
    Stream, StreamExt,
    future::poll_immediate,
    stream::{self, Fuse},
};
use tokio::time::timeout;

/// So many characters that come at once, with a line's end among them, are a paste. Nobody types as fast; whoever types
/// ahead of a slow line finds them in the input, and sends them with one more Enter.
const LEAST: usize = 8;
/// How long the rest of a paste may keep us waiting behind a line's end.
const GAP: Duration = Duration::from_millis(10);

/// Turns bursts of keys that hold several lines into pastes. A line's end that nothing follows stays the Enter that it
/// is. Once the terminal has marked a paste as one, everything is passed on as it comes.
pub fn with_pastes<S>(input: S) -> impl Stream<Item = io::Result<Event>>
where
    S: Stream<Item = io::Result<Event>>,
{
    let keys = Keys { input: Box::pin(input.fuse()), ready: VecDeque::new(), marked: false };
    stream::unfold(keys, async |mut keys| Some((keys.next().await?, keys)))
}

struct Keys<S> {
    input: Pin<Box<Fuse<S>>>,
    /// Events to be passed on before anything else is read.
    ready: VecDeque<io::Result<Event>>,
    /// The terminal marks pastes.
    marked: bool,
}

impl<S: Stream<Item = io::Result<Event>>> Keys<S> {
    async fn next(&mut self) -> Option<io::Result<Event>> {
        if let Some(event) = self.ready.pop_front() {
            return Some(event);
        }
        let first = self.input.next().await?;
        self.marked |= matches!(first, Ok(Event::Paste(_)));
        if !self.take(&mut String::new(), &first) {
            return Some(first);
        }
        let mut text = String::new();
        let mut next = Some(first);
        while let Some(event) = next.take() {
            let goes_on = self.take(&mut text, &event);
            self.ready.push_back(event);
            if goes_on {
                next = self.follows(&text).await;
            }
        }
        // A line's end in the middle: what was typed so far was a paste.
        let mut before_last = text.chars();
        before_last.next_back();
        if text.chars().count() >= LEAST && before_last.as_str().contains('\n') {
            let behind = self.ready.pop_back().filter(|event| !self.take(&mut String::new(), event));
            self.ready = [Ok(Event::Paste(text))].into_iter().chain(behind).collect();
        }
        self.ready.pop_front()
    }

    /// Adds what an event types. False for what types nothing, and for everything where pastes are marked.
    fn take(&self, text: &mut String, event: &io::Result<Event>) -> bool {
        match event {
            Ok(Event::Key(key)) if !self.marked => match typed(*key) {
                Some(typed) => {
                    text.extend(typed);
                    true
                }
                None => false,
            },
            Ok(_) | Err(_) => false,
        }
    }

    /// What comes at once behind a text; behind a line of a burst, what comes soon.
    async fn follows(&mut self, text: &str) -> Option<io::Result<Event>> {
        let next = self.input.next();
        if text.chars().count() >= LEAST && text.ends_with('\n') {
            timeout(GAP, next).await.ok().flatten()
        } else {
            poll_immediate(next).await.flatten()
        }
    }
}

/// The character that a key types; of its release, which some systems tell too, none. `None` for other keys.
fn typed(key: KeyEvent) -> Option<Option<char>> {
    let plain = (key.modifiers - KeyModifiers::SHIFT).is_empty();
    let typed = match key.code {
        KeyCode::Char(c) if plain => c,
        KeyCode::Enter if plain => '\n',
        KeyCode::Tab if plain => '\t',
        _ => return None,
    };
    Some((key.kind != KeyEventKind::Release).then_some(typed))
}

#[cfg(test)]
mod tests {
    use tokio::{
        sync::mpsc,
        time::{Instant, sleep},
    };

    use super::*;

    fn key(c: char) -> Event {
        let code = if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) };
        Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn keys(text: &str) -> Vec<Event> {
        text.chars().map(key).collect()
    }

    /// Sends the batches, each so many milliseconds after the one before; returns what comes out.
    async fn through(batches: &[(u64, Vec<Event>)]) -> Vec<Event> {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let batches = batches.to_vec();
        tokio::spawn(async move {
            for (after, events) in batches {
                sleep(Duration::from_millis(after)).await;
                for event in events {
                    sender.send(event).unwrap();
                }
            }
        });
        let input = stream::poll_fn(move |cx| receiver.poll_recv(cx).map(|event| event.map(Ok)));
        with_pastes(input).map(Result::unwrap).collect().await
    }

    #[tokio::test(start_paused = true)]
    async fn lines_that_come_at_once_are_a_paste_and_what_is_typed_stays_so() {
        let paste = |text: &str| Event::Paste(text.to_owned());
        assert_eq!(through(&[(1, keys("a line\nand more\n"))]).await, [paste("a line\nand more\n")]);
        // One line with its Enter is what a script sends, or somebody who types ahead.
        assert_eq!(through(&[(1, keys("a question\n"))]).await, keys("a question\n"));
        assert_eq!(through(&[(1, keys("bG\nx"))]).await, keys("bG\nx"), "too few to be a paste");
        // Letters of several bytes are letters.
        assert_eq!(through(&[(1, keys("вопрос и ещё"))]).await, keys("вопрос и ещё"));
        assert_eq!(through(&[(1, keys("да\nнет"))]).await, keys("да\nнет"), "six of them and a line's end are too few");
        assert_eq!(through(&[(1, keys("строка\nещё漢"))]).await, [paste("строка\nещё漢")]);
        // A paste that comes in pieces, and a key right behind it.
        let escape = Event::Key(KeyCode::Esc.into());
        let pieces = [(1, keys("a line\nmore\n")), (5, keys("and more")), (0, vec![escape.clone()])];
        assert_eq!(through(&pieces).await, [paste("a line\nmore\nand more"), escape]);
        // Typed by a person: never at once.
        let typed: Vec<_> = keys("what is it\nand that").into_iter().map(|key| (30, vec![key])).collect();
        assert_eq!(through(&typed).await, keys("what is it\nand that"));
        // The terminal marks its pastes.
        let marked = [(1, vec![paste("x")]), (1, keys("a line\nand more"))];
        assert_eq!(through(&marked).await[1..], keys("a line\nand more"));
        let start = Instant::now();
        through(&[(0, keys("what is it"))]).await;
        assert_eq!(start.elapsed(), Duration::ZERO, "typing is not kept waiting");
    }
}
