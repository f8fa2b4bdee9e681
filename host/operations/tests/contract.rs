//! The table and the contract hold together: every operation of `wit/` has exactly one row, and the shapes fit.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fangshi_operations::{Kind, Repeat, Sensitivity, find, interfaces, table};
use serde_json::{Map, Value, json};
use wit_parser::{Function, FunctionKind, Resolve, Type, TypeDefKind, WorldItem};

fn contract() -> Resolve {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut resolve = Resolve::new();
    for package in ["host", "store"] {
        resolve.push_dir(wit.join(package)).expect(package);
    }
    resolve
}

/// The free functions of an interface.
fn functions<'a>(resolve: &'a Resolve, interface: &str) -> Vec<&'a Function> {
    let (_, interface) =
        resolve.interfaces.iter().find(|(_, found)| found.name.as_deref() == Some(interface)).expect(interface);
    interface.functions.values().filter(|function| matches!(function.kind, FunctionKind::Freestanding)).collect()
}

fn operation_interfaces() -> Vec<&'static str> {
    interfaces().iter().filter(|unit| unit.kind == Kind::Operations).map(|unit| unit.name).collect()
}

#[test]
fn every_import_of_the_contract_is_explained_and_nothing_else() {
    let resolve = contract();
    let (_, world) = resolve.worlds.iter().find(|(_, world)| world.name == "imports").unwrap();
    let imported: BTreeSet<&str> = world
        .imports
        .values()
        .filter_map(|item| match item {
            WorldItem::Interface { id, .. } => resolve.interfaces[*id].name.as_deref(),
            _ => None,
        })
        .collect();
    let explained: BTreeSet<&str> = interfaces().iter().map(|unit| unit.name).collect();
    assert_eq!(imported, explained);
    assert_eq!(interfaces().len(), explained.len(), "an interface is explained twice");
}

/// What a merchant reads before consenting: the words, or the mark `money` beside them.
#[test]
fn whoever_hands_out_money_says_so_and_whoever_hands_out_promoters_names_them() {
    let resolve = contract();
    let mut with_money = Vec::new();
    for unit in interfaces().iter().filter(|unit| unit.kind == Kind::Data) {
        let (_, interface) =
            resolve.interfaces.iter().find(|(_, found)| found.name.as_deref() == Some(unit.name)).unwrap();
        let records = interface.types.values().filter_map(|id| match &resolve.types[*id].kind {
            TypeDefKind::Record(record) => Some(record),
            _ => None,
        });
        let members: Vec<&str> =
            records.flat_map(|record| record.fields.iter().map(|field| field.name.as_str())).collect();
        let money = |name: &&str| ["price", "fee", "amount"].iter().any(|word| name.contains(word));
        if members.iter().any(money) {
            with_money.push(unit.name);
            assert_eq!(unit.sensitivity, Sensitivity::Money, "{}", unit.name);
            assert!(unit.en.contains("prices") || unit.en.contains("sums"), "{}", unit.en);
            assert!(unit.zh.contains("价格") || unit.zh.contains("金额"), "{}", unit.zh);
        }
        if members.contains(&"finder-id") {
            assert!(unit.en.contains("promoters'") && unit.zh.contains("推广者"), "{} {}", unit.en, unit.zh);
        }
    }
    assert_eq!(with_money, ["order-items", "order-price"]);
}

#[test]
fn every_function_of_the_operation_interfaces_has_exactly_one_row_and_every_row_a_function() {
    let resolve = contract();
    let mut wanted: Vec<(String, String)> = vec![("orders".into(), "get".into())];
    for interface in operation_interfaces() {
        let functions = functions(&resolve, interface);
        wanted.extend(functions.iter().map(|function| (interface.to_owned(), function.name.clone())));
    }
    let mut rows: Vec<(String, String)> =
        table().iter().map(|op| (op.interface.to_owned(), op.function.to_owned())).collect();
    wanted.sort();
    rows.sort();
    assert_eq!(rows, wanted);
    // 22 of the order guide, sending, couriers, compensation, inspection.
    let names: BTreeSet<&str> = table().iter().map(|op| op.name).collect();
    assert_eq!(names.len(), 26, "{names:?}");
}

#[test]
fn every_function_of_both_packages_tells_an_author_what_it_is_for() {
    let resolve = contract();
    let mut silent = Vec::new();
    let mut seen = 0;
    for (id, interface) in resolve.interfaces.iter() {
        for function in interface.functions.values() {
            seen += 1;
            if function.docs.contents.as_deref().unwrap_or_default().trim().is_empty() {
                silent.push(format!("{}#{}", resolve.id_of(id).unwrap(), function.name));
            }
        }
    }
    assert!(seen > 80, "{seen}");
    assert!(silent.is_empty(), "without a doc comment: {silent:?}");
}

#[test]
fn the_doc_comment_of_every_function_names_the_platforms_operation() {
    let resolve = contract();
    for op in table() {
        let function = functions(&resolve, op.interface).into_iter().find(|f| f.name == op.function).unwrap();
        let docs = function.docs.contents.as_deref().unwrap_or_default();
        assert!(docs.contains(op.name), "{op:?}: {docs}");
    }
}

