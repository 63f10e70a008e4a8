//! Numbers of hard link groups.

use rbc_ir::Hasher;

/// Returns a number for the files of one inode, of their paths alone: the
/// same files get the same number on every machine. Never 0, which is no
/// group.
pub(crate) fn group_number(mut paths: Vec<Vec<u8>>) -> u64 {
    paths.sort();
    let mut hasher = Hasher::new();
    for path in &paths {
        hasher.field(path);
    }
    let digest = hasher.finish();
    u64::from_le_bytes(digest.0[..8].try_into().unwrap_or_default()).max(1)
}
