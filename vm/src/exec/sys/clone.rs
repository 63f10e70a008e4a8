//! `clone3(2)`: a copy of the calling process, in new namespaces; `clone(2)`
//! where a container's filter answers ENOSYS to the former.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use super::check;

/// `struct clone_args` up to `cgroup` (`CLONE_ARGS_SIZE_VER2`, Linux 5.7).
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Which side of the clone the caller is on.
pub(in crate::exec) enum Cloned {
    /// In the new process.
    Child,
    /// In the caller: a handle on the new process.
    Parent(OwnedFd),
}

/// Copies the calling process with `flags` (`CLONE_NEW*` only), which must be
/// single-threaded: the copy then has a consistent heap and may run ordinary
/// code.
pub(in crate::exec) fn clone_process(flags: libc::c_int) -> io::Result<Cloned> {
    match by_clone3(flags) {
        Err(e) if e.raw_os_error() == Some(libc::ENOSYS) => by_clone(flags),
        other => other,
    }
}

fn by_clone3(flags: libc::c_int) -> io::Result<Cloned> {
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        // CLONE_NEWCGROUP and friends fit in 32 bits; c_int may be negative
        // for CLONE_IO, which callers do not pass.
        flags: u64::from(flags.cast_unsigned()) | u64::from(libc::CLONE_PIDFD.cast_unsigned()),
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
        ..CloneArgs::default()
    };
    // SAFETY: `args` is a valid clone_args of the size passed and `pidfd`
    // outlives the call. Without CLONE_VM and with no stack given this is a
    // fork: the child runs on its own copy of this stack. No other thread
    // exists whose locks could be copied while held (documented contract;
    // both callers are single-threaded processes).
    let ret = check(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) })?;
    if ret == 0 {
        return Ok(Cloned::Child);
    }
    // SAFETY: the kernel stored a new descriptor that nobody else owns.
    Ok(Cloned::Parent(unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// The older call: no stack given means a fork here too, and the pidfd goes
/// where the parent's thread id would (Linux 5.2).
fn by_clone(flags: libc::c_int) -> io::Result<Cloned> {
    let mut pidfd: RawFd = -1;
    let flags = libc::c_long::from(flags | libc::CLONE_PIDFD | libc::SIGCHLD);
    // SAFETY: as above. The arguments after `pidfd` (child_tid and tls, in an
    // order that depends on the architecture) are unused with these flags.
    let ret = check(unsafe { libc::syscall(libc::SYS_clone, flags, 0_usize, &raw mut pidfd, 0_usize, 0_usize) })?;
    if ret == 0 {
        return Ok(Cloned::Child);
    }
    // SAFETY: the kernel stored a new descriptor that nobody else owns.
    Ok(Cloned::Parent(unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// Ends the calling process without running destructors or exit handlers,
/// which belong to the process it was copied from.
pub(in crate::exec) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no precondition and does not return.
    unsafe { libc::_exit(code) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::process::{WaitId, WaitIdOptions, waitid};

    use super::*;

    #[test]
    fn both_calls_give_a_process_that_can_be_waited_for() {
        for call in [by_clone3, by_clone] {
            // The child does nothing but end: this test process has threads.
            match call(0).expect("clone") {
                Cloned::Child => exit_now(7),
                Cloned::Parent(pidfd) => {
                    let status =
                        waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).expect("wait").expect("status");
                    assert_eq!(status.exit_status(), Some(7));
                }
            }
        }
    }
}
