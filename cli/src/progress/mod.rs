//! Progress displays: consumers of the VM's events.
//!
//! Each display takes events from any thread under a lock of its own and
//! writes to standard error at once, so that what is shown is never behind
//! what happened.

mod format;
mod lines;
mod live;
mod plain;
mod quiet;
mod rawjson;
mod tally;

use std::io::IsTerminal as _;

use rbc_ir::Plan;
use rbc_vm::event::{Event, Observer};

pub(crate) use format::{bytes, seconds};
pub(crate) use tally::{Counts, Tally};

use crate::args::ProgressMode;

/// A display, and the count of what it saw.
pub(crate) struct Progress {
    display: Box<dyn Display>,
    tally: Tally,
}

/// What a display can do beside taking events.
pub(crate) trait Display: Observer {
    /// Removes what is not meant to stay; nothing is shown afterwards.
    fn close(&self) {}
}

impl Progress {
    /// Starts the display for a plan.
    pub(crate) fn start(mode: ProgressMode, plan: &Plan) -> Self {
        let names = || plan.nodes.iter().map(|n| n.name.clone()).collect();
        let stderr = || Box::new(std::io::stderr());
        let display: Box<dyn Display> = match resolve(mode) {
            ProgressMode::Tty => Box::new(live::Live::start(names())),
            ProgressMode::Rawjson => Box::new(rawjson::RawJson::new(plan, stderr())),
            ProgressMode::Quiet => Box::new(quiet::Quiet),
            ProgressMode::Auto | ProgressMode::Plain => Box::new(plain::Plain::new(names(), stderr())),
        };
        Self { display, tally: Tally::new(plan) }
    }

    /// Ends the display and returns what was counted.
    pub(crate) fn finish(&self) -> Counts {
        self.display.close();
        self.tally.counts()
    }
}

impl Observer for Progress {
    fn event(&self, event: Event) {
        self.tally.note(&event);
        self.display.event(event);
    }
}

/// A live view needs a terminal that can move its cursor.
fn resolve(mode: ProgressMode) -> ProgressMode {
    let smart = || std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb");
    match mode {
        ProgressMode::Auto if smart() => ProgressMode::Tty,
        ProgressMode::Auto => ProgressMode::Plain,
        // indicatif draws nothing at all without a terminal.
        ProgressMode::Tty if !std::io::stderr().is_terminal() => ProgressMode::Plain,
        mode => mode,
    }
}
