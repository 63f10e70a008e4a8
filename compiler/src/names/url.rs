//! HTTP URLs.

/// Returns true for `http://` and `https://`.
pub(crate) fn is_http(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// The name under which ADD saves a download: the last element of the URL's
/// path, or `__unnamed__` (BuildKit: `getFilenameFromURL`).
pub(crate) fn file_name(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let name = percent_decode(name);
    match name.as_str() {
        "" | "." | ".." => "__unnamed__".to_owned(),
        name if name.contains(['/', '\0']) => "__unnamed__".to_owned(),
        _ => name,
    }
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = |b: &u8| char::from(*b).to_digit(16);
        match (first, after) {
            (b'%', [high, low, tail @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                let byte = hex(high).unwrap_or(0) * 16 + hex(low).unwrap_or(0);
                bytes.push(u8::try_from(byte).unwrap_or(b'?'));
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names() {
        for (url, want) in [
            ("http://h/a/b.txt", "b.txt"),
            ("http://h/a%20b?x=/y", "a b"),
            ("http://h/dir/", "dir"),
            ("http://h", "__unnamed__"),
            ("http://h/?q", "__unnamed__"),
            ("http://h/%2F", "__unnamed__"),
        ] {
            assert_eq!(file_name(url), want, "{url}");
        }
    }
}
