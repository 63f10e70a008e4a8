//! Reading a layer: a verified stream that survives broken connections.
//!
//! The digest is checked together with the last byte, before that byte is
//! handed out: whoever has read the whole layer has read the right one, and
//! nobody gets all of a wrong one.

use std::io::{self, Read};
use std::sync::Arc;

use ureq::BodyReader;
use ureq::http::Method;

use super::client::{Client, Query, status_error};
use super::connections::Endpoint;
use crate::source::digest::BlobHasher;
use crate::source::error::ImageError;
use crate::source::image::{LayerDescriptor, describe};
use crate::source::reference::ImageReference;
use crate::source::transport::exchange::{Answer, exchange};
use crate::source::transport::redirect::HttpUrl;

/// The limit of times that one blob is taken up again, however much each gave.
const MAX_RESUMES: u32 = 100;

/// Streams a blob, verified. Its errors hold an [`ImageError`], see
/// [`ImageError::from_io`].
pub struct BlobReader {
    client: Arc<Client>,
    endpoints: Vec<Endpoint>,
    reference: ImageReference,
    layer: LayerDescriptor,
    hasher: BlobHasher,
    position: u64,
    body: Option<BodyReader<'static>>,
    progress: Option<Box<dyn FnMut(u64) + Send>>,
    failures: u32,
    resumes: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Verified,
    Failed,
}

impl BlobReader {
    /// Opens a blob. `prefix` is what an earlier, interrupted transfer left; it is
    /// hashed, and the transfer begins behind it.
    pub(crate) fn open(
        client: Arc<Client>,
        endpoints: Vec<Endpoint>,
        reference: &ImageReference,
        layer: &LayerDescriptor,
        prefix: &mut dyn Read,
    ) -> Result<Self, ImageError> {
        let mut reader = Self {
            client,
            endpoints,
            reference: reference.clone(),
            hasher: BlobHasher::for_digest(&layer.digest),
            layer: layer.clone(),
            position: 0,
            body: None,
            progress: None,
            failures: 0,
            resumes: 0,
            state: State::Open,
        };
        reader.skip(prefix)?;
        if reader.position == reader.layer.size {
            reader.verify()?;
        } else {
            reader.body = Some(reader.connect()?);
        }
        Ok(reader)
    }

