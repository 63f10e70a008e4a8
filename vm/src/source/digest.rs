//! Content digests of the OCI image spec, and the hasher that checks them.
//!
//! Kept as text (`sha256:<hex>`) because registries may use any registered
//! algorithm (OCI image spec, "Descriptors", "Digests"). SHA-256 and SHA-512
//! are verified here; others are refused, since unverifiable bytes are never
//! used.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256, Sha512};

/// A verified-format digest, `sha256:…` or `sha512:…`, in lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobDigest(String);

/// Says why a text is not a digest, in docker's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no `algorithm:` prefix, or the rest is not lower-case hex.
    #[error("invalid checksum digest format")]
    Format,
    /// The algorithm cannot be verified.
    #[error("unsupported digest algorithm")]
    Algorithm,
    /// The hex text has the wrong length for its algorithm.
    #[error("invalid checksum digest length")]
    Length,
}

impl BlobDigest {
    /// Computes the SHA-256 digest of `bytes`.
    pub fn sha256_of(bytes: &[u8]) -> Self {
        Self(format!("sha256:{}", hex::encode(Sha256::digest(bytes))))
    }

    /// Makes a digest from a finished SHA-256.
    pub fn from_sha256(hash: [u8; 32]) -> Self {
        Self(format!("sha256:{}", hex::encode(hash)))
    }

    /// Returns the whole text, `sha256:…`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the algorithm's name.
    pub fn algorithm(&self) -> &str {
        self.0.split_once(':').map_or("", |(a, _)| a)
    }

    /// Returns the hex text.
    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, h)| h)
    }

    /// Returns the 32 bytes of a SHA-256 digest, `None` for SHA-512.
    pub fn sha256_bytes(&self) -> Option<[u8; 32]> {
        if self.algorithm() != "sha256" {
            return None;
        }
        let mut out = [0; 32];
        hex::decode_to_slice(self.hex(), &mut out).ok()?;
        Some(out)
    }

    /// Says whether `bytes` have this digest.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        let mut hasher = BlobHasher::for_digest(self);
        hasher.update(bytes);
        hasher.finish() == *self
    }
}

impl fmt::Display for BlobDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BlobDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = text.split_once(':').ok_or(DigestError::Format)?;
        let length = match algorithm {
            "sha256" => 64,
            "sha512" => 128,
            _ => return Err(DigestError::Algorithm),
        };
        if hex.len() != length {
            return Err(DigestError::Length);
        }
        if !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(DigestError::Format);
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> serde::Deserialize<'de> for BlobDigest {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(|e| serde::de::Error::custom(format!("digest {text:?}: {e}")))
    }
}

/// Hashes a stream with the algorithm of an expected digest.
#[derive(Clone, Debug)]
pub(crate) enum BlobHasher {
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl BlobHasher {
    pub(crate) fn for_digest(digest: &BlobDigest) -> Self {
        match digest.algorithm() {
            "sha512" => Self::Sha512(Box::new(Sha512::new())),
            _ => Self::Sha256(Sha256::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(h) => h.update(bytes),
            Self::Sha512(h) => h.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> BlobDigest {
        BlobDigest(match self {
            Self::Sha256(h) => format!("sha256:{}", hex::encode(h.finalize())),
            Self::Sha512(h) => format!("sha512:{}", hex::encode(h.finalize())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_verifiable_digests_parse() {
        let ok = BlobDigest::sha256_of(b"x");
        assert_eq!(ok.as_str().parse(), Ok(ok.clone()));
        assert_eq!("sha256:12".parse::<BlobDigest>(), Err(DigestError::Length));
        assert_eq!("md5:12".parse::<BlobDigest>(), Err(DigestError::Algorithm));
        assert_eq!("latest".parse::<BlobDigest>(), Err(DigestError::Format));
        let upper = ok.as_str().to_uppercase().replace("SHA256", "sha256");
        assert_eq!(upper.parse::<BlobDigest>(), Err(DigestError::Format));
    }

    #[test]
    fn sha512_is_verified_too() {
        let digest: BlobDigest = format!("sha512:{}", hex::encode(Sha512::digest(b"abc"))).parse().unwrap();
        assert!(digest.matches(b"abc"));
        assert!(!digest.matches(b"abd"));
    }
}
