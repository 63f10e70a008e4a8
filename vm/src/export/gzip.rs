//! gzip on all cores, with one member as the result.
//!
//! The stream is cut into blocks of 1 MiB that are compressed on their own,
//! each primed with the 32 KiB before it and ended at a byte boundary (zlib's
//! sync flush), as pigz does. So every reader takes it, the bytes depend on
//! input and level only, and nothing is lost against one thread but some
//! hundred bytes a block.

use std::io::{self, Write};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use rayon::prelude::*;

const BLOCK: usize = 1 << 20;
const WINDOW: usize = 32 << 10;

/// RFC 1952: deflate, no name, no time, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// An empty last block with fixed codes (RFC 1951, 3.2.3), which ends the
/// stream after blocks of which none is marked as the last.
const LAST: [u8; 2] = [3, 0];

pub(crate) struct ParallelGzip<W> {
    out: W,
    level: u32,
    /// The window before the waiting bytes, then these.
    window: Vec<u8>,
    waiting: Vec<u8>,
    /// Waiting bytes that start the work.
    batch: usize,
    crc: Crc,
}

impl<W: Write> ParallelGzip<W> {
    pub(crate) fn new(mut out: W, level: u32) -> io::Result<Self> {
        out.write_all(&HEADER)?;
        let batch = BLOCK * rayon::current_num_threads().max(1) * 2;
        let waiting = Vec::with_capacity(batch);
        Ok(Self { out, level, window: Vec::new(), waiting, batch, crc: Crc::new() })
    }

    fn compress(&mut self) -> io::Result<()> {
        let blocks: Vec<&[u8]> = self.waiting.chunks(BLOCK).collect();
        let (window, level) = (&self.window, self.level);
        let done: Vec<io::Result<(Vec<u8>, Crc)>> = blocks
            .par_iter()
            .enumerate()
            .map(|(i, block)| {
                let before = match i.checked_sub(1).and_then(|b| blocks.get(b)) {
                    Some(before) => tail(before),
                    None => window,
                };
                deflate(before, block, level)
            })
            .collect();
        for block in done {
            let (bytes, crc) = block?;
            self.crc.combine(&crc);
            self.out.write_all(&bytes)?;
        }
        let window = tail(&self.waiting).to_vec();
        self.window = window;
        self.waiting.clear();
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        if !self.waiting.is_empty() {
            self.compress()?;
        }
        self.out.write_all(&LAST)?;
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        self.out.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.out)
    }
}

impl<W: Write> Write for ParallelGzip<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let room = self.batch - self.waiting.len();
        let n = buf.len().min(room);
        self.waiting.extend_from_slice(buf.get(..n).unwrap_or_default());
        if self.waiting.len() == self.batch {
            self.compress()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        // Flushing early would make the bytes depend on the caller's writes.
        Ok(())
    }
}

fn tail(block: &[u8]) -> &[u8] {
    block.get(block.len().saturating_sub(WINDOW)..).unwrap_or_default()
}

fn deflate(before: &[u8], block: &[u8], level: u32) -> io::Result<(Vec<u8>, Crc)> {
    let mut crc = Crc::new();
    crc.update(block);
    let mut compress = Compress::new(Compression::new(level), false);
    if !before.is_empty() {
        compress.set_dictionary(before).map_err(io::Error::other)?;
    }
    let mut out = Vec::with_capacity(block.len() / 2 + 1024);
    loop {
        let used = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
        let rest = block.get(used..).unwrap_or_default();
        let status = compress.compress_vec(rest, &mut out, FlushCompress::Sync).map_err(io::Error::other)?;
        // A flush is complete when room is left in the output (zlib manual).
        let all = compress.total_in() == block.len() as u64;
        if (all && out.len() < out.capacity()) || status == Status::StreamEnd {
            return Ok((out, crc));
        }
        out.reserve(64 << 10);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn zipped(data: &[u8], step: usize) -> Vec<u8> {
        let mut gz = ParallelGzip::new(Vec::new(), 6).unwrap();
        for part in data.chunks(step) {
            gz.write_all(part).unwrap();
        }
        gz.finish().unwrap()
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut x = 1u32;
        (0..length)
            .map(|i| {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if i % 5000 < 2500 { (x >> 24) as u8 } else { b'a' + (x >> 30) as u8 }
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn it_is_one_member_and_comes_back(length in prop_oneof![0usize..100, 0usize..2_500_000], step in 1usize..1_000_000) {
            let data = noise(length);
            let gz = zipped(&data, step);
            let mut back = Vec::new();
            // Reads a single member, and must come to the very end with it.
            let mut decoder = flate2::bufread::GzDecoder::new(gz.as_slice());
            decoder.read_to_end(&mut back).unwrap();
            prop_assert_eq!(back, data);
            prop_assert!(decoder.into_inner().is_empty());
        }
    }

    #[test]
    fn bytes_depend_on_the_data_only() {
        let data = noise(3 << 20);
        let all = zipped(&data, 1 << 20);
        assert_eq!(all, zipped(&data, 777_777));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(all, pool.install(|| zipped(&data, data.len())));
    }
}
