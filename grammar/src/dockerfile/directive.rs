//! Parser directives: `# key=value` at the very top of the file.
//!
//! BuildKit's rule is `^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$` with one
//! of three keys. The first line of another form ends the directives: a later
//! one is a plain comment.

use super::codes;
use super::physical::{Lines, PhysicalLine, span};
use super::tree::Directive;
use crate::SyntaxError;

const KEYS: &[&str] = &["syntax", "escape", "check"];

/// The directives of a file.
#[derive(Debug, Default)]
pub(super) struct Directives {
    pub(super) found: Vec<Directive>,
    /// The escape character, if one is set (and valid).
    pub(super) escape: Option<char>,
    pub(super) errors: Vec<SyntaxError>,
}

impl Directives {
    /// Reads the directives and leaves `lines` at the first other line.
    pub(super) fn read(lines: &mut Lines<'_>) -> Self {
        let mut directives = Self::default();
        loop {
            let mut ahead = *lines;
            let Some(directive) = ahead.next().and_then(|line| directive(&ahead, line)) else {
                return directives;
            };
            *lines = ahead;
            directives.add(directive);
        }
    }

    fn add(&mut self, directive: Directive) {
        if self.found.iter().any(|other| other.key == directive.key) {
            self.errors.push(codes::duplicate_directive(&directive.key, directive.span));
        } else if directive.key == "escape" {
            match directive.value.as_str() {
                "\\" => self.escape = Some('\\'),
                "`" => self.escape = Some('`'),
                other => self.errors.push(codes::invalid_escape(other, directive.value_span)),
            }
        }
        self.found.push(directive);
    }
}

fn directive(lines: &Lines<'_>, line: PhysicalLine) -> Option<Directive> {
    let text = lines.text(line).trim_start();
    let start = line.end - text.len();
    let (key, value) = text.strip_prefix('#')?.split_once('=')?;
    let key = key.trim_matches(blank).to_ascii_lowercase();
    if !KEYS.contains(&key.as_str()) {
        return None;
    }
    let value = value.trim_start_matches(blank);
    let value_start = line.end - value.len();
    let value = value.trim_end_matches(blank);
    if value.is_empty() {
        return None;
    }
    Some(Directive {
        span: span(start, line.end),
        key,
        value: value.to_owned(),
        value_span: span(value_start, value_start + value.len()),
    })
}

/// Go's `\s`.
fn blank(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\x0c' | '\r' | ' ')
}
