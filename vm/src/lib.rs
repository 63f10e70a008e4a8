//! Placeholder.

pub mod config;
pub mod source;
