//! The store on a real file system.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::checkout::Inodes;
use super::objects::object_name;
use super::records::Action;
use super::{MadeLayer, PrunePolicy, RecordKey, Snapshot, Store, StoreError};
use crate::fs::{Blobs, Entry, FileRef, Forest, Meta, Mtime, Name, Node, Root, list};

struct Fixture {
    _home: tempfile::TempDir,
    store: Store,
}

/// The store of a user with a single id.
fn single_id_fixture() -> Fixture {
    let mut fixture = fixture();
    fixture.store.keeps_owners = false;
    fixture
}

/// A store in a directory of its own. Owners are this user's, so that the
/// tests need no privilege.
fn fixture() -> Fixture {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    Fixture { _home: home, store }
}

fn meta(mode: u32, seconds: i64) -> Meta {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    Meta { mode, uid, gid, mtime: Mtime { seconds, nanoseconds: 5 }, xattrs: None }
}

impl Fixture {
    fn file(&self, text: &str, meta: Meta, link: u64) -> Entry {
        let file = self.store.put(text.as_bytes(), &meta).unwrap();
        Entry { meta, node: Node::File(FileRef { link, ..file }) }
    }

    fn dir(&self, entries: Vec<(&str, Entry)>) -> Entry {
        let entries = entries.into_iter().map(|(n, e)| (Name::from(n.as_bytes()), e)).collect();
        Entry { meta: meta(0o755, 1_000), node: Node::Dir(self.store.make(entries).unwrap().reference()) }
    }

    fn root(&self, entries: Vec<(&str, Entry)>) -> Root {
        let entry = self.dir(entries);
        let Node::Dir(dir) = entry.node else { unreachable!() };
        Root { meta: entry.meta, dir }
    }

    fn object_inode(&self, entry: &Entry) -> u64 {
        let Node::File(file) = &entry.node else { unreachable!() };
        inode(&self.store.layout.object(&object_name(&file.blob, &entry.meta, 0)))
    }
}

