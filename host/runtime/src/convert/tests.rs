//! Both directions, with the platform's laxness and with values that must not be bent.

use serde_json::{Value, json};
use wasmtime::component::Val;

use super::{View, from_json, to_json};
use crate::contract::{Contract, HookParam, Int, Shape};

fn read(value: &Value, shape: &Shape) -> Result<Val, String> {
    from_json(View::of(Some(value)), shape, &mut 0).map_err(|mismatch| mismatch.to_string())
}

/// Reads a value and writes it back: what a guest would hand over again.
fn through(value: &Value, shape: &Shape) -> Value {
    let val = read(value, shape).unwrap();
    to_json(&val, shape, &mut 0).unwrap().unwrap_or(Value::Null)
}

fn int(value: Value, int: Int) -> Result<Value, String> {
    let shape = Shape::Int(int);
    read(&value, &shape).map(|val| to_json(&val, &shape, &mut 0).unwrap().unwrap())
}

#[test]
fn sixty_four_bits_keep_every_digit() {
    for n in [i64::MIN, -1, 0, 1, (1 << 53) + 1, 3_732_676_853_715_311_105, i64::MAX] {
        assert_eq!(int(json!(n), Int::S64), Ok(json!(n)));
        assert_eq!(int(json!(n.to_string()), Int::S64), Ok(json!(n)), "as text");
    }
    assert_eq!(int(json!(u64::MAX), Int::U64), Ok(json!(u64::MAX)));
    assert_eq!(int(json!("18446744073709551615"), Int::U64), Ok(json!(u64::MAX)));
    assert!(int(json!(u64::MAX), Int::S64).is_err());
    assert!(int(json!(-1), Int::U64).is_err());
    assert!(int(json!(256), Int::U8).is_err());
}

#[test]
fn an_order_id_is_read_as_text_with_all_its_digits_or_not_at_all() {
    // Parsed from text, as an answer is: the id is a bare number of 19 digits.
    let bare: Value = serde_json::from_str("3732676853715311105").unwrap();
    assert_eq!(read(&bare, &Shape::Text).unwrap(), Val::String("3732676853715311105".into()));
    // Beyond 64 bits the parser makes a float of it: digits are gone, so it is refused.
    let float: Value = serde_json::from_str("37326768537153111040000").unwrap();
    assert_eq!(read(&float, &Shape::Text).unwrap_err(), "the value: expected a text, found a number");
    let float: Value = serde_json::from_str("3.732676853715311e18").unwrap();
    assert!(read(&float, &Shape::Text).is_err());
    assert!(int(float, Int::S64).unwrap_err().contains("lost digits"));
}

#[test]
fn what_the_platform_leaves_out_or_sends_empty_is_empty() {
    for nothing in [Value::Null, json!(""), json!([]), json!({})] {
        assert_eq!(int(nothing.clone(), Int::U32), Ok(json!(0)), "{nothing}");
        assert_eq!(through(&nothing, &Shape::Text), json!(""), "{nothing}");
        assert_eq!(through(&nothing, &Shape::Bool), json!(false), "{nothing}");
        assert_eq!(through(&nothing, &Shape::List(Box::new(Shape::Text))), json!([]), "{nothing}");
    }
    let option = Shape::Option(Box::new(Shape::Int(Int::S64)));
    assert_eq!(read(&json!(""), &option).unwrap(), Val::Option(None));
    assert_eq!(read(&json!(0), &option).unwrap(), Val::Option(Some(Box::new(Val::S64(0)))));
    let option = Shape::Option(Box::new(Shape::Text));
    assert_eq!(read(&json!(""), &option).unwrap(), Val::Option(Some(Box::new(Val::String(String::new())))));
}

