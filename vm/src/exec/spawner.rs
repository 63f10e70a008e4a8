//! The side of the program that has threads: starts the helper, asks it for
//! runs, relays output.
//!
//! Locking: none. Each run has a socket and two pipes of its own; the control
//! socket takes whole packets from any thread.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::event::Stream;

use super::helper::HELPER_ARG;
use super::stubs;
use super::wire::{self, Degraded, Reply, retry};
use super::{CancelToken, ExecError, ExitStatus, SandboxSpec};

/// Runs sandboxes, several at a time, through one helper process that ends
/// with it.
#[derive(Debug)]
pub struct Spawner {
    control: Option<OwnedFd>,
    helper: Child,
    degraded: Mutex<BTreeSet<Degraded>>,
    told: Mutex<BTreeSet<Degraded>>,
}

/// Bytes read from a pipe at once: a pipe's capacity.
const CHUNK: usize = 64 * 1024;

impl Spawner {
    /// Starts the helper: this program with [`HELPER_ARG`], which its `main`
    /// must hand to [`helper_main`](super::helper_main) before anything else.
    pub fn start() -> Result<Self, ExecError> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(ExecError::io("create the helper's socket"))?;
        let helper = Command::new("/proc/self/exe")
            .arg(HELPER_ARG)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .map_err(ExecError::io("start the sandbox helper"))?;
        Ok(Self { control: Some(ours), helper, degraded: Mutex::default(), told: Mutex::default() })
    }

    /// What the sandboxes run so far had to do without.
    pub fn degraded(&self) -> Vec<Degraded> {
        self.degraded.lock().iter().copied().collect()
    }

    /// Of that, what no earlier call gave: each is worth one warning.
    pub(crate) fn newly_degraded(&self) -> Vec<Degraded> {
        let mut told = self.told.lock();
        self.degraded().into_iter().filter(|what| told.insert(*what)).collect()
    }

    /// The helper's process id (tests).
    #[doc(hidden)]
    pub fn helper_pid(&self) -> u32 {
        self.helper.id()
    }

    /// Runs one sandbox and blocks until nothing of it is left: every process
    /// of its PID namespace dead, all output given to `output`, its mounts
    /// gone. What the command leaves in the background is killed when the
    /// command itself ends. `cancel` kills all of it; the answer then is
    /// [`ExecError::Cancelled`].
    pub fn run(
        &self,
        spec: &SandboxSpec,
        mut output: impl FnMut(Stream, &[u8]),
        cancel: &CancelToken,
    ) -> Result<ExitStatus, ExecError> {
        if cancel.is_cancelled() {
            return Err(ExecError::Cancelled);
        }
        let run = self.send(spec)?;
        let reply = run.follow(&mut output, cancel)?;
        stubs::remove(&spec.root).map_err(ExecError::io("clear the mount point"))?;
        if !reply.degraded.is_empty() {
            self.degraded.lock().extend(reply.degraded);
        }
        if cancel.is_cancelled() && reply.end == Ok(ExitStatus::Signal(libc::SIGKILL)) {
            return Err(ExecError::Cancelled);
        }
        Ok(reply.end?)
    }

    fn send(&self, spec: &SandboxSpec) -> Result<Run, ExecError> {
        let memfd = wire::write_spec(spec).map_err(ExecError::io("write the sandbox spec"))?;
        let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(ExecError::io("create a pipe"));
        let (stdout, stdout_end) = pipe()?;
        let (stderr, stderr_end) = pipe()?;
        let (socket, socket_end) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(ExecError::io("create a run's socket"))?;
        let control = self.control.as_ref().ok_or(ExecError::HelperGone)?;
        wire::send_run(control, &[socket_end.as_fd(), stdout_end.as_fd(), stderr_end.as_fd(), memfd.as_fd()]).map_err(
            |e| match e {
                rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET => ExecError::HelperGone,
                e => ExecError::io("ask the sandbox helper")(e),
            },
        )?;
        Ok(Run { socket, outputs: [(Stream::Stdout, Some(stdout)), (Stream::Stderr, Some(stderr))] })
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        // Closing the socket ends the helper; waiting leaves no zombie.
        self.control = None;
        let _ = self.helper.wait();
    }
}

