use serde_json::json;

use super::*;

const NOTE: &str = r#"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "title": "Large orders", "title_zh": "大额订单",
    "properties": {
        "threshold": {"type": "integer", "minimum": 1, "maximum": 100000000, "default": 100000, "title": "From", "title_zh": "起点"},
        "mark": {"type": "string", "minLength": 1, "maxLength": 20, "default": "大额订单", "pattern": "^[^<>]*$"},
        "colour": {"type": "string", "enum": ["red", "blue"]},
        "share": {"type": "number", "minimum": 0, "maximum": 1.5},
        "loud": {"type": "boolean", "default": false},
        "api_key": {"type": "string", "format": "password", "minLength": 8},
        "also": {"type": "string", "writeOnly": true}
    },
    "required": ["threshold", "api_key"],
    "additionalProperties": false
}"#;

fn schema() -> SettingsSchema {
    SettingsSchema::parse(NOTE.as_bytes()).unwrap()
}

fn misfits(settings: Value) -> Vec<String> {
    match schema().check(settings.as_object().unwrap()) {
        Ok(()) => Vec::new(),
        Err(misfits) => misfits.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_schema_keeps_the_authors_order_and_knows_its_secrets() {
    let schema = schema();
    let names: Vec<&str> = schema.properties().iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["threshold", "mark", "colour", "share", "loud", "api_key", "also"]);
    assert_eq!(schema.secrets().collect::<Vec<_>>(), ["api_key", "also"]);
    let threshold = schema.property("threshold").unwrap();
    assert_eq!((threshold.title.zh(), threshold.title.en()), (Some("起点"), Some("From")));
    assert_eq!(schema.source(), NOTE);
}

#[test]
fn every_wrong_member_is_named_with_what_is_expected() {
    assert!(misfits(json!({"api_key": "12345678"})).is_empty(), "a default stands in for what is required");
    assert!(misfits(json!({"api_key": "12345678", "mark": null})).is_empty());
    let wrong = json!({
        "threshold": 0, "mark": "<b>", "colour": "green", "share": 2, "loud": "yes", "api_key": "SECRET", "size": 1
    });
    let told = misfits(wrong);
    assert_eq!(
        told,
        [
            "`threshold` must be an integer from 1 to 100000000",
            "`mark` must be a text that matches ^[^<>]*$",
            "`colour` must be one of \"red\", \"blue\"",
            "`share` must be a number from 0 to 1.5",
            "`loud` must be true or false",
            "`api_key` must be a text of 8 to 10000 characters",
            "`size` is no setting of this version: leave it out",
        ]
    );
    assert!(!told.concat().contains("SECRET"), "a value may be a secret");
    assert_eq!(misfits(json!({})), ["`api_key` is missing"]);
    for no_integer in [json!("5"), json!(5.5), json!(true), json!([])] {
        assert_eq!(misfits(json!({"api_key": "12345678", "threshold": no_integer})).len(), 1);
    }
}

#[test]
fn the_plugin_reads_defaults_where_nothing_is_set() {
    let set = Arc::new(json!({"mark": "VIP", "loud": null}));
    let read = schema().with_defaults(&set);
    assert_eq!(*read, json!({"mark": "VIP", "loud": false, "threshold": 100_000}));
    let whole = Arc::new(json!({"mark": "VIP", "loud": true, "threshold": 5}));
    assert!(Arc::ptr_eq(&schema().with_defaults(&whole), &whole), "nothing is copied where nothing is missing");
}

#[test]
fn what_makes_no_form_is_refused_by_name() {
    let property = |text: &str| format!(r#"{{"type": "object", "properties": {{"a": {text}}}}}"#);
    let long = property(&format!(r#"{{"type": "string", "pattern": "{}"}}"#, "a".repeat(201)));
    let large = property(r#"{"type": "string", "pattern": "(a{1000}){1000}"}"#);
    for (text, part) in [
        ("", "EOF"),
        ("[]", "object"),
        ("{}", "`type` must be \"object\""),
        (r#"{"type": "object", "$ref": "https://example.com/a.json"}"#, "`$ref` is no keyword"),
        (r#"{"type": "object", "allOf": []}"#, "`allOf`"),
        (r#"{"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"}"#, "2020-12"),
        (r#"{"type": "object", "additionalProperties": true}"#, "additionalProperties"),
        (r#"{"type": "object", "required": ["b"]}"#, "`b`, which is no property"),
        (r#"{"type": "object", "required": "a"}"#, "list of names"),
        (r#"{"type": "object", "type": "object"}"#, "`type` comes twice"),
        (
            r#"{"type": "object", "properties": {"a": {"type": "boolean"}, "a": {"type": "boolean"}}}"#,
            "`a` comes twice",
        ),
        (r#"{"type": "object", "properties": {"a b": {"type": "boolean"}}}"#, "property `a b`: a name is"),
        (&property(r#"{"type": "array"}"#), "property `a`: `type` must be"),
        (&property(r#"{"type": ["string", "null"]}"#), "`type` must be"),
        (&property(r#"{"$ref": "x"}"#), "`$ref` is no keyword of a setting"),
        (&property(r#"{"type": "string", "minimum": 1}"#), "`minimum` says nothing"),
        (&property(r#"{"type": "integer", "maxLength": 1}"#), "`maxLength` says nothing"),
        (&property(r#"{"type": "integer", "minimum": 0.5}"#), "must be an integer"),
        (&property(r#"{"type": "integer", "minimum": 5, "maximum": 4}"#), "`minimum` is above `maximum`"),
        (&property(r#"{"type": "integer", "minimum": 5, "default": 4}"#), "`default` must be an integer of at least 5"),
        (&property(r#"{"type": "string", "enum": []}"#), "list of 1 to 100"),
        (&property(r#"{"type": "string", "enum": ["a", "a"]}"#), "twice"),
        (&property(r#"{"type": "integer", "enum": ["a"]}"#), "each value of `enum` must be an integer"),
        (&property(r#"{"type": "string", "format": "uri"}"#), "\"password\" alone"),
        (&property(r#"{"type": "integer", "writeOnly": true}"#), "says nothing"),
        (&property(r#"{"type": "string", "writeOnly": true, "default": "x"}"#), "no secret"),
        (&property(r#"{"type": "string", "pattern": "(?=a)"}"#), "look-around"),
        (&property(r#"{"type": "string", "pattern": "(a)\\1"}"#), "back-references"),
        (&long, "at most 200 characters"),
        (&large, "moderate size"),
        (&property(r#"{"type": "string", "title": 5}"#), "`title` must be a text"),
    ] {
        let problem = SettingsSchema::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(problem.contains(part), "{text}: {problem}");
    }
    assert!(SettingsSchema::parse(&vec![b' '; 40 << 10]).is_err());
    let many: Vec<String> = (0..65).map(|n| format!(r#""p{n}": {{"type": "boolean"}}"#)).collect();
    let many = format!(r#"{{"type": "object", "properties": {{{}}}}}"#, many.join(","));
    assert!(SettingsSchema::parse(many.as_bytes()).unwrap_err().to_string().contains("65 properties"));
}

#[test]
fn a_component_has_one_schema() {
    assert_eq!(SettingsSchema::of(&[]).unwrap(), None);
    assert_eq!(SettingsSchema::of(&[NOTE.as_bytes(), NOTE.as_bytes()]).unwrap(), Some(schema()));
    assert!(SettingsSchema::of(&[NOTE.as_bytes(), b"{}"]).unwrap_err().to_string().contains("one is allowed"));
}

#[test]
fn a_hostile_pattern_takes_time_linear_in_the_text() {
    let text = r#"{"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}"#;
    let schema = SettingsSchema::parse(text.as_bytes()).unwrap();
    // With backtracking this would not end in a lifetime.
    let settings = json!({"a": format!("{}b", "a".repeat(900))});
    let misfits = schema.check(settings.as_object().unwrap()).unwrap_err();
    assert!(matches!(misfits.as_slice(), [Misfit { expected: Expected::Pattern(_), .. }]), "{misfits:?}");
    // Longer ones are not even looked at, and there is room for a few patterns.
    let long = json!({"a": "a".repeat(1_001)});
    let misfits = schema.check(long.as_object().unwrap()).unwrap_err();
    assert!(matches!(misfits.as_slice(), [Misfit { expected: Expected::Text { most: 1_000, .. }, .. }]), "{misfits:?}");
    let of = |count: usize| {
        let properties: serde_json::Map<_, _> =
            (0..count).map(|n| (format!("p{n}"), json!({"type": "string", "pattern": "^[\\w\\p{Han}]+$"}))).collect();
        SettingsSchema::parse(json!({"type": "object", "properties": properties}).to_string().as_bytes())
    };
    of(8).unwrap();
    assert!(of(9).unwrap_err().to_string().contains("9 properties with a `pattern`"));
}

#[test]
fn what_was_proved_at_the_upload_is_not_tried_out_again() {
    let property = |text: &str| format!(r#"{{"type": "object", "properties": {{"a": {text}}}}}"#);
    for text in [
        property(r#"{"type": "string", "pattern": "(?=a)"}"#),
        property(r#"{"type": "integer", "minimum": 5, "default": 4}"#),
        property(r#"{"type": "integer", "minimum": 5, "enum": [4, 6]}"#),
    ] {
        SettingsSchema::parse(text.as_bytes()).unwrap_err();
        // Such a schema is never stored: that it is read shows that nothing was compiled and nothing held against it.
        SettingsSchema::stored(text.as_bytes()).unwrap();
    }
    let stored = SettingsSchema::stored(NOTE.as_bytes()).unwrap();
    let misfits = stored.check(json!({"api_key": "12345678", "mark": "<b>"}).as_object().unwrap()).unwrap_err();
    assert_eq!(misfits.len(), 1, "a change is held against the pattern: {misfits:?}");
}

fn kept(
    schema: Option<&SettingsSchema>,
    before: Value,
    secrets: &[&str],
    given: Option<Value>,
) -> (Value, Vec<String>) {
    let secrets = secrets.iter().map(|name| (*name).to_owned()).collect();
    let kept = keep(schema, &Arc::new(before), &secrets, given);
    ((*kept.settings).clone(), kept.secrets.into_iter().collect())
}

#[test]
fn a_secret_that_is_left_out_or_empty_stays_and_null_removes_it() {
    let schema = schema();
    let before = json!({"api_key": "old-secret", "also": "more", "mark": "VIP"});
    let of = |given| kept(Some(&schema), before.clone(), &["also", "api_key"], Some(given));
    assert_eq!(
        of(json!({})),
        (json!({"api_key": "old-secret", "also": "more"}), vec!["also".into(), "api_key".into()])
    );
    let given = json!({"api_key": "", "also": null, "mark": "new", "loud": null});
    assert_eq!(of(given), (json!({"api_key": "old-secret", "mark": "new"}), vec!["api_key".into()]));
    assert_eq!(of(json!({"api_key": "new-secret", "also": "x"})).0, json!({"api_key": "new-secret", "also": "x"}));
}

#[test]
fn what_was_given_as_a_secret_stays_one_until_another_value_takes_its_place() {
    let before = json!({"api_key": "old-secret", "mark": "VIP"});
    let (same, secrets) = kept(None, before.clone(), &["api_key"], None);
    assert_eq!((same, secrets), (before.clone(), vec!["api_key".to_owned()]), "a version without a schema");
    let open = r#"{"type": "object", "properties": {"api_key": {"type": "string"}, "mark": {"type": "string"}}}"#;
    let open = SettingsSchema::parse(open.as_bytes()).unwrap();
    assert_eq!(kept(Some(&open), before.clone(), &["api_key"], None).1, ["api_key"]);
    let other = kept(Some(&open), before.clone(), &["api_key"], Some(json!({"api_key": "for all to see"})));
    assert!(other.1.is_empty());
    // What a later schema calls a secret becomes one.
    assert_eq!(kept(Some(&schema()), before, &[], None).1, ["api_key"]);
    assert_eq!(kept(None, json!({}), &[], Some(json!({"x": null}))).0, json!({"x": null}), "as ever without a schema");
}

#[test]
fn new_settings_lose_no_secret_of_an_earlier_version_unless_they_say_so() {
    let other = SettingsSchema::parse(br#"{"type": "object", "properties": {"region": {"type": "string"}}}"#).unwrap();
    let before = json!({"api_key": "old-secret", "mark": "VIP"});
    for schema in [None, Some(&other)] {
        let of = |given| kept(schema, before.clone(), &["api_key"], Some(given));
        let stays = (json!({"api_key": "old-secret", "region": "south"}), vec!["api_key".to_owned()]);
        assert_eq!(of(json!({"region": "south"})), stays);
        assert_eq!(of(json!({"region": "south", "api_key": ""})), stays);
        assert_eq!(of(json!({"region": "south", "api_key": null})), (json!({"region": "south"}), vec![]));
        let (settings, secrets) = of(json!({"api_key": "for all to see"}));
        assert_eq!((settings, secrets), (json!({"api_key": "for all to see"}), vec![]), "another value took its place");
    }
}

#[test]
fn secrets_are_taken_out_of_texts_and_json() {
    let settings = json!({"key": "s3cret-\"value\"", "pin": "12345", "pem": "-----BEGIN\nMIIEabcdef\n-----END", "open": "visible"});
    let names = ["key", "pin", "pem", "absent"].map(str::to_owned).into();
    let values = SecretValues::of(&settings, &names);
    assert_eq!(values.out_of("send s3cret-\"value\" to visible with 12345"), "send [masked] to visible with 12345");
    assert_eq!(values.out_of(r#"{"key":"s3cret-\"value\""}"#), r#"{"key":"[masked]"}"#);
    assert_eq!(values.out_of("line MIIEabcdef of it"), "line [masked] of it");
    assert_eq!(values.out_of("… s3cret-\"v… [log cut: 64 bytes are kept]"), "… [masked]… [log cut: 64 bytes are kept]");
    assert_eq!(values.out_of("told s3cret-\"va…"), "told [masked]…");
    assert!(matches!(values.out_of("nothing of it"), std::borrow::Cow::Borrowed(_)));
    let mut told = json!({"s3cret-\"value\"": ["MIIEabcdef", 5, {"x": "a MIIEabcdef"}]});
    values.out_of_json(&mut told);
    assert_eq!(told, json!({"[masked]": ["[masked]", 5, {"x": "a [masked]"}]}));
    assert!(!format!("{values:?}").contains("s3cret"));
}

#[test]
fn the_pages_of_limits_have_the_fixed_figures() {
    use super::super::schedule::{MOST_CRON, MOST_NAME as MOST_SCHEDULE_NAME, MOST_SCHEDULES};
    use super::property::{
        MOST_CHOICE, MOST_CHOICES, MOST_NAME, MOST_PATTERN, MOST_PATTERNED, MOST_TEXT, PATTERN_BYTES,
    };
    use super::read::{MOST_DESCRIPTION, MOST_TITLE};
    // Of each row the numbers in it, but for those of the way to write it.
    let rows: [(&str, &str, &[usize]); 8] = [
        ("settings schema", "设置的 schema", &[MOST_BYTES]),
        ("settings: properties", "设置:属性", &[MOST_PROPERTIES, MOST_NAME]),
        ("settings: patterns", "设置:`pattern`", &[MOST_PATTERNS, MOST_PATTERN, PATTERN_BYTES]),
        ("settings: texts", "设置:文本", &[MOST_TEXT as usize, MOST_PATTERNED as usize]),
        ("settings: choices", "设置:选项", &[MOST_CHOICES, MOST_CHOICE]),
        ("settings: words", "设置:标题与说明", &[MOST_TITLE, MOST_DESCRIPTION]),
        ("schedules", "定时任务", &[MOST_SCHEDULES]),
        ("schedules: names, cron", "定时任务:名称与 cron", &[MOST_SCHEDULE_NAME, MOST_CRON]),
    ];
    let pages = [include_str!("../../../../docs/limits.md"), include_str!("../../../../docs/limits.zh-CN.md")];
    for (en, zh, figures) in rows {
        for (page, row) in pages.iter().zip([format!("| {en} | "), format!("| {zh} | ")]) {
            let line =
                page.lines().find_map(|line| line.strip_prefix(row.as_str())).unwrap_or_else(|| panic!("no {row}"));
            let plain = line.replace(',', "");
            let told: Vec<usize> =
                plain.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect();
            assert_eq!(told, figures, "{row}");
        }
    }
}
