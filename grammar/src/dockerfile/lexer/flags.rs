//! Flags: `--name[=value]` between keyword and arguments.
//!
//! As in BuildKit's `extractBuilderFlags` quotes and the backslash (never
//! another escape character) hold a flag together, a backslash escapes in
//! single quotes too, and a lone `--` ends the flags.

use super::words::{InSingleQuotes, Words};
use std::ops::Range;

/// The flags, and where the arguments start.
pub(super) fn flags(text: &str, start: usize) -> (Vec<Range<usize>>, usize) {
    let mut flags = Vec::new();
    let mut at = start;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        if !trimmed.starts_with("--") {
            return (flags, at);
        }
        let Some(flag) = Words::new(trimmed, at, '\\', InSingleQuotes::Escapes).next() else {
            return (flags, at);
        };
        // A backslash that ends the line is dropped from the flag.
        at = if text.get(flag.end..) == Some("\\") { text.len() } else { flag.end };
        if text.get(flag.clone()) == Some("--") {
            let rest = text.get(at..).unwrap_or_default();
            return (flags, at + rest.len() - rest.trim_start().len());
        }
        flags.push(flag);
    }
}

#[cfg(test)]
mod tests {
    use super::flags;

    #[track_caller]
    fn check(text: &str, expected: &[&str], rest: &str) {
        let (found, at) = flags(text, 0);
        let found: Vec<&str> = found.into_iter().map(|range| &text[range]).collect();
        assert_eq!((found.as_slice(), &text[at..]), (expected, rest));
    }

    #[test]
    fn flags_end_at_the_first_other_word() {
        check("--a --b=c d --e", &["--a", "--b=c"], "d --e");
        check("--a=\"b c\"  x", &["--a=\"b c\""], "x");
        check(r"--a=b\ c x", &[r"--a=b\ c"], "x");
        check("-a --b", &[], "-a --b");
    }

    #[test]
    fn two_dashes_end_flags() {
        check("--a -- --b c", &["--a"], "--b c");
        check("--", &[], "");
    }

    #[test]
    fn an_open_quote_takes_everything() {
        check("--a='b c d", &["--a='b c d"], "");
        check("--a\\", &["--a"], "");
    }
}
