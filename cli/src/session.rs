//! What every command that touches the cache begins with: the user namespace,
//! signals, the registries' configuration, the store.

use std::io::Write as _;
use std::path::PathBuf;

use rbc_vm::config::RegistryConfig;
use rbc_vm::exec::{ExecError, userns};
use rbc_vm::{Vm, VmOptions};

use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::report;

/// An opened cache.
pub(crate) struct Session {
    /// The machine.
    pub(crate) vm: Vm,
    /// Signals.
    pub(crate) interrupt: Interrupt,
    /// What builds have to do without, and why.
    pub(crate) note: Option<String>,
}

impl Session {
    /// Opens the cache. Must be called while the process has one thread.
    pub(crate) fn open() -> Result<Self, Failure> {
        let home = home()?;
        let ids = userns::enter_user_namespace().map_err(|e| sandbox_failure(&e))?;
        let interrupt = Interrupt::listen()?;
        let loaded = RegistryConfig::load().map_err(|e| {
            let exit = match &e {
                rbc_vm::config::ConfigError::Read { .. } => Exit::Environment,
                _ => Exit::Usage,
            };
            Failure::new(exit, e)
        })?;
        for warning in &loaded.warnings {
            let _ = writeln!(std::io::stderr(), "warning: {warning}");
        }
        let options = VmOptions { registry: loaded.registry, cancel: interrupt.flag.clone() };
        let vm = Vm::open(&home, options).map_err(|e| report::store_failure(&e))?;
        Ok(Self { vm, interrupt, note: ids.note })
    }
}

fn sandbox_failure(error: &ExecError) -> Failure {
    let failure = Failure::environment(error);
    match error {
        ExecError::UserNamespace { help, .. } => failure.help(help),
        _ => failure,
    }
}

/// Where the cache is.
fn home() -> Result<PathBuf, Failure> {
    let set = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(home) = set("RBC_HOME") {
        return Ok(home);
    }
    // The XDG base directory specification: relative paths are to be ignored.
    let cache = set("XDG_CACHE_HOME").filter(|p| p.is_absolute());
    match cache.or_else(|| set("HOME").map(|home| home.join(".cache"))) {
        Some(cache) => Ok(cache.join("rbc")),
        None => Err(Failure::environment("there is no directory for the cache: neither RBC_HOME nor HOME is set")
            .help("set RBC_HOME to a directory on a local disk")),
    }
}
