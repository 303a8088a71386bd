//! A turn written out with everything that is known of it. What a turn holds came from the person, their documents and
//! the model; settings that name a secret are not among it.

use std::time::Duration;

use serde::Serialize;

use crate::{
    app::Rerun,
    domain::{Candidate, Fingerprint, Message, Mode, Passage, SearchSettings, StageTimings, Turn, TurnState, Usage},
};

#[derive(Serialize)]
struct Export<'a> {
    /// Its place in the conversation, from 1.
    turn: usize,
    question: &'a str,
    collection: &'a str,
    /// What made the collection's vectors; `None` where it has none, or is not the one in use any more.
    embedding: Option<&'a Fingerprint>,
    /// As the search was really done.
    settings: SearchSettings,
    model: Option<&'a str>,
    state: &'static str,
    finish_reason: Option<&'a str>,
    error: Option<&'a str>,
    passages: &'a [Passage],
    candidates: &'a [Candidate],
    prompt: &'a [Message],
    /// In the embedding model's tokens.
    prompt_tokens_about: &'a [usize],
    answer: &'a str,
    reasoning: &'a str,
    usage: Option<Usage>,
    notices: &'a [String],
    timings_ms: Milliseconds,
    searched_again: Option<Again<'a>>,
}

/// The same question searched with other settings.
#[derive(Serialize)]
struct Again<'a> {
    collection: &'a str,
    settings: SearchSettings,
    /// The mode that was really used.
    mode: Option<Mode>,
    error: Option<&'a str>,
    passages: &'a [Passage],
    candidates: &'a [Candidate],
    notices: &'a [String],
    timings_ms: Milliseconds,
}

#[derive(Serialize)]
struct Milliseconds {
    embed: Option<f64>,
    dense: Option<f64>,
    keyword: Option<f64>,
    fuse: Option<f64>,
    rerank: Option<f64>,
    retrieval: Option<f64>,
    prompt: Option<f64>,
    first_token: Option<f64>,
    generation: Option<f64>,
}

impl Milliseconds {
    fn of(times: &StageTimings) -> Self {
        let ms = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
        Self {
            embed: ms(times.embed),
            dense: ms(times.dense),
            keyword: ms(times.keyword),
            fuse: ms(times.fuse),
            rerank: ms(times.rerank),
            retrieval: ms(times.retrieval),
            prompt: ms(times.prompt),
            first_token: ms(times.first_token),
            generation: ms(times.generation),
        }
    }
}

/// The turn, and its question's last search with other settings, as JSON.
pub(super) fn export(
    turn: &Turn,
    number: usize,
    embedding: Option<&Fingerprint>,
    rerun: Option<&Rerun>,
) -> serde_json::Result<String> {
    let (state, finish_reason, error) = match &turn.state {
        TurnState::Waiting | TurnState::Retrieving => ("searching", None, None),
        TurnState::Thinking | TurnState::Streaming => ("answering", None, None),
        TurnState::Done(finish) => ("done", Some(finish.name()), None),
        TurnState::Stopped => ("stopped", None, None),
        TurnState::Failed(why) => ("failed", None, Some(why.as_str())),
    };
    let export = Export {
        turn: number,
        embedding,
        question: &turn.question,
        collection: &turn.collection,
        settings: turn.settings,
        model: turn.model.as_deref(),
        state,
        finish_reason,
        error,
        passages: &turn.passages,
        candidates: &turn.candidates,
        prompt: &turn.prompt,
        prompt_tokens_about: &turn.prompt_tokens,
        answer: &turn.answer,
        reasoning: &turn.reasoning,
        usage: turn.usage,
        notices: &turn.notices,
        timings_ms: Milliseconds::of(&turn.timings),
        searched_again: rerun.map(again),
    };
    serde_json::to_string_pretty(&export).map(|json| json + "\n")
}

fn again(rerun: &Rerun) -> Again<'_> {
    let (found, error) = match &rerun.ended {
        Some(Ok(found)) => (Some(found), None),
        Some(Err(why)) => (None, Some(why.as_str())),
        None => (None, None),
    };
    Again {
        collection: found.map_or(&rerun.collection, |found| &found.collection),
        settings: rerun.settings,
        mode: found.map(|found| found.mode),
        error,
        passages: found.map_or(&[], |found| &found.passages),
        candidates: found.map_or(&[], |found| &found.candidates),
        notices: found.map_or(&[], |found| &found.notices),
        timings_ms: Milliseconds::of(&found.map_or_else(StageTimings::default, |found| found.timings)),
    }
}
