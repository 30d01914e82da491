//! Frames to keys.

mod build;
mod captures;
mod oracle;
mod properties;
mod table;
