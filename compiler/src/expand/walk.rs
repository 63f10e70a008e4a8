//! The walk over a text (BuildKit's `shellWord`).

use super::pattern::{PatternError, replace_all, replace_first, trim_prefix, trim_suffix};
use super::words::Words;
use super::{Env, ExpandError, ExpandErrorKind, Expanded};

/// How deep `${a:-${b:-…}}` may go: recursion on the caller's text must end.
const MAX_DEPTH: usize = 200;

pub(super) struct Walk<'a> {
    text: &'a str,
    at: usize,
    escape: char,
    quotes: bool,
    /// Keeps escapes: inside patterns they belong to the pattern.
    raw_escapes: bool,
    depth: usize,
    env: &'a dyn Env,
    out: Expanded,
}

type Result<T> = std::result::Result<T, ExpandError>;

impl<'a> Walk<'a> {
    pub(super) fn new(text: &'a str, escape: char, quotes: bool, env: &'a dyn Env) -> Self {
        Self { text, at: 0, escape, quotes, raw_escapes: false, depth: 0, env, out: Expanded::default() }
    }

    pub(super) fn run(mut self) -> Result<Expanded> {
        let (text, words) = self.until(None)?;
        self.out.text = text;
        self.out.words = words;
        Ok(self.out)
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn fail<T>(&self, start: usize, kind: ExpandErrorKind) -> Result<T> {
        Err(ExpandError { start, end: self.at.max(start), kind })
    }

    /// Walks up to the end, or up to and over `stop`.
    fn until(&mut self, stop: Option<char>) -> Result<(String, Vec<String>)> {
        let mut text = String::new();
        let mut words = Words::default();
        while let Some(c) = self.peek() {
            if Some(c) == stop {
                self.next();
                return Ok((text, words.finish()));
            }
            match c {
                '$' => {
                    let value = self.dollar()?;
                    words.soft_text(&value);
                    text.push_str(&value);
                }
                '\'' | '"' if self.quotes => {
                    let value = if c == '"' { self.double_quoted()? } else { self.single_quoted()? };
                    words.hard_text(&value);
                    text.push_str(&value);
                }
                _ => {
                    self.next();
                    if c != self.escape {
                        words.soft(c);
                        text.push(c);
                        continue;
                    }
                    if self.raw_escapes {
                        words.hard(c);
                        text.push(c);
                    }
                    let Some(c) = self.next() else { break };
                    words.hard(c);
                    text.push(c);
                }
            }
        }
        match stop {
            Some(_) => self.fail(self.at, ExpandErrorKind::Brace),
            None => Ok((text, words.finish())),
        }
    }

    fn single_quoted(&mut self) -> Result<String> {
        let start = self.at;
        self.next();
        let mut text = String::new();
        while let Some(c) = self.next() {
            if c == '\'' {
                return Ok(text);
            }
            text.push(c);
        }
        self.fail(start, ExpandErrorKind::Quote("single-quote"))
    }

    fn double_quoted(&mut self) -> Result<String> {
        let start = self.at;
        self.next();
        let mut text = String::new();
        while let Some(c) = self.peek() {
            match c {
                '"' => {
                    self.next();
                    return Ok(text);
                }
                '$' => text.push_str(&self.dollar()?),
                _ => {
                    self.next();
                    if c != self.escape {
                        text.push(c);
                        continue;
                    }
                    if self.raw_escapes {
                        text.push(c);
                    }
                    match self.peek() {
                        None => {}
                        // These can be escaped; every other escape stays.
                        Some(e) if e == '"' || e == '$' || e == self.escape => {
                            self.next();
                            text.push(e);
                        }
                        Some(_) => text.push(c),
                    }
                }
            }
        }
        self.fail(start, ExpandErrorKind::Quote("double-quote"))
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.peek() {
            Some(c) if c.is_numeric() => {
                while let Some(c) = self.peek().filter(|c| c.is_numeric()) {
                    name.push(c);
                    self.next();
                }
            }
            Some(c @ ('@' | '*' | '#' | '?' | '-' | '$' | '!')) => {
                name.push(c);
                self.next();
            }
            _ => {
                while let Some(c) = self.peek().filter(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(c);
                    self.next();
                }
            }
        }
        name
    }

    fn value(&mut self, name: &str) -> Option<String> {
        let value = self.env.value(name).map(str::to_owned);
        let seen = if value.is_some() { &mut self.out.used } else { &mut self.out.missing };
        if !name.is_empty() {
            seen.insert(name.to_owned());
        }
        value
    }

    fn dollar(&mut self) -> Result<String> {
        let start = self.at;
        self.next();
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok(self.value(&name).unwrap_or_default());
        }
        self.next();
        match self.peek() {
            None => return self.fail(start, ExpandErrorKind::Brace),
            Some('{' | '}' | ':') => return self.fail(start, ExpandErrorKind::Substitution),
            Some(_) => {}
        }
        if self.depth >= MAX_DEPTH {
            return self.fail(start, ExpandErrorKind::Substitution);
        }
        self.depth += 1;
        let value = self.braced(start);
        self.depth -= 1;
        value
    }

