//! Sees who opens which file, by inotify.

use std::path::{Path, PathBuf};

use anyhow::Result;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

/// Watches files for being opened, by anyone.
pub struct Watch {
    inotify: Inotify,
    files: Vec<(WatchDescriptor, PathBuf)>,
}

impl Watch {
    /// Starts to watch.
    ///
    /// # Errors
    ///
    /// If a file is missing, or inotify is.
    pub fn opens(files: &[PathBuf]) -> Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let watch = |path: &Path| inotify.add_watch(path, AddWatchFlags::IN_OPEN);
        let files = files.iter().map(|path| Ok((watch(path)?, path.clone()))).collect::<Result<_>>()?;
        Ok(Self { inotify, files })
    }

    /// Returns what was opened since the last call.
    ///
    /// # Errors
    ///
    /// If inotify fails.
    pub fn seen(&self) -> Result<Vec<PathBuf>> {
        let mut seen = Vec::new();
        loop {
            match self.inotify.read_events() {
                Ok(events) => {
                    for event in events {
                        seen.extend(self.files.iter().filter(|(wd, _)| *wd == event.wd).map(|(_, path)| path.clone()));
                    }
                }
                Err(Errno::EAGAIN) => {
                    seen.dedup();
                    return Ok(seen);
                }
                Err(e) => return Err(e.into()),
            }
        }
    }
}
