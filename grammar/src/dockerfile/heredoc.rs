//! Bodies of here-documents.
//!
//! The lines after an instruction, up to one that holds the delimiter and
//! nothing else, as they are: no continuation, no comment. The line ends of
//! the body are kept as well, CR LF included, as BuildKit does it.

use super::codes;
use super::lexer::Opener;
use super::logical::LogicalLine;
use super::physical::{Lines, span};
use super::tree::Heredoc;
use crate::SyntaxError;

/// Reads the body of one heredoc; an error if the file ends first.
pub(super) fn read(lines: &mut Lines<'_>, line: &LogicalLine<'_>, opener: Opener) -> (Heredoc, Option<SyntaxError>) {
    let Opener { range, name, fd, expand, strip_tabs } = opener;
    let start = lines.here();
    let source = lines.source();
    let mut end = start;
    let mut terminator = None;
    let mut indented = false;
    while let Some(next) = lines.next() {
        let text = lines.text(next);
        let text = if strip_tabs { text.trim_start_matches('\t') } else { text };
        if text == name {
            terminator = Some(next.span());
            break;
        }
        indented |= text.trim() == name;
        end = next.next;
    }
    let raw = source.get(start..end).unwrap_or_default();
    let body = if strip_tabs {
        raw.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    } else {
        raw.to_owned()
    };
    let opener = line.span(range);
    let error = terminator.is_none().then(|| codes::unterminated_heredoc(&name, indented, opener));
    let heredoc = Heredoc {
        opener,
        name,
        fd,
        expand,
        strip_tabs,
        body,
        body_span: span(start, end),
        terminator: terminator.unwrap_or(span(end, end)),
    };
    (heredoc, error)
}
