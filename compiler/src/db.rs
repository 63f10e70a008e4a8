//! The memoised queries.
//!
//! ```text
//! parsed ──► parts ──► program ──► outlines ──► lowered ──► plan
//!                 └──► spans ────────────────────────────────┘
//! ```
//!
//! `parsed` and `parts` run on every edit. `program` has no spans, so most
//! edits of comments and blank lines leave it equal and everything right of it
//! is kept. Environment answers are an input: queries never do IO.

use std::sync::Arc;

use rbc_grammar::dockerfile::{Parsed, parse};
use rbc_ir::Plan;

use crate::diagnostic::{Problem, Severity};
use crate::emit;
use crate::hir::{self, Program, SpanTable};
use crate::inputs::Answers;
use crate::lower::{self, Lowered};
use crate::options::BuildOptions;
use crate::stages::{Outline, check};

/// A source text.
#[salsa::input]
pub(crate) struct File {
    pub(crate) text: Arc<str>,
}

/// What the caller wants.
#[salsa::input]
pub(crate) struct Settings {
    pub(crate) options: Arc<BuildOptions>,
}

/// What is known of the surroundings.
#[salsa::input]
pub(crate) struct World {
    pub(crate) answers: Arc<Answers>,
}

/// The database.
#[salsa::db]
#[derive(Clone)]
pub(crate) struct Database {
    storage: salsa::Storage<Self>,
}

#[salsa::db]
impl salsa::Database for Database {}

/// Told about every query that really runs.
pub(crate) type Observer = Box<dyn Fn(&str) + Send + Sync>;

impl Database {
    pub(crate) fn new(observer: Option<Observer>) -> Self {
        let callback = observer.map(|observer| {
            let callback: Box<dyn Fn(salsa::Event) + Send + Sync> = Box::new(move |event: salsa::Event| {
                if let salsa::EventKind::WillExecute { database_key } = event.kind {
                    observer(&format!("{database_key:?}"));
                }
            });
            callback
        });
        Self { storage: salsa::Storage::new(callback) }
    }
}

#[salsa::tracked(no_eq)]
pub(crate) fn parsed(db: &dyn salsa::Database, file: File) -> Parsed {
    parse(file.text(db))
}

#[salsa::tracked(no_eq)]
fn parts(db: &dyn salsa::Database, file: File) -> (Arc<Program>, Arc<SpanTable>) {
    let (program, spans) = hir::build(&parsed(db, file).tree);
    (Arc::new(program), Arc::new(spans))
}

#[salsa::tracked]
pub(crate) fn program(db: &dyn salsa::Database, file: File) -> Arc<Program> {
    Arc::clone(&parts(db, file).0)
}

#[salsa::tracked(no_eq)]
pub(crate) fn spans(db: &dyn salsa::Database, file: File) -> Arc<SpanTable> {
    Arc::clone(&parts(db, file).1)
}

/// Problems that need no values.
#[salsa::tracked]
pub(crate) fn checked(db: &dyn salsa::Database, file: File) -> Vec<Problem> {
    check(program(db, file))
}

/// The stages, once for each target platform.
#[salsa::tracked]
pub(crate) fn outlines(db: &dyn salsa::Database, file: File, settings: Settings) -> Vec<Outline> {
    let (program, options) = (program(db, file), settings.options(db));
    options.target_platforms().iter().map(|platform| Outline::new(program, options, platform)).collect()
}

#[salsa::tracked]
pub(crate) fn lowered(db: &dyn salsa::Database, file: File, settings: Settings, world: World) -> Lowered {
    lower::lower(program(db, file), settings.options(db), outlines(db, file, settings), world.answers(db))
}

/// The plan with places; `None` if anything is wrong or not known yet.
#[salsa::tracked]
pub(crate) fn plan(db: &dyn salsa::Database, file: File, settings: Settings, world: World) -> Option<Arc<Plan>> {
    let fatal = |p: &Problem| p.severity == Severity::Error;
    let lowered = lowered(db, file, settings, world);
    let broken = !parsed(db, file).errors.is_empty()
        || checked(db, file).iter().any(fatal)
        || outlines(db, file, settings).iter().flat_map(|o| &o.problems).any(fatal)
        || lowered.problems.iter().any(fatal)
        || !lowered.requests.is_empty();
    if broken {
        return None;
    }
    Some(Arc::new(emit::plan(&lowered.plan, &settings.options(db).file, file.text(db), spans(db, file))))
}
