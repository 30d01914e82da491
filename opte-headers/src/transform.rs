//! Transformations of stacks of headers, checked by the compiler.
//!
//! A [`Transform<In, Out>`](Transform) knows in its type which headers it takes and which it gives. What cannot be is refused
//! where it is written: a field of a header that is not there, a header in front of what it cannot carry, two
//! transformations that do not fit together. What remains compiles to a [`Program`], which knows no types and runs on
//! every frame of the stack.
//!
//! # Set, push, pop
//!
//! A stack is written outermost header first. Fields are named by their tokens, in the module named as the header.
//!
//! ```
//! use core::net::{Ipv4Addr, Ipv6Addr};
//! use opte_headers::{Ethernet, Geneve, Ipv4, Ipv6, MacAddr, Program, Tcp, Udp, Vni, ipv4, stack, tcp, udp};
//! use opte_headers::transform::{Set, Transform};
//!
//! type Guest = stack![Ethernet, Ipv4, Tcp];
//!
//! # let (public_ip, public_port) = (Ipv4Addr::new(198, 51, 100, 7), 1025);
//! # let (sled, peer) = (Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, 1), Ipv6Addr::new(0xfd00, 0, 0, 2, 0, 0, 0, 1));
//! # let (mac, next_hop, vni) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]), Vni::new(99).unwrap());
//! let out = Transform::on::<Guest>()
//!     .set::<ipv4::Source>(public_ip)
//!     .set::<tcp::Source>(public_port)
//!     .push(Geneve { vni, ..Geneve::default() })
//!     .push_varying::<udp::Source>(Udp { source: 0xc000, ..Udp::default() })
//!     .push(Ipv6 { source: sled, destination: peer, ..Ipv6::default() })
//!     .push(Ethernet { source: mac, destination: next_hop, ..Ethernet::default() });
//! let program: Program = out.compile();
//! assert_eq!(program.head_room(), 14 + 40 + 8 + 8);
//! ```
//!
//! Some fields are the composer's own: a push writes what the new header carries (here the UDP destination port 6081, the
//! IPv6 next header and the Ethertype), the length of each packet is written when it passes, checksums follow every change
//! by its difference (RFC 1624), and a tunnel's UDP checksum is zero (RFC 6935).
//!
//! # One after the other
//!
//! [`Transform::then`] composes; steps that cancel leave nothing behind.
//!
//! ```
//! # use opte_headers::{Ethernet, Ipv4, Program, Tcp, Vlan, stack, transform::Transform};
//! let tag = Transform::on::<stack![Ipv4, Tcp]>().push(Vlan::default()).push(Ethernet::default());
//! let untag = Transform::on::<stack![Ethernet, Vlan, Ipv4, Tcp]>().pop::<Ethernet>().pop::<Vlan>();
//! assert_eq!(tag.then(untag).compile(), Program::IDENTITY);
//! ```
//!
//! # The way back
//!
//! Pushes reverse to pops. A set forgets what it overwrote, so its reverse has to be told: by name, or by a frame of the flow
//! ([`Reverse::restore_from`]). A transformation that popped what it did not push has no reverse, and
//! [`Transform::reverse`] does not compile.
//!
//! ```
//! # use core::net::Ipv4Addr;
//! # use opte_headers::{Ethernet, Ipv4, Tcp, ipv4, stack};
//! # use opte_headers::transform::{Restore, Set, Transform};
//! # let (private, public) = (Ipv4Addr::new(10, 0, 0, 5), Ipv4Addr::new(198, 51, 100, 7));
//! let out = Transform::on::<stack![Ethernet, Ipv4, Tcp]>().set::<ipv4::Source>(public);
//! let back = out.reverse().restore::<ipv4::Source>(private);
//! assert!(back.compile().is_ok());
//! assert_eq!(
//!     out.reverse().compile().unwrap_err().to_string(),
//!     "what byte 12 of header 1 held before was not restored",
//! );
//! ```
//!
//! # What is cached with a flow
//!
//! A transformation that is decided for the first packet and kept for the flow may depend on what all packets of the flow have in
//! common: [`FlowKey::get`](crate::FlowKey::get) gives the fields of the key and no others. What keeps state needs both
//! directions: [`TwoWay`] is a transformation with its reverse.
//!
//! # Several fields in one step
//!
//! [`set!`](crate::set) sets fields among which there is no order, each once.
//!
//! ```
//! # use core::net::Ipv4Addr;
//! # use opte_headers::{Ethernet, Ipv4, Tcp, ipv4, set, stack, tcp};
//! # use opte_headers::transform::Transform;
//! let out = set!(
//!     Transform::on::<stack![Ethernet, Ipv4, Tcp]>(),
//!     ipv4::Source = Ipv4Addr::new(198, 51, 100, 7),
//!     tcp::Source = 1025,
//! );
//! # let _ = out;
//! ```
//!
//! # What is refused
//!
//! ```compile_fail
//! # use opte_headers::{Ethernet, Ipv4, Tcp, stack, udp, transform::{Set, Transform}};
//! // error: `Udp` is not in the stack `(Ethernet, (Ipv4, (Tcp, ())))`
//! Transform::on::<stack![Ethernet, Ipv4, Tcp]>().set::<udp::Source>(53);
//! ```
//! ```compile_fail
//! # use opte_headers::{Ethernet, Tcp, stack, transform::Transform};
//! // error: `Ethernet` cannot be pushed in front of `Tcp`: it does not carry it
//! Transform::on::<stack![Tcp]>().push(Ethernet::default());
//! ```
//! ```compile_fail
//! # use opte_headers::{Ethernet, Ipv4, Tcp, stack, ipv4, transform::{Set, Transform}};
//! // error: `ipv4::TotalLen` is not a field to be set
//! Transform::on::<stack![Ethernet, Ipv4, Tcp]>().set::<ipv4::TotalLen>(40);
//! ```

