//! What can go wrong between a spec and a running process.

use std::io;

use super::wire::Failure;

/// Why a sandbox could not be started or followed to its end. That the
/// process itself failed is not an error but an [`ExitStatus`].
///
/// [`ExitStatus`]: super::ExitStatus
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// A step on this side of the sandbox failed.
    #[error("{what}: {source}")]
    Io {
        /// The step.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The sandbox could not be set up; the program did not run.
    #[error("set up the sandbox: {step}: {source}")]
    Setup {
        /// The step, with the path or value it was about.
        step: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The helper process ended while a sandbox was under way (killed from
    /// outside, out of memory).
    #[error("the sandbox helper process ended unexpectedly")]
    HelperGone,
    /// The helper said something that this program does not understand.
    #[error("the sandbox helper answered nonsense: {0}")]
    Protocol(String),
    /// The run was cancelled; nothing of the sandbox is left.
    #[error("cancelled")]
    Cancelled,
    /// A user namespace could not be entered.
    #[error("{step}: {source}")]
    UserNamespace {
        /// The step.
        step: String,
        /// What to change.
        help: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl ExecError {
    /// For `map_err`: names the step.
    pub(crate) fn io<E: Into<io::Error>>(what: &'static str) -> impl Fn(E) -> Self
    where
        io::Error: From<E>,
    {
        move |source| Self::Io { what, source: source.into() }
    }
}

impl From<Failure> for ExecError {
    fn from(failure: Failure) -> Self {
        Self::Setup { step: failure.step, source: io::Error::from_raw_os_error(failure.errno) }
    }
}
