//! The address types: text in human-readable formats, octets elsewhere. A VNI is a number in both, and checked when it is read.

use core::fmt;

use postcard_schema::Schema;
use postcard_schema::schema::NamedType;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{MacAddr, Vni};

impl Serialize for MacAddr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for MacAddr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = MacAddr;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a MAC address")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<MacAddr, E> {
                text.parse().map_err(E::custom)
            }
        }

        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Text)
        } else {
            <[u8; 6]>::deserialize(deserializer).map(MacAddr)
        }
    }
}

impl Schema for MacAddr {
    const SCHEMA: &'static NamedType = &NamedType {
        name: "MacAddr",
        ty: <[u8; 6]>::SCHEMA.ty,
    };
}

impl Serialize for Vni {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_u32().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Vni {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vni::try_from(u32::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Schema for Vni {
    const SCHEMA: &'static NamedType = &NamedType {
        name: "Vni",
        ty: <u32>::SCHEMA.ty,
    };
}
