//! Takes a directory of one tree into another.
//!
//! Whole subtrees are taken by reference, unopened, unless something demands
//! a visit: another owner or mode, hard link groups (their numbers must not
//! meet those of another copy), patterns that may match below, or a directory
//! that exists at the destination. The rules of merging are those of
//! fsutil's `copy/copy.go`, which BuildKit uses: a directory below the top
//! takes over the metadata of the source, entries replace entries, and a
//! directory and something else never replace each other.

use std::sync::Arc;

use rayon::prelude::*;
use rbc_ir::Digest;

use super::chmod::ModeChange;
use super::copy::CopyError;
use super::forest::{Forest, TreeError};
use super::ignore::{Matched, Patterns};
use super::path::display;
use super::tree::{DirRef, Entry, FileRef, Meta, Name, Node, Xattrs};

/// Directories with more below than this are worth other threads.
const WORTH_SHARING: u64 = 512;

/// What happens to every entry that is taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transform {
    /// New owner.
    pub(crate) owner: Option<(u32, u32)>,
    /// New mode.
    pub(crate) mode: Option<ModeChange>,
    /// Mixed into the numbers of hard link groups.
    pub(crate) salt: [u8; 32],
}

impl Transform {
    /// Makes the salt of a copy: groups of different sources, or at different
    /// destinations, stay apart; the same copy gives the same numbers.
    pub(crate) fn salt(source: &DirRef, dest: &[Name]) -> [u8; 32] {
        let mut text = source.id.0.to_vec();
        for name in dest {
            text.push(b'/');
            text.extend_from_slice(name);
        }
        Digest::of(&text).0
    }

    fn link(&self, old: u64) -> u64 {
        if old == 0 {
            return 0;
        }
        let mut text = self.salt.to_vec();
        text.extend_from_slice(&old.to_le_bytes());
        let digest = Digest::of(&text).0;
        let number = digest.first_chunk().map_or(1, |b| u64::from_le_bytes(*b));
        number.max(1)
    }

    pub(crate) fn meta(&self, old: &Meta, node: &Node) -> Meta {
        let mut meta = old.clone();
        if let Some((uid, gid)) = self.owner {
            (meta.uid, meta.gid) = (uid, gid);
        }
        if let Some(mode) = &self.mode
            && !matches!(node, Node::Symlink(_))
        {
            meta.mode = mode.apply(meta.mode, matches!(node, Node::Dir(_)));
        }
        meta
    }

    /// Returns an entry that is no directory as it arrives.
    pub(crate) fn leaf(&self, entry: &Entry) -> Entry {
        let node = match &entry.node {
            Node::File(file) => Node::File(FileRef { link: self.link(file.link), ..*file }),
            node => node.clone(),
        };
        Entry { meta: self.meta(&entry.meta, &entry.node), node }
    }

    /// Returns a whole directory as it arrives.
    pub(crate) fn dir(&self, forest: &dyn Forest, dir: &DirRef) -> Result<DirRef, TreeError> {
        let keeps_meta = self.owner.is_none() && self.mode.is_none();
        let totals = forest.totals(&dir.id)?;
        if keeps_meta && !totals.has_links {
            return Ok(*dir);
        }
        let kept = forest.dir(&dir.id)?;
        let arrive = |(name, entry): &(Name, Entry)| {
            let entry = match &entry.node {
                Node::Dir(sub) => {
                    Entry { meta: self.meta(&entry.meta, &entry.node), node: Node::Dir(self.dir(forest, sub)?) }
                }
                _ => self.leaf(entry),
            };
            Ok((name.clone(), entry))
        };
        let entries: Result<Vec<_>, TreeError> = if totals.dirs > 1 && totals.files + totals.dirs > WORTH_SHARING {
            kept.entries().par_iter().map(arrive).collect()
        } else {
            kept.entries().iter().map(arrive).collect()
        };
        Ok(forest.make(entries?)?.reference())
    }
}

/// Where the walk is, for the patterns.
#[derive(Clone)]
struct At {
    path: Vec<u8>,
    include: Option<Matched>,
    exclude: Option<Matched>,
}

/// What becomes of a directory.
enum Judged {
    /// All of it is taken.
    Whole,
    /// It is taken; what is below must be looked at.
    Taken,
    /// It is taken if something below is.
    IfBelow,
    /// Nothing of it is taken.
    Left,
}