    /// The rest of `${name…}`; `start` is where the dollar stands.
    fn braced(&mut self, start: usize) -> Result<String> {
        let name = self.name();
        match self.next() {
            None => self.fail(start, ExpandErrorKind::Brace),
            Some('}') => Ok(self.value(&name).unwrap_or_default()),
            Some(':') => match self.next() {
                Some(c @ ('+' | '-' | '?')) => self.conditional(start, &name, c, true),
                other => self.bad_modifier(start, other.map_or_else(|| ":".to_owned(), |c| format!(":{c}"))),
            },
            Some(c @ ('+' | '-' | '?')) => self.conditional(start, &name, c, false),
            Some(c @ ('#' | '%')) => self.trim(start, &name, c),
            Some('/') => self.replace(start, &name),
            Some(c) => self.bad_modifier(start, c.to_string()),
        }
    }

    /// Says what is wrong about the whole `${…}`, not only its beginning.
    fn bad_modifier(&mut self, start: usize, modifier: String) -> Result<String> {
        if let Some(end) = self.text.get(self.at..).and_then(|rest| rest.find('}')) {
            self.at += end + 1;
        }
        self.fail(start, ExpandErrorKind::Modifier(modifier))
    }

    /// Walks to the closing character of the `${` at `start`.
    fn inner(&mut self, start: usize, stop: char, raw_escapes: bool) -> Result<String> {
        let before = std::mem::replace(&mut self.raw_escapes, raw_escapes);
        let inner = self.until(Some(stop));
        self.raw_escapes = before;
        match inner {
            Ok((text, _)) => Ok(text),
            Err(_) if self.peek().is_none() && stop == '/' => self.fail(start, ExpandErrorKind::Slash),
            Err(e) if matches!(e.kind, ExpandErrorKind::Brace) => self.fail(start, ExpandErrorKind::Brace),
            Err(e) => Err(e),
        }
    }

    fn conditional(&mut self, start: usize, name: &str, modifier: char, empty_is_unset: bool) -> Result<String> {
        let word = self.inner(start, '}', false)?;
        let value = self.value(name);
        let usable = value.as_deref().is_some_and(|v| !(empty_is_unset && v.is_empty()));
        match modifier {
            '-' => Ok(value.filter(|_| usable).unwrap_or(word)),
            '+' => Ok(if usable { word } else { String::new() }),
            _ if usable => Ok(value.unwrap_or_default()),
            _ => {
                let message = match (word.is_empty(), value.is_some()) {
                    (false, _) => word,
                    (true, false) => "is not allowed to be unset".to_owned(),
                    (true, true) => "is not allowed to be empty".to_owned(),
                };
                self.fail(start, ExpandErrorKind::Required { name: name.to_owned(), message })
            }
        }
    }

    fn trim(&mut self, start: usize, name: &str, modifier: char) -> Result<String> {
        let word = self.inner(start, '}', true)?;
        let value = self.value(name).unwrap_or_default();
        let (pattern, greedy) = match word.strip_prefix(modifier) {
            Some(rest) => (rest, true),
            None => (word.as_str(), false),
        };
        let trimmed = match modifier {
            '#' => trim_prefix(pattern, &value, greedy),
            _ => trim_suffix(pattern, &value, greedy),
        };
        trimmed.or_else(|error| self.bad_pattern(start, pattern, error))
    }

    fn replace(&mut self, start: usize, name: &str) -> Result<String> {
        let all = self.peek() == Some('/');
        if all {
            self.next();
        }
        let pattern = self.inner(start, '/', true)?;
        let replacement = self.inner(start, '}', true)?;
        let value = self.value(name).unwrap_or_default();
        let replaced = match all {
            true => replace_all(&pattern, &value, &replacement),
            false => replace_first(&pattern, &value, &replacement),
        };
        replaced.or_else(|error| self.bad_pattern(start, &pattern, error))
    }

    fn bad_pattern(&self, start: usize, pattern: &str, error: PatternError) -> Result<String> {
        self.fail(start, ExpandErrorKind::Pattern { pattern: pattern.to_owned(), error })
    }
}
