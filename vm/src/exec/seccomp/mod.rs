//! The system call filter of a sandbox: docker's default profile as classic
//! BPF.
//!
//! `table` is data, `profile` decides what a call may do on an architecture,
//! `emit` writes the decision as a binary search over number ranges: loading
//! costs about 2 µs per instruction, so 130 of them instead of one comparison
//! per call matters.
//!
//! Deliberately not here: capability-dependent rules. A sandbox has either
//! the default capabilities or (`--security=insecure`) no filter at all.

mod emit;
mod profile;
mod table;

pub(in crate::exec) use emit::Instruction;

/// The default filter for the architecture this program was built for.
pub(in crate::exec) fn default_filter() -> Vec<Instruction> {
    emit::program(&profile::native())
}

#[cfg(test)]
mod interpreter;
#[cfg(test)]
mod tests;
