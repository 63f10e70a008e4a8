//! All mistakes that the front end reports: code, message, help.
//!
//! `docs/reference/dockerfile-syntax-errors.md` lists the codes. Where BuildKit
//! has a wording for a mistake, it is kept, so that people find it again.

use lalrpop_util::{ErrorRecovery, ParseError};
use std::ops::Range;

use super::keyword::{KEYWORDS, Keyword};
use super::lexer::Token;
use super::logical::LogicalLine;
use crate::{Span, SyntaxError, suggest};

fn error(code: &'static str, span: Span, message: impl Into<String>) -> SyntaxError {
    SyntaxError { code, span, message: message.into(), help: None }
}

fn with_help(mut error: SyntaxError, help: impl Into<String>) -> SyntaxError {
    error.help = Some(help.into());
    error
}

// The file.

pub(super) fn file_too_large(length: usize, limit: usize) -> SyntaxError {
    let message = format!("file of {length} bytes is greater than the allowed {limit}");
    error("D0001", Span::default(), message)
}

pub(super) fn line_too_long(length: usize, limit: usize, span: Span) -> SyntaxError {
    let message = format!("dockerfile line greater than max allowed size of {limit} (it has {length} bytes)");
    with_help(error("D0002", span, message), "break the line with a continuation, or move its content to a file")
}

pub(super) fn no_instructions(span: Span) -> SyntaxError {
    with_help(
        error("D0003", span, "file with no instructions"),
        "a Dockerfile begins with FROM, such as `FROM scratch`",
    )
}

pub(super) fn duplicate_directive(key: &str, span: Span) -> SyntaxError {
    with_help(error("D0004", span, format!("only one {key} parser directive can be used")), "remove all but the first")
}

pub(super) fn invalid_escape(value: &str, span: Span) -> SyntaxError {
    with_help(
        error("D0005", span, format!("invalid escape token '{value}' does not match ` or \\")),
        "write `# escape=\\` or `` # escape=` ``",
    )
}

// The line.

pub(super) const UNKNOWN: &str = "D0006";

pub(super) fn unknown(name: &str, span: Span) -> SyntaxError {
    let found = error(UNKNOWN, span, format!("unknown instruction: {name}"));
    match suggest(name, KEYWORDS) {
        Some(near) => with_help(found, format!("did you mean {near}?")),
        None => found,
    }
}

pub(super) fn nothing_continued(span: Span) -> SyntaxError {
    with_help(error("D0007", span, "a continuation without an instruction"), "remove the line")
}

pub(super) fn unterminated_heredoc(name: &str, indented: bool, span: Span) -> SyntaxError {
    let found = error("D0008", span, format!("unterminated heredoc {name}"));
    if indented {
        let help = format!(
            "there is a line with `{name}` and blanks around it: remove the blanks \
             (`<<-` allows tabs before it)"
        );
        return with_help(found, help);
    }
    with_help(found, format!("end it with a line that holds `{name}` and nothing else"))
}

pub(super) fn heredoc_destination(keyword: Keyword, span: Span) -> SyntaxError {
    let message = format!("{} cannot accept a heredoc as a destination", keyword.name());
    with_help(error("D0009", span, message), "add the path to write to as last argument")
}

// The arguments.

pub(super) fn not_a_string(line: &LogicalLine<'_>, keyword: Keyword, range: Range<usize>) -> SyntaxError {
    let value = line.slice(range.clone());
    let message = format!("when using JSON array syntax, arrays must be comprised of strings only: {}", shorten(value));
    let error = error("D0010", line.span(range), message);
    if value.starts_with(['[', '{']) {
        with_help(error, format!("{} takes a flat list of strings", keyword.name()))
    } else {
        with_help(error, format!("write \"{}\"", shorten(value)))
    }
}

fn json_required(keyword: Keyword, span: Span) -> SyntaxError {
    let name = keyword.name();
    with_help(
        error("D0011", span, format!("{name} requires the arguments to be in JSON form")),
        format!("write {name} [\"executable\", \"parameters\"], with double quotes"),
    )
}

pub(super) fn at_least_one(keyword: Keyword, span: Span) -> SyntaxError {
    error("D0012", span, format!("{} requires at least one argument", keyword.name()))
}

fn exactly_one(keyword: Keyword, span: Span) -> SyntaxError {
    error("D0013", span, format!("{} requires exactly one argument", keyword.name()))
}

fn one_or_three(span: Span) -> SyntaxError {
    with_help(
        error("D0014", span, "FROM requires either one or three arguments"),
        "write `FROM image` or `FROM image AS name`",
    )
}

pub(super) fn no_destination(keyword: Keyword, count: usize, span: Span) -> SyntaxError {
    let name = keyword.name();
    let given = if count == 0 { "none" } else { "only one" };
    with_help(
        error(
            "D0015",
            span,
            format!(
                "{name} requires at least two arguments, but {given} was provided. \
                 Destination could not be determined"
            ),
        ),
        format!("write {name} source destination"),
    )
}

