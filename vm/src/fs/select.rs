//! What a copy takes of its source: paths and patterns to entries, and the
//! digest that a cache key has for it.

use rbc_ir::{CopyAction, Digest};

use super::copy::{CopyError, SourceKind};
use super::deep::deeper;
use super::forest::{Forest, TreeError};
use super::glob::{Automaton, has_wildcards};
use super::graft::Filter;
use super::ignore::Patterns;
use super::path::{Follow, clean, display, join, locate};
use super::tree::{DirRef, Entry, Meta, Name, Node, Root};

/// One path that a source names, links followed.
#[derive(Clone, Debug)]
pub(crate) struct Selected {
    /// Its last name as it was written or matched: what it is called if it
    /// goes into a directory.
    pub(crate) base: Name,
    /// What is there.
    pub(crate) entry: Entry,
}

/// All that an action's source names.
#[derive(Clone, Debug)]
pub(crate) struct Selecting {
    pub(crate) items: Vec<Selected>,
    pub(crate) filter: Filter,
}

/// What an action takes of its source, as far as caches must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Selection {
    /// Covers names relative to where they land, kinds, modes, owners,
    /// attributes and contents; no times, and nothing that is not taken.
    pub digest: Digest,
}

/// Computes the digest of what an action takes of its source. Subtrees that
/// are taken whole are not opened. The base name of a file or of what a
/// wildcard matches counts (BuildKit reduces a source to it, too), the path
/// that leads there does not.
///
/// # Errors
///
/// As [`copy`](fn@super::copy), for what concerns the source.
pub fn selection(
    forest: &dyn Forest,
    source: &Root,
    action: &CopyAction,
    kind: SourceKind,
) -> Result<Selection, CopyError> {
    let selecting = select(forest, source, action, kind)?;
    let mut text = Vec::new();
    for item in &selecting.items {
        match &item.entry.node {
            Node::Dir(dir) if selecting.filter.is_trivial() => {
                text.push(b'D');
                text.extend_from_slice(&dir.content.0);
            }
            Node::Dir(dir) => {
                text.push(b'P');
                selecting.filter.visit(forest, dir, &mut |path, entry, whole| {
                    let entry = if whole { entry.clone() } else { alone(entry) };
                    text.push(b'e');
                    super::encode::content(&mut text, path, &entry);
                })?;
                text.push(b'.');
            }
            _ => {
                text.push(b'F');
                super::encode::content(&mut text, &item.base, &item.entry);
            }
        }
    }
    Ok(Selection { digest: Digest::of(&text) })
}

/// Returns a directory without its contents.
fn alone(entry: &Entry) -> Entry {
    let nothing = DirRef { id: super::TreeId([0; 32]), content: super::ContentId([0; 32]), opaque: false };
    Entry { meta: entry.meta.clone(), node: Node::Dir(nothing) }
}

/// Finds what an action's source names. Wildcards that match nothing give
/// nothing; a literal path must exist.
pub(crate) fn select(
    forest: &dyn Forest,
    source: &Root,
    action: &CopyAction,
    kind: SourceKind,
) -> Result<Selecting, CopyError> {
    let mut path = action.source.as_str();
    let mut include = None;
    if action.parents {
        // `convert_copy.go`: what follows the pivot becomes a pattern below
        // what precedes it; without one, below the root.
        let (top, pattern) = path.split_once("/./").unwrap_or(("/", path));
        let pattern = join(&clean(pattern.as_bytes()));
        if !has_wildcards(top.as_bytes()) && !has_wildcards(&pattern) {
            let required = [top.as_bytes(), b"/", pattern.as_slice()].concat();
            require(forest, source, &required, Follow::Parents, kind)?;
        }
        path = top;
        if !pattern.is_empty() {
            let pattern = String::from_utf8_lossy(&pattern).into_owned();
            include = Some(Patterns::new([pattern])?);
        }
    }
    let exclude = if action.exclude.is_empty() { None } else { Some(Patterns::new(&action.exclude)?) };
    let filter = Filter { include, exclude };

    let names = clean(path.as_bytes());
    let fixed = names.iter().position(|name| has_wildcards(name)).unwrap_or(names.len());
    let (literal, pattern) = names.split_at(fixed);
    let literal = existing(forest, source, literal)?;
    let literal_path = join(&literal);
    if pattern.is_empty() {
        let found = require(forest, source, &literal_path, Follow::Last, kind)?;
        let base = literal.last().cloned().unwrap_or_default();
        return Ok(Selecting { items: vec![Selected { base, entry: found }], filter });
    }
    let automaton = Automaton::shallow(&join(pattern))?;
    let base = require(forest, source, &literal_path, Follow::Last, kind)?;
    let mut items = Vec::new();
    if let Node::Dir(dir) = &base.node {
        let start = locate(forest, source, &literal_path, Follow::Last)?.names;
        let mut matched = Vec::new();
        walk(forest, dir, &automaton, &mut Vec::new(), &mut matched)?;
        for (names, entry) in matched {
            let Some(base) = names.last().cloned() else { continue };
            // Only a link must be looked up again: the walk does not follow.
            let entry = if let Node::Symlink(_) = entry.node {
                let path = join(&start.iter().chain(&names).collect::<Vec<_>>());
                require(forest, source, &path, Follow::Last, kind)?
            } else {
                entry
            };
            items.push(Selected { base, entry });
        }
    }
    Ok(Selecting { items, filter })
}

