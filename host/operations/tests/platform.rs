//! Every operation against the fake platform, with the real custody: what it does to the order, and, for effects, what
//! is judged of a lost outcome before and after.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use fangshi_database::{Clock, Database, ManualClock, OpenOptions};
use fangshi_operations::{Class, Fault, Operation, Operations, OperationsConfig, Sent, Verdict, find, table};
use fangshi_platform::{Address, NewItem, NewOrder, NewPresent, NewShop, Settings, Step, Target};
use fangshi_tenants::{ComponentCredentials, Credentials, Kek, NewTenant, Platform, TenantId, TenantPatch, Tenants};
use secrecy::SecretString;
use serde_json::{Value, json};

/// The real order's payment.
const START: i64 = 1_764_642_403;

struct Stage {
    platform: fangshi_platform::Platform,
    appid: String,
    operations: Operations,
    tenants: Tenants,
    tenant: TenantId,
    hand: ManualClock,
    used: Mutex<BTreeSet<(&'static str, &'static str)>>,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Stage {
        let platform = fangshi_platform::Platform::start(Settings::manual(START)).await.unwrap();
        let shop = platform.add_shop(NewShop::authorized()).unwrap();
        let issued = platform.issue_tokens(&shop.appid).unwrap();
        let secret = |text: &str| SecretString::from(text);

        let folder = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::manual();
        hand.set(START * 1000);
        let db = Database::open(OpenOptions::new(folder.path())).await.unwrap();
        let component = platform.component();
        let component =
            ComponentCredentials { appid: component.appid.clone(), appsecret: secret(component.appsecret()) };
        let tenants = Tenants::open(db, Kek::from_bytes(&[9; 32]), Some(component), clock.clone()).await.unwrap();
        let tenant = tenants
            .create(NewTenant {
                platform: Platform::Weixin,
                appid: shop.appid.clone(),
                user_name: Some(shop.user_name.clone()),
                name: "shop".to_owned(),
                credentials: Credentials::Authorized {
                    access_token: Some(secret(issued.access())),
                    expires_in: None,
                    refresh_token: issued.refresh().map(secret),
                },
            })
            .await
            .unwrap()
            .id;
        let config = OperationsConfig {
            api_base: platform.base_url(),
            timeout: Duration::from_secs(2),
            clock,
            ..OperationsConfig::default()
        };
        let operations = Operations::new(config, tenants.clone()).unwrap();
        let used = Mutex::default();
        Stage { platform, appid: shop.appid, operations, tenants, tenant, hand, used, _folder: folder }
    }

    fn order(&self, new: NewOrder) -> String {
        self.platform.add_order(&self.appid, new).unwrap()
    }

    fn paid(&self, new: NewOrder) -> String {
        let id = self.order(new);
        self.drive(&id, Step::Pay);
        id
    }

    fn drive(&self, id: &str, step: Step) {
        self.platform.drive(id, step).unwrap();
    }

    async fn advance(&self, seconds: u64) {
        self.platform.advance(Duration::from_secs(seconds)).await;
        self.hand.set(self.platform.now() * 1000);
        // The tokens of that time are over.
        let issued = self.platform.issue_tokens(&self.appid).unwrap();
        let access_token = Some((SecretString::from(issued.access()), Some(7200)));
        let patch = TenantPatch { access_token, ..TenantPatch::default() };
        self.tenants.update(self.tenant, patch).await.unwrap();
    }

    fn op(&self, interface: &'static str, function: &'static str) -> &'static Operation {
        let op = find(interface, function).unwrap();
        self.used.lock().unwrap().insert((op.interface, op.function));
        op
    }

    async fn call(&self, interface: &'static str, function: &'static str, request: Value) -> Result<Value, Fault> {
        self.operations.call(self.tenant, self.op(interface, function), &request).await
    }

    /// An effect whose outcome gets lost: judged before it is sent, then sent, then judged again.
    async fn lose(
        &self,
        interface: &'static str,
        function: &'static str,
        order_id: &str,
        request: Value,
    ) -> (Verdict, Value, Verdict) {
        let op = self.op(interface, function);
        let before = self.operations.read_order(self.tenant, order_id).await.unwrap();
        let now = self.platform.now();
        let settle = async || self.operations.settle(self.tenant, op, &request, Some(&before), now).await.unwrap();
        let first = settle().await;
        let answer = self.operations.call(self.tenant, op, &request).await.unwrap();
        (first, answer, settle().await)
    }
}

