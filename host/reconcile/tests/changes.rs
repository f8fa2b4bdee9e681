//! The pure core: what is told of two snapshots, and, over many random lives of an order with pushes lost, late and in
//! time, that every change is heard of once.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use fangshi_journal::{EventSeq, LaneKey, Reconciled, Source, TenantId, UnplannedEvent};
use fangshi_lanes::decide::absorb::absorb;
use fangshi_reconcile::compare::{Change, Facts, Known, SKEW_S, Snapshot, Word, judge, message, net_changes};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

const BEFORE: &str = include_str!("../../../tests/platform/fixtures/getorder-before.json");
const AFTER: &str = include_str!("../../../tests/platform/fixtures/getorder-after.json");
const EXT: &str = "channels_ec_order_ext_info_update";

fn order(text: &str) -> Value {
    serde_json::from_str::<Value>(text).unwrap()["order"].clone()
}

fn facts(order: &Value, now: i64) -> Facts {
    Facts::of(order, now).unwrap()
}

fn words(changes: &[Change]) -> Vec<Word> {
    changes.iter().map(|change| change.word).collect()
}

/// The words of the change that an edit of the real unshipped order makes.
fn edited(edit: impl FnOnce(&mut Value)) -> Vec<Word> {
    let before = order(BEFORE);
    let mut after = before.clone();
    after["update_time"] = json!(1_764_650_000);
    edit(&mut after);
    words(&net_changes(Some(&facts(&before, 1_764_660_000)), &facts(&after, 1_764_660_000)))
}

#[test]
fn the_real_order_shows_its_shipment_and_its_virtual_number() {
    let (before, after) = (facts(&order(BEFORE), 1_764_642_404), facts(&order(AFTER), 1_764_656_488));
    let changes = net_changes(Some(&before), &after);
    assert_eq!(
        changes,
        [
            Change { word: Word::Deliver { complete: true }, at: 1_764_656_486 },
            Change { word: Word::Ext(5), at: 1_764_656_487 },
        ]
    );
    assert_eq!(net_changes(Some(&after), &after), []);
}

#[test]
fn a_number_that_runs_out_is_news_though_the_order_shows_no_update() {
    let order = order(AFTER);
    let (live, over) = (facts(&order, 1_767_241_650), facts(&order, 1_767_241_651));
    assert_eq!(net_changes(Some(&live), &over), [Change { word: Word::Ext(5), at: 1_767_241_651 }]);
    assert_eq!(net_changes(Some(&over), &facts(&order, 1_767_300_000)), []);
}

#[test]
fn each_part_has_its_type() {
    let products = "/order_detail/product_infos/0";
    let cases: [(&str, Value, Vec<Word>); 10] = [
        ("/order_detail/commission_infos", json!([{"sku_id": "1", "amount": 5}]), vec![Word::Ext(1)]),
        ("/order_detail/delivery_info/address_info/detail_info", json!("elsewhere"), vec![Word::Ext(2)]),
        ("/order_detail/ext_info/merchant_notes", json!("note"), vec![Word::Ext(3)]),
        ("/order_detail/delivery_info/address_info/tel_number", json!("13900000775"), vec![Word::Ext(13)]),
        ("/order_detail/sku_sharer_infos", json!([{"sku_id": "1"}]), vec![Word::Ext(6)]),
        ("/order_detail/settle_info", json!({"settle_time": 7}), vec![Word::Settle(7)]),
        ("/order_detail/product_infos/0/dropship_info", json!({"ds_order_id": 7}), vec![Word::Ext(14)]),
        (
            &format!("{products}/change_sku_info"),
            json!({"old_sku_id": "1", "new_sku_id": "2", "ddl_time_stamp": 9}),
            vec![Word::Ext(9)],
        ),
        (&format!("{products}/change_price"), json!(100), vec![Word::Ext(12)]),
        ("/order_detail/product_infos/0/title", json!("another title"), vec![]),
    ];
    for (pointer, value, expected) in cases {
        let told = edited(|order| {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            order.pointer_mut(parent).unwrap()[name] = value.clone();
        });
        assert_eq!(told, expected, "{pointer}");
    }
    let wished = edited(|order| {
        order["order_detail"]["delivery_info"]["address_under_review"] = json!({"detail_info": "****"});
        order["order_detail"]["delivery_info"]["address_apply_time"] = json!("1764649000");
    });
    assert_eq!(wished, [Word::Ext(4)]);
    let noted = edited(|order| order["present_note"] = json!("for you"));
    assert_eq!(noted, [Word::Ext(8)]);
    let noted = edited(|order| {
        order["present_note"] = json!("");
        order["order_present_info"] = json!({"present_note": "for you"});
    });
    assert_eq!(noted, [Word::Ext(8)], "the older place is left empty");
}

