//! Platforms: operating system, architecture, variant.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A platform in its normal form, shown as `os/architecture[/variant]`.
///
/// Normal form as containerd's `platforms.Normalize` has it: `x86_64` is
/// `amd64`, `aarch64` and `arm64/v8` are `arm64`, `arm` is `arm/v7`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    /// Operating system, as Go names it (`linux`).
    pub os: String,
    /// Architecture, as Go names it (`amd64`).
    pub architecture: String,
    /// Variant (`v7`); empty if none.
    pub variant: String,
}

impl Platform {
    /// Returns the platform in its normal form.
    pub fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let os = match os.to_ascii_lowercase().as_str() {
            "" => "linux".to_owned(),
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let (architecture, variant) = (architecture.to_ascii_lowercase(), variant.to_ascii_lowercase());
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
            ("x86_64" | "x86-64", v) => ("amd64", v),
            ("i386" | "i486" | "i586" | "i686" | "x86" | "386", _) => ("386", ""),
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

    /// Returns the platform of this machine, as a container sees it.
    pub fn host() -> Self {
        Self::new("linux", std::env::consts::ARCH, "")
    }

    /// Parses `os/arch[/variant]`, `arch` alone, or `os` alone, as docker's
    /// `--platform` does; `None` if it is none of these.
    pub fn parse(text: &str) -> Option<Self> {
        let known_os = ["linux", "windows", "darwin", "macos", "freebsd", "wasi"];
        let parts: Vec<&str> = text.split('/').collect();
        let valid = |p: &&str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        if !parts.iter().all(valid) {
            return None;
        }
        let host = Self::host();
        match parts.as_slice() {
            [one] if known_os.contains(&one.to_ascii_lowercase().as_str()) => {
                Some(Self::new(one, &host.architecture, &host.variant))
            }
            [one] => {
                let known = [
                    "386", "amd64", "arm", "arm64", "armel", "armhf", "aarch64", "i386", "loong64", "mips", "mips64",
                    "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64", "s390x", "wasm", "x86_64", "x86-64",
                ];
                known.contains(&one.to_ascii_lowercase().as_str()).then(|| Self::new("linux", one, ""))
            }
            [os, architecture] => Some(Self::new(os, architecture, "")),
            [os, architecture, variant] => Some(Self::new(os, architecture, variant)),
            _ => None,
        }
    }
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

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Platform {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a platform")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_forms() {
        for (text, want) in [
            ("linux/x86_64", "linux/amd64"),
            ("arm64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/v6", "linux/arm/v6"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/i686", "linux/386"),
            ("macos/arm64", "darwin/arm64"),
            ("Linux/AMD64", "linux/amd64"),
        ] {
            assert_eq!(Platform::parse(text).map(|p| p.to_string()).as_deref(), Some(want), "{text}");
        }
        for text in ["", "/", "linux/", "nonsense", "a/b/c/d", "linux/am d64"] {
            assert_eq!(Platform::parse(text), None, "{text}");
        }
    }
}
