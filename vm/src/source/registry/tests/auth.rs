//! Tokens, passwords, and where they must not go.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::fixture::*;
use super::server::{Request, Response, Server};
use crate::source::error::ImageError;
use crate::source::registry::{Credentials, Registry};

fn image() -> Image {
    let mut image = Image::default();
    let digest = image.single("linux/amd64", b"x");
    image.tag("latest", &digest);
    image
}

/// A registry with a token server; `token` says what it gives for a request.
fn bearer(token: impl Fn(&Request) -> Response + Send + Sync + 'static, valid: &'static str) -> Server {
    let image = image();
    let own: Arc<OnceLock<String>> = Arc::default();
    let host = Arc::clone(&own);
    let server = Server::start(move |request| {
        if request.path.starts_with("/token") {
            return token(request);
        }
        if request.header("authorization") == Some(valid) {
            return image.answer(request);
        }
        let realm = format!("http://{}/token", host.get().unwrap());
        Response::status(401)
            .with("WWW-Authenticate", format!(r#"Bearer realm="{realm}",service="s",scope="repository:a/x:pull""#))
    });
    own.set(server.host()).unwrap();
    server
}

fn config_json(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    std::fs::write(&file, text).unwrap();
    (folder, file)
}

fn with_auths(host: &str, user: &str, password: &str) -> (tempfile::TempDir, Registry) {
    let auth = STANDARD.encode(format!("{user}:{password}"));
    let (folder, file) = config_json(&format!(r#"{{"auths":{{"{host}":{{"auth":"{auth}"}}}}}}"#));
    let mut options = options("");
    options.credentials = Credentials::from_file(file);
    (folder, Registry::new(options))
}

#[test]
fn anonymous_tokens_are_fetched_once() {
    let server = bearer(|_| Response::ok(r#"{"token":"T","expires_in":300}"#), "Bearer T");
    let registry = registry();
    let name = reference(&server.host(), "a/x");
    registry.resolve(&name, &amd64()).unwrap();
    registry.resolve(&name, &amd64()).unwrap();
    let tokens: Vec<_> = server.lines().into_iter().filter(|l| l.contains("/token")).collect();
    assert_eq!(tokens, ["GET /token?service=s&scope=repository:a/x:pull"]);
    let refused = server
        .requests()
        .iter()
        .filter(|r| !r.path.starts_with("/token") && r.header("authorization").is_none())
        .count();
    assert_eq!(refused, 1);
}

#[test]
fn the_token_server_sees_the_password_and_the_registry_does_not() {
    let server = bearer(
        |request| match request.header("authorization") {
            Some("Basic dTpw") => Response::ok(r#"{"access_token":"T"}"#),
            _ => Response::status(401),
        },
        "Bearer T",
    );
    let (_folder, registry) = with_auths(&server.host(), "u", "p");
    registry.resolve(&reference(&server.host(), "a/x"), &amd64()).unwrap();
    for request in server.requests() {
        let basic = request.header("authorization").is_some_and(|v| v.starts_with("Basic"));
        assert_eq!(basic, request.path.starts_with("/token"), "{request:?}");
    }
}

#[test]
fn a_token_that_is_no_longer_good_is_renewed() {
    let image = image();
    let own: Arc<OnceLock<String>> = Arc::default();
    let host = Arc::clone(&own);
    // The number of the only token that is good.
    let good = Arc::new(AtomicUsize::new(0));
    let valid = Arc::clone(&good);
    let server = Server::start(move |request| {
        let number = valid.load(Ordering::Relaxed);
        if request.path.starts_with("/token") {
            return Response::ok(format!(r#"{{"token":"T{number}","expires_in":300}}"#));
        }
        if request.header("authorization") == Some(&format!("Bearer T{number}")) {
            return image.answer(request);
        }
        let realm = format!("Bearer realm=\"http://{}/token\"", host.get().unwrap());
        Response::status(401).with("WWW-Authenticate", realm)
    });
    own.set(server.host()).unwrap();
    let registry = registry();
    let name = reference(&server.host(), "a/x");
    registry.resolve(&name, &amd64()).unwrap();
    good.store(1, Ordering::Relaxed);
    registry.resolve(&name, &amd64()).unwrap();
    let sent = |token| {
        let requests = server.requests();
        requests.iter().filter(|r| r.header("authorization") == Some(token)).count()
    };
    // Manifest and configuration twice; T0 once more before it is refused.
    assert_eq!((sent("Bearer T0"), sent("Bearer T1")), (3, 2));
}

#[test]
fn a_refused_token_is_not_asked_for_endlessly() {
    let server = bearer(|_| Response::ok(r#"{"token":"bad"}"#), "Bearer T");
    let error = registry().resolve(&reference(&server.host(), "a/x"), &amd64()).unwrap_err();
    assert!(matches!(error, ImageError::Unauthorized { .. }), "{error}");
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn identity_tokens_are_exchanged() {
    let server = bearer(
        |request| {
            assert_eq!(request.method, "POST");
            let form = String::from_utf8(request.body.clone()).unwrap();
            let ok = form.contains("grant_type=refresh_token") && form.contains("refresh_token=ID");
            if ok { Response::ok(r#"{"access_token":"T"}"#) } else { Response::status(401) }
        },
        "Bearer T",
    );
    let text = format!(r#"{{"auths":{{"{}":{{"identitytoken":"ID"}}}}}}"#, server.host());
    let (_folder, file) = config_json(&text);
    let mut options = options("");
    options.credentials = Credentials::from_file(file);
    Registry::new(options).resolve(&reference(&server.host(), "a/x"), &amd64()).unwrap();
}

#[test]
fn basic_credentials_answer_a_basic_challenge() {
    let image = image();
    let server = Server::start(move |request| match request.header("authorization") {
        Some("Basic dTpw") => image.answer(request),
        _ => Response::status(401).with("WWW-Authenticate", "Basic realm=\"r\""),
    });
    let name = reference(&server.host(), "x");
    let (_folder, good) = with_auths(&server.host(), "u", "p");
    good.resolve(&name, &amd64()).unwrap();

    let (_folder, wrong) = with_auths(&server.host(), "u", "other");
    let error = wrong.resolve(&name, &amd64()).unwrap_err();
    assert!(matches!(error, ImageError::Unauthorized { .. }), "{error}");

    let (_folder, file) = config_json("{}");
    let mut without = options("");
    without.credentials = Credentials::from_file(file.clone());
    let error = Registry::new(without).resolve(&name, &amd64()).unwrap_err().to_string();
    assert!(error.contains("pull access denied"), "{error}");
    assert!(error.contains(&format!("no credentials for {:?} in {}", server.host(), file.display())), "{error}");
}

#[test]
fn a_broken_config_json_is_named() {
    let server = Server::start(|_| Response::status(401).with("WWW-Authenticate", "Basic"));
    let (_folder, file) = config_json("{");
    let mut options = options("");
    options.credentials = Credentials::from_file(file.clone());
    let error = Registry::new(options).resolve(&reference(&server.host(), "x"), &amd64());
    let error = error.unwrap_err().to_string();
    assert!(error.contains(&format!("{} is not valid JSON", file.display())), "{error}");
}

#[test]
fn a_redirected_blob_does_not_get_the_authorization() {
    let data = b"the layer".to_vec();
    let body = data.clone();
    let storage = Server::start(move |_| Response::ok(body.clone()));
    let target = format!("http://{}/bucket/x?sig=1", storage.host());
    let server = Server::start(move |request| match request.header("authorization") {
        Some("Basic dTpw") => Response::status(307).with("Location", target.clone()),
        _ => Response::status(401).with("WWW-Authenticate", "Basic"),
    });
    let (_folder, registry) = with_auths(&server.host(), "u", "p");
    let reader = registry.open_blob(&reference(&server.host(), "x"), &layer(&data)).unwrap();
    reader.finish().unwrap();
    let requests = storage.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].path, "/bucket/x?sig=1");
    assert_eq!(requests[0].header("authorization"), None);
}

#[test]
fn a_redirect_within_the_server_keeps_the_authorization() {
    let image = image();
    let server = Server::start(move |request| {
        if request.header("authorization") != Some("Basic dTpw") {
            return Response::status(401).with("WWW-Authenticate", "Basic");
        }
        match request.path.strip_prefix("/v2/x/") {
            Some(rest) => Response::status(302).with("Location", format!("/moved/{rest}")),
            None => image.answer(request),
        }
    });
    let (_folder, registry) = with_auths(&server.host(), "u", "p");
    registry.resolve(&reference(&server.host(), "x"), &amd64()).unwrap();
}

#[test]
fn redirects_in_a_circle_end() {
    let server = Server::start(|r| Response::status(302).with("Location", r.path.clone()));
    let error = registry().resolve(&reference(&server.host(), "x"), &amd64()).unwrap_err();
    assert!(error.to_string().contains("redirects more than 10 times"), "{error}");
}

#[test]
fn a_refusal_carries_the_registrys_words() {
    let server = Server::start(|_| Response {
        body: br#"{"errors":[{"code":"DENIED","message":"not for you"}]}"#.to_vec(),
        ..Response::status(403)
    });
    let error = registry().resolve(&reference(&server.host(), "x"), &amd64()).unwrap_err();
    assert!(error.to_string().ends_with("denied: not for you"), "{error}");
}
