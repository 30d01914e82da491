//! Where the project's programs are.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::netns::run;
use crate::{Failure, Result};

/// A directory of built programs.
#[derive(Clone, Debug)]
pub struct Binaries {
    directory: PathBuf,
}

impl Binaries {
    /// Those that lie beside the program that runs.
    ///
    /// # Errors
    /// If the system does not tell which that is.
    pub fn beside() -> Result<Self> {
        Ok(Self {
            directory: profile_directory()?,
        })
    }

    /// Those of the release profile of the target directory this test lies in, built now if they are not fresh. Data paths are
    /// measured by what they are built as: tests of them in a debug build would take minutes and tell nothing.
    ///
    /// # Errors
    /// With the compiler's words if they do not build.
    pub fn release() -> Result<Self> {
        let profile = profile_directory()?;
        let target = profile.parent().map(Path::to_path_buf).unwrap_or_default();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "--bins",
            "-p",
            "xde",
            "-p",
            "opteadm",
            "-p",
            "testkit",
        ]);
        build
            .arg("--manifest-path")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"));
        build.arg("--target-dir").arg(&target);
        run(&mut build)?;
        Ok(Self {
            directory: target.join("release"),
        })
    }

    /// Path of one of them.
    ///
    /// # Errors
    /// If it is not there.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        if path.is_file() {
            return Ok(path);
        }
        Err(Failure::new(
            format!("find the program `{name}`"),
            format!("there is no {}", path.display()),
        ))
    }
}

/// The directory cargo puts the programs of the running profile in.
fn profile_directory() -> Result<PathBuf> {
    let this = std::env::current_exe().map_err(|e| Failure::new("find this program", e))?;
    let beside = this.parent().map(Path::to_path_buf).unwrap_or_default();
    // A test of cargo's stands one directory lower.
    Ok(if beside.ends_with("deps") {
        beside.parent().map(Path::to_path_buf).unwrap_or_default()
    } else {
        beside
    })
}