/// The patterns of a copy; paths are relative to the directory that is
/// copied.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Only what these match (`--parents`).
    pub(crate) include: Option<Patterns>,
    /// Nothing that these match (`--exclude`).
    pub(crate) exclude: Option<Patterns>,
}

impl Filter {
    fn top(&self) -> At {
        At {
            path: Vec::new(),
            include: self.include.as_ref().map(Patterns::top),
            exclude: self.exclude.as_ref().map(Patterns::top),
        }
    }

    fn child(&self, at: &At, name: &[u8]) -> At {
        let mut path = at.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        let next =
            |patterns: &Option<Patterns>, at: &Option<Matched>| Some(patterns.as_ref()?.child(at.as_ref()?, &path));
        let (include, exclude) = (next(&self.include, &at.include), next(&self.exclude, &at.exclude));
        At { path, include, exclude }
    }

    fn takes(at: &At) -> bool {
        at.include.as_ref().is_none_or(Matched::is_match) && !at.exclude.as_ref().is_some_and(Matched::is_match)
    }

    fn judge(&self, at: &At) -> Judged {
        let changes = |patterns: &Option<Patterns>, matched: &Option<Matched>| match (patterns, matched) {
            (Some(p), Some(m)) => p.may_change_below(&at.path, m),
            _ => false,
        };
        let include_changes = changes(&self.include, &at.include);
        let exclude_changes = changes(&self.exclude, &at.exclude);
        if Self::takes(at) {
            if include_changes || exclude_changes { Judged::Taken } else { Judged::Whole }
        } else {
            let excluded_for_good = at.exclude.as_ref().is_some_and(Matched::is_match) && !exclude_changes;
            let never_included = at.include.as_ref().is_some_and(|m| !m.is_match()) && !include_changes;
            if excluded_for_good || never_included { Judged::Left } else { Judged::IfBelow }
        }
    }

    /// Lists what is taken of a directory, for cache keys: paths with the
    /// entry found there, and whether all below a directory is meant.
    pub(crate) fn visit(
        &self,
        forest: &dyn Forest,
        dir: &DirRef,
        found: &mut dyn FnMut(&[u8], &Entry, bool),
    ) -> Result<(), TreeError> {
        let top = self.top();
        let whole = self.is_trivial();
        self.visit_dir(forest, &forest.dir(&dir.id)?, &top, whole, found)
    }

    pub(crate) fn is_trivial(&self) -> bool {
        self.include.is_none() && self.exclude.as_ref().is_none_or(Patterns::is_empty)
    }

