//! Patterns of `# ## % %% / //`: `*`, `?`, and the escapes `\* \? \\ \} \/`.
//!
//! BuildKit turns them into Go regular expressions; what can be seen of that
//! is kept: `?` and `*` do not match a line end, replacing goes through Go's
//! `ReplaceAllString` (`$1` and `$$` in the replacement mean something, empty
//! matches are replaced, too). There are no `[...]` classes.

/// What is wrong with a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PatternError {
    /// `\` before a character that needs none.
    #[error("invalid escape '\\{0}'")]
    Escape(char),
    /// `\` at the end.
    #[error("trailing backslash")]
    End,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Token {
    Star,
    Any,
    Char(char),
}

/// A compiled pattern.
pub(super) struct Pattern {
    tokens: Vec<Token>,
    greedy: bool,
}

impl Pattern {
    pub(super) fn new(text: &str, greedy: bool) -> Result<Self, PatternError> {
        let mut tokens = Vec::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::Star,
                '?' => Token::Any,
                '\\' => match chars.next() {
                    Some(c @ ('}' | '/' | '*' | '?' | '\\')) => Token::Char(c),
                    Some(c) => return Err(PatternError::Escape(c)),
                    None => return Err(PatternError::End),
                },
                c => Token::Char(c),
            });
        }
        Ok(Self { tokens, greedy })
    }

    fn reversed(mut self) -> Self {
        self.tokens.reverse();
        self
    }

    /// Returns how many characters a match at the start takes. What has
    /// failed once is remembered, so a text full of stars stays cheap.
    fn at_start(&self, text: &[char]) -> Option<usize> {
        let mut failed = vec![false; (self.tokens.len() + 1) * (text.len() + 1)];
        self.step(0, text, 0, &mut failed)
    }

    fn step(&self, token: usize, text: &[char], at: usize, failed: &mut [bool]) -> Option<usize> {
        let slot = token * (text.len() + 1) + at;
        if failed.get(slot).copied().unwrap_or(true) {
            return None;
        }
        let here = text.get(at).copied();
        let found = match self.tokens.get(token) {
            None => Some(at),
            Some(Token::Char(c)) if here == Some(*c) => self.step(token + 1, text, at + 1, failed),
            Some(Token::Any) if here.is_some_and(|c| c != '\n') => self.step(token + 1, text, at + 1, failed),
            Some(Token::Char(_) | Token::Any) => None,
            Some(Token::Star) => self.star(token, text, at, failed),
        };
        if found.is_none()
            && let Some(slot) = failed.get_mut(slot)
        {
            *slot = true;
        }
        found
    }

    fn star(&self, token: usize, text: &[char], at: usize, failed: &mut [bool]) -> Option<usize> {
        let limit = text.iter().skip(at).position(|&c| c == '\n').map_or(text.len(), |n| at + n);
        if self.greedy {
            (at..=limit).rev().find_map(|next| self.step(token + 1, text, next, failed))
        } else {
            (at..=limit).find_map(|next| self.step(token + 1, text, next, failed))
        }
    }

    /// Returns the leftmost match at or after `from`, in characters.
    fn find(&self, text: &[char], from: usize) -> Option<(usize, usize)> {
        (from..=text.len()).find_map(|start| {
            let rest = text.get(start..)?;
            self.at_start(rest).map(|n| (start, start + n))
        })
    }
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

fn string(text: &[char]) -> String {
    text.iter().collect()
}

/// `${v#pattern}`, `${v##pattern}`.
pub(super) fn trim_prefix(pattern: &str, value: &str, greedy: bool) -> Result<String, PatternError> {
    let value = chars(value);
    let n = Pattern::new(pattern, greedy)?.at_start(&value).unwrap_or(0);
    Ok(string(value.get(n..).unwrap_or_default()))
}

/// `${v%pattern}`, `${v%%pattern}`: the prefix of the reversed value.
pub(super) fn trim_suffix(pattern: &str, value: &str, greedy: bool) -> Result<String, PatternError> {
    let mut value = chars(value);
    value.reverse();
    let n = Pattern::new(pattern, greedy)?.reversed().at_start(&value).unwrap_or(0);
    let mut rest = value.split_off(n.min(value.len()));
    rest.reverse();
    Ok(string(&rest))
}

/// `${v/pattern/replacement}`, literally.
pub(super) fn replace_first(pattern: &str, value: &str, replacement: &str) -> Result<String, PatternError> {
    let chars = chars(value);
    Ok(match Pattern::new(pattern, true)?.find(&chars, 0) {
        Some((start, end)) => {
            let before = string(chars.get(..start).unwrap_or_default());
            let after = string(chars.get(end..).unwrap_or_default());
            format!("{before}{replacement}{after}")
        }
        None => value.to_owned(),
    })
}

/// `${v//pattern/replacement}`, as Go's `regexp.ReplaceAllString`.
pub(super) fn replace_all(pattern: &str, value: &str, replacement: &str) -> Result<String, PatternError> {
    let pattern = Pattern::new(pattern, true)?;
    let chars = chars(value);
    let mut out = String::new();
    let (mut copied, mut search) = (0, 0);
    while search <= chars.len() {
        let Some((start, end)) = pattern.find(&chars, search) else { break };
        out.push_str(&string(chars.get(copied..start).unwrap_or_default()));
        // An empty match right behind another match does not count.
        if end > copied || start == 0 {
            let matched = string(chars.get(start..end).unwrap_or_default());
            template(replacement, &matched, &mut out);
        }
        copied = end;
        search = if end > search { end } else { search + 1 };
    }
    out.push_str(&string(chars.get(copied..).unwrap_or_default()));
    Ok(out)
}

/// Go's `Regexp.Expand`: `$0` is the match, other names are groups that do not
/// exist and thus empty, `$$` is a dollar.
fn template(replacement: &str, matched: &str, out: &mut String) {
    let mut rest = replacement;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let (name, after_name) = match after.strip_prefix('{').and_then(|a| a.split_once('}')) {
            Some((name, end)) if !name.is_empty() && name.chars().all(word) => (name, end),
            _ => after.split_at(after.find(|c| !word(c)).unwrap_or(after.len())),
        };
        if name.is_empty() {
            out.push('$');
        } else if name == "0" {
            out.push_str(matched);
        }
        rest = after_name;
    }
    out.push_str(rest);
}