/// A value of a type of the contract, with every leaf different, so that a lost one is noticed.
fn sample(resolve: &Resolve, ty: &Type, name: &str, next: &mut i64) -> Value {
    *next += 1;
    match ty {
        Type::String if name.ends_with("id") || name.ends_with("mobile") || name.ends_with("number") => {
            json!(format!("{}", 1_380_000_000_000 + *next))
        }
        Type::String if name.ends_with("last4") => json!("0775"),
        Type::String => json!(format!("text-{next}")),
        Type::Bool => json!(true),
        Type::U32 if name == "deliver_type" || name == "on_aftersale_order_exist" => json!(1),
        Type::U32 if name == "page_size" => json!(20),
        Type::U32 | Type::S64 | Type::S32 | Type::U64 => json!(1000 + *next),
        Type::Id(id) => match &resolve.types[*id].kind {
            TypeDefKind::Record(record) => record
                .fields
                .iter()
                .map(|field| {
                    let name = field.name.replace('-', "_");
                    let value = sample(resolve, &field.ty, &name, next);
                    (name, value)
                })
                .collect::<Map<_, _>>()
                .into(),
            TypeDefKind::List(item) => json!([sample(resolve, item, &format!("{name}_id"), next)]),
            TypeDefKind::Option(item) => sample(resolve, item, name, next),
            TypeDefKind::Type(ty) => sample(resolve, ty, name, next),
            other => panic!("{name}: {other:?}"),
        },
        other => panic!("{name}: {other:?}"),
    }
}

fn leaves(value: &Value, found: &mut BTreeMap<String, usize>) {
    match value {
        Value::Object(members) => members.values().for_each(|member| leaves(member, found)),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, found)),
        leaf => *found.entry(leaf.to_string()).or_default() += 1,
    }
}

#[test]
fn nothing_of_a_request_is_lost_on_the_way_and_every_id_goes_as_text() {
    let resolve = contract();
    for op in table() {
        let function = functions(&resolve, op.interface).into_iter().find(|f| f.name == op.function).unwrap();
        let mut next = 0;
        let request: Map<String, Value> = function
            .params
            .iter()
            .map(|param| {
                let name = param.name.replace('-', "_");
                let value = sample(&resolve, &param.ty, &name, &mut next);
                (name, value)
            })
            .collect();
        let request = Value::Object(request);
        let body = op.body(&request).unwrap_or_else(|refusal| panic!("{op:?}: {refusal}\n{request:#}"));
        let (mut given, mut sent) = (BTreeMap::new(), BTreeMap::new());
        leaves(&request, &mut given);
        leaves(&body, &mut sent);
        for (leaf, count) in given {
            // The type of a replaced parcel is the one thing that the platform does not want.
            let fewer = usize::from(op.function == "change-some" && leaf == "1");
            assert!(sent.get(&leaf).copied().unwrap_or_default() + fewer >= count, "{op:?} loses {leaf}: {body:#}");
        }
        if !op.order_member.is_empty() {
            assert_eq!(op.order_of(&request), body[op.order_member].as_str(), "{op:?}");
        }
    }
}

