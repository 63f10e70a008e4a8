//! The tree of an archive while it is read: members in any order, the last
//! of a name counting, parents made where they are missing.
//!
//! Links in the parents of a name are followed, within the tree only, and
//! for a layer also through the tree below: a layer may bring `bin/sh` where
//! the lower `bin` is a link to `usr/bin`, and the engines (containerd's
//! `fs.RootPath`) put it into `usr/bin`.

use std::collections::VecDeque;
use std::sync::Arc;

use rbc_ir::Hasher;
use rustc_hash::FxHashMap;

use super::name::{NameError, split};
use crate::fs::{Dir, DirRef, Entry, FileRef, Meta, Mtime, Name, Node, Root};
use crate::fs::{Forest, TreeError};

/// Links that one name may lead through, as the kernel's `MAXSYMLINKS`.
const MAX_LINKS: usize = 40;

/// Why a member has no place in the tree.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("it leads through too many symbolic links")]
    Loop,
    #[error("it is a hard link to `{0}`, which does not exist")]
    NoTarget(String),
    #[error("it is a hard link to the directory `{0}`")]
    DirTarget(String),
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Bytes of a file, known now or later; names that share it are one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentId(usize);

#[derive(Default)]
struct Content {
    file: Option<FileRef>,
    /// More than one name had it at some time.
    shared: bool,
}

#[derive(Clone)]
pub(crate) enum Item {
    Dir { children: FxHashMap<Name, usize>, opaque: bool },
    File(ContentId),
    Symlink(Box<[u8]>),
    Char(u64),
    Block(u64),
    Fifo,
    Whiteout,
}

impl Item {
    pub(crate) fn dir() -> Self {
        Self::Dir { children: FxHashMap::default(), opaque: false }
    }
}

struct Slot {
    meta: Meta,
    item: Item,
}

/// A directory on the way to a name: in this tree, in the lower one, or both.
#[derive(Clone, Copy)]
struct Step {
    slot: Option<usize>,
    lower: Option<DirRef>,
}

enum Found {
    Here(usize),
    Lower(Entry),
    Nothing,
}

pub(crate) struct Builder<'a> {
    forest: &'a dyn Forest,
    lower: Option<&'a Root>,
    whiteouts: bool,
    depth: usize,
    /// The first is the root.
    slots: Vec<Slot>,
    contents: Vec<Content>,
}

fn parent_meta() -> Meta {
    Meta { mode: 0o755, uid: 0, gid: 0, mtime: Mtime::default(), xattrs: None }
}

fn shown(parts: &[Name]) -> String {
    parts.iter().map(|p| String::from_utf8_lossy(p)).collect::<Vec<_>>().join("/")
}

impl<'a> Builder<'a> {
    pub(crate) fn new(forest: &'a dyn Forest, lower: Option<&'a Root>, whiteouts: bool, depth: usize) -> Self {
        let meta = lower.map_or_else(parent_meta, |l| l.meta.clone());
        let slots = vec![Slot { meta, item: Item::dir() }];
        Self { forest, lower, whiteouts, depth, slots, contents: Vec::new() }
    }

    /// Makes room for the bytes of a file.
    pub(crate) fn content(&mut self) -> ContentId {
        self.contents.push(Content::default());
        ContentId(self.contents.len() - 1)
    }

    /// Says what bytes these are.
    pub(crate) fn fill(&mut self, content: ContentId, file: FileRef) {
        if let Some(c) = self.contents.get_mut(content.0) {
            c.file = Some(file);
        }
    }

    /// Sets the root's own metadata.
    pub(crate) fn set_root(&mut self, meta: Meta) {
        if let Some(root) = self.slots.first_mut() {
            root.meta = meta;
        }
    }

    fn child(&self, dir: usize, name: &[u8]) -> Option<usize> {
        match &self.slots.get(dir)?.item {
            Item::Dir { children, .. } => children.get(name).copied(),
            _ => None,
        }
    }

