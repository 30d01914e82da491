//! One host: a namespace with an `xde` and the `opteadm` to program it.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::netns::{run, run_with_input};
use crate::plan::{self, GuestPlan, Place};
use crate::topology::wait_for;
use crate::{Binaries, Failure, Lab, Namespace, Result, Running};

/// A host of the lab.
#[derive(Debug)]
pub struct Host {
    binaries: Binaries,
    namespace: Namespace,
    place: Place,
    socket: PathBuf,
    log: PathBuf,
    xde: Option<Running>,
}

impl Host {
    pub(crate) fn new(lab: &Lab, binaries: &Binaries, name: &str, place: Place) -> Result<Self> {
        let file = |extension: &str| lab.directory().join(format!("{name}.{extension}"));
        Ok(Self {
            binaries: binaries.clone(),
            namespace: lab.namespace(name)?,
            place,
            socket: file("sock"),
            log: file("log"),
            xde: None,
        })
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its address on the underlay.
    pub fn underlay(&self) -> Ipv6Addr {
        self.place.underlay()
    }

    /// Control socket of its driver.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What its driver has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Starts the driver, waits until it answers, and gives it the underlay links.
    ///
    /// # Errors
    /// If it ends or stays silent, with what it logged.
    pub fn start_xde(&mut self) -> Result<()> {
        let mut command = self.namespace.command(self.binaries.path("xde")?);
        command.arg("--socket").arg(&self.socket);
        let mut xde = Running::start(&mut command, &self.log)?;
        let answered = wait_for("xde to answer", || {
            !xde.is_alive() || self.opteadm("list-ports").is_ok()
        });
        if !xde.is_alive() || answered.is_err() {
            return Err(Failure::new(
                format!("start xde in {}", self.namespace.name()),
                self.log(),
            ));
        }
        self.xde = Some(xde);
        self.opteadm("set-xde-underlay u0 u1").map(drop)
    }

    /// Whether the driver is still running.
    pub fn xde_is_alive(&mut self) -> bool {
        self.xde.as_mut().is_some_and(Running::is_alive)
    }

    /// Process id of the driver, if one was started.
    pub fn xde_id(&self) -> Option<u32> {
        self.xde.as_ref().map(Running::id)
    }

    /// Kills the driver as a crash would.
    pub fn kill_xde(&mut self) {
        if let Some(xde) = self.xde.take() {
            xde.kill();
        }
    }

    /// Asks the driver to end.
    pub fn stop_xde(&mut self) {
        if let Some(xde) = self.xde.take() {
            xde.terminate();
        }
    }

    /// Runs `opteadm` with these arguments, split at spaces; its standard output.
    ///
    /// # Errors
    /// If it fails, with what it wrote on standard error.
    pub fn opteadm(&self, arguments: &str) -> Result<String> {
        run(&mut self.opteadm_command(arguments)?)
    }

    /// Runs `opteadm` for its outcome, good or bad.
    ///
    /// # Errors
    /// If it cannot be started at all.
    pub fn opteadm_outcome(&self, arguments: &str) -> Result<Output> {
        self.opteadm_command(arguments)?
            .output()
            .map_err(|e| Failure::new("run opteadm", e))
    }

    /// Creates a guest's port, its end in the guest's namespace: addresses, the ways in its VPC and out, what may come in.
    ///
    /// # Errors
    /// In the words of `opteadm`.
    pub fn create_port(&self, guest: &GuestPlan, namespace: &Namespace) -> Result<()> {
        self.create_port_with(guest, namespace, "")
    }

    /// The same with further options of `opteadm create-xde`, split at spaces.
    ///
    /// # Errors
    /// In the words of `opteadm`.
    pub fn create_port_with(
        &self,
        guest: &GuestPlan,
        namespace: &Namespace,
        options: &str,
    ) -> Result<()> {
        let GuestPlan { port, .. } = guest;
        self.opteadm(&format!(
            "{} {options}",
            create_arguments(guest, namespace.name())
        ))?;
        for (destination, target) in [
            (plan::SUBNET, format!("sub4={}", plan::SUBNET)),
            (plan::SUBNET_V6, format!("sub6={}", plan::SUBNET_V6)),
            ("0.0.0.0/0", "ig".to_owned()),
            ("::/0", "ig".to_owned()),
        ] {
            self.opteadm(&format!(
                "add-router-entry -p {port} {destination} {target} system"
            ))?;
        }
        for protocol in ["icmp", "icmp6"] {
            self.allow_in(guest, protocol, "any", 1000)?;
        }
        Ok(())
    }

    /// Adds a firewall rule that lets something in to a guest.
    ///
    /// # Errors
    /// In the words of `opteadm`.
    pub fn allow_in(
        &self,
        guest: &GuestPlan,
        protocol: &str,
        ports: &str,
        priority: u16,
    ) -> Result<String> {
        self.opteadm(&format!(
            "add-fw-rule -p {} --dir in --hosts any --protocol {protocol} --ports {ports} --action allow --priority {priority}",
            guest.port,
        ))
    }

    /// Makes these the external addresses of a guest's port beside its share of ports: further options of
    /// `opteadm set-external-ips`, split at spaces.
    ///
    /// # Errors
    /// In the words of `opteadm`.
    pub fn set_external_ips(&self, guest: &GuestPlan, options: &str) -> Result<()> {
        let GuestPlan { port, snat, .. } = guest;
        let (first, last) = snat.ports;
        self.opteadm(&format!(
            "set-external-ips -p {port} --snat-ip {} --snat-ip {} --snat-start {first} --snat-end {last} {options}",
            snat.ip, snat.ip6,
        ))
        .map(drop)
    }

    /// Tells where a guest of some host is: both its addresses.
    ///
    /// # Errors
    /// In the words of `opteadm`.
    pub fn set_v2p(&self, guest: &GuestPlan) -> Result<()> {
        self.v2p("set-v2p", guest)
    }

    /// Tells that nobody knows where a guest is: neither of its addresses.
    ///
    /// # Errors
    /// In the words of `opteadm`.
    pub fn clear_v2p(&self, guest: &GuestPlan) -> Result<()> {
        self.v2p("clear-v2p", guest)
    }

    fn v2p(&self, command: &str, guest: &GuestPlan) -> Result<()> {
        let GuestPlan {
            ip,
            ip6,
            mac,
            vni,
            place,
            ..
        } = guest;
        let underlay = place.underlay();
        self.opteadm(&format!("{command} {ip} {mac} {underlay} {vni}"))?;
        self.opteadm(&format!("{command} {ip6} {mac} {underlay} {vni}"))
            .map(drop)
    }

    /// Tells that everything outside is reached by the boundary.
    ///
    /// # Errors
    /// In the words of `opteadm`.
    pub fn set_v2b(&self) -> Result<()> {
        self.opteadm(&format!("set-v2b 0.0.0.0/0 {}", plan::BOUNDARY))?;
        self.opteadm(&format!("set-v2b ::/0 {}", plan::BOUNDARY))
            .map(drop)
    }

    /// Replaces all firewall rules of a guest's port, one text each.
    ///
    /// # Errors
    /// In the words of `opteadm`.
    pub fn set_firewall(&self, guest: &GuestPlan, rules: &[&str]) -> Result<()> {
        let mut command = self.opteadm_command(&format!("set-fw-rules -p {}", guest.port))?;
        run_with_input(&mut command, &rules.join("\n"))
    }

    /// How many packets the driver and its ports have dropped for `reason`, by its name in the driver's counters. What was never
    /// counted has no counter.
    ///
    /// # Errors
    /// In the words of `opteadm`.
    pub fn drops(&self, reason: &str) -> Result<u64> {
        Ok(self.drops_by_reason()?.get(reason).copied().unwrap_or(0))
    }

    /// How many packets the driver and its ports have dropped, by reason.
    ///
    /// # Errors
    /// In the words of `opteadm`.
    pub fn drops_by_reason(&self) -> Result<BTreeMap<String, u64>> {
        self.counted("drops")
    }

    /// The driver's other counters and its ports', by name, added up.
    ///
    /// # Errors
    /// In the words of `opteadm`.
    pub fn counters(&self) -> Result<BTreeMap<String, u64>> {
        self.counted("counters")
    }

    /// The counters of a port, by name.
    ///
    /// # Errors
    /// In the words of `opteadm`.
    pub fn port_counters(&self, port: &str) -> Result<BTreeMap<String, u64>> {
        let stats = self.stats(&format!("-p {port}"))?;
        let mut counters = BTreeMap::new();
        add_up(
            stats.get("ports").unwrap_or(&Value::Null),
            "counters",
            &mut counters,
        );
        Ok(counters)
    }

    /// How many packets the driver and its ports have dropped, for all reasons together.
    ///
    /// # Errors
    /// In the words of `opteadm`.
    pub fn all_drops(&self) -> Result<u64> {
        Ok(self.drops_by_reason()?.values().sum())
    }

    /// How many flows stand in the outbound half of a port's unified flow table.
    ///
    /// # Errors
    /// In the words of `opteadm`.
    pub fn uft_flows(&self, port: &str) -> Result<u64> {
        let table = self.opteadm(&format!("dump-uft -p {port}"))?;
        let heading = table
            .lines()
            .find_map(|line| line.strip_prefix("UFT Outbound: "));
        let count = heading.and_then(|counts| counts.split('/').next()?.trim().parse().ok());
        count.ok_or_else(|| Failure::new("count flows", table.lines().take(3).collect::<String>()))
    }

    fn counted(&self, group: &str) -> Result<BTreeMap<String, u64>> {
        let mut counters = BTreeMap::new();
        add_up(&self.stats("")?, group, &mut counters);
        Ok(counters)
    }

    fn stats(&self, options: &str) -> Result<Value> {
        let text = self.opteadm(&format!("dump-stats --json {options}"))?;
        serde_json::from_str(&text).map_err(|e| Failure::new("read the counters", e))
    }

    fn opteadm_command(&self, arguments: &str) -> Result<Command> {
        // Not inside the namespace: the socket is a file, and entering costs more than the command.
        let mut command = Command::new(self.binaries.path("opteadm")?);
        command
            .arg("--socket")
            .arg(&self.socket)
            .args(arguments.split_whitespace());
        Ok(command)
    }
}

/// Adds up every object of counters that is called `group`, wherever it stands: the driver's own, and each port's.
fn add_up(stats: &Value, group: &str, counters: &mut BTreeMap<String, u64>) {
    match stats {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::Object(counted) if name == group => {
                        for (reason, count) in counted {
                            *counters.entry(reason.clone()).or_default() +=
                                count.as_u64().unwrap_or_default();
                        }
                    }
                    value => add_up(value, group, counters),
                }
            }
        }
        Value::Array(elements) => elements
            .iter()
            .for_each(|element| add_up(element, group, counters)),
        _ => {}
    }
}

