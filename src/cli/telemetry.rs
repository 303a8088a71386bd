//! ONNX Runtime's telemetry, off.
//!
//! The builds of it that its makers publish report over the network from the moment their environment is made, before
//! anything could tell them not to: a first event is under way by then, and it is sent again and again. Only a variable
//! of the process's environment that was there from the start keeps them from it.

#[cfg(unix)]
const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";

/// Begins this program again in its own place with the variable set, where it is not. Other threads may read the
/// environment at any time, so it can't safely be changed in a process that runs.
#[cfg(unix)]
pub fn turn_off() {
    use std::{env, os::unix::process::CommandExt, process::Command};

    if env::var_os(VARIABLE).is_some() {
        return;
    }
    let mut arguments = env::args_os();
    let Ok(program) = env::current_exe() else { return };
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // It comes back only when that was not possible; the program works without.
    let error = again.args(arguments).env(VARIABLE, "1").exec();
    eprintln!("note: {VARIABLE} could not be set: {error}");
}

/// Elsewhere the system collects such events, and decides by itself.
#[cfg(not(unix))]
pub fn turn_off() {}
