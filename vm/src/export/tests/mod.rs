//! Whole exports, looked at with other programs where they are there.

mod files;
mod images;
mod support;
