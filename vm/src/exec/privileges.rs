//! Limits, capabilities, ids and the system call filter of a sandboxed
//! process.
//!
//! `no_new_privs` is not set: `sudo` and `su` in a RUN work as they do under
//! docker.

use rustix::io::Errno;
use rustix::process::{Gid, Resource, Rlimit, Uid, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use super::seccomp::Instruction;
use super::spec::SandboxSpec;
use super::sys::seccomp as filter_call;
use super::wire::Failure;

/// The default capabilities of containerd, BuildKit and docker.
const DEFAULT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::AUDIT_WRITE);

/// One past the highest capability number a kernel may know.
const CAPABILITY_NUMBERS: u32 = 64;

/// Supplementary groups could not be set.
pub(super) struct GroupsRefused;

/// Gives up what the process must not have: bounding set, filter, ids,
/// capabilities, in this order.
pub(super) fn drop_to(spec: &SandboxSpec, filter: Option<&[Instruction]>) -> Result<Option<GroupsRefused>, Failure> {
    let kept = if spec.insecure {
        rustix::thread::capabilities(None).map_err(Failure::at("read the capabilities"))?.permitted
    } else {
        DEFAULT
    };
    limit_bounding_set(kept)?;
    if let Some(filter) = filter {
        filter_call::install(filter).map_err(Failure::at("load the system call filter"))?;
    }
    let refused = set_ids(spec)?;
    // Leaving uid 0 has cleared the effective and permitted sets. Inheritable
    // stays empty (CVE-2022-24769).
    let held = rustix::thread::capabilities(None).map_err(Failure::at("read the capabilities"))?;
    let permitted = held.permitted & kept;
    set_capabilities(None, CapabilitySets { effective: permitted, permitted, inheritable: CapabilitySet::empty() })
        .map_err(Failure::at("set the capabilities"))?;
    Ok(refused)
}

fn limit_bounding_set(kept: CapabilitySet) -> Result<(), Failure> {
    for number in 0..CAPABILITY_NUMBERS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if kept.contains(capability) {
            continue;
        }
        match remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // One past the last that this kernel knows.
            Err(Errno::INVAL) => break,
            Err(e) => {
                return Err(Failure::at(format!("drop capability {number} from the bounding set"))(e));
            }
        }
    }
    Ok(())
}

fn set_ids(spec: &SandboxSpec) -> Result<Option<GroupsRefused>, Failure> {
    let groups: Vec<Gid> = spec.groups.iter().copied().map(Gid::from_raw).collect();
    let refused = match set_thread_groups(&groups) {
        Ok(()) => None,
        // "deny" in /proc/self/setgroups: a single-id user namespace.
        Err(Errno::PERM) => Some(GroupsRefused),
        Err(e) => {
            return Err(id_failure("set the groups", format!("{:?}", spec.groups), e));
        }
    };
    let gid = Gid::from_raw(spec.gid);
    set_thread_res_gid(gid, gid, gid).map_err(|e| id_failure("become group", spec.gid, e))?;
    let uid = Uid::from_raw(spec.uid);
    set_thread_res_uid(uid, uid, uid).map_err(|e| id_failure("become user", spec.uid, e))?;
    Ok(refused)
}

fn id_failure(what: &str, value: impl std::fmt::Display, errno: Errno) -> Failure {
    let hint = if errno == Errno::INVAL {
        " (this user namespace has no such id: install newuidmap and newgidmap, and give this \
         user ranges in /etc/subuid and /etc/subgid)"
    } else {
        ""
    };
    Failure::at(format!("{what} {value}{hint}"))(errno)
}

/// Sets resource limits. No core dumps unless asked for: they would hold
/// secrets and end up in the image.
pub(super) fn set_limits(ulimits: &[(String, u64, u64)]) -> Result<(), Failure> {
    let core = rustix::process::getrlimit(Resource::Core);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: core.maximum });
    for (name, soft, hard) in ulimits {
        let step = || format!("set the limit {name}={soft}:{hard}");
        let resource = resource(name).ok_or_else(|| Failure { step: step(), errno: libc::EINVAL })?;
        let value = |v: u64| (v != u64::MAX).then_some(v);
        setrlimit(resource, Rlimit { current: value(*soft), maximum: value(*hard) }).map_err(Failure::at(step()))?;
    }
    Ok(())
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "as" => Resource::As,
        "core" => Resource::Core,
        "cpu" => Resource::Cpu,
        "data" => Resource::Data,
        "fsize" => Resource::Fsize,
        "locks" => Resource::Locks,
        "memlock" => Resource::Memlock,
        "msgqueue" => Resource::Msgqueue,
        "nice" => Resource::Nice,
        "nofile" => Resource::Nofile,
        "nproc" => Resource::Nproc,
        "rss" => Resource::Rss,
        "rtprio" => Resource::Rtprio,
        "rttime" => Resource::Rttime,
        "sigpending" => Resource::Sigpending,
        "stack" => Resource::Stack,
        _ => return None,
    })
}
