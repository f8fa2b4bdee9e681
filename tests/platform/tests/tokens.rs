//! Tokens and permissions: the chain from ticket to call, and every way in which it breaks.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
mod receiver;

use std::time::Duration;

use fangshi_platform::{NewOrder, NewShop, ORDERS_SET, PushState, RefreshRotation, SHOP_SET, Settings};
use receiver::{Receiver, START, Stage};
use serde_json::{Value, json};

const GET: &str = "/channels/ec/order/get";
const REFRESH: &str = "/cgi-bin/component/api_authorizer_token";

/// The ticket as the receiver would read it.
fn ticket(receiver: &Receiver, stage: &Stage) -> String {
    let push = receiver.received().iter().rfind(|r| r.path.ends_with("/component")).unwrap().clone();
    let message = push.message(&stage.platform.component().callback_secrets());
    let (_, rest) = message.split_once("<ComponentVerifyTicket><![CDATA[").unwrap();
    rest.split_once("]]>").unwrap().0.to_owned()
}

async fn component_token(stage: &Stage, receiver: &Receiver) -> Value {
    let component = stage.platform.component();
    let request = json!({"component_appid": component.appid, "component_appsecret": component.appsecret(),
        "component_verify_ticket": ticket(receiver, stage)});
    stage.call_as("", "/cgi-bin/component/api_component_token", request).await
}

#[tokio::test]
async fn from_the_ticket_to_a_call() {
    let stage = Stage::manual().await;
    let receiver = Receiver::start().await;
    stage.platform.point_at(&receiver.url());
    stage.platform.quiet().await;
    let component = stage.platform.component();
    let answer = component_token(&stage, &receiver).await;
    assert!(answer["errcode"].is_null(), "component calls answer without errcode");
    assert_eq!(answer["expires_in"], 7200);
    let cat = answer["component_access_token"].as_str().unwrap().to_owned();

    let list = json!({"component_appid": component.appid, "offset": 0, "count": 500});
    let list = stage.call_as(&cat, "/cgi-bin/component/api_get_authorizer_list", list).await;
    assert_eq!(list["total_count"], 1);
    let refresh = list["list"][0]["refresh_token"].clone();
    let request = json!({"component_appid": component.appid, "authorizer_appid": stage.shop.appid,
        "authorizer_refresh_token": refresh});
    let tokens = stage.call_as(&cat, REFRESH, request.clone()).await;
    assert_eq!(tokens["authorizer_refresh_token"], refresh);
    let id = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    let token = tokens["authorizer_access_token"].as_str().unwrap();
    assert_eq!(stage.call_as(token, GET, json!({"order_id": id})).await["errcode"], 0);
    // The token before it died at once, the worst case of an unconfirmed rule.
    assert_eq!(stage.code(GET, json!({"order_id": id})).await, 40001);
    // The older spelling of the query is understood.
    let url = format!("{}{REFRESH}?component_access_token={cat}", stage.platform.base_url());
    let older: Value = stage.client().post(url).json(&request).send().await.unwrap().json().await.unwrap();
    assert!(older["authorizer_access_token"].is_string());

    let info = json!({"component_appid": component.appid, "authorizer_appid": stage.shop.appid});
    let info = stage.call_as(&cat, "/cgi-bin/component/api_get_authorizer_info", info).await;
    assert_eq!(info["authorizer_info"]["user_name"], stage.shop.user_name);
    assert_eq!(info["authorization_info"]["func_info"][1]["funcscope_category"]["id"], 131);
    assert!(info["authorization_info"]["authorizer_access_token"].is_null());
}

