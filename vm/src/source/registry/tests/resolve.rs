//! From a name to an image: tags, digests, indexes, caches, mirrors.

use super::fixture::*;
use super::server::{Response, Server};
use crate::source::error::ImageError;
use crate::source::manifest::{DOCKER_MANIFEST, MANIFEST_LIMIT};
use crate::source::reference::ImageReference;
use crate::source::registry::Registry;
use rbc_ir::Platform;

fn serve(image: &Image) -> Server {
    let image = image.clone();
    Server::start(move |request| image.answer(request))
}

fn platform(text: &str) -> Platform {
    Platform::parse(text).unwrap()
}

#[test]
fn an_index_gives_the_best_platform() {
    let mut image = Image::default();
    let v6 = image.single("linux/arm/v6", b"v6");
    let amd = image.single("linux/amd64", b"amd");
    let note = image.single("linux/amd64", b"note");
    let index = image.index(&[
        (Some("unknown/unknown"), note),
        (Some("linux/arm/v6"), v6.clone()),
        (Some("linux/amd64"), amd.clone()),
    ]);
    image.tag("1", &index);
    let server = serve(&image);
    let registry = registry();
    let name = reference(&server.host(), "a/b:1");

    let found = registry.resolve(&name, &platform("linux/amd64/v2")).unwrap();
    assert_eq!(found.manifest_digest, amd);
    assert_eq!(found.index_digest, Some(index));
    assert_eq!(found.layers, [layer(b"amd")]);
    assert_eq!(found.diff_ids.len(), 1);
    assert_eq!(found.platform, amd64());

    let older = registry.resolve(&name, &platform("linux/arm/v7")).unwrap();
    assert_eq!(older.manifest_digest, v6);

    let error = registry.resolve(&name, &platform("linux/s390x")).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{name}: no match for platform in manifest: wanted linux/s390x, there is linux/arm/v6, linux/amd64")
    );
}

#[test]
fn an_image_of_one_other_platform_is_returned_as_such() {
    let mut image = Image::default();
    let arm = image.single("linux/arm64", b"x");
    image.tag("latest", &arm);
    let server = serve(&image);
    let found = registry().resolve(&reference(&server.host(), "x"), &amd64()).unwrap();
    assert_eq!(found.platform, platform("linux/arm64"));
    assert_eq!(found.index_digest, None);
}

#[test]
fn entries_without_a_platform_and_nested_indexes_are_looked_into() {
    let mut image = Image::default();
    let arm = image.single("linux/arm64", b"arm");
    let amd = image.single("linux/amd64", b"amd");
    let inner = image.index(&[(None, arm), (None, amd.clone())]);
    let outer = image.index(&[(None, inner)]);
    image.tag("latest", &outer);
    let server = serve(&image);
    let name = reference(&server.host(), "x");
    let found = registry().resolve(&name, &amd64()).unwrap();
    assert_eq!(found.manifest_digest, amd);
    assert_eq!(found.index_digest, Some(outer));
    let error = registry().resolve(&name, &platform("linux/riscv64")).unwrap_err();
    assert!(matches!(&error, ImageError::NoMatchingPlatform { available, .. } if available.len() == 2), "{error}");
}

#[test]
fn endless_indexes_end() {
    let mut image = Image::default();
    let mut digest = image.single("linux/amd64", b"x");
    for _ in 0..8 {
        digest = image.index(&[(None, digest)]);
    }
    image.tag("latest", &digest);
    let server = serve(&image);
    let error = registry().resolve(&reference(&server.host(), "x"), &amd64()).unwrap_err();
    assert!(error.to_string().contains("nested"), "{error}");
}

#[test]
fn an_unchanged_tag_costs_one_small_request_and_a_digest_none() {
    let mut image = Image::default();
    let digest = image.single("linux/amd64", b"x");
    image.tag("1", &digest);
    let server = serve(&image);
    let (registry, _) = cached();
    let name = reference(&server.host(), "x:1");
    let first = registry.resolve(&name, &amd64()).unwrap();
    let before = server.requests().len();
    let second = registry.resolve(&name, &amd64()).unwrap();
    assert_eq!(server.lines()[before..], ["HEAD /v2/x/manifests/1"]);
    assert_eq!(first.config_bytes, second.config_bytes);
    registry.resolve(&name.with_digest(digest), &amd64()).unwrap();
    assert_eq!(server.requests().len(), before + 1);
}

#[test]
fn a_damaged_cache_is_not_believed() {
    let mut image = Image::default();
    let digest = image.single("linux/amd64", b"x");
    image.tag("1", &digest);
    let server = serve(&image);
    let (registry, memory) = cached();
    let name = reference(&server.host(), "x:1");
    let good = registry.resolve(&name, &amd64()).unwrap();
    for bytes in memory.0.lock().values_mut() {
        bytes.push(b' ');
    }
    let again = registry.resolve(&name, &amd64()).unwrap();
    assert_eq!(again.manifest_bytes, good.manifest_bytes);
    assert_eq!(again.config_bytes, good.config_bytes);
}

