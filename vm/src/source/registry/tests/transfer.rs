//! Layers over bad lines.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::fixture::*;
use super::server::{Response, Server};
use crate::source::error::ImageError;
use crate::source::registry::{BlobReader, Registry};

fn bytes() -> Vec<u8> {
    (0..300_000_u32).map(|n| (n % 251) as u8).collect()
}

fn read(reader: Result<BlobReader, ImageError>) -> Result<Vec<u8>, ImageError> {
    let mut out = Vec::new();
    match reader?.read_to_end(&mut out) {
        Ok(_) => Ok(out),
        Err(e) => Err(ImageError::from_io(e).expect("an image error inside")),
    }
}

#[test]
fn a_cut_transfer_is_resumed_by_range() {
    let data = bytes();
    let body = data.clone();
    let server = Server::start(move |request| match request.range() {
        None => Response { cut: Some(100_000), ..Response::ok(body.clone()) },
        Some(at) => {
            let part = &body[at..];
            let total = body.len();
            Response { status: 206, cut: (at < 200_000).then_some(part.len() / 2), ..Response::ok(part) }
                .with("Content-Range", format!("bytes {at}-{}/{total}", total - 1))
        }
    });
    let done = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&done);
    let reader = registry().open_blob(&reference(&server.host(), "x"), &layer(&data)).map(|r| {
        r.with_progress(move |n| {
            counter.fetch_add(n, Ordering::Relaxed);
        })
    });
    assert_eq!(read(reader).unwrap(), data);
    assert_eq!(done.load(Ordering::Relaxed), data.len() as u64);
    let ranges: Vec<_> = server.requests().iter().map(super::server::Request::range).collect();
    assert_eq!(ranges, [None, Some(100_000), Some(200_000)]);
}

#[test]
fn a_server_without_ranges_is_read_again_from_the_start() {
    let data = bytes();
    let body = data.clone();
    let server = Server::start(move |request| Response {
        cut: request.range().is_none().then_some(7),
        ..Response::ok(body.clone())
    });
    let reader = registry().open_blob(&reference(&server.host(), "x"), &layer(&data));
    assert_eq!(read(reader).unwrap(), data);
}

#[test]
fn a_kept_beginning_is_hashed_and_not_transferred_again() {
    let data = bytes();
    let body = data.clone();
    let server = Server::start(move |request| {
        let at = request.range().unwrap();
        Response { status: 206, ..Response::ok(&body[at..]) }
    });
    let name = reference(&server.host(), "x");
    let reader = registry().resume_blob(&name, &layer(&data), &mut &data[..1234]);
    assert_eq!(read(reader).unwrap(), data[1234..]);
    let mut damaged = data[..1234].to_vec();
    damaged[5] ^= 1;
    let reader = registry().resume_blob(&name, &layer(&data), &mut &damaged[..]);
    assert!(matches!(read(reader), Err(ImageError::BadDigest { .. })));
    let whole = registry().resume_blob(&name, &layer(&data), &mut &data[..]);
    assert_eq!(read(whole).unwrap(), b"");
}

#[test]
fn wrong_bytes_never_come_out_whole() {
    let data = bytes();
    let mut wrong = data.clone();
    wrong[123] ^= 1;
    let server = Server::start(move |_| Response::ok(wrong.clone()));
    let mut reader = registry().open_blob(&reference(&server.host(), "x"), &layer(&data)).unwrap();
    let mut got = 0;
    let mut buffer = [0; 4096];
    let error = loop {
        match reader.read(&mut buffer) {
            Ok(0) => panic!("a wrong blob ended well"),
            Ok(n) => got += n,
            Err(e) => break ImageError::from_io(e).unwrap(),
        }
    };
    assert!(matches!(error, ImageError::BadDigest { .. }), "{error}");
    assert!(got < data.len());
    assert!(reader.read(&mut buffer).is_err());
}

#[test]
fn wrong_sizes_are_noticed_with_and_without_a_length() {
    let data = bytes();
    for chunked in [false, true] {
        let mut longer = data.clone();
        longer.push(0);
        let server = Server::start(move |_| Response { chunked, ..Response::ok(longer.clone()) });
        let reader = registry().open_blob(&reference(&server.host(), "x"), &layer(&data));
        let error = read(reader).unwrap_err();
        assert!(matches!(error, ImageError::BadSize { .. }), "{error}");
    }
}

#[test]
fn an_empty_blob_is_a_blob() {
    let server = Server::start(|_| Response::status(500));
    let reader = registry().open_blob(&reference(&server.host(), "x"), &layer(b""));
    assert_eq!(read(reader).unwrap(), b"");
}

#[test]
fn overload_is_waited_out_a_bounded_number_of_times() {
    let data = bytes();
    let body = data.clone();
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => Response::status(429).with("Retry-After", "0"),
        1 => Response::status(503),
        _ => Response::ok(body.clone()),
    });
    let name = reference(&server.host(), "x");
    assert_eq!(read(registry().open_blob(&name, &layer(&data))).unwrap(), data);

    let server = Server::start(|_| Response {
        body: br#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#.to_vec(),
        ..Response::status(429)
    });
    let error = read(registry().open_blob(&reference(&server.host(), "x"), &layer(&data))).unwrap_err();
    let text = error.to_string();
    assert!(text.ends_with(": 429: toomanyrequests: slow down"), "{text}");
    assert_eq!(server.requests().len(), 3);
    assert!(error.is_environment());
}

#[test]
fn a_line_that_always_breaks_is_given_up() {
    let data = bytes();
    let body = data.clone();
    let server = Server::start(move |_| Response { cut: Some(0), ..Response::ok(body.clone()) });
    let error = read(registry().open_blob(&reference(&server.host(), "x"), &layer(&data))).unwrap_err();
    assert!(matches!(error, ImageError::Unreachable { .. }), "{error}");
}

#[test]
fn a_missing_blob_is_named() {
    let server = Server::start(|_| Response::status(404));
    let wanted = layer(b"x");
    let error = read(registry().open_blob(&reference(&server.host(), "a/x"), &wanted)).unwrap_err();
    assert_eq!(error.to_string(), format!("{}/a/x@{}: not found", server.host(), wanted.digest));
}

#[test]
fn a_set_flag_stops_a_transfer() {
    let data = bytes();
    let body = data.clone();
    let server = Server::start(move |_| Response::ok(body.clone()));
    let mut options = options("");
    options.cancel = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&options.cancel);
    let registry = Registry::new(options);
    let mut reader = registry.open_blob(&reference(&server.host(), "x"), &layer(&data)).unwrap();
    let mut buffer = [0; 1000];
    assert!(reader.read(&mut buffer).unwrap() > 0);
    flag.store(true, Ordering::Relaxed);
    let error = ImageError::from_io(reader.read(&mut buffer).unwrap_err()).unwrap();
    assert!(matches!(error, ImageError::Cancelled));
}

#[test]
fn foreign_layers_come_from_their_own_address() {
    let data = bytes();
    let body = data.clone();
    let elsewhere = Server::start(move |_| Response::ok(body.clone()));
    let server = Server::start(|_| Response::status(404));
    let mut foreign = layer(&data);
    foreign.urls = vec![format!("http://{}/some.layer", elsewhere.host())];
    let reader = registry().open_blob(&reference(&server.host(), "x"), &foreign);
    assert_eq!(read(reader).unwrap(), data);
    assert!(server.requests().is_empty());
    assert_eq!(elsewhere.lines(), ["GET /some.layer"]);
}