#[test]
fn a_wish_of_empty_members_is_none() {
    let told = edited(|order| {
        order["order_detail"]["delivery_info"]["address_under_review"] = json!({"user_name": "", "use_tel_number": 0});
        order["order_detail"]["product_infos"][0]["change_sku_info"] =
            json!({"old_sku_id": "", "new_sku_id": "", "ddl_time_stamp": 0});
    });
    assert_eq!(told, []);
}

#[test]
fn a_product_that_was_changed_tells_of_it_whether_its_wish_still_shows_or_not() {
    let mut wished = order(BEFORE);
    let old = wished["order_detail"]["product_infos"][0]["sku_id"].clone();
    wished["order_detail"]["product_infos"][0]["change_sku_info"] =
        json!({"old_sku_id": old, "new_sku_id": "777", "ddl_time_stamp": 9});
    let mut granted = wished.clone();
    granted["order_detail"]["product_infos"][0]["sku_id"] = json!("777");
    let mut gone = granted.clone();
    gone["order_detail"]["product_infos"][0].as_object_mut().unwrap().remove("change_sku_info");
    let told = |before: &Value, after: &Value| words(&net_changes(Some(&facts(before, 0)), &facts(after, 0)));
    assert_eq!(told(&wished, &granted), [Word::Ext(10)]);
    assert_eq!(told(&wished, &gone), [Word::Ext(10)]);
    assert_eq!(told(&granted, &gone), []);
}

#[test]
fn products_in_another_order_are_the_same() {
    let mut before = order(BEFORE);
    let mut second = before["order_detail"]["product_infos"][0].clone();
    second["sku_id"] = json!("777");
    before["order_detail"]["product_infos"].as_array_mut().unwrap().push(second);
    let mut after = before.clone();
    after["order_detail"]["product_infos"].as_array_mut().unwrap().reverse();
    assert_eq!(net_changes(Some(&facts(&before, 0)), &facts(&after, 0)), []);
}

#[test]
fn a_gift_that_was_read_unpaid_and_then_accepted_has_moved_nowhere() {
    let mut unpaid = order(BEFORE);
    unpaid["status"] = json!(10);
    unpaid["order_detail"]["pay_info"] = json!({});
    unpaid["order_detail"]["delivery_info"]["address_info"] = json!({});
    let mut accepted = order(BEFORE);
    accepted["order_detail"]["product_infos"][0]["sku_id"] = json!("777");
    let told = words(&net_changes(Some(&facts(&unpaid, 0)), &facts(&accepted, 0)));
    assert_eq!(told, [Word::Pay(1_764_642_403), Word::WaitShipping, Word::Ext(11)], "its first address is no change");
}

#[test]
fn statuses_in_between_are_told_as_well() {
    let mut unpaid = order(BEFORE);
    unpaid["status"] = json!(10);
    unpaid["order_detail"]["pay_info"] = json!({});
    let mut done = order(AFTER);
    done["status"] = json!(100);
    done["order_detail"]["ext_info"]["confirm_receipt_time"] = json!(1_764_700_000);
    done["update_time"] = json!(1_764_700_001);
    let told = net_changes(Some(&facts(&unpaid, 0)), &facts(&done, 1_764_700_002));
    let ship = Word::Deliver { complete: true };
    assert_eq!(words(&told), [Word::Pay(1_764_642_403), Word::WaitShipping, ship, Word::Confirm, Word::Ext(5)]);
    let all = words(&net_changes(None, &facts(&done, 1_764_700_002)));
    assert_eq!(all[0], Word::New);
    assert_eq!(all[1..], words(&told)[..]);
    for (status, cancel_type) in [(250, 0), (200, 3), (190, 4)] {
        let mut ended = unpaid.clone();
        ended["status"] = json!(status);
        let told = words(&net_changes(Some(&facts(&unpaid, 0)), &facts(&ended, 1)));
        assert_eq!(told.last(), Some(&Word::Cancel(cancel_type)));
    }
}

#[test]
fn a_status_without_a_way_is_reported_and_its_arrival_told() {
    let snapshot = |order: &Value, at: i64| Snapshot { facts: facts(order, at), read_at: at * 1_000, seen: None };
    let before = snapshot(&order(AFTER), 1_764_660_000);
    for (status, word) in [(20, Some(Word::WaitShipping)), (77, None), (250, Some(Word::Cancel(0)))] {
        let mut after = order(AFTER);
        after["status"] = json!(status);
        after["update_time"] = json!(1_764_670_000);
        let judged = judge(Some(&before), &snapshot(&after, 1_764_680_000), &[]);
        let transition = judged.transition.unwrap();
        assert_eq!((transition.from, transition.to, transition.known), (30, status, false));
        assert_eq!(judged.told.first().map(|told| told.change.word), word);
    }
}

