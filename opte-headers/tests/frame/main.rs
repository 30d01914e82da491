//! Frames to keys.

mod build;
mod captures;
mod editor;
mod embedded;
mod oracle;
mod properties;
mod table;
