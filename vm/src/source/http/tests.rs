//! Against servers on this machine.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::registry::tests::server::{Response, Server};
use super::*;

fn client() -> HttpClient {
    let retry = RetryPolicy { attempts: 3, first_wait: Duration::ZERO, longest_wait: Duration::ZERO };
    let limit = Duration::from_secs(10);
    HttpClient::new(limit, limit, retry, Arc::default())
}

fn fetch(request: &HttpRequest<'_>) -> (Result<Fetched, HttpError>, Vec<u8>) {
    let mut out = Vec::new();
    let mut counted = 0;
    let result = client().fetch(request, &mut out, &mut |n| counted += n);
    assert_eq!(counted, out.len() as u64);
    (result, out)
}

fn get(url: &str) -> (Result<Fetched, HttpError>, Vec<u8>) {
    fetch(&HttpRequest { url, ..HttpRequest::default() })
}

fn record(result: Result<Fetched, HttpError>) -> HttpRecord {
    match result.unwrap() {
        Fetched::Written(record) => record,
        Fetched::Unchanged => panic!("nothing was written"),
    }
}

#[test]
fn a_file_is_written_once_and_then_only_asked_about() {
    const DATE: &str = "Sun, 07 Jun 2015 08:09:10 GMT";
    let server = Server::start(|r| {
        let known = r.header("if-none-match") == Some("\"1\"");
        let answer = if known { Response::status(304) } else { Response::ok("web\n") };
        answer.with("ETag", "\"1\"").with("Last-Modified", DATE)
    });
    let url = format!("http://{}/f.txt", server.host());
    let (result, out) = get(&url);
    assert_eq!(out, b"web\n");
    let first = record(result);
    assert_eq!(first.modified(), Some(1_433_664_550));
    assert_eq!(first.digest, BlobDigest::sha256_of(b"web\n").to_string());
    assert_eq!(first.size, 4);
    let again = HttpRequest { url: &url, previous: Some(&first), ..HttpRequest::default() };
    let (result, out) = fetch(&again);
    assert_eq!((result.unwrap(), out.len()), (Fetched::Unchanged, 0));
    // The earlier content is not what is wanted now.
    let wanted = BlobDigest::sha256_of(b"other");
    let (result, _) = fetch(&HttpRequest { checksum: Some(&wanted), ..again });
    assert!(matches!(result, Err(HttpError::Checksum { .. })));
}

#[test]
fn without_an_etag_the_date_goes_along() {
    const DATE: &str = "Sun, 07 Jun 2015 08:09:10 GMT";
    let server = Server::start(|r| match r.header("if-modified-since") {
        Some(DATE) => Response::status(304),
        _ => Response::ok("x").with("Last-Modified", DATE),
    });
    let url = format!("http://{}/", server.host());
    let first = record(get(&url).0);
    let again = HttpRequest { url: &url, previous: Some(&first), ..HttpRequest::default() };
    assert_eq!(fetch(&again).0.unwrap(), Fetched::Unchanged);
}

#[test]
fn errors_name_the_address_and_hide_its_password() {
    let server = Server::start(|_| Response::status(404));
    let host = server.host();
    let (result, _) = get(&format!("http://me:secret@{host}/absent"));
    let text = result.unwrap_err().to_string();
    assert_eq!(text, format!("http://{host}/absent: invalid response status 404"));
    let (result, _) = get("http://127.0.0.1:1/x");
    let error = result.unwrap_err();
    assert!(error.is_environment(), "{error}");
    assert!(matches!(get("ftp://x/y").0, Err(HttpError::InvalidUrl { .. })));
}

#[test]
fn a_wrong_checksum_shows_both() {
    let server = Server::start(|_| Response::ok("x"));
    let url = format!("http://{}/x", server.host());
    let wanted = BlobDigest::sha256_of(b"y");
    let (result, _) = fetch(&HttpRequest { url: &url, checksum: Some(&wanted), ..HttpRequest::default() });
    let text = result.unwrap_err().to_string();
    assert!(text.contains(wanted.as_str()), "{text}");
    assert!(text.contains(BlobDigest::sha256_of(b"x").as_str()), "{text}");
}

#[test]
fn authorization_stays_with_the_addressed_server() {
    let other = Server::start(|_| Response::ok("x"));
    let target = format!("http://{}/y", other.host());
    let server = Server::start(move |_| Response::status(302).with("Location", target.clone()));
    let url = format!("http://u:p%40@{}/x", server.host());
    let (result, out) = get(&url);
    result.unwrap();
    assert_eq!(out, b"x");
    assert_eq!(server.requests()[0].header("authorization"), Some("Basic dTpwQA=="));
    assert_eq!(other.requests()[0].header("authorization"), None);
}

#[test]
fn a_broken_transfer_goes_on_only_under_a_strong_etag() {
    let data: Vec<u8> = (0..90_000_u32).map(|n| (n % 251) as u8).collect();
    for (etag, good) in [("\"1\"", true), ("W/\"1\"", false)] {
        let body = data.clone();
        let server = Server::start(move |r| {
            match r.range() {
                None => Response { cut: Some(40_000), ..Response::ok(body.clone()) },
                Some(at) => {
                    assert_eq!(r.header("if-range"), Some(etag));
                    Response { status: 206, ..Response::ok(&body[at..]) }
                        .with("Content-Range", format!("bytes {at}-89999/90000"))
                }
            }
            .with("ETag", etag)
        });
        let (result, out) = get(&format!("http://{}/", server.host()));
        assert_eq!(result.is_ok(), good);
        assert_eq!(out == data, good);
    }
}

#[test]
fn overload_is_waited_out() {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => Response::status(503),
        _ => Response::ok("x"),
    });
    assert_eq!(get(&format!("http://{}/", server.host())).1, b"x");
}

#[test]
fn names_come_from_the_address() {
    for (url, name) in [
        ("http://x/a/file.txt", "file.txt"),
        ("http://x/a/file.txt?v=1#f", "file.txt"),
        ("http://x/a/dir/", "dir"),
        ("http://x/a%20b", "a b"),
        ("http://x/100%", "100%"),
        ("http://x/a%2Fb", "b"),
        ("http://x/", "__unnamed__"),
        ("http://x", "__unnamed__"),
        ("http://x/a/..", "__unnamed__"),
    ] {
        assert_eq!(file_name(url), name, "{url}");
    }
}
