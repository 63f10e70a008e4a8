//! Archives: tar streams to trees and trees to tar streams.
//!
//! Nothing here ever extracts to a path. A member of an archive becomes an
//! entry of a tree in memory ([`ingest()`]), so a name can neither leave the
//! root nor follow a link that the archive itself has planted.

mod build;
pub mod decompress;
pub mod ingest;
mod limits;
mod member;
mod name;
mod pax;
mod pipe;
mod sparse;
mod storing;
mod ustar;
pub mod write;

pub use decompress::{Compression, Decoder};
pub use ingest::{IngestError, Ingested, Options, ingest, is_archive};
pub use limits::Limits;
pub use member::MemberError;
pub use write::{Times, WriteError, WriteOptions, XattrChoice, write};

#[cfg(test)]
pub(crate) mod testing;
