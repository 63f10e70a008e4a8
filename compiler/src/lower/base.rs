//! FROM: what a stage starts with.

use rbc_ir::{CopyAction, FileAction, History, ImageConfig, ImageDocument, InstanceHistory, NodeId, Platform};

use super::Run;
use super::state::StageState;
use crate::go;
use crate::hir::{InsnId, Place, Stage};
use crate::names::ContextSource;
use crate::stages::{Base, StageInfo};

impl Run<'_> {
    /// The base that the FROM line names.
    pub(super) fn base(&mut self, index: usize, stage: &Stage, info: &StageInfo, place: Place) -> StageState {
        match &info.base {
            Base::Stage(index) => match self.stage(*index) {
                Some(base) => StageState { cmd_set: false, ..StageState::clone(&base) },
                None => StageState::scratch(info.platform.clone()),
            },
            Base::Image(name) => match self.named_base(name, info, stage.from, place) {
                Some(state) => state,
                None => {
                    let told = self.problems.len();
                    let state = self.image_base(name, &info.platform, stage.from, place);
                    self.suggest_stage(name, index, told);
                    state
                }
            },
            Base::Scratch | Base::Broken => StageState::scratch(info.platform.clone()),
        }
    }

    /// The base that a named context stands for, if there is one of that name.
    pub(super) fn named_base(
        &mut self,
        name: &str,
        info: &StageInfo,
        from: InsnId,
        place: Place,
    ) -> Option<StageState> {
        let (context, source) = self.find_context(name, &info.platform, place)?;
        let scratch = StageState::scratch(info.platform.clone());
        Some(match source {
            ContextSource::Scratch => scratch,
            ContextSource::Image(reference) => {
                let found = self.registry_image(&reference, &info.platform, from, place);
                found.map_or(scratch, |(node, meta)| state_of(node, meta.platform, meta.document))
            }
            ContextSource::Layout { directory, reference } => {
                let found = self.layout_image(&directory, &reference, &info.platform, from, place);
                found.map_or(scratch, |(node, meta)| state_of(node, meta.platform, meta.document))
            }
            ContextSource::Local(_) | ContextSource::Git(_) | ContextSource::Http(_) => {
                self.files_base(&context, &source, scratch, from, place)
            }
        })
    }

    fn image_base(&mut self, name: &str, platform: &Platform, from: InsnId, place: Place) -> StageState {
        let found = self.canonical(name, place).and_then(|r| self.registry_image(&r, platform, from, place));
        match found {
            Some((node, meta)) => state_of(node, meta.platform, meta.document),
            None => StageState::scratch(platform.clone()),
        }
    }

    /// Files as a base: one layer that holds them all. Copied, because a
    /// context by itself is no layer of an image.
    fn files_base(
        &mut self,
        context: &str,
        source: &ContextSource,
        mut state: StageState,
        from: InsnId,
        place: Place,
    ) -> StageState {
        let Some(files) = self.context_node(context, source, from, place) else { return state };
        let scratch = self.scratch(from);
        let copy = CopyAction {
            from: 1,
            source: "/".to_owned(),
            dest: "/".to_owned(),
            exclude: Vec::new(),
            parents: false,
            link: false,
            owner: None,
            mode: None,
            unpack: rbc_ir::Unpack::Never,
        };
        let actions = vec![FileAction::Copy(Box::new(copy))];
        let node = self.file(actions, vec![scratch, files], format!("[context {context}] FROM"), from);
        state.root = Some(node);
        let entry = History { created_by: format!("FROM {context}"), ..History::default() };
        state.history.push(InstanceHistory { entry, node: Some(node) });
        state
    }
}

/// The state that an image starts with.
fn state_of(node: NodeId, platform: Platform, document: ImageDocument) -> StageState {
    let ImageDocument { created, author, config, rootfs, history, .. } = document;
    let mut state = StageState::scratch(platform);
    // An image without layers is scratch with a configuration.
    state.root = (!rootfs.diff_ids.is_empty()).then_some(node);
    state.env.clear();
    state.config = ImageConfig::default();
    for entry in &config.env {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        state.set_env(name, value);
    }
    state.config = config;
    state.ensure_path();
    if !state.config.working_dir.is_empty() {
        state.cwd = go::join("/", &state.config.working_dir);
    }
    state.author = author;
    state.base_created = created;
    // A history that does not fit the layers would put later steps' texts to
    // wrong layers, so it is replaced by one bare entry per layer.
    let layers = history.iter().filter(|h| !h.empty_layer).count();
    if layers == rootfs.diff_ids.len() {
        state.history = history.into_iter().map(|entry| InstanceHistory { entry, node: None }).collect();
    } else {
        let entry = || History { comment: "from base image".to_owned(), ..History::default() };
        state.history = rootfs.diff_ids.iter().map(|_| InstanceHistory { entry: entry(), node: None }).collect();
    }
    state
}
