//! Files of web servers, for `ADD <url>` and remote contexts.
//!
//! A file is transferred once and then only asked about: `ETag` and
//! `Last-Modified` of the earlier answer go along, and `304` means that nothing
//! changed. Redirects are followed; authorization stays with the URL's server. A
//! transfer that breaks is taken up again where the server can prove that the
//! file is still the same (a strong `ETag`).
//!
//! What the file becomes (mode 0600, unpacking) is not decided here.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use ureq::Agent;
use ureq::http::Method;

use super::digest::BlobDigest;
use super::transport::cancel::{Cancel, Cancelled};
use super::transport::exchange::{Agents, Answer, TransportError, exchange};
use super::transport::redirect::HttpUrl;
use super::transport::retry::{RetryPolicy, is_transient, retry_after};
use super::transport::roots::{self, CertificateError};
use super::transport::{AgentOptions, Failure, agent};

/// What is known of a file that was transferred.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HttpRecord {
    /// The server's own version of the file.
    pub etag: Option<String>,
    /// The `Last-Modified` header.
    pub last_modified: Option<String>,
    /// The SHA-256 of the content, `sha256:…`.
    pub digest: String,
    /// The size in bytes.
    pub size: u64,
}

impl HttpRecord {
    /// Returns the time of `Last-Modified` in seconds since 1970, which ADD gives
    /// to the file.
    pub fn modified(&self) -> Option<u64> {
        let time = httpdate::parse_http_date(self.last_modified.as_deref()?).ok()?;
        Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
    }
}

/// What a request brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The file is the one of the earlier record; nothing was written.
    Unchanged,
    /// The file was written out.
    Written(HttpRecord),
}

/// A file that is wanted.
#[derive(Clone, Debug, Default)]
pub struct HttpRequest<'a> {
    /// The address, as the user wrote it.
    pub url: &'a str,
    /// The earlier transfer, if its content is still at hand.
    pub previous: Option<&'a HttpRecord>,
    /// The digest that the content must have (`ADD --checksum`).
    pub checksum: Option<&'a BlobDigest>,
    /// The `Authorization` header, from the secrets `HTTP_AUTH_HEADER_<host>` and
    /// `HTTP_AUTH_TOKEN_<host>`.
    pub authorization: Option<&'a str>,
}

/// Says why a file could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The text is no http or https address.
    #[error("invalid URL {url:?}: expected http://host/path or https://host/path")]
    InvalidUrl {
        /// The text as given.
        url: String,
    },
    /// The server answers with an error.
    #[error("{url}: invalid response status {status}")]
    Status {
        /// The address, without user and password.
        url: String,
        /// The HTTP status code.
        status: u16,
    },
    /// The server does not answer, or not to the end.
    #[error("{url}: failed to reach {host}: {why}")]
    Unreachable {
        /// The address, without user and password.
        url: String,
        /// The host, which redirects may have changed.
        host: String,
        /// The reason.
        why: String,
    },
    /// No secure connection could be made.
    #[error("{url}: failed to make a secure connection to {host}: {why}")]
    Tls {
        /// The address, without user and password.
        url: String,
        /// The host.
        host: String,
        /// The reason.
        why: String,
    },
    /// The content is not what `--checksum` says.
    #[error("{url}: digest mismatch: expected {expected}, got {actual}")]
    Checksum {
        /// The address, without user and password.
        url: String,
        /// The digest asked for.
        expected: BlobDigest,
        /// The content's digest.
        actual: BlobDigest,
    },
    /// The file cannot be written.
    #[error("{url}: cannot write the file: {source}")]
    Write {
        /// The address, without user and password.
        url: String,
        /// The reason.
        source: io::Error,
    },
    /// The build was interrupted.
    #[error("interrupted")]
    Cancelled,
}

impl HttpError {
    /// Says whether the environment is at fault (exit code 3), not the build.
    pub fn is_environment(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Tls { .. } | Self::Write { .. })
    }
}

impl From<Cancelled> for HttpError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

