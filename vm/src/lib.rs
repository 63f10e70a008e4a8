//! Runs a build plan: store, tree operations, sandbox, sources, exports.
//!
//! # Architecture invariants
//!
//! * Knows plans, never syntax: a Dockerfile is nothing to this crate.
//! * Prints nothing: what happens is told as events.
//! * An inode of the store is never writable by a build.

pub mod archive;
pub mod export;
pub mod fs;
