//! Signals that ask the program to stop.
//!
//! The first one sets a flag: the running build kills its processes, keeps
//! what is finished, and the program ends with 130. A second one ends the
//! program at once; the store is sound after that too, it is written to
//! survive a kill at any point.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::failure::Exit;

/// Starts to listen; the flag is set by the first signal.
pub(crate) fn listen() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // Handlers run in the order of registration, so at the first signal
        // the shutdown still finds the flag unset.
        flag::register_conditional_shutdown(signal, Exit::Interrupted as i32, Arc::clone(&stop))?;
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}
