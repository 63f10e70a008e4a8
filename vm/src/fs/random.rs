//! Random trees, for property tests.

use proptest::prelude::*;

use super::{Entry, FileRef, Forest, MemoryForest, Meta, Node, Root};

fn meta() -> impl Strategy<Value = Meta> {
    (prop_oneof![Just(0o755), Just(0o700)], 0..2u32).prop_map(|(mode, uid)| Meta { mode, uid, ..Meta::default() })
}

#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Dir(Meta, Vec<(u8, Tree)>),
    Leaf(Entry),
}

fn tree(deep: u32) -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        4 => (meta(), 0..3u8, 0..3u64).prop_map(|(meta, text, link)| Entry {
            meta,
            node: Node::File(FileRef { blob: rbc_ir::Digest::of(&[text]), size: 1, link }),
        }),
        1 => (meta(), "[ab]").prop_map(|(meta, to)| Entry { meta, node: Node::Symlink(to.as_bytes().into()) }),
        1 => meta().prop_map(|meta| Entry { meta, node: Node::Fifo }),
    ];
    leaf.prop_map(Tree::Leaf).prop_recursive(deep, 48, 5, |inner| {
        (meta(), prop::collection::vec((b'a'..b'f', inner), 0..5)).prop_map(|(meta, list)| Tree::Dir(meta, list))
    })
}

fn build(forest: &MemoryForest, tree: &Tree) -> Entry {
    match tree {
        Tree::Leaf(entry) => entry.clone(),
        Tree::Dir(meta, list) => {
            let entries = list.iter().map(|(n, t)| (Box::from([*n].as_slice()), build(forest, t))).collect();
            Entry { meta: meta.clone(), node: Node::Dir(forest.make(entries).unwrap().reference()) }
        }
    }
}

/// Small random trees over few names, so that they have much in common.
pub(crate) fn root() -> impl Strategy<Value = Tree> {
    (meta(), prop::collection::vec((b'a'..b'f', tree(4)), 0..5)).prop_map(|(meta, list)| Tree::Dir(meta, list))
}

pub(crate) fn plant(forest: &MemoryForest, tree: &Tree) -> Root {
    match build(forest, tree) {
        Entry { meta, node: Node::Dir(dir) } => Root { meta, dir },
        _ => unreachable!(),
    }
}
