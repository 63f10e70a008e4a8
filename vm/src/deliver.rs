//! Results leave the store: between a build and `export`.

use std::io::{self, Read};
use std::time::Instant;

use rbc_ir::{Digest, Hasher};
use serde::{Deserialize, Serialize};

use crate::Vm;
use crate::archive::Times;
use crate::event::{Event, Observer};
use crate::export::{
    Assembled, BaseLayer, CachedLayer, Context, Descriptor, ExportError, ExportImage, ExportLayer, LayerCache,
    LayerCompression, LayerKey, LayerSource, Output, OutputKind, export_files, export_image,
};
use crate::schedule::{Built, BuiltInstance};
use crate::source::digest::BlobDigest;
use crate::source::image::LayerDescriptor;
use crate::store::{Layer, RecordKey, Store, StoreError};

/// What an export made.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The manifest or index, for outputs that are images.
    pub descriptor: Option<Descriptor>,
    /// Digest of the image configuration, if there is one image.
    pub config: Option<Digest>,
    /// Things that the output could not hold (sockets, owners).
    pub left_out: Vec<String>,
}

impl Vm {
    /// Writes a result as an output says.
    ///
    /// # Errors
    ///
    /// See [`ExportError`]. Nothing half-written is left at the destination.
    pub fn export(&self, built: &Built, output: &Output, observer: &dyn Observer) -> Result<Delivered, ExportError> {
        let what = match output.kind {
            OutputKind::Local => "exporting files",
            OutputKind::Tar => "exporting a file system archive",
            _ => "exporting an image",
        };
        let started = Instant::now();
        observer.event(Event::Export { what: what.to_owned(), took: None });
        let mut fetched = Vec::new();
        let mut exported = self.export_once(built, output);
        // Archives of base layers can be had again, each once.
        while let Err(ExportError::BaseDamaged { digest }) = exported
            && !fetched.contains(&digest)
        {
            self.store.drop_blob(&digest).map_err(|e| in_store(self.store(), e))?;
            fetched.push(digest);
            exported = self.export_once(built, output);
        }
        let delivered = match exported {
            Err(source) if source.may_be_damage() => match self.store.heal().map_err(|e| in_store(self.store(), e))? {
                0 => return Err(source),
                _ => return Err(ExportError::Forgotten { source: Box::new(source) }),
            },
            delivered => delivered?,
        };
        observer.event(Event::Export { what: what.to_owned(), took: Some(started.elapsed()) });
        Ok(delivered)
    }

    fn export_once(&self, built: &Built, output: &Output) -> Result<Delivered, ExportError> {
        match output.kind {
            OutputKind::Local | OutputKind::Tar => self.export_files(built, output),
            _ => self.with_image(built, output, |assembled| Delivered {
                descriptor: Some(assembled.top.clone()),
                config: match assembled.images.as_slice() {
                    [only] => Some(only.config),
                    _ => None,
                },
                left_out: Vec::new(),
            }),
        }
    }

    fn export_files(&self, built: &Built, output: &Output) -> Result<Delivered, ExportError> {
        let roots: Vec<_> = built.instances.iter().map(|i| (i.platform.clone(), i.snapshot.root.clone())).collect();
        let report = export_files(output, &roots, self.store(), self.store())?;
        Ok(Delivered { descriptor: None, config: None, left_out: report.left_out })
    }

