//! `rbc cache`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::values;

/// Arguments of `rbc cache`.
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
}

/// Subcommands of `rbc cache`.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Show what the cache holds and how much space it takes
    Du(DuArgs),
    /// Remove what is not in use
    Prune(PruneArgs),
    /// Read everything and take what is damaged out of use
    ///
    /// Exit code 1 if something was damaged. It is built anew when a build needs it.
    Verify,
}

/// Arguments of `rbc cache du`.
#[derive(Debug, Args)]
pub(crate) struct DuArgs {
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `rbc cache prune`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without a limit only leftovers go: files that no result names any more.
No build may run at the same time.

Examples:
  rbc cache prune --keep-duration 7d         what was not used for a week
  rbc cache prune --keep-storage 20g         the oldest, until 20 GiB are left
  rbc cache prune --all --dry-run            how much would be freed")]
pub(crate) struct PruneArgs {
    /// Everything, cache mounts included
    #[arg(short, long)]
    pub(crate) all: bool,

    /// Keep what was used within this time, like 36h or 7d
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(crate) keep_duration: Option<Duration>,

    /// Keep the most recently used up to this size, like 20g
    #[arg(long, value_name = "BYTES", visible_alias = "max-size", value_parser = values::size)]
    pub(crate) keep_storage: Option<u64>,

    /// Only say what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
}
