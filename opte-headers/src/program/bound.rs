//! What is run for every packet of a flow.

use core::fmt;
use core::hash::{Hash, Hasher};

use super::Program;
use super::apply::{Applied, ApplyError, Sums};
use super::bind::{Template, Translation};
use super::front::Front;
use super::local::TunnelInfo;
use super::tunnel::Tunnel;
use crate::frame::{Innermost, Offsets};

/// What is run for every packet of a flow: a [`Template`] compiled, so that nothing is left to be found out but whether the
/// frame's headers stand as the flow's frames have them. It is for all flows of its template, each with a [`Translation`] of its
/// own.
///
/// Positions count from the innermost Ethernet header: what is around that may have options, and frames of a flow need not have
/// the same ones. A frame with IP options, extension headers or VLAN tags in the innermost stack takes the long way, through
/// [`Program::apply`].
#[derive(Clone, Copy)]
pub struct Bound {
    pub(super) front: Front,
    tunnel: Tunnel,
    /// What the tunnel says, if it ends on the host itself.
    pub(super) local: Option<TunnelInfo>,
    template: Template,
}

impl Bound {
    pub(super) fn new(template: Template) -> Self {
        // Whatever does not fit goes the long way.
        let parts = Front::of(&template).and_then(|front| {
            let tunnel = Tunnel::of(&template.program.prefix)?;
            Some((front, tunnel))
        });
        let (front, tunnel) = parts.unwrap_or((Front::NONE, Tunnel::NONE));
        Self {
            front,
            tunnel,
            local: TunnelInfo::of(&template),
            template,
        }
    }

    /// What it was made of.
    #[inline]
    #[must_use]
    pub const fn template(&self) -> &Template {
        &self.template
    }

    /// The program it stands for, of the flow that this is the translation of.
    #[must_use]
    pub fn program(&self, translation: &Translation) -> Program {
        self.template.program(translation)
    }

    /// Does to a frame of the flow what [`Program::apply`] does, with the same arguments, of the program that was bound.
    ///
    /// The frame must have the flow key that the program was bound to; else the bytes written are not those of the program.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]; the frame is then as it was, provided that `offsets` are those of this frame.
    #[expect(clippy::too_many_arguments, reason = "those of Program::apply")]
    #[inline(always)]
    pub fn apply(
        &self,
        translation: &Translation,
        head: &mut [u8],
        start: usize,
        frame_len: usize,
        offsets: &Offsets,
        sums: Sums,
        entropy: u16,
    ) -> Result<Applied, ApplyError> {
        let innermost = offsets.innermost();
        match self.apply_plain(
            translation,
            head,
            start,
            frame_len,
            innermost,
            sums,
            entropy,
        ) {
            Some(applied) => Ok(applied),
            None => {
                // Copies: where the caller knows them, they need not be in memory.
                let (offsets, translation) = (*offsets, *translation);
                self.apply_any(
                    &translation,
                    head,
                    start,
                    frame_len,
                    &offsets,
                    sums,
                    entropy,
                )
            }
        }
    }

    /// As [`Bound::apply`]. None, and nothing done, of frames that are not as those of the flow mostly are.
    #[expect(clippy::too_many_arguments, reason = "those of Program::apply")]
    #[inline(always)]
    pub fn apply_plain(
        &self,
        translation: &Translation,
        head: &mut [u8],
        start: usize,
        frame_len: usize,
        innermost: Innermost,
        sums: Sums,
        entropy: u16,
    ) -> Option<Applied> {
        let front = &self.front;
        if innermost.anchor() != front.anchor {
            return None;
        }
        let dropped = innermost.base();
        let body_len = frame_len.checked_sub(dropped)?;
        let pushed = usize::from(front.len);
        let base = start + dropped;
        let start = base.checked_sub(pushed)?;
        let (room, frame) = head.split_at_mut_checked(base)?;
        // Whatever can fail does so before the first byte is written.
        front.rewrite(translation, frame, sums)?;
        self.tunnel
            .push(room.get_mut(start..)?, body_len as u16, entropy);
        Some(Applied {
            start,
            frame_len: body_len + pushed,
        })
    }

    /// Of frames that are not as those of the flow mostly are.
    #[expect(clippy::too_many_arguments, reason = "those of Program::apply")]
    #[cold]
    #[inline(never)]
    fn apply_any(
        &self,
        translation: &Translation,
        head: &mut [u8],
        start: usize,
        frame_len: usize,
        offsets: &Offsets,
        sums: Sums,
        entropy: u16,
    ) -> Result<Applied, ApplyError> {
        let program = self.program(translation);
        program.apply(head, start, frame_len, offsets, sums, entropy)
    }
}

impl From<Template> for Bound {
    fn from(template: Template) -> Self {
        template.compile()
    }
}

/// By the template, of which the rest follows.
impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.template == other.template
    }
}

impl Eq for Bound {}

impl Hash for Bound {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.template.hash(state);
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bound").field(&self.template).finish()
    }
}
