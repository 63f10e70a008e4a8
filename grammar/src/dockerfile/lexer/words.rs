//! Words with quotes and escapes (ENV, LABEL, ARG).
//!
//! A word ends at white space that is neither quoted nor escaped. Quotes and
//! escapes stay in the word: taking them off is the business of expansion.
//! As in BuildKit's `parseWords` an open quote runs to the end of the line, an
//! escape character at the very end is dropped, and inside single quotes
//! nothing is escaped.

use logos::{Lexer, Logos};
use std::ops::Range;

#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    // One at a time, so that an escape can take a single one.
    #[regex(r"\s")]
    Blank,
    #[token("'")]
    Single,
    #[token("\"")]
    Double,
    #[token("\\")]
    Backslash,
    #[token("`")]
    Backtick,
    #[regex(r#"[^\s'"\\`]+"#)]
    Plain,
}

/// Which quotes an escape works in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum InSingleQuotes {
    Literal,
    Escapes,
}

/// Reads words one by one.
pub(super) struct Words<'t> {
    lexer: Lexer<'t, Piece>,
    escape: Piece,
    single: InSingleQuotes,
    base: usize,
}

impl<'t> Words<'t> {
    /// Reads `text`; the ranges start at `base`.
    pub(super) fn new(text: &'t str, base: usize, escape: char, single: InSingleQuotes) -> Self {
        let escape = if escape == '`' { Piece::Backtick } else { Piece::Backslash };
        Self { lexer: Piece::lexer(text), escape, single, base }
    }
}

impl Iterator for Words<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let mut start = None;
        let mut end = 0;
        let mut quote = None;
        while let Some(piece) = self.lexer.next() {
            let piece = piece.unwrap_or(Piece::Plain);
            let at = self.lexer.span();
            if piece == Piece::Blank && quote.is_none() {
                match start {
                    Some(start) => return Some(self.base + start..self.base + at.start),
                    None => continue,
                }
            }
            let word = *start.get_or_insert(at.start);
            let literal = quote == Some(Piece::Single) && self.single == InSingleQuotes::Literal;
            if piece == self.escape && !literal {
                match self.lexer.remainder().chars().next() {
                    Some(escaped) => self.lexer.bump(escaped.len_utf8()),
                    None if word == at.start => return None,
                    None => return Some(self.base + word..self.base + at.start),
                }
            } else if quote == Some(piece) {
                quote = None;
            } else if quote.is_none() && matches!(piece, Piece::Single | Piece::Double) {
                quote = Some(piece);
            }
            end = self.lexer.span().end;
        }
        start.map(|start| self.base + start..self.base + end)
    }
}

#[cfg(test)]
mod tests {
    use super::{InSingleQuotes, Words};

    #[track_caller]
    fn check(text: &str, escape: char, expected: &[&str]) {
        let words: Vec<&str> = Words::new(text, 0, escape, InSingleQuotes::Literal).map(|range| &text[range]).collect();
        assert_eq!(words, expected);
    }

    #[test]
    fn quotes_and_escapes_hold_words_together() {
        check(r#"a="b c" d\ e 'f g'h"#, '\\', &[r#"a="b c""#, r"d\ e", "'f g'h"]);
        check(r#""a\" b" c"#, '\\', &[r#""a\" b""#, "c"]);
        check(r"'a\' b", '\\', &[r"'a\'", "b"]);
        check(r"a\  b", '\\', &[r"a\ ", "b"]);
        check("p=c:\\dir\\ x` y", '`', &["p=c:\\dir\\", "x` y"]);
    }

    #[test]
    fn an_open_quote_runs_to_the_end() {
        check("a 'b c", '\\', &["a", "'b c"]);
    }

    #[test]
    fn an_escape_at_the_end_is_dropped() {
        check(r"a b\", '\\', &["a", "b"]);
        check(r"\", '\\', &[]);
        check("a  \\", '\\', &["a"]);
        check("'", '\\', &["'"]);
    }

    #[test]
    fn any_unicode_blank_separates() {
        check("a\u{a0}b\u{3000}c", '\\', &["a", "b", "c"]);
    }
}
