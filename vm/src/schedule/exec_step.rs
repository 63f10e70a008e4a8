//! A process: its lower directories, its mounts, and what it leaves.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rbc_ir::{ExecMountKind, ExecNetwork, ExecOp, ExecSecurity, NodeId};
use rustix::fs::{Mode, OFlags};

use super::agent_forward::AgentForward;
use super::cache_mount::CacheMount;
use super::root_mounts::{Stub, Stubs};
use super::walk::{StepInput, now};
use super::{Build, BuildErrorKind, SharedDir, file_step};
use crate::event::Event;
use crate::exec::{Degraded, ExitStatus, Network, SandboxMount, SandboxSource, SandboxSpec};
use crate::fs::owner::exec_user;
use crate::fs::{Follow, Root, apply, diff, layer_diff, locate};
use crate::store::{Action, Inodes, IoContext, Layer, MadeLayer, Snapshot, Store, remove_tree, says_nothing, set_meta};

/// How much of the end of its output a failed process shows.
const TAIL: usize = 16 * 1024;
/// From this many lower directories on, the oldest layers are joined: each
/// costs a look at every missing name.
const STACK_LIMIT: usize = 48;
/// Docker's default size of `/dev/shm`.
const SHM_SIZE: u64 = 64 << 20;

/// The directory of a run; removed when the run is over.
struct RunDir {
    path: PathBuf,
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // What cannot be removed now is swept by the next prune.
        let _ = remove_tree(&self.path);
    }
}

