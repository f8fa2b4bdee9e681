//! One property of a schema: its kind, its bounds, its words.

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Number, Value};

use super::misfit::{Expected, Misfit};
use super::read::{Members, words};
use super::{SchemaProblem, Words, no, short};

/// Characters of a property's name, of a pattern, of a value to choose.
pub(super) const MOST_NAME: usize = 64;
pub(super) const MOST_PATTERN: usize = 200;
pub(super) const MOST_CHOICE: usize = 200;
/// Values to choose from.
pub(super) const MOST_CHOICES: usize = 100;
/// Characters of a text without a bound of its own.
pub(super) const MOST_TEXT: u64 = 10_000;
/// Characters of a text that has a pattern, and bytes of the compiled pattern: settings are checked in the write that keeps them,
/// which everybody waits for.
pub(super) const MOST_PATTERNED: u64 = 1_000;
pub(super) const PATTERN_BYTES: usize = 64 << 10;

const KEYWORDS: [&str; 15] = [
    "$comment",
    "type",
    "title",
    "title_zh",
    "description",
    "description_zh",
    "default",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "writeOnly",
];

/// One setting.
#[derive(Debug, Clone)]
pub struct Property {
    /// Its name in the settings.
    pub name: String,
    /// What its value is.
    pub kind: PropertyKind,
    /// How a form names it.
    pub title: Words,
    /// What it is for.
    pub description: Words,
    /// Whether it must be set; one with a default need not be.
    pub required: bool,
    /// Whether its value is never shown again.
    pub secret: bool,
    /// What the plugin reads if it is not set.
    pub default: Option<Value>,
    /// The values that it can have; empty: any of its kind.
    pub choices: Vec<Value>,
}

/// What a setting's value is.
#[derive(Debug, Clone)]
pub enum PropertyKind {
    /// A text, its bounds in characters.
    Text {
        /// At least so many.
        least: u64,
        /// At most so many.
        most: u64,
        /// What it must hold somewhere: a regular expression, compiled when it is asked.
        pattern: Option<String>,
    },
    /// A whole number.
    Integer {
        /// The smallest.
        least: Option<i64>,
        /// The largest.
        most: Option<i64>,
    },
    /// A number.
    Number {
        /// The smallest.
        least: Option<Number>,
        /// The largest.
        most: Option<Number>,
    },
    /// True or false.
    Switch,
}

impl Property {
    pub(super) fn read(name: String, members: Members, required: bool) -> Result<Property, SchemaProblem> {
        let named = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || name.len() > MOST_NAME || !name.chars().all(named) {
            let name = short(&name);
            return no(format!("property `{name}`: a name is 1 to {MOST_NAME} of A-Z, a-z, 0-9, `_`, `-` and `.`"));
        }
        let within = |SchemaProblem(problem)| SchemaProblem(format!("property `{name}`: {problem}"));
        Property::of(&name, &members, required).map_err(within)
    }

    fn of(name: &str, members: &Members, required: bool) -> Result<Property, SchemaProblem> {
        members.only(&KEYWORDS, "a setting")?;
        let kind = kind(members)?;
        let secret = secret(members)?;
        if secret && !matches!(kind, PropertyKind::Text { .. }) {
            return no("a secret must be of type string");
        }
        if secret && (members.get("default").is_some() || members.get("enum").is_some()) {
            return no("a secret has no `default` and no `enum`: what stands in the component is no secret");
        }
        let mut property = Property {
            name: name.to_owned(),
            kind,
            title: words(members, "title", "title_zh")?,
            description: words(members, "description", "description_zh")?,
            required,
            secret,
            default: None,
            choices: Vec::new(),
        };
        property.choices = property.choices_of(members)?;
        property.default = members.get("default").cloned();
        Ok(property)
    }

