//! What `COPY --from` and `--mount from=` name: a stage, a named context, an
//! image.

use rbc_ir::NodeId;

use super::stage::StageRun;
use crate::codes;
use crate::diagnostic::Problem;
use crate::hir::{Insn, Place};
use crate::stages::{FromRef, wrong_from};

impl StageRun<'_, '_> {
    /// The node that a `--from` names.
    pub(super) fn node_named(&mut self, insn: &Insn, from: &str, place: Place, copy: bool) -> Option<NodeId> {
        let stages = self.run.outline.stages.len();
        if copy && let Some(problem) = wrong_from(from, place, self.escape(), stages) {
            self.run.tell(problem);
            return None;
        }
        match self.run.outline.resolve_from(from, self.index, copy) {
            FromRef::Stage(index) => {
                let state = self.run.stage(index)?;
                Some(state.root.unwrap_or_else(|| self.run.scratch(insn.id)))
            }
            FromRef::Later(index) => {
                let current = match self.info.label.as_str() {
                    "" => self.info.name.clone().unwrap_or_else(|| format!("stage-{}", self.index)),
                    label => label.to_owned(),
                };
                let message = format!(
                    "cannot copy from stage \"{from}\", it needs to be defined before current stage \"{current}\""
                );
                let mut problem = Problem::new(codes::LATER_STAGE, message).at(place).label("used here");
                let later = self.run.program.stages.get(index);
                if let Some(stage) = later.filter(|_| index != self.index) {
                    problem = problem
                        .also(Place::insn(stage.from), "defined here")
                        .help("move the stage up, before the one that uses it");
                }
                self.run.tell(problem);
                None
            }
            FromRef::BadIndex => None,
            FromRef::Other => {
                let told = self.run.problems.len();
                let node = self.outside_node(insn, from, place);
                if node.is_none() {
                    self.run.suggest_stage(from, self.index, told);
                }
                node
            }
        }
    }

    /// A `--from` that is no stage: a named context or an image, of the
    /// target's platform whatever the stage's is.
    fn outside_node(&mut self, insn: &Insn, from: &str, place: Place) -> Option<NodeId> {
        let platform = self.run.outline.platform.clone();
        if from == "scratch" {
            return Some(self.run.scratch(insn.id));
        }
        if let Some((context, source)) = self.run.find_context(from, &platform, place) {
            return self.run.context_node(&context, &source, insn.id, place);
        }
        let reference = self.run.canonical(from, place)?;
        self.run.registry_image(&reference, &platform, insn.id, place).map(|(node, _)| node)
    }
}
