//! Patterns of `.dockerignore` files and `--exclude` (moby/patternmatcher).
//!
//! A pattern is cleaned like a path; `**` crosses directories; `!` in front
//! makes an exception. A path counts as matched by a pattern if the pattern
//! matches the path or one of its parents; of all patterns that match, the
//! last decides. `--parents` uses the same patterns the other way round, to
//! include.
//!
//! The text of an ignore file (comments, byte order mark, leading slashes) is
//! not handled here: what comes in are patterns.

use super::glob::{Automaton, BadPattern};
use super::path::clean_go;

#[derive(Clone, Debug)]
struct Pattern {
    exception: bool,
    automaton: Automaton,
}

/// A list of patterns.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    list: Vec<Pattern>,
}

/// Which patterns have matched a path or its parents. Made top down, from
/// [`Patterns::top`] through [`Patterns::child`].
#[derive(Clone, Debug)]
pub struct Matched {
    each: Vec<bool>,
    verdict: bool,
}

impl Matched {
    /// Returns true if the path is matched: the last pattern that matches is
    /// no exception.
    pub fn is_match(&self) -> bool {
        self.verdict
    }
}

impl Patterns {
    /// Reads patterns. White space around them is dropped, empty ones are
    /// left out.
    ///
    /// # Errors
    ///
    /// If one is malformed, or is a bare `!`.
    pub fn new<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Result<Self, BadPattern> {
        let mut list = Vec::new();
        for text in patterns {
            let text = text.as_ref().trim();
            if text.is_empty() {
                continue;
            }
            let cleaned = clean_go(text.as_bytes());
            let (exception, pattern) = match cleaned.strip_prefix(b"!") {
                Some(b"") => return Err(BadPattern { pattern: text.to_owned() }),
                Some(pattern) => (true, pattern),
                None => (false, cleaned.as_slice()),
            };
            list.push(Pattern { exception, automaton: Automaton::deep(pattern)? });
        }
        Ok(Self { list })
    }

    /// Returns true if there are no patterns.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Tells whether a relative path is matched.
    pub fn matches(&self, path: &[u8]) -> bool {
        let mut at = self.top();
        for (i, _) in path.iter().enumerate().filter(|(_, b)| **b == b'/') {
            at = self.child(&at, path.get(..i).unwrap_or_default());
        }
        self.child(&at, path).is_match()
    }

    /// Returns the state at the top, which no pattern matches.
    pub fn top(&self) -> Matched {
        Matched { each: vec![false; self.list.len()], verdict: false }
    }

    /// Returns the state at a path, given that of its parent.
    pub fn child(&self, parent: &Matched, path: &[u8]) -> Matched {
        let mut verdict = false;
        let each = self.list.iter().zip(&parent.each).map(|(pattern, &above)| {
            let hit = above || pattern.automaton.matches(path);
            if hit {
                verdict = !pattern.exception;
            }
            hit
        });
        let each = each.collect();
        Matched { each, verdict }
    }