/// Returns the names of a path without wildcards. A `\\` that takes the magic
/// of the next character away is dropped, unless the path exists with it
/// (BuildKit never drops it, so that there no such file can be copied).
fn existing(forest: &dyn Forest, source: &Root, names: &[&[u8]]) -> Result<Vec<Name>, CopyError> {
    let written: Vec<Name> = names.iter().map(|name| Name::from(*name)).collect();
    if !names.iter().any(|name| name.contains(&b'\\')) {
        return Ok(written);
    }
    if locate(forest, source, &join(&written), Follow::Parents)?.missing == 0 {
        return Ok(written);
    }
    let plain: Vec<Name> = names
        .iter()
        .map(|name| {
            let mut bytes = name.iter();
            std::iter::from_fn(|| match bytes.next()? {
                b'\\' => Some(*bytes.next().unwrap_or(&b'\\')),
                b => Some(*b),
            })
            .collect()
        })
        .collect();
    let found = locate(forest, source, &join(&plain), Follow::Parents)?.missing == 0;
    Ok(if found { plain } else { written })
}

/// Finds the paths below a directory that match, in the order of their
/// bytes, without following links and without looking below a match.
pub(crate) fn walk(
    forest: &dyn Forest,
    dir: &DirRef,
    pattern: &Automaton,
    at: &mut Vec<Name>,
    matched: &mut Vec<(Vec<Name>, Entry)>,
) -> Result<(), TreeError> {
    let kept = forest.dir(&dir.id)?;
    for (name, entry) in kept.entries() {
        at.push(name.clone());
        let mut path = join(at);
        if pattern.matches(&path) {
            matched.push((at.clone(), entry.clone()));
        } else if let Node::Dir(sub) = &entry.node {
            path.push(b'/');
            if pattern.could_match_beyond(&path) {
                deeper(at.len(), || walk(forest, sub, pattern, at, matched))?;
            }
        }
        at.pop();
    }
    Ok(())
}

fn require(
    forest: &dyn Forest,
    source: &Root,
    path: &[u8],
    follow: Follow,
    kind: SourceKind,
) -> Result<Entry, CopyError> {
    let found = locate(forest, source, path, follow)?;
    if let Some(entry) = found.entry {
        return Ok(entry);
    }
    let there = found.names.len().saturating_sub(found.missing);
    let (parents, absent) = found.names.split_at_checked(there).unwrap_or_default();
    let mut near = Vec::new();
    if let Some(wanted) = absent.first() {
        let dir = locate(forest, source, &join(parents), Follow::Parents)?.entry;
        if let Some(Entry { node: Node::Dir(dir), .. }) = dir {
            let kept = forest.dir(&dir.id)?;
            let rest = absent.get(1..).unwrap_or_default();
            for name in similar(wanted, kept.entries().iter().map(|(name, _)| name)) {
                let mut whole = parents.to_vec();
                whole.push(name.clone());
                // Suggests the same path below a similar directory, if it is there.
                let mut deeper = whole.clone();
                deeper.extend_from_slice(rest);
                if locate(forest, source, &join(&deeper), Follow::Last)?.missing == 0 {
                    whole = deeper;
                }
                near.push(match kind {
                    SourceKind::Context => String::from_utf8_lossy(&join(&whole)).into_owned(),
                    SourceKind::Tree => display(&whole),
                });
            }
        }
    }
    Err(CopyError::SourceMissing { source: display(&clean(path)), near })
}

/// Returns up to three names that may have been meant.
fn similar<'a>(wanted: &[u8], names: impl Iterator<Item = &'a Name>) -> Vec<&'a Name> {
    let wanted: Vec<char> = String::from_utf8_lossy(wanted).to_lowercase().chars().collect();
    let limit = (wanted.len() / 3).clamp(1, 3);
    let mut close: Vec<(usize, &Name)> = names
        .filter_map(|name| {
            let text: Vec<char> = String::from_utf8_lossy(name).to_lowercase().chars().collect();
            (text.len().abs_diff(wanted.len()) <= limit)
                .then(|| distance(&wanted, &text))
                .filter(|d| *d <= limit)
                .map(|d| (d, name))
        })
        .collect();
    close.sort();
    close.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Edit distance in which swapped neighbours count once.
fn distance(a: &[char], b: &[char]) -> usize {
    let (mut before, mut last): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=b.len()).collect());
    for (i, x) in a.iter().enumerate() {
        let mut now = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], k: usize| row.get(k).copied().unwrap_or(usize::MAX - 1);
            let mut best = (at(&last, j) + usize::from(x != y)).min(at(&last, j + 1) + 1).min(at(&now, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            now.push(best);
        }
        before = std::mem::replace(&mut last, now);
    }
    last.last().copied().unwrap_or(0)
}

/// Returns the metadata that a file made from nothing starts with.
pub(crate) fn plain(mode: u32) -> Meta {
    Meta { mode, ..Meta::default() }
}
