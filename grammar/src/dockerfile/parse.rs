//! From text to tree: items line by line.

use super::codes;
use super::directive::Directives;
use super::heredoc;
use super::instruction::InstructionParser;
use super::lexer::{self, Lexed, Opener};
use super::logical::LogicalLine;
use super::physical::{self, Lines, PhysicalLine, span};
use super::tree::{Dockerfile, Heredoc, Instruction, Item, Kind};
use crate::{SyntaxError, suggest};

/// A tree and what is wrong with the text it was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// What could be understood.
    pub tree: Dockerfile,
    /// The mistakes, in source order.
    pub errors: Vec<SyntaxError>,
}

/// Parses a Dockerfile. Never fails: whatever the text is, there is a tree.
pub fn parse(source: &str) -> Parsed {
    parse_within(source, u32::MAX as usize)
}

/// Parses one instruction, with the heredocs that may follow it.
///
/// For ONBUILD triggers from an image's configuration. `escape` is the escape
/// character to read it with (`\` for triggers, whatever the Dockerfile that
/// they come from had). Parser directives are not read.
pub fn parse_instruction(text: &str, escape: char) -> (Option<Instruction>, Vec<SyntaxError>) {
    let mut parser = Parser::new(text, escape);
    if text.len() > u32::MAX as usize {
        return (None, vec![codes::file_too_large(text.len(), u32::MAX as usize)]);
    }
    parser.items(Lines::new(text));
    let count = parser.instructions().count();
    if count != 1 && parser.errors.is_empty() {
        parser.errors.push(codes::not_one_trigger(count, span(0, text.len())));
    }
    let first = parser.items.into_iter().find_map(|item| match item {
        Item::Instruction(instruction) => Some(*instruction),
        _ => None,
    });
    (first, parser.errors)
}

fn parse_within(source: &str, limit: usize) -> Parsed {
    if source.len() > limit {
        let tree = Dockerfile { escape: '\\', ..Dockerfile::default() };
        return Parsed { tree, errors: vec![codes::file_too_large(source.len(), limit)] };
    }
    let mut lines = Lines::new(source);
    let directives = Directives::read(&mut lines);
    let mut parser = Parser::new(source, directives.escape.unwrap_or('\\'));
    parser.errors = directives.errors;
    parser.items(lines);
    if parser.instructions().next().is_none() && parser.errors.is_empty() {
        parser.errors.push(codes::no_instructions(span(0, source.len())));
    }
    for line in physical::too_long(source) {
        let length = line.next - line.start - physical::feed(source, line);
        parser.errors.push(codes::line_too_long(length, physical::MAX_LINE, line.span()));
    }
    parser.errors.sort_by_key(|error| error.span.start);
    let tree = Dockerfile { escape: parser.escape, directives: directives.found, items: parser.items };
    Parsed { tree, errors: parser.errors }
}

struct Parser {
    grammar: InstructionParser,
    escape: char,
    items: Vec<Item>,
    errors: Vec<SyntaxError>,
    /// A misspelt instruction's heredoc was looked for up to the end of the
    /// file in vain. Not tried again: the time would be quadratic.
    gave_up: bool,
}

impl Parser {
    fn new(source: &str, escape: char) -> Self {
        Self {
            grammar: InstructionParser::new(),
            escape,
            // An instruction with its line end is rarely shorter.
            items: Vec::with_capacity(source.len() / 32),
            errors: Vec::new(),
            gave_up: false,
        }
    }

    fn instructions(&self) -> impl Iterator<Item = &Instruction> {
        self.items.iter().filter_map(|item| match item {
            Item::Instruction(instruction) => Some(&**instruction),
            _ => None,
        })
    }

    fn items(&mut self, mut lines: Lines<'_>) {
        while let Some(line) = lines.next() {
            let text = lines.text(line).trim_start();
            let item = if text.is_empty() {
                Item::Blank(line.span())
            } else if text.starts_with('#') {
                Item::Comment(span(line.end - text.len(), line.end))
            } else {
                self.instruction(&mut lines, line)
            };
            self.items.push(item);
        }
    }

