//! `RUN --mount`: one CSV record of options (BuildKit:
//! `instructions/commands_runmount.go`). Values are expanded by the caller's
//! function; `from` never is.

use rbc_grammar::suggest;
use rbc_ir::CacheSharing;

use crate::units::{parse_bool, parse_size};

const TYPES: &[&str] = &["bind", "cache", "tmpfs", "secret", "ssh"];
const SHARING: &[&str] = &["shared", "private", "locked"];
const KEYS: &[&str] = &[
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MountType {
    #[default]
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

impl MountType {
    fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Cache => "cache",
            Self::Tmpfs => "tmpfs",
            Self::Secret => "secret",
            Self::Ssh => "ssh",
        }
    }
}

/// A mount as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) kind: MountType,
    pub(crate) from: Option<String>,
    pub(crate) source: String,
    pub(crate) target: String,
    pub(crate) read_only: bool,
    pub(crate) id: String,
    pub(crate) sharing: Option<CacheSharing>,
    pub(crate) required: bool,
    pub(crate) size: u64,
    pub(crate) mode: Option<u32>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) env: Option<String>,
}

/// What is wrong with a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountError {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// The variable-in-`from` mistake has a code of its own.
    pub(crate) variable: bool,
    /// Bytes of the record; all of it if `None`.
    pub(crate) range: Option<(usize, usize)>,
}

impl MountError {
    fn new(message: String) -> Self {
        Self { message, help: None, variable: false, range: None }
    }

    fn near(message: String, word: &str, names: &[&str]) -> Self {
        let help = match suggest(word, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it can be {}", names.join(", ")),
        };
        Self { help: Some(help), ..Self::new(message) }
    }
}

/// How values are expanded; the error is the caller's own.
pub(crate) type Expander<'a> = &'a mut dyn FnMut(&str) -> Result<String, MountError>;

/// Reads only what is never expanded: the source of the mount.
pub(crate) fn from_of(text: &str) -> Option<String> {
    fields(text).into_iter().flatten().rev().find_map(|field| {
        let (key, value) = field.text.split_once('=')?;
        key.trim().eq_ignore_ascii_case("from").then(|| value.to_owned())
    })
}

/// Reads a mount.
pub(crate) fn parse(text: &str, expand: Expander<'_>) -> Result<Mount, MountError> {
    let mut mount = Mount::default();
    let mut read_only = None;
    let fields = fields(text).ok_or_else(|| MountError::new(format!("`{text}` is not a list of options")))?;
    for field in fields {
        set(&mut mount, &mut read_only, &field.text, expand)
            .map_err(|e| MountError { range: e.range.or(Some((field.start, field.end))), ..e })?;
    }
    mount.read_only = read_only.unwrap_or(!matches!(mount.kind, MountType::Cache | MountType::Tmpfs));
    check(&mount)?;
    Ok(mount)
}

fn set(mount: &mut Mount, read_only: &mut Option<bool>, field: &str, expand: Expander<'_>) -> Result<(), MountError> {
    let (key, value) = match field.split_once('=') {
        Some((key, value)) => (key.to_ascii_lowercase(), Some(value)),
        None => (field.to_ascii_lowercase(), None),
    };
    let key = key.as_str();
    if !KEYS.contains(&key) {
        return Err(MountError::near(format!("unexpected key '{key}' in '{field}'"), key, KEYS));
    }
    let kind = mount.kind;
    let unexpected = || MountError::new(format!("unexpected key '{key}' for mount type '{}'", kind.name()));
    let secret_like = matches!(kind, MountType::Secret | MountType::Ssh);
    let value = match (key, value) {
        ("from", Some(value)) if value.split('$').skip(1).any(|rest| !rest.is_empty()) => {
            return Err(MountError {
                help: Some("define a stage with `FROM … AS name` and mount from that".to_owned()),
                variable: true,
                ..MountError::new("'from' doesn't support variable expansion, define alias stage instead".to_owned())
            });
        }
        ("from", Some(value)) => value.to_owned(),
        (_, Some(value)) => expand(value)?,
        ("readonly" | "ro" | "readwrite" | "rw", None) => "true".to_owned(),
        ("required", None) => "true".to_owned(),
        (_, None) => return Err(MountError::new(format!("invalid field '{field}' must be a key=value pair"))),
    };
    let bad = || MountError::new(format!("invalid value for {key}: {value}"));
    let number = |radix| u32::from_str_radix(&value, radix).map_err(|_| bad());
    match key {
        "type" => {
            let lower = value.to_ascii_lowercase();
            mount.kind = match lower.as_str() {
                "bind" => MountType::Bind,
                "cache" => MountType::Cache,
                "tmpfs" => MountType::Tmpfs,
                "secret" => MountType::Secret,
                "ssh" => MountType::Ssh,
                _ => return Err(MountError::near(format!("unsupported mount type \"{value}\""), &lower, TYPES)),
            };
        }
        "from" => mount.from = Some(value),
        "source" | "src" => mount.source = value,
        "target" | "dst" | "destination" => mount.target = value,
        "readonly" | "ro" => *read_only = Some(parse_bool(&value).ok_or_else(bad)?),
        "readwrite" | "rw" => *read_only = Some(!parse_bool(&value).ok_or_else(bad)?),
        "required" if secret_like => mount.required = parse_bool(&value).ok_or_else(bad)?,
        "size" if kind == MountType::Tmpfs => mount.size = parse_size(&value).ok_or_else(bad)?,
        "required" | "size" => return Err(unexpected()),
        "id" => mount.id = value,
        "sharing" => {
            let lower = value.to_ascii_lowercase();
            mount.sharing = Some(match lower.as_str() {
                "shared" => CacheSharing::Shared,
                "private" => CacheSharing::Private,
                "locked" => CacheSharing::Locked,
                _ => return Err(MountError::near(format!("unsupported sharing value \"{value}\""), &lower, SHARING)),
            });
        }
        "mode" => mount.mode = Some(number(8)?),
        "uid" => mount.uid = Some(number(10)?),
        "gid" => mount.gid = Some(number(10)?),
        _ => mount.env = Some(value),
    }
    Ok(())
}

