//! TAP links: a virtual machine monitor opens one by its name, and what the machine sends comes in over it.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsFd as _;

use super::link::{self, Link};
use super::netlink::Netlink;
use super::sys;

/// Makes a TAP link for a port and switches it on. It is the host's end of the machine's link, and silent as that of a
/// veth pair; it stays when this process ends, and has no carrier until somebody opens it. `owner` is who may, beside
/// those with `CAP_NET_ADMIN`: a user's number.
///
/// # Errors
/// In the kernel's words; `EEXIST` too if another driver has a link of this name. Nothing is left behind then.
pub fn create_tap(netlink: &mut Netlink, name: &str, mtu: u32, owner: u32) -> io::Result<Link> {
    match link::find(netlink, name) {
        Ok(_) if link::delete_left_behind(netlink, name)? => {}
        Ok(_) => return Err(io::Error::from_raw_os_error(libc::EEXIST)),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
        Err(error) => return Err(error),
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")?;
    sys::make_tap(file.as_fd(), name, owner)?;
    let made = link::find(netlink, name)?;
    link::settle_host_end(netlink, &made, mtu)?;
    // Up to here it goes with the file.
    sys::keep_tap(file.as_fd())?;
    drop(file);
    link::set_up(netlink, made.index, true)
        .and_then(|()| link::find(netlink, name))
        .inspect_err(|_| {
            // What went wrong first is what is told.
            let _ = link::delete(netlink, made.index);
        })
}
