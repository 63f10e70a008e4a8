//! x
use crate::failure::Failure;
pub(crate) fn run(args: crate::args::BuildArgs) -> Result<(), Failure> {
    let _ = args;
    Ok(())
}
