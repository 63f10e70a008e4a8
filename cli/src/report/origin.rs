//! From a plan's places (lines and columns) to places in a text at hand.

use rbc_compiler::{Label, SourceText};
use rbc_grammar::Span;
use rbc_ir::{OriginId, Plan};

/// Where a node comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A range of a text that can be shown.
    Shown(Label),
    /// `FILE:LINE`: the text is not there.
    Named(String),
}

/// Finds the place of an origin.
pub(crate) fn find(plan: &Plan, origin: OriginId, sources: &[SourceText]) -> Option<Place> {
    let origin = plan.origins.get(origin)?;
    let named = || {
        let path = plan.sources.iter().find(|s| s.id == origin.source).map(|s| s.path.as_str())?;
        Some(Place::Named(format!("{path}:{}", origin.start.0)))
    };
    let text = sources.get(origin.source).map(|s| &*s.text).filter(|t| !t.is_empty());
    let Some(text) = text else { return named() };
    match (offset(text, origin.start), offset(text, origin.end)) {
        (Some(start), Some(end)) => {
            let span = Span::new(start, end.max(start));
            Some(Place::Shown(Label { source: origin.source, span, message: String::new() }))
        }
        _ => named(),
    }
}

/// The byte offset of a line and a column, both counted from 1.
fn offset(text: &str, (line, column): (u32, u32)) -> Option<u32> {
    let skipped: usize = text.split_inclusive('\n').take(line.checked_sub(1)? as usize).map(str::len).sum();
    let at = skipped.checked_add(column.checked_sub(1)? as usize)?;
    u32::try_from(at.min(text.len())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets() {
        let text = "FROM a\nRUN b\n";
        assert_eq!(offset(text, (1, 1)), Some(0));
        assert_eq!(offset(text, (2, 1)), Some(7));
        assert_eq!(offset(text, (2, 6)), Some(12));
        assert_eq!(offset(text, (9, 9)), Some(13));
        assert_eq!(offset(text, (0, 1)), None);
    }
}
