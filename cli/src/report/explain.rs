//! What each failure means to a user: the words, the way out, whose fault it
//! is. Each code has an entry in `docs/reference/errors-build.md`.

use std::fmt::Display;

use rbc_vm::context::ContextError;
use rbc_vm::exec::{ExecError, ExitStatus};
use rbc_vm::fs::CopyError;
use rbc_vm::schedule::BuildErrorKind;
use rbc_vm::source::error::ImageError;
use rbc_vm::store::StoreError;

use crate::failure::Exit;
use crate::progress::seconds;

/// A command failed.
const COMMAND: &str = "E2001";
/// A file action failed.
const FILES: &str = "E2002";
/// An image, a download or a repository could not be had.
const SOURCE: &str = "E2003";
/// The build context cannot be read.
const CONTEXT: &str = "E2004";
/// The cache cannot be used.
const CACHE: &str = "E2005";
/// The sandbox cannot be made.
const SANDBOX: &str = "E2006";
/// Something was not handed over.
const MISSING: &str = "E2007";
/// Something is not supported.
const UNSUPPORTED: &str = "E2008";
/// Interrupted.
const CANCELLED: &str = "E2009";

/// Lines of output that are shown with a failed command.
const TAIL: usize = 20;

/// A failure in words.
pub(crate) struct Explained {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// What is said at the place.
    pub(crate) label: String,
    pub(crate) notes: Vec<String>,
    pub(crate) help: Option<String>,
    pub(crate) exit: Exit,
}

impl Explained {
    fn new(code: &'static str, exit: Exit, message: impl Display) -> Self {
        Self { code, message: message.to_string(), label: String::new(), notes: Vec::new(), help: None, exit }
    }

    fn help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

/// Puts a failure in words.
pub(crate) fn explain(kind: &BuildErrorKind) -> Explained {
    let blame = |environment: bool| if environment { Exit::Environment } else { Exit::Failed };
    match kind {
        BuildErrorKind::Exit { status, tail, took, .. } => {
            let mut explained = Explained::new(COMMAND, Exit::Failed, format!("the command failed: {}", ended(status)));
            explained.label = format!("ran for {}", seconds(*took));
            explained.notes.extend(output(tail));
            explained.help(exit_help(status, tail))
        }
        BuildErrorKind::Action(action) => files(&action.error),
        BuildErrorKind::User(error) => Explained::new(FILES, Exit::Failed, error),
        BuildErrorKind::Path(error) => Explained::new(FILES, Exit::Failed, error),
        BuildErrorKind::Mount { .. } => Explained::new(FILES, Exit::Failed, kind),
        BuildErrorKind::Image(ImageError::Cancelled) | BuildErrorKind::Cancelled => cancelled(),
        BuildErrorKind::Image(error) => {
            Explained::new(SOURCE, blame(error.is_environment()), error).help(image_help(error))
        }
        BuildErrorKind::Http(error) => Explained::new(SOURCE, blame(error.is_environment()), error),
        BuildErrorKind::Git(error) => Explained::new(SOURCE, blame(error.is_environment()), error),
        BuildErrorKind::Layer { .. } => Explained::new(SOURCE, Exit::Failed, kind),
        BuildErrorKind::Context(ContextError::Store(error)) => store(error),
        BuildErrorKind::Context(error) => Explained::new(CONTEXT, Exit::Environment, error).help(context_help(error)),
        BuildErrorKind::Store(error) => store(error),
        BuildErrorKind::Tree(error) => Explained::new(CACHE, Exit::Environment, error)
            .help(Some("remove the cache, or set RBC_HOME to another directory".to_owned())),
        BuildErrorKind::Sandbox(ExecError::Cancelled) => cancelled(),
        BuildErrorKind::Sandbox(error) => Explained::new(SANDBOX, Exit::Environment, error),
        BuildErrorKind::MissingSecret { what, id } => {
            let flag = if *what == "secret" {
                format!("--secret id={id},src=FILE, or --secret id={id},env=NAME")
            } else {
                format!("--ssh {id}, with an agent running")
            };
            Explained::new(MISSING, Exit::Usage, format!("{what} `{id}`: not found"))
                .help(Some(format!("give it with {flag}")))
        }
        BuildErrorKind::Unsupported(what) => Explained::new(UNSUPPORTED, Exit::Failed, what),
    }
}

fn cancelled() -> Explained {
    Explained::new(CANCELLED, Exit::Interrupted, "interrupted")
}

fn ended(status: &ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("exit code {code}"),
        ExitStatus::Signal(signal) => match nix::sys::signal::Signal::try_from(*signal) {
            Ok(name) => format!("killed by {name} (signal {signal})"),
            Err(_) => format!("killed by signal {signal}"),
        },
    }
}

/// The end of a command's output, as a note.
fn output(tail: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(tail);
    let text = console::strip_ansi_codes(text.trim_end());
    let lines: Vec<&str> = text.lines().map(|l| l.rsplit('\r').find(|part| !part.is_empty()).unwrap_or("")).collect();
    if lines.is_empty() {
        return None;
    }
    let shown = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default();
    Some(format!("its output ends:\n{}", shown.iter().map(|l| format!("  {l}")).collect::<Vec<_>>().join("\n")))
}

