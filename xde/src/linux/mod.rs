//! The driver on Linux: links, packet sockets, routes and neighbours of the kernel, and the threads that join them to the core.
//!
//! One thread moves frames, one listens to the kernel's routes and neighbours, one answers commands. `unsafe` is needed for
//! system calls that no safe wrapper covers, in the private module `sys`, and for the allocator of [`huge_pages`], alone.

mod carrier;
pub mod control;
pub mod datapath;
pub mod huge_pages;
pub mod link;
pub mod namespace;
pub mod netlink;
pub mod packet_socket;
pub mod platform;
pub mod port_link;
pub mod routes;
mod sys;
pub mod tap;
pub mod tunnel_port;
pub mod virtio_net;
