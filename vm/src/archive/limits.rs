//! How large an archive may be.

/// Bounds on an archive, against input made to exhaust memory or disk. The
/// defaults are far above any real image.
///
/// There is no bound on the compression ratio: an archive of a sparse disk
/// image shrinks a thousandfold and more. The bound on the total does the
/// work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Members.
    pub entries: u64,
    /// Components of a name.
    pub depth: usize,
    /// Bytes of all extension headers (PAX records, long names, sparse maps)
    /// of one member.
    pub header_bytes: u64,
    /// Bytes of the uncompressed archive, and of all files with their holes.
    pub total_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 20_000_000, depth: 1000, header_bytes: 1 << 20, total_bytes: 1 << 40 }
    }
}
