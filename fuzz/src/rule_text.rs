//! Texts that people write: what is parsed is shown, and what is shown is parsed to the same.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use opte::api::{DomainName, IpCidr, PortRange};
use opte_headers::{MacAddr, Vni};
use oxide_vpc::api::{FirewallRule, Ports, RouterTarget, parse_rules};

/// Parses the bytes as everything that is text.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match parse_rules(&text) {
        Ok(rules) => {
            let shown: Vec<String> = rules.iter().map(ToString::to_string).collect();
            assert_eq!(parse_rules(&shown.join("\n")), Ok(rules));
        }
        Err(error) => assert!(!error.to_string().contains('\n') || text.contains('\n')),
    }
    same::<FirewallRule>(&text);
    same::<Ports>(&text);
    same::<PortRange>(&text);
    same::<IpCidr>(&text);
    same::<RouterTarget>(&text);
    same::<MacAddr>(&text);
    same::<Vni>(&text);
    same::<DomainName>(&text);
}

fn same<T: FromStr<Err: Debug + Display> + Display + Debug + PartialEq>(text: &str) {
    match text.parse::<T>() {
        Ok(value) => {
            let shown = value.to_string();
            let again: T = shown.parse().unwrap_or_else(|e| panic!("'{shown}': {e}"));
            assert_eq!(again, value, "'{shown}'");
        }
        Err(error) => drop(error.to_string()),
    }
}
