//! COPY and ADD.

use rbc_ir::{Chmod, CopyAction, Digest, FileAction, NodeId, Owner, Unpack};

use super::run::input_of;
use super::stage::StageRun;
use crate::codes;
use crate::diagnostic::Problem;
use crate::expand;
use crate::flags::Flags;
use crate::go;
use crate::hir::{Insn, Place, Source, Word};
use crate::names::{GitSource, file_name, is_http};

/// What all sources of one instruction have in common.
struct Transfer<'f> {
    add: bool,
    flags: &'f Flags,
    /// The destination, expanded.
    written: String,
    /// Absolute; with a final slash if it must be a directory.
    dest: String,
    owner: Option<Owner>,
    mode: Option<Chmod>,
    exclude: Vec<String>,
}

impl StageRun<'_, '_> {
    pub(super) fn copy(&mut self, insn: &Insn, flags: &Flags, sources: &[Source], dest: &Word, add: bool) {
        let Some(transfer) = self.transfer(insn, flags, dest, add) else { return };
        let root = self.root(insn);
        let mut inputs = vec![root];
        let mut actions = Vec::with_capacity(sources.len());
        let mut text = history_text(&transfer);
        let mut complete = true;
        let from = flags.word("from");
        let from = match from {
            Some(word) => match self.node_named(insn, &word.text, insn.place(word.slot), true) {
                Some(node) => Some(node),
                None => return,
            },
            None => None,
        };
        // BuildKit takes the paths first, then the heredocs.
        for source in sources {
            if let Source::Path(word) = source {
                let shown = self.path(insn, word, &transfer, from, &mut inputs, &mut actions);
                complete &= shown.is_some();
                text.push_str(&shown.map(|s| format!(" {s}")).unwrap_or_default());
            }
        }
        for source in sources {
            if let Source::Heredoc(number) = source {
                let shown = self.heredoc(insn, *number, &transfer, &mut actions);
                complete &= shown.is_some();
                text.push_str(&shown.map(|s| format!(" {s}")).unwrap_or_default());
            }
        }
        if !complete || actions.is_empty() {
            return;
        }
        text.push_str(&format!(" {}", transfer.written));
        let name = self.step_name(&insn.display);
        let node = self.run.file(actions, inputs, name, insn.id);
        self.state.root = Some(node);
        self.commit_step(&text, node);
    }

