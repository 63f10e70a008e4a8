//! Heredoc mode: finds the words `<<NAME` on an instruction's line.
//!
//! BuildKit splits the line with its own shell lexer (`heredocsFromLine`:
//! escape character always `\`, quotes kept, nothing expanded) and takes every
//! word that matches `^(\d*)<<(-?)\s*([^<]*)$`. Two consequences are kept
//! here: `cat<<EOF` is none, since the word does not start with `<<`, and a
//! line with a quote or a `${` that does not end (or a substitution that
//! BuildKit does not know, such as `${x^^}`) opens no heredoc at all.

use logos::Logos;
use std::ops::Range;

/// A heredoc opened on the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dockerfile) struct Opener {
    /// The whole word.
    pub(in crate::dockerfile) range: Range<usize>,
    pub(in crate::dockerfile) name: String,
    pub(in crate::dockerfile) fd: u32,
    pub(in crate::dockerfile) expand: bool,
    pub(in crate::dockerfile) strip_tabs: bool,
}

#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq)]
enum Shell {
    #[regex(r"\s")]
    Blank,
    #[token("'")]
    Single,
    #[token("\"")]
    Double,
    #[token("\\")]
    Escape,
    #[token("}")]
    Close,
    #[token("/")]
    Slash,
    #[regex(r"\$\{([0-9]+|[@*#?\-$!]|[\p{L}_][\p{L}\p{Nd}_]*)\}")]
    Variable,
    #[regex(r"\$\{([0-9]+|[@*#?\-$!]|[\p{L}_][\p{L}\p{Nd}_]*)(:?[+\-?]|[#%])")]
    OpenModifier,
    #[regex(r"\$\{([0-9]+|[@*#?\-$!]|[\p{L}_][\p{L}\p{Nd}_]*)//?")]
    OpenReplace,
    /// `${` with anything else behind it.
    #[token("${")]
    Bad,
    #[token("$")]
    #[regex(r#"[^\s'"\\}/$]+"#)]
    Plain,
}

/// What a piece of text is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Single,
    Double,
    /// `${name:-` up to `}`.
    Modifier,
    /// `${name/` up to the next `/`.
    Pattern,
}

/// Returns the heredocs that `line` opens.
pub(in crate::dockerfile) fn openers(line: &str) -> Vec<Opener> {
    if !line.contains("<<") {
        return Vec::new();
    }
    let words = words(line).unwrap_or_default();
    words.into_iter().filter_map(|range| opener(line.get(range.clone())?, range)).collect()
}

/// Splits into words; `None` if something does not end.
fn words(line: &str) -> Option<Vec<Range<usize>>> {
    let mut words = Vec::new();
    let mut inside: Vec<Inside> = Vec::new();
    let mut word = None;
    let mut lexer = Shell::lexer(line);
    while let Some(token) = lexer.next() {
        let token = token.unwrap_or(Shell::Plain);
        let at = lexer.span();
        // The text of a substitution is split like any other, quotes or not.
        let grouped = matches!(inside.first(), Some(Inside::Single | Inside::Double));
        if token == Shell::Blank && !grouped {
            if let Some(start) = word.take() {
                words.push(start..at.start);
            }
            continue;
        }
        word.get_or_insert(at.start);
        let top = inside.last().copied();
        if top == Some(Inside::Single) {
            if token == Shell::Single {
                inside.pop();
            }
            continue;
        }
        match token {
            Shell::Escape => {
                if let Some(escaped) = lexer.remainder().chars().next()
                    && (inside.is_empty() || grouped || !escaped.is_whitespace())
                {
                    lexer.bump(escaped.len_utf8());
                }
            }
            Shell::Double if top == Some(Inside::Double) => {
                inside.pop();
            }
            Shell::Double => inside.push(Inside::Double),
            Shell::Single if top != Some(Inside::Double) => inside.push(Inside::Single),
            Shell::OpenModifier => inside.push(Inside::Modifier),
            Shell::OpenReplace => inside.push(Inside::Pattern),
            Shell::Close if top == Some(Inside::Modifier) => {
                inside.pop();
            }
            Shell::Slash if top == Some(Inside::Pattern) => {
                inside.pop();
                inside.push(Inside::Modifier);
            }
            Shell::Bad => return None,
            _ => {}
        }
    }
    if !inside.is_empty() {
        return None;
    }
    if let Some(start) = word {
        words.push(start..line.len());
    }
    Some(words)
}

/// Reads a word as a heredoc opener.
fn opener(word: &str, range: Range<usize>) -> Option<Opener> {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let (fd, rest) = word.split_at_checked(digits)?;
    let rest = rest.strip_prefix("<<")?;
    let (strip_tabs, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    if rest.contains('<') {
        return None;
    }
    let name = unquote(rest);
    if name.is_empty() {
        return None;
    }
    Some(Opener {
        range,
        fd: if fd.is_empty() { 0 } else { fd.parse().unwrap_or(u32::MAX) },
        // Any quoting at all turns expansion off.
        expand: name == rest,
        strip_tabs,
        name,
    })
}

/// Takes quotes and escapes off a delimiter.
fn unquote(word: &str) -> String {
    let mut name = String::with_capacity(word.len());
    let mut quote = None;
    let mut characters = word.chars().peekable();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '\\') => name.extend(characters.next()),
            (Some('"'), '\\') if matches!(characters.peek(), Some('"' | '$' | '\\')) => {
                name.extend(characters.next());
            }
            _ => name.push(c),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::openers;

    #[track_caller]
    fn check(line: &str, expected: &[(&str, &str)]) {
        let found = openers(line);
        let found: Vec<(&str, &str)> = found.iter().map(|o| (&line[o.range.clone()], o.name.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn words_that_start_with_two_angles_open() {
        check("RUN <<EOF", &[("<<EOF", "EOF")]);
        check("RUN cat 3<<-A <<B > x", &[("3<<-A", "A"), ("<<B", "B")]);
        check("RUN cat<<EOF", &[]);
        check("RUN cat << EOF", &[]);
        check("RUN cat <<<EOF", &[]);
        check("RUN cat <<EOF>x", &[("<<EOF>x", "EOF>x")]);
    }

    #[test]
    fn quotes_hide_openers() {
        check("RUN echo \"<<EOF\" '<<B'", &[]);
        check("RUN echo $((1<<4)) \"a << b\"", &[]);
        check(r#"RUN echo \"<<EOF <<A"#, &[("<<A", "A")]);
        check(r"RUN echo '\' <<A", &[("<<A", "A")]);
    }

    #[test]
    fn an_open_quote_or_unknown_substitution_hides_everything() {
        check("RUN echo it's <<EOF", &[]);
        check("RUN echo ${x <<EOF", &[]);
        check("RUN echo ${x^^} <<EOF", &[]);
        check("RUN echo ${x:-\"}\"} ${y/a/b} ${z##*/} $1 $ <<EOF", &[("<<EOF", "EOF")]);
    }

    #[test]
    fn quoted_names_do_not_expand() {
        for (line, name, expand) in [
            ("<<EOF", "EOF", true),
            ("<<'E O'F", "E OF", false),
            ("<<\"E\\\"\"", "E\"", false),
            (r"<<E\OF", "EOF", false),
            ("<<$x", "$x", true),
        ] {
            let found = openers(line);
            assert_eq!(found.len(), 1, "{line}");
            assert_eq!((found[0].name.as_str(), found[0].expand), (name, expand), "{line}");
        }
        check("<<''", &[]);
        check("<<", &[]);
    }
}
