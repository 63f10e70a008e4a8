//! Ignore files: from text to clean patterns (moby's `ignorefile.ReadAll`).
//!
//! A `#` starts a comment in the first column only, blanks around a pattern
//! do not count, paths are cleaned, a leading slash is dropped, `!` keeps.
//! Matching is done where the context is read.

use crate::go;

/// Why an ignore file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IgnoreError {
    #[error("line {0}: illegal exclusion pattern: \"!\"")]
    BareBang(usize),
    #[error("line {0}: `{1}` is not a valid pattern")]
    Pattern(usize, String),
}

/// Reads an ignore file.
pub(crate) fn patterns(bytes: &[u8]) -> Result<Vec<String>, IgnoreError> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut patterns = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if line.starts_with('#') {
            continue;
        }
        let line = line.trim();
        let (keep, pattern) = match line.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        if pattern.is_empty() {
            if keep {
                return Err(IgnoreError::BareBang(i + 1));
            }
            continue;
        }
        let mut clean = go::clean(pattern);
        if clean.len() > 1 && clean.starts_with('/') {
            clean.remove(0);
        }
        if !go::is_valid_pattern(&clean) {
            return Err(IgnoreError::Pattern(i + 1, pattern.to_owned()));
        }
        patterns.push(if keep { format!("!{clean}") } else { clean });
    }
    Ok(patterns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let text =
            b"\xef\xbb\xbf# note\n\n  tmp  \r\n   # no comment? \n/lead\n./b.log\n/src/deep/../x.o\n.git/\n! keep/ \n";
        let want = ["tmp", "# no comment?", "lead", "b.log", "src/x.o", ".git", "!keep"];
        assert_eq!(patterns(text).unwrap(), want);
        assert_eq!(patterns(b"a\n!\n"), Err(IgnoreError::BareBang(2)));
        assert_eq!(patterns(b"[a\n"), Err(IgnoreError::Pattern(1, "[a".into())));
    }
}
