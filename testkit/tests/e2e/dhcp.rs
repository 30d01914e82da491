//! DHCP clients as guests have them: each takes a lease, with all that comes with it, renews it and gives it back.
//!
//! What a client is told it hands to a script, which writes it down and gives the link its address. No client touches a file of
//! the machine: what they keep lies in the lab's directory, and the directories they insist on are covered by empty ones.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::plan::{GATEWAY, GuestPlan, Place, Snat};
use testkit::topology::wait_for;
use testkit::{Failure, Guest, Overlay, Result, Running, privilege};

use crate::runner::ensure;

/// A guest with names and name servers, whom nobody gives an address but the client under test.
const DORA: GuestPlan = GuestPlan {
    name: "dora",
    place: Place::B,
    port: "opte5",
    vni: 10,
    mac: "a8:40:25:f0:00:05",
    ip: Ipv4Addr::new(10, 0, 0, 15),
    ip6: Ipv6Addr::new(0xfd10, 0, 0, 0, 0, 0, 0, 0x15),
    snat: Snat {
        ip: Ipv4Addr::new(203, 0, 113, 10),
        ip6: Ipv6Addr::new(0x2001, 0xdb8, 0x113, 0, 0, 0, 0, 0x10),
        ports: (50_000, 50_999),
    },
};

const MTU: &str = "1400";
const NAMES: &str = "--mtu 1400 --hostname dora --host-domain lab.example --domain-search-list lab.example,example.net \
                     --dns-servers 203.0.113.53,2001:db8:113::53";

pub(crate) fn dhclient_v4(lab: &mut Overlay) -> Result<()> {
    with_dora(lab, |dora| {
        // The lease is of a day: that its owner wants to renew it after two seconds is the owner's affair.
        let configuration = dora.file("dhclient.conf");
        write(&configuration, DHCLIENT, 0o644)?;
        let client = |options: &str| {
            let mut client = dora.client("dhclient");
            client.args(options.split_whitespace());
            client.arg("-cf").arg(&configuration);
            dora.dhclient_files(&mut client);
            client
        };
        let bound = dora.run(client("-4 -d"), "BOUND")?;
        let told = dora.told("BOUND")?;
        expect(&told, "new_ip_address", &DORA.ip.to_string())?;
        expect(&told, "new_routers", "")?;
        expect(
            &told,
            "new_rfc3442_classless_static_routes",
            "32 10 0 0 1 0 0 0 0 0 10 0 0 1",
        )?;
        expect(&told, "new_domain_name_servers", "203.0.113.53")?;
        expect(&told, "new_domain_name", "lab.example")?;
        expect(&told, "new_domain_search", "lab.example. example.net.")?;
        expect(&told, "new_host_name", "dora")?;
        expect(&told, "new_interface_mtu", MTU)?;
        expect(&told, "new_dhcp_server_identifier", &GATEWAY.to_string())?;
        dora.is_on_the_net()?;
        dora.wait("RENEW")?;
        expect(&dora.told("RENEW")?, "new_ip_address", &DORA.ip.to_string())?;
        drop(bound);
        dora.ends(client("-4 -r"))?;
        expect(
            &dora.told("RELEASE")?,
            "old_ip_address",
            &DORA.ip.to_string(),
        )
    })
}

pub(crate) fn dhclient_v6(lab: &mut Overlay) -> Result<()> {
    with_dora(lab, |dora| {
        let client = |options: &str| {
            let mut client = dora.client("dhclient");
            client.args(options.split_whitespace());
            dora.dhclient_files(&mut client);
            client
        };
        let bound = dora.run(client("-6 -d"), "BOUND6")?;
        let told = dora.told("BOUND6")?;
        expect(&told, "new_ip6_address", &DORA.ip6.to_string())?;
        expect(&told, "new_dhcp6_name_servers", "2001:db8:113::53")?;
        expect(
            &told,
            "new_dhcp6_domain_search",
            "lab.example. example.net.",
        )?;
        dora.is_on_the_net_v6()?;
        // One that starts anew asks whether its address still holds (CONFIRM).
        drop(bound);
        dora.forget("BOUND6")?;
        let bound = dora.run(client("-6 -d"), "BOUND6")?;
        drop(bound);
        dora.has_said("XMT: Confirm on")?;
        dora.has_said("message status code Success")?;
        dora.ends(client("-6 -r"))?;
        expect(
            &dora.told("RELEASE6")?,
            "old_ip6_address",
            &DORA.ip6.to_string(),
        )
    })
}

