//! Programs as text, one line a step.

use core::fmt;

use super::prefix::NONE;
use super::{MAX_HEADERS, Prefix, Program};
use crate::frame::{FlowKey, HeaderKind, KeyKind, Shape};
use crate::header::{Field, Header};
use crate::wire::{FieldValue, Wire};
use crate::{
    Ethernet, Ethertype, Geneve, IpProtocol, Ipv4, Ipv6, Udp, ethernet, geneve, icmpv4, icmpv6,
    ipv4, ipv6, tcp, udp,
};

/// Steps in the order in which a frame sees them, one a line; headers are counted, for a program does not know which they
/// are. [`Program::named`] and [`Program::of_flow`] name them:
///
/// ```text
/// set Ipv4 source to 198.51.100.7
/// set Tcp source to 1025
/// sum Tcp
/// sum Ipv4
/// push Geneve vni 99
/// push Udp source 49152 destination 6081, length, entropy at byte 0
/// ```
///
/// A pushed header ends with what differs from frame to frame.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.named(&Shape::default()), f)
    }
}

/// A program with the names of the headers it is applied to; see [`Program::named`].
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    program: &'a Program,
    shape: Shape,
}

impl Program {
    /// The program as text, with the headers named as in frames of this shape.
    #[must_use]
    pub const fn named(&self, shape: &Shape) -> Named<'_> {
        Named {
            program: self,
            shape: *shape,
        }
    }

    /// The program as text, with the headers named as in frames with this key: in a tunnel, if the program takes one off.
    #[must_use]
    pub fn of_flow(&self, key: &FlowKey) -> Named<'_> {
        let network = if key.is_v4() {
            HeaderKind::Ipv4
        } else {
            HeaderKind::Ipv6
        };
        let transport = match key.ip_protocol() {
            _ if key.kind == KeyKind::FRAGMENT => HeaderKind::Other,
            IpProtocol::TCP => HeaderKind::Tcp,
            IpProtocol::UDP => HeaderKind::Udp,
            IpProtocol::ICMP => HeaderKind::Icmpv4,
            IpProtocol::ICMPV6 => HeaderKind::Icmpv6,
            _ => HeaderKind::Other,
        };
        let tunnel = [
            HeaderKind::Ethernet,
            HeaderKind::Ipv6,
            HeaderKind::Udp,
            HeaderKind::Geneve,
        ];
        let around: &[HeaderKind] = if self.prefix.popped() == tunnel.len() {
            &tunnel
        } else {
            &[]
        };
        let guest: &[HeaderKind] = match key.kind {
            KeyKind::NOT_IP => &[HeaderKind::Ethernet],
            _ => &[HeaderKind::Ethernet, network, transport],
        };
        let mut shape = Shape::default();
        for (index, kind) in around.iter().chain(guest).enumerate() {
            shape.set(index as u8, *kind);
        }
        Named {
            program: self,
            shape,
        }
    }
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (program, mut lines) = (self.program, Lines { f, first: true });
        if program.is_identity() {
            return lines.start()?.write_str("nothing");
        }
        for header in 0..MAX_HEADERS as u8 {
            self.writes(header, &mut lines)?;
        }
        for place in program.rewrite.places() {
            let name = Name(self.shape.at(place.header), place.header);
            match name.0 {
                HeaderKind::None => write!(lines.start()?, "sum {name} byte {}", place.offset)?,
                _ => write!(lines.start()?, "sum {name}")?,
            }
        }
        if program.prefix.pop != 0 {
            write!(lines.start()?, "pop {}", program.prefix.pop)?;
        }
        program.prefix.describe(&mut lines)
    }
}

