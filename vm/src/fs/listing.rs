//! A tree as text, for tests, logs and `rbc cache` commands.
//!
//! One line per path, parents first: kind, mode, owner, path, then what the
//! kind has to say: `d` directory, `f` file with content (8 digits of its
//! digest) or whatever `text` says, `l` link, `c` `b` device, `p` fifo, `w`
//! whiteout. Then, if there is any: `(opaque)`, `#N` for the N-th hard link
//! group, `@SECONDS` for a time other than 0, `{names}` of extended
//! attributes.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::forest::{Forest, TreeError};
use super::tree::{DirRef, Entry, FileRef, Mtime, Node, Root};

/// Lists a tree with digests for contents.
///
/// # Errors
///
/// If a directory is missing.
pub fn list(forest: &dyn Forest, root: &Root) -> Result<String, TreeError> {
    list_with(forest, root, &|file| hex::encode(file.blob.0).chars().take(8).collect())
}

/// Lists a tree with a text of the caller's for contents.
///
/// # Errors
///
/// If a directory is missing.
pub fn list_with(forest: &dyn Forest, root: &Root, text: &dyn Fn(&FileRef) -> String) -> Result<String, TreeError> {
    let mut listing = Listing { forest, text, out: String::new(), groups: HashMap::new() };
    listing.line("/", &root.entry());
    listing.dir("", &root.dir)?;
    Ok(listing.out)
}

struct Listing<'a> {
    forest: &'a dyn Forest,
    text: &'a dyn Fn(&FileRef) -> String,
    out: String,
    groups: HashMap<u64, usize>,
}

impl Listing<'_> {
    fn dir(&mut self, path: &str, dir: &DirRef) -> Result<(), TreeError> {
        let kept = self.forest.dir(&dir.id)?;
        for (name, entry) in kept.entries() {
            let path = format!("{path}/{}", String::from_utf8_lossy(name));
            self.line(&path, entry);
            if let Node::Dir(dir) = &entry.node {
                self.dir(&path, dir)?;
            }
        }
        Ok(())
    }

    fn line(&mut self, path: &str, entry: &Entry) {
        let m = &entry.meta;
        let owner = format!("{}:{}", m.uid, m.gid);
        let mut line = match &entry.node {
            Node::Dir(_) => format!("d {:04o} {owner} {path}", m.mode),
            Node::File(file) => format!("f {:04o} {owner} {path} {}", m.mode, (self.text)(file)),
            Node::Symlink(to) => format!("l {owner} {path} -> {}", String::from_utf8_lossy(to)),
            Node::Char(dev) => format!("c {:04o} {owner} {path} {dev:#x}", m.mode),
            Node::Block(dev) => format!("b {:04o} {owner} {path} {dev:#x}", m.mode),
            Node::Fifo => format!("p {:04o} {owner} {path}", m.mode),
            Node::Whiteout => format!("w {path}"),
        };
        if let Node::Dir(DirRef { opaque: true, .. }) = &entry.node {
            line.push_str(" (opaque)");
        }
        if let Node::File(FileRef { link, .. }) = &entry.node
            && *link != 0
        {
            let next = self.groups.len() + 1;
            let _ = write!(line, " #{}", self.groups.entry(*link).or_insert(next));
        }
        if m.mtime != Mtime::default() {
            let _ = write!(line, " @{}", m.mtime.seconds);
        }
        if let Some(xattrs) = &m.xattrs {
            let names: Vec<_> = xattrs.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
            let _ = write!(line, " {{{}}}", names.join(" "));
        }
        self.out.push_str(&line);
        self.out.push('\n');
    }
}