mod cached;
mod reverse;
mod stack;
mod two_way;

use core::fmt;
use core::marker::PhantomData;

pub use reverse::{Restore, Reverse};
pub use stack::{Behind, Carries, EndsWith, Has, Here, Outermost, Remains, Stack, Takes};
pub use two_way::TwoWay;

use crate::header::{Field, Settable};
use crate::program::{HeaderSpec, Prefix, Program, ProgramError};
use crate::wire::{FieldValue, Wire};

/// A transformation of frames with the headers `In` into frames with the headers `Out`.
///
/// Begin with [`Transform::on`]; see the [module](self) for the whole.
#[must_use = "a transformation does nothing until it is compiled and applied"]
pub struct Transform<In, Out> {
    program: Result<Program, ProgramError>,
    stacks: PhantomData<fn(In) -> Out>,
}

/// Sets fields. Must be in scope for [`Set::set`]; `Place` is where the header stands and is found by the compiler.
pub trait Set<Place>: Sized {
    /// The stack whose headers can be set.
    type Stack;

    /// Sets field `F`: `.set::<ipv4::Source>(address)`.
    ///
    /// The header of the field must be in the stack once; where it is there twice, the outer one is set by
    /// [`Transform::set_outermost`], and the inner one before the outer one is pushed or after it is popped. The checksums
    /// that cover the field follow.
    fn set<F>(self, value: F::Value) -> Self
    where
        F: Settable,
        Self::Stack: Has<F::Header, Place>;
}

impl<In: Stack, Out: Stack, Place> Set<Place> for Transform<In, Out> {
    type Stack = Out;

    fn set<F>(self, value: F::Value) -> Self
    where
        F: Settable,
        Out: Has<F::Header, Place>,
    {
        self.changed(|program| set_field::<F>(program, Out::specs(), Out::INDEX, value))
    }
}

impl Transform<(), ()> {
    /// The transformation of `S` that changes nothing.
    pub fn on<S: Stack>() -> Transform<S, S> {
        Transform::of(Ok(Program::IDENTITY))
    }
}