impl Named<'_> {
    /// What is written to one header: fields with a name first, then what is left, byte by byte.
    fn writes(&self, header: u8, lines: &mut Lines<'_, '_>) -> fmt::Result {
        let bytes = self.program.rewrite.bytes();
        let bytes = bytes.filter(|byte| byte.header == header);
        let Some(last) = bytes.clone().map(|byte| usize::from(byte.offset)).max() else {
            return Ok(());
        };
        let (mut masks, mut values) = ([0; 256], [0; 256]);
        for byte in bytes {
            let at = usize::from(byte.offset);
            if let (Some(mask), Some(value)) = (masks.get_mut(at), values.get_mut(at)) {
                (*mask, *value) = (*mask | byte.mask, *value | byte.value);
            }
        }
        let name = Name(self.shape.at(header), header);
        for known in FIELDS.iter().filter(|known| known.kind == name.0) {
            let (Some(mask), Some(value)) = (known.of_mut(&mut masks), known.of(&values)) else {
                continue;
            };
            if mask.iter().all(|mask| *mask == 0xff) {
                mask.fill(0);
                write!(
                    lines.start()?,
                    "set {name} {} to {}",
                    known.name,
                    Value(known, value)
                )?;
            }
        }
        let mut at = 0;
        while let Some(mask) = masks.get(at).filter(|_| at <= last) {
            let run = masks
                .iter()
                .skip(at)
                .take_while(|mask| **mask == 0xff)
                .count();
            if run != 0 {
                let f = lines.start()?;
                write!(f, "set {name} byte {at} to ")?;
                hex(f, values.get(at..at + run).unwrap_or_default())?;
            } else if *mask != 0 {
                let value = values.get(at).copied().unwrap_or_default() >> mask.trailing_zeros();
                write!(
                    lines.start()?,
                    "set {name} byte {at} bits {mask:08b} to {value}"
                )?;
            }
            at += run.max(1);
        }
        Ok(())
    }
}

impl Prefix {
    fn describe(&self, lines: &mut Lines<'_, '_>) -> fmt::Result {
        // What stands in front tells what follows; the innermost is pushed first.
        let mut kinds = [HeaderKind::None; MAX_HEADERS];
        let mut kind = match self.span(0) {
            Some((from, to)) if to - from == Ethernet::MIN_LEN => HeaderKind::Ethernet,
            _ => HeaderKind::None,
        };
        for (index, slot) in kinds.iter_mut().enumerate() {
            *slot = kind;
            kind = follower(kind, self.bytes_of(index).unwrap_or_default());
        }
        for (index, kind) in kinds.iter().enumerate().rev() {
            let (Some((from, to)), Some(bytes)) = (self.span(index), self.bytes_of(index)) else {
                continue;
            };
            let f = lines.start()?;
            match *kind {
                HeaderKind::None => {
                    write!(f, "push {} bytes ", bytes.len())?;
                    hex(f, bytes)?;
                }
                kind => write!(f, "push {kind:?}")?,
            }
            for known in FIELDS
                .iter()
                .filter(|known| known.kind == *kind && !known.optional)
            {
                if let Some(value) = known.of(bytes) {
                    write!(f, " {} {}", known.name, Value(known, value))?;
                }
            }
            let within = |at: u8| at != NONE && (from..to).contains(&usize::from(at));
            if self.lengths().iter().any(|length| within(length.at)) {
                f.write_str(", length")?;
            }
            if self.sums.iter().any(|at| within(*at)) {
                f.write_str(", sum")?;
            }
            for place in self.entropy.iter().filter(|place| within(place.at)) {
                write!(f, ", entropy at byte {}", usize::from(place.at) - from)?;
            }
        }
        Ok(())
    }

    fn bytes_of(&self, index: usize) -> Option<&[u8]> {
        let (from, to) = self.span(index)?;
        self.data.get(from..to)
    }
}

