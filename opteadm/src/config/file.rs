//! A configuration from a text and back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use opte::api::{OpteError, Request};
use oxide_vpc::api::{
    AttachedSubnet, FirewallRule, IpCidr, SetPeersReq, SetVirt2BoundaryReq, SetVirt2PhysReq,
    SetXdeUnderlayReq, TransitCidr,
};

use super::locate::{Step, in_lists_of_ports, line_at, line_of};
use super::{Config, Port, Route, Text};

/// How a configuration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// TOML.
    Toml,
    /// JSON.
    Json,
}

/// What is wrong with a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ConfigError {}

impl Format {
    /// How this text is written: JSON begins with a brace, which TOML never does.
    pub fn of(text: &str) -> Self {
        if text.trim_start().starts_with('{') {
            Self::Json
        } else {
            Self::Toml
        }
    }
}

impl Config {
    /// The configuration in a text of either format, checked as far as it can be by itself.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let format = Format::of(text);
        let config = match format {
            Format::Toml => toml::from_str::<Self>(text).map_err(|error| {
                let message = one_line(error.message());
                let offset = in_list(text, &message);
                let offset = offset.or(error.span().map(|span| span.start));
                let line = line_at(text, offset.unwrap_or_default());
                ConfigError { line, message }
            }),
            Format::Json => serde_json::from_str::<Self>(text).map_err(|error| ConfigError {
                line: error.line(),
                message: without_place(&error.to_string()),
            }),
        }?;
        config.check().map_err(|fault| ConfigError {
            line: line_of(text, format, &fault.path),
            message: fault.message,
        })?;
        Ok(config)
    }

    /// The text that [`Config::parse`] takes.
    pub fn to_text(&self, format: Format) -> Result<String, ConfigError> {
        let written = match format {
            Format::Toml => toml::to_string(self).map_err(|error| error.to_string()),
            Format::Json => serde_json::to_string_pretty(self)
                .map(|text| text + "\n")
                .map_err(|error| error.to_string()),
        };
        written.map_err(|message| ConfigError { line: 0, message })
    }

    /// Checks what the types cannot say.
    fn check(&self) -> Result<(), Fault> {
        self.check_underlay()?;
        let mut names = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        for (at, port) in self.ports.iter().enumerate() {
            let path = [Step::Key("port"), Step::Index(at)];
            port.check().map_err(|fault| fault.under(&path))?;
            let name = &port.name;
            if names.insert(name, at).is_some() {
                let fault = Fault::new(
                    &[Step::Key("name")],
                    format!("port '{name}' is there twice"),
                );
                return Err(fault.under(&path));
            }
            if let Some(other) = addresses.insert((port.vni, port.guest_mac), name) {
                let message = format!(
                    "port '{name}' has the MAC address {} in VNI {} that port '{other}' has",
                    port.guest_mac, port.vni
                );
                return Err(Fault::new(&[Step::Key("guest-mac")], message).under(&path));
            }
        }
        self.check_lans()?;
        self.check_mappings()?;
        self.check_multicast()
    }

    fn check_underlay(&self) -> Result<(), Fault> {
        let path = [Step::Key("underlay")];
        match self.underlay.as_slice() {
            [] => Ok(()),
            [u1, rest @ ..] if rest.len() < 2 => SetXdeUnderlayReq {
                u1: u1.clone(),
                u2: rest.first().cloned(),
            }
            .validate()
            .map_err(|error| Fault::new(&path, error)),
            links => {
                let message = format!(
                    "the underlay has {} links, at most 2 are taken",
                    links.len()
                );
                Err(Fault::new(&path, message))
            }
        }
    }

    fn check_mappings(&self) -> Result<(), Fault> {
        let mut guests = BTreeSet::new();
        for (at, v2p) in self.v2p.iter().enumerate() {
            let path = [Step::Key("v2p"), Step::Index(at)];
            let request = SetVirt2PhysReq::from(*v2p);
            request
                .validate()
                .map_err(|error| Fault::new(&path, error))?;
            if !guests.insert((v2p.vni, v2p.address)) {
                let message = format!("{} of VNI {} is mapped twice", v2p.address, v2p.vni);
                return Err(Fault::new(&[Step::Key("address")], message).under(&path));
            }
        }
        let mut prefixes = BTreeSet::new();
        for (at, v2b) in self.v2b.iter().enumerate() {
            let path = [Step::Key("v2b"), Step::Index(at)];
            let request = SetVirt2BoundaryReq::from(v2b);
            request
                .validate()
                .map_err(|error| Fault::new(&path, error))?;
            if !prefixes.insert((v2b.prefix, v2b.vni)) {
                let message = format!("{} is mapped twice", v2b.prefix);
                return Err(Fault::new(&[Step::Key("prefix")], message).under(&path));
            }
        }
        Ok(())
    }
}

