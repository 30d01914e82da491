//! The configuration of a running port is set anew.

mod station;

use lan_nat::api::{IpConfigChange, Setting, SettingError};
use lan_nat::{ANNOUNCEMENT, IpConfig};
use opte::api::{OpteError, PortRange};
use opte::{Direction, DropReason};
use opte_headers::{
    Arp, ArpGet, Ethernet, EthernetGet, Header, Ipv4, Ipv4Get, MacAddr, Udp, UdpGet,
};

use station::*;

/// The public address and port that a datagram of the guest leaves with.
fn leaves_as(port: &lan_nat::LanPort, source: u16) -> Result<(String, u16), DropReason> {
    let frame = udp(guest(), (GATEWAY, FAR), (source, 53));
    let out = process(port, Direction::Out, &frame)?;
    let (ip, _) = Ipv4::parse(&out[14..]).unwrap();
    let (datagram, _) = Udp::parse(&out[34..]).unwrap();
    Ok((ip.source().to_string(), datagram.source()))
}

/// Whether the answer to what left so reaches the guest.
fn is_answered(port: &lan_nat::LanPort, cfg: &IpConfig, external: u16) -> bool {
    let public = (cfg.public_mac, cfg.public_ip);
    let answer = udp((GATEWAY, FAR), public, (53, external));
    process(port, Direction::In, &answer).is_ok()
}

fn set(port: &lan_nat::LanPort, settings: &[&str]) -> Result<IpConfig, OpteError> {
    let settings: Vec<Setting> = settings.iter().map(|s| s.parse().unwrap()).collect();
    let change = IpConfigChange::of(&settings).unwrap();
    let cfg = change.change(&port.cfg())?;
    port.set(&cfg).map(|()| cfg)
}

#[test]
fn another_gateway_changes_no_flow() {
    let port = running();
    let before = leaves_as(&port, 5000).unwrap();
    let cfg = set(&port, &["gw_mac=78:23:ae:00:00:02", "gw_ip=10.0.0.2"]).unwrap();
    assert_eq!(leaves_as(&port, 5000).unwrap(), before);
    assert!(is_answered(&port, &cfg, before.1));
    assert_eq!(port.port().counters().flows, 1);
    let frame = udp(guest(), (GATEWAY, FAR), (5000, 53));
    let out = process(&port, Direction::Out, &frame).unwrap();
    let (ethernet, _) = Ethernet::parse(&out).unwrap();
    assert_eq!(ethernet.destination(), cfg.gateway_mac);
    let asked = arp(guest(), "10.0.0.2".parse().unwrap());
    assert!(process(&port, Direction::Out, &asked).is_ok());
    let asked = arp(guest(), "10.0.0.1".parse().unwrap());
    assert!(process(&port, Direction::Out, &asked).is_err());
}

#[test]
fn more_ports_change_no_flow_and_fewer_end_those_of_ports_that_go() {
    let port = running();
    let before: Vec<u16> = (5000..5100)
        .map(|source| leaves_as(&port, source).unwrap().1)
        .collect();
    set(&port, &["port_start=1024", "port_end=9999"]).unwrap();
    let after = (5000..5100).map(|source| leaves_as(&port, source).unwrap().1);
    assert_eq!(after.collect::<Vec<_>>(), before);

    let cfg = set(&port, &["port_start=2000", "port_end=3000"]).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for (source, external) in (5000..5100).zip(before) {
        let stays = cfg.ports.contains(external);
        assert_eq!(is_answered(&port, &cfg, external), stays, "{external}");
        let (_, now) = leaves_as(&port, source).unwrap();
        assert_eq!(now == external, stays, "{external} became {now}");
        assert!(cfg.ports.contains(now));
        assert!(seen.insert(now), "{now} has two flows");
    }
    let [_, (_, usage), _] = port.nat_usage();
    assert_eq!((usage.ports, usage.leased), (1001, 100));
}

#[test]
fn another_public_address_ends_the_flows_and_is_found() {
    let port = running();
    let (ip, external) = leaves_as(&port, 5000).unwrap();
    assert_eq!(ip, "10.0.0.99");
    let before = port.cfg();
    let cfg = set(&port, &["public_ip=10.0.0.98"]).unwrap();
    assert!(!is_answered(&port, &before, external));
    assert!(!is_answered(&port, &cfg, external));
    let (ip, external) = leaves_as(&port, 5000).unwrap();
    assert_eq!(ip, "10.0.0.98");
    assert!(is_answered(&port, &cfg, external));
    let host = (HOST, "10.0.0.7".parse().unwrap());
    assert!(process(&port, Direction::In, &arp(host, before.public_ip)).is_err());
    let reply = process(&port, Direction::In, &arp(host, cfg.public_ip)).unwrap();
    let (answer, _) = Arp::parse(&reply[14..]).unwrap();
    assert_eq!(answer.sender_mac(), MacAddr([0xa8, 0x40, 0x25, 0, 0, 0x62]));
    let announced: [u8; ANNOUNCEMENT] = port.announcement();
    let (ethernet, rest) = Ethernet::parse(&announced).unwrap();
    let (message, _) = Arp::parse(rest).unwrap();
    assert!(ethernet.destination().is_broadcast());
    assert_eq!(
        (message.sender_mac(), message.sender_ip()),
        (cfg.public_mac, cfg.public_ip)
    );
    assert_eq!(message.target_ip(), cfg.public_ip);
}

