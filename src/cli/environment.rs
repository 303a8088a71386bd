//! What has to be in the process's environment from its start.
//!
//! The builds of ONNX Runtime that its makers publish report over the network from the moment their environment is made,
//! before anything could tell them not to: a first event is under way by then, and it is sent again and again. Only a
//! variable that was there from the start keeps them from it. Likewise glibc's `malloc`: by itself it makes a heap for
//! each thread and keeps what was freed in it, which took a quarter more memory for a long conversation.

/// Two heaps, and large pieces given back to the system when they are freed. What the person has set stays.
#[cfg(unix)]
const VARIABLES: [(&str, &str); 4] = [
    ("ORT_DISABLE_TELEMETRY", "1"),
    ("MALLOC_ARENA_MAX", "2"),
    ("MALLOC_MMAP_THRESHOLD_", "65536"),
    ("MALLOC_TRIM_THRESHOLD_", "131072"),
];

/// Begins this program again in its own place with those variables set that are not. Other threads may read the
/// environment at any time, so it can't safely be changed in a process that runs.
#[cfg(unix)]
pub fn prepare() {
    use std::{env, os::unix::process::CommandExt, process::Command};

    let is_unset = |(name, _): &(&str, &str)| env::var_os(name).is_none();
    // The first tells that all were set. The others may be taken away at every start, for programs with rights of their own.
    if !is_unset(&VARIABLES[0]) {
        return;
    }
    let mut arguments = env::args_os();
    let Ok(program) = env::current_exe() else { return };
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // It comes back only when that was not possible; the program works without.
    let error = again.args(arguments).envs(VARIABLES.into_iter().filter(is_unset)).exec();
    eprintln!("note: ORT_DISABLE_TELEMETRY could not be set: {error}");
}

/// Elsewhere the system collects such events, and decides by itself.
#[cfg(not(unix))]
pub fn prepare() {}
