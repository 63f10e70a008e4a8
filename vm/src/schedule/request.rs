//! What a build is asked for, and what comes out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rbc_ir::{ImageDocument, NodeId, Plan, Platform};

use crate::event::Observer;
use crate::exec::{CancelToken, ExitStatus};
use crate::fs::{ActionError, PathError, TreeError};
use crate::store::{Snapshot, StoreError};

/// What a plan needs from outside while it runs.
pub struct BuildRequest<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Index of the target in the plan.
    pub target: usize,
    /// Directories of local contexts by name.
    pub contexts: BTreeMap<String, PathBuf>,
    /// Values of secrets by id.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// SSH agent sockets by id.
    pub ssh: BTreeMap<String, PathBuf>,
    /// How many processes may run at the same time; 0 for a default.
    pub jobs: usize,
    /// `SOURCE_DATE_EPOCH`: creation times in the image.
    pub source_date_epoch: Option<i64>,
    /// Set to stop the build: running processes are killed, finished work
    /// stays in the cache.
    pub cancel: CancelToken,
    /// Gets events.
    pub observer: &'a dyn Observer,
}

/// The result of a build, for each platform.
#[derive(Debug, Clone)]
pub struct Built {
    /// One per platform, in the plan's order.
    pub instances: Vec<BuiltInstance>,
}

/// The result for one platform.
#[derive(Debug, Clone)]
pub struct BuiltInstance {
    /// The platform.
    pub platform: Platform,
    /// Root file system and layers.
    pub snapshot: Snapshot,
    /// The image's configuration document; `rootfs.diff_ids` is filled in by
    /// an export, which alone knows the archives.
    pub document: ImageDocument,
}

/// A failed build.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct BuildError {
    /// The node at fault.
    pub node: Option<NodeId>,
    /// Why. Boxed: it is large, and results are passed through many hands.
    pub kind: Box<BuildErrorKind>,
}

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildErrorKind {
    /// A process failed.
    #[error("process {command:?} did not complete successfully: {}", describe(status))]
    Exit {
        /// The command, as in the plan.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its output.
        tail: Vec<u8>,
        /// How long it ran.
        took: Duration,
    },
    /// A file action failed.
    #[error(transparent)]
    Action(#[from] ActionError),
    /// The user of a process is not in the root's `/etc/passwd`.
    #[error(transparent)]
    User(#[from] crate::fs::owner::OwnerError),
    /// A path in a tree cannot be walked.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A tree is missing or damaged.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An image could not be had.
    #[error(transparent)]
    Image(#[from] crate::source::error::ImageError),
    /// A file cannot be fetched.
    #[error(transparent)]
    Http(#[from] crate::source::http::HttpError),
    /// A repository cannot be fetched.
    #[error(transparent)]
    Git(#[from] crate::source::git::GitError),
    /// A layer of an image is no sound archive.
    #[error("layer {layer} of {image}: {why}")]
    Layer {
        /// The image.
        image: String,
        /// The layer.
        layer: String,
        /// What is wrong.
        why: String,
    },
    /// The build context cannot be read.
    #[error(transparent)]
    Context(#[from] crate::context::ContextError),
    /// A mount cannot be made.
    #[error("mount {target}: {why}")]
    Mount {
        /// Where.
        target: String,
        /// Why not.
        why: String,
    },
    /// The sandbox could not be made.
    #[error(transparent)]
    Sandbox(#[from] crate::exec::ExecError),
    /// A required secret or agent was not given.
    #[error("{what} {id}: not found")]
    MissingSecret {
        /// `secret` or `ssh agent`.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// The request was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The plan asks for something that this machine or version cannot do.
    #[error("{0}")]
    Unsupported(String),
}

fn describe(status: &ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("exit code: {code}"),
        ExitStatus::Signal(signal) => format!("killed by signal {signal}"),
    }
}
