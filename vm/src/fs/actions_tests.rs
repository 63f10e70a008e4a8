//! What file operations do, action by action.

use expect_test::expect;
use rbc_ir::{Chmod, CopyAction, FileAction, Owner, Unpack};

use super::testing::Sandbox;
use super::{FileRef, Mtime, Root, SourceKind, run_actions};

const NOW: Mtime = Mtime { seconds: 9, nanoseconds: 0 };

const BASE: &str = "
    f /etc/passwd app:x:1000:1000::/home/app:/bin/sh
    f /usr/share/data/a.txt alpha
    d 0750 /usr/share/data
    f /usr/share/data/a.txt alpha
    f /usr/share/data/sub/c.txt gamma
    l /usr/share/current -> data
    l /srv -> usr/share/data/sub";

fn run(s: &Sandbox, base: &Root, sources: &[(Root, SourceKind)], actions: &[FileAction]) -> Result<Root, String> {
    // Here an archive is a file whose text is the listing of a tree.
    let unpack = |file: &FileRef, _: &Root, owner: Option<(u32, u32)>| {
        let text = super::Blobs::read_small(&s.blobs, file, 1 << 20).unwrap();
        let text = String::from_utf8(text).unwrap();
        if text == "broken" {
            return Err(std::sync::Arc::from(Box::<dyn std::error::Error + Send + Sync>::from("it is broken")));
        }
        let transform = super::graft::Transform { owner, ..Default::default() };
        Ok(text.strip_prefix("tar ").map(|t| {
            let tree = s.tree(&t.replace(';', "\n"));
            Root { dir: transform.dir(&s.forest, &tree.dir, 0).unwrap(), ..tree }
        }))
    };
    run_actions(&s.forest, &s.blobs, base, sources, actions, NOW, &unpack)
        .map_err(|e| format!("action {}: {e}", e.index))
}

fn mkdir(path: &str, owner: Option<&str>) -> FileAction {
    let owner = owner.map(|o| Owner(o.into()));
    FileAction::Mkdir { path: path.into(), mode: 0o755, owner, parents: true }
}

