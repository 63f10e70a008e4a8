//! The tokens of a logical line, as the grammar sees them.

use std::ops::Range;

use super::super::codes;
use super::super::json::ArrayParser;
use super::super::keyword::Keyword;
use super::super::logical::LogicalLine;
use super::super::tree::Text;
use super::shell::{self, Opener};
use super::words::{InSingleQuotes, Words};
use super::{blanks, flags, json};
use crate::SyntaxError;

/// One token; its place goes beside it, as offsets into the logical line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dockerfile) enum Token {
    Keyword(Keyword),
    /// `--name[=value]`, with the offset of `=`.
    Flag(Option<usize>),
    Word,
    /// A word that opens the heredoc with this number.
    Heredoc(usize),
    /// `AS` in second place of FROM.
    As,
    /// `NONE` and `CMD` in first place of HEALTHCHECK.
    None,
    Cmd,
    /// A word with `=`, with the offset of it.
    Pair(usize),
    /// The first word of the form without `=` (`ENV key rest of line`).
    Key,
    /// All that is left of the line.
    Text,
    /// All that is left of the line, as a JSON array of strings.
    Strings(Vec<Text>),
    /// Arguments that are already known to be wrong.
    Mistake,
}

/// What the lexers found on a line.
#[derive(Debug, Default)]
pub(in crate::dockerfile) struct Lexed {
    pub(in crate::dockerfile) tokens: Vec<(usize, Token, usize)>,
    pub(in crate::dockerfile) openers: Vec<Opener>,
    pub(in crate::dockerfile) errors: Vec<SyntaxError>,
}

/// Reads keyword, flags and arguments; after ONBUILD once more.
pub(in crate::dockerfile) fn tokens(line: &LogicalLine<'_>, escape: char) -> Lexed {
    let mut lexed = Lexed::default();
    let mut at = 0;
    loop {
        let (keyword, length) = Keyword::read(line.slice(at..line.len()));
        lexed.push(at..at + length, Token::Keyword(keyword));
        let (found, arguments) = flags::flags(line.as_str(), at + length);
        for flag in found {
            let equals = line.slice(flag.clone()).find('=').map(|equals| flag.start + equals);
            lexed.push(flag, Token::Flag(equals));
        }
        at = arguments;
        if at >= line.len() {
            return lexed;
        }
        if keyword != Keyword::Onbuild {
            lexed.arguments(line, keyword, at, escape);
            return lexed;
        }
        // Not left to the grammar: the depth of the tree must not be the
        // text's to choose.
        let (next, length) = Keyword::read(line.slice(at..line.len()));
        if next == Keyword::Onbuild {
            lexed.errors.push(codes::chained_onbuild(line.span(at..at + length)));
            lexed.openers = shell::openers(line.as_str());
            lexed.push(at..line.len(), Token::Mistake);
            return lexed;
        }
    }
}

impl Lexed {
    fn push(&mut self, range: Range<usize>, token: Token) {
        self.tokens.push((range.start, token, range.end));
    }

    fn arguments(&mut self, line: &LogicalLine<'_>, keyword: Keyword, at: usize, escape: char) {
        let rest = line.slice(at..line.len());
        match keyword {
            Keyword::From => self.from(rest, at),
            Keyword::Run | Keyword::Cmd | Keyword::Entrypoint | Keyword::Shell => {
                if !self.json(line, keyword, at) {
                    self.open_heredocs(line, keyword);
                    self.push(at..line.len(), Token::Text);
                }
            }
            Keyword::Copy | Keyword::Add | Keyword::Volume => {
                if !self.json(line, keyword, at) {
                    self.open_heredocs(line, keyword);
                    self.words(rest, at);
                }
            }
            Keyword::Expose => self.words(rest, at),
            Keyword::Env | Keyword::Label => self.pairs(line, at, escape),
            Keyword::Arg => {
                for word in Words::new(rest, at, escape, InSingleQuotes::Literal) {
                    self.pair(line, word);
                }
            }
            Keyword::Healthcheck => self.healthcheck(line, at),
            // ONBUILD without a trigger does not come here.
            Keyword::Maintainer
            | Keyword::StopSignal
            | Keyword::User
            | Keyword::Workdir
            | Keyword::Onbuild
            | Keyword::Unknown => self.push(at..line.len(), Token::Text),
        }
    }

