//! One guest: a namespace with a link that `xde` gave it, and an ordinary Linux in it.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::netns::run;
use crate::plan::GuestPlan;
use crate::{Failure, Namespace, Result};

/// A guest of the lab.
#[derive(Debug)]
pub struct Guest {
    plan: GuestPlan,
    namespace: Namespace,
    directory: PathBuf,
}

/// What a burst of pings came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ping {
    /// Echo requests sent.
    pub sent: u32,
    /// Echo replies received.
    pub received: u32,
    /// Mean round trip, milliseconds; of none there is no mean.
    pub mean_ms: Option<f64>,
}

/// Options of [`Guest::ping_with`] that make it send one request every 10 ms.
pub const ONE_BY_ONE: &str = "-l 1 -i 0.01";

impl Ping {
    /// Every request was answered.
    pub fn is_complete(&self) -> bool {
        self.sent > 0 && self.received == self.sent
    }
}

impl Guest {
    pub(crate) fn new(plan: &GuestPlan, namespace: Namespace, directory: &Path) -> Self {
        Self {
            plan: *plan,
            namespace,
            directory: directory.to_path_buf(),
        }
    }

    /// Its place, addresses and names.
    pub fn plan(&self) -> &GuestPlan {
        &self.plan
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Takes an IPv4 address with ISC's DHCP client, as a Debian guest would; the address it was given.
    ///
    /// # Errors
    /// If no lease came, with what the client wrote.
    pub fn dhcp(&self) -> Result<IpAddr> {
        let file = |what: &str| self.directory.join(format!("{}.{what}", self.plan.name));
        let (script, configuration) = (file("dhclient-script"), file("dhclient.conf"));
        write(&script, DHCLIENT_SCRIPT, 0o755)?;
        write(&configuration, DHCLIENT_CONFIGURATION, 0o644)?;
        let mut client = self.namespace.command("dhclient");
        client
            .args(["-4", "-1", "-v"])
            .arg("-sf")
            .arg(script)
            .arg("-cf")
            .arg(configuration);
        client
            .arg("-lf")
            .arg(file("leases"))
            .arg("-pf")
            .arg(file("dhclient.pid"))
            .arg(self.plan.port);
        run(&mut client)?;
        let leases = std::fs::read_to_string(file("leases"))
            .map_err(|e| Failure::new("read the lease", e))?;
        let given = leases.lines().rev().find_map(|line| {
            line.trim()
                .strip_prefix("fixed-address ")?
                .strip_suffix(';')
        });
        let given = given.ok_or_else(|| Failure::new("read the lease", &leases))?;
        given.parse().map_err(|e| Failure::new("read the lease", e))
    }

    /// Gives itself its IPv6 address; the way out it learns from router advertisements.
    ///
    /// # Errors
    /// In the words of `ip`, or if no advertisement came.
    pub fn configure_v6(&self) -> Result<()> {
        let GuestPlan { port, ip6, .. } = self.plan;
        self.namespace
            .ip(&format!("addr replace {ip6}/128 dev {port} nodad"))?;
        let routed = || {
            self.namespace
                .ip("-6 route show default")
                .is_ok_and(|routes| routes.contains("via fe80:"))
        };
        crate::topology::wait_for("a router advertisement", routed)
    }

    /// Pings `to` this many times, all at once, waiting a second for a reply.
    ///
    /// # Errors
    /// If `ping` itself cannot work; silence from the other end is no error.
    pub fn ping(&self, to: IpAddr, count: u32) -> Result<Ping> {
        self.ping_with(to, count, "")
    }

    /// Pings with further options of `ping`, split at spaces: [`ONE_BY_ONE`] to measure.
    ///
    /// # Errors
    /// As [`ping`](Self::ping).
    pub fn ping_with(&self, to: IpAddr, count: u32, options: &str) -> Result<Ping> {
        ping(&self.namespace, self.plan.port, to, count, options)
    }
}

/// Pings from any namespace; `link` is where link-local addresses are.
///
/// # Errors
/// As [`Guest::ping`].
pub fn ping(from: &Namespace, link: &str, to: IpAddr, count: u32, options: &str) -> Result<Ping> {
    let scope = match to {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => format!("%{link}"),
        _ => String::new(),
    };
    // Once one reply has come, ping waits for the others no longer than its interval: on a busy machine, a short one would not do. All are
    // sent while the first waits for the gateway's address: there must be room for them.
    let line =
        format!("ping -n -c {count} -l {count} -i 0.5 -S 1000000 -W 1 {options} {to}{scope}");
    let output = from.outcome(&line)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let summary = text
        .lines()
        .find(|line| line.contains("packets transmitted"));
    let number = |at: usize| {
        summary?
            .split(", ")
            .nth(at)?
            .split_whitespace()
            .next()?
            .parse::<u32>()
            .ok()
    };
    match (number(0), number(1)) {
        (Some(sent), Some(received)) => Ok(Ping {
            sent,
            received,
            mean_ms: mean(&text),
        }),
        _ => Err(Failure::new(line, String::from_utf8_lossy(&output.stderr))),
    }
}

/// From `rtt min/avg/max/mdev = 0.031/0.035/0.041/0.004 ms`.
fn mean(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with("rtt "))?;
    line.split(" = ").nth(1)?.split('/').nth(1)?.parse().ok()
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let what = || format!("write {}", path.display());
    std::fs::write(path, text).map_err(|e| Failure::new(what(), e))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(|e| Failure::new(what(), e))
}