#[test]
fn a_message_is_the_canonical_body_of_a_callback() {
    let lane = LaneKey::new(TenantId(7), "3732676853715311104");
    let after = facts(&order(AFTER), 1_764_656_488);
    let judged = judge(
        Some(&Snapshot { facts: facts(&order(BEFORE), 1_764_642_404), read_at: 0, seen: None }),
        &Snapshot { facts: after, read_at: 1_764_656_700_000, seen: None },
        &[],
    );
    let made: Vec<_> =
        judged.told.iter().map(|told| message(&lane, told, 1_764_656_487, Some("gh_1"), Some("o1"), 5)).collect();
    assert_eq!(
        String::from_utf8(made[1].body.clone()).unwrap(),
        r#"{"CreateTime":"1764656487","Event":"channels_ec_order_ext_info_update","FromUserName":"o1","MsgType":"event","ToUserName":"gh_1","order_info":{"order_id":"3732676853715311104","type":"5"}}"#
    );
    assert_eq!((made[1].ext_type, made[1].source, made[1].created_at), (Some(5), Source::Reconciled, 1_764_656_487));
    assert_ne!(made[0].dedup, made[1].dedup);
    let again = message(&lane, &judged.told[0], 1_764_656_487, None, None, 9);
    assert_eq!(again.dedup, made[0].dedup, "one change of one reading is one event");
}

#[test]
fn a_part_that_changed_again_after_its_callback_is_told_again() {
    let read = |order: &Value, at: i64| Snapshot { facts: facts(order, at), read_at: at * 1_000, seen: None };
    let note = |text: &str, at: i64| {
        let mut order = order(BEFORE);
        order["order_detail"]["ext_info"]["merchant_notes"] = json!(text);
        order["update_time"] = json!(at);
        order
    };
    let start = 1_764_650_000;
    let before = read(&note("", start), start + 200);
    let callback = |created_at: i64| Known {
        seq: EventSeq(1),
        event: EXT.into(),
        ext_type: Some(3),
        complete: None,
        source: Source::Callback,
        created_at,
        received_at: created_at * 1_000,
    };
    let told = |updated: i64, announced: i64| {
        let judged = judge(Some(&before), &read(&note("b", updated), start + 2_000), &[callback(announced)]);
        judged.told.iter().map(|told| (told.change.word, told.change.at)).collect::<Vec<_>>()
    };
    assert_eq!(told(start + 500, start + 500), []);
    assert_eq!(told(start + 500, start + 500 - SKEW_S + 1), []);
    assert_eq!(told(start + 900, start + 500), [(Word::Ext(3), start + 900)]);
}

/// An event of the order with a type.
fn known(seq: i64, ext_type: i64, source: Source, created_at: i64, received_s: i64) -> Known {
    Known {
        seq: EventSeq(seq),
        event: EXT.into(),
        ext_type: Some(ext_type),
        complete: None,
        source,
        created_at,
        received_at: received_s * 1_000,
    }
}

/// A reading of an order with this address and this note, 200 s after its update.
fn reading(address: &str, note: &str, at: i64, seen: i64) -> Snapshot {
    let mut order = order(BEFORE);
    order["order_detail"]["delivery_info"]["address_info"]["detail_info"] = json!(address);
    order["order_detail"]["ext_info"]["merchant_notes"] = json!(note);
    order["update_time"] = json!(at);
    Snapshot { facts: facts(&order, at + 200), read_at: (at + 200) * 1_000, seen: Some(EventSeq(seen)) }
}

fn told(before: &Snapshot, after: &Snapshot, events: &[Known]) -> Vec<Word> {
    judge(Some(before), after, events).told.iter().map(|told| told.change.word).collect()
}

#[test]
fn a_late_word_of_a_change_that_was_told_as_another_type_hides_no_later_change() {
    let start = 1_764_650_000;
    // The first change was told as type 2; its own word comes later, and the address changes again without one.
    let (before, after) = (reading("a", "", start, 1), reading("b", "", start + 5_000, 3));
    for late in [16, 19] {
        let events =
            [known(1, 2, Source::Reconciled, start, start + 201), known(2, late, Source::Callback, start, start + 400)];
        assert_eq!(told(&before, &after, &events), [Word::Ext(2)], "type {late}");
    }
}

