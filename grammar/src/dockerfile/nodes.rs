//! What the grammar's rules make of their parts.

use lalrpop_util::ErrorRecovery;
use std::ops::Range;

use super::codes;
use super::keyword::Keyword;
use super::lexer::Token;
use super::logical::LogicalLine;
use super::tree::{Flag, Instruction, Kind, Name, Pair, Source, Text};
use crate::SyntaxError;

/// An element of a JSON array.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) range: Range<usize>,
    pub(super) string: bool,
}

/// A mistake in the arguments.
#[derive(Debug)]
pub(super) enum Wrong {
    /// Already reported by the lexer.
    Known,
    Recovered(ErrorRecovery<usize, Token, &'static str>),
}

/// Arguments, or why there are none.
pub(super) type Arguments<T> = Result<T, Wrong>;

/// A line taken apart.
#[derive(Debug)]
pub(super) struct Line<A> {
    pub(super) keyword: Range<usize>,
    pub(super) flags: Vec<Flag>,
    /// Where the arguments start.
    pub(super) rest: usize,
    pub(super) arguments: A,
}

/// A word of COPY or ADD.
#[derive(Debug)]
pub(super) enum Operand {
    Path(Text),
    Heredoc(usize, Range<usize>),
}

/// The words of COPY or ADD; the destination is the last one.
#[derive(Debug)]
pub(super) struct Operands {
    all: Vec<Operand>,
    json: bool,
}

/// The pairs of ENV or LABEL.
#[derive(Debug)]
pub(super) struct Pairs {
    pairs: Vec<Arguments<Pair>>,
    legacy: bool,
}

pub(super) fn map<T>(line: Line<Arguments<T>>, kind: impl FnOnce(T) -> Kind) -> Line<Arguments<Kind>> {
    let Line { keyword, flags, rest, arguments } = line;
    Line { keyword, flags, rest, arguments: arguments.map(kind) }
}

pub(super) fn map_all<T>(line: Line<T>, kind: Kind) -> Line<Arguments<Kind>> {
    let Line { keyword, flags, rest, .. } = line;
    Line { keyword, flags, rest, arguments: Ok(kind) }
}

pub(super) fn trigger(instruction: Instruction) -> Kind {
    Kind::Onbuild(Box::new(instruction))
}

pub(super) fn instruction(
    line: &LogicalLine<'_>,
    errors: &mut Vec<SyntaxError>,
    keyword: Keyword,
    parts: Line<Arguments<Kind>>,
) -> Instruction {
    let before = errors.len();
    let kind = match parts.arguments {
        Ok(kind) => {
            check(line, errors, keyword, &parts.keyword, &kind);
            if errors.len() > before { Kind::Invalid } else { kind }
        }
        Err(Wrong::Known) => Kind::Invalid,
        Err(Wrong::Recovered(recovery)) => {
            let place = codes::Place { line, keyword, keyword_range: parts.keyword.clone(), rest: parts.rest };
            errors.push(codes::arguments(&place, &recovery));
            Kind::Invalid
        }
    };
    // A name that is unknown is a mistake of its own kind.
    let kind = if keyword == Keyword::Unknown { Kind::Unknown } else { kind };
    Instruction {
        span: line.span(parts.keyword.start..line.len()),
        keyword: name(line, parts.keyword),
        flags: parts.flags,
        rest: line.text(parts.rest..line.len()),
        kind,
        heredocs: Vec::new(),
        inner_comments: Vec::new(),
        inner_blanks: Vec::new(),
    }
}

/// Rules on arguments of the right shape.
fn check(
    line: &LogicalLine<'_>,
    errors: &mut Vec<SyntaxError>,
    keyword: Keyword,
    keyword_range: &Range<usize>,
    kind: &Kind,
) {
    let at = || line.span(keyword_range.clone());
    match kind {
        Kind::Unknown => errors.push(codes::unknown(line.slice(keyword_range.clone()), at())),
        Kind::Shell(words) if words.is_empty() => errors.push(codes::at_least_one(keyword, at())),
        Kind::Volume { paths, .. } if paths.is_empty() => {
            errors.push(codes::at_least_one(keyword, at()));
        }
        Kind::Volume { paths, .. } => {
            for path in paths.iter().filter(|path| path.text.trim().is_empty()) {
                errors.push(codes::blank_volume(path.span));
            }
        }
        Kind::Arg(pairs) => blank_names(errors, keyword, pairs),
        Kind::Healthcheck(Some(super::Command::Json(words))) if words.is_empty() => {
            errors.push(codes::no_health_command(at()));
        }
        Kind::Onbuild(inner) => {
            let (inner_keyword, _) = Keyword::read(&inner.keyword.text);
            if let Some(error) = codes::forbidden_trigger(inner_keyword, inner.keyword.span) {
                errors.push(error);
            }
        }
        _ => {}
    }
}

fn blank_names(errors: &mut Vec<SyntaxError>, keyword: Keyword, pairs: &[Pair]) {
    for pair in pairs.iter().filter(|pair| pair.key.is_empty()) {
        errors.push(codes::blank_name(keyword, pair.span));
    }
}

pub(super) fn pairs(
    line: &LogicalLine<'_>,
    errors: &mut Vec<SyntaxError>,
    keyword: Keyword,
    parts: Line<Pairs>,
) -> Instruction {
    let Line { keyword: keyword_range, flags, rest, arguments } = parts;
    let legacy = arguments.legacy;
    let mut good = Vec::with_capacity(arguments.pairs.len());
    let mut found = Vec::new();
    for pair in arguments.pairs {
        match pair {
            Ok(pair) => good.push(pair),
            Err(Wrong::Known) => {}
            Err(Wrong::Recovered(recovery)) => {
                let place = codes::Place { line, keyword, keyword_range: keyword_range.clone(), rest };
                codes::pairs(&place, &recovery, &mut found);
            }
        }
    }
    blank_names(&mut found, keyword, &good);
    // The good pairs stay: what is written later may depend on them.
    let kind = match keyword {
        _ if good.is_empty() => Kind::Invalid,
        Keyword::Env => Kind::Env { pairs: good, legacy },
        _ => Kind::Label { pairs: good, legacy },
    };
    errors.append(&mut found);
    let parts = Line { keyword: keyword_range, flags, rest, arguments: Ok(kind) };
    instruction(line, errors, keyword, parts)
}

pub(super) fn legacy(key: Text, value: Text) -> Pairs {
    let span = key.span.cover(value.span);
    Pairs { pairs: vec![Ok(Pair { span, key, value: Some(value) })], legacy: true }
}

pub(super) fn modern(pairs: Vec<Arguments<Pair>>) -> Pairs {
    Pairs { pairs, legacy: false }
}

pub(super) fn pair(line: &LogicalLine<'_>, range: Range<usize>, equals: Option<usize>) -> Pair {
    Pair {
        span: line.span(range.clone()),
        key: line.text(range.start..equals.unwrap_or(range.end)),
        value: equals.map(|equals| line.text(equals + 1..range.end)),
    }
}

pub(super) fn flag(line: &LogicalLine<'_>, range: Range<usize>, equals: Option<usize>) -> Flag {
    let name_end = equals.unwrap_or(range.end);
    Flag {
        span: line.span(range.clone()),
        name: line.slice(range.start + 2..name_end).to_owned(),
        value: equals.map(|equals| line.text(equals + 1..range.end)),
    }
}

pub(super) fn name(line: &LogicalLine<'_>, range: Range<usize>) -> Name {
    Name { span: line.span(range.clone()), text: line.slice(range).to_owned() }
}

pub(super) fn operands(first: Operand, others: Vec<Operand>) -> Operands {
    let mut all = others;
    all.insert(0, first);
    Operands { all, json: false }
}

pub(super) fn json_operands(strings: Vec<Text>) -> Operands {
    Operands { all: strings.into_iter().map(Operand::Path).collect(), json: true }
}

/// COPY and ADD: sources, then the destination.
pub(super) fn transfer(
    line: &LogicalLine<'_>,
    errors: &mut Vec<SyntaxError>,
    keyword: Keyword,
    parts: Line<Arguments<Operands>>,
) -> Instruction {
    let Line { keyword: keyword_range, flags, rest, arguments } = parts;
    let arguments = arguments.map(|Operands { mut all, json }| {
        let count = all.len();
        let dest = match all.pop() {
            Some(Operand::Path(dest)) if count >= 2 => dest,
            Some(Operand::Heredoc(_, range)) => {
                errors.push(codes::heredoc_destination(keyword, line.span(range)));
                return Kind::Invalid;
            }
            _ => {
                let at = line.span(keyword_range.clone());
                errors.push(codes::no_destination(keyword, count, at));
                return Kind::Invalid;
            }
        };
        let sources = all.into_iter().map(|operand| match operand {
            Operand::Path(path) => Source::Path(path),
            Operand::Heredoc(number, _) => Source::Heredoc(number),
        });
        let sources = sources.collect();
        match keyword {
            Keyword::Copy => Kind::Copy { sources, dest, json },
            _ => Kind::Add { sources, dest, json },
        }
    });
    let parts = Line { keyword: keyword_range, flags, rest, arguments };
    instruction(line, errors, keyword, parts)
}
