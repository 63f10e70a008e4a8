//! Which of an index's images suits a wanted platform, as containerd's
//! `platforms` package has it (`compare.go`), since that decides what
//! `docker build` pulls: an exact match is preferred to an older, compatible
//! one.

use rbc_ir::Platform;

/// Returns the platforms whose images run on one, best first, itself included
/// (containerd's `platformVector`).
pub(crate) fn compatible(platform: &Platform) -> Vec<Platform> {
    let make = |architecture: &str, variant: &str| Platform::new(&platform.os, architecture, variant);
    let mut out = vec![platform.clone()];
    match (platform.architecture.as_str(), platform.variant.as_str()) {
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
pub(crate) fn is_unknown(platform: &Platform) -> bool {
    platform.os == "unknown" || platform.architecture == "unknown"
}

fn number(variant: &str) -> Option<u32> {
    let digits = variant.strip_prefix('v').unwrap_or(variant);
    let major = digits.split('.').next().unwrap_or(digits);
    // Far more levels than any architecture has, so that a hostile variant
    // cannot ask for a long list.
    major.parse().ok().filter(|n| *n <= 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_hosts_run_older_images() {
        let text = |p: &str| -> Vec<String> {
            compatible(&Platform::parse(p).unwrap()).iter().map(ToString::to_string).collect()
        };
        assert_eq!(text("linux/arm/v7"), ["linux/arm/v7", "linux/arm/v6", "linux/arm/v5"]);
        assert_eq!(text("linux/amd64/v3"), ["linux/amd64/v3", "linux/amd64/v2", "linux/amd64", "linux/386"]);
        assert_eq!(text("linux/s390x"), ["linux/s390x"]);
        assert_eq!(text("linux/arm64").get(1).map(String::as_str), Some("linux/arm/v8"));
    }
}
