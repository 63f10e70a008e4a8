//! Which processes are alive, so that what dead ones left can go.
//!
//! Names in `run` and `tmp` begin with `PID-STARTED`, their owner. The owner
//! holds a lock on `run/PID-STARTED.lock`, which the kernel gives up when it
//! dies, however it dies; a process id alone says nothing where several PID
//! namespaces share a store. The file is locked before it has a name, so
//! nobody ever finds it unlocked while its owner lives.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use super::checkout::remove_tree;

/// The lock of this process; the file goes with it.
pub(super) struct Alive {
    _lock: File,
    path: PathBuf,
}

impl Alive {
    /// Takes the lock of an owner.
    pub(super) fn claim(runs: &Path, owner: &str) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let lock = File::from(rustix::fs::open(runs, flags, Mode::from_raw_mode(0o600))?);
        lock.try_lock().map_err(io::Error::from)?;
        let path = lock_file(runs, owner);
        let from = format!("/proc/self/fd/{}", lock.as_raw_fd());
        rustix::fs::linkat(CWD, from, CWD, &path, AtFlags::SYMLINK_FOLLOW)?;
        Ok(Self { _lock: lock, path })
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        // If it stays, the next process finds it unlocked.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn lock_file(runs: &Path, owner: &str) -> PathBuf {
    runs.join(format!("{owner}.lock"))
}

/// The owner of a name: `PID-STARTED` of `PID-STARTED-N` or `PID-STARTED.lock`.
fn owner(name: &str) -> Option<&str> {
    let owner = name.strip_suffix(".lock").or_else(|| Some(name.rsplit_once('-')?.0))?;
    let (pid, started) = owner.split_once('-')?;
    let digits = pid.bytes().all(|b| b.is_ascii_digit()) && started.bytes().all(|b| b.is_ascii_hexdigit());
    (digits && !pid.is_empty() && !started.is_empty()).then_some(owner)
}

/// Removes what dead processes left in `run` and `tmp`. What cannot be
/// removed now is tried again by the next process.
pub(super) fn sweep(runs: &Path, tmp: &Path) {
    let mut left: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for entry in [runs, tmp].into_iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().flatten() {
        let name = entry.file_name();
        if let Some(owner) = name.to_str().and_then(owner) {
            left.entry(owner.to_owned()).or_default().push(entry.path());
        }
    }
    for (owner, paths) in left {
        let path = lock_file(runs, &owner);
        // Held while removing: one process sweeps.
        let lock = File::open(&path);
        let dead = match &lock {
            Ok(lock) => lock.try_lock().is_ok(),
            // It could not make a lock; its number must do.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let pid = owner.split('-').next().unwrap_or_default();
                !Path::new("/proc").join(pid).exists()
            }
            Err(_) => false,
        };
        if !dead {
            continue;
        }
        let mut all = true;
        for left in paths.iter().filter(|p| **p != path) {
            let removed = match left.symlink_metadata() {
                Ok(meta) if meta.is_dir() => remove_tree(left).is_ok(),
                Ok(_) => std::fs::remove_file(left).is_ok(),
                Err(_) => true,
            };
            all &= removed;
        }
        if all {
            let _ = std::fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_what_dead_processes_left_is_swept() {
        let home = tempfile::tempdir().unwrap();
        let (runs, tmp) = (home.path().join("run"), home.path().join("tmp"));
        let make = |owner: &str| {
            fs::create_dir_all(runs.join(format!("{owner}-0/upper"))).unwrap();
            fs::create_dir_all(&tmp).unwrap();
            fs::write(tmp.join(format!("{owner}-1")), "half").unwrap();
        };
        make("1-a1");
        make("1-b2");
        // A killed process leaves its lock file unlocked.
        fs::write(lock_file(&runs, "1-a1"), "").unwrap();
        let alive = Alive::claim(&runs, "1-b2").unwrap();
        fs::write(tmp.join("something else"), "").unwrap();
        sweep(&runs, &tmp);
        let names = |dir: &Path| {
            let mut names: Vec<String> =
                fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&runs), ["1-b2-0", "1-b2.lock"]);
        assert_eq!(names(&tmp), ["1-b2-1", "something else"]);
        drop(alive);
        assert_eq!(names(&runs), ["1-b2-0"]);
    }

    #[test]
    fn an_owner_is_a_process_and_when_it_began() {
        assert_eq!(owner("12-18eab8-3"), Some("12-18eab8"));
        assert_eq!(owner("12-18eab8.lock"), Some("12-18eab8"));
        assert_eq!(owner("VERSION-12"), None);
        assert_eq!(owner("12-3"), None);
        assert_eq!(owner("x"), None);
    }
}
