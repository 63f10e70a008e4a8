//! The process: its exit, streams, environment, ids, limits.

use rbc_vm::exec::ExitStatus;

use crate::harness::sandbox;

pub(crate) fn the_exit_code_and_both_streams_come_back() {
    let Some(bx) = sandbox() else { return };
    let ran = bx.run(&bx.spec("echo out; echo err >&2; exit 42"));
    assert_eq!(ran.status, ExitStatus::Code(42));
    assert_eq!(ran.stdout, "out\n");
    assert_eq!(ran.stderr, "err\n");
}

pub(crate) fn much_output_arrives_whole() {
    let Some(bx) = sandbox() else { return };
    let ran = bx.run(&bx.spec("yes 0123456789 | head -c 1000000; seq 1 20000 >&2"));
    assert_eq!(ran.stdout.len(), 1_000_000);
    assert_eq!(ran.stderr.lines().last(), Some("20000"));
}

pub(crate) fn the_environment_is_the_spec_and_nothing_else() {
    let Some(bx) = sandbox() else { return };
    let mut spec = bx.spec("");
    spec.args = vec![b"env".to_vec()];
    spec.env = vec![b"PATH=/nowhere:/bin".to_vec(), b"A=b c".to_vec()];
    assert_eq!(bx.output_of(&spec), "PATH=/nowhere:/bin\nA=b c\n");
}

pub(crate) fn standard_input_is_empty() {
    let Some(bx) = sandbox() else { return };
    assert_eq!(bx.output("cat | wc -c"), "0\n");
}

pub(crate) fn ids_directory_host_name_and_umask() {
    let Some(bx) = sandbox() else { return };
    let mut spec = bx.spec("id -u; id -g; id -G; pwd; hostname; umask");
    (spec.uid, spec.gid, spec.groups) = (1000, 50, vec![50, 60]);
    spec.cwd = "/tmp".into();
    spec.hostname = "a-host".into();
    assert_eq!(bx.output_of(&spec), "1000\n50\n50 60\n/tmp\na-host\n0022\n");
}

pub(crate) fn the_command_is_process_one() {
    let Some(bx) = sandbox() else { return };
    assert_eq!(bx.output("echo $$; set -- /proc/[0-9]*; echo $*"), "1\n/proc/1\n");
}

pub(crate) fn resource_limits() {
    let Some(bx) = sandbox() else { return };
    let mut spec = bx.spec("ulimit -n; ulimit -Hn; ulimit -u; ulimit -c");
    spec.ulimits = vec![("nofile".into(), 512, 1024), ("nproc".into(), 300, 300)];
    assert_eq!(bx.output_of(&spec), "512\n1024\n300\n0\n");
    spec = bx.spec("true");
    spec.ulimits = vec![("bogus".into(), 1, 1)];
    let error = bx.try_run(&spec).expect_err("no such limit").to_string();
    assert!(error.contains("bogus"), "{error}");
}

pub(crate) fn a_program_that_is_not_there() {
    let Some(bx) = sandbox() else { return };
    let mut spec = bx.spec("");
    spec.args = vec![b"no-such-program".to_vec()];
    let ran = bx.run(&spec);
    assert_eq!(ran.status, ExitStatus::Code(127));
    assert_eq!(ran.stderr, "exec: \"no-such-program\": executable file not found in $PATH\n");

    let mut spec = bx.spec("");
    spec.args = vec![b"/no/such/prog".to_vec()];
    let ran = bx.run(&spec);
    assert_eq!(ran.status, ExitStatus::Code(127));
    assert!(ran.stderr.contains("/no/such/prog"), "{ran:?}");
}

pub(crate) fn a_program_that_may_not_be_executed() {
    let Some(bx) = sandbox() else { return };
    for path in ["/etc/base", "/etc"] {
        let mut spec = bx.spec("");
        spec.args = vec![path.as_bytes().to_vec()];
        let ran = bx.run(&spec);
        assert_eq!(ran.status, ExitStatus::Code(126), "{ran:?}");
        assert!(ran.stderr.contains("permission denied"), "{ran:?}");
    }
}

pub(crate) fn a_signal_that_kills_the_command_is_told() {
    let Some(bx) = sandbox() else { return };
    // Process 1 is immune to its own signals, so its child dies and it says so.
    let ran = bx.run(&bx.spec("sh -c 'kill -9 $$'; echo $?"));
    assert_eq!(ran.stdout, "137\n");
}

pub(crate) fn broken_pipes_end_writers() {
    let Some(bx) = sandbox() else { return };
    assert_eq!(bx.output("yes | head -n 1"), "y\n");
}
