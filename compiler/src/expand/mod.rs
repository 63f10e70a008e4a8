//! Expansion of variables in a Dockerfile's words.
//!
//! Purpose: what BuildKit's `frontend/dockerfile/shell` does, quirks included:
//! `$v ${v} ${v:-w} ${v-w} ${v:+w} ${v+w} ${v:?m} ${v?m} ${v#p} ${v##p} ${v%p}
//! ${v%%p} ${v/p/r} ${v//p/r}`, quotes, and the escape character.
//!
//! Three forms of one walk: [`word`] gives one string, [`words()`] also splits
//! unquoted blanks, [`raw`] leaves quotes alone (heredoc bodies). Each tells
//! which variables were used and which of them are not defined.
//!
//! Does not know where the text stands: errors carry byte offsets into it.

mod pattern;
mod walk;
mod words;

use std::collections::BTreeSet;

pub(crate) use pattern::PatternError;

/// Where values come from.
pub(crate) trait Env {
    /// Returns the value of a variable, `None` if it is not defined.
    fn value(&self, name: &str) -> Option<&str>;
}

impl<F: Fn(&str) -> Option<&'static str>> Env for F {
    fn value(&self, name: &str) -> Option<&str> {
        self(name)
    }
}

impl Env for indexmap::IndexMap<String, String> {
    fn value(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

/// The result of an expansion.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Expanded {
    /// The whole text.
    pub text: String,
    /// The text cut at unquoted blanks, also at those that came from variables.
    pub words: Vec<String>,
    /// Variables that were asked for and have a value.
    pub used: BTreeSet<String>,
    /// Variables that were asked for and have none.
    pub missing: BTreeSet<String>,
}

/// A mistake in a word; offsets are bytes of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub(crate) struct ExpandError {
    /// First byte of what is wrong.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// What is wrong.
    pub kind: ExpandErrorKind,
}

/// What is wrong with a word. Texts as BuildKit's, which people search for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExpandErrorKind {
    /// A quote without its partner.
    #[error("unexpected end of statement while looking for matching {0}")]
    Quote(&'static str),
    /// `${` without `}`.
    #[error("syntax error: missing '}}'")]
    Brace,
    /// `${v/p` without the second slash.
    #[error("syntax error: missing '/' in ${{}}")]
    Slash,
    /// `${}`, `${:`, `${{`.
    #[error("syntax error: bad substitution")]
    Substitution,
    /// A modifier that does not exist.
    #[error("unsupported modifier ({0}) in substitution")]
    Modifier(String),
    /// `${v:?message}` of a variable without (usable) value.
    #[error("{name}: {message}")]
    Required {
        /// The variable.
        name: String,
        /// The text behind `?`, or what is wrong.
        message: String,
    },
    /// A pattern with a bad escape.
    #[error("invalid pattern ({pattern}) in substitution: {error}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        error: PatternError,
    },
}

/// Expands a text to one string: quotes are removed, blanks kept.
///
/// # Errors
///
/// If the text is not well-formed, or a required variable is missing.
pub(crate) fn word(text: &str, escape: char, env: &dyn Env) -> Result<Expanded, ExpandError> {
    walk::Walk::new(text, escape, true, env).run()
}

/// Expands a text to words. The same walk as [`word`]; a name of its own, so
/// that calls say which part of the result they are after.
///
/// # Errors
///
/// As [`word`].
pub(crate) fn words(text: &str, escape: char, env: &dyn Env) -> Result<Vec<String>, ExpandError> {
    word(text, escape, env).map(|e| e.words)
}

/// Expands a heredoc body: quotes are plain characters, the escape character
/// is always `\` (BuildKit: `dispatchCopy` with `SkipProcessQuotes`).
///
/// # Errors
///
/// As [`word`].
pub(crate) fn raw(text: &str, env: &dyn Env) -> Result<Expanded, ExpandError> {
    // The common body has nothing to expand.
    if !text.contains(['$', '\\']) {
        return Ok(Expanded { text: text.to_owned(), ..Expanded::default() });
    }
    walk::Walk::new(text, '\\', false, env).run()
}

#[cfg(test)]
mod tests;
