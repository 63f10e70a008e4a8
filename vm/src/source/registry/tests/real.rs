//! Against the distribution project's registry, if it is installed.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use super::fixture::*;
use crate::source::error::ImageError;
use crate::source::manifest::DOCKER_MANIFEST;
use crate::source::registry::Registry;
use rbc_ir::Platform;

struct Process {
    child: Child,
    host: String,
    folder: tempfile::TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a registry on a free port, `None` (said loudly) without the program.
fn start() -> Option<Process> {
    start_with(tempfile::tempdir().unwrap(), "")
}

fn start_with(folder: tempfile::TempDir, tls: &str) -> Option<Process> {
    let config = folder.path().join("config.yml");
    std::fs::write(
        &config,
        format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{inmemory: {{}}}}\nhttp: {{addr: '127.0.0.1:0'{tls}}}\n"
        ),
    )
    .unwrap();
    let started = Command::new("docker-registry")
        .arg("serve")
        .arg(&config)
        .env("OTEL_TRACES_EXPORTER", "none")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(e) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "SKIPPED: docker-registry cannot be started: {e}");
            return None;
        }
    };
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let host = loop {
        let line = lines.next().expect("the registry ended before it listened").unwrap();
        if let Some((_, rest)) = line.split_once("listening on ") {
            let end = rest.find(|c: char| c != '.' && c != ':' && !c.is_ascii_digit());
            break rest[..end.unwrap_or(rest.len())].to_owned();
        }
    };
    std::thread::spawn(move || for _ in lines {});
    Some(Process { child, host, folder })
}

impl Process {
    fn push(&self, scheme: &str, repository: &str, image: &Image) {
        let tls = ureq::tls::TlsConfig::builder().disable_verification(true).build();
        let config = ureq::Agent::config_builder().proxy(None).tls_config(tls).build();
        let agent = ureq::Agent::new_with_config(config);
        let base = format!("{scheme}://{}/v2/{repository}", self.host);
        for (digest, bytes) in &image.blobs {
            let started = agent.post(format!("{base}/blobs/uploads/")).send_empty().unwrap();
            let place = started.headers()["location"].to_str().unwrap().to_owned();
            let separator = if place.contains('?') { '&' } else { '?' };
            let place = format!("{place}{separator}digest={digest}");
            agent.put(place).content_type("application/octet-stream").send(&bytes[..]).unwrap();
        }
        // Manifests before the indexes that name them.
        let mut manifests: Vec<_> = image.manifests.iter().collect();
        manifests.sort_by_key(|(name, (media_type, _))| (media_type.contains("index"), !name.contains(':')));
        for (name, (media_type, bytes)) in manifests {
            let place = format!("{base}/manifests/{name}");
            agent.put(place).content_type(media_type).send(&bytes[..]).unwrap();
        }
    }
}

#[test]
fn images_are_pulled() {
    let Some(process) = start() else {
        return;
    };
    let data: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 253) as u8).collect();
    let mut image = Image::default();
    let amd = image.single("linux/amd64", &data);
    let arm = image.single("linux/arm64", b"arm");
    let index = image.index(&[(Some("linux/amd64"), amd.clone()), (Some("linux/arm64"), arm)]);
    image.tag("multi", &index);
    // The same as docker pushes it.
    let text = String::from_utf8(image.manifests[amd.as_str()].1.clone()).unwrap();
    let text = text
        .replace("vnd.oci.image.manifest.v1+json", "vnd.docker.distribution.manifest.v2+json")
        .replace("vnd.oci.image.config.v1+json", "vnd.docker.container.image.v1+json")
        .replace("vnd.oci.image.layer.v1.tar+gzip", "vnd.docker.image.rootfs.diff.tar.gzip");
    let docker = image.manifest(DOCKER_MANIFEST, &text);
    image.tag("docker", &docker);
    process.push("http", "some/image", &image);

    let (registry, memory) = cached();
    let multi = reference(&process.host, "some/image:multi");
    let found = registry.resolve(&multi, &amd64()).unwrap();
    assert_eq!(found.index_digest, Some(index));
    assert_eq!(found.manifest_digest, amd);
    let again = registry.resolve(&multi, &amd64()).unwrap();
    assert_eq!(again.config_digest, found.config_digest);
    assert_eq!(memory.0.lock().len(), 3);

    let mut out = Vec::new();
    let mut reader = registry.open_blob(&multi, &found.layers[0]).unwrap();
    reader.read_to_end(&mut out).unwrap();
    assert_eq!(out, data);
    let mut rest = Vec::new();
    let mut reader = registry.resume_blob(&multi, &found.layers[0], &mut &data[..999_000]).unwrap();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, data[999_000..]);

    let docker_name = reference(&process.host, "some/image:docker");
    let found = registry.resolve(&docker_name, &amd64()).unwrap();
    assert_eq!(found.manifest_digest, docker);
    assert_eq!(found.media_type, DOCKER_MANIFEST);

    for name in ["some/image:none", "none/image:multi"] {
        let name = reference(&process.host, name);
        let error = registry.resolve(&name, &amd64()).unwrap_err();
        assert!(matches!(&error, ImageError::NotFound { reference } if *reference == name.to_string()), "{error}");
    }
    let wanted = Platform::parse("linux/s390x").unwrap();
    let error = registry.resolve(&multi, &wanted).unwrap_err();
    assert!(matches!(&error, ImageError::NoMatchingPlatform { available, .. } if available.len() == 2), "{error}");
}

/// Makes an authority and a certificate of it for 127.0.0.1.
fn certificates(folder: &std::path::Path) -> bool {
    let openssl = |arguments: &str| {
        let done = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).stdin(Stdio::null()).output();
        done.is_ok_and(|d| d.status.success())
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=ca -days 2"))
        && openssl(&format!(
            "req -x509 {key} -keyout key.pem -out cert.pem -subj /CN=r -days 2 -CA ca.pem -CAkey ca.key \
             -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE"
        ))
}

#[test]
fn certificates_are_checked_as_configured() {
    let folder = tempfile::tempdir().unwrap();
    if !certificates(folder.path()) {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "SKIPPED: openssl cannot make certificates");
        return;
    }
    let place = folder.path().display().to_string();
    let tls = format!(", tls: {{certificate: {place}/cert.pem, key: {place}/key.pem}}");
    let Some(process) = start_with(folder, &tls) else {
        return;
    };
    let mut image = Image::default();
    let digest = image.single("linux/amd64", b"x");
    image.tag("1", &digest);
    process.push("https", "a", &image);
    let name = reference(&process.host, "a:1");
    let resolve = |settings: &str| {
        let config = format!("[registry.\"{}\"]\n{settings}", process.host);
        Registry::new(options(&config)).resolve(&name, &amd64()).map(|r| r.manifest_digest)
    };
    // This machine's own registry is trusted when nothing is said.
    assert_eq!(resolve("").unwrap(), digest);
    assert_eq!(resolve("insecure = true").unwrap(), digest);
    assert_eq!(resolve("http = true\ninsecure = true").unwrap(), digest);
    let authority = process.folder.path().join("ca.pem");
    assert_eq!(resolve(&format!("ca = [{authority:?}]")).unwrap(), digest);
    let error = resolve("http = false").unwrap_err();
    assert!(matches!(error, ImageError::Tls { .. }), "{error}");
    let error = resolve("ca = [\"/nonexistent.pem\"]").unwrap_err();
    assert!(error.to_string().contains("\"/nonexistent.pem\""), "{error}");
    assert!(resolve("http = true").is_err());
}
