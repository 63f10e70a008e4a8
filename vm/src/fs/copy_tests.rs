//! What copies do, quirk by quirk. Most expectations are those of the
//! conformance areas `copy` and `add`.

use expect_test::{Expect, expect};
use rbc_ir::{Chmod, CopyAction, Owner, Unpack};

use super::testing::{Sandbox, names};
use super::{CopyError, Editor, Forest, Mtime, Node, Root, SourceKind, copy, diff, selection};

const NOW: Mtime = Mtime { seconds: 9, nanoseconds: 0 };

const CONTEXT: &str = "
    f @3 /a.txt a
    f /b.txt b
    f /c.md c
    f /.dot d
    f /dir/one 1
    f /dir/two.txt 2
    f /dir/.hid h
    f @4 /dir/sub/three 3";

const BASE: &str = "
    f /etc/passwd app:x:1000:1000::/home/app:/bin/sh
    f /usr/share/data/a.txt alpha
    f 0640 0:50 /usr/share/data/b.txt beta
    f /usr/share/data/sub/c.txt gamma
    l /usr/share/current -> data
    l /usr/share/absolute -> /usr/share/data/sub
    l /usr/share/dangling -> nowhere/at/all
    d 1777 /tmp
    d /opt
    l /opt/esc -> ../../../../tmp
    l /opt/abs -> /../../opt";

fn action(source: &str, dest: &str) -> CopyAction {
    CopyAction {
        from: 1,
        source: source.into(),
        dest: dest.into(),
        exclude: Vec::new(),
        parents: false,
        link: false,
        owner: None,
        mode: None,
        unpack: Unpack::Never,
    }
}

struct Case {
    s: Sandbox,
    source: Root,
    root: Root,
}

impl Case {
    fn new(source: &str, base: &str) -> Self {
        let s = Sandbox::default();
        let (source, root) = (s.tree(source), s.tree(base));
        Self { s, source, root }
    }

    fn context() -> Self {
        Self::new(CONTEXT, "")
    }

    fn try_run(&self, action: &CopyAction) -> Result<Root, CopyError> {
        copy(&self.s.forest, &self.s.blobs, &self.root, &self.source, action, SourceKind::Context, NOW)
    }

    fn run(&mut self, action: &CopyAction) -> &mut Self {
        self.root = self.try_run(action).unwrap();
        self
    }

    fn copy(&mut self, source: &str, dest: &str) -> &mut Self {
        self.run(&action(source, dest))
    }

    fn error(&self, source: &str, dest: &str) -> String {
        self.try_run(&action(source, dest)).unwrap_err().to_string()
    }

    fn shows(&self, want: &Expect) {
        want.assert_eq(&self.s.list(&self.root));
    }
}

/// What copies add to a tree.
fn added(case: &Case, base: &Root) -> String {
    case.s.list(&diff(&case.s.forest, base, &case.root).unwrap())
}