#[allow(clippy::print_stderr)]
fn skipped(test: &str, why: &str) {
    eprintln!("SKIPPED: {test}: {why}");
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

#[test]
fn one_inode_for_each_content_and_metadata() {
    let f = fixture();
    let count = || f.store.disk_usage().unwrap().object_count;
    f.store.put(b"same", &meta(0o644, 1)).unwrap();
    f.store.put(b"same", &meta(0o644, 1)).unwrap();
    assert_eq!(count(), 1);
    f.store.put(b"same", &meta(0o755, 1)).unwrap();
    f.store.put(b"same", &meta(0o644, 2)).unwrap();
    assert_eq!(count(), 3);
    f.store.put(b"", &meta(0o644, 2)).unwrap();
    assert_eq!(count(), 3, "an empty file needs no object");
}

#[test]
fn a_stream_is_the_same_object_as_its_bytes() {
    let f = fixture();
    let data: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
    let whole = f.store.put(&data, &meta(0o644, 1)).unwrap();
    let streamed = f.store.put_stream(&mut data.as_slice(), 0, &meta(0o644, 1)).unwrap();
    assert_eq!(whole, streamed);
    assert_eq!(f.store.disk_usage().unwrap().object_count, 1);
    let mut back = Vec::new();
    std::io::Read::read_to_end(&mut f.store.open(&whole.blob).unwrap(), &mut back).unwrap();
    assert!(back == data);
}

#[test]
fn a_checkout_links_objects() {
    let f = fixture();
    let file = f.file("hello", meta(0o640, 7), 0);
    let root = f.root(vec![("a", f.dir(vec![("b", file.clone())]))]);
    let path = f.store.checkout(&root, &mut Inodes::default()).unwrap();
    assert_eq!(fs::read(path.join("a/b")).unwrap(), b"hello");
    assert_eq!(inode(&path.join("a/b")), f.object_inode(&file));
    let again = f.store.checkout(&root, &mut Inodes::default()).unwrap();
    assert_eq!(again, path);
}

#[test]
fn two_paths_of_one_tree_never_share_an_inode_but_hard_links_do() {
    let f = fixture();
    let plain = f.file("twin", meta(0o644, 7), 0);
    let linked = f.file("linked", meta(0o644, 7), 42);
    let root = f.root(vec![
        ("a", plain.clone()),
        ("b", plain.clone()),
        ("d", f.dir(vec![("c", plain.clone()), ("two", linked.clone())])),
        ("one", linked),
    ]);
    let path = f.store.checkout(&root, &mut Inodes::default()).unwrap();
    let mut inodes: Vec<u64> = ["a", "b", "d/c"].iter().map(|p| inode(&path.join(p))).collect();
    inodes.sort_unstable();
    inodes.dedup();
    assert_eq!(inodes.len(), 3);
    assert!(inodes.contains(&f.object_inode(&plain)), "the first path has the object itself");
    assert_eq!(inode(&path.join("one")), inode(&path.join("d/two")));
    for twin in ["a", "b", "d/c"] {
        let stat = fs::symlink_metadata(path.join(twin)).unwrap();
        assert_eq!((stat.mode() & 0o7777, stat.mtime(), stat.mtime_nsec()), (0o644, 7, 5));
    }
}

#[test]
fn stacked_checkouts_never_share_an_inode() {
    let f = fixture();
    let file = f.file("twin", meta(0o644, 7), 0);
    let lower = f.root(vec![("a", file.clone())]);
    let upper = f.root(vec![("b", file)]);
    let stack = || {
        let mut below = Inodes::default();
        let lower = f.store.checkout(&lower, &mut below).unwrap();
        (lower, f.store.checkout(&upper, &mut below).unwrap())
    };
    let (first, second) = stack();
    assert_ne!(inode(&first.join("a")), inode(&second.join("b")));
    assert_eq!(stack(), (first.clone(), second), "the same stack finds its checkouts again");
    let alone = f.store.checkout(&upper, &mut Inodes::default()).unwrap();
    assert_eq!(inode(&alone.join("b")), inode(&first.join("a")), "alone it has the object itself");
}

#[test]
fn a_checkout_that_is_taken_in_again_is_the_same_tree() {
    if !rustix::process::geteuid().is_root() {
        return skipped(
            "a_checkout_that_is_taken_in_again_is_the_same_tree",
            "owners and trusted attributes need root",
        );
    }
    let f = fixture();
    let root = f.root(vec![
        ("dir", f.dir(vec![("x", f.file("x", meta(0o4755, -3), 0)), ("empty", f.file("", meta(0o600, 9), 0))])),
        ("fifo", Entry { meta: meta(0o622, 4), node: Node::Fifo }),
        ("link", Entry { meta: meta(0o777, 4), node: Node::Symlink(b"dir/x".as_slice().into()) }),
        ("odd \u{1}\u{fc} name", f.file("y", meta(0o644, 1), 0)),
    ]);
    let path = f.store.checkout(&root, &mut Inodes::default()).unwrap();
    let captured = f.store.capture(&path, &f.store.empty()).unwrap();
    assert_eq!(list(&f.store, &captured.diff).unwrap(), list(&f.store, &root).unwrap());
    assert_eq!(captured.diff.id(), root.id());
    assert!(captured.inodes.is_empty(), "every file was an object already");
}

#[test]
fn files_that_a_process_wrote_become_objects_where_they_stand() {
    let f = fixture();
    let upper = f.store.new_run().unwrap();
    fs::create_dir(upper.join("d")).unwrap();
    fs::write(upper.join("d/new"), "new").unwrap();
    fs::write(upper.join("one"), "linked").unwrap();
    fs::hard_link(upper.join("one"), upper.join("d/two")).unwrap();
    let before = inode(&upper.join("d/new"));
    let captured = f.store.capture(&upper, &f.store.empty()).unwrap();
    let dir = f.store.dir(&captured.diff.dir.id).unwrap();
    let below = f.store.dir(&dir.get(b"d").unwrap().as_dir().unwrap().id).unwrap();
    let new = below.get(b"new").unwrap();
    assert_eq!(f.object_inode(new), before);
    let (Node::File(one), Node::File(two)) = (&dir.get(b"one").unwrap().node, &below.get(b"two").unwrap().node) else {
        panic!("not files");
    };
    assert_eq!(one, two);
    assert_ne!(one.link, 0);
    let Node::File(file) = &new.node else { panic!("not a file") };
    assert_eq!(file.link, 0);
    f.store.adopt_checkout(&upper, &captured.diff, captured.inodes).unwrap();
    let path = f.store.checkout(&captured.diff, &mut Inodes::default()).unwrap();
    assert_eq!(inode(&path.join("d/new")), before, "the upper directory is the checkout");
}

#[test]
fn a_variant_is_made_of_any_object_with_the_content() {
    let f = fixture();
    let file = f.file("content", meta(0o644, 7), 0);
    let chmodded = Entry { meta: meta(0o600, 8), node: file.node };
    let root = f.root(vec![("a", chmodded)]);
    let path = f.store.checkout(&root, &mut Inodes::default()).unwrap();
    assert_eq!(fs::read(path.join("a")).unwrap(), b"content");
    assert_eq!(fs::symlink_metadata(path.join("a")).unwrap().mode() & 0o7777, 0o600);
}

fn record(f: &Fixture, name: &str, root: &Root) -> RecordKey {
    let key = RecordKey::of("test", &[name.as_bytes()]);
    let layer = super::Layer::Made(MadeLayer { diff: root.clone(), created: 3 });
    let snapshot = Snapshot { root: root.clone(), layers: vec![layer] };
    f.store.put_action(&[key], &Action { snapshot, created: 3, why: Default::default() }).unwrap();
    key
}

#[test]
fn another_opening_of_the_store_sees_records_with_all_that_they_name() {
    let f = fixture();
    let root = f.root(vec![("a", f.dir(vec![("b", f.file("hello", meta(0o640, 7), 0))]))]);
    let key = record(&f, "one", &root);
    let home = f.store.home().to_owned();
    drop(f.store);
    let store = Store::open(&home).unwrap();
    let action = store.action(&key).unwrap().unwrap();
    assert_eq!(action.snapshot.root, root);
    let path = store.checkout(&action.snapshot.root, &mut Inodes::default()).unwrap();
    assert_eq!(fs::read(path.join("a/b")).unwrap(), b"hello");
    assert!(store.action(&RecordKey::of("test", &[b"other"])).unwrap().is_none());
}

#[test]
fn prune_removes_what_no_record_names() {
    let f = fixture();
    let kept = f.root(vec![("kept", f.file("kept", meta(0o644, 1), 0))]);
    let dropped = f.root(vec![("dropped", f.file("dropped", meta(0o644, 1), 0))]);
    let key = record(&f, "kept", &kept);
    let kept_path = f.store.checkout(&kept, &mut Inodes::default()).unwrap();
    let dropped_path = f.store.checkout(&dropped, &mut Inodes::default()).unwrap();
    fs::write(f.store.scratch(), "leftover").unwrap();

    let dry = f.store.prune(&PrunePolicy { dry_run: true, ..PrunePolicy::default() }).unwrap();
    assert_eq!((dry.records, dry.objects), (0, 1));
    assert!(dropped_path.exists(), "a dry run removes nothing");

    let pruned = f.store.prune(&PrunePolicy::default()).unwrap();
    assert_eq!((pruned.records, pruned.objects), (0, 1));
    assert!(kept_path.exists() && !dropped_path.exists());
    assert!(f.store.action(&key).unwrap().is_some());
    assert_eq!(fs::read_dir(f.store.home().join("tmp")).unwrap().count(), 0);
    let file = f.store.dir(&kept.dir.id).unwrap().get(b"kept").cloned().unwrap();
    let Node::File(file) = file.node else { panic!("not a file") };
    assert_eq!(f.store.read_small(&file, 100).unwrap(), b"kept");

    f.store.prune(&PrunePolicy { all: true, ..PrunePolicy::default() }).unwrap();
    assert!(f.store.action(&key).unwrap().is_none());
    assert_eq!(f.store.disk_usage().unwrap().object_count, 0);
}

#[test]
fn prune_counts_the_blocks_that_files_take() {
    let left = |max_bytes| {
        let f = fixture();
        for name in ["one", "two"] {
            record(&f, name, &f.root(vec![(name, f.file(name, meta(0o644, 1), 0))]));
        }
        f.store.prune(&PrunePolicy { max_bytes: Some(max_bytes), ..PrunePolicy::default() }).unwrap();
        f.store.disk_usage().unwrap().object_count
    };
    assert_eq!([left(0), left(4096), left(8192)], [0, 1, 2]);
}

#[test]
fn prune_does_not_run_beside_another_process() {
    let f = fixture();
    // A second opening has a lock of its own, as another process has.
    let other = Store::open(f.store.home()).map(|_| ());
    assert!(matches!(other, Err(StoreError::Index { .. })), "LMDB allows one opening per process");
    let lock = fs::File::open(f.store.home().join("lock")).unwrap();
    lock.lock_shared().unwrap();
    assert!(matches!(f.store.prune(&PrunePolicy::default()), Err(StoreError::Busy { .. })));
    drop(lock);
    f.store.prune(&PrunePolicy::default()).unwrap();
}

#[test]
fn a_store_of_another_version_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    drop(Store::open(home.path()).unwrap());
    fs::write(home.path().join("VERSION"), "rbc store 999\n").unwrap();
    let refused = Store::open(home.path()).err().unwrap().to_string();
    assert!(refused.contains("999") && refused.contains("RBC_HOME"), "{refused}");
}

