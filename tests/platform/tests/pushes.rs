//! Pushes: encryption, spellings, the ten-step schedule in manual time, tickets, faults on the way.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
mod receiver;

use std::time::Duration;

use fangshi_platform::{
    AttemptEnd, Body, FormChoice, NewOrder, NewShop, PushFaults, PushForm, PushState, RetryEnvelope, STORE_WAITS_S,
    Settings, Step,
};
use receiver::{Answer, Receiver, START, Stage};
use serde_json::Value;

#[tokio::test]
async fn an_authorized_shops_pushes_are_xml_and_end_with_the_components_appid() {
    let stage = Stage::manual().await;
    let receiver = Receiver::start().await;
    stage.platform.point_at(&receiver.url());
    let order = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    stage.platform.drive(&order, Step::Pay).unwrap();
    stage.platform.quiet().await;
    assert_eq!(stage.events(&order), ["new", "pay", "wait_shipping"]);

    let secrets = stage.platform.component().callback_secrets();
    let received = receiver.received();
    let pushes: Vec<_> = received.iter().filter(|r| r.path.ends_with(&stage.shop.appid)).collect();
    assert_eq!(pushes.len(), 3);
    for (push, event) in pushes.iter().zip(["new", "pay", "wait_shipping"]) {
        let message = push.message(&secrets);
        assert!(message.contains(&format!("<![CDATA[channels_ec_order_{event}]]>")), "{message}");
        assert!(message.contains(&format!("<order_id>{order}</order_id>")));
        assert!(message.contains(&stage.shop.user_name));
        assert!(push.body.contains(&format!("<ToUserName><![CDATA[{}]]>", stage.shop.user_name)));
        assert_eq!(push.parameter("timestamp").unwrap(), START.to_string());
        assert!(push.parameter("openid").is_some());
    }
}

#[tokio::test]
async fn a_self_built_shops_pushes_are_json_under_its_own_keys() {
    let stage = Stage::manual().await;
    let receiver = Receiver::start().await;
    stage.platform.point_at(&receiver.url());
    let shop = stage.platform.add_shop(NewShop::self_built()).unwrap();
    assert!(stage.platform.check_url(&shop.appid).await.unwrap());
    let order = stage.platform.add_order(&shop.appid, NewOrder::default()).unwrap();
    stage.platform.quiet().await;
    let received = receiver.received();
    let push = received.iter().find(|r| r.path.ends_with(&shop.appid)).unwrap();
    let message: Value = serde_json::from_str(&push.message(&shop.callback_secrets())).unwrap();
    assert_eq!(message["order_info"]["order_id"].as_u64().unwrap().to_string(), order);
    assert_eq!(message["ToUserName"], shop.user_name);
    // An id that survives no f64.
    let through_f64 = format!("{:.0}", order.parse::<f64>().unwrap());
    assert_ne!(through_f64, order);
}

#[tokio::test]
async fn the_eight_spellings_hold_one_event() {
    let stage = Stage::manual().await;
    let receiver = Receiver::start().await;
    stage.platform.point_at(&receiver.url());
    let order = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    for form in PushForm::ALL {
        stage.platform.spell_next(&stage.shop.appid, form);
    }
    for _ in PushForm::ALL {
        stage.platform.drive(&order, Step::WriteNote { notes: "x".to_owned() }).unwrap();
    }
    stage.platform.quiet().await;
    let secrets = stage.platform.component().callback_secrets();
    let mut texts: Vec<String> = receiver.received().iter().map(|r| r.message(&secrets)).collect();
    texts.retain(|text| text.contains("ext_info_update"));
    assert_eq!(texts.len(), 8);
    assert!(texts.iter().all(|text| text.contains(&order)));
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 8);
}

