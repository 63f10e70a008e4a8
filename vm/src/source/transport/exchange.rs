//! One request and its redirects.

use ureq::http::{Method, Request, Response};
use ureq::{Agent, Body};

use super::redirect::{HttpUrl, MAX_REDIRECTS};
use super::roots::CertificateError;
use super::{Failure, classify};

/// Hands out the pool of connections to a URL's server.
pub(crate) trait Agents {
    fn agent(&self, url: &HttpUrl) -> Result<Agent, CertificateError>;
}

/// A request that got no response.
#[derive(Clone, Debug)]
pub(crate) struct TransportError {
    pub(crate) failure: Failure,
    /// The server that was being talked to, which redirects may have changed.
    pub(crate) host: String,
    pub(crate) why: String,
}

/// A response, and the URL that it came from in the end.
pub(crate) struct Answer {
    pub(crate) url: HttpUrl,
    pub(crate) response: Response<Body>,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }
}

/// Sends a request without a body and follows redirects. The authorization
/// goes to the URL's own server only, never to one that it redirects to.
pub(crate) fn exchange(
    agents: &impl Agents,
    method: &Method,
    url: &HttpUrl,
    headers: &[(&str, &str)],
    authorization: Option<&str>,
) -> Result<Answer, TransportError> {
    let first = url;
    let mut url = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let mut request = Request::builder().method(method).uri(url.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(value) = authorization
            && first.same_server(&url)
        {
            request = request.header("authorization", value);
        }
        let request = request.body(()).map_err(|e| error(&url, Failure::Protocol, e.to_string()))?;
        let agent = agents.agent(&url).map_err(|e| error(&url, Failure::Tls, e.to_string()))?;
        let response = agent.run(request).map_err(|e| {
            let (failure, mut why) = classify(&e);
            if let Some(proxy) = agent.config().proxy() {
                why.push_str(&format!(" (through the proxy {}:{})", proxy.host(), proxy.port()));
            }
            error(&url, failure, why)
        })?;
        let answer = Answer { url, response };
        if !matches!(answer.status(), 301 | 302 | 303 | 307 | 308) {
            return Ok(answer);
        }
        let Some(location) = answer.header("location") else {
            return Ok(answer);
        };
        let next = answer.url.join(location);
        let from = answer.url;
        url = next.ok_or_else(|| error(&from, Failure::Protocol, "it redirects to an invalid address".to_owned()))?;
    }
    let why = format!("it redirects more than {MAX_REDIRECTS} times");
    Err(error(&url, Failure::Protocol, why))
}

fn error(url: &HttpUrl, failure: Failure, why: String) -> TransportError {
    TransportError { failure, host: url.authority.clone(), why }
}