#[test]
fn with_a_single_id_what_a_process_changed_keeps_the_owner_of_the_tree_below() {
    let f = single_id_fixture();
    let foreign = |mode| Meta { uid: 999, gid: 998, ..meta(mode, 1) };
    let mut inner = f.dir(vec![
        ("changed", f.file("old", foreign(0o640), 0)),
        ("link", Entry { meta: foreign(0o777), node: Node::Symlink(b"changed".as_slice().into()) }),
    ]);
    inner.meta = foreign(0o750);
    let mut lower = f.root(vec![("data", inner)]);
    lower.meta = foreign(0o755);

    let upper = f.store.new_run().unwrap();
    fs::create_dir(upper.join("data")).unwrap();
    for name in ["changed", "new", "link"] {
        fs::write(upper.join("data").join(name), "text").unwrap();
    }
    fs::create_dir(upper.join("fresh")).unwrap();
    let diff = f.store.capture(&upper, &lower).unwrap().diff;

    let owner = |meta: &Meta| (meta.uid, meta.gid);
    assert_eq!(owner(&diff.meta), (999, 998));
    let top = f.store.dir(&diff.dir.id).unwrap();
    let data = top.get(b"data").unwrap();
    assert_eq!(owner(&data.meta), (999, 998), "copied up since something in it changed");
    assert_eq!(owner(&top.get(b"fresh").unwrap().meta), (0, 0));
    let data = f.store.dir(&data.as_dir().unwrap().id).unwrap();
    assert_eq!(owner(&data.get(b"changed").unwrap().meta), (999, 998));
    assert_eq!(owner(&data.get(b"new").unwrap().meta), (0, 0));
    assert_eq!(owner(&data.get(b"link").unwrap().meta), (0, 0), "another kind of file is another file");
}

