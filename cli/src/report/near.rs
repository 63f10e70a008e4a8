//! A source that a COPY does not find in a local context: is it excluded, or
//! is there one whose name is much the same?
//!
//! The build reads of a context what the plan wants and no more, so it cannot
//! tell; here, after the failure, a look at the directory costs nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rbc_ir::{FileAction, Node, Op, Plan};
use rbc_vm::fs::CopyError;
use rbc_vm::schedule::BuildErrorKind;

/// The way out, if there is one to see.
pub(crate) fn help(
    kind: &BuildErrorKind,
    node: &Node,
    plan: &Plan,
    contexts: &BTreeMap<String, PathBuf>,
) -> Option<String> {
    let BuildErrorKind::Action(error) = kind else { return None };
    let CopyError::SourceMissing { source, near } = &error.error else { return None };
    let Op::File { actions } = &node.op else { return None };
    let Some(FileAction::Copy(copy)) = actions.get(error.index) else { return None };
    let from = plan.nodes.get(*node.inputs.get(copy.from)?)?;
    let Op::Local { context, exclude } = &from.op else { return None };
    if !near.is_empty() {
        return None;
    }
    look(contexts.get(context)?, source, !exclude.is_empty())
}

fn look(directory: &Path, source: &str, ignores: bool) -> Option<String> {
    let mut at = directory.to_owned();
    let mut known = String::new();
    for part in source.split('/').filter(|p| !p.is_empty()) {
        let next = at.join(part);
        if next.symlink_metadata().is_err() {
            let names: Vec<String> =
                std::fs::read_dir(&at).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
            let meant = rbc_grammar::suggest(part, &names)?;
            return Some(format!("did you mean `{known}{meant}`?"));
        }
        known.push_str(part);
        known.push('/');
        at = next;
    }
    ignores.then(|| "it is in the context, but excluded by .dockerignore".to_owned())
}

#[cfg(test)]
mod tests {

    #[test]
    fn near_names_and_excluded_ones() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("source")).unwrap();
        std::fs::write(dir.path().join("source/main.go"), "").unwrap();
        let look = |source| super::look(dir.path(), source, true);
        assert_eq!(look("/source/mian.go").as_deref(), Some("did you mean `source/main.go`?"));
        assert_eq!(look("/sorce/main.go").as_deref(), Some("did you mean `source`?"));
        assert_eq!(look("/source/entirely-else"), None);
        assert!(look("/source/main.go").unwrap().contains(".dockerignore"));
    }
}
