//! A store for tests, trees at random, and trees as text.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use rbc_ir::{Digest, Hasher};

pub(crate) use super::build::group_number;
use super::member::XattrList;
use crate::fs::{Blobs, Entry, FileRef, Forest, MemoryForest, Meta, Mtime, Name, Node, Root};

/// Bytes as files of a temporary directory.
pub(crate) struct DirBlobs {
    dir: tempfile::TempDir,
    next: AtomicU64,
}

impl DirBlobs {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), next: AtomicU64::new(0) }
    }
}

impl Blobs for DirBlobs {
    fn put(&self, data: &[u8], meta: &Meta) -> io::Result<FileRef> {
        self.put_stream(&mut &*data, data.len() as u64, meta)
    }

    fn put_stream(&self, data: &mut dyn Read, _: u64, _: &Meta) -> io::Result<FileRef> {
        let tmp = self.dir.path().join(format!("tmp{}", self.next.fetch_add(1, Ordering::Relaxed)));
        let mut file = File::create(&tmp)?;
        let (mut hasher, mut size, mut buffer) = (Hasher::new(), 0, vec![0; 64 << 10]);
        loop {
            let n = data.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            hasher.update(&buffer[..n]);
            file.write_all(&buffer[..n])?;
            size += n as u64;
        }
        let blob = hasher.finish();
        std::fs::rename(tmp, self.dir.path().join(blob.hex()))?;
        Ok(FileRef { blob, size, link: 0 })
    }

    fn open(&self, blob: &Digest) -> io::Result<File> {
        File::open(self.dir.path().join(blob.hex()))
    }
}

/// A tree in a form that tests can read: a line for each entry.
pub(crate) fn listing(root: &Root, forest: &dyn Forest, blobs: &dyn Blobs) -> String {
    let mut out = String::new();
    if root.dir.opaque {
        out.push_str("/ opaque\n");
    }
    list(&mut out, "", root.dir.id, forest, blobs);
    out
}

fn list(out: &mut String, path: &str, id: crate::fs::TreeId, forest: &dyn Forest, blobs: &dyn Blobs) {
    for (name, Entry { meta, node }) in forest.dir(&id).unwrap().entries() {
        let path = format!("{path}/{}", String::from_utf8_lossy(name));
        if *node == Node::Whiteout {
            writeln!(out, "{path} gone").unwrap();
            continue;
        }
        write!(out, "{path} {:o} {}:{} {}", meta.mode, meta.uid, meta.gid, meta.mtime.seconds).unwrap();
        if meta.mtime.nanoseconds != 0 {
            write!(out, ".{:09}", meta.mtime.nanoseconds).unwrap();
        }
        for (name, value) in meta.xattrs.as_deref().unwrap_or_default() {
            write!(out, " {}={}", String::from_utf8_lossy(name), hex::encode(value)).unwrap();
        }
        match node {
            Node::Dir(dir) => {
                writeln!(out, " dir{}", if dir.opaque { " opaque" } else { "" }).unwrap();
                list(out, &path, dir.id, forest, blobs);
            }
            Node::File(file) => {
                let text = blobs.read_small(file, 1 << 20).unwrap();
                let text = String::from_utf8_lossy(&text).into_owned();
                let text = if text.len() > 40 { format!("{} bytes", text.len()) } else { format!("{text:?}") };
                writeln!(out, " file {text}{}", if file.link == 0 { "" } else { " linked" }).unwrap();
            }
            Node::Symlink(text) => writeln!(out, " -> {}", String::from_utf8_lossy(text)).unwrap(),
            Node::Char(rdev) => writeln!(out, " char {rdev:x}").unwrap(),
            Node::Block(rdev) => writeln!(out, " block {rdev:x}").unwrap(),
            Node::Fifo => writeln!(out, " fifo").unwrap(),
            Node::Whiteout => {}
        }
    }
}

/// A tree to be made.
#[derive(Clone, Debug)]
pub(crate) struct Plant {
    meta: Meta,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Dir(Vec<(Name, Plant)>, bool),
    File(Vec<u8>),
    /// One of several names of the same file; which one tells the number.
    Linked(u8),
    Symlink(Vec<u8>),
    Char(u64),
    Block(u64),
    Fifo,
    Whiteout,
}

fn name() -> impl Strategy<Value = Name> {
    prop_oneof![
        8 => "[a-z][a-z0-9._-]{0,8}".prop_map(|s| s.into_bytes().into()),
        1 => prop::collection::vec(prop_oneof![1u8..b'/', b'0'..=255u8], 1..=255)
            .prop_filter("reserved", |n| n != b"." && n != b".." && !n.starts_with(b".wh."))
            .prop_map(Into::into),
        1 => "[a-z]{90,255}".prop_map(|s| s.into_bytes().into()),
    ]
}