/// A run under way. Dropping it closes the socket, which kills the sandbox.
struct Run {
    socket: OwnedFd,
    outputs: [(Stream, Option<OwnedFd>); 2],
}

impl Run {
    /// Relays output until the reply is there.
    fn follow(mut self, output: &mut impl FnMut(Stream, &[u8]), cancel: &CancelToken) -> Result<Reply, ExecError> {
        let mut buffer = vec![0; CHUNK];
        let mut kill_sent = false;
        let reply = loop {
            let ready = self.wait(cancel, !kill_sent)?;
            for (index, is_ready) in ready.outputs.into_iter().enumerate() {
                if is_ready {
                    self.read(index, &mut buffer, output)?;
                }
            }
            if ready.cancel && !kill_sent {
                kill_sent = true;
                // A failure means the sandbox has ended; its reply follows.
                let _ = retry(|| send(&self.socket, wire::KILL, SendFlags::NOSIGNAL));
            }
            if ready.reply {
                break self.receive()?;
            }
        };
        // Every writer is dead: what is in the pipes is all there will be.
        for index in 0..self.outputs.len() {
            if let Some((_, Some(fd))) = self.outputs.get(index) {
                rustix::io::ioctl_fionbio(fd, true).map_err(ExecError::io("read the sandbox's output"))?;
            }
            while self.read(index, &mut buffer, output)? {}
        }
        Ok(reply)
    }

    /// Blocks until something happens.
    fn wait(&self, cancel: &CancelToken, watch_cancel: bool) -> Result<Ready, ExecError> {
        let mut fds = vec![PollFd::new(&self.socket, PollFlags::IN)];
        let mut names = vec![Source::Reply];
        if watch_cancel {
            fds.push(PollFd::new(cancel, PollFlags::IN));
            names.push(Source::Cancel);
        }
        for (index, (_, fd)) in self.outputs.iter().enumerate() {
            if let Some(fd) = fd {
                fds.push(PollFd::new(fd, PollFlags::IN));
                names.push(Source::Output(index));
            }
        }
        retry(|| poll(&mut fds, None)).map_err(ExecError::io("wait for the sandbox"))?;
        let mut ready = Ready::default();
        for (fd, name) in fds.iter().zip(names) {
            if fd.revents().is_empty() {
                continue;
            }
            match name {
                Source::Reply => ready.reply = true,
                Source::Cancel => ready.cancel = true,
                Source::Output(0) => ready.outputs[0] = true,
                Source::Output(_) => ready.outputs[1] = true,
            }
        }
        Ok(ready)
    }

    /// Reads a chunk; false when there is no more.
    fn read(
        &mut self,
        index: usize,
        buffer: &mut [u8],
        output: &mut impl FnMut(Stream, &[u8]),
    ) -> Result<bool, ExecError> {
        let Some((stream, slot)) = self.outputs.get_mut(index) else {
            return Ok(false);
        };
        let Some(fd) = slot else {
            return Ok(false);
        };
        match retry(|| rustix::io::read(&*fd, &mut *buffer)) {
            Ok(0) => {
                *slot = None;
                Ok(false)
            }
            Ok(length) => {
                output(*stream, buffer.get(..length).unwrap_or_default());
                Ok(true)
            }
            Err(rustix::io::Errno::AGAIN) => Ok(false),
            Err(e) => Err(ExecError::io("read the sandbox's output")(e)),
        }
    }

    fn receive(&self) -> Result<Reply, ExecError> {
        let mut packet = vec![0; wire::MAX_REPLY];
        let (length, _) = match retry(|| recv(&self.socket, &mut packet[..], rustix::net::RecvFlags::empty())) {
            Ok(received) => received,
            Err(rustix::io::Errno::CONNRESET) => return Err(ExecError::HelperGone),
            Err(e) => return Err(ExecError::io("hear from the sandbox helper")(e)),
        };
        if length == 0 {
            return Err(ExecError::HelperGone);
        }
        serde_json::from_slice(packet.get(..length).unwrap_or_default()).map_err(|e| ExecError::Protocol(e.to_string()))
    }
}

enum Source {
    Reply,
    Cancel,
    Output(usize),
}

#[derive(Default)]
struct Ready {
    reply: bool,
    cancel: bool,
    outputs: [bool; 2],
}