    /// Tries out what the author wrote: compiles the pattern, and holds the choices and the default against what is asked of a
    /// value.
    pub(super) fn prove(&self) -> Result<(), SchemaProblem> {
        let problem = |problem: String| Err(SchemaProblem(format!("property `{}`: {problem}", self.name)));
        if let PropertyKind::Text { pattern: Some(pattern), .. } = &self.kind
            && compiled(pattern).is_err()
        {
            let text =
                "`pattern` must be a regular expression without look-around and back-references, of moderate size";
            return problem(text.to_owned());
        }
        // A choice is held against the kind alone.
        let open = Property { choices: Vec::new(), ..self.clone() };
        if let Some(expected) = self.choices.iter().find_map(|choice| open.expected(choice)) {
            return problem(format!("each value of `enum` {expected}"));
        }
        if let Some(expected) = self.default.as_ref().and_then(|default| self.expected(default)) {
            return problem(format!("`default` {expected}"));
        }
        Ok(())
    }

    fn choices_of(&self, members: &Members) -> Result<Vec<Value>, SchemaProblem> {
        let Some(value) = members.get("enum") else { return Ok(Vec::new()) };
        let choices = value.as_array().filter(|choices| (1..=MOST_CHOICES).contains(&choices.len()));
        let Some(choices) = choices else { return no(format!("`enum` must be a list of 1 to {MOST_CHOICES} values")) };
        if matches!(self.kind, PropertyKind::Switch) {
            return no("a boolean has no `enum`");
        }
        for (at, choice) in choices.iter().enumerate() {
            if choices[..at].contains(choice) {
                return no("`enum` holds a value twice");
            }
            if choice.as_str().is_some_and(|text| text.is_empty() || text.chars().count() > MOST_CHOICE) {
                return no(format!("each text of `enum` has 1 to {MOST_CHOICE} characters"));
            }
        }
        Ok(choices.clone())
    }

    pub(super) fn has_pattern(&self) -> bool {
        matches!(self.kind, PropertyKind::Text { pattern: Some(_), .. })
    }

    /// What is wrong about this setting, if anything is.
    pub(super) fn check(&self, settings: &Map<String, Value>) -> Option<Misfit> {
        let expected = match settings.get(&self.name) {
            Some(Value::Null) | None if self.required && self.default.is_none() => Expected::Given,
            Some(Value::Null) | None => return None,
            Some(value) => self.expected(value)?,
        };
        Some(Misfit { member: self.name.clone(), expected })
    }

    /// What is expected instead of a value; `None` if it fits.
    fn expected(&self, value: &Value) -> Option<Expected> {
        if !self.choices.is_empty() {
            return (!self.choices.contains(value)).then(|| Expected::OneOf(self.choices.clone()));
        }
        match &self.kind {
            PropertyKind::Text { least, most, pattern } => {
                let bounds = Expected::Text { least: *least, most: *most };
                let Some(text) = value.as_str() else { return Some(bounds) };
                if !(*least..=*most).contains(&(text.chars().count() as u64)) {
                    return Some(bounds);
                }
                let pattern = pattern.as_ref()?;
                let fits = compiled(pattern).is_ok_and(|pattern| pattern.is_match(text));
                (!fits).then(|| Expected::Pattern(pattern.clone()))
            }
            PropertyKind::Integer { least, most } => {
                let fits =
                    |number: i64| least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most);
                (!value.as_i64().is_some_and(fits)).then_some(Expected::Integer { least: *least, most: *most })
            }
            PropertyKind::Number { least, most } => {
                let fits = |number: &Number| {
                    least.as_ref().is_none_or(|least| number.as_f64() >= least.as_f64())
                        && most.as_ref().is_none_or(|most| number.as_f64() <= most.as_f64())
                };
                let fits = matches!(value, Value::Number(number) if fits(number));
                (!fits).then(|| Expected::Number { least: least.clone(), most: most.clone() })
            }
            PropertyKind::Switch => (!value.is_boolean()).then_some(Expected::Switch),
        }
    }
}