#[test]
fn a_late_word_of_a_change_that_looked_like_one_with_another_hides_no_later_change() {
    let start = 1_764_650_000;
    // Two notes before the first reading, which the word of the first announced. The word of the second comes later, a third note
    // without one, and the address changes too.
    let (before, after) = (reading("a", "two", start + 3, 1), reading("b", "three", start + 5_000, 3));
    for second in [start, start + 3] {
        let events = [
            known(1, 3, Source::Callback, start, start + 1),
            known(2, 3, Source::Callback, second, start + 400),
            known(3, 2, Source::Callback, start + 5_000, start + 5_001),
        ];
        assert_eq!(told(&before, &after, &events), [Word::Ext(3)], "{second}");
    }
}

// ---- random lives

/// An order of the model and what is known of it.
struct Life {
    dice: StdRng,
    order: Value,
    now: i64,
    /// Kinds that changed since the last reading: each repeats only after one, so that a net change is a change.
    since: Vec<i64>,
    raised: BTreeMap<(String, Option<i64>), i32>,
    heard: BTreeMap<(String, Option<i64>), i32>,
    /// Callbacks on their way: arrival (seconds), what they say.
    way: Vec<(i64, Known)>,
    events: Vec<Known>,
    reconciled: Vec<Reconciled>,
    snapshot: Option<Snapshot>,
    known: bool,
    loss: f64,
}

const GRACE_S: i64 = 120;

impl Life {
    fn new(seed: u64) -> Life {
        let mut dice = StdRng::seed_from_u64(seed);
        let mut order = order(BEFORE);
        let now = 1_764_642_390;
        order["status"] = json!(10);
        order["create_time"] = json!(now);
        order["update_time"] = json!(now);
        order["order_detail"]["pay_info"] = json!({});
        order["order_detail"]["product_infos"][0]["delivery_deadline"] = json!(0);
        let loss = [0.0, 0.3, 1.0][dice.random_range(0..3)];
        let mut life = Life {
            dice,
            order,
            now,
            since: Vec::new(),
            raised: BTreeMap::new(),
            heard: BTreeMap::new(),
            way: Vec::new(),
            events: Vec::new(),
            reconciled: Vec::new(),
            snapshot: None,
            known: false,
            loss,
        };
        life.raise("channels_ec_order_new", None, None);
        life
    }

    fn touch(&mut self) {
        let last = self.order["update_time"].as_i64().unwrap();
        self.order["update_time"] = json!(self.now.max(last + 1));
    }

    fn raise(&mut self, event: &str, ext_type: Option<i64>, complete: Option<bool>) {
        *self.raised.entry((event.to_owned(), ext_type)).or_default() += 1;
        if self.dice.random_bool(self.loss) {
            return;
        }
        let late = match self.dice.random_range(0..10) {
            0..6 => 0,
            6..9 => self.dice.random_range(0..GRACE_S),
            _ => self.dice.random_range(0..12_970),
        };
        let push = Known {
            seq: EventSeq(0),
            event: event.to_owned(),
            ext_type,
            complete,
            source: Source::Callback,
            created_at: self.now,
            received_at: 0,
        };
        self.way.push((self.now + late, push));
    }

    fn ext(&mut self, ext_type: i64, edit: impl FnOnce(&mut Value, i64)) {
        if self.since.contains(&ext_type) {
            return;
        }
        self.since.push(ext_type);
        edit(&mut self.order, self.now);
        self.touch();
        self.raise(EXT, Some(ext_type), None);
    }

    fn ship(&mut self, complete: bool) {
        let delivery = &mut self.order["order_detail"]["delivery_info"];
        let parcels = delivery["delivery_product_info"].as_array_mut().unwrap();
        if parcels.iter().any(|parcel| parcel["delivery_time"] == self.now) {
            return;
        }
        parcels.push(json!({"delivery_time": self.now}));
        if complete {
            delivery["ship_done_time"] = json!(self.now);
        }
        self.order["status"] = json!(if complete { 30 } else { 21 });
        self.touch();
        self.raise("channels_ec_order_deliver", None, Some(complete));
    }

