//! The merchant page over HTTP: who gets in, what a form must carry, and what is never shown.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use fangshi_operations::OutsideConfig;
use fangshi_tenants::{StateChange, TenantPatch};
use serde_json::{Value, json};
use support::{Answer, Desk, PUBLIC_URL, guest};

/// A merchant's browser: a cookie and the proof on the page.
struct Visit {
    cookie: String,
    proof: String,
}

async fn link(desk: &Desk, tenant: &str) -> String {
    let made = desk.post(&format!("/api/v1/tenants/{tenant}/links"), json!({"purpose": "CANARY purpose"})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    made.json()["url"].as_str().unwrap().strip_prefix(PUBLIC_URL).unwrap().to_owned()
}

fn post(path: &str, cookie: &str, body: String) -> Request<Body> {
    Request::post(path)
        .header("cookie", cookie)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .unwrap()
}

async fn get(desk: &Desk, path: &str, cookie: &str) -> Answer {
    let request = Request::get(path).header("cookie", cookie).header("accept-language", "en");
    desk.send(request.body(Body::empty()).unwrap()).await
}

async fn visit(desk: &Desk, tenant: &str) -> Visit {
    let path = link(desk, tenant).await;
    let entered = desk.send(post(&path, "", String::new())).await;
    assert_eq!(entered.status, StatusCode::SEE_OTHER, "{}", entered.text);
    assert_eq!(entered.headers["location"], "/merchant");
    let set = entered.headers["set-cookie"].to_str().unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/merchant"] {
        assert!(set.contains(part), "{set}");
    }
    let cookie = set.split(';').next().unwrap().to_owned();
    let page = get(desk, "/merchant", &cookie).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let proof = page.text.split("name=\"proof\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    Visit { cookie, proof }
}

/// A form with a file, as browsers send it.
fn upload(visit: &Visit, proof: &str, file: &[u8]) -> Request<Body> {
    let mut body = Vec::new();
    for (name, value) in [("proof", proof.as_bytes()), ("name", b"tags")] {
        body.extend(format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").into_bytes());
        body.extend(value);
        body.extend(b"\r\n");
    }
    body.extend(b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wasm\"\r\n\r\n");
    body.extend(file);
    body.extend(b"\r\n--x--\r\n");
    Request::post("/merchant/plugins")
        .header("cookie", &visit.cookie)
        .header("accept-language", "en")
        .header("content-type", "multipart/form-data; boundary=x")
        .body(Body::from(body))
        .unwrap()
}

#[tokio::test]
async fn looking_at_a_link_does_not_use_it_up_and_entering_does() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let path = link(&desk, &tenant).await;
    for _ in 0..3 {
        let looked = get(&desk, &path, "").await;
        assert_eq!(looked.status, StatusCode::OK);
        assert!(
            looked.text.contains("method=\"post\"") && !looked.text.contains("店"),
            "it names no shop: {}",
            looked.text
        );
        assert!(looked.headers.get("set-cookie").is_none());
    }
    // Another site's page may not enter for the merchant.
    let mut cross = post(&path, "", String::new());
    cross.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
    assert_eq!(desk.send(cross).await.status, StatusCode::GONE);
    assert_eq!(desk.send(post(&path, "", String::new())).await.status, StatusCode::SEE_OTHER);
    for gone in [path.as_str(), "/merchant/enter/fsl_", "/merchant/enter/guess"] {
        assert_eq!(get(&desk, gone, "").await.status, StatusCode::GONE, "{gone}");
        assert_eq!(desk.send(post(gone, "", String::new())).await.status, StatusCode::GONE, "{gone}");
    }
    let late = link(&desk, &tenant).await;
    desk.hand.advance(3_600_000);
    assert_eq!(desk.send(post(&late, "", String::new())).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn an_address_that_tries_links_waits_and_neither_others_nor_open_links_do() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let path = link(&desk, &tenant).await;
    let (bad, good) = ([10, 9, 9, 9].into(), [10, 8, 8, 8].into());
    let guess = |n: usize| format!("/merchant/enter/fsl_{n:064x}");
    for n in 0..5 {
        assert_eq!(desk.send_from(bad, post(&guess(n), "", String::new())).await.status, StatusCode::GONE);
        let looked = axum::http::Request::get(guess(n)).body(axum::body::Body::empty()).unwrap();
        assert_eq!(desk.send_from(bad, looked).await.status, StatusCode::GONE);
    }
    let waits = desk.send_from(bad, post(&guess(7), "", String::new())).await;
    assert_eq!((waits.status, &waits.headers["retry-after"]), (StatusCode::TOO_MANY_REQUESTS, &"6".parse().unwrap()));
    assert_eq!(desk.send_from(good, post(&guess(9), "", String::new())).await.status, StatusCode::GONE);
    // Behind a proxy a merchant has the same address: a good link enters, and is no good after that.
    assert_eq!(desk.send_from(bad, post(&path, "", String::new())).await.status, StatusCode::SEE_OTHER);
    assert_eq!(desk.send_from(bad, post(&path, "", String::new())).await.status, StatusCode::TOO_MANY_REQUESTS);
    desk.hand.advance(6_000);
    assert_eq!(desk.send_from(bad, post(&path, "", String::new())).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn a_session_ends_with_its_time_and_with_leaving() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let first = visit(&desk, &tenant).await;
    let second = visit(&desk, &tenant).await;
    let left = desk.send(post("/merchant/leave", &first.cookie, format!("proof={}", first.proof))).await;
    assert_eq!(left.status, StatusCode::OK);
    assert_eq!(get(&desk, "/merchant", &first.cookie).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(get(&desk, "/merchant", &second.cookie).await.status, StatusCode::OK);
    desk.hand.advance(2 * 3_600_000);
    assert_eq!(get(&desk, "/merchant", &second.cookie).await.status, StatusCode::UNAUTHORIZED);
    // A merchant's bearer token is no session.
    let (_, bearer) = desk.token(Some(&tenant)).await;
    assert_eq!(get(&desk, "/merchant", &format!("fangshi_merchant={bearer}")).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_form_without_its_proof_changes_nothing() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let (own, other) = (visit(&desk, &tenant).await, visit(&desk, &tenant).await);
    let version = desk.upload(&tenant, "quiet", guest::quiet()).await.json();
    let (plugin, version) = (version["plugin"].as_str().unwrap(), version["version"].as_str().unwrap());
    let before = desk.get("/api/v1/audit?limit=1").await.json()["items"][0]["number"].clone();
    for proof in ["", "0", &other.proof, &own.proof[1..]] {
        for path in [
            &format!("/merchant/consent/{plugin}/{version}") as &str,
            "/merchant/installations/i1/pause",
            "/merchant/installations/i1/resume",
            "/merchant/leave",
        ] {
            let refused = desk.send(post(path, &own.cookie, format!("proof={proof}"))).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
        }
        let refused = desk.send(upload(&own, proof, &guest::noting())).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(desk.get("/api/v1/audit?limit=1").await.json()["items"][0]["number"], before);
    // With it, it installs with exactly the grants asked for.
    let path = format!("/merchant/consent/{plugin}/{version}");
    let approved = desk.send(post(&path, &own.cookie, format!("proof={}", own.proof))).await;
    assert_eq!(approved.status, StatusCode::SEE_OTHER, "{}", approved.text);
    let installed = desk.get(&format!("/api/v1/tenants/{tenant}/installations")).await.json();
    assert_eq!(installed["items"][0]["grants"], json!([]));
}

#[tokio::test]
async fn a_new_version_replaces_the_old_one_and_marks_what_is_new() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let own = visit(&desk, &tenant).await;
    for (wasm, grants, marked) in [(guest::quiet(), json!([]), false), (guest::noting(), json!(["notes"]), true)] {
        let uploaded = desk.send(upload(&own, &own.proof, &wasm)).await;
        assert_eq!(uploaded.status, StatusCode::SEE_OTHER, "{}", uploaded.text);
        let path = uploaded.headers["location"].to_str().unwrap().to_owned();
        let page = get(&desk, &path, &own.cookie).await;
        assert_eq!(page.text.contains("mark new"), marked, "{}", page.text);
        assert_eq!(page.text.contains("data-grant=\"notes\""), marked);
        assert_eq!(page.text.contains("replaces the version at work"), marked);
        let approved = desk.send(post(&path, &own.cookie, format!("proof={}", own.proof))).await;
        assert_eq!(approved.status, StatusCode::SEE_OTHER, "{}", approved.text);
        let installed = desk.get(&format!("/api/v1/tenants/{tenant}/installations")).await.json();
        assert_eq!(installed["items"].as_array().unwrap().len(), 1);
        assert_eq!(installed["items"][0]["grants"], grants);
    }
}

#[tokio::test]
async fn the_first_page_lists_what_is_at_work_in_pages() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let version = desk.upload(&tenant, "tags", guest::quiet()).await.json();
    let installations = format!("/api/v1/tenants/{tenant}/installations");
    let mut ids = Vec::new();
    for _ in 0..24 {
        let body = json!({"plugin": "tags", "version": version["version"], "grants": []});
        ids.push(desk.post(&installations, body).await.json()["id"].as_str().unwrap().to_owned());
    }
    desk.paid(&tenant, "371").await;
    for id in ids.split_off(22) {
        let path = format!("{installations}/{id}");
        assert_eq!(desk.with_token(axum::http::Method::DELETE, &path, None, Body::empty()).await.status, 204);
    }
    let untried = desk.upload(&tenant, "tags", guest::noting()).await.json();
    let cookie = visit(&desk, &tenant).await.cookie;
    let listed = |page: &Answer| -> Vec<String> {
        let ids = page.text.split("<article class=\"item\" id=\"").skip(1);
        ids.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let first = get(&desk, "/merchant", &cookie).await;
    assert_eq!(listed(&first), ids[..20]);
    let next = format!("href=\"/merchant?after={}\"", ids[19]);
    assert!(first.text.contains(&next) && !first.text.contains("id=\"first\""), "{}", first.text);
    let waiting =
        format!("/merchant/consent/{}/{}", untried["plugin"].as_str().unwrap(), untried["version"].as_str().unwrap());
    assert!(first.text.contains(&waiting), "what waits is on the page");
    assert_eq!(first.text.matches("<td>tags</td>").count(), 20, "runs of what was removed have its name too");
    let second = get(&desk, &format!("/merchant?after={}", ids[19]), &cookie).await;
    assert_eq!(listed(&second), ids[20..]);
    assert!(second.text.contains("id=\"first\"") && !second.text.contains("id=\"next\""), "{}", second.text);
    assert_eq!(listed(&get(&desk, "/merchant?after=nonsense", &cookie).await), ids[..20]);
}

#[tokio::test]
async fn bad_uploads_are_explained() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let own = visit(&desk, &tenant).await;
    for (file, status, words) in [
        (b"".to_vec(), 400, "No file was chosen"),
        (b"zip".to_vec(), 422, "This file is no plugin"),
        (guest::core_module(), 422, "not a whole plugin yet"),
        (guest::stranger(), 422, "does not offer"),
        (vec![0; support::MAX_PLUGIN_BYTES + 1], 413, "too large"),
    ] {
        let refused = desk.send(upload(&own, &own.proof, &file)).await;
        assert_eq!(refused.status.as_u16(), status, "{}", refused.text);
        assert!(refused.text.contains(words), "{words}: {}", refused.text);
    }
    let named = desk.send(upload(&own, &own.proof, &guest::stranger())).await;
    assert!(named.text.contains("evil:things/here"), "{}", named.text);
    let declaring = desk.send(upload(&own, &own.proof, &guest::calling_out("localhost\n"))).await;
    assert_eq!(declaring.status.as_u16(), 422);
    assert!(declaring.text.contains("declares a host that can"), "{}", declaring.text);
}

#[tokio::test]
async fn the_page_takes_its_turn_before_it_reads_an_upload() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let own = visit(&desk, &tenant).await;
    // A form that never comes to its end.
    let (told, mut begun) = tokio::sync::mpsc::channel(1);
    let endless = futures_util::stream::poll_fn(move |_| {
        let _ = told.try_send(());
        std::task::Poll::<Option<Result<axum::body::Bytes, std::convert::Infallible>>>::Pending
    });
    let (mut first, router) = (upload(&own, &own.proof, b""), desk.router.clone());
    *first.body_mut() = Body::from_stream(endless);
    let first = tokio::spawn(tower::ServiceExt::oneshot(router, first));
    begun.recv().await.unwrap();
    let refused = desk.send(upload(&own, &own.proof, &guest::quiet())).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    assert!(refused.text.contains("An earlier upload is still being looked at"), "{}", refused.text);
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let uploaded = desk.send(upload(&own, &own.proof, &guest::quiet())).await;
    assert_eq!(uploaded.status, StatusCode::SEE_OTHER, "{}", uploaded.text);
}

#[tokio::test]
async fn a_merchant_approves_the_hosts_that_a_plugin_declares_and_names_its_own() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let own = visit(&desk, &tenant).await;
    let version = desk.upload(&tenant, "caller", guest::calling_out("erp.example.com\n")).await.json();
    let path =
        format!("/merchant/consent/{}/{}", version["plugin"].as_str().unwrap(), version["version"].as_str().unwrap());
    let page = get(&desk, &path, &own.cookie).await;
    assert!(page.text.contains("data-grant=\"http:erp.example.com\""), "{}", page.text);
    assert!(page.text.contains("may leave to this host") && page.text.contains("name=\"hosts\""), "{}", page.text);
    let chinese = get(&desk, &format!("{path}?lang=zh"), &own.cookie).await;
    assert!(chinese.text.contains("与外部网址 erp.example.com 收发数据"), "{}", chinese.text);
    let press = async |hosts: &str| {
        let hosts: String = url_encoded(hosts);
        desk.send(post(&path, &own.cookie, format!("proof={}&hosts={hosts}", own.proof))).await
    };
    for wrong in ["127.0.0.1", "https://a.example/", "*.example", "erp"] {
        let refused = press(wrong).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{wrong}");
        assert!(refused.text.contains("每行填写一个完整的域名"), "{}", refused.text);
    }
    let installations = async || {
        let all = desk.get(&format!("/api/v1/tenants/{tenant}/installations")).await.json();
        all["items"].as_array().unwrap().clone()
    };
    assert!(installations().await.is_empty());
    assert_eq!(press("Merchant.example\r\n\r\nerp.example.com\r\n").await.status, StatusCode::SEE_OTHER);
    let grants = |all: &[Value]| all[0]["grants"].clone();
    assert_eq!(grants(&installations().await), json!(["http:erp.example.com", "http:merchant.example"]));
    // The page shows what was named, and changes it.
    let page = get(&desk, &path, &own.cookie).await;
    assert!(page.text.contains(">merchant.example</textarea>"), "{}", page.text);
    assert_eq!(press("").await.status, StatusCode::SEE_OTHER);
    let all = installations().await;
    assert_eq!((all.len(), grants(&all)), (1, json!(["http:erp.example.com"])));
    // One that declares none needs at least one.
    let open = desk.upload(&tenant, "open", guest::calling_out("")).await.json();
    let path = format!("/merchant/consent/{}/{}", open["plugin"].as_str().unwrap(), open["version"].as_str().unwrap());
    let refused = desk.send(post(&path, &own.cookie, format!("proof={}", own.proof))).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text.contains("没有填写外部网址"), "{}", refused.text);
}

#[tokio::test]
async fn hosts_are_taken_back_on_the_page_while_requests_are_switched_off() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let version = desk.upload(&tenant, "caller", guest::calling_out("erp.example.com\n")).await.json();
    let grants = json!(["http:erp.example.com", "http:a.example", "http:b.example"]);
    let body = json!({"plugin": "caller", "version": version["version"], "grants": grants});
    let at = format!("/api/v1/tenants/{tenant}/installations");
    assert_eq!(desk.post(&at, body).await.status, StatusCode::CREATED);
    let desk = desk.reaching(OutsideConfig { enabled: false, ..OutsideConfig::default() }).await;
    let own = visit(&desk, &tenant).await;
    let path =
        format!("/merchant/consent/{}/{}", version["plugin"].as_str().unwrap(), version["version"].as_str().unwrap());
    let page = get(&desk, &path, &own.cookie).await;
    assert!(
        page.text.contains("switched off") && page.text.contains(">a.example\nb.example</textarea>"),
        "{}",
        page.text
    );
    let press = async |hosts: &str| {
        let form = format!("proof={}&hosts={}", own.proof, url_encoded(hosts));
        desk.send(post(&path, &own.cookie, form)).await.status
    };
    assert_eq!(press("a.example\nc.example").await, StatusCode::CONFLICT, "a host that is new");
    assert_eq!(press("a.example").await, StatusCode::SEE_OTHER);
    let all = desk.get(&at).await.json();
    assert_eq!(all["items"][0]["grants"], json!(["http:a.example", "http:erp.example.com"]));
}

