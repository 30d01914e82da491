//! Why a command failed.

use alloc::string::String;
use core::fmt;

use opte_headers::{MacAddr, Vni};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::{IpCidr, OpteCmd};
use crate::Direction;

/// Why a command failed. A command that failed has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum OpteError {
    /// The request does not begin as a request does.
    BadMagic {
        /// The number found in place of the magic number.
        found: u32,
    },
    /// The two sides were built with other definitions of the commands.
    BadApiVersion {
        /// The version of the one who asks.
        client: u64,
        /// The version of the driver.
        driver: u64,
    },
    /// The number stands for no command.
    UnknownCommand {
        /// The number.
        code: u32,
    },
    /// The request ends before it should.
    RequestTruncated {
        /// Octets that were announced or are needed.
        needed: u64,
        /// Octets there were.
        available: u64,
    },
    /// The request is larger than a driver takes.
    RequestTooLarge {
        /// Its octets.
        length: u64,
        /// The octets a driver takes.
        max: u64,
    },
    /// Octets follow the end of the request.
    TrailingBytes {
        /// How many.
        count: u64,
    },
    /// The body is no request of the command.
    MalformedRequest {
        /// The command.
        command: OpteCmd,
        /// What the decoder says.
        reason: String,
    },
    /// The answer does not fit what the client takes. The answer is kept: the same request id asks for it again.
    RespTooLarge {
        /// Octets of the answer.
        needed: u64,
        /// Octets the client takes.
        given: u64,
    },
    /// The answer could not be encoded.
    SerCmdResp {
        /// The command.
        command: OpteCmd,
        /// What the encoder says.
        reason: String,
    },
    /// The request id was used for another request before.
    RequestIdReused {
        /// The sequence number of the request.
        sequence: u64,
    },
    /// The request was meant for a driver that has been restarted since.
    DriverRestarted {
        /// The driver that was meant.
        expected: u64,
        /// The driver that answers.
        actual: u64,
    },
    /// The client may not give commands.
    PermissionDenied {
        /// Its user.
        uid: u32,
    },

    /// The name cannot be a name of this kind of thing.
    BadName {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: BadName,
    },
    /// No port has this name.
    PortNotFound {
        /// The name.
        port: String,
    },
    /// A port has this name already.
    PortExists {
        /// The name.
        port: String,
    },
    /// A port of the same network has this MAC address already.
    MacExists {
        /// The port that has it.
        port: String,
        /// The network.
        vni: Vni,
        /// The address.
        mac: MacAddr,
    },
    /// The port could not be made.
    PortCreate {
        /// The port.
        port: String,
        /// What failed.
        reason: String,
    },
    /// The port is in a state in which the command is not possible.
    BadState {
        /// The port.
        port: String,
        /// Its state.
        state: String,
    },
    /// The port is of a network that the command is not for.
    WrongNetwork {
        /// The port.
        port: String,
        /// Its network.
        network: String,
        /// The network that the command is for.
        expected: String,
    },
    /// A station of the LAN has this address already.
    StationExists {
        /// The port that has it.
        port: String,
        /// The link to the LAN.
        link: String,
        /// The address: of IP, or of the link layer.
        address: String,
    },
    /// The port has no layer of this name.
    LayerNotFound {
        /// The port.
        port: String,
        /// The name.
        layer: String,
    },
    /// The layer has no rule with this number in this direction.
    RuleNotFound {
        /// The layer.
        layer: String,
        /// The direction.
        dir: Direction,
        /// The number.
        id: u64,
    },
    /// A layer cannot be put where it was asked for.
    BadLayerPos {
        /// The layer.
        layer: String,
        /// The place.
        pos: String,
    },
    /// A table or a pool has no place left.
    MaxCapacity {
        /// What is full.
        what: String,
        /// How many it holds.
        limit: u64,
    },

    /// The destination cannot be routed to the target.
    InvalidRouterEntry {
        /// The destination.
        dest: IpCidr,
        /// The target.
        target: String,
        /// Why not.
        reason: String,
    },
    /// The port has no such route.
    RouterEntryNotFound {
        /// The destination.
        dest: IpCidr,
        /// The target.
        target: String,
        /// `system` or `custom`.
        class: String,
    },
    /// The port has this route already.
    RouterEntryExists {
        /// The destination.
        dest: IpCidr,
        /// The target.
        target: String,
        /// `system` or `custom`.
        class: String,
    },
    /// The addresses do not fit each other or the port.
    InvalidIpCfg {
        /// What does not fit.
        reason: String,
    },
    /// An argument is out of its range.
    InvalidArgument {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The port's guest may not forward packets of this prefix.
    TransitCidrNotFound {
        /// The port.
        port: String,
        /// The prefix.
        cidr: IpCidr,
        /// In this direction; `None` for neither.
        dir: Option<Direction>,
    },
    /// No such subnet is attached to the port.
    SubnetNotFound {
        /// The port.
        port: String,
        /// The subnet.
        cidr: IpCidr,
    },
    /// There is no such mapping.
    MappingNotFound {
        /// What was to be mapped.
        what: String,
    },

    /// A step of a batch cannot be done; none was.
    BatchStep {
        /// Which, counted from 0.
        step: u64,
        /// Its command.
        command: OpteCmd,
        /// Why not.
        reason: String,
    },
    /// The configuration is no longer the one that a batch was made for.
    ConfigChanged {
        /// The one it was made for.
        expected: u64,
        /// The one there is.
        actual: u64,
    },
    /// Not all steps of a batch have come.
    BatchIncomplete {
        /// How many there should be.
        expected: u64,
        /// How many there are.
        actual: u64,
    },

    /// The command needs underlay links and none are set.
    UnderlayNotSet,
    /// Underlay links are set already.
    UnderlayExists {
        /// Their names, with a comma between them.
        links: String,
    },
    /// The underlay links are in use by ports.
    UnderlayInUse {
        /// How many ports.
        ports: u64,
    },
    /// There is no link of this name.
    LinkNotFound {
        /// The name.
        link: String,
    },
    /// The operating system refused.
    System {
        /// Its error number.
        errno: i32,
        /// What was asked of it and what it said.
        message: String,
    },
}

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum BadName {
    /// It is empty.
    Empty,
    /// It has more than 15 octets, the most a Linux link's name has.
    TooLong,
    /// It has another character than letters, digits, `_`, `-` and `.`, or is `.` or `..`.
    Character,
}

