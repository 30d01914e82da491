//! Programs as text, one line a step.

use core::fmt;

use super::prefix::NONE;
use super::{Prefix, Program};
use crate::frame::{HeaderKind, Shape};

/// Steps in the order in which a frame sees them, one a line:
///
/// ```text
/// set header 1 byte 12 to c6336401
/// set header 2 byte 0 to c000
/// sum header 2 byte 16
/// pop 1
/// push 14 bytes 0200000000010200000000020800
/// ```
///
/// A pushed header ends with the places that differ from frame to frame: `length at 4`, `sum at 10`, `entropy at 0`.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f, &Shape::default())
    }
}

/// A program with the names of the headers it is applied to; see [`Program::named`].
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    program: &'a Program,
    shape: &'a Shape,
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.program.describe(f, self.shape)
    }
}

impl Program {
    /// The program as text, with the headers named as in frames of this shape: `set Ipv4 byte 12 to c6336401`.
    #[must_use]
    pub const fn named<'a>(&'a self, shape: &'a Shape) -> Named<'a> {
        Named {
            program: self,
            shape,
        }
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>, shape: &Shape) -> fmt::Result {
        let mut lines = Lines { f, first: true };
        if self.is_identity() {
            return lines.start()?.write_str("nothing");
        }
        for (window, data) in self.rewrite.windows() {
            // Runs of written bytes, so that a line is a field or two neighbours.
            let mut bit = 0;
            while bit < 8 {
                if window.mask >> bit & 1 == 0 {
                    bit += 1;
                    continue;
                }
                let run = (window.mask >> bit).trailing_ones() as usize;
                let f = lines.start()?;
                write!(
                    f,
                    "set {} byte {} to ",
                    Name(shape, window.header),
                    usize::from(window.offset) + bit
                )?;
                hex(f, data.get(bit..bit + run).unwrap_or_default())?;
                bit += run;
            }
        }
        for bits in self.rewrite.bits() {
            let f = lines.start()?;
            let (name, shift) = (Name(shape, bits.header), bits.mask.trailing_zeros().min(7));
            let (value, mask) = (bits.value >> shift, bits.mask);
            write!(
                f,
                "set {name} byte {} bits {mask:08b} to {value}",
                bits.offset
            )?;
        }
        for place in self.rewrite.places() {
            write!(
                lines.start()?,
                "sum {} byte {}",
                Name(shape, place.header),
                place.offset
            )?;
        }
        if self.prefix.pop != 0 {
            write!(lines.start()?, "pop {}", self.prefix.pop)?;
        }
        self.prefix.describe(&mut lines)
    }
}

impl Prefix {
    fn describe(&self, lines: &mut Lines<'_, '_>) -> fmt::Result {
        // The innermost is pushed first.
        for index in (0..self.pushed()).rev() {
            let Some((from, to)) = self.span(index) else {
                continue;
            };
            let f = lines.start()?;
            write!(f, "push {} bytes ", to.saturating_sub(from))?;
            hex(f, self.data.get(from..to).unwrap_or_default())?;
            let within = |at: u8| {
                (at != NONE)
                    .then(|| usize::from(at).checked_sub(from))
                    .flatten()
            };
            let within = |at: u8| within(at).filter(|at| *at < to - from);
            for at in self.lengths().iter().filter_map(|length| within(length.at)) {
                write!(f, ", length at {at}")?;
            }
            for at in self.sums.iter().filter_map(|at| within(*at)) {
                write!(f, ", sum at {at}")?;
            }
            for at in self.entropy.iter().filter_map(|place| within(place.at)) {
                write!(f, ", entropy at {at}")?;
            }
        }
        Ok(())
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

struct Name<'a>(&'a Shape, u8);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.at(self.1) {
            HeaderKind::None | HeaderKind::Other => write!(f, "header {}", self.1),
            kind => write!(f, "{kind:?}"),
        }
    }
}

fn hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}
