//! Text as a terminal shows it: sanitising what comes from outside, display width, wrapping, line ranges, citations.
//! It knows nothing of documents, models or widgets.

mod citation;
mod lines;
mod sanitise;
mod wrap;

pub use citation::next_citation;
pub use lines::LineIndex;
pub use sanitise::{Sanitiser, copyable, is_plain, one_line, sanitise};
pub use wrap::{fit, width, wrap};

/// `4,312`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// `4,312 passages`, `1 passage`.
pub fn counted(n: u64, what: &str) -> String {
    format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" })
}
