//! Tests against a real registry and against servers that misbehave on purpose.

mod auth;
mod fixture;
mod real;
mod resolve;
pub(crate) mod server;
mod transfer;