impl<In: Stack, Out: Stack> Transform<In, Out> {
    /// Sets a field of the outermost header.
    pub fn set_outermost<F>(self, value: F::Value) -> Self
    where
        F: Settable,
        Out: Has<F::Header, Here>,
    {
        self.changed(|program| set_field::<F>(program, Out::specs(), 0, value))
    }

    /// Puts a header in front. What it carries is written to the field that tells it (the Ethertype, the protocol, a UDP
    /// destination port); its length and its checksum are computed, and a UDP checksum is zero, whatever `header` says.
    #[inline]
    pub fn push<H>(self, header: H) -> Transform<In, (H, Out)>
    where
        H: Carries<Out::Head>,
    {
        self.changed(|program| push::<H, Out>(program, header))
    }

    /// Like [`Transform::push`], and lets field `F` of the header vary by flow: its last 16 bits are the entropy given to
    /// [`Program::apply`], or-ed with the upper eight of them in `header`.
    ///
    /// For a tunnel's UDP source port give 49152 (0xc000), which keeps it a dynamic port (RFC 8926, section 3.3); for an IPv6
    /// flow label 0 (RFC 6438).
    pub fn push_varying<F>(self, header: F::Header) -> Transform<In, (F::Header, Out)>
    where
        F: Settable,
        F::Header: Carries<Out::Head>,
    {
        let end = const {
            let end = F::BIT_OFFSET + F::BITS;
            assert!(
                F::BITS >= 16 && end.is_multiple_of(8),
                "only whole 16 bits can vary by flow"
            );
            end / 8
        };
        self.changed(|program| {
            push::<F::Header, Out>(program, header)?;
            let bytes = program.prefix.as_bytes();
            let or = bytes.get(end - 2).copied().unwrap_or_default();
            program.vary_in_place(0, (end - 2) as u8, or)
        })
    }

    /// Takes the outermost header off. `pop::<H>()` asks that it be `H`; `pop()` takes whichever it is.
    pub fn pop<H>(self) -> Transform<In, Out::Tail>
    where
        Out: Outermost<H>,
    {
        self.changed(|program| program.append(&Program::pop(Out::specs())?))
    }

    /// This transformation, then another one.
    pub fn then<Next, End>(self, next: Transform<Next, End>) -> Transform<In, End>
    where
        Next: Takes<Out>,
    {
        self.changed(|program| program.append(&next.program?))
    }

    /// The way back: pushes become pops, sets become sets of what was there before, which has to be named; see [`Reverse`].
    /// Where headers are gone that were not pushed there is none, and this does not compile.
    pub fn reverse<Place>(&self) -> Reverse<Out, In>
    where
        Out: EndsWith<In, Place>,
    {
        Reverse::of(self.program)
    }

    /// The program.
    ///
    /// A transformation that needs more room than a [`Program`] has (see [`Transform::try_compile`]) becomes one that
    /// refuses every frame, and changes none.
    #[must_use]
    pub fn compile(self) -> Program {
        self.try_compile().unwrap_or(Program::REFUSING)
    }

    /// The program, or why there is none.
    ///
    /// # Errors
    ///
    /// The transformation pushes more than 96 bytes, or writes more than a [`Program`] holds, or a pushed header cannot be
    /// written.
    pub fn try_compile(self) -> Result<Program, ProgramError> {
        self.program
    }

    /// Like [`Transform::compile`], for a driver that keeps `ROOM` bytes free in front of each frame. Headers that cannot fit
    /// there do not compile, even without their options.
    ///
    /// ```
    /// # use opte_headers::{Ethernet, Ipv4, Vlan, stack, transform::Transform};
    /// let tag = Transform::on::<stack![Ipv4]>().push(Vlan::default()).push(Ethernet::default());
    /// assert_eq!(tag.compile_within::<18>().head_room(), 18);
    /// ```
    /// ```compile_fail
    /// # use opte_headers::{Ethernet, Ipv4, Vlan, stack, transform::Transform};
    /// # let tag = Transform::on::<stack![Ipv4]>().push(Vlan::default()).push(Ethernet::default());
    /// // error: the headers pushed have 18 bytes at least, but the head-room declared is 16 bytes
    /// tag.compile_within::<16>();
    /// ```
    #[must_use]
    pub fn compile_within<const ROOM: usize>(self) -> Program {
        const { crate::derive::assert_room(Out::MIN_LEN.saturating_sub(In::MIN_LEN), ROOM) };
        self.within(ROOM).unwrap_or(Program::REFUSING)
    }

