//! Placeholder while the floors are built.
use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::domain::{FinishReason, Message, Usage};

#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    Text(String),
    Reasoning(String),
    Usage(Usage),
    Finished(FinishReason),
}

#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    #[error("{0}")]
    Any(String),
}

#[async_trait]
pub trait ChatModel: Send + Sync {
    fn label(&self) -> String;
    fn model(&self) -> &str;
    async fn stream(&self, messages: &[Message]) -> Result<BoxStream<'static, Result<Delta, ChatError>>, ChatError>;
}
