//! Schedules: set with an installation, held against what there may be, and turned into runs by the clock.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use fangshi_lanes::Ticker;
use serde_json::{Value, json};
use support::{Answer, Desk, PUBLIC_URL, guest};

/// 2026-11-23 09:00 in Shanghai, a Monday; unix seconds.
const NINE: i64 = 1_795_395_600;

struct Shop {
    desk: Desk,
    ticker: Ticker,
    id: String,
    version: Value,
}

impl Shop {
    async fn new() -> Shop {
        let desk = Desk::new().await;
        desk.hand.set((NINE - 600) * 1_000);
        let id = desk.tenant("wxone").await;
        let version = desk.upload(&id, "ticking", guest::ticking()).await.json();
        assert_eq!(version["hooks"], json!(["on-schedule"]));
        let ticker = Ticker::new(desk.journal.clone(), desk.lanes.clone());
        Shop { desk, ticker, id, version }
    }

    fn at(&self, rest: &str) -> String {
        format!("/api/v1/tenants/{}/{rest}", self.id)
    }

    async fn install(&self, schedules: Value) -> Answer {
        let body =
            json!({"plugin": "ticking", "version": self.version["version"], "grants": [], "schedules": schedules});
        self.desk.post(&self.at("installations"), body).await
    }

    async fn patch(&self, one: &Value, change: Value) -> Answer {
        let path = self.at(&format!("installations/{}", one["id"].as_str().unwrap()));
        self.desk.json(Method::PATCH, &path, change).await
    }

    /// Sets the clock, looks at it, and waits until nothing is under way. Gives the runs there are, oldest first.
    async fn look_at(&self, unix_s: i64) -> Vec<Value> {
        self.desk.hand.set(unix_s * 1_000);
        self.ticker.look().await.unwrap();
        tokio::time::timeout(Duration::from_secs(60), self.desk.lanes.settle()).await.unwrap();
        let mut runs = self.desk.get(&self.at("runs")).await.json()["items"].as_array().unwrap().clone();
        runs.reverse();
        runs
    }

    async fn skipped(&self) -> Value {
        self.desk.get(&self.at("installations")).await.json()["items"][0]["schedules"][0]["skipped"].clone()
    }
}

#[tokio::test]
async fn a_tick_becomes_a_run_without_an_order_and_only_once() {
    let shop = Shop::new().await;
    let installed = shop.install(json!([{"name": "morning", "cron": "0 9 * * 1-5"}])).await;
    assert_eq!(installed.status, StatusCode::CREATED, "{}", installed.text);
    let one = installed.json();
    let schedule =
        json!({"name": "morning", "cron": "0 9 * * 1-5", "time_zone": "Asia/Shanghai", "next_at": NINE, "skipped": 0});
    assert_eq!((&one["schedules"], &one["warnings"]), (&json!([schedule]), &json!([])));
    // Another installation with the same hook has schedules of its own, and hears no other's.
    let other = shop.install(json!([])).await.json();
    assert!(other["warnings"][0].as_str().unwrap().contains("the clock never calls it"), "{other}");

    assert!(shop.look_at(NINE - 1).await.is_empty());
    let runs = shop.look_at(NINE + 1).await;
    assert_eq!(runs.len(), 1, "{runs:?}");
    let run = &runs[0];
    assert_eq!(
        (&run["hook"], &run["state"], &run["order_id"]),
        (&json!("on-schedule"), &json!("done"), &json!("")),
        "{run}"
    );
    assert_eq!(run["installation"], one["id"]);
    let path = shop.at(&format!("runs/{}", run["id"].as_str().unwrap()));
    let attempt = shop.desk.get(&path).await.json()["attempt_list"][0].clone();
    assert_eq!(attempt["logs"][0]["text"], "morning");
    let raw: Value = serde_json::from_str(attempt["logs"][1]["text"].as_str().unwrap()).unwrap();
    assert_eq!(raw["tick"], json!({"due_at": NINE.to_string(), "name": "morning"}));
    let event = shop.desk.get(&shop.at("events")).await.json()["items"][0].clone();
    assert_eq!(
        (&event["source"], &event["order_id"], &event["created_at"]),
        (&json!("schedule"), &json!(""), &json!(NINE))
    );

    assert_eq!(shop.look_at(NINE + 2).await.len(), 1);
    // The clock is set back and comes to the same time again: the tick was run.
    shop.look_at(NINE - 500).await;
    assert_eq!(shop.look_at(NINE + 3).await.len(), 1);
    // The next working day.
    assert_eq!(shop.look_at(NINE + 86_400).await.len(), 2);

    // What looks back copes with it.
    let replayed = shop.desk.post(&format!("{path}/replay"), json!({})).await;
    assert_eq!(replayed.json()["verdict"]["verdict"], "same", "{}", replayed.text);
    let tried = |of: &Value| json!({"installation": of["id"], "version": shop.version["version"], "events": 10});
    let tested = shop.desk.post(&shop.at("backtests"), tried(&one)).await;
    assert_eq!(tested.json()["events"], 2, "{}", tested.text);
    let tested = shop.desk.post(&shop.at("backtests"), tried(&other)).await;
    assert_eq!(tested.json()["events"], 0, "ticks of another's schedule: {}", tested.text);
    let export = shop.desk.get(&shop.at("export")).await.text;
    assert!(export.contains("\"source\":\"schedule\"") && !export.contains("schedule/i"), "{export}");
}