/// Runs a process and takes in what it leaves.
pub(super) fn run(
    build: &Build<'_>,
    node: NodeId,
    op: &ExecOp,
    inputs: &[Arc<Action>],
    views: &[StepInput<'_>],
) -> Result<Snapshot, BuildErrorKind> {
    let store = build.vm.store();
    let base = file_step::base(inputs)?;
    let run = RunDir { path: store.new_run()? };
    let shared = build.vm.shared_dir()?;
    let user = exec_user(store, store, &base.root, &op.user)?;
    let mut stubs = Stubs::new(store, &base.root);
    let mut caches = Vec::new();
    let mut agents = Vec::new();
    let mut env: Vec<Vec<u8>> = op.env.iter().chain(&op.proxy_env).map(|v| v.clone().into_bytes()).collect();
    let mut mounts = default_mounts(op, shared, &mut stubs)?;
    for (i, mount) in op.mounts.iter().enumerate() {
        let place = run.path.join(format!("m{i}"));
        let source = match &mount.kind {
            ExecMountKind::Bind { input, source, rw } => {
                bind(store, views, inputs, *input, source, rw.then_some(&*place))?
            }
            ExecMountKind::Cache { .. } => {
                let cache = CacheMount::open(build, &mount.kind, inputs, &build.request.cancel)?;
                let source = SandboxSource::Bind(cache.path().to_owned());
                caches.push(cache);
                Some((source, Stub::Dir))
            }
            ExecMountKind::Tmpfs { size } => {
                let size = (*size > 0).then_some(*size);
                Some((SandboxSource::Tmpfs { size, mode: 0o1777 }, Stub::Dir))
            }
            ExecMountKind::Secret { .. } => secret(build, &mount.kind, &mut env)?,
            ExecMountKind::Ssh { .. } => {
                let forward = ssh(build, &mount.kind, &mount.target, &place, &mut env)?;
                let source = forward.as_ref().map(|f| (SandboxSource::Bind(f.path().to_owned()), Stub::File));
                agents.extend(forward);
                source
            }
        };
        if let Some((source, stub)) = source {
            let target = stubs.place(&mount.target, stub)?;
            mounts.push(SandboxMount { target, source, readonly: is_readonly(&mount.kind) });
        }
    }
    let cwd = stubs.place(&op.cwd, Stub::Dir)?;
    if !op.env.iter().any(|v| v.starts_with("HOME=")) {
        // As runc does for a process without one.
        env.push(format!("HOME={}", user.home.as_deref().unwrap_or("/")).into_bytes());
    }

    let mut lowers = Vec::new();
    lowers.extend(stubs.make(&run.path.join("stubs"))?);
    lowers.extend(lower_directories(store, base)?);
    let upper = new_directory(&run.path, "upper")?;
    give_root_meta(store, &upper, &base.root)?;
    let spec = SandboxSpec {
        lowers,
        upper: upper.clone(),
        work: new_directory(&run.path, "work")?,
        root: shared.root().to_owned(),
        mounts,
        args: op.args.iter().map(|a| a.clone().into_bytes()).collect(),
        env,
        cwd,
        uid: user.uid,
        gid: user.gid,
        groups: user.groups,
        hostname: if op.hostname.is_empty() { "buildkitsandbox".to_owned() } else { op.hostname.clone() },
        network: if op.network == ExecNetwork::None { Network::None } else { Network::Host },
        insecure: op.security == ExecSecurity::Insecure,
        shm_size: if op.shm_size > 0 { op.shm_size } else { SHM_SIZE },
        ulimits: op.ulimits.iter().map(|u| (u.name.clone(), u.soft, u.hard)).collect(),
    };

    let started = Instant::now();
    let mut tail = Vec::new();
    let spawner = build.vm.spawner()?;
    let status = spawner.run(
        &spec,
        |stream, data| {
            tail.extend_from_slice(data);
            if tail.len() > 2 * TAIL {
                tail.drain(..tail.len() - TAIL);
            }
            build.request.observer.event(Event::Output { node, stream, data: data.to_vec() });
        },
        &build.request.cancel,
    )?;
    drop((caches, agents));
    // Of groups, the note on a single id has told already.
    for what in spawner.newly_degraded().into_iter().filter(|what| *what != Degraded::NoGroups) {
        build.request.observer.event(Event::Warning { node: Some(node), message: what.to_string() });
    }
    if status != ExitStatus::Code(0) {
        let command = op.args.join(" ");
        return Err(BuildErrorKind::Exit { command, status, tail, took: started.elapsed() });
    }
    take_in(store, base, &upper)
}

/// Makes a layer of an upper directory.
fn take_in(store: &Store, base: &Snapshot, upper: &Path) -> Result<Snapshot, BuildErrorKind> {
    let captured = store.capture(upper, &base.root)?;
    let root = apply(store, &base.root, &captured.diff)?;
    let changes = layer_diff(store, &base.root, &root)?;
    // The upper directory serves as the checkout of the layer only if it says
    // exactly the same: with an opaque directory in place of whiteouts it
    // would hide more, if the layer ever stands on another base.
    if changes.id() == captured.diff.id() && changes.dir.id != base_nothing(store) {
        store.adopt_checkout(upper, &changes, captured.inodes)?;
    }
    let mut layers = base.layers.clone();
    layers.push(Layer::Made(MadeLayer { diff: changes, created: now() }));
    Ok(Snapshot { root, layers })
}

fn base_nothing(store: &Store) -> crate::fs::TreeId {
    crate::fs::Forest::empty(store).dir.id
}

/// Lower directories of a snapshot, topmost first: one for the base image,
/// one for each layer that says something.
pub(super) fn lower_directories(store: &Store, snapshot: &Snapshot) -> Result<Vec<PathBuf>, BuildErrorKind> {
    let mut base = crate::fs::Forest::empty(store);
    let mut made = Vec::new();
    if snapshot.layers.iter().any(|l| matches!(l, Layer::Base(_))) {
        base = base_root(store, snapshot)?;
    }
    let mut below = base.clone();
    for layer in &snapshot.layers {
        if let Layer::Made(layer) = layer {
            if !says_nothing(&layer.diff, &below) {
                made.push(layer.diff.clone());
            }
            below = apply(store, &below, &layer.diff)?;
        }
    }
    if made.len() > STACK_LIMIT {
        // In whole halves, so that the next steps find the same join.
        let half = STACK_LIMIT / 2;
        let joined = (made.len() - half) / half * half;
        let mut upper = base.clone();
        for diff in made.iter().take(joined) {
            upper = apply(store, &upper, diff)?;
        }
        let first = diff(store, &base, &upper)?;
        made = std::iter::once(first).chain(made.into_iter().skip(joined)).collect();
    }
    let mut inodes = Inodes::default();
    let mut directories = vec![store.checkout(&base, &mut inodes)?];
    for diff in &made {
        directories.push(store.checkout(diff, &mut inodes)?);
    }
    directories.reverse();
    Ok(directories)
}

/// The tree of the base image that a snapshot's first layers are.
fn base_root(store: &Store, snapshot: &Snapshot) -> Result<Root, BuildErrorKind> {
    let chain = snapshot.layers.iter().map_while(|l| match l {
        Layer::Base(base) => Some(base.diff_id),
        Layer::Made(_) => None,
    });
    let chain: Vec<_> = chain.collect();
    store.base_tree(&chain)?.ok_or_else(|| {
        BuildErrorKind::Store(crate::store::StoreError::Missing { what: "the tree of a base image".to_owned() })
    })
}

fn new_directory(run: &Path, name: &str) -> Result<PathBuf, BuildErrorKind> {
    let path = run.join(name);
    fs::create_dir(&path).on("create", &path)?;
    Ok(path)
}

/// The merged root shows the metadata of the upper directory.
fn give_root_meta(store: &Store, upper: &Path, root: &Root) -> Result<(), BuildErrorKind> {
    let fd = rustix::fs::open(upper, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .on("open", upper)?;
    set_meta(fd.as_fd(), &root.meta, store.keeps_owners()).on("set the metadata of", upper)?;
    Ok(())
}

/// `/proc`, `/sys` and `/dev` (which the sandbox mounts), `/etc/hosts` and
/// `/etc/resolv.conf`.
fn default_mounts(op: &ExecOp, shared: &SharedDir, stubs: &mut Stubs<'_>) -> Result<Vec<SandboxMount>, BuildErrorKind> {
    for path in ["/proc", "/sys", "/dev"] {
        stubs.place(path, Stub::Dir)?;
    }
    let hostname = if op.hostname.is_empty() { "buildkitsandbox" } else { &op.hostname };
    let mut hosts = format!("127.0.0.1\tlocalhost {hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for (name, address) in &op.extra_hosts {
        hosts.push_str(&format!("{address}\t{name}\n"));
    }
    let resolv = fs::read("/etc/resolv.conf").unwrap_or_default();
    let mut mounts = Vec::new();
    for (target, content) in [("/etc/hosts", hosts.into_bytes()), ("/etc/resolv.conf", resolv)] {
        let source = SandboxSource::Bind(shared.file(&content)?);
        let target = stubs.place(target, Stub::File)?;
        mounts.push(SandboxMount { target, source, readonly: true });
    }
    Ok(mounts)
}

fn is_readonly(kind: &ExecMountKind) -> bool {
    match kind {
        ExecMountKind::Bind { rw, .. } => !rw,
        ExecMountKind::Cache { ro, .. } => *ro,
        ExecMountKind::Secret { .. } | ExecMountKind::Ssh { .. } | ExecMountKind::Tmpfs { .. } => false,
    }
}

type Source = Option<(SandboxSource, Stub)>;

/// A view of another tree.
fn bind(
    store: &Store,
    views: &[StepInput<'_>],
    inputs: &[Arc<Action>],
    input: usize,
    source: &str,
    writable: Option<&Path>,
) -> Result<Source, BuildErrorKind> {
    let missing = || BuildErrorKind::Unsupported(format!("a mount of input {input}, which does not exist"));
    let view = views.get(input).ok_or_else(missing)?;
    let snapshot = &inputs.get(input).ok_or_else(missing)?.snapshot;
    let found = locate(store, view.root, source.as_bytes(), Follow::Last)?;
    let Some(entry) = found.entry else {
        return Err(BuildErrorKind::Mount { target: source.to_owned(), why: "not found".to_owned() });
    };
    let stub = if entry.is_dir() { Stub::Dir } else { Stub::File };
    let upper = match writable {
        Some(place) => {
            fs::create_dir(place).on("create", place)?;
            let upper = new_directory(place, "upper")?;
            give_root_meta(store, &upper, view.root)?;
            Some((upper, new_directory(place, "work")?))
        }
        None => None,
    };
    let subdir = crate::fs::path::join(&found.names);
    let subdir = PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(subdir));
    let lowers = lower_directories(store, snapshot)?;
    Ok(Some((SandboxSource::Overlay { lowers, upper, subdir }, stub)))
}

/// A secret as a file and/or a variable.
fn secret(build: &Build<'_>, kind: &ExecMountKind, env: &mut Vec<Vec<u8>>) -> Result<Source, BuildErrorKind> {
    let ExecMountKind::Secret { id, file, env: variable, required, mode, uid, gid } = kind else { return Ok(None) };
    let Some(value) = build.request.secrets.get(id) else {
        if *required {
            return Err(BuildErrorKind::MissingSecret { what: "secret", id: id.clone() });
        }
        return Ok(None);
    };
    if let Some(name) = variable {
        env.push([name.as_bytes(), b"=", value].concat());
    }
    let source = SandboxSource::Secret { data: value.clone(), mode: *mode, uid: *uid, gid: *gid };
    Ok(file.then_some((source, Stub::File)))
}

/// A forwarded agent.
fn ssh(
    build: &Build<'_>,
    kind: &ExecMountKind,
    target: &str,
    place: &Path,
    env: &mut Vec<Vec<u8>>,
) -> Result<Option<AgentForward>, BuildErrorKind> {
    let ExecMountKind::Ssh { id, required, mode, uid, gid } = kind else { return Ok(None) };
    let Some(socket) = build.request.ssh.get(id) else {
        if *required {
            return Err(BuildErrorKind::MissingSecret { what: "ssh agent", id: id.clone() });
        }
        return Ok(None);
    };
    env.push(format!("SSH_AUTH_SOCK={target}").into_bytes());
    let owner = build.vm.store().keeps_owners().then_some((*uid, *gid));
    let forward = AgentForward::start(place, socket.clone(), *mode, owner).on("forward an agent at", place)?;
    Ok(Some(forward))
}
