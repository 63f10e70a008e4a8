use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::support::{Lab, base_bytes, base_layer, follow, follow_json, json, names, opener, run, unpacked};
use crate::archive::{Decoder, Options, ingest};
use crate::export::{CachedLayer, Context, ExportError, ExportLayer, LayerCache, LayerKey, Output, export_image};

/// Exports the sample image on its base; returns the output's files.
fn exported(lab: &Lab, spec: &str, name: &str) -> Result<BTreeMap<String, Vec<u8>>, ExportError> {
    let (bytes, diff_id) = base_bytes();
    let open = opener(bytes.clone());
    let base = base_layer(&bytes, diff_id, &open);
    let dest = lab.path(name);
    let output = Output::parse(&format!("{spec},dest={}", dest.display())).unwrap();
    let scratch = lab.path("scratch");
    export_image(&output, vec![lab.image(&base, "linux/amd64")], &lab.context(&scratch))?;
    Ok(if dest.is_dir() { BTreeMap::new() } else { unpacked(&dest) })
}

fn manifest(files: &BTreeMap<String, Vec<u8>>) -> Value {
    follow_json(files, &json(files, "index.json")["manifests"][0])
}

/// Checks that every layer is what its diff id says, and returns their media
/// types.
fn layer_types(files: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let manifest = manifest(files);
    let config = follow_json(files, &manifest["config"]);
    let layers = manifest["layers"].as_array().unwrap();
    let diff_ids = config["rootfs"]["diff_ids"].as_array().unwrap();
    assert_eq!(layers.len(), diff_ids.len());
    for (layer, diff_id) in layers.iter().zip(diff_ids) {
        let lab = Lab::new();
        let blob = follow(files, layer);
        let options = Options { whiteouts: true, ..Options::default() };
        let read = ingest(blob.as_slice(), &lab.forest, &lab.blobs, &options).unwrap();
        assert_eq!(read.diff_id.to_string(), diff_id.as_str().unwrap());
    }
    let short = |l: &Value| l["mediaType"].as_str().unwrap().rsplit_once('.').map(|(_, t)| t.to_owned()).unwrap();
    layers.iter().map(short).collect()
}

