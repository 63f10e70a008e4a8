//! Text to syntax trees: Dockerfiles (and, later, the native `.rbc` language).
//!
//! # Architecture invariants
//!
//! * No file system, no network, no semantics: `&str` in, tree out.
//! * Parsing never fails: the result is a tree and a list of [`SyntaxError`]s,
//!   several per run, and the tree covers what could be understood.
//! * Every node knows its place in the source.

// No panic is reachable from input; tests may.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::unreachable)
)]

pub mod dockerfile;
mod span;
mod suggest;

pub use span::Span;
pub use suggest::suggest;

/// A mistake in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Stable code, `D0001` and up for Dockerfiles (docs list them all).
    pub code: &'static str,
    /// Where.
    pub span: Span,
    /// What is wrong, with the value involved. Lower case, no full stop.
    pub message: String,
    /// How to mend it, if that is known.
    pub help: Option<String>,
}
