//! The values of secret settings, taken out of what a plugin says.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value;

/// What stands in a secret's place.
const MASK: &str = "[masked]";
/// Characters from which on a value is looked for: shorter ones stand in texts by chance.
const LEAST: usize = 6;
/// How a text ends that was cut.
const CUTS: [&str; 2] = ["… [log cut:", "…"];

/// The values of an installation's secrets, for taking them out of texts. A plugin that spells one otherwise (in parts,
/// in another alphabet) is not hindered: this is a net under honest mistakes, such as a logged request.
#[derive(Clone, Default)]
pub struct SecretValues(Vec<String>);

impl SecretValues {
    /// Those of the settings with these names.
    pub fn of(settings: &Value, secrets: &BTreeSet<String>) -> SecretValues {
        let mut values = BTreeSet::new();
        for value in secrets.iter().filter_map(|name| settings.get(name)?.as_str()) {
            // As it is, as JSON spells it, and line by line: a log has lines.
            let json = Value::from(value).to_string();
            let lines = value.lines().map(str::trim).map(str::to_owned);
            values.extend(lines.chain([value.to_owned(), json[1..json.len() - 1].to_owned()]));
        }
        let mut values: Vec<String> = values.into_iter().filter(|value| value.chars().count() >= LEAST).collect();
        // The longest first, so that no part of one is left.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        SecretValues(values)
    }

    /// A text without them.
    pub fn out_of<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for value in &self.0 {
            if text.contains(value.as_str()) {
                text = Cow::Owned(text.replace(value.as_str(), MASK));
            }
        }
        match self.cut_short(&text) {
            None => text,
            Some((from, to)) => Cow::Owned(format!("{}{MASK}{}", &text[..from], &text[to..])),
        }
    }

    /// JSON without them, whether they are values or names of members.
    pub fn out_of_json(&self, value: &mut Value) {
        if self.0.is_empty() {
            return;
        }
        match value {
            Value::String(text) => {
                if let Cow::Owned(shown) = self.out_of(text) {
                    *text = shown;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.out_of_json(item)),
            Value::Object(members) => {
                let taken = std::mem::take(members);
                for (name, mut member) in taken {
                    self.out_of_json(&mut member);
                    members.insert(self.out_of(&name).into_owned(), member);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The beginning of a secret at the place where a text was cut.
    fn cut_short(&self, text: &str) -> Option<(usize, usize)> {
        let end = CUTS.iter().find_map(|cut| text.rfind(cut))?;
        let head = &text[..end];
        let begun = |value: &String| {
            let starts = value.char_indices().map(|(at, _)| at).skip(LEAST);
            starts.filter(|at| head.ends_with(&value[..*at])).max()
        };
        self.0.iter().filter_map(begun).max().map(|length| (end - length, end))
    }
}

impl std::fmt::Debug for SecretValues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretValues({})", self.0.len())
    }
}
