//! The machine that runs plans: a store, a registry client, and, once a
//! process is to run, the sandbox helper.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use rbc_ir::{Digest, Platform};

use crate::config::RegistryConfig;
use crate::exec::{ExecError, Spawner};
use crate::schedule::{BuildErrorKind, BuildRequest, SharedDir};
use crate::source::digest::BlobDigest;
use crate::source::git::{GitClient, GitOptions};
use crate::source::http::HttpClient;
use crate::source::image::{BlobCache, LayerDescriptor, Resolved};
use crate::source::oci_layout::OciLayout;
use crate::source::reference::ImageReference;
use crate::source::registry::{Credentials, Registry, RegistryOptions, RetryPolicy};
use crate::store::{Store, StoreError};

/// Stack of a thread that walks trees: only what is touched takes memory.
pub(crate) const STACK: usize = 32 << 20;

/// What a [`Vm`] is made with.
#[derive(Debug, Default, Clone)]
pub struct VmOptions {
    /// Mirrors, certificates, time limits.
    pub registry: RegistryConfig,
    /// Set to stop all transfers.
    pub cancel: Arc<AtomicBool>,
}

/// A store with everything that runs plans against it.
pub struct Vm {
    pub(crate) store: Arc<Store>,
    registry: Registry,
    http: HttpClient,
    cancel: Arc<AtomicBool>,
    spawner: OnceLock<Spawner>,
    shared_dir: OnceLock<SharedDir>,
    /// Held while the helper is started: two threads need one.
    starting: Mutex<()>,
}

impl Vm {
    /// Opens the store below `home`.
    ///
    /// # Errors
    ///
    /// If the store cannot be used.
    pub fn open(home: &Path, options: VmOptions) -> Result<Self, StoreError> {
        // Walks of trees recurse, and trees may be deep. Somebody who made the
        // pool before has decided.
        let _ = rayon::ThreadPoolBuilder::new().stack_size(STACK).build_global();
        let store = Arc::new(Store::open(home)?);
        let (connect, idle) = (options.registry.connect_timeout, options.registry.idle_timeout);
        let http = HttpClient::new(connect, idle, RetryPolicy::default(), options.cancel.clone());
        let cancel = options.cancel.clone();
        let registry = Registry::new(RegistryOptions {
            config: options.registry,
            credentials: Credentials::from_env(),
            cache: Some(Arc::new(StoredDocuments(store.clone()))),
            cancel: options.cancel,
            ..RegistryOptions::default()
        });
        Ok(Self {
            store,
            registry,
            http,
            cancel,
            spawner: OnceLock::new(),
            shared_dir: OnceLock::new(),
            starting: Mutex::new(()),
        })
    }

    /// Returns the client of image registries.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns the store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Re-hashes the whole store and takes out of use what is damaged.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] if another process uses the store.
    pub fn verify(&self) -> Result<crate::store::VerifyReport, StoreError> {
        self.store.verify()
    }

    /// Returns the client of web servers.
    pub(crate) fn http(&self) -> &HttpClient {
        &self.http
    }

    /// Returns a client of git repositories, with what a build was given to
    /// reach them (BuildKit's secrets `GIT_AUTH_HEADER` and `GIT_AUTH_TOKEN`).
    pub(crate) fn git(&self, request: &BuildRequest<'_>) -> GitClient {
        let secret = |id: &str| request.secrets.get(id).map(|v| String::from_utf8_lossy(v).trim().to_owned());
        let options = GitOptions {
            authorization: secret("GIT_AUTH_HEADER"),
            ssh_auth_sock: request.ssh.get("default").cloned(),
            known_hosts: None,
        };
        let options = match secret("GIT_AUTH_TOKEN") {
            Some(token) if options.authorization.is_none() => options.with_token(&token),
            _ => options,
        };
        GitClient::new(options, self.cancel.clone())
    }

    /// Returns the sandbox helper, starting it for the first process.
    pub(crate) fn spawner(&self) -> Result<&Spawner, ExecError> {
        if let Some(spawner) = self.spawner.get() {
            return Ok(spawner);
        }
        let _starting = self.starting.lock();
        if let Some(spawner) = self.spawner.get() {
            return Ok(spawner);
        }
        let spawner = Spawner::start()?;
        Ok(self.spawner.get_or_init(|| spawner))
    }

    /// Returns what processes share, making it for the first one.
    pub(crate) fn shared_dir(&self) -> Result<&SharedDir, StoreError> {
        if let Some(shared) = self.shared_dir.get() {
            return Ok(shared);
        }
        let _starting = self.starting.lock();
        if let Some(shared) = self.shared_dir.get() {
            return Ok(shared);
        }
        let shared = SharedDir::new(&self.store)?;
        Ok(self.shared_dir.get_or_init(|| shared))
    }

    /// Finds the layers of an image that a plan pins.
    pub(crate) fn resolve_pinned(
        &self,
        reference: &str,
        pin: &Digest,
        platform: &Platform,
        layout: Option<&str>,
    ) -> Result<Resolved, BuildErrorKind> {
        let digest = BlobDigest::from_sha256(pin.0);
        let resolved = match layout {
            Some(directory) => OciLayout::parse(&format!("{directory}@{digest}"))?.resolve(platform)?,
            None => self.registry.resolve(&parse(reference)?.with_digest(digest), platform)?,
        };
        Ok(resolved)
    }

    /// Opens a layer of an image for reading, verified.
    pub(crate) fn open_layer(
        &self,
        reference: &str,
        layout: Option<&str>,
        layer: &LayerDescriptor,
    ) -> Result<Box<dyn Read + Send>, BuildErrorKind> {
        Ok(match layout {
            Some(directory) => Box::new(OciLayout::parse(directory)?.open_blob(layer)?),
            None => Box::new(self.registry.open_blob(&parse(reference)?, layer)?),
        })
    }
}

fn parse(reference: &str) -> Result<ImageReference, BuildErrorKind> {
    ImageReference::parse(reference).map_err(|source| {
        let text = reference.to_owned();
        BuildErrorKind::Image(crate::source::error::ImageError::InvalidReference { text, source })
    })
}

/// Manifests and configurations are kept in the store's blob directory.
struct StoredDocuments(Arc<Store>);

impl BlobCache for StoredDocuments {
    fn get(&self, digest: &BlobDigest) -> Option<Vec<u8>> {
        std::fs::read(self.0.blob_path(&Digest(digest.sha256_bytes()?))).ok()
    }

    fn put(&self, digest: &BlobDigest, bytes: &[u8]) {
        let Some(digest) = digest.sha256_bytes() else { return };
        let temporary = self.0.scratch();
        // A document that cannot be kept is asked for again.
        if std::fs::write(&temporary, bytes).is_ok() {
            let _ = self.0.publish_blob(&temporary, &Digest(digest));
        }
    }
}
