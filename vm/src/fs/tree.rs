//! Merkle directories: what the store, the tree operations and the exports
//! all speak of.
//!
//! A tree is immutable and known by two ids. The [`TreeId`] covers everything
//! an image can hold; the [`ContentId`] leaves out modification times and
//! which files are hard links of each other, and is what cache keys use: a
//! rebuilt but equal file does not miss (as BuildKit's `cache/contenthash`,
//! which also keeps `security.capability` and drops other `security.*` and
//! `system.*` attributes).
//!
//! A layer is a tree, too: a difference, with whiteouts and opaque
//! directories (OCI image specification, "Representing Changes").

use std::fmt;
use std::sync::Arc;

use rbc_ir::Digest;

/// A file name: any bytes but `/` and NUL, neither `.` nor `..`.
pub type Name = Box<[u8]>;

/// Identity of a directory, everything below included.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreeId(pub [u8; 32]);

/// Identity of what a directory holds, times left out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentId(pub [u8; 32]);

impl fmt::Debug for TreeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tree:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "content:{}", hex::encode(self.0))
    }
}

/// A modification time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Mtime {
    /// Seconds since 1970; may be negative.
    pub seconds: i64,
    /// 0 … 999,999,999.
    pub nanoseconds: u32,
}

/// Extended attributes, sorted by name; shared, since most are empty.
pub type Xattrs = Option<Arc<[(Box<[u8]>, Box<[u8]>)]>>;

/// What an inode holds besides its content.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Meta {
    /// Permission bits with setuid, setgid, sticky (07777).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time.
    pub mtime: Mtime,
    /// Extended attributes; `overlay.*` ones never get here.
    pub xattrs: Xattrs,
}

/// A directory below another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DirRef {
    /// Its identity.
    pub id: TreeId,
    /// Its identity without times.
    pub content: ContentId,
    /// In a difference: what the lower directory held is gone.
    pub opaque: bool,
}

/// A regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileRef {
    /// Digest of its bytes.
    pub blob: Digest,
    /// Number of bytes.
    pub size: u64,
    /// Hard link group: files of one tree with the same number other than 0
    /// are one file. A group with one member is an ordinary file.
    pub link: u64,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// A directory.
    Dir(DirRef),
    /// A regular file.
    File(FileRef),
    /// A symbolic link with its text.
    Symlink(Box<[u8]>),
    /// A character device with its `dev_t`.
    Char(u64),
    /// A block device with its `dev_t`.
    Block(u64),
    /// A named pipe.
    Fifo,
    /// In a difference: the lower entry of this name is gone. Its `Meta` is
    /// the default one.
    Whiteout,
}

/// A name's inode.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Mode, owner, time, attributes.
    pub meta: Meta,
    /// What it is.
    pub node: Node,
}

impl Entry {
    /// Returns the directory that the entry is.
    pub fn as_dir(&self) -> Option<&DirRef> {
        match &self.node {
            Node::Dir(dir) => Some(dir),
            _ => None,
        }
    }

    /// Returns true for a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self.node, Node::Dir(_))
    }
}

/// A whole tree: the root directory with its own mode, owner and time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Root {
    /// Mode, owner, time and attributes of `/`.
    pub meta: Meta,
    /// The directory.
    pub dir: DirRef,
}

impl Root {
    /// Returns the root as an entry.
    pub fn entry(&self) -> Entry {
        Entry { meta: self.meta.clone(), node: Node::Dir(self.dir) }
    }

    /// Returns the identity of the tree with the root's own metadata.
    pub fn id(&self) -> TreeId {
        let mut bytes = Vec::with_capacity(128);
        super::encode::entry(&mut bytes, b"", &self.entry());
        TreeId(Digest::of(&bytes).0)
    }

    /// Returns the identity of the tree with the root's own metadata, times
    /// left out.
    pub fn content_id(&self) -> ContentId {
        let mut bytes = Vec::with_capacity(128);
        super::encode::content(&mut bytes, b"", &self.entry());
        ContentId(Digest::of(&bytes).0)
    }
}

/// Sums over a directory and everything below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Regular files.
    pub files: u64,
    /// Directories, this one not counted.
    pub dirs: u64,
    /// Everything else.
    pub others: u64,
    /// Bytes of regular files (each name counted).
    pub bytes: u64,
    /// Some file belongs to a hard link group.
    pub has_links: bool,
    /// There is a whiteout or an opaque directory.
    pub has_whiteouts: bool,
}

/// One directory: sorted entries. Made by [`Dir::new`] only, so ids and sums
/// are always right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dir {
    entries: Vec<(Name, Entry)>,
    id: TreeId,
    content: ContentId,
    totals: Totals,
}

impl Dir {
    /// Makes a directory. Entries need not be sorted; of several with one
    /// name the last stays. `below` gives the sums of each subdirectory.
    pub fn new(mut entries: Vec<(Name, Entry)>, mut below: impl FnMut(&DirRef) -> Totals) -> Self {
        if !entries.is_sorted_by(|a, b| a.0 < b.0) {
            entries.reverse();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            entries.dedup_by(|later, first| later.0 == first.0);
        }
        let mut totals = Totals::default();
        for (_, entry) in &entries {
            match &entry.node {
                Node::Dir(dir) => {
                    let sub = below(dir);
                    totals.files += sub.files;
                    totals.dirs += sub.dirs + 1;
                    totals.others += sub.others;
                    totals.bytes += sub.bytes;
                    totals.has_links |= sub.has_links;
                    totals.has_whiteouts |= sub.has_whiteouts | dir.opaque;
                }
                Node::File(file) => {
                    totals.files += 1;
                    totals.bytes += file.size;
                    totals.has_links |= file.link != 0;
                }
                Node::Whiteout => totals.has_whiteouts = true,
                _ => totals.others += 1,
            }
        }
        let (id, content) = super::encode::ids(&entries);
        Self { entries, id, content, totals }
    }

    pub(super) fn from_parts(entries: Vec<(Name, Entry)>, id: TreeId, content: ContentId, totals: Totals) -> Self {
        Self { entries, id, content, totals }
    }

    /// Returns the entries, sorted by the bytes of their names.
    pub fn entries(&self) -> &[(Name, Entry)] {
        &self.entries
    }

    /// Finds an entry.
    pub fn get(&self, name: &[u8]) -> Option<&Entry> {
        let i = self.entries.binary_search_by(|(n, _)| n.as_ref().cmp(name)).ok()?;
        self.entries.get(i).map(|(_, e)| e)
    }

    /// Returns the identity.
    pub fn id(&self) -> TreeId {
        self.id
    }

    /// Returns the identity without times.
    pub fn content(&self) -> ContentId {
        self.content
    }

    /// Returns the sums.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Returns the reference that a parent's entry holds.
    pub fn reference(&self) -> DirRef {
        DirRef { id: self.id, content: self.content, opaque: false }
    }
}
