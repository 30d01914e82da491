//! Holds JSON against the schema that `opteadm schema` prints: as much of JSON Schema as those schemas have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;

use serde_json::{Map, Value};

/// The schema of what a command prints.
pub(crate) fn schema(command: &str) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_opteadm"))
        .args(["schema", command])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// That this is what the command may print.
#[track_caller]
pub(crate) fn check(command: &str, printed: &str) -> Value {
    let value = serde_json::from_str(printed).unwrap();
    let schema = schema(command);
    if let Err(why) = fits(&schema, &schema, &value) {
        panic!("{command} prints what its schema does not have: {why}\n{printed}");
    }
    value
}

/// Whether a value fits a schema, and if not, where and why.
pub(crate) fn fits(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let schema = match schema {
        Value::Bool(true) => return Ok(()),
        Value::Bool(false) => return Err(format!("{value} where there may be nothing")),
        schema => schema.as_object().unwrap(),
    };
    for (keyword, wanted) in schema {
        let fits = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" => Ok(()),
            "$ref" => fits(root, resolve(root, wanted.as_str().unwrap()), value),
            "type" => has_type(wanted.as_str().unwrap(), value),
            "const" => same(wanted, value),
            "format" => has_format(wanted.as_str().unwrap(), value),
            // The texts are tried where they are read.
            "pattern" => value
                .as_str()
                .filter(|text| !text.is_empty())
                .map(drop)
                .ok_or_else(|| value.to_string()),
            "minimum" => at_least(value, wanted),
            "maximum" => at_least(wanted, value),
            "anyOf" => some_fit(root, wanted, value, |count| count > 0),
            "oneOf" => some_fit(root, wanted, value, |count| count == 1),
            "items" => elements(root, schema, value),
            "prefixItems" => Ok(()),
            "required" => required(wanted, value),
            "properties" | "additionalProperties" => members(root, schema, value),
            other => panic!("a schema says {other}, which is not checked here"),
        };
        fits.map_err(|why| format!("{keyword}: {why}"))?;
    }
    Ok(())
}

/// The part of a schema that says what may be where `pointer` leads to in a document.
#[allow(dead_code, reason = "not every test looks into a schema")]
pub(crate) fn schema_of(root: &Value, document: &Value, pointer: &str) -> Value {
    let resolved = |mut schema: Value| {
        while let Some(reference) = schema.get("$ref") {
            schema = resolve(root, reference.as_str().unwrap()).clone();
        }
        schema
    };
    let (mut schema, mut here) = (resolved(root.clone()), document);
    for name in pointer.split('/').skip(1) {
        let of = match here {
            Value::Object(_) => {
                let known = schema.get("properties").and_then(|known| known.get(name));
                known.unwrap_or(&schema["additionalProperties"])
            }
            _ => &schema["items"],
        };
        schema = resolved(of.clone());
        here = here.pointer(&format!("/{name}")).unwrap();
    }
    schema
}

fn resolve<'a>(root: &'a Value, reference: &str) -> &'a Value {
    let name = reference.strip_prefix("#/$defs/").unwrap();
    &root["$defs"][name]
}

fn has_type(name: &str, value: &Value) -> Result<(), String> {
    let is = match name {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        other => panic!("what is {other}?"),
    };
    is.then_some(())
        .ok_or_else(|| format!("{value} is no {name}"))
}

fn has_format(name: &str, value: &Value) -> Result<(), String> {
    let text = value.as_str().ok_or_else(|| value.to_string())?;
    let is = match name {
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "ip" => text.parse::<IpAddr>().is_ok(),
        "uuid" => text.len() == 36,
        other => panic!("what is {other}?"),
    };
    is.then_some(())
        .ok_or_else(|| format!("{value} is no {name}"))
}

fn same(wanted: &Value, value: &Value) -> Result<(), String> {
    (wanted == value)
        .then_some(())
        .ok_or_else(|| format!("{value} is not {wanted}"))
}

fn at_least(value: &Value, least: &Value) -> Result<(), String> {
    let number = |value: &Value| {
        value
            .as_i64()
            .map(i128::from)
            .or(value.as_u64().map(i128::from))
    };
    match (number(value), number(least)) {
        (Some(value), Some(least)) if value < least => Err(format!("{value} is less than {least}")),
        _ => Ok(()),
    }
}

fn some_fit(
    root: &Value,
    schemas: &Value,
    value: &Value,
    enough: impl Fn(usize) -> bool,
) -> Result<(), String> {
    let tried: Vec<_> = schemas
        .as_array()
        .unwrap()
        .iter()
        .map(|schema| fits(root, schema, value))
        .collect();
    let count = tried.iter().filter(|fits| fits.is_ok()).count();
    enough(count).then_some(()).ok_or_else(|| {
        let whys: Vec<String> = tried.into_iter().filter_map(Result::err).collect();
        format!("{count} fit {value}: {}", whys.join("; "))
    })
}

fn elements(root: &Value, schema: &Map<String, Value>, value: &Value) -> Result<(), String> {
    let first = schema.get("prefixItems").and_then(Value::as_array);
    let first = first.map(Vec::as_slice).unwrap_or_default();
    for (at, element) in value.as_array().into_iter().flatten().enumerate() {
        let schema = first.get(at).unwrap_or(&schema["items"]);
        fits(root, schema, element).map_err(|why| format!("[{at}]: {why}"))?;
    }
    Ok(())
}

fn required(names: &Value, value: &Value) -> Result<(), String> {
    let Some(object) = value.as_object() else {
        return Ok(());
    };
    for name in names.as_array().unwrap() {
        if !object.contains_key(name.as_str().unwrap()) {
            return Err(format!("{name} is missing"));
        }
    }
    Ok(())
}

fn members(root: &Value, schema: &Map<String, Value>, value: &Value) -> Result<(), String> {
    let others = schema
        .get("additionalProperties")
        .unwrap_or(&Value::Bool(true));
    for (name, member) in value.as_object().into_iter().flatten() {
        let of = schema
            .get("properties")
            .and_then(|known| known.get(name))
            .unwrap_or(others);
        fits(root, of, member).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(())
}

#[test]
fn what_does_not_fit_is_found() {
    let (good, schema) = (
        serde_json::json!([{ "vip": "10.0.0.1", "vni": 10, "phys": { "ether": "A8:40:25:F0:00:01", "ip": "fd00::1" } }]),
        schema("dump-v2p"),
    );
    fits(&schema, &schema, &good).unwrap();
    let spoilt = |path: &str, with: Value| {
        let mut value = good.clone();
        *value.pointer_mut(path).unwrap() = with;
        fits(&schema, &schema, &value).unwrap_err()
    };
    spoilt("", Value::Null);
    spoilt("/0", serde_json::json!({}));
    spoilt("/0/vip", "fd00::1::".into());
    spoilt("/0/vni", (1 << 24).into());
    spoilt("/0/vni", (-1).into());
    spoilt("/0/vni", "10".into());
    spoilt(
        "/0/phys",
        serde_json::json!({ "ether": "x", "ip": "fd00::1", "more": 1 }),
    );
    spoilt("/0/phys/ip", "10.0.0.1".into());
}
