//! Bodies, methods and paths that are wrong for every operation.

use serde_json::Value;

use crate::GET;
use crate::receiver::Stage;

#[tokio::test]
async fn bodies_methods_and_paths() {
    let stage = Stage::manual().await;
    let url = |path: &str| format!("{}{path}?access_token={}", stage.platform.base_url(), stage.token);
    let send = async |request: reqwest::RequestBuilder| {
        request.send().await.unwrap().json::<Value>().await.unwrap()["errcode"].as_i64().unwrap()
    };
    assert_eq!(send(stage.client().get(url(GET))).await, 43002);
    assert_eq!(send(stage.client().post(url(GET))).await, 44002);
    for body in ["{", "[]", "7", "nonsense"] {
        assert_eq!(send(stage.client().post(url(GET)).body(body)).await, 47001, "{body}");
    }
    let large = format!("{{\"order_id\":\"{}\"}}", "1".repeat(1024 * 1024));
    assert_eq!(send(stage.client().post(url(GET)).body(large)).await, 45002);
    let unknown = stage.client().post(url("/channels/ec/order/nothing")).body("{}").send().await.unwrap();
    assert_eq!(unknown.status(), 404);
    assert!(stage.platform.ledger().calls.iter().any(|c| c.operation.is_none()));
}