#[test]
fn a_missing_image_is_named_as_docker_names_it() {
    let server = serve(&Image::default());
    let config = format!("[registry.\"docker.io\"]\nmirrors = [\"{}\"]", server.host());
    let name = ImageReference::parse("no-such-image-here:1.2").unwrap();
    let error = registry().resolve(&reference(&server.host(), "x"), &amd64()).unwrap_err();
    assert_eq!(error.to_string(), format!("{}/x:latest: not found", server.host()));
    assert!(!error.is_environment());
    // The mirror does not have it; the registry itself is asked then. It is
    // replaced by one that refuses connections.
    let mut options = options(&config);
    let hub = options.config.hosts.remove("docker.io").unwrap();
    options.config.hosts.insert("127.0.0.1:1".to_owned(), hub);
    let error = Registry::new(options).resolve(&reference("127.0.0.1:1", "x"), &amd64()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:1/x:latest: failed to reach 127.0.0.1:1"), "{text}");
    assert!(text.contains(&format!("(mirror {}: not found)", server.host())), "{text}");
    assert!(error.is_environment());
    assert_eq!(name.to_string(), "docker.io/library/no-such-image-here:1.2");
}

#[test]
fn mirrors_are_tried_in_order_then_the_registry() {
    let mut image = Image::default();
    let digest = image.single("linux/amd64", b"x");
    image.tag("1", &digest);
    let origin = serve(&image);
    let empty = serve(&Image::default());
    let broken = Server::start(|_| Response::ok("garbage"));
    let config = format!(
        "[registry.\"{}\"]\nmirrors = [\"127.0.0.1:1\", \"{}/some/path\", \"{}\"]",
        origin.host(),
        empty.host(),
        broken.host()
    );
    let registry = Registry::new(options(&config));
    // By digest, so that the garbage of the third is seen to be that.
    let name = reference(&origin.host(), "a/x").with_digest(digest);
    registry.resolve(&name, &amd64()).unwrap();
    let asked = format!("GET /v2/some/path/a/x/manifests/{}?ns={}", name.digest().unwrap(), origin.host());
    assert_eq!(empty.lines().first(), Some(&asked));
    assert!(!broken.requests().is_empty());
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn a_mirror_that_has_it_is_enough() {
    let mut image = Image::default();
    let digest = image.single("linux/amd64", b"x");
    image.tag("3", &digest);
    let mirror = serve(&image);
    let config =
        format!("[registry.\"docker.io\"]\nmirrors = [\"{0}\"]\n[registry.\"{0}\"]\nhttp = true", mirror.host());
    let registry = Registry::new(options(&config));
    let name = ImageReference::parse("alpine:3").unwrap();
    registry.resolve(&name, &amd64()).unwrap();
    assert_eq!(mirror.lines()[0], "GET /v2/library/alpine/manifests/3?ns=docker.io");
}

#[test]
fn wrong_and_oversized_documents_are_refused() {
    let mut image = Image::default();
    let digest = image.single("linux/amd64", b"x");
    image.manifests.get_mut(digest.as_str()).unwrap().1.push(b'\n');
    let server = serve(&image);
    let name = reference(&server.host(), "x").with_digest(digest);
    let error = registry().resolve(&name, &amd64()).unwrap_err();
    assert!(matches!(error, ImageError::BadDigest { .. }), "{error}");

    let big = vec![b' '; MANIFEST_LIMIT as usize + 1];
    for chunked in [false, true] {
        let body = big.clone();
        let server = Server::start(move |_| Response { chunked, ..Response::ok(body.clone()) });
        let error = registry().resolve(&reference(&server.host(), "x"), &amd64()).unwrap_err();
        assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");
    }
}

#[test]
fn a_configuration_of_another_size_is_refused() {
    let mut image = Image::default();
    let config = image.blob(b"{}");
    let text = format!(r#"{{"config":{{"digest":"{config}","size":3}},"layers":[]}}"#);
    let digest = image.manifest(DOCKER_MANIFEST, &text);
    image.tag("latest", &digest);
    let server = serve(&image);
    let error = registry().resolve(&reference(&server.host(), "x"), &amd64()).unwrap_err();
    assert!(matches!(error, ImageError::BadSize { expected: 3, actual: 2, .. }), "{error}");
}

#[test]
fn parallel_resolves_share_a_client() {
    let mut image = Image::default();
    for n in 0..8 {
        let digest = image.single("linux/amd64", format!("layer {n}").as_bytes());
        image.tag(&n.to_string(), &digest);
    }
    let server = serve(&image);
    let registry = registry();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (registry, host) = (registry.clone(), server.host());
            scope.spawn(move || {
                let found = registry.resolve(&reference(&host, &format!("x:{n}")), &amd64()).unwrap();
                assert_eq!(found.layers, [layer(format!("layer {n}").as_bytes())]);
            });
        }
    });
}
