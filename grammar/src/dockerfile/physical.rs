//! Physical lines: what stands between two line feeds.
//!
//! Line ends are LF or CR LF. As in BuildKit (`trimNewline`) every CR directly
//! before the end is part of the line end; a CR elsewhere is white space.

use crate::Span;

/// The longest line in bytes, without its line feed.
///
/// BuildKit reads with Go's `bufio.Scanner`, whose buffer of 65,536 bytes must
/// hold the line and its line feed.
pub(super) const MAX_LINE: usize = 65_535;

/// One physical line, as offsets into the source.
#[derive(Clone, Copy, Debug)]
pub(super) struct PhysicalLine {
    pub(super) start: usize,
    /// End without the line end.
    pub(super) end: usize,
    /// Where the next line starts.
    pub(super) next: usize,
}

impl PhysicalLine {
    pub(super) fn span(self) -> Span {
        span(self.start, self.end)
    }
}

/// Walks the lines. A copy is a place to come back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines<'s> {
    source: &'s str,
    position: usize,
}

impl<'s> Lines<'s> {
    /// Starts behind a byte order mark, if there is one.
    pub(super) fn new(source: &'s str) -> Self {
        let position = if source.starts_with('\u{feff}') { 3 } else { 0 };
        Self { source, position }
    }

    pub(super) fn text(&self, line: PhysicalLine) -> &'s str {
        self.source.get(line.start..line.end).unwrap_or_default()
    }

    pub(super) fn source(&self) -> &'s str {
        self.source
    }

    pub(super) fn here(&self) -> usize {
        self.position
    }
}

impl Iterator for Lines<'_> {
    type Item = PhysicalLine;

    fn next(&mut self) -> Option<PhysicalLine> {
        let start = self.position;
        let rest = self.source.get(start..).filter(|rest| !rest.is_empty())?;
        let (line, length) = match rest.find('\n') {
            Some(at) => (&rest[..at], at + 1),
            None => (rest, rest.len()),
        };
        self.position = start + length;
        Some(PhysicalLine { start, end: start + line.trim_end_matches('\r').len(), next: self.position })
    }
}

/// A span from offsets that [`super::parse()`] has checked to fit.
pub(super) fn span(start: usize, end: usize) -> Span {
    let fit = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
    Span::new(fit(start), fit(end))
}

/// Returns the lines that are longer than BuildKit reads.
pub(super) fn too_long(source: &str) -> impl Iterator<Item = PhysicalLine> {
    Lines::new(source).filter(|line| line.next - line.start - feed(source, *line) > MAX_LINE)
}

/// The length of the line feed that ends a line: the last line may have none.
pub(super) fn feed(source: &str, line: PhysicalLine) -> usize {
    let last = line.next.checked_sub(1).and_then(|at| source.as_bytes().get(at));
    usize::from(last == Some(&b'\n'))
}
