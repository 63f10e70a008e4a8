//! `rbc build`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use rbc_ir::{ExecNetwork, Ulimit};

use super::SourceArgs;
use super::values::{self, Secret, SshAgent};

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// `tty` on a terminal, else `plain`
    #[default]
    Auto,
    /// Every line of output, with the number of its step
    Plain,
    /// A live view: running steps with timers
    Tty,
    /// One JSON object per event
    Rawjson,
    /// Nothing
    Quiet,
}

/// Network of RUN steps that do not say otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetworkMode {
    /// The host's
    #[default]
    Default,
    /// A loopback device only
    None,
    /// The host's
    Host,
}

impl From<NetworkMode> for ExecNetwork {
    fn from(mode: NetworkMode) -> Self {
        match mode {
            NetworkMode::Default => Self::Default,
            NetworkMode::None => Self::None,
            NetworkMode::Host => Self::Host,
        }
    }
}

/// Arguments of `rbc build`.
#[derive(Debug, Args)]
#[command(after_help = "\
Outputs (-o may be repeated; without any, the result stays in the cache):
  -o DIR                                the files of the image, in a directory
  -o -                                  the files of the image, as a tar stream on standard output
  -o type=oci,dest=FILE                 an OCI image layout, as a tar archive
  -o type=docker,dest=FILE              an archive for `docker load`
  -o type=tar,dest=FILE                 the files of the image, as a tar archive
  -o type=local,dest=DIR                as -o DIR

Examples:
  rbc build -t app -o type=docker,dest=- . | docker load
  rbc build --build-arg VERSION=1.4 --secret id=token,env=TOKEN -o type=oci,dest=app.tar .
  rbc build --target test --progress plain .

Exit codes:
  0 done · 1 the build failed · 2 wrong usage or a wrong Dockerfile
  3 the surroundings (no space, no permission, registry unreachable) · 130 interrupted")]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,

    /// Run this plan (from `rbc compile`; `-` reads it from standard input) instead of a Dockerfile
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        help_heading = "What to build",
        conflicts_with_all = ["file", "target", "build_args", "platforms", "labels", "no_cache", "no_cache_filter",
                              "network", "add_hosts", "ulimits", "shm_size"]
    )]
    pub(crate) plan: Option<PathBuf>,

    /// Name of the image, as NAME or NAME:TAG
    #[arg(short, long = "tag", value_name = "NAME", help_heading = "What comes out")]
    pub(crate) tags: Vec<String>,

    /// Where the result goes, see below
    #[arg(short, long = "output", value_name = "DEST", help_heading = "What comes out")]
    pub(crate) outputs: Vec<String>,

    /// Label of the image
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = values::label, help_heading = "What comes out")]
    pub(crate) labels: Vec<(String, String)>,

    /// Write the image's id (the digest of its configuration) to a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "What comes out")]
    pub(crate) iidfile: Option<PathBuf>,

    /// Write digests and names of the image to a file, as JSON
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "What comes out")]
    pub(crate) metadata_file: Option<PathBuf>,

    /// How progress is shown, on standard error
    #[arg(
        long,
        value_name = "MODE",
        value_enum,
        default_value_t,
        env = "BUILDKIT_PROGRESS",
        hide_env = true,
        help_heading = "Progress"
    )]
    pub(crate) progress: ProgressMode,

    /// No progress; print the image's digest on standard output
    #[arg(short, long, help_heading = "Progress")]
    pub(crate) quiet: bool,

    /// Do not use cached results of RUN, COPY and ADD
    #[arg(long, help_heading = "Caching")]
    pub(crate) no_cache: bool,

    /// The same, for some stages
    #[arg(long, value_name = "STAGE", value_delimiter = ',', help_heading = "Caching")]
    pub(crate) no_cache_filter: Vec<String>,

    /// Accepted for docker's sake: tags are resolved at every build
    #[arg(long, help_heading = "Caching")]
    pub(crate) pull: bool,

    /// Secret for RUN --mount=type=secret
    #[arg(long = "secret", value_name = "id=ID[,src=FILE|,env=NAME]", help_heading = "What RUN gets")]
    pub(crate) secrets: Vec<Secret>,

    /// SSH agent for RUN --mount=type=ssh
    #[arg(long, value_name = "default|ID[=SOCKET]", help_heading = "What RUN gets")]
    pub(crate) ssh: Vec<SshAgent>,

    /// Network of RUN
    #[arg(long, value_name = "MODE", value_enum, default_value_t, help_heading = "What RUN gets")]
    pub(crate) network: NetworkMode,

    /// Line for /etc/hosts
    #[arg(long = "add-host", value_name = "HOST:IP", value_parser = values::host_entry, help_heading = "What RUN gets")]
    pub(crate) add_hosts: Vec<(String, String)>,

    /// Resource limit
    #[arg(long = "ulimit", value_name = "NAME=SOFT[:HARD]", value_parser = values::ulimit, help_heading = "What RUN gets")]
    pub(crate) ulimits: Vec<Ulimit>,

    /// Size of /dev/shm
    #[arg(long, value_name = "BYTES", value_parser = values::size, help_heading = "What RUN gets")]
    pub(crate) shm_size: Option<u64>,

    /// How many RUN steps may run at the same time [default: number of CPUs]
    #[arg(
        short,
        long,
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true,
        help_heading = "What RUN gets"
    )]
    pub(crate) jobs: usize,

    /// docker's shorthand for `-o type=docker`; needs a daemon
    #[arg(long, hide = true)]
    pub(crate) load: bool,

    /// docker's shorthand for `-o type=registry`
    #[arg(long, hide = true)]
    pub(crate) push: bool,

    /// docker's attestations: there are none, so only `false` can be had
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true")]
    pub(crate) provenance: Option<String>,

    /// docker's attestations: there are none, so only `false` can be had
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true")]
    pub(crate) sbom: Option<String>,

    /// docker's old builder removed intermediate containers; there are none
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true")]
    pub(crate) rm: Option<String>,

    /// Directory that COPY and ADD take files from
    #[arg(value_name = "CONTEXT", value_hint = ValueHint::DirPath)]
    pub(crate) context: PathBuf,
}
