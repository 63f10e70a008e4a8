//! Authorization: what is sent to which repository.
//!
//! Nothing is sent until a server asks; its challenge is then remembered for the
//! repository, and the answer, so that later requests carry it at once. One
//! lock per repository: parallel requests wait for one token instead of each
//! fetching its own. Tokens are kept in memory only.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use serde::Deserialize;
use std::io::Read;
use ureq::http::Method;

use super::challenge::Challenge;
use super::connections::{Connections, Endpoint};
use super::credentials::{Credential, Credentials};
use crate::source::transport::exchange::{Agents, Answer, exchange};
use crate::source::transport::is_loopback;
use crate::source::transport::redirect::HttpUrl;

/// A token is no longer used this long before it expires.
const MARGIN: Duration = Duration::from_secs(5);
/// Of a token without an expiry (distribution token specification).
const DEFAULT_LIFETIME: u64 = 60;
const TOKEN_LIMIT: u64 = 1 << 20;

/// Why no authorization can be had.
#[derive(Debug)]
pub(crate) enum AuthFailure {
    /// The credentials are missing or refused.
    Refused(String),
    /// The token server does not answer.
    Unreachable { host: String, why: String },
}

/// Server and repository: a token is for both.
type RepositoryKey = (String, String);

pub(crate) struct Authorizer {
    credentials: Credentials,
    repositories: Mutex<HashMap<RepositoryKey, Arc<Mutex<State>>>>,
}

#[derive(Default)]
struct State {
    challenge: Option<Challenge>,
    header: Option<String>,
    expires: Option<Instant>,
}

impl State {
    fn current(&self) -> Option<String> {
        if self.expires.is_some_and(|e| e <= Instant::now()) {
            return None;
        }
        self.header.clone()
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Authorizer {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self { credentials, repositories: Mutex::default() }
    }

    /// Returns the header to send without being asked, if one is known.
    pub(crate) fn known(
        &self,
        connections: &Connections,
        endpoint: &Endpoint,
        repository: &str,
    ) -> Result<Option<String>, AuthFailure> {
        let state = self.state(endpoint, repository);
        let mut state = state.lock();
        if let Some(header) = state.current() {
            return Ok(Some(header));
        }
        match state.challenge.clone() {
            Some(challenge) => self.answer(&mut state, &challenge, connections, endpoint, repository).map(Some),
            None => Ok(None),
        }
    }

    /// Answers a 401. `sent` is the header that was refused, if one was sent.
    pub(crate) fn challenged(
        &self,
        connections: &Connections,
        endpoint: &Endpoint,
        repository: &str,
        challenge: &Challenge,
        sent: Option<&str>,
    ) -> Result<String, AuthFailure> {
        let state = self.state(endpoint, repository);
        let mut state = state.lock();
        if let Some(header) = state.current()
            && sent != Some(header.as_str())
        {
            return Ok(header);
        }
        self.answer(&mut state, challenge, connections, endpoint, repository)
    }

    fn state(&self, endpoint: &Endpoint, repository: &str) -> Arc<Mutex<State>> {
        let key = (endpoint.authority.clone(), repository.to_owned());
        Arc::clone(self.repositories.lock().entry(key).or_default())
    }

    fn answer(
        &self,
        state: &mut State,
        challenge: &Challenge,
        connections: &Connections,
        endpoint: &Endpoint,
        repository: &str,
    ) -> Result<String, AuthFailure> {
        state.header = None;
        let credential = self.credentials.find(&endpoint.name).map_err(AuthFailure::Refused)?;
        let (header, expires) = match (challenge, credential) {
            (Challenge::Basic, Some(Credential::Password { user, password })) => (basic(&user, &password), None),
            (Challenge::Basic, _) => {
                return Err(AuthFailure::Refused(format!(
                    "there are no credentials for {:?} in {}: use docker login",
                    endpoint.name,
                    self.credentials.place()
                )));
            }
            (Challenge::Bearer { realm, service, scope }, credential) => {
                let own = format!("repository:{repository}:pull");
                let query = TokenQuery { realm, service: service.as_deref(), scope: scope.as_deref().unwrap_or(&own) };
                let (token, lifetime) = query.fetch(connections, endpoint, credential.as_ref())?;
                let lifetime = Duration::from_secs(lifetime).saturating_sub(MARGIN);
                (format!("Bearer {token}"), Instant::now().checked_add(lifetime))
            }
        };
        state.challenge = Some(challenge.clone());
        state.header = Some(header.clone());
        state.expires = expires;
        Ok(header)
    }
}

struct TokenQuery<'a> {
    realm: &'a str,
    service: Option<&'a str>,
    scope: &'a str,
}

