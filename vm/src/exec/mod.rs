//! Runs one process of a build in a sandbox: namespaces, an overlay root,
//! docker's default devices, capabilities and system call filter.
//!
//! ```text
//! Spawner (threads of rbc) --SCM_RIGHTS--> helper (one thread) --clone3--> pid 1 of a sandbox
//! ```
//!
//! The helper is this program executed again ([`helper_main`]): it has one
//! thread, so that what runs between clone and exec may be ordinary code, and
//! none of the writable descriptors of the parent, which a sandbox would
//! inherit for a moment and so make an exec of a file being written fail
//! with ETXTBSY.
//!
//! Lifetime: the control socket is the leash. When rbc ends, however it ends,
//! the helper sees the socket close, kills every sandbox and leaves; when the
//! helper is killed, the kernel kills each sandbox's pid 1 (parent death
//! signal) and with it the PID namespace.
//!
//! Deliberately not here: what to mount and which ids to use (the caller
//! decides and says so in a [`SandboxSpec`]), cgroup limits, capture of the
//! upper directory.

mod cancel;
mod child;
mod error;
mod helper;
mod mounts;
mod overlay;
mod privileges;
mod program;
mod rootfs;
mod seccomp;
mod spawner;
mod spec;
mod stubs;
mod sys;
pub mod userns;
mod wire;

pub use crate::event::Stream;
pub use cancel::CancelToken;
pub use error::ExecError;
pub use helper::{HELPER_ARG, helper_main};
pub use spawner::Spawner;
pub use spec::{ExitStatus, Network, SandboxMount, SandboxSource, SandboxSpec};
pub use wire::Degraded;
