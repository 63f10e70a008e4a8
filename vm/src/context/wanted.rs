//! Which paths of a context an operation reads.

/// A path or pattern, as components from the context's root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wanted {
    /// Literal names and patterns; empty for everything. `..` is still in.
    pub(crate) components: Vec<String>,
}

impl Wanted {
    /// Makes one of a source of COPY or of a mount.
    pub(crate) fn new(source: &str) -> Self {
        let components = source.split('/').filter(|c| !c.is_empty() && *c != ".").map(str::to_owned);
        Self { components: components.collect() }
    }

    /// Everything.
    pub(crate) fn all() -> Self {
        Self { components: Vec::new() }
    }
}
