//! Compressed streams, told by their first bytes.
//!
//! The magic numbers are those of moby's `archive/compression`, which decides
//! what `ADD` unpacks; media types are only looked at for sources that name
//! one, and never trusted over the bytes.

use std::io::{self, BufReader, Cursor, Read};

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, of one or more members.
    Gzip,
    /// Zstandard, of one or more frames.
    Zstd,
    /// xz.
    Xz,
    /// bzip2, of one or more streams.
    Bzip2,
}

/// As many bytes as the longest magic number has.
const PEEK: usize = 6;

/// Memory that an xz stream may ask for; `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 512 << 20;

const BUFFER: usize = 256 << 10;

impl Compression {
    /// Tells the compression from a stream's first bytes.
    pub fn detect(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, 0x08, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [b'B', b'Z', b'h', ..] => Self::Bzip2,
            _ => Self::None,
        }
    }

    /// Tells the compression from a layer's media type (OCI image
    /// specification, "Layer Media Types", and Docker's image manifest v2).
    /// `None` if it is no layer's.
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        let rest = [
            "application/vnd.oci.image.layer.v1.",
            "application/vnd.oci.image.layer.nondistributable.v1.",
            "application/vnd.docker.image.rootfs.diff.",
            "application/vnd.docker.image.rootfs.foreign.diff.",
        ]
        .iter()
        .find_map(|p| media_type.strip_prefix(p))?;
        match rest {
            "tar" => Some(Self::None),
            "tar+gzip" | "tar.gzip" => Some(Self::Gzip),
            "tar+zstd" | "tar.zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// A stream without its compression.
pub struct Decoder<'a> {
    inner: Box<dyn Read + Send + 'a>,
    compression: Compression,
}

impl<'a> Decoder<'a> {
    /// Looks at the first bytes of a stream and chooses how to read it.
    ///
    /// # Errors
    ///
    /// If the first bytes cannot be read, or the stream's memory limit
    /// cannot be set.
    pub fn new(mut stream: impl Read + Send + 'a) -> io::Result<Self> {
        let mut start = [0; PEEK];
        let mut len = 0;
        while let Some(free) = start.get_mut(len..).filter(|f| !f.is_empty()) {
            match stream.read(free) {
                Ok(0) => break,
                Ok(n) => len += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let start = start.get(..len).unwrap_or_default().to_vec();
        let compression = Compression::detect(&start);
        let whole = Cursor::new(start).chain(stream);
        let buffered = |r| BufReader::with_capacity(BUFFER, r);
        let inner: Box<dyn Read + Send + 'a> = match compression {
            Compression::None => Box::new(whole),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered(whole))),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(buffered(whole))?),
            Compression::Xz => {
                let decoder = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(buffered(whole), decoder))
            }
            Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(buffered(whole))),
        };
        Ok(Self { inner, compression })
    }

    /// Returns how the stream is compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buf)
    }
}

impl std::fmt::Debug for Decoder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("compression", &self.compression).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut w = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        w.write_all(data).unwrap();
        w.finish().unwrap()
    }

    fn bzip2(data: &[u8]) -> Vec<u8> {
        let mut w = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        w.write_all(data).unwrap();
        w.finish().unwrap()
    }

    fn xz(data: &[u8]) -> Vec<u8> {
        let mut w = liblzma::write::XzEncoder::new(Vec::new(), 1);
        w.write_all(data).unwrap();
        w.finish().unwrap()
    }

    fn decoded(data: &[u8]) -> (Compression, io::Result<Vec<u8>>) {
        let mut decoder = Decoder::new(data).unwrap();
        let mut out = Vec::new();
        let read = decoder.read_to_end(&mut out);
        (decoder.compression(), read.map(|_| out))
    }

    #[test]
    fn every_compression_is_detected_and_undone() {
        let all = [
            (Compression::None, <[u8]>::to_vec as fn(&[u8]) -> Vec<u8>),
            (Compression::Gzip, gzip),
            (Compression::Zstd, |d| zstd::encode_all(d, 1).unwrap()),
            (Compression::Xz, xz),
            (Compression::Bzip2, bzip2),
        ];
        for (want, encode) in all {
            // Two members, one after the other, are one stream.
            let data = [encode(b"one "), encode(b"two")].concat();
            let (got, out) = decoded(&data);
            assert_eq!((got, out.unwrap()), (want, b"one two".to_vec()));
        }
    }

    #[test]
    fn short_streams_are_plain() {
        for data in [&b""[..], b"B", b"\x1f\x8b"] {
            assert_eq!(decoded(data).0, Compression::None);
        }
    }

    #[test]
    fn a_cut_stream_is_an_error() {
        let data = vec![b'x'; 100_000];
        for encode in [gzip, bzip2, xz, |d: &[u8]| zstd::encode_all(d, 1).unwrap()] {
            let whole = encode(&data);
            assert!(decoded(&whole[..whole.len() / 2]).1.is_err());
        }
    }

    #[test]
    fn media_types_name_compressions() {
        let of = Compression::of_media_type;
        assert_eq!(of("application/vnd.oci.image.layer.v1.tar+zstd"), Some(Compression::Zstd));
        assert_eq!(of("application/vnd.docker.image.rootfs.diff.tar.gzip"), Some(Compression::Gzip));
        assert_eq!(of("application/vnd.oci.image.layer.v1.tar"), Some(Compression::None));
        assert_eq!(of("application/vnd.in-toto+json"), None);
    }
}