fn url_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test]
async fn pages_show_no_secret_load_nothing_and_speak_two_languages() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let other = desk.tenant("wxtwo").await;
    let version = desk.upload(&tenant, "noting", guest::noting()).await.json();
    let body =
        json!({"plugin": "noting", "version": version["version"], "grants": ["notes"], "settings": {"key": "CANARY"}});
    desk.post(&format!("/api/v1/tenants/{tenant}/installations"), body).await;
    let theirs = desk.upload(&other, "theirs", guest::quiet()).await.json();
    desk.paid(&tenant, "37").await;
    let own = visit(&desk, &tenant).await;
    let secret = own.cookie.split('=').nth(1).unwrap();
    let consent =
        format!("/merchant/consent/{}/{}", version["plugin"].as_str().unwrap(), version["version"].as_str().unwrap());
    for path in ["/merchant", &consent] {
        for (language, code) in [("zh", "zh-CN"), ("en", "en")] {
            let page = get(&desk, &format!("{path}?lang={language}"), &own.cookie).await;
            assert_eq!(page.status, StatusCode::OK);
            assert!(page.text.contains(&format!("<html lang=\"{code}\"")), "{}", page.text);
            for hidden in ["CANARY", secret, "fsl_", "<script", "http://", "https://", "style=", "onclick"] {
                assert!(!page.text.contains(hidden), "{hidden} on {path}");
            }
            assert_eq!(page.headers["cache-control"], "no-store");
            assert_eq!(page.headers["referrer-policy"], "no-referrer");
            let policy = page.headers["content-security-policy"].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        }
    }
    let home = get(&desk, "/merchant?lang=en", &own.cookie).await;
    assert!(home.text.contains("When a buyer pays") && home.text.contains("37"), "the run is shown: {}", home.text);
    // Another shop's things, by their ids.
    let theirs =
        format!("/merchant/consent/{}/{}", theirs["plugin"].as_str().unwrap(), theirs["version"].as_str().unwrap());
    assert_eq!(get(&desk, &theirs, &own.cookie).await.status, StatusCode::NOT_FOUND);
    let approve = desk.send(post(&theirs, &own.cookie, format!("proof={}", own.proof))).await;
    assert_eq!(approve.status, StatusCode::NOT_FOUND);
    let style = get(&desk, "/merchant/style.css", "").await;
    assert_eq!(style.headers["content-type"], "text/css; charset=utf-8");
}

