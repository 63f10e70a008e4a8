//! Measures how long an empty sandbox takes: `true` of a static busybox on
//! the root given (or made from `/bin/busybox`), through a warm helper.
//!
//! ```text
//! cargo run --release -p rbc-vm --example sandbox_start [REPETITIONS]
//! ```
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::{Duration, Instant};

use rbc_vm::exec::{CancelToken, HELPER_ARG, Network, SandboxSpec, Spawner, helper_main};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let first = args.next();
    if first.as_deref() == Some(HELPER_ARG) {
        helper_main();
    }
    let repetitions: u32 = first.map_or(Ok(200), |n| n.parse())?;
    let base = std::env::temp_dir().join(format!("rbc-sandbox-start-{}", std::process::id()));
    let lower = base.join("lower");
    for directory in ["bin", "proc", "sys", "dev"] {
        std::fs::create_dir_all(lower.join(directory))?;
    }
    std::fs::copy("/bin/busybox", lower.join("bin/true"))?;
    let spawner = Spawner::start()?;
    for (name, network, insecure) in [
        ("host network", Network::Host, false),
        ("host network, insecure (no seccomp, no masks)", Network::Host, true),
        ("no network", Network::None, false),
    ] {
        let mut times = Vec::new();
        for index in 0..repetitions {
            let spec = spec(&base, &lower, index, network, insecure)?;
            let start = Instant::now();
            spawner.run(&spec, |_, _| {}, &CancelToken::new()?)?;
            times.push(start.elapsed());
            std::fs::remove_dir_all(base.join("run"))?;
        }
        times.sort();
        println!("{name}: median {:?}, fastest {:?}, 90 % below {:?}", at(&times, 50), at(&times, 0), at(&times, 90));
    }
    std::fs::remove_dir_all(&base)?;
    Ok(())
}

fn at(times: &[Duration], percent: usize) -> Duration {
    times.get(times.len() * percent / 100).copied().unwrap_or_default()
}

fn spec(base: &Path, lower: &Path, index: u32, network: Network, insecure: bool) -> std::io::Result<SandboxSpec> {
    let run = base.join("run").join(index.to_string());
    let path = |name: &str| run.join(name);
    for name in ["up", "wk", "root"] {
        std::fs::create_dir_all(path(name))?;
    }
    Ok(SandboxSpec {
        lowers: vec![lower.to_owned()],
        upper: path("up"),
        work: path("wk"),
        root: path("root"),
        mounts: Vec::new(),
        args: vec![b"true".to_vec()],
        env: vec![b"PATH=/bin".to_vec()],
        cwd: "/".into(),
        uid: 0,
        gid: 0,
        groups: vec![0],
        hostname: "bench".into(),
        network,
        insecure,
        shm_size: 64 << 20,
        ulimits: Vec::new(),
    })
}