#[test]
fn numbers_come_as_text_and_flags_as_numbers() {
    assert_eq!(int(json!("1658509200"), Int::S64), Ok(json!(1_658_509_200)));
    assert_eq!(int(json!(" 2 "), Int::U32), Ok(json!(2)));
    assert_eq!(int(json!(3.0), Int::U32), Ok(json!(3)));
    for (flag, number) in [(json!(true), 1), (json!("true"), 1), (json!(false), 0), (json!("False"), 0)] {
        assert_eq!(int(flag, Int::U32), Ok(json!(number)));
    }
    for yes in [json!(true), json!(1), json!("1"), json!("true")] {
        assert_eq!(through(&yes, &Shape::Bool), json!(true), "{yes}");
    }
    for no in [json!(false), json!(0), json!("0"), json!("false")] {
        assert_eq!(through(&no, &Shape::Bool), json!(false), "{no}");
    }
    assert_eq!(through(&json!("0.5"), &Shape::F64), json!(0.5));
    assert_eq!(through(&json!([1, 255]), &Shape::Bytes), json!([1, 255]));
}

#[test]
fn what_can_not_be_meant_is_refused_with_its_place_and_without_its_value() {
    assert!(int(json!("12.5"), Int::S64).is_err());
    assert!(int(json!("a secret"), Int::S64).is_err());
    assert!(int(json!({"a": 1}), Int::S64).is_err());
    assert!(read(&json!({"a": 1}), &Shape::Text).is_err());
    assert!(read(&json!("no list"), &Shape::List(Box::new(Shape::Text))).is_err());

    let contract = Contract::get().unwrap();
    let waiting = &contract.imports["fangshi:store/decode@0.1.0"].functions[0];
    let answer = json!({"address_info": {"user_name": {"canary": "a secret"}}});
    let text = read(&answer, waiting.ok.as_ref().unwrap()).unwrap_err();
    assert_eq!(text, "address_info.user_name: expected a text, found an object");
}

#[test]
fn a_record_of_the_contract_goes_both_ways() {
    let contract = Contract::get().unwrap();
    let search = &contract.imports["fangshi:store/search@0.1.0"].functions;
    let query = search.iter().find(|function| function.name == "search-orders").unwrap();
    let sent = json!({
        "search_condition": {"order_id": "3732676853715311104", "address_under_review": true},
        "status": 20,
        "page_size": 10,
    });
    assert_eq!(through(&sent, &query.params[0].shape), sent, "options that are none stay absent");
    let page = json!({"order_ids": [3732676853715311104u64, "3732676853715311105"], "has_more": 1});
    let read = json!({"order_ids": ["3732676853715311104", "3732676853715311105"], "next_key": "", "has_more": true});
    assert_eq!(through(&page, query.ok.as_ref().unwrap()), read);
}

#[test]
fn a_hook_reads_its_members_from_the_event() {
    let contract = Contract::get().unwrap();
    let detail = |hook: &str, info: Value| {
        let hook = contract.hook(hook).unwrap();
        let shape = hook.params.iter().find_map(|param| match param {
            HookParam::Detail(shape) => Some(shape),
            _ => None,
        });
        through(&info, shape.unwrap())
    };
    assert_eq!(detail("on-pay", json!({"order_id": 1, "pay_time": "1658509200"})), json!({"pay_time": 1658509200}));
    assert_eq!(detail("on-pay", json!({})), json!({"pay_time": 0}));
    assert_eq!(detail("on-ext-info-update", json!({"type": 4})), json!({"type": 4}));
    assert_eq!(detail("on-cancel", json!({"cancel_type": "1"})), json!({"cancel_type": 1}));
    assert_eq!(detail("on-deliver", json!({"finish_delivery": 1})), json!({"finish_delivery": 1}));
}

#[test]
fn border_bytes_count_the_content() {
    let mut bytes = 0;
    let list = Shape::List(Box::new(Shape::Text));
    let val = from_json(View::of(Some(&json!(["abc", "漢", ""]))), &list, &mut bytes).unwrap();
    assert_eq!(bytes, 6 + 3 * 8, "an element counts, be it empty");
    bytes = 0;
    to_json(&val, &list, &mut bytes).unwrap();
    assert_eq!(bytes, 6 + 3 * 8);
}
