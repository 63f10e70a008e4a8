//! A test harness in small: runs listed functions on a few threads and speaks
//! as much of libtest's language as cargo and nextest need.

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Name and function.
pub(crate) type Entry = (&'static str, fn());

/// Runs the tests that the arguments select.
pub(crate) fn run(tests: &[Entry], args: &[String]) -> ExitCode {
    let has = |flag: &str| args.iter().any(|a| a == flag);
    // None is ignored.
    let selected: Vec<Entry> =
        if has("--ignored") { Vec::new() } else { tests.iter().copied().filter(|t| matches(t.0, args)).collect() };
    if has("--list") {
        for (name, _) in &selected {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }

    println!("\nrunning {} tests", selected.len());
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((name, test)) = selected.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let passed = catch_unwind(test).is_ok();
                    println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
                    if !passed {
                        failed.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    println!(
        "\ntest result: {}. {} passed; {failed} failed\n",
        if failed == 0 { "ok" } else { "FAILED" },
        selected.len() - failed
    );
    ExitCode::from(if failed == 0 { 0 } else { 101 })
}

/// Runs one body on this, the only thread.
pub(crate) fn run_body(bodies: &[Entry], name: Option<&String>) -> ExitCode {
    let Some((_, body)) = bodies.iter().find(|b| Some(b.0) == name.map(String::as_str)) else {
        eprintln!("no body {name:?}");
        return ExitCode::FAILURE;
    };
    body();
    println!("body passed");
    ExitCode::SUCCESS
}

/// Whether the names among the arguments select a test; none selects all.
fn matches(test: &str, args: &[String]) -> bool {
    let exact = args.iter().any(|a| a == "--exact");
    let mut names = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--format" | "--test-threads" | "--color" | "--skip" => {
                rest.next();
            }
            flag if flag.starts_with('-') => {}
            name => names.push(name),
        }
    }
    names.is_empty() || names.iter().any(|name| if exact { test == *name } else { test.contains(name) })
}