#[tokio::test]
async fn an_unanswered_push_comes_ten_times_at_the_documented_times() {
    let stage = Stage::manual().await;
    let receiver = Receiver::start().await;
    stage.platform.point_at(&receiver.url());
    stage.platform.quiet().await;
    receiver.answer_always(Answer::With(500, "no"));
    let order = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    stage.platform.advance(Duration::from_secs(4 * 3600)).await;

    let ledger = stage.platform.ledger();
    let push = ledger.pushes_of(&order)[0];
    let at: Vec<i64> = push.attempts.iter().map(|a| a.at_ms / 1000 - START).collect();
    let mut expected = vec![0];
    for wait in STORE_WAITS_S {
        expected.push(expected.last().unwrap() + wait);
    }
    assert_eq!(at, expected);
    assert_eq!(at, [0, 0, 0, 10, 70, 370, 2170, 5770, 9370, 12970]);
    assert_eq!(push.state, PushState::GivenUp);
    assert!(push.attempts.iter().all(|a| a.end == AttemptEnd::Refused && a.status == Some(500)));
    assert!(push.attempts.iter().zip(1..).all(|(a, number)| a.number == number));
}

#[tokio::test]
async fn only_success_or_nothing_with_200_ends_the_retries() {
    let stage = Stage::new(Settings {
        ticket_every_s: None,
        push_deadline: Duration::from_millis(200),
        retry_envelope: RetryEnvelope::Fresh,
        ..Settings::manual(START)
    })
    .await;
    let receiver = Receiver::start().await;
    stage.platform.point_at(&receiver.url());
    stage.platform.quiet().await;
    let before = receiver.received().len();
    receiver.answer_next([
        Answer::With(200, "\"success\""),
        Answer::With(204, ""),
        Answer::Never,
        Answer::With(503, "success"),
        Answer::With(200, ""),
    ]);
    let order = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    stage.platform.advance(Duration::from_secs(600)).await;
    let ledger = stage.platform.ledger();
    let push = ledger.pushes_of(&order)[0];
    let ends: Vec<AttemptEnd> = push.attempts.iter().map(|a| a.end).collect();
    assert_eq!(
        ends,
        [AttemptEnd::Refused, AttemptEnd::Refused, AttemptEnd::Timeout, AttemptEnd::Refused, AttemptEnd::Accepted]
    );
    assert_eq!(push.state, PushState::Delivered);

    // Fresh envelopes hold the same message, CreateTime included.
    let received = &receiver.received()[before..];
    let secrets = stage.platform.component().callback_secrets();
    let mut messages: Vec<String> = received.iter().map(|r| r.message(&secrets)).collect();
    let mut bodies: Vec<String> = received.iter().map(|r| r.body.clone()).collect();
    for list in [&mut messages, &mut bodies] {
        list.sort();
        list.dedup();
    }
    assert_eq!((messages.len(), bodies.len()), (1, 5));
}

#[tokio::test]
async fn retries_can_repeat_the_first_envelope_bit_by_bit() {
    let stage =
        Stage::new(Settings { ticket_every_s: None, retry_envelope: RetryEnvelope::Same, ..Settings::manual(START) })
            .await;
    let receiver = Receiver::start().await;
    stage.platform.point_at(&receiver.url());
    stage.platform.quiet().await;
    let before = receiver.received().len();
    receiver.answer_next([Answer::With(500, ""), Answer::With(500, ""), Answer::With(500, "")]);
    stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    stage.platform.advance(Duration::from_secs(60)).await;
    let received = &receiver.received()[before..];
    assert_eq!(received.len(), 4);
    assert!(received.iter().all(|r| r.body == received[0].body && r.query == received[0].query));
}

#[tokio::test]
async fn nobody_listening_is_retried_too() {
    let stage = Stage::manual().await;
    // A port that was free a moment ago.
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    stage.platform.point_at(&format!("http://{gone}"));
    let order = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    stage.platform.advance(Duration::from_secs(5)).await;
    let receiver = Receiver::start().await;
    stage.platform.point_at(&receiver.url());
    stage.platform.advance(Duration::from_secs(60)).await;
    let ledger = stage.platform.ledger();
    let push = ledger.pushes_of(&order)[0];
    let ends: Vec<AttemptEnd> = push.attempts.iter().map(|a| a.end).collect();
    assert_eq!(
        ends,
        [AttemptEnd::NoConnection, AttemptEnd::NoConnection, AttemptEnd::NoConnection, AttemptEnd::Accepted]
    );
}

