//! Names of formats, OCI's and Docker's (OCI image specification, "Media
//! Types", with its compatibility table).

use crate::archive::Compression;

pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// Which of the two families is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Oci,
    Docker,
}

impl Family {
    pub(crate) fn index(self) -> &'static str {
        match self {
            Self::Oci => OCI_INDEX,
            Self::Docker => DOCKER_INDEX,
        }
    }

    pub(crate) fn manifest(self) -> &'static str {
        match self {
            Self::Oci => OCI_MANIFEST,
            Self::Docker => DOCKER_MANIFEST,
        }
    }

    pub(crate) fn config(self) -> &'static str {
        match self {
            Self::Oci => OCI_CONFIG,
            Self::Docker => DOCKER_CONFIG,
        }
    }

    /// Returns a layer's media type. `None` for what no image may hold, and
    /// for zstd in Docker's family: its specification lacks it, and engines
    /// that read only that family cannot unpack it.
    pub(crate) fn layer(self, compression: Compression) -> Option<&'static str> {
        Some(match (self, compression) {
            (Self::Oci, Compression::None) => "application/vnd.oci.image.layer.v1.tar",
            (Self::Oci, Compression::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
            (Self::Oci, Compression::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
            (Self::Docker, Compression::None) => "application/vnd.docker.image.rootfs.diff.tar",
            (Self::Docker, Compression::Gzip) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            _ => return None,
        })
    }

    /// Returns the name that a base layer's media type has in this family.
    /// Layers that must not be distributed become ordinary ones, as BuildKit
    /// does without `prefer-nondist-layers`. An unknown type stays.
    pub(crate) fn rename(self, media_type: &str) -> Option<String> {
        match Compression::of_media_type(media_type) {
            Some(compression) => self.layer(compression).map(str::to_owned),
            None => Some(media_type.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_change() {
        let docker = "application/vnd.docker.image.rootfs.diff.tar.gzip";
        let oci = "application/vnd.oci.image.layer.v1.tar+gzip";
        assert_eq!(Family::Oci.rename(docker).as_deref(), Some(oci));
        assert_eq!(Family::Docker.rename(oci).as_deref(), Some(docker));
        assert_eq!(Family::Docker.rename("application/vnd.oci.image.layer.v1.tar+zstd"), None);
        assert_eq!(Family::Oci.rename("application/x").as_deref(), Some("application/x"));
        let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        assert_eq!(Family::Oci.rename(foreign).as_deref(), Some(oci));
    }
}
