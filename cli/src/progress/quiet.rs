//! Shows nothing: `--quiet`.

use rbc_vm::event::{Event, Observer};

use super::Display;

/// Shows nothing.
pub(crate) struct Quiet;

impl Observer for Quiet {
    fn event(&self, _: Event) {}
}

impl Display for Quiet {}
