//! Frames as lists of headers, and transformations of them byte by byte: what programs are measured against.

use opte_headers::checksum::Sum;
use opte_headers::frame::{HeaderKind, Offsets, Shape};
use opte_headers::program::{Applied, ApplyError, HeaderSpec, Program, ProgramError, Sums};
use opte_headers::{ChecksumRole, Counted, Covers, LengthRole};

/// A small generator (xorshift64*), so that a failing seed can be run again.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        // Zeros and ones are where one's complement sums are odd.
        match self.below(12) {
            0 => vec![0; len],
            1 => vec![0xff; len],
            _ => (0..len).map(|_| self.next() as u8).collect(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ethernet,
    Vlan,
    Ipv4,
    Ipv6,
    Tcp,
    Udp,
    Icmpv4,
    Icmpv6,
    Geneve,
}

impl Kind {
    pub(crate) fn spec(self) -> HeaderSpec {
        let plain = HeaderSpec::plain;
        let sum = |offset, covers| Some(ChecksumRole { offset, covers });
        let pseudo = |zero_is_none| Covers::Pseudo { zero_is_none };
        let length = |offset, counts| {
            Some(LengthRole {
                offset,
                counts,
                addend: 0,
            })
        };
        match self {
            Kind::Ethernet => plain("Ethernet", 14),
            Kind::Vlan => plain("Vlan", 4),
            Kind::Ipv4 => HeaderSpec {
                checksum: sum(10, Covers::Header),
                length: length(2, Counted::Packet),
                pseudo: Some((12, 20)),
                ..plain("Ipv4", 20)
            },
            Kind::Ipv6 => HeaderSpec {
                length: length(4, Counted::Payload),
                pseudo: Some((8, 40)),
                ..plain("Ipv6", 40)
            },
            Kind::Tcp => HeaderSpec {
                checksum: sum(16, pseudo(false)),
                ..plain("Tcp", 20)
            },
            Kind::Udp => HeaderSpec {
                checksum: sum(6, pseudo(true)),
                length: length(4, Counted::Packet),
                ..plain("Udp", 8)
            },
            Kind::Icmpv4 => HeaderSpec {
                checksum: sum(2, Covers::Payload),
                ..plain("Icmpv4", 8)
            },
            Kind::Icmpv6 => HeaderSpec {
                checksum: sum(2, pseudo(false)),
                ..plain("Icmpv6", 8)
            },
            Kind::Geneve => plain("Geneve", 8),
        }
    }

    /// Fields that a transformation may set: first bit, width.
    pub(crate) fn fields(self) -> &'static [(usize, usize)] {
        match self {
            Kind::Ethernet => &[(0, 48), (48, 48)],
            Kind::Vlan => &[(0, 3), (3, 1), (4, 12)],
            Kind::Ipv4 => &[
                (8, 6),
                (14, 2),
                (32, 16),
                (48, 3),
                (51, 13),
                (64, 8),
                (96, 32),
                (128, 32),
            ],
            Kind::Ipv6 => &[(4, 6), (10, 2), (12, 20), (56, 8), (64, 128), (192, 128)],
            Kind::Tcp => &[
                (0, 16),
                (16, 16),
                (32, 32),
                (64, 32),
                (106, 6),
                (112, 16),
                (144, 16),
            ],
            Kind::Udp => &[(0, 16), (16, 16)],
            Kind::Icmpv4 | Kind::Icmpv6 => &[(0, 8), (8, 8), (32, 16), (48, 16)],
            Kind::Geneve => &[(8, 1), (32, 24)],
        }
    }

    pub(crate) fn protocol(self) -> u8 {
        match self {
            Kind::Icmpv4 => 1,
            Kind::Tcp => 6,
            Kind::Udp => 17,
            Kind::Icmpv6 => 58,
            _ => 0,
        }
    }

    pub(crate) fn is_ip(self) -> bool {
        matches!(self, Kind::Ipv4 | Kind::Ipv6)
    }

    fn header_kind(self) -> HeaderKind {
        match self {
            Kind::Ethernet => HeaderKind::Ethernet,
            Kind::Vlan => HeaderKind::Vlan,
            Kind::Ipv4 => HeaderKind::Ipv4,
            Kind::Ipv6 => HeaderKind::Ipv6,
            Kind::Tcp => HeaderKind::Tcp,
            Kind::Udp => HeaderKind::Udp,
            Kind::Icmpv4 => HeaderKind::Icmpv4,
            Kind::Icmpv6 => HeaderKind::Icmpv6,
            Kind::Geneve => HeaderKind::Geneve,
        }
    }

    pub(crate) fn random(self, rng: &mut Rng) -> Vec<u8> {
        let mut len = self.spec().min_len;
        if matches!(self, Kind::Ipv4 | Kind::Tcp | Kind::Geneve) && rng.chance(25) {
            len += 4 * (1 + rng.below(3));
        }
        rng.bytes(len)
    }
}