    fn with_image<T>(
        &self,
        built: &Built,
        output: &Output,
        then: impl FnOnce(&Assembled<'_>) -> T,
    ) -> Result<T, ExportError> {
        let scratch = self.store().scratch();
        std::fs::create_dir(&scratch).map_err(ExportError::at("create", &scratch))?;
        let openers: Vec<Vec<Opener<'_>>> = built.instances.iter().map(|i| self.openers(i)).collect();
        let images = built.instances.iter().zip(&openers).map(|(instance, openers)| {
            let mut openers = openers.iter();
            let layers = instance.snapshot.layers.iter().filter_map(|layer| {
                Some(match layer {
                    Layer::Made(made) => ExportLayer::Made(made.diff.clone()),
                    Layer::Base(base) => ExportLayer::Base(BaseLayer {
                        digest: base.digest,
                        size: base.size,
                        media_type: base.media_type.clone(),
                        diff_id: base.diff_id,
                        open: openers.next()?.as_ref(),
                    }),
                })
            });
            ExportImage {
                platform: instance.platform.clone(),
                document: instance.document.clone(),
                layers: layers.collect(),
            }
        });
        let cache = StoredLayers(self.store());
        let context = Context { forest: self.store(), blobs: self.store(), cache: &cache, scratch: &scratch };
        let made = export_image(output, images.collect(), &context).map(|assembled| then(&assembled));
        // What is left over is swept by the next prune.
        let _ = std::fs::remove_dir_all(&scratch);
        made
    }

    /// One for each base layer of an instance.
    fn openers<'a>(&'a self, instance: &'a BuiltInstance) -> Vec<Opener<'a>> {
        let bases = instance.snapshot.layers.iter().filter_map(|layer| match layer {
            Layer::Base(base) => Some(base),
            Layer::Made(_) => None,
        });
        bases
            .map(|base| {
                let open = move || -> io::Result<Box<dyn Read + Send>> {
                    let path = self.store().blob_path(&base.digest);
                    match std::fs::File::open(&path) {
                        Ok(file) => return Ok(Box::new(file)),
                        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                        Err(_) => {}
                    }
                    // Pruned since it was taken in: it can be had again.
                    let descriptor = LayerDescriptor {
                        digest: BlobDigest::from_sha256(base.digest.0),
                        size: base.size,
                        media_type: base.media_type.clone(),
                        urls: Vec::new(),
                    };
                    self.open_layer(&base.image, None, &descriptor).map_err(io::Error::other)
                };
                Box::new(open) as Opener<'a>
            })
            .collect()
    }
}

fn in_store(store: &Store, e: StoreError) -> ExportError {
    ExportError::at("mend", store.home())(e.into_io())
}

type Opener<'a> = Box<dyn Fn() -> io::Result<Box<dyn Read + Send>> + Sync + 'a>;

/// Archives of layers that were made before, in the store's blob directory.
struct StoredLayers<'a>(&'a Store);

/// A record of an archive. A prune reads `digest`.
#[derive(Serialize, Deserialize)]
struct LayerRecord {
    digest: Digest,
    size: u64,
    diff_id: Digest,
}

fn record_key(key: &LayerKey) -> RecordKey {
    let mut hasher = Hasher::new();
    match key.source {
        LayerSource::Made(id) => {
            hasher.field(b"made");
            hasher.field(&id.0);
        }
        LayerSource::Base(diff_id) => {
            hasher.field(b"base");
            hasher.field(&diff_id.0);
        }
    }
    let (times, seconds) = match key.times {
        Times::Keep => ("keep", 0),
        Times::Clamp(seconds) => ("clamp", seconds),
        Times::Set(seconds) => ("set", seconds),
    };
    hasher.field(times.as_bytes());
    hasher.update(&seconds.to_le_bytes());
    let (name, level) = match key.compression {
        LayerCompression::None => ("none", 0),
        LayerCompression::Gzip(level) => ("gzip", i64::from(level)),
        LayerCompression::Zstd(level) => ("zstd", i64::from(level)),
    };
    hasher.field(name.as_bytes());
    hasher.update(&level.to_le_bytes());
    RecordKey::of("archive", &[&hasher.finish().0])
}

impl LayerCache for StoredLayers<'_> {
    fn get(&self, key: &LayerKey) -> Option<CachedLayer> {
        // A failing index is a miss here; writing will say so.
        let record: LayerRecord = self.0.record(&record_key(key)).ok()??;
        let path = self.0.blob_path(&record.digest);
        let there = std::fs::metadata(&path).is_ok_and(|m| m.len() == record.size);
        there.then_some(CachedLayer { digest: record.digest, size: record.size, diff_id: record.diff_id, path })
    }

    fn put(&self, key: &LayerKey, layer: CachedLayer) -> io::Result<CachedLayer> {
        self.0.publish_blob(&layer.path, &layer.digest).map_err(StoreError::into_io)?;
        let record = LayerRecord { digest: layer.digest, size: layer.size, diff_id: layer.diff_id };
        self.0.put_record(&[record_key(key)], &record).map_err(StoreError::into_io)?;
        Ok(CachedLayer { path: self.0.blob_path(&layer.digest), ..layer })
    }
}
