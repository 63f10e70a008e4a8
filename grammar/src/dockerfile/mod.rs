//! Dockerfiles: lexer, grammar, syntax tree.

mod tree;

pub use tree::*;
