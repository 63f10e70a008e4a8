//! What travels between the spawner and the helper.
//!
//! ```text
//! control socket, one packet per run: "r" + 4 descriptors
//!     run socket, stdout pipe, stderr pipe, memfd with the spec as JSON
//! run socket: spawner -> helper: "k" (kill); helper -> spawner: one Reply as JSON
//! status pipe (sandbox -> helper): lines of JSON, each a Notice
//! ```
//!
//! Sockets are SOCK_SEQPACKET: a packet is whole or not there, so that many
//! threads can send on the control socket without a lock. A spec may be
//! larger than a packet, hence the memfd.

use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use super::spec::{ExitStatus, SandboxSpec};

/// The packet that asks for a run.
pub(super) const RUN: &[u8] = b"r";
/// The packet that asks to kill a run.
pub(super) const KILL: &[u8] = b"k";
/// Longest reply: a failure names at most a path or two.
pub(super) const MAX_REPLY: usize = 64 * 1024;

/// Why a sandbox was not set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) step: String,
    pub(super) errno: i32,
}

impl Failure {
    /// For `map_err`: names the step.
    pub(super) fn at<E>(step: impl Into<String>) -> impl FnOnce(E) -> Self
    where
        io::Error: From<E>,
    {
        let step = step.into();
        move |error| Self { step, errno: io::Error::from(error).raw_os_error().unwrap_or(libc::EIO) }
    }
}

/// Something the sandbox does less well than on an ordinary host. Never an
/// error: worth a warning, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Degraded {
    /// A fresh `/proc` was refused (nested container with masked procfs): the
    /// outer one is shown read-only and lists the outer processes.
    OuterProc,
    /// Supplementary groups cannot be set (single-id user namespace).
    NoGroups,
}

impl std::fmt::Display for Degraded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::OuterProc => {
                "a new /proc is refused here: RUN sees the outer one, read-only \
                 (unmask /proc in the outer container)"
            }
            Self::NoGroups => {
                "supplementary groups cannot be set here: RUN goes without \
                 (give this user ranges in /etc/subuid and /etc/subgid)"
            }
        })
    }
}

/// What a sandbox tells the helper before its program runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Notice {
    Failed(Failure),
    Degraded(Degraded),
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reply {
    pub(super) end: Result<ExitStatus, Failure>,
    pub(super) degraded: Vec<Degraded>,
}

/// The descriptors of a run, as the helper receives them.
pub(super) struct RunFds {
    pub(super) socket: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) spec: OwnedFd,
}

/// Puts a spec in a memfd.
pub(super) fn write_spec(spec: &SandboxSpec) -> io::Result<OwnedFd> {
    let memfd = rustix::fs::memfd_create("rbc-spec", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(memfd);
    file.write_all(&serde_json::to_vec(spec)?)?;
    Ok(file.into())
}

/// Reads a spec from a memfd.
pub(super) fn read_spec(memfd: OwnedFd) -> io::Result<SandboxSpec> {
    let mut file = std::fs::File::from(memfd);
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Sends a run's descriptors over the control socket.
pub(super) fn send_run(control: impl AsFd, fds: &[BorrowedFd<'_>; 4]) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(fds));
    retry(|| sendmsg(control.as_fd(), &[IoSlice::new(RUN)], &mut ancillary, SendFlags::NOSIGNAL)).map(drop)
}

/// Receives a run's descriptors; `None` when the other side is gone.
pub(super) fn receive_run(control: impl AsFd) -> io::Result<Option<RunFds>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0; 1];
    let message =
        retry(|| recvmsg(control.as_fd(), &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC))?;
    if message.bytes == 0 {
        return Ok(None);
    }
    let mut fds = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten();
    let mut next = || fds.next().ok_or_else(|| io::Error::from_raw_os_error(libc::EPROTO));
    Ok(Some(RunFds { socket: next()?, stdout: next()?, stderr: next()?, spec: next()? }))
}

/// Repeats a call that a signal interrupted.
pub(super) fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            other => return other,
        }
    }
}
