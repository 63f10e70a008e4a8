//! Stages: FROM lines, global ARGs, names, what the target needs.
//!
//! Pure and per target platform. Nothing outside is asked: which images exist
//! does not matter yet.

mod check;
mod globals;
mod reach;

use indexmap::IndexMap;
use rbc_grammar::suggest;
use rbc_ir::Platform;

pub(crate) use check::{check, mount_problem, wrong_from};
pub(crate) use globals::effective_build_args;

use crate::codes;
use crate::diagnostic::Problem;
use crate::expand::{self, Expanded};
use crate::flags::Flags;
use crate::hir::{Place, Program, Stage, Word};
use crate::names::NamedContexts;
use crate::options::BuildOptions;

/// What a stage is built on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    Scratch,
    /// An earlier stage.
    Stage(usize),
    /// An image, as written.
    Image(String),
    /// A problem was told.
    Broken,
}

/// A stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StageInfo {
    /// Lower-case name.
    pub(crate) name: Option<String>,
    /// How progress calls it; empty if it is the only one.
    pub(crate) label: String,
    pub(crate) base: Base,
    pub(crate) platform: Platform,
    /// A named context stands for all of it.
    pub(crate) replaced: bool,
}

/// The stages as seen from one target platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outline {
    pub(crate) platform: Platform,
    /// Automatic and global ARGs with a value.
    pub(crate) globals: IndexMap<String, String>,
    /// Names of global ARGs, also of those without a value.
    pub(crate) declared: Vec<String>,
    pub(crate) stages: Vec<StageInfo>,
    /// The stage to build.
    pub(crate) target: Option<usize>,
    /// Stages that the target needs, by index.
    pub(crate) reachable: Vec<bool>,
    pub(crate) problems: Vec<Problem>,
}

/// What a `--from` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FromRef {
    Stage(usize),
    /// A stage that is not defined yet (or the current one).
    Later(usize),
    /// A number without a stage.
    BadIndex,
    /// Something else: an image or a named context.
    Other,
}

impl Outline {
    /// Outlines a program.
    pub(crate) fn new(program: &Program, options: &BuildOptions, platform: &Platform) -> Self {
        let mut outline = Self {
            platform: platform.clone(),
            globals: IndexMap::new(),
            declared: Vec::new(),
            stages: Vec::with_capacity(program.stages.len()),
            target: None,
            reachable: Vec::new(),
            problems: Vec::new(),
        };
        outline.read_globals(program, options);
        let contexts = NamedContexts::new(&options.build_contexts);
        for (index, stage) in program.stages.iter().enumerate() {
            let info = outline.stage(index, stage, program, &contexts);
            outline.stages.push(info);
        }
        outline.choose_target(options);
        outline.find_reachable(program);
        outline.find_cycle(program);
        outline
    }

    /// The last of the stages before `before` with this name.
    pub(crate) fn find_earlier(&self, name: &str, before: usize) -> Option<usize> {
        self.stages.iter().take(before).rposition(|s| s.name.as_deref() == Some(name))
    }

    /// Resolves `COPY --from` and `--mount from` of stage `current`. Numbers
    /// count for COPY only.
    pub(crate) fn resolve_from(&self, name: &str, current: usize, numbers: bool) -> FromRef {
        let index = if numbers && let Ok(index) = name.parse::<i64>() {
            usize::try_from(index).ok().filter(|i| *i < self.stages.len())
        } else {
            // The last stage of that name, even if it comes too late
            // (`statesByName` is complete before any `--from` is looked up).
            match self.find_earlier(&name.to_lowercase(), self.stages.len()) {
                Some(index) => Some(index),
                None => return FromRef::Other,
            }
        };
        match index {
            None => FromRef::BadIndex,
            // A named context in place of the stage is there from the start.
            Some(i) if i < current || self.stages.get(i).is_some_and(|s| s.replaced) => FromRef::Stage(i),
            Some(i) => FromRef::Later(i),
        }
    }

