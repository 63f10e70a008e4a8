use super::*;

fn parsed(text: &str) -> Output {
    Output::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn a_path_alone_is_a_directory() {
    let out = parsed("out/dir");
    assert_eq!((out.kind, out.dest), (OutputKind::Local, Some(Dest::Path("out/dir".into()))));
    let out = parsed("-");
    assert_eq!((out.kind, out.dest), (OutputKind::Tar, Some(Dest::Stdout)));
}

#[test]
fn images_have_names_and_options() {
    let out = parsed(
        r#"type=oci,dest=o.tar,"name=a,example.com/b:1",compression=zstd,compression-level=9,rewrite-timestamp=true,source-date-epoch=5,annotation.A.b=v,annotation-index[linux/arm64].k=w,tar=false,unpack=true"#,
    );
    assert_eq!(out.kind, OutputKind::Oci);
    assert_eq!(
        out.image.names.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["docker.io/library/a:latest", "example.com/b:1"]
    );
    assert_eq!(out.image.compression, Some(LayerCompression::Zstd(9)));
    assert!(out.image.rewrite_timestamp && !out.image.tar);
    assert_eq!(out.image.epoch, Some(5));
    let [a, b] = out.image.annotations.as_slice() else { panic!("{:?}", out.image.annotations) };
    assert_eq!((a.place, a.key.as_str(), a.value.as_str()), (AnnotationPlace::Manifest, "A.b", "v"));
    assert_eq!(b.place, AnnotationPlace::Index);
    assert_eq!(b.platform, Platform::parse("linux/arm64"));
    assert_eq!(out.ignored, ["unpack"]);
    // Quotes around the value are the same as around the field.
    assert_eq!(parsed(r#"type=oci,name="a,b""#).image.names.len(), 2);
    assert!(parsed("type=registry,name=a").image.push);
    assert_eq!(parsed("type=cacheonly").dest, None);
    assert_eq!(parsed("type=oci").dest, Some(Dest::Stdout));
}

#[test]
fn files_have_options() {
    let out = parsed("type=local,dest=d,mode=delete,platform-split=false");
    assert_eq!(out.files, FileOptions { platform_split: Some(false), delete: true, epoch: None });
}

#[test]
fn mistakes_are_named() {
    for (text, want) in [
        ("", "an output needs type=: one of oci, docker, local, tar, image, registry, cacheonly"),
        ("dest=x,name=y", "an output needs type=: one of oci, docker, local, tar, image, registry, cacheonly"),
        ("type=zip", "unknown type `zip`: want oci, docker, local, tar, image, registry or cacheonly"),
        ("type=oci,desst=x", "unknown key `desst` for type=oci"),
        (
            "type=oci,dest=x,oci_mediatypes=true",
            "unknown key `oci_mediatypes` for type=oci: did you mean `oci-mediatypes`?",
        ),
        ("type=local,dest=x,name=y", "unknown key `name` for type=local"),
        ("type=local", "type=local needs dest=DIRECTORY"),
        ("type=docker", "type=docker needs dest=FILE, or dest=- to be piped into `docker load`"),
        ("type=oci,push", "`push` is no KEY=VALUE"),
        ("type=oci,push=maybe", "`push=maybe`: want true or false"),
        ("type=oci,compression=lzma", "`compression=lzma`: want gzip, zstd or uncompressed"),
        ("type=oci,compression-level=11", "compression-level=11 is outside 0 to 9 of gzip"),
        ("type=local,dest=x,mode=move", "`mode=move`: want copy or delete"),
        ("type=oci,\"name=x", "`type=oci,\"name=x` has an unclosed or misplaced quote"),
        ("type=oci,name=Bad", "`Bad` is not an image name: a repository is written in lower case"),
    ] {
        assert_eq!(Output::parse(text).unwrap_err().to_string(), want, "{text}");
    }
}