fn exit_help(status: &ExitStatus, tail: &[u8]) -> Option<String> {
    let said = |words: &[u8]| tail.windows(words.len()).any(|w| w.eq_ignore_ascii_case(words));
    match status {
        // No shell, or no such program: 127 says both, and sh says neither.
        ExitStatus::Code(127) if said(b"/bin/sh") => {
            Some("the image may have no shell; the JSON form (`RUN [\"prog\", \"arg\"]`) needs none".to_owned())
        }
        // A shell reports a signal of its child as 128 and the number.
        ExitStatus::Signal(9) | ExitStatus::Code(137) => Some("the machine may have run out of memory".to_owned()),
        _ if said(b"no space left on device") => {
            Some("free some space: `rbc cache prune`, or set RBC_HOME to a larger disk".to_owned())
        }
        _ => None,
    }
}

fn files(error: &CopyError) -> Explained {
    let explained = Explained::new(FILES, Exit::Failed, error);
    match error {
        CopyError::SourceMissing { near, .. } => {
            let quoted: Vec<String> = near.iter().map(|n| format!("`{n}`")).collect();
            let meant = (!quoted.is_empty()).then(|| format!("did you mean {}?", quoted.join(" or ")));
            explained.help(meant)
        }
        _ => explained,
    }
}

fn image_help(error: &ImageError) -> Option<String> {
    match error {
        ImageError::Unauthorized { .. } => Some("log in with `docker login` or `skopeo login`".to_owned()),
        ImageError::Unreachable { .. } => {
            Some("mirrors and plain-HTTP registries are named in the file of RBC_CONFIG".to_owned())
        }
        _ => None,
    }
}

fn context_help(error: &ContextError) -> Option<String> {
    match error {
        ContextError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            Some("make it readable, or list it in .dockerignore".to_owned())
        }
        _ => None,
    }
}

fn store(error: &StoreError) -> Explained {
    Explained::new(CACHE, Exit::Environment, error).help(store_help(error))
}

/// The way out of a failure of the store.
pub(crate) fn store_help(error: &StoreError) -> Option<String> {
    match error {
        StoreError::NoSpace { .. } => {
            Some("free some space: `rbc cache prune`, or set RBC_HOME to a larger disk".to_owned())
        }
        StoreError::OtherIds { .. } => Some(
            "run rbc as the user who made it, or set RBC_HOME to a directory of your own; \
             if your ranges in /etc/subuid or /etc/subgid were changed, remove it as root"
                .to_owned(),
        ),
        StoreError::SingleId { path } => {
            Some(format!("remove it (`rm -rf {}`), or set RBC_HOME to another directory", path.display()))
        }
        StoreError::Index { path, .. } | StoreError::IndexDamaged { path, .. } => {
            Some(format!("if it stays so, remove {}: steps will run anew", path.display()))
        }
        StoreError::Missing { .. } | StoreError::Tree(_) => {
            Some("`rbc cache prune --all` empties the cache; steps will run anew".to_owned())
        }
        StoreError::Busy { .. } => Some("wait until it has ended".to_owned()),
        StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => Some(
            "it may belong to another user (`sudo rbc` keeps a cache of its own): \
                 set RBC_HOME to a directory of your own"
                .to_owned(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rbc_vm::fs::ActionError;

    use super::*;

    fn failed(status: ExitStatus, tail: &[u8]) -> Explained {
        explain(&BuildErrorKind::Exit {
            command: "/bin/sh -c make".to_owned(),
            status,
            tail: tail.to_vec(),
            took: Duration::from_millis(1530),
        })
    }

    #[test]
    fn a_failed_command_shows_the_end_of_its_output() {
        let text: String = (1..=50).map(|i| format!("line {i}\n")).collect();
        let explained = failed(ExitStatus::Code(2), text.as_bytes());
        assert_eq!(explained.message, "the command failed: exit code 2");
        assert_eq!(explained.label, "ran for 1.5s");
        let note = explained.notes.join("\n");
        assert!(note.contains("  line 31\n") && note.ends_with("  line 50") && !note.contains("line 30\n"), "{note}");
        assert_eq!(explained.exit, Exit::Failed);
    }

    #[test]
    fn output_that_draws_is_shown_as_it_ended() {
        let explained = failed(ExitStatus::Code(1), b"\x1b[31m10%\r99%\x1b[0m\nbroken \xff\n");
        assert_eq!(explained.notes, ["its output ends:\n  99%\n  broken \u{fffd}"]);
        assert!(failed(ExitStatus::Code(1), b"").notes.is_empty());
    }

    #[test]
    fn signals_have_names() {
        assert_eq!(failed(ExitStatus::Signal(9), b"").message, "the command failed: killed by SIGKILL (signal 9)");
    }

    #[test]
    fn a_missing_file_comes_with_near_names() {
        let error = CopyError::SourceMissing { source: "/app/mypp".into(), near: vec!["/app/myapp".into()] };
        let explained = explain(&BuildErrorKind::Action(ActionError { index: 0, error }));
        assert_eq!(explained.help.as_deref(), Some("did you mean `/app/myapp`?"));
    }

    #[test]
    fn a_full_disk_is_the_surroundings_fault() {
        let explained = explain(&BuildErrorKind::Store(StoreError::NoSpace { path: "/home".into() }));
        assert_eq!(explained.exit, Exit::Environment);
        assert!(explained.help.is_some_and(|h| h.contains("prune")));
    }

    #[test]
    fn every_code_is_documented() {
        let page = include_str!("../../../docs/reference/errors-build.md");
        for code in [COMMAND, FILES, SOURCE, CONTEXT, CACHE, SANDBOX, MISSING, UNSUPPORTED, CANCELLED] {
            assert!(page.contains(&format!("## {code}")), "{code} is not in docs/reference/errors-build.md");
        }
    }
}