fn two_arguments(keyword: Keyword, span: Span) -> SyntaxError {
    let name = keyword.name();
    with_help(error("D0016", span, format!("{name} must have two arguments")), format!("write {name} name=value"))
}

fn no_equals(word: &str, span: Span) -> SyntaxError {
    let word = shorten(word);
    let message = format!("can't find = in \"{word}\": must be of the form name=value");
    with_help(error("D0017", span, message), "quote the value if it holds blanks: name=\"a b\"")
}

pub(super) fn blank_name(keyword: Keyword, span: Span) -> SyntaxError {
    error("D0018", span, format!("{} names can not be blank", keyword.name()))
}

pub(super) fn blank_volume(inner: Span) -> SyntaxError {
    // Only a JSON string can be blank: show its quotes as well.
    let span = Span::new(inner.start.saturating_sub(1), inner.end + 1);
    error("D0019", span, "VOLUME specified can not be an empty string")
}

fn health_type(word: &str, span: Span) -> SyntaxError {
    with_help(
        error("D0020", span, format!("unknown type \"{}\" in HEALTHCHECK (try CMD)", shorten(word))),
        "write `HEALTHCHECK CMD command` or `HEALTHCHECK NONE`",
    )
}

fn health_none(span: Span) -> SyntaxError {
    error("D0021", span, "HEALTHCHECK NONE takes no arguments")
}

pub(super) fn no_health_command(span: Span) -> SyntaxError {
    error("D0022", span, "missing command after HEALTHCHECK CMD")
}

pub(super) fn chained_onbuild(span: Span) -> SyntaxError {
    error("D0023", span, "chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
}

pub(super) fn forbidden_trigger(keyword: Keyword, span: Span) -> Option<SyntaxError> {
    let forbidden = matches!(keyword, Keyword::From | Keyword::Maintainer);
    forbidden.then(|| {
        let message = format!("{} isn't allowed as an ONBUILD trigger", keyword.name());
        error("D0024", span, message)
    })
}

pub(super) fn not_one_trigger(count: usize, span: Span) -> SyntaxError {
    let message = format!("an ONBUILD trigger should be a single instruction, not {count}");
    error("D0025", span, message)
}

// From what LALRPOP found to what the user should know.

/// The line that went wrong.
pub(super) struct Place<'l, 's> {
    pub(super) line: &'l LogicalLine<'s>,
    pub(super) keyword: Keyword,
    pub(super) keyword_range: Range<usize>,
    /// Where the arguments start.
    pub(super) rest: usize,
}

type Recovery = ErrorRecovery<usize, Token, &'static str>;

/// Says what is wrong with the arguments as a whole.
pub(super) fn arguments(place: &Place<'_, '_>, recovery: &Recovery) -> SyntaxError {
    let Place { line, keyword, keyword_range, rest } = place;
    let keyword = *keyword;
    let at = line.span(keyword_range.clone());
    let none = *rest >= line.len();
    let found = match &recovery.error {
        ParseError::UnrecognizedToken { token: (start, token, end), .. } => Some((*start..*end, token)),
        _ => None,
    };
    match (keyword, found) {
        (Keyword::From, None) if none => one_or_three(at),
        (Keyword::From, None) => one_or_three(line.span(*rest..line.len())),
        (Keyword::From, Some((range, _))) => one_or_three(line.span(range.start..line.len())),
        (Keyword::Copy | Keyword::Add, _) => no_destination(keyword, usize::from(!none), at),
        (Keyword::Workdir | Keyword::User | Keyword::StopSignal | Keyword::Maintainer, _) => exactly_one(keyword, at),
        (Keyword::Shell, Some((range, _))) => json_required(keyword, line.span(range)),
        (Keyword::Healthcheck, None) if !none => no_health_command(at),
        (Keyword::Healthcheck, Some((range, Token::Word))) => health_type(line.slice(range.clone()), line.span(range)),
        (Keyword::Healthcheck, Some((range, _))) => health_none(line.span(range)),
        _ => at_least_one(keyword, at),
    }
}

/// Says what is wrong with the pairs of ENV or LABEL: one mistake per word.
pub(super) fn pairs(place: &Place<'_, '_>, recovery: &Recovery, errors: &mut Vec<SyntaxError>) {
    let Place { line, keyword, keyword_range, rest } = place;
    if recovery.dropped_tokens.is_empty() {
        let at = line.span(keyword_range.clone());
        errors.push(if *rest >= line.len() {
            at_least_one(*keyword, at)
        } else {
            two_arguments(*keyword, line.span(keyword_range.start..line.len()))
        });
    }
    for (start, _, end) in &recovery.dropped_tokens {
        errors.push(no_equals(line.slice(*start..*end), line.span(*start..*end)));
    }
}

/// Keeps a message readable, whatever the file holds.
fn shorten(text: &str) -> String {
    const MAX: usize = 60;
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
