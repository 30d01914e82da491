//! Ports on LANs from arguments.

use lan_nat::api::{IpConfigChange, Setting};
use opte::api::OpteError;
use oxide_vpc::api::{CreateLanPortReq, GuestLink, SetIpConfigReq};

use crate::args::CreateLanPort;

/// The request that creates the port.
pub(crate) fn create(args: CreateLanPort) -> Result<CreateLanPortReq, OpteError> {
    let cfg = IpConfigChange::of(&args.settings)?.create(args.guest_mac)?;
    let link = match args.tap {
        true => GuestLink::Tap,
        false => GuestLink::Veth { netns: args.netns },
    };
    Ok(CreateLanPortReq {
        name: args.name,
        lan: args.link,
        cfg,
        mtu: args.mtu,
        link,
    })
}

/// The request that changes a port so.
pub(crate) fn change(port_name: String, settings: &[Setting]) -> Result<SetIpConfigReq, OpteError> {
    let change = IpConfigChange::of(settings)?;
    Ok(SetIpConfigReq { port_name, change })
}