#[test]
fn another_private_address_is_the_guests() {
    let port = running();
    leaves_as(&port, 5000).unwrap();
    let cfg = set(&port, &["private_ip=192.168.7.2"]).unwrap();
    assert!(leaves_as(&port, 5000).is_err());
    let frame = udp((GUEST, cfg.private_ip), (GATEWAY, FAR), (5000, 53));
    let out = process(&port, Direction::Out, &frame).unwrap();
    let (datagram, _) = Udp::parse(&out[34..]).unwrap();
    assert!(is_answered(&port, &cfg, datagram.source()));
}

#[test]
fn a_mac_address_of_its_own_stays() {
    let port = running();
    let own = MacAddr([2, 0, 0, 0, 0, 9]);
    let cfg = set(&port, &["public_mac=02:00:00:00:00:09"]).unwrap();
    assert_eq!(cfg.public_mac, own);
    let cfg = set(&port, &["public_ip=10.0.0.98"]).unwrap();
    assert_eq!(cfg.public_mac, own);
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let port = running();
    let before = leaves_as(&port, 5000).unwrap();
    for (settings, message) in [
        (
            &["public_ip=10.0.1.99"][..],
            "public_ip 10.0.1.99 is not in vpc_sub4 10.0.0.0/24",
        ),
        (
            &["vpc_sub4=192.168.0.0/24"],
            "public_ip 10.0.0.99 is not in vpc_sub4 192.168.0.0/24",
        ),
        (
            &["public_ip=10.0.0.255"],
            "public_ip 10.0.0.255 is no host's: it is the first or the last of vpc_sub4 10.0.0.0/24",
        ),
        (
            &["gw_ip=10.0.0.99"],
            "public_ip and gw_ip are both 10.0.0.99, they must differ",
        ),
        (
            &["private_ip=224.0.0.5"],
            "private_ip 224.0.0.5 is no host's: any unicast address is possible",
        ),
        (
            &["port_start=5000"],
            "port_start 5000 is behind port_end 4096",
        ),
        (
            &["port_start=0"],
            "port_start 0 is not a port from 1 to 65535",
        ),
        (
            &["gw_mac=ff:ff:ff:ff:ff:ff"],
            "gw_mac FF:FF:FF:FF:FF:FF is no station's: that of one is neither a group's nor zero",
        ),
    ] {
        let refused = set(&port, settings).unwrap_err().to_string();
        assert_eq!(refused, format!("invalid IP configuration: {message}"));
    }
    port.port().pause().unwrap();
    let refused = set(&port, &["gw_ip=10.0.0.2"]).unwrap_err();
    assert_eq!(refused.to_string(), "port 'guest1' is paused");
    port.port().start();
    assert_eq!(port.cfg(), config());
    assert_eq!(leaves_as(&port, 5000).unwrap(), before);
}

#[test]
fn settings_are_pairs_of_known_keys() {
    for (text, message) in [
        ("gw_ip", "'gw_ip' is not key=value; possible keys are "),
        ("gw=10.0.0.1", "there is no key 'gw', possible are "),
        (
            "gw_ip=10.0.0",
            "gw_ip '10.0.0' is not an IPv4 address such as 10.0.0.99",
        ),
        (
            "port_end=70000",
            "port_end '70000' is not a port from 1 to 65535",
        ),
        (
            "gw_mac=10.0.0.1",
            "gw_mac '10.0.0.1' is not a MAC address such as 78:23:ae:5d:4f:0d",
        ),
    ] {
        let refused = text.parse::<Setting>().unwrap_err().to_string();
        assert!(refused.starts_with(message), "{refused}");
    }
    let twice: [Setting; 2] = ["gw_ip=10.0.0.1", "gw_ip=10.0.0.2"].map(|s| s.parse().unwrap());
    assert_eq!(
        IpConfigChange::of(&twice),
        Err(SettingError::Twice { key: "gw_ip" })
    );
    assert_eq!(
        IpConfigChange::of(&twice[..1]).unwrap().create(None),
        Err(SettingError::Missing { key: "private_ip" })
    );
    let whole = IpConfigChange::from(&config());
    assert_eq!(whole.create(Some(GUEST)), Ok(config()));
    assert_eq!(PortRange::new(1025, 4096), Ok(config().ports));
}
