//! The `rbc` binary: command line, progress, diagnostics.
//!
//! # Architecture invariants
//!
//! * Thin: no build logic. What a Dockerfile means is the compiler's, how a
//!   plan runs is the VM's.
//! * The only crate that prints. Progress and diagnostics go to standard
//!   error, results (a plan, a digest, a listing) to standard output.

// No panic is reachable from input; tests may.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::unreachable)
)]

mod args;
mod commands;
mod failure;
mod frontend;
mod given;
mod inputs;
mod interrupt;
mod progress;
mod report;
mod session;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Cli, Command};
use crate::failure::Exit;

fn main() -> ExitCode {
    // The sandbox helper is this program again; it must come before anything
    // that starts a thread or opens a file.
    if std::env::args_os().nth(1).is_some_and(|arg| arg == rbc_vm::exec::HELPER_ARG) {
        rbc_vm::exec::helper_main();
    }
    let outcome = match Cli::parse().command {
        Command::Build(args) => commands::build::run(&args),
        Command::Compile(args) => commands::compile::run(&args),
        Command::Cache(args) => commands::cache::run(&args),
    };
    match outcome {
        Ok(()) => Exit::Success.into(),
        Err(failure) => {
            // A closed standard error leaves nothing to say it on.
            let _ = writeln!(std::io::stderr(), "{}", failure.text());
            failure.exit.into()
        }
    }
}
