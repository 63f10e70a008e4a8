//! Runs the actions of one file operation, in order, on one tree.

use std::error::Error;
use std::sync::Arc;

use rbc_ir::{Chmod, CopyAction, FileAction, Owner, Unpack};

use super::blobs::Blobs;
use super::chmod::ModeChange;
use super::copy::{CopyError, Placing, SourceKind, linked, owner};
use super::edit::Editor;
use super::forest::Forest;
use super::glob::{Automaton, has_wildcards};
use super::graft::{Filter, Transform};
use super::path::{Follow, PathError, clean, display, join, locate};
use super::select::{Selected, plain, select, walk};
use super::tree::{Entry, FileRef, Meta, Mtime, Name, Node, Root};

/// Extracts an archive: gets the file, the directory that the content goes
/// into (links and directories that the archive leaves unsaid are as there),
/// and the owner of all members, if it is not their own. Returns what
/// changes, or none if the file is no archive.
pub type UnpackFn<'a> =
    &'a dyn Fn(&FileRef, &Root, Option<(u32, u32)>) -> Result<Option<Root>, Arc<dyn Error + Send + Sync>>;

const HEREDOC_MODE: u32 = 0o644;

/// An action failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{error}")]
pub struct ActionError {
    /// Which one, counted from 0.
    pub index: usize,
    /// Why.
    pub error: CopyError,
}

/// Runs actions on `base`. `sources` are the operation's inputs, as
/// [`CopyAction::from`] counts them (the first is `base` itself and not
/// looked at unless an action says so). `now` is the time of whatever is made
/// here.
///
/// # Errors
///
/// With the index of the action that fails.
pub fn run_actions(
    forest: &dyn Forest,
    blobs: &dyn Blobs,
    base: &Root,
    sources: &[(Root, SourceKind)],
    actions: &[FileAction],
    now: Mtime,
    unpack: UnpackFn<'_>,
) -> Result<Root, ActionError> {
    let run = Run { forest, blobs, sources, now, unpack };
    // `--link` is said of a whole instruction: its actions make one layer in
    // an empty tree, where each sees what those before it have made.
    let link = actions.iter().any(|action| matches!(action, FileAction::Copy(copy) if copy.link));
    let mut root = if link { forest.empty() } else { base.clone() };
    for (index, action) in actions.iter().enumerate() {
        root = run.action(&root, action).map_err(|error| ActionError { index, error })?;
    }
    if link {
        let index = actions.len().saturating_sub(1);
        root = linked(forest, base, &root).map_err(|e| ActionError { index, error: e.into() })?;
    }
    Ok(root)
}

struct Run<'a> {
    forest: &'a dyn Forest,
    blobs: &'a dyn Blobs,
    sources: &'a [(Root, SourceKind)],
    now: Mtime,
    unpack: UnpackFn<'a>,
}

