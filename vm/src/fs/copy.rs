//! `COPY`: grafts what a [`CopyAction`] selects into a tree.
//!
//! No file is opened and no byte is read, however large the source is. The
//! semantics are those of BuildKit's `docopy` with the options that its
//! Dockerfile frontend sets (`convert_copy.go`), times left aside: where
//! BuildKit leaves "now" in existing directories, they stay as they are, and
//! directories made on the way get the time that the caller gives. The
//! directory whose contents are copied hands its own time, and nothing else,
//! to the destination (fsutil's `restoreFileTimestamp`).

use std::error::Error;
use std::io;
use std::sync::Arc;

use rbc_ir::{CopyAction, Owner};

use super::apply::apply;
use super::blobs::Blobs;
use super::chmod::{BadMode, ModeChange};
use super::edit::Editor;
use super::forest::{Forest, TreeError};
use super::glob::BadPattern;
use super::graft::{Filter, Graft, Transform};
use super::owner::{OwnerError, file_owner};
use super::path::{Follow, PathError, display, locate};
use super::select::{Selected, select};
use super::tree::{Entry, Meta, Mtime, Node, Root};

/// Where a source comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// A local build context. Its files belong to 0:0 already: the walk that
    /// takes a context in leaves owners out, as BuildKit's transfer does.
    Context,
    /// Anything else: a stage, an image, a git checkout, a download.
    Tree,
}

