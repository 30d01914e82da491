//! The API version: a number that follows from the commands themselves.

use postcard_schema::Schema;
use postcard_schema::key::Key;

use super::{OpteError, Request};

/// The version of no commands at all: only the frame and the errors count. Others are made of it with [`with_command`].
pub const BASE_VERSION: u64 = fold(fold(OFFSET_BASIS, FRAME_REVISION), schema::<OpteError>());

/// The version of what `version` stands for and the command `R`. A change of the command's number, of a field, its
/// name or its type anywhere in its request or its answer gives another version.
pub const fn with_command<R: Request>(version: u64) -> u64 {
    let version = fold(version, R::COMMAND.code() as u64);
    fold(fold(version, schema::<R>()), schema::<R::Response>())
}

const fn schema<T: Schema>() -> u64 {
    u64::from_le_bytes(Key::for_path::<T>("").to_bytes())
}

/// FNV-1a over the eight octets of `value`.
const fn fold(mut state: u64, value: u64) -> u64 {
    let octets = value.to_le_bytes();
    let mut rest: &[u8] = &octets;
    while let [first, tail @ ..] = rest {
        state = (state ^ *first as u64).wrapping_mul(PRIME);
        rest = tail;
    }
    state
}

/// Changes with the layout of the headers, which have no schema.
const FRAME_REVISION: u64 = 1;
const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Implements [`Request`](crate::api::Request) for each request of a table and sums the table up: `$version` is the API version of
/// `$base` and the table's commands, `$commands` lists them. A command that is in no table cannot be sent, and one that is in a table
/// is counted in the version.
#[doc(hidden)]
#[macro_export]
macro_rules! requests {
    (
        $(#[$version_doc:meta])* $version:ident on $base:expr;
        $(#[$commands_doc:meta])* $commands:ident;
        $($request:ident = $command:ident -> $response:ident $(($check:ident))?,)*
    ) => {
        $(
            impl $crate::api::Request for $request {
                const COMMAND: $crate::api::OpteCmd = $crate::api::OpteCmd::$command;
                type Response = $response;
                $(
                    fn validate(&self) -> Result<(), $crate::api::OpteError> {
                        self.$check()
                    }
                )?
            }
        )*

        $(#[$commands_doc])*
        pub const $commands: &[$crate::api::OpteCmd] = &[$($crate::api::OpteCmd::$command,)*];

        $(#[$version_doc])*
        pub const $version: u64 = {
            let version = $base;
            $(let version = $crate::api::with_command::<$request>(version);)*
            version
        };
    };
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::api::{NoResp, OpteCmd};

    macro_rules! request {
        ($name:ident { $($field:ident: $ty:ty),* } = $command:ident) => {
            #[derive(Serialize, Deserialize, Schema)]
            struct $name { $($field: $ty),* }
            impl Request for $name {
                const COMMAND: OpteCmd = OpteCmd::$command;
                type Response = NoResp;
            }
        };
    }

    request!(First { port: u16 } = ListPorts);
    request!(SameAsFirst { port: u16 } = ListPorts);
    request!(OtherType { port: u32 } = ListPorts);
    request!(OtherName { ports: u16 } = ListPorts);
    request!(OtherNumber { port: u16 } = ClearUft);
    request!(
        MoreFields {
            port: u16,
            name: u16
        } = ListPorts
    );

    #[test]
    fn a_version_changes_with_each_part_of_a_command() {
        const FIRST: u64 = with_command::<First>(BASE_VERSION);
        assert_eq!(FIRST, with_command::<SameAsFirst>(BASE_VERSION));
        for other in [
            BASE_VERSION,
            with_command::<OtherType>(BASE_VERSION),
            with_command::<OtherName>(BASE_VERSION),
            with_command::<OtherNumber>(BASE_VERSION),
            with_command::<MoreFields>(BASE_VERSION),
            with_command::<First>(FIRST),
        ] {
            assert_ne!(FIRST, other);
        }
    }
}