#[tokio::test]
async fn authorization_by_code_and_its_events() {
    let stage = Stage::manual().await;
    let receiver = Receiver::start().await;
    stage.platform.point_at(&receiver.url());
    stage.platform.quiet().await;
    let component = stage.platform.component();
    let cat = component_token(&stage, &receiver).await["component_access_token"].as_str().unwrap().to_owned();
    let pre = json!({"component_appid": component.appid});
    let pre = stage.call_as(&cat, "/cgi-bin/component/api_create_preauthcode", pre).await;
    let pre = pre["pre_auth_code"].as_str().unwrap();
    let appid = &stage.shop.appid;
    assert!(stage.platform.authorize(appid, &[131], "never-given").is_err());

    let code = stage.platform.authorize(appid, &[ORDERS_SET], pre).unwrap();
    let query = json!({"component_appid": component.appid, "authorization_code": code});
    let path = "/cgi-bin/component/api_query_auth";
    let info = stage.call_as(&cat, path, query.clone()).await["authorization_info"].clone();
    assert_eq!(info["authorizer_appid"], *appid);
    assert_eq!(info["func_info"], json!([{"funcscope_category": {"id": 131}}]));
    assert!(info["authorizer_refresh_token"].is_string());
    assert_eq!(stage.call_as(&cat, path, query).await["errcode"], 61009);

    stage.platform.revoke(appid);
    stage.platform.authorize(appid, &[SHOP_SET, ORDERS_SET], "").unwrap();
    // Nothing changed: silent.
    stage.platform.authorize(appid, &[SHOP_SET, ORDERS_SET], "").unwrap();
    stage.platform.quiet().await;
    let ledger = stage.platform.ledger();
    let names: Vec<&str> =
        ledger.pushes.iter().map(|p| p.name.as_str()).filter(|n| *n != "component_verify_ticket").collect();
    assert_eq!(names, ["updateauthorized", "unauthorized", "authorized"]);
    assert!(ledger.pushes.iter().all(|p| p.state == PushState::Delivered));
}

#[tokio::test]
async fn errcodes_of_tokens_and_permissions() {
    let stage = Stage::manual().await;
    let receiver = Receiver::start().await;
    stage.platform.point_at(&receiver.url());
    stage.platform.quiet().await;
    let component = stage.platform.component();
    let id = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    let order = json!({"order_id": id});
    let cat = component_token(&stage, &receiver).await["component_access_token"].as_str().unwrap().to_owned();

    let code = async |token: &str, path: &str, request: Value| {
        stage.call_as(token, path, request).await["errcode"].as_i64().unwrap_or(0)
    };
    assert_eq!(code("", GET, order.clone()).await, 41001);
    assert_eq!(code("nonsense", GET, order.clone()).await, 40014);
    assert_eq!(code(&cat, GET, order.clone()).await, 48001);
    let list = json!({"component_appid": component.appid, "offset": 0, "count": 10});
    assert_eq!(code(&stage.token, "/cgi-bin/component/api_get_authorizer_list", list.clone()).await, 61014);

    let token_path = "/cgi-bin/component/api_component_token";
    let asks = |appid: &str, secret: &str, ticket: &str| json!({"component_appid": appid, "component_appsecret": secret, "component_verify_ticket": ticket});
    let (appid, secret) = (component.appid.as_str(), component.appsecret());
    assert_eq!(code("", token_path, asks("wrong", secret, "x")).await, 40013);
    assert_eq!(code("", token_path, asks("", secret, "x")).await, 41018);
    assert_eq!(code("", token_path, asks(appid, "wrong", "x")).await, 40125);
    assert_eq!(code("", token_path, asks(appid, "", "x")).await, 41004);
    assert_eq!(code("", token_path, asks(appid, secret, "x")).await, 61006);

    let refresh = |token: Value| json!({"component_appid": appid, "authorizer_appid": stage.shop.appid, "authorizer_refresh_token": token});
    assert_eq!(code(&cat, REFRESH, refresh(json!("x"))).await, 61023);
    assert_eq!(code(&cat, REFRESH, refresh(Value::Null)).await, 61023);
    let other = stage.platform.add_shop(NewShop::authorized()).unwrap();
    let others = stage.platform.issue_tokens(&other.appid).unwrap();
    assert_eq!(code(&cat, REFRESH, refresh(json!(others.refresh()))).await, 61023);

    // Sets: 131 for orders, 130 for the shop's phones.
    let phone = json!({"mobile": "13600000001"});
    let phones = "/channels/ec/merchant/privatenumber/sendverifycode";
    let only_orders = stage.platform.add_shop(NewShop::authorized().sets(&[131])).unwrap();
    let token = stage.platform.issue_tokens(&only_orders.appid).unwrap();
    assert_eq!(code(token.access(), phones, phone.clone()).await, 61007);
    assert_eq!(code(token.access(), GET, order.clone()).await, 100002);
    let only_shop = stage.platform.add_shop(NewShop::self_built().sets(&[130])).unwrap();
    let token = stage.platform.issue_tokens(&only_shop.appid).unwrap();
    assert_eq!(code(token.access(), phones, phone).await, 0);
    assert_eq!(code(token.access(), GET, order.clone()).await, 48001);

    // Expiry, password, revocation.
    assert_eq!(stage.platform.expire_tokens(&stage.shop.appid), 1);
    assert_eq!(code(&stage.token, GET, order.clone()).await, 42001);
    let fresh = stage.platform.issue_tokens(&stage.shop.appid).unwrap();
    assert_eq!(code(fresh.access(), GET, order.clone()).await, 0);
    stage.platform.change_password(&stage.shop.appid);
    assert_eq!(code(fresh.access(), GET, order.clone()).await, 42007);
    stage.platform.revoke(&stage.shop.appid);
    assert_eq!(code(fresh.access(), GET, order).await, 61003);
    assert_eq!(code(&cat, REFRESH, refresh(json!(fresh.refresh()))).await, 61003);
    stage.platform.expire_component_token();
    assert_eq!(code(&cat, "/cgi-bin/component/api_get_authorizer_list", list).await, 42001);
}