impl Run<'_> {
    fn action(&self, root: &Root, action: &FileAction) -> Result<Root, CopyError> {
        match action {
            FileAction::Copy(copy) => self.copy(root, copy),
            FileAction::Mkdir { path, mode, owner, parents } => self.mkdir(root, path, *mode, owner.as_ref(), *parents),
            FileAction::Write { path, name, data, mode, owner } => {
                self.write(root, path, name, data, mode, owner.as_ref())
            }
            FileAction::Symlink { target, path } => self.symlink(root, target, path),
            FileAction::Remove { path, allow_missing } => self.remove(root, path, *allow_missing),
        }
    }

    fn copy(&self, root: &Root, action: &CopyAction) -> Result<Root, CopyError> {
        let (source, kind) = self.sources.get(action.from).ok_or(CopyError::NoInput(action.from))?;
        let selecting = select(self.forest, source, action, *kind)?;
        let placing = Placing::new(self.forest, self.blobs, root, action, self.now)?;
        let mut root = root.clone();
        for item in &selecting.items {
            root = match self.extract(&root, item, action, &placing)? {
                Some(extracted) => extracted,
                None => placing.place(&root, item, &selecting.filter)?,
            };
        }
        Ok(root)
    }

    /// Extracts an archive at the destination; none if it is none.
    fn extract(
        &self,
        root: &Root,
        item: &Selected,
        action: &CopyAction,
        placing: &Placing<'_>,
    ) -> Result<Option<Root>, CopyError> {
        let path = || String::from_utf8_lossy(&item.base).into_owned();
        let tree = match &item.entry.node {
            Node::File(file) if action.unpack != Unpack::Never => {
                let lower = placing.existing(root)?;
                let owner = placing.transform.owner;
                (self.unpack)(file, &lower, owner).map_err(|reason| CopyError::Unpack { path: path(), reason })?
            }
            _ => None,
        };
        match tree {
            Some(tree) => placing.lay(root, &tree).map(Some),
            None if action.unpack == Unpack::Always => Err(CopyError::NotAnArchive { path: path() }),
            None => Ok(None),
        }
    }

    fn mkdir(&self, root: &Root, path: &str, mode: u32, who: Option<&Owner>, parents: bool) -> Result<Root, CopyError> {
        let (uid, gid) = owner(self.forest, self.blobs, root, who)?.unwrap_or_default();
        let meta = Meta { mode: mode & 0o777, uid, gid, mtime: self.now, xattrs: None };
        let found = locate(self.forest, root, path.as_bytes(), Follow::Last)?;
        if found.missing > 1 && !parents {
            let parent = found.names.split_last().map(|(_, p)| p).unwrap_or_default();
            return Err(PathError::Missing { path: display(parent) }.into());
        }
        let mut editor = Editor::new(self.forest, root)?;
        editor.make_dirs(&found.names, &meta)?;
        Ok(editor.finish()?)
    }

    fn write(
        &self,
        root: &Root,
        path: &str,
        name: &str,
        data: &str,
        mode: &Chmod,
        who: Option<&Owner>,
    ) -> Result<Root, CopyError> {
        let owner = owner(self.forest, self.blobs, root, who)?;
        // A heredoc is a file of mode 0644 that is then copied
        // (`convert_copy.go`): so a symbolic mode starts from that, and a mode
        // other than the usual one was asked for and counts for parents, too.
        let usual = *mode == Chmod::Octal(HEREDOC_MODE);
        let mode = if usual { None } else { Some(ModeChange::new(mode)?) };
        let transform = Transform { owner, mode, salt: [0; 32] };
        let mut meta = plain(HEREDOC_MODE);
        meta.mtime = self.now;
        let empty = Node::File(FileRef { blob: rbc_ir::Digest::of(b""), size: 0, link: 0 });
        let arrived = transform.meta(&meta, &empty);
        let file = self
            .blobs
            .put(data.as_bytes(), &arrived)
            .map_err(|error| CopyError::Write { path: path.to_owned(), error: Arc::new(error) })?;
        let base = clean(name.as_bytes()).last().map_or_else(|| Name::from(name.as_bytes()), |n| Name::from(*n));
        let item = Selected { base, entry: Entry { meta, node: Node::File(file) } };
        Placing::with(self.forest, path, transform, self.now).place(root, &item, &Filter::default())
    }

    fn symlink(&self, root: &Root, target: &str, path: &str) -> Result<Root, CopyError> {
        let found = locate(self.forest, root, path.as_bytes(), Follow::Parents)?;
        if found.entry.as_ref().is_some_and(Entry::is_dir) {
            return Err(CopyError::FileOverDir { path: found.display() });
        }
        let meta = Meta { mode: 0o777, mtime: self.now, ..Meta::default() };
        let mut editor = Editor::new(self.forest, root)?;
        let parents = found.names.split_last().map(|(_, p)| p).unwrap_or_default();
        editor.make_dirs(parents, &Meta { mode: 0o755, mtime: self.now, ..Meta::default() })?;
        editor.set(&found.names, Entry { meta, node: Node::Symlink(target.as_bytes().into()) })?;
        Ok(editor.finish()?)
    }

    /// Removes a path, or all that a pattern matches.
    fn remove(&self, root: &Root, path: &str, allow_missing: bool) -> Result<Root, CopyError> {
        let names = clean(path.as_bytes());
        let fixed = names.iter().position(|name| has_wildcards(name)).unwrap_or(names.len());
        let (literal, pattern) = names.split_at(fixed);
        let mut editor = Editor::new(self.forest, root)?;
        if pattern.is_empty() {
            let found = locate(self.forest, root, path.as_bytes(), Follow::Parents)?;
            if found.entry.is_none() && !allow_missing {
                return Err(PathError::Missing { path: found.display() }.into());
            }
            editor.remove(&found.names)?;
            return Ok(editor.finish()?);
        }
        let automaton = Automaton::shallow(&join(pattern))?;
        let start = locate(self.forest, root, &join(literal), Follow::Parents)?;
        match start.entry {
            Some(Entry { node: Node::Dir(dir), .. }) => {
                let mut matched = Vec::new();
                walk(self.forest, &dir, &automaton, &mut Vec::new(), &mut matched)?;
                for (names, _) in matched {
                    let path: Vec<Name> = start.names.iter().cloned().chain(names).collect();
                    editor.remove(&path)?;
                }
            }
            None if !allow_missing => return Err(PathError::Missing { path: start.display() }.into()),
            _ => {}
        }
        Ok(editor.finish()?)
    }
}