pub(crate) fn udhcpc_v4(lab: &mut Overlay) -> Result<()> {
    with_dora(lab, |dora| {
        let mut client = dora.client("udhcpc");
        client
            .args(["-f", "-O", "mtu", "-O", "search", "-O", "hostname"])
            .args(["-t", "5", "-T", "1", "-i", DORA.port, "-s"])
            .arg(dora.file("script"));
        let mut client = dora.run(client, "bound")?;
        let told = dora.told("bound")?;
        expect(&told, "ip", &DORA.ip.to_string())?;
        expect(&told, "router", &GATEWAY.to_string())?;
        expect(&told, "dns", "203.0.113.53")?;
        expect(&told, "domain", "lab.example")?;
        expect(&told, "search", "lab.example example.net")?;
        expect(&told, "hostname", "dora")?;
        expect(&told, "mtu", MTU)?;
        expect(&told, "lease", "86400")?;
        dora.is_on_the_net()?;
        dora.forget("bound")?;
        signal(dora, &client, "USR1", "renew")?;
        expect(&dora.told("renew")?, "ip", &DORA.ip.to_string())?;
        dora.forget("deconfig")?;
        signal(dora, &client, "USR2", "deconfig")?;
        ensure(client.is_alive(), || "udhcpc ended".into())
    })
}

pub(crate) fn dhcpcd_of_both_families(lab: &mut Overlay) -> Result<()> {
    with_dora(lab, |dora| {
        let configuration = dora.file("dhcpcd.conf");
        write(&configuration, DHCPCD, 0o644)?;
        let mut client = dora.client("dhcpcd");
        client.arg("-B").arg("-f").arg(&configuration);
        client.arg("-c").arg(dora.file("script")).arg(DORA.port);
        let mut client = dora.run(client, "BOUND")?;
        let told = dora.told("BOUND")?;
        expect(&told, "new_ip_address", &DORA.ip.to_string())?;
        expect(&told, "new_domain_name_servers", "203.0.113.53")?;
        expect(&told, "new_domain_name", "lab.example")?;
        expect(&told, "new_domain_search", "lab.example example.net")?;
        expect(&told, "new_host_name", "dora")?;
        expect(&told, "new_interface_mtu", MTU)?;
        dora.is_on_the_net()?;
        dora.wait("BOUND6")?;
        let told = dora.told("BOUND6")?;
        expect(&told, "new_dhcp6_ia_na1_ia_addr1", &DORA.ip6.to_string())?;
        expect(&told, "new_dhcp6_name_servers", "2001:db8:113::53")?;
        expect(&told, "new_dhcp6_domain_search", "lab.example example.net")?;
        dora.is_on_the_net_v6()?;
        signal(dora, &client, "USR1", "RENEW")?;
        dora.wait("RENEW6")?;
        signal(dora, &client, "ALRM", "RELEASE6")?;
        dora.wait("STOPPED")?;
        dora.has_said(&format!("releasing lease of {}", DORA.ip))?;
        client.wait().map(drop)
    })
}

/// Dora while a client of hers is under test.
struct Dora {
    guest: Guest,
    directory: PathBuf,
}

/// Creates Dora, does `work` with her, and takes her away again.
fn with_dora(lab: &Overlay, work: impl FnOnce(&Dora) -> Result<()>) -> Result<()> {
    let topology = &lab.topology;
    let directory = topology.lab().directory().join("dora");
    // What another case has left.
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(directory.join("empty"))
        .map_err(|e| Failure::new("make room for Dora", e))?;
    let guest = topology.add_guest_with(&DORA, NAMES)?;
    let dora = Dora { guest, directory };
    let script = SCRIPT.replace("DIRECTORY", &dora.directory.to_string_lossy());
    let outcome = write(&dora.file("script"), &script, 0o755).and_then(|()| work(&dora));
    topology.remove_guest(dora.guest)?;
    outcome
}

impl Dora {
    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A client that will run inside, where nothing of the machine's can be written that it insists on.
    fn client(&self, program: &str) -> Command {
        let mut covered = String::new();
        for directory in ["/run", "/var/lib"] {
            covered += &format!("mount -t tmpfs tmpfs {directory} && ");
        }
        covered += "mkdir -p /run/dhcpcd /var/lib/dhcpcd /var/lib/dhcp && ";
        if privilege::in_user_namespace() {
            // There is no other user there that dhcpcd could become.
            covered += "grep -v dhcpcd /etc/passwd > /run/passwd && mount --bind /run/passwd /etc/passwd && ";
        }
        let mut client = self.guest.namespace().command("sh");
        client.args([
            "-c",
            &format!("PATH=$PATH:/usr/sbin:/sbin; {covered} exec \"$0\" \"$@\""),
            program,
        ]);
        client
    }

    fn dhclient_files(&self, client: &mut Command) {
        client.arg("-v").arg("-sf").arg(self.file("script"));
        client.arg("-lf").arg(self.file("leases"));
        client.arg("-pf").arg(self.file("pid")).arg(DORA.port);
    }

    /// Starts a client and waits until it has had this reason to run its script.
    fn run(&self, mut client: Command, reason: &str) -> Result<Running> {
        let log = self.file("log");
        let running = Running::start(&mut client, &log)?;
        self.wait(reason)?;
        Ok(running)
    }

