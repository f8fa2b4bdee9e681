//! Settings with a schema: what a plugin says of its settings, held against what an installation gives it. Pure.
//!
//! A plugin carries a JSON Schema in a bounded subset of draft 2020-12 that makes a form: one object whose properties
//! are texts, integers, numbers and switches. A library for all of JSON Schema would follow references, nest without
//! end and search with backtracking patterns; a form has none of these, so the subset is read by hand, everything
//! outside it is refused by name, and patterns run in time linear in the text.
//!
//! - `property`: one property of a schema
//! - `read`: JSON with the author's order of members
//! - `misfit`: a value that does not fit, and what is expected instead
//! - `keep`: what becomes of settings that are replaced, secrets above all
//! - `hidden`: the values of secrets, taken out of texts

mod hidden;
mod keep;
mod misfit;
mod property;
mod read;

use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

pub use hidden::SecretValues;
pub(super) use keep::{Kept, keep};
pub use misfit::{Expected, Misfit};
pub use property::{Property, PropertyKind};

use read::{Members, words};

/// Bytes of a schema.
const MOST_BYTES: usize = 32 << 10;
/// Properties of a schema.
const MOST_PROPERTIES: usize = 64;
/// Of these with a pattern.
const MOST_PATTERNS: usize = 8;
/// The one draft.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Members of a schema besides its properties.
const KEYWORDS: [&str; 10] = [
    "$schema",
    "$comment",
    "type",
    "title",
    "title_zh",
    "description",
    "description_zh",
    "properties",
    "required",
    "additionalProperties",
];

/// A schema is no form's: the text says where and what is expected, for the plugin's author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("settings schema: {0}")]
pub struct SchemaProblem(pub(crate) String);

/// What a version says about its settings. Cheap to clone.
#[derive(Clone)]
pub struct SettingsSchema(Arc<Parsed>);

struct Parsed {
    source: String,
    value: Value,
    properties: Vec<Property>,
}

/// A text in the two languages of the merchant page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// In English, or whatever language the author wrote.
    pub en: Option<String>,
    /// In Chinese.
    pub zh: Option<String>,
}

impl SettingsSchema {
    /// The custom section of a component that holds it.
    pub const SECTION: &'static str = "fangshi:settings-schema";

    /// Reads a schema.
    ///
    /// # Errors
    /// What is outside of the subset, by name and with what there is instead.
    pub fn parse(source: &[u8]) -> Result<SettingsSchema, SchemaProblem> {
        let schema = SettingsSchema::stored(source)?;
        schema.0.properties.iter().try_for_each(Property::prove)?;
        Ok(schema)
    }