/// Why a file action fails.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CopyError {
    /// The source has no such path.
    #[error("\"{}\": not found", .r#source)]
    SourceMissing {
        /// The path, absolute in the source.
        r#source: String,
        /// Paths that may have been meant, best first.
        near: Vec<String>,
    },
    /// A directory would take the place of something else.
    #[error("cannot copy to non-directory: {path}")]
    DirOverFile {
        /// The path at the destination.
        path: String,
    },
    /// Something else would take the place of a directory.
    #[error("cannot replace to directory {path} with file")]
    FileOverDir {
        /// The path at the destination.
        path: String,
    },
    /// `--chown` cannot be resolved.
    #[error("invalid owner `{owner}`: {reason}")]
    BadOwner {
        /// What was asked for.
        owner: String,
        /// Why not.
        reason: OwnerError,
    },
    /// `--chmod` is malformed.
    #[error(transparent)]
    BadMode(#[from] BadMode),
    /// A pattern is malformed.
    #[error(transparent)]
    BadPattern(#[from] BadPattern),
    /// A path cannot be walked.
    #[error(transparent)]
    Path(#[from] PathError),
    /// An action names an input that was not given.
    #[error("input {0} of the operation is missing")]
    NoInput(usize),
    /// `--unpack=true`, but it is no archive.
    #[error("{path}: not a tar archive")]
    NotAnArchive {
        /// The path in the source.
        path: String,
    },
    /// An archive cannot be extracted.
    #[error("cannot extract {path}: {reason}")]
    Unpack {
        /// The path in the source.
        path: String,
        /// Why not.
        reason: Arc<dyn Error + Send + Sync>,
    },
    /// A file's bytes cannot be kept.
    #[error("cannot write {path}: {error}")]
    Write {
        /// The path at the destination.
        path: String,
        /// Why not.
        error: Arc<io::Error>,
    },
    /// A tree cannot be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Resolves an owner of the plan in a tree.
pub(crate) fn owner(
    forest: &dyn Forest,
    blobs: &dyn Blobs,
    root: &Root,
    owner: Option<&Owner>,
) -> Result<Option<(u32, u32)>, CopyError> {
    owner
        .map(|Owner(text)| {
            file_owner(forest, blobs, root, text).map_err(|reason| CopyError::BadOwner { owner: text.clone(), reason })
        })
        .transpose()
}

/// Runs a copy: returns `dest` with what the action selects of `source` in
/// it. `now` becomes the time of directories made on the way. Archives are
/// copied like other files ([`super::run_actions`] extracts them).
///
/// With `link`, the result is what the copy alone gives in an empty tree, laid
/// over `dest` (BuildKit's merge of the two): symbolic links of `dest` are not
/// followed, what is in the way is replaced, and existing directories on the
/// way take over mode and owner of new ones (`COPY --link f /tmp/` makes
/// `/tmp` 0755: moby/buildkit#3602, documented since moby/buildkit#6778).
///
/// # Errors
///
/// If the source is missing, kinds do not fit, owner or mode are wrong, or a
/// tree cannot be read.
pub fn copy(
    forest: &dyn Forest,
    blobs: &dyn Blobs,
    dest: &Root,
    source: &Root,
    action: &CopyAction,
    kind: SourceKind,
    now: Mtime,
) -> Result<Root, CopyError> {
    let empty = forest.empty();
    let base = if action.link { &empty } else { dest };
    let selecting = select(forest, source, action, kind)?;
    let placing = Placing::new(forest, blobs, base, action, now)?;
    let mut root = base.clone();
    for item in &selecting.items {
        root = placing.place(&root, item, &selecting.filter)?;
    }
    Ok(if action.link { linked(forest, dest, &root)? } else { root })
}

/// Lays what `--link` made in an empty tree over the destination. The root
/// directory itself is not part of a layer.
pub(crate) fn linked(forest: &dyn Forest, dest: &Root, layer: &Root) -> Result<Root, TreeError> {
    let merged = apply(forest, dest, layer)?;
    Ok(Root { meta: dest.meta.clone(), ..merged })
}

/// How things arrive at a destination.
pub(crate) struct Placing<'a> {
    forest: &'a dyn Forest,
    dest: &'a str,
    pub(crate) transform: Transform,
    parents: Meta,
}

impl<'a> Placing<'a> {
    pub(crate) fn new(
        forest: &'a dyn Forest,
        blobs: &dyn Blobs,
        base: &Root,
        action: &'a CopyAction,
        now: Mtime,
    ) -> Result<Self, CopyError> {
        let owner = owner(forest, blobs, base, action.owner.as_ref())?;
        let mode = action.mode.as_ref().map(ModeChange::new).transpose()?;
        Ok(Self::with(forest, &action.dest, Transform { owner, mode, salt: [0; 32] }, now))
    }

    pub(crate) fn with(forest: &'a dyn Forest, dest: &'a str, transform: Transform, now: Mtime) -> Self {
        let (uid, gid) = transform.owner.unwrap_or_default();
        let mode = transform.mode.as_ref().and_then(ModeChange::of_parents).unwrap_or(0o755);
        let parents = Meta { mode, uid, gid, mtime: now, xattrs: None };
        Self { forest, dest, transform, parents }
    }

    /// Puts one thing at the destination.
    pub(crate) fn place(&self, root: &Root, item: &Selected, filter: &Filter) -> Result<Root, CopyError> {
        let found = locate(self.forest, root, self.dest.as_bytes(), Follow::Last)?;
        let mut names = found.names;
        let wants_dir = self.dest.ends_with('/');
        let old_dir = match &found.entry {
            Some(Entry { node: Node::Dir(dir), .. }) => Some(*dir),
            Some(_) if wants_dir => return Err(PathError::NotADirectory { path: display(&names) }.into()),
            _ => None,
        };
        let mut editor = Editor::new(self.forest, root)?;
        if let Node::Dir(source) = &item.entry.node {
            if found.entry.is_some() && old_dir.is_none() {
                return Err(CopyError::DirOverFile { path: display(&names) });
            }
            editor.make_dirs(&names, &self.parents)?;
            let transform = Transform { salt: Transform::salt(source, &names), ..self.transform.clone() };
            let graft = Graft { forest: self.forest, transform: &transform, filter, dest: &names };
            let merged = graft.merge(old_dir.as_ref(), source)?;
            editor.set_dir(&names, &merged)?;
            editor.change_dir(&names, |meta| meta.mtime = item.entry.meta.mtime)?;
            return Ok(editor.finish()?);
        }
        let mut old = found.entry;
        if old_dir.is_some() || wants_dir {
            old = match old_dir {
                Some(dir) => self.forest.dir(&dir.id)?.get(&item.base).cloned(),
                None => None,
            };
            names.push(item.base.clone());
        }
        if old.as_ref().is_some_and(Entry::is_dir) {
            return Err(CopyError::FileOverDir { path: display(&names) });
        }
        let parents = names.split_last().map(|(_, parents)| parents).unwrap_or_default();
        editor.make_dirs(parents, &self.parents)?;
        let mut entry = self.transform.leaf(&item.entry);
        if let Node::File(file) = &mut entry.node {
            // Alone, it is nobody's hard link.
            file.link = 0;
        }
        editor.set(&names, entry)?;
        Ok(editor.finish()?)
    }

    /// Returns the destination as a tree of its own; the empty one if it is
    /// no directory yet.
    pub(crate) fn existing(&self, root: &Root) -> Result<Root, CopyError> {
        Ok(match locate(self.forest, root, self.dest.as_bytes(), Follow::Last)?.entry {
            Some(Entry { meta, node: Node::Dir(dir) }) => Root { meta, dir },
            _ => self.forest.empty(),
        })
    }

    /// Lays what an archive changes over the destination, which becomes a
    /// directory. Its members have their owners.
    pub(crate) fn lay(&self, root: &Root, tree: &Root) -> Result<Root, CopyError> {
        let found = locate(self.forest, root, self.dest.as_bytes(), Follow::Last)?;
        let mut editor = Editor::new(self.forest, root)?;
        // `unpack.go` makes them 0755, whatever `--chmod` says.
        editor.make_dirs(&found.names, &Meta { mode: 0o755, ..self.parents.clone() })?;
        let salt = Transform::salt(&tree.dir, &found.names);
        let transform = Transform { owner: None, mode: None, salt };
        let arrived = Root { meta: tree.meta.clone(), dir: transform.dir(self.forest, &tree.dir, 0)? };
        let dir = match found.entry {
            Some(Entry { meta, node: Node::Dir(dir) }) => apply(self.forest, &Root { meta, dir }, &arrived)?.dir,
            _ => arrived.dir,
        };
        editor.set_dir(&found.names, &dir)?;
        Ok(editor.finish()?)
    }
}
