//! The plan document: lowered operations joined with places in the text.

use rbc_grammar::Span;
use rbc_ir::{Digest, Origin, Plan, PlanSource};

use crate::hir::{InsnId, Place, SpanTable};

/// Gives a lowered plan its sources and origins.
pub(crate) fn plan(lowered: &Plan, file: &str, text: &str, spans: &SpanTable) -> Plan {
    let mut plan = lowered.clone();
    plan.sources = vec![PlanSource { id: 0, path: file.to_owned(), sha256: Digest::of(text.as_bytes()) }];
    let lines = Lines::new(text);
    let mut known: Vec<usize> = Vec::new();
    for node in &mut plan.nodes {
        let Some(insn) = node.origin else { continue };
        let id = match known.iter().position(|&k| k == insn) {
            Some(id) => id,
            None => {
                let span = spans.resolve(Place::insn(InsnId::try_from(insn).unwrap_or(InsnId::MAX)));
                plan.origins.push(lines.origin(span));
                known.push(insn);
                known.len() - 1
            }
        };
        node.origin = Some(id);
    }
    plan
}

/// Where lines start.
struct Lines(Vec<u32>);

impl Lines {
    fn new(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|&(_, b)| b == b'\n');
        let starts = ends.map(|(i, _)| u32::try_from(i + 1).unwrap_or(u32::MAX));
        Self(std::iter::once(0).chain(starts).collect())
    }

    /// Line and column of a byte, both from 1.
    fn position(&self, offset: u32) -> (u32, u32) {
        let line = self.0.partition_point(|&start| start <= offset).max(1);
        let start = self.0.get(line - 1).copied().unwrap_or(0);
        (u32::try_from(line).unwrap_or(u32::MAX), offset - start + 1)
    }

    fn origin(&self, span: Span) -> Origin {
        Origin { source: 0, start: self.position(span.start), end: self.position(span.end) }
    }
}
