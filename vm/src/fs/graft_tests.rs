//! Grafts against a model that knows no subtrees: a map from paths to entries.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::graft::{Filter, Graft, Transform};
use super::ignore::Patterns;
use super::random::{plant, root};
use super::{DirRef, Entry, Forest, MemoryForest, Node, Root};

type Model = BTreeMap<Vec<u8>, Entry>;

/// Forgets what directories hold: their paths say that.
fn shallow(entry: &Entry) -> Entry {
    let none = DirRef { id: super::TreeId([0; 32]), content: super::ContentId([0; 32]), opaque: false };
    match entry.node {
        Node::Dir(_) => Entry { meta: entry.meta.clone(), node: Node::Dir(none) },
        _ => entry.clone(),
    }
}

fn model(forest: &MemoryForest, root: &Root) -> Model {
    fn add(forest: &MemoryForest, dir: &DirRef, at: &[u8], model: &mut Model) {
        for (name, entry) in forest.dir(&dir.id).unwrap().entries() {
            let path = if at.is_empty() { name.to_vec() } else { [at, b"/", name].concat() };
            model.insert(path.clone(), shallow(entry));
            if let Node::Dir(sub) = &entry.node {
                add(forest, sub, &path, model);
            }
        }
    }
    let mut model = Model::new();
    add(forest, &root.dir, b"", &mut model);
    model
}

fn unlinked(mut model: Model) -> Model {
    for entry in model.values_mut() {
        if let Node::File(file) = &mut entry.node {
            file.link = 0;
        }
    }
    model
}

fn graft(
    forest: &MemoryForest,
    dest: Option<&Root>,
    source: &Root,
    filter: &Filter,
    transform: &Transform,
) -> Option<Root> {
    let graft = Graft { forest, transform, filter, dest: &[] };
    let dir = graft.merge(dest.map(|d| &d.dir), &source.dir).ok()?;
    Some(Root { meta: source.meta.clone(), dir })
}

fn patterns() -> impl Strategy<Value = Vec<String>> {
    let part = prop_oneof![3 => "[a-e]", 1 => Just("*".to_owned()), 1 => Just("**".to_owned())];
    let pattern = (any::<bool>(), prop::collection::vec(part, 1..4))
        .prop_map(|(not, parts)| format!("{}{}", if not { "!" } else { "" }, parts.join("/")));
    prop::collection::vec(pattern, 1..4)
}

/// What of a tree some patterns take: entries they take, and the directories
/// that lead there.
fn taken(all: &Model, takes: impl Fn(&[u8]) -> bool) -> Model {
    let mut out = Model::new();
    for path in all.keys().filter(|path| takes(path)) {
        for end in path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(i, _)| i).chain([path.len()]) {
            out.insert(path[..end].to_vec(), all[&path[..end]].clone());
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn exclusion_is_judged_path_by_path(tree in root(), list in patterns()) {
        let forest = MemoryForest::default();
        let source = plant(&forest, &tree);
        let patterns = Patterns::new(&list).unwrap();
        let filter = Filter { include: None, exclude: Some(patterns.clone()) };
        let got = graft(&forest, None, &source, &filter, &Transform::default()).unwrap();
        let want = taken(&model(&forest, &source), |path| !patterns.matches(path));
        prop_assert_eq!(unlinked(model(&forest, &got)), unlinked(want));
    }

    #[test]
    fn inclusion_is_judged_path_by_path(tree in root(), list in patterns(), not in patterns()) {
        let forest = MemoryForest::default();
        let source = plant(&forest, &tree);
        let (patterns, exclude) = (Patterns::new(&list).unwrap(), Patterns::new(&not).unwrap());
        let filter = Filter { include: Some(patterns.clone()), exclude: Some(exclude.clone()) };
        let got = graft(&forest, None, &source, &filter, &Transform::default()).unwrap();
        let want = taken(&model(&forest, &source), |path| patterns.matches(path) && !exclude.matches(path));
        prop_assert_eq!(unlinked(model(&forest, &got)), unlinked(want));

        // What a key sees is what arrives.
        let mut seen = Model::new();
        let mut whole = Vec::new();
        filter.visit(&forest, &source.dir, &mut |path, entry, all| {
            seen.insert(path.to_vec(), shallow(entry));
            if all {
                whole.push([path, b"/"].concat());
            }
        }).unwrap();
        let arrived = model(&forest, &got);
        for (path, entry) in &arrived {
            let covered = whole.iter().any(|dir| path.starts_with(dir));
            prop_assert!(covered || seen.contains_key(path), "{:?} {:?}", path, entry);
        }
        prop_assert!(seen.keys().all(|path| arrived.contains_key(path)));
    }

    #[test]
    fn merging_puts_entries_over_entries(dest in root(), tree in root(), owner in prop::option::of((3..5u32, 3..5u32))) {
        let forest = MemoryForest::default();
        let (dest, source) = (plant(&forest, &dest), plant(&forest, &tree));
        let transform = Transform { owner, ..Transform::default() };
        let got = graft(&forest, Some(&dest), &source, &Filter::default(), &transform);
        let (old, new) = (model(&forest, &dest), model(&forest, &source));
        let is_dir = |e: &Entry| e.is_dir();
        let clash = new.iter().any(|(path, e)| old.get(path).is_some_and(|o| is_dir(o) != is_dir(e)));
        prop_assert_eq!(got.is_none(), clash);
        if let Some(got) = got {
            let mut want = old;
            for (path, mut entry) in new {
                if let Some((uid, gid)) = owner {
                    (entry.meta.uid, entry.meta.gid) = (uid, gid);
                }
                want.insert(path, entry);
            }
            prop_assert_eq!(unlinked(model(&forest, &got)), unlinked(want));
        }
    }

    #[test]
    fn link_groups_survive_and_stay_apart(tree in root()) {
        let forest = MemoryForest::default();
        let source = plant(&forest, &tree);
        let at = |salt: u8| {
            let transform = Transform { salt: [salt; 32], ..Transform::default() };
            model(&forest, &graft(&forest, None, &source, &Filter::default(), &transform).unwrap())
        };
        let link = |e: &Entry| if let Node::File(f) = &e.node { f.link } else { 0 };
        let (old, one, two) = (model(&forest, &source), at(1), at(2));
        for (path, entry) in &old {
            prop_assert_eq!(link(entry) == 0, link(&one[path]) == 0);
            for (other, entry2) in &old {
                let same = link(entry) == link(entry2);
                prop_assert_eq!(same, link(&one[path]) == link(&one[other]));
                prop_assert!(link(&one[path]) == 0 || link(&one[path]) != link(&two[other]));
            }
        }
    }
}
