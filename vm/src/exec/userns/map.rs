//! `uid_map` and `gid_map` of `/proc` (user_namespaces(7)).

use std::fmt::Write as _;
use std::io;
use std::process::Command;

use rustix::process::{getegid, geteuid};

use super::super::wire::Failure;
use super::IdRange;
use super::subid;

/// The maps a caller should get.
pub(super) enum Wanted {
    /// The caller and its subordinate ranges, through the setuid programs.
    Subordinate { uids: Vec<IdRange>, gids: Vec<IdRange> },
    /// Root without the right to mount (a plain container): every id it has,
    /// as it is, which its `CAP_SETUID` allows.
    Same { uids: Vec<IdRange>, gids: Vec<IdRange> },
    /// Nothing but the caller, and why.
    Nothing(String),
}

impl Wanted {
    pub(super) fn for_caller() -> Self {
        let uid = geteuid();
        if uid.is_root() {
            return match (current("uid_map"), current("gid_map")) {
                (Ok(uids), Ok(gids)) => Self::Same { uids: same(uids), gids: same(gids) },
                (Err(e), _) | (_, Err(e)) => Self::Nothing(e.to_string()),
            };
        }
        let ranges = |file| subid::ranges(file, uid.as_raw());
        match (ranges("/etc/subuid"), ranges("/etc/subgid")) {
            (Ok(uids), Ok(gids)) => Self::Subordinate {
                uids: with_caller(uid.as_raw(), &uids),
                gids: with_caller(getegid().as_raw(), &gids),
            },
            (Err(why), _) | (_, Err(why)) => Self::Nothing(why),
        }
    }

    /// Writes the maps of process `pid`; says why it could not.
    pub(super) fn write(&self, pid: i32) -> Result<(), String> {
        match self {
            Self::Subordinate { uids, gids } => {
                run("newuidmap", pid, uids)?;
                run("newgidmap", pid, gids)
            }
            Self::Same { uids, gids } => {
                write_map(&format!("/proc/{pid}/uid_map"), uids)?;
                write_map(&format!("/proc/{pid}/gid_map"), gids)
            }
            Self::Nothing(why) => Err(why.clone()),
        }
    }
}

/// The caller as 0, the ranges from 1 on.
fn with_caller(id: u32, ranges: &[(u32, u32)]) -> Vec<IdRange> {
    let mut map = vec![IdRange { inside: 0, outside: id, count: 1 }];
    let mut inside: u32 = 1;
    for (outside, count) in ranges {
        let count = (*count).min(u32::MAX - inside);
        if count == 0 {
            break;
        }
        map.push(IdRange { inside, outside: *outside, count });
        inside += count;
    }
    map
}

fn same(map: Vec<IdRange>) -> Vec<IdRange> {
    map.into_iter().map(|range| IdRange { outside: range.inside, ..range }).collect()
}

fn run(program: &str, pid: i32, map: &[IdRange]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.arg(pid.to_string());
    for range in map {
        command.args([range.inside, range.outside, range.count].map(|n| n.to_string()));
    }
    let output = command.output().map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

fn write_map(path: &str, map: &[IdRange]) -> Result<(), String> {
    let mut text = String::new();
    for range in map {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{} {} {}", range.inside, range.outside, range.count);
    }
    std::fs::write(path, text).map_err(|e| format!("write {path}: {e}"))
}

/// From inside the new namespace: maps 0 to the caller alone. The kernel
/// demands that `setgroups` be given up for that (CVE-2014-8989).
///
/// `uid` and `gid` as they were outside: here they already read as the
/// overflow id.
pub(super) fn write_single(uid: u32, gid: u32) -> Result<(), Failure> {
    let write = |name: &str, text: String| {
        let path = format!("/proc/self/{name}");
        std::fs::write(&path, text).map_err(Failure::at(format!("write {path}")))
    };
    // A map can be written once, and `newgidmap` may fail after `newuidmap`.
    let is_unwritten = |name| current(name).is_ok_and(|map| map.is_empty());
    if is_unwritten("uid_map") {
        write("uid_map", format!("0 {uid} 1"))?;
    }
    if is_unwritten("gid_map") {
        write("setgroups", "deny".into())?;
        write("gid_map", format!("0 {gid} 1"))?;
    }
    Ok(())
}

/// The map of this process.
pub(super) fn current(name: &str) -> io::Result<Vec<IdRange>> {
    parse(&std::fs::read_to_string(format!("/proc/self/{name}"))?)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{name}: not a map")))
}

fn parse(text: &str) -> Option<Vec<IdRange>> {
    text.lines()
        .map(|line| {
            let mut numbers = line.split_whitespace().map(|n| n.parse().ok());
            Some(IdRange { inside: numbers.next()??, outside: numbers.next()??, count: numbers.next()?? })
        })
        .collect()
}

/// Whether a map is that of the first namespace.
pub(super) fn is_everything(map: &[IdRange]) -> bool {
    map == [IdRange { inside: 0, outside: 0, count: u32::MAX }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_becomes_root_and_its_ranges_follow() {
        let range = |inside, outside, count| IdRange { inside, outside, count };
        assert_eq!(
            with_caller(1000, &[(100_000, 65_536), (300_000, 10)]),
            [range(0, 1000, 1), range(1, 100_000, 65_536), range(65_537, 300_000, 10)]
        );
    }

    #[test]
    fn only_the_whole_map_is_the_first_namespace() {
        let everything = |text: &str| parse(text).map(|map| is_everything(&map));
        assert_eq!(everything("         0          0 4294967295\n"), Some(true));
        assert_eq!(everything("0 1000 1\n"), Some(false));
        assert_eq!(everything("0 0 1000\n1000 1000 4294966295\n"), Some(false));
        assert_eq!(everything("0 x 1\n"), None);
    }
}