    /// Tells whether something below a directory might be judged differently
    /// from the directory itself. If not, a walker takes or leaves all of it.
    /// The path of the top is empty.
    pub fn may_change_below(&self, dir: &[u8], at: &Matched) -> bool {
        let mut prefix = dir.to_vec();
        if !prefix.is_empty() {
            prefix.push(b'/');
        }
        self.list
            .iter()
            .zip(&at.each)
            .any(|(p, &hit)| p.exception == at.verdict && !hit && p.automaton.could_match_beyond(&prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(patterns: &[&str], paths: &[&str]) -> String {
        let p = Patterns::new(patterns).unwrap();
        paths.iter().filter(|path| !p.matches(path.as_bytes())).copied().collect::<Vec<_>>().join(" ")
    }

    const CONTEXT: &[&str] = &[
        ".git/config",
        "Dockerfile",
        "a.txt",
        "b.log",
        "docs",
        "docs/README.md",
        "docs/r.md",
        "keep.log",
        "src",
        "src/deep",
        "src/deep/y.c",
        "src/deep/y.o",
        "src/x.c",
        "src/x.o",
        "tmp/t",
    ];

    /// The pattern lists are those of the conformance area `dockerignore`.
    #[test]
    fn ignore_files() {
        assert_eq!(left(&["*", "!src", "!a.txt", "src/deep"], CONTEXT), "a.txt src src/x.c src/x.o");
        assert_eq!(left(&["**", "!src/deep/y.c", "!docs/*"], CONTEXT), "docs/README.md docs/r.md src/deep/y.c");
        assert_eq!(
            left(&["tmp", ".git", "b.log"], CONTEXT),
            "Dockerfile a.txt docs docs/README.md docs/r.md keep.log src src/deep src/deep/y.c src/deep/y.o src/x.c src/x.o"
        );
        assert_eq!(
            left(&["**/*.o", "**/deep/*.c"], CONTEXT),
            ".git/config Dockerfile a.txt b.log docs docs/README.md docs/r.md keep.log src src/deep src/x.c tmp/t"
        );
        assert_eq!(
            left(&["src/**", "!src/deep/**", "**/README.*", ".git/**/config"], CONTEXT),
            "Dockerfile a.txt b.log docs docs/r.md keep.log src src/deep/y.c src/deep/y.o tmp/t"
        );
        assert_eq!(
            left(&["*.log", "!keep.log", "docs", "!docs/README.md"], CONTEXT),
            ".git/config Dockerfile a.txt docs/README.md keep.log src src/deep src/deep/y.c src/deep/y.o src/x.c src/x.o tmp/t"
        );
        assert_eq!(
            left(&["./b.log", "src/deep/../x.o", ".git/", " tmp "], &["b.log", "src/x.o", ".git/x", "tmp/t", "z"]),
            "z"
        );
    }

    #[test]
    fn double_stars() {
        assert_eq!(left(&["**/foo"], &["foo", "a/foo", "a/b/foo", "xfoo", "foo/x"]), "xfoo");
        assert_eq!(left(&["**foo"], &["foo", "a/foo", "xfoo", "a/xfoo", "food"]), "food");
        assert_eq!(left(&["a/**/b"], &["a/b", "a/x/b", "a/x/y/b", "a/xb", "b"]), "a/xb b");
        assert_eq!(left(&["a/**"], &["a", "a/b", "a/b/c", "ab"]), "a ab");
        assert_eq!(left(&["**"], &["a", "b/c"]), "");
        assert_eq!(left(&["a**/c"], &["ac", "ab/c", "ax/b/c", "abc"]), "abc", "`**` is nothing, or ends in `/`");
    }

    #[test]
    fn malformed() {
        for p in ["!", "[a", "a\\", "!["] {
            assert!(Patterns::new([p]).is_err(), "{p}");
        }
        assert!(Patterns::new(["", "  "]).unwrap().is_empty());
        assert_eq!(Patterns::new(["[a"]).unwrap_err().to_string(), "`[a`: syntax error in pattern");
    }

    #[test]
    fn directories_to_skip_or_take_whole() {
        let may = |patterns: &[&str], dir: &str| {
            let p = Patterns::new(patterns).unwrap();
            let at = p.child(&p.top(), dir.as_bytes());
            (at.is_match(), p.may_change_below(dir.as_bytes(), &at))
        };
        assert_eq!(may(&["node_modules"], "node_modules"), (true, false));
        assert_eq!(may(&["*", "!src"], "tmp"), (true, false));
        assert_eq!(may(&["*", "!src/a"], "src"), (true, true));
        assert_eq!(may(&["*.txt"], "src"), (false, false));
        assert_eq!(may(&["**/*.txt"], "src"), (false, true));
        assert_eq!(may(&["src/x"], "src"), (false, true));
        assert_eq!(may(&["**", "!**/keep"], "any"), (true, true));
    }
}
