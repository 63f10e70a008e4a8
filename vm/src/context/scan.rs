//! Names and inodes of the wanted paths.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::ContextError;
use super::wanted::Wanted;
use crate::directory::{DIRECTORY, names};
use crate::fs::Name;
use crate::fs::deep::{PARALLEL_LEVELS, deeper};
use crate::fs::glob;
use crate::fs::ignore::{Matched, Patterns};

/// Most symbolic links that are followed on the way to one path (Linux's own
/// limit, `path_resolution(7)`).
const MAX_LINKS: u32 = 40;

/// Something that was found.
pub(super) enum Found {
    /// A directory with what is wanted of it.
    Dir(FoundDir),
    /// A regular file.
    File(Stat),
    /// A symbolic link with its text.
    Symlink(Stat, Box<[u8]>),
    /// A named pipe, device or socket.
    Special(Stat),
}

/// A directory that was found.
pub(super) struct FoundDir {
    pub(super) stat: Stat,
    pub(super) children: BTreeMap<Name, Found>,
    /// Everything below is there.
    complete: bool,
}

impl FoundDir {
    /// Tells whether everything that the directory holds was looked at.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }
}

/// Looks at all wanted paths of a directory.
pub(super) fn scan(directory: &Path, ignore: &Patterns, wanted: &[Wanted]) -> Result<FoundDir, ContextError> {
    let missing = |e: Errno| ContextError::NoDirectory {
        path: directory.to_owned(),
        why: match e {
            Errno::NOENT => "does not exist".to_owned(),
            Errno::NOTDIR => "is not a directory".to_owned(),
            e => format!("cannot be opened: {}", io::Error::from(e)),
        },
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(directory, flags, Mode::empty()).map_err(missing)?;
    let stat = rustix::fs::fstat(&fd).map_err(missing)?;
    let mut scan = Scan { directory, ignore, fd, root: FoundDir { stat, children: BTreeMap::new(), complete: false } };
    for one in wanted {
        let parts = one.components.iter().map(|c| Part::Written(c.as_bytes().to_vec())).collect();
        scan.want(Vec::new(), parts, MAX_LINKS)?;
    }
    Ok(scan.root)
}

/// One component of a path that is wanted.
#[derive(Clone)]
enum Part {
    /// As someone wrote it: it may be a pattern.
    Written(Vec<u8>),
    /// A name as it is in a directory or in a link.
    Name(Name),
}

struct Scan<'a> {
    directory: &'a Path,
    ignore: &'a Patterns,
    fd: OwnedFd,
    root: FoundDir,
}

