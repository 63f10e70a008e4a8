//! `rbc compile`, and what it shares with `rbc build`: which sources, which
//! target, which arguments.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use rbc_ir::Platform;

use super::values::{self, BuildArg};

/// Flags that decide what the plan is.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// Dockerfile, relative to the current directory; `-` reads it from standard input
    /// [default: CONTEXT/Dockerfile]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "What to build")]
    pub(crate) file: Option<PathBuf>,

    /// Stage to build, by name [default: the last one]
    #[arg(long, value_name = "STAGE", help_heading = "What to build")]
    pub(crate) target: Option<String>,

    /// Value of an ARG; without a value it is taken from the environment
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]", help_heading = "What to build")]
    pub(crate) build_args: Vec<BuildArg>,

    /// Another context, for COPY --from=NAME or FROM NAME: a directory, docker-image://REF, or
    /// oci-layout://DIR:TAG
    #[arg(long = "build-context", value_name = "NAME=VALUE", value_parser = values::named_context, help_heading = "What to build")]
    pub(crate) build_contexts: Vec<(String, String)>,

    /// Platform of the image; several make an index
    #[arg(long = "platform", value_name = "OS/ARCH", value_delimiter = ',', value_parser = values::platform, help_heading = "What to build")]
    pub(crate) platforms: Vec<Platform>,
}

/// Arguments of `rbc compile`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rbc compile .                        the plan of ./Dockerfile, on standard output
  rbc compile --target test . | jq '.nodes[].name'
  rbc compile . > plan.json && rbc build --plan plan.json .")]
pub(crate) struct CompileArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,

    /// Label of the image
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = values::label, help_heading = "What to build")]
    pub(crate) labels: Vec<(String, String)>,

    /// Directory that COPY and ADD take files from
    #[arg(value_name = "CONTEXT", value_hint = ValueHint::DirPath)]
    pub(crate) context: PathBuf,
}
