//! What `--json` prints, as JSON Schema (draft 2020-12).
//!
//! Made of the schemas of the very types that are printed: nothing here can differ from them. Names are explained by the comments that
//! the types have in the source, which a test gathers in `schema/descriptions.txt`.

use opte::api::{
    DumpLayerResp, DumpStatsResp, DumpUftResp, LayerDesc, NoResp, RestorePortResp, TcpFlow,
    TracePacketResp,
};
use opte::port::HeavyFlow;
use opteadm::config::Config;
use oxide_vpc::api::{
    AddFwRuleResp, Mcast2PhysMapping, McastForwarding, McastSubscription, PortInfo,
    Virt2BoundaryMapping, Virt2PhysMapping,
};
use postcard_schema::Schema;
use postcard_schema::schema::{
    DataModelType, DataModelVariant, NamedType, NamedValue, NamedVariant,
};
use serde_json::{Map, Value, json};

use crate::apply::Applied;
use crate::meter::Meter;
use crate::options::OptionsOf;

/// The schema of what a command prints with `--json`; `None` of one that prints no JSON.
pub(crate) fn of_command(command: &str) -> Option<Value> {
    let mut types = Types::default();
    let root = root(command, &mut types)?;
    let mut schema = json!({
        "$schema": DIALECT,
        "title": format!("What opteadm {command} --json prints"),
    });
    if let (Some(schema), Value::Object(root)) = (schema.as_object_mut(), root) {
        schema.extend(root);
    }
    Some(types.with_definitions(schema))
}

/// The schemas of what all these commands print, each a property of the document.
pub(crate) fn of_commands<'a>(commands: impl IntoIterator<Item = &'a str>) -> Value {
    let mut types = Types::default();
    let properties: Map<String, Value> = commands
        .into_iter()
        .filter_map(|command| Some((command.to_owned(), root(command, &mut types)?)))
        .collect();
    types.with_definitions(json!({
        "$schema": DIALECT,
        "title": "What the commands of opteadm print with --json",
        "type": "object",
        "properties": properties,
    }))
}

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

fn root(command: &str, types: &mut Types) -> Option<Value> {
    let mut list = |of: &'static NamedType| json!({ "type": "array", "items": types.of(of) });
    Some(match command {
        "list-ports" => list(PortInfo::SCHEMA),
        "list-layers" => list(LayerDesc::SCHEMA),
        "dump-tcp-flows" => list(TcpFlow::SCHEMA),
        "dump-v2p" => list(Virt2PhysMapping::SCHEMA),
        "dump-v2b" => list(Virt2BoundaryMapping::SCHEMA),
        "dump-m2p" => list(Mcast2PhysMapping::SCHEMA),
        "dump-mcast-fwd" => list(McastForwarding::SCHEMA),
        "dump-mcast-subs" => list(McastSubscription::SCHEMA),
        "show-meters" => list(Meter::SCHEMA),
        "show-port-options" => list(OptionsOf::SCHEMA),
        "heavy-hitters" => list(HeavyFlow::SCHEMA),
        "dump-layer" => types.of(DumpLayerResp::SCHEMA),
        "dump-uft" => types.of(DumpUftResp::SCHEMA),
        "dump-stats" => types.of(DumpStatsResp::SCHEMA),
        "trace" => types.of(TracePacketResp::SCHEMA),
        "add-fw-rule" => types.of(AddFwRuleResp::SCHEMA),
        "restore-port" => types.of(RestorePortResp::SCHEMA),
        "apply" => types.of(Applied::SCHEMA),
        "export" => types.of(Config::SCHEMA),
        "allow-cidr"
        | "attach-subnet"
        | "clear-lft"
        | "clear-m2p"
        | "clear-mcast-fwd"
        | "clear-uft"
        | "clear-v2b"
        | "clear-v2p"
        | "clear-xde-underlay"
        | "create-xde"
        | "add-router-entry"
        | "del-router-entry"
        | "delete-xde"
        | "detach-subnet"
        | "mcast-subscribe"
        | "mcast-unsubscribe"
        | "mcast-unsubscribe-all"
        | "pause-port"
        | "remove-cidr"
        | "rm-fw-rule"
        | "save-port"
        | "set-external-ips"
        | "set-fw-rules"
        | "set-m2p"
        | "set-mcast-fwd"
        | "set-peers"
        | "set-v2b"
        | "set-v2p"
        | "set-xde-underlay"
        | "clear-meter"
        | "create-lan-port"
        | "set-ip-config"
        | "set-meter"
        | "set-port-options"
        | "start-port" => types.of(NoResp::SCHEMA),
        _ => return None,
    })
}