impl Scan<'_> {
    /// Goes from `at`, the names of real directories, along `rest`.
    fn want(&mut self, mut at: Vec<Name>, rest: Vec<Part>, links: u32) -> Result<(), ContextError> {
        let mut rest = std::collections::VecDeque::from(rest);
        while let Some(part) = rest.pop_front() {
            let name: Name = match part {
                Part::Written(text) if text == b"**" => return self.want_all(&at),
                Part::Written(text) if glob::has_wildcards(&text) => {
                    for name in self.names(&at)? {
                        if glob::matches(&text, &name).unwrap_or(false) {
                            let rest = rest.iter().cloned();
                            self.want(at.clone(), std::iter::once(Part::Name(name)).chain(rest).collect(), links)?;
                        }
                    }
                    return Ok(());
                }
                Part::Written(text) if text.contains(&b'\\') => {
                    // Which of the two is meant depends on what is there.
                    for name in [unescape(&text), text] {
                        let rest = rest.iter().cloned();
                        let names = std::iter::once(Part::Name(name.into())).chain(rest).collect();
                        self.want(at.clone(), names, links)?;
                    }
                    return Ok(());
                }
                Part::Written(text) => text.into(),
                Part::Name(name) => name,
            };
            match &*name {
                b"" | b"." => continue,
                b".." => {
                    at.pop();
                    continue;
                }
                _ => {}
            }
            match self.look(&at, &name)? {
                None => return Ok(()),
                Some(Look::Dir) => at.push(name),
                Some(Look::Other) => return Ok(()),
                Some(Look::Symlink(target)) => {
                    let Some(links) = links.checked_sub(1) else { return Ok(()) };
                    if target.first() == Some(&b'/') {
                        at.clear();
                    }
                    let target = target.split(|&b| b == b'/').map(|c| Part::Name(c.into()));
                    return self.want(at, target.chain(rest).collect(), links);
                }
            }
        }
        self.want_all(&at)
    }

    fn dir_mut(&mut self, at: &[Name]) -> Option<&mut FoundDir> {
        let mut dir = &mut self.root;
        for name in at {
            match dir.children.get_mut(name) {
                Some(Found::Dir(below)) => dir = below,
                _ => return None,
            }
        }
        Some(dir)
    }

    fn open(&self, at: &[Name]) -> Result<OwnedFd, ContextError> {
        let mut fd = self.fd.try_clone().map_err(|e| self.error("open", at, e))?;
        for (i, name) in at.iter().enumerate() {
            let next = rustix::fs::openat(&fd, &**name, DIRECTORY, Mode::empty());
            fd = next.map_err(|e| self.error("open", at.get(..=i).unwrap_or(at), e.into()))?;
        }
        Ok(fd)
    }

    fn error(&self, action: &'static str, at: &[Name], source: io::Error) -> ContextError {
        let mut path = self.directory.to_owned();
        path.extend(at.iter().map(|n| PathBuf::from(String::from_utf8_lossy(n).as_ref())));
        ContextError::Io { action, path, source }
    }

    /// Names in a directory that the ignore file leaves.
    fn names(&self, at: &[Name]) -> Result<Vec<Name>, ContextError> {
        let fd = self.open(at)?;
        sorted_names(fd.as_fd()).map_err(|e| self.error("read", at, e))
    }

    /// Looks at one name and keeps what it is; a directory without its
    /// entries.
    fn look(&mut self, at: &[Name], name: &Name) -> Result<Option<Look>, ContextError> {
        let known = self.dir_mut(at).and_then(|d| d.children.get(name)).map(|found| match found {
            Found::Dir(_) => Look::Dir,
            Found::Symlink(_, target) => Look::Symlink(target.clone()),
            Found::File(_) | Found::Special(_) => Look::Other,
        });
        if known.is_some() {
            return Ok(known);
        }
        let fd = self.open(at)?;
        let stat = match rustix::fs::statat(&fd, &**name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // A name too long or with NUL is not there, either.
            Err(Errno::NOENT | Errno::NAMETOOLONG | Errno::INVAL) => return Ok(None),
            Err(e) => return Err(self.error("look at", &[at, std::slice::from_ref(name)].concat(), e.into())),
        };
        let path = join(at, name);
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let matched = self.matched(&path);
        if matched.is_match() && !(is_dir && self.ignore.may_change_below(&path, &matched)) {
            return Ok(None);
        }
        let found = found(fd.as_fd(), name, stat).map_err(|e| self.error("read", at, e))?;
        let look = match &found {
            Found::Dir(_) => Look::Dir,
            Found::Symlink(_, target) => Look::Symlink(target.clone()),
            Found::File(_) | Found::Special(_) => Look::Other,
        };
        if let Some(dir) = self.dir_mut(at) {
            dir.children.insert(name.clone(), found);
        }
        Ok(Some(look))
    }

    /// Takes a directory with everything below.
    fn want_all(&mut self, at: &[Name]) -> Result<(), ContextError> {
        match self.dir_mut(at) {
            Some(dir) if !dir.complete => {}
            _ => return Ok(()),
        }
        let fd = self.open(at)?;
        let mut path = Vec::new();
        for name in at {
            push(&mut path, name);
        }
        let matched = self.matched(&path);
        let children = self.all(fd.as_fd(), &path, &matched, at.len())?;
        if let Some(dir) = self.dir_mut(at) {
            dir.children = children;
            dir.complete = true;
        }
        Ok(())
    }

    /// What the ignore file says of a path.
    fn matched(&self, path: &[u8]) -> Matched {
        let mut at = self.ignore.top();
        for (i, _) in path.iter().enumerate().filter(|(_, b)| **b == b'/') {
            at = self.ignore.child(&at, path.get(..i).unwrap_or_default());
        }
        if path.is_empty() { at } else { self.ignore.child(&at, path) }
    }

    /// Everything below a directory. `path` is its place in the context, `at`
    /// what the ignore file says of it.
    fn all(
        &self,
        fd: BorrowedFd<'_>,
        path: &[u8],
        at: &Matched,
        level: usize,
    ) -> Result<BTreeMap<Name, Found>, ContextError> {
        let fail = |action, e: io::Error| self.error(action, &[path.into()], e);
        let names = sorted_names(fd).map_err(|e| fail("read", e))?;
        let one = |name: Name| -> Result<Option<(Name, Found)>, ContextError> {
            let mut below = path.to_vec();
            push(&mut below, &name);
            let matched = self.ignore.child(at, &below);
            let excluded = matched.is_match();
            if excluded && !self.ignore.may_change_below(&below, &matched) {
                return Ok(None);
            }
            let stat = match rustix::fs::statat(fd, &*name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                // Removed since the directory was read.
                Err(Errno::NOENT) => return Ok(None),
                Err(e) => return Err(self.error("look at", &[below.into()], e.into())),
            };
            let found = found(fd, &name, stat).map_err(|e| self.error("read", &[below.as_slice().into()], e))?;
            Ok(match found {
                Found::Dir(mut dir) => {
                    let child = rustix::fs::openat(fd, &*name, DIRECTORY, Mode::empty());
                    let child = child.map_err(|e| self.error("open", &[below.as_slice().into()], e.into()))?;
                    dir.children = deeper(level, || self.all(child.as_fd(), &below, &matched, level + 1))?;
                    dir.complete = true;
                    let keep = !excluded || !dir.children.is_empty();
                    keep.then_some((name, Found::Dir(dir)))
                }
                _ if excluded => None,
                found => Some((name, found)),
            })
        };
        let found: Result<Vec<_>, _> = if level < PARALLEL_LEVELS {
            names.into_par_iter().with_min_len(64).filter_map(|n| one(n).transpose()).collect()
        } else {
            names.into_iter().filter_map(|n| one(n).transpose()).collect()
        };
        Ok(found?.into_iter().collect())
    }
}

