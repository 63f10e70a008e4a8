//! Patterns of Go's `filepath.Match`, and the automaton that runs them.
//!
//! `*` is any run of characters but `/`, `?` one character but `/`, `[a-z]`
//! and `[^a-z]` one of a class (`/` is not special there), `\` takes the next
//! character as it is. The ignore patterns of [`super::ignore`] add `**` and
//! run on the same automaton. A pattern is run in one pass over the text, so
//! no pattern takes exponential time.
//!
//! The automaton can also be asked whether a text could still be continued to
//! a match: this is what lets walkers skip directories.

use smallvec::SmallVec;

/// A pattern is malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}`: syntax error in pattern")]
pub struct BadPattern {
    /// The pattern.
    pub pattern: String,
}

/// One step of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// This character.
    One(u32),
    /// Any character but `/`.
    Any,
    /// Any run of characters but `/`.
    Star,
    /// A character of a class.
    Class { negated: bool, ranges: Vec<(u32, u32)> },
    /// Nothing, or anything that ends in `/`.
    Dirs,
    /// Anything.
    All,
}

const SLASH: u32 = 0x2f;

/// Reads characters; bytes that are not UTF-8 become numbers of their own
/// above all characters.
fn symbols(text: &[u8]) -> impl Iterator<Item = u32> {
    text.utf8_chunks().flat_map(|chunk| {
        let valid = chunk.valid().chars().map(u32::from);
        valid.chain(chunk.invalid().iter().map(|&b| 0x11_0000 + u32::from(b)))
    })
}

/// Tells whether a path component needs matching.
pub(crate) fn has_wildcards(text: &[u8]) -> bool {
    let mut bytes = text.iter();
    while let Some(b) = bytes.next() {
        match b {
            b'\\' => {
                bytes.next();
            }
            b'*' | b'?' | b'[' => return true,
            _ => {}
        }
    }
    false
}

/// Reads a pattern. `deep` gives `**` its meaning.
fn parse(pattern: &[u8], deep: bool) -> Option<Vec<Token>> {
    let text: Vec<u32> = symbols(pattern).collect();
    let is = |i: usize, c: u8| text.get(i) == Some(&u32::from(c));
    let mut tokens = Vec::new();
    let mut i = 0;
    while let Some(&symbol) = text.get(i) {
        i += 1;
        tokens.push(match u8::try_from(symbol) {
            Ok(b'*') if deep && is(i, b'*') => {
                i += 1;
                if is(i, b'/') {
                    i += 1;
                }
                if i >= text.len() { Token::All } else { Token::Dirs }
            }
            Ok(b'*') => Token::Star,
            Ok(b'?') => Token::Any,
            Ok(b'\\') => {
                i += 1;
                Token::One(*text.get(i - 1)?)
            }
            Ok(b'[') => class(&text, &mut i)?,
            _ => Token::One(symbol),
        });
    }
    Some(tokens)
}

/// Reads a class behind its `[`. An empty one is malformed, as is `-` or `]`
/// as an end of a range without `\`.
fn class(text: &[u32], i: &mut usize) -> Option<Token> {
    let special = |c: u32, b: u8| c == u32::from(b);
    let mut take = || {
        let c = *text.get(*i)?;
        *i += 1;
        Some(c)
    };
    let mut first = take()?;
    let negated = special(first, b'^');
    if negated {
        first = take()?;
    }
    let mut ranges = Vec::new();
    let mut low = first;
    loop {
        if special(low, b']') && !ranges.is_empty() {
            return Some(Token::Class { negated, ranges });
        }
        let end = |c: u32, take: &mut dyn FnMut() -> Option<u32>| match c {
            c if special(c, b'-') || special(c, b']') => None,
            c if special(c, b'\\') => take(),
            c => Some(c),
        };
        let from = end(low, &mut take)?;
        let mut next = take()?;
        let mut to = from;
        if special(next, b'-') {
            let high = take()?;
            to = end(high, &mut take)?;
            next = take()?;
        }
        ranges.push((from, to));
        low = next;
    }
}

type Bits = SmallVec<[u64; 2]>;

/// A pattern, ready to run.
#[derive(Clone, Debug)]
pub(crate) struct Automaton {
    tokens: Vec<Token>,
    /// The text, if nothing but one text matches.
    literal: Option<Vec<u32>>,
}

impl Automaton {
    /// Reads a pattern of `filepath.Match`.
    pub(crate) fn shallow(pattern: &[u8]) -> Result<Self, BadPattern> {
        Self::new(pattern, false)
    }

    /// Reads a pattern in which `**` crosses directories.
    pub(crate) fn deep(pattern: &[u8]) -> Result<Self, BadPattern> {
        let mut new = Self::new(pattern, true)?;
        // moby/patternmatcher compares suffixes if `**` stands in front and
        // no other wildcard follows, so that `**foo` matches `a/xfoo`.
        let bare = pattern.starts_with(b"**") && !pattern.starts_with(b"**/");
        if let Some((first @ Token::Dirs, rest)) = new.tokens.split_first_mut()
            && bare
            && rest.iter().all(|t| matches!(t, Token::One(_)))
        {
            *first = Token::All;
        }
        Ok(new)
    }

    fn new(pattern: &[u8], deep: bool) -> Result<Self, BadPattern> {
        let bad = || BadPattern { pattern: String::from_utf8_lossy(pattern).into_owned() };
        let tokens = parse(pattern, deep).ok_or_else(bad)?;
        let literal = tokens.iter().map(|t| if let Token::One(c) = t { Some(*c) } else { None }).collect();
        Ok(Self { tokens, literal })
    }

