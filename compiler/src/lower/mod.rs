//! Lowering: from the program to operations, image configuration and history.
//!
//! One file per family of instructions. What is needed from outside and not
//! known yet is put down as a request and replaced by a stand-in, so that one
//! pass finds everything there is to ask; a result with requests is thrown
//! away and made again with the answers.
//!
//! Spans do not occur here: a node's origin is the number of an instruction
//! until `emit/plan.rs` joins it with the text.

mod base;
mod chmod;
mod command;
mod copy;
mod env;
mod expose;
mod from;
mod health;
mod history;
mod metadata;
mod mounts;
mod run;
mod sources;
mod stage;
mod state;
mod user_dir;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use indexmap::IndexMap;
use rbc_grammar::suggest;
use rbc_ir::{Compiler, ContextInput, FileAction, Instance, NodeId, Op, Plan, Platform, SecretInput, Target};

use crate::codes;
use crate::diagnostic::Problem;
use crate::hir::{InsnId, Program};
use crate::inputs::{Answer, Answers, Request};
use crate::names::{ContextSource, NamedContexts};
use crate::options::BuildOptions;
use crate::stages::{Outline, effective_build_args};
use state::StageState;

/// What lowering yields. The plan has instruction numbers for origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lowered {
    pub(crate) plan: Plan,
    pub(crate) problems: Vec<Problem>,
    /// What has to be answered first; the plan is of no use if there is any.
    pub(crate) requests: Vec<Request>,
    pub(crate) epoch: Option<i64>,
}

/// Lowers a program for all target platforms.
pub(crate) fn lower(program: &Program, options: &BuildOptions, outlines: &[Outline], answers: &Answers) -> Lowered {
    let compiler = Compiler { name: "rbc".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let Some(first) = outlines.first() else {
        let plan = Plan::new(compiler, options.file.clone());
        return Lowered { plan, problems: Vec::new(), requests: Vec::new(), epoch: None };
    };
    let mut run = Run {
        program,
        options,
        answers,
        build_args: effective_build_args(options),
        contexts: NamedContexts::new(&options.build_contexts),
        several: outlines.len() > 1,
        outline: first,
        states: Vec::new(),
        plan: Plan::new(compiler, options.file.clone()),
        problems: Vec::new(),
        requests: BTreeSet::new(),
        locals: IndexMap::new(),
        secrets: BTreeMap::new(),
        ssh: BTreeMap::new(),
    };
    let epoch = run.epoch();
    let instances = outlines.iter().filter_map(|outline| run.instance(outline)).collect();
    run.finish(instances, epoch)
}

/// State of one lowering.
struct Run<'a> {
    program: &'a Program,
    options: &'a BuildOptions,
    answers: &'a Answers,
    build_args: IndexMap<String, String>,
    contexts: NamedContexts,
    /// More than one target platform: progress names them.
    several: bool,
    /// The stages as the current target platform sees them.
    outline: &'a Outline,
    /// Finished stages of the current platform.
    states: Vec<Option<Rc<StageState>>>,
    plan: Plan,
    problems: Vec<Problem>,
    requests: BTreeSet<Request>,
    /// Local contexts in use: name, path.
    locals: IndexMap<String, String>,
    /// Secrets in use, and whether one use requires it.
    secrets: BTreeMap<String, bool>,
    ssh: BTreeMap<String, bool>,
}

impl<'a> Run<'a> {
    fn instance(&mut self, outline: &'a Outline) -> Option<Instance> {
        self.outline = outline;
        self.states = vec![None; outline.stages.len()];
        let target = outline.target?;
        for (index, needed) in outline.reachable.iter().enumerate() {
            if *needed {
                self.stage(index);
            }
        }
        let state = self.stage(target)?;
        let root = match state.root {
            Some(root) => root,
            None => self.scratch(0),
        };
        let mut config = state.config.clone();
        for (key, value) in &self.options.labels {
            config.labels.insert(key.clone(), value.clone());
        }
        // Go writes maps sorted; two equal images should have equal texts.
        config.labels.sort_keys();
        config.exposed_ports.sort_keys();
        config.volumes.sort_keys();
        Some(Instance {
            platform: state.platform.clone(),
            root,
            config,
            author: state.author.clone(),
            history: state.history.clone(),
            base_created: state.base_created.clone(),
        })
    }