#[test]
fn a_store_made_under_other_ids_is_left_alone() {
    if !rustix::process::geteuid().is_root() {
        // Only root can make a file of somebody else's.
        return skipped("a_store_made_under_other_ids_is_left_alone", "needs root");
    }
    let home = tempfile::tempdir().unwrap();
    drop(Store::open(home.path()).unwrap());
    std::os::unix::fs::chown(home.path().join("VERSION"), Some(1000), Some(1000)).unwrap();
    let refused = Store::open(home.path()).err().unwrap();
    assert!(matches!(refused, StoreError::OtherIds { owner: 1000, .. }), "{refused}");
}

#[test]
fn overlay_marks_are_read_and_never_kept_as_attributes() {
    if !rustix::process::geteuid().is_root() {
        return skipped(
            "overlay_marks_are_read_and_never_kept_as_attributes",
            "owners and trusted attributes need root",
        );
    }
    let f = fixture();
    let upper = f.store.new_run().unwrap();
    fs::create_dir(upper.join("d")).unwrap();
    let name = f.store.overlay_xattr("opaque");
    let set = |path: &str, name: &str, value: &[u8]| {
        rustix::fs::setxattr(upper.join(path), name, value, rustix::fs::XattrFlags::empty())
    };
    set("d", &name, b"y").unwrap();
    set("d", &f.store.overlay_xattr("origin"), b"anything").unwrap();
    set("d", "user.kept", b"value").unwrap();
    let captured = f.store.capture(&upper, &f.store.empty()).unwrap();
    let dir = f.store.dir(&captured.diff.dir.id).unwrap();
    let entry = dir.get(b"d").unwrap();
    assert!(entry.as_dir().unwrap().opaque);
    let kept: Vec<_> = entry.meta.xattrs.as_deref().unwrap_or_default().iter().map(|(n, _)| n.to_vec()).collect();
    assert_eq!(kept, [b"user.kept".to_vec()]);
}

