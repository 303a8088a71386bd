//! From the bytes of a streamed answer to its [`Delta`]s.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    ChatError, Delta,
    error::Asked,
    sse::{self, Event, MAX_EVENT_BYTES, SseError},
    thought::Thought,
    wire::{Piece, stream_error},
};
use crate::domain::{FinishReason, Usage};

/// How long to wait for token counts and the end of the stream once the server said why it finished.
const AFTER_FINISH: Duration = Duration::from_secs(2);

/// How long a server may be silent. Every byte counts, so comments that keep a connection alive do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Before the first piece of text.
    pub first_token: Duration,
    /// After it.
    pub idle: Duration,
}

/// The deltas of a streamed answer. A connection that breaks after some text ends the answer early, before any it is an
/// error.
pub(super) fn deltas(
    bytes: impl Stream<Item = Result<Bytes, ChatError>> + Send + 'static,
    asked: Arc<Asked>,
    patience: Patience,
) -> BoxStream<'static, Result<Delta, ChatError>> {
    let answering = Arc::new(AtomicBool::new(false));
    let bytes = patient(bytes.boxed(), asked.clone(), patience, answering.clone());
    let answer = Answer {
        events: Box::pin(sse::events(Box::pin(bytes))),
        asked,
        answering,
        thought: Thought::default(),
        ready: VecDeque::new(),
        usage: None,
        finish: None,
        give_up: None,
        over: false,
        failed: None,
    };
    stream::unfold(answer, |mut answer| async { answer.next().await.map(|delta| (delta, answer)) }).boxed()
}

/// The deltas of an answer that came as a whole, its end included.
pub(super) fn whole(piece: Piece) -> Vec<Delta> {
    let (mut deltas, mut thought) = (VecDeque::new(), Thought::default());
    push_said(&piece, &mut thought, &mut deltas);
    thought.end(&mut deltas);
    push_end(piece.usage, piece.finish, &mut deltas);
    deltas.into()
}

fn push_said(piece: &Piece, thought: &mut Thought, to: &mut VecDeque<Delta>) {
    if !piece.reasoning.is_empty() {
        to.push_back(Delta::Reasoning(piece.reasoning.clone()));
    }
    if !piece.text.is_empty() {
        thought.part(&piece.text, to);
    }
}

fn push_end(usage: Option<Usage>, finish: Option<FinishReason>, to: &mut VecDeque<Delta>) {
    to.extend(usage.map(Delta::Usage));
    to.push_back(Delta::Finished(finish.unwrap_or(FinishReason::EndedEarly)));
}

/// Bytes, or an error when none come for too long.
fn patient(
    bytes: BoxStream<'static, Result<Bytes, ChatError>>,
    asked: Arc<Asked>,
    patience: Patience,
    answering: Arc<AtomicBool>,
) -> impl Stream<Item = Result<Bytes, ChatError>> + Send {
    stream::unfold(bytes, move |mut bytes| {
        let (limit, setting) = if answering.load(Ordering::Relaxed) {
            (patience.idle, "llm.idle_timeout_s")
        } else {
            (patience.first_token, "llm.first_token_timeout_s")
        };
        let asked = asked.clone();
        async move {
            let next = timeout(limit, bytes.next()).await;
            let next = next.unwrap_or_else(|_| Some(Err(ChatError::Silent { url: asked.shown(), limit, setting })));
            next.map(|chunk| (chunk, bytes))
        }
    })
}

struct Answer {
    events: Pin<Box<dyn Stream<Item = Result<Event, SseError<ChatError>>> + Send>>,
    asked: Arc<Asked>,
    /// The first text came; shared with [`patient`].
    answering: Arc<AtomicBool>,
    thought: Thought,
    ready: VecDeque<Delta>,
    usage: Option<Usage>,
    finish: Option<FinishReason>,
    /// When to stop waiting for what may follow the finish reason.
    give_up: Option<Instant>,
    over: bool,
    failed: Option<ChatError>,
}

impl Answer {
    async fn next(&mut self) -> Option<Result<Delta, ChatError>> {
        loop {
            if let Some(delta) = self.ready.pop_front() {
                return Some(Ok(delta));
            }
            if self.over {
                return self.failed.take().map(Err);
            }
            if let Err(error) = self.step().await {
                self.over = true;
                self.thought.end(&mut self.ready);
                self.failed = Some(error);
            }
        }
    }

    /// Takes one event in.
    async fn step(&mut self) -> Result<(), ChatError> {
        let event = match self.next_event().await {
            Some(Ok(event)) => event,
            Some(Err(error)) if !self.ends_with(&error) => return Err(error),
            Some(Err(_)) | None => {
                self.end();
                return Ok(());
            }
        };
        let data = event.data.trim();
        if data == "[DONE]" {
            self.end();
            return Ok(());
        }
        if data.is_empty() {
            return Ok(());
        }
        let Ok(value) = serde_json::from_str::<Value>(data) else {
            return self.malformed(data).await;
        };
        if let Some(said) = stream_error(&event.kind, &value) {
            return Err(self.asked.server_error(&said));
        }
        self.take(Piece::read(&value));
        Ok(())
    }