    fn enter(&self, set: &mut Bits, mut i: usize) {
        loop {
            if let Some(word) = set.get_mut(i / 64) {
                *word |= 1 << (i % 64);
            }
            match self.tokens.get(i) {
                Some(Token::Star | Token::Dirs | Token::All) => i += 1,
                _ => return,
            }
        }
    }

    fn run(&self, text: &[u8]) -> Bits {
        let words = self.tokens.len() / 64 + 1;
        let mut now: Bits = SmallVec::from_elem(0, words);
        self.enter(&mut now, 0);
        let mut next: Bits = SmallVec::from_elem(0, words);
        for symbol in symbols(text) {
            next.fill(0);
            for (w, &word) in now.iter().enumerate() {
                let mut rest = word;
                while rest != 0 {
                    let i = w * 64 + rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    self.step(&mut next, i, symbol);
                }
            }
            std::mem::swap(&mut now, &mut next);
            if now.iter().all(|&w| w == 0) {
                break;
            }
        }
        now
    }

    fn step(&self, next: &mut Bits, i: usize, symbol: u32) {
        let stays = match self.tokens.get(i) {
            Some(Token::Star) => symbol != SLASH,
            Some(Token::Dirs | Token::All) => true,
            _ => false,
        };
        if stays && let Some(word) = next.get_mut(i / 64) {
            *word |= 1 << (i % 64);
        }
        let goes_on = match self.tokens.get(i) {
            None => false,
            Some(Token::One(c)) => *c == symbol,
            Some(Token::Any) => symbol != SLASH,
            Some(Token::Class { negated, ranges }) => {
                ranges.iter().any(|(from, to)| (from..=to).contains(&&symbol)) != *negated
            }
            Some(Token::Star) => symbol != SLASH,
            Some(Token::All) => true,
            Some(Token::Dirs) => symbol == SLASH,
        };
        if goes_on {
            self.enter(next, i + 1);
        }
    }

    /// Tells whether the whole text matches.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        if let Some(literal) = &self.literal {
            return symbols(text).eq(literal.iter().copied());
        }
        let end = self.tokens.len();
        self.run(text).get(end / 64).is_some_and(|word| word & (1 << (end % 64)) != 0)
    }

    /// Tells whether some text that begins with this one, and is longer,
    /// could match.
    pub(crate) fn could_match_beyond(&self, text: &[u8]) -> bool {
        let end = self.tokens.len();
        let set = self.run(text);
        (0..end).any(|i| set.get(i / 64).is_some_and(|word| word & (1 << (i % 64)) != 0))
    }
}

/// Tells whether a name matches a pattern, as Go's `filepath.Match`.
///
/// # Errors
///
/// If the pattern is malformed, whether or not that is reached.
pub fn matches(pattern: &[u8], name: &[u8]) -> Result<bool, BadPattern> {
    Ok(Automaton::shallow(pattern)?.matches(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_filepath_match() {
        // The table of cases is our own; the answers are those of Go's
        // documentation of `path/filepath.Match`.
        let yes = [
            ("abc", "abc"),
            ("*", "abc"),
            ("*", ""),
            ("*c", "abc"),
            ("a*/b", "abc/b"),
            ("a*b*c*d*e*/f", "axbxcxdxe/f"),
            ("ab[c]", "abc"),
            ("ab[b-d]", "abc"),
            ("ab[^e-g]", "abc"),
            ("a[^x]b", "a/b"),
            ("a\\*b", "a*b"),
            ("a?b", "aüb"),
            ("a[ä-ü]b", "aöb"),
            ("[\\]a]", "]"),
            ("[\\-x]", "-"),
            ("[x\\-]", "x"),
            ("]", "]"),
            ("*x", "xxx"),
            (".d*", ".dot"),
        ];
        for (pattern, name) in yes {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), Ok(true), "{pattern} {name}");
        }
        let no = [
            ("a*", "ab/c"),
            ("a*/b", "a/c/b"),
            ("a?b", "a/b"),
            ("ab[e-g]", "abc"),
            ("ab[^b-d]", "abc"),
            ("a\\*b", "ab"),
            ("a*b?c*x", "abxbbxdbxebxczzzzzzzzzzz"),
            ("", "x"),
            ("a", ""),
        ];
        for (pattern, name) in no {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), Ok(false), "{pattern} {name}");
        }
        for pattern in ["[]a]", "[-]", "[x-]", "[-x]", "[a", "a[", "[a-b-c]", "\\", "[^", "[^bc", "a\\", "[]"] {
            assert!(matches(pattern.as_bytes(), b"a").is_err(), "{pattern}");
        }
    }

    #[test]
    fn bytes_that_are_no_text() {
        assert_eq!(matches(b"a?c", b"a\xffc"), Ok(true));
        assert_eq!(matches(b"\xfe", b"\xff"), Ok(false));
        assert_eq!(matches(b"\xff*", b"\xffx"), Ok(true));
    }

    #[test]
    fn many_stars_take_one_pass() {
        let pattern = b"a*".repeat(100);
        assert_eq!(matches(&[pattern.as_slice(), b"b"].concat(), &[b'a'; 4000]), Ok(false));
    }

    #[test]
    fn looks_ahead() {
        let a = Automaton::shallow(b"lib/*/x.so").unwrap();
        assert!(a.could_match_beyond(b"lib/"));
        assert!(a.could_match_beyond(b"lib/any/"));
        assert!(!a.could_match_beyond(b"lib/any/y/"));
        assert!(!a.could_match_beyond(b"usr/"));
    }
}
