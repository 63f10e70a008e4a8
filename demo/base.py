#!/usr/bin/env python3
"""Writes an OCI image layout around a static busybox: base.py BUSYBOX DIR.

A base image for machines that reach no registry: one layer with busybox, a
link for each applet, and the few directories that programs expect.
"""
import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tarfile

DATE = 1600000000                        # the same image every time


def main(busybox, layout):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        def add(name, kind=tarfile.DIRTYPE, mode=0o755, data=b"", link=""):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.mtime = kind, mode, DATE
            entry.size, entry.linkname = len(data), link
            tar.addfile(entry, io.BytesIO(data))

        for name in ("bin", "dev", "etc", "proc", "root", "sys", "usr", "var"):
            add(name)
        add("tmp", mode=0o1777)
        with open(busybox, "rb") as f:
            add("bin/busybox", tarfile.REGTYPE, 0o755, f.read())
        applets = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True)
        for name in sorted(set(applets.stdout.split()) - {"busybox"}):
            add("bin/" + name, tarfile.SYMTYPE, link="/bin/busybox")
        add("etc/passwd", tarfile.REGTYPE, 0o644, b"root:x:0:0:root:/root:/bin/sh\n")
        add("etc/group", tarfile.REGTYPE, 0o644, b"root:x:0:\n")
    layer = buffer.getvalue()

    blobs = os.path.join(layout, "blobs", "sha256")
    os.makedirs(blobs, exist_ok=True)

    def blob(data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(blobs, digest), "wb") as f:
            f.write(data)
        return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}

    vendor = "application/vnd.oci.image."
    layers = [blob(layer, vendor + "layer.v1.tar")]
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    config = {
        "architecture": architecture, "os": "linux", "created": "2020-09-13T12:26:40Z",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [layers[0]["digest"]]},
        "history": [{"created": "2020-09-13T12:26:40Z", "created_by": "busybox"}],
    }
    manifest = {
        "schemaVersion": 2, "mediaType": vendor + "manifest.v1+json",
        "config": blob(json.dumps(config).encode(), vendor + "config.v1+json"), "layers": layers,
    }
    descriptor = blob(json.dumps(manifest).encode(), vendor + "manifest.v1+json")
    descriptor["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    index = {"schemaVersion": 2, "mediaType": vendor + "index.v1+json", "manifests": [descriptor]}
    for name, document in (("index.json", index), ("oci-layout", {"imageLayoutVersion": "1.0.0"})):
        with open(os.path.join(layout, name), "w", encoding="utf-8") as f:
            json.dump(document, f)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
