//! Diagnostics as text.

use codespan_reporting::diagnostic as report;
use codespan_reporting::files::SimpleFiles;
use codespan_reporting::term::{self, Config, Styles, StylesWriter, termcolor::Buffer};

use crate::diagnostic::{Diagnostic, Label, Severity, SourceText};

/// Renders diagnostics with the lines that they are about, each headed by
/// `NAME:LINE:COLUMN`.
pub fn render(diagnostics: &[Diagnostic], sources: &[SourceText], colour: bool) -> String {
    let mut files = SimpleFiles::new();
    for source in sources {
        files.add(source.name.as_str(), &*source.text);
    }
    let mut buffer = if colour { Buffer::ansi() } else { Buffer::no_color() };
    let styles = Styles::default();
    let config = Config::default();
    for diagnostic in diagnostics {
        let mut writer = StylesWriter::new(&mut buffer, &styles);
        let report = report_of(diagnostic, sources);
        // Writing to memory does not fail, and labels were cut to the text.
        let _ = term::emit_to_write_style(&mut writer, &config, &files, &report);
    }
    String::from_utf8_lossy(buffer.as_slice()).into_owned()
}

fn report_of(diagnostic: &Diagnostic, sources: &[SourceText]) -> report::Diagnostic<usize> {
    let severity = match diagnostic.severity {
        Severity::Error => report::Severity::Error,
        Severity::Warning => report::Severity::Warning,
    };
    let label = |label: &Label, style| {
        let text = sources.get(label.source).map_or("", |s| &*s.text);
        report::Label::new(style, label.source, inside(text, label)).with_message(&label.message)
    };
    let primary = diagnostic.primary.iter().map(|l| label(l, report::LabelStyle::Primary));
    let secondary = diagnostic.secondary.iter().map(|l| label(l, report::LabelStyle::Secondary));
    let help = diagnostic.help.iter().map(|help| format!("help: {help}"));
    report::Diagnostic::new(severity)
        .with_code(diagnostic.code)
        .with_message(&diagnostic.message)
        .with_labels(primary.chain(secondary).collect())
        .with_notes(diagnostic.notes.iter().cloned().chain(help).collect())
}

/// The label's range, cut to the text and to whole characters; only the first
/// line of a long one, which is what points at it.
fn inside(text: &str, label: &Label) -> std::ops::Range<usize> {
    let floor = |n: u32| {
        let mut n = (n as usize).min(text.len());
        while !text.is_char_boundary(n) {
            n -= 1;
        }
        n
    };
    let start = floor(label.span.start);
    let end = floor(label.span.end).max(start);
    let first_line = text.get(start..end).and_then(|t| t.find('\n')).map_or(end, |n| start + n);
    start..first_line
}
