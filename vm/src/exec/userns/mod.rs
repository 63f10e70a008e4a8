//! User namespaces: how an ordinary user gets to mount and to own files of
//! many ids.
//!
//! The whole program moves into a new user and mount namespace, once, at its
//! start; the store is read and written from inside only, so that one kind of
//! id is ever seen.
//!
//! ```text
//! ids inside     0        1 .. N
//! Ranges         caller   the caller's ranges in /etc/subuid, /etc/subgid
//! Single         caller   -
//! ```
//!
//! A namespace can only be given ranges from outside it, by the setuid
//! programs `newuidmap` and `newgidmap`: a process forked before the move
//! stays behind, runs them on this one and ends.

mod map;
mod refusal;
mod subid;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::thread::CapabilitySet;
use serde::{Deserialize, Serialize};

use super::ExecError;
use super::sys::clone::{Cloned, clone_process, exit_now};
use super::wire::{Failure, retry};
use map::Wanted;

/// Which ids exist for files and processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdMapKind {
    /// All of them: real root, no namespace was entered.
    Root,
    /// Ranges: root and the usual 65,536, or what an outer container has.
    Ranges,
    /// One: uid 0 inside is the caller, no other id exists.
    Single,
}

/// A run of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    /// First id in the namespace.
    pub inside: u32,
    /// First id outside of it.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// The ids of the namespace that the program is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdMap {
    /// What that means for builds.
    pub kind: IdMapKind,
    /// User ids.
    pub uids: Vec<IdRange>,
    /// Group ids.
    pub gids: Vec<IdRange>,
    /// Why there is only one id: a warning for the user, with the way out.
    pub note: Option<String>,
}

/// Set once an ordinary user became root of a namespace of its own.
static IS_ORDINARY_USER: AtomicBool = AtomicBool::new(false);

/// Whether files written for the user may be given to other owners: true for
/// root, false for an ordinary user, also one that is root of its namespace.
pub fn caller_is_root() -> bool {
    rustix::process::geteuid().is_root() && !IS_ORDINARY_USER.load(Ordering::Relaxed)
}

/// Moves the calling process into a new user and mount namespace, unless it
/// may mount already (root, or inside such a namespace).
///
/// Call it first thing in `main`: the kernel refuses the move to a process
/// with threads.
pub fn enter_user_namespace() -> Result<IdMap, ExecError> {
    enter().map_err(|failure| ExecError::UserNamespace {
        step: failure.step,
        source: io::Error::from_raw_os_error(failure.errno),
        help: refusal::help(),
    })
}

/// Whether this process is in a user namespace other than the first.
pub(super) fn is_inside() -> bool {
    // Unreadable /proc: assume the kind that works in both.
    !map::current("uid_map").is_ok_and(|map| map::is_everything(&map))
}

fn enter() -> Result<IdMap, Failure> {
    if may_mount()? {
        return describe(None);
    }
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    let wanted = Wanted::for_caller();
    let (go_end, go) = pipe_with(PipeFlags::CLOEXEC).map_err(Failure::at("create a pipe"))?;
    let (answer, answer_end) = pipe_with(PipeFlags::CLOEXEC).map_err(Failure::at("create a pipe"))?;
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let mapper = match clone_process(0).map_err(Failure::at("fork"))? {
        Cloned::Parent(pidfd) => pidfd,
        Cloned::Child => {
            drop(go);
            drop(answer);
            stay_behind(&wanted, pid, &go_end, &answer_end)
        }
    };
    drop(go_end);
    drop(answer_end);
    let unshared = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS);
    unshared.map_err(Failure::at("enter a user namespace"))?;
    // Closing it is the word to go on.
    drop(go);
    let refusal = hear(&answer);
    let _ = retry(|| {
        rustix::process::waitid(
            rustix::process::WaitId::PidFd(std::os::fd::AsFd::as_fd(&mapper)),
            rustix::process::WaitIdOptions::EXITED,
        )
    });
    let why = match refusal {
        None => None,
        Some(why) => {
            map::write_single(uid, gid)?;
            Some(why)
        }
    };
    if uid != 0 {
        IS_ORDINARY_USER.store(true, Ordering::Relaxed);
    }
    // AppArmor may let anybody into a namespace, and refuse all in there. The
    // kernel made these mounts slaves already (mount_namespaces(7)).
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", slave).map_err(Failure::at("mount in the user namespace"))?;
    describe(why)
}

/// Whether mounts are possible as things are.
fn may_mount() -> Result<bool, Failure> {
    let held = rustix::thread::capabilities(None).map_err(Failure::at("read the capabilities"))?;
    Ok(rustix::process::geteuid().is_root() && held.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// The life of the process that stays outside: waits for the move, writes the
/// maps, says why not if that fails (nothing if it worked), ends.
fn stay_behind(wanted: &Wanted, pid: i32, go: &OwnedFd, answer: &OwnedFd) -> ! {
    let mut byte = [0; 1];
    let _ = retry(|| rustix::io::read(go, &mut byte[..]));
    let text = match wanted.write(pid) {
        // Told apart from an early death, which leaves the pipe empty.
        Ok(()) => "+".to_owned(),
        Err(why) => why,
    };
    let _ = retry(|| rustix::io::write(answer, text.as_bytes()));
    exit_now(0)
}

/// The mapper's answer: `None` if the maps are written.
fn hear(answer: &OwnedFd) -> Option<String> {
    let mut text = Vec::new();
    let mut chunk = [0; 1024];
    while let Ok(length) = retry(|| rustix::io::read(answer, &mut chunk[..])) {
        if length == 0 {
            break;
        }
        text.extend_from_slice(chunk.get(..length).unwrap_or_default());
    }
    match text.as_slice() {
        b"+" => None,
        b"" => Some("the process that writes the id maps died".into()),
        why => Some(String::from_utf8_lossy(why).into_owned()),
    }
}

/// `why` there is but one id.
fn describe(why: Option<String>) -> Result<IdMap, Failure> {
    let uids = map::current("uid_map").map_err(Failure::at("read /proc/self/uid_map"))?;
    let gids = map::current("gid_map").map_err(Failure::at("read /proc/self/gid_map"))?;
    let total = |map: &[IdRange]| map.iter().map(|r| u64::from(r.count)).sum::<u64>();
    let kind = if map::is_everything(&uids) {
        IdMapKind::Root
    } else if total(&uids) > 1 && total(&gids) > 1 {
        IdMapKind::Ranges
    } else {
        IdMapKind::Single
    };
    let note = (kind == IdMapKind::Single).then(|| {
        let why = why.unwrap_or_else(|| "of the user namespace that this was started in".to_owned());
        format!(
            "only one user id is available ({why}): a RUN cannot be another user, have supplementary groups or \
             give files away; install newuidmap and newgidmap (package uidmap) and give this user ranges in \
             /etc/subuid and /etc/subgid (`usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER`)"
        )
    });
    Ok(IdMap { kind, uids, gids, note })
}
