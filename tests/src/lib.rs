//! What the end-to-end tests stand on: a real registry with images of known
//! content, the `rbc` program with a home of its own, readers of what it
//! writes.

pub mod fixtures;
mod http;
pub mod image;
pub mod probe;
pub mod rbc;
pub mod registry;
pub mod result;
pub mod store;
pub mod tree;
pub mod watch;
