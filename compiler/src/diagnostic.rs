//! Diagnostics: what a user is told, and the placeless form that queries keep.

use std::sync::Arc;

use rbc_grammar::Span;

use crate::codes::Code;
use crate::hir::{Place, SpanTable};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Warning,
    /// There is no plan.
    Error,
}

/// Whose fault it is: decides the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The build file's or the command line's.
    Input,
    /// The surroundings': a registry that does not answer, a file that cannot
    /// be read.
    Environment,
}

/// A place with a remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Index of the source in [`crate::Compiled::sources`].
    pub source: usize,
    /// Where.
    pub span: Span,
    /// What is to be said there; may be empty.
    pub message: String,
}

/// Something to tell the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code (`E1…` of the compiler, `D…` of the parser).
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong. Lower case, no full stop.
    pub message: String,
    /// Where; `None` if it is not in a file.
    pub primary: Option<Label>,
    /// Other places that matter.
    pub secondary: Vec<Label>,
    /// More facts.
    pub notes: Vec<String>,
    /// The way out.
    pub help: Option<String>,
    /// Whose fault it is.
    pub kind: FaultKind,
}

/// A diagnostic without spans, as memoised queries keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    pub(crate) severity: Severity,
    pub(crate) message: String,
    pub(crate) place: Option<Place>,
    pub(crate) label: String,
    pub(crate) secondary: Vec<(Place, String)>,
    pub(crate) notes: Vec<String>,
    pub(crate) help: Option<String>,
    pub(crate) kind: FaultKind,
}

impl Problem {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            place: None,
            label: String::new(),
            secondary: Vec::new(),
            notes: Vec::new(),
            help: None,
            kind: FaultKind::Input,
        }
    }

    pub(crate) fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    pub(crate) fn label(mut self, text: impl Into<String>) -> Self {
        self.label = text.into();
        self
    }

    pub(crate) fn also(mut self, place: Place, text: impl Into<String>) -> Self {
        self.secondary.push((place, text.into()));
        self
    }

    pub(crate) fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    pub(crate) fn maybe_help(mut self, text: Option<String>) -> Self {
        self.help = text.or(self.help);
        self
    }

    pub(crate) fn environment(mut self, yes: bool) -> Self {
        if yes {
            self.kind = FaultKind::Environment;
        }
        self
    }

    /// Joins the problem with the places of the text as it stands now.
    pub(crate) fn locate(&self, spans: &SpanTable) -> Diagnostic {
        let label =
            |place: Place, text: &str| Label { source: 0, span: spans.resolve(place), message: text.to_owned() };
        Diagnostic {
            code: self.code.0,
            severity: self.severity,
            message: self.message.clone(),
            primary: self.place.map(|p| label(p, &self.label)),
            secondary: self.secondary.iter().map(|(p, text)| label(*p, text)).collect(),
            notes: self.notes.clone(),
            help: self.help.clone(),
            kind: self.kind,
        }
    }
}

/// A source text, for showing diagnostics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceText {
    /// The name as the user gave it.
    pub name: String,
    /// The text.
    pub text: Arc<str>,
}
