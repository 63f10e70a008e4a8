//! Requests to a repository: schemes, authorization, redirects, repetition.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use ureq::http::Method;

use super::auth::{AuthFailure, Authorizer};
use super::challenge;
use super::connections::{Connections, Endpoint};
use super::credentials::Credentials;
use crate::config::RegistryConfig;
use crate::source::error::ImageError;
use crate::source::reference::ImageReference;
use crate::source::transport::Failure;
use crate::source::transport::cancel::{Cancel, Cancelled};
use crate::source::transport::exchange::{Answer, TransportError, exchange};
use crate::source::transport::retry::{RetryPolicy, is_transient, retry_after};

/// How much of an error's body is looked at.
const MESSAGE_LIMIT: u64 = 16 << 10;

/// A request for something of a repository.
#[derive(Clone, Debug)]
pub(crate) struct Query<'a> {
    pub(crate) method: Method,
    /// After the repository: `manifests/latest`, `blobs/sha256:…`.
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'a str, String)>,
}

impl Query<'_> {
    /// Names what is asked for: the image, or one of its blobs.
    fn subject(&self, reference: &ImageReference) -> String {
        match self.path.strip_prefix("blobs/") {
            Some(digest) => format!("{}@{digest}", reference.name()),
            None => reference.to_string(),
        }
    }
}

/// What all requests of a [`super::Registry`] share.
pub(crate) struct Client {
    pub(crate) connections: Connections,
    retry: RetryPolicy,
    pub(crate) cancel: Cancel,
    auth: Authorizer,
}

impl From<Cancelled> for ImageError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl Client {
    pub(crate) fn new(
        config: RegistryConfig,
        credentials: Credentials,
        retry: RetryPolicy,
        cancel: Cancel,
    ) -> Arc<Self> {
        Arc::new(Self { connections: Connections::new(config), retry, cancel, auth: Authorizer::new(credentials) })
    }

    /// Returns the wait after so many failures, `None` if they are too many.
    pub(crate) fn wait(&self, failures: u32) -> Option<Duration> {
        self.retry.wait(failures, None)
    }

    /// Sends a query and returns a response with a status of 2xx. Overload,
    /// gateway errors and broken connections are tried again.
    pub(crate) fn get(
        &self,
        endpoint: &Endpoint,
        reference: &ImageReference,
        query: &Query<'_>,
    ) -> Result<Answer, ImageError> {
        let mut attempt = 0;
        let mut authorized = false;
        loop {
            self.cancel.check()?;
            attempt += 1;
            let header = self
                .auth
                .known(&self.connections, endpoint, reference.repository())
                .map_err(|e| auth_error(e, endpoint, reference))?;
            let answer = match self.probe(endpoint, reference, query, header.as_deref()) {
                Ok(answer) => answer,
                Err(error) if error.failure == Failure::Dropped => {
                    match self.retry.wait(attempt, None) {
                        Some(wait) => self.cancel.sleep(wait)?,
                        None => return Err(transport_error(error, reference)),
                    }
                    continue;
                }
                Err(error) => return Err(transport_error(error, reference)),
            };
            let status = answer.status();
            if (200..300).contains(&status) {
                return Ok(answer);
            }
            let ours = answer.url.authority == endpoint.authority;
            if status == 401 && ours && !authorized {
                let headers = answer.response.headers().get_all("www-authenticate");
                let challenge = challenge::parse(headers.iter().filter_map(|v| v.to_str().ok()));
                if let Some(challenge) = challenge {
                    let repository = reference.repository();
                    self.auth
                        .challenged(&self.connections, endpoint, repository, &challenge, header.as_deref())
                        .map_err(|e| auth_error(e, endpoint, reference))?;
                    authorized = true;
                    attempt -= 1;
                    continue;
                }
            }
            if is_transient(status) {
                let asked = retry_after(answer.header("retry-after"), SystemTime::now());
                if let Some(wait) = self.retry.wait(attempt, asked) {
                    self.cancel.sleep(wait)?;
                    continue;
                }
            }
            return Err(status_error(answer, query.subject(reference)));
        }
    }

