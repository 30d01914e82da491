//! Frames to keys.

mod build;
mod oracle;
mod properties;
mod table;
