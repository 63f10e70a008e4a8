//! Places of an instruction's parts.

use super::{Body, Insn, Place, Slot, Word};

impl Insn {
    /// The place of a slot. Everything in a trigger stands where it fires.
    pub(crate) fn place(&self, slot: Slot) -> Place {
        if self.trigger { Place::insn(self.id) } else { Place::slot(self.id, slot) }
    }

    /// The place of a part of a text.
    pub(crate) fn range(&self, word: &Word, start: usize, end: usize) -> Place {
        if self.trigger { Place::insn(self.id) } else { Place::range(self.id, word.slot, start, end) }
    }

    /// The place of the whole instruction.
    pub(crate) fn whole(&self) -> Place {
        Place::insn(self.id)
    }

    /// True for instructions whose flags BuildKit never looks at
    /// (`instructions/parse.go`).
    pub(crate) fn ignores_flags(&self) -> bool {
        matches!(self.body, Body::Healthcheck(None) | Body::StopSignal(_) | Body::Arg(_))
    }
}
