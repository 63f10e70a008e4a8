//! A reader that lets nothing wrong pass: size and digest are checked together
//! with the last byte, before it is handed out.

use std::io::{self, Read};

use super::digest::{BlobDigest, BlobHasher};
use super::error::ImageError;

/// Reads `inner` and checks it. Its errors hold an [`ImageError`].
pub struct VerifiedReader<R> {
    inner: R,
    what: String,
    digest: BlobDigest,
    size: u64,
    position: u64,
    hasher: BlobHasher,
    failed: bool,
    verified: bool,
}

impl<R: Read> VerifiedReader<R> {
    /// Wraps a reader; `what` names the content in errors.
    pub fn new(inner: R, what: String, digest: BlobDigest, size: u64) -> Self {
        Self {
            inner,
            what,
            hasher: BlobHasher::for_digest(&digest),
            digest,
            size,
            position: 0,
            failed: false,
            verified: false,
        }
    }

    /// Reads what is left, so that the whole is verified.
    pub fn finish(mut self) -> io::Result<()> {
        io::copy(&mut self, &mut io::sink()).map(drop)
    }

    fn piece(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size - self.position).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        let buffer = buffer.get_mut(..room).unwrap_or_default();
        let count = if room == 0 { 0 } else { self.inner.read(buffer)? };
        if count == 0 && left > 0 {
            return Err(self.wrong_size(self.position));
        }
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        self.position += count as u64;
        if self.position == self.size {
            self.end()?;
        }
        Ok(count)
    }

    fn end(&mut self) -> io::Result<()> {
        let mut one = [0];
        loop {
            match self.inner.read(&mut one) {
                Ok(0) => break,
                Ok(_) => return Err(self.wrong_size(self.size + 1)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let actual = self.hasher.clone().finish();
        if actual != self.digest {
            return Err(ImageError::BadDigest { what: self.what.clone(), expected: self.digest.clone(), actual }.into());
        }
        self.verified = true;
        Ok(())
    }

    fn wrong_size(&self, actual: u64) -> io::Error {
        ImageError::BadSize { what: self.what.clone(), expected: self.size, actual }.into()
    }
}

impl<R: Read> Read for VerifiedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.verified || buffer.is_empty() {
            return Ok(0);
        }
        if self.failed {
            return Err(io::Error::other(format!("{}: was read on after an error", self.what)));
        }
        let result = self.piece(buffer);
        self.failed = matches!(&result, Err(e) if e.kind() != io::ErrorKind::Interrupted);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], wanted: &[u8], size: u64) -> Result<Vec<u8>, ImageError> {
        let digest = BlobDigest::sha256_of(wanted);
        let mut out = Vec::new();
        match VerifiedReader::new(bytes, "x".to_owned(), digest, size).read_to_end(&mut out) {
            Ok(_) => Ok(out),
            Err(e) => Err(ImageError::from_io(e).unwrap()),
        }
    }

    #[test]
    fn only_the_right_bytes_pass() {
        assert_eq!(read(b"abc", b"abc", 3).unwrap(), b"abc");
        assert_eq!(read(b"", b"", 0).unwrap(), b"");
        assert!(matches!(read(b"abd", b"abc", 3), Err(ImageError::BadDigest { .. })));
        assert!(matches!(read(b"ab", b"abc", 3), Err(ImageError::BadSize { actual: 2, .. })));
        assert!(matches!(read(b"abcd", b"abc", 3), Err(ImageError::BadSize { actual: 4, .. })));
        assert!(matches!(read(b"x", b"", 0), Err(ImageError::BadSize { .. })));
    }
}
