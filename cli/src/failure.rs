//! How a command fails: what is said, and the exit code.

use std::fmt::Display;
use std::process::ExitCode;

/// Exit codes, as `rbc --help` documents them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went well.
    Success = 0,
    /// The build or check failed.
    Failed = 1,
    /// Bad usage, or an input file that is wrong in itself.
    Usage = 2,
    /// The machine or the network is in the way.
    Environment = 3,
    /// Stopped by a signal (128 + SIGINT, as shells report it).
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    text: String,
}

impl Failure {
    /// Creates a failure with a one-line message.
    pub(crate) fn new(exit: Exit, message: impl Display) -> Self {
        Self { exit, text: format!("error: {message}") }
    }

    /// Creates a failure for wrong usage.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Creates a failure of the surroundings.
    pub(crate) fn environment(message: impl Display) -> Self {
        Self::new(Exit::Environment, message)
    }

    /// Creates a failure from text that is already laid out (diagnostics).
    pub(crate) fn rendered(exit: Exit, text: String) -> Self {
        Self { exit, text }
    }

    /// Adds what can be done about it.
    pub(crate) fn help(mut self, help: impl Display) -> Self {
        self.text.push_str(&format!("\n  help: {help}"));
        self
    }

    /// Returns what to print, without a final newline.
    pub(crate) fn text(&self) -> &str {
        self.text.trim_end_matches('\n')
    }
}
