//! The difference of two trees: what a layer holds.

use super::deep::deeper;
use super::forest::{Forest, TreeError};
use super::tree::{DirRef, Entry, Meta, Name, Node, Root};

/// Returns what must be laid over `lower` to get `upper`, as a tree with
/// whiteouts. Only changed paths and the directories that lead to them
/// appear; a directory whose metadata alone changed appears without entries.
/// Subtrees with equal ids are not opened. A directory is opaque only where
/// it takes the place of something that is none, so that nothing of what a
/// still lower layer may have there shines through.
///
/// The root's metadata is that of `upper`, always.
///
/// # Errors
///
/// If a directory is missing.
pub fn diff(forest: &dyn Forest, lower: &Root, upper: &Root) -> Result<Root, TreeError> {
    difference(forest, lower, upper, &|_, _| false)
}

/// As [`diff`], but leaves out what BuildKit's differ takes for unchanged
/// (`util/overlay`: `sameDirent`): files that only have other names now, and
/// directories where nothing but the time is new.
///
/// # Errors
///
/// If a directory is missing.
pub fn layer_diff(forest: &dyn Forest, lower: &Root, upper: &Root) -> Result<Root, TreeError> {
    difference(forest, lower, upper, &looks_the_same)
}

/// What else counts as unchanged. Of directories only the metadata is asked
/// for, after nothing was found to have changed below.
type Same<'a> = &'a (dyn Fn(&Entry, &Entry) -> bool + Sync);

fn looks_the_same(old: &Entry, new: &Entry) -> bool {
    match (&old.node, &new.node) {
        (Node::Dir(_), Node::Dir(_)) => Meta { mtime: new.meta.mtime, ..old.meta.clone() } == new.meta,
        (Node::File(a), Node::File(b)) => old.meta == new.meta && a.blob == b.blob,
        _ => false,
    }
}

fn difference(forest: &dyn Forest, lower: &Root, upper: &Root, same: Same<'_>) -> Result<Root, TreeError> {
    let dir = if lower.dir.id == upper.dir.id {
        forest.make(Vec::new())?.reference()
    } else {
        diff_dirs(forest, &lower.dir, &upper.dir, same, 0)?
    };
    Ok(Root { meta: upper.meta.clone(), dir })
}

fn diff_dirs(
    forest: &dyn Forest,
    lower: &DirRef,
    upper: &DirRef,
    same: Same<'_>,
    level: usize,
) -> Result<DirRef, TreeError> {
    let nothing = forest.make(Vec::new())?.reference();
    let (lower, upper) = (forest.dir(&lower.id)?, forest.dir(&upper.id)?);
    let mut changes: Vec<(Name, Entry)> = Vec::new();
    let mut old = lower.entries().iter().peekable();
    for (name, new) in upper.entries() {
        while let Some((gone, _)) = old.next_if(|(n, _)| n < name) {
            changes.push((gone.clone(), whiteout()));
        }
        let old = old.next_if(|(n, _)| n == name).map(|(_, e)| e);
        if old == Some(new) {
            continue;
        }
        let node = match (old.map(|e| &e.node), &new.node) {
            (Some(Node::Dir(old)), Node::Dir(new)) if old.id == new.id => Node::Dir(nothing),
            (Some(Node::Dir(old)), Node::Dir(new)) => {
                Node::Dir(deeper(level + 1, || diff_dirs(forest, old, new, same, level + 1))?)
            }
            (Some(_), Node::Dir(new)) => Node::Dir(DirRef { opaque: true, ..*new }),
            (_, node) => node.clone(),
        };
        let nothing_below = !matches!(&node, Node::Dir(dir) if *dir != nothing);
        if nothing_below && old.is_some_and(|old| same(old, new)) {
            continue;
        }
        changes.push((name.clone(), Entry { meta: new.meta.clone(), node }));
    }
    changes.extend(old.map(|(gone, _)| (gone.clone(), whiteout())));
    Ok(forest.make(changes)?.reference())
}

