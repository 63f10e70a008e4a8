//! Sources to diagnostics and the build plan.
//!
//! ```text
//! text ─ parse ─ program ─ outline ─ lowering ─ plan
//!           │     (no spans)                     │
//!           └──────────── spans ─────────────────┘
//! ```
//!
//! Each arrow is a memoised query of a salsa database (`db.rs`). Everything
//! between `program` and `lowering` is free of places in the text; they are
//! joined at the end, so a comment or a blank line costs a parse and nothing
//! else.
//!
//! # Architecture invariants
//!
//! * Pure: files and registries are reached through [`Inputs`] only.
//! * No terminal: diagnostics are data, [`render()`] makes text of them.
//! * A plan comes out whole or not at all, and equal inputs give equal plans.

// No panic is reachable from input; tests may.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::unreachable)
)]

mod codes;
mod compile;
mod db;
mod diagnostic;
mod emit;
mod expand;
mod flags;
mod go;
mod health;
mod hir;
mod ignore;
mod inputs;
mod lower;
mod mount;
mod names;
mod options;
mod render;
mod stages;
mod units;

pub use codes::{ALL as ALL_CODES, Code};
pub use compile::{Compiled, Session, compile};
pub use diagnostic::{Diagnostic, FaultKind, Label, Severity, SourceText};
pub use inputs::{ImageMeta, InputError, InputErrorKind, Inputs};
pub use options::{BuildOptions, NoCache};
pub use render::render;
pub use units::parse_size;