fn parcel(waybill: &str, count: i64) -> Value {
    let item = NewItem::default();
    json!({"delivery_id": "SF", "waybill_id": waybill, "deliver_type": 1,
        "product_infos": [{"product_id": item.product_id, "sku_id": item.sku_id, "product_cnt": count}]})
}

const DONE: Verdict = Verdict::Applied(Value::Null);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_works_and_every_lost_outcome_is_judged() {
    let stage = Stage::new().await;
    let (item, start) = (NewItem::default(), START);

    // Reading, listing, searching.
    let id = stage.paid(NewOrder::default());
    let order = stage.call("orders", "get", json!({"order_id": id})).await.unwrap();
    assert_eq!((&order["order_id"], &order["status"]), (&json!(id), &json!(20)));
    let range = json!({"start_time": start - 10, "end_time": start + 10});
    let page =
        stage.call("search", "list-orders", json!({"query": {"create_time_range": range, "page_size": 10}})).await;
    assert_eq!(page.unwrap(), json!({"order_ids": [id], "next_key": "", "has_more": false}));
    let query = json!({"query": {"search_condition": {"order_id": id}, "page_size": 10}});
    let page = stage.call("search", "search-orders", query).await.unwrap();
    assert_eq!(page["order_ids"], json!([id]));
    let couriers = stage.call("delivery", "companies", json!({"ewaybill_only": true})).await.unwrap();
    assert!(couriers.as_array().unwrap().contains(&json!({"delivery_id": "SF", "delivery_name": "顺丰速运"})));

    // Notes.
    let note = json!({"order_id": id, "merchant_notes": "大单"});
    assert_eq!(stage.lose("notes", "set-merchant-notes", &id, note).await, (Verdict::Again, Value::Null, DONE));
    let present = NewPresent { present_order_id: "3732700000000000777".to_owned(), ..NewPresent::default() };
    let gift = stage.paid(NewOrder { present: Some(present), ..NewOrder::default() });
    let note = json!({"present_order_id": "3732700000000000777", "notes": "生日快乐"});
    assert_eq!(stage.lose("presents", "set-note", &gift, note).await, (Verdict::Again, Value::Null, DONE));
    let sub = stage.call("presents", "sub-orders", json!({"present_order_id": "3732700000000000777"})).await.unwrap();
    assert_eq!(sub, json!([gift]));

    // Price, with and without freight.
    let unpaid = stage.order(NewOrder { freight: 500, ..NewOrder::default() });
    let price = json!({"order_id": unpaid, "express_fee": 100, "change_order_infos":
        [{"product_id": item.product_id, "sku_id": item.sku_id, "change_price": 30_000}]});
    assert_eq!(stage.lose("price", "change", &unpaid, price).await, (Verdict::Again, Value::Null, DONE));

    // Address: while the buyer is asked nothing shows, `update_time` included; once he agreed it does.
    let address = json!({"user_name": "王五", "province_name": "广东省", "city_name": "广州市", "county_name": "天河区",
        "detail_info": "新路 9 号", "tel_number": "13700005678"});
    let change = json!({"order_id": id, "user_address": address});
    let before = stage.operations.read_order(stage.tenant, &id).await.unwrap();
    let (first, _, asked) = stage.lose("address", "change", &id, change.clone()).await;
    for verdict in [first, asked] {
        assert!(matches!(verdict, Verdict::Unclear(_)), "{verdict:?}");
    }
    let now = stage.operations.read_order(stage.tenant, &id).await.unwrap();
    assert_eq!(now["update_time"], before["update_time"], "the platform asked, and the order shows nothing of it");
    stage.drive(&id, Step::AnswerAddress { agree: true });
    let op = stage.op("address", "change");
    let agreed = stage.operations.settle(stage.tenant, op, &change, Some(&before), start).await.unwrap();
    assert_eq!(agreed, DONE);

    // A buyer's wish for another address.
    let wishes: Vec<String> = (0..2).map(|_| stage.paid(NewOrder::default())).collect();
    stage.advance(6 * 3600 + 1).await;
    for (id, function) in wishes.iter().zip(["accept", "reject"]) {
        let address = Address { city_name: "温州市".to_owned(), ..Address::default() };
        stage.drive(id, Step::AskAddress { address });
        let lost = stage.lose("address-decision", function, id, json!({"order_id": id})).await;
        assert_eq!(lost, (Verdict::Again, Value::Null, DONE), "{function}");
    }

    // A buyer's wish for another SKU.
    for function in ["approve", "reject"] {
        let id = stage.paid(NewOrder::default());
        let ask = Step::AskSku { sku_id: item.sku_id.clone(), new_sku_id: "88".to_owned(), within_s: 3600 };
        stage.drive(&id, ask);
        let waiting = stage.call("sku-decision", "waiting", json!({"page": 1, "page_size": 10})).await.unwrap();
        assert_eq!(waiting, json!([id]));
        let lost = stage.lose("sku-decision", function, &id, json!({"order_id": id})).await;
        assert_eq!(lost, (Verdict::Again, Value::Null, DONE), "{function}");
    }

    // Shipping, splitting, correcting, compensating.
    let id = stage.paid(NewOrder { items: vec![NewItem { sku_cnt: 3, ..NewItem::default() }], ..NewOrder::default() });
    let send = json!({"order_id": id, "delivery_list": [parcel("SF0001", 3)]});
    assert_eq!(stage.lose("delivery", "send", &id, send).await, (Verdict::Again, Value::Null, DONE));
    let split = json!({"order_id": id, "change_infos": [{"old": parcel("SF0001", 3), "new": parcel("SF0002", 1)}]});
    assert_eq!(stage.lose("delivery", "change-some", &id, split).await, (Verdict::Again, Value::Null, DONE));
    let whole = json!({"order_id": id, "delivery_list": [parcel("SF0003", 3)]});
    assert_eq!(stage.lose("delivery", "change-all", &id, whole).await, (Verdict::Again, Value::Null, DONE));
    // What need not show is sent again only on an order that has been as it is for a while.
    stage.advance(200).await;
    let more = json!({"order_id": id, "reason": 1, "delivery_list": [parcel("SF0008", 1)]});
    assert_eq!(stage.lose("delivery", "compensate", &id, more).await, (Verdict::Again, Value::Null, DONE));
    let virtual_goods = stage.paid(NewOrder { deliver_method: 1, ..NewOrder::default() });
    let mut nothing_carried = parcel("", 1);
    nothing_carried["delivery_id"] = json!("");
    nothing_carried["deliver_type"] = json!(3);
    let send = json!({"order_id": virtual_goods, "delivery_list": [nothing_carried]});
    assert_eq!(stage.lose("delivery", "send", &virtual_goods, send).await, (Verdict::Again, Value::Null, DONE));
    let fish = stage.paid(NewOrder { quality_inspect_type: 2, ..NewOrder::default() });
    stage.advance(200).await;
    let items = json!({"order_id": fish, "audit_items": [{"item_name": "weight", "item_value": "500g"}]});
    let (first, _, then) = stage.lose("delivery", "submit-inspection", &fish, items).await;
    assert_eq!(first, Verdict::Again);
    assert!(matches!(then, Verdict::Unclear(_)), "{then:?}");

    // Decoding, the virtual number, the real number.
    let id = stage.paid(NewOrder::default());
    let (first, decoded, then) = stage.lose("decode", "sensitive-info", &id, json!({"order_id": id})).await;
    assert_eq!((first, then), (Verdict::Again, Verdict::Again));
    assert_eq!(decoded["address_info"]["detail_info"], Address::default().detail_info);
    assert_eq!(decoded["virtual_number_info"]["extension"], "0775");
    let apply = json!({"order_id": id, "apply_type": 1, "apply_reason": "无法联系", "pic_media_ids": ["m1"]});
    let (first, task, then) = stage.lose("real-number", "apply", &id, apply).await;
    assert_eq!((first, then), (Verdict::Again, Verdict::Applied(task.clone())));
    let audit = stage.call("real-number", "audit", json!({"order_id": id})).await.unwrap();
    assert_eq!((&audit["task_id"], &audit["audit_state"]), (&task, &json!(1)));
    stage.advance(23 * 86_400).await;
    let delay = json!({"order_id": id, "has_delay_times": 0});
    let (first, answer, then) = stage.lose("virtual-number", "delay", &id, delay).await;
    assert_eq!(first, Verdict::Again);
    let expiration = answer["expiration"].clone();
    assert_eq!(answer["available_extend_num"], 2);
    assert_eq!(then, Verdict::Applied(json!({"expiration": expiration, "available_extend_num": 0})));
    stage.drive(&id, Step::ExpireNumber);
    let (first, answer, then) = stage.lose("virtual-number", "apply-again", &id, json!({"order_id": id})).await;
    assert_eq!((first, then), (Verdict::Again, Verdict::Applied(answer)));

    // The shop's phones.
    let mobile = json!({"mobile": "13600000001"});
    let unknown = stage.call("shop-phone", "get-phone", mobile.clone()).await.unwrap_err();
    assert_eq!((unknown.class, unknown.code), (Class::NotFound, 10_021_207));
    assert_eq!(stage.call("shop-phone", "send-verify-code", mobile.clone()).await, Ok(Value::Null));
    let often = stage.call("shop-phone", "send-verify-code", mobile.clone()).await.unwrap_err();
    assert_eq!((often.class, often.rid.is_some()), (Class::TooOften, true));
    let code = stage.platform.sms_code(&stage.appid, "13600000001").unwrap();
    let add = json!({"mobile": "13600000001", "verify_code": code, "wxusername": "staff_01"});
    assert_eq!(stage.call("shop-phone", "add-phone", add).await.unwrap()["status"], 3);
    assert_eq!(stage.call("shop-phone", "get-phone", mobile).await.unwrap()["status"], 3);

    let used = stage.used.lock().unwrap().clone();
    let all: BTreeSet<_> = table().iter().map(|op| (op.interface, op.function)).collect();
    assert_eq!(used, all);
    let names: BTreeSet<_> = stage.platform.ledger().calls.iter().filter_map(|call| call.operation).collect();
    let missing: Vec<_> = table().iter().filter(|op| !names.contains(op.name)).map(|op| op.name).collect();
    assert!(missing.is_empty(), "the platform calls these otherwise: {missing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_lost_on_the_way_is_unknown_and_settled_by_a_look() {
    use fangshi_platform::Fault::{BrokenJson, Hang, Huge, Reset, ResetInBody, Status, Trickle};
    let stage = Stage::new().await;
    for (fault, applied) in [
        (Reset { applied: true }, true),
        (Reset { applied: false }, false),
        (ResetInBody, true),
        (BrokenJson, true),
        (Huge { bytes: 50 << 20 }, true),
        (Trickle { every_ms: 500 }, true),
        (Hang { for_ms: 5_000, applied: true }, true),
        (Hang { for_ms: 5_000, applied: false }, false),
        (Status { status: 502 }, false),
    ] {
        let id = stage.paid(NewOrder::default());
        let before = stage.operations.read_order(stage.tenant, &id).await.unwrap();
        let op = stage.op("notes", "set-merchant-notes");
        let request = json!({"order_id": id, "merchant_notes": "大单"});
        stage.platform.fail_next(Target::path(op.path), 1, fault.clone());
        let lost = stage.operations.call(stage.tenant, op, &request).await.unwrap_err();
        assert_eq!((lost.class, lost.sent), (Class::Unanswered, Sent::Unknown), "{fault:?}: {lost}");
        let verdict = stage.operations.settle(stage.tenant, op, &request, Some(&before), START).await.unwrap();
        assert_eq!(verdict, if applied { DONE } else { Verdict::Again }, "{fault:?}");
    }

    // Nobody knows whether a busy platform did it, until somebody looks.
    let id = stage.paid(NewOrder::default());
    let op = stage.op("notes", "set-merchant-notes");
    stage.platform.fail_next(Target::path(op.path), 1, fangshi_platform::Fault::Errcode { code: -1 });
    let request = json!({"order_id": id, "merchant_notes": "大单"});
    let busy = stage.operations.call(stage.tenant, op, &request).await.unwrap_err();
    assert_eq!((busy.class, busy.sent), (Class::Busy, Sent::Unknown));
    assert_eq!(stage.operations.call(stage.tenant, op, &request).await, Ok(Value::Null));

    let op = stage.op("delivery", "send");
    for (fault, verdict) in [
        (fangshi_platform::Fault::Errcode { code: -1 }, Verdict::Again),
        (fangshi_platform::Fault::ErrcodeApplied { code: -1 }, DONE),
    ] {
        let id = stage.paid(NewOrder::default());
        let before = stage.operations.read_order(stage.tenant, &id).await.unwrap();
        let request = json!({"order_id": id, "delivery_list": [parcel("SF0009", 1)]});
        stage.platform.fail_next(Target::path(op.path), 1, fault.clone());
        let busy = stage.operations.call(stage.tenant, op, &request).await.unwrap_err();
        assert_eq!((busy.class, busy.code, busy.sent), (Class::Busy, -1, Sent::Unknown), "{fault:?}");
        let found = stage.operations.settle(stage.tenant, op, &request, Some(&before), START).await.unwrap();
        assert_eq!(found, verdict, "{fault:?}");
    }
    let code = stage.op("shop-phone", "send-verify-code");
    stage.platform.fail_next(Target::path(code.path), 1, fangshi_platform::Fault::ErrcodeApplied { code: -1 });
    let busy = stage.operations.call(stage.tenant, code, &json!({"mobile": "13600000001"})).await.unwrap_err();
    assert_eq!((busy.class, busy.sent), (Class::Busy, Sent::Unknown));
}

/// Calls that reached the platform.
fn sent(stage: &Stage) -> usize {
    stage.platform.ledger_len().0
}

#[tokio::test]
async fn a_platform_that_fails_for_a_shop_is_left_alone_for_a_while() {
    let stage = Stage::new().await;
    let order = stage.paid(NewOrder::default());
    let broken = fangshi_platform::Fault::Status { status: 503 };
    stage.platform.fail_next(Target::shop_path(&stage.appid, "/channels/ec/order/get"), 6, broken);
    for _ in 0..5 {
        assert_eq!(stage.operations.read_order(stage.tenant, &order).await.unwrap_err().class, Class::Unreachable);
    }
    let before = sent(&stage);
    let note = json!({"order_id": order, "merchant_notes": "x"});
    let held_back = stage.call("notes", "set-merchant-notes", note).await.unwrap_err();
    assert_eq!((held_back.class, held_back.sent), (Class::Unreachable, Sent::NotSent));
    assert_eq!(stage.operations.standing(stage.tenant).breaker, "open");
    assert_eq!(stage.operations.held_back(), [stage.tenant]);
    stage.hand.advance(5_000);
    assert!(stage.operations.read_order(stage.tenant, &order).await.is_err(), "the probe fails");
    assert!(stage.operations.read_order(stage.tenant, &order).await.is_err());
    assert_eq!(sent(&stage), before + 1, "the probe alone was sent");
    stage.hand.advance(10_000);
    stage.operations.read_order(stage.tenant, &order).await.unwrap();
    assert_eq!(stage.operations.standing(stage.tenant).breaker, "closed");
}

#[tokio::test]
async fn a_quota_that_is_used_up_holds_back_its_own_operation_until_it_opens() {
    let stage = Stage::new().await;
    let order = stage.paid(NewOrder::default());
    let used_up = fangshi_platform::Fault::Errcode { code: 45011 };
    stage.platform.fail_next(Target::shop_path(&stage.appid, "/channels/ec/order/get"), 1, used_up);
    let refused = stage.operations.read_order(stage.tenant, &order).await.unwrap_err();
    assert_eq!((refused.class, refused.sent, refused.retry_after), (Class::MinuteQuota, Sent::Answered, Some(60)));
    let before = sent(&stage);
    stage.hand.advance(20_000);
    let held_back = stage.operations.read_order(stage.tenant, &order).await.unwrap_err();
    assert_eq!((held_back.class, held_back.sent), (Class::MinuteQuota, Sent::NotSent));
    assert_eq!((held_back.retry_after, sent(&stage)), (Some(40), before), "nothing was sent");
    assert_eq!(stage.operations.standing(stage.tenant).limited.len(), 1);
    let note = json!({"order_id": order, "merchant_notes": "x"});
    stage.call("notes", "set-merchant-notes", note).await.unwrap();
    stage.hand.advance(40_000);
    stage.operations.read_order(stage.tenant, &order).await.unwrap();
    assert!(stage.operations.standing(stage.tenant).limited.is_empty());
}
