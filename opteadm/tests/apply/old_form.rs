//! `xde-create` in its old form, which says of the host what else it needs.

use crate::Host;

fn old(name: &str, links: &str, mac: &str) -> Vec<String> {
    let line = format!(
        "xde-create --passthrough {name} {links} {mac} 10.0.0.1 A8:40:25:00:00:01 10.0.0.254 fd00:99::1 99 10 fd00:1::1"
    );
    line.split(' ').map(Into::into).collect()
}

fn run(host: &Host, line: &[String]) -> (String, String) {
    let words: Vec<&str> = line.iter().map(String::as_str).collect();
    host.run(&words)
}

#[test]
fn the_old_form_sets_up_the_host_too() {
    let host = Host::new();
    let silent = (String::new(), String::new());
    let first = old("xde0", "u0 u1", "A8:40:25:ff:00:01");
    assert_eq!(run(&host, &first), silent);
    // A second port finds the links taken, by the same names.
    let mut second = old("xde1", "u0 u1", "A8:40:25:ff:00:02");
    second[6] = "10.0.0.2".into();
    assert_eq!(run(&host, &second), silent);
    let exported = host.export();
    for part in [
        "underlay = [\"u0\", \"u1\"]",
        "name = \"xde0\"",
        "name = \"xde1\"",
        "passthrough = true",
        "vni = 10",
        "underlay-address = \"fd00:1::1\"",
        "address = \"10.0.0.1\"",
        "subnet = \"10.0.0.0/24\"",
        "gateway = \"10.0.0.254\"",
        "prefix = \"0.0.0.0/0\"",
        "prefix = \"::/0\"",
        "endpoints = [\"fd00:99::1\"]",
    ] {
        assert!(exported.contains(part), "{part} is not in {exported}");
    }
}

#[test]
fn the_old_form_that_fails_leaves_the_host_as_it_was() {
    let host = Host::new();
    let mut bad = old("xde0", "u0 u1", "A8:40:25:00:00:01");
    let (_, complaint) = run(&host, &bad);
    assert!(
        complaint.ends_with("guest and gateway have the same MAC address A8:40:25:00:00:01\n"),
        "{complaint}"
    );
    assert_eq!(host.export(), "");
    // What only the system can say is said after all was tried.
    bad[5] = "A8:40:25:ff:00:01".into();
    *host.driver.platform().fails.lock().unwrap() = Some("create");
    let (_, complaint) = run(&host, &bad);
    assert!(complaint.contains("create fails"), "{complaint}");
    assert_eq!(host.export(), "");

    let first = old("xde0", "u0 u1", "A8:40:25:ff:00:01");
    run(&host, &first);
    let before = host.export();
    let (_, complaint) = run(&host, &first);
    assert!(
        complaint.ends_with("port 'xde0' exists already\n"),
        "{complaint}"
    );
    let others = old("xde1", "u2 u3", "A8:40:25:ff:00:02");
    let (_, complaint) = run(&host, &others);
    assert_eq!(
        complaint,
        "opteadm: underlay links are set already: u0,u1\n"
    );
    assert_eq!(host.export(), before);
}
