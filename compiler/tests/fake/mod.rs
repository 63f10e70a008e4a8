//! Surroundings made of constants: the base images of the conformance suite.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use rbc_compiler::{ImageMeta, InputError, InputErrorKind, Inputs};
use rbc_ir::{Digest, ImageDocument, Platform};
use serde_json::{Value, json};

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Fake surroundings.
#[derive(Default)]
pub(crate) struct Fake {
    /// Directories of contexts.
    pub(crate) contexts: BTreeMap<String, PathBuf>,
    /// What was asked for.
    pub(crate) log: Mutex<Vec<String>>,
}

fn document(config: &Value, layers: usize, platform: &Platform) -> ImageDocument {
    let diff_ids: Vec<_> = (0..layers).map(|i| Digest::of(&[u8::try_from(i).unwrap()]).to_string()).collect();
    let history: Vec<_> = (0..layers).map(|i| json!({"created_by": format!("layer {i}")})).collect();
    serde_json::from_value(json!({
        "created": "2024-02-03T04:05:06Z",
        "architecture": platform.architecture, "os": platform.os, "variant": platform.variant,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": history,
    }))
    .unwrap()
}

fn image(name: &str, platform: &Platform) -> Option<(Value, usize, Platform)> {
    let amd64 = Platform::new("linux", "amd64", "");
    let alpine = vec![PATH, "BASE_FLAVOUR=alpine"];
    let one = |config, layers| Some((config, layers, amd64.clone()));
    match name {
        "busybox" => one(json!({"Env": [PATH], "Cmd": ["sh"]}), 1),
        "alpine" | "golang" => one(json!({"Env": alpine, "Cmd": ["/bin/sh"]}), 2),
        "onbuild" => {
            let env: Vec<_> = alpine.into_iter().chain(["ON_ARG=from-base"]).collect();
            let triggers = [
                "COPY payload.txt /onbuild/payload.txt",
                "RUN cat /onbuild/payload.txt > /onbuild/ran && echo $ON_ARG >> /onbuild/ran",
                "ENV ON_TRIGGER=fired",
                "LABEL triggered=yes",
            ];
            one(json!({"Env": env, "Cmd": ["/bin/sh"], "OnBuild": triggers}), 2)
        }
        "labeled" => one(
            json!({
                "Env": [PATH, "GREETING=hello base", "EMPTY=", "LEVEL=1"],
                "Cmd": ["--default", "two words"],
                "Entrypoint": ["/usr/bin/entry", "-v"],
                "WorkingDir": "/srv/base", "User": "app:staff",
                "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
                "Volumes": {"/srv/volume": {}},
                "Labels": {"origin": "suite", "keep": "me", "with space": "a b"},
                "StopSignal": "SIGINT",
                "Healthcheck": {
                    "Test": ["CMD-SHELL", "true"], "Interval": 30_000_000_000_u64,
                    "Timeout": 5_000_000_000_u64, "StartPeriod": 1_000_000_000_u64, "Retries": 4},
                "Shell": ["/bin/ash", "-ec"]}),
            1,
        ),
        "whiteout" | "mixed" => one(json!({"Env": [PATH], "Cmd": ["/bin/sh"]}), 3),
        "bad-trigger" => one(json!({"Env": [PATH], "OnBuild": ["RUN a\nRUN b"]}), 1),
        "from-trigger" => one(json!({"Env": [PATH], "OnBuild": ["from alpine"]}), 1),
        "later" => one(json!({"Env": [PATH], "OnBuild": ["COPY --from=busybox /bin/sh /sh"]}), 1),
        "xattr" => one(json!({"Env": [PATH], "Cmd": ["/bin/sh"]}), 1),
        "multi" => {
            let config = |arch| json!({"Env": [PATH, format!("ARCH_ENV={arch}")]});
            let arch = platform.to_string();
            match arch.as_str() {
                "linux/amd64" | "linux/arm64" => {
                    let arch = &platform.architecture;
                    let mut config = config(arch.as_str());
                    config["Cmd"] = json!(["/bin/sh"]);
                    config["Labels"] = json!({"arch": arch});
                    Some((config, 2, platform.clone()))
                }
                "linux/arm/v7" => Some((config("armv7"), 1, platform.clone())),
                _ => None,
            }
        }
        _ => None,
    }
}

impl Inputs for Fake {
    fn image(&self, reference: &str, platform: &Platform) -> Result<ImageMeta, InputError> {
        self.log.lock().unwrap().push(format!("image {reference} {platform}"));
        let fail = |kind, message: &str| Err(InputError { kind, message: message.to_owned() });
        let path = reference.split_once("/library/").map_or(reference, |(_, path)| path);
        let name = path.split([':', '@']).next().unwrap();
        match image(name, platform) {
            Some((config, layers, platform)) => Ok(ImageMeta {
                reference: reference.to_owned(),
                pin: Digest::of(format!("{name} {platform}").as_bytes()),
                document: document(&config, layers, &platform),
                platform,
            }),
            None if name == "multi" => fail(InputErrorKind::Platform, "it has linux/amd64, linux/arm64, linux/arm/v7"),
            None if reference.contains("denied") => fail(InputErrorKind::Denied, "access denied"),
            None if reference.contains(".invalid/") => fail(InputErrorKind::Unreachable, "no such host"),
            None => fail(InputErrorKind::NotFound, "not found"),
        }
    }

    fn layout_image(&self, layout: &str, reference: &str, platform: &Platform) -> Result<ImageMeta, InputError> {
        self.log.lock().unwrap().push(format!("layout {layout} {reference} {platform}"));
        let config = json!({"Env": [PATH, "BASE_FLAVOUR=alpine", "FIRST=1"], "Cmd": ["/bin/sh"]});
        Ok(ImageMeta {
            reference: format!("{layout}:{reference}"),
            pin: Digest::of(layout.as_bytes()),
            platform: platform.clone(),
            document: document(&config, 3, platform),
        })
    }

    fn read_context_file(&self, context: &str, path: &str) -> Result<Option<Vec<u8>>, InputError> {
        self.log.lock().unwrap().push(format!("file {context} {path}"));
        let Some(directory) = self.contexts.get(context) else { return Ok(None) };
        match std::fs::read(directory.join(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(InputError { kind: InputErrorKind::Unreachable, message: e.to_string() }),
        }
    }

    fn prefetch(&self, images: &[(String, Platform)]) {
        let names: Vec<_> = images.iter().map(|(name, platform)| format!("{name} {platform}")).collect();
        self.log.lock().unwrap().push(format!("prefetch [{}]", names.join(", ")));
    }
}
