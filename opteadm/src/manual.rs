//! What is made of the commands themselves: completions, manual pages, the reference.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::args::Cli;
use crate::run::Failure;

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
