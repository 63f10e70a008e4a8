//! The instructions' names.

use logos::Logos;

/// An instruction's name, and the lexer that reads one.
///
/// The lexer runs on the first word only: `FROMAGE` is one longest match, and
/// so unknown. The characters that end the word are those of BuildKit's
/// `reWhitespace`.
#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    #[token("add", ignore(case))]
    Add,
    #[token("arg", ignore(case))]
    Arg,
    #[token("cmd", ignore(case))]
    Cmd,
    #[token("copy", ignore(case))]
    Copy,
    #[token("entrypoint", ignore(case))]
    Entrypoint,
    #[token("env", ignore(case))]
    Env,
    #[token("expose", ignore(case))]
    Expose,
    #[token("from", ignore(case))]
    From,
    #[token("healthcheck", ignore(case))]
    Healthcheck,
    #[token("label", ignore(case))]
    Label,
    #[token("maintainer", ignore(case))]
    Maintainer,
    #[token("onbuild", ignore(case))]
    Onbuild,
    #[token("run", ignore(case))]
    Run,
    #[token("shell", ignore(case))]
    Shell,
    #[token("stopsignal", ignore(case))]
    StopSignal,
    #[token("user", ignore(case))]
    User,
    #[token("volume", ignore(case))]
    Volume,
    #[token("workdir", ignore(case))]
    Workdir,
    #[regex(r"[^\t\x0b\x0c\r ]+", priority = 1)]
    Unknown,
}

/// All instructions, in upper case.
pub const KEYWORDS: &[&str] = &[
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

impl Keyword {
    /// Reads the keyword at the start of `text`; returns it with its length.
    pub(super) fn read(text: &str) -> (Self, usize) {
        let mut lexer = Self::lexer(text);
        match lexer.next() {
            Some(Ok(keyword)) => (keyword, lexer.span().end),
            _ => (Self::Unknown, 0),
        }
    }

    /// Returns the upper-case name; empty if unknown.
    pub(super) fn name(self) -> &'static str {
        // `KEYWORDS` stands in the order of the variants (a test checks it).
        KEYWORDS.get(self as usize).copied().unwrap_or_default()
    }

    /// Returns true if `<<WORD` after this keyword opens a heredoc.
    pub(super) fn takes_heredocs(self) -> bool {
        matches!(self, Self::Add | Self::Copy | Self::Run)
    }
}

#[cfg(test)]
mod tests {
    use super::{KEYWORDS, Keyword};

    #[test]
    fn every_name_reads_as_itself() {
        for name in KEYWORDS {
            let (keyword, length) = Keyword::read(name);
            assert_eq!((keyword.name(), length), (*name, name.len()));
            let (lower, _) = Keyword::read(&name.to_lowercase());
            assert_eq!(keyword, lower);
        }
    }

    #[test]
    fn longer_words_are_unknown() {
        assert_eq!(Keyword::read("FROMAGE brie"), (Keyword::Unknown, 7));
        assert_eq!(Keyword::read("RUN\tx"), (Keyword::Run, 3));
        assert_eq!(Keyword::read(""), (Keyword::Unknown, 0));
    }
}