/// The definitions that schemas refer to.
#[derive(Default)]
struct Types {
    /// Types of one name that are not the same, as generic ones can be, get numbers.
    named: Vec<(String, &'static NamedType)>,
    definitions: Map<String, Value>,
}

impl Types {
    fn with_definitions(self, mut schema: Value) -> Value {
        if let (Some(schema), false) = (schema.as_object_mut(), self.definitions.is_empty()) {
            schema.insert("$defs".into(), Value::Object(self.definitions));
        }
        schema
    }

    fn of(&mut self, ty: &'static NamedType) -> Value {
        if let Some(schema) = as_text(ty.name) {
            return schema;
        }
        match ty.ty {
            DataModelType::Bool => json!({ "type": "boolean" }),
            DataModelType::U8 => integer(0, u8::MAX.into()),
            DataModelType::U16 => integer(0, u16::MAX.into()),
            DataModelType::U32 => integer(0, u32::MAX.into()),
            DataModelType::U64 | DataModelType::Usize => integer(0, u64::MAX),
            DataModelType::I32 => integer(i32::MIN.into(), i32::MAX as u64),
            DataModelType::String | DataModelType::Char => json!({ "type": "string" }),
            DataModelType::Option(of) => {
                json!({ "anyOf": [self.of(of), { "type": "null" }] })
            }
            DataModelType::NewtypeStruct(of) => self.of(of),
            DataModelType::Seq(of) => json!({ "type": "array", "items": self.of(of) }),
            DataModelType::Map { val, .. } => {
                json!({ "type": "object", "additionalProperties": self.of(val) })
            }
            DataModelType::Tuple(parts) | DataModelType::TupleStruct(parts) => json!({
                "type": "array",
                "prefixItems": parts.iter().map(|part| self.of(part)).collect::<Vec<_>>(),
                "items": false,
            }),
            DataModelType::Struct(fields) => {
                self.defined(ty, |types| types.object(ty.name, fields))
            }
            DataModelType::Enum(variants) => {
                self.defined(ty, |types| types.choice(ty.name, variants))
            }
            // What no type of a command has.
            _ => json!(true),
        }
    }

    fn defined(&mut self, ty: &'static NamedType, make: impl FnOnce(&mut Self) -> Value) -> Value {
        let same = self.named.iter().find(|(_, other)| *other == ty);
        if let Some((name, _)) = same {
            return reference(name);
        }
        let others = self.named.iter().filter(|(_, other)| other.name == ty.name);
        let name = match others.count() {
            0 => ty.name.to_owned(),
            others => format!("{}{}", ty.name, others + 1),
        };
        self.named.push((name.clone(), ty));
        let mut schema = make(self);
        describe(&mut schema, ty.name);
        self.definitions.insert(name.clone(), schema);
        reference(&name)
    }

    fn object(&mut self, owner: &str, fields: &[&'static NamedValue]) -> Value {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for field in fields {
            let Some((name, presence)) = printed(owner, field) else {
                continue;
            };
            let of = match (presence, field.ty.ty) {
                // Where it has no value it is not there.
                (Presence::Optional, DataModelType::Option(of)) => *of,
                _ => field.ty,
            };
            let mut schema = self.of(of);
            describe(&mut schema, &format!("{owner}.{}", field.name));
            if presence == Presence::Always {
                required.push(name.clone());
            }
            properties.insert(name, schema);
        }
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }

