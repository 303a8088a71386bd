//! Server-sent events out of raw bytes (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! `eventsource-stream` reads well-formed lines; given raw network chunks it panics on a byte order mark, stalls on
//! invalid UTF-8, loses a last event without a blank line, and takes quadratic time for a long line. So it is fed whole,
//! clean lines, one at a time.

use std::collections::VecDeque;

use eventsource_stream::{EventStream, EventStreamError};
use futures_util::{Stream, StreamExt, stream};

/// The longest event that is accepted, in bytes.
pub(super) const MAX_EVENT_BYTES: usize = 8 << 20;

/// Why events stopped coming.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SseError<E> {
    /// The bytes stopped coming.
    Source(E),
    /// An event is longer than [`MAX_EVENT_BYTES`].
    TooLong,
}

/// One event: its type (`message` when the server gave none) and its data.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub kind: String,
    pub data: String,
}

/// The events in a stream of bytes, however they are cut into chunks. Comments are left out.
pub(super) fn events<B: AsRef<[u8]>, E>(
    bytes: impl Stream<Item = Result<B, E>> + Unpin,
) -> impl Stream<Item = Result<Event, SseError<E>>> {
    EventStream::new(Box::pin(lines(bytes))).filter_map(|event| async {
        match event {
            Ok(event) => Some(Ok(Event { kind: event.event, data: event.data })),
            Err(EventStreamError::Transport(error)) => Some(Err(error)),
            // Can't be: every line is whole and UTF-8.
            Err(EventStreamError::Utf8(_) | EventStreamError::Parser(_)) => None,
        }
    })
}

/// Whole lines, each with its line feed, and a blank one at the end.
fn lines<B: AsRef<[u8]>, E>(
    bytes: impl Stream<Item = Result<B, E>> + Unpin,
) -> impl Stream<Item = Result<String, SseError<E>>> {
    let state = (bytes, Lines::default(), VecDeque::new(), false);
    stream::unfold(state, |(mut bytes, mut lines, mut ready, mut over)| async move {
        loop {
            if let Some(line) = ready.pop_front() {
                return Some((Ok(line), (bytes, lines, ready, over)));
            }
            if over {
                return None;
            }
            let pushed = match bytes.next().await {
                Some(Ok(chunk)) => lines.push(chunk.as_ref(), &mut ready).map_err(|TooLong| SseError::TooLong),
                Some(Err(error)) => Err(SseError::Source(error)),
                None => {
                    over = true;
                    lines.end(&mut ready).map_err(|TooLong| SseError::TooLong)
                }
            };
            if let Err(error) = pushed {
                ready.clear();
                return Some((Err(error), (bytes, lines, ready, true)));
            }
        }
    })
}

#[derive(Debug)]
struct TooLong;

/// Cuts bytes into lines of valid UTF-8. Looks at every byte once, so a long line in small chunks costs no more.
#[derive(Default)]
struct Lines {
    /// The line so far. Decoded only when it is whole, since a chunk may end inside a character.
    partial: Vec<u8>,
    /// The last line ended in CR, so an LF right behind it belongs to it.
    after_cr: bool,
    /// The first line is out, and a byte order mark with it.
    begun: bool,
    /// Bytes since the last blank line, without comments.
    event_bytes: usize,
    #[cfg(test)]
    work: usize,
}

