//! x
use crate::failure::Failure;
pub(crate) fn run(args: &crate::args::CompileArgs) -> Result<(), Failure> {
    let _ = args;
    Ok(())
}
