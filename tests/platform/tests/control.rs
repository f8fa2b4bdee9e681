//! The control over HTTP: a whole story without the Rust handle, and the program itself.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
mod receiver;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use fangshi_platform::real_orders;
use receiver::{Receiver, Stage};
use serde_json::{Value, json};

struct Control {
    base: String,
    client: reqwest::Client,
}

impl Control {
    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let answer = self.client.post(format!("{}{path}", self.base)).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        self.client.get(format!("{}{path}", self.base)).send().await.unwrap().json().await.unwrap()
    }
}

#[tokio::test]
async fn a_story_over_http() {
    let stage = Stage::manual().await;
    let receiver = Receiver::start().await;
    let control = Control { base: stage.platform.base_url(), client: stage.client().clone() };
    let (_, shop) = control.post("/control/shops", json!({"kind": "self-built", "name": "茶坊"})).await;
    let appid = shop["appid"].as_str().unwrap();
    assert_eq!(shop["encoding_aes_key"].as_str().unwrap().len(), 43);
    assert_eq!(control.post("/control/shops", json!({"kind": "self-built", "appid": appid})).await.0, 404);
    control.post("/control/point", json!({"host": receiver.url()})).await;

    let (_, order) = control.post(&format!("/control/shops/{appid}/orders"), json!({"cash_coupon": 100})).await;
    let id = order["order_id"].as_str().unwrap();
    let steps = format!("/control/orders/{id}/steps");
    assert_eq!(control.post(&steps, json!({"step": "confirm", "by": "user"})).await.0, 409);
    let (status, paid) = control.post(&steps, json!({"step": "pay"})).await;
    assert_eq!((status, &paid["status"]), (200, &json!(20)));
    let (status, extra) = control.post(&steps, json!({"step": "extra", "type": 6, "patch": {"x": 1}})).await;
    assert_eq!((status, &extra["x"]), (200, &json!(1)));
    assert_eq!(control.get(&format!("/control/orders/{id}")).await["status"], 20);
    control.post("/control/time", json!({"seconds": 1})).await;

    let (_, tokens) = control.post(&format!("/control/shops/{appid}/tokens"), json!({})).await;
    let token = tokens["access_token"].as_str().unwrap();
    let get = "/channels/ec/order/get";
    control
        .post("/control/faults", json!({"target": {"path": get}, "times": 1, "fault": "errcode", "code": 45009}))
        .await;
    assert_eq!(stage.call_as(token, get, json!({"order_id": id})).await["errcode"], 45009);
    assert_eq!(stage.call_as(token, get, json!({"order_id": id})).await["errcode"], 0);
    control.post(&format!("/control/shops/{appid}/expire"), json!({})).await;
    assert_eq!(stage.call_as(token, get, json!({"order_id": id})).await["errcode"], 42001);

    let calls = control.get("/control/ledger/calls?after=1&limit=1").await;
    assert_eq!((&calls["total"], calls["calls"].as_array().unwrap().len()), (&json!(3), 1));
    let pushes = control.get("/control/ledger/pushes").await;
    let names: Vec<&str> =
        pushes["pushes"].as_array().unwrap().iter().filter_map(|p| p["event"]["event"].as_str()).collect();
    assert_eq!(names, ["new", "pay", "wait_shipping", "ext_info"]);
    assert!(pushes["pushes"].as_array().unwrap().iter().all(|p| p["state"] == "delivered"));
}

#[tokio::test]
async fn a_real_order_is_loaded_over_http() {
    let stage = Stage::manual().await;
    let control = Control { base: stage.platform.base_url(), client: stage.client().clone() };
    let path = format!("/control/shops/{}/orders/load", stage.shop.appid);
    let (status, _) = control.post(&path, json!({"order": real_orders::before()["order"]})).await;
    assert_eq!(status, 200);
    let shown = control.get(&format!("/control/orders/{}", real_orders::FIRST)).await;
    assert_eq!(shown, real_orders::before()["order"]);
    assert_eq!(control.post(&path, json!({"order": {"order_id": "1"}})).await.0, 404);
}

#[tokio::test]
async fn the_program_prints_its_address_and_serves() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fake-weixin"))
        .args(["--seed", "9", "--real-orders", "--scale", "0", "--start", "1764642403"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let base = lines.next().unwrap().unwrap().rsplit_once(' ').unwrap().1.to_owned();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let control = Control { base, client: reqwest::Client::builder().no_proxy().build().unwrap() };
    let shown = control.get(&format!("/control/orders/{}", real_orders::FIRST)).await;
    let shop = control.get("/control/shops").await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(shown, real_orders::before()["order"]);
    assert_eq!(shop[0]["kind"], "authorized");
}
