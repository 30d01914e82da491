//! Listings, which are answered page by page.

use opte::api::{
    DumpLayerReq, DumpStatsReq, DumpTcpFlowsReq, DumpUftReq, OpteError, Page, Request,
};
use oxide_vpc::api::{
    DumpConfigReq, DumpMcast2PhysReq, DumpMcastForwardingReq, DumpMcastSubscriptionsReq,
    DumpVirt2BoundaryReq, DumpVirt2PhysReq, ListPortsReq,
};

use crate::{Client, Error};

/// A request that is answered page by page.
pub trait Paged: Request {
    /// Asks for this page.
    fn set_page(&mut self, page: Page);
    /// Where to go on after this answer; `None` if it was the last.
    fn next(response: &Self::Response) -> Option<u64>;
}

macro_rules! paged {
    ($($request:ty),* $(,)?) => {
        $(
            impl Paged for $request {
                fn set_page(&mut self, page: Page) {
                    self.page = page;
                }

                fn next(response: &Self::Response) -> Option<u64> {
                    response.next
                }
            }
        )*
    };
}

paged! {
    DumpConfigReq,
    DumpLayerReq,
    DumpMcast2PhysReq,
    DumpMcastForwardingReq,
    DumpMcastSubscriptionsReq,
    DumpStatsReq,
    DumpTcpFlowsReq,
    DumpUftReq,
    DumpVirt2BoundaryReq,
    DumpVirt2PhysReq,
    ListPortsReq,
}

/// The pages of a listing, each asked for when it is wanted. After an error there are no more.
#[derive(Debug)]
pub struct Pages<'a, R> {
    client: &'a mut Client,
    request: R,
    cursor: Cursor,
}

impl<'a, R: Paged> Pages<'a, R> {
    pub(crate) fn new(client: &'a mut Client, request: R) -> Self {
        Self {
            client,
            request,
            cursor: Cursor::default(),
        }
    }
}

impl<R: Paged> Iterator for Pages<'_, R> {
    type Item = Result<R::Response, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(page) = self.cursor.page() {
            self.request.set_page(page);
            let answer = self.client.call(&self.request);
            if let Some(answer) = self.cursor.take::<R>(answer) {
                return Some(answer);
            }
        }
        None
    }
}

/// Where a listing is.
#[derive(Debug)]
pub(crate) struct Cursor(Option<Page>);

impl Default for Cursor {
    fn default() -> Self {
        Self(Some(Page::FIRST))
    }
}

impl Cursor {
    /// The page to ask for.
    pub(crate) fn page(&self) -> Option<Page> {
        self.0
    }

    /// Goes on after an answer; `None` if the page is to be asked for again, shorter.
    pub(crate) fn take<R: Paged>(
        &mut self,
        answer: Result<R::Response, Error>,
    ) -> Option<Result<R::Response, Error>> {
        let page = self.0?;
        match &answer {
            Ok(response) => {
                self.0 = R::next(response).map(|cursor| Page { cursor, ..page });
            }
            // Entries can be long: fewer of them, then.
            Err(Error::Refused {
                error: OpteError::RespTooLarge { .. },
                ..
            }) if page.limit > 1 => {
                self.0 = Some(Page {
                    limit: page.limit / 2,
                    ..page
                });
                return None;
            }
            Err(_) => self.0 = None,
        }
        Some(answer)
    }
}
