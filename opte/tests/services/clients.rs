//! A whole life with isc-dhcp-client, both families, message by message.

use opte::services::{Answer, Gateway6, dhcp4, dhcp6};

use crate::captures::{
    DHCP_DISCOVER, DHCP_RELEASE, DHCP_RENEWAL, DHCP_REQUEST, DHCP6_INFORMATION_REQUEST,
    DHCP6_RELEASE, DHCP6_REQUEST, DHCP6_SOLICIT,
};
use crate::{GATEWAY_IP, GATEWAY_MAC, GUEST_IP, GUEST_MAC, hex, refusal, reply};

#[test]
fn a_life_with_ipv4() {
    let server = dhcp4::Server::new(&dhcp4::Config::new(
        GUEST_MAC,
        GUEST_IP,
        GATEWAY_MAC,
        GATEWAY_IP,
    ));
    for (request, ty, client_ip) in [
        (DHCP_DISCOVER, 2, [0; 4]),
        (DHCP_REQUEST, 5, [0; 4]),
        (DHCP_RENEWAL, 5, GUEST_IP.octets()),
    ] {
        let (request, reply) = (hex(request), reply(&server, &hex(request)));
        assert_eq!(reply[46..50], request[46..50], "transaction");
        assert_eq!(reply[282..285], [53, 1, ty]);
        assert_eq!(reply[54..58], client_ip);
        assert_eq!(reply[58..62], GUEST_IP.octets());
        assert_eq!(reply[30..34], GUEST_IP.octets());
    }
    assert_eq!(refusal(&server, &hex(DHCP_RELEASE)), Ok(Answer::Accepted));
}

#[test]
fn a_life_with_ipv6() {
    let address = "fd00::5".parse().unwrap();
    let server = dhcp6::Server::new(&dhcp6::Config {
        dns_servers: vec!["fd00::53".parse().unwrap()],
        ..dhcp6::Config::new(GUEST_MAC, address, Gateway6::new(GATEWAY_MAC))
    });
    let leased = hex("0005 0018 fd000000000000000000000000000005 ffffffff ffffffff");
    let dns = hex("0017 0010 fd000000000000000000000000000053");
    let success = hex("000d 0002 0000");
    for (request, ty, told) in [
        (DHCP6_SOLICIT, 2, [&leased, &dns]),
        (DHCP6_REQUEST, 7, [&leased, &dns]),
        (DHCP6_INFORMATION_REQUEST, 7, [&dns, &dns]),
        (DHCP6_RELEASE, 7, [&success, &success]),
    ] {
        let (request, reply) = (hex(request), reply(&server, &hex(request)));
        assert_eq!(reply[62], ty);
        assert_eq!(reply[63..66], request[63..66], "transaction");
        for option in told {
            assert!(
                reply.windows(option.len()).any(|window| window == option),
                "{option:x?} of {ty}"
            );
        }
    }
}
