//! JSON with its members in the order in which they were written: the order of a form.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::{SchemaProblem, Words, no, short};

/// Characters of a title or a description.
pub(super) const MOST_TITLE: usize = 100;
pub(super) const MOST_DESCRIPTION: usize = 1_000;

/// The members of one object, as written; none twice.
#[derive(Debug, Default)]
pub(super) struct Members(Vec<(String, Value)>);

impl Members {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    /// Refuses members of other names.
    pub fn only(&self, known: &[&str], what: &str) -> Result<(), SchemaProblem> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => no(format!("`{}` is no keyword of {what}; there are {}", short(name), known.join(", "))),
        }
    }
}

/// The properties of a schema in their order.
pub(super) fn properties(source: &str) -> Result<Vec<(String, Members)>, SchemaProblem> {
    #[derive(serde::Deserialize)]
    struct Whole {
        #[serde(default)]
        properties: Named,
    }
    let whole: Whole = serde_json::from_str(source).map_err(|error| SchemaProblem(error.to_string()))?;
    Ok(whole.properties.0)
}

/// `title` and `title_zh`, or the two of the description.
pub(super) fn words(members: &Members, en: &str, zh: &str) -> Result<Words, SchemaProblem> {
    let most = if en == "title" { MOST_TITLE } else { MOST_DESCRIPTION };
    let text = |name: &str| match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= most => Ok(Some(text.clone())),
        Some(_) => no(format!("`{name}` must be a text of at most {most} characters")),
    };
    Ok(Words { en: text(en)?, zh: text(zh)? })
}

#[derive(Default)]
struct Named(Vec<(String, Members)>);

/// Collects a map without losing its order, and refuses a name that comes twice.
struct InOrder<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
    type Value = Vec<(String, T)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<(String, T)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, T>()? {
            if members.iter().any(|(known, _)| *known == name) {
                return Err(serde::de::Error::custom(format!("`{}` comes twice", short(&name))));
            }
            members.push((name, value));
        }
        Ok(members)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder(std::marker::PhantomData)).map(Members)
    }
}

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder(std::marker::PhantomData)).map(Named)
    }
}
