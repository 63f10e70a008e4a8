//! One stage: its base, its triggers, its instructions in order.

use std::rc::Rc;

use rbc_grammar::dockerfile::parse_instruction;
use rbc_ir::{NodeId, Op};

use super::Run;
use super::state::StageState;
use crate::codes;
use crate::diagnostic::Problem;
use crate::expand::{self, Expanded};
use crate::flags::Flags;
use crate::hir::{self, Body, Insn, Place, Stage, Word};
use crate::options::NoCache;
use crate::stages::{Base, StageInfo, expansion_problem};

/// A stage in the making.
pub(super) struct StageRun<'r, 'a> {
    pub(super) run: &'r mut Run<'a>,
    pub(super) index: usize,
    pub(super) info: &'a StageInfo,
    pub(super) state: StageState,
    /// Steps counted so far, and in all, for progress.
    step: usize,
    steps: usize,
}

impl<'a> Run<'a> {
    /// Returns a stage, lowering it first if nobody did. `None` if it refers
    /// to a stage that does not exist.
    pub(super) fn stage(&mut self, index: usize) -> Option<Rc<StageState>> {
        if let Some(done) = self.states.get(index)? {
            return Some(Rc::clone(done));
        }
        let stage = self.program.stages.get(index)?;
        let info = self.outline.stages.get(index)?;
        let state = Rc::new(self.lower_stage(index, stage, info));
        if let Some(slot) = self.states.get_mut(index) {
            *slot = Some(Rc::clone(&state));
        }
        Some(state)
    }

    fn lower_stage(&mut self, index: usize, stage: &'a Stage, info: &'a StageInfo) -> StageState {
        let place = Place::slot(stage.from, stage.image.slot);
        if let Some(name) = info.name.as_ref().filter(|_| info.replaced) {
            let scratch = || StageState::scratch(info.platform.clone());
            return self.named_base(name, info, stage.from, place).unwrap_or_else(scratch);
        }
        let mut state = self.base(index, stage, info, place);
        let triggers = std::mem::take(&mut state.config.on_build);
        let triggers: Vec<Insn> = triggers.iter().filter_map(|text| self.trigger(stage, text)).collect();
        let counts =
            |insn: &&Insn| matches!(insn.body, Body::Run(_) | Body::Copy { .. } | Body::Add { .. } | Body::Workdir(_));
        let image = usize::from(matches!(info.base, Base::Image(_)));
        let steps = image + triggers.iter().chain(&stage.body).filter(counts).count();
        if image == 1 {
            self.rename_base(&state, info, steps);
        }
        let mut run = StageRun { run: self, index, info, state, step: image, steps };
        for insn in triggers.iter().chain(&stage.body) {
            run.dispatch(insn);
        }
        run.state
    }

    /// Shows the base image as the first step of the stage that named it first.
    fn rename_base(&mut self, state: &StageState, info: &StageInfo, steps: usize) {
        let prefix = step_prefix(&self.platform_prefix(&state.platform), &info.label, 1, steps);
        let node = state.root.and_then(|root| self.plan.nodes.get_mut(root));
        if let Some(node) = node
            && matches!(node.op, Op::Image { .. })
            && !node.name.starts_with('[')
        {
            node.name.insert_str(0, &prefix);
        }
    }

    fn trigger(&mut self, stage: &Stage, text: &str) -> Option<Insn> {
        let (insn, errors) = parse_instruction(text, '\\');
        let keyword = insn.as_ref().map(|insn| insn.keyword.text.to_uppercase());
        let why = match (errors.first(), keyword.as_deref()) {
            (Some(error), _) => Some(error.message.clone()),
            (None, Some(keyword @ ("FROM" | "MAINTAINER" | "ONBUILD"))) => {
                Some(format!("{keyword} isn't allowed as an ONBUILD trigger"))
            }
            _ => None,
        };
        if let Some(why) = why {
            let message = format!("the trigger `{text}` of the base cannot be used: {why}");
            let place = Place::slot(stage.from, stage.image.slot);
            self.tell(Problem::new(codes::TRIGGER_SYNTAX, message).at(place));
            return None;
        }
        insn.map(|insn| hir::trigger(stage.from, &insn))
    }
}

