//! Turns written out as files, each under a number of its own.

use std::{
    fs,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

/// Writes a turn into a new file, readable by nobody but the person; never over another one.
///
/// # Errors
/// When the folder or the file can't be written.
pub fn write(folder: &Path, json: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let mut number = 1_u32;
    loop {
        let path = folder.join(format!("turn-{number}.json"));
        let mut options = fs::OpenOptions::new();
        options.create_new(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Ok(mut file) => return file.write_all(json.as_bytes()).map(|()| path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && number < u32::MAX => number += 1,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let exports = folder.path().join("exports");
        let files = ["one", "two"].map(|json| write(&exports, json).unwrap());
        assert_eq!(files.map(|file| fs::read_to_string(file).unwrap()), ["one", "two"]);
    }
}
