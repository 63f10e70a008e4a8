//! Go's `path` package.

/// `path.Clean`: the shortest equal path; `.` for nothing.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(part),
            },
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// `path.Join` of two: the second below the first, whatever it starts with.
pub(crate) fn join(dir: &str, path: &str) -> String {
    match (dir.is_empty(), path.is_empty()) {
        (true, true) => String::new(),
        (true, false) => clean(path),
        _ => clean(&format!("{dir}/{path}")),
    }
}

/// `path.Base`: the last element, without final slashes.
pub(crate) fn base(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit('/').next() {
        Some("") | None if path.is_empty() => ".",
        Some("") | None => "/",
        Some(name) => name,
    }
}

/// Returns false where `filepath.Match` says `ErrBadPattern`.
pub(crate) fn is_valid_pattern(pattern: &str) -> bool {
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.next().is_none() => return false,
            '[' => {
                chars.next_if_eq(&'^');
                let mut ranges = 0;
                loop {
                    if chars.peek() == Some(&']') && ranges > 0 {
                        chars.next();
                        break;
                    }
                    if !class_char(&mut chars) || (chars.next_if_eq(&'-').is_some() && !class_char(&mut chars)) {
                        return false;
                    }
                    ranges += 1;
                }
            }
            _ => {}
        }
    }
    true
}

fn class_char(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    match chars.next() {
        None | Some('-' | ']') => false,
        Some('\\') => chars.next().is_some() && chars.peek().is_some(),
        Some(_) => chars.peek().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning() {
        for (path, want) in [
            ("", "."),
            ("/", "/"),
            ("a//b/./c/..", "a/b"),
            ("../a", "../a"),
            ("/../a/", "/a"),
            ("./c/../d", "d"),
            ("a/..", "."),
        ] {
            assert_eq!(clean(path), want, "{path}");
        }
        assert_eq!(join("/a/b", ".."), "/a");
        assert_eq!(join("/", "/x"), "/x");
        assert_eq!([base("/a/b/"), base("/"), base(""), base("x")], ["b", "/", ".", "x"]);
    }

    #[test]
    fn patterns() {
        for ok in ["a*b", "[ab].txt", "[^a-z]", "\\[", "**/x", "[\\]]"] {
            assert!(is_valid_pattern(ok), "{ok}");
        }
        for bad in ["[a", "[", "[]", "a\\", "[-]", "[a-]"] {
            assert!(!is_valid_pattern(bad), "{bad}");
        }
    }
}
