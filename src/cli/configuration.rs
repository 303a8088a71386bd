use std::{fs, io};

use anyhow::Context;
use clap::CommandFactory;

use super::{
    Outcome,
    args::{Args, ConfigCommand},
    output::Output,
    wire,
};
use crate::{
    app::COMMANDS,
    config::{EXAMPLE, Paths},
    ui::Keymap,
};

pub fn run(command: &ConfigCommand, args: &Args, output: &Output) -> anyhow::Result<Outcome> {
    let paths = Paths::find()?;
    let file = args.config.as_ref().unwrap_or(&paths.config_file);
    let mut outcome = Outcome::Done;
    match command {
        ConfigCommand::Path => output.line(&file.display().to_string())?,
        ConfigCommand::Show => {
            let config = wire::configuration(args, &paths)?;
            let state = if file.exists() { "" } else { " (not there: these are the defaults)" };
            output.faint_line(&format!("# {}{state}", file.display()))?;
            output.line(config.to_toml().trim_end())?;
        }
        ConfigCommand::Keys => {
            // Whoever looks for a command's name may have mistyped it there.
            let keymap = match wire::configuration(args, &paths).and_then(|config| Ok(wire::keymap(&config)?)) {
                Ok(keymap) => keymap,
                Err(error) => {
                    output.warn(&format!(
                        "note: these are the usual keys, since the configuration can't be used: {error:#}"
                    ));
                    outcome = Outcome::Partly;
                    Keymap::default()
                }
            };
            output.line("[keys]")?;
            for command in COMMANDS {
                let keys: Vec<_> = keymap.all_keys(command).iter().map(|key| format!("{:?}", key.written())).collect();
                let line = format!("{} = [{}]", command.name, keys.join(", "));
                output.line(&if command.what.is_empty() { line } else { format!("{line:48} # {}", command.what) })?;
            }
        }
        ConfigCommand::Init => {
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder)
                    .with_context(|| format!("could not make the folder {}", folder.display()))?;
            }
            // Only a new file: what a person wrote is never overwritten.
            let mut new = match fs::File::create_new(file) {
                Ok(new) => new,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    anyhow::bail!("{} is there already; hint: edit it, or move it away first", file.display());
                }
                Err(error) => return Err(error).with_context(|| format!("could not write {}", file.display())),
            };
            io::Write::write_all(&mut new, EXAMPLE.as_bytes())
                .with_context(|| format!("could not write {}", file.display()))?;
            output.line(&format!("wrote {}", file.display()))?;
        }
    }
    Ok(outcome)
}

pub fn completions(shell: clap_complete::Shell) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "askdocs", &mut script);
    io::Write::write_all(&mut io::stdout().lock(), &script)?;
    Ok(Outcome::Done)
}
