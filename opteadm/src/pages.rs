//! Listings, which are answered page by page.

use opte::api::{
    DumpLayerReq, DumpLayerResp, DumpStatsReq, DumpStatsResp, DumpTcpFlowsReq, DumpUftReq,
    DumpUftResp, FlowFilter, Page, Request, TcpFlow,
};
use oxide_vpc::api::{
    DumpMcast2PhysReq, DumpMcastForwardingReq, DumpMcastSubscriptionsReq, DumpVirt2BoundaryReq,
    DumpVirt2PhysReq, ListPortsReq, Mcast2PhysMapping, McastForwarding, McastSubscription,
    PortInfo, Virt2BoundaryMapping, Virt2PhysMapping,
};

use crate::session::shorter;
use crate::{Client, Error};

/// A request that is answered page by page.
pub trait Paged: Request {
    /// All pages as one.
    type Whole;

    /// Asks for this page.
    fn set_page(&mut self, page: Page);
    /// Where to go on after this answer; `None` if it was the last.
    fn next(response: &Self::Response) -> Option<u64>;
    /// Adds a page to those before it.
    fn gather(whole: Option<Self::Whole>, response: Self::Response) -> Self::Whole;
}

macro_rules! paged {
    ($($request:ident: $whole:ty = $gather:expr;)*) => {
        $(
            impl Paged for $request {
                type Whole = $whole;

                fn set_page(&mut self, page: Page) {
                    self.page = page;
                }

                fn next(response: &Self::Response) -> Option<u64> {
                    response.next
                }

                fn gather(whole: Option<$whole>, response: Self::Response) -> $whole {
                    let gather: fn(Option<$whole>, Self::Response) -> $whole = $gather;
                    gather(whole, response)
                }
            }
        )*
    };
}

paged! {
    DumpLayerReq: DumpLayerResp = |whole, mut page| match whole {
        None => page,
        Some(mut whole) => {
            whole.rules.append(&mut page.rules);
            whole.flows.append(&mut page.flows);
            whole.next = page.next;
            whole
        }
    };
    DumpMcast2PhysReq: Vec<Mcast2PhysMapping> = |whole, page| chained(whole, page.mappings);
    DumpMcastForwardingReq: Vec<McastForwarding> = |whole, page| chained(whole, page.entries);
    DumpMcastSubscriptionsReq: Vec<McastSubscription> = |whole, page| chained(whole, page.entries);
    DumpStatsReq: DumpStatsResp = |whole, page| DumpStatsResp {
        ports: chained(whole.map(|whole| whole.ports), page.ports),
        ..page
    };
    DumpTcpFlowsReq: Vec<TcpFlow> = |whole, page| chained(whole, page.flows);
    DumpUftReq: DumpUftResp = |whole, page| DumpUftResp {
        flows: chained(whole.map(|whole| whole.flows), page.flows),
        ..page
    };
    DumpVirt2BoundaryReq: Vec<Virt2BoundaryMapping> = |whole, page| chained(whole, page.mappings);
    DumpVirt2PhysReq: Vec<Virt2PhysMapping> = |whole, page| chained(whole, page.mappings);
    ListPortsReq: Vec<PortInfo> = |whole, page| chained(whole, page.ports);
}

fn chained<T>(whole: Option<Vec<T>>, mut page: Vec<T>) -> Vec<T> {
    let mut whole = whole.unwrap_or_default();
    whole.append(&mut page);
    whole
}

/// All of a layer.
pub(crate) fn layer(port: &str, layer: &str) -> DumpLayerReq {
    DumpLayerReq {
        port_name: port.into(),
        name: layer.into(),
        page: Page::FIRST,
        filter: FlowFilter::ALL,
        rule: None,
    }
}

/// All of a unified flow table.
pub(crate) fn uft(port: &str) -> DumpUftReq {
    DumpUftReq {
        port_name: port.into(),
        page: Page::FIRST,
        filter: FlowFilter::ALL,
    }
}

/// All TCP flows of a port.
pub(crate) fn tcp_flows(port: &str) -> DumpTcpFlowsReq {
    DumpTcpFlowsReq {
        port_name: port.into(),
        page: Page::FIRST,
        filter: FlowFilter::ALL,
    }
}

/// The counters of the driver, and of one port or of all.
pub(crate) fn stats(port: Option<&str>) -> DumpStatsReq {
    DumpStatsReq {
        port_name: port.map(Into::into),
        page: Page::FIRST,
    }
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
        let answer = match answer {
            Ok(response) => {
                self.0 = R::next(&response).map(|cursor| Page { cursor, ..page });
                Ok(response)
            }
            Err(error) => match shorter(page.limit, error) {
                Ok(limit) => {
                    self.0 = Some(Page { limit, ..page });
                    return None;
                }
                Err(error) => {
                    self.0 = None;
                    Err(error)
                }
            },
        };
        Some(answer)
    }
}
