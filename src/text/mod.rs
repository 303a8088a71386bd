//! Text as a terminal shows it: sanitising what comes from outside, display width, wrapping, line ranges.
//! It knows nothing of documents, models or widgets.

mod lines;
mod sanitise;
mod wrap;

pub use lines::LineIndex;
pub use sanitise::{Sanitiser, copyable, one_line, sanitise};
pub use wrap::{fit, width, wrap};