    /// Calls `progress` with the number of bytes of each piece.
    pub fn with_progress(mut self, progress: impl FnMut(u64) + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Returns the number of bytes read so far, the prefix included.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Reads what is left and so verifies the whole blob, for readers of formats
    /// that end before their file does.
    pub fn finish(mut self) -> Result<(), ImageError> {
        let mut buffer = vec![0; 64 << 10];
        while self.next(&mut buffer)? > 0 {}
        Ok(())
    }

    fn skip(&mut self, prefix: &mut dyn Read) -> Result<(), ImageError> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = match prefix.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    return Err(ImageError::Io {
                        operation: "read the beginning of",
                        path: self.layer.digest.as_str().into(),
                        source,
                    });
                }
            };
            self.position += count as u64;
            if self.position > self.layer.size {
                return Err(self.wrong_size(self.position));
            }
            self.hasher.update(buffer.get(..count).unwrap_or_default());
        }
    }

    /// Asks every place for the rest of the blob.
    fn connect(&mut self) -> Result<BodyReader<'static>, ImageError> {
        // Foreign layers are usually not in the registry; containerd asks their
        // own addresses first, too (`remotes/docker/fetcher.go`).
        for address in &self.layer.urls {
            let Some(url) = HttpUrl::parse(address) else {
                continue;
            };
            let headers = self.range();
            let headers: Vec<_> = headers.iter().map(|(k, v)| (*k, v.as_str())).collect();
            if let Ok(answer) = exchange(&self.client.connections, &Method::GET, &url, &headers, None)
                && matches!(answer.status(), 200 | 206)
            {
                return self.body_of(answer);
            }
        }
        let query = Query { method: Method::GET, path: format!("blobs/{}", self.layer.digest), headers: self.range() };
        super::first_answer(&self.endpoints, &self.reference, |endpoint| {
            let answer = self.client.get(endpoint, &self.reference, &query)?;
            self.body_of(answer)
        })
    }

    fn range(&self) -> Vec<(&'static str, String)> {
        match self.position {
            0 => Vec::new(),
            offset => vec![("range", format!("bytes={offset}-"))],
        }
    }

    /// Returns the body, positioned where the reader is.
    fn body_of(&self, answer: Answer) -> Result<BodyReader<'static>, ImageError> {
        let status = answer.status();
        let start = match status {
            200 => 0,
            206 => {
                let range = answer.header("content-range").and_then(range_start);
                range.unwrap_or(self.position)
            }
            _ => {
                return Err(status_error(answer, self.what()));
            }
        };
        let host = answer.url.authority.clone();
        let body = answer.response.into_body();
        if let Some(length) = body.content_length()
            && start.saturating_add(length) != self.layer.size
        {
            return Err(self.wrong_size(start.saturating_add(length)));
        }
        let mut body = body.into_reader();
        // A server without ranges sends all again.
        let surplus = self.position.checked_sub(start);
        let skipped = match surplus {
            Some(0) => Ok(0),
            Some(n) => io::copy(&mut (&mut body).take(n), &mut io::sink()),
            None => Err(io::Error::other("it sends another range than asked for")),
        };
        match skipped {
            Ok(n) if Some(n) == surplus => Ok(body),
            Ok(_) => Err(self.unreachable(host, "the connection was closed early".to_owned())),
            Err(e) => Err(self.unreachable(host, e.to_string())),
        }
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<usize, ImageError> {
        match self.state {
            State::Verified => return Ok(0),
            State::Failed => {
                return Err(ImageError::BadDocument {
                    what: self.what(),
                    why: "was read on after an error".to_owned(),
                });
            }
            State::Open if buffer.is_empty() => return Ok(0),
            State::Open => {}
        }
        let result = self.piece(buffer);
        if result.is_err() {
            self.state = State::Failed;
            self.body = None;
        }
        result
    }

    fn piece(&mut self, buffer: &mut [u8]) -> Result<usize, ImageError> {
        let left = usize::try_from(self.layer.size - self.position).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        let buffer = buffer.get_mut(..room).unwrap_or_default();
        loop {
            self.client.cancel.check()?;
            let body = match &mut self.body {
                Some(body) => body,
                None => {
                    if let Some(wait) = self.client.wait(self.failures) {
                        self.client.cancel.sleep(wait)?;
                    }
                    let body = self.connect()?;
                    self.body.insert(body)
                }
            };
            let why = match body.read(buffer) {
                Ok(0) => "the connection was closed early".to_owned(),
                Ok(count) => {
                    self.hasher.update(buffer.get(..count).unwrap_or_default());
                    self.position += count as u64;
                    self.failures = 0;
                    if self.position == self.layer.size {
                        self.end()?;
                    }
                    if let Some(progress) = &mut self.progress {
                        progress(count as u64);
                    }
                    return Ok(count);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => e.to_string(),
            };
            self.body = None;
            self.failures += 1;
            self.resumes += 1;
            if self.resumes > MAX_RESUMES || self.client.wait(self.failures).is_none() {
                let host = self.endpoints.last().map_or("", |e| e.authority.as_str());
                return Err(self.unreachable(host.to_owned(), why));
            }
        }
    }

    /// Checks that nothing follows, then the digest.
    fn end(&mut self) -> Result<(), ImageError> {
        let mut one = [0];
        if let Some(mut body) = self.body.take()
            && matches!(body.read(&mut one), Ok(n) if n > 0)
        {
            return Err(self.wrong_size(self.position + 1));
        }
        self.verify()
    }

    fn verify(&mut self) -> Result<(), ImageError> {
        let actual = self.hasher.clone().finish();
        if actual != self.layer.digest {
            return Err(ImageError::BadDigest { what: self.what(), expected: self.layer.digest.clone(), actual });
        }
        self.state = State::Verified;
        Ok(())
    }

    fn what(&self) -> String {
        describe(&self.reference.name(), &self.layer.digest)
    }

    fn wrong_size(&self, actual: u64) -> ImageError {
        ImageError::BadSize { what: self.what(), expected: self.layer.size, actual }
    }

    fn unreachable(&self, host: String, why: String) -> ImageError {
        ImageError::Unreachable { reference: self.what(), host, why }
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next(buffer).map_err(io::Error::from)
    }
}

/// Reads `bytes 5-9/10`.
fn range_start(text: &str) -> Option<u64> {
    let rest = text.trim().strip_prefix("bytes")?.trim_start();
    rest.split_once('-')?.0.parse().ok()
}
