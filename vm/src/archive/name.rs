//! Names of archive members, split into components.

use crate::fs::Name;

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// `..` leads above the root.
    #[error("it leads out of the archive")]
    Escapes,
    /// A NUL byte.
    #[error("it holds a NUL byte")]
    Nul,
    /// No Linux file system takes the component.
    #[error("a part of it has more than 255 bytes")]
    TooLong,
    /// More components than allowed.
    #[error("it has too many parts")]
    TooDeep,
    /// `.wh.` with nothing, `.` or `..` behind it.
    #[error("it is a whiteout of nothing")]
    Whiteout,
    /// `.wh.x/y`.
    #[error("a whiteout cannot hold anything")]
    InWhiteout,
    /// Nothing at all.
    #[error("it is empty")]
    Empty,
}

/// Splits a name into components. A leading `/`, empty parts and `.` vanish,
/// `..` takes back the part before it (as Go's `filepath.Clean`, which the
/// engines use); one that leads above the root is an error.
pub(crate) fn split(name: &[u8], depth: usize) -> Result<Vec<Name>, NameError> {
    let mut parts: Vec<Name> = Vec::new();
    for part in name.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop().ok_or(NameError::Escapes)?;
            }
            _ if part.len() > 255 => return Err(NameError::TooLong),
            _ if part.contains(&0) => return Err(NameError::Nul),
            _ => parts.push(part.into()),
        }
        if parts.len() > depth {
            return Err(NameError::TooDeep);
        }
    }
    Ok(parts)
}

/// What the last component of a name in a layer says (OCI image
/// specification, "Whiteouts").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark<'a> {
    /// Nothing: an ordinary name.
    None,
    /// The lower entry of this name is gone.
    Whiteout(&'a [u8]),
    /// What the lower directory held is gone.
    Opaque,
    /// Bookkeeping of aufs, which old engines left in layers.
    Aufs,
}

/// Reads the mark in a component.
pub(crate) fn mark(component: &[u8]) -> Result<Mark<'_>, NameError> {
    let Some(rest) = component.strip_prefix(b".wh.") else {
        return Ok(Mark::None);
    };
    match rest {
        b".wh..opq" => Ok(Mark::Opaque),
        _ if rest.starts_with(b".wh.") => Ok(Mark::Aufs),
        b"" | b"." | b".." => Err(NameError::Whiteout),
        _ => Ok(Mark::Whiteout(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(name: &str) -> Result<String, NameError> {
        split(name.as_bytes(), 5).map(|p| p.iter().map(|c| String::from_utf8_lossy(c)).collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn names_are_cleaned() {
        for (name, want) in [("./a//b/.", "a|b"), ("/etc/passwd", "etc|passwd"), ("a/../b", "b"), ("./", ""), ("", "")]
        {
            assert_eq!(joined(name).as_deref(), Ok(want), "{name}");
        }
    }

    #[test]
    fn hostile_names_are_refused() {
        let long = "x".repeat(256);
        for (name, want) in [
            ("../etc/passwd", NameError::Escapes),
            ("/..", NameError::Escapes),
            ("a/../../b", NameError::Escapes),
            ("a\0b", NameError::Nul),
            (long.as_str(), NameError::TooLong),
            ("1/2/3/4/5/6", NameError::TooDeep),
        ] {
            assert_eq!(joined(name), Err(want), "{name}");
        }
    }

    #[test]
    fn marks_are_told_apart() {
        assert_eq!(mark(b"wh.x"), Ok(Mark::None));
        assert_eq!(mark(b".wh.x"), Ok(Mark::Whiteout(b"x")));
        assert_eq!(mark(b".wh..x"), Ok(Mark::Whiteout(b".x")));
        assert_eq!(mark(b".wh..wh..opq"), Ok(Mark::Opaque));
        assert_eq!(mark(b".wh..wh.plnk"), Ok(Mark::Aufs));
        for name in [&b".wh."[..], b".wh..", b".wh..."] {
            assert_eq!(mark(name), Err(NameError::Whiteout));
        }
    }
}
