//! Functional updates of a tree.
//!
//! An [`Editor`] opens the directories that a batch of changes passes
//! through, once each, and hashes each of them once at the end; everything
//! beside the way is taken over by reference. Paths are canonical (see
//! [`super::path`]): links are not followed here.
//!
//! The modification time of an existing directory is left as it is when its
//! entries change: a kernel would set it to "now", which makes equal builds
//! differ and every layer contain directories that nobody touched.

use super::forest::{Forest, TreeError};
use super::path::{PathError, display};
use super::tree::{DirRef, Entry, Meta, Name, Node, Root};

/// A directory that was opened.
struct Draft {
    opaque: bool,
    entries: Vec<(Name, Slot)>,
}

enum Slot {
    Whole(Entry),
    Open(Meta, Draft),
}

impl Draft {
    fn open(forest: &dyn Forest, dir: &DirRef) -> Result<Self, TreeError> {
        let kept = forest.dir(&dir.id)?;
        let entries = kept.entries().iter().map(|(n, e)| (n.clone(), Slot::Whole(e.clone()))).collect();
        Ok(Self { opaque: dir.opaque, entries })
    }

    fn position(&self, name: &[u8]) -> Result<usize, usize> {
        self.entries.binary_search_by(|(n, _)| n.as_ref().cmp(name))
    }

    fn put(&mut self, name: &Name, slot: Slot) {
        match self.position(name) {
            Ok(i) => {
                if let Some(place) = self.entries.get_mut(i) {
                    place.1 = slot;
                }
            }
            Err(i) => self.entries.insert(i, (name.clone(), slot)),
        }
    }

    /// Opens the directory of this name; none if there is no such name.
    fn child(&mut self, forest: &dyn Forest, name: &[u8]) -> Result<Child<'_>, TreeError> {
        let Ok(i) = self.position(name) else { return Ok(Child::Missing) };
        let Some((_, slot)) = self.entries.get_mut(i) else { return Ok(Child::Missing) };
        if let Slot::Whole(Entry { meta, node: Node::Dir(dir) }) = slot {
            *slot = Slot::Open(std::mem::take(meta), Self::open(forest, dir)?);
        }
        Ok(match slot {
            Slot::Open(meta, draft) => Child::Dir(meta, draft),
            Slot::Whole(_) => Child::Other,
        })
    }

    fn close(self, forest: &dyn Forest) -> Result<DirRef, TreeError> {
        let mut entries = Vec::with_capacity(self.entries.len());
        for (name, slot) in self.entries {
            let entry = match slot {
                Slot::Whole(entry) => entry,
                Slot::Open(meta, draft) => Entry { meta, node: Node::Dir(draft.close(forest)?) },
            };
            entries.push((name, entry));
        }
        Ok(DirRef { opaque: self.opaque, ..forest.make(entries)?.reference() })
    }
}

enum Child<'a> {
    Missing,
    Other,
    Dir(&'a mut Meta, &'a mut Draft),
}

/// A batch of changes to one tree.
pub struct Editor<'f> {
    forest: &'f dyn Forest,
    meta: Meta,
    top: Draft,
}

impl<'f> Editor<'f> {
    /// Starts from a tree.
    ///
    /// # Errors
    ///
    /// If its top directory cannot be read.
    pub fn new(forest: &'f dyn Forest, root: &Root) -> Result<Self, TreeError> {
        Ok(Self { forest, meta: root.meta.clone(), top: Draft::open(forest, &root.dir)? })
    }

    fn descend(&mut self, names: &[Name]) -> Result<(&mut Meta, &mut Draft), PathError> {
        let mut at = (&mut self.meta, &mut self.top);
        for (i, name) in names.iter().enumerate() {
            let here = || display(names.get(..=i).unwrap_or_default());
            at = match at.1.child(self.forest, name)? {
                Child::Dir(meta, draft) => (meta, draft),
                Child::Missing => return Err(PathError::Missing { path: here() }),
                Child::Other => return Err(PathError::NotADirectory { path: here() }),
            };
        }
        Ok(at)
    }

    /// Sets what a path is, whatever was there. Its parents must exist.
    ///
    /// # Errors
    ///
    /// If a parent is missing or no directory, or the path is the root.
    pub fn set(&mut self, path: &[Name], entry: Entry) -> Result<(), PathError> {
        match path.split_last() {
            Some((name, parents)) => {
                self.descend(parents)?.1.put(name, Slot::Whole(entry));
                Ok(())
            }
            None => match entry {
                Entry { meta, node: Node::Dir(dir) } => {
                    self.top = Draft::open(self.forest, &dir)?;
                    self.meta = meta;
                    Ok(())
                }
                _ => Err(PathError::NotADirectory { path: display(path) }),
            },
        }
    }

