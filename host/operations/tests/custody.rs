//! The real custody under the real client: a shop with a refresh token alone gets its tokens from the platform, once
//! for many callers, and a token that the platform takes back is replaced without anybody noticing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::{Json, Router};
use fangshi_database::{Clock, Database, OpenOptions};
use fangshi_operations::{Class, Operations, OperationsConfig, Sent, find};
use fangshi_tenants::{ComponentCredentials, Credentials, Kek, NewTenant, Platform, TenantId, Tenants};
use secrecy::SecretString;
use serde_json::{Value, json};

/// Accepts the newest access token alone; keeps a ledger of paths.
#[derive(Clone, Default)]
struct Shop {
    ledger: Arc<Mutex<Vec<String>>>,
    issued: Arc<Mutex<u32>>,
    taken_back: Arc<Mutex<String>>,
    refuses_refresh: bool,
}

impl Shop {
    async fn answer(State(shop): State<Shop>, request: Request) -> Json<Value> {
        let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        shop.ledger.lock().unwrap().push(path.clone());
        let mut issued = shop.issued.lock().unwrap();
        Json(match path.as_str() {
            "/cgi-bin/component/api_component_token" => {
                assert_eq!(body["component_verify_ticket"], "TICKET");
                json!({"component_access_token": "COMPONENT", "expires_in": 7200})
            }
            "/cgi-bin/component/api_authorizer_token" if shop.refuses_refresh => {
                json!({"errcode": 61023, "errmsg": "refresh_token is invalid rid: 1-2-3"})
            }
            // The account is granted, and with that very token.
            "/cgi-bin/component/api_get_authorizer_info" => json!({
                "authorizer_info": {"nick_name": "shop", "user_name": "gh_1"},
                "authorization_info": {"authorizer_appid": "wxa", "authorizer_refresh_token": "R0", "func_info": []},
            }),
            "/cgi-bin/component/api_authorizer_token" => {
                assert_eq!(
                    (query.as_str(), &body["authorizer_refresh_token"]),
                    ("access_token=COMPONENT", &json!(format!("R{issued}")))
                );
                *issued += 1;
                json!({"authorizer_access_token": format!("CANARY-{issued}"), "expires_in": 7200,
                    "authorizer_refresh_token": format!("R{issued}")})
            }
            _ if query == format!("access_token=CANARY-{issued}") && query != *shop.taken_back.lock().unwrap() => {
                json!({"errcode": 0, "errmsg": "ok"})
            }
            _ => json!({"errcode": 40001, "errmsg": format!("invalid credential {query}")}),
        })
    }

    fn count(&self, path: &str) -> usize {
        self.ledger.lock().unwrap().iter().filter(|one| one.ends_with(path)).count()
    }
}

struct House {
    shop: Shop,
    operations: Operations,
    tenant: TenantId,
    _folder: tempfile::TempDir,
}

async fn house(refuses_refresh: bool) -> House {
    let shop = Shop { refuses_refresh, ..Shop::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api_base = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(Shop::answer).with_state(shop.clone());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    let folder = tempfile::tempdir().unwrap();
    let (clock, _hand) = Clock::manual();
    let db = Database::open(OpenOptions::new(folder.path())).await.unwrap();
    let component = ComponentCredentials { appid: "wxc".into(), appsecret: SecretString::from("SECRET") };
    let tenants = Tenants::open(db, Kek::from_bytes(&[7; 32]), Some(component), clock.clone()).await.unwrap();
    tenants.custody().keep_ticket(SecretString::from("TICKET"), clock.now_s()).await.unwrap();
    let credentials =
        Credentials::Authorized { access_token: None, expires_in: None, refresh_token: Some(SecretString::from("R0")) };
    let tenant = tenants
        .create(NewTenant {
            platform: Platform::Weixin,
            appid: "wxa".into(),
            user_name: Some("gh_1".into()),
            name: "shop".into(),
            credentials,
        })
        .await
        .unwrap()
        .id;
    let config = OperationsConfig { api_base, clock, ..OperationsConfig::default() };
    House { shop, operations: Operations::new(config, tenants).unwrap(), tenant, _folder: folder }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_fetched_once_for_many_and_replaced_once_when_taken_back() {
    let house = house(false).await;
    let op = find("notes", "set-merchant-notes").unwrap();
    for refreshes in 1..=2 {
        let calls: Vec<_> = (0..16)
            .map(|n| {
                let (operations, tenant) = (house.operations.clone(), house.tenant);
                tokio::spawn(async move {
                    let request = json!({"order_id": n.to_string(), "merchant_notes": "x"});
                    operations.call(tenant, op, &request).await
                })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap(), Ok(Value::Null));
        }
        assert_eq!(house.shop.count("api_component_token"), 1);
        assert_eq!(house.shop.count("api_authorizer_token"), refreshes, "refreshed more than once");
        // Before its time the platform takes the token back: every caller of the next round finds it refused.
        *house.shop.taken_back.lock().unwrap() = format!("access_token=CANARY-{refreshes}");
    }
    assert!(house.shop.count("merchantnotes/update") > 32, "nobody met the refused token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_refresh_token_is_no_token_and_nothing_is_sent() {
    let house = house(true).await;
    let op = find("notes", "set-merchant-notes").unwrap();
    let fault =
        house.operations.call(house.tenant, op, &json!({"order_id": "1", "merchant_notes": "x"})).await.unwrap_err();
    assert_eq!((fault.class, fault.sent, fault.code), (Class::Reauthorize, Sent::NotSent, 61023));
    assert_eq!(house.shop.count("merchantnotes/update"), 0);
}