    fn item(&self, slot: usize) -> Option<&Item> {
        self.slots.get(slot).map(|s| &s.item)
    }

    /// Returns the lower directory that shows through `slot`.
    fn through(&self, slot: Option<usize>, lower: Option<DirRef>) -> Option<DirRef> {
        match slot.and_then(|s| self.item(s)) {
            Some(Item::Dir { opaque: true, .. }) => None,
            _ => lower,
        }
    }

    fn root(&self) -> Step {
        Step { slot: Some(0), lower: self.through(Some(0), self.lower.map(|l| l.dir)) }
    }

    fn lower_entry(&self, step: Step, name: &[u8]) -> Result<Option<Entry>, TreeError> {
        match step.lower {
            Some(dir) => Ok(self.forest.dir(&dir.id)?.get(name).cloned()),
            None => Ok(None),
        }
    }

    fn put(&mut self, dir: usize, name: &Name, slot: Slot) -> usize {
        self.slots.push(slot);
        let new = self.slots.len() - 1;
        if let Some(Slot { item: Item::Dir { children, .. }, .. }) = self.slots.get_mut(dir) {
            children.insert(name.clone(), new);
        }
        new
    }

    /// Makes a directory that no member has named yet.
    fn make_parent(&mut self, at: Step, name: &Name, meta: Meta, lower: Option<DirRef>, opaque: bool) -> Step {
        let item = Item::Dir { children: FxHashMap::default(), opaque };
        let slot = at.slot.map(|dir| self.put(dir, name, Slot { meta, item }));
        Step { slot, lower: if opaque { None } else { lower } }
    }

