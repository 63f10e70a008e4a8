//! The driver: asks the surroundings until nothing is left to ask.

use std::sync::Arc;

use rbc_grammar::SyntaxError;
use rbc_ir::Plan;
use salsa::Setter as _;

use crate::codes;
use crate::db::{self, Database, File, Observer, Settings, World};
use crate::diagnostic::{Diagnostic, FaultKind, Label, Problem, Severity, SourceText};
use crate::inputs::{Answers, Inputs, answer};
use crate::options::BuildOptions;

/// Rounds of questions: triggers of a base may name images, whose contexts
/// may have ignore files. More than this is a surrounding that never settles.
const MAX_ROUNDS: usize = 8;

/// What a compilation yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// The plan; `None` if a diagnostic is an error.
    pub plan: Option<Plan>,
    /// Errors and warnings, in source order.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that labels refer to.
    pub sources: Vec<SourceText>,
    /// `SOURCE_DATE_EPOCH` of the environment, a build argument or a global ARG.
    pub source_date_epoch: Option<i64>,
}

/// Compiles a Dockerfile.
pub fn compile(options: &BuildOptions, source: &str, inputs: &dyn Inputs) -> Compiled {
    Session::new(options.clone(), source).compile(inputs)
}

/// A compilation that may be repeated with changes: what is not affected by a
/// change is not computed again.
pub struct Session {
    db: Database,
    file: File,
    settings: Settings,
    world: World,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// Starts with a text.
    pub fn new(options: BuildOptions, source: &str) -> Self {
        Self::with_observer(options, source, None)
    }

    pub(crate) fn with_observer(options: BuildOptions, source: &str, observer: Option<Observer>) -> Self {
        let db = Database::new(observer);
        let file = File::new(&db, Arc::from(source));
        let settings = Settings::new(&db, Arc::new(options));
        let world = World::new(&db, Arc::new(Answers::default()));
        Self { db, file, settings, world }
    }

    /// Replaces the text.
    pub fn set_text(&mut self, source: &str) {
        self.file.set_text(&mut self.db).to(Arc::from(source));
    }

    /// Replaces the options.
    pub fn set_options(&mut self, options: BuildOptions) {
        self.settings.set_options(&mut self.db).to(Arc::new(options));
    }

    /// Forgets what the surroundings answered.
    pub fn forget_answers(&mut self) {
        self.world.set_answers(&mut self.db).to(Arc::default());
    }

    /// Compiles.
    pub fn compile(&mut self, inputs: &dyn Inputs) -> Compiled {
        let hopeless = self.is_hopeless();
        if !hopeless {
            self.ask(inputs);
        }
        let Self { db, file, settings, world } = self;
        let diagnostics = diagnostics(db, *file, *settings, *world, hopeless);
        let plan = match diagnostics.iter().any(|d| d.severity == Severity::Error) {
            true => None,
            false => db::plan(db, *file, *settings, *world).as_ref().map(|plan| Plan::clone(plan)),
        };
        let name = settings.options(db).file.clone();
        Compiled {
            plan,
            diagnostics,
            sources: vec![SourceText { name, text: Arc::clone(file.text(db)) }],
            source_date_epoch: db::lowered(db, *file, *settings, *world).epoch,
        }
    }

    /// True if there are mistakes that no answer can mend: then nobody needs
    /// to be asked.
    fn is_hopeless(&self) -> bool {
        let Self { db, file, settings, world } = self;
        !db::parsed(db, *file).errors.is_empty()
            || !db::checked(db, *file).is_empty()
            || db::outlines(db, *file, *settings).iter().any(|o| !o.problems.is_empty())
            || db::lowered(db, *file, *settings, *world).problems.iter().any(is_certain)
    }

    fn ask(&mut self, inputs: &dyn Inputs) {
        for _ in 0..MAX_ROUNDS {
            let requests = &db::lowered(&self.db, self.file, self.settings, self.world).requests;
            if requests.is_empty() {
                return;
            }
            let mut answers = Answers::clone(self.world.answers(&self.db));
            answer(inputs, requests, &mut answers);
            self.world.set_answers(&mut self.db).to(Arc::new(answers));
        }
    }
}

/// True for problems that do not depend on the surroundings, not even by way
/// of a variable that a base image sets.
fn is_certain(problem: &Problem) -> bool {
    const CERTAIN: &[codes::Code] = &[
        codes::IMAGE_NAME,
        codes::STAGE_INDEX,
        codes::LATER_STAGE,
        codes::NO_VARIABLE_HERE,
        codes::CONTEXT,
        codes::HEALTHCHECK,
        codes::EPOCH,
    ];
    CERTAIN.contains(&problem.code)
}

fn diagnostics(db: &Database, file: File, settings: Settings, world: World, hopeless: bool) -> Vec<Diagnostic> {
    let spans = db::spans(db, file);
    let mut found: Vec<Diagnostic> = db::parsed(db, file).errors.iter().map(syntax_error).collect();
    let lowered = db::lowered(db, file, settings, world);
    let lowered_problems = lowered.problems.iter().filter(|p| !hopeless || is_certain(p));
    let outlined = db::outlines(db, file, settings).iter().flat_map(|o| &o.problems);
    for problem in db::checked(db, file).iter().chain(outlined).chain(lowered_problems) {
        let diagnostic = problem.locate(spans);
        if !found.contains(&diagnostic) {
            found.push(diagnostic);
        }
    }
    if !hopeless && !lowered.requests.is_empty() {
        let message = format!("the surroundings answered {MAX_ROUNDS} rounds of questions and left some open");
        found.push(Problem::new(codes::IMAGE, message).environment(true).locate(spans));
    }
    found.sort_by_key(|d| d.primary.as_ref().map_or((u32::MAX, 0), |l| (l.span.start, l.span.end)));
    found
}

fn syntax_error(e: &SyntaxError) -> Diagnostic {
    Diagnostic {
        code: e.code,
        severity: Severity::Error,
        message: e.message.clone(),
        primary: Some(Label { source: 0, span: e.span, message: String::new() }),
        secondary: Vec::new(),
        notes: Vec::new(),
        help: e.help.clone(),
        kind: FaultKind::Input,
    }
}

#[cfg(test)]
mod tests;