    /// Like [`Transform::compile_within`], or why there is no program.
    ///
    /// # Errors
    ///
    /// As [`Transform::try_compile`]; with its options, what is pushed has more bytes than the room.
    pub fn try_compile_within<const ROOM: usize>(self) -> Result<Program, ProgramError> {
        const { crate::derive::assert_room(Out::MIN_LEN.saturating_sub(In::MIN_LEN), ROOM) };
        self.within(ROOM)
    }

    fn within(self, room: usize) -> Result<Program, ProgramError> {
        self.program
            .and_then(|program| match program.head_room() <= room {
                true => Ok(program),
                false => Err(ProgramError::PrefixFull),
            })
    }

    /// After another step, which is taken where the program stands.
    #[inline]
    fn changed<End>(
        mut self,
        step: impl FnOnce(&mut Program) -> Result<(), ProgramError>,
    ) -> Transform<In, End> {
        if let Ok(program) = &mut self.program
            && let Err(error) = step(program)
        {
            self.program = Err(error);
        }
        Transform::of(self.program)
    }
}

impl<In, Out> Transform<In, Out> {
    fn of(program: Result<Program, ProgramError>) -> Self {
        Self {
            program,
            stacks: PhantomData,
        }
    }
}

impl<In, Out> Clone for Transform<In, Out> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<In, Out> Copy for Transform<In, Out> {}

impl<In, Out> fmt::Debug for Transform<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transform").field(&self.program).finish()
    }
}

/// One step a line, as of the program.
impl<In, Out> fmt::Display for Transform<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.program {
            Ok(program) => program.fmt(f),
            Err(error) => error.fmt(f),
        }
    }
}

fn push<H, Out>(program: &mut Program, mut header: H) -> Result<(), ProgramError>
where
    H: Carries<Out::Head>,
    Out: Stack,
{
    if let Some(selector) = H::SELECTOR {
        header.select(selector);
    }
    let mut bytes = [0; Prefix::CAPACITY];
    let room = if header.len() > bytes.len() {
        return Err(ProgramError::PrefixFull);
    } else {
        &mut bytes
    };
    let len = header.emit(room).map_err(ProgramError::Unwritable)?;
    program.then_push(
        Out::specs(),
        &HeaderSpec::of::<H>(),
        bytes.get(..len).unwrap_or(&bytes),
    )
}

fn set_field<F: Field>(
    program: &mut Program,
    stack: &[HeaderSpec],
    header: usize,
    value: F::Value,
) -> Result<(), ProgramError> {
    // Written over zeros and over ones: where the two agree, the field is.
    let (first, bit) = (F::BIT_OFFSET / 8, F::BIT_OFFSET % 8);
    let (mut over_zeros, mut over_ones) = ([0; FIELD_BYTES], [0xff; FIELD_BYTES]);
    let end = (bit + F::BITS).div_ceil(8);
    if end > FIELD_BYTES {
        return Err(ProgramError::OutOfReach { end: first + end });
    }
    let wire = value.to_wire();
    wire.write(&mut over_zeros, bit, F::LITTLE_ENDIAN);
    wire.write(&mut over_ones, bit, F::LITTLE_ENDIAN);
    let bytes = over_zeros.iter().zip(&over_ones).take(end);
    let step = Program::write(
        stack,
        header,
        first,
        bytes.map(|(zeros, ones)| (!(zeros ^ ones), *zeros)),
    );
    program.append(&step?)
}

/// The widest field that a transformation can set.
const FIELD_BYTES: usize = 64;