impl TokenQuery<'_> {
    fn fetch(
        &self,
        connections: &Connections,
        endpoint: &Endpoint,
        credential: Option<&Credential>,
    ) -> Result<(String, u64), AuthFailure> {
        let refused = |why: &str| AuthFailure::Refused(format!("{}: {why}", self.realm));
        let mut url = HttpUrl::parse(self.realm).ok_or_else(|| refused("is no address of a token server"))?;
        // A secure registry must not be able to make rbc send a password in clear.
        let plain_registry = connections.known_scheme(&endpoint.authority) == Some("http");
        if credential.is_some() && url.scheme == "http" && !plain_registry && !is_loopback(&url.authority) {
            return Err(refused("credentials are not sent over plain HTTP"));
        }
        let unreachable = |host: String, why: String| AuthFailure::Unreachable { host, why };
        let answer = if let Some(Credential::IdentityToken(token)) = credential {
            // OAuth2 refresh (distribution "Docker Registry v2 OAuth2").
            let agent = connections.agent(&url).map_err(|e| refused(&e.to_string()))?;
            let service = self.service.unwrap_or(&endpoint.authority);
            let form = [
                ("grant_type", "refresh_token"),
                ("client_id", "rbc"),
                ("service", service),
                ("scope", self.scope),
                ("refresh_token", token),
            ];
            let response = agent
                .post(url.to_string())
                .send_form(form)
                .map_err(|e| unreachable(url.authority.clone(), e.to_string()))?;
            Answer { url, response }
        } else {
            let mut separator = if url.path_and_query.contains('?') { '&' } else { '?' };
            let service = self.service.map(|s| ("service", s));
            for (key, value) in service.into_iter().chain([("scope", self.scope)]) {
                url.path_and_query.push(separator);
                url.path_and_query.push_str(&format!("{key}={}", percent_encode(value)));
                separator = '&';
            }
            let header = match credential {
                Some(Credential::Password { user, password }) => Some(basic(user, password)),
                _ => None,
            };
            exchange(connections, &Method::GET, &url, &[], header.as_deref()).map_err(|e| unreachable(e.host, e.why))?
        };
        let status = answer.status();
        let host = answer.url.authority.clone();
        let mut text = Vec::new();
        let body = answer.response.into_body().into_reader();
        body.take(TOKEN_LIMIT).read_to_end(&mut text).map_err(|e| unreachable(host.clone(), e.to_string()))?;
        match status {
            200..=299 => {}
            500.. => {
                return Err(unreachable(host, format!("the token server answers {status}")));
            }
            _ => return Err(refused(&format!("the token server answers {status}"))),
        }
        let parsed: TokenAnswer =
            serde_json::from_slice(&text).map_err(|e| refused(&format!("invalid answer: {e}")))?;
        let token = parsed
            .token
            .filter(|t| !t.is_empty())
            .or(parsed.access_token)
            .filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_graphic()))
            .ok_or_else(|| refused("the answer holds no token"))?;
        Ok((token, parsed.expires_in.filter(|s| *s > 0).unwrap_or(DEFAULT_LIFETIME)))
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b',') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
