use std::io::Write;

use expect_test::{Expect, expect};

use super::*;
use crate::archive::pax;
use crate::archive::testing::{DirBlobs, listing};
use crate::fs::{MemoryForest, Node};

/// An archive written member by member, as other programs write them.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn with(mut self, kind: u8, name: &str, target: &str, data: &[u8], change: impl FnOnce(&mut tar::Header)) -> Self {
        let mut header = tar::Header::new_ustar();
        let h = header.as_ustar_mut().unwrap();
        h.name[..name.len()].copy_from_slice(name.as_bytes());
        h.linkname[..target.len()].copy_from_slice(target.as_bytes());
        h.typeflag = [kind];
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(7);
        header.set_size(data.len() as u64);
        change(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, data: &str) -> Self {
        self.with(b'0', name, "", data.as_bytes(), |_| {})
    }

    fn dir(self, name: &str) -> Self {
        self.with(b'5', name, "", b"", |h| h.set_mode(0o750))
    }

    fn link(self, name: &str, target: &str) -> Self {
        self.with(b'1', name, target, b"", |_| {})
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.with(b'2', name, target, b"", |_| {})
    }

    fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            pax::put(&mut data, key.as_bytes(), value);
        }
        self.with(b'x', "PaxHeaders.0/x", "", &data, |_| {})
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

struct Store {
    forest: MemoryForest,
    blobs: DirBlobs,
}

impl Store {
    fn new() -> Self {
        Self { forest: MemoryForest::default(), blobs: DirBlobs::new() }
    }

    fn layer(&self, tar: Tar, lower: Option<&Root>) -> Result<Ingested, IngestError> {
        let options = Options { whiteouts: true, lower, ..Options::default() };
        ingest(tar.end().as_slice(), &self.forest, &self.blobs, &options)
    }

    fn plain(&self, tar: Tar) -> Result<Ingested, IngestError> {
        ingest(tar.end().as_slice(), &self.forest, &self.blobs, &Options::default())
    }

    #[expect(clippy::needless_pass_by_value, reason = "`expect!` is written at the call")]
    fn check(&self, tree: Result<Ingested, IngestError>, want: Expect) {
        match tree {
            Ok(tree) => want.assert_eq(&listing(&tree.root, &self.forest, &self.blobs)),
            Err(e) => want.assert_eq(&e.to_string()),
        }
    }
}

