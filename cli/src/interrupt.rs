//! Signals that ask the program to stop.
//!
//! The first one stops transfers (a flag) and processes (a token): finished
//! work is kept, and the program ends with 130. A second one ends the program
//! at once; the store is sound after that too, it is written to survive a
//! kill at any point.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rbc_vm::exec::CancelToken;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::failure::{Exit, Failure};

/// What the first signal sets.
#[derive(Clone)]
pub(crate) struct Interrupt {
    /// For whoever polls.
    pub(crate) flag: Arc<AtomicBool>,
    /// For whoever waits.
    pub(crate) token: CancelToken,
}

impl Interrupt {
    /// Starts to listen. Not before a user namespace is entered: that takes
    /// a process of one thread.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let token = CancelToken::new().map_err(Failure::environment)?;
        let interrupt = Self { flag: Arc::default(), token };
        interrupt.register().map_err(|e| Failure::environment(format!("cannot listen to signals: {e}")))?;
        Ok(interrupt)
    }

    fn register(&self) -> std::io::Result<()> {
        let all = [SIGINT, SIGTERM, SIGHUP];
        for signal in all {
            // Handlers run in the order of registration, so at the first
            // signal the shutdown still finds the flag unset.
            flag::register_conditional_shutdown(signal, Exit::Interrupted as i32, Arc::clone(&self.flag))?;
            flag::register(signal, Arc::clone(&self.flag))?;
        }
        let mut signals = Signals::new(all)?;
        let token = self.token.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            if signals.forever().next().is_some() {
                token.cancel();
            }
        })?;
        Ok(())
    }

    /// Whether a signal came.
    pub(crate) fn came(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }
}
