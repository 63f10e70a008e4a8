//! Which stages the target needs, and which need themselves.
//!
//! Usable references point backward only, so the walk from the target meets
//! no cycles; those of references that do not are looked for in the whole
//! file (BuildKit: `validateCircularDependency`).

use rbc_grammar::dockerfile::parse_instruction;

use super::{Base, FromRef, Outline};
use crate::codes;
use crate::diagnostic::Problem;
use crate::hir::{self, Body, Flag, Insn, Place, Program, Stage};
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
        needs.extend(self.references(insn, index).filter_map(|reference| match reference {
            FromRef::Stage(stage) => Some(stage),
            _ => None,
        }));
    }

    /// What the `--from`s of an instruction name.
    fn references(&self, insn: &Insn, index: usize) -> impl Iterator<Item = FromRef> {
        let value = |flag: &Flag| flag.value.as_ref().map(|v| v.text.clone());
        insn.flags.iter().filter_map(move |flag| {
            let name = match (&insn.body, flag.name.as_str()) {
                (Body::Copy { .. }, "from") => value(flag),
                (Body::Run(_), "mount") => value(flag).and_then(|v| mount::from_of(v.trim_matches(['"', '\'']))),
                _ => None,
            }?;
            let numbers = matches!(insn.body, Body::Copy { .. });
            Some(self.resolve_from(name.trim_matches(['"', '\'']), index, numbers))
        })
    }

    /// Tells of the first stage that needs itself by way of `--from`s.
    pub(super) fn find_cycle(&mut self, program: &Program) {
        let mut visited = vec![false; program.stages.len()];
        let found = (0..program.stages.len()).find_map(|start| {
            let way = self.cycle(program, start, &mut Vec::new(), &mut visited)?;
            Some((start, way))
        });
        let Some((start, way)) = found else { return };
        let name = match self.stages.get(start).and_then(|s| s.name.clone()) {
            Some(name) => name,
            None => format!("stage-{start}"),
        };
        let mut problem = Problem::new(codes::LATER_STAGE, format!("circular dependency detected on stage: {name}"));
        let mut way = way.into_iter();
        if let Some(first) = way.next() {
            problem = problem.at(first);
        }
        for place in way {
            problem = problem.also(place, "and this");
        }
        self.problems.push(problem);
    }

    /// Looks for a way from a stage back to one on `path`; returns the
    /// instructions on it.
    fn cycle(
        &self,
        program: &Program,
        index: usize,
        path: &mut Vec<(usize, Place)>,
        visited: &mut [bool],
    ) -> Option<Vec<Place>> {
        if std::mem::replace(visited.get_mut(index)?, true) {
            return None;
        }
        for insn in &program.stages.get(index)?.body {
            for reference in self.references(insn, index) {
                let (FromRef::Stage(next) | FromRef::Later(next)) = reference else { continue };
                path.push((index, insn.whole()));
                if path.iter().any(|(stage, _)| *stage == next) {
                    return Some(path.iter().map(|(_, place)| *place).collect());
                }
                if let Some(way) = self.cycle(program, next, path, visited) {
                    return Some(way);
                }
                path.pop();
            }
        }
        None
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
