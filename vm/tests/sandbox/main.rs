//! Real sandboxes on a root made of a static busybox, as users see them: what
//! a RUN may and may not do, and what is left after it.
//!
//! They need namespaces and `/bin/busybox`; where these are refused, each test
//! says SKIPPED and why.
#![allow(clippy::print_stderr, clippy::print_stdout)]

mod files;
mod harness;
mod isolation;
mod lifetime;
mod process;
mod rootless;

/// Not a test: the helper that sandboxes of these tests are started by.
#[test]
#[ignore = "the helper process of the other tests"]
fn helper_entry() {
    rbc_vm::exec::helper_main();
}
