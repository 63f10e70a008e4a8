//! A root to run in, and a short way to say what to run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rbc_vm::exec::{
    CancelToken, ExecError, ExitStatus, Network, SandboxMount, SandboxSource, SandboxSpec, Spawner, Stream,
};

/// A temporary directory with a busybox root and a warm helper.
pub(crate) struct Box {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) spawner: Spawner,
    runs: AtomicU32,
}

/// What a run did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) upper: PathBuf,
}

/// The environment for tests, or `None` (and a word) where there can be none.
pub(crate) fn sandbox() -> Option<Box> {
    if !Path::new("/bin/busybox").exists() {
        eprintln!("SKIPPED: no /bin/busybox (Debian: busybox-static)");
        return None;
    }
    let ready = Box::new();
    let spec = ready.spec("true");
    match ready.spawner.run(&spec, |_, _| {}, &token()) {
        Ok(_) => Some(ready),
        Err(ExecError::Setup { step, source }) if source.raw_os_error() == Some(libc::EPERM) => {
            eprintln!("SKIPPED: {step}: {source}");
            None
        }
        Err(e) => panic!("the first sandbox failed: {e}"),
    }
}

pub(crate) fn token() -> CancelToken {
    CancelToken::new().expect("eventfd")
}

/// The first argument that makes this program run a body.
pub(crate) const BODY_ARG: &str = "__body";

/// A command that runs one body of this program, on its main thread.
pub(crate) fn this_program(body: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("own path"));
    command.args([BODY_ARG, body]);
    command
}

impl Box {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let root = dir.path().join("lower");
        for name in ["bin", "proc", "sys", "dev", "etc", "tmp", "mnt"] {
            std::fs::create_dir_all(root.join(name)).expect("root tree");
        }
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox");
        for applet in [
            "sh", "cat", "ls", "id", "env", "hostname", "echo", "true", "sleep", "mount", "ip", "wc", "stat", "chmod",
            "rm", "mv", "touch", "mkdir", "mknod", "df", "grep", "kill", "head", "yes", "chown", "readlink", "ps",
            "test", "od", "setsid", "seq", "dd", "unshare",
        ] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).expect("applet");
        }
        std::fs::write(root.join("etc/base"), "from the base\n").expect("file");
        Self { dir, spawner: Spawner::start().expect("helper"), runs: AtomicU32::new(0) }
    }

    pub(crate) fn lower(&self) -> PathBuf {
        self.dir.path().join("lower")
    }

    /// A fresh directory of the test's own.
    pub(crate) fn fresh(&self, name: &str) -> PathBuf {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.path().join(format!("{name}-{number}"));
        std::fs::create_dir_all(&path).expect("directory");
        path
    }

    /// `sh -c script` as root, with nothing special.
    pub(crate) fn spec(&self, script: &str) -> SandboxSpec {
        let run = self.fresh("run");
        for name in ["up", "wk", "root"] {
            std::fs::create_dir(run.join(name)).expect("directory");
        }
        SandboxSpec {
            lowers: vec![self.lower()],
            upper: run.join("up"),
            work: run.join("wk"),
            root: run.join("root"),
            mounts: Vec::new(),
            args: ["/bin/sh", "-c", script].map(|a| a.as_bytes().to_vec()).into(),
            env: vec![b"PATH=/bin".to_vec()],
            cwd: "/".into(),
            uid: 0,
            gid: 0,
            groups: vec![0],
            hostname: "box".into(),
            network: Network::Host,
            insecure: false,
            shm_size: 64 << 20,
            ulimits: Vec::new(),
        }
    }

    pub(crate) fn run(&self, spec: &SandboxSpec) -> Ran {
        self.try_run(spec).expect("sandbox")
    }

    pub(crate) fn try_run(&self, spec: &SandboxSpec) -> Result<Ran, ExecError> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let status = self.spawner.run(
            spec,
            |stream, bytes| match stream {
                Stream::Stdout => stdout.extend_from_slice(bytes),
                Stream::Stderr => stderr.extend_from_slice(bytes),
            },
            &token(),
        )?;
        Ok(Ran {
            status,
            stdout: String::from_utf8(stdout).expect("text"),
            stderr: String::from_utf8(stderr).expect("text"),
            upper: spec.upper.clone(),
        })
    }

    /// Standard output of a script that must succeed.
    pub(crate) fn output(&self, script: &str) -> String {
        self.output_of(&self.spec(script))
    }

    /// Standard output of a run that must succeed.
    pub(crate) fn output_of(&self, spec: &SandboxSpec) -> String {
        let ran = self.run(spec);
        assert_eq!(ran.status, ExitStatus::Code(0), "{ran:?}");
        ran.stdout
    }
}

pub(crate) fn mount(target: &str, source: SandboxSource, readonly: bool) -> SandboxMount {
    SandboxMount { target: target.into(), source, readonly }
}

/// Names of everything below a directory.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut found: Vec<String> = std::fs::read_dir(dir)
        .expect("directory")
        .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    found
}