/// `[label 2/10] `, as BuildKit's `prefixCommand`.
fn step_prefix(platform: &str, label: &str, step: usize, steps: usize) -> String {
    let width = steps.to_string().len();
    let label = if label.is_empty() { String::new() } else { format!("{label} ") };
    format!("[{platform}{label}{step:>width$}/{steps}] ")
}

impl StageRun<'_, '_> {
    fn dispatch(&mut self, insn: &Insn) {
        // What is wrong with flags was told by `stages::check`, except for
        // triggers, which that has not seen.
        let (flags, problems) = match insn.ignores_flags() {
            true => (Flags::default(), Vec::new()),
            false => Flags::parse(&insn.keyword, &insn.flags, self.escape(), |slot| insn.place(slot)),
        };
        if insn.trigger {
            problems.into_iter().for_each(|p| self.run.tell(p));
        }
        match &insn.body {
            Body::Run(command) => self.run_command(insn, &flags, command),
            Body::Copy { sources, dest } => self.copy(insn, &flags, sources, dest, false),
            Body::Add { sources, dest } => self.copy(insn, &flags, sources, dest, true),
            Body::Env(pairs) => self.env(insn, pairs),
            Body::Label(pairs) => self.label(insn, pairs),
            Body::Arg(pairs) => self.arg(insn, pairs),
            Body::Workdir(path) => self.workdir(insn, path),
            Body::User(user) => self.user(insn, user),
            Body::Cmd(command) => self.cmd(command),
            Body::Entrypoint(command) => self.entrypoint(command),
            Body::Shell(words) => self.shell(words),
            Body::Volume(paths) => self.volume(insn, paths),
            Body::Expose(ports) => self.expose(insn, ports),
            Body::StopSignal(signal) => self.stop_signal(insn, signal),
            Body::Healthcheck(command) => self.healthcheck(insn, &flags, command.as_ref()),
            Body::Onbuild(text) => self.onbuild(text),
            Body::Maintainer(author) => self.maintainer(author),
            // The parser has told.
            Body::Invalid | Body::Unknown => {}
        }
    }

    /// The escape character for words of the file.
    pub(super) fn escape(&self) -> char {
        self.run.program.escape
    }

    /// Expands a word; `None` (and a problem) if that cannot be done.
    pub(super) fn expanded(&mut self, insn: &Insn, word: &Word) -> Option<Expanded> {
        let escape = self.escape();
        match expand::word(&word.text, escape, &self.state.env) {
            Ok(expanded) => Some(expanded),
            Err(e) => {
                self.run.tell(expansion_problem(&word.text, &e).at(insn.range(word, e.start, e.end)));
                None
            }
        }
    }

    /// Expands a word to a text.
    pub(super) fn expand(&mut self, insn: &Insn, word: &Word) -> Option<String> {
        let escape = self.escape();
        if !word.text.contains(['$', '"', '\'', escape]) {
            return Some(word.text.clone());
        }
        self.expanded(insn, word).map(|e| e.text)
    }

    /// The name of the next step.
    pub(super) fn step_name(&mut self, text: &str) -> String {
        self.step += 1;
        let platform = self.run.platform_prefix(&self.state.platform);
        format!("{}{text}", step_prefix(&platform, &self.info.label, self.step, self.steps))
    }

    /// The root file system so far.
    pub(super) fn root(&mut self, insn: &Insn) -> NodeId {
        match self.state.root {
            Some(root) => root,
            None => self.run.scratch(insn.id),
        }
    }

    /// True if results of this stage's steps must not come from the cache.
    pub(super) fn ignore_cache(&self) -> bool {
        match &self.run.options.no_cache {
            NoCache::None => false,
            NoCache::All => true,
            NoCache::Stages(names) => {
                self.info.name.as_ref().is_some_and(|name| names.iter().any(|n| n.eq_ignore_ascii_case(name)))
            }
        }
    }
}
