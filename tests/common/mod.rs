#![allow(dead_code, reason = "every test takes what it needs")]

pub mod app;
pub mod home;
pub mod hostile;
pub mod keys;
pub mod lite;
pub mod model;
pub mod model_server;
#[cfg(unix)]
pub mod pty;