fn kind(members: &Members) -> Result<PropertyKind, SchemaProblem> {
    let (kind, others): (_, &[&str]) = match members.get("type").and_then(Value::as_str) {
        Some("string") => {
            let pattern = pattern(members)?;
            let (longest, why) = match pattern {
                None => (MOST_TEXT, ""),
                Some(_) => (MOST_PATTERNED, " beside a `pattern`"),
            };
            let count = |name: &str, none: u64| match members.get(name) {
                None => Ok(none),
                Some(value) => {
                    let value = value.as_u64().filter(|count| *count <= longest);
                    value.ok_or_else(|| SchemaProblem(format!("`{name}` must be an integer from 0 to {longest}{why}")))
                }
            };
            let (least, most) = (count("minLength", 0)?, count("maxLength", longest)?);
            in_order("minLength", "maxLength", least <= most)?;
            (PropertyKind::Text { least, most, pattern }, &["minimum", "maximum"])
        }
        Some("integer") => {
            let bound = |name: &str| match members.get(name) {
                None => Ok(None),
                Some(value) => {
                    let bound = value.as_i64().map(Some);
                    bound.ok_or_else(|| SchemaProblem(format!("`{name}` of an integer must be an integer")))
                }
            };
            let (least, most) = (bound("minimum")?, bound("maximum")?);
            in_order("minimum", "maximum", least.zip(most).is_none_or(|(least, most)| least <= most))?;
            (PropertyKind::Integer { least, most }, &["minLength", "maxLength", "pattern", "format", "writeOnly"])
        }
        Some("number") => {
            let bound = |name: &str| match members.get(name) {
                None => Ok(None),
                Some(Value::Number(number)) => Ok(Some(number.clone())),
                Some(_) => no(format!("`{name}` must be a number")),
            };
            let (least, most) = (bound("minimum")?, bound("maximum")?);
            let ordered = least.as_ref().zip(most.as_ref()).is_none_or(|(least, most)| least.as_f64() <= most.as_f64());
            in_order("minimum", "maximum", ordered)?;
            (PropertyKind::Number { least, most }, &["minLength", "maxLength", "pattern", "format", "writeOnly"])
        }
        Some("boolean") => {
            (PropertyKind::Switch, &["minimum", "maximum", "minLength", "maxLength", "pattern", "format", "writeOnly"])
        }
        _ => return no("`type` must be \"string\", \"integer\", \"number\" or \"boolean\""),
    };
    match others.iter().find(|name| members.get(name).is_some()) {
        None => Ok(kind),
        Some(name) => no(format!("`{name}` says nothing about this type")),
    }
}

fn in_order(least: &str, most: &str, ordered: bool) -> Result<(), SchemaProblem> {
    if ordered { Ok(()) } else { no(format!("`{least}` is above `{most}`")) }
}

fn pattern(members: &Members) -> Result<Option<String>, SchemaProblem> {
    let Some(value) = members.get("pattern") else { return Ok(None) };
    let text = value.as_str().filter(|text| text.chars().count() <= MOST_PATTERN);
    let Some(text) = text else { return no(format!("`pattern` must be a text of at most {MOST_PATTERN} characters")) };
    Ok(Some(text.to_owned()))
}

/// Compiled where it is asked, at the upload and with a change of settings, and not kept: schemas are read with every list of
/// versions and installations.
fn compiled(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES).build()
}

fn secret(members: &Members) -> Result<bool, SchemaProblem> {
    let password = match members.get("format") {
        None => false,
        Some(Value::String(format)) if format == "password" => true,
        Some(_) => return no("`format` can be \"password\" alone"),
    };
    let write_only = match members.get("writeOnly") {
        None => false,
        Some(Value::Bool(write_only)) => *write_only,
        Some(_) => return no("`writeOnly` must be true or false"),
    };
    Ok(password || write_only)
}