    fn choice(&mut self, owner: &str, variants: &[&'static NamedVariant]) -> Value {
        let choices: Vec<Value> = variants
            .iter()
            .map(|variant| {
                let name = printed_variant(owner, variant.name);
                let path = format!("{owner}.{}", variant.name);
                let content = match variant.ty {
                    DataModelVariant::UnitVariant => None,
                    DataModelVariant::NewtypeVariant(of) => Some(self.of(of)),
                    DataModelVariant::StructVariant(fields) => Some(self.object(&path, fields)),
                    DataModelVariant::TupleVariant(parts) => Some(json!({
                        "type": "array",
                        "prefixItems": parts.iter().map(|part| self.of(part)).collect::<Vec<_>>(),
                        "items": false,
                    })),
                };
                let mut schema = match content {
                    None => json!({ "const": name }),
                    Some(content) => json!({
                        "type": "object",
                        "properties": { &name: content },
                        "required": [name],
                        "additionalProperties": false,
                    }),
                };
                describe(&mut schema, &path);
                schema
            })
            .collect();
        json!({ "oneOf": choices })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Always,
    Optional,
}

/// How a field is called in print, and whether it is always there; `None` if it is not printed.
fn printed(owner: &str, field: &NamedValue) -> Option<(String, Presence)> {
    let is_list = matches!(
        field.ty.ty,
        DataModelType::Seq(_) | DataModelType::Map { .. } | DataModelType::Option(_)
    );
    Some(match (owner, field.name) {
        // Pages are put together.
        ("DumpLayerResp" | "DumpUftResp" | "DumpStatsResp", "next") => return None,
        ("Change", "port") => ("port".into(), Presence::Optional),
        ("V2b", "endpoints") => ("endpoints".into(), Presence::Always),
        // A file leaves out what is as it is by itself.
        (owner, name) if FILE.contains(&owner) => {
            let by_itself = [
                ("Port", "mtu"),
                ("LanPort", "mtu"),
                ("Port", "dhcp"),
                ("V2b", "vni"),
            ];
            let optional = is_list
                || matches!(field.ty.ty, DataModelType::Bool)
                || by_itself.contains(&(owner, name));
            let presence = match optional {
                true => Presence::Optional,
                false => Presence::Always,
            };
            (name.replace('_', "-"), presence)
        }
        (_, name) => (name.to_owned(), Presence::Always),
    })
}

fn printed_variant(owner: &str, name: &str) -> String {
    match owner {
        "Operation" => name.to_lowercase(),
        _ => name.to_owned(),
    }
}

/// The types of a configuration in a file, whose names are in kebab-case there.
const FILE: [&str; 11] = [
    "Config",
    "Port",
    "LanPort",
    "Family",
    "Snat",
    "Dhcp",
    "V2p",
    "V2b",
    "M2p",
    "McastForward",
    "McastSubscribe",
];

/// Types that are printed as text, whatever they are on the wire.
fn as_text(name: &str) -> Option<Value> {
    Some(match name {
        "Ipv4Addr" => json!({ "type": "string", "format": "ipv4" }),
        "Ipv6Addr" => json!({ "type": "string", "format": "ipv6" }),
        "IpAddr" => {
            json!({ "type": "string", "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }] })
        }
        "Uuid" => json!({ "type": "string", "format": "uuid" }),
        "MacAddr" => {
            json!({ "type": "string", "pattern": "^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$" })
        }
        "Vni" => integer(0, 0x00ff_ffff),
        "IpCidr" | "Ipv4Cidr" | "Ipv6Cidr" => {
            json!({ "type": "string", "pattern": "^[0-9a-f:.]+/[0-9]+$" })
        }
        "PortRange" => json!({ "type": "string", "pattern": "^[0-9]+(-[0-9]+)?$" }),
        "IcmpCodes" | "DomainName" => json!({ "type": "string" }),
        _ => return None,
    })
}

fn integer(minimum: i64, maximum: u64) -> Value {
    json!({ "type": "integer", "minimum": minimum, "maximum": maximum })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// What the source says of a type, a field as `Type.field`, or a variant.
fn describe(schema: &mut Value, path: &str) {
    let mut lines = DESCRIPTIONS
        .lines()
        .filter_map(|line| line.split_once(": "));
    let found = lines.find_map(|(of, text)| (of == path).then_some(text));
    if let (Some(schema), Some(text)) = (schema.as_object_mut(), found) {
        schema.insert("description".into(), text.into());
    }
}

const DESCRIPTIONS: &str = include_str!("schema/descriptions.txt");

#[cfg(test)]
mod tests;
