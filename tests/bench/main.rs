//! The figures of the README: rbc against buildah, same machine, same
//! Dockerfiles, medians of whole processes.
//!
//! ```text
//! cargo run --release -p rbc-tests --bin rbc-bench -- [--runs N] [--no-buildah] [CASE...]
//! ```
//!
//! Needs `docker-registry` and, for the comparison, root and `buildah`.
//! The machine should be otherwise idle. Nothing is asserted: what is
//! measured is printed.

mod cases;
mod tools;

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Result, bail};

use cases::{CASES, Case};
use tools::{Buildah, Rbc, Tool};

struct Options {
    runs: usize,
    buildah: bool,
    cases: Vec<String>,
}

fn options() -> Result<Options> {
    let mut options = Options { runs: 7, buildah: rbc_tests::probe::program("buildah"), cases: Vec::new() };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--runs" => options.runs = args.next().unwrap_or_default().parse()?,
            "--no-buildah" => options.buildah = false,
            name if CASES.iter().any(|c| c.name == name) => options.cases.push(arg),
            other => {
                let names: Vec<_> = CASES.iter().map(|c| c.name).collect();
                bail!("`{other}`: want --runs N, --no-buildah, or a case of {}", names.join(", "));
            }
        }
    }
    Ok(options)
}

/// What was measured of one tool.
struct Measured {
    times: Vec<Duration>,
    /// Bytes by which its store grew in one measured build.
    growth: u64,
}

impl Measured {
    fn median(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }
}

fn measure(case: &Case, tool: &mut dyn Tool, runs: usize) -> Result<Measured> {
    tool.prepare(case)?;
    // Fills the cache; later runs change one argument if the case says so.
    tool.build(case, 0)?;
    let before = tool.store_size()?;
    let mut times = vec![tool.build(case, 1)?];
    let growth = tool.store_size()?.saturating_sub(before);
    for stamp in 2..=runs {
        times.push(tool.build(case, stamp)?);
    }
    Ok(Measured { times, growth })
}

fn cell(measured: &Measured) -> String {
    let ms = measured.median().as_secs_f64() * 1000.0;
    let time = if ms < 1000.0 { format!("{ms:.0} ms") } else { format!("{:.1} s", ms / 1000.0) };
    format!("{time} (+{:.1} MiB)", measured.growth as f64 / f64::from(1 << 20))
}

fn main() -> Result<()> {
    let options = options()?;
    let mut out = std::io::stdout();
    writeln!(out, "| case | goal | rbc | buildah |\n| --- | ---: | ---: | ---: |")?;
    for case in CASES {
        if !options.cases.is_empty() && !options.cases.iter().any(|c| c == case.name) {
            continue;
        }
        let ours = measure(case, &mut Rbc::new(case)?, options.runs)?;
        // Slow enough that fewer runs tell the same.
        let theirs = match options.buildah {
            true => cell(&measure(case, &mut Buildah::new(case)?, options.runs.min(3))?),
            false => "not run".to_owned(),
        };
        writeln!(out, "| {} | {} | {} | {theirs} |", case.title, case.goal, cell(&ours))?;
        out.flush()?;
    }
    Ok(())
}
