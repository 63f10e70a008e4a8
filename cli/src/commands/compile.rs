//! `rbc compile`: the plan, on standard output.

use std::io::{self, Write as _};

use crate::args::CompileArgs;
use crate::failure::Failure;
use crate::frontend;
use crate::session::Session;

/// Runs the command.
pub(crate) fn run(args: &CompileArgs) -> Result<(), Failure> {
    frontend::check_context(&args.context)?;
    let session = Session::open()?;
    let options = frontend::compile_options(args);
    let program = frontend::program(&session.vm, &args.source, &args.context, options, false)?;
    match io::stdout().lock().write_all(program.plan.to_canonical_json().as_bytes()) {
        // Whoever read it has seen enough (`rbc compile . | head`).
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(e) => Err(Failure::environment(format!("cannot write the plan: {e}"))),
        Ok(()) => Ok(()),
    }
}
