//! A git checkout as a tree. The remote is asked what a branch or tag means
//! each time; a commit that was checked out before is not fetched again.

use std::fs;

use rbc_ir::Op;

use super::{Build, BuildErrorKind};
use crate::context::{self, Wanted};
use crate::fs::Root;
use crate::fs::ignore::Patterns;
use crate::source::git::GitUrl;
use crate::store::{IoContext, RecordKey, remove_tree, root_from_text, root_to_text};

/// Fetches the commit unless it is known.
pub(super) fn load(build: &Build<'_>, op: &Op) -> Result<Root, BuildErrorKind> {
    let Op::Git { url, commit, reference, subdir, keep_git_dir, checksum } = op else {
        return Err(BuildErrorKind::Unsupported("not a git source".to_owned()));
    };
    let store = build.vm.store();
    let wanted = GitUrl {
        remote: url.clone(),
        reference: (!reference.is_empty()).then(|| reference.clone()),
        commit: commit.clone().or_else(|| checksum.clone()),
        subdir: (!subdir.is_empty()).then(|| subdir.clone()),
        ..GitUrl::default()
    };
    let git = build.vm.git(build.request);
    let commit = git.resolve(&wanted)?;
    let keep = [u8::from(*keep_git_dir)];
    let key = RecordKey::of("git", &[url.as_bytes(), commit.as_bytes(), subdir.as_bytes(), &keep]);
    let known = store.record::<String>(&key)?.and_then(|text| root_from_text(&text));
    if let Some(root) = known.filter(|root| store.has_dir(&root.dir.id)) {
        return Ok(root);
    }
    let place = store.scratch();
    fs::create_dir(&place).on("create", &place)?;
    let loaded = git.checkout(&wanted, &commit, &place, *keep_git_dir).map_err(BuildErrorKind::Git).and_then(|made| {
        let everything = [Wanted::all()];
        Ok(context::load(store, &made.root, &Patterns::default(), &everything, &|_| {})?)
    });
    remove_tree(&place)?;
    let root = loaded?;
    store.put_record(&[key], &root_to_text(&root))?;
    Ok(root)
}
