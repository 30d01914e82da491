//! Text for people, compact bytes for the wire.

/// Implements `Serialize`, `Deserialize` and `Schema` for a type with `Display` and `FromStr`: text in human-readable formats,
/// `$wire` (by `From<&T>` and `TryFrom`) elsewhere. Nothing read is believed: both ways go through the checked conversion.
#[doc(hidden)]
#[macro_export]
macro_rules! text_or_wire {
    ($ty:ty, $name:literal, $wire:ty) => {
        impl $crate::api::serde::Serialize for $ty {
            fn serialize<S: $crate::api::serde::Serializer>(
                &self,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    <$wire>::from(self).serialize(serializer)
                }
            }
        }

        impl<'de> $crate::api::serde::Deserialize<'de> for $ty {
            fn deserialize<D: $crate::api::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                use $crate::api::serde::de::Error;
                if deserializer.is_human_readable() {
                    let text =
                        <alloc::string::String as $crate::api::serde::Deserialize>::deserialize(
                            deserializer,
                        )?;
                    text.parse().map_err(D::Error::custom)
                } else {
                    let wire =
                        <$wire as $crate::api::serde::Deserialize>::deserialize(deserializer)?;
                    <$ty>::try_from(wire).map_err(D::Error::custom)
                }
            }
        }

        impl $crate::api::postcard_schema::Schema for $ty {
            const SCHEMA: &'static $crate::api::postcard_schema::schema::NamedType =
                &$crate::api::postcard_schema::schema::NamedType {
                    name: $name,
                    ty: <$wire as $crate::api::postcard_schema::Schema>::SCHEMA.ty,
                };
        }
    };
}
