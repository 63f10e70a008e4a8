//! A real registry (`docker-registry`) on a free port of the loopback device.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::http::request;
use crate::image::{Image, MANIFEST_TYPE};

/// A running registry; it ends with the program that started it.
pub struct Registry {
    host: String,
    /// A shell that ends the registry when its standard input closes, so that
    /// nothing is left even if the tests are killed.
    guard: Child,
}

impl Registry {
    /// Starts a registry that keeps its data in `storage`.
    ///
    /// # Errors
    ///
    /// If `docker-registry` is not installed or does not come up.
    pub fn start(storage: &Path) -> Result<Self> {
        fs::create_dir_all(storage)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let host = format!("127.0.0.1:{port}");
        let config = storage.join(format!("config-{port}.yml"));
        fs::write(
            &config,
            format!(
                "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
                 http: {{addr: {host}}}\n",
                storage.display()
            ),
        )?;
        let guard = Command::new("sh")
            .args(["-c", "docker-registry serve \"$0\" >/dev/null 2>&1 & read _; kill $!; rm -f \"$0\""])
            .arg(&config)
            .stdin(Stdio::piped())
            .spawn()
            .context("start docker-registry")?;
        let registry = Self { host, guard };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(&registry.host).is_err() {
            ensure!(Instant::now() < deadline, "docker-registry does not come up (is it installed?)");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(registry)
    }

    /// Returns `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Pushes an image as `repository:tag`.
    ///
    /// # Errors
    ///
    /// If the registry refuses.
    pub fn push(&self, repository: &str, tag: &str, image: &Image) -> Result<()> {
        for (digest, blob) in &image.blobs {
            let path = format!("/v2/{repository}/blobs/{digest}");
            if request(&self.host, "HEAD", &path, "text/plain", &[])?.status == 200 {
                continue;
            }
            let begun = request(&self.host, "POST", &format!("/v2/{repository}/blobs/uploads/"), "text/plain", &[])?;
            let Some(location) = begun.location else { bail!("upload to {repository}: status {}", begun.status) };
            let join = if location.contains('?') { '&' } else { '?' };
            let path = format!("{location}{join}digest={digest}");
            let done = request(&self.host, "PUT", &path, "application/octet-stream", blob)?;
            ensure!(done.status == 201, "upload {digest} to {repository}: status {}", done.status);
        }
        let path = format!("/v2/{repository}/manifests/{tag}");
        let done = request(&self.host, "PUT", &path, MANIFEST_TYPE, &image.manifest)?;
        ensure!(done.status == 201, "push {repository}:{tag}: status {}", done.status);
        Ok(())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}