#[tokio::test]
async fn tokens_and_tickets_end_by_time() {
    let stage = Stage::manual().await;
    let receiver = Receiver::start().await;
    stage.platform.point_at(&receiver.url());
    stage.platform.quiet().await;
    let id = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    let cat = component_token(&stage, &receiver).await["component_access_token"].as_str().unwrap().to_owned();
    stage.platform.advance(Duration::from_secs(7199)).await;
    assert_eq!(stage.code(GET, json!({"order_id": id})).await, 0);
    stage.platform.advance(Duration::from_secs(1)).await;
    assert_eq!(stage.code(GET, json!({"order_id": id})).await, 42001);
    let list = json!({"component_appid": stage.platform.component().appid, "offset": 0, "count": 1});
    assert_eq!(stage.call_as(&cat, "/cgi-bin/component/api_get_authorizer_list", list).await["errcode"], 42001);
    // The old ticket serves for twelve hours.
    assert!(component_token(&stage, &receiver).await["component_access_token"].is_string());
    stage.platform.advance(Duration::from_secs(10 * 3600)).await;
    assert_eq!(component_token(&stage, &receiver).await["errcode"], 61005);
    let component = stage.platform.component();
    let start = json!({"component_appid": component.appid, "component_secret": component.appsecret()});
    let answer = stage.call_as("", "/cgi-bin/component/api_start_push_ticket", start).await;
    assert_eq!(answer["errcode"], 0);
    stage.platform.quiet().await;
    assert!(component_token(&stage, &receiver).await["component_access_token"].is_string());
}

