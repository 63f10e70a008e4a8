//! Real sandboxes on a root made of a static busybox, as users see them: what
//! a RUN may and may not do, and what is left after it.
//!
//! They need namespaces and `/bin/busybox`; where these are refused, each test
//! says SKIPPED and why.
//!
//! This program has a `main` of its own, as the real one has: the sandbox
//! helper and the entry into a user namespace want a process without threads,
//! which the standard test harness does not offer.
#![allow(clippy::print_stderr, clippy::print_stdout)]

mod files;
mod harness;
mod isolation;
mod lifetime;
mod process;
mod rootless;
mod runner;

macro_rules! list {
    ($($module:ident :: $name:ident,)*) => {
        &[$((concat!(stringify!($module), "::", stringify!($name)), $module::$name as fn())),*]
    };
}

/// A function that is not listed is dead code, which the compiler tells.
const TESTS: &[runner::Entry] = list![
    process::the_exit_code_and_both_streams_come_back,
    process::much_output_arrives_whole,
    process::the_environment_is_the_spec_and_nothing_else,
    process::standard_input_is_empty,
    process::ids_directory_host_name_and_umask,
    process::the_command_is_process_one,
    process::resource_limits,
    process::a_program_that_is_not_there,
    process::a_program_that_may_not_be_executed,
    process::a_signal_that_kills_the_command_is_told,
    process::broken_pipes_end_writers,
    files::lower_files_are_untouched_whatever_happens_above,
    files::the_upper_holds_what_changed,
    files::binds_read_only_and_writable,
    files::a_file_can_be_bound_over_a_file,
    files::views_of_other_stages,
    files::temporary_file_systems_and_mounts_inside_them,
    files::secrets_are_read_by_their_owner_and_never_reach_the_upper,
    files::a_large_secret_arrives_whole,
    files::a_hundred_layers_with_odd_names,
    files::a_missing_layer_is_named,
    files::devices,
    files::mount_points_that_the_image_lacks_stay_out_of_it,
    isolation::capabilities_are_those_of_docker,
    isolation::the_filter_is_on_and_sudo_would_work,
    isolation::insecure_has_everything,
    isolation::mounts_and_namespaces_are_refused,
    isolation::proc_is_masked_and_partly_read_only,
    isolation::the_host_is_out_of_sight,
    isolation::without_network_there_is_lo_and_it_is_up,
    isolation::device_nodes_can_be_made,
    lifetime::what_is_left_in_the_background_is_killed,
    lifetime::cancelling_kills_everything,
    lifetime::the_helper_survives_a_cancelled_run,
    lifetime::killing_the_helper_kills_its_sandboxes_and_is_told,
    lifetime::killing_the_program_kills_its_sandboxes,
    lifetime::many_at_the_same_time,
    lifetime::a_run_leaves_no_mount_behind,
    rootless::an_ordinary_user_with_one_id,
    rootless::an_ordinary_user_with_ranges,
    rootless::inside_a_container_with_a_masked_proc,
];

/// What tests run in processes of their own ([`harness::this_program`]).
const BODIES: &[runner::Entry] = list![
    lifetime::a_program_that_runs_a_sandbox,
    rootless::body_with_one_id,
    rootless::body_with_ranges,
    rootless::body_with_a_masked_proc,
];

fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some(rbc_vm::exec::HELPER_ARG) => rbc_vm::exec::helper_main(),
        Some(harness::BODY_ARG) => runner::run_body(BODIES, args.get(1)),
        _ => runner::run(TESTS, &args),
    }
}
