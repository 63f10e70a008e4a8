//! What comes out of the compiler.

mod plan;

pub(crate) use plan::plan;
