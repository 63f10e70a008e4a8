//! Runs a build plan: store, tree operations, sandbox, sources, exports.
//!
//! # Architecture invariants
//!
//! * Knows plans, never syntax: a Dockerfile is nothing to this crate.
//! * Prints nothing: what happens is told as events.
//! * An inode of the store is never writable by a build.

// No panic is reachable from input; tests may.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::unreachable)
)]

pub mod archive;
pub mod config;
pub mod context;
mod deliver;
mod directory;
pub mod event;
pub mod exec;
pub mod export;
pub mod fs;
mod machine;
pub mod schedule;
pub mod source;
pub mod store;

pub use deliver::Delivered;
pub use machine::{Vm, VmOptions};
