//! A tar stream becomes a tree.
//!
//! ```text
//!  thread:  stream ─ decompress ─ digest ─┐ chunks
//!  caller:                                └─ headers ─ tree in memory
//!  rayon:                                       └ small files ─ Blobs
//! ```
//!
//! No byte is read twice. Takes no locks of its own. Does not verify the
//! digest of the compressed stream: that is for the reader that is given in,
//! which may fail at its end.

use std::io::{self, Read};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::bounded;
use rbc_ir::Digest;

use super::build::{Builder, Item, PlaceError};
use super::decompress::{Compression, Decoder};
use super::limits::Limits;
use super::member::{Kind, Member, MemberError, Members};
use super::name::{Mark, NameError, mark, split};
use super::pipe::{self, Chunks};
use super::storing::{Desk, SMALL, SmallFile, Storing};
use crate::fs::Blobs;
use crate::fs::path::{clean, join};
use crate::fs::{Forest, Root, TreeError, Xattrs};

/// How an archive is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// The archive is an image layer: `.wh.` names are whiteouts.
    pub whiteouts: bool,
    /// The tree that the archive goes over: the layers below, or the
    /// directory that `ADD` extracts into (which stands for the root, as in
    /// moby's `chrootarchive`). Hard links may lead there, symbolic links on
    /// the way to a name are followed there, and a parent directory that the
    /// archive does not bring keeps the metadata it has there.
    pub lower: Option<&'a Root>,
    /// The owner of all members. Parents that the archive does not bring
    /// belong to 0:0 all the same (go-archive: `createImpliedDirectories`).
    pub owner: Option<(u32, u32)>,
    /// Bounds.
    pub limits: Limits,
    /// How many threads store small files; 0 means all of rayon's.
    pub threads: usize,
}

/// What an archive held.
#[derive(Clone, Debug)]
pub struct Ingested {
    /// The tree; with [`Options::whiteouts`] a difference.
    pub root: Root,
    /// Whether the archive says what the root directory itself is like (a
    /// `./` member).
    pub has_root: bool,
    /// Digest of the uncompressed stream: a layer's diff id.
    pub diff_id: Digest,
    /// Bytes of the uncompressed stream.
    pub size: u64,
    /// How the stream was compressed.
    pub compression: Compression,
}

/// Why an archive cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The stream is no sound archive.
    #[error(transparent)]
    Archive(#[from] MemberError),
    /// A member's name is refused.
    #[error("`{name}` in the archive has no valid name: {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: NameError,
    },
    /// A member cannot stand where its name says, or links to nothing.
    #[error("`{name}` in the archive cannot be placed: {why}")]
    Place {
        /// The name.
        name: String,
        /// Why not.
        why: String,
    },
    /// A file cannot be stored.
    #[error("cannot store `{name}` of the archive: {source}")]
    Store {
        /// The member's name.
        name: String,
        /// What the store says.
        source: io::Error,
    },
    /// A directory is missing from the cache.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// No thread can be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// Reads an archive, compressed or not, into a tree.
///
/// # Errors
///
/// See [`IngestError`]. Files that were stored before the error stay in the
/// store, unnamed.
pub fn ingest(
    stream: impl Read + Send,
    forest: &dyn Forest,
    blobs: &dyn Blobs,
    options: &Options<'_>,
) -> Result<Ingested, IngestError> {
    thread::scope(|threads| {
        let (to, from) = bounded(pipe::DEPTH);
        let producer = thread::Builder::new()
            .name("decompress".to_owned())
            .spawn_scoped(threads, move || match Decoder::new(stream) {
                Ok(decoder) => {
                    let compression = decoder.compression();
                    pipe::produce(decoder, &to).map(|passed| (compression, passed))
                }
                Err(e) => {
                    to.send(Err(e)).ok();
                    None
                }
            })
            .map_err(IngestError::Thread)?;
        let tree = parse(Chunks::new(from), forest, blobs, options);
        let passed = producer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let (root, has_root) = tree?;
        // The stream was drained, so its producer came to the end.
        let (compression, passed) = passed.ok_or(MemberError::Truncated { at: 0 })?;
        Ok(Ingested { root, has_root, diff_id: passed.digest, size: passed.size, compression })
    })
}

/// Tells whether `ADD` unpacks a file: it does if, after decompression, the
/// first header is a tar header (BuildKit, through moby's `IsArchivePath`).
pub fn is_archive(stream: impl Read + Send) -> bool {
    Decoder::new(stream).is_ok_and(|decoder| matches!(Members::new(decoder, Limits::default()).next(), Ok(Some(_))))
}

fn parse(
    chunks: Chunks,
    forest: &dyn Forest,
    blobs: &dyn Blobs,
    options: &Options<'_>,
) -> Result<(Root, bool), IngestError> {
    let desk = Desk::new(blobs);
    let builder = Builder::new(forest, options.lower, options.whiteouts, options.limits.depth);
    let mut members = Members::new(chunks, options.limits);
    let mut reading = Reading {
        builder,
        has_root: false,
        whiteouts: options.whiteouts,
        owner: options.owner,
        depth: options.limits.depth,
    };
    rayon::in_place_scope(|scope| {
        let mut storing = Storing::new(&desk, scope, options.threads);
        while let Some(member) = members.next()? {
            reading.take(member, &mut members, blobs, &mut storing)?;
            if storing.has_failed() {
                return Ok::<_, IngestError>(());
            }
        }
        storing.flush();
        Ok(members.drain()?)
    })?;
    let stored = desk.close().map_err(|f| IngestError::Store { name: shown(&f.name), source: f.error })?;
    for (content, file) in stored {
        reading.builder.fill(content, file);
    }
    Ok((reading.builder.finish()?, reading.has_root))
}

