//! Opens SSH to a guest, and tells what a program can know of it that something went wrong:
//!
//! `cargo run -p opteadm --example sync -- opte0 [SOCKET]`

use std::io::{self, Write};
use std::path::Path;

use opte::api::OpteError;
use opteadm::{Client, DEFAULT_SOCKET, Error};
use oxide_vpc::api::{AddFwRuleReq, FirewallRule};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().ok_or("which port?")?;
    let socket = arguments.next().unwrap_or_else(|| DEFAULT_SOCKET.into());
    open_ssh(Path::new(&socket), &port, &mut io::stdout())
}

pub(crate) fn open_ssh(
    socket: &Path,
    port: &str,
    out: &mut impl Write,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut client = match Client::connect(socket) {
        Ok(client) => client,
        // Each error is a variant with what there is to know of it, and a line of text.
        Err(error @ Error::NotRunning { .. }) => return Err(format!("start xde: {error}").into()),
        Err(error) => return Err(error.into()),
    };
    let rule: FirewallRule = "dir=in action=allow priority=100 protocol=tcp port=22".parse()?;
    let request = AddFwRuleReq {
        port_name: port.into(),
        rule,
    };
    let number = match client.call(&request) {
        Ok(answer) => answer.id,
        Err(Error::Refused {
            error: OpteError::PortNotFound { port },
            ..
        }) => {
            let names: Vec<String> = client
                .list_ports()?
                .into_iter()
                .map(|port| port.name)
                .collect();
            writeln!(out, "there is no {port}, but: {}", names.join(" "))?;
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    // However many rules and flows there are, one page of them is in memory.
    let layer = client.dump_layer(port, "firewall")?;
    let rule = layer.rules.iter().find(|rule| rule.id == number);
    let rule = rule.ok_or("the rule is gone again")?;
    writeln!(out, "rule {number}: {}", rule.predicates.join(", "))?;
    Ok(())
}
