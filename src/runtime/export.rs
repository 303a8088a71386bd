//! Turns written out as files, each under a number of its own: not the turn's, since turns begin anew with every start.

use std::{
    fs,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use crate::folder;

/// Writes a turn into a new file, readable by nobody but the person; never over another one.
///
/// # Errors
/// When the folder or the file can't be written; half a file is taken away again.
pub fn write(folder: &Path, json: &str) -> io::Result<PathBuf> {
    folder::make_private(folder)?;
    let mut number = 1_u32;
    loop {
        let path = folder.join(format!("export-{number}.json"));
        let mut options = fs::OpenOptions::new();
        options.create_new(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Ok(mut file) => {
                return match file.write_all(json.as_bytes()) {
                    Ok(()) => Ok(path),
                    Err(error) => {
                        let _ = fs::remove_file(&path);
                        Err(error)
                    }
                };
            }
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

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let exports = folder.path().join("exports");
        let file = write(&exports, "{}").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&exports), mode(&file)), (0o700, 0o600));
    }
}
