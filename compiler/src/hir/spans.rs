//! Places: what the rest of the compiler says instead of spans.

use rbc_grammar::Span;
use rbc_grammar::dockerfile::Text;

use super::InsnId;

/// Number of a text in its instruction; 0 is the instruction itself.
pub(crate) type Slot = u16;

/// A place in the file, stable while the text around it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) insn: InsnId,
    pub(crate) slot: Slot,
    /// Bytes of the slot's logical text; all of it if `None`.
    pub(crate) range: Option<(u32, u32)>,
}

impl Place {
    pub(crate) const fn insn(insn: InsnId) -> Self {
        Self { insn, slot: 0, range: None }
    }

    pub(crate) const fn slot(insn: InsnId, slot: Slot) -> Self {
        Self { insn, slot, range: None }
    }

    pub(crate) fn range(insn: InsnId, slot: Slot, start: usize, end: usize) -> Self {
        let narrow = |n| u32::try_from(n).unwrap_or(u32::MAX);
        Self { insn, slot, range: Some((narrow(start), narrow(end))) }
    }
}

/// Where a slot stands.
#[derive(Clone, Debug)]
pub(super) enum SlotSpan {
    Span(Span),
    /// Bytes run in parallel from the start.
    Linear(Span),
    Text(Text),
}

/// Spans of all instructions, by [`InsnId`] and [`Slot`].
#[derive(Clone, Debug, Default)]
pub(crate) struct SpanTable {
    pub(super) insns: Vec<Vec<SlotSpan>>,
}

impl SpanTable {
    /// Returns the span of a place.
    pub(crate) fn resolve(&self, place: Place) -> Span {
        let Some(slots) = self.insns.get(place.insn as usize) else { return Span::default() };
        let slot = slots.get(usize::from(place.slot)).or(slots.first());
        match (slot, place.range) {
            (None, _) => Span::default(),
            (Some(SlotSpan::Span(span) | SlotSpan::Linear(span)), None) | (Some(SlotSpan::Span(span)), _) => *span,
            (Some(SlotSpan::Linear(span)), Some((start, end))) => {
                Span::new((span.start + start).min(span.end), (span.start + end).min(span.end))
            }
            (Some(SlotSpan::Text(text)), None) => text.span,
            (Some(SlotSpan::Text(text)), Some((start, end))) => text.source_span(start as usize, end as usize),
        }
    }
}
