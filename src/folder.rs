//! The one way to make a folder for what is a person's own: their documents' text, their questions.

use std::{fs::DirBuilder, io, path::Path};

/// Makes a folder and those above it that are missing, on Unix readable by its owner alone. A folder that is there
/// stays as it is.
///
/// # Errors
/// When it can't be made.
pub fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
