//! The builders that are compared, each with a store of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rbc_tests::rbc::Workspace;
use rbc_tests::registry::Registry;
use rbc_tests::{fixtures, result, store};

use crate::cases::Case;

/// A builder.
pub(crate) trait Tool {
    /// Writes the case's files.
    fn prepare(&mut self, case: &Case) -> Result<()>;
    /// Builds once and says how long the process took.
    fn build(&mut self, case: &Case, stamp: usize) -> Result<Duration>;
    /// Bytes of its store on disk.
    fn store_size(&self) -> Result<u64>;
}

fn registry(case: &Case) -> Result<&'static Registry> {
    if case.golang { fixtures::golang() } else { Ok(fixtures::registry()) }
}

fn write_context(workspace: &Workspace, case: &Case) -> Result<()> {
    workspace.write("Dockerfile", &case.dockerfile())?;
    workspace.write("main.go", "package main\n\nfunc main() { println(\"hello\") }\n")?;
    // Files of this very moment would be hashed again at every build.
    for name in ["Dockerfile", "main.go"] {
        result::tool("touch", &["-d", "2020-01-01", &workspace.context().join(name).to_string_lossy()])?;
    }
    workspace.wait_for_clock()
}

fn time(command: &mut Command) -> Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let begun = Instant::now();
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    let took = begun.elapsed();
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(took)
}

/// rbc, a cold process each time.
pub(crate) struct Rbc {
    workspace: Workspace,
}

impl Rbc {
    pub(crate) fn new(case: &Case) -> Result<Self> {
        Ok(Self { workspace: Workspace::new(registry(case)?)? })
    }
}

impl Tool for Rbc {
    fn prepare(&mut self, case: &Case) -> Result<()> {
        write_context(&self.workspace, case)
    }

    fn build(&mut self, case: &Case, stamp: usize) -> Result<Duration> {
        let stamp = if case.changes { stamp } else { 0 };
        time(&mut self.workspace.command(["build", "--build-arg", &format!("STAMP={stamp}"), "context"]))
    }

    fn store_size(&self) -> Result<u64> {
        store::size(&self.workspace.home())
    }
}

/// buildah with cached layers (`--layers`), and with its lightest isolation:
/// it works in containers, too, and makes buildah faster.
pub(crate) struct Buildah {
    workspace: Workspace,
}

impl Buildah {
    pub(crate) fn new(case: &Case) -> Result<Self> {
        let registry = registry(case)?;
        let workspace = Workspace::new(registry)?;
        fs::write(
            workspace.path("registries.conf"),
            format!(
                "unqualified-search-registries = [\"docker.io\"]\nshort-name-mode = \"disabled\"\n\
                 [[registry]]\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = \"{}\"\ninsecure = true\n",
                registry.host()
            ),
        )?;
        fs::write(workspace.path("policy.json"), "{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}")?;
        Ok(Self { workspace })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("buildah");
        command
            .args(["--root", &self.workspace.path("storage").to_string_lossy()])
            .args(["--runroot", &self.workspace.path("runroot").to_string_lossy()])
            .args(["--storage-driver", "overlay"])
            .current_dir(self.workspace.path(""))
            .env("CONTAINERS_REGISTRIES_CONF", self.workspace.path("registries.conf"));
        command
    }
}

impl Tool for Buildah {
    fn prepare(&mut self, case: &Case) -> Result<()> {
        write_context(&self.workspace, case)
    }

    fn build(&mut self, case: &Case, stamp: usize) -> Result<Duration> {
        let stamp = if case.changes { stamp } else { 0 };
        time(
            self.command()
                .args(["bud", "--quiet", "--layers", "--isolation=chroot", "--pull=false", "--signature-policy"])
                .args([
                    &self.workspace.path("policy.json").to_string_lossy(),
                    "--build-arg",
                    format!("STAMP={stamp}").as_str(),
                    "-t",
                    "bench",
                    "context",
                ]),
        )
    }

    fn store_size(&self) -> Result<u64> {
        let storage = self.workspace.path("storage");
        if Path::new(&storage).exists() { store::size(&storage) } else { Ok(0) }
    }
}

impl Drop for Buildah {
    fn drop(&mut self) {
        // Mounts that a failed build left would keep the directory busy.
        let _ = self.command().args(["rm", "--all"]).output();
        let _ = self.command().args(["umount", "--all"]).output();
        let _ = nix::mount::umount2(&self.workspace.path("storage/overlay"), nix::mount::MntFlags::MNT_DETACH);
    }
}
