//! The person's own editor, for long questions.

use std::{
    env, fs,
    future::Future,
    io::{self, Write},
    path::Path,
    process::ExitStatus,
    time::Duration,
};

use tempfile::{TempDir, TempPath};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::text::one_line;

/// How long an editor may take to end once it is asked to.
const EDITORS_PATIENCE: Duration = Duration::from_secs(2);

/// Why a text did not come back from the editor.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    #[error("no editor is set; hint: set EDITOR or VISUAL, for example EDITOR=vi")]
    NotSet,
    #[error("{variable} can't be read as a command ({value}): a quote is not closed")]
    NotUnderstood { variable: &'static str, value: String },
    #[error("the editor {program} could not be started: {reason}; hint: set EDITOR or VISUAL to one that is there")]
    NotStarted { program: String, reason: io::Error },
    #[error("the editor {program} ended with {status}; the question is as it was")]
    Failed { program: String, status: ExitStatus },
    #[error("the question could not be handed to the editor: {0}")]
    File(#[from] io::Error),
}

/// An editor as it is called: the program and its own arguments.
#[derive(Debug, PartialEq, Eq)]
pub struct EditorCommand {
    program: String,
    arguments: Vec<String>,
}

impl EditorCommand {
    /// The one that `VISUAL` names, or else `EDITOR`; on Windows, where these are seldom set, else Notepad.
    ///
    /// # Errors
    /// When neither is set, or it is no command.
    pub fn from_env() -> Result<Self, EditError> {
        let value = |name| env::var(name).ok().filter(|value| !value.trim().is_empty());
        let variables = ["VISUAL", "EDITOR"].into_iter();
        match variables.filter_map(|name| Some((name, value(name)?))).next() {
            Some((variable, value)) => Self::parse(variable, &value),
            None if cfg!(windows) => Ok(Self { program: "notepad".to_owned(), arguments: Vec::new() }),
            None => Err(EditError::NotSet),
        }
    }

    /// Splits a command into words as a shell would, without giving it to one. On Windows `\` is a part of paths.
    fn parse(variable: &'static str, value: &str) -> Result<Self, EditError> {
        let not_understood = || EditError::NotUnderstood { variable, value: one_line(value) };
        let words = if Path::new(value).is_file() {
            vec![value.to_owned()]
        } else {
            let value = if cfg!(windows) { value.replace('\\', r"\\") } else { value.to_owned() };
            shell_words::split(&value).map_err(|_| not_understood())?
        };
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.is_empty()).ok_or_else(not_understood)?;
        Ok(Self { program, arguments: words.collect() })
    }

    /// Lets the person write on at a text; returns what they left, or what they have saved so far when `ended` comes
    /// before they are done: the editor is then told to end by that signal, which is returned too. The text goes through
    /// a file in a folder that only they can read. It is gone afterwards, but for what an editor that had to end has left
    /// there beside it: with unsaved text in it, for all we know.
    ///
    /// # Errors
    /// When the editor can't be started or says that it failed, or the file can't be written or read.
    pub async fn edit(&self, text: &str, ended: impl Future<Output = u8>) -> (Result<String, EditError>, Option<u8>) {
        let begun = || -> Result<(TempDir, TempPath, Child), EditError> {
            let mut folder = tempfile::Builder::new();
            #[cfg(unix)]
            folder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
            let folder = folder.prefix("askdocs-").tempdir()?;
            let mut file = tempfile::Builder::new().prefix("question-").suffix(".md").tempfile_in(folder.path())?;
            file.write_all(text.as_bytes())?;
            file.flush()?;
            let path = file.into_temp_path();
            let mut command = Command::new(&self.program);
            command.args(&self.arguments).arg(&path).kill_on_drop(true);
            let failed = |reason| EditError::NotStarted { program: one_line(&self.program), reason };
            Ok((folder, path, command.spawn().map_err(failed)?))
        };
        let (folder, path, mut child) = match begun() {
            Ok(begun) => begun,
            Err(error) => return (Err(error), None),
        };
        let number = tokio::select! {
            status = child.wait() => return (self.left(&path, status), None),
            number = ended => number,
        };
        tell(&child, number);
        if timeout(EDITORS_PATIENCE, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
        let left = fs::read_dir(folder.path()).map_or(0, |entries| entries.count());
        let saved =
            fs::read(&path).map_or_else(|_| text.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
        if left > 1 {
            let folder = folder.keep();
            tracing::warn!("the editor was ended; what it left of the question is in {}", folder.display());
        }
        (Ok(saved), Some(number))
    }

    /// What the editor left when it ended by itself.
    fn left(&self, path: &Path, status: io::Result<ExitStatus>) -> Result<String, EditError> {
        let status = status?;
        if !status.success() {
            let name = Path::new(&self.program).file_name().unwrap_or_default();
            return Err(EditError::Failed { program: one_line(&name.to_string_lossy()), status });
        }
        Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
    }
}

/// Asks a program to end as we are asked to.
#[cfg(unix)]
fn tell(child: &Child, number: u8) {
    use rustix::process::{Pid, Signal, kill_process};

    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let signal = if i32::from(number) == Signal::HUP.as_raw() { Signal::HUP } else { Signal::TERM };
    if let Some(pid) = pid {
        let _ = kill_process(pid, signal);
    }
}

/// There is no asking; it is ended when it was waited for.
#[cfg(not(unix))]
fn tell(_: &Child, _: u8) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(windows)]
    #[test]
    fn backslashes_are_parts_of_paths() {
        let parsed = |value: &str| EditorCommand::parse("EDITOR", value).unwrap();
        assert_eq!(parsed(r"C:\tools\vim.exe -f").program, r"C:\tools\vim.exe");
        let command = parsed(r#""C:\Program Files\My Editor\e.exe" --wait"#);
        assert_eq!(command.program, r"C:\Program Files\My Editor\e.exe");
        assert_eq!(command.arguments, ["--wait"]);
    }

    #[test]
    fn a_command_is_split_as_a_shell_would_and_given_to_none() {
        let parsed = |value: &str| EditorCommand::parse("EDITOR", value).map_err(|error| error.to_string());
        let command = parsed("'/opt/my editor/e' --wait \"a b\" $(reboot) ; x").unwrap();
        assert_eq!(command.program, "/opt/my editor/e");
        assert_eq!(command.arguments, ["--wait", "a b", "$(reboot)", ";", "x"]);
        assert_eq!(
            parsed("vi 'x\u{1b}").unwrap_err(),
            "EDITOR can't be read as a command (vi 'x): a quote is not closed"
        );
        assert!(parsed("''").is_err());
    }

    #[tokio::test]
    async fn what_fails_says_so_in_a_sentence() {
        let missing = EditorCommand::parse("EDITOR", "/nowhere/no-such-editor").unwrap();
        let error = missing.edit("x", std::future::pending()).await.0.unwrap_err().to_string();
        assert!(error.starts_with("the editor /nowhere/no-such-editor could not be started: "), "{error}");
    }
}