const DHCLIENT_CONFIGURATION: &str = "\
option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;
request subnet-mask, broadcast-address, routers, interface-mtu, host-name, domain-name, domain-name-servers,
        domain-search, rfc3442-classless-static-routes;
timeout 10;
initial-interval 1;
";

/// Puts a lease on the link and nothing else: the distribution's own would rewrite the machine's resolv.conf.
const DHCLIENT_SCRIPT: &str = r#"#!/bin/sh
case "$reason" in
BOUND | RENEW | REBIND | REBOOT)
    [ -z "$new_interface_mtu" ] || ip link set "$interface" mtu "$new_interface_mtu"
    ip addr replace "$new_ip_address/$new_subnet_mask" dev "$interface"
    if [ -n "$new_rfc3442_classless_static_routes" ]; then
        set -- $new_rfc3442_classless_static_routes
        while [ $# -ge 5 ]; do
            bits=$1; shift
            prefix=""
            for octet in 1 2 3 4; do
                if [ $(((octet - 1) * 8)) -lt "$bits" ]; then prefix="$prefix.$1"; shift; else prefix="$prefix.0"; fi
            done
            via="via $1.$2.$3.$4"
            [ "$via" != "via 0.0.0.0" ] || via="scope link"
            shift 4
            ip route replace "${prefix#.}/$bits" $via dev "$interface"
        done
    else
        for router in $new_routers; do
            ip route replace "$router" dev "$interface" scope link
            ip route replace default via "$router" dev "$interface"
        done
    fi
    ;;
esac
exit 0
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_round_trip_is_read_from_the_summary() {
        let text = "\n--- 10.0.0.1 ping statistics ---\n20 packets transmitted, 20 received, 0% packet loss, time 209ms\n\
                    rtt min/avg/max/mdev = 0.031/0.035/0.041/0.004 ms\n";
        assert_eq!(mean(text), Some(0.035));
        assert_eq!(
            mean("20 packets transmitted, 0 received, 100% packet loss, time 1209ms"),
            None
        );
    }

    #[test]
    fn pings_are_complete_when_all_are_answered_and_there_were_some() {
        let ping = |sent, received| Ping {
            sent,
            received,
            mean_ms: None,
        };
        assert!(ping(20, 20).is_complete());
        assert!(!ping(20, 19).is_complete());
        assert!(!ping(0, 0).is_complete());
    }
}