/// Rules on the whole. Without a target, the working directory is meant, and
/// keys that a type has no use for do no harm.
fn check(mount: &Mount) -> Result<(), MountError> {
    let kind = mount.kind.name();
    let fail = |message: String| Err(MountError::new(message));
    if matches!(mount.kind, MountType::Bind | MountType::Tmpfs) {
        for (name, value) in [("mode", mount.mode), ("uid", mount.uid), ("gid", mount.gid)] {
            if value.is_some() {
                return fail(format!("{name} not allowed for \"{kind}\" type mounts"));
            }
        }
    }
    if mount.sharing.is_some() && mount.kind != MountType::Cache {
        return fail(format!("invalid cache sharing set for {kind} mount"));
    }
    match mount.kind {
        MountType::Secret if mount.from.is_some() => fail("secret mount should not have a from".to_owned()),
        MountType::Secret if mount.source.is_empty() && mount.target.is_empty() && mount.id.is_empty() => {
            fail("invalid secret mount. one of id, source, target required".to_owned())
        }
        MountType::Secret if !mount.source.is_empty() && !mount.id.is_empty() => {
            fail("both source and id can't be set".to_owned())
        }
        MountType::Ssh if !mount.source.is_empty() => fail("ssh does not support source".to_owned()),
        _ => Ok(()),
    }
}

struct Field {
    text: String,
    start: usize,
    end: usize,
}

/// Splits a CSV record; `None` if a quote does not end.
fn fields(text: &str) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let (value, length) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let length = rest.find(',').unwrap_or(rest.len());
                (rest.get(..length)?.to_owned(), length)
            }
        };
        fields.push(Field { text: value, start: at, end: at + length });
        at += length;
        match text.get(at..)?.strip_prefix(',') {
            Some(_) => at += 1,
            None => return text.get(at..)?.is_empty().then_some(fields),
        }
    }
}

/// A field behind its opening quote: the value and its whole length.
fn quoted_field(text: &str) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' if chars.next_if(|&(_, c)| c == '"').is_some() => value.push('"'),
            '"' => return Some((value, i + 2)),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Mount, (String, Option<String>)> {
        parse(text, &mut |v| Ok(v.to_owned())).map_err(|e| (e.message, e.help))
    }

    #[test]
    fn forms() {
        let mount = read("target=/a,rw").unwrap();
        assert_eq!((mount.kind, mount.read_only), (MountType::Bind, false));
        let mount = read("type=cache,dst=/c,ID=x,sharing=LOCKED,mode=0750,uid=1,from=s,ro").unwrap();
        assert_eq!((mount.sharing, mount.mode, mount.uid), (Some(CacheSharing::Locked), Some(0o750), Some(1)));
        assert!(mount.read_only);
        assert_eq!(read("type=tmpfs,target=/t,size=2m").unwrap().size, 2 << 20);
        assert_eq!(read("\"target=/a,b\"").unwrap().target, "/a,b");
        assert!(read("type=ssh,required").unwrap().required);
        assert_eq!(from_of("type=cache,FROM=s,target=/x").as_deref(), Some("s"));
    }

    #[test]
    fn mistakes() {
        for (text, message, help) in [
            ("type=cache,target=/c,sizze=1", "unexpected key 'sizze' in 'sizze=1'", Some("did you mean `size`?")),
            ("type=cahce,target=/c", "unsupported mount type \"cahce\"", Some("did you mean `cache`?")),
            (
                "type=magic,target=/c",
                "unsupported mount type \"magic\"",
                Some("it can be bind, cache, tmpfs, secret, ssh"),
            ),
            ("type=cache,target=/c,size=1", "unexpected key 'size' for mount type 'cache'", None),
            ("target=/c,uid=1", "uid not allowed for \"bind\" type mounts", None),
            ("type=secret,id=a,from=b", "secret mount should not have a from", None),
            (
                "type=cache,target=/c,sharing=none",
                "unsupported sharing value \"none\"",
                Some("it can be shared, private, locked"),
            ),
            ("target", "invalid field 'target' must be a key=value pair", None),
            ("target=/a,ro=maybe", "invalid value for ro: maybe", None),
            ("target=/a,required", "unexpected key 'required' for mount type 'bind'", None),
        ] {
            assert_eq!(read(text), Err((message.to_owned(), help.map(str::to_owned))), "{text}");
        }
        let e = parse("target=/a,from=$x", &mut |v| Ok(v.to_owned())).unwrap_err();
        assert!(e.variable && e.range == Some((10, 17)));
    }
}