/// A frame whose headers stand apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) headers: Vec<(Kind, Vec<u8>)>,
    pub(crate) payload: Vec<u8>,
}

/// A step of a transformation.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Pop,
    Push(Kind, Vec<u8>),
    Set {
        header: usize,
        first_bit: usize,
        bits: usize,
        value: Vec<u8>,
    },
}

impl Model {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        use Kind::*;
        let guests: [&[Kind]; 8] = [
            &[Ethernet, Ipv4, Tcp],
            &[Ethernet, Ipv4, Udp],
            &[Ethernet, Ipv4, Icmpv4],
            &[Ethernet, Ipv6, Tcp],
            &[Ethernet, Ipv6, Udp],
            &[Ethernet, Ipv6, Icmpv6],
            &[Ethernet, Vlan, Ipv4, Udp],
            &[Ethernet],
        ];
        let tunnels: [&[Kind]; 4] = [
            &[],
            &[],
            &[Ethernet, Ipv6, Udp, Geneve],
            &[Ethernet, Ipv4, Udp, Geneve],
        ];
        let kinds = [rng.pick(&tunnels), rng.pick(&guests)].concat();
        let headers = kinds.iter().map(|kind| (*kind, kind.random(rng))).collect();
        let len = rng.below(64);
        let mut model = Self {
            headers,
            payload: rng.bytes(len),
        };
        for (kind, bytes) in &mut model.headers {
            // Half of the UDP datagrams come without a checksum.
            if *kind == Udp {
                let sum = if rng.chance(50) { [0, 0] } else { [1, 1] };
                bytes[6..8].copy_from_slice(&sum);
            }
        }
        model.complete();
        model
    }

    pub(crate) fn specs(&self) -> Vec<HeaderSpec> {
        self.headers.iter().map(|(kind, _)| kind.spec()).collect()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let headers = self.headers.iter().flat_map(|(_, bytes)| bytes);
        headers.chain(&self.payload).copied().collect()
    }

    pub(crate) fn header_len(&self) -> usize {
        self.headers.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    pub(crate) fn offsets(&self) -> Offsets {
        let mut offsets = Offsets::EMPTY;
        let mut at = 0;
        for (_, bytes) in &self.headers {
            assert!(offsets.push(at));
            at += bytes.len() as u16;
        }
        if let Some(l3) = self.headers.iter().rposition(|(kind, _)| kind.is_ip()) {
            let mut shape = Shape::EMPTY;
            for (at, (kind, _)) in self.headers.iter().enumerate() {
                shape.set(at as u8, kind.header_kind());
            }
            offsets.set_anchor(&shape, l3 as u8);
        }
        offsets
    }

    /// Computes all lengths and checksums from nothing. A UDP header with a checksum of zero has none.
    pub(crate) fn complete(&mut self) {
        let mut behind = self.payload.clone();
        for index in (0..self.headers.len()).rev() {
            let pseudo = self.pseudo(index, behind.len());
            let (kind, bytes) = &mut self.headers[index];
            let spec = kind.spec();
            if let Some(length) = spec.length {
                let counted = match length.counts {
                    Counted::Packet => bytes.len() + behind.len(),
                    Counted::Payload => behind.len(),
                };
                bytes[length.offset..][..2].copy_from_slice(&(counted as u16).to_be_bytes());
            }
            if let Some(ChecksumRole { offset, covers }) = spec.checksum {
                let optional = covers == Covers::Pseudo { zero_is_none: true };
                if !optional || bytes[offset..][..2] != [0, 0] {
                    bytes[offset..][..2].fill(0);
                    let sum = match covers {
                        Covers::Header => Sum::of(bytes),
                        Covers::Payload => Sum::of(&[&bytes[..], &behind].concat()),
                        Covers::Pseudo { .. } => {
                            pseudo.plus(Sum::of(&[&bytes[..], &behind].concat()))
                        }
                    };
                    let sum = match sum.checksum() {
                        // Always right, also for a message of zeros.
                        0 if optional || covers == Covers::Payload => 0xffff,
                        sum => sum,
                    };
                    bytes[offset..][..2].copy_from_slice(&sum.to_be_bytes());
                }
            }
            behind.splice(0..0, bytes.iter().copied());
        }
    }

    /// The sum of the pseudo-header of the transport header at `index`.
    fn pseudo(&self, index: usize, behind: usize) -> Sum {
        let (kind, bytes) = &self.headers[index];
        let rest = (bytes.len() + behind) as u16;
        let own = Sum::ZERO
            .with_word(u16::from(kind.protocol()))
            .with_word(rest);
        for (above, bytes) in self.headers[..index].iter().rev() {
            if let Some((from, to)) = above.spec().pseudo {
                return own.with(&bytes[usize::from(from)..usize::from(to)]);
            }
            if above.spec().checksum.is_some() {
                return own;
            }
        }
        own
    }

    /// Replaces the innermost transport checksum by the sum of its pseudo-header, as an offloading guest does.
    pub(crate) fn leave_to_link(&mut self) {
        let payload = |role: &ChecksumRole| role.covers != Covers::Header;
        let at = |(kind, _): &(Kind, Vec<u8>)| kind.spec().checksum.filter(payload);
        let Some(index) = self.headers.iter().rposition(|header| at(header).is_some()) else {
            return;
        };
        let Some(role) = at(&self.headers[index]) else {
            return;
        };
        let behind = self.headers[index + 1..]
            .iter()
            .map(|(_, bytes)| bytes.len())
            .sum::<usize>();
        let sum = match role.covers {
            Covers::Payload => 0,
            _ => self.pseudo(index, behind + self.payload.len()).fold(),
        };
        self.headers[index].1[role.offset..][..2].copy_from_slice(&sum.to_be_bytes());
    }

    /// Whether the innermost header is a transport header that has a checksum.
    pub(crate) fn asks_for_a_sum(&self) -> bool {
        self.headers.last().is_some_and(|(kind, bytes)| {
            let checksum = kind
                .spec()
                .checksum
                .filter(|sum| sum.covers != Covers::Header);
            checksum.is_some_and(|sum| *kind != Kind::Udp || bytes[sum.offset..][..2] != [0, 0])
        })
    }

    pub(crate) fn apply(&mut self, step: &Step) {
        match step {
            Step::Pop => drop(self.headers.remove(0)),
            Step::Push(kind, bytes) => {
                let mut bytes = bytes.clone();
                if *kind == Kind::Udp {
                    bytes[6..8].fill(0);
                }
                self.headers.insert(0, (*kind, bytes));
            }
            Step::Set {
                header,
                first_bit,
                bits,
                value,
            } => {
                let bytes = &mut self.headers[*header].1;
                for bit in 0..*bits {
                    let from_end = bits - 1 - bit;
                    let one = value[value.len() - 1 - from_end / 8] >> (from_end % 8) & 1;
                    let at = first_bit + bit;
                    bytes[at / 8] = bytes[at / 8] & !(0x80 >> (at % 8)) | one << (7 - at % 8);
                }
            }
        }
        self.complete();
    }

    /// A step that this stack allows.
    pub(crate) fn step(&self, rng: &mut Rng) -> Step {
        let choice = rng.below(10);
        if choice < 2 && self.headers.len() > 1 {
            return Step::Pop;
        }
        if choice < 4 && self.headers.len() < 8 {
            let carriers = [
                Kind::Ethernet,
                Kind::Vlan,
                Kind::Ipv4,
                Kind::Ipv6,
                Kind::Udp,
                Kind::Geneve,
            ];
            let kind = rng.pick(&carriers);
            let len = kind.spec().min_len;
            return Step::Push(kind, rng.bytes(len));
        }
        let header = rng.below(self.headers.len());
        let (first_bit, bits) = rng.pick(self.headers[header].0.fields());
        Step::Set {
            header,
            first_bit,
            bits,
            value: rng.bytes(bits.div_ceil(8)),
        }
    }

    pub(crate) fn program(&self, step: &Step) -> Result<Program, ProgramError> {
        let specs = self.specs();
        match step {
            Step::Pop => Program::pop(&specs),
            Step::Push(kind, bytes) => Program::push(&specs, &kind.spec(), bytes),
            Step::Set {
                header,
                first_bit,
                bits,
                value,
            } => Program::set(&specs, *header, *first_bit, *bits, value),
        }
    }

    /// What `program` makes of this frame, with `room` bytes in front of it and only its headers in the buffer if
    /// `headers_only`.
    pub(crate) fn run(
        &self,
        program: &Program,
        room: usize,
        headers_only: bool,
        sums: Sums,
    ) -> Vec<u8> {
        self.run_with(room, headers_only, |head, len, offsets| {
            program.apply(head, room, len, offsets, sums, 0)
        })
        .unwrap_or_else(|error| panic!("{error}: {program:?} on {self:?}"))
    }

    /// The same with anything that is applied to a buffer and a frame of some length with these headers.
    pub(crate) fn run_with(
        &self,
        room: usize,
        headers_only: bool,
        apply: impl FnOnce(&mut [u8], usize, &Offsets) -> Result<Applied, ApplyError>,
    ) -> Result<Vec<u8>, ApplyError> {
        let frame = self.bytes();
        let in_buffer = if headers_only {
            self.header_len()
        } else {
            frame.len()
        };
        let mut head = vec![0xa5; room];
        head.extend_from_slice(&frame[..in_buffer]);
        let before = head.clone();
        let applied = match apply(&mut head, frame.len(), &self.offsets()) {
            Ok(applied) => applied,
            Err(error) => {
                assert_eq!(head, before, "{error}, but the frame was changed");
                return Err(error);
            }
        };
        let mut after = head[applied.start..].to_vec();
        after.extend_from_slice(&frame[in_buffer..]);
        assert_eq!(after.len(), applied.frame_len);
        Ok(after)
    }
}