    fn transfer<'f>(&mut self, insn: &Insn, flags: &'f Flags, dest: &Word, add: bool) -> Option<Transfer<'f>> {
        let written = self.expand(insn, dest)?;
        let owner = match flags.word("chown") {
            Some(word) => Some(Owner(self.expand(insn, word)?)).filter(|o| !o.0.is_empty()),
            None => None,
        };
        let mode = match flags.word("chmod") {
            Some(word) => {
                let text = self.expand(insn, word)?;
                if text.is_empty() { None } else { Some(self.chmod(&text, insn.place(word.slot))?) }
            }
            None => None,
        };
        let mut dest = self.below_cwd(&written);
        if (written.is_empty() || written == "." || written.ends_with('/') || written.ends_with("/."))
            && !dest.ends_with('/')
        {
            dest.push('/');
        }
        let exclude = flags.all("exclude").map(|w| w.text.clone()).collect();
        Some(Transfer { add, flags, written, dest, owner, mode, exclude })
    }

    /// Adds a path or URL; returns how history shows it.
    fn path(
        &mut self,
        insn: &Insn,
        word: &Word,
        transfer: &Transfer<'_>,
        from: Option<NodeId>,
        inputs: &mut Vec<NodeId>,
        actions: &mut Vec<FileAction>,
    ) -> Option<String> {
        let text = self.expand(insn, word)?;
        let place = insn.place(word.slot);
        let git = GitSource::parse(&text);
        let remote = git.is_some() || is_http(&text);
        if remote && !transfer.add {
            let message = format!("source can't be a URL for COPY: {text}");
            self.run.tell(Problem::new(codes::COPY, message).at(place).help("ADD takes URLs"));
            return None;
        }
        let parents = transfer.flags.bool("parents").unwrap_or(false);
        let (node, source, unpack) = match git {
            Some(Ok(git)) => (self.add_git(insn, transfer, &git, place)?, "/".to_owned(), false),
            Some(Err(e)) => {
                self.run.tell(Problem::new(codes::REMOTE, format!("{text}: {e}")).at(place));
                return None;
            }
            None if remote => {
                let checksum = self.http_checksum(insn, transfer)?;
                let node = self.run.http_node(&text, checksum, insn.id);
                (node, format!("/{}", literal(&file_name(&text))), transfer.flags.bool("unpack").unwrap_or(false))
            }
            None => {
                if let Some(word) = transfer.flags.word("checksum") {
                    let message = "checksum can't be specified for non-HTTP(S) sources";
                    self.run.tell(Problem::new(codes::COPY, message).at(insn.place(word.slot)));
                    return None;
                }
                let node = match from {
                    Some(node) => node,
                    None => self.run.main_node(insn.id, place)?,
                };
                let unpack = transfer.add && transfer.flags.bool("unpack").unwrap_or(true);
                (node, clean_source(&text, parents), unpack)
            }
        };
        let copy = CopyAction {
            from: input_of(inputs, node),
            source,
            dest: transfer.dest.clone(),
            exclude: transfer.exclude.clone(),
            parents,
            link: transfer.link(),
            owner: transfer.owner.clone(),
            mode: transfer.mode.clone(),
            unpack: if unpack { Unpack::Auto } else { Unpack::Never },
        };
        actions.push(FileAction::Copy(Box::new(copy)));
        Some(text)
    }

    fn add_git(&mut self, insn: &Insn, transfer: &Transfer<'_>, git: &GitSource, place: Place) -> Option<NodeId> {
        let flag = transfer.flags.bool("keep-git-dir");
        if let (Some(flag), Some(query)) = (flag, git.keep_git_dir)
            && flag != query
        {
            let message = "`--keep-git-dir` and the URL's `keep-git-dir` contradict each other";
            self.run.tell(Problem::new(codes::REMOTE, message).at(place));
            return None;
        }
        let checksum = match transfer.flags.word("checksum") {
            Some(word) => {
                let text = self.expand(insn, word)?;
                let at = insn.place(word.slot);
                if text.len() < 7 || text.len() > 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
                    let message = format!("invalid checksum `{text}` of a git repository");
                    let help = "write the commit, or at least its first 7 digits";
                    self.run.tell(Problem::new(codes::REMOTE, message).at(at).help(help));
                    return None;
                }
                Some(text)
            }
            None => None,
        };
        let keep = flag.or(git.keep_git_dir).unwrap_or(false);
        Some(self.run.git_node(git, keep, checksum, insn.id))
    }

    #[allow(clippy::option_option, reason = "none given, and a wrong one, are two things")]
    fn http_checksum(&mut self, insn: &Insn, transfer: &Transfer<'_>) -> Option<Option<Digest>> {
        let Some(word) = transfer.flags.word("checksum") else { return Some(None) };
        let text = self.expand(insn, word)?;
        if text.is_empty() {
            return Some(None);
        }
        match text.parse() {
            Ok(digest) => Some(Some(digest)),
            Err(e) => {
                let problem = Problem::new(codes::REMOTE, format!("invalid checksum: {e}"));
                self.run.tell(problem.at(insn.place(word.slot)));
                None
            }
        }
    }

    /// Adds an inline file; returns how history shows it.
    fn heredoc(
        &mut self,
        insn: &Insn,
        number: usize,
        transfer: &Transfer<'_>,
        actions: &mut Vec<FileAction>,
    ) -> Option<String> {
        let doc = insn.heredocs.get(number)?;
        let data = match doc.expand {
            false => doc.body.text.clone(),
            true => match expand::raw(&doc.body.text, &self.state.env) {
                Ok(expanded) => expanded.text,
                Err(e) => {
                    let wrong = doc.body.text.get(e.start..e.end).unwrap_or_default();
                    let problem = Problem::new(codes::EXPANSION, format!("failed to process `{wrong}`: {e}"))
                        .at(insn.range(&doc.body, e.start, e.end))
                        .help(format!("quote the delimiter (<<'{}') to keep the text as it is", doc.name));
                    self.run.tell(problem);
                    return None;
                }
            },
        };
        actions.push(FileAction::Write {
            path: transfer.dest.clone(),
            name: doc.name.clone(),
            data,
            mode: transfer.mode.clone().unwrap_or(Chmod::Octal(0o644)),
            owner: transfer.owner.clone(),
        });
        Some(format!("<<{}", doc.name))
    }
}

impl Transfer<'_> {
    /// `--link` is ignored with `--chmod` (BuildKit: `dispatchCopy`).
    fn link(&self) -> bool {
        self.flags.bool("link").unwrap_or(false) && self.mode.is_none()
    }
}

fn history_text(transfer: &Transfer<'_>) -> String {
    let mut text = String::from(if transfer.add { "ADD" } else { "COPY" });
    if transfer.flags.bool("parents").unwrap_or(false) {
        text.push_str(" --parents");
    }
    if let Some(Owner(owner)) = &transfer.owner {
        text.push_str(&format!(" --chown={owner}"));
    }
    if let Some(mode) = &transfer.mode {
        let shown = match mode {
            Chmod::Octal(bits) => format!("{bits:04o}"),
            Chmod::Symbolic(text) => text.clone(),
        };
        text.push_str(&format!(" --chmod={shown}"));
    }
    if transfer.link() {
        text.push_str(" --link");
    }
    text
}

/// A source path below the root of its tree. With `--parents` a `/./` stays:
/// it says what is not kept.
fn clean_source(text: &str, parents: bool) -> String {
    match text.split_once("/./").filter(|_| parents) {
        Some((pivot, rest)) => {
            let pivot = go::join("/", pivot);
            format!("{}/./{}", pivot.trim_end_matches('/'), go::join("/", rest).trim_start_matches('/'))
        }
        None => go::clean(&format!("/{text}")),
    }
}

/// A file name that is no pattern.
fn literal(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, '*' | '?' | '[' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        for (text, parents, want) in [
            (".", false, "/"),
            ("../a/./b/", false, "/a/b"),
            ("./dir/*.txt", true, "/dir/*.txt"),
            ("x/y/./z", true, "/x/y/./z"),
            ("./x/./y/../*.t", true, "/x/./*.t"),
            ("/./a", true, "/./a"),
        ] {
            assert_eq!(clean_source(text, parents), want, "{text}");
        }
    }
}