#[tokio::test]
async fn of_what_was_missed_the_latest_is_run_and_what_does_not_work_is_skipped() {
    let shop = Shop::new().await;
    let one = shop.install(json!([{"name": "quarter", "cron": "*/15 * * * *", "time_zone": "UTC"}])).await.json();
    // The host was down from before nine until after twelve.
    let runs = shop.look_at(NINE + 3 * 3_600 + 60).await;
    assert_eq!(runs.len(), 1, "{runs:?}");
    let event = shop.desk.get(&shop.at("events")).await.json()["items"][0].clone();
    assert_eq!(event["created_at"], NINE + 3 * 3_600, "the latest of them");
    assert_eq!(shop.skipped().await, 12);

    assert_eq!(shop.patch(&one, json!({"state": "paused"})).await.status, StatusCode::OK);
    assert_eq!(shop.look_at(NINE + 4 * 3_600).await.len(), 1);
    assert_eq!(shop.skipped().await, 16);
    // Resumed after a time in which nobody looked: nothing is made up for.
    shop.desk.hand.set((NINE + 5 * 3_600 + 60) * 1_000);
    assert_eq!(shop.patch(&one, json!({"state": "active"})).await.status, StatusCode::OK);
    assert_eq!(shop.look_at(NINE + 5 * 3_600 + 61).await.len(), 1);
    assert_eq!(shop.look_at(NINE + 5 * 3_600 + 900).await.len(), 2);

    let suspend = |state: &str| json!({"state": state, "reason": "a test"});
    let tenant = format!("/api/v1/tenants/{}", shop.id);
    let suspended = shop.desk.json(Method::PATCH, &tenant, suspend("suspended")).await;
    assert_eq!(suspended.status, StatusCode::OK, "{}", suspended.text);
    assert_eq!(shop.look_at(NINE + 6 * 3_600).await.len(), 2);
    let resumed = shop.desk.json(Method::PATCH, &tenant, json!({"state": "active"})).await;
    assert_eq!(resumed.status, StatusCode::OK, "{}", resumed.text);
    assert_eq!(shop.look_at(NINE + 6 * 3_600 + 60).await.len(), 2, "none were piled up");

    // Removed: its schedules go with it.
    let path = shop.at(&format!("installations/{}", one["id"].as_str().unwrap()));
    let removed = shop.desk.with_token(Method::DELETE, &path, None, axum::body::Body::empty()).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{}", removed.text);
    assert_eq!(shop.look_at(NINE + 9 * 3_600).await.len(), 2);
}