    fn instruction(&mut self, lines: &mut Lines<'_>, first: PhysicalLine) -> Item {
        let mut line = LogicalLine::assemble(lines, first, self.escape);
        let at = span(first.start, first.end);
        if line.len() == 0 {
            self.errors.push(codes::nothing_continued(at));
            // With the comments that were skipped in search of a continuation.
            let all = lines.source().get(first.start..lines.here()).unwrap_or_default();
            let length = all.trim_end_matches(['\r', '\n']).len();
            return Item::Error(span(first.start, first.start + length));
        }
        let Lexed { tokens, openers, mut errors } = lexer::tokens(&line, self.escape);
        let parsed = self.grammar.parse(&line, &mut errors, tokens);
        let Ok(mut instruction) = parsed else {
            // Every line begins with a keyword token and the grammar recovers
            // in all arguments, so this is out of reach; say so if it is not.
            debug_assert!(false, "the grammar did not recover: {}", line.as_str());
            self.errors.push(codes::unknown(line.as_str(), at));
            return Item::Error(at);
        };
        instruction.inner_comments = std::mem::take(&mut line.comments);
        instruction.inner_blanks = std::mem::take(&mut line.blanks);

        let openers = if instruction.kind == Kind::Unknown {
            self.misspelt_heredocs(&line, &instruction, lines)
        } else {
            openers
        };
        let mut heredocs = Vec::with_capacity(openers.len());
        for opener in openers {
            let (heredoc, error) = heredoc::read(lines, &line, opener);
            errors.extend(error);
            heredocs.push(heredoc);
        }
        attach(&mut instruction, heredocs);

        if instruction.kind == Kind::Unknown
            && let Some(error) = errors.iter_mut().find(|e| e.code == codes::UNKNOWN)
            && error.help.is_none()
            && matches!(self.items.last(), Some(Item::Instruction(_)))
        {
            error.help =
                Some(format!("if this belongs to the instruction above, end the line before it with {}", self.escape));
        }
        self.errors.append(&mut errors);
        Item::Instruction(Box::new(instruction))
    }

    /// The heredocs of `COPPY <<EOF /f`: without them each line of the body
    /// would be one more unknown instruction.
    fn misspelt_heredocs(
        &mut self,
        line: &LogicalLine<'_>,
        instruction: &Instruction,
        lines: &Lines<'_>,
    ) -> Vec<Opener> {
        if self.gave_up || suggest(&instruction.keyword.text, &["RUN", "COPY", "ADD"]).is_none() {
            return Vec::new();
        }
        let openers = lexer::openers(line.as_str());
        let mut ahead = *lines;
        let terminated = openers.iter().all(|opener| heredoc::read(&mut ahead, line, opener.clone()).1.is_none());
        self.gave_up = !terminated;
        if terminated { openers } else { Vec::new() }
    }
}

/// Gives the heredocs to the instruction that opened them: for ONBUILD that
/// is the trigger.
fn attach(instruction: &mut Instruction, heredocs: Vec<Heredoc>) {
    let Some(last) = heredocs.last() else { return };
    let end = last.terminator.end;
    instruction.span.end = end;
    let mut owner = instruction;
    while let Kind::Onbuild(inner) = &mut owner.kind {
        inner.span.end = end;
        owner = inner;
    }
    owner.heredocs = heredocs;
}

#[cfg(test)]
mod tests {
    use super::{parse_within, physical};
    use crate::dockerfile::parse;

    #[test]
    fn a_file_beyond_the_offsets_is_refused() {
        let parsed = parse_within("FROM scratch\n", 12);
        assert_eq!(parsed.tree.items, []);
        let codes: Vec<&str> = parsed.errors.iter().map(|e| e.code).collect();
        assert_eq!(codes, ["D0001"]);
        assert_eq!(parse_within("FROM scratch", 12).errors, []);
    }

    #[test]
    fn lines_may_be_as_long_as_buildkit_reads() {
        let longest = format!("RUN {}", "x".repeat(physical::MAX_LINE - 4));
        assert_eq!(parse(&format!("{longest}\nRUN y")).errors, []);
        assert_eq!(parse(&longest).errors, []);

        let parsed = parse(&format!("FROM a\n{longest}x\nFORM b\n"));
        let codes: Vec<&str> = parsed.errors.iter().map(|e| e.code).collect();
        assert_eq!(codes, ["D0002", "D0006"]);
        let message = &parsed.errors[0].message;
        assert!(message.contains("65535") && message.contains("65536"), "{message}");
        assert_eq!(parsed.errors[0].span.range(), 7..7 + 65_536);

        // The carriage return counts, as it does in BuildKit.
        let crlf = parse(&format!("{longest}\r\nRUN y\r\n"));
        assert_eq!(crlf.errors.len(), 1, "{:?}", crlf.errors);
    }

    #[test]
    fn heredoc_lines_are_limited_as_well() {
        let source = format!("COPY <<X /f\n{}\nX\n", "x".repeat(70_000));
        let codes: Vec<&str> = parse(&source).errors.iter().map(|e| e.code).collect();
        assert_eq!(codes, ["D0002"]);
    }
}