    /// `AS` is a keyword in second place only: `FROM as` names an image.
    fn from(&mut self, rest: &str, at: usize) {
        for (i, word) in blanks::words(rest, at).enumerate() {
            let text = rest.get(word.start - at..word.end - at).unwrap_or_default();
            let second = i == 1 && text.eq_ignore_ascii_case("as");
            self.push(word, if second { Token::As } else { Token::Word });
        }
    }

    fn words(&mut self, rest: &str, at: usize) {
        for word in blanks::words(rest, at) {
            let token = match self.openers.binary_search_by_key(&word.start, |o| o.range.start) {
                Ok(i) if self.openers.get(i).is_some_and(|o| o.range == word) => Token::Heredoc(i),
                _ => Token::Word,
            };
            self.push(word, token);
        }
    }

    /// The whole line is read, as BuildKit does it: a quote in a flag counts.
    fn open_heredocs(&mut self, line: &LogicalLine<'_>, keyword: Keyword) {
        if keyword.takes_heredocs() {
            self.openers = shell::openers(line.as_str());
        }
    }

    /// BuildKit looks at the first word alone to choose between `k=v …` and
    /// the older `k rest of line`.
    fn pairs(&mut self, line: &LogicalLine<'_>, at: usize, escape: char) {
        let rest = line.slice(at..line.len());
        let mut words = Words::new(rest, at, escape, InSingleQuotes::Literal).peekable();
        let Some(first) = words.peek() else { return };
        if line.slice(first.clone()).contains('=') {
            for word in words {
                self.pair(line, word);
            }
            return;
        }
        let (key, value) = blanks::split_first(rest);
        self.push(at..at + key, Token::Key);
        if let Some(value) = value {
            self.push(at + value..line.len(), Token::Text);
        }
    }

    fn pair(&mut self, line: &LogicalLine<'_>, word: Range<usize>) {
        let token = match line.slice(word.clone()).find('=') {
            Some(equals) => Token::Pair(word.start + equals),
            None => Token::Word,
        };
        self.push(word, token);
    }

    fn healthcheck(&mut self, line: &LogicalLine<'_>, at: usize) {
        let rest = line.slice(at..line.len());
        let end = at + rest.find(char::is_whitespace).unwrap_or(rest.len());
        let kind = line.slice(at..end);
        let token = if kind.eq_ignore_ascii_case("none") {
            Token::None
        } else if kind.eq_ignore_ascii_case("cmd") {
            Token::Cmd
        } else {
            Token::Word
        };
        self.push(at..end, token);
        let rest = line.slice(end..line.len());
        let at = line.len() - rest.trim_start().len();
        if at < line.len() && !self.json(line, Keyword::Healthcheck, at) {
            self.push(at..line.len(), Token::Text);
        }
    }

    /// Reads the rest as a JSON array, if it is one.
    ///
    /// An array of something else than strings is a mistake; whatever is no
    /// valid JSON is left to be plain text (BuildKit `parseMaybeJSON`).
    fn json(&mut self, line: &LogicalLine<'_>, keyword: Keyword, at: usize) -> bool {
        let rest = line.slice(at..line.len());
        if !rest.starts_with('[') {
            return false;
        }
        let Ok(elements) = ArrayParser::new().parse(json::tokens(rest, at)) else {
            return false;
        };
        let mut strings = Vec::with_capacity(elements.len());
        let mut clean = true;
        for element in elements {
            if element.string {
                strings.push(json::decode(line, element.range));
            } else {
                clean = false;
                self.errors.push(codes::not_a_string(line, keyword, element.range));
            }
        }
        let token = if clean { Token::Strings(strings) } else { Token::Mistake };
        self.push(at..line.len(), token);
        true
    }
}
