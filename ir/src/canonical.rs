//! The canonical encoding behind node digests.
//!
//! ```text
//! "rbc1\n"  canonical JSON of the operation  "\n"  (input digest "\n")*
//! ```
//!
//! Canonical JSON is what the plan shows, with sorted keys, without blanks,
//! with defaults left out, and without what must not be part of the identity
//! (proxy values, `ignore_cache`, the names of the contexts' directories).
//! It is ours: nobody else's format moves our digests.

use serde_json::Value;

use crate::{Digest, NodeDigest, Op};

/// Fields of an operation that describe how it is run, not what it is.
const NOT_IDENTITY: &[&str] = &["proxy_env", "ignore_cache"];

/// Computes the digest of a node.
pub(crate) fn node_digest(op: &Op, inputs: &[NodeDigest]) -> NodeDigest {
    let mut text = String::from("rbc1\n");
    // Serialising plain data into a `Value` cannot fail: string keys only.
    let mut value = serde_json::to_value(op).unwrap_or(Value::Null);
    if let Value::Object(fields) = &mut value {
        for name in NOT_IDENTITY {
            fields.remove(*name);
        }
    }
    write_sorted(&value, &mut text);
    text.push('\n');
    for input in inputs {
        text.push_str(&input.to_string());
        text.push('\n');
    }
    NodeDigest(Digest::of(text.as_bytes()).0)
}

/// Writes JSON with sorted keys and no blanks. Numbers in plans are integers.
pub(crate) fn write_sorted(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<_> = fields.iter().collect();
            names.sort_by_key(|(name, _)| name.as_str());
            out.push('{');
            for (i, (name, value)) in names.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(name.clone()).to_string());
                out.push(':');
                write_sorted(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_sorted(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}
