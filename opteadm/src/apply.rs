//! `apply` and `export`: a host's whole configuration.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use opteadm::Client;
use opteadm::config::{Change, Config, ConfigError, Format, Operation, Plan};
use postcard_schema::Schema;
use serde::Serialize;

use crate::args::Apply;
use crate::columns::Paint;
use crate::confirm::confirmed;
use crate::failure::Failure;

/// What was done, in print.
#[derive(Serialize, Schema)]
pub(crate) struct Applied {
    /// Nothing was done: this is what would have been.
    pub(crate) dry_run: bool,
    /// What is different, in the order in which it is done.
    pub(crate) changes: Vec<Change>,
}

/// A file that was read and understood.
pub(crate) struct Wanted {
    config: Config,
    path: PathBuf,
    args: Apply,
}

impl Wanted {
    pub(crate) fn read(args: Apply) -> Result<Self, Failure> {
        let path = args.file.clone();
        let unread = |source| Failure::File {
            path: args.file.clone(),
            source,
        };
        let text = read(&path).map_err(unread)?;
        let config = Config::parse(&text).map_err(|error| Failure::Config {
            path: path.clone(),
            error,
        })?;
        Ok(Self { config, path, args })
    }

    /// Makes the driver's configuration that of the file; says what was, or would be, different.
    pub(crate) fn apply(
        self,
        client: &mut Client,
        json: bool,
        yes: bool,
        paint: Paint,
    ) -> Result<String, Failure> {
        let plan = Plan::new(&client.dump_config()?, &self.config);
        let plan = plan.map_err(|error| Failure::Plan {
            path: self.path.clone(),
            error,
        })?;
        let shown = self.shown(&plan, json, paint)?;
        if self.args.dry_run || plan.changes().is_empty() {
            return Ok(shown);
        }
        let destroyed: Vec<String> = plan.destroyed().map(ToString::to_string).collect();
        if !destroyed.is_empty() {
            let what = format!(
                "This removes with all their flows:\n{}\n",
                destroyed.join("\n")
            );
            if !confirmed(&what, yes) {
                return Err(Failure::Declined);
            }
        }
        client.carry_out(&plan)?;
        Ok(shown)
    }

    fn shown(&self, plan: &Plan, json: bool, paint: Paint) -> Result<String, Failure> {
        if json {
            let applied = Applied {
                dry_run: self.args.dry_run,
                changes: plan.changes().to_vec(),
            };
            return Ok(serde_json::to_string_pretty(&applied)? + "\n");
        }
        let mut text = String::new();
        for change in plan.changes() {
            let line = change.to_string();
            let line = match change.operation {
                Operation::Add => paint.added(&line),
                Operation::Change => paint.changed(&line),
                Operation::Remove => paint.removed(&line),
            };
            text += &(line + "\n");
        }
        let count = |operation| {
            let of = plan.changes().iter().filter(|c| c.operation == operation);
            of.count()
        };
        let (added, changed, removed) = (
            count(Operation::Add),
            count(Operation::Change),
            count(Operation::Remove),
        );
        if self.args.dry_run && !plan.changes().is_empty() {
            let _ = writeln!(
                text,
                "{added} to add, {changed} to change, {removed} to remove; nothing was done"
            );
        }
        Ok(text)
    }
}

/// The driver's configuration as a file.
pub(crate) fn export(client: &mut Client, format: Format) -> Result<String, Failure> {
    let config = client.dump_config()?.to_config();
    let written = config.to_text(format);
    written.map_err(|ConfigError { message, .. }| Failure::Export(message))
}

fn read(path: &Path) -> io::Result<String> {
    if path.as_os_str() != "-" {
        return fs::read_to_string(path);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}
