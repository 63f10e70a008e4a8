//! What a stage has come to.

use indexmap::IndexMap;
use rbc_ir::{ImageConfig, InstanceHistory, NodeId, Platform};

/// The default PATH (BuildKit: `system.DefaultPathEnvUnix`).
pub(super) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// State of a stage behind an instruction; at its end, the stage's result.
#[derive(Clone, Debug)]
pub(super) struct StageState {
    pub(super) platform: Platform,
    /// The root file system; `None` for nothing yet (`scratch`).
    pub(super) root: Option<NodeId>,
    /// Variables as RUN and expansion see them: the image's and ARGs.
    pub(super) env: IndexMap<String, String>,
    /// Absolute, clean.
    pub(super) cwd: String,
    pub(super) config: ImageConfig,
    pub(super) author: String,
    pub(super) history: Vec<InstanceHistory>,
    pub(super) base_created: Option<String>,
    /// ARGs in the order they were declared, with their values.
    pub(super) args: Vec<(String, Option<String>)>,
    /// A CMD of this very stage: ENTRYPOINT leaves it.
    pub(super) cmd_set: bool,
}

impl StageState {
    /// `FROM scratch` (BuildKit: `emptyImage`).
    pub(super) fn scratch(platform: Platform) -> Self {
        let mut state = Self {
            platform,
            root: None,
            env: IndexMap::new(),
            cwd: "/".to_owned(),
            config: ImageConfig { working_dir: "/".to_owned(), ..ImageConfig::default() },
            author: String::new(),
            history: Vec::new(),
            base_created: None,
            args: Vec::new(),
            cmd_set: false,
        };
        state.ensure_path();
        state
    }

    /// Gives the image a PATH if it has none.
    pub(super) fn ensure_path(&mut self) {
        if !self.env.contains_key("PATH") {
            self.set_env("PATH", DEFAULT_PATH);
            self.set_config_env("PATH", DEFAULT_PATH);
        }
    }

    /// Sets a variable for later steps; the last one set stands last, as in
    /// LLB (`EnvList.AddOrReplace`).
    pub(super) fn set_env(&mut self, name: &str, value: &str) {
        self.env.shift_remove(name);
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// Sets a variable of the image; a known one keeps its position.
    pub(super) fn set_config_env(&mut self, name: &str, value: &str) {
        let pair = format!("{name}={value}");
        let known = self.config.env.iter_mut().find(|e| e.split_once('=').map_or(e.as_str(), |(k, _)| k) == name);
        match known {
            Some(entry) => *entry = pair,
            None => self.config.env.push(pair),
        }
    }
}