impl Port {
    fn check(&self) -> Result<(), Fault> {
        if self.tap && self.netns.is_some() {
            let message = "a TAP is in no namespace: either tap or netns";
            return Err(Fault::new(&[Step::Key("netns")], message));
        }
        let request = self.request().map_err(|error| {
            let at = if self.ipv4.is_none() { "name" } else { "ipv4" };
            Fault::new(&[Step::Key(at)], error)
        })?;
        let part = |error: &OpteError| match error {
            OpteError::BadName { .. } => "name",
            OpteError::InvalidArgument { name, .. } if name == "MTU" => "mtu",
            OpteError::InvalidArgument { .. } => "netns",
            OpteError::InvalidIpCfg { reason } if reason.starts_with("underlay address") => {
                "underlay-address"
            }
            OpteError::InvalidIpCfg { reason } if reason.starts_with("gateway MAC") => {
                "gateway-mac"
            }
            OpteError::InvalidIpCfg { reason } if reason.contains(" MAC address") => "guest-mac",
            _ => self.family_at_fault(),
        };
        request.validate().map_err(|error| {
            let part = part(&error);
            Fault::new(&[Step::Key(part)], error)
        })?;
        let mut places = BTreeSet::new();
        for (at, route) in self.routes.iter().enumerate() {
            let path = [Step::Key("routes"), Step::Index(at)];
            let entry = route.0.0;
            entry.validate().map_err(|error| Fault::new(&path, error))?;
            if !places.insert((entry.dest, entry.class)) {
                let message = format!("there are two {} routes to {}", entry.class, entry.dest);
                return Err(Fault::new(&path, message));
            }
        }
        let req = SetPeersReq {
            port_name: self.name.clone(),
            peers: self.peers.iter().copied().collect(),
        };
        let path = [Step::Key("peers")];
        req.validate().map_err(|error| Fault::new(&path, error))?;
        if self.peers.contains(&self.vni) {
            let message = format!("{} is the port's own VPC", self.vni);
            return Err(Fault::new(&path, message));
        }
        for (key, meter) in [("meter-in", &self.meter_in), ("meter-out", &self.meter_out)] {
            let valid = meter.map_or(Ok(()), |meter| meter.0.validate());
            valid.map_err(|error| Fault::new(&[Step::Key(key)], error))?;
        }
        let valid = self.options.map_or(Ok(()), |options| options.0.validate());
        valid.map_err(|error| Fault::new(&[Step::Key("options")], error))?;
        self.check_prefixes()
    }

    fn check_prefixes(&self) -> Result<(), Fault> {
        let transit = self.transit.iter().map(|Text(transit)| {
            let valid = transit.validate();
            ("transit", transit.cidr, valid)
        });
        let subnets = self.subnets.iter().map(|Text(subnet)| {
            let valid = subnet.validate();
            ("subnets", subnet.cidr, valid)
        });
        let mut seen: BTreeSet<(&str, IpCidr)> = BTreeSet::new();
        let places = (0..self.transit.len()).chain(0..self.subnets.len());
        for (at, (list, cidr, valid)) in places.zip(transit.chain(subnets)) {
            let path = [Step::Key(list), Step::Index(at)];
            valid.map_err(|error| Fault::new(&path, error))?;
            let (family, there) = if cidr.is_ipv4() {
                ("IPv4", self.ipv4.is_some())
            } else {
                ("IPv6", self.ipv6.is_some())
            };
            if !there {
                let message = format!("{cidr}: port '{}' has no {family} address", self.name);
                return Err(Fault::new(&path, message));
            }
            if !seen.insert((list, cidr)) {
                return Err(Fault::new(&path, format!("{cidr} is there twice")));
            }
        }
        Ok(())
    }

    /// Which family is at fault, if one is without the other.
    fn family_at_fault(&self) -> &'static str {
        let without = |part: &str| {
            let mut port = self.clone();
            match part {
                "ipv4" => port.ipv4 = None,
                _ => port.ipv6 = None,
            }
            port.request()
                .is_ok_and(|request| request.validate().is_ok())
        };
        match (self.ipv4.is_some(), self.ipv6.is_some()) {
            (true, true) if without("ipv4") => "ipv4",
            (true, true) if without("ipv6") => "ipv6",
            (true, false) => "ipv4",
            (false, true) => "ipv6",
            _ => "name",
        }
    }
}

/// What is wrong, and the way to it.
pub(super) struct Fault {
    path: Vec<Step>,
    message: String,
}

impl Fault {
    pub(super) fn new(path: &[Step], message: impl ToString) -> Self {
        Self {
            path: path.to_vec(),
            message: message.to_string(),
        }
    }

    pub(super) fn under(mut self, path: &[Step]) -> Self {
        self.path.splice(0..0, path.iter().copied());
        self
    }
}

/// Where the rule or route stands that this message is about.
fn in_list(text: &str, message: &str) -> Option<usize> {
    let rule = |text: &str| {
        let wrong = text.parse::<FirewallRule>().err();
        wrong.is_some_and(|error| error.to_string() == message)
    };
    let route = |text: &str| {
        let wrong = text.parse::<Route>().err();
        wrong.is_some_and(|error| error.to_string() == message)
    };
    let transit = |text: &str| {
        let wrong = text.parse::<TransitCidr>().err();
        wrong.is_some_and(|error| error.to_string() == message)
    };
    let subnet = |text: &str| {
        let wrong = text.parse::<AttachedSubnet>().err();
        wrong.is_some_and(|error| error.to_string() == message)
    };
    in_lists_of_ports(text, "firewall", rule)
        .or_else(|| in_lists_of_ports(text, "routes", route))
        .or_else(|| in_lists_of_ports(text, "transit", transit))
        .or_else(|| in_lists_of_ports(text, "subnets", subnet))
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// The message of an error that ends with the place, which is said in another way here.
fn without_place(text: &str) -> String {
    let end = text.rfind(" at line ").unwrap_or(text.len());
    one_line(text.get(..end).unwrap_or(text))
}