/// Returns the name that ADD gives to the file of a URL: the last part of its
/// path, or `__unnamed__` (BuildKit `dockerfile2llb/convert.go`). Redirects and
/// `Content-Disposition` do not count.
pub fn file_name(url: &str) -> String {
    let path = HttpUrl::parse(url).map(|u| decode(u.path())).unwrap_or_default();
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or("");
    if matches!(name, "" | "." | "..") || name.contains('\0') {
        return "__unnamed__".to_owned();
    }
    name.to_owned()
}

/// Fetches files. Cheap to share; connections are kept alive.
pub struct HttpClient {
    agents: PlainAgents,
    retry: RetryPolicy,
    cancel: Cancel,
}

impl HttpClient {
    /// Makes a client.
    pub fn new(connect_timeout: Duration, idle_timeout: Duration, retry: RetryPolicy, cancel: Arc<AtomicBool>) -> Self {
        Self {
            agents: PlainAgents { connect_timeout, idle_timeout, agents: Mutex::default() },
            retry,
            cancel: Cancel::new(cancel),
        }
    }

    /// Writes a file to `out`, unless it is the one of the earlier record.
    /// `progress` is called with the number of bytes of each piece.
    pub fn fetch(
        &self,
        request: &HttpRequest<'_>,
        out: &mut dyn Write,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Fetched, HttpError> {
        let url = HttpUrl::parse(request.url).ok_or_else(|| HttpError::InvalidUrl { url: request.url.to_owned() })?;
        let mut headers = Vec::new();
        // A content that does not have the wanted checksum is of no use.
        let previous = request.previous.filter(|p| request.checksum.is_none_or(|c| c.as_str() == p.digest));
        if let Some(etag) = previous.and_then(|p| p.etag.as_deref()) {
            headers.push(("if-none-match", etag));
        } else if let Some(date) = previous.and_then(|p| p.last_modified.as_deref()) {
            headers.push(("if-modified-since", date));
        }
        let transfer = Transfer {
            client: self,
            authorization: request.authorization.map(str::to_owned).or_else(|| userinfo(&url)),
            url,
        };
        let answer = transfer.ask(&headers)?;
        match answer.status() {
            304 if previous.is_some() => return Ok(Fetched::Unchanged),
            200 => {}
            status => return Err(transfer.status(status)),
        }
        let etag = answer.header("etag").map(str::to_owned);
        let last_modified = answer.header("last-modified").map(str::to_owned);
        let (digest, size) = transfer.copy(answer, etag.as_deref(), out, progress)?;
        if let Some(expected) = request.checksum
            && *expected != digest
        {
            return Err(HttpError::Checksum {
                url: transfer.url.to_string(),
                expected: expected.clone(),
                actual: digest,
            });
        }
        Ok(Fetched::Written(HttpRecord { etag, last_modified, digest: digest.to_string(), size }))
    }
}

/// One file's requests.
struct Transfer<'a> {
    client: &'a HttpClient,
    url: HttpUrl,
    authorization: Option<String>,
}

