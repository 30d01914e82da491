//! Frames of flows, and what networks do to them.

use opte_headers::frame::{FlowKey, KeyKind};

use crate::model::{Kind, Model, Rng, Step};

impl Model {
    /// A frame that says what it is, as its flow's key is read from it.
    pub(crate) fn of_flow(rng: &mut Rng) -> Self {
        loop {
            let mut model = Self::random(rng);
            if model.headers.iter().any(|(kind, _)| kind.is_ip()) {
                model.tell(rng.chance(70));
                return model;
            }
        }
    }

    /// Another frame of the same flow: all is different that the key does not tell.
    pub(crate) fn another(&self, rng: &mut Rng) -> Self {
        let mut other = self.clone();
        let l3 = usize::from(self.l3_index());
        for (at, (kind, bytes)) in other.headers.iter_mut().enumerate() {
            let old = std::mem::replace(bytes, kind.random(rng));
            let kept = match kind {
                Kind::Ipv4 if at == l3 => 12..20,
                Kind::Ipv6 if at == l3 => 8..40,
                Kind::Tcp | Kind::Udp if at > l3 => 0..4,
                Kind::Icmpv4 | Kind::Icmpv6 if at > l3 => {
                    bytes[..2].copy_from_slice(&old[..2]);
                    4..6
                }
                _ => 0..0,
            };
            bytes[kept.clone()].copy_from_slice(&old[kept]);
        }
        let len = rng.below(64);
        other.payload = rng.bytes(len);
        for (kind, bytes) in &mut other.headers {
            if *kind == Kind::Udp && rng.chance(30) {
                bytes[6..8].fill(0);
            }
        }
        other.tell(self.key().kind != KeyKind::ICMP);
        other
    }

    /// Writes what each header says of the next one, and whether ICMP is an echo.
    fn tell(&mut self, echo: bool) {
        let kinds: Vec<Kind> = self.headers.iter().map(|(kind, _)| *kind).collect();
        for (at, (kind, bytes)) in self.headers.iter_mut().enumerate() {
            let next = kinds.get(at + 1);
            let protocol = next.map_or(47, |next| next.protocol());
            match (kind, next) {
                (Kind::Ethernet, Some(Kind::Ipv4)) => bytes[12..14].copy_from_slice(&[8, 0]),
                (Kind::Ethernet, Some(Kind::Ipv6)) => bytes[12..14].copy_from_slice(&[0x86, 0xdd]),
                (Kind::Ipv4, _) => (bytes[0], bytes[9]) = (0x45, protocol),
                (Kind::Ipv6, _) => (bytes[0], bytes[6]) = (0x60, protocol),
                (Kind::Icmpv4, _) => bytes[..2].copy_from_slice(&[if echo { 8 } else { 3 }, 0]),
                (Kind::Icmpv6, _) => bytes[..2].copy_from_slice(&[if echo { 129 } else { 1 }, 0]),
                _ => {}
            }
        }
        self.complete();
    }

    /// Whether networks take such frames: without VLAN tags, and no tunnel in which there is no IP.
    pub(crate) fn is_usual(&self) -> bool {
        let tagged = self.headers.iter().any(|(kind, _)| *kind == Kind::Vlan);
        !tagged && self.headers.len() <= usize::from(self.l3_index()) + 2
    }

    /// Position of the innermost IP header.
    pub(crate) fn l3_index(&self) -> u8 {
        let l3 = self.headers.iter().rposition(|(kind, _)| kind.is_ip());
        l3.expect("an IP header") as u8
    }

    /// The key of the flow.
    pub(crate) fn key(&self) -> FlowKey {
        let l3 = usize::from(self.l3_index());
        let (kind, ip) = &self.headers[l3];
        let mut key = FlowKey::ZERO;
        if *kind == Kind::Ipv4 {
            let address = |at: usize| {
                let octets: [u8; 4] = ip[at..][..4].try_into().unwrap();
                FlowKey::octets_of_v4(octets.into())
            };
            (key.source, key.destination) = (address(12), address(16));
            key.protocol = ip[9];
        } else {
            key.source.copy_from_slice(&ip[8..24]);
            key.destination.copy_from_slice(&ip[24..40]);
            key.protocol = ip[6];
        }
        let Some((kind, bytes)) = self.headers.get(l3 + 1) else {
            return key;
        };
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        (key.source_port, key.destination_port, key.kind) = match (kind, bytes[0]) {
            (Kind::Tcp | Kind::Udp, _) => (word(0), word(2), KeyKind::PLAIN),
            (Kind::Icmpv4, 8) => (word(4), word(4), KeyKind::ECHO_REQUEST),
            (Kind::Icmpv6, 129) => (word(4), word(4), KeyKind::ECHO_REPLY),
            _ => (word(0), 0, KeyKind::ICMP),
        };
        key
    }

    /// Steps of the kind that networks take: a tunnel off, addresses and ports translated, a tunnel on.
    pub(crate) fn usual_steps(&self, rng: &mut Rng) -> Vec<Step> {
        let mut steps = vec![];
        let outer = usize::from(self.l3_index()) - 1;
        steps.extend((0..outer).map(|_| Step::Pop));
        let popped = steps.len();
        let translate_source = rng.chance(50);
        for (at, (kind, bytes)) in self.headers.iter().enumerate().skip(outer) {
            let fields: &[(usize, usize)] = match (kind, translate_source) {
                (Kind::Ethernet, _) => &[(0, 48), (48, 48)],
                (Kind::Ipv4, true) => &[(96, 32)],
                (Kind::Ipv4, false) => &[(128, 32)],
                (Kind::Ipv6, true) => &[(64, 128)],
                (Kind::Ipv6, false) => &[(192, 128)],
                (Kind::Tcp | Kind::Udp, true) => &[(0, 16)],
                (Kind::Tcp | Kind::Udp, false) => &[(16, 16)],
                (Kind::Icmpv4 | Kind::Icmpv6, _) if [8, 129].contains(&bytes[0]) => &[(32, 16)],
                _ => &[],
            };
            for &(first_bit, bits) in fields {
                if rng.chance(60) {
                    let (header, value) = (at - popped, rng.bytes(bits / 8));
                    steps.push(Step::Set {
                        header,
                        first_bit,
                        bits,
                        value,
                    });
                }
            }
        }
        if rng.chance(60) {
            for kind in [Kind::Geneve, Kind::Udp, Kind::Ipv6, Kind::Ethernet] {
                let len = kind.spec().min_len;
                steps.push(Step::Push(kind, rng.bytes(len)));
            }
        }
        rng.shuffle_sets(&mut steps);
        steps
    }
}

impl Rng {
    /// Sets come in any order.
    fn shuffle_sets(&mut self, steps: &mut [Step]) {
        let is_set = |step: &Step| matches!(step, Step::Set { .. });
        let from = steps.iter().position(is_set).unwrap_or(0);
        let sets = steps.iter().filter(|step| is_set(step)).count();
        for at in (1..sets).rev() {
            steps.swap(from + at, from + self.below(at + 1));
        }
    }
}