impl OpteError {
    /// The number of the POSIX error that is nearest to this one, in the numbering of Linux.
    pub const fn errno(&self) -> i32 {
        match self {
            Self::BadMagic { .. } | Self::BadApiVersion { .. } => EPROTO,
            Self::UnknownCommand { .. } => ENOTTY,
            Self::RequestTruncated { .. }
            | Self::RequestTooLarge { .. }
            | Self::TrailingBytes { .. } => EBADMSG,
            Self::MalformedRequest { .. } | Self::SerCmdResp { .. } => ENOMSG,
            Self::RespTooLarge { .. } => ENOBUFS,
            Self::RequestIdReused { .. } => EALREADY,
            Self::DriverRestarted { .. } | Self::ConfigChanged { .. } => ESTALE,
            Self::PermissionDenied { .. } => EPERM,
            Self::PortExists { .. }
            | Self::MacExists { .. }
            | Self::StationExists { .. }
            | Self::RouterEntryExists { .. }
            | Self::UnderlayExists { .. } => EEXIST,
            Self::PortNotFound { .. }
            | Self::LayerNotFound { .. }
            | Self::RuleNotFound { .. }
            | Self::RouterEntryNotFound { .. }
            | Self::TransitCidrNotFound { .. }
            | Self::SubnetNotFound { .. }
            | Self::MappingNotFound { .. }
            | Self::LinkNotFound { .. } => ENOENT,
            Self::MaxCapacity { .. } => ENFILE,
            Self::UnderlayInUse { .. } => EBUSY,
            Self::BadName { .. }
            | Self::PortCreate { .. }
            | Self::BadState { .. }
            | Self::WrongNetwork { .. }
            | Self::BadLayerPos { .. }
            | Self::InvalidRouterEntry { .. }
            | Self::InvalidIpCfg { .. }
            | Self::InvalidArgument { .. }
            | Self::BatchStep { .. }
            | Self::BatchIncomplete { .. }
            | Self::UnderlayNotSet => EINVAL,
            Self::System { errno, .. } => *errno,
        }
    }
}

