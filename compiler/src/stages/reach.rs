//! Which stages the target needs.
//!
//! References point backward only, so there are no cycles to look for: a
//! stage that is used before it is defined is an error of its own.

use rbc_grammar::dockerfile::parse_instruction;

use super::{Base, FromRef, Outline};
use crate::hir::{self, Body, Flag, Insn, Program, Stage};
use crate::mount;

impl Outline {
    /// Marks what the target needs, directly or not.
    pub(super) fn find_reachable(&mut self, program: &Program) {
        self.reachable = vec![false; self.stages.len()];
        let mut open: Vec<usize> = self.target.into_iter().collect();
        while let Some(index) = open.pop() {
            let Some(seen) = self.reachable.get_mut(index) else { continue };
            if std::mem::replace(seen, true) {
                continue;
            }
            open.extend(self.needs(program, index));
        }
    }

    fn needs(&self, program: &Program, index: usize) -> Vec<usize> {
        let Some(stage) = program.stages.get(index) else { return Vec::new() };
        let mut needs = Vec::new();
        let info = self.stages.get(index);
        if info.is_none_or(|info| info.replaced) {
            return needs;
        }
        if let Some(Base::Stage(base)) = info.map(|s| &s.base) {
            needs.push(*base);
            for trigger in program.stages.get(*base).map(triggers).unwrap_or_default() {
                self.referred(&trigger, index, &mut needs);
            }
        }
        for insn in &stage.body {
            self.referred(insn, index, &mut needs);
        }
        needs
    }

    fn referred(&self, insn: &Insn, index: usize, needs: &mut Vec<usize>) {
        let value = |flag: &Flag| flag.value.as_ref().map(|v| v.text.clone());
        for flag in &insn.flags {
            let name = match (&insn.body, flag.name.as_str()) {
                (Body::Copy { .. }, "from") => value(flag),
                (Body::Run(_), "mount") => value(flag).and_then(|v| mount::from_of(v.trim_matches(['"', '\'']))),
                _ => None,
            };
            let numbers = matches!(insn.body, Body::Copy { .. });
            if let Some(name) = name
                && let FromRef::Stage(stage) = self.resolve_from(name.trim_matches(['"', '\'']), index, numbers)
            {
                needs.push(stage);
            }
        }
    }
}

/// The triggers that a stage records.
fn triggers(stage: &Stage) -> Vec<Insn> {
    stage
        .body
        .iter()
        .filter_map(|insn| match &insn.body {
            Body::Onbuild(text) => parse_instruction(text, '\\').0.map(|t| hir::trigger(stage.from, &t)),
            _ => None,
        })
        .collect()
}
