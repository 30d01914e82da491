//! Frames to keys.

mod build;
mod captures;
mod editor;
mod embedded;
mod icmp_error;
mod oracle;
mod properties;
mod segments;
mod table;
