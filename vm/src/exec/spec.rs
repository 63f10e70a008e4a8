//! What one RUN needs, as plain data: the contract between the scheduler,
//! which decides, and the spawner, which does.
//!
//! Everything that could fail for want of a file, a name or a permission is
//! resolved before: the spec holds host paths that exist and numeric ids.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One sandboxed process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SandboxSpec {
    /// Overlay lower directories, topmost first. Never empty.
    pub lowers: Vec<PathBuf>,
    /// Overlay upper directory (empty, on the same file system as `work`).
    pub upper: PathBuf,
    /// Overlay work directory.
    pub work: PathBuf,
    /// An empty directory that becomes the root's mount point.
    pub root: PathBuf,
    /// Mounts on top of the root, in this order. Targets exist in the lowers.
    pub mounts: Vec<SandboxMount>,
    /// Program and arguments. The program is looked up in the PATH of `env`
    /// inside the root if it has no slash.
    pub args: Vec<Vec<u8>>,
    /// `NAME=value` strings; the whole environment.
    pub env: Vec<Vec<u8>>,
    /// Absolute path inside the root; exists.
    pub cwd: PathBuf,
    /// Process ids.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups (with the primary one).
    pub groups: Vec<u32>,
    /// Host name (UTS namespace).
    pub hostname: String,
    /// Network.
    pub network: Network,
    /// `--security=insecure`: all capabilities, no seccomp, nothing masked.
    pub insecure: bool,
    /// Size of `/dev/shm` in bytes; docker's default is 64 MiB.
    pub shm_size: u64,
    /// Resource limits: `setrlimit` names in lower case without `RLIMIT_`
    /// (`nofile`), soft, hard; `u64::MAX` is unlimited.
    pub ulimits: Vec<(String, u64, u64)>,
}

/// Network of a RUN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// The host's network namespace.
    Host,
    /// A new network namespace with nothing but `lo` (up).
    None,
}

/// A mount on top of the root.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SandboxMount {
    /// Absolute path inside the root, already free of symlinks.
    pub target: PathBuf,
    /// What stands there.
    pub source: SandboxSource,
    /// Mounted read-only.
    pub readonly: bool,
}

/// Where a mount's content comes from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum SandboxSource {
    /// A host file or directory (cache mounts, `/etc/hosts`, secrets' files).
    Bind(PathBuf),
    /// A read-only view of a stack of directories, or a writable one whose
    /// writes are discarded (`upper`/`work` given). `subdir` selects a path
    /// below the merged root (free of symlinks, empty for the root itself);
    /// it may name a file.
    Overlay {
        /// Lower directories, topmost first.
        lowers: Vec<PathBuf>,
        /// Upper and work directory for a writable view.
        upper: Option<(PathBuf, PathBuf)>,
        /// Path below the merged root.
        subdir: PathBuf,
    },
    /// A fresh tmpfs.
    Tmpfs {
        /// Bytes; unlimited if `None`.
        size: Option<u64>,
        /// Permission bits of its root.
        mode: u32,
    },
    /// A file with this content on a tmpfs of its own (secrets): it never
    /// reaches a disk.
    Secret {
        /// The bytes.
        data: Vec<u8>,
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

/// How the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitStatus {
    /// Ended by itself with this code.
    Code(i32),
    /// Killed by this signal.
    Signal(i32),
}