    /// Removes a path with all below; false if there was none. The root
    /// becomes empty, but stays.
    ///
    /// # Errors
    ///
    /// If the tree cannot be read.
    pub fn remove(&mut self, path: &[Name]) -> Result<bool, PathError> {
        let Some((name, parents)) = path.split_last() else {
            self.top.entries.clear();
            return Ok(true);
        };
        let draft = match self.descend(parents) {
            Ok((_, draft)) => draft,
            Err(PathError::Missing { .. } | PathError::NotADirectory { .. }) => return Ok(false),
            Err(e) => return Err(e),
        };
        Ok(match draft.position(name) {
            Ok(i) => {
                draft.entries.remove(i);
                true
            }
            Err(_) => false,
        })
    }

    /// Makes a directory and its parents where they are missing, all with
    /// this metadata; returns how many were made.
    ///
    /// # Errors
    ///
    /// If a name on the way is no directory.
    pub fn make_dirs(&mut self, path: &[Name], meta: &Meta) -> Result<usize, PathError> {
        let mut made = 0;
        let mut draft = &mut self.top;
        for (i, name) in path.iter().enumerate() {
            if draft.position(name).is_err() {
                made += 1;
                let fresh = Draft { opaque: false, entries: Vec::new() };
                draft.put(name, Slot::Open(meta.clone(), fresh));
            }
            draft = match draft.child(self.forest, name)? {
                Child::Dir(_, draft) => draft,
                _ => return Err(PathError::NotADirectory { path: display(path.get(..=i).unwrap_or_default()) }),
            };
        }
        Ok(made)
    }

    /// Changes the metadata of a directory.
    ///
    /// # Errors
    ///
    /// If it is missing or no directory.
    pub fn change_dir(&mut self, path: &[Name], change: impl FnOnce(&mut Meta)) -> Result<(), PathError> {
        change(self.descend(path)?.0);
        Ok(())
    }

    /// Puts another content into an existing directory, and keeps its
    /// metadata.
    ///
    /// # Errors
    ///
    /// If it is missing or no directory.
    pub fn set_dir(&mut self, path: &[Name], dir: &DirRef) -> Result<(), PathError> {
        let meta = std::mem::take(self.descend(path)?.0);
        self.set(path, Entry { meta, node: Node::Dir(*dir) })
    }

    /// Hashes what was changed and returns the new tree.
    ///
    /// # Errors
    ///
    /// If a subdirectory is missing from the forest.
    pub fn finish(self) -> Result<Root, TreeError> {
        Ok(Root { meta: self.meta, dir: self.top.close(self.forest)? })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::fs::testing::{Sandbox, names};

    #[test]
    fn a_batch_of_changes() {
        let s = Sandbox::default();
        let root = s.tree("f /a/one 1\nf /a/two 2\nf /b/c/three 3\nl /link -> a");
        let mut e = Editor::new(&s.forest, &root).unwrap();
        let meta = Meta { mode: 0o700, uid: 1, gid: 2, ..Meta::default() };
        assert_eq!(e.make_dirs(&names("/b/new/deep"), &meta).unwrap(), 2);
        e.set(&names("/b/new/deep/f"), s.file("new")).unwrap();
        assert!(e.remove(&names("/a/one")).unwrap());
        assert!(!e.remove(&names("/a/none/x")).unwrap());
        e.change_dir(&names("/b"), |m| m.uid = 9).unwrap();
        assert_eq!(e.make_dirs(&names("/link/x"), &meta).unwrap_err().to_string(), "/link: not a directory");
        assert_eq!(e.set(&names("/no/x"), s.file("")).unwrap_err().to_string(), "/no: no such file or directory");
        let new = e.finish().unwrap();
        expect![[r#"
            d 0755 0:0 /
            d 0755 0:0 /a
            f 0644 0:0 /a/two "2"
            d 0755 9:0 /b
            d 0755 0:0 /b/c
            f 0644 0:0 /b/c/three "3"
            d 0700 1:2 /b/new
            d 0700 1:2 /b/new/deep
            f 0644 0:0 /b/new/deep/f "new"
            l 0:0 /link -> a
        "#]]
        .assert_eq(&s.list(&new));
    }

    #[test]
    fn nothing_changed_is_the_same_tree() {
        let s = Sandbox::default();
        let root = s.tree("f /a/b/c x");
        let mut e = Editor::new(&s.forest, &root).unwrap();
        e.make_dirs(&names("/a/b"), &Meta::default()).unwrap();
        assert_eq!(e.finish().unwrap(), root);
    }
}
