//! Asking a language model, and its answer as it comes. Knows nothing of prompts, passages or screens.
//!
//! Text in [`Delta`]s is as the model gave it: an escape sequence can be split between two of them, so whoever shows it
//! sanitises the text gathered so far. Errors are safe to show: sanitised, short, and without the key.

mod answer;
mod error;
mod openai;
mod sse;
mod thought;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::domain::{FinishReason, Message, Usage};

pub use error::ChatError;
pub use openai::{OpenAiModel, OpenAiOptions};

/// A language model that answers a conversation.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// For people: who serves it and its name, for example `lepton: mistral-7b`.
    fn label(&self) -> String;

    /// The model's name as its server knows it.
    fn model(&self) -> &str;

    /// Asks for an answer; returns when the server has begun to answer. A server that is still loading its model is
    /// asked again for a while. The stream ends with exactly one [`Delta::Finished`] or error; the text until there is
    /// worth keeping in both cases. Dropping the future or the stream closes the connection: that is how a turn is
    /// cancelled.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    async fn stream(&self, messages: &[Message]) -> Result<BoxStream<'static, Result<Delta, ChatError>>, ChatError>;

    /// Another model of the same server, by the name that the server knows it by. Asks nothing.
    fn with_model(&self, name: &str) -> Arc<dyn ChatModel>;

    /// The names of the models that the server has, within seconds, sanitised; `None` where it answers, but has no list.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    async fn models(&self) -> Result<Option<Vec<String>>, ChatError>;

    /// Can the server be reached, does it take the key, is the model there?
    ///
    /// # Errors
    /// As [`ChatModel::models`].
    async fn probe(&self) -> Result<Probe, ChatError> {
        Ok(self.models().await?.map_or(Probe::NoList, |names| {
            // Ollama adds a tag where none was given.
            let tagged = format!("{}:latest", self.model());
            if names.iter().any(|name| name == self.model() || *name == tagged) {
                Probe::Listed
            } else {
                Probe::NotListed(names)
            }
        }))
    }
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// Never empty.
    Text(String),
    /// What a reasoning model thinks before and while it answers, where the server tells it apart. Never empty.
    Reasoning(String),
    /// All text so far was thought: the model's server told no beginning of it, only its end. At most once.
    WasThought,
    /// At most once, right before [`Delta::Finished`].
    Usage(Usage),
    /// The last piece. [`FinishReason::EndedEarly`] when the server stopped without saying why.
    Finished(FinishReason),
}

/// What a server that could be reached says of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The model is among those it lists.
    Listed,
    /// It lists these, without the model. Sanitised.
    NotListed(Vec<String>),
    /// It answers, but has no list of models.
    NoList,
}
