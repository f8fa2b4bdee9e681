//! The form of a plugin's settings: fields made from the version's schema, and a form that came back.

use std::collections::BTreeMap;

use fangshi_tenants::{Expected, Misfit, Property, PropertyKind, SettingsSchema};
use serde_json::{Map, Number, Value};

use super::language::Language;

/// One field.
pub(super) struct Field {
    /// The setting's name.
    pub name: String,
    pub label: String,
    pub help: String,
    pub input: Input,
    /// Whether the browser insists on it.
    pub required: bool,
    /// What is wrong with what was sent.
    pub problem: Option<String>,
}

/// What a field is filled in with.
pub(super) enum Input {
    Text {
        value: String,
        most: u64,
    },
    /// Never filled in: what is set is not shown.
    Secret {
        is_set: bool,
        may_be_removed: bool,
    },
    Number {
        value: String,
        step: &'static str,
        least: Option<String>,
        most: Option<String>,
    },
    Switch {
        on: bool,
    },
    Choice {
        options: Vec<Choice>,
        may_be_empty: bool,
    },
}

/// One value to choose.
pub(super) struct Choice {
    pub label: String,
    pub chosen: bool,
}

/// What a form starts from.
#[derive(Default)]
pub(super) struct Filled<'a> {
    /// What is set, or was sent. No secrets.
    pub values: Option<&'a Map<String, Value>>,
    /// Which secrets are set.
    pub secrets: BTreeMap<String, bool>,
    pub misfits: &'a [Misfit],
}

/// The fields of a schema.
pub(super) fn fields(schema: &SettingsSchema, filled: &Filled<'_>, language: Language) -> Vec<Field> {
    schema.properties().iter().map(|property| field(property, filled, language)).collect()
}

fn field(property: &Property, filled: &Filled<'_>, language: Language) -> Field {
    let words = |words: &fangshi_tenants::Words| match language {
        Language::Chinese => words.zh().map(str::to_owned),
        Language::English => words.en().map(str::to_owned),
    };
    let set = filled.values.and_then(|values| values.get(&property.name));
    let value = set.or(property.default.as_ref());
    let is_set = filled.secrets.get(&property.name).copied().unwrap_or(false);
    let misfit = filled.misfits.iter().find(|misfit| misfit.member == property.name);
    Field {
        name: property.name.clone(),
        label: words(&property.title).unwrap_or_else(|| property.name.clone()),
        help: words(&property.description).unwrap_or_default(),
        input: input(property, value, is_set),
        required: property.required && property.default.is_none() && !is_set,
        problem: misfit.map(|misfit| told(&misfit.expected, language)),
    }
}

fn input(property: &Property, value: Option<&Value>, is_set: bool) -> Input {
    if property.secret {
        return Input::Secret { is_set, may_be_removed: is_set && !property.required };
    }
    if !property.choices.is_empty() {
        let options =
            property.choices.iter().map(|choice| Choice { label: text(choice), chosen: Some(choice) == value });
        return Input::Choice { options: options.collect(), may_be_empty: property.default.is_none() };
    }
    let value_text = value.map(text).unwrap_or_default();
    match &property.kind {
        PropertyKind::Text { most, .. } => Input::Text { value: value_text, most: *most },
        PropertyKind::Integer { least, most } => Input::Number {
            value: value_text,
            step: "1",
            least: least.map(|least| least.to_string()),
            most: most.map(|most| most.to_string()),
        },
        PropertyKind::Number { least, most } => Input::Number {
            value: value_text,
            step: "any",
            least: least.as_ref().map(Number::to_string),
            most: most.as_ref().map(Number::to_string),
        },
        PropertyKind::Switch => Input::Switch { on: value == Some(&Value::Bool(true)) },
    }
}

/// A value as a field shows it.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What a form sent under a name; nothing is an empty text.
pub(super) fn sent<'a>(form: &'a [(String, String)], name: &str) -> &'a str {
    form.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
}

/// The settings that a form asks for. What is empty is left out, and so is what equals the default: a later version's
/// default counts then. What is of no use stays as it was sent, for the check to tell.
pub(super) fn settings(schema: &SettingsSchema, form: &[(String, String)]) -> Map<String, Value> {
    let sent = |prefix: &str, name: &str| {
        let found = form.iter().rev().find(|(field, _)| field.strip_prefix(prefix) == Some(name));
        found.map(|(_, value)| value.as_str())
    };
    let value_of = |property: &Property| {
        let name = property.name.as_str();
        if sent("remove-", name).is_some() {
            return Some(Value::Null);
        }
        let text = sent("s-", name);
        if let PropertyKind::Switch = property.kind {
            return Some(Value::Bool(text.is_some()));
        }
        let text = text.filter(|text| !text.is_empty())?;
        if !property.choices.is_empty() {
            let choice = text.parse().ok().and_then(|at: usize| property.choices.get(at));
            return Some(choice.cloned().unwrap_or(Value::from(text)));
        }
        let number = match property.kind {
            PropertyKind::Integer { .. } => text.trim().parse::<i64>().ok().map(Value::from),
            PropertyKind::Number { .. } => serde_json::from_str::<Number>(text.trim()).ok().map(Value::Number),
            PropertyKind::Text { .. } | PropertyKind::Switch => None,
        };
        Some(number.unwrap_or_else(|| Value::from(text)))
    };
    let own = |property: &&Property| value_of(property) != property.default || property.default.is_none();
    let given = schema.properties().iter().filter(own);
    given.filter_map(|property| Some((property.name.clone(), value_of(property)?))).collect()
}