#[test]
fn destinations() {
    let mut c = Case::context();
    c.copy("a.txt", "/x/y/").copy("a.txt", "/x/new").copy("dir", "/d").copy("b.txt", "/x").copy("../b.txt", "/up");
    c.shows(&expect![[r#"
        d 0755 0:0 /
        d 0755 0:0 /d
        f 0644 0:0 /d/.hid "h"
        f 0644 0:0 /d/one "1"
        d 0755 0:0 /d/sub
        f 0644 0:0 /d/sub/three "3" @4
        f 0644 0:0 /d/two.txt "2"
        f 0644 0:0 /up "b"
        d 0755 0:0 /x @9
        f 0644 0:0 /x/b.txt "b"
        f 0644 0:0 /x/new "a" @3
        d 0755 0:0 /x/y @9
        f 0644 0:0 /x/y/a.txt "a" @3
    "#]]);
}

#[test]
fn existing_destinations() {
    let mut c = Case::new(CONTEXT, BASE);
    let base = c.root.clone();
    c.copy("a.txt", "/opt").copy("a.txt", "/usr/share/current/via").copy("dir", "/usr/share/absolute/");
    c.copy("a.txt", "/opt/esc/1").copy("b.txt", "/opt/abs/2").copy("c.md", "/usr/share/dangling");
    expect![[r#"
        d 0755 0:0 /
        d 0755 0:0 /opt
        f 0644 0:0 /opt/2 "b"
        f 0644 0:0 /opt/a.txt "a" @3
        d 1777 0:0 /tmp
        f 0644 0:0 /tmp/1 "a" @3
        d 0755 0:0 /usr
        d 0755 0:0 /usr/share
        d 0755 0:0 /usr/share/data
        d 0755 0:0 /usr/share/data/sub
        f 0644 0:0 /usr/share/data/sub/.hid "h"
        f 0644 0:0 /usr/share/data/sub/one "1"
        d 0755 0:0 /usr/share/data/sub/sub
        f 0644 0:0 /usr/share/data/sub/sub/three "3" @4
        f 0644 0:0 /usr/share/data/sub/two.txt "2"
        f 0644 0:0 /usr/share/data/via "a" @3
        d 0755 0:0 /usr/share/nowhere @9
        d 0755 0:0 /usr/share/nowhere/at @9
        f 0644 0:0 /usr/share/nowhere/at/all "c"
    "#]]
    .assert_eq(&added(&c, &base));
}

#[test]
fn wildcards() {
    let mut c = Case::context();
    c.copy("*.txt", "/star/").copy("?.md", "/q/").copy("[ab].txt", "/cls/").copy("d*/t*", "/sub/");
    c.copy(".d*", "/dot/").copy("*", "/flat/").copy("*.nothing", "/none/").copy("*/s*", "/contents");
    c.shows(&expect![[r#"
        d 0755 0:0 /
        d 0755 0:0 /cls @9
        f 0644 0:0 /cls/a.txt "a" @3
        f 0644 0:0 /cls/b.txt "b"
        d 0755 0:0 /contents
        f 0644 0:0 /contents/three "3" @4
        d 0755 0:0 /dot @9
        f 0644 0:0 /dot/.dot "d"
        d 0755 0:0 /flat
        f 0644 0:0 /flat/.dot "d"
        f 0644 0:0 /flat/.hid "h"
        f 0644 0:0 /flat/a.txt "a" @3
        f 0644 0:0 /flat/b.txt "b"
        f 0644 0:0 /flat/c.md "c"
        f 0644 0:0 /flat/one "1"
        d 0755 0:0 /flat/sub
        f 0644 0:0 /flat/sub/three "3" @4
        f 0644 0:0 /flat/two.txt "2"
        d 0755 0:0 /q @9
        f 0644 0:0 /q/c.md "c"
        d 0755 0:0 /star @9
        f 0644 0:0 /star/a.txt "a" @3
        f 0644 0:0 /star/b.txt "b"
        d 0755 0:0 /sub @9
        f 0644 0:0 /sub/two.txt "2"
    "#]]);
}

#[test]
fn escaped_characters() {
    let mut c = Case::new("f /a*b star\nf /a-b minus\nf /back\\slash bs\nf /[x] class", "");
    c.copy("a\\*b", "/1").copy("back\\slash", "/2").copy("[[]x]", "/3").copy("a\\*?", "/4/");
    c.shows(&expect![[r#"
        d 0755 0:0 /
        f 0644 0:0 /1 "star"
        f 0644 0:0 /2 "bs"
        f 0644 0:0 /3 "class"
        d 0755 0:0 /4 @9
        f 0644 0:0 /4/a*b "star"
    "#]]);
}

#[test]
fn links_in_the_source() {
    let mut c = Case::new(
        "f /s/target t
         l /s/rel -> target
         l /s/abs -> /s/subdir/inner
         l /s/dangling -> missing
         f /s/subdir/inner i
         l /s/todir -> subdir
         l /l1 -> l2
         l /l2 -> s/../s/subdir",
        "",
    );
    c.copy("s/rel", "/file").copy("s/todir", "/dir").copy("s/todir/inner", "/inner").copy("s/abs", "/abs");
    c.copy("l1/inner", "/chain").copy("s", "/s").copy("s/r*", "/wild/").copy("s/rel", "/named/");
    c.shows(&expect![[r#"
        d 0755 0:0 /
        f 0644 0:0 /abs "i"
        f 0644 0:0 /chain "i"
        d 0755 0:0 /dir
        f 0644 0:0 /dir/inner "i"
        f 0644 0:0 /file "t"
        f 0644 0:0 /inner "i"
        d 0755 0:0 /named @9
        f 0644 0:0 /named/rel "t"
        d 0755 0:0 /s
        l 0:0 /s/abs -> /s/subdir/inner
        l 0:0 /s/dangling -> missing
        l 0:0 /s/rel -> target
        d 0755 0:0 /s/subdir
        f 0644 0:0 /s/subdir/inner "i"
        f 0644 0:0 /s/target "t"
        l 0:0 /s/todir -> subdir
        d 0755 0:0 /wild @9
        f 0644 0:0 /wild/rel "t"
    "#]]);
    assert_eq!(c.error("s/dangling", "/x"), "\"/s/dangling\": not found");
}

#[test]
fn merging() {
    let mut c = Case::new(
        "d 0700 @5 /data
         f /data/a.txt replaced
         d 0711 1:1 @6 /data/sub
         f /data/sub/new n",
        BASE,
    );
    let base = c.root.clone();
    c.copy("data", "/usr/share/data");
    expect![[r#"
        d 0755 0:0 /
        d 0755 0:0 /usr
        d 0755 0:0 /usr/share
        d 0755 0:0 /usr/share/data @5
        f 0644 0:0 /usr/share/data/a.txt "replaced"
        d 0711 1:1 /usr/share/data/sub @6
        f 0644 0:0 /usr/share/data/sub/new "n"
    "#]]
    .assert_eq(&added(&c, &base));
}

#[test]
fn kinds_that_do_not_fit() {
    let c = Case::new("f /tree/data/a.txt/x x\nf /file f\nf /lnk/current/x x\nf /names/sub s", BASE);
    assert_eq!(c.error("tree", "/usr/share"), "cannot copy to non-directory: /usr/share/data/a.txt");
    assert_eq!(c.error("tree", "/etc/passwd"), "cannot copy to non-directory: /etc/passwd");
    assert_eq!(c.error("lnk", "/usr/share"), "cannot copy to non-directory: /usr/share/current");
    assert_eq!(c.error("names", "/usr/share/data"), "cannot replace to directory /usr/share/data/sub with file");
    assert_eq!(c.error("file", "/etc/passwd/"), "/etc/passwd: not a directory");
    assert_eq!(c.error("file", "/etc/passwd/x"), "/etc/passwd: not a directory");
}

#[test]
fn what_is_missing() {
    let c = Case::new("f /src/main.go m\nf /src/main_test.go t\nf /README.md r", "");
    let near = |source: &str| match c.try_run(&action(source, "/x")) {
        Err(CopyError::SourceMissing { source, near }) => format!("{source}: {}", near.join(", ")),
        other => panic!("{other:?}"),
    };
    assert_eq!(near("src/mian.go"), "/src/mian.go: src/main.go");
    assert_eq!(near("scr/main.go"), "/scr/main.go: src/main.go");
    assert_eq!(near("readme.md"), "/readme.md: README.md");
    assert_eq!(near("nothing/like/it"), "/nothing/like/it: ");
    assert_eq!(near("no/*.go"), "/no: ");
    assert_eq!(c.error("absent.txt", "/x"), "\"/absent.txt\": not found");
    assert_eq!(c.error("[a", "/x"), "`[a`: syntax error in pattern");
}

#[test]
fn owners_and_modes() {
    let mut c = Case::new(CONTEXT, BASE);
    let base = c.root.clone();
    let owned =
        |source: &str, dest: &str, owner: &str| CopyAction { owner: Some(Owner(owner.into())), ..action(source, dest) };
    c.run(&owned("a.txt", "/new/deep/f", "app:7")).run(&owned("b.txt", "/opt/own/f", "app"));
    c.run(&owned("dir", "/unknown", "nobody-knows"));
    c.run(&CopyAction { mode: Some(Chmod::Octal(0o4711)), ..owned("dir", "/m/octal", "5:6") });
    c.run(&CopyAction { mode: Some(Chmod::Symbolic("go-r,u+s".into())), ..action("a.txt", "/m/sym/f") });
    c.run(&CopyAction { mode: Some(Chmod::Symbolic("u=rwX,go=X".into())), ..action("dir", "/m/dirs") });
    expect![[r#"
        d 0755 0:0 /
        d 0711 5:6 /m @9
        d 0755 0:0 /m/dirs
        f 0600 0:0 /m/dirs/.hid "h"
        f 0600 0:0 /m/dirs/one "1"
        d 0711 0:0 /m/dirs/sub
        f 0600 0:0 /m/dirs/sub/three "3" @4
        f 0600 0:0 /m/dirs/two.txt "2"
        d 0711 5:6 /m/octal
        f 4711 5:6 /m/octal/.hid "h"
        f 4711 5:6 /m/octal/one "1"
        d 4711 5:6 /m/octal/sub
        f 4711 5:6 /m/octal/sub/three "3" @4
        f 4711 5:6 /m/octal/two.txt "2"
        d 0755 0:0 /m/sym @9
        f 4600 0:0 /m/sym/f "a" @3
        d 0755 1000:7 /new @9
        d 0755 1000:7 /new/deep @9
        f 0644 1000:7 /new/deep/f "a" @3
        d 0755 0:0 /opt
        d 0755 1000:1000 /opt/own @9
        f 0644 1000:1000 /opt/own/f "b"
        d 0755 0:0 /unknown
        f 0644 0:0 /unknown/.hid "h"
        f 0644 0:0 /unknown/one "1"
        d 0755 0:0 /unknown/sub
        f 0644 0:0 /unknown/sub/three "3" @4
        f 0644 0:0 /unknown/two.txt "2"
    "#]]
    .assert_eq(&added(&c, &base));

    let scratch = Case::context();
    let e = scratch.try_run(&owned("a.txt", "/x", "app")).unwrap_err();
    assert_eq!(e.to_string(), "invalid owner `app`: cannot look up `app`: the file system is empty; use a number");
    let linked = CopyAction { link: true, ..owned("a.txt", "/x", "app") };
    assert!(matches!(Case::new(CONTEXT, BASE).try_run(&linked), Err(CopyError::BadOwner { .. })));
}

#[test]
fn excluding() {
    let mut c = Case::new(&format!("{CONTEXT}\nf /dir/sub/deep/four.txt 4"), "");
    let without = |source: &str, dest: &str, list: &[&str]| CopyAction {
        exclude: list.iter().map(|&p| p.to_owned()).collect(),
        ..action(source, dest)
    };
    c.run(&without(".", "/a/", &["*.txt"])).run(&without("dir", "/b/", &["sub", ".hid"]));
    c.run(&without("dir", "/c/", &["**", "!sub/deep/*.txt"])).run(&without("dir", "/d", &["**/t*", "sub/deep/**"]));
    c.run(&without("*.txt", "/e/", &["*.txt"]));
    c.shows(&expect![[r#"
        d 0755 0:0 /
        d 0755 0:0 /a
        f 0644 0:0 /a/.dot "d"
        f 0644 0:0 /a/c.md "c"
        d 0755 0:0 /a/dir
        f 0644 0:0 /a/dir/.hid "h"
        f 0644 0:0 /a/dir/one "1"
        d 0755 0:0 /a/dir/sub
        d 0755 0:0 /a/dir/sub/deep
        f 0644 0:0 /a/dir/sub/deep/four.txt "4"
        f 0644 0:0 /a/dir/sub/three "3" @4
        f 0644 0:0 /a/dir/two.txt "2"
        d 0755 0:0 /b
        f 0644 0:0 /b/one "1"
        f 0644 0:0 /b/two.txt "2"
        d 0755 0:0 /c
        d 0755 0:0 /c/sub
        d 0755 0:0 /c/sub/deep
        f 0644 0:0 /c/sub/deep/four.txt "4"
        d 0755 0:0 /d
        f 0644 0:0 /d/.hid "h"
        f 0644 0:0 /d/one "1"
        d 0755 0:0 /d/sub
        d 0755 0:0 /d/sub/deep
        d 0755 0:0 /e @9
        f 0644 0:0 /e/a.txt "a" @3
        f 0644 0:0 /e/b.txt "b"
    "#]]);
}

#[test]
fn keeping_parents() {
    let mut c = Case::new(
        "f /dir/sub/three 3
         f /dir/two.txt 2
         f /a.txt a
         d 0700 7:7 @5 /x/y
         f /x/2.txt 2
         f /x/y/k o
         f /x/y/n n
         f /x/y/z/1.txt 1
         d /x/empty",
        "",
    );
    let parents = |source: &str, dest: &str| CopyAction { parents: true, ..action(source, dest) };
    c.run(&parents("dir/sub/three", "/p/")).run(&parents("a.txt", "/p/")).run(&parents("./dir/*.txt", "/q/"));
    c.run(&parents("./x/**/*.txt", "/r/")).run(&parents("./x/./**/k", "/s/")).run(&parents("x/y/./z", "/t/"));
    c.run(&parents("/dir/sub", "/whole/")).run(&parents("*.none", "/u/"));
    c.shows(&expect![[r#"
        d 0755 0:0 /
        d 0755 0:0 /p
        f 0644 0:0 /p/a.txt "a"
        d 0755 0:0 /p/dir
        d 0755 0:0 /p/dir/sub
        f 0644 0:0 /p/dir/sub/three "3"
        d 0755 0:0 /q
        d 0755 0:0 /q/dir
        f 0644 0:0 /q/dir/two.txt "2"
        d 0755 0:0 /r
        d 0755 0:0 /r/x
        f 0644 0:0 /r/x/2.txt "2"
        d 0700 7:7 /r/x/y @5
        d 0755 0:0 /r/x/y/z
        f 0644 0:0 /r/x/y/z/1.txt "1"
        d 0755 0:0 /s
        d 0700 7:7 /s/y @5
        f 0644 0:0 /s/y/k "o"
        d 0755 0:0 /t @5
        d 0755 0:0 /t/z
        f 0644 0:0 /t/z/1.txt "1"
        d 0755 0:0 /u
        d 0755 0:0 /whole
        d 0755 0:0 /whole/dir
        d 0755 0:0 /whole/dir/sub
        f 0644 0:0 /whole/dir/sub/three "3"
    "#]]);
    let e = c.try_run(&parents("x/./missing", "/v/")).unwrap_err();
    assert_eq!(e.to_string(), "\"/x/missing\": not found");
}

#[test]
fn linking() {
    let mut c = Case::new(CONTEXT, BASE);
    let base = c.root.clone();
    let linked = |source: &str, dest: &str| CopyAction { link: true, ..action(source, dest) };
    c.run(&linked("a.txt", "/usr/share/data/a.txt")).run(&linked("dir", "/d/"));
    c.run(&linked("a.txt", "/usr/share/current/x")).run(&linked("dir", "/etc/passwd"));
    c.run(&linked("a.txt", "/usr/share/data/sub"));
    expect![[r#"
        d 0755 0:0 /
        d 0755 0:0 /d
        f 0644 0:0 /d/.hid "h"
        f 0644 0:0 /d/one "1"
        d 0755 0:0 /d/sub
        f 0644 0:0 /d/sub/three "3" @4
        f 0644 0:0 /d/two.txt "2"
        d 0755 0:0 /etc @9
        d 0755 0:0 /etc/passwd (opaque)
        f 0644 0:0 /etc/passwd/.hid "h"
        f 0644 0:0 /etc/passwd/one "1"
        d 0755 0:0 /etc/passwd/sub
        f 0644 0:0 /etc/passwd/sub/three "3" @4
        f 0644 0:0 /etc/passwd/two.txt "2"
        d 0755 0:0 /usr @9
        d 0755 0:0 /usr/share @9
        d 0755 0:0 /usr/share/current (opaque) @9
        f 0644 0:0 /usr/share/current/x "a" @3
        d 0755 0:0 /usr/share/data @9
        f 0644 0:0 /usr/share/data/a.txt "a" @3
        f 0644 0:0 /usr/share/data/sub "a" @3
    "#]]
    .assert_eq(&added(&c, &base));
}

#[test]
fn hard_links_stay_within_one_copy() {
    let mut c = Case::new("f /h/a #1 same\nf /h/d/b #1 same\nf /h/c other\nf /lib/x x", "");
    c.copy("h", "/one").copy("h", "/two").copy("h/a", "/three").copy("h", "/one");
    c.shows(&expect![[r#"
        d 0755 0:0 /
        d 0755 0:0 /one
        f 0644 0:0 /one/a "same" #1
        f 0644 0:0 /one/c "other"
        d 0755 0:0 /one/d
        f 0644 0:0 /one/d/b "same" #1
        f 0644 0:0 /three "same"
        d 0755 0:0 /two
        f 0644 0:0 /two/a "same" #2
        f 0644 0:0 /two/c "other"
        d 0755 0:0 /two/d
        f 0644 0:0 /two/d/b "same" #2
    "#]]);
}

#[test]
fn a_whole_tree_is_taken_by_reference() {
    let mut c = Case::new(CONTEXT, "");
    c.copy("/", "/");
    assert_eq!(c.root.dir, c.source.dir);
    c.copy("dir", "/again");
    let again = c.s.forest.dir(&c.root.dir.id).unwrap().get(b"again").unwrap().clone();
    let dir = c.s.forest.dir(&c.source.dir.id).unwrap().get(b"dir").unwrap().clone();
    assert_eq!(again.node, dir.node);
    assert_eq!(again.meta.mtime, dir.meta.mtime);
}

/// Changes something of a source and tells whether the key notices.
fn notices(action: &CopyAction, change: impl Fn(&Sandbox, &mut Editor<'_>)) -> bool {
    let s = Sandbox::default();
    let before = s.tree(CONTEXT);
    let mut e = Editor::new(&s.forest, &before).unwrap();
    change(&s, &mut e);
    let after = e.finish().unwrap();
    assert_ne!(before, after);
    let key = |root: &Root| selection(&s.forest, root, action, SourceKind::Context).unwrap();
    key(&before) != key(&after)
}

#[test]
fn keys_cover_what_is_taken() {
    let write =
        |path: &'static str| move |s: &Sandbox, e: &mut Editor<'_>| e.set(&names(path), s.file("changed")).unwrap();
    let rename = |from: &'static str, to: &'static str| {
        move |s: &Sandbox, e: &mut Editor<'_>| {
            assert!(e.remove(&names(from)).unwrap());
            e.set(&names(to), s.file(if from.ends_with("one") { "1" } else { "a" })).unwrap();
        }
    };
    let touch = |s: &Sandbox, e: &mut Editor<'_>| {
        let mut file = s.file("1");
        file.meta.mtime = NOW;
        e.set(&names("/dir/one"), file).unwrap();
        e.change_dir(&names("/dir"), |m| m.mtime = NOW).unwrap();
    };
    let dir = action("dir", "/d");
    assert!(notices(&dir, write("/dir/sub/three")));
    assert!(notices(&dir, rename("/dir/one", "/dir/uno")));
    assert!(!notices(&dir, write("/a.txt")));
    assert!(!notices(&dir, touch), "times do not count");
    assert!(notices(&dir, |_, e| e.change_dir(&names("/dir/sub"), |m| m.mode = 0o700).unwrap()));
    assert!(!notices(&dir, |_, e| e.change_dir(&names("/dir"), |m| m.mode = 0o700).unwrap()), "only its contents");

    let wild = action("*.txt", "/w/");
    assert!(notices(&wild, write("/b.txt")));
    assert!(notices(&wild, rename("/a.txt", "/z.txt")));
    assert!(notices(&wild, write("/new.txt")));
    assert!(!notices(&wild, write("/c.md")));

    let some = CopyAction { exclude: vec!["**/t*".into()], ..action("dir", "/d") };
    assert!(!notices(&some, write("/dir/two.txt")));
    assert!(!notices(&some, write("/dir/sub/three")));
    assert!(notices(&some, write("/dir/sub/other")));
    assert!(notices(&some, write("/dir/one")));

    let parents = CopyAction { parents: true, ..action("dir/**/t*", "/d/") };
    assert!(notices(&parents, write("/dir/sub/three")));
    assert!(!notices(&parents, write("/dir/one")));
    assert!(notices(&parents, |_, e| e.change_dir(&names("/dir/sub"), |m| m.mode = 0o700).unwrap()));
}

#[test]
fn sockets_and_devices() {
    let mut c = Case::new("c 0666 /x/null\np /x/pipe\nf /x/plain p", "");
    c.copy("/x", "/x").copy("/x/null", "/null");
    assert!(matches!(c.s.forest.dir(&c.root.dir.id).unwrap().get(b"null").unwrap().node, Node::Char(_)));
}
