//! Operations: what a node does.
//!
//! Every operation is explicit: nothing is inherited when it runs. Numbers in
//! fields named `input` or `from` index the inputs of the node that holds the
//! operation.

use serde::{Deserialize, Serialize};

use crate::{Digest, NodeDigest, Platform, canonical};

fn is_false(b: &bool) -> bool {
    !*b
}

/// What a node does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Op {
    /// The root file system of an image. No inputs.
    Image {
        /// Canonical reference (`docker.io/library/alpine:latest`).
        #[serde(rename = "ref")]
        reference: String,
        /// Digest of the image manifest of `platform`.
        pin: Digest,
        /// The platform that was chosen.
        platform: Platform,
        /// An OCI layout (named context `oci-layout://`) instead of a
        /// registry: the directory, as the caller names it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        layout: Option<String>,
    },
    /// A local build context. No inputs. What is read of it is decided by
    /// the operations that use it.
    Local {
        /// Name of the context in the plan's inputs (`context` is the main one).
        context: String,
        /// Patterns of the ignore file, cleaned, in order (`!` keeps).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        exclude: Vec<String>,
    },
    /// A git checkout. No inputs.
    Git {
        /// Remote URL without fragment or query.
        url: String,
        /// Commit, 40 or 64 hex digits, if known when the plan was made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commit: Option<String>,
        /// Branch, tag or ref as asked for; empty for the default branch.
        #[serde(rename = "ref", default, skip_serializing_if = "String::is_empty")]
        reference: String,
        /// Directory of the repository that becomes the root.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        subdir: String,
        /// Keeps `.git`.
        #[serde(default, skip_serializing_if = "is_false")]
        keep_git_dir: bool,
        /// Commit (or a prefix) that the result must have.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checksum: Option<String>,
    },
    /// One file from a URL, in the root, named as `filename`. No inputs.
    Http {
        /// The URL.
        url: String,
        /// Name of the file.
        filename: String,
        /// Digest that the content must have.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checksum: Option<Digest>,
        /// Permission bits of the file.
        mode: u32,
    },
    /// An empty file system. No inputs.
    Scratch,
    /// A process. `inputs[0]` is its root; others are mounts'.
    Exec(Box<ExecOp>),
    /// File actions on `inputs[0]`, as one layer, in order. Other inputs are
    /// what they take files from.
    File {
        /// The actions.
        actions: Vec<FileAction>,
    },
    /// Inputs laid over each other, the last on top.
    Merge,
    /// What leads from `inputs[0]` to `inputs[1]`.
    Diff,
}

impl Op {
    /// Returns the identity of the operation alone, whatever its inputs are.
    pub fn identity(&self) -> NodeDigest {
        canonical::node_digest(self, &[])
    }
}

/// One action of [`Op::File`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileAction {
    /// Takes files of another tree.
    Copy(Box<CopyAction>),
    /// Makes a directory.
    Mkdir {
        /// Absolute path.
        path: String,
        /// Permission bits of directories made.
        mode: u32,
        /// Owner of directories made; root if none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Owner>,
        /// Makes missing parents, and accepts a directory that is there.
        #[serde(default, skip_serializing_if = "is_false")]
        parents: bool,
    },
    /// Writes a file with the given text (heredocs of COPY).
    Write {
        /// Absolute path; with a final slash, or if it is a directory, the
        /// file goes into it as `name`.
        path: String,
        /// Name of the file if `path` is a directory.
        name: String,
        /// The content.
        data: String,
        /// Permission bits of the file.
        mode: Chmod,
        /// Owner; root if none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Owner>,
    },
    /// Makes a symbolic link.
    Symlink {
        /// What it says.
        target: String,
        /// Absolute path of the link.
        path: String,
    },
    /// Removes a path with all below.
    Remove {
        /// Absolute path.
        path: String,
        /// A missing path is no error.
        #[serde(default, skip_serializing_if = "is_false")]
        allow_missing: bool,
    },
}

/// Grafts selected paths of one tree into another. Semantics are those of
/// BuildKit's `FileActionCopy` with `followSymlink, dirCopyContents,
/// createDestPath, allowWildcard, allowEmptyWildcard`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyAction {
    /// Which input holds the source.
    pub from: usize,
    /// Source path or pattern (Go's `filepath.Match` per component), relative
    /// to the root of the source, confined to it.
    pub source: String,
    /// Absolute destination; a final slash means a directory.
    pub dest: String,
    /// `--exclude`: patterns relative to the source root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// `--parents`: keeps the path (after a `/./` pivot).
    #[serde(default, skip_serializing_if = "is_false")]
    pub parents: bool,
    /// `--link`: the destination's symbolic links are not followed, existing
    /// paths are replaced.
    #[serde(default, skip_serializing_if = "is_false")]
    pub link: bool,
    /// `--chown`; without it a local context's files belong to root and
    /// others keep their owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// `--chmod`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Chmod>,
    /// ADD: archives are extracted.
    #[serde(default, skip_serializing_if = "Unpack::is_never")]
    pub unpack: Unpack,
}