#[tokio::test]
async fn a_ticket_comes_every_ten_minutes_once_each() {
    let stage = Stage::new(Settings::manual(START)).await;
    let receiver = Receiver::start().await;
    receiver.answer_always(Answer::With(500, "no"));
    stage.platform.point_at(&receiver.url());
    stage.platform.advance(Duration::from_secs(1800)).await;
    let component = stage.platform.component();
    let received = receiver.received();
    assert_eq!(received.len(), 4);
    for push in &received {
        assert_eq!(push.path, "/callback/weixin/component");
        assert!(push.body.contains(&format!("<AppId><![CDATA[{}]]></AppId>", component.appid)));
        let message = push.message(&component.callback_secrets());
        assert!(message.contains("<InfoType><![CDATA[component_verify_ticket]]></InfoType>"));
        assert!(message.contains("<ComponentVerifyTicket><![CDATA[ticket@@@"));
    }
    assert!(stage.platform.ledger().pushes.iter().all(|p| p.state == PushState::GivenUp && p.attempts.len() == 1));
}

#[tokio::test]
async fn pushes_are_dropped_and_doubled_by_seed() {
    let faults = PushFaults { drop: 0.3, duplicate: 0.3, reorder: 0.3, reorder_within_s: 120 };
    let counts = |seed| async move {
        let stage = Stage::new(Settings {
            seed,
            ticket_every_s: None,
            push_faults: faults,
            form: FormChoice::BySeed,
            ..Settings::manual(START)
        })
        .await;
        let receiver = Receiver::start().await;
        stage.platform.point_at(&receiver.url());
        for _ in 0..100 {
            stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
        }
        stage.platform.advance(Duration::from_secs(121)).await;
        let pushes = stage.platform.ledger().pushes;
        let orders: Vec<_> = pushes.iter().filter(|p| p.event.is_some()).collect();
        let dropped = orders.iter().filter(|p| p.state == PushState::Dropped).count();
        let late = orders.iter().filter(|p| p.attempts.first().is_some_and(|a| a.at_ms > p.raised_ms)).count();
        let received = receiver.received().iter().filter(|r| r.path.ends_with(&stage.shop.appid)).count();
        assert_eq!(received, orders.len() - dropped);
        (orders.len(), dropped, late)
    };
    let (total, dropped, late) = counts(5).await;
    assert!((115..145).contains(&total), "{total}");
    assert!((20..60).contains(&dropped), "{dropped}");
    assert!((15..50).contains(&late), "{late}");
    assert_eq!(counts(5).await, (total, dropped, late));
    assert_ne!(counts(6).await, (total, dropped, late));
}

#[tokio::test]
async fn any_text_can_be_pushed_and_a_revoked_shop_gets_nothing() {
    let stage = Stage::manual().await;
    let receiver = Receiver::start().await;
    stage.platform.point_at(&receiver.url());
    let odd = r#"{"ToUserName":"gh_x","MsgType":"event","Event":"channels_ec_order_tomorrow"}"#;
    stage.platform.push_text(&stage.shop.appid, "channels_ec_order_tomorrow", odd, Body::Json).unwrap();
    stage.platform.quiet().await;
    let secrets = stage.platform.component().callback_secrets();
    assert!(receiver.received().iter().any(|r| r.path.ends_with(&stage.shop.appid) && r.message(&secrets) == odd));

    assert!(stage.platform.revoke(&stage.shop.appid));
    let order = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    stage.platform.quiet().await;
    assert_eq!(stage.platform.ledger().pushes_of(&order)[0].state, PushState::NoUrl);
    let last = receiver.received().last().unwrap().clone();
    assert!(last.message(&secrets).contains("<InfoType><![CDATA[unauthorized]]></InfoType>"));
}

#[tokio::test]
async fn scaled_time_needs_no_driving() {
    let stage = Stage::new(Settings {
        ticket_every_s: None,
        time: fangshi_platform::TimeSource::Scaled { start: Some(START), factor: 2000.0 },
        ..Settings::default()
    })
    .await;
    let receiver = Receiver::start().await;
    stage.platform.point_at(&receiver.url());
    receiver.answer_next(std::iter::repeat_n(Answer::With(500, ""), 7));
    let order = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    tokio::time::timeout(Duration::from_secs(30), stage.platform.drained()).await.unwrap();
    let ledger = stage.platform.ledger();
    let push = ledger.pushes_of(&order)[0];
    assert_eq!(push.state, PushState::Delivered);
    assert!(push.attempts.len() >= 6, "{}", push.attempts.len());
}