    fn stage(&mut self, index: usize, stage: &Stage, program: &Program, contexts: &NamedContexts) -> StageInfo {
        let at = |slot| Place::slot(stage.from, slot);
        let name = stage.alias.as_ref().map(|alias| {
            let lower = alias.text.to_lowercase();
            if !is_stage_name(&lower) {
                let message = format!(
                    "invalid name for build stage: \"{}\", name can't start with a number or contain symbols",
                    alias.text
                );
                self.problems.push(
                    Problem::new(codes::STAGE_NAME, message)
                        .at(at(alias.slot))
                        .help("a name begins with a letter; letters, digits, `-`, `_` and `.` may follow"),
                );
            }
            lower
        });
        let (flags, _) = Flags::parse("FROM", &stage.flags, program.escape, at);
        let platform = self.stage_platform(stage, &flags, program.escape);
        let replaced = name.as_ref().is_some_and(|name| contexts.find(name, &platform).is_some());
        let base = if replaced { Base::Scratch } else { self.base(index, stage, program.escape) };
        let label = match &name {
            _ if program.stages.len() == 1 => String::new(),
            Some(name) => name.clone(),
            None => format!("stage-{index}"),
        };
        StageInfo { name, label, base, platform, replaced }
    }

    fn stage_platform(&mut self, stage: &Stage, flags: &Flags, escape: char) -> Platform {
        let Some(word) = flags.word("platform") else { return self.platform.clone() };
        let Some(expanded) = self.expand(stage, word, escape) else { return self.platform.clone() };
        let parsed = Platform::parse(&expanded.text);
        if parsed.is_none() {
            let missing: Vec<_> = expanded.missing.iter().map(String::as_str).collect();
            let message = match (expanded.text.is_empty(), missing.first()) {
                (true, Some(name)) => format!("the platform is empty: {name} has no value before the first FROM"),
                _ => format!("`{}` is not a platform", expanded.text),
            };
            let problem = Problem::new(codes::PLATFORM, message)
                .at(Place::slot(stage.from, word.slot))
                .help("write os/architecture, such as linux/amd64");
            self.problems.push(problem);
        }
        parsed.unwrap_or_else(|| self.platform.clone())
    }

    fn base(&mut self, index: usize, stage: &Stage, escape: char) -> Base {
        let place = Place::slot(stage.from, stage.image.slot);
        if stage.image.text.is_empty() {
            return Base::Broken;
        }
        let Some(expanded) = self.expand(stage, &stage.image, escape) else { return Base::Broken };
        if expanded.text.is_empty() {
            let message = format!("base name ({}) should not be blank", stage.image.text);
            let mut problem = Problem::new(codes::EMPTY_BASE, message)
                .at(place)
                .note("FROM sees only ARGs that stand before the first FROM");
            if let Some(name) = expanded.missing.iter().next() {
                let others: Vec<_> = self.declared.iter().filter(|d| *d != name).collect();
                problem = problem.help(match suggest(name, &others) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("give it a value: `ARG {name}=…` before the first FROM, or `--build-arg {name}=…`"),
                });
            }
            self.problems.push(problem);
            return Base::Broken;
        }
        if let Some(earlier) = self.find_earlier(&expanded.text, index) {
            return Base::Stage(earlier);
        }
        if expanded.text == "scratch" {
            return Base::Scratch;
        }
        Base::Image(expanded.text)
    }

    fn expand(&mut self, stage: &Stage, word: &Word, escape: char) -> Option<Expanded> {
        match expand::word(&word.text, escape, &self.globals) {
            Ok(expanded) => Some(expanded),
            Err(e) => {
                let place = Place::range(stage.from, word.slot, e.start, e.end);
                self.problems.push(expansion_problem(&word.text, &e).at(place));
                None
            }
        }
    }

    fn choose_target(&mut self, options: &BuildOptions) {
        let Some(wanted) = &options.target else {
            self.target = self.stages.len().checked_sub(1);
            return;
        };
        let lower = wanted.to_lowercase();
        self.target = self.find_earlier(&lower, self.stages.len());
        if self.target.is_none() {
            let names: Vec<_> = self.stages.iter().filter_map(|s| s.name.as_deref()).collect();
            let help = match (suggest(&lower, &names), names.is_empty()) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, true) => "no stage has a name; give one with `FROM … AS name`".to_owned(),
                (None, false) => format!("there is {}", names.join(", ")),
            };
            let message = format!("target stage \"{wanted}\" could not be found");
            self.problems.push(Problem::new(codes::UNKNOWN_TARGET, message).help(help));
        }
    }
}

/// The problem of a word that cannot be expanded.
pub(crate) fn expansion_problem(text: &str, e: &expand::ExpandError) -> Problem {
    Problem::new(codes::EXPANSION, format!("failed to process `{text}`: {e}"))
}

/// `^[a-z][a-z0-9-_.]*$`
fn is_stage_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
}

#[cfg(test)]
mod tests;
