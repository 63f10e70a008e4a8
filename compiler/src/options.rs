//! What the caller wants: the command line of a build, as plain data.

use indexmap::IndexMap;
use rbc_ir::{ExecNetwork, Platform, Ulimit};

/// Which steps must not take results from the cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NoCache {
    /// None: all may.
    #[default]
    None,
    /// All of them (`--no-cache`).
    All,
    /// Those of these stages (`--no-cache-filter`), by name in any case.
    Stages(Vec<String>),
}

/// Options of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildOptions {
    /// Name of the Dockerfile, for messages and the plan.
    pub file: String,
    /// The main context: a directory, a git URL, or the URL of an archive.
    pub context: String,
    /// `--target`.
    pub target: Option<String>,
    /// `--build-arg`: names with values.
    pub build_args: IndexMap<String, String>,
    /// `--label`.
    pub labels: IndexMap<String, String>,
    /// `--platform`; empty means the build platform. Several give several
    /// instances of the target.
    pub platforms: Vec<Platform>,
    /// The platform that the build runs on.
    pub build_platform: Platform,
    /// `--build-context name=value`.
    pub build_contexts: IndexMap<String, String>,
    /// `--network`: for RUNs that do not choose.
    pub network: ExecNetwork,
    /// `--add-host`: name, address.
    pub add_hosts: Vec<(String, String)>,
    /// `--ulimit`.
    pub ulimits: Vec<Ulimit>,
    /// `--shm-size` in bytes; 0 means the default.
    pub shm_size: u64,
    /// `--no-cache`, `--no-cache-filter`.
    pub no_cache: NoCache,
    /// Host name in RUN; empty means the default. The build argument
    /// `BUILDKIT_SANDBOX_HOSTNAME` wins.
    pub hostname: String,
    /// `SOURCE_DATE_EPOCH` of the caller's environment. A build argument of
    /// that name wins.
    pub source_date_epoch: Option<String>,
}

impl BuildOptions {
    /// Returns the options of `rbc build CONTEXT` without any flags.
    pub fn new(file: &str, context: &str) -> Self {
        Self {
            file: file.to_owned(),
            context: context.to_owned(),
            target: None,
            build_args: IndexMap::new(),
            labels: IndexMap::new(),
            platforms: Vec::new(),
            build_platform: Platform::host(),
            build_contexts: IndexMap::new(),
            network: ExecNetwork::Default,
            add_hosts: Vec::new(),
            ulimits: Vec::new(),
            shm_size: 0,
            no_cache: NoCache::None,
            hostname: String::new(),
            source_date_epoch: None,
        }
    }

    /// Returns the platforms to build for, at least one.
    pub(crate) fn target_platforms(&self) -> Vec<Platform> {
        let mut platforms: Vec<Platform> = Vec::new();
        for platform in &self.platforms {
            if !platforms.contains(platform) {
                platforms.push(platform.clone());
            }
        }
        if platforms.is_empty() {
            platforms.push(self.build_platform.clone());
        }
        platforms
    }
}