#[test]
fn an_oci_layout_holds_the_image() {
    let lab = Lab::new();
    let files = exported(&lab, "type=oci,name=me/app:1,annotation.a=b,annotation-manifest-descriptor.c=d", "out.tar");
    let files = files.unwrap();
    assert_eq!(json(&files, "oci-layout"), json!({"imageLayoutVersion": "1.0.0"}));
    let index = json(&files, "index.json");
    let entry = &index["manifests"][0];
    assert_eq!(entry["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(entry["platform"], json!({"architecture": "amd64", "os": "linux"}));
    assert_eq!(
        entry["annotations"],
        json!({
            "c": "d",
            "org.opencontainers.image.created": "2020-02-02T02:02:02Z",
            "io.containerd.image.name": "docker.io/me/app:1",
            "org.opencontainers.image.ref.name": "1",
        })
    );
    let manifest = manifest(&files);
    assert_eq!(manifest["annotations"], json!({"a": "b"}));
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.image.config.v1+json");
    // The base layer keeps its bytes under a new name of its type.
    let (base, _) = base_bytes();
    assert_eq!(manifest["layers"][0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
    assert_eq!(follow(&files, &manifest["layers"][0]), base);
    assert_eq!(layer_types(&files), ["tar+gzip", "tar+gzip"]);
    assert_eq!(names(lab.dir.path()), ["out.tar", "scratch"]);

    let path = lab.path("out.tar");
    if let Some(told) = run("skopeo", &["inspect", &format!("oci-archive:{}", path.display())]) {
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["Layers"].as_array().unwrap().len(), 2);
        assert_eq!(told["Architecture"], "amd64");
    }
}

#[test]
fn the_same_image_gives_the_same_bytes() {
    for spec in ["type=oci", "type=oci,compression=zstd", "type=docker,name=x"] {
        let (a, b) = (Lab::new(), Lab::new());
        exported(&a, spec, "o").unwrap();
        exported(&b, spec, "o").unwrap();
        assert_eq!(std::fs::read(a.path("o")).unwrap(), std::fs::read(b.path("o")).unwrap(), "{spec}");
    }
}

#[test]
fn compression_is_for_new_layers_unless_forced() {
    let types = |spec: &str| layer_types(&exported(&Lab::new(), spec, "o").unwrap());
    assert_eq!(types("type=oci,compression=zstd"), ["tar+gzip", "tar+zstd"]);
    assert_eq!(types("type=oci,compression=uncompressed"), ["tar+gzip", "tar"]);
    assert_eq!(types("type=oci,compression=uncompressed,force-compression=true"), ["tar", "tar"]);
    assert_eq!(types("type=oci,compression=zstd,force-compression=true"), ["tar+zstd", "tar+zstd"]);
    assert_eq!(types("type=oci,oci-mediatypes=false,compression-level=1"), ["gzip", "gzip"]);
    let zstd = exported(&Lab::new(), "type=docker,name=x,compression=zstd", "o");
    assert!(matches!(zstd, Err(ExportError::DockerZstd)));
}

#[test]
fn docker_load_finds_its_manifest() {
    let lab = Lab::new();
    let files = exported(&lab, "type=docker,\"name=me/app:1,example.com/app\"", "out.tar").unwrap();
    let list = json(&files, "manifest.json");
    assert_eq!(list[0]["RepoTags"], json!(["me/app:1", "example.com/app:latest"]));
    assert!(files.contains_key(list[0]["Config"].as_str().unwrap()));
    for layer in list[0]["Layers"].as_array().unwrap() {
        assert!(files.contains_key(layer.as_str().unwrap()));
    }
    // The layout beside it names the same image, once for each name.
    let index = json(&files, "index.json");
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
    assert_eq!(index["manifests"][0]["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
    let path = lab.path("out.tar");
    if let Some(told) = run("skopeo", &["inspect", &format!("docker-archive:{}:me/app:1", path.display())]) {
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["Os"], "linux");
    }
}

#[test]
fn a_directory_layout_keeps_other_images() {
    let lab = Lab::new();
    exported(&lab, "type=oci,tar=false,name=a:1", "layout").unwrap();
    exported(&lab, "type=oci,tar=false,name=b:2,compression=zstd", "layout").unwrap();
    exported(&lab, "type=oci,tar=false,name=b:2", "layout").unwrap();
    let index: Value = serde_json::from_slice(&std::fs::read(lab.path("layout/index.json")).unwrap()).unwrap();
    let tags: Vec<_> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["annotations"]["io.containerd.image.name"].as_str().unwrap())
        .collect();
    assert_eq!(tags, ["docker.io/library/a:1", "docker.io/library/b:2"]);
    assert_eq!(index["manifests"][0]["digest"], index["manifests"][1]["digest"]);
    assert_eq!(names(&lab.path("layout")), ["blobs", "index.json", "oci-layout"]);

    let image = format!("{}:1", lab.path("layout").display());
    let bundle = lab.path("bundle");
    let unpack = ["unpack", "--rootless", "--image", &image, bundle.to_str().unwrap()];
    if run("umoci", &unpack).is_some() {
        let read = |p: &str| std::fs::read_to_string(bundle.join("rootfs").join(p)).unwrap();
        assert_eq!((read("base").as_str(), read("d/one").as_str()), ("base", "linked"));
        let link = std::fs::read_link(bundle.join("rootfs/d/l")).unwrap();
        assert_eq!(link, Path::new("one"));
    }
}

#[test]
fn several_platforms_are_an_index() {
    let lab = Lab::new();
    let (bytes, diff_id) = base_bytes();
    let open = opener(bytes.clone());
    let base = base_layer(&bytes, diff_id, &open);
    let images = || vec![lab.image(&base, "linux/amd64"), lab.image(&base, "linux/arm/v7")];
    let scratch = lab.path("scratch");
    let export = |spec: &str| {
        let output = Output::parse(&format!("{spec},dest={}", lab.path("o").display())).unwrap();
        export_image(&output, images(), &lab.context(&scratch)).map(|_| unpacked(&lab.path("o")))
    };
    let files = export("type=oci,annotation-index.k=v,annotation[linux/amd64].only=here").unwrap();
    let top = &json(&files, "index.json")["manifests"][0];
    assert_eq!(top["mediaType"], "application/vnd.oci.image.index.v1+json");
    let index = follow_json(&files, top);
    assert_eq!(index["annotations"]["k"], "v");
    assert_eq!(index["manifests"][1]["platform"], json!({"architecture": "arm", "os": "linux", "variant": "v7"}));
    let annotated = |i: usize| follow_json(&files, &index["manifests"][i])["annotations"]["only"] == "here";
    assert!(annotated(0) && !annotated(1));
    assert!(matches!(export("type=docker"), Err(ExportError::ManyPlatforms { count: 2 })));
}

#[test]
fn later_times_come_down_to_the_epoch_on_demand() {
    let time = |spec: &str| {
        let lab = Lab::new();
        let files = exported(&lab, spec, "o").unwrap();
        let layer = follow(&files, &manifest(&files)["layers"][1]);
        let mut plain = Vec::new();
        std::io::copy(&mut Decoder::new(layer.as_slice()).unwrap(), &mut plain).unwrap();
        let mut archive = tar::Archive::new(plain.as_slice());
        archive.entries().unwrap().next().unwrap().unwrap().header().mtime().unwrap()
    };
    assert_eq!(time("type=oci,rewrite-timestamp=true,source-date-epoch=1000"), 1000);
    assert_eq!(time("type=oci,source-date-epoch=1000"), 1_600_000_000);
    assert_eq!(time("type=oci,rewrite-timestamp=true,source-date-epoch=1700000000"), 1_600_000_000);
}

#[test]
fn a_damaged_base_layer_does_not_leave_the_store() {
    let lab = Lab::new();
    let (bytes, diff_id) = base_bytes();
    let mut harmed = bytes.clone();
    *harmed.last_mut().unwrap() ^= 1;
    for (bad, spec) in [(harmed, ""), (bytes[..20].to_vec(), ""), (b"no gzip".to_vec(), ",force-compression=true")] {
        let open = opener(bad);
        let base = base_layer(&bytes, diff_id, &open);
        let text = format!("type=oci,compression=zstd{spec},dest={}", lab.path("o").display());
        let scratch = lab.path("scratch");
        let output = Output::parse(&text).unwrap();
        let got = export_image(&output, vec![lab.image(&base, "linux/amd64")], &lab.context(&scratch));
        let message = got.unwrap_err().to_string();
        assert!(message.contains(&base.digest.to_string()), "{message}");
        assert_eq!(names(lab.dir.path()), ["scratch"]);
    }
}

#[test]
fn a_full_disk_is_told() {
    let lab = Lab::new();
    let (bytes, diff_id) = base_bytes();
    let open = opener(bytes.clone());
    let base = base_layer(&bytes, diff_id, &open);
    let output = Output::parse("type=oci,dest=/dev/full").unwrap();
    let scratch = lab.path("scratch");
    let got = export_image(&output, vec![lab.image(&base, "linux/amd64")], &lab.context(&scratch));
    assert!(matches!(&got, Err(ExportError::Full { path }) if path == Path::new("/dev/full")), "{got:?}");
    let missing = lab.path("missing");
    let context = Context { scratch: &missing, ..lab.context(&scratch) };
    let got = export_image(&output, vec![lab.image(&base, "linux/amd64")], &context);
    assert!(matches!(got, Err(ExportError::Dest { .. })));
}

#[test]
fn layers_are_made_once() {
    #[derive(Default)]
    struct Kept(parking_lot::Mutex<Vec<(LayerKey, CachedLayer)>>);
    impl LayerCache for Kept {
        fn get(&self, key: &LayerKey) -> Option<CachedLayer> {
            self.0.lock().iter().find(|(k, _)| k == key).map(|(_, l)| l.clone())
        }
        fn put(&self, key: &LayerKey, layer: CachedLayer) -> std::io::Result<CachedLayer> {
            assert!(self.get(key).is_none(), "made twice");
            self.0.lock().push((*key, layer.clone()));
            Ok(layer)
        }
    }
    let lab = Lab::new();
    let kept = Kept::default();
    let scratch = lab.path("scratch");
    let context = Context { cache: &kept, ..lab.context(&scratch) };
    let (bytes, diff_id) = base_bytes();
    let open = opener(bytes.clone());
    let base = base_layer(&bytes, diff_id, &open);
    let force = "type=image,compression=zstd,force-compression=true";
    let digests: Vec<_> = ["type=image", "type=image", force, force]
        .map(|spec| {
            let mut image = lab.image(&base, "linux/amd64");
            // Another time of the root directory is no other layer.
            if let Some(ExportLayer::Made(root)) = image.layers.last_mut() {
                root.meta.mtime.seconds += 1;
            }
            export_image(&Output::parse(spec).unwrap(), vec![image], &context).unwrap().top.digest
        })
        .to_vec();
    assert_eq!((digests[0], digests[2]), (digests[1], digests[3]));
    assert_ne!(digests[0], digests[2]);
    assert_eq!(kept.0.lock().len(), 3);
}
