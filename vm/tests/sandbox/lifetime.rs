//! When things end, and that nothing outlives them.
//!
//! A process is known to be gone when the other end of a FIFO it holds is
//! closed: no waiting by the clock.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use rbc_vm::exec::{ExecError, ExitStatus, SandboxSource, SandboxSpec};

use crate::harness::{Box, mount, sandbox, this_program, token};

/// A sandbox whose processes (one of them in the background, in a session of
/// its own) hold the FIFO `dir/alive` until they are dead.
fn lingering(bx: &Box, dir: &Path) -> SandboxSpec {
    let mut spec = bx.spec("exec 3> /mnt/alive; setsid sleep 1000 & echo started; echo started >&3; sleep 1000");
    spec.mounts = vec![mount("/mnt", SandboxSource::Bind(dir.to_owned()), false)];
    spec
}

fn make_fifo(dir: &Path) {
    nix::unistd::mkfifo(&dir.join("alive"), nix::sys::stat::Mode::S_IRWXU).expect("fifo");
}

/// Blocks until every holder of the FIFO is dead.
fn wait_until_dead(mut fifo: impl Read) {
    let mut rest = Vec::new();
    fifo.read_to_end(&mut rest).expect("end of file");
}

pub(crate) fn what_is_left_in_the_background_is_killed() {
    let Some(bx) = sandbox() else { return };
    let ran = bx.run(&bx.spec("setsid sleep 1000 & (sleep 1000 &) ; echo done"));
    assert_eq!(ran.status, ExitStatus::Code(0));
    assert_eq!(ran.stdout, "done\n");
}

pub(crate) fn cancelling_kills_everything() {
    let Some(bx) = sandbox() else { return };
    let dir = bx.fresh("fifo");
    make_fifo(&dir);
    let spec = lingering(&bx, &dir);
    let cancel = token();
    let ended = std::thread::scope(|scope| {
        let run = scope.spawn(|| bx.spawner.run(&spec, |_, _| cancel.cancel(), &cancel));
        wait_until_dead(std::fs::File::open(dir.join("alive")).expect("fifo"));
        run.join().expect("thread")
    });
    assert!(matches!(ended, Err(ExecError::Cancelled)), "{ended:?}");
    let again = bx.spawner.run(&bx.spec("true"), |_, _| {}, &cancel);
    assert!(matches!(again, Err(ExecError::Cancelled)), "{again:?}");
}

pub(crate) fn the_helper_survives_a_cancelled_run() {
    let Some(bx) = sandbox() else { return };
    let cancel = token();
    let spec = bx.spec("echo started; sleep 1000");
    let ended = bx.spawner.run(&spec, |_, _| cancel.cancel(), &cancel);
    assert!(matches!(ended, Err(ExecError::Cancelled)), "{ended:?}");
    assert_eq!(bx.output("echo fine"), "fine\n");
}

pub(crate) fn killing_the_helper_kills_its_sandboxes_and_is_told() {
    let Some(bx) = sandbox() else { return };
    let dir = bx.fresh("fifo");
    make_fifo(&dir);
    let spec = lingering(&bx, &dir);
    let killed = AtomicBool::new(false);
    let ended = std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            bx.spawner.run(
                &spec,
                |_, _| {
                    if !killed.swap(true, Ordering::SeqCst) {
                        let pid = nix::unistd::Pid::from_raw(bx.spawner.helper_pid().cast_signed());
                        nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL).expect("kill");
                    }
                },
                &token(),
            )
        });
        wait_until_dead(std::fs::File::open(dir.join("alive")).expect("fifo"));
        run.join().expect("thread")
    });
    assert!(matches!(ended, Err(ExecError::HelperGone)), "{ended:?}");
}

/// Not a test: a program in the middle of a run, to be killed.
pub(crate) fn a_program_that_runs_a_sandbox() {
    let Some(dir) = std::env::var_os("SANDBOX_TEST_DIR") else {
        return;
    };
    let bx = Box::new();
    let spec = lingering(&bx, Path::new(&dir));
    let _ = bx.spawner.run(&spec, |_, _| {}, &token());
}

pub(crate) fn killing_the_program_kills_its_sandboxes() {
    let Some(bx) = sandbox() else { return };
    let dir = bx.fresh("fifo");
    make_fifo(&dir);
    let mut program = this_program("lifetime::a_program_that_runs_a_sandbox")
        .env("SANDBOX_TEST_DIR", &dir)
        .env("TMPDIR", bx.fresh("tmp"))
        .stdout(Stdio::null())
        .spawn()
        .expect("program");
    let mut fifo = BufReader::new(std::fs::File::open(dir.join("alive")).expect("fifo"));
    let mut line = String::new();
    fifo.read_line(&mut line).expect("a line");
    assert_eq!(line, "started\n");
    program.kill().expect("kill");
    program.wait().expect("wait");
    wait_until_dead(fifo);
}

pub(crate) fn many_at_the_same_time() {
    let Some(bx) = sandbox() else { return };
    let bx = &bx;
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..20)
            .map(|number| {
                scope.spawn(move || {
                    let ran = bx.run(&bx.spec(&format!("echo {number} | tee /f; exit {number}")));
                    (number, ran)
                })
            })
            .collect();
        for run in runs {
            let (number, ran) = run.join().expect("thread");
            assert_eq!(ran.status, ExitStatus::Code(number), "{ran:?}");
        }
    });
}

pub(crate) fn a_run_leaves_no_mount_behind() {
    let Some(bx) = sandbox() else { return };
    let spec = bx.spec("true");
    bx.run(&spec);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    assert!(!mounts.contains(&*spec.root.to_string_lossy()), "{mounts}");
    assert!(std::fs::remove_dir(&spec.root).is_ok());
}
