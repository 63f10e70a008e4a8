//! Lays a difference over a tree, as the OCI image specification says
//! ("Applying Changesets"): an entry replaces what has its name, except that
//! two directories are merged and the upper one's metadata counts; a whiteout
//! removes; an opaque directory hides what was below.
//!
//! Differences come from outside, too: whiteouts of names that do not exist,
//! and whiteouts within new directories, do nothing.

use std::sync::Arc;

use super::forest::{Forest, TreeError};
use super::tree::{Dir, DirRef, Entry, Name, Node, Root};

/// Returns `lower` with `changes` laid over it. The root takes over the
/// metadata of `changes`. The result has neither whiteouts nor opaque
/// directories if `lower` has none.
///
/// # Errors
///
/// If a directory is missing.
pub fn apply(forest: &dyn Forest, lower: &Root, changes: &Root) -> Result<Root, TreeError> {
    Ok(Root { meta: changes.meta.clone(), dir: over(forest, Some(&lower.dir), &changes.dir)? })
}

fn over(forest: &dyn Forest, lower: Option<&DirRef>, changes: &DirRef) -> Result<DirRef, TreeError> {
    let Some(lower) = lower.filter(|_| !changes.opaque) else { return alone(forest, changes) };
    let (below, above) = (forest.dir(&lower.id)?, forest.dir(&changes.id)?);
    if above.entries().is_empty() {
        return Ok(*lower);
    }
    let mut merged: Vec<(Name, Entry)> = Vec::with_capacity(below.entries().len() + above.entries().len());
    let mut old = below.entries().iter().peekable();
    for (name, new) in above.entries() {
        while let Some(kept) = old.next_if(|(n, _)| n < name) {
            merged.push(kept.clone());
        }
        let old = old.next_if(|(n, _)| n == name).and_then(|(_, e)| e.as_dir());
        match &new.node {
            Node::Whiteout => {}
            Node::Dir(dir) => {
                let node = Node::Dir(over(forest, old, dir)?);
                merged.push((name.clone(), Entry { meta: new.meta.clone(), node }));
            }
            _ => merged.push((name.clone(), new.clone())),
        }
    }
    merged.extend(old.cloned());
    Ok(DirRef { opaque: lower.opaque, ..forest.make(merged)?.reference() })
}

/// Returns a directory of a difference with nothing below it.
fn alone(forest: &dyn Forest, changes: &DirRef) -> Result<DirRef, TreeError> {
    if !forest.totals(&changes.id)?.has_whiteouts {
        return Ok(DirRef { opaque: false, ..*changes });
    }
    let dir: Arc<Dir> = forest.dir(&changes.id)?;
    let mut entries = Vec::with_capacity(dir.entries().len());
    for (name, entry) in dir.entries() {
        let node = match &entry.node {
            Node::Whiteout => continue,
            Node::Dir(dir) => Node::Dir(alone(forest, dir)?),
            node => node.clone(),
        };
        entries.push((name.clone(), Entry { meta: entry.meta.clone(), node }));
    }
    Ok(forest.make(entries)?.reference())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::fs::random::{plant, root};
    use crate::fs::testing::{Sandbox, names};
    use crate::fs::{Editor, MemoryForest, diff};

    #[test]
    fn layers_from_outside() {
        let s = Sandbox::default();
        let lower = s.tree(
            "f /keep/a 1
             f /keep/b 2
             f /gone/x 3
             f /opaque/old/f 4
             f /swap-dir/in 5
             f /swap-file 6
             f /under-file/x 7",
        );
        let layer = s.tree(
            "d 0700 /keep
             w /keep/b
             w /keep/never-was
             w /gone
             w /absent
             f /opaque/new n
             f /swap-dir file
             d /swap-file
             f /swap-file/in 7
             w /swap-file/odd
             d /fresh
             w /fresh/odd
             l /under-file -> keep",
        );
        let mut e = Editor::new(&s.forest, &layer).unwrap();
        let opaque = s.forest.dir(&layer.dir.id).unwrap().get(b"opaque").unwrap().clone();
        let Entry { meta, node: Node::Dir(dir) } = opaque else { panic!() };
        e.set(&names("/opaque"), Entry { meta, node: Node::Dir(DirRef { opaque: true, ..dir }) }).unwrap();
        let layer = e.finish().unwrap();
        let new = apply(&s.forest, &lower, &layer).unwrap();
        expect![[r#"
            d 0755 0:0 /
            d 0755 0:0 /fresh
            d 0700 0:0 /keep
            f 0644 0:0 /keep/a "1"
            d 0755 0:0 /opaque
            f 0644 0:0 /opaque/new "n"
            f 0644 0:0 /swap-dir "file"
            d 0755 0:0 /swap-file
            f 0644 0:0 /swap-file/in "7"
            l 0:0 /under-file -> keep
        "#]]
        .assert_eq(&s.list(&new));
        assert!(!s.forest.totals(&new.dir.id).unwrap().has_whiteouts);
    }

    proptest! {
        #[test]
        fn a_difference_leads_from_lower_to_upper(lower in root(), upper in root()) {
            let forest = MemoryForest::default();
            let (lower, upper) = (plant(&forest, &lower), plant(&forest, &upper));
            let changes = diff(&forest, &lower, &upper).unwrap();
            prop_assert_eq!(&apply(&forest, &lower, &changes).unwrap(), &upper);
            let again = diff(&forest, &upper, &apply(&forest, &upper, &changes).unwrap()).unwrap();
            prop_assert!(forest.dir(&again.dir.id).unwrap().entries().is_empty(), "applying twice changes nothing");
        }

        #[test]
        fn nothing_differs_from_itself(tree in root()) {
            let forest = MemoryForest::default();
            let root = plant(&forest, &tree);
            let none = diff(&forest, &root, &root).unwrap();
            prop_assert!(forest.dir(&none.dir.id).unwrap().entries().is_empty());
            prop_assert_eq!(apply(&forest, &root, &none).unwrap(), root);
        }

        #[test]
        fn a_difference_from_nothing_is_the_tree(tree in root()) {
            let forest = MemoryForest::default();
            let root = plant(&forest, &tree);
            prop_assert_eq!(diff(&forest, &forest.empty(), &root).unwrap(), root);
        }

        #[test]
        fn differences_chain(a in root(), b in root(), c in root()) {
            let forest = MemoryForest::default();
            let (a, b, c) = (plant(&forest, &a), plant(&forest, &b), plant(&forest, &c));
            let (ab, bc) = (diff(&forest, &a, &b).unwrap(), diff(&forest, &b, &c).unwrap());
            let once = apply(&forest, &apply(&forest, &a, &ab).unwrap(), &bc).unwrap();
            prop_assert_eq!(once, c);
        }
    }
}