    /// Reads a schema that was [parsed](SettingsSchema::parse) when it came: its patterns, and the defaults and choices that
    /// must fit them, are not tried out again. Schemas are read with every list of versions and installations.
    pub(in crate::registry) fn stored(source: &[u8]) -> Result<SettingsSchema, SchemaProblem> {
        if source.len() > MOST_BYTES {
            return no(format!("has {} bytes; {MOST_BYTES} are allowed", source.len()));
        }
        let source = std::str::from_utf8(source).map_err(|_| SchemaProblem("is not UTF-8".into()))?;
        let whole: Members = serde_json::from_str(source).map_err(|error| SchemaProblem(error.to_string()))?;
        whole.only(&KEYWORDS, "a schema of settings")?;
        if let Some(draft) = whole.get("$schema")
            && draft.as_str().map(|draft| draft.trim_end_matches('#')) != Some(DRAFT)
        {
            return no(format!("`$schema` must be {DRAFT}"));
        }
        if whole.get("type").and_then(Value::as_str) != Some("object") {
            return no("`type` must be \"object\"");
        }
        if whole.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false)) {
            return no("`additionalProperties` can be false alone: a form has the settings that it shows");
        }
        words(&whole, "title", "title_zh")?;
        words(&whole, "description", "description_zh")?;
        let required = required(&whole)?;
        let ordered = read::properties(source)?;
        if ordered.len() > MOST_PROPERTIES {
            return no(format!("has {} properties; {MOST_PROPERTIES} are allowed", ordered.len()));
        }
        let mut properties = Vec::with_capacity(ordered.len());
        for (name, value) in ordered {
            let is_required = required.contains(&name);
            properties.push(Property::read(name, value, is_required)?);
        }
        let patterns = properties.iter().filter(|one| one.has_pattern()).count();
        if patterns > MOST_PATTERNS {
            return no(format!("has {patterns} properties with a `pattern`; {MOST_PATTERNS} are allowed"));
        }
        if let Some(stranger) = required.iter().find(|name| !properties.iter().any(|one| one.name == **name)) {
            return no(format!("`required` names `{stranger}`, which is no property"));
        }
        let value = serde_json::from_str(source).map_err(|error| SchemaProblem(error.to_string()))?;
        Ok(SettingsSchema(Arc::new(Parsed { source: source.to_owned(), value, properties })))
    }

    /// The one schema among what a component declares; the same text twice is one.
    ///
    /// # Errors
    /// As [`SettingsSchema::parse`]; or there are several.
    pub fn of(sections: &[&[u8]]) -> Result<Option<SettingsSchema>, SchemaProblem> {
        match sections {
            [] => Ok(None),
            [first, others @ ..] if others.iter().all(|other| other == first) => SettingsSchema::parse(first).map(Some),
            _ => no(format!("{} of them are in the component; one is allowed", sections.len())),
        }
    }

    /// The schema as its author wrote it.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// The schema as JSON.
    pub fn value(&self) -> &Value {
        &self.0.value
    }

    /// Its properties, in the author's order.
    pub fn properties(&self) -> &[Property] {
        &self.0.properties
    }

    /// The property of a name.
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.0.properties.iter().find(|property| property.name == name)
    }

    /// Names of the settings whose values are secrets.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.properties.iter().filter(|property| property.secret).map(|property| property.name.as_str())
    }

    /// Whether settings fit; if not, every member that does not.
    ///
    /// # Errors
    /// At least one misfit. None holds a value that was given: it may be a secret.
    pub fn check(&self, settings: &Map<String, Value>) -> Result<(), Vec<Misfit>> {
        let mut misfits: Vec<Misfit> = self.0.properties.iter().filter_map(|one| one.check(settings)).collect();
        let strangers = settings.keys().filter(|name| self.property(name).is_none());
        misfits.extend(strangers.map(|name| Misfit { member: short(name), expected: Expected::Nothing }));
        if misfits.is_empty() { Ok(()) } else { Err(misfits) }
    }

    /// Settings as the plugin reads them: with the defaults of what is not set.
    pub fn with_defaults(&self, settings: &Arc<Value>) -> Arc<Value> {
        let empty = Map::new();
        let given = settings.as_object().unwrap_or(&empty);
        let is_missing = |property: &&Property| given.get(&property.name).is_none_or(Value::is_null);
        let missing: Vec<(String, Value)> = self
            .0
            .properties
            .iter()
            .filter(is_missing)
            .filter_map(|property| Some((property.name.clone(), property.default.clone()?)))
            .collect();
        if missing.is_empty() {
            return Arc::clone(settings);
        }
        let mut filled = given.clone();
        filled.extend(missing);
        Arc::new(Value::Object(filled))
    }
}

impl Words {
    /// The Chinese text, or the other where there is none.
    pub fn zh(&self) -> Option<&str> {
        self.zh.as_deref().or(self.en.as_deref())
    }

    /// The English text, or the other where there is none.
    pub fn en(&self) -> Option<&str> {
        self.en.as_deref().or(self.zh.as_deref())
    }
}

fn required(whole: &Members) -> Result<Vec<String>, SchemaProblem> {
    let Some(value) = whole.get("required") else { return Ok(Vec::new()) };
    let names = value.as_array().and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect());
    names.ok_or_else(|| SchemaProblem("`required` must be a list of names".into()))
}

/// A name in a message: whoever sends one chooses its length.
fn short(name: &str) -> String {
    name.chars().take(64).collect()
}

fn no<T>(problem: impl Into<String>) -> Result<T, SchemaProblem> {
    Err(SchemaProblem(problem.into()))
}

impl PartialEq for SettingsSchema {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source
    }
}

impl Eq for SettingsSchema {}

impl std::fmt::Debug for SettingsSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SettingsSchema").field(&self.0.source).finish()
    }
}

impl Serialize for SettingsSchema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.value.serialize(serializer)
    }
}

#[cfg(test)]
mod tests;
