//! What Go's standard library does to texts, where it can be seen in images
//! and in what a Dockerfile may say: paths, quoted strings, durations.

mod duration;
mod path;
mod quote;

pub(crate) use duration::{format as format_duration, parse as parse_duration};
pub(crate) use path::{base, clean, is_valid_pattern, join};
pub(crate) use quote::{quote, quote_list};
