//! The lexers, one per mode.
//!
//! What a byte means in a Dockerfile depends on where it stands: a quote
//! groups in `ENV`, is a plain letter in `COPY` and belongs to the shell in
//! `RUN`. So there is no single lexer; [`tokens`] reads keyword and flags and
//! then hands the arguments to the mode that the instruction asks for.

mod blanks;
mod flags;
mod json;
mod shell;
mod token;
mod words;

pub(super) use json::{JsonToken, NotJson};
pub(super) use shell::{Opener, openers};
pub(super) use token::{Lexed, Token, tokens};
