//! askdocs: ask questions of your own documents, and see why it answered so. `ARCHITECTURE.md` shows the way around.

#![forbid(unsafe_code)]
// No panic reaches a person; tests may, and helpers of tests are no tests to clippy, so this is not in Cargo.toml.
#![warn(clippy::allow_attributes, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

// What tests of this crate and of its users share names it from outside.
#[cfg(test)]
extern crate self as askdocs;

pub mod app;
pub mod artifacts;
pub mod chat;
pub mod cli;
pub mod config;
pub mod domain;
pub mod embed;
pub mod folder;
pub mod http;
pub mod rag;
pub mod runtime;
pub mod source;
pub mod store;
pub mod text;
pub mod ui;
