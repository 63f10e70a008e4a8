//! Tests against a real registry and against servers that misbehave on purpose.

mod auth;
mod fixture;
mod real;
mod resolve;
mod server;
mod transfer;
