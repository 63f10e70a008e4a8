//! Dockerfiles: lexers, grammar, syntax tree.
//!
//! ```text
//! source ─ physical lines ─ logical lines ─ tokens ─ grammar ─ tree
//!          physical.rs      logical.rs      lexer/   *.lalrpop tree.rs
//! ```
//!
//! A Dockerfile is a language of lines, so the grammar describes one
//! instruction and [`parse()`] goes from line to line: a mistake costs one line
//! (or less), and time is linear in the length of the text. Where the
//! documentation of Dockerfiles and BuildKit's code disagree, this follows the
//! code.
//!
//! Not here: which flags an instruction has, variables, stages, whether a
//! value makes sense. All that needs meaning is the compiler's.

mod codes;
mod directive;
mod heredoc;
mod keyword;
mod lexer;
mod logical;
mod nodes;
mod parse;
mod physical;
mod text;
mod tree;

lalrpop_util::lalrpop_mod!(
    #[allow(
        clippy::all,
        clippy::pedantic,
        clippy::restriction,
        missing_docs,
        unreachable_pub,
        unused,
        rust_2018_idioms,
        reason = "generated code"
    )]
    instruction,
    "/dockerfile/instruction.rs"
);
lalrpop_util::lalrpop_mod!(
    #[allow(
        clippy::all,
        clippy::pedantic,
        clippy::restriction,
        missing_docs,
        unreachable_pub,
        unused,
        rust_2018_idioms,
        reason = "generated code"
    )]
    json,
    "/dockerfile/json.rs"
);

pub use keyword::KEYWORDS;
pub use parse::{Parsed, parse, parse_instruction};
pub use tree::*;
