//! Names of things outside: images, named contexts, git and HTTP sources.

mod context;
mod git;
mod image;
mod url;

pub(crate) use context::{ContextSource, NamedContexts};
pub(crate) use git::GitSource;
pub(crate) use image::ImageName;
pub(crate) use url::{file_name, is_http};