#[test]
fn directories() {
    let s = Sandbox::default();
    let base = s.tree(BASE);
    let made = run(
        &s,
        &base,
        &[],
        &[
            mkdir("/a/b/c", None),
            mkdir("/made/by", Some("app")),
            mkdir("/made/x", Some("1234:50")),
            mkdir("/srv/in", None),
        ],
    );
    let made = made.unwrap();
    expect![[r#"
        d 0755 0:0 /
        d 0755 0:0 /a @9
        d 0755 0:0 /a/b @9
        d 0755 0:0 /a/b/c @9
        d 0755 1000:1000 /made @9
        d 0755 1000:1000 /made/by @9
        d 0755 1234:50 /made/x @9
        d 0755 0:0 /usr
        d 0755 0:0 /usr/share
        d 0750 0:0 /usr/share/data
        d 0755 0:0 /usr/share/data/sub
        d 0755 0:0 /usr/share/data/sub/in @9
    "#]]
    .assert_eq(&s.list(&super::diff(&s.forest, &base, &made).unwrap()));
    let there = run(&s, &base, &[], &[mkdir("/usr/share/current", Some("app")), mkdir("/", None)]).unwrap();
    assert_eq!(there, base, "existing directories are not touched");
    assert_eq!(
        run(&s, &base, &[], &[mkdir("/x", None), mkdir("/etc/passwd/x", None)]).unwrap_err(),
        "action 1: /etc/passwd: not a directory"
    );
    let alone = FileAction::Mkdir { path: "/q/w".into(), mode: 0o700, owner: None, parents: false };
    assert_eq!(run(&s, &base, &[], &[alone]).unwrap_err(), "action 0: /q: no such file or directory");
}

fn write(path: &str, mode: Chmod, owner: Option<&str>) -> FileAction {
    let owner = owner.map(|o| Owner(o.into()));
    FileAction::Write { path: path.into(), name: "EOF".into(), data: "text\n".into(), mode, owner }
}

#[test]
fn written_files_links_and_removals() {
    let s = Sandbox::default();
    let base = s.tree(BASE);
    let link = |target: &str, path: &str| FileAction::Symlink { target: target.into(), path: path.into() };
    let remove = |path: &str| FileAction::Remove { path: path.into(), allow_missing: false };
    let all = [
        write("/usr/share/current", Chmod::Octal(0o644), None),
        write("/new/dir/", Chmod::Octal(0o600), Some("app")),
        write("/new/file", Chmod::Symbolic("a+x".into()), None),
        link("../x", "/l/ink"),
        link("other", "/srv"),
        remove("/usr/share/data/s*"),
        remove("/usr/share/current"),
    ];
    let new = run(&s, &base, &[], &all).unwrap();
    expect![[r#"
        d 0755 0:0 /
        d 0755 0:0 /l @9
        l 0:0 /l/ink -> ../x @9
        d 0600 1000:1000 /new @9
        d 0600 1000:1000 /new/dir @9
        f 0600 1000:1000 /new/dir/EOF "text\n" @9
        f 0755 0:0 /new/file "text\n" @9
        l 0:0 /srv -> other @9
        d 0755 0:0 /usr
        d 0755 0:0 /usr/share
        w /usr/share/current
        d 0750 0:0 /usr/share/data
        f 0644 0:0 /usr/share/data/EOF "text\n" @9
        w /usr/share/data/sub
    "#]]
    .assert_eq(&s.list(&super::diff(&s.forest, &base, &new).unwrap()));
    assert_eq!(run(&s, &base, &[], &[remove("/none")]).unwrap_err(), "action 0: /none: no such file or directory");
    let lenient = FileAction::Remove { path: "/none/at/all".into(), allow_missing: true };
    assert_eq!(run(&s, &base, &[], &[lenient, remove("/usr/*.none")]).unwrap(), base);
}

#[test]
fn archives() {
    let s = Sandbox::default();
    let base = s.tree(BASE);
    let source = s.tree(
        "f /t.tar tar d 0700 /data;f 0600 5:6 /data/a.txt new;f /current file;f /sub/h #1 h;f /sub/i #1 h
         f /plain p
         f /bad broken",
    );
    let sources = [(base.clone(), SourceKind::Tree), (source, SourceKind::Context)];
    let add = |source: &str, dest: &str, owner: Option<&str>, unpack| {
        FileAction::Copy(Box::new(CopyAction {
            from: 1,
            source: source.into(),
            dest: dest.into(),
            exclude: Vec::new(),
            parents: false,
            link: false,
            owner: owner.map(|o| Owner(o.into())),
            mode: None,
            unpack,
        }))
    };
    let new = run(
        &s,
        &base,
        &sources,
        &[
            add("t.tar", "/usr/share/", None, Unpack::Auto),
            add("t.tar", "/x/y", Some("app"), Unpack::Always),
            add("plain", "/x/plain", None, Unpack::Auto),
            add("t.tar", "/x/", None, Unpack::Never),
        ],
    )
    .unwrap();
    expect![[r#"
        d 0755 0:0 /
        d 0755 0:0 /usr
        d 0755 0:0 /usr/share
        f 0644 0:0 /usr/share/current "file"
        d 0700 0:0 /usr/share/data
        f 0600 5:6 /usr/share/data/a.txt "new"
        d 0755 0:0 /usr/share/sub
        f 0644 0:0 /usr/share/sub/h "h" #1
        f 0644 0:0 /usr/share/sub/i "h" #1
        d 0755 1000:1000 /x @9
        f 0644 0:0 /x/plain "p"
        f 0644 0:0 /x/t.tar "tar d 0700 /data;f 0600 5:6 /data/a.txt new;f /current file;f /sub/h #1 h;f /sub/i #1 h"
        d 0755 1000:1000 /x/y @9
        f 0644 1000:1000 /x/y/current "file"
        d 0700 1000:1000 /x/y/data
        f 0600 1000:1000 /x/y/data/a.txt "new"
        d 0755 1000:1000 /x/y/sub
        f 0644 1000:1000 /x/y/sub/h "h" #2
        f 0644 1000:1000 /x/y/sub/i "h" #2
    "#]]
    .assert_eq(&s.list(&super::diff(&s.forest, &base, &new).unwrap()));
    let fails = |action| run(&s, &base, &sources, &[action]).unwrap_err();
    assert_eq!(fails(add("plain", "/x/", None, Unpack::Always)), "action 0: plain: not a tar archive");
    assert_eq!(fails(add("bad", "/x/", None, Unpack::Auto)), "action 0: cannot extract bad: it is broken");
    assert_eq!(fails(add("t.tar", "/etc/passwd", None, Unpack::Auto)), "action 0: /etc/passwd: not a directory");
    assert_eq!(fails(add("no", "/x", None, Unpack::Auto)), "action 0: \"/no\": not found");
}

#[test]
fn linking_is_one_layer() {
    let s = Sandbox::default();
    let base = s.tree("d 1777 /tmp\nl /x -> tmp");
    let source = s.tree("f /dir/in i\nf /file f");
    let sources = [(base.clone(), SourceKind::Tree), (source, SourceKind::Context)];
    let link = |source: &str, dest: &str| {
        FileAction::Copy(Box::new(CopyAction {
            from: 1,
            source: source.into(),
            dest: dest.into(),
            exclude: Vec::new(),
            parents: false,
            link: true,
            owner: None,
            mode: None,
            unpack: Unpack::Never,
        }))
    };
    let actions =
        [link("dir", "/x"), link("file", "/x"), write("/x", Chmod::Octal(0o644), None), link("file", "/tmp/")];
    let new = run(&s, &base, &sources, &actions).unwrap();
    expect![[r#"
        d 0755 0:0 /
        d 0755 0:0 /tmp @9
        f 0644 0:0 /tmp/file "f"
        d 0755 0:0 /x
        f 0644 0:0 /x/EOF "text\n" @9
        f 0644 0:0 /x/file "f"
        f 0644 0:0 /x/in "i"
    "#]]
    .assert_eq(&s.list(&new));
}