/// Whether an archive is extracted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unpack {
    /// Never: COPY, `ADD --unpack=false`.
    #[default]
    Never,
    /// If its content says that it is one: ADD of a local file.
    Auto,
    /// Must be one: `ADD --unpack=true`.
    Always,
}

impl Unpack {
    fn is_never(&self) -> bool {
        *self == Self::Never
    }
}

/// `user[:group]`, names or numbers, looked up in the destination's
/// `/etc/passwd` and `/etc/group` when the operation runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(pub String);

/// Permission bits: an octal number or a symbolic mode (`u=rwX,go=rX`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chmod {
    /// Exactly these bits (≤ 07777).
    Octal(u32),
    /// A validated symbolic mode.
    Symbolic(String),
}

/// A process in a root file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecOp {
    /// Program and arguments.
    pub args: Vec<String>,
    /// `NAME=value`, complete, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Absolute working directory.
    pub cwd: String,
    /// `user[:group]`; empty is root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Host name; empty means the default.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// `--add-host` entries: name, address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_hosts: Vec<(String, String)>,
    /// Mounts on top of the root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<ExecMount>,
    /// Network.
    #[serde(default, skip_serializing_if = "ExecNetwork::is_default")]
    pub network: ExecNetwork,
    /// Security mode.
    #[serde(default, skip_serializing_if = "ExecSecurity::is_default")]
    pub security: ExecSecurity,
    /// Resource limits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ulimits: Vec<Ulimit>,
    /// Size of `/dev/shm` in bytes; 0 means the default of 64 MiB.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shm_size: u64,
    /// Proxy variables (`NAME=value`): given to the process, never part of
    /// the identity (BuildKit's `ProxyEnv`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proxy_env: Vec<String>,
    /// `--no-cache`, or a filter on the stage: results are stored, not used.
    /// Never part of the identity.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ignore_cache: bool,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A mount of [`ExecOp`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecMount {
    /// Absolute path of the mount point.
    pub target: String,
    /// What is mounted.
    #[serde(flatten)]
    pub kind: ExecMountKind,
}

/// What an [`ExecMount`] mounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ExecMountKind {
    /// A path of another tree.
    Bind {
        /// Which input.
        input: usize,
        /// Path in it; `/` for all.
        source: String,
        /// Writable; what is written is discarded.
        #[serde(default, skip_serializing_if = "is_false")]
        rw: bool,
    },
    /// A directory that lives on between builds.
    Cache {
        /// Its name (namespace prefix included).
        id: String,
        /// What happens when two processes want it.
        sharing: CacheSharing,
        /// Input that holds the initial content.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<usize>,
        /// Path in the input (or in the cache, without input).
        #[serde(default, skip_serializing_if = "String::is_empty")]
        source: String,
        /// Permission bits of a new directory.
        mode: u32,
        /// Owner of a new directory.
        uid: u32,
        /// Group of a new directory.
        gid: u32,
        /// Read-only.
        #[serde(default, skip_serializing_if = "is_false")]
        ro: bool,
    },
    /// A fresh tmpfs.
    Tmpfs {
        /// Bytes; 0 for no limit.
        #[serde(default, skip_serializing_if = "is_zero")]
        size: u64,
    },
    /// A secret, as a file and/or a variable. The value is never part of
    /// anything written.
    Secret {
        /// Its name.
        id: String,
        /// Mounted as a file at the target.
        file: bool,
        /// Name of a variable that gets the value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        env: Option<String>,
        /// Its lack is an error.
        #[serde(default, skip_serializing_if = "is_false")]
        required: bool,
        /// Permission bits of the file.
        mode: u32,
        /// Owner of the file.
        uid: u32,
        /// Group of the file.
        gid: u32,
    },
    /// A forwarded SSH agent socket.
    Ssh {
        /// Its name.
        id: String,
        /// Its lack is an error.
        #[serde(default, skip_serializing_if = "is_false")]
        required: bool,
        /// Permission bits of the socket.
        mode: u32,
        /// Owner of the socket.
        uid: u32,
        /// Group of the socket.
        gid: u32,
    },
}

/// What happens when two processes want one cache mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheSharing {
    /// Both get it.
    Shared,
    /// The second gets one of its own.
    Private,
    /// The second waits.
    Locked,
}

/// Network of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecNetwork {
    /// What the machine gives (the host's network, as rootless BuildKit).
    #[default]
    Default,
    /// Only a loopback device.
    None,
    /// The host's, said explicitly.
    Host,
}

impl ExecNetwork {
    fn is_default(&self) -> bool {
        *self == Self::Default
    }
}

/// Security mode of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecSecurity {
    /// Dropped capabilities, system call filter, masked `/proc`.
    #[default]
    Sandbox,
    /// None of these.
    Insecure,
}

impl ExecSecurity {
    fn is_default(&self) -> bool {
        *self == Self::Sandbox
    }
}

/// A resource limit; `u64::MAX` is unlimited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Name as docker has it (`nofile`).
    pub name: String,
    /// Soft limit.
    pub soft: u64,
    /// Hard limit.
    pub hard: u64,
}
