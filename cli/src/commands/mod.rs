//! The subcommands, one module each.

pub(crate) mod build;
pub(crate) mod cache;
pub(crate) mod compile;
