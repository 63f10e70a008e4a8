//! Flags of instructions: which there are, and what form their values have.
//!
//! Values are unquoted here (BuildKit does so while it splits a line,
//! `parser/split_command.go`); variables in them are expanded later.

use rbc_grammar::suggest;

use crate::codes;
use crate::diagnostic::Problem;
use crate::hir::{Flag, Place, Word};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    List,
    Bool,
}

fn known(keyword: &str) -> &'static [(&'static str, Form)] {
    use Form::{Bool, List, Text};
    match keyword {
        "FROM" => &[("platform", Text)],
        "RUN" => &[("mount", List), ("network", Text), ("security", Text), ("device", List)],
        "COPY" => {
            &[("from", Text), ("chown", Text), ("chmod", Text), ("link", Bool), ("parents", Bool), ("exclude", List)]
        }
        "ADD" => &[
            ("chown", Text),
            ("chmod", Text),
            ("link", Bool),
            ("keep-git-dir", Bool),
            ("checksum", Text),
            ("unpack", Bool),
            ("exclude", List),
        ],
        "HEALTHCHECK" => &[
            ("interval", Text),
            ("timeout", Text),
            ("start-period", Text),
            ("start-interval", Text),
            ("retries", Text),
        ],
        _ => &[],
    }
}

/// The flags of one instruction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    values: Vec<(&'static str, Word)>,
}

impl Flags {
    /// Reads flags. What is wrong is left out and told.
    pub(crate) fn parse(
        keyword: &str,
        flags: &[Flag],
        escape: char,
        place: impl Fn(u16) -> Place,
    ) -> (Self, Vec<Problem>) {
        let mut read = Self::default();
        let mut problems = Vec::new();
        let known = known(keyword);
        for flag in flags {
            let at = place(flag.slot);
            let Some((name, form)) = known.iter().find(|(name, _)| *name == flag.name) else {
                let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
                let help = match (suggest(&flag.name, &names), names.is_empty()) {
                    (Some(near), _) => format!("did you mean `--{near}`?"),
                    (None, true) => format!("{keyword} has no flags"),
                    (None, false) => format!("{keyword} has `--{}`", names.join("`, `--")),
                };
                let message = format!("unknown flag: --{}", flag.name);
                problems.push(Problem::new(codes::UNKNOWN_FLAG, message).at(at).help(help));
                continue;
            };
            if *form != Form::List && read.word(name).is_some() {
                let message = format!("duplicate flag specified: --{name}");
                problems.push(Problem::new(codes::REPEATED_FLAG, message).at(at));
                continue;
            }
            let value = match &flag.value {
                Some(value) => Word { text: unquote(&value.text, escape), slot: value.slot },
                None if *form == Form::Bool => Word { text: "true".to_owned(), slot: flag.slot },
                None => {
                    let message = format!("missing a value on flag: --{name}");
                    let help = format!("write `--{name}=value`");
                    problems.push(Problem::new(codes::FLAG_VALUE, message).at(at).help(help));
                    continue;
                }
            };
            if *form == Form::Bool && yes_no(&value.text).is_none() {
                let message = format!("expecting boolean value for flag --{name}, not: `{}`", value.text);
                problems.push(Problem::new(codes::FLAG_VALUE, message).at(at).help("write `true` or `false`"));
                continue;
            }
            read.values.push((name, value));
        }
        (read, problems)
    }

    /// Returns the value of a flag.
    pub(crate) fn word(&self, name: &str) -> Option<&Word> {
        self.values.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Returns all values of a flag that may be repeated.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Word> {
        self.values.iter().filter(move |(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Returns the value of a yes/no flag.
    pub(crate) fn bool(&self, name: &str) -> Option<bool> {
        self.word(name).and_then(|w| yes_no(&w.text))
    }
}

/// A yes/no flag is `true` or `false` in any case, nothing else (BuildKit:
/// `instructions/bflag.go`).
fn yes_no(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Takes quotes and escapes away, as the flag reader does.
fn unquote(text: &str, escape: char) -> String {
    if !text.contains(['"', '\'', escape]) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match quote {
            Some(q) if c == q => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            // The escape character keeps its meaning for `$`, which is
            // looked at later.
            _ if c == escape && quote != Some('\'') => match chars.next() {
                Some('$') => out.extend([c, '$']),
                Some(next) => out.push(next),
                None => {}
            },
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_and_no() {
        for (text, want) in [("TRUE", Some(true)), ("False", Some(false)), ("1", None), ("t", None), ("", None)] {
            assert_eq!(yes_no(text), want, "{text}");
        }
    }

    #[test]
    fn quotes_in_flags() {
        assert_eq!(unquote("\"a b\"'c'\\ d\\$x", '\\'), "a bc d\\$x");
        assert_eq!(unquote("plain", '\\'), "plain");
    }
}
