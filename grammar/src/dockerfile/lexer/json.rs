//! JSON tokens of the exec form.
//!
//! The rules are those of RFC 8259 as Go's `encoding/json` applies them: four
//! blanks, no control characters in strings, and an unpaired surrogate escape
//! stands for U+FFFD.

use logos::Logos;
use std::ops::Range;

use super::super::logical::LogicalLine;
use super::super::tree::Text;

#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq)]
#[logos(skip r"[ \t\r\n]+", error = NotJson)]
pub(in crate::dockerfile) enum JsonToken {
    #[token("[")]
    Open,
    #[token("]")]
    Close,
    #[token("{")]
    OpenObject,
    #[token("}")]
    CloseObject,
    #[token(",")]
    Comma,
    #[token(":")]
    Colon,
    #[regex(r#""([^"\\\x00-\x1f]|\\(["\\/bfnrt]|u[0-9a-fA-F]{4}))*""#)]
    String,
    #[regex(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")]
    #[token("true")]
    #[token("false")]
    #[token("null")]
    Scalar,
}

/// The text is no JSON; the instruction takes it as plain text then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::dockerfile) struct NotJson;

/// The tokens as LALRPOP takes them.
pub(super) fn tokens(text: &str, base: usize) -> impl Iterator<Item = Result<(usize, JsonToken, usize), NotJson>> {
    JsonToken::lexer(text).spanned().map(move |(token, range)| Ok((base + range.start, token?, base + range.end)))
}

/// Decodes the string token at `range` (quotes included).
pub(super) fn decode(line: &LogicalLine<'_>, range: Range<usize>) -> Text {
    let inner = range.start + 1..range.end.saturating_sub(1).max(range.start + 1);
    let raw = line.slice(inner.clone());
    if !raw.contains('\\') {
        return line.text(inner);
    }
    let mut text = Text { span: line.span(inner.clone()), ..Text::default() };
    let mut at = 0;
    while let Some(found) = raw.get(at..).and_then(|rest| rest.find('\\')) {
        let escape = at + found;
        line.append(inner.start + at..inner.start + escape, &mut text);
        let (decoded, length) = unescape(raw.get(escape..).unwrap_or_default());
        let start = inner.start + escape;
        line.append_decoded(start..start + length, decoded, &mut text);
        at = escape + length;
    }
    line.append(inner.start + at..inner.end, &mut text);
    text
}

/// Reads one escape sequence; returns it with its length in bytes.
fn unescape(text: &str) -> (char, usize) {
    let plain = match text.as_bytes().get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unescape_unicode(text),
        Some(&other) => char::from(other),
        None => char::REPLACEMENT_CHARACTER,
    };
    (plain, text.len().min(2))
}

fn unescape_unicode(text: &str) -> (char, usize) {
    let unit = |at: usize| {
        let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let first = unit(0).unwrap_or(0xfffd);
    if let Some(decoded) = char::from_u32(first) {
        return (decoded, text.len().min(6));
    }
    let pair = unit(6)
        .filter(|low| (0xdc00..0xe000).contains(low) && (0xd800..0xdc00).contains(&first))
        .and_then(|low| char::from_u32(0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00)));
    match pair {
        Some(decoded) => (decoded, 12),
        None => (char::REPLACEMENT_CHARACTER, text.len().min(6)),
    }
}
