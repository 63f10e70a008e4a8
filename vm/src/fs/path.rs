//! Paths: lexical cleaning, and their resolution in a tree.
//!
//! Everything stays within the tree: `..` at the root is the root, and the
//! text of an absolute symbolic link starts at the tree's root (as
//! `fs.RootPath` of containerd's continuity, which BuildKit uses for both
//! sides of a copy). Paths are bytes; a path in canonical form is a list of
//! names without `.`, `..` and symbolic links.

use std::collections::VecDeque;

use super::forest::{Forest, TreeError};
use super::tree::{Entry, Name, Root};

/// As many symbolic links as the kernel follows (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// Why a path cannot be walked or changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PathError {
    /// Symbolic links lead in a circle, or nearly.
    #[error("{path}: too many levels of symbolic links")]
    TooManyLinks {
        /// The path asked for.
        path: String,
    },
    /// Something that must be a directory is none.
    #[error("{path}: not a directory")]
    NotADirectory {
        /// The path that is no directory.
        path: String,
    },
    /// Something that must exist does not.
    #[error("{path}: no such file or directory")]
    Missing {
        /// The path that does not exist.
        path: String,
    },
    /// The tree cannot be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// What happens to a symbolic link in the last place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// It is followed.
    Last,
    /// It is what was asked for; only links on the way are followed.
    Parents,
}

/// Where a path leads.
#[derive(Clone, Debug)]
pub struct Located {
    /// The path with all links resolved.
    pub names: Vec<Name>,
    /// What is there; none if it does not exist.
    pub entry: Option<Entry>,
    /// How many of the last names do not exist.
    pub missing: usize,
}

impl Located {
    /// Returns the path as text, for messages.
    pub fn display(&self) -> String {
        display(&self.names)
    }
}

/// Splits a path into names, lexically cleaned: empty components and `.`
/// vanish, `..` takes a name away, and stops at the root.
pub fn clean(path: &[u8]) -> Vec<&[u8]> {
    let mut names = Vec::new();
    for part in path.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    names
}

/// Cleans a path as Go's `filepath.Clean`: an absolute one stays absolute, a
/// relative one may begin with `..`, an empty one becomes `.`.
pub(crate) fn clean_go(path: &[u8]) -> Vec<u8> {
    let absolute = path.starts_with(b"/");
    let mut names: Vec<&[u8]> = Vec::new();
    for part in path.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if names.last().is_some_and(|last| last != b"..") => {
                names.pop();
            }
            b".." if absolute => {}
            name => names.push(name),
        }
    }
    let joined = join(&names);
    match (absolute, joined.is_empty()) {
        (true, _) => [b"/", joined.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

/// Joins names to an absolute path, for messages.
pub fn display<N: AsRef<[u8]>>(names: &[N]) -> String {
    if names.is_empty() {
        return "/".to_owned();
    }
    let mut text = String::new();
    for name in names {
        text.push('/');
        text.push_str(&String::from_utf8_lossy(name.as_ref()));
    }
    text
}

/// Joins names to a relative path.
pub(crate) fn join<N: AsRef<[u8]>>(names: &[N]) -> Vec<u8> {
    let mut path = Vec::new();
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_ref());
    }
    path
}

/// Finds where a path leads in a tree. The path is cleaned lexically first
/// (BuildKit does so, too: `dir/../x` never looks at `dir`); the texts of
/// links are not. A missing path is no error: its names are kept as they are.
///
/// # Errors
///
/// If there are too many links, or the tree cannot be read.
pub fn locate(forest: &dyn Forest, root: &Root, path: &[u8], follow: Follow) -> Result<Located, PathError> {
    let mut pending: VecDeque<Name> = clean(path).into_iter().map(Into::into).collect();
    let mut found: Vec<(Name, Entry)> = Vec::new();
    let mut absent: Vec<Name> = Vec::new();
    let mut links = 0;
    while let Some(name) = pending.pop_front() {
        match name.as_ref() {
            b"" | b"." => continue,
            b".." => {
                if absent.pop().is_none() {
                    found.pop();
                }
                continue;
            }
            _ => {}
        }
        if !absent.is_empty() {
            absent.push(name);
            continue;
        }
        let dir = match found.last() {
            None => Some(&root.dir),
            Some((_, entry)) => entry.as_dir(),
        };
        let entry = match dir {
            Some(dir) => forest.dir(&dir.id)?.get(&name).cloned(),
            None => None,
        };
        match entry {
            None => absent.push(name),
            Some(Entry { node: super::tree::Node::Symlink(text), .. })
                if follow == Follow::Last || !pending.is_empty() =>
            {
                links += 1;
                if links > MAX_LINKS {
                    return Err(PathError::TooManyLinks { path: display(&clean(path)) });
                }
                if text.starts_with(b"/") {
                    found.clear();
                }
                for part in text.rsplit(|&b| b == b'/') {
                    pending.push_front(part.into());
                }
            }
            Some(entry) => found.push((name, entry)),
        }
    }
    let missing = absent.len();
    let entry = match (missing, found.last()) {
        (0, None) => Some(root.entry()),
        (0, Some((_, entry))) => Some(entry.clone()),
        _ => None,
    };
    let names = found.into_iter().map(|(name, _)| name).chain(absent).collect();
    Ok(Located { names, entry, missing })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::Sandbox;

    #[test]
    fn cleaning_is_confined() {
        let show = |p: &str| display(&clean(p.as_bytes()));
        assert_eq!(show("a//b/./c/"), "/a/b/c");
        assert_eq!(show("../../x"), "/x");
        assert_eq!(show("/a/../../b"), "/b");
        assert_eq!(show("."), "/");
    }

    #[test]
    fn links_stay_inside() {
        let s = Sandbox::default();
        let root = s.tree(
            "f /srv/deep/f hi
             l /opt/esc -> ../../../srv
             l /opt/abs -> /../srv/deep
             l /opt/via -> esc/../srv/deep
             l /loop -> /loop
             l /dangling -> nowhere/at/all",
        );
        let at = |path: &str, follow| {
            let l = locate(&s.forest, &root, path.as_bytes(), follow).unwrap();
            format!("{} missing {}", l.display(), l.missing)
        };
        assert_eq!(at("/opt/esc/deep/f", Follow::Last), "/srv/deep/f missing 0");
        assert_eq!(at("/opt/abs", Follow::Last), "/srv/deep missing 0");
        assert_eq!(at("/opt/abs", Follow::Parents), "/opt/abs missing 0");
        assert_eq!(at("/opt/via/f", Follow::Last), "/srv/deep/f missing 0");
        assert_eq!(at("/dangling", Follow::Last), "/nowhere/at/all missing 3");
        assert_eq!(at("/srv/deep/f/x", Follow::Last), "/srv/deep/f/x missing 1");
        assert_eq!(at("/no/../srv", Follow::Last), "/srv missing 0");
        let e = locate(&s.forest, &root, b"/loop/x", Follow::Last).unwrap_err();
        assert_eq!(e.to_string(), "/loop/x: too many levels of symbolic links");
    }
}