    /// Reads a whole body, again from the start if the connection breaks.
    pub(crate) fn get_bytes(
        &self,
        endpoint: &Endpoint,
        reference: &ImageReference,
        query: &Query<'_>,
        limit: u64,
    ) -> Result<(Option<String>, Vec<u8>), ImageError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let answer = self.get(endpoint, reference, query)?;
            let too_large = || ImageError::TooLarge { what: format!("{}: {}", reference.name(), query.path), limit };
            let digest = answer.header("docker-content-digest").map(str::to_owned);
            let host = answer.url.authority.clone();
            let body = answer.response.into_body();
            if body.content_length().is_some_and(|n| n > limit) {
                return Err(too_large());
            }
            let mut bytes = Vec::new();
            match body.into_reader().take(limit + 1).read_to_end(&mut bytes) {
                Ok(n) if n as u64 > limit => return Err(too_large()),
                Ok(_) => return Ok((digest, bytes)),
                Err(error) => match self.retry.wait(attempt, None) {
                    Some(wait) => self.cancel.sleep(wait)?,
                    None => {
                        return Err(ImageError::Unreachable {
                            reference: reference.to_string(),
                            host,
                            why: error.to_string(),
                        });
                    }
                },
            }
        }
    }

    /// Sends a query once, finding out by it which scheme the server speaks.
    fn probe(
        &self,
        endpoint: &Endpoint,
        reference: &ImageReference,
        query: &Query<'_>,
        authorization: Option<&str>,
    ) -> Result<Answer, TransportError> {
        let path = format!("{}/{}", reference.repository(), query.path);
        let headers: Vec<_> = query.headers.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let send = |scheme: &'static str| {
            let url = endpoint.url(scheme, &path);
            exchange(&self.connections, &query.method, &url, &headers, authorization)
        };
        let authority = &endpoint.authority;
        let (first, second) = match (self.connections.known_scheme(authority), endpoint.schemes) {
            (Some(scheme), _) => return send(scheme),
            (None, [first, second, ..]) => (*first, *second),
            (None, [only]) => (*only, *only),
            (None, []) => ("https", "https"),
        };
        let result = send(first);
        // Servers that want TLS answer plain HTTP by 400 or by closing.
        let mistaken = match &result {
            Ok(answer) => answer.status() == 400,
            Err(error) => error.failure != Failure::Unreachable,
        };
        if mistaken && second != first {
            if let Ok(answer) = send(second) {
                self.connections.remember_scheme(authority, second);
                return Ok(answer);
            }
        } else if result.is_ok() {
            self.connections.remember_scheme(authority, first);
        }
        result
    }
}

fn auth_error(error: AuthFailure, endpoint: &Endpoint, reference: &ImageReference) -> ImageError {
    match error {
        AuthFailure::Refused(why) => {
            ImageError::Unauthorized { reference: reference.to_string(), host: endpoint.authority.clone(), why }
        }
        AuthFailure::Unreachable { host, why } => {
            ImageError::Unreachable { reference: reference.to_string(), host, why }
        }
    }
}

fn transport_error(error: TransportError, reference: &ImageReference) -> ImageError {
    let reference = reference.to_string();
    let TransportError { failure, host, why } = error;
    match failure {
        Failure::Tls => ImageError::Tls { reference, host, why },
        _ => ImageError::Unreachable { reference, host, why },
    }
}

pub(crate) fn status_error(answer: Answer, reference: String) -> ImageError {
    let status = answer.status();
    let host = answer.url.authority.clone();
    if status == 404 {
        return ImageError::NotFound { reference };
    }
    let why = message(answer);
    if matches!(status, 401 | 403) {
        let why = if why.is_empty() { format!("status {status}") } else { why };
        return ImageError::Unauthorized { reference, host, why };
    }
    let why = if why.is_empty() { why } else { format!(": {why}") };
    ImageError::Status { reference, host, status, why }
}

#[derive(Deserialize)]
struct ErrorBody {
    errors: Vec<ErrorEntry>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Reads the registry's own words (OCI distribution spec, "Error Codes").
fn message(answer: Answer) -> String {
    let mut bytes = Vec::new();
    let body = answer.response.into_body().into_reader();
    if body.take(MESSAGE_LIMIT).read_to_end(&mut bytes).is_err() {
        return String::new();
    }
    let Ok(parsed) = serde_json::from_slice::<ErrorBody>(&bytes) else {
        return String::new();
    };
    let entries = parsed.errors.iter().map(|e| match (e.code.as_str(), e.message.as_str()) {
        (code, "") => code.to_lowercase(),
        ("", message) => message.to_owned(),
        (code, message) => format!("{}: {message}", code.to_lowercase()),
    });
    entries.collect::<Vec<_>>().join(", ")
}
