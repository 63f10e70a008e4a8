//! What docker's default profile answers, per architecture, as ranges of
//! system call numbers.

use super::table::{ALLOWED, NONE};

/// `AUDIT_ARCH_*` of `linux/audit.h`.
const AUDIT_ARCH_X86_64: u32 = 0xC000_003E;
const AUDIT_ARCH_I386: u32 = 0x4000_0003;
const AUDIT_ARCH_AARCH64: u32 = 0xC000_00B7;
const AUDIT_ARCH_ARM: u32 = 0x4000_0028;

/// What a filter does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Let it through.
    Allow,
    /// Refuse with this errno.
    Errno(u16),
    /// Allow unless a bit of the mask is set in the first argument:
    /// `clone` without new namespaces.
    AllowWithoutBits(u32),
    /// Allow if the first argument is one of these: `personality`.
    AllowValues(&'static [u32]),
    /// Allow unless the first argument is one of these: `socket`.
    AllowExcept(&'static [u32]),
}

/// The profile of one architecture.
#[derive(Debug)]
pub(super) struct ArchProfile {
    /// `AUDIT_ARCH_*`.
    pub(super) audit: u32,
    /// First number of each range and its verdict; the first starts at 0 and
    /// each range reaches to the next.
    pub(super) ranges: Vec<(u32, Verdict)>,
}

/// `CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}`, as in the profile.
const CLONE_NAMESPACES: u32 = 0x7E02_0000;
/// `PER_LINUX`, `PER_LINUX32`, `UNAME26` and both, and "query".
const PERSONALITIES: &[u32] = &[0x0, 0x0008, 0x0002_0000, 0x0002_0008, 0xFFFF_FFFF];
/// `AF_ALG` (CVE-2019-8912 and later) and `AF_VSOCK`. The profile compares 64
/// bits; the kernel takes an `int`, so the low half decides here.
const REFUSED_FAMILIES: &[u32] = &[38, 40];

/// The profile's default.
const REFUSED: Verdict = Verdict::Errno(libc::EPERM as u16);
/// For numbers newer than the profile: libc then tries the older call, where
/// `EPERM` would be taken for an answer (what runc does, `patchbpf`).
const UNKNOWN: Verdict = Verdict::Errno(libc::ENOSYS as u16);

/// The special calls of an architecture.
struct Special {
    clone: u32,
    clone3: u32,
    personality: u32,
    socket: u32,
}

/// The native architecture first, then the 32-bit one that the same kernel
/// runs.
pub(super) fn native() -> Vec<ArchProfile> {
    if cfg!(target_arch = "aarch64") { aarch64() } else { x86_64() }
}

pub(super) fn x86_64() -> Vec<ArchProfile> {
    let native = Special { clone: 56, clone3: 435, personality: 135, socket: 41 };
    let compat = Special { clone: 120, clone3: 435, personality: 136, socket: 359 };
    vec![
        arch(AUDIT_ARCH_X86_64, ALLOWED.iter().map(|r| r.1), &native),
        arch(AUDIT_ARCH_I386, ALLOWED.iter().map(|r| r.2), &compat),
    ]
}

pub(super) fn aarch64() -> Vec<ArchProfile> {
    let native = Special { clone: 220, clone3: 435, personality: 92, socket: 198 };
    let compat = Special { clone: 120, clone3: 435, personality: 136, socket: 281 };
    vec![
        arch(AUDIT_ARCH_AARCH64, ALLOWED.iter().map(|r| r.3), &native),
        arch(AUDIT_ARCH_ARM, ALLOWED.iter().map(|r| r.4), &compat),
    ]
}

fn arch(audit: u32, allowed: impl Iterator<Item = u32>, special: &Special) -> ArchProfile {
    let mut calls: Vec<(u32, Verdict)> = allowed.filter(|n| *n != NONE).map(|n| (n, Verdict::Allow)).collect();
    calls.push((special.clone, Verdict::AllowWithoutBits(CLONE_NAMESPACES)));
    // libc falls back to clone, whose flags a filter can read.
    calls.push((special.clone3, UNKNOWN));
    calls.push((special.personality, Verdict::AllowValues(PERSONALITIES)));
    calls.push((special.socket, Verdict::AllowExcept(REFUSED_FAMILIES)));
    calls.sort_unstable_by_key(|c| c.0);
    calls.dedup_by_key(|c| c.0);

    let mut ranges: Vec<(u32, Verdict)> = Vec::new();
    let mut next = 0;
    let mut push = |start: u32, verdict: Verdict| {
        if ranges.last().is_none_or(|last| last.1 != verdict) {
            ranges.push((start, verdict));
        }
    };
    for (number, verdict) in calls {
        if number > next {
            push(next, gap(number));
        }
        push(number, verdict);
        next = number.saturating_add(1);
    }
    push(next, UNKNOWN);
    ArchProfile { audit, ranges }
}

/// Numbers below the architecture's largest ordinary one that the profile
/// does not name are refused; arm's private range starts far above it, and
/// what lies between is unknown.
fn gap(next_known: u32) -> Verdict {
    if next_known >= ARM_PRIVATE { UNKNOWN } else { REFUSED }
}

/// `__ARM_NR_BASE`.
const ARM_PRIVATE: u32 = 0xF_0000;