impl fmt::Display for OpteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadMagic { found } => write!(f, "not a request: it begins with {found:#010x}"),
            Self::BadApiVersion { client, driver } => {
                write!(
                    f,
                    "API version mismatch: client {client:016x}, driver {driver:016x}"
                )
            }
            Self::UnknownCommand { code } => write!(f, "there is no command {code}"),
            Self::RequestTruncated { needed, available } => {
                write!(f, "request truncated: {available} of {needed} octets")
            }
            Self::RequestTooLarge { length, max } => {
                write!(
                    f,
                    "request too large: {length} octets, at most {max} are taken"
                )
            }
            Self::TrailingBytes { count } => {
                write!(f, "{count} octets follow the end of the request")
            }
            Self::MalformedRequest { command, reason } => {
                write!(f, "malformed request for {command}: {reason}")
            }
            Self::RespTooLarge { needed, given } => {
                write!(
                    f,
                    "the answer has {needed} octets, the client takes {given}"
                )
            }
            Self::SerCmdResp { command, reason } => {
                write!(f, "the answer of {command} could not be encoded: {reason}")
            }
            Self::RequestIdReused { sequence } => {
                write!(f, "request id {sequence} was used for another request")
            }
            Self::DriverRestarted { expected, actual } => {
                write!(
                    f,
                    "the driver was restarted: instance {expected:016x} is gone, {actual:016x} answers"
                )
            }
            Self::PermissionDenied { uid } => {
                write!(f, "user {uid} may not give commands to the driver")
            }
            Self::BadName { name, reason } => {
                write!(f, "bad name '{}': {reason}", name.escape_debug())
            }
            Self::PortNotFound { port } => write!(f, "port '{port}' not found"),
            Self::PortExists { port } => write!(f, "port '{port}' exists already"),
            Self::MacExists { port, vni, mac } => {
                write!(
                    f,
                    "MAC address {mac} is in use in VNI {vni} by port '{port}'"
                )
            }
            Self::PortCreate { port, reason } => {
                write!(f, "port '{port}' could not be created: {reason}")
            }
            Self::BadState { port, state } => write!(f, "port '{port}' is {state}"),
            Self::WrongNetwork {
                port,
                network,
                expected,
            } => write!(
                f,
                "port '{port}' is of network '{network}'; this command is for ports of network '{expected}'"
            ),
            Self::StationExists {
                port,
                link,
                address,
            } => write!(
                f,
                "{address} is in use on the LAN at link '{link}' by port '{port}'"
            ),
            Self::LayerNotFound { port, layer } => {
                write!(f, "port '{port}' has no layer '{layer}'")
            }
            Self::RuleNotFound { layer, dir, id } => {
                write!(f, "layer '{layer}' has no rule {id} in direction {dir}")
            }
            Self::BadLayerPos { layer, pos } => write!(f, "layer '{layer}' cannot be put {pos}"),
            Self::MaxCapacity { what, limit } => write!(f, "{what} is full: it holds {limit}"),
            Self::InvalidRouterEntry {
                dest,
                target,
                reason,
            } => {
                write!(f, "invalid router entry {dest} -> {target}: {reason}")
            }
            Self::RouterEntryNotFound {
                dest,
                target,
                class,
            } => {
                write!(
                    f,
                    "router entry {dest} -> {target} of class {class} not found"
                )
            }
            Self::RouterEntryExists {
                dest,
                target,
                class,
            } => {
                write!(
                    f,
                    "router entry {dest} -> {target} of class {class} exists already"
                )
            }
            Self::InvalidIpCfg { reason } => write!(f, "invalid IP configuration: {reason}"),
            Self::InvalidArgument { name, reason } => write!(f, "invalid {name}: {reason}"),
            Self::TransitCidrNotFound { port, cidr, dir } => match dir {
                Some(dir) => write!(f, "port '{port}' does not allow {cidr} in direction {dir}"),
                None => write!(f, "port '{port}' does not allow {cidr}"),
            },
            Self::SubnetNotFound { port, cidr } => {
                write!(f, "port '{port}' has no attached subnet {cidr}")
            }
            Self::MappingNotFound { what } => write!(f, "no mapping for {what}"),
            Self::BatchStep {
                step,
                command,
                reason,
            } => write!(
                f,
                "nothing was done: step {} of the batch, {command}: {reason}",
                step + 1
            ),
            Self::ConfigChanged { expected, actual } => write!(
                f,
                "nothing was done: the configuration was changed by someone else (revision {actual}, expected {expected})"
            ),
            Self::BatchIncomplete { expected, actual } => {
                write!(
                    f,
                    "nothing was done: {actual} of {expected} steps of the batch have come"
                )
            }
            Self::UnderlayNotSet => f.write_str("no underlay links are set"),
            Self::UnderlayExists { links } => write!(f, "underlay links are set already: {links}"),
            Self::UnderlayInUse { ports } => {
                write!(f, "the underlay links are in use by {ports} port(s)")
            }
            Self::LinkNotFound { link } => write!(f, "link '{link}' not found"),
            Self::System { errno, message } => write!(f, "{message} (errno {errno})"),
        }
    }
}

