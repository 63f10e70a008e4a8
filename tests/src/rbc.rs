//! Runs `rbc` as a user would, with a home and a configuration of its own.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::registry::Registry;

/// The program under test: `$RBC_BIN`, or what cargo builds.
///
/// # Panics
///
/// If there is none and it cannot be built.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match find_program() {
        Ok(path) => path,
        Err(e) => panic!("there is no rbc to test: {e:#}"),
    })
}

fn find_program() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("RBC_BIN") {
        return fs::canonicalize(&path).with_context(|| format!("RBC_BIN={}", path.display()));
    }
    // target/PROFILE/deps/TEST, or target/PROFILE/PROGRAM
    let this = std::env::current_exe()?;
    let mut profile = this.parent().context("no target directory")?;
    if profile.ends_with("deps") {
        profile = profile.parent().context("no target directory")?;
    }
    // Cargo does not build another package's program for a test.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "rbc"]).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    if profile.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status()?;
    ensure!(status.success(), "cargo build: {status}");
    Ok(fs::canonicalize(profile.join("rbc"))?)
}

/// A directory with a context, a home for rbc, and room for outputs.
pub struct Workspace {
    dir: TempDir,
}

/// How a run of rbc ended.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; `None` if killed by a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Workspace {
    /// Makes a workspace whose docker.io is `registry`.
    ///
    /// # Errors
    ///
    /// If the temporary directory cannot be made.
    pub fn new(registry: &Registry) -> Result<Self> {
        let workspace = Self { dir: tempfile::Builder::new().prefix("rbc-e2e-").tempdir()? };
        fs::create_dir(workspace.context())?;
        let host = registry.host();
        fs::write(
            workspace.path("config.toml"),
            format!("[registry.\"docker.io\"]\nmirrors = [\"{host}\"]\n[registry.\"{host}\"]\nhttp = true\n"),
        )?;
        Ok(workspace)
    }

    /// Returns a path in the workspace.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns the build context.
    pub fn context(&self) -> PathBuf {
        self.path("context")
    }

    /// Returns rbc's home.
    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// Writes a file of the context.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.context().join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Waits until the file system's clock is past that of the files written so
    /// far: their times no longer make them racy.
    ///
    /// # Errors
    ///
    /// If the workspace cannot be written.
    pub fn wait_for_clock(&self) -> Result<()> {
        let path = self.path("clock");
        fs::write(&path, "")?;
        let begun = fs::metadata(&path)?.modified()?;
        loop {
            fs::write(&path, "")?;
            // A tenth of a second is many ticks of any file system's clock.
            if fs::metadata(&path)?.modified()?.duration_since(begun)? > Duration::from_millis(100) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns a command that runs rbc with this workspace's home, without
    /// what the machine's environment would bring in.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(program());
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("RBC_HOME", self.home())
            .env("RBC_CONFIG", self.path("config.toml"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for name in ["SOURCE_DATE_EPOCH", "SSH_AUTH_SOCK", "BUILDKIT_PROGRESS", "DOCKER_CONFIG"] {
            command.env_remove(name);
        }
        for name in ["http_proxy", "https_proxy", "no_proxy", "all_proxy", "ftp_proxy"] {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        command
    }

    /// Runs rbc to its end.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Ran> {
        Ok(self.command(args).output()?.into())
    }

    /// Starts rbc in a process group of its own.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn spawn<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Child> {
        Ok(self.command(args).process_group(0).spawn()?)
    }

    /// Runs `rbc build FLAGS context`, plainly.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn build(&self, flags: &[&str]) -> Result<Ran> {
        let args = ["build", "--progress=plain"].iter().chain(flags).chain(&["context"]);
        self.run(args)
    }

    /// As [`Workspace::build`], which must succeed.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub fn built(&self, flags: &[&str]) -> Result<Ran> {
        let ran = self.build(flags)?;
        ensure!(ran.code == Some(0), "rbc build {flags:?} ended with {:?}:\n{}", ran.code, ran.stderr);
        Ok(ran)
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// Returns the steps of the plain log with how they ended (`DONE`,
    /// `CACHED`, `FAILED`), by the step's name.
    pub fn steps(&self) -> Vec<(String, String)> {
        let mut names: Vec<(&str, &str)> = Vec::new();
        let mut ends = Vec::new();
        for line in self.stderr.lines().filter_map(|l| l.strip_prefix('#')) {
            let Some((number, rest)) = line.split_once(' ') else { continue };
            let end = rest.split(' ').next().unwrap_or_default();
            let known = names.iter().find(|(n, _)| *n == number).map(|(_, name)| *name);
            match (known, end) {
                (None, _) => names.push((number, rest)),
                (Some(name), "DONE" | "CACHED" | "FAILED") => ends.push((name.to_owned(), end.to_owned())),
                _ => {}
            }
        }
        ends
    }

    /// Returns how the step ended whose name contains `text`.
    pub fn step(&self, text: &str) -> Option<String> {
        self.steps().into_iter().find(|(name, _)| name.contains(text)).map(|(_, end)| end)
    }
}
