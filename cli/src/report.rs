//! Failures of a build, as diagnostics: what is wrong, where in the user's
//! file, and the way out.

mod explain;
mod near;
mod origin;

use std::collections::BTreeMap;
use std::path::PathBuf;

use rbc_compiler::{Diagnostic, FaultKind, Severity, SourceText, render};
use rbc_ir::Plan;
use rbc_vm::schedule::BuildError;
use rbc_vm::store::StoreError;

use crate::failure::{Exit, Failure};
use crate::frontend::colour;

/// Turns a build's error into what the user is told. `contexts` are the
/// directories of the plan's local contexts.
pub(crate) fn build_failure(
    error: &BuildError,
    plan: &Plan,
    sources: &[SourceText],
    contexts: &BTreeMap<String, PathBuf>,
) -> Failure {
    let mut explained = explain::explain(&error.kind);
    let node = error.node.and_then(|id| plan.nodes.get(id));
    if let Some(help) = node.and_then(|node| near::help(&error.kind, node, plan, contexts)) {
        explained.help = Some(help);
    }
    let place = node.and_then(|n| n.origin).and_then(|o| origin::find(plan, o, sources));
    let mut notes = explained.notes;
    let primary = match place {
        Some(origin::Place::Shown(mut label)) => {
            label.message = explained.label;
            Some(label)
        }
        Some(origin::Place::Named(text)) => {
            notes.insert(0, format!("at {text}, whose text is not at hand or has changed"));
            None
        }
        None => None,
    };
    if primary.is_none()
        && let Some(name) = node.map(|n| &n.name)
    {
        notes.insert(0, format!("in {}", name.lines().next().unwrap_or_default()));
    }
    let diagnostic = Diagnostic {
        code: explained.code,
        severity: Severity::Error,
        message: explained.message,
        primary,
        secondary: Vec::new(),
        notes,
        help: explained.help,
        kind: match explained.exit {
            Exit::Environment => FaultKind::Environment,
            _ => FaultKind::Input,
        },
    };
    Failure::rendered(explained.exit, render(&[diagnostic], sources, colour()))
}

/// Turns an error of the store into what the user is told.
pub(crate) fn store_failure(error: &StoreError) -> Failure {
    let failure = Failure::environment(error);
    match explain::store_help(error) {
        Some(help) => failure.help(help),
        None => failure,
    }
}
