//! Frames to keys.

mod build;
mod captures;
mod editor;
mod edits;
mod embedded;
mod extensions;
mod icmp_error;
mod oracle;
mod properties;
mod segments;
mod table;
