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
        ready: VecDeque::new(),
        usage: None,
        finish: None,
        give_up: None,
        over: false,
    };
    stream::unfold(answer, |mut answer| async { answer.next().await.map(|delta| (delta, answer)) }).boxed()
}

/// The deltas of an answer that came as a whole, its end included.
pub(super) fn whole(piece: Piece) -> Vec<Delta> {
    let mut deltas = VecDeque::new();
    push_said(&piece, &mut deltas);
    push_end(piece.usage, piece.finish, &mut deltas);
    deltas.into()
}

fn push_said(piece: &Piece, to: &mut VecDeque<Delta>) {
    if !piece.reasoning.is_empty() {
        to.push_back(Delta::Reasoning(piece.reasoning.clone()));
    }
    if !piece.text.is_empty() {
        to.push_back(Delta::Text(piece.text.clone()));
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
            (patience.idle, "llm.idle_timeout")
        } else {
            (patience.first_token, "llm.first_token_timeout")
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
    ready: VecDeque<Delta>,
    usage: Option<Usage>,
    finish: Option<FinishReason>,
    /// When to stop waiting for what may follow the finish reason.
    give_up: Option<Instant>,
    over: bool,
}

impl Answer {
    async fn next(&mut self) -> Option<Result<Delta, ChatError>> {
        loop {
            if let Some(delta) = self.ready.pop_front() {
                return Some(Ok(delta));
            }
            if self.over {
                return None;
            }
            if let Err(error) = self.step().await {
                self.over = true;
                return Some(Err(error));
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
        push_said(&piece, &mut self.ready);
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
        push_end(self.usage.take(), self.finish.take(), &mut self.ready);
    }
}
