//! The build plan: a DAG of operations, image configurations, digests.
//!
//! # Architecture invariants
//!
//! * Plain data: no file system, no network, no syntax, no execution.
//! * Nodes are topologically ordered, ids are dense, inputs point backward.
//! * Identity and description are apart: a node's digest covers its operation
//!   and its inputs, never names, places in a source, or how it is shown.

// No panic is reachable from input; tests may.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::unreachable)
)]

mod canonical;
mod digest;
mod image;
mod op;
mod plan;
mod platform;
mod validate;

pub use digest::{Digest, DigestError, Hasher, NodeDigest};
pub use image::{History, ImageConfig, ImageDocument, RootFs};
pub use op::{
    CacheSharing, Chmod, CopyAction, ExecMount, ExecMountKind, ExecNetwork, ExecOp, ExecSecurity, FileAction, Op,
    Owner, Ulimit, Unpack,
};
pub use plan::{
    Compiler, ContextInput, Instance, InstanceHistory, Node, NodeId, Origin, OriginId, Plan, PlanInputs, PlanSource,
    SecretInput, Target,
};
pub use platform::Platform;
pub use validate::PlanError;
