//! Finds a guest's port on one of several drivers, all asked at once, and counts the flows of that port:
//!
//! `cargo run -p opteadm --features tokio --example async -- a8:40:25:f0:00:01 [SOCKET..]`

use std::io::{self, Write};
use std::path::PathBuf;

use opte::api::{DumpUftReq, FlowFilter, Page};
use opteadm::{AsyncClient, DEFAULT_SOCKET, Error};
use oxide_vpc::api::MacAddr;
use tokio::task::JoinSet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mac = arguments.next().ok_or("which guest?")?.parse()?;
    let mut sockets: Vec<PathBuf> = arguments.map(Into::into).collect();
    if sockets.is_empty() {
        sockets.push(DEFAULT_SOCKET.into());
    }
    find(mac, sockets, &mut io::stdout()).await
}

pub(crate) async fn find(
    mac: MacAddr,
    sockets: Vec<PathBuf>,
    out: &mut impl Write,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut asked: JoinSet<_> = sockets.into_iter().map(|socket| on(mac, socket)).collect();
    while let Some(answer) = asked.join_next().await {
        match answer? {
            Ok(Some((port, flows))) => writeln!(out, "{port} has {flows} flows")?,
            Ok(None) => {}
            // One that does not run has no guests.
            Err(Error::NotRunning { socket, .. }) => {
                writeln!(out, "no driver at {}", socket.display())?
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The guest's port and how many entries its flow table has, if this driver has it.
async fn on(mac: MacAddr, socket: PathBuf) -> Result<Option<(String, usize)>, Error> {
    let mut client = AsyncClient::connect(socket).await?;
    let ports = client.list_ports().await?;
    let Some(port) = ports.into_iter().find(|port| port.mac_addr == mac) else {
        return Ok(None);
    };
    let request = DumpUftReq {
        port_name: port.name.clone(),
        page: Page::FIRST,
        filter: FlowFilter::ALL,
    };
    let (mut pages, mut flows) = (client.pages(request), 0);
    while let Some(page) = pages.next().await {
        flows += page?.flows.len();
    }
    Ok(Some((port.name, flows)))
}