impl Transfer<'_> {
    fn ask(&self, headers: &[(&str, &str)]) -> Result<Answer, HttpError> {
        let mut attempt = 0;
        loop {
            self.client.cancel.check()?;
            attempt += 1;
            let authorization = self.authorization.as_deref();
            let result = exchange(&self.client.agents, &Method::GET, &self.url, headers, authorization);
            let asked = match &result {
                Ok(answer) if is_transient(answer.status()) => {
                    retry_after(answer.header("retry-after"), SystemTime::now())
                }
                Err(error) if error.failure == Failure::Dropped => None,
                Ok(_) => return result.map_err(|e| self.error(e)),
                Err(_) => return result.map_err(|e| self.error(e)),
            };
            match self.client.retry.wait(attempt, asked) {
                Some(wait) => self.client.cancel.sleep(wait)?,
                None => return result.map_err(|e| self.error(e)),
            }
        }
    }

    fn copy(
        &self,
        answer: Answer,
        etag: Option<&str>,
        out: &mut dyn Write,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(BlobDigest, u64), HttpError> {
        // Ranges may only be joined under a strong validator (RFC 9110, 13.1.5).
        let strong = etag.filter(|e| !e.starts_with("W/"));
        let mut hasher = Sha256::new();
        let mut position = 0_u64;
        let mut failures = 0;
        let mut host = answer.url.authority.clone();
        let mut body = answer.response.into_body().into_reader();
        let mut buffer = vec![0; 128 << 10];
        loop {
            self.client.cancel.check()?;
            let why = match body.read(&mut buffer) {
                Ok(0) => return Ok((BlobDigest::from_sha256(hasher.finalize().into()), position)),
                Ok(count) => {
                    let piece = buffer.get(..count).unwrap_or_default();
                    hasher.update(piece);
                    out.write_all(piece).map_err(|source| HttpError::Write { url: self.url.to_string(), source })?;
                    position += count as u64;
                    progress(count as u64);
                    failures = 0;
                    continue;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => e.to_string(),
            };
            failures += 1;
            let wait = self.client.retry.wait(failures, None);
            let (Some(etag), Some(wait)) = (strong, wait) else {
                return Err(self.broken(host, why));
            };
            self.client.cancel.sleep(wait)?;
            let range = format!("bytes={position}-");
            let answer = self.ask(&[("range", &range), ("if-range", etag)])?;
            let start = format!("bytes {position}-");
            let continues =
                answer.status() == 206 && answer.header("content-range").is_some_and(|r| r.starts_with(&start));
            if !continues {
                return Err(self.broken(host, why));
            }
            host = answer.url.authority.clone();
            body = answer.response.into_body().into_reader();
        }
    }

    fn broken(&self, host: String, why: String) -> HttpError {
        HttpError::Unreachable { url: self.url.to_string(), host, why }
    }

    fn status(&self, status: u16) -> HttpError {
        HttpError::Status { url: self.url.to_string(), status }
    }

    fn error(&self, error: TransportError) -> HttpError {
        let TransportError { failure, host, why } = error;
        let url = self.url.to_string();
        match failure {
            Failure::Tls => HttpError::Tls { url, host, why },
            _ => HttpError::Unreachable { url, host, why },
        }
    }
}

/// Connections that trust what the system trusts.
struct PlainAgents {
    connect_timeout: Duration,
    idle_timeout: Duration,
    agents: Mutex<HashMap<(&'static str, String), Agent>>,
}

impl Agents for PlainAgents {
    fn agent(&self, url: &HttpUrl) -> Result<Agent, CertificateError> {
        let key = (url.scheme, url.authority.clone());
        let mut agents = self.agents.lock();
        let made = agents.entry(key).or_insert_with(|| {
            let roots = if url.scheme == "https" { roots::system() } else { ureq::tls::RootCerts::WebPki };
            let options = AgentOptions {
                connect_timeout: self.connect_timeout,
                idle_timeout: self.idle_timeout,
                verify: true,
                roots,
                client_cert: None,
            };
            agent(url.scheme, &url.authority, options)
        });
        Ok(made.clone())
    }
}

/// Go's client sends the user and password of a URL as basic authorization.
fn userinfo(url: &HttpUrl) -> Option<String> {
    let (user, password) = url.userinfo.as_ref().map(|u| u.split_once(':').unwrap_or((u, "")))?;
    let pair = format!("{}:{}", decode(user), decode(password));
    Some(format!("Basic {}", STANDARD.encode(pair)))
}

/// Decodes `%XX`; what is no such escape stays as it is.
pub(super) fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => break,
            [b'%', high, low, after @ ..] => {
                let mut byte = [0];
                if hex::decode_to_slice([*high, *low], &mut byte).is_ok() {
                    out.extend(byte);
                } else {
                    out.extend([b'%', *high, *low]);
                }
                after
            }
            [other, after @ ..] => {
                out.push(*other);
                after
            }
        };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests;