/// What is wrong with a value as an answer of this type.
fn misfit(resolve: &Resolve, ty: &Type, value: &Value) -> Option<String> {
    let fits = match ty {
        Type::String => value.is_string(),
        Type::Bool => value.is_boolean(),
        Type::U32 => value.as_u64().is_some_and(|number| u32::try_from(number).is_ok()),
        Type::S64 => value.is_i64(),
        Type::Id(id) => match &resolve.types[*id].kind {
            TypeDefKind::Record(record) => {
                let names: BTreeSet<String> = record.fields.iter().map(|field| field.name.replace('-', "_")).collect();
                if let Some(name) = value.as_object()?.keys().find(|name| !names.contains(*name)) {
                    return Some(format!("{name} is not of the contract"));
                }
                return record.fields.iter().find_map(|field| {
                    let value = value.get(field.name.replace('-', "_")).unwrap_or(&Value::Null);
                    misfit(resolve, &field.ty, value).map(|text| format!("{}: {text}", field.name))
                });
            }
            TypeDefKind::List(item) => {
                return match value.as_array() {
                    Some(items) => items.iter().find_map(|value| misfit(resolve, item, value)),
                    None => Some(format!("{value} is no list")),
                };
            }
            TypeDefKind::Option(item) => return if value.is_null() { None } else { misfit(resolve, item, value) },
            TypeDefKind::Type(ty) => return misfit(resolve, ty, value),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    if fits { None } else { Some(format!("{value} does not fit")) }
}

#[test]
fn every_answer_has_the_shape_that_the_contract_promises() {
    let resolve = contract();
    let answers = json!({
        "getorderlist": {"order_id_list": [3732676853715311104_u64], "next_key": "k", "has_more": true},
        "searchorder": {"orders": ["3732676853715311104"], "has_more": false},
        "getpresentsuborder": {"order_ids": [1]},
        "getpreshipmentchangeskuwaithandlelist": {"order_ids": ["1"]},
        "decodesensitiveinfo": {"address_info": {"user_name": "a", "tel_number": "b"},
            "virtual_number_info": {"virtual_number": "1", "extension": 2, "expiration": "3"}},
        "applyrealnumber": {"task_id": 5},
        "getrealnumberviewaudit": {"apply_time": 1768000000123_i64, "audit_state": 1, "task_id": 5},
        "applyvirtualnumberagain": {"virtual_number": "1", "extension": "2", "apply_quota": 0},
        "delayvirtualnumber": {"expiration": 1767241651, "available_extend_num": 2},
        "privatenumberaddphone": {"qrcode_url": "u", "status": 1},
        "privatenumbergetshopphone": {"status": 3},
        "deliverycompanylist/new": {"company_list": [{"delivery_id": "SF", "delivery_name": "x"}]},
    });
    let mut used = BTreeSet::new();
    for op in table().iter().filter(|op| op.interface != "orders") {
        let function = functions(&resolve, op.interface).into_iter().find(|f| f.name == op.function).unwrap();
        let Some(Type::Id(result)) = function.result else { panic!("{op:?} has no result") };
        let TypeDefKind::Result(result) = &resolve.types[result].kind else { panic!("{op:?} gives no result") };
        let mut platform = json!({"errcode": 0, "errmsg": "ok"});
        if let Some(Value::Object(members)) = answers.get(op.name) {
            used.insert(op.name);
            platform.as_object_mut().unwrap().extend(members.clone());
        }
        let answer = op.answer(platform).unwrap_or_else(|refusal| panic!("{op:?}: {refusal}"));
        match &result.ok {
            None => assert_eq!(answer, Value::Null, "{op:?}"),
            Some(ty) => assert_eq!(misfit(&resolve, ty, &answer), None, "{op:?}: {answer}"),
        }
    }
    assert_eq!(used.len(), answers.as_object().unwrap().len());
}

#[test]
fn rows_are_consistent() {
    let mut paths = BTreeMap::new();
    for op in table() {
        assert_eq!(op.effect, op.repeat != Repeat::Read, "{op:?}");
        assert!(op.path.starts_with("/channels/ec/"), "{op:?}");
        assert!(matches!(op.permission_set, 130 | 131), "{op:?}");
        assert!(op.effect || (op.raises.is_empty() && op.answered_by.is_empty() && op.raises_events.is_empty()));
        assert_eq!(paths.entry(op.path).or_insert(op.name), &op.name, "{op:?}");
        assert_eq!(find(op.interface, op.function), Some(op));
    }
    assert_eq!(find("notes", "nothing"), None);
    assert_eq!(find("presents", "set-merchant-notes"), None);
}

#[test]
fn effects_repeat_and_echo_as_the_design_says() {
    use Repeat::{Read, Resend, Unknown, Verify};
    for (interface, function, repeat, raises, answered_by) in [
        ("notes", "set-merchant-notes", Resend, &[3][..], &[][..]),
        ("presents", "set-note", Resend, &[8], &[]),
        ("price", "change", Resend, &[12], &[]),
        ("decode", "sensitive-info", Resend, &[5], &[]),
        ("address", "change", Verify, &[2], &[16, 17, 18, 19, 20]),
        ("address-decision", "accept", Verify, &[2], &[]),
        ("address-decision", "reject", Verify, &[], &[]),
        ("sku-decision", "approve", Verify, &[10], &[]),
        ("sku-decision", "reject", Verify, &[], &[]),
        ("delivery", "send", Verify, &[], &[]),
        ("delivery", "change-all", Verify, &[], &[]),
        ("delivery", "change-some", Verify, &[], &[]),
        ("delivery", "compensate", Verify, &[], &[]),
        ("delivery", "submit-inspection", Verify, &[], &[]),
        ("virtual-number", "apply-again", Verify, &[5], &[]),
        ("virtual-number", "delay", Verify, &[5], &[]),
        ("real-number", "apply", Verify, &[], &[13]),
        ("shop-phone", "send-verify-code", Unknown, &[], &[]),
        ("shop-phone", "add-phone", Unknown, &[], &[]),
        ("orders", "get", Read, &[], &[]),
        ("search", "list-orders", Read, &[], &[]),
        ("search", "search-orders", Read, &[], &[]),
        ("presents", "sub-orders", Read, &[], &[]),
        ("sku-decision", "waiting", Read, &[], &[]),
        ("delivery", "companies", Read, &[], &[]),
        ("real-number", "audit", Read, &[], &[]),
        ("shop-phone", "get-phone", Read, &[], &[]),
    ] {
        let op = find(interface, function).unwrap();
        assert_eq!((op.repeat, op.raises, op.answered_by), (repeat, raises, answered_by), "{op:?}");
    }
}
