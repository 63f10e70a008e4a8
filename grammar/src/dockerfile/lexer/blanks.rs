//! Words between blanks, where quotes have no meaning (FROM, COPY, EXPOSE …).
//!
//! The separators are those of BuildKit's `reWhitespace`, ASCII only.

use logos::Logos;
use std::ops::Range;

#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    #[regex(r"[\t\x0b\x0c\r ]+")]
    Blank,
    #[regex(r"[^\t\x0b\x0c\r ]+")]
    Word,
}

/// Returns the words of `text` as ranges that start at `base`.
pub(super) fn words(text: &str, base: usize) -> impl Iterator<Item = Range<usize>> {
    Part::lexer(text).spanned().filter_map(move |(part, range)| match part {
        Ok(Part::Word) => Some(base + range.start..base + range.end),
        _ => None,
    })
}

/// Splits at the first blank: the first word's length, and where the rest
/// starts, if there is a blank at all.
pub(super) fn split_first(text: &str) -> (usize, Option<usize>) {
    let mut lexer = Part::lexer(text);
    match (lexer.next(), lexer.next()) {
        (Some(Ok(Part::Word)), Some(_)) => (lexer.span().start, Some(lexer.span().end)),
        (Some(Ok(Part::Word)), None) => (text.len(), None),
        // A blank first cannot be: arguments are trimmed.
        _ => (0, Some(lexer.span().end)),
    }
}