fn whiteout() -> Entry {
    Entry { meta: Meta::default(), node: Node::Whiteout }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::fs::testing::Sandbox;

    #[test]
    fn only_what_changed() {
        let s = Sandbox::default();
        let lower = s.tree(
            "f /same/a 1
             f /mixed/kept 1
             f /mixed/gone 2
             f /mixed/sub/x 3
             d 0755 /meta
             f /meta/child 4
             f /file-to-dir 5
             f /dir-to-file/x 6
             f /links/a #7 7
             f /links/b #7 7",
        );
        let upper = s.tree(
            "f /same/a 1
             f /mixed/kept 1
             f /mixed/sub/x 3
             f /mixed/sub/y new
             d 0700 /meta
             f /meta/child 4
             f /file-to-dir/in 5
             f /dir-to-file 6
             f /links/a #7 7
             f /links/b #7 7
             f /links/c #7 7",
        );
        let d = diff(&s.forest, &lower, &upper).unwrap();
        expect![[r##"
            d 0755 0:0 /
            f 0644 0:0 /dir-to-file "6"
            d 0755 0:0 /file-to-dir (opaque)
            f 0644 0:0 /file-to-dir/in "5"
            d 0755 0:0 /links
            f 0644 0:0 /links/c "7" #1
            d 0700 0:0 /meta
            d 0755 0:0 /mixed
            w /mixed/gone
            d 0755 0:0 /mixed/sub
            f 0644 0:0 /mixed/sub/y "new"
        "##]]
        .assert_eq(&s.list(&d));
    }

    #[test]
    fn what_a_layer_leaves_out() {
        let s = Sandbox::default();
        let lower = s.tree(
            "d /touched
             f /touched/x 1
             d /mode
             f /one 1
             f /a #7 7
             f /b #7 7",
        );
        let upper = s.tree(
            "d @5 /touched
             f /touched/x 1
             d 0700 @5 /mode
             f /one #1 1
             f /new #1 1
             f /a #8 7
             f /b #7 7
             f /c #8 7",
        );
        let d = layer_diff(&s.forest, &lower, &upper).unwrap();
        expect![[r#"
            d 0755 0:0 /
            f 0644 0:0 /c "7" #1
            d 0700 0:0 /mode @5
            f 0644 0:0 /new "1" #2
        "#]]
        .assert_eq(&s.list(&d));
        let d = diff(&s.forest, &lower, &upper).unwrap();
        expect![[r#"
            d 0755 0:0 /
            f 0644 0:0 /a "7" #1
            f 0644 0:0 /c "7" #1
            d 0700 0:0 /mode @5
            f 0644 0:0 /new "1" #2
            f 0644 0:0 /one "1" #2
            d 0755 0:0 /touched @5
        "#]]
        .assert_eq(&s.list(&d));
    }

    /// A forest that tells which directories were opened.
    struct Watched<'a>(&'a Sandbox, std::sync::Mutex<Vec<super::super::TreeId>>);

    impl Forest for Watched<'_> {
        fn dir(&self, id: &super::super::TreeId) -> Result<std::sync::Arc<super::super::Dir>, TreeError> {
            self.1.lock().unwrap().push(*id);
            self.0.forest.dir(id)
        }
        fn keep(&self, dir: super::super::Dir) -> std::sync::Arc<super::super::Dir> {
            self.0.forest.keep(dir)
        }
        fn totals(&self, id: &super::super::TreeId) -> Result<super::super::Totals, TreeError> {
            self.0.forest.totals(id)
        }
    }

    #[test]
    fn equal_subtrees_are_not_opened() {
        let s = Sandbox::default();
        let lower = s.tree("f /big/a/b/c 1\nf /etc/x 1");
        let upper = s.tree("f /big/a/b/c 1\nf /etc/x 2");
        let w = Watched(&s, std::sync::Mutex::default());
        diff(&w, &lower, &upper).unwrap();
        assert_eq!(w.1.into_inner().unwrap().len(), 4, "two roots and two etc");
    }
}
