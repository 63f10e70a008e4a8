//! Trees and operations on them. Nothing here touches a file system, except
//! through the store's objects.

mod apply;
mod blobs;
mod diff;
mod edit;
pub(crate) mod encode;
mod forest;
mod listing;
pub mod path;
#[cfg(test)]
pub(crate) mod testing;
mod tree;

pub use apply::apply;
pub use blobs::Blobs;
pub use diff::diff;
pub use edit::Editor;
pub use forest::{Forest, MemoryForest, TreeError};
pub use listing::{list, list_with};
pub use path::{Follow, Located, PathError, locate};
pub use tree::{ContentId, Dir, DirRef, Entry, FileRef, Meta, Mtime, Name, Node, Root, Totals, TreeId, Xattrs};
