//! The commands a driver takes.

use core::fmt;

use postcard_schema::Schema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::OpteError;

/// A command: a value that a client sends, whose answer is a `Response` or an [`OpteError`].
pub trait Request: Serialize + DeserializeOwned + Schema {
    /// The command's number on the wire.
    const COMMAND: OpteCmd;
    /// What a driver answers when it has done the command.
    type Response: Serialize + DeserializeOwned + Schema;

    /// Checks what the types cannot say and what needs no more than the request itself.
    fn validate(&self) -> Result<(), OpteError> {
        Ok(())
    }
}

/// The answer of a command that has nothing to say but that it is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct NoResp {}

macro_rules! commands {
    ($($(#[$doc:meta])* $variant:ident = $code:literal $kind:ident,)*) => {
        /// The number of a command. Numbers are stable; a number that is not listed is refused, never taken for a command.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Schema)]
        #[repr(u32)]
        pub enum OpteCmd { $($(#[$doc])* $variant = $code,)* }

        impl OpteCmd {
            /// Every command, in the order of their numbers.
            pub const ALL: &'static [OpteCmd] = &[$(OpteCmd::$variant,)*];

            /// The number on the wire.
            pub const fn code(self) -> u32 {
                match self { $(OpteCmd::$variant => $code,)* }
            }

            /// The name, as the types of its request and answer begin with it.
            pub const fn name(self) -> &'static str {
                match self { $(OpteCmd::$variant => stringify!($variant),)* }
            }

            /// Whether the command changes the driver's state; one that only reads may be run again at will.
            pub const fn changes(self) -> bool {
                match self { $(OpteCmd::$variant => commands!(@$kind),)* }
            }
        }

        impl TryFrom<u32> for OpteCmd {
            type Error = UnknownCommand;

            fn try_from(code: u32) -> Result<Self, UnknownCommand> {
                match code {
                    $($code => Ok(OpteCmd::$variant),)*
                    _ => Err(UnknownCommand { code }),
                }
            }
        }
    };
    (@reads) => { false };
    (@changes) => { true };
}

commands! {
    /// Lists the ports.
    ListPorts = 1 reads,
    /// Adds a firewall rule to a port.
    AddFwRule = 20 changes,
    /// Removes a firewall rule of a port.
    RemFwRule = 21 changes,
    /// Replaces all firewall rules of a port.
    SetFwRules = 22 changes,
    /// Lists the TCP flows of a port.
    DumpTcpFlows = 30 reads,
    /// Lists the rules and flows of a layer.
    DumpLayer = 31 reads,
    /// Lists the unified flow table of a port.
    DumpUft = 32 reads,
    /// Lists the layers of a port.
    ListLayers = 33 reads,
    /// Reads the counters of the driver and its ports.
    DumpStats = 34 reads,
    /// Empties the unified flow table of a port.
    ClearUft = 40 changes,
    /// Empties the flow table of a layer.
    ClearLft = 41 changes,
    /// Maps a guest's address to the host it is on.
    SetVirt2Phys = 50 changes,
    /// Lists where guests are.
    DumpVirt2Phys = 51 reads,
    /// Maps a prefix to tunnel endpoints at the boundary.
    SetVirt2Boundary = 52 changes,
    /// Removes tunnel endpoints of a prefix.
    ClearVirt2Boundary = 53 changes,
    /// Lists the tunnel endpoints of all prefixes.
    DumpVirt2Boundary = 54 reads,
    /// Removes the mapping of a guest's address.
    ClearVirt2Phys = 55 changes,
    /// Adds a route to a port.
    AddRouterEntry = 60 changes,
    /// Removes a route of a port.
    DelRouterEntry = 61 changes,
    /// Creates a port and its link.
    CreateXde = 70 changes,
    /// Deletes a port and its link.
    DeleteXde = 71 changes,
    /// Names the underlay links.
    SetXdeUnderlay = 72 changes,
    /// Lets go of the underlay links.
    ClearXdeUnderlay = 73 changes,
    /// Creates a port on a LAN and its link.
    CreateLanPort = 74 changes,
    /// Sets the external addresses of a port.
    SetExternalIps = 80 changes,
    /// Sets the addresses of a port on a LAN.
    SetIpConfig = 81 changes,
    /// Lets a port's guest forward packets of a prefix.
    AllowCidr = 90 changes,
    /// Takes that back.
    RemoveCidr = 91 changes,
    /// Attaches a subnet to a port.
    AttachSubnet = 92 changes,
    /// Detaches a subnet from a port.
    DetachSubnet = 93 changes,
    /// Says which VPCs a port exchanges packets with beside its own.
    SetPeers = 94 changes,
    /// Sets how much may go one way through a port.
    SetMeter = 95 changes,
    /// Sets the options of a port.
    SetPortOptions = 96 changes,
    /// Adds next hops of an underlay group.
    SetMcastForwarding = 100 changes,
    /// Removes next hops of an underlay group.
    ClearMcastForwarding = 101 changes,
    /// Lists the next hops of all underlay groups.
    DumpMcastForwarding = 102 reads,
    /// Delivers packets of a group to a port.
    McastSubscribe = 103 changes,
    /// Ends the subscription of a port to a group.
    McastUnsubscribe = 104 changes,
    /// Maps a group to the underlay group that stands for it.
    SetMcast2Phys = 105 changes,
    /// Removes the mapping of a group.
    ClearMcast2Phys = 106 changes,
    /// Lists the subscriptions.
    DumpMcastSubscriptions = 107 reads,
    /// Ends all subscriptions to a group.
    McastUnsubscribeAll = 108 changes,
    /// Lists which group is which on the underlay.
    DumpMcast2Phys = 109 reads,
    /// Lists everything that was configured.
    DumpConfig = 110 reads,
    /// Keeps steps of a batch until it is run.
    StageBatch = 111 changes,
    /// Does all steps of a batch, or none.
    RunBatch = 112 changes,
    /// Stops the packets of a port and keeps its flows.
    PausePort = 120 changes,
    /// Lets the packets of a port through.
    StartPort = 121 changes,
    /// Reads the flows of a paused port, to be restored.
    SavePort = 122 reads,
    /// Gives a port flows that were saved.
    RestorePort = 123 changes,
    /// Lists the flows of a port that carry most.
    HeavyHitters = 124 reads,
    /// Tells what would become of a packet, and why.
    TracePacket = 125 reads,
}

impl fmt::Display for OpteCmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The number stands for no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCommand {
    /// The number.
    pub code: u32,
}

impl fmt::Display for UnknownCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no command {}", self.code)
    }
}

impl core::error::Error for UnknownCommand {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_command_only_if_listed() {
        let listed = (0..=0x1_0000)
            .filter(|code| OpteCmd::try_from(*code).is_ok())
            .count();
        assert_eq!(listed, OpteCmd::ALL.len());
        for command in OpteCmd::ALL {
            assert_eq!(OpteCmd::try_from(command.code()), Ok(*command));
        }
        assert_eq!(
            OpteCmd::try_from(u32::MAX),
            Err(UnknownCommand { code: u32::MAX })
        );
    }

    #[test]
    fn codes_ascend() {
        assert!(
            OpteCmd::ALL
                .windows(2)
                .all(|pair| pair[0].code() < pair[1].code())
        );
    }
}