#[test]
fn extraction_into_what_exists() {
    let s = Store::new();
    let lower = s
        .plain(
            Tar::default()
                .with(b'5', "secret/", "", b"", |h| h.set_mode(0o700))
                .dir("real/")
                .symlink("link", "/real")
                .file("old", "old"),
        )
        .unwrap();
    let tar = Tar::default()
        .file("secret/f", "1")
        .file("link/f", "2")
        .link("hard", "../../old")
        .file("../up", "3")
        .file("new/f", "4");
    let options = Options { lower: Some(&lower.root), owner: Some((8, 9)), ..Options::default() };
    let added = ingest(tar.end().as_slice(), &s.forest, &s.blobs, &options);
    // Directories and links that are there stay; parents that nobody names
    // belong to root.
    s.check(
        added,
        expect![[r#"
        /hard 644 0:0 7 file "old" linked
        /new 755 0:0 0 dir
        /new/f 644 8:9 7 file "4"
        /old 644 0:0 7 file "old" linked
        /real 750 0:0 7 dir
        /real/f 644 8:9 7 file "2"
        /secret 700 0:0 7 dir
        /secret/f 644 8:9 7 file "1"
        /up 644 8:9 7 file "3"
    "#]],
    );
}

#[test]
fn members_become_entries() {
    let s = Store::new();
    let tar = Tar::default()
        .dir("./d/")
        .file("./d/f", "text")
        .symlink("d/l", "../elsewhere")
        .with(b'3', "dev/null", "", b"", |h| {
            h.set_device_major(1).unwrap();
            h.set_device_minor(3).unwrap();
        })
        .with(b'6', "pipe", "", b"", |h| h.set_mode(0o4600))
        .file("/abs", "");
    s.check(
        s.plain(tar),
        expect![[r#"
            /abs 644 0:0 7 file ""
            /d 750 0:0 7 dir
            /d/f 644 0:0 7 file "text"
            /d/l 644 0:0 7 -> ../elsewhere
            /dev 755 0:0 0 dir
            /dev/null 644 0:0 7 char 103
            /pipe 4600 0:0 7 fifo
        "#]],
    );
}

#[test]
fn the_last_of_a_name_counts_and_directories_keep_their_children() {
    let s = Store::new();
    let tar = Tar::default()
        .file("a/f", "old")
        .file("a/f", "new")
        .dir("a/")
        .symlink("x", "y")
        .dir("x/")
        .dir("z/")
        .file("z/in", "")
        .file("z", "file");
    s.check(
        s.plain(tar),
        expect![[r#"
            /a 750 0:0 7 dir
            /a/f 644 0:0 7 file "new"
            /x 750 0:0 7 dir
            /z 644 0:0 7 file "file"
        "#]],
    );
}

#[test]
fn the_root_has_metadata_of_its_own() {
    let s = Store::new();
    let without = s.plain(Tar::default().file("f", "")).unwrap();
    assert!(!without.has_root);
    assert_eq!(without.root.meta.mode, 0o755);
    let with = s.plain(Tar::default().dir("./").file("f", "")).unwrap();
    assert!(with.has_root);
    assert_eq!(with.root.meta.mode, 0o750);
}

#[test]
fn pax_records_override_the_header() {
    let s = Store::new();
    let long = "n".repeat(120);
    let tar = Tar::default()
        .with(b'g', "pax_global_header", "", b"", |_| {})
        .pax(&[
            ("path", format!("d/{long}").as_bytes()),
            ("uid", b"4000000000"),
            ("mtime", b"12.25"),
            ("SCHILY.xattr.security.capability", b"\x01\n\x02"),
            ("SCHILY.xattr.security.selinux", b"label"),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
            ("SCHILY.xattr.user.b", b"2"),
            ("SCHILY.xattr.user.a", b"1"),
            ("SCHILY.xattr.user.b", b"3"),
            ("comment", b"x"),
        ])
        .file("short", "data")
        .with(b'L', "././@LongLink", "", format!("gnu-{long}\0").as_bytes(), |_| {})
        .with(b'K', "././@LongLink", "", format!("to-{long}\0").as_bytes(), |_| {})
        .symlink("short", "short");
    s.check(s.plain(tar), expect![[r#"
        /d 755 0:0 0 dir
        /d/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn 644 4000000000:0 12.250000000 security.capability=010a02 user.a=31 user.b=33 file "data"
        /gnu-nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn 644 0:0 7 -> to-nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn
    "#]]);
}

/// The size in the PAX header is the one that counts, also for where the
/// next header stands (CVE-2025-62518).
#[test]
fn a_pax_size_moves_the_next_header() {
    let s = Store::new();
    let inner = Tar::default().file("smuggled", "").0;
    let tar = Tar::default()
        .pax(&[("size", inner.len().to_string().as_bytes())])
        .with(b'0', "f", "", &inner, |h| h.set_size(0))
        .file("after", "");
    s.check(
        s.plain(tar),
        expect![[r#"
            /after 644 0:0 7 file ""
            /f 644 0:0 7 file 512 bytes
        "#]],
    );
}

#[test]
fn whiteouts_mean_something_in_layers_only() {
    let s = Store::new();
    let tar = || {
        Tar::default()
            .dir("d/")
            .file("d/.wh..wh..opq", "")
            .file("d/kept", "1")
            .file(".wh.gone", "")
            .file(".wh..wh.plnk", "")
            .file("e/.wh.x", "")
    };
    s.check(
        s.layer(tar(), None),
        expect![[r#"
            /d 750 0:0 7 dir opaque
            /d/kept 644 0:0 7 file "1"
            /e 755 0:0 0 dir
            /e/x gone
            /gone gone
        "#]],
    );
    s.check(
        s.plain(tar()),
        expect![[r#"
            /.wh..wh.plnk 644 0:0 7 file ""
            /.wh.gone 644 0:0 7 file ""
            /d 750 0:0 7 dir
            /d/.wh..wh..opq 644 0:0 7 file ""
            /d/kept 644 0:0 7 file "1"
            /e 755 0:0 0 dir
            /e/.wh.x 644 0:0 7 file ""
        "#]],
    );
}

#[test]
fn whiteouts_act_on_lower_layers_only() {
    let s = Store::new();
    let first = Tar::default().file(".wh.f", "").file(".wh.d", "").file("f", "new").dir("d/").file("d/in", "new");
    let last = Tar::default().file("f", "new").dir("d/").file("d/in", "new").file(".wh.f", "").file(".wh.d", "");
    let (first, last) = (s.layer(first, None).unwrap(), s.layer(last, None));
    assert_eq!(first.root, last.as_ref().unwrap().root);
    s.check(
        last,
        expect![[r#"
            /d 750 0:0 7 dir opaque
            /d/in 644 0:0 7 file "new"
            /f 644 0:0 7 file "new"
        "#]],
    );
    let root = s.layer(Tar::default().file(".wh..wh..opq", ""), None).unwrap().root;
    assert!(root.dir.opaque);
}

#[test]
fn impossible_whiteouts_are_refused() {
    let s = Store::new();
    s.check(
        s.layer(Tar::default().file("d/.wh..", ""), None),
        expect!["`d/.wh..` in the archive has no valid name: it is a whiteout of nothing"],
    );
    s.check(
        s.layer(Tar::default().file(".wh.d/x", ""), None),
        expect!["`.wh.d/x` in the archive has no valid name: a whiteout cannot hold anything"],
    );
}

#[test]
fn hard_links_share_a_file() {
    let s = Store::new();
    let tar = Tar::default().file("b", "1").link("a", "./b").link("c", "a").file("alone", "2").link("once", "alone");
    let tree = s.plain(tar.file("once", "3")).unwrap();
    let dir = s.forest.dir(&tree.root.dir.id).unwrap();
    let link = |name: &[u8]| match dir.get(name).unwrap().node {
        Node::File(f) => f.link,
        _ => panic!("no file"),
    };
    assert_ne!(link(b"a"), 0);
    assert_eq!((link(b"a"), link(b"a")), (link(b"b"), link(b"c")));
    // Its other name was overwritten.
    assert_eq!((link(b"alone"), link(b"once")), (0, 0));
    s.check(
        s.plain(Tar::default().link("a", "b")),
        expect!["`a` in the archive cannot be placed: it is a hard link to `b`, which does not exist"],
    );
    s.check(
        s.plain(Tar::default().dir("b").link("a", "b")),
        expect!["`a` in the archive cannot be placed: it is a hard link to the directory `b`"],
    );
    s.check(
        s.plain(Tar::default().link("a", "../../etc/shadow")),
        expect!["`a` in the archive cannot be placed: it is a hard link to `etc/shadow`, which does not exist"],
    );
}

#[test]
fn a_layer_may_link_to_the_tree_below() {
    let s = Store::new();
    let lower = s.plain(Tar::default().dir("d/").file("d/f", "low").file("e", "e")).unwrap().root;
    s.check(
        s.layer(Tar::default().link("new", "d/f"), Some(&lower)),
        expect![[r#"
            /d 750 0:0 7 dir
            /d/f 644 0:0 7 file "low" linked
            /new 644 0:0 7 file "low" linked
        "#]],
    );
    // Not through what this layer has removed.
    for tar in [Tar::default().file(".wh.d", ""), Tar::default().file("d/.wh..wh..opq", "")] {
        let got = s.layer(tar.link("new", "d/f"), Some(&lower));
        assert!(matches!(got, Err(IngestError::Place { .. })), "{got:?}");
    }
}

#[test]
fn missing_parents_look_like_those_below() {
    let s = Store::new();
    let lower = s.plain(Tar::default().dir("./").dir("d/").file("d/f", "low")).unwrap().root;
    let layer = s.layer(Tar::default().file("d/new/g", "").file("d/.wh.f", ""), Some(&lower));
    assert_eq!(layer.as_ref().unwrap().root.meta, lower.meta);
    s.check(
        layer,
        expect![[r#"
            /d 750 0:0 7 dir
            /d/f gone
            /d/new 755 0:0 0 dir
            /d/new/g 644 0:0 7 file ""
        "#]],
    );
}

#[test]
fn links_on_the_way_are_followed_inside() {
    let s = Store::new();
    let lower =
        s.plain(Tar::default().dir("usr/bin/").symlink("bin", "usr/bin").symlink("abs", "/usr/../../x")).unwrap();
    s.check(
        s.layer(Tar::default().file("bin/sh", "sh").file("abs/y", "y"), Some(&lower.root)),
        expect![[r#"
            /usr 755 0:0 0 dir
            /usr/bin 750 0:0 7 dir
            /usr/bin/sh 644 0:0 7 file "sh"
            /x 755 0:0 0 dir
            /x/y 644 0:0 7 file "y"
        "#]],
    );
    s.check(
        s.plain(Tar::default().symlink("out", "../../../etc").file("out/passwd", "root")),
        expect![[r#"
            /etc 755 0:0 0 dir
            /etc/passwd 644 0:0 7 file "root"
            /out 644 0:0 7 -> ../../../etc
        "#]],
    );
    s.check(
        s.plain(Tar::default().symlink("a", "b").symlink("b", "a").file("a/f", "")),
        expect!["`a/f` in the archive cannot be placed: it leads through too many symbolic links"],
    );
}

#[test]
fn hostile_archives_are_refused() {
    let s = Store::new();
    s.check(
        s.plain(Tar::default().file("a/../../f", "")),
        expect![[r#"
            /f 644 0:0 7 file ""
        "#]],
    );
    s.check(
        s.plain(Tar::default().pax(&[("path", b"a\0b")]).file("f", "")),
        expect!["`a\0b` in the archive has no valid name: it holds a NUL byte"],
    );
    s.check(
        s.plain(Tar::default().symlink("f", "")),
        expect!["`f` in the archive cannot be placed: the text of the symbolic link is refused: it is empty"],
    );
    s.check(
        s.plain(Tar::default().with(b'V', "volume", "", b"", |_| {})),
        expect!["not a valid tar header at byte 512: its type is unknown"],
    );
    s.check(
        s.plain(Tar::default().with(b'x', "x", "", b"9 a=b\n", |_| {}).file("f", "")),
        expect!["not a valid tar header at byte 1024: a PAX record is malformed"],
    );
}

#[test]
fn limits_hold() {
    let s = Store::new();
    let limited = |tar: Tar, limits: Limits| {
        let options = Options { limits, ..Options::default() };
        ingest(tar.end().as_slice(), &s.forest, &s.blobs, &options)
    };
    let usual = Limits::default();
    let many = Tar::default().dir("a").dir("b").dir("c");
    s.check(limited(many, Limits { entries: 2, ..usual }), expect!["the archive has more than 2 entries"]);
    let deep = Tar::default().dir("a/b/c/d");
    s.check(
        limited(deep, Limits { depth: 3, ..usual }),
        expect!["`a/b/c/d` in the archive has no valid name: it has too many parts"],
    );
    let long = Tar::default().pax(&[("comment", &[b'x'; 5000])]).file("f", "");
    s.check(
        limited(long, Limits { header_bytes: 4096, ..usual }),
        expect!["the archive has more than 4096 bytes of headers for one file"],
    );
    let big = Tar::default().file("f", &"x".repeat(9000));
    s.check(limited(big, Limits { total_bytes: 8192, ..usual }), expect!["the archive has more than 8192 bytes"]);
    // Depth grows through links, too.
    let mut nested = Tar::default().dir("l/a/b/c");
    for _ in 0..3 {
        nested = nested.symlink("s", "l/a/b/c").dir("s/l/a/b/c").symlink("l", "s/l");
    }
    assert!(limited(nested, Limits { depth: 6, ..usual }).is_err());
}

#[test]
fn sparse_files_are_filled() {
    let s = Store::new();
    let gnu = |header: &mut tar::Header| {
        *header = {
            let mut new = tar::Header::new_gnu();
            new.as_mut_bytes()[..257].copy_from_slice(&header.as_bytes()[..257]);
            let g = new.as_gnu_mut().unwrap();
            g.set_real_size(10);
            g.sparse[0].set_offset(2);
            g.sparse[0].set_length(3);
            g.sparse[1].set_offset(10);
            g.sparse[1].set_length(0);
            new
        };
    };
    let mut map = b"1\n4\n3\n".to_vec();
    map.resize(512, 0);
    map.extend_from_slice(b"abc");
    let tar = Tar::default()
        .with(b'S', "old", "", b"abc", gnu)
        .pax(&[("GNU.sparse.size", b"9"), ("GNU.sparse.offset", b"1"), ("GNU.sparse.numbytes", b"3")])
        .file("pax00", "abc")
        .pax(&[("GNU.sparse.size", b"9"), ("GNU.sparse.name", b"pax01"), ("GNU.sparse.map", b"0,1,7,2")])
        .file("other", "abc")
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"pax10"),
            ("GNU.sparse.realsize", b"9"),
        ])
        .with(b'0', "other", "", &map, |_| {})
        .file("after", "");
    s.check(
        s.plain(tar),
        expect![[r#"
            /after 644 0:0 7 file ""
            /old 644 0:0 7 file "\0\0abc\0\0\0\0\0"
            /pax00 644 0:0 7 file "\0abc\0\0\0\0\0"
            /pax01 644 0:0 7 file "a\0\0\0\0\0\0bc"
            /pax10 644 0:0 7 file "\0\0\0\0abc\0\0"
        "#]],
    );
    let bomb =
        Tar::default().pax(&[("GNU.sparse.size", b"9000000000000000"), ("GNU.sparse.map", b"0,3")]).file("bomb", "abc");
    s.check(s.plain(bomb), expect!["the archive has more than 1099511627776 bytes"]);
}

#[test]
fn cut_and_compressed_archives() {
    let s = Store::new();
    let data = "x".repeat(3 << 20);
    let whole = Tar::default().file("big", &data).file("small", "1").end();
    let read = |bytes: &[u8]| ingest(bytes, &s.forest, &s.blobs, &Options::default());
    let plain = read(&whole).unwrap();
    assert_eq!((plain.compression, plain.size), (Compression::None, whole.len() as u64));
    let zipped = read(&zstd::encode_all(whole.as_slice(), 1).unwrap()).unwrap();
    assert_eq!(zipped.compression, Compression::Zstd);
    assert_eq!((zipped.root, zipped.diff_id), (plain.root, Digest::of(&whole)));
    for cut in [600, 2 << 20, whole.len() - 1600] {
        let at = read(&whole[..cut]).unwrap_err();
        assert!(matches!(at, IngestError::Archive(MemberError::Truncated { .. })), "{cut}: {at}");
    }
    // The closing blocks may be missing, and more may follow them.
    assert!(read(&whole[..whole.len() - 1024]).is_ok());
    let mut longer = whole.clone();
    longer.extend_from_slice(&[0; 8192]);
    assert_eq!(read(&longer).unwrap().diff_id, Digest::of(&longer));
}

#[test]
fn failures_of_the_stream_and_of_the_store_are_told_apart() {
    struct Broken(std::io::Cursor<Vec<u8>>);
    impl Read for Broken {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buf)? {
                0 => Err(io::Error::new(io::ErrorKind::ConnectionReset, "gone")),
                n => Ok(n),
            }
        }
    }
    struct Full;
    impl Blobs for Full {
        fn put(&self, _: &[u8], _: &crate::fs::Meta) -> io::Result<crate::fs::FileRef> {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }
        fn put_stream(&self, data: &mut dyn Read, _: u64, meta: &crate::fs::Meta) -> io::Result<crate::fs::FileRef> {
            data.read_exact(&mut [0; 8])?;
            self.put(b"", meta)
        }
        fn open(&self, _: &Digest) -> io::Result<std::fs::File> {
            Err(io::Error::from(io::ErrorKind::NotFound))
        }
    }
    let s = Store::new();
    let mut tar = Tar::default().file("f", &"x".repeat(3 << 20)).0;
    tar.truncate(2 << 20);
    let broken = ingest(Broken(std::io::Cursor::new(tar)), &s.forest, &s.blobs, &Options::default());
    assert!(
        matches!(&broken, Err(IngestError::Archive(MemberError::Read(e))) if e.kind() == io::ErrorKind::ConnectionReset),
        "{broken:?}"
    );
    for size in [10, 2 << 20] {
        let tar = Tar::default().file("d/f", &"x".repeat(size)).end();
        let full = ingest(tar.as_slice(), &s.forest, &Full, &Options::default());
        assert!(matches!(&full, Err(IngestError::Store { name, .. }) if name == "d/f"), "{full:?}");
    }
}

#[test]
fn archives_are_known_by_their_first_header() {
    let tar = Tar::default().file("f", "x").end();
    assert!(is_archive(tar.as_slice()));
    assert!(is_archive(zstd::encode_all(tar.as_slice(), 1).unwrap().as_slice()));
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(b"only compressed text").unwrap();
    for other in [&b""[..], b"text", &[0; 2048], &gz.finish().unwrap(), &b"x".repeat(2048)] {
        assert!(!is_archive(other));
    }
}

#[test]
fn one_thread_gives_the_same_tree() {
    let s = Store::new();
    let mut tar = Tar::default();
    for i in 0..500 {
        tar = tar.file(&format!("d{}/f{i}", i % 7), &"y".repeat(i * 40));
    }
    let tar = tar.end();
    let ids: Vec<_> = [0, 1, 4]
        .into_iter()
        .map(|threads| {
            let options = Options { threads, ..Options::default() };
            ingest(tar.as_slice(), &s.forest, &s.blobs, &options).unwrap().root.id()
        })
        .collect();
    assert_eq!(ids, [ids[0]; 3]);
}
