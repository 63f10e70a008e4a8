//! `rbc cache`: what the cache holds, and less of it.

use std::io::{self, Write as _};

use rbc_vm::store::{DiskUsage, PrunePolicy};
use serde_json::json;

use crate::args::{CacheArgs, CacheCommand, DuArgs, PruneArgs};
use crate::failure::{Exit, Failure};
use crate::progress::bytes;
use crate::report;
use crate::session::Session;

/// Runs the command.
pub(crate) fn run(args: &CacheArgs) -> Result<(), Failure> {
    let session = Session::open()?;
    let text = match &args.command {
        CacheCommand::Du(args) => disk_usage(&session, args)?,
        CacheCommand::Prune(args) => prune(&session, args)?,
        CacheCommand::Verify => verify(&session)?,
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::environment(format!("cannot write to standard output: {e}")))
        }
        _ => Ok(()),
    }
}

fn disk_usage(session: &Session, args: &DuArgs) -> Result<String, Failure> {
    let store = session.vm.store();
    let usage = store.disk_usage().map_err(|e| report::store_failure(&e))?;
    Ok(if args.json { as_json(&usage) } else { as_table(&usage, &store.home().display().to_string()) })
}

fn as_table(usage: &DiskUsage, home: &str) -> String {
    let rows = [
        ("files", usage.objects, format!("{} files, each stored once", usage.object_count)),
        ("checkouts", usage.checkouts, format!("{} directories of links to files", usage.checkout_count)),
        ("archives", usage.blobs, "layers, manifests, configurations".to_owned()),
        ("cache mounts", usage.caches, "of RUN --mount=type=cache".to_owned()),
        ("index", usage.index, format!("{} results of steps", usage.records)),
        ("total", usage.total(), format!("in {home}")),
    ];
    rows.iter().map(|(name, size, what)| format!("{name:<14}{:>10}  {what}\n", bytes(*size))).collect()
}

fn as_json(usage: &DiskUsage) -> String {
    let value = json!({
        "files": { "bytes": usage.objects, "count": usage.object_count },
        "checkouts": { "bytes": usage.checkouts, "count": usage.checkout_count },
        "archives": { "bytes": usage.blobs },
        "cache_mounts": { "bytes": usage.caches },
        "index": { "bytes": usage.index, "results": usage.records },
        "total": { "bytes": usage.total() },
    });
    format!("{value:#}\n")
}

fn prune(session: &Session, args: &PruneArgs) -> Result<String, Failure> {
    let policy = PrunePolicy {
        all: args.all,
        unused_for: args.keep_duration,
        max_bytes: args.keep_storage,
        dry_run: args.dry_run,
    };
    let pruned = session.vm.store().prune(&policy).map_err(|e| report::store_failure(&e))?;
    let would = if args.dry_run { "would remove" } else { "removed" };
    Ok(format!("{would} {} results and {} files, {}\n", pruned.records, pruned.objects, bytes(pruned.bytes)))
}

/// Says what is damaged by way of the failure, so that scripts notice.
fn verify(session: &Session) -> Result<String, Failure> {
    let report = session.vm.store().verify().map_err(|e| report::store_failure(&e))?;
    let read = format!("{} files ({}) and {} directories", report.files, bytes(report.bytes), report.directories);
    if report.damaged.is_empty() {
        let forgotten = match report.records {
            0 => String::new(),
            n => format!("; forgot {n} results whose files were missing"),
        };
        return Ok(format!("read {read}: all sound{forgotten}\n"));
    }
    let mut text = format!("error: {} of {read} are damaged and out of use now", report.damaged.len());
    for path in &report.damaged {
        text.push_str(&format!("\n  {path}"));
    }
    let failure = Failure::rendered(Exit::Failed, text);
    Err(failure.help("builds make them anew; if this happens again, mistrust the disk"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_a_table_with_a_sum() {
        let usage = DiskUsage {
            objects: 1_500_000_000,
            object_count: 12_345,
            checkouts: 4096,
            checkout_count: 3,
            blobs: 70_000_000,
            caches: 0,
            index: 65_536,
            records: 42,
        };
        insta::assert_snapshot!(as_table(&usage, "/home/user/.cache/rbc"), @r"
        files             1.5 GB  12345 files, each stored once
        checkouts         4.1 kB  3 directories of links to files
        archives         70.0 MB  layers, manifests, configurations
        cache mounts         0 B  of RUN --mount=type=cache
        index            65.5 kB  42 results of steps
        total             1.6 GB  in /home/user/.cache/rbc
        ");
    }
}