    /// Runs a client to its end.
    fn ends(&self, mut client: Command) -> Result<()> {
        let mut running = Running::start(&mut client, &self.file("log"))?;
        match running.wait()? {
            true => Ok(()),
            false => Err(self.failure("end well")),
        }
    }

    fn wait(&self, reason: &str) -> Result<()> {
        let there = || self.file(&format!("told.{reason}")).is_file();
        wait_for(reason, there).map_err(|_| self.failure(reason))
    }

    fn failure(&self, what: &str) -> Failure {
        let log = std::fs::read_to_string(self.file("log")).unwrap_or_default();
        let reasons = std::fs::read_to_string(self.file("reasons")).unwrap_or_default();
        let end: Vec<&str> = log.lines().rev().take(12).collect();
        let end: Vec<&str> = end.into_iter().rev().collect();
        Failure::new(
            what,
            format!("reasons {reasons:?}, log\n{}", end.join("\n")),
        )
    }

    /// What the client has told its script last with this reason.
    fn told(&self, reason: &str) -> Result<BTreeMap<String, String>> {
        let file = self.file(&format!("told.{reason}"));
        let text = std::fs::read_to_string(file).map_err(|_| self.failure(reason))?;
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Ok(pairs
            .map(|(name, value)| (name.into(), value.trim_end().into()))
            .collect())
    }

    /// Whether it is in what the clients have written.
    fn has_said(&self, what: &str) -> Result<()> {
        let log = std::fs::read_to_string(self.file("log")).unwrap_or_default();
        match log.contains(what) {
            true => Ok(()),
            false => Err(self.failure(what)),
        }
    }

    fn forget(&self, reason: &str) -> Result<()> {
        std::fs::remove_file(self.file(&format!("told.{reason}")))
            .map_err(|e| Failure::new(format!("forget {reason}"), e))
    }

    fn is_on_the_net(&self) -> Result<()> {
        let ping = self.guest.ping(GATEWAY.into(), 3)?;
        ensure(ping.is_complete(), || {
            format!(
                "{} of {} pings of the gateway answered",
                ping.received, ping.sent
            )
        })
    }

    fn is_on_the_net_v6(&self) -> Result<()> {
        let addresses = self.guest.namespace().ip("-6 addr show")?;
        ensure(addresses.contains(&format!("{}/128", DORA.ip6)), || {
            format!("no {} in\n{addresses}", DORA.ip6)
        })
    }
}

fn expect(told: &BTreeMap<String, String>, name: &str, value: &str) -> Result<()> {
    let found = told.get(name).map_or("", String::as_str);
    ensure(found == value, || {
        format!("{name} is `{found}`, not `{value}`, in {told:?}")
    })
}

/// Sends a client this signal until it has had this reason to run its script: one that comes while a script runs may be lost on it.
fn signal(dora: &Dora, to: &Running, signal: &str, reason: &str) -> Result<()> {
    let file = dora.file(&format!("told.{reason}"));
    for _ in 0..20 {
        let id = to.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &id])
            .status();
        sent.map_err(|e| Failure::new(format!("send {signal}"), e))?;
        for _ in 0..50 {
            if file.is_file() {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
    Err(dora.failure(reason))
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let what = || format!("write {}", path.display());
    std::fs::write(path, text).map_err(|e| Failure::new(what(), e))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(|e| Failure::new(what(), e))
}

const DHCLIENT: &str = "\
option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;
request subnet-mask, routers, interface-mtu, host-name, domain-name, domain-name-servers, domain-search,
        rfc3442-classless-static-routes;
supersede dhcp-lease-time 8;
supersede dhcp-renewal-time 2;
supersede dhcp-rebinding-time 6;
timeout 10;
initial-interval 1;
";

const DHCPCD: &str = "\
duid
persistent
noipv4ll
noarp
waitip 4
option domain_name_servers, domain_name, domain_search, host_name, interface_mtu, classless_static_routes
option dhcp6_name_servers, dhcp6_domain_search
require dhcp_server_identifier
ipv6rs
ia_na 1
";

/// Writes down what it was told, by the reason, and gives the link its addresses and the way to the gateway.
const SCRIPT: &str = r#"#!/bin/sh
reason=${reason:-$1}
echo "$reason" >> DIRECTORY/reasons
case "$reason" in
BOUND | bound | REBOOT)
    address=${new_ip_address:-$ip}
    if [ -n "$address" ]; then
        ip addr replace "$address/32" dev "$interface"
        ip route replace 10.0.0.1 dev "$interface" scope link
        ip route replace default via 10.0.0.1 dev "$interface"
    fi
    ;;
esac
[ -z "$new_ip6_address" ] || ip addr replace "$new_ip6_address/128" dev "$interface" nodad
set > DIRECTORY/told.tmp
sed "s/^\([a-z0-9_]*\)='\(.*\)'\$/\1=\2/" DIRECTORY/told.tmp > DIRECTORY/told.part
mv DIRECTORY/told.part "DIRECTORY/told.$reason"
exit 0
"#;
