//! The tables of where addresses are.

use std::net::{IpAddr, Ipv6Addr};

use opte_headers::{MacAddr, Vni};
use oxide_vpc::api::{GuestPhysAddr, IpCidr, TunnelEndpoint};
use oxide_vpc::mapping::{Virt2Boundary, Virt2Phys};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn cidr(text: &str) -> IpCidr {
    text.parse().unwrap()
}

fn vni(id: u32) -> Vni {
    Vni::new(id).unwrap()
}

fn phys(last: u8) -> GuestPhysAddr {
    GuestPhysAddr {
        ether: MacAddr([0xa8, 0x40, 0x25, 0, 0, last]),
        ip: Ipv6Addr::new(0xfd00, 0, 0, u16::from(last), 0, 0, 0, 1),
    }
}

fn tep(last: u16) -> TunnelEndpoint {
    TunnelEndpoint {
        ip: Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, last),
        vni: vni(99),
    }
}

/// The published `ip_to_vni` went through every VPC of the host and gave back the lowest that had the address.
#[test]
fn equal_addresses_in_two_vpcs_are_two_guests() {
    let v2p = Virt2Phys::new();
    v2p.set(vni(10), ip("172.30.0.5"), phys(1));
    v2p.set(vni(20), ip("172.30.0.5"), phys(2));
    assert_eq!(v2p.vpc(vni(20)).get(ip("172.30.0.5")), Some(phys(2)));
    assert_eq!(v2p.vpc(vni(10)).get(ip("172.30.0.5")), Some(phys(1)));
    assert_eq!(v2p.vpc(vni(30)).get(ip("172.30.0.5")), None);
}

#[test]
fn a_change_bumps_the_epoch_of_its_vpc_only() {
    let v2p = Virt2Phys::new();
    let (own, other) = (v2p.vpc(vni(10)), v2p.vpc(vni(20)));
    let (own0, other0) = (own.epoch().get(), other.epoch().get());
    v2p.set(vni(10), ip("172.30.0.5"), phys(1));
    let own1 = own.epoch().get();
    assert_ne!(own0, own1);
    v2p.set(vni(10), ip("172.30.0.5"), phys(1));
    assert_eq!(own.epoch().get(), own1, "the same again is no change");
    assert_eq!(v2p.clear(vni(10), ip("172.30.0.6")), None);
    assert_eq!(own.epoch().get(), own1);
    assert_eq!(v2p.clear(vni(10), ip("172.30.0.5")), Some(phys(1)));
    assert_ne!(own.epoch().get(), own1);
    assert_eq!(other.epoch().get(), other0);
}

#[test]
fn a_port_that_goes_away_leaves_the_mapping_of_its_successor() {
    let v2p = Virt2Phys::new();
    v2p.set(vni(10), ip("172.30.0.5"), phys(2));
    assert!(!v2p.clear_exact(vni(10), ip("172.30.0.5"), phys(1)));
    assert_eq!(v2p.vpc(vni(10)).get(ip("172.30.0.5")), Some(phys(2)));
    assert!(v2p.clear_exact(vni(10), ip("172.30.0.5"), phys(2)));
}

#[test]
fn pages_of_guests_join_to_the_whole() {
    let v2p = Virt2Phys::new();
    for (id, last) in [(10, 1), (10, 2), (10, 3), (20, 1), (20, 9), (40, 7)] {
        v2p.set(vni(id), IpAddr::from([172, 30, 0, last]), phys(last));
    }
    v2p.vpc(vni(30));
    let whole = v2p.page(0, 100);
    assert_eq!(whole.len(), 6);
    for size in 1..=6 {
        let pages = (0..6).step_by(size).map(|skip| v2p.page(skip, size));
        assert_eq!(pages.clone().map(|page| page.len()).max(), Some(size));
        assert_eq!(
            pages.flatten().collect::<Vec<_>>(),
            whole,
            "pages of {size}"
        );
    }
    assert_eq!(v2p.page(6, 10), []);
}

#[test]
fn the_longest_prefix_leads_outside() {
    let v2b = Virt2Boundary::new();
    v2b.set(cidr("0.0.0.0/0"), &[tep(1)]);
    v2b.set(cidr("192.0.2.0/24"), &[tep(2)]);
    assert_eq!(v2b.lookup(ip("192.0.2.7"), 0), Some(tep(2)));
    assert_eq!(v2b.lookup(ip("198.51.100.1"), 0), Some(tep(1)));
    assert_eq!(
        v2b.lookup(ip("2001:db8::1"), 0),
        None,
        "the default route of IPv4 takes no IPv6"
    );
    assert!(v2b.clear(cidr("192.0.2.0/24"), &[tep(2)]));
    assert_eq!(v2b.lookup(ip("192.0.2.7"), 0), Some(tep(1)));
    assert!(!v2b.clear(cidr("192.0.2.0/24"), &[tep(2)]));
}

#[test]
fn flows_spread_over_the_endpoints_and_only_those_of_a_lost_one_move() {
    let v2b = Virt2Boundary::new();
    let all = [tep(1), tep(2), tep(3), tep(4)];
    for endpoint in all {
        v2b.set(cidr("::/0"), &[endpoint]);
    }
    let far = ip("2001:db8::1");
    let choose = |entropy| v2b.lookup(far, entropy).unwrap();
    let before: Vec<_> = (0..4000).map(choose).collect();
    for endpoint in all {
        let share = before.iter().filter(|&&e| e == endpoint).count();
        assert!(
            (800..1200).contains(&share),
            "{share} of 4000 flows to {endpoint:?}"
        );
    }
    let epoch = v2b.epoch().get();
    assert!(v2b.clear(cidr("::/0"), &[tep(3)]));
    assert_ne!(v2b.epoch().get(), epoch);
    for (entropy, &was) in (0u32..).zip(&before) {
        let is = v2b.lookup(far, entropy).unwrap();
        assert!(if was == tep(3) {
            is != tep(3)
        } else {
            is == was
        });
    }
    assert_eq!(
        v2b.page(0, 10),
        [(cidr("::/0"), vec![tep(1), tep(2), tep(4)])]
    );
    assert_eq!(v2b.page(1, 10), []);
}