    fn visit_dir(
        &self,
        forest: &dyn Forest,
        dir: &Arc<super::tree::Dir>,
        at: &At,
        whole: bool,
        found: &mut dyn FnMut(&[u8], &Entry, bool),
    ) -> Result<(), TreeError> {
        for (name, entry) in dir.entries() {
            let at = self.child(at, name);
            match &entry.node {
                Node::Dir(_) if whole => found(&at.path, entry, true),
                Node::Dir(sub) => {
                    let judged = self.judge(&at);
                    match judged {
                        Judged::Whole => found(&at.path, entry, true),
                        Judged::Left => {}
                        Judged::Taken | Judged::IfBelow => {
                            let mut shown = matches!(judged, Judged::Taken);
                            if shown {
                                found(&at.path, entry, false);
                            }
                            let mut below = |path: &[u8], e: &Entry, whole: bool| {
                                if !shown {
                                    shown = true;
                                    found(&at.path, entry, false);
                                }
                                found(path, e, whole);
                            };
                            self.visit_dir(forest, &forest.dir(&sub.id)?, &at, false, &mut below)?;
                        }
                    }
                }
                _ if whole || Self::takes(&at) => found(&at.path, entry, true),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A running graft.
pub(crate) struct Graft<'a> {
    pub(crate) forest: &'a dyn Forest,
    pub(crate) transform: &'a Transform,
    pub(crate) filter: &'a Filter,
    /// Where it goes, for messages.
    pub(crate) dest: &'a [Name],
}

impl Graft<'_> {
    /// Returns the content of the directory `dest` (none if it does not
    /// exist) with the contents of `source` in it.
    pub(crate) fn merge(&self, dest: Option<&DirRef>, source: &DirRef) -> Result<DirRef, CopyError> {
        let at = if self.filter.is_trivial() { None } else { Some(self.filter.top()) };
        Ok(self.merge_dir(dest, source, at.as_ref(), &mut self.dest.to_vec())?.0)
    }

    /// Merges directories; the flag tells whether anything was taken. No
    /// patterns apply without `at`.
    fn merge_dir(
        &self,
        dest: Option<&DirRef>,
        source: &DirRef,
        at: Option<&At>,
        path: &mut Vec<Name>,
    ) -> Result<(DirRef, bool), CopyError> {
        let forest = self.forest;
        let whole = at.is_none();
        let dest_dir = match dest {
            None if whole => return Ok((self.transform.dir(forest, source)?, true)),
            None => None,
            Some(dest) => Some(forest.dir(&dest.id)?),
        };
        if whole && dest_dir.as_ref().is_some_and(|d| d.entries().is_empty()) {
            return Ok((self.transform.dir(forest, source)?, true));
        }
        let kept = forest.dir(&source.id)?;
        let mut arrivals: Vec<(Name, Entry)> = Vec::with_capacity(kept.entries().len());
        for (name, entry) in kept.entries() {
            let here = at.map(|at| self.filter.child(at, name));
            let old = dest_dir.as_ref().and_then(|d| d.get(name));
            path.push(name.clone());
            let arrival = match &entry.node {
                Node::Dir(sub) => self.merge_entry(old, entry, sub, here.as_ref(), path)?,
                _ if here.as_ref().is_none_or(Filter::takes) => {
                    if old.is_some_and(Entry::is_dir) {
                        return Err(CopyError::FileOverDir { path: display(path) });
                    }
                    Some(self.transform.leaf(entry))
                }
                _ => None,
            };
            path.pop();
            if let Some(arrival) = arrival {
                arrivals.push((name.clone(), arrival));
            }
        }
        let any = !arrivals.is_empty();
        let entries = match dest_dir {
            Some(dir) => lay_over(dir.entries(), arrivals),
            None => arrivals,
        };
        Ok((forest.make(entries)?.reference(), any))
    }

    fn merge_entry(
        &self,
        old: Option<&Entry>,
        entry: &Entry,
        sub: &DirRef,
        here: Option<&At>,
        path: &mut Vec<Name>,
    ) -> Result<Option<Entry>, CopyError> {
        let judged = here.map_or(Judged::Whole, |at| self.filter.judge(at));
        let below = match judged {
            Judged::Left => return Ok(None),
            Judged::Whole => None,
            Judged::Taken | Judged::IfBelow => here,
        };
        let (dir, any) = self.merge_dir(old.and_then(Entry::as_dir), sub, below, path)?;
        let lazy = matches!(judged, Judged::IfBelow);
        if lazy && !any {
            return Ok(None);
        }
        let meta = match old {
            None => self.transform.meta(&entry.meta, &entry.node),
            Some(Entry { meta: old, node: Node::Dir(_) }) if lazy => {
                // fsutil's createParentDirs: an existing directory that only
                // leads to something gets the mode, nothing else.
                Meta { mode: entry.meta.mode, ..old.clone() }
            }
            Some(Entry { meta: old, node: Node::Dir(_) }) => {
                let mut meta = self.transform.meta(&entry.meta, &entry.node);
                meta.xattrs = joined(&old.xattrs, &meta.xattrs);
                meta
            }
            Some(_) => return Err(CopyError::DirOverFile { path: display(path) }),
        };
        Ok(Some(Entry { meta, node: Node::Dir(dir) }))
    }
}

/// Merges sorted entries; of equal names the arrival stays.
fn lay_over(old: &[(Name, Entry)], arrivals: Vec<(Name, Entry)>) -> Vec<(Name, Entry)> {
    let mut merged = Vec::with_capacity(old.len() + arrivals.len());
    let mut old = old.iter().peekable();
    for arrival in arrivals {
        while let Some(kept) = old.next_if(|(n, _)| *n < arrival.0) {
            merged.push(kept.clone());
        }
        old.next_if(|(n, _)| *n == arrival.0);
        merged.push(arrival);
    }
    merged.extend(old.cloned());
    merged
}

/// Adds attributes to those of an existing directory: a copy sets, and never
/// removes them.
fn joined(old: &Xattrs, new: &Xattrs) -> Xattrs {
    match (old, new) {
        (None, new) => new.clone(),
        (old, None) => old.clone(),
        (Some(old), Some(new)) => {
            let mut all: std::collections::BTreeMap<_, _> = old.iter().cloned().collect();
            all.extend(new.iter().cloned());
            Some(all.into_iter().collect())
        }
    }
}
