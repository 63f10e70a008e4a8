//! x
use crate::failure::Failure;
pub(crate) fn run(args: &crate::args::CacheArgs) -> Result<(), Failure> {
    let _ = args;
    Ok(())
}
