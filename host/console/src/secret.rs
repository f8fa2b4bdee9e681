//! Secrets in bodies: read, never shown, not even in an error about their own form.

use std::fmt;

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A secret text on its way in.
#[derive(Clone)]
pub(crate) struct Secret(pub SecretString);

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

impl PartialSchema for Secret {
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
            .write_only(true)
            .min_length(Some(1));
        schema.into()
    }
}

impl ToSchema for Secret {}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Quiet)
    }
}

/// Takes text; about anything else it says what was expected and not what came, which may be a secret too.
struct Quiet;

const EXPECTED: &str = "a secret text that is not empty";

impl<'de> Visitor<'de> for Quiet {
    type Value = Secret;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        if text.is_empty() { refuse() } else { Ok(Secret(SecretString::from(text))) }
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Secret, E> {
        refuse()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
        refuse()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Secret, E> {
        refuse()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
        refuse()
    }

    fn visit_unit<E: Error>(self) -> Result<Secret, E> {
        refuse()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Secret, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        refuse()
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        refuse()
    }
}

fn refuse<E: Error>() -> Result<Secret, E> {
    Err(E::custom(format_args!("expected {EXPECTED}")))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn nothing_of_a_secret_is_shown() {
        let secret: Secret = serde_json::from_str("\"CANARY\"").unwrap();
        assert_eq!(secret.0.expose_secret(), "CANARY");
        assert!(!format!("{secret:?}").contains("CANARY"));
        for wrong in ["776655", "-776655", "7766.55", "true", "null", "[\"776655\"]", "{\"776655\":1}", "\"\""] {
            let error = serde_json::from_str::<Secret>(wrong).unwrap_err().to_string();
            assert!(error.contains("expected a secret text"), "{error}");
            assert!(!error.contains("7766"), "{error}");
        }
    }
}
