//! The program without places.
//!
//! Purpose: what the syntax tree says, free of spans, comments and blank
//! lines, so that moving an instruction in the file does not change it, and
//! nothing that is computed from it has to be computed again. Places are kept
//! apart in a [`SpanTable`], under the same numbers.
//!
//! Does not interpret anything: flags are not checked, stages not resolved.

mod build;
mod insn;
mod spans;

pub(crate) use build::{build, trigger};
pub(crate) use spans::{Place, Slot, SpanTable};

/// Number of an instruction in the file, or, for a trigger of a base image,
/// that of the FROM which fires it.
pub(crate) type InsnId = u32;

/// A logical text and its place in the instruction.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) slot: Slot,
}

/// A whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) escape: char,
    /// What stands before the first FROM.
    pub(crate) head: Vec<Insn>,
    pub(crate) stages: Vec<Stage>,
}

/// A FROM and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) from: InsnId,
    pub(crate) flags: Vec<Flag>,
    pub(crate) image: Word,
    pub(crate) alias: Option<Word>,
    pub(crate) body: Vec<Insn>,
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Insn {
    pub(crate) id: InsnId,
    /// The keyword in capitals.
    pub(crate) keyword: String,
    /// Keyword, flags and rest, for progress.
    pub(crate) display: String,
    pub(crate) flags: Vec<Flag>,
    pub(crate) body: Body,
    pub(crate) heredocs: Vec<Doc>,
    /// It is a trigger: all its places are its FROM.
    pub(crate) trigger: bool,
}

/// `--name[=value]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flag {
    pub(crate) name: String,
    /// Where the whole flag stands.
    pub(crate) slot: Slot,
    pub(crate) value: Option<Word>,
}

/// A heredoc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doc {
    pub(crate) name: String,
    pub(crate) expand: bool,
    pub(crate) body: Word,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Json(Vec<String>),
    Shell(Word),
}

/// `key[=value]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: Word,
    pub(crate) value: Option<Word>,
}

/// A source of COPY and ADD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Path(Word),
    Heredoc(usize),
}

/// The arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Run(Command),
    Cmd(Command),
    Entrypoint(Command),
    Shell(Vec<String>),
    Env(Vec<Pair>),
    Label(Vec<Pair>),
    Arg(Vec<Pair>),
    Copy {
        sources: Vec<Source>,
        dest: Word,
    },
    Add {
        sources: Vec<Source>,
        dest: Word,
    },
    Workdir(Word),
    User(Word),
    Volume(Vec<Word>),
    Expose(Vec<Word>),
    StopSignal(Word),
    Healthcheck(Option<Command>),
    /// The trigger's text with its heredocs.
    Onbuild(String),
    Maintainer(Word),
    /// A syntax error was told already.
    Invalid,
    /// The keyword is not known.
    Unknown,
}
