//! Where in a file a thing is said.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use toml::de::{DeTable, DeValue};

use super::Format;

/// A step on the way to a part of a configuration.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Key(&'static str),
    Index(usize),
}

/// The line, from 1, at which the part stands that `path` leads to, or the last part of the way that there is.
pub(super) fn line_of(text: &str, format: Format, path: &[Step]) -> usize {
    let offset = match format {
        Format::Toml => in_toml(text, path),
        Format::Json => in_json(text, path),
    };
    line_at(text, offset)
}

/// The line, from 1, of an octet.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().filter(|octet| **octet == b'\n').count() + 1
}

fn in_toml(text: &str, path: &[Step]) -> usize {
    let Ok(root) = DeTable::parse(text) else {
        return 0;
    };
    let mut at = 0;
    let mut here = DeValue::Table(root.into_inner());
    for step in path {
        let next = match (*step, here) {
            (Step::Key(key), DeValue::Table(mut table)) => table.remove(key),
            (Step::Index(index), DeValue::Array(array)) => array.into_iter().nth(index),
            _ => None,
        };
        let Some(next) = next else { break };
        at = next.span().start;
        here = next.into_inner();
    }
    at
}

/// Where the first text stands, in a list called `list` of a port, of which `is` is true. The decoder of TOML tells of what is
/// wrong in a list only where the list begins.
pub(super) fn in_lists_of_ports(
    text: &str,
    list: &str,
    is: impl Fn(&str) -> bool,
) -> Option<usize> {
    let root = DeTable::parse(text).ok()?.into_inner();
    let ports = root.get("port")?.get_ref().as_array()?;
    let lists = ports.iter().filter_map(|port| port.get_ref().get(list));
    let texts = lists.filter_map(|list| list.get_ref().as_array()).flatten();
    let found = texts
        .into_iter()
        .find(|text| text.get_ref().as_str().is_some_and(&is))?;
    Some(found.span().start)
}

fn in_json(text: &str, path: &[Step]) -> usize {
    let mut here = text;
    for step in path {
        let next: Option<&RawValue> = match step {
            Step::Key(key) => serde_json::from_str::<BTreeMap<String, &RawValue>>(here)
                .ok()
                .and_then(|object| object.get(*key).copied()),
            Step::Index(index) => serde_json::from_str::<Vec<&RawValue>>(here)
                .ok()
                .and_then(|array| array.get(*index).copied()),
        };
        let Some(next) = next else { break };
        here = next.get();
    }
    // Both are parts of one text.
    (here.as_ptr() as usize).saturating_sub(text.as_ptr() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_parts() {
        let toml = "underlay = [\n  \"a\",\n  \"b\",\n]\n\n[[port]]\nname = \"x\"\n[port.ipv4]\naddress = 1\n[[port]]\nname = \"y\"\n";
        let json = "{\"underlay\": [\n\"a\",\n\"b\"\n],\n\n\"port\": [{\n\"name\": \"x\",\n\"ipv4\": {\"address\":\n1}},\n{\"name\":\n\"y\"}]}";
        use Step::{Index, Key};
        let cases: [(&[Step], usize, usize); 5] = [
            (&[Key("underlay"), Index(1)], 3, 3),
            (&[Key("port"), Index(0), Key("name")], 7, 7),
            (&[Key("port"), Index(0), Key("ipv4"), Key("address")], 9, 9),
            (&[Key("port"), Index(1)], 10, 10),
            (&[Key("port"), Index(1), Key("name")], 11, 11),
        ];
        for (path, in_toml, in_json) in cases {
            assert_eq!(line_of(toml, Format::Toml, path), in_toml, "{path:?}");
            assert_eq!(line_of(json, Format::Json, path), in_json, "{path:?}");
        }
        // What is not there is looked for as far as the way goes.
        assert_eq!(line_of(toml, Format::Toml, &[Key("port"), Index(9)]), 6);
        assert_eq!(line_of("{", Format::Json, &[Key("port")]), 1);
    }
}
