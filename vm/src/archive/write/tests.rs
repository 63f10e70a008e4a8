use proptest::prelude::*;

use super::*;
use crate::archive::testing::{DirBlobs, Plant, grow, plants};
use crate::archive::{Limits, Options, ingest};
use crate::fs::MemoryForest;

fn written(root: &Root, forest: &dyn Forest, blobs: &dyn Blobs, options: &WriteOptions) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, root, forest, blobs, options).unwrap();
    out
}

fn comes_back(plant: &Plant, whiteouts: bool) {
    let (forest, blobs) = (MemoryForest::default(), DirBlobs::new());
    let tree = grow(plant, &forest, &blobs);
    let options = WriteOptions { whiteouts, root_entry: true, ..WriteOptions::default() };
    let archive = written(&tree, &forest, &blobs, &options);
    let options = Options { whiteouts, limits: Limits::default(), ..Options::default() };
    let back = ingest(archive.as_slice(), &forest, &blobs, &options).unwrap();
    assert!(back.has_root);
    assert_eq!(back.root, tree);
    assert_eq!(back.diff_id, rbc_ir::Digest::of(&archive));
    assert_eq!(back.size, archive.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_written_tree_is_read_back(plant in plants(false)) {
        comes_back(&plant, false);
    }

    #[test]
    fn a_written_difference_is_read_back(plant in plants(true)) {
        comes_back(&plant, true);
    }

    #[test]
    fn damaged_archives_never_panic(
        plant in plants(true),
        whiteouts in any::<bool>(),
        harm in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (forest, blobs) = (MemoryForest::default(), DirBlobs::new());
        let tree = grow(&plant, &forest, &blobs);
        let options = WriteOptions { whiteouts: true, ..WriteOptions::default() };
        let mut archive = written(&tree, &forest, &blobs, &options);
        for (at, byte, in_header) in harm {
            // Otherwise most of the harm falls on padding.
            let at = if in_header { at.index(archive.len() / 512) * 512 + usize::from(byte) % 160 } else { at.index(archive.len()) };
            archive[at] = byte;
            repair_checksum(&mut archive, at);
        }
        if let Some(cut) = cut {
            archive.truncate(cut.index(archive.len()));
        }
        let limits = Limits { total_bytes: 1 << 24, ..Limits::default() };
        let options = Options { whiteouts, limits, ..Options::default() };
        // Whether it can be read is left open; that it ends is not.
        let _ = ingest(archive.as_slice(), &forest, &blobs, &options);
    }

    #[test]
    fn arbitrary_bytes_never_panic(data in prop::collection::vec(any::<u8>(), 0..4096)) {
        let (forest, blobs) = (MemoryForest::default(), DirBlobs::new());
        let _ = ingest(data.as_slice(), &forest, &blobs, &Options::default());
    }
}

/// Makes the header block around `at` valid again, so that the damage gets
/// past the checksum.
fn repair_checksum(archive: &mut [u8], at: usize) {
    let start = at / 512 * 512;
    let Some(block) = archive.get_mut(start..start + 512) else { return };
    let mut header = tar::Header::from_byte_slice(block).clone();
    header.set_cksum();
    block.copy_from_slice(header.as_bytes());
}

fn one(name: &[u8], meta: Meta, node: Node, forest: &MemoryForest) -> Root {
    let dir = forest.make(vec![(name.into(), Entry { meta, node })]).unwrap();
    Root { dir: dir.reference(), ..forest.empty() }
}

#[test]
fn later_times_are_brought_down() {
    let (forest, blobs) = (MemoryForest::default(), DirBlobs::new());
    let at = |seconds, nanoseconds| Meta { mtime: Mtime { seconds, nanoseconds }, ..Meta::default() };
    let time = |meta| {
        let tree = one(b"f", meta, Node::Fifo, &forest);
        let options = WriteOptions { times: Times::Clamp(1000), ..WriteOptions::default() };
        let archive = written(&tree, &forest, &blobs, &options);
        let back = ingest(archive.as_slice(), &forest, &blobs, &Options::default()).unwrap();
        forest.dir(&back.root.dir.id).unwrap().get(b"f").unwrap().meta.mtime
    };
    assert_eq!(time(at(2000, 5)), Mtime { seconds: 1000, nanoseconds: 0 });
    assert_eq!(time(at(1000, 5)), Mtime { seconds: 1000, nanoseconds: 0 });
    assert_eq!(time(at(999, 5)), Mtime { seconds: 999, nanoseconds: 5 });
}

#[test]
fn an_old_small_tree_needs_no_pax() {
    let (forest, blobs) = (MemoryForest::default(), DirBlobs::new());
    let file = blobs.put(b"x", &Meta::default()).unwrap();
    let tree = one(b"f", Meta { mode: 0o644, ..Meta::default() }, Node::File(file), &forest);
    let archive = written(&tree, &forest, &blobs, &WriteOptions::default());
    assert_eq!(archive.len(), 4 * 512);
    assert_eq!(archive[156], b'0');
}

#[test]
fn only_capabilities_go_into_layers() {
    let (forest, blobs) = (MemoryForest::default(), DirBlobs::new());
    let pair = |n: &[u8]| (n.into(), b"v".as_slice().into());
    let xattrs = Some(std::sync::Arc::from(vec![pair(b"security.capability"), pair(b"user.note")]));
    let tree = one(b"f", Meta { xattrs, ..Meta::default() }, Node::Fifo, &forest);
    let options = WriteOptions { xattrs: XattrChoice::Capability, ..WriteOptions::default() };
    let archive = written(&tree, &forest, &blobs, &options);
    let back = ingest(archive.as_slice(), &forest, &blobs, &Options::default()).unwrap();
    let dir = forest.dir(&back.root.dir.id).unwrap();
    let names: Vec<_> = dir.get(b"f").unwrap().meta.xattrs.iter().flat_map(|x| x.iter()).map(|x| x.0.clone()).collect();
    assert_eq!(names, [Box::from(b"security.capability".as_slice())]);
}

#[test]
fn what_an_archive_cannot_say_is_an_error() {
    let (forest, blobs) = (MemoryForest::default(), DirBlobs::new());
    let mut out = Vec::new();
    let mut message = |tree: &Root, whiteouts| {
        let options = WriteOptions { whiteouts, ..WriteOptions::default() };
        write(&mut out, tree, &forest, &blobs, &options).unwrap_err().to_string()
    };
    let whiteout = one(b"f", Meta::default(), Node::Whiteout, &forest);
    assert!(message(&whiteout, false).contains("only possible in a layer"));
    let reserved = one(b".wh.f", Meta::default(), Node::Fifo, &forest);
    assert!(message(&reserved, true).contains("`/.wh.f`"));
    let lost = FileRef { blob: rbc_ir::Digest::of(b"lost"), size: 4, link: 0 };
    let lost = one(b"f", Meta::default(), Node::File(lost), &forest);
    assert!(message(&lost, true).starts_with("cannot read `/f` from the cache"));
}

#[test]
fn a_short_blob_is_damage() {
    let (forest, blobs) = (MemoryForest::default(), DirBlobs::new());
    let file = FileRef { size: 10, ..blobs.put(b"short", &Meta::default()).unwrap() };
    let tree = one(b"f", Meta::default(), Node::File(file), &forest);
    let error = write(&mut io::sink(), &tree, &forest, &blobs, &WriteOptions::default()).unwrap_err();
    assert!(matches!(error, WriteError::Damaged { path, want: 10 } if path == "f"));
}

/// Other programs must agree on what is in there, names that are no UTF-8
/// and long ones included.
#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn gnu_tar_reads_it() {
    let (forest, blobs) = (MemoryForest::default(), DirBlobs::new());
    let file = blobs.put(b"text", &Meta::default()).unwrap();
    let meta = Meta { mode: 0o644, uid: 3_000_000, mtime: Mtime { seconds: 5, nanoseconds: 7 }, ..Meta::default() };
    let long = vec![b'n'; 200];
    let inner = forest.make(vec![(long.clone().into(), Entry { meta: meta.clone(), node: Node::File(file) })]).unwrap();
    let inner = forest
        .make(vec![
            (long.clone().into(), Entry { meta: meta.clone(), node: Node::Dir(inner.reference()) }),
            (b"\xff\xfe".as_slice().into(), Entry { meta, node: Node::Symlink(b"a".as_slice().into()) }),
        ])
        .unwrap();
    let tree = Root { dir: inner.reference(), ..forest.empty() };
    let archive = written(&tree, &forest, &blobs, &WriteOptions::default());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tar");
    std::fs::write(&path, archive).unwrap();
    let Ok(out) = std::process::Command::new("tar").arg("-tf").arg(&path).output() else {
        eprintln!("skipped: no tar program");
        return;
    };
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let listed = String::from_utf8_lossy(&out.stdout);
    let n = "n".repeat(200);
    assert_eq!(listed.lines().collect::<Vec<_>>(), [format!("{n}/"), format!("{n}/{n}"), "\\377\\376".to_owned()]);
}
