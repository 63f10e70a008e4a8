//! From clone to exec: the life of a sandbox's pid 1 before the program.
//!
//! Order matters: detached mounts while the host is in reach, the root, what
//! stands on it, `pivot_root`, limits, then privileges from the most to the
//! least needed; the filter is loaded while `CAP_SYS_ADMIN` is still held.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Signal;

use super::overlay::{self, Layers};
use super::seccomp::{self, Instruction};
use super::spec::{Network, SandboxSpec};
use super::sys::clone::{Cloned, clone_process, exit_now};
use super::sys::{keyring, loopback, signals};
use super::wire::{Degraded, Failure, Notice};
use super::{mounts, privileges, program, rootfs, stubs, userns};

/// What all sandboxes of a helper have in common, made once.
pub(super) struct Shared {
    filter: Vec<Instruction>,
    null: OwnedFd,
    /// Whether this is a user namespace: `trusted.*` attributes are refused.
    userxattr: bool,
}

impl Shared {
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self {
            filter: seccomp::default_filter(),
            null: rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
                .map_err(Failure::at("open /dev/null"))?,
            userxattr: userns::is_inside(),
        })
    }
}

/// Starts a sandbox; gives a handle on its pid 1 and the pipe on which it
/// tells what went wrong before the program ran.
pub(super) fn spawn(
    shared: &Shared,
    spec: &SandboxSpec,
    stdout: BorrowedFd<'_>,
    stderr: BorrowedFd<'_>,
) -> Result<(OwnedFd, OwnedFd), Failure> {
    let (status, status_end) = pipe_with(PipeFlags::CLOEXEC).map_err(Failure::at("create the status pipe"))?;
    let mut flags =
        libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;
    if spec.network == Network::None {
        flags |= libc::CLONE_NEWNET;
    }
    match clone_process(flags).map_err(Failure::at("create the namespaces"))? {
        Cloned::Parent(pidfd) => Ok((pidfd, status)),
        Cloned::Child => {
            drop(status);
            let mut child = Child { shared, spec, status: status_end };
            let code = match child.set_up([stdout, stderr]) {
                Ok(()) => program::exec(spec),
                Err(failure) => {
                    child.tell(&Notice::Failed(failure));
                    1
                }
            };
            exit_now(code)
        }
    }
}

struct Child<'a> {
    shared: &'a Shared,
    spec: &'a SandboxSpec,
    status: OwnedFd,
}

impl Child<'_> {
    fn set_up(&mut self, outputs: [BorrowedFd<'_>; 2]) -> Result<(), Failure> {
        let spec = self.spec;
        self.die_with_helper()?;
        let _ = rustix::process::setsid();
        signals::reset();
        self.standard_streams(outputs)?;
        rustix::process::umask(Mode::empty());

        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
            .map_err(Failure::at("make all mounts private"))?;
        let root = self.build_root()?;
        enter(&root)?;

        rustix::system::sethostname(spec.hostname.as_bytes())
            .map_err(Failure::at(format!("set the host name {}", spec.hostname)))?;
        if spec.network == Network::None {
            loopback::bring_up().map_err(Failure::at("bring lo up"))?;
        }
        keyring::join_new_session_keyring();
        privileges::set_limits(&spec.ulimits)?;
        rustix::process::umask(Mode::WGRP | Mode::WOTH);
        rustix::process::chdir(&spec.cwd)
            .map_err(Failure::at(format!("change to the working directory {}", spec.cwd.display())))?;

        let filter = (!spec.insecure).then_some(self.shared.filter.as_slice());
        if privileges::drop_to(spec, filter)?.is_some() {
            self.tell(&Notice::Degraded(Degraded::NoGroups));
        }
        // A change of ids or capabilities clears it.
        self.die_with_helper()
    }

    fn build_root(&self) -> Result<OwnedFd, Failure> {
        let spec = self.spec;
        let prepared = mounts::prepare(spec, self.shared.userxattr)?;
        let mut lowers = std::borrow::Cow::from(&spec.lowers);
        if stubs::make(spec, &prepared)? {
            lowers.to_mut().push(spec.root.clone());
        }
        let layers =
            Layers { lowers: &lowers, upper: Some((&spec.upper, &spec.work)), userxattr: self.shared.userxattr };
        let tree = overlay::mount_detached(&layers, &spec.root)?;
        mounts::attach_at_path(&tree, &spec.root).map_err(Failure::at(format!("mount {}", spec.root.display())))?;
        let mut degraded = Vec::new();
        rootfs::mount(&tree, spec, &mut degraded)?;
        mounts::attach(&tree, prepared)?;
        if !spec.insecure {
            rootfs::protect(&tree)?;
        }
        for what in degraded {
            self.tell(&Notice::Degraded(what));
        }
        Ok(tree)
    }

    fn standard_streams(&self, [stdout, stderr]: [BorrowedFd<'_>; 2]) -> Result<(), Failure> {
        rustix::stdio::dup2_stdin(&self.shared.null)
            .and_then(|()| rustix::stdio::dup2_stdout(stdout))
            .and_then(|()| rustix::stdio::dup2_stderr(stderr))
            .map_err(Failure::at("set the standard streams"))
    }

    /// Asks for a SIGKILL when the helper dies; if it is dead already, the
    /// other end of the status pipe is closed.
    fn die_with_helper(&self) -> Result<(), Failure> {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(Failure::at("set the parent death signal"))?;
        let mut fds = [PollFd::new(&self.status, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut fds, Some(&now)) {
            Ok(0) | Err(_) => Ok(()),
            Ok(_) => exit_now(1),
        }
    }

    fn tell(&self, notice: &Notice) {
        let mut line = serde_json::to_vec(notice).unwrap_or_default();
        line.push(b'\n');
        // Shorter than PIPE_BUF or, at worst, reported as torn.
        let _ = rustix::io::write(self.status.as_fd(), &line);
    }
}

/// Makes `root` the root directory and lets go of the old one. Both names may
/// be the same directory: the old root is then stacked under the new one
/// (pivot_root(2), "pivot_root(".", ".")").
fn enter(root: &OwnedFd) -> Result<(), Failure> {
    rustix::process::fchdir(root).map_err(Failure::at("enter the root"))?;
    rustix::process::pivot_root(".", ".").map_err(Failure::at("pivot_root"))?;
    unmount(Path::new("."), UnmountFlags::DETACH).map_err(Failure::at("let go of the host"))?;
    rustix::process::chdir("/").map_err(Failure::at("enter the root"))
}