    async fn next_event(&mut self) -> Option<Result<Event, ChatError>> {
        let event = match self.give_up {
            Some(at) => timeout_at(at, self.events.next()).await.unwrap_or(None),
            None => self.events.next().await,
        };
        event.map(|event| {
            event.map_err(|error| match error {
                SseError::Source(error) => error,
                SseError::TooLong => ChatError::TooLong { url: self.asked.shown(), limit_bytes: MAX_EVENT_BYTES },
            })
        })
    }

    /// Whether an error is merely the end of the answer: it was finished anyway, or there is text and the connection broke.
    fn ends_with(&self, error: &ChatError) -> bool {
        let broke = matches!(error, ChatError::Broken { .. });
        self.finish.is_some() || (broke && self.answering.load(Ordering::Relaxed))
    }

    /// The last event may be cut off in its middle; in any other place it is an error, since text would be missing.
    async fn malformed(&mut self, data: &str) -> Result<(), ChatError> {
        let cut_off = match self.next_event().await {
            None => true,
            Some(Err(error)) => self.ends_with(&error),
            Some(Ok(_)) => false,
        };
        if !cut_off {
            return Err(self.asked.malformed(data));
        }
        self.end();
        Ok(())
    }

    fn take(&mut self, piece: Piece) {
        push_said(&piece, &mut self.thought, &mut self.ready);
        if !self.ready.is_empty() {
            self.answering.store(true, Ordering::Relaxed);
        }
        self.usage = piece.usage.or(self.usage);
        if let Some(finish) = piece.finish {
            self.finish = Some(finish);
            self.give_up.get_or_insert_with(|| Instant::now() + AFTER_FINISH);
        }
    }

