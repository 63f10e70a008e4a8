//! The helper: a loop over the control socket, and for each run its socket
//! and a pidfd.
//!
//! It handles one request at a time and closes a run's pipe ends as soon as
//! the sandbox has them, so that no sandbox inherits those of another.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::child::{self, Shared};
use super::spec::ExitStatus;
use super::sys::descriptors;
use super::wire::{self, Failure, Notice, Reply, RunFds, retry};

/// The first argument that makes this program a sandbox helper.
pub const HELPER_ARG: &str = "__sandbox-helper";

/// A sandbox under way.
struct Running {
    /// `None` once the spawner has gone away.
    socket: Option<OwnedFd>,
    pidfd: OwnedFd,
    /// Read end: what the sandbox has to say before its program runs.
    status: OwnedFd,
}

/// Serves a [`Spawner`](super::Spawner) whose socket is standard input, until
/// it is gone. The program's `main` calls this, first thing, when its first
/// argument is [`HELPER_ARG`].
pub fn helper_main() -> ! {
    let code = match serve() {
        Ok(()) => 0,
        Err(e) => {
            let _ = rustix::io::write(
                rustix::stdio::stderr(),
                format!("sandbox helper: {}: {}\n", e.step, std::io::Error::from_raw_os_error(e.errno)).as_bytes(),
            );
            1
        }
    };
    std::process::exit(code)
}

fn serve() -> Result<(), Failure> {
    // A session of its own: Ctrl-C is for rbc, which then decides.
    let _ = rustix::process::setsid();
    let control = take_control()?;
    let shared = Shared::new()?;
    let mut running: Vec<Running> = Vec::new();
    loop {
        let (control_ready, ready) = wait(&control, &running)?;
        // From the back, so that removal leaves earlier indices alone.
        for (index, (ended, spoken)) in ready.into_iter().enumerate().rev() {
            if ended {
                finish(&running.swap_remove(index));
            } else if spoken && let Some(run) = running.get_mut(index) {
                kill(run);
            }
        }
        if control_ready {
            match wire::receive_run(&control).map_err(Failure::at("receive a request"))? {
                Some(fds) => running.extend(start(&shared, fds)),
                None => break,
            }
        }
    }
    for run in &running {
        let _ = pidfd_send_signal(&run.pidfd, Signal::KILL);
    }
    for run in &running {
        finish(run);
    }
    Ok(())
}

/// Moves the socket from standard input to where no sandbox inherits it, and
/// keeps sandboxes from inheriting whatever else the parent let slip through.
fn take_control() -> Result<OwnedFd, Failure> {
    let control =
        rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).map_err(Failure::at("take the control socket"))?;
    descriptors::close_on_exec_from(3);
    let null = rustix::fs::open(
        "/dev/null",
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .map_err(Failure::at("open /dev/null"))?;
    rustix::stdio::dup2_stdin(&null).map_err(Failure::at("replace standard input"))?;
    Ok(control)
}

/// Blocks until the control socket or a run wants attention; for each run:
/// whether it ended, whether its socket spoke.
fn wait(control: &OwnedFd, running: &[Running]) -> Result<(bool, Vec<(bool, bool)>), Failure> {
    let mut fds = vec![PollFd::new(control, PollFlags::IN)];
    for run in running {
        fds.push(PollFd::new(&run.pidfd, PollFlags::IN));
        // A negative descriptor would be ignored; the pidfd twice does too.
        fds.push(match &run.socket {
            Some(socket) => PollFd::new(socket, PollFlags::IN),
            None => PollFd::new(&run.pidfd, PollFlags::IN),
        });
    }
    retry(|| poll(&mut fds, None)).map_err(Failure::at("wait for sandboxes"))?;
    let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
    let mut events = fds.iter().map(is_ready);
    let control_ready = events.next().unwrap_or(false);
    let mut runs = Vec::with_capacity(running.len());
    while let (Some(ended), Some(spoken)) = (events.next(), events.next()) {
        runs.push((ended, spoken));
    }
    Ok((control_ready, runs))
}

/// Starts a sandbox; answers at once if that fails.
fn start(shared: &Shared, fds: RunFds) -> Option<Running> {
    let RunFds { socket, stdout, stderr, spec } = fds;
    let started = wire::read_spec(spec)
        .map_err(Failure::at("read the spec"))
        .and_then(|spec| child::spawn(shared, &spec, stdout.as_fd(), stderr.as_fd()));
    match started {
        Ok((pidfd, status)) => Some(Running { socket: Some(socket), pidfd, status }),
        Err(failure) => {
            answer(&socket, &Reply { end: Err(failure), degraded: Vec::new() });
            None
        }
    }
}

/// Kills a sandbox whose spawner asked for it or is gone.
fn kill(run: &mut Running) {
    let _ = pidfd_send_signal(&run.pidfd, Signal::KILL);
    let Some(socket) = &run.socket else { return };
    let mut byte = [0; 1];
    match recv(socket, &mut byte[..], RecvFlags::DONTWAIT) {
        Ok((length, _)) if length > 0 => {}
        Err(Errno::AGAIN | Errno::INTR) => {}
        // Closed: polling it again would spin.
        _ => run.socket = None,
    }
}

/// Reaps a sandbox and answers. The kernel lets pid 1 be reaped only when its
/// whole PID namespace is dead (`zap_pid_ns_processes`), and processes leave
/// their mount namespace before they become zombies: nothing is left after.
fn finish(run: &Running) {
    let waited = retry(|| waitid(WaitId::PidFd(run.pidfd.as_fd()), WaitIdOptions::EXITED));
    let (notices, torn) = notices(&run.status);
    let mut reply = Reply {
        end: match waited {
            Ok(Some(status)) => Ok(match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => ExitStatus::Code(code),
                (None, Some(signal)) => ExitStatus::Signal(signal),
                (None, None) => ExitStatus::Code(-1),
            }),
            Ok(None) => Err(Failure { step: "wait for the sandbox".into(), errno: libc::ECHILD }),
            Err(e) => Err(Failure::at("wait for the sandbox")(e)),
        },
        degraded: Vec::new(),
    };
    if torn {
        reply.end = Err(Failure { step: "hear from the sandbox".into(), errno: libc::EPROTO });
    }
    for notice in notices {
        match notice {
            Notice::Failed(failure) => reply.end = Err(failure),
            Notice::Degraded(degraded) => reply.degraded.push(degraded),
        }
    }
    if let Some(socket) = &run.socket {
        answer(socket, &reply);
    }
}

/// What the sandbox said before its program ran; and whether any of it was
/// unreadable. Its writer is dead, so reading does not block.
fn notices(status: &OwnedFd) -> (Vec<Notice>, bool) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(length) = retry(|| rustix::io::read(status, &mut chunk[..])) {
        if length == 0 {
            break;
        }
        bytes.extend_from_slice(chunk.get(..length).unwrap_or_default());
    }
    let parsed: Result<Vec<Notice>, _> =
        bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(serde_json::from_slice).collect();
    match parsed {
        Ok(notices) => (notices, false),
        Err(_) => (Vec::new(), true),
    }
}

fn answer(socket: &OwnedFd, reply: &Reply) {
    let packet = serde_json::to_vec(reply).unwrap_or_default();
    // Nobody listens if the spawner is gone.
    let _ = retry(|| send(socket, &packet, SendFlags::NOSIGNAL));
}
