//! The syntax tree of a Dockerfile.
//!
//! The tree is lossless as far as a formatter needs it: comments and blank
//! lines are items of their own, and every text knows where in the source each
//! of its bytes stands, also across line continuations. It holds no meaning:
//! variables are not expanded, stages are not resolved, ports not checked.

use crate::Span;

/// A whole file.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Dockerfile {
    /// The escape character: `\`, or what `# escape=` says.
    pub escape: char,
    /// Parser directives at the top, in order.
    pub directives: Vec<Directive>,
    /// Instructions, comments and blank lines in source order.
    pub items: Vec<Item>,
}

/// `# key=value` at the top of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// The whole line without its line end.
    pub span: Span,
    /// The key in lower case.
    pub key: String,
    /// The value, trimmed.
    pub value: String,
    /// Where the value stands.
    pub value_span: Span,
}

/// One element of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An instruction with its continuation lines and heredoc bodies.
    Instruction(Box<Instruction>),
    /// A comment line outside an instruction (with `#`, without line end).
    Comment(Span),
    /// A blank line.
    Blank(Span),
    /// A line that is no instruction; a diagnostic says why.
    Error(Span),
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// From the keyword to the end of the last argument or heredoc terminator.
    pub span: Span,
    /// The keyword as written.
    pub keyword: Name,
    /// `--name[=value]` directly after the keyword, in order.
    pub flags: Vec<Flag>,
    /// Everything after the flags, as one text (for `created_by`, ONBUILD).
    /// Heredoc bodies are not part of it.
    pub rest: Text,
    /// What the instruction says.
    pub kind: Kind,
    /// Bodies of the heredocs opened on the instruction's line, in order. Those
    /// on an ONBUILD line belong to the trigger inside of it, not to ONBUILD.
    pub heredocs: Vec<Heredoc>,
    /// Comment lines dropped from between continuation lines.
    pub inner_comments: Vec<Span>,
    /// Blank lines between continuation lines (rule `NoEmptyContinuation`).
    pub inner_blanks: Vec<Span>,
}

/// A name with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Where it stands.
    pub span: Span,
    /// As written.
    pub text: String,
}

/// `--name` or `--name=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The whole flag.
    pub span: Span,
    /// The name without dashes.
    pub name: String,
    /// The value; `None` without `=`. Quotes and escapes are kept: they are
    /// the business of expansion. (BuildKit strips them while extracting
    /// flags, `parser/split_command.go`.)
    pub value: Option<Text>,
}

/// A logical text: continuations are joined, everything else is as written.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Text {
    /// The logical text; quotes, escapes and variables untouched.
    pub text: String,
    /// Source range from the first to the last byte.
    pub span: Span,
    /// Pairs `(logical offset, source offset)`, ascending in both, one for
    /// the start and one after each join: between two of them offsets run
    /// in parallel.
    pub map: Vec<(u32, u32)>,
}

impl Text {
    /// Maps a byte range of the logical text back to the source.
    pub fn source_span(&self, start: usize, end: usize) -> Span {
        let at = |offset: usize| {
            let offset = u32::try_from(offset).unwrap_or(u32::MAX);
            let i = self.map.partition_point(|&(l, _)| l <= offset);
            match i.checked_sub(1).and_then(|i| self.map.get(i)) {
                Some(&(l, s)) => s + (offset - l),
                None => self.span.start,
            }
        };
        if end <= start {
            return Span::new(at(start), at(start));
        }
        // The end belongs to the piece of the last byte, not to the next one.
        Span::new(at(start), at(end - 1) + 1)
    }

    /// Returns true if there is no text.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// Shell form, JSON form, or neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `["a", "b"]`: the decoded strings.
    Json(Vec<Text>),
    /// Text for the shell, as written (continuations joined).
    Shell(Text),
}

/// `key=value` of ENV, LABEL and ARG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// From key to value.
    pub span: Span,
    /// The key, quotes kept.
    pub key: Text,
    /// The value, quotes kept; `None` only for an ARG without `=`.
    pub value: Option<Text>,
}

/// A source or destination of COPY and ADD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A path, pattern or URL.
    Path(Text),
    /// The heredoc with this index in [`Instruction::heredocs`].
    Heredoc(usize),
}

/// A here-document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heredoc {
    /// The word `<<EOF` on the instruction's line.
    pub opener: Span,
    /// The delimiter without quotes.
    pub name: String,
    /// The file descriptor before `<<`; 0 if none.
    pub fd: u32,
    /// True if the delimiter was not quoted: the body is expanded (COPY, ADD).
    pub expand: bool,
    /// True for `<<-`: leading tabs were stripped from `body`.
    pub strip_tabs: bool,
    /// The body with final newline, tabs stripped if asked for. Line ends are
    /// those of the source (BuildKit keeps CR LF in bodies, too).
    pub body: String,
    /// The body in the source, terminator line not included.
    pub body_span: Span,
    /// The terminator line (without line end); empty if missing.
    pub terminator: Span,
}

/// The arguments, by instruction. `Invalid` after a syntax error in them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the instructions' own names")]
pub enum Kind {
    From {
        image: Text,
        alias: Option<Name>,
        as_keyword: Option<Name>,
    },
    Run(Command),
    Cmd(Command),
    Entrypoint(Command),
    Shell(Vec<Text>),
    Env {
        pairs: Vec<Pair>,
        legacy: bool,
    },
    Label {
        pairs: Vec<Pair>,
        legacy: bool,
    },
    Arg(Vec<Pair>),
    Copy {
        sources: Vec<Source>,
        dest: Text,
        json: bool,
    },
    Add {
        sources: Vec<Source>,
        dest: Text,
        json: bool,
    },
    Workdir(Text),
    User(Text),
    Volume {
        paths: Vec<Text>,
        json: bool,
    },
    Expose(Vec<Text>),
    StopSignal(Text),
    /// `None` for `HEALTHCHECK NONE`.
    Healthcheck(Option<Command>),
    Onbuild(Box<Instruction>),
    Maintainer(Text),
    /// The keyword is known, the arguments are not usable.
    Invalid,
    /// The keyword is not known.
    Unknown,
}