#[tokio::test]
async fn a_tick_that_is_not_done_holds_up_its_own_schedule_alone() {
    let shop = Shop::new().await;
    let lagging = shop.desk.upload(&shop.id, "lagging", guest::lagging()).await.json();
    let schedules = json!([{"name": "often", "cron": "* * * * *"}, {"name": "nine", "cron": "1 9 * * *"}]);
    let body = json!({"plugin": "lagging", "version": lagging["version"], "grants": [], "schedules": schedules});
    assert_eq!(shop.desk.post(&shop.at("installations"), body).await.status, StatusCode::CREATED);
    let runs = shop.look_at(NINE).await;
    assert_eq!((runs.len(), &runs[0]["state"]), (1, &json!("waiting")), "{runs:?}");
    let runs = shop.look_at(NINE + 60).await;
    assert_eq!(runs.len(), 2, "the other schedule's tick, and no second one of the first: {runs:?}");
    let shown = shop.desk.get(&shop.at("installations")).await.json()["items"][0]["schedules"].clone();
    assert_eq!((&shown[0]["name"], &shown[0]["skipped"]), (&json!("nine"), &json!(0)), "{shown}");
    // What was missed before the first look, and the one that came too early.
    assert_eq!((&shown[1]["name"], &shown[1]["skipped"]), (&json!("often"), &json!(9 + 1)), "{shown}");

    let quiet = shop.desk.upload(&shop.id, "quiet", guest::quiet()).await.json();
    let body = json!({"plugin": "quiet", "version": quiet["version"], "grants": []});
    assert_eq!(shop.desk.post(&shop.at("installations"), body).await.status, StatusCode::CREATED);
    shop.desk.paid(&shop.id, "3732676853715311104").await;
    let runs = shop.desk.get(&shop.at("runs?order_id=3732676853715311104")).await.json();
    assert_eq!(runs["items"][0]["state"], "done", "{runs}");
}

#[tokio::test]
async fn several_looks_at_once_make_one_run() {
    let shop = Shop::new().await;
    shop.install(json!([{"name": "nine", "cron": "0 9 * * *"}])).await;
    shop.desk.hand.set(NINE * 1_000);
    let looks: Vec<_> = (0..4)
        .map(|_| {
            // As other processes on the same store would.
            let ticker = Ticker::new(shop.desk.journal.clone(), shop.desk.lanes.clone());
            tokio::spawn(async move { ticker.look().await.unwrap() })
        })
        .collect();
    let mut made = 0;
    for look in looks {
        made += usize::from(look.await.unwrap().made);
    }
    assert_eq!(made, 1);
    assert_eq!(shop.look_at(NINE).await.len(), 1);
}

#[tokio::test]
async fn a_schedule_that_cannot_be_is_told_with_what_is_expected() {
    let shop = Shop::new().await;
    for (schedules, part) in [
        (json!([{"name": "a", "cron": "0 9 * *"}]), "expected five fields"),
        (json!([{"name": "a", "cron": "0 25 * * *"}]), "expected five fields"),
        (json!([{"name": "a", "cron": "0 9 * * *", "time_zone": "Shanghai"}]), "such as `Asia/Shanghai`"),
        (json!([{"name": "A B", "cron": "0 9 * * *"}]), "`name` must be"),
        (json!([{"name": "a", "cron": "0 9 30 2 *"}]), "never comes"),
        (json!([{"cron": "0 9 * * *"}]), "name"),
    ] {
        let refused = shop.install(schedules.clone()).await;
        assert_eq!(refused.refusal(422), "invalid-body", "{schedules}");
        assert!(refused.text.contains(part), "{schedules}: {}", refused.text);
    }
    let one = shop.install(json!([{"name": "a", "cron": "0 9 * * *"}])).await.json();
    // A schedule that stays goes on from where it stands; another replaces what is not given again.
    let both = json!([{"name": "a", "cron": "0 9 * * *"}, {"name": "b", "cron": "0 0 1 * *", "time_zone": "America/New_York"}]);
    let changed = shop.patch(&one, json!({"schedules": both})).await.json();
    assert_eq!(changed["schedules"].as_array().unwrap().len(), 2, "{changed}");
    // A version that the clock does not call has none.
    let quiet = shop.desk.upload(&shop.id, "ticking", guest::quiet()).await.json();
    let refused = shop.patch(&one, json!({"version": quiet["version"]})).await;
    assert_eq!(refused.refusal(422), "invalid-body");
    assert!(refused.text.contains("does not export `on-schedule`"), "{}", refused.text);
    let replaced = shop.patch(&one, json!({"version": quiet["version"], "schedules": []})).await.json();
    assert_eq!((&replaced["schedules"], &replaced["warnings"]), (&json!([]), &json!([])));
    let refused = shop.patch(&one, json!({"schedules": [{"name": "a", "cron": "0 9 * * *"}]})).await;
    assert!(refused.text.contains("does not export"), "{}", refused.text);
    let audit = shop.desk.get("/api/v1/audit").await.text;
    assert!(audit.contains("schedules"), "the audit tells what changed: {audit}");
}