struct Reading<'a> {
    builder: Builder<'a>,
    has_root: bool,
    whiteouts: bool,
    owner: Option<(u32, u32)>,
    depth: usize,
}

impl Reading<'_> {
    fn take(
        &mut self,
        mut member: Member,
        members: &mut Members<Chunks>,
        blobs: &dyn Blobs,
        storing: &mut Storing<'_, '_>,
    ) -> Result<(), IngestError> {
        let refused = |name: &[u8]| {
            let name = shown(name);
            move |why| IngestError::Name { name, why }
        };
        let misplaced = |name: &[u8]| {
            let name = shown(name);
            move |why| match why {
                PlaceError::Tree(e) => IngestError::Tree(e),
                PlaceError::Name(why) => IngestError::Name { name, why },
                other => IngestError::Place { name, why: other.to_string() },
            }
        };
        if let Some((uid, gid)) = self.owner {
            (member.meta.uid, member.meta.gid) = (uid, gid);
        }
        if !self.whiteouts {
            // In `ADD`, names stay below the destination, and attributes that
            // the file system has no place for are left out (BuildKit's
            // `unpack.go`: `BestEffortXattrs`, in a chroot).
            member.path = join(&clean(&member.path));
            if member.kind == Kind::Link {
                member.target = join(&clean(&member.target));
            }
            member.meta.xattrs = storable(&member.meta.xattrs);
        }
        let parts = split(&member.path, self.depth).map_err(refused(&member.path))?;
        let Some((last, parents)) = parts.split_last() else {
            if member.kind == Kind::Dir {
                self.builder.set_root(member.meta);
                self.has_root = true;
                return Ok(());
            }
            return Err(refused(&member.path)(NameError::Empty));
        };
        if self.whiteouts {
            for parent in parents {
                match mark(parent).map_err(refused(&member.path))? {
                    Mark::None => {}
                    Mark::Aufs => return Ok(()),
                    Mark::Whiteout(_) | Mark::Opaque => return Err(refused(&member.path)(NameError::InWhiteout)),
                }
            }
            match mark(last).map_err(refused(&member.path))? {
                Mark::None => {}
                Mark::Aufs => return Ok(()),
                Mark::Whiteout(name) => {
                    return self.builder.whiteout(parents, name).map_err(misplaced(&member.path));
                }
                Mark::Opaque => return self.builder.opaque(parents).map_err(misplaced(&member.path)),
            }
        }
        let item = match member.kind {
            Kind::Dir => Item::dir(),
            Kind::Char => Item::Char(member.rdev),
            Kind::Block => Item::Block(member.rdev),
            Kind::Fifo => Item::Fifo,
            Kind::Symlink => {
                let why = match member.target.as_slice() {
                    [] => Some(NameError::Empty),
                    t if t.contains(&0) => Some(NameError::Nul),
                    t if t.len() > 4095 => Some(NameError::TooLong),
                    _ => None,
                };
                if let Some(why) = why {
                    let why = format!("the text of the symbolic link is refused: {why}");
                    return Err(IngestError::Place { name: shown(&member.path), why });
                }
                Item::Symlink(member.target.as_slice().into())
            }
            Kind::Link => {
                return self.builder.link(&parts, &member.target).map_err(misplaced(&member.path));
            }
            Kind::File => {
                let content = self.builder.content();
                let size = member.size;
                let mut data = members.data(&mut member);
                if size <= SMALL {
                    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
                    if let Err(e) = data.read_to_end(&mut bytes) {
                        return Err(data.error().unwrap_or(MemberError::Read(e)).into());
                    }
                    let name = member.path.clone();
                    storing.add(SmallFile { content, name, meta: member.meta.clone(), data: bytes });
                } else {
                    match blobs.put_stream(&mut data, size, &member.meta) {
                        Ok(file) => self.builder.fill(content, file),
                        Err(source) => {
                            return Err(match data.error() {
                                Some(e) => e.into(),
                                None => IngestError::Store { name: shown(&member.path), source },
                            });
                        }
                    }
                }
                Item::File(content)
            }
        };
        self.builder.insert(&parts, member.meta, item).map_err(misplaced(&member.path))
    }
}

/// Drops attributes of classes that Linux does not know (`xattr(7)`).
fn storable(xattrs: &Xattrs) -> Xattrs {
    const KNOWN: [&[u8]; 4] = [b"user.", b"trusted.", b"security.", b"system.posix_acl_"];
    let known = |name: &[u8]| KNOWN.iter().any(|class| name.starts_with(class));
    let kept: Arc<[_]> = xattrs.iter().flat_map(|list| list.iter()).filter(|(name, _)| known(name)).cloned().collect();
    if kept.is_empty() { None } else { Some(kept) }
}

#[cfg(test)]
mod tests;
