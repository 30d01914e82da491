//! Other crates for packets, and what each can and cannot: as of ingot 0.2.1, etherparse 0.21.0, smoltcp 0.14.0 (its `wire` module),
//! pnet 0.35.0 and deku 0.20.3, from their documentation and sources.
//!
//! | | opte-headers | ingot | etherparse | smoltcp | pnet | deku |
//! |---|---|---|---|---|---|---|
//! | derive a header of your own | yes | yes | no | no | yes | yes, any binary format |
//! | bits of any width | to 64, any place | to 64, any place | | | to 64 | any |
//! | little-endian fields | yes | whole bytes | | | yes | yes |
//! | reads without copying | views | views | slices | views | views | owned values only |
//! | writes in place | setters | setters | no: builds anew | setters | setters | no: writes anew |
//! | one trait for views and structs | yes | yes | no | no | no | one type |
//! | a field never read past its check | by type | by type | by type | by `new_checked`; `new_unchecked` panics | `new` looks at the fixed part; lengths in it may panic | by its reader |
//! | constants and lengths checked when parsed | all declared | lengths; more by functions | yes | yes | minimum length | all declared (`magic`, `assert`) |
//! | typed options, unknown ones kept | derive | nested parsers | of TCP and NDP | of TCP, NDP, IPv6 | raw | by enum |
//! | parser of a stack, from a declaration | macro | derive | one, fixed | no: header by header | no: header by header | by nesting |
//! | your headers in that stack | yes | yes | no | | | yes |
//! | functions of yours in between | yes | yes | no | | | yes (`reader`) |
//! | what a parsed stack is | offsets, 1 byte a header | structs of views | structs of slices or owned | | | owned values |
//! | frames in segments | yes, pulled up into a buffer if need be | yes, each header contiguous | no | no | no | from a `Read` |
//! | packets cut off in ICMP errors | flow key, translation | no | `Lax` slices | as a slice | no | |
//! | IP reassembly | no | no | yes (`defrag`) | yes (its stack) | no | |
//! | checksums computed | yes | no | yes | yes | yes | |
//! | .. kept by the difference when edited | yes (`Editor`) | no | no | no | no | |
//! | transformations checked by type, composed, reversed | yes | no | no | no | no | no |
//! | `no_std` | yes | yes | yes | yes | yes | yes |
//! | without an allocator | yes | no, says its README | yes, but for vectors | yes | no | in part (`alloc` is a feature) |
//! | protocols shipped | 25 files, Geneve and DHCP options among them | Ethernet to Geneve | link to transport, MACsec, SLL | a whole IP stack's, 802.15.4 too | GRE, VXLAN, DHCP among them | none |
//! | captures, sockets, a TCP/IP stack | no | no | no | stack | captures, raw sockets | no |
//!
//! In short: to look at packets of common protocols etherparse is enough and its lax slices are good; a host wants smoltcp, a
//! sniffer pnet; a file format or a protocol that is no packet wants deku; ingot is closest to this crate, which came after it.
//! What they cost side by side, `./figures` measures.
