//! Nodes of things outside: images, contexts, downloads.

use rbc_ir::{CopyAction, Digest, FileAction, ImageDocument, NodeId, Op, Platform, Unpack};

use super::Run;
use crate::codes;
use crate::diagnostic::Problem;
use crate::go;
use crate::hir::{InsnId, Place};
use crate::ignore;
use crate::inputs::{Answer, ImageMeta, InputError, InputErrorKind, Request};
use crate::names::{ContextSource, GitSource, ImageName, file_name};

/// The name of the main context.
pub(super) const MAIN: &str = "context";

impl Run<'_> {
    /// The normal form of an image's name.
    pub(super) fn canonical(&mut self, name: &str, place: Place) -> Option<String> {
        match ImageName::parse(name) {
            Ok(image) => Some(image.to_string()),
            Err(e) => {
                let message = format!("failed to parse stage name \"{name}\": {e}");
                self.tell(Problem::new(codes::IMAGE_NAME, message).at(place));
                None
            }
        }
    }

    /// A named context that stands for `name`: its own name and what it is.
    pub(super) fn find_context(
        &mut self,
        name: &str,
        platform: &Platform,
        place: Place,
    ) -> Option<(String, ContextSource)> {
        let (context, source) = self.contexts.find(name, platform)?;
        let (context, source) = (context.to_owned(), source.clone());
        match source {
            Ok(source) => Some((context, source)),
            Err(e) => {
                let message = format!("--build-context {context}: {e}");
                self.tell(Problem::new(codes::CONTEXT, message).at(place));
                None
            }
        }
    }

    /// An image of a registry.
    pub(super) fn registry_image(
        &mut self,
        reference: &str,
        platform: &Platform,
        insn: InsnId,
        place: Place,
    ) -> Option<(NodeId, ImageMeta)> {
        let request = Request::Image { reference: reference.to_owned(), platform: platform.clone() };
        let meta = self.image_meta(request, reference, platform, place)?;
        let pinned = ImageName::parse(reference).is_ok_and(|name| name.digest().is_some());
        let name = match pinned {
            true => format!("FROM {}", meta.reference),
            false => format!("FROM {}@{}", meta.reference, meta.pin),
        };
        let op = Op::Image {
            reference: meta.reference.clone(),
            pin: meta.pin,
            platform: meta.platform.clone(),
            layout: None,
        };
        Some((self.node(op, Vec::new(), name, insn), meta))
    }

    /// An image of an OCI layout.
    pub(super) fn layout_image(
        &mut self,
        layout: &str,
        reference: &str,
        platform: &Platform,
        insn: InsnId,
        place: Place,
    ) -> Option<(NodeId, ImageMeta)> {
        let request =
            Request::Layout { layout: layout.to_owned(), reference: reference.to_owned(), platform: platform.clone() };
        let shown = match reference {
            "" => format!("oci-layout://{layout}"),
            r if r.contains(':') => format!("oci-layout://{layout}@{r}"),
            tag => format!("oci-layout://{layout}:{tag}"),
        };
        let meta = self.image_meta(request, &shown, platform, place)?;
        let op = Op::Image {
            reference: meta.reference.clone(),
            pin: meta.pin,
            platform: meta.platform.clone(),
            layout: Some(layout.to_owned()),
        };
        Some((self.node(op, Vec::new(), format!("FROM {shown}"), insn), meta))
    }

    fn image_meta(&mut self, request: Request, shown: &str, platform: &Platform, place: Place) -> Option<ImageMeta> {
        match self.ask(request) {
            Some(Answer::Image(meta)) => Some(ImageMeta::clone(meta)),
            Some(Answer::Failed(e)) => {
                let problem = image_problem(shown, platform, e).at(place);
                self.tell(problem);
                None
            }
            // The answer to an image's request is an image; asked for first,
            // it has a stand-in.
            Some(Answer::File(_)) | None => Some(ImageMeta {
                reference: shown.to_owned(),
                pin: Digest([0; 32]),
                platform: platform.clone(),
                document: ImageDocument::default(),
            }),
        }
    }

    /// The files of a context that is no image.
    pub(super) fn context_node(
        &mut self,
        name: &str,
        source: &ContextSource,
        insn: InsnId,
        place: Place,
    ) -> Option<NodeId> {
        match source {
            ContextSource::Local(path) => {
                let exclude = self.ignore_patterns(name, place);
                self.locals.insert(name.to_owned(), path.clone());
                let shown = match name {
                    MAIN => "[internal] load build context".to_owned(),
                    name => format!("[context {name}] load from client"),
                };
                Some(self.node(Op::Local { context: name.to_owned(), exclude }, Vec::new(), shown, insn))
            }
            ContextSource::Git(git) => Some(self.git_node(git, git.keep_git_dir.unwrap_or(false), None, insn)),
            ContextSource::Http(url) => Some(self.archive_node(url, insn)),
            ContextSource::Scratch => Some(self.scratch(insn)),
            ContextSource::Image(reference) => {
                let platform = self.outline.platform.clone();
                self.registry_image(reference, &platform, insn, place).map(|(node, _)| node)
            }
            ContextSource::Layout { directory, reference } => {
                let platform = self.outline.platform.clone();
                self.layout_image(directory, reference, &platform, insn, place).map(|(node, _)| node)
            }
        }
    }

    /// The main context.
    pub(super) fn main_node(&mut self, insn: InsnId, place: Place) -> Option<NodeId> {
        match self.main_context() {
            Ok(source) => self.context_node(MAIN, &source, insn, place),
            Err(e) => {
                self.tell(Problem::new(codes::CONTEXT, format!("build context: {e}")).at(place));
                None
            }
        }
    }

    /// An archive that is a context: downloaded and taken apart.
    fn archive_node(&mut self, url: &str, insn: InsnId) -> NodeId {
        let http = self.http_node(url, None, insn);
        let scratch = self.scratch(insn);
        let copy = CopyAction {
            from: 1,
            source: format!("/{}", file_name(url)),
            dest: "/".to_owned(),
            exclude: Vec::new(),
            parents: false,
            link: false,
            owner: None,
            mode: None,
            unpack: Unpack::Always,
        };
        let actions = vec![FileAction::Copy(Box::new(copy))];
        self.file(actions, vec![scratch, http], format!("[internal] unpack {url}"), insn)
    }

    pub(super) fn http_node(&mut self, url: &str, checksum: Option<Digest>, insn: InsnId) -> NodeId {
        let op = Op::Http { url: url.to_owned(), filename: file_name(url), checksum, mode: 0o600 };
        self.node(op, Vec::new(), url.to_owned(), insn)
    }

    pub(super) fn git_node(
        &mut self,
        git: &GitSource,
        keep_git_dir: bool,
        checksum: Option<String>,
        insn: InsnId,
    ) -> NodeId {
        let op = Op::Git {
            url: git.url.clone(),
            commit: git.commit(),
            reference: git.reference.clone(),
            subdir: git.subdir.clone(),
            keep_git_dir,
            checksum: checksum.or_else(|| git.checksum.clone()),
        };
        let name = match git.reference.as_str() {
            "" => git.url.clone(),
            reference => format!("{}#{reference}", git.url),
        };
        self.node(op, Vec::new(), name, insn)
    }

    /// The patterns of a context's ignore file. One beside the Dockerfile with
    /// the Dockerfile's name replaces that of the main context.
    fn ignore_patterns(&mut self, context: &str, place: Place) -> Vec<String> {
        let own = format!("{}.dockerignore", go::base(&self.options.file));
        let mut files = vec![(context, ".dockerignore".to_owned())];
        if context == MAIN {
            files.insert(0, ("dockerfile", own));
        }
        // All are asked for before the first answer is looked at.
        let answers: Vec<_> = files
            .into_iter()
            .map(|(context, path)| {
                let request = Request::File { context: context.to_owned(), path: path.clone() };
                (path, self.ask(request))
            })
            .collect();
        for (path, answer) in answers {
            match answer {
                Some(Answer::File(Some(bytes))) => match ignore::patterns(bytes) {
                    Ok(patterns) => return patterns,
                    Err(e) => {
                        let message = format!("{path}, {e}");
                        self.tell(Problem::new(codes::IGNORE_FILE, message).at(place));
                        return Vec::new();
                    }
                },
                Some(Answer::Failed(e)) => {
                    let problem = Problem::new(codes::IGNORE_FILE, format!("{path}: {e}")).at(place);
                    self.tell(problem.environment(true));
                    return Vec::new();
                }
                Some(_) | None => {}
            }
        }
        Vec::new()
    }
}

fn image_problem(name: &str, platform: &Platform, e: &InputError) -> Problem {
    let base = Problem::new(codes::IMAGE, format!("cannot use image `{name}`: {}", e.message));
    match e.kind {
        InputErrorKind::Platform => Problem::new(
            codes::IMAGE_PLATFORM,
            format!("image `{name}` has no variant for platform {platform}: {}", e.message),
        )
        .help("choose another one with `--platform`, or in the line with `FROM --platform=…`"),
        InputErrorKind::NotFound => base.help("check the name and the tag; a private image needs a login"),
        InputErrorKind::Denied => base.help("log in to the registry, or check the name").environment(true),
        InputErrorKind::Unreachable => base.environment(true),
        InputErrorKind::Invalid => base,
    }
}