    fn finish(mut self, instances: Vec<Instance>, epoch: Option<i64>) -> Lowered {
        self.plan.params = self.options.build_args.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let id = self.options.target.clone().unwrap_or_else(|| "default".to_owned());
        self.plan.targets.push(Target { id, instances });
        self.plan.inputs.contexts = self.locals.into_iter().map(|(id, path)| ContextInput { id, path }).collect();
        let list = |map: BTreeMap<String, bool>| map.into_iter().map(|(id, required)| SecretInput { id, required });
        self.plan.inputs.secrets = list(self.secrets).collect();
        self.plan.inputs.ssh = list(self.ssh).collect();
        Lowered { plan: self.plan, problems: self.problems, requests: self.requests.into_iter().collect(), epoch }
    }

    /// Tells a problem, once: several platforms find the same ones.
    fn tell(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Offers a stage with a near name in the problems told since `told`: an
    /// image that does not exist is often a stage misspelt.
    fn suggest_stage(&mut self, name: &str, current: usize, told: usize) {
        let names: Vec<_> =
            self.outline.stages.iter().take(current).filter_map(|stage| stage.name.as_deref()).collect();
        if let Some(near) = suggest(name, &names) {
            for problem in self.problems.iter_mut().skip(told) {
                problem.help = Some(format!("did you mean the stage `{near}`?"));
            }
        }
    }

    fn node(&mut self, op: Op, inputs: Vec<NodeId>, name: String, insn: InsnId) -> NodeId {
        self.plan.add(op, inputs, name, Some(insn as usize))
    }

    fn scratch(&mut self, insn: InsnId) -> NodeId {
        self.node(Op::Scratch, Vec::new(), "scratch".to_owned(), insn)
    }

    fn file(&mut self, actions: Vec<FileAction>, inputs: Vec<NodeId>, name: String, insn: InsnId) -> NodeId {
        self.node(Op::File { actions }, inputs, name, insn)
    }

    /// Looks an answer up, or asks for it.
    fn ask(&mut self, request: Request) -> Option<&'a Answer> {
        let answer = self.answers.0.get(&request);
        if answer.is_none() {
            self.requests.insert(request);
        }
        answer
    }

    /// `SOURCE_DATE_EPOCH`: a build argument, the environment, or a global
    /// ARG's default. Empty means none.
    fn epoch(&mut self) -> Option<i64> {
        const NAME: &str = "SOURCE_DATE_EPOCH";
        let text = self.build_args.get(NAME).or_else(|| self.outline.globals.get(NAME))?.clone();
        if text.is_empty() {
            return None;
        }
        let epoch = text.parse().ok();
        if epoch.is_none() {
            let message = format!("{NAME} is `{text}`");
            let help = "give it as whole seconds since 1970, such as the output of `git log -1 --format=%ct`";
            self.tell(Problem::new(codes::EPOCH, message).help(help));
        }
        epoch
    }

    /// The main context.
    fn main_context(&self) -> Result<ContextSource, String> {
        ContextSource::parse(&self.options.context)
    }

    /// Text before a step's name if several platforms are built.
    fn platform_prefix(&self, platform: &Platform) -> String {
        if !self.several {
            return String::new();
        }
        let target = &self.outline.platform;
        let mut text = platform.to_string();
        if platform != target {
            let architecture = format!("{}{}", target.architecture, target.variant);
            match platform.os == target.os {
                true => text.push_str(&format!("->{architecture}")),
                false => text.push_str(&format!("->{target}")),
            }
        }
        text.push(' ');
        text
    }
}
