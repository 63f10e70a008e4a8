//! Trees and operations on them. Nothing here touches a file system, except
//! through the store's objects.

mod actions;
#[cfg(test)]
mod actions_tests;
mod apply;
mod blobs;
pub mod chmod;
mod copy;
#[cfg(test)]
mod copy_tests;
pub(crate) mod deep;
mod diff;
mod edit;
pub(crate) mod encode;
mod forest;
pub mod glob;
mod graft;
#[cfg(test)]
mod graft_tests;
pub mod ignore;
pub(crate) mod links;
mod listing;
pub mod owner;
pub mod path;
#[cfg(test)]
mod random;
mod select;
#[cfg(test)]
pub(crate) mod testing;
mod tree;

pub use actions::{ActionError, UnpackFn, run_actions};
pub use apply::apply;
pub use blobs::Blobs;
pub use copy::{CopyError, SourceKind, copy};
pub use diff::{diff, layer_diff};
pub use edit::Editor;
pub use forest::{Forest, MemoryForest, TreeError};
pub use listing::{list, list_with};
pub use path::{Follow, Located, PathError, locate};
pub use select::{Selection, selection};
pub use tree::{ContentId, Dir, DirRef, Entry, FileRef, Meta, Mtime, Name, Node, Root, Totals, TreeId, Xattrs};
