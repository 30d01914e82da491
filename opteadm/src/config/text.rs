//! Parts of a configuration that are written as they are said on the command line.

use std::fmt;
use std::str::FromStr;

use opte::api::CidrError;
use oxide_vpc::api::{RouterEntry, RouterTextError};
use postcard_schema::Schema;
use postcard_schema::schema::NamedType;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value that stands in a file as its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<T>(pub T);

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<T> Schema for Text<T> {
    const SCHEMA: &'static NamedType = String::SCHEMA;
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// A route as `DESTINATION TARGET CLASS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route(pub RouterEntry);

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RouterEntry {
            dest,
            target,
            class,
        } = &self.0;
        write!(f, "{dest} {target} {class}")
    }
}

impl FromStr for Route {
    type Err = RouteTextError;

    fn from_str(text: &str) -> Result<Self, RouteTextError> {
        let mut words = text.split_whitespace();
        let (Some(dest), Some(target), Some(class), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(RouteTextError::Words {
                count: text.split_whitespace().count(),
            });
        };
        Ok(Self(RouterEntry {
            dest: dest.parse().map_err(RouteTextError::Destination)?,
            target: target.parse().map_err(RouteTextError::Word)?,
            class: class.parse().map_err(RouteTextError::Word)?,
        }))
    }
}

/// Why a text is no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTextError {
    /// It has not three words.
    Words {
        /// How many it has.
        count: usize,
    },
    /// The first word is no prefix.
    Destination(CidrError),
    /// The second is no target, or the third no class.
    Word(RouterTextError),
}

impl fmt::Display for RouteTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words { count } => write!(
                f,
                "a route has {count} words (expected DESTINATION TARGET CLASS, as in '0.0.0.0/0 ig system')"
            ),
            Self::Destination(error) => error.fmt(f),
            Self::Word(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RouteTextError {}