impl Lines {
    fn push(&mut self, mut chunk: &[u8], out: &mut VecDeque<String>) -> Result<(), TooLong> {
        while let Some(end) = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let second_half = self.after_cr && end == 0 && self.partial.is_empty() && chunk[end] == b'\n';
            self.after_cr = chunk[end] == b'\r';
            if !second_half {
                self.gather(&chunk[..end])?;
                self.take_line(out)?;
            }
            chunk = &chunk[end + 1..];
        }
        self.gather(chunk)
    }

    fn end(&mut self, out: &mut VecDeque<String>) -> Result<(), TooLong> {
        if !self.partial.is_empty() {
            self.take_line(out)?;
        }
        out.push_back("\n".to_owned());
        Ok(())
    }

    fn gather(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        #[cfg(test)]
        {
            self.work += bytes.len();
        }
        if self.partial.len() + bytes.len() > MAX_EVENT_BYTES {
            return Err(TooLong);
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    fn take_line(&mut self, out: &mut VecDeque<String>) -> Result<(), TooLong> {
        match self.partial.first() {
            None => self.event_bytes = 0,
            Some(b':') => {}
            Some(_) => self.event_bytes += self.partial.len(),
        }
        if self.event_bytes > MAX_EVENT_BYTES {
            return Err(TooLong);
        }
        let decoded = String::from_utf8_lossy(&self.partial);
        // More than one mark is a server's mistake, but `eventsource-stream` would panic on the second.
        let text = if self.begun { &*decoded } else { decoded.trim_start_matches('\u{feff}') };
        out.push_back(format!("{text}\n"));
        self.begun = true;
        self.partial.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::FutureExt;

    use super::*;

    fn read<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<Result<Event, SseError<Infallible>>> {
        let bytes = stream::iter(chunks.map(Ok::<_, Infallible>).collect::<Vec<_>>());
        events(bytes).collect().now_or_never().expect("nothing to wait for")
    }

    fn data(text: &[u8]) -> Vec<String> {
        read([text].into_iter()).into_iter().map(|event| event.unwrap().data).collect()
    }

    #[test]
    fn reads_every_way_of_writing_lines() {
        let cases: [(&[u8], &[&str]); 11] = [
            (b"data: a\n\ndata: b\n\n", &["a", "b"]),
            (b"data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]),
            (b"data: a\r\ndata: b\r\n\r\n", &["a\nb"]),
            (b"data: a\r\rdata: b\r\r", &["a", "b"]),
            (b":\n\n: ping\n\ndata:a\n\n", &["a"]),
            (b"data: a\ndata: b\nid: 7\n\n", &["a\nb"]),
            (b"\xef\xbb\xbfdata: a\n\n", &["a"]),
            (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", &["a"]),
            (b"data: a\xff\xfeb\n\n", &["a\u{fffd}\u{fffd}b"]),
            (b"data: a\n\ndata: last", &["a", "last"]),
            (b"", &[]),
        ];
        for (bytes, expected) in cases {
            assert_eq!(data(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
        let named = read([&b"event: error\ndata: x\n\n"[..]].into_iter());
        assert_eq!(named, [Ok(Event { kind: "error".into(), data: "x".into() })]);
    }

    #[test]
    fn a_long_line_in_small_chunks_takes_linear_work() {
        let line = [b"data: ".as_slice(), &vec![b'x'; 4 << 20], b"\n\n"].concat();
        let mut lines = Lines::default();
        let mut out = VecDeque::new();
        for chunk in line.chunks(1_400) {
            lines.push(chunk, &mut out).unwrap();
        }
        assert!(lines.work <= line.len(), "{} bytes looked at for {}", lines.work, line.len());
        // `eventsource-stream` gets it as one piece, however many chunks there were.
        assert_eq!(out.iter().map(String::len).collect::<Vec<_>>(), [line.len() - 1, 1]);
        assert_eq!(read(line.chunks(1_400)).len(), 1);
    }

    #[test]
    fn refuses_an_event_without_end() {
        let block = vec![b'x'; 1 << 20];
        let endless_line = std::iter::once(&b"data: "[..]).chain(std::iter::repeat_n(&block[..], 9));
        assert_eq!(read(endless_line), [Err(SseError::TooLong)]);
        let line = [b"data: ".as_slice(), &block, b"\n"].concat();
        assert_eq!(read(std::iter::repeat_n(&line[..], 9)), [Err(SseError::TooLong)]);
        let event = [b"data: ".as_slice(), &block, b"\n\n"].concat();
        assert_eq!(read(std::iter::repeat_n(&event[..], 9)).iter().filter(|event| event.is_ok()).count(), 9);
        let comment = [b": ".as_slice(), &block, b"\n"].concat();
        assert_eq!(read(std::iter::repeat_n(&comment[..], 9)), []);
    }
}
