//! What is made of the commands themselves: completions, manual pages, the reference.

use std::fs;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use opte::api::OpteError;

use crate::args::Cli;
use crate::failure::Failure;
use crate::schema;

/// What makes a shell complete the commands.
pub(crate) fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "opteadm", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Writes a manual page for the whole and one for each command; says which.
pub(crate) fn write_pages(dir: &Path) -> Result<String, Failure> {
    let mut all = Cli::command();
    all.build();
    let mut written = String::new();
    let named = all.get_subcommands().map(|command| {
        let name = format!("opteadm-{}", command.get_name());
        command.clone().display_name(name)
    });
    for command in [all.clone()].into_iter().chain(named) {
        let name = command.get_display_name().unwrap_or("opteadm").to_owned();
        let path = dir.join(format!("{name}.1"));
        let mut page = Vec::new();
        let rendered = Man::new(command).render(&mut page);
        rendered
            .and_then(|()| fs::write(&path, page))
            .map_err(|source| Failure::File {
                path: path.clone(),
                source,
            })?;
        written += &format!("{}\n", path.display());
    }
    Ok(written)
}

/// The schema of what one command prints with `--json`, or all do.
pub(crate) fn schema(command: Option<&str>) -> Result<String, Failure> {
    let all = Cli::command();
    let names = all.get_subcommands().map(Command::get_name);
    let schema = match command {
        None => schema::of_commands(names),
        Some(command) => {
            let asked = all.find_subcommand(command).map(Command::get_name);
            let found = asked.and_then(schema::of_command);
            found.ok_or_else(|| OpteError::InvalidArgument {
                name: "<COMMAND>".into(),
                reason: match asked {
                    Some(name) => format!("{name} prints no JSON"),
                    None => format!("there is no command '{command}'"),
                },
            })?
        }
    };
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

/// All commands with their arguments, in Markdown: `docs/opteadm.md`.
pub(crate) fn reference() -> String {
    let mut all = Cli::command();
    all.build();
    let mut text = String::from(
        "# The commands of opteadm\n\nWritten by `opteadm reference`; a test holds it against the program.\n\n",
    );
    text += &format!("{}\n", about(&all));
    text += "\n## Options of every command\n\n";
    text += &arguments(
        all.get_arguments()
            .filter(|argument| argument.is_global_set()),
    );
    for command in all.get_subcommands() {
        if command.get_name() == "help" {
            continue;
        }
        text += &format!("\n## {}\n\n{}\n", command.get_name(), about(command));
        let aliases: Vec<&str> = command.get_visible_aliases().collect();
        if !aliases.is_empty() {
            text += &format!("\nAlso: {}\n", aliases.join(", "));
        }
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ");
        text += &format!("\n```text\n{usage}\n```\n\n");
        text += &arguments(
            command
                .get_arguments()
                .filter(|argument| !argument.is_global_set()),
        );
    }
    text
}

fn about(command: &Command) -> String {
    let about = command.get_long_about().or(command.get_about());
    about.map(ToString::to_string).unwrap_or_default()
}

fn arguments<'a>(all: impl Iterator<Item = &'a Arg>) -> String {
    let mut text = String::new();
    for argument in all {
        if argument.is_hide_set() || ["help", "version"].contains(&argument.get_id().as_str()) {
            continue;
        }
        let help = argument.get_long_help().or(argument.get_help());
        let help = help.map(ToString::to_string).unwrap_or_default();
        let mut notes: Vec<String> = Vec::new();
        let takes_value = argument.get_action().takes_values();
        let values = argument.get_possible_values();
        if takes_value && !values.is_empty() {
            let names = values.iter().map(|value| format!("`{}`", value.get_name()));
            notes.push(format!("one of {}", names.collect::<Vec<_>>().join(", ")));
        }
        let defaults = argument.get_default_values().iter().filter(|_| takes_value);
        notes.extend(defaults.map(|value| format!("default `{}`", value.to_string_lossy())));
        notes.extend(
            argument
                .get_env()
                .map(|name| format!("environment `{}`", name.to_string_lossy())),
        );
        let notes = match notes.is_empty() {
            true => String::new(),
            false => format!(" ({})", notes.join("; ")),
        };
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        let short = argument.get_short().map(|short| format!("`-{short}`, "));
        let short = short.unwrap_or_default();
        text += &format!("- {short}`{argument}`: {help}{notes}\n");
    }
    text
}
