//! The `rbc` binary: command line, progress, diagnostics.
//!
//! # Architecture invariants
//!
//! * Thin: no build logic. What a Dockerfile means is the compiler's, how a
//!   plan runs is the VM's.
//! * The only crate that prints. Progress and diagnostics go to standard
//!   error, results (a plan, a digest, a listing) to standard output.

mod args;
mod commands;
mod failure;
mod interrupt;
mod progress;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Cli, Command};
use crate::failure::{Exit, Failure};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Build(args) => commands::build::run(*args),
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