#[tokio::test]
async fn names_are_texts_and_never_markup() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let name = json!({"name": "<script>alert(1)</script>", "state": "suspended", "reason": "<b>unpaid</b>"});
    desk.json(axum::http::Method::PATCH, &format!("/api/v1/tenants/{tenant}"), name).await;
    let own = visit(&desk, &tenant).await;
    let page = get(&desk, "/merchant", &own.cookie).await;
    assert!(!page.text.contains("<script") && !page.text.contains("<b>"), "{}", page.text);
    assert!(page.text.contains("suspended"));
}

#[tokio::test]
async fn a_stopped_shop_reads_why_and_since_when_in_its_own_language() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let own = visit(&desk, &tenant).await;
    let chinese = async |cookie: &str| {
        let request = Request::get("/merchant").header("cookie", cookie).header("accept-language", "zh-CN");
        desk.send(request.body(Body::empty()).unwrap()).await.text
    };
    let note = || "CANARY note".to_owned();
    let mut times = Vec::new();
    for (change, zh, en) in [
        (StateChange::Suspended { reason: note() }, "服务商暂停了您的店铺", "Your service provider suspended it"),
        (StateChange::Revoked { reason: note() }, "店铺已取消授权", "authorization was taken back"),
    ] {
        desk.hand.advance(60_000);
        let patch = TenantPatch { state: Some(change), ..TenantPatch::default() };
        desk.tenants.update(tenant.parse().unwrap(), patch).await.unwrap();
        let (zh_page, en_page) = (chinese(&own.cookie).await, get(&desk, "/merchant", &own.cookie).await.text);
        assert!(zh_page.contains(zh) && !zh_page.contains("CANARY"), "{zh_page}");
        assert!(en_page.contains(en) && !en_page.contains("CANARY"), "{en_page}");
        let since = en_page.split("Since ").nth(1).unwrap()[..19].to_owned();
        assert!(since.starts_with("20") && zh_page.contains(&since), "{since}");
        times.push(since);
    }
    assert!(times[0] < times[1], "{times:?}");
    assert!(!get(&desk, "/merchant", &own.cookie).await.text.contains("is suspended"), "it is revoked");
}