#[tokio::test]
async fn a_refresh_token_can_rotate() {
    for (rotation, old_code) in
        [(RefreshRotation::Never, 0), (RefreshRotation::KeepsOld, 0), (RefreshRotation::KillsOld, 61023)]
    {
        let stage =
            Stage::new(Settings { refresh_rotation: rotation, ticket_every_s: None, ..Settings::manual(START) }).await;
        let receiver = Receiver::start().await;
        stage.platform.point_at(&receiver.url());
        stage.platform.quiet().await;
        let cat = component_token(&stage, &receiver).await["component_access_token"].as_str().unwrap().to_owned();
        let first = stage.platform.issue_tokens(&stage.shop.appid).unwrap().refresh().unwrap().to_owned();
        let ask = async |refresh: &str| {
            let request = json!({"component_appid": stage.platform.component().appid,
                "authorizer_appid": stage.shop.appid, "authorizer_refresh_token": refresh});
            stage.call_as(&cat, REFRESH, request).await
        };
        let second = ask(&first).await["authorizer_refresh_token"].as_str().unwrap().to_owned();
        assert_eq!(second == first, rotation == RefreshRotation::Never);
        assert_eq!(ask(&first).await["errcode"].as_i64().unwrap_or(0), old_code);
        let newest = stage.platform.issue_tokens(&stage.shop.appid).unwrap().refresh().unwrap().to_owned();
        assert!(ask(&newest).await["authorizer_access_token"].is_string());
    }
}

#[tokio::test]
async fn the_stable_token_stays_until_it_is_forced() {
    let stage = Stage::manual().await;
    let shop = stage.platform.add_shop(NewShop::self_built()).unwrap();
    let ask = async |secret: &str, force: bool| {
        let request =
            json!({"grant_type": "client_credential", "appid": shop.appid, "secret": secret, "force_refresh": force});
        stage.call_as("", "/cgi-bin/stable_token", request).await
    };
    let first = ask(shop.appsecret(), false).await;
    stage.platform.advance(Duration::from_secs(100)).await;
    let again = ask(shop.appsecret(), false).await;
    assert_eq!(again["access_token"], first["access_token"]);
    assert_eq!(again["expires_in"], 7100);
    let ledger = stage.platform.ledger();
    let asked = ledger.calls_of("getStableAccessToken");
    assert_eq!(asked.iter().map(|c| c.applied).collect::<Vec<_>>(), [true, false]);
    assert_eq!(asked[0].issued, asked[1].issued);
    let forced = ask(shop.appsecret(), true).await;
    assert_ne!(forced["access_token"], first["access_token"]);
    let code = async |token: &Value| {
        stage.call_as(token["access_token"].as_str().unwrap(), GET, json!({"order_id": "1"})).await["errcode"].clone()
    };
    assert_eq!(code(&first).await, 40001);
    assert_eq!(code(&forced).await, 100002);
    assert_eq!(ask("wrong", false).await["errcode"], 40125);
    let authorized = json!({"grant_type": "client_credential", "appid": stage.shop.appid, "secret": "x"});
    assert_eq!(stage.call_as("", "/cgi-bin/stable_token", authorized).await["errcode"], 40013);
}

#[tokio::test]
async fn quotas_end_a_days_and_a_minutes_calls() {
    let stage = Stage::manual().await;
    let decode = "/channels/ec/order/sensitiveinfo/decode";
    stage.platform.configure(|s| {
        s.daily_quota.insert(decode.to_owned(), 2);
        s.minute_quota.insert(GET.to_owned(), 1);
    });
    let id = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    let order = json!({"order_id": id});
    assert_eq!([stage.code(GET, order.clone()).await, stage.code(GET, order.clone()).await], [0, 45011]);
    stage.platform.advance(Duration::from_secs(60)).await;
    assert_eq!(stage.code(GET, order.clone()).await, 0);
    for expected in [0, 0, 45009] {
        assert_eq!(stage.code(decode, order.clone()).await, expected);
    }
    let quota = stage.call("/cgi-bin/openapi/quota/get", json!({"cgi_path": decode})).await;
    assert_eq!(quota["quota"], json!({"daily_limit": 2, "used": 2, "remain": 0}));
    assert_eq!(stage.code("/cgi-bin/clear_quota", json!({"appid": stage.shop.appid})).await, 0);
    assert_eq!(stage.code(decode, order).await, 0);
}