impl core::error::Error for OpteError {}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::TooLong => "it is longer than 15 octets",
            Self::Character => "only letters, digits, '_', '-' and '.' may stand in it",
        })
    }
}

/// Checks that `name` can be the name of a port, which is the name of its link too.
///
/// A name goes into paths and messages and comes from anywhere: hence the narrow alphabet.
pub fn check_port_name(name: &str) -> Result<(), OpteError> {
    let reason = if name.is_empty() {
        BadName::Empty
    } else if name.len() > MAX_PORT_NAME {
        BadName::TooLong
    } else if name == "."
        || name == ".."
        || !name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    {
        BadName::Character
    } else {
        return Ok(());
    };
    // What is quoted in the answer is bounded, whatever came in.
    Err(OpteError::BadName {
        name: name.chars().take(64).collect(),
        reason,
    })
}

/// `IFNAMSIZ` of Linux without the terminating zero.
const MAX_PORT_NAME: usize = 15;

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EBUSY: i32 = 16;
const EEXIST: i32 = 17;
const EINVAL: i32 = 22;
const ENFILE: i32 = 23;
const ENOTTY: i32 = 25;
const ENOMSG: i32 = 42;
const EPROTO: i32 = 71;
const EBADMSG: i32 = 74;
const ENOBUFS: i32 = 105;
const EALREADY: i32 = 114;
const ESTALE: i32 = 116;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn names_of_ports() {
        for name in ["opte0", "a", "vm-1.x_2", "fifteen-octets1"] {
            assert_eq!(check_port_name(name), Ok(()), "{name}");
        }
        for (name, expected) in [
            ("", BadName::Empty),
            ("sixteen-octets12", BadName::TooLong),
            ("a/b", BadName::Character),
            ("a\0b", BadName::Character),
            ("..", BadName::Character),
            ("a b", BadName::Character),
            ("ä", BadName::Character),
        ] {
            assert!(
                matches!(check_port_name(name), Err(OpteError::BadName { reason, .. }) if reason == expected),
                "{name}"
            );
        }
    }

    #[test]
    fn an_error_is_one_line() {
        let error = check_port_name("a\nb").unwrap_err();
        assert_eq!(
            error.to_string(),
            "bad name 'a\\nb': only letters, digits, '_', '-' and '.' may stand in it"
        );
    }

    #[test]
    fn an_error_survives_the_wire() {
        let error = OpteError::MacExists {
            port: "opte0".into(),
            vni: Vni::new(10).unwrap(),
            mac: MacAddr([0xa8, 0x40, 0x25, 0xff, 0, 1]),
        };
        let bytes = postcard::to_allocvec(&error).unwrap();
        assert_eq!(postcard::from_bytes::<OpteError>(&bytes).unwrap(), error);
        assert_eq!(
            error.to_string(),
            "MAC address A8:40:25:FF:00:01 is in use in VNI 10 by port 'opte0'"
        );
    }
}