/// The header that follows one with these bytes.
fn follower(kind: HeaderKind, bytes: &[u8]) -> HeaderKind {
    let of_ethertype = |ethertype| match ethertype {
        Ethertype::IPV4 => HeaderKind::Ipv4,
        Ethertype::IPV6 => HeaderKind::Ipv6,
        Ethertype::ETHERNET => HeaderKind::Ethernet,
        _ => HeaderKind::None,
    };
    let of_protocol = |protocol| match protocol {
        IpProtocol::UDP => HeaderKind::Udp,
        _ => HeaderKind::None,
    };
    let found = match kind {
        HeaderKind::Ethernet => selector::<Ethernet>(bytes).map(of_ethertype),
        HeaderKind::Ipv4 => selector::<Ipv4>(bytes).map(of_protocol),
        HeaderKind::Ipv6 => selector::<Ipv6>(bytes).map(of_protocol),
        HeaderKind::Udp if selector::<Udp>(bytes) == Some(Geneve::PORT) => Some(HeaderKind::Geneve),
        HeaderKind::Geneve => selector::<Geneve>(bytes).map(of_ethertype),
        _ => None,
    };
    found.unwrap_or_default()
}

fn selector<H: Header>(bytes: &[u8]) -> Option<H::Selector> {
    let (view, _) = H::parse(bytes).ok()?;
    Some(H::view_selector(&view))
}

/// A field that has a name in the text.
struct Known {
    kind: HeaderKind,
    name: &'static str,
    first: usize,
    len: usize,
    /// Not shown of pushed headers.
    optional: bool,
    show: fn(&[u8], &mut fmt::Formatter<'_>) -> fmt::Result,
}

impl Known {
    const fn of_field<F: Field<Value: fmt::Display>>(kind: HeaderKind) -> Self {
        let show = |bytes: &[u8], f: &mut fmt::Formatter<'_>| {
            let value = F::Value::from_wire(Wire::read(bytes, 0, F::LITTLE_ENDIAN));
            fmt::Display::fmt(&value, f)
        };
        let (first, len) = (F::BIT_OFFSET / 8, F::BITS / 8);
        Self {
            kind,
            name: F::NAME,
            first,
            len,
            optional: false,
            show,
        }
    }

    const fn optional(self) -> Self {
        Self {
            optional: true,
            ..self
        }
    }

    fn of<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        bytes.get(self.first..self.first + self.len)
    }

    fn of_mut<'a>(&self, bytes: &'a mut [u8]) -> Option<&'a mut [u8]> {
        bytes.get_mut(self.first..self.first + self.len)
    }
}

const FIELDS: &[Known] = &[
    Known::of_field::<ethernet::Source>(HeaderKind::Ethernet),
    Known::of_field::<ethernet::Destination>(HeaderKind::Ethernet),
    Known::of_field::<ipv4::Source>(HeaderKind::Ipv4),
    Known::of_field::<ipv4::Destination>(HeaderKind::Ipv4),
    Known::of_field::<ipv4::Ttl>(HeaderKind::Ipv4).optional(),
    Known::of_field::<ipv6::Source>(HeaderKind::Ipv6),
    Known::of_field::<ipv6::Destination>(HeaderKind::Ipv6),
    Known::of_field::<ipv6::HopLimit>(HeaderKind::Ipv6).optional(),
    Known::of_field::<tcp::Source>(HeaderKind::Tcp),
    Known::of_field::<tcp::Destination>(HeaderKind::Tcp),
    Known::of_field::<udp::Source>(HeaderKind::Udp),
    Known::of_field::<udp::Destination>(HeaderKind::Udp),
    Known::of_field::<icmpv4::Identifier>(HeaderKind::Icmpv4),
    Known::of_field::<icmpv6::Identifier>(HeaderKind::Icmpv6),
    Known::of_field::<geneve::Vni>(HeaderKind::Geneve),
];

struct Value<'a>(&'a Known, &'a [u8]);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0.show)(self.1, f)
    }
}

struct Name(HeaderKind, u8);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            HeaderKind::None | HeaderKind::Other => write!(f, "header {}", self.1),
            kind => write!(f, "{kind:?}"),
        }
    }
}

struct Lines<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    first: bool,
}

impl<'f> Lines<'_, 'f> {
    fn start(&mut self) -> Result<&mut fmt::Formatter<'f>, fmt::Error> {
        if !core::mem::take(&mut self.first) {
            self.f.write_str("\n")?;
        }
        Ok(self.f)
    }
}

fn hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}