/// Arguments of `opteadm create-xde` for a guest whose end of the link goes to `namespace`.
fn create_arguments(guest: &GuestPlan, namespace: &str) -> String {
    let GuestPlan {
        port,
        mac,
        ip,
        ip6,
        vni,
        place,
        snat,
        ..
    } = guest;
    let (first, last) = snat.ports;
    format!(
        "create-xde {port} --guest-mac {mac} --private-ip {ip} --vpc-subnet {} --gateway-mac {} --gateway-ip {} \
         --private-ip {ip6} --vpc-subnet {} --gateway-ip {} --vpc-vni {vni} --src-underlay-addr {} \
         --snat-ip {} --snat-start {first} --snat-end {last} --snat-ip {} --netns {namespace}",
        plan::SUBNET,
        plan::GATEWAY_MAC,
        plan::GATEWAY,
        plan::SUBNET_V6,
        plan::CONFIGURED_GATEWAY_V6,
        place.underlay(),
        snat.ip,
        snat.ip6,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_of_driver_and_ports_add_up() {
        let stats = serde_json::json!({
            "drops": { "no_such_port": 3 },
            "ports": [
                { "name": "opte0", "drops": { "no_such_port": 1, "layer_default_deny": 7 }, "hits": 100 },
                { "name": "opte1", "drops": { "layer_default_deny": 2 } },
            ],
        });
        let mut counters = BTreeMap::new();
        add_up(&stats, "drops", &mut counters);
        assert_eq!(
            counters,
            BTreeMap::from([("no_such_port".into(), 4), ("layer_default_deny".into(), 9)])
        );
    }
}