    fn step(&mut self) {
        let status = self.order["status"].as_i64().unwrap();
        let text = self.dice.random_range(0..1_000_000).to_string();
        match (self.dice.random_range(0..9), status) {
            (0, 10) => {
                self.order["status"] = json!(20);
                self.order["order_detail"]["pay_info"] = json!({"pay_time": self.now});
                self.touch();
                self.raise("channels_ec_order_pay", None, None);
                self.raise("channels_ec_order_wait_shipping", None, None);
            }
            (1, 10) => {
                self.order["status"] = json!(250);
                self.touch();
                self.raise("channels_ec_order_cancel", None, None);
            }
            (2, 20 | 21) => self.ship(false),
            (3, 20 | 21) => self.ship(true),
            (4, 30) => {
                self.order["status"] = json!(100);
                self.order["order_detail"]["ext_info"]["confirm_receipt_time"] = json!(self.now);
                self.touch();
                self.raise("channels_ec_order_confirm", None, None);
            }
            (5, 100) if self.order["order_detail"]["settle_info"]["settle_time"].is_null() => {
                self.order["order_detail"]["settle_info"]["settle_time"] = json!(self.now);
                self.touch();
                self.raise("channels_ec_order_settle", None, None);
            }
            (6, _) => self.ext(3, |order, _| order["order_detail"]["ext_info"]["merchant_notes"] = json!(text)),
            (7, 20..) => self.ext(5, |order, now| {
                order["order_detail"]["delivery_info"]["address_info"]["tel_number_ext_info"] =
                    json!({"virtual_tel_number": text, "virtual_tel_expire_time": now + 30 * 86_400});
            }),
            // Before the first reading nobody can tell an address from another.
            (8, 10 | 20) if self.known => self.ext(2, |order, _| {
                order["order_detail"]["delivery_info"]["address_info"]["detail_info"] = json!(text);
            }),
            _ => {}
        }
    }

    /// Lets callbacks arrive, as the journal and the lane take them.
    fn arrive(&mut self) {
        self.way.sort_by_key(|(at, _)| *at);
        while self.way.first().is_some_and(|(at, _)| *at <= self.now) {
            let (at, mut push) = self.way.remove(0);
            push.seq = EventSeq(self.events.len() as i64 + 1);
            push.received_at = at * 1_000;
            let event = UnplannedEvent {
                seq: push.seq,
                event: push.event.clone(),
                ext_type: push.ext_type,
                source: push.source,
                only: None,
                created_at: push.created_at,
                received_at: push.received_at,
            };
            match absorb(&event, &self.reconciled, &[]).map(|made| made.seq) {
                Some(by) => self.reconciled.iter_mut().find(|made| made.seq == by).unwrap().matched = true,
                None => *self.heard.entry((push.event.clone(), push.ext_type)).or_default() += 1,
            }
            self.events.push(push);
        }
    }

    fn read(&mut self) {
        let facts = facts(&self.order, self.now);
        if facts.update_time > self.now - GRACE_S {
            return;
        }
        let seen = self.events.last().map(|event| event.seq);
        let after = Snapshot { facts, read_at: self.now * 1_000, seen };
        let judged = judge(self.snapshot.as_ref().filter(|_| self.known), &after, &self.events);
        assert_eq!(judged.transition, None);
        for told in judged.told {
            let (seq, word) = (EventSeq(self.events.len() as i64 + 1), told.change.word);
            *self.heard.entry((word.event().to_owned(), word.ext_type())).or_default() += 1;
            self.reconciled.push(Reconciled {
                seq,
                event: word.event().to_owned(),
                ext_type: word.ext_type(),
                since: told.since,
                update_time: after.facts.update_time,
                matched: false,
            });
            self.events.push(Known {
                seq,
                event: word.event().to_owned(),
                ext_type: word.ext_type(),
                complete: None,
                source: Source::Reconciled,
                created_at: after.facts.update_time,
                received_at: self.now * 1_000,
            });
        }
        (self.snapshot, self.known) = (Some(after), true);
        self.since.clear();
    }

    fn pass(&mut self, seconds: i64) {
        self.now += seconds;
        self.arrive();
    }
}

#[test]
fn over_random_lives_every_change_is_heard_of_once() {
    let first: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("first seed {first}; SEED={first} repeats it");
    let (mut changes, mut told) = (0, 0);
    for seed in (0..3_000).map(|n| first.wrapping_add(n)) {
        let mut life = Life::new(seed);
        for _ in 0..40 {
            match life.dice.random_range(0..10) {
                0..6 => life.step(),
                6 => life.read(),
                7 => life.pass(1),
                8 => {
                    let seconds = life.dice.random_range(0..400);
                    life.pass(seconds);
                }
                _ => {
                    let seconds = life.dice.random_range(0..9_000);
                    life.pass(seconds);
                }
            }
        }
        life.pass(GRACE_S + 60);
        life.read();
        life.pass(20_000);
        life.read();
        assert_eq!(life.heard, life.raised, "seed {seed}");
        changes += life.raised.values().sum::<i32>();
        told += life.reconciled.len();
    }
    assert!(changes > 3_000 && told > 1_000, "{changes} changes, {told} told");
}
