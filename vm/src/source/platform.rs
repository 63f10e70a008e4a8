//! Platforms of images, and which of an index's images suits a wanted one.
//!
//! Names are normalised and compared as containerd's `platforms` package does
//! (`database.go`, `compare.go`), since that decides what `docker build` pulls:
//! `x86_64` is `amd64`, `aarch64` is `arm64`, arm without a variant is `v7`,
//! and an exact match is preferred to an older, compatible one.

use std::fmt;

/// An operating system, an architecture and its variant (empty for none).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    /// `linux`, `windows`, …
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `v7`, `v8`, …; empty when it is the architecture's base.
    pub variant: String,
}

/// Says that a text is not a platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid platform {text:?}: {why}")]
pub struct PlatformError {
    /// The text as given.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Platform {
    /// Makes a platform in its normal form.
    pub fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let os = match os.to_ascii_lowercase().as_str() {
            "" => "linux".to_owned(),
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let architecture = architecture.to_ascii_lowercase();
        let variant = variant.to_ascii_lowercase();
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("i386" | "i486" | "i586" | "i686" | "x86" | "386", _) => ("386", ""),
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
            ("x86_64" | "x86-64" | "amd64", v) => ("amd64", v),
            ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
            ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
            ("aarch64" | "arm64", v) => ("arm64", v),
            ("armhf", _) => ("arm", "v7"),
            ("armel", _) => ("arm", "v6"),
            ("arm", "" | "7") => ("arm", "v7"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "6") => ("arm", "v6"),
            ("arm", "8") => ("arm", "v8"),
            (a, v) => (a, v),
        };
        Self { os, architecture: architecture.to_owned(), variant: variant.to_owned() }
    }

    /// Parses `os/arch`, `os/arch/variant`, or an architecture alone.
    pub fn parse(text: &str) -> Result<Self, PlatformError> {
        let error = |why| PlatformError { text: text.to_owned(), why };
        let valid = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        };
        let parts: Vec<&str> = text.split('/').collect();
        if !parts.iter().all(|p| valid(p)) {
            return Err(error("parts must be of letters, digits, '_', '.' and '-'"));
        }
        match parts.as_slice() {
            [one] => {
                let host = Self::host();
                let as_arch = Self::new(&host.os, one, "");
                if is_known_architecture(&as_arch.architecture) {
                    Ok(as_arch)
                } else if matches!(as_os(one).as_str(), "linux" | "windows" | "darwin" | "freebsd") {
                    Ok(Self::new(&as_os(one), &host.architecture, &host.variant))
                } else {
                    Err(error("unknown operating system or architecture"))
                }
            }
            [os, arch] => Ok(Self::new(os, arch, "")),
            [os, arch, variant] => Ok(Self::new(os, arch, variant)),
            _ => Err(error("expected os/architecture[/variant]")),
        }
    }

    /// Returns the platform that this program runs on.
    pub fn host() -> Self {
        Self::new(std::env::consts::OS, std::env::consts::ARCH, "")
    }

    /// Returns the platforms that run here, best first, itself included
    /// (containerd's `platformVector`).
    pub fn compatible(&self) -> Vec<Self> {
        let make = |architecture: &str, variant: &str| Self::new(&self.os, architecture, variant);
        let mut out = vec![self.clone()];
        match (self.architecture.as_str(), self.variant.as_str()) {
            ("amd64", variant) => {
                let level = number(variant).unwrap_or(1);
                out.extend((1..level).rev().map(|v| make("amd64", &format!("v{v}"))));
                out.push(make("386", ""));
            }
            ("arm", variant) => {
                let level = number(variant).unwrap_or(7);
                out.extend((5..level).rev().map(|v| make("arm", &format!("v{v}"))));
            }
            ("arm64", variant) => {
                if !variant.is_empty() {
                    out.push(make("arm64", ""));
                }
                out.extend((5..=8).rev().map(|v| make("arm", &format!("v{v}"))));
            }
            _ => {}
        }
        out
    }

    /// Says whether this is the placeholder that BuildKit gives attestation
    /// manifests (`unknown/unknown`).
    pub(crate) fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown"
    }
}

fn as_os(text: &str) -> String {
    match text.to_ascii_lowercase().as_str() {
        "macos" => "darwin".to_owned(),
        other => other.to_owned(),
    }
}

fn number(variant: &str) -> Option<u32> {
    let digits = variant.strip_prefix('v').unwrap_or(variant);
    let major = digits.split('.').next().unwrap_or(digits);
    // Far more levels than any architecture has, so that a hostile variant
    // cannot ask for a long list.
    major.parse().ok().filter(|n| *n <= 16)
}

fn is_known_architecture(name: &str) -> bool {
    matches!(
        name,
        "386"
            | "amd64"
            | "arm"
            | "arm64"
            | "loong64"
            | "mips"
            | "mips64"
            | "mips64le"
            | "mipsle"
            | "ppc64"
            | "ppc64le"
            | "riscv64"
            | "s390x"
            | "wasm"
    )
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised() {
        for (text, normal) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("Linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/i686", "linux/386"),
            ("macos/arm64", "darwin/arm64"),
            ("windows/amd64", "windows/amd64"),
        ] {
            assert_eq!(Platform::parse(text).unwrap().to_string(), normal);
        }
        assert!(Platform::parse("arm64").unwrap().to_string().ends_with("/arm64"));
        for text in ["", "linux/", "linux/a/b/c", "lin ux/amd64", "nonsense"] {
            assert!(Platform::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn newer_hosts_run_older_images() {
        let text = |p: &str| -> Vec<String> {
            Platform::parse(p).unwrap().compatible().iter().map(ToString::to_string).collect()
        };
        assert_eq!(text("linux/arm/v7"), ["linux/arm/v7", "linux/arm/v6", "linux/arm/v5"]);
        assert_eq!(text("linux/amd64/v3"), ["linux/amd64/v3", "linux/amd64/v2", "linux/amd64", "linux/386"]);
        assert_eq!(text("linux/s390x"), ["linux/s390x"]);
        assert_eq!(text("linux/arm64").get(1).map(String::as_str), Some("linux/arm/v8"));
    }
}