/// What is expected of a field, in plain words.
fn told(expected: &Expected, language: Language) -> String {
    let pick = |zh: String, en: String| match language {
        Language::Chinese => zh,
        Language::English => en,
    };
    match expected {
        Expected::Given => pick("请填写。".into(), "Please fill this in.".into()),
        Expected::Nothing => pick("插件没有这个设置。".into(), "The plugin has no such setting.".into()),
        Expected::Text { least: 0, most } => pick(format!("最多 {most} 个字。"), format!("At most {most} characters.")),
        Expected::Text { least, most } => {
            pick(format!("需要 {least} 到 {most} 个字。"), format!("{least} to {most} characters."))
        }
        Expected::Pattern(pattern) => pick(format!("格式不符：{pattern}"), format!("It must match {pattern}")),
        Expected::Integer { least, most } => {
            let (least, most) = (least.map(|least| least.to_string()), most.map(|most| most.to_string()));
            pick(
                format!("请填写整数{}。", between_zh(&least, &most)),
                format!("A whole number{}.", between_en(&least, &most)),
            )
        }
        Expected::Number { least, most } => {
            let (least, most) = (least.as_ref().map(Number::to_string), most.as_ref().map(Number::to_string));
            pick(
                format!("请填写数字{}。", between_zh(&least, &most)),
                format!("A number{}.", between_en(&least, &most)),
            )
        }
        Expected::Switch => pick("请选择是或否。".into(), "Yes or no.".into()),
        Expected::OneOf(_) => pick("请从列表中选择。".into(), "Choose one of the list.".into()),
    }
}

fn between_zh(least: &Option<String>, most: &Option<String>) -> String {
    match (least, most) {
        (None, None) => String::new(),
        (Some(least), None) => format!("，不小于 {least}"),
        (None, Some(most)) => format!("，不大于 {most}"),
        (Some(least), Some(most)) => format!("，从 {least} 到 {most}"),
    }
}

fn between_en(least: &Option<String>, most: &Option<String>) -> String {
    match (least, most) {
        (None, None) => String::new(),
        (Some(least), None) => format!(" of at least {least}"),
        (None, Some(most)) => format!(" of at most {most}"),
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> SettingsSchema {
        let text = r#"{"type": "object", "required": ["key"], "properties": {
            "from": {"type": "integer", "minimum": 1, "default": 100, "title": "From", "title_zh": "起点"},
            "share": {"type": "number"},
            "mark": {"type": "string", "maxLength": 5, "default": "大单"},
            "size": {"type": "integer", "enum": [10, 20]},
            "loud": {"type": "boolean", "default": false},
            "key": {"type": "string", "format": "password"}}}"#;
        SettingsSchema::parse(text.as_bytes()).unwrap()
    }

    fn sent(form: &[(&str, &str)]) -> Value {
        let form: Vec<_> = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Value::Object(settings(&schema(), &form))
    }

    #[test]
    fn a_form_becomes_typed_settings_and_what_is_usual_is_left_out() {
        let form =
            [("s-from", "100"), ("s-share", "0.5"), ("s-mark", "VIP"), ("s-size", "1"), ("s-key", ""), ("x", "y")];
        assert_eq!(sent(&form), json!({"share": 0.5, "mark": "VIP", "size": 20}));
        let form = [("s-from", "7"), ("s-loud", "on"), ("s-key", "secret"), ("s-size", "")];
        assert_eq!(sent(&form), json!({"from": 7, "loud": true, "key": "secret"}));
        let form = [("s-from", "much"), ("s-share", "0x1"), ("s-size", "9"), ("remove-key", "on"), ("s-key", "no")];
        assert_eq!(sent(&form), json!({"from": "much", "share": "0x1", "size": "9", "key": null}));
    }

    #[test]
    fn fields_show_what_is_set_and_never_a_secret() {
        let set = json!({"from": 7, "key": "CANARY-key", "size": 20});
        let misfits = [Misfit { member: "from".into(), expected: Expected::Integer { least: Some(1), most: None } }];
        let secrets = [("key".to_owned(), true)].into();
        let filled = Filled { values: set.as_object(), secrets, misfits: &misfits };
        let fields = fields(&schema(), &filled, Language::Chinese);
        assert_eq!((fields[0].label.as_str(), fields[1].label.as_str()), ("起点", "share"));
        assert_eq!(fields[0].problem.as_deref(), Some("请填写整数，不小于 1。"));
        assert!(matches!(&fields[0].input, Input::Number { value, .. } if value == "7"));
        assert!(matches!(&fields[2].input, Input::Text { value, most: 5 } if value == "大单"), "the default");
        assert!(matches!(&fields[3].input, Input::Choice { options, may_be_empty: true } if options[1].chosen));
        assert!(matches!(&fields[5].input, Input::Secret { is_set: true, may_be_removed: false }));
        assert!(!fields[5].required, "it is set");
        let empty = super::fields(&schema(), &Filled::default(), Language::English);
        assert!(empty[5].required && !empty[0].required);
        assert_eq!(empty[0].label, "From");
    }
}