fn meta() -> impl Strategy<Value = Meta> {
    let id = prop_oneof![4 => 0u32..3, 1 => any::<u32>()];
    let time = prop_oneof![4 => 0i64..2_000_000_000, 1 => -100_000_000_000i64..100_000_000_000];
    let nanoseconds = prop_oneof![Just(0u32), 0u32..1_000_000_000];
    let key = prop_oneof![Just("security.capability".to_owned()), "user\\.[a-z.]{1,9}"];
    let xattrs = prop::collection::btree_map(key, prop::collection::vec(any::<u8>(), 0..40), 0..3);
    (0u32..0o10000, id.clone(), id, time, nanoseconds, xattrs).prop_map(|(mode, uid, gid, seconds, nanoseconds, x)| {
        let xattrs: XattrList = x.into_iter().map(|(k, v)| (k.into_bytes().into(), v.into())).collect();
        let xattrs = (!xattrs.is_empty()).then(|| Arc::from(xattrs));
        Meta { mode, uid, gid, mtime: Mtime { seconds, nanoseconds }, xattrs }
    })
}

/// Trees at random; with whiteouts on demand.
pub(crate) fn plants(whiteouts: bool) -> impl Strategy<Value = Plant> {
    let device = (0u32..4096, 0u32..1 << 20).prop_map(|(a, b)| rustix::fs::makedev(a, b));
    let leaf = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..1500).prop_map(What::File),
        2 => (0u8..4).prop_map(What::Linked),
        2 => prop::collection::vec(1u8..=255, 1..300).prop_map(What::Symlink),
        1 => device.clone().prop_map(What::Char),
        1 => device.prop_map(What::Block),
        1 => Just(What::Fifo),
        1 => Just(if whiteouts { What::Whiteout } else { What::Fifo }),
    ];
    let leaf = (meta(), leaf).prop_map(|(meta, what)| match what {
        What::Whiteout => Plant { meta: Meta::default(), what },
        // One inode has one owner, mode and time.
        What::Linked(_) => Plant { meta: Meta { mode: 0o640, ..Meta::default() }, what },
        what => Plant { meta, what },
    });
    let dir = move |children| {
        (meta(), children, any::<bool>())
            .prop_map(move |(meta, children, opaque)| Plant { meta, what: What::Dir(children, opaque && whiteouts) })
    };
    leaf.prop_recursive(4, 40, 6, move |inner| dir(prop::collection::vec((name(), inner), 0..6)))
        .prop_flat_map(move |child| (Just(child), name(), meta()))
        .prop_map(|(child, name, meta)| match child.what {
            What::Dir(..) => child,
            _ => Plant { meta, what: What::Dir(vec![(name, child)], false) },
        })
}

/// Makes the tree.
pub(crate) fn grow(plant: &Plant, forest: &MemoryForest, blobs: &dyn Blobs) -> Root {
    let mut linked: [Vec<Vec<u8>>; 4] = Default::default();
    names(plant, &mut Vec::new(), &mut linked);
    let entry = grow_entry(plant, forest, blobs, &linked);
    Root { dir: *entry.as_dir().unwrap(), meta: entry.meta }
}

fn in_order(children: &[(Name, Plant)]) -> std::collections::BTreeMap<&Name, &Plant> {
    children.iter().map(|(n, p)| (n, p)).collect()
}

fn names(plant: &Plant, path: &mut Vec<u8>, linked: &mut [Vec<Vec<u8>>; 4]) {
    match &plant.what {
        What::Dir(children, _) => {
            for (name, child) in in_order(children) {
                let length = path.len();
                path.push(b'/');
                path.extend_from_slice(name);
                names(child, path, linked);
                path.truncate(length);
            }
        }
        What::Linked(group) => linked[usize::from(*group)].push(path.clone()),
        _ => {}
    }
}

fn grow_entry(plant: &Plant, forest: &MemoryForest, blobs: &dyn Blobs, linked: &[Vec<Vec<u8>>; 4]) -> Entry {
    let meta = plant.meta.clone();
    let node = match &plant.what {
        What::Dir(children, opaque) => {
            let children = in_order(children)
                .into_iter()
                .map(|(name, child)| (name.clone(), grow_entry(child, forest, blobs, linked)))
                .collect();
            Node::Dir(crate::fs::DirRef { opaque: *opaque, ..forest.make(children).unwrap().reference() })
        }
        What::File(data) => Node::File(blobs.put(data, &meta).unwrap()),
        What::Linked(group) => {
            let mut file = blobs.put(&[*group], &meta).unwrap();
            if let [first, _, ..] = linked[usize::from(*group)].as_slice() {
                file.link = group_number(first, &file);
            }
            Node::File(file)
        }
        What::Symlink(text) => Node::Symlink(text.as_slice().into()),
        What::Char(rdev) => Node::Char(*rdev),
        What::Block(rdev) => Node::Block(*rdev),
        What::Fifo => Node::Fifo,
        What::Whiteout => Node::Whiteout,
    };
    Entry { meta, node }
}
