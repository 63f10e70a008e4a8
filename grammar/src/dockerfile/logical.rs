//! Logical lines: physical lines joined at continuations.
//!
//! Rules (BuildKit `frontend/dockerfile/parser/parser.go`):
//!
//! * A line goes on if it ends in the escape character, blanks and tabs
//!   allowed behind it, and no second escape character stands before it.
//! * White space is dropped at the start of the first line only. Pieces are
//!   joined with nothing in between.
//! * Comment lines and blank lines between the pieces are skipped; they do not
//!   end the instruction.
//! * A continuation at the end of the file is accepted.

use std::borrow::Cow;
use std::ops::Range;

use super::physical::{Lines, PhysicalLine, span};
use super::tree::Text;
use crate::Span;

/// A logical line and the way back to the source.
#[derive(Debug)]
pub(super) struct LogicalLine<'s> {
    /// Borrowed if there was nothing to join. Trimmed at the end.
    text: Cow<'s, str>,
    /// Source offset of the first byte.
    start: u32,
    /// `(logical, source)` for every later piece, ascending.
    joins: Vec<(u32, u32)>,
    pub(super) comments: Vec<Span>,
    pub(super) blanks: Vec<Span>,
}

impl<'s> LogicalLine<'s> {
    /// Joins `first` with the lines that continue it.
    pub(super) fn assemble(lines: &mut Lines<'s>, first: PhysicalLine, escape: char) -> Self {
        let whole = lines.text(first);
        let text = whole.trim_start();
        let start = first.end - text.len();
        let mut line = Self {
            text: Cow::Borrowed(text),
            start: offset(start),
            joins: Vec::new(),
            comments: Vec::new(),
            blanks: Vec::new(),
        };
        if let Some(piece) = continued(text, escape) {
            line.join_rest(lines, piece, escape);
        }
        let trimmed = line.text.trim_end().len();
        match &mut line.text {
            Cow::Borrowed(text) => *text = text.get(..trimmed).unwrap_or_default(),
            Cow::Owned(text) => text.truncate(trimmed),
        }
        line
    }

    fn join_rest(&mut self, lines: &mut Lines<'s>, first: &str, escape: char) {
        let mut joined = String::from(first);
        while let Some(next) = lines.next() {
            let text = lines.text(next);
            let trimmed = text.trim_start();
            if trimmed.is_empty() {
                self.blanks.push(next.span());
                continue;
            }
            if trimmed.starts_with('#') {
                self.comments.push(span(next.end - trimmed.len(), next.end));
                continue;
            }
            let (piece, last) = match continued(text, escape) {
                Some(piece) => (piece, false),
                None => (text, true),
            };
            if joined.is_empty() {
                self.start = offset(next.start);
            } else if !piece.is_empty() {
                self.joins.push((offset(joined.len()), offset(next.start)));
            }
            joined.push_str(piece);
            if last {
                break;
            }
        }
        // White space in front of the keyword when the first piece was empty.
        let lead = joined.len() - joined.trim_start().len();
        if lead > 0 {
            let lead_source = self.offset(lead);
            joined.drain(..lead);
            let lead = offset(lead);
            self.joins.retain(|&(logical, _)| logical > lead);
            for join in &mut self.joins {
                join.0 -= lead;
            }
            self.start = lead_source;
        }
        self.text = Cow::Owned(joined);
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Returns the logical text of a range; nothing if it is out of bounds.
    pub(super) fn slice(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default()
    }

    fn offset(&self, logical: usize) -> u32 {
        let logical = offset(logical);
        let after = self.joins.partition_point(|&(start, _)| start <= logical);
        match after.checked_sub(1).and_then(|i| self.joins.get(i)) {
            Some(&(start, source)) => source + (logical - start),
            None => self.start + logical,
        }
    }

    /// Returns the source span of a logical range.
    pub(super) fn span(&self, range: Range<usize>) -> Span {
        if range.is_empty() {
            // An empty range at the end belongs behind the last byte: behind a
            // join there may be nothing at all.
            let at = match range.start.checked_sub(1) {
                Some(last) if range.start >= self.text.len() => self.offset(last) + 1,
                _ => self.offset(range.start),
            };
            return Span::new(at, at);
        }
        Span::new(self.offset(range.start), self.offset(range.end - 1) + 1)
    }

    /// Returns a range as a text of the tree.
    pub(super) fn text(&self, range: Range<usize>) -> Text {
        let mut text = Text { span: self.span(range.clone()), ..Text::default() };
        self.append(range, &mut text);
        if text.map.is_empty() {
            text.map.push((0, text.span.start));
        }
        text
    }

    /// Appends a range to a text, with its map; the span is left alone.
    pub(super) fn append(&self, range: Range<usize>, text: &mut Text) {
        if range.is_empty() {
            return;
        }
        let base = offset(text.text.len());
        let start = offset(range.start);
        let end = offset(range.end);
        text.map.push((base, self.offset(range.start)));
        let from = self.joins.partition_point(|&(logical, _)| logical <= start);
        for &(logical, source) in self.joins.iter().skip(from) {
            if logical >= end {
                break;
            }
            text.map.push((base + (logical - start), source));
        }
        text.text.push_str(self.slice(range));
    }

    /// Appends the character that an escape sequence at `range` stands for.
    pub(super) fn append_decoded(&self, range: Range<usize>, decoded: char, text: &mut Text) {
        text.map.push((offset(text.text.len()), self.offset(range.start)));
        text.text.push(decoded);
    }
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Returns the line without its continuation mark, if it has one.
///
/// BuildKit: `([^\\])\\[ \t]*$|^\\[ \t]*$`.
fn continued(line: &str, escape: char) -> Option<&str> {
    let piece = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!piece.ends_with(escape)).then_some(piece)
}
