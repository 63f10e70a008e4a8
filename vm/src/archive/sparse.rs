//! Sparse files: the stored pieces of a file and where they belong.
//!
//! Four forms are in use (GNU tar manual, "Storing Sparse Files"): the old
//! GNU header with extension blocks, and PAX 0.0, 0.1 and 1.0.

use std::io::{self, Read};

use super::pax::decimal;
use super::ustar::number;

/// A stored piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// What PAX records say of a sparse file.
#[derive(Clone, Debug, Default)]
pub(crate) struct SparseRecords {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) real_size: Option<u64>,
    pub(crate) pieces: Option<Vec<Piece>>,
    offset: Option<u64>,
}

impl SparseRecords {
    /// Takes a `GNU.sparse.` record (key without that prefix); `None` if it
    /// is malformed.
    pub(crate) fn take(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"major" => self.major = decimal(value)?,
            b"minor" => self.minor = decimal(value)?,
            b"name" => self.name = Some(value.to_vec()),
            b"size" | b"realsize" => self.real_size = Some(decimal(value)?),
            b"offset" => self.offset = Some(decimal(value)?),
            b"numbytes" => {
                let piece = Piece { offset: self.offset.take()?, length: decimal(value)? };
                self.pieces.get_or_insert_default().push(piece);
            }
            b"map" => self.pieces = Some(pairs(value.split(|b| *b == b','))?),
            // Including `numblocks`: the list tells its own length.
            _ => {}
        }
        Some(())
    }

    /// Tells whether the map stands at the start of the data (PAX 1.0).
    pub(crate) fn map_in_data(&self) -> bool {
        self.major == 1 && self.minor == 0
    }
}

fn pairs<'a>(mut numbers: impl Iterator<Item = &'a [u8]>) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    while let Some(offset) = numbers.next() {
        if offset.is_empty() && pieces.is_empty() {
            return numbers.next().is_none().then_some(pieces);
        }
        pieces.push(Piece { offset: decimal(offset)?, length: decimal(numbers.next()?)? });
    }
    Some(pieces)
}

/// Reads the map at the start of the data of a PAX 1.0 file, block by block;
/// returns it with the number of bytes it took.
pub(crate) fn read_map(data: &mut dyn Read, limit: u64) -> io::Result<Option<(Vec<Piece>, u64)>> {
    let mut text = Vec::new();
    let mut wanted = 1usize;
    let mut lines = 0;
    loop {
        let mut block = [0; super::ustar::BLOCK];
        data.read_exact(&mut block)?;
        let seen = text.len();
        text.extend_from_slice(&block);
        for (i, _) in block.iter().enumerate().filter(|(_, b)| **b == b'\n') {
            lines += 1;
            if lines == 1 {
                let Some(count) = text.get(..seen + i).and_then(decimal) else {
                    return Ok(None);
                };
                wanted = usize::try_from(count.saturating_mul(2)).unwrap_or(usize::MAX).saturating_add(1);
            }
            if lines == wanted {
                let numbers = text.get(..seen + i).unwrap_or_default().split(|b| *b == b'\n').skip(1);
                return Ok(pairs(numbers).map(|pieces| (pieces, text.len() as u64)));
            }
        }
        if text.len() as u64 > limit {
            return Ok(None);
        }
    }
}

/// Appends the pieces of an old GNU header or an extension block; `None` if
/// a number is malformed.
pub(crate) fn old_pieces(list: &[tar::GnuSparseHeader], pieces: &mut Vec<Piece>) -> Option<()> {
    for entry in list {
        let length = entry.numbytes.as_slice();
        if length.first() == Some(&0) {
            break;
        }
        let (offset, length) = (number(&entry.offset)?, number(length)?);
        pieces.push(Piece { offset: offset.try_into().ok()?, length: length.try_into().ok()? });
    }
    Some(())
}

/// Tells whether the pieces stand in order inside a file of `size` bytes and
/// make up exactly what is stored.
pub(crate) fn is_sound(pieces: &[Piece], stored: u64, size: u64) -> bool {
    let mut end = 0u64;
    let mut sum = 0u64;
    for piece in pieces {
        if piece.offset < end {
            return false;
        }
        match piece.offset.checked_add(piece.length) {
            Some(e) if e <= size => end = e,
            _ => return false,
        }
        sum += piece.length;
    }
    sum == stored
}

/// The whole file, holes read as zeros. The pieces are [sound](is_sound).
pub(crate) struct Filled<R> {
    stored: R,
    pieces: std::vec::IntoIter<Piece>,
    /// Zeros to come before the current piece, and bytes left of it.
    hole: u64,
    piece: u64,
    position: u64,
    size: u64,
}

impl<R: Read> Filled<R> {
    pub(crate) fn new(stored: R, pieces: Vec<Piece>, size: u64) -> Self {
        Self { stored, pieces: pieces.into_iter(), hole: 0, piece: 0, position: 0, size }
    }

    pub(crate) fn into_stored(self) -> R {
        self.stored
    }
}

impl<R: Read> Read for Filled<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.hole == 0 && self.piece == 0 {
            if let Some(next) = self.pieces.next() {
                self.hole = next.offset - self.position;
                self.piece = next.length;
            } else if self.position < self.size {
                self.hole = self.size - self.position;
            } else {
                return Ok(0);
            }
        }
        let part = if self.hole > 0 { self.hole } else { self.piece };
        let n = usize::try_from(part).unwrap_or(usize::MAX).min(buf.len());
        let Some(buf) = buf.get_mut(..n).filter(|b| !b.is_empty()) else {
            return Ok(0);
        };
        if self.hole > 0 {
            buf.fill(0);
            self.hole -= n as u64;
        } else {
            self.stored.read_exact(buf)?;
            self.piece -= n as u64;
        }
        self.position += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_zeros() {
        let pieces = vec![
            Piece { offset: 2, length: 3 },
            Piece { offset: 5, length: 0 },
            Piece { offset: 6, length: 1 },
            Piece { offset: 9, length: 0 },
        ];
        assert!(is_sound(&pieces, 4, 9));
        let mut out = Vec::new();
        Filled::new(&b"abcd"[..], pieces, 9).read_to_end(&mut out).unwrap();
        assert_eq!(out, b"\0\0abc\0d\0\0");
    }

    #[test]
    fn false_maps_are_found() {
        let piece = |offset, length| Piece { offset, length };
        assert!(!is_sound(&[piece(4, 1), piece(0, 1)], 2, 9));
        assert!(!is_sound(&[piece(8, 2)], 2, 9));
        assert!(!is_sound(&[piece(0, 2)], 1, 9));
        assert!(!is_sound(&[piece(u64::MAX, 2)], 2, 9));
    }

    #[test]
    fn maps_of_pax_1_0() {
        let mut block = b"2\n0\n4\n1024\n8\n".to_vec();
        block.resize(512, 0);
        let (pieces, used) = read_map(&mut block.as_slice(), 1 << 20).unwrap().unwrap();
        assert_eq!(pieces, [Piece { offset: 0, length: 4 }, Piece { offset: 1024, length: 8 }]);
        assert_eq!(used, 512);
        let mut endless = io::repeat(b'1');
        assert!(read_map(&mut endless, 4096).unwrap().is_none());
    }
}