#[tokio::test]
async fn another_shops_installation_is_neither_paused_nor_resumed() {
    let desk = Desk::new().await;
    let (tenant, stranger) = (desk.tenant("wxone").await, desk.tenant("wxtwo").await);
    let version = desk.upload(&tenant, "noting", guest::noting()).await.json();
    let body = json!({"plugin": version["plugin"], "version": version["version"], "grants": ["notes"]});
    let installed = desk.post(&format!("/api/v1/tenants/{tenant}/installations"), body).await.json();
    let id = installed["id"].as_str().unwrap();
    let (own, other) = (visit(&desk, &tenant).await, visit(&desk, &stranger).await);
    let state = async || {
        let all = desk.get(&format!("/api/v1/tenants/{tenant}/installations")).await.json();
        all["items"][0]["state"].as_str().unwrap().to_owned()
    };
    let press = async |visit: &Visit, what: &str| {
        let proof = format!("proof={}", visit.proof);
        desk.send(post(&format!("/merchant/installations/{id}/{what}"), &visit.cookie, proof)).await.status
    };
    // A valid session with its valid proof, of another shop.
    assert_eq!((press(&other, "pause").await, state().await.as_str()), (StatusCode::NOT_FOUND, "active"));
    assert_eq!((press(&own, "pause").await, state().await.as_str()), (StatusCode::SEE_OTHER, "paused"));
    assert_eq!((press(&other, "resume").await, state().await.as_str()), (StatusCode::NOT_FOUND, "paused"));
    assert_eq!((press(&own, "resume").await, state().await.as_str()), (StatusCode::SEE_OTHER, "active"));
}