/// What a name is, as far as the way goes on.
enum Look {
    Dir,
    Symlink(Box<[u8]>),
    Other,
}

fn found(fd: BorrowedFd<'_>, name: &Name, stat: Stat) -> io::Result<Found> {
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Found::Dir(FoundDir { stat, children: BTreeMap::new(), complete: false }),
        FileType::RegularFile => Found::File(stat),
        FileType::Symlink => {
            let target: CString = rustix::fs::readlinkat(fd, &**name, Vec::new())?;
            Found::Symlink(stat, target.to_bytes().into())
        }
        _ => Found::Special(stat),
    })
}

/// Names in a directory, sorted, so that what is looked at first does not
/// depend on the file system.
fn sorted_names(fd: BorrowedFd<'_>) -> io::Result<Vec<Name>> {
    let mut names = names(fd)?;
    names.sort();
    Ok(names)
}

fn push(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

fn join(at: &[Name], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::new();
    for part in at {
        push(&mut path, part);
    }
    push(&mut path, name);
    path
}

/// Takes away the `\\` that takes the magic of a character away.
fn unescape(component: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(component.len());
    let mut bytes = component.iter();
    while let Some(&b) = bytes.next() {
        if b == b'\\' {
            out.extend(bytes.next());
        } else {
            out.push(b);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_like_patterns() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["[x]", "a*b", "axb", r"c\d", "e"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        std::os::unix::fs::symlink("a*b", dir.path().join("link")).unwrap();
        let found = |source: &str| {
            let root = scan(dir.path(), &Patterns::default(), &[Wanted::new(source)]).unwrap();
            root.children.keys().map(|n| String::from_utf8_lossy(n).into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found("[[]x]"), "[x]");
        assert_eq!(found("a*b"), "a*b axb");
        assert_eq!(found(r"a\*b"), "a*b");
        assert_eq!(found(r"c\d"), r"c\d");
        assert_eq!(found(r"\e"), "e");
        assert_eq!(found("link"), "a*b link");
    }
}