#[tokio::test]
async fn ticks_of_one_moment_are_written_together_and_no_tenant_waits_for_the_others() {
    let shop = Shop::new().await;
    let many: Vec<Value> = (0..10).map(|at| json!({"name": format!("n{at}"), "cron": "0 9 * * *"})).collect();
    for _ in 0..8 {
        assert_eq!(shop.install(json!(many)).await.status, StatusCode::CREATED);
    }
    let other = shop.desk.tenant("wxtwo").await;
    let version = shop.desk.upload(&other, "ticking", guest::ticking()).await.json();
    let body = json!({"plugin": "ticking", "version": version["version"], "grants": [], "schedules": many[..1]});
    let made = shop.desk.post(&format!("/api/v1/tenants/{other}/installations"), body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let first = shop.desk.journal.due_schedules(NINE * 1_000, 2).await.unwrap();
    assert_eq!(first.iter().filter(|due| due.tenant.to_string() == other).count(), 1, "one of each tenant: {first:?}");

    // While the writer is held up, as many ticks as may wait for it together.
    let writer = shop.desk.database.writer().clone();
    let ((begun, has_begun), (open, gate)) = (tokio::sync::oneshot::channel(), tokio::sync::oneshot::channel::<()>());
    let held = tokio::spawn(async move {
        let held = writer.submit(move |_| {
            Box::pin(async move {
                begun.send(()).unwrap();
                gate.await.unwrap();
                Ok::<_, fangshi_database::WriteError>(())
            })
        });
        held.await.unwrap();
    });
    has_begun.await.unwrap();
    shop.desk.hand.set(NINE * 1_000);
    let ticker = shop.ticker.clone();
    let looking = tokio::spawn(async move { ticker.look().await.unwrap() });
    let stats = || shop.desk.database.writer().stats();
    tokio::time::timeout(Duration::from_secs(60), async {
        while stats().waiting < 64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("they wait one for the other");
    open.send(()).unwrap();
    held.await.unwrap();
    assert!(looking.await.unwrap().made);
    tokio::time::timeout(Duration::from_secs(60), shop.desk.lanes.settle()).await.unwrap();
    let runs = shop.desk.get(&shop.at("runs?limit=200")).await.json()["items"].as_array().unwrap().clone();
    assert_eq!(runs.len(), 80);
    assert!(runs.iter().all(|run| run["state"] == "done"), "{runs:?}");
}

#[tokio::test]
async fn the_merchant_sets_times_on_the_page() {
    let shop = Shop::new().await;
    let one = shop.install(json!([])).await.json();
    let link = shop.desk.post(&shop.at("links"), json!({"purpose": "times"})).await.json();
    let path = link["url"].as_str().unwrap().strip_prefix(PUBLIC_URL).unwrap().to_owned();
    let entered = shop.desk.send(Request::post(path).body(Body::empty()).unwrap()).await;
    let cookie = entered.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let get = |path: String| Request::get(path).header("cookie", &cookie).header("accept-language", "en");
    let page = |path: &str| shop.desk.send(get(path.to_owned()).body(Body::empty()).unwrap());
    let home = page("/merchant").await.text;
    assert!(home.contains("At the times that you set") && home.contains("no times are set"), "{home}");
    let proof = home.split("name=\"proof\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let form = format!("/merchant/installations/{}/settings", one["id"].as_str().unwrap());
    assert!(page(&form).await.text.contains("Asia/Shanghai"));
    let send = |fields: &str| {
        let request = Request::post(&form).header("cookie", &cookie).header("accept-language", "en");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let version = shop.version["version"].as_str().unwrap();
        shop.desk.send(request.body(Body::from(format!("proof={proof}&version={version}&{fields}"))).unwrap())
    };
    let wrong = send("schedule-0=morning&cron-0=often&zone-0=").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("expected five fields") && wrong.text.contains("value=\"often\""), "{}", wrong.text);
    let saved = send("schedule-0=morning&cron-0=0+9+*+*+1-5&zone-0=&schedule-1=&cron-1=&zone-1=Asia/Shanghai").await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let shown = page(&form).await.text;
    assert!(shown.contains("2026-11-23 09:00:00"), "the next one: {shown}");
    assert_eq!(send("schedule-0=&cron-0=&zone-0=Asia/Shanghai").await.status, StatusCode::SEE_OTHER);
    let left = shop.desk.get(&shop.at("installations")).await.json()["items"][0]["schedules"].clone();
    assert_eq!(left, json!([]));
}
