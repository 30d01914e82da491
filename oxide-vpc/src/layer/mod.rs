//! The layers of a VPC port. Outbound a packet goes through gateway, firewall, router, NAT and overlay, inbound the other way
//! around.

pub(crate) mod firewall;
pub(crate) mod gateway;
pub(crate) mod nat;
pub(crate) mod overlay;
pub(crate) mod router;

/// The gateway: lets nothing but the guest's own addresses through, and answers for the VPC's router and its services.
pub const GATEWAY: &str = "gateway";
/// The firewall.
pub const FIREWALL: &str = "firewall";
/// The router: decides whether a packet stays in the VPC.
pub const ROUTER: &str = "router";
/// Network address translation for what leaves the VPC.
pub const NAT: &str = "nat";
/// The overlay: Geneve tunnels to other hosts and to the boundary.
pub const OVERLAY: &str = "overlay";
