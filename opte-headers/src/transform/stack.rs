//! Stacks of headers as types, and what is asked of them.

use crate::frame::MAX_HEADERS;
use crate::header::{Follows, Header};
use crate::program::HeaderSpec;

/// The type of a stack of headers, outermost first: `stack![Ethernet, Ipv4, Tcp]`.
///
/// It is a list of pairs, `(Ethernet, (Ipv4, (Tcp, ())))`, and that is how the compiler shows it.
#[macro_export]
macro_rules! stack {
    ($header:ty $(,)?) => { ($header, ()) };
    ($header:ty, $($behind:ty),+ $(,)?) => { ($header, $crate::stack![$($behind),+]) };
}

/// A stack of one to eight headers, each of which can follow the one before it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a stack of headers",
    note = "write it as `stack![Ethernet, Ipv4, Tcp]`: one to eight headers, outermost first"
)]
pub trait Stack: 'static {
    /// The outermost header.
    type Head: Header;
    /// What stands behind it.
    type Tail;
    /// How many headers there are.
    const LEN: usize;
    /// What programs have to know of them; the first [`Stack::LEN`] count.
    const SPECS: [HeaderSpec; MAX_HEADERS];

    /// Bytes of the headers without their parts of variable length.
    const MIN_LEN: usize;

    /// What programs have to know of them.
    #[must_use]
    fn specs() -> &'static [HeaderSpec] {
        const { &Self::SPECS }.get(..Self::LEN).unwrap_or_default()
    }
}

impl<H: Header + 'static> Stack for (H, ()) {
    type Head = H;
    type Tail = ();
    const LEN: usize = 1;
    const SPECS: [HeaderSpec; MAX_HEADERS] = [HeaderSpec::of::<H>(); MAX_HEADERS];
    const MIN_LEN: usize = H::MIN_LEN;
}

impl<P, C, T> Stack for (P, (C, T))
where
    P: Header + 'static,
    C: Follows<P>,
    (C, T): Stack,
{
    type Head = P;
    type Tail = (C, T);
    const LEN: usize = 1 + <(C, T)>::LEN;
    const SPECS: [HeaderSpec; MAX_HEADERS] = {
        assert!(Self::LEN <= MAX_HEADERS, "a stack has at most 8 headers");
        before(HeaderSpec::of::<P>(), <(C, T)>::SPECS)
    };
    const MIN_LEN: usize = P::MIN_LEN + <(C, T)>::MIN_LEN;
}

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn before(
    first: HeaderSpec,
    mut rest: [HeaderSpec; MAX_HEADERS],
) -> [HeaderSpec; MAX_HEADERS] {
    let mut index = MAX_HEADERS - 1;
    while index > 0 {
        rest[index] = rest[index - 1];
        index -= 1;
    }
    rest[0] = first;
    rest
}

/// The stack holds header `H`, at a place that the compiler finds.
#[diagnostic::on_unimplemented(
    message = "`{H}` is not in the stack `{Self}`",
    label = "no `{H}` in the stack at this step",
    note = "push `{H}` before this step, or begin with a stack that has it; a header that was popped is gone"
)]
pub trait Has<H, Place> {
    /// Its position, counted from the outermost header.
    const INDEX: usize;
}

/// The place of a stack's outermost header.
#[derive(Clone, Copy, Debug)]
pub enum Here {}

/// The place behind another one.
#[derive(Clone, Copy, Debug)]
pub struct Behind<Place>(core::convert::Infallible, core::marker::PhantomData<Place>);

#[diagnostic::do_not_recommend]
impl<H, T> Has<H, Here> for (H, T) {
    const INDEX: usize = 0;
}

#[diagnostic::do_not_recommend]
impl<H, X, T, Place> Has<H, Behind<Place>> for (X, T)
where
    T: Has<H, Place>,
{
    const INDEX: usize = 1 + T::INDEX;
}

/// Header `H` is the outermost one.
#[diagnostic::on_unimplemented(
    message = "`{H}` cannot be popped: it is not the outermost header of `{Self}`",
    label = "`{H}` does not stand in front",
    note = "pop the headers in front of it first; a header that is not in the stack cannot be popped"
)]
pub trait Outermost<H> {}

impl<H, T: Remains> Outermost<H> for (H, T) {}

/// Headers remain.
#[diagnostic::on_unimplemented(
    message = "the last header of a stack cannot be popped",
    label = "nothing stands behind this header",
    note = "a frame keeps at least one header"
)]
pub trait Remains {}

impl<H, T> Remains for (H, T) {}

/// This header can stand in front of `Child`: what [`Follows`] says, from the parent's side.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be pushed in front of `{Child}`: it does not carry it",
    label = "does not carry `{Child}`",
    note = "push a header that does, or let `{Child}` tell how: `#[header(follows({Self} = VALUE))]`, VALUE as in the field of \
            `{Self}` marked `next`"
)]
pub trait Carries<Child>: Header {
    /// What its `next` field then holds; `None` where it has no such field.
    const SELECTOR: Option<Self::Selector>;
}

#[diagnostic::do_not_recommend]
impl<P: Header, C: Follows<P>> Carries<C> for P {
    const SELECTOR: Option<P::Selector> = C::SELECTOR;
}

/// The stack that a transformation takes is the one that the transformation before it gives.
#[diagnostic::on_unimplemented(
    message = "a transformation of `{Self}` cannot follow one that gives `{Given}`",
    label = "takes `{Self}`",
    note = "the second of two transformations begins with the stack that the first one ends with"
)]
pub trait Takes<Given> {}

impl<S> Takes<S> for S {}

/// The stack is another one with headers in front, at a place that the compiler finds.
#[diagnostic::on_unimplemented(
    message = "there is no reverse from `{Self}` to `{Original}`: bytes that `pop` took off are not known",
    label = "cannot be reversed",
    note = "only what was pushed and set can be reversed; describe the way back by a transformation of its own, which \
            pushes the headers with their contents"
)]
pub trait EndsWith<Original, Place> {}

impl<S> EndsWith<S, Here> for S {}

#[diagnostic::do_not_recommend]
impl<X, T, S, Place> EndsWith<S, Behind<Place>> for (X, T) where T: EndsWith<S, Place> {}