fn link_of(f: &Fixture, entry: &Entry) -> std::path::PathBuf {
    let Node::File(file) = &entry.node else { panic!("not a file") };
    f.store.layout.object(&object_name(&file.blob, &entry.meta, 0))
}

#[test]
fn an_object_that_was_cut_short_is_never_linked_and_its_records_are_withdrawn() {
    let f = fixture();
    let (cut, sound) = (f.file("cut short", meta(0o644, 1), 0), f.file("sound", meta(0o644, 1), 0));
    let (bad, good) = (f.root(vec![("d", f.dir(vec![("a", cut.clone())]))]), f.root(vec![("b", sound)]));
    let (bad_key, good_key) = (record(&f, "bad", &bad), record(&f, "good", &good));
    fs::write(link_of(&f, &cut), "cut").unwrap();
    assert!(matches!(f.store.checkout(&bad, &mut Inodes::default()), Err(StoreError::Missing { .. })));
    assert!(f.store.met_damage());
    assert_eq!(fs::read_dir(f.store.home().join("tmp")).unwrap().count(), 0, "no half checkout");
    assert_eq!(f.store.heal().unwrap(), 1);
    assert!(!f.store.met_damage());
    assert!(f.store.action(&bad_key).unwrap().is_none());
    assert!(f.store.action(&good_key).unwrap().is_some());
    // Made again it is whole.
    assert_eq!(f.file("cut short", meta(0o644, 1), 0), cut);
    let path = f.store.checkout(&f.root(vec![("d", f.dir(vec![("a", cut)]))]), &mut Inodes::default()).unwrap();
    assert_eq!(fs::read(path.join("d/a")).unwrap(), b"cut short");
}

#[test]
fn writing_a_content_again_replaces_an_object_that_was_cut_short() {
    let f = fixture();
    let file = f.file("content", meta(0o644, 1), 0);
    fs::write(link_of(&f, &file), "").unwrap();
    f.file("content", meta(0o644, 1), 0);
    assert_eq!(fs::read(link_of(&f, &file)).unwrap(), b"content");
    fs::write(link_of(&f, &file), "c").unwrap();
    let upper = f.store.new_run().unwrap();
    fs::write(upper.join("x"), "content").unwrap();
    let fd = fs::File::open(upper.join("x")).unwrap();
    let Node::File(_) = &file.node else { panic!("not a file") };
    f.store.adopt(&fd, &file.meta).unwrap();
    assert_eq!(fs::read(link_of(&f, &file)).unwrap(), b"content");
}

#[test]
fn verify_finds_what_has_the_right_length_and_other_bytes() {
    let f = fixture();
    let file = f.file("content", meta(0o644, 1), 0);
    let root = f.root(vec![("a", file.clone())]);
    let key = record(&f, "one", &root);
    let checkout = f.store.checkout(&root, &mut Inodes::default()).unwrap();
    let sound = f.store.verify().unwrap();
    assert_eq!((sound.files, sound.bytes, sound.damaged.len(), sound.records), (1, 7, 0, 0));
    assert!(f.store.action(&key).unwrap().is_some());
    f.store.checkout(&root, &mut Inodes::default()).unwrap();
    fs::write(link_of(&f, &file), "CONTENT").unwrap();
    let report = f.store.verify().unwrap();
    assert_eq!((report.damaged.len(), report.records), (1, 1));
    assert!(report.damaged[0].starts_with("obj/"), "{:?}", report.damaged);
    assert!(f.store.action(&key).unwrap().is_none());
    assert!(!checkout.exists(), "it had the same inode");
}

