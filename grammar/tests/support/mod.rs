//! A short way to write trees and errors down.

use std::fmt::Write as _;

use rbc_grammar::dockerfile::{Command, Heredoc, Instruction, Item, Kind, Pair, Parsed, Source, Text, parse};
use rbc_grammar::{Span, SyntaxError};

/// Writes the tree, then the errors, one per line.
pub(crate) fn dump(source: &str) -> String {
    let Parsed { tree, errors } = parse(source);
    let mut out = String::new();
    for directive in &tree.directives {
        let _ = writeln!(
            out,
            "{:?} directive {}={:?}@{:?}",
            directive.span, directive.key, directive.value, directive.value_span
        );
    }
    for item in &tree.items {
        match item {
            Item::Comment(span) => drop(writeln!(out, "{span:?} comment {:?}", at(source, *span))),
            Item::Blank(span) => drop(writeln!(out, "{span:?} blank")),
            Item::Error(span) => drop(writeln!(out, "{span:?} error {:?}", at(source, *span))),
            Item::Instruction(instruction) => instruction_lines(&mut out, instruction, ""),
        }
    }
    out.push_str(&errors_lines(source, &errors));
    out
}

fn errors_lines(source: &str, errors: &[SyntaxError]) -> String {
    let mut out = String::new();
    for error in errors {
        let _ = writeln!(out, "{} {:?} {:?}: {}", error.code, error.span, at(source, error.span), error.message);
        if let Some(help) = &error.help {
            let _ = writeln!(out, "      help: {help}");
        }
    }
    out
}

fn at(source: &str, span: Span) -> &str {
    source.get(span.range()).unwrap_or("(out of bounds)")
}

fn instruction_lines(out: &mut String, instruction: &Instruction, indent: &str) {
    let _ = write!(out, "{indent}{:?} {}", instruction.span, instruction.keyword.text);
    for flag in &instruction.flags {
        let _ = write!(out, " --{}", flag.name);
        if let Some(value) = &flag.value {
            let _ = write!(out, "={}", text(value));
        }
    }
    let _ = write!(out, " | ");
    match &instruction.kind {
        Kind::From { image, alias, as_keyword } => {
            let _ = write!(out, "image={}", text(image));
            if let (Some(word), Some(alias)) = (as_keyword, alias) {
                let _ = write!(out, " {} {:?}@{:?}", word.text, alias.text, alias.span);
            }
        }
        Kind::Run(it) | Kind::Cmd(it) | Kind::Entrypoint(it) => out.push_str(&command(it)),
        Kind::Healthcheck(Some(it)) => drop(write!(out, "check {}", command(it))),
        Kind::Healthcheck(None) => out.push_str("no check"),
        Kind::Shell(words) => drop(write!(out, "json {}", texts(words))),
        Kind::Expose(words) => out.push_str(&texts(words)),
        Kind::Env { pairs, legacy } | Kind::Label { pairs, legacy } => {
            if *legacy {
                out.push_str("legacy ");
            }
            out.push_str(&join(pairs.iter().map(pair)));
        }
        Kind::Arg(pairs) => out.push_str(&join(pairs.iter().map(pair))),
        Kind::Copy { sources, dest, json } | Kind::Add { sources, dest, json } => {
            if *json {
                out.push_str("json ");
            }
            let sources = sources.iter().map(|source| match source {
                Source::Path(path) => text(path),
                Source::Heredoc(number) => format!("heredoc {number}"),
            });
            let _ = write!(out, "{} -> {}", join(sources), text(dest));
        }
        Kind::Volume { paths, json } => {
            if *json {
                out.push_str("json ");
            }
            out.push_str(&texts(paths));
        }
        Kind::Workdir(it) | Kind::User(it) | Kind::StopSignal(it) | Kind::Maintainer(it) => {
            out.push_str(&text(it));
        }
        Kind::Onbuild(_) => out.push_str("trigger"),
        Kind::Invalid => drop(write!(out, "invalid {}", text(&instruction.rest))),
        Kind::Unknown => drop(write!(out, "unknown {}", text(&instruction.rest))),
    }
    out.push('\n');
    for span in &instruction.inner_comments {
        let _ = writeln!(out, "{indent}  {span:?} inner comment");
    }
    for span in &instruction.inner_blanks {
        let _ = writeln!(out, "{indent}  {span:?} inner blank");
    }
    if let Kind::Onbuild(inner) = &instruction.kind {
        instruction_lines(out, inner, "  ");
    }
    for it in &instruction.heredocs {
        let _ = writeln!(out, "{indent}  {}", heredoc(it));
    }
}

fn heredoc(it: &Heredoc) -> String {
    let mut out = format!("{:?} heredoc {:?}", it.opener, it.name);
    if it.fd != 0 {
        let _ = write!(out, " fd {}", it.fd);
    }
    if !it.expand {
        out.push_str(" literal");
    }
    if it.strip_tabs {
        out.push_str(" stripped");
    }
    let _ = write!(out, " {:?}@{:?} end {:?}", it.body, it.body_span, it.terminator);
    out
}

fn command(it: &Command) -> String {
    match it {
        Command::Json(words) => format!("json {}", texts(words)),
        Command::Shell(it) => text(it),
    }
}

fn pair(it: &Pair) -> String {
    match &it.value {
        Some(value) => format!("{}={}", text(&it.key), text(value)),
        None => text(&it.key),
    }
}

fn texts(all: &[Text]) -> String {
    format!("[{}]", join(all.iter().map(text)))
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn text(it: &Text) -> String {
    format!("{:?}@{:?}", it.text, it.span)
}
