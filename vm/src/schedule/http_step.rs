//! One file from a web server, as a tree. The server is asked each time; the
//! file is transferred again only if it changed.

use std::fs::File;

use rbc_ir::{Digest, Hasher, NodeId};
use serde::{Deserialize, Serialize};

use super::{Build, BuildErrorKind};
use crate::event::Event;
use crate::fs::{Blobs, Entry, FileRef, Forest, Meta, Mtime, Node, Root};
use crate::source::digest::BlobDigest;
use crate::source::http::{Fetched, HttpRecord, HttpRequest};
use crate::store::{IoContext, RecordKey};

/// An earlier transfer, with the tree that holds the file's bytes so that a
/// prune keeps them.
#[derive(Serialize, Deserialize)]
struct Known {
    record: HttpRecord,
    root: String,
}

/// What is asked for.
pub(super) struct Wanted<'a> {
    pub(super) url: &'a str,
    pub(super) filename: &'a str,
    pub(super) checksum: Option<&'a Digest>,
    pub(super) mode: u32,
}

/// Fetches the file unless it is the one that was fetched before.
pub(super) fn load(build: &Build<'_>, node: NodeId, wanted: &Wanted<'_>) -> Result<Root, BuildErrorKind> {
    let store = build.vm.store();
    let mut hasher = Hasher::new();
    hasher.field(wanted.url.as_bytes());
    hasher.field(wanted.filename.as_bytes());
    hasher.update(&wanted.mode.to_le_bytes());
    let key = RecordKey::of("http", &[&hasher.finish().0]);
    let known: Option<Known> = store.record(&key)?;
    let known = known.and_then(|k| Some((crate::store::root_from_text(&k.root)?, k.record)));
    let known = known.filter(|(root, _)| store.has_dir(&root.dir.id));
    let checksum = wanted.checksum.map(|d| BlobDigest::from_sha256(d.0));
    let authorization = authorization(build, wanted.url);
    let request = HttpRequest {
        url: wanted.url,
        previous: known.as_ref().map(|(_, record)| record),
        checksum: checksum.as_ref(),
        authorization: authorization.as_deref(),
    };
    let temporary = store.scratch();
    let mut file = File::create_new(&temporary).on("create", &temporary)?;
    let mut done = 0;
    let fetched = build.vm.http().fetch(&request, &mut file, &mut |bytes| {
        done += bytes;
        let what = wanted.url.to_owned();
        build.request.observer.event(Event::Transfer { node, what, done, total: None });
    });
    let result = fetched.map_err(BuildErrorKind::Http).and_then(|fetched| match (fetched, known) {
        (Fetched::Unchanged, Some((root, _))) => Ok(root),
        (Fetched::Unchanged, None) => {
            Err(BuildErrorKind::Unsupported("an unchanged file that is not there".to_owned()))
        }
        (Fetched::Written(record), _) => {
            let seconds = record.modified().and_then(|s| i64::try_from(s).ok()).unwrap_or_default();
            let meta = Meta { mode: wanted.mode, mtime: Mtime { seconds, nanoseconds: 0 }, ..Meta::default() };
            let mut data = File::open(&temporary).on("open", &temporary)?;
            let file: FileRef = Blobs::put_stream(store, &mut data, record.size, &meta)
                .map_err(|e| crate::store::StoreError::io("store", &temporary, e))?;
            let entry = Entry { meta, node: Node::File(file) };
            let dir = store.make(vec![(wanted.filename.as_bytes().into(), entry)])?;
            let root = Root { dir: dir.reference(), ..store.empty() };
            store.put_record(&[key], &Known { record, root: crate::store::root_to_text(&root) })?;
            Ok(root)
        }
    });
    // A leftover in `tmp` is swept by the next prune.
    let _ = std::fs::remove_file(&temporary);
    result
}

/// The `Authorization` header that a secret gives (BuildKit's
/// `HTTP_AUTH_HEADER_<host>` and `HTTP_AUTH_TOKEN_<host>`).
fn authorization(build: &Build<'_>, url: &str) -> Option<String> {
    let host = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let secret = |name: String| {
        let value = build.request.secrets.get(&name)?;
        Some(String::from_utf8_lossy(value).trim().to_owned())
    };
    secret(format!("HTTP_AUTH_HEADER_{host}"))
        .or_else(|| secret(format!("HTTP_AUTH_TOKEN_{host}")).map(|token| format!("Bearer {token}")))
}