    /// Goes down to a directory. With `make` it exists here afterwards;
    /// otherwise the answer is `None` if it is nowhere.
    fn descend(&mut self, parts: &[Name], make: bool) -> Result<Option<Step>, PlaceError> {
        let mut way = vec![self.root()];
        let mut todo: VecDeque<Name> = parts.iter().cloned().collect();
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            if name.as_ref() == b".." {
                if way.len() > 1 {
                    way.pop();
                }
                continue;
            }
            let at = way.last().copied().unwrap_or(self.root());
            let here = at.slot.and_then(|dir| self.child(dir, &name));
            let target = match here.and_then(|slot| self.item(slot)) {
                Some(Item::Symlink(text)) => Some(text.clone()),
                Some(Item::Dir { .. }) => {
                    let below = self.lower_entry(at, &name)?.and_then(|e| e.as_dir().copied());
                    way.push(Step { slot: here, lower: self.through(here, below) });
                    None
                }
                Some(_) if !make => return Ok(None),
                // A directory in place of something else: what the lower
                // tree has under this name stays hidden.
                Some(_) => {
                    let opaque = self.whiteouts;
                    way.push(self.make_parent(at, &name, parent_meta(), None, opaque));
                    None
                }
                None => match self.lower_entry(at, &name)? {
                    Some(Entry { node: Node::Symlink(text), .. }) => Some(text),
                    Some(Entry { node: Node::Dir(dir), meta }) if make => {
                        way.push(self.make_parent(at, &name, meta, Some(dir), false));
                        None
                    }
                    Some(Entry { node: Node::Dir(dir), .. }) => {
                        way.push(Step { slot: None, lower: Some(dir) });
                        None
                    }
                    _ if !make => return Ok(None),
                    _ => {
                        way.push(self.make_parent(at, &name, parent_meta(), None, false));
                        None
                    }
                },
            };
            if let Some(target) = target {
                links += 1;
                if links > MAX_LINKS {
                    return Err(PlaceError::Loop);
                }
                if target.first() == Some(&b'/') {
                    way.truncate(1);
                }
                for part in target.rsplit(|b| *b == b'/').filter(|p| !p.is_empty() && *p != b".") {
                    if part.len() > 255 {
                        return Err(NameError::TooLong.into());
                    }
                    todo.push_front(part.into());
                }
            }
            if way.len() > self.depth || todo.len() > 4 * self.depth {
                return Err(NameError::TooDeep.into());
            }
        }
        Ok(way.last().copied())
    }

    fn parent(&mut self, parts: &[Name]) -> Result<usize, PlaceError> {
        // `make` makes every step exist here.
        Ok(self.descend(parts, true)?.and_then(|s| s.slot).unwrap_or(0))
    }

    fn find(&mut self, parts: &[Name]) -> Result<Found, PlaceError> {
        let Some((name, parents)) = parts.split_last() else {
            return Ok(Found::Here(0));
        };
        let Some(at) = self.descend(parents, false)? else {
            return Ok(Found::Nothing);
        };
        if let Some(slot) = at.slot.and_then(|dir| self.child(dir, name)) {
            return Ok(Found::Here(slot));
        }
        Ok(self.lower_entry(at, name)?.map_or(Found::Nothing, Found::Lower))
    }

    /// Puts a member at its place.
    pub(crate) fn insert(&mut self, parts: &[Name], meta: Meta, mut item: Item) -> Result<(), PlaceError> {
        let Some((name, parents)) = parts.split_last() else {
            return Err(NameError::Empty.into());
        };
        let dir = self.parent(parents)?;
        if let (Item::Dir { opaque, .. }, Some(old)) = (&mut item, self.child(dir, name)) {
            if let Some(Slot { meta: old, item: Item::Dir { .. } }) = self.slots.get_mut(old) {
                *old = meta;
                return Ok(());
            }
            *opaque = self.whiteouts;
        }
        self.put(dir, name, Slot { meta, item });
        Ok(())
    }

    /// Puts a hard link at its place.
    pub(crate) fn link(&mut self, parts: &[Name], target: &[u8]) -> Result<(), PlaceError> {
        let target = split(target, self.depth)?;
        match self.find(&target)? {
            Found::Here(slot) => {
                let Some(Slot { meta, item }) = self.slots.get(slot) else {
                    return Err(PlaceError::NoTarget(shown(&target)));
                };
                let (meta, item) = (meta.clone(), item.clone());
                match &item {
                    Item::Dir { .. } => return Err(PlaceError::DirTarget(shown(&target))),
                    Item::Whiteout => return Err(PlaceError::NoTarget(shown(&target))),
                    Item::File(content) => {
                        if let Some(c) = self.contents.get_mut(content.0) {
                            c.shared = true;
                        }
                    }
                    _ => {}
                }
                self.insert(parts, meta, item)
            }
            Found::Lower(Entry { meta, node }) => {
                let item = match node {
                    Node::File(file) => {
                        let content = self.content();
                        self.fill(content, file);
                        let item = Item::File(content);
                        if file.link == 0 {
                            // The lower file becomes a member of a group,
                            // so it is part of this difference, too (an
                            // overlay copies it up for the same reason).
                            if let Some(c) = self.contents.get_mut(content.0) {
                                c.shared = true;
                            }
                            self.insert(&target, meta.clone(), item.clone())?;
                        }
                        item
                    }
                    Node::Symlink(text) => Item::Symlink(text),
                    Node::Char(rdev) => Item::Char(rdev),
                    Node::Block(rdev) => Item::Block(rdev),
                    Node::Fifo => Item::Fifo,
                    Node::Dir(_) => return Err(PlaceError::DirTarget(shown(&target))),
                    Node::Whiteout => return Err(PlaceError::NoTarget(shown(&target))),
                };
                self.insert(parts, meta, item)
            }
            Found::Nothing => Err(PlaceError::NoTarget(shown(&target))),
        }
    }

    /// Marks a lower entry as gone. Whiteouts act on lower layers only, so
    /// an entry of this one stays, whichever came first.
    pub(crate) fn whiteout(&mut self, parents: &[Name], name: &[u8]) -> Result<(), PlaceError> {
        let dir = self.parent(parents)?;
        let name: Name = name.into();
        match self.child(dir, &name).and_then(|slot| self.slots.get_mut(slot)) {
            None => {
                self.put(dir, &name, Slot { meta: Meta::default(), item: Item::Whiteout });
            }
            Some(Slot { item: Item::Dir { opaque, .. }, .. }) => *opaque = true,
            Some(_) => {}
        }
        Ok(())
    }

    /// Marks a directory as hiding what the lower one held.
    pub(crate) fn opaque(&mut self, parts: &[Name]) -> Result<(), PlaceError> {
        let dir = self.parent(parts)?;
        if let Some(Slot { item: Item::Dir { opaque, .. }, .. }) = self.slots.get_mut(dir) {
            *opaque = true;
        }
        Ok(())
    }

    /// Makes the tree.
    pub(crate) fn finish(self) -> Result<Root, TreeError> {
        let mut groups = FxHashMap::default();
        if self.contents.iter().any(|c| c.shared) {
            self.first_names(0, &mut Vec::new(), &mut groups);
        }
        groups.retain(|_, (_, names)| *names > 1);
        let dir = self.make(0, &groups)?;
        let meta = self.slots.into_iter().next().map_or_else(parent_meta, |s| s.meta);
        Ok(Root { meta, dir })
    }

    fn sorted<'b>(&'b self, dir: usize) -> (Vec<(&'b Name, usize)>, bool) {
        match self.item(dir) {
            Some(Item::Dir { children, opaque }) => {
                let mut list: Vec<(&'b Name, usize)> = children.iter().map(|(n, s)| (n, *s)).collect();
                list.sort_unstable();
                (list, *opaque)
            }
            _ => (Vec::new(), false),
        }
    }

    /// Collects, for each content that was shared, its first name in the
    /// order of the tree and how many names are left.
    fn first_names(&self, dir: usize, path: &mut Vec<u8>, groups: &mut FxHashMap<usize, (Vec<u8>, usize)>) {
        for (name, slot) in self.sorted(dir).0 {
            let length = path.len();
            path.push(b'/');
            path.extend_from_slice(name);
            match self.item(slot) {
                Some(Item::Dir { .. }) => self.first_names(slot, path, groups),
                Some(Item::File(content)) if self.contents.get(content.0).is_some_and(|c| c.shared) => {
                    groups.entry(content.0).or_insert_with(|| (path.clone(), 0)).1 += 1;
                }
                _ => {}
            }
            path.truncate(length);
        }
    }

    fn make(&self, dir: usize, groups: &FxHashMap<usize, (Vec<u8>, usize)>) -> Result<DirRef, TreeError> {
        let (children, opaque) = self.sorted(dir);
        let mut entries = Vec::with_capacity(children.len());
        for (name, slot) in children {
            let Some(Slot { meta, item }) = self.slots.get(slot) else { continue };
            let node = match item {
                Item::Dir { .. } => Node::Dir(self.make(slot, groups)?),
                Item::File(content) => {
                    let Some(mut file) = self.contents.get(content.0).and_then(|c| c.file) else { continue };
                    if let Some((first, _)) = groups.get(&content.0) {
                        file.link = group_number(first, &file);
                    }
                    Node::File(file)
                }
                Item::Symlink(text) => Node::Symlink(text.clone()),
                Item::Char(rdev) => Node::Char(*rdev),
                Item::Block(rdev) => Node::Block(*rdev),
                Item::Fifo => Node::Fifo,
                Item::Whiteout => Node::Whiteout,
            };
            entries.push((name.clone(), Entry { meta: meta.clone(), node }));
        }
        let made: Arc<Dir> = self.forest.make(entries)?;
        Ok(DirRef { opaque, ..made.reference() })
    }
}

/// Numbers a hard link group by its first name (`/a/b`) and bytes: the same
/// archive always gives the same tree, and groups of stacked layers do not
/// meet.
pub(crate) fn group_number(first: &[u8], file: &FileRef) -> u64 {
    let mut hasher = Hasher::new();
    hasher.field(first);
    hasher.update(&file.blob.0);
    let [a, b, c, d, e, f, g, h, ..] = hasher.finish().0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(1)
}
