//! Hosts, guests and a boundary endpoint in network namespaces, for tests and the demo