    fn end(&mut self) {
        self.over = true;
        self.thought.end(&mut self.ready);
        push_end(self.usage.take(), self.finish.take(), &mut self.ready);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATIENCE: Patience = Patience { first_token: Duration::from_secs(300), idle: Duration::from_secs(60) };

    /// Everything that servers are known to send, with every kind of line end, in one answer.
    const ANSWER: &str = concat!(
        "\u{feff}:\n\n: keep-alive\r\n\r\n",
        "data: {\"choices\":[{\"finish_reason\":null,\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm, \u{1f914}\"}}]}\r\n\r\n",
        "event: message\ndata: {\"choices\":[{\"delta\":{\"content\":\"etcd \u{6f22}\"}}],\"usage\":null}\r\r",
        "data:{\"choices\":[{\"delta\":{\"content\":\"\\u00fcber <think>\"}}]}\n\n",
        "data: {\"choices\":[{\"finish_reason\":\"length\",\"delta\":{\"content\":\"\"}}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":33,\"completion_tokens\":5,\"total_tokens\":38}}\n\n",
        "data: {\"choices\":[],\"usage\":null}\n\n",
        "data: [DONE]\n\n",
    );

    fn expected() -> Vec<Result<Delta, String>> {
        vec![
            Ok(Delta::Reasoning("hm, \u{1f914}".into())),
            Ok(Delta::Text("etcd \u{6f22}".into())),
            Ok(Delta::Text("\u{fc}ber <think>".into())),
            Ok(Delta::Usage(Usage { prompt_tokens: 33, completion_tokens: 5 })),
            Ok(Delta::Finished(FinishReason::Length)),
        ]
    }

    fn text_then(last: Result<Delta, &str>) -> Vec<Result<Delta, String>> {
        vec![Ok(Delta::Text("a".into())), last.map_err(str::to_owned)]
    }

    const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const EARLY: Result<Delta, &str> = Ok(Delta::Finished(FinishReason::EndedEarly));

    fn asked() -> Arc<Asked> {
        let url = "http://user:pw@127.0.0.1:1/v1/chat/completions?key=secret".parse().unwrap();
        Arc::new(Asked { url, model: "m".into(), key: None, key_source: None })
    }

    fn broken() -> ChatError {
        ChatError::Broken { url: "U".into(), reason: "reset".into() }
    }

    async fn read(bytes: impl Stream<Item = Result<Bytes, ChatError>> + Send + 'static) -> Vec<Result<Delta, String>> {
        deltas(bytes, asked(), PATIENCE).map(|delta| delta.map_err(|error| error.to_string())).collect().await
    }

    async fn read_chunks(chunks: &[&[u8]]) -> Vec<Result<Delta, String>> {
        let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        read(stream::iter(chunks)).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_deltas_wherever_the_bytes_are_split() {
        let bytes = ANSWER.as_bytes();
        for at in 0..=bytes.len() {
            assert_eq!(read_chunks(&[&bytes[..at], &bytes[at..]]).await, expected(), "split at {at}");
        }
        assert_eq!(read_chunks(&bytes.chunks(1).collect::<Vec<_>>()).await, expected());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_chunking_gives_the_same_and_any_damage_ends_once(
            cuts in prop::collection::vec(0..ANSWER.len(), 0..40),
            damage in prop::collection::vec((0..ANSWER.len(), any::<u8>()), 1..8),
        ) {
            let mut cuts = cuts;
            cuts.extend([0, ANSWER.len()]);
            cuts.sort_unstable();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let chunked = |bytes: &[u8]| {
                let chunks: Vec<_> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
                runtime.block_on(read_chunks(&chunks))
            };
            prop_assert_eq!(chunked(ANSWER.as_bytes()), expected());
            let mut bytes = ANSWER.as_bytes().to_vec();
            for (at, byte) in damage {
                bytes[at] = byte;
            }
            let deltas = chunked(&bytes);
            let ends = deltas.iter().filter(|delta| matches!(delta, Err(_) | Ok(Delta::Finished(_)))).count();
            prop_assert_eq!(ends, 1);
            prop_assert!(matches!(deltas.last(), Some(Err(_) | Ok(Delta::Finished(_)))));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_without_a_reason_ended_early() {
        let cut_off = format!("{TEXT}data: {{\"choices\":[{{\"del");
        for bytes in [TEXT, &format!("{TEXT}data: [DONE]\n\n"), TEXT.trim_end(), &cut_off] {
            assert_eq!(read_chunks(&[bytes.as_bytes()]).await, text_then(EARLY), "{bytes}");
        }
        assert_eq!(read_chunks(&[]).await, [Ok(Delta::Finished(FinishReason::EndedEarly))]);
        let breaks = |bytes: String| read(stream::iter([Ok(Bytes::from(bytes)), Err(broken())]));
        assert_eq!(breaks(TEXT.into()).await, text_then(EARLY));
        assert_eq!(breaks(cut_off).await, text_then(EARLY));
        assert_eq!(breaks(STOP.into()).await, [Ok(Delta::Finished(FinishReason::Stop))]);
        assert_eq!(breaks(format!("{TEXT}{STOP}")).await, text_then(Ok(Delta::Finished(FinishReason::Stop))));
        assert_eq!(breaks(":\n\n".into()).await, [Err("U closed the connection before it answered: reset".into())]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_says_what_is_wrong_in_the_middle() {
        let says = |event: &str| format!("{TEXT}{event}\n\n{TEXT}");
        for (event, error) in [
            (
                r#"data: {"error":{"message":"out of\n\u001b[31mmemory"}}"#,
                "http://127.0.0.1:1/v1/chat/completions broke off: out of [31mmemory",
            ),
            ("event: error\ndata: {\"message\":\"gone\"}", "http://127.0.0.1:1/v1/chat/completions broke off: gone"),
            (
                "data: <html>",
                "http://127.0.0.1:1/v1/chat/completions sent something that is not a chat answer: <html>; hint: \
                 llm.base_url must be the address of an OpenAI-style API, often ending in /v1",
            ),
        ] {
            assert_eq!(read_chunks(&[says(event).as_bytes()]).await, text_then(Err(error)), "{event}");
        }
    }

    /// Sends each piece after its pause in seconds, then nothing more, without closing.
    fn slow(pieces: Vec<(u64, &'static str)>) -> impl Stream<Item = Result<Bytes, ChatError>> + Send {
        let pieces = stream::iter(pieces).then(|(pause, piece)| async move {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            Ok(Bytes::from(piece))
        });
        pieces.chain(stream::pending())
    }

    #[tokio::test(start_paused = true)]
    async fn waits_as_long_as_something_comes_and_no_longer() {
        let begin = Instant::now();
        let deltas = read(slow(vec![(299, ":\n\n"), (299, TEXT), (59, ":\n\n"), (59, ": x\n"), (59, ":")])).await;
        let silent = "http://127.0.0.1:1/v1/chat/completions sent nothing for 60 s; hint: it may be overloaded, ask \
                      again or raise llm.idle_timeout_s";
        assert_eq!(deltas, text_then(Err(silent)));
        assert_eq!(begin.elapsed().as_secs(), 299 * 2 + 59 * 3 + 60);

        let begin = Instant::now();
        assert!(read(slow(vec![(1, ":\n\n")])).await[0].as_ref().unwrap_err().contains("for 300 s"));
        assert_eq!(begin.elapsed().as_secs(), 301);

        // Once finished, a server that neither closes nor ends the stream is not waited for.
        let begin = Instant::now();
        let deltas = read(slow(vec![(0, TEXT), (0, STOP), (1, ":\n\n"), (3, ":\n\n")])).await;
        assert_eq!(deltas, text_then(Ok(Delta::Finished(FinishReason::Stop))));
        assert_eq!(begin.elapsed().as_secs(), 2);
    }
}
