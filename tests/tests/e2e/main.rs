//! End-to-end tests: `rbc` against a real registry, judged by what comes out.

mod caching;
mod command_line;
mod context;
mod errors;
mod interrupt;
mod links;
mod ordinary_user;
mod outputs;
mod plan;
mod programs;
