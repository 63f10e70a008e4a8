//! Trees and operations on them. Nothing here touches a file system, except
//! through the store's objects.

mod blobs;
pub(crate) mod encode;
mod forest;
mod tree;

pub use blobs::Blobs;
pub use forest::{Forest, MemoryForest, TreeError};
pub use tree::{ContentId, Dir, DirRef, Entry, FileRef, Meta, Mtime, Name, Node, Root, Totals, TreeId, Xattrs};