#[test]
fn verify_finds_directories_that_do_not_have_their_digest() {
    let f = fixture();
    let root = f.root(vec![("a", f.file("content", meta(0o644, 1), 0))]);
    let other = f.root(vec![("b", f.file("content", meta(0o644, 1), 0))]);
    let key = record(&f, "one", &root);
    record(&f, "two", &other);
    let row = f.store.index.get(f.store.index.trees, &other.dir.id.0).unwrap().unwrap();
    f.store.index.write(|txn| f.store.index.trees.put(txn, &root.dir.id.0, &row)).unwrap();
    let report = f.store.verify().unwrap();
    assert_eq!((report.damaged.len(), report.records), (1, 1));
    assert!(f.store.action(&key).unwrap().is_none());
}

#[test]
fn a_directory_that_nobody_vouches_for_is_replaced() {
    let f = fixture();
    let root = f.root(vec![("a", f.file("content", meta(0o644, 1), 0))]);
    let path = f.store.checkout(&root, &mut Inodes::default()).unwrap();
    // As after another boot: the row is gone, the directory is as it was.
    fs::write(f.store.home().join("boot"), "another").unwrap();
    f.store.distrust_other_boots().unwrap();
    fs::remove_file(path.join("a")).unwrap();
    assert_eq!(f.store.checkout(&root, &mut Inodes::default()).unwrap(), path);
    assert_eq!(fs::read(path.join("a")).unwrap(), b"content");
    f.store.distrust_other_boots().unwrap();
    fs::write(path.join("b"), "").unwrap();
    f.store.checkout(&root, &mut Inodes::default()).unwrap();
    assert!(path.join("b").exists(), "the same boot keeps its checkouts");
}

#[test]
fn a_damaged_index_is_replaced_and_missing_directories_are_made() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let file = store.put(b"content", &meta(0o644, 1)).unwrap();
    drop(store);
    for damage in ["no index at all, but long enough to be taken for one".repeat(1000), String::new()] {
        fs::write(home.path().join("index/data.mdb"), damage).unwrap();
        fs::remove_dir_all(home.path().join("run")).unwrap();
        let store = Store::open(home.path()).unwrap();
        assert_eq!(store.read_small(&file, 100).unwrap(), b"content", "found without the index");
        store.new_run().unwrap();
    }
}

#[test]
fn an_index_that_was_cut_short_is_an_error_and_no_crash() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let files: Vec<_> = (0..2000).map(|i| store.put(format!("{i}").as_bytes(), &meta(0o644, 1)).unwrap()).collect();
    let key = RecordKey::of("test", &[b"one"]);
    store.put_record(&[key], &"value").unwrap();
    drop(store);
    let index = fs::File::options().write(true).open(home.path().join("index/data.mdb")).unwrap();
    index.set_len(5 * 4096).unwrap();
    // Whatever it can still say, it is opened, and content is found.
    let store = Store::open(home.path()).unwrap();
    let _ = store.record::<String>(&key);
    for file in files.iter().step_by(500) {
        let _ = store.read_small(file, 100);
    }
}

#[test]
fn a_tree_may_be_deeper_than_a_stack() {
    let f = fixture();
    let mut entry = f.file("deep", meta(0o644, 1), 0);
    for _ in 0..700 {
        entry = f.dir(vec![("d", entry)]);
    }
    let Node::Dir(dir) = entry.node else { panic!("no directory") };
    let root = Root { meta: entry.meta, dir };
    let path = f.store.checkout(&root, &mut Inodes::default()).unwrap();
    assert_eq!(f.store.capture(&path, &f.store.empty()).unwrap().diff.id(), root.id());
    record(&f, "deep", &root);
    f.store.prune(&PrunePolicy::default()).unwrap();
    assert_eq!(f.store.heal().unwrap(), 0);
}

#[test]
fn thousands_of_equal_files_have_an_inode_each() {
    let f = fixture();
    let file = f.file("equal", meta(0o644, 1), 0);
    let names: Vec<String> = (0..5000).map(|i| format!("{i:05}")).collect();
    let root = f.root(names.iter().map(|n| (n.as_str(), file.clone())).collect());
    let path = f.store.checkout(&root, &mut Inodes::default()).unwrap();
    let inodes: std::collections::HashSet<u64> = names.iter().map(|n| inode(&path.join(n))).collect();
    assert_eq!(inodes.len(), names.len());
}
