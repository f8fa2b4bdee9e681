//! A thousand orders live through their changes while 30 % of the pushes are lost, doubled and late. After reconciliation every
//! plugin has seen every change once.
//!
//! The expectation comes from the platform's ledger of raised events, lost ones included; what plugins saw from the runs in the
//! host's store. Between two passes no part of an order changes twice, so that every net change is one raised event.
use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use fangshi_harness::{Admin, Figures, HostConfig, HostProcess, guest};
use fangshi_platform::{
    Address, By, NewItem, NewOrder, NewShop, Package, Packed, Platform, PushFaults, Settings, Step,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

const SHOPS: usize = 10;
const ORDERS: usize = 1_000;
/// Steps of every order between two passes, and how often.
const ROUNDS: usize = 6;
const STEPS: usize = 3;
const GRACE_S: i64 = 2;
const INTERVAL_S: i64 = 4;
/// How late a push may be, seconds: later than several passes.
const LATE_S: i64 = 12;
/// Looks at the host before the test gives up; one every 250 ms.
const PATIENCE: usize = 2_400;

/// (order, Event, type) and how often.
type Counts = BTreeMap<(String, String, Option<i64>), i64>;

pub fn run(seed: u64, figures: &mut Figures) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(live(seed, figures))
}

async fn live(seed: u64, figures: &mut Figures) -> Result<()> {
    let mut dice = StdRng::seed_from_u64(seed);
    let platform = Platform::start(Settings { seed, ticket_every_s: None, ..Settings::default() }).await?;
    let folder = tempfile::tempdir()?;
    let extra = format!(
        "\n[reconcile]\ninterval_seconds = {INTERVAL_S}\ncalls_per_minute = 6000\ncalls_per_day = 10000000\ngrace_seconds = {GRACE_S}\nfull_days = 1\n"
    );
    let host = HostProcess::start(folder.path(), &HostConfig::of(&platform, &extra))?;
    let admin = host.admin();
    platform.point_at(&host.address);
    let (appids, tenants) = open_shops(&platform, &admin).await?;
    // The first standing is what tells orders from before.
    for tenant in &tenants {
        passed(&admin, tenant, 0).await?;
    }

    platform.configure(|settings| {
        settings.push_faults = PushFaults { drop: 0.3, duplicate: 0.3, reorder: 0.3, reorder_within_s: LATE_S };
    });
    let mut orders: Vec<String> = Vec::new();
    for n in 0..ORDERS {
        let items = vec![NewItem { sku_cnt: 2, ..NewItem::default() }];
        orders.push(platform.add_order(&appids[n % SHOPS], NewOrder { items, ..NewOrder::default() })?);
    }
    let store = folder.path().join("data/fangshi.db");
    let (mut refused, mut tally) = (0, Tally::default());
    for round in 0..ROUNDS {
        let mut changed: Vec<Vec<i64>> = vec![Vec::new(); orders.len()];
        for _ in 0..STEPS {
            for (order, changed) in orders.iter().zip(&mut changed) {
                if let Some(step) = draw(&mut dice, &platform, order, changed, round > 0)? {
                    refused += usize::from(platform.drive(order, step).is_err());
                }
            }
        }
        reconciled(&admin, &platform, &orders, &tenants).await?;
        idle(&admin).await?;
        // By now each change so far was seen once, be it by its callback or by reading. At the end alone one that was missed
        // here and another that was repeated later would cancel out.
        let (missed, repeated) = tally.look(&raised(&platform), &seen(&store).await?)?;
        println!(
            "round {}: {} pushes raised; {missed} changes missed, {repeated} repeated",
            round + 1,
            platform.ledger().pushes.len()
        );
    }
    // Whatever is late comes in, and changes nothing any more.
    platform.drained().await;
    reconciled(&admin, &platform, &orders, &tenants).await?;
    idle(&admin).await?;
    let made = made(&admin, &tenants).await?;
    host.terminate()?;

    let raised = raised(&platform);
    let changes: i64 = raised.values().sum();
    ensure!(changes > 3 * ORDERS as i64, "the orders lived through {changes} changes alone");
    tally.look(&raised, &seen(&store).await?)?;
    let Tally { missed, repeated } = tally;
    let ledger = platform.ledger();
    let lost = ledger.pushes.iter().filter(|push| push.attempts.is_empty() && push.event.is_some()).count();
    figures.add("changes", changes, "changes");
    figures.add("pushes_lost", lost, "pushes");
    figures.add("steps_refused", refused, "steps");
    figures.add("events_reconciled", made, "events");
    figures.add("callbacks_absorbed", absorbed(&store).await?, "callbacks");
    figures.add("changes_missed", missed, "changes");
    figures.add("changes_repeated", repeated, "changes");
    ensure!(missed == 0 && repeated == 0, "{missed} changes missed, {repeated} repeated (seed {seed})");
    Ok(())
}

/// The most that was missed, and repeated, at any look.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    missed: i64,
    repeated: i64,
}

impl Tally {
    /// Holds all that the platform raised so far against what plugins saw so far; gives what was missed and repeated by now.
    fn look(&mut self, raised: &Counts, seen: &BTreeMap<i64, Counts>) -> Result<(i64, i64)> {
        ensure!(seen.len() == 2 * SHOPS, "{} of {} plugins saw anything", seen.len(), 2 * SHOPS);
        // Each shop has two plugins, and each of the two hears all of its shop's orders.
        let (first, second) = halves(seen);
        let missed = excess(raised, &first).max(excess(raised, &second));
        let repeated = excess(&first, raised).max(excess(&second, raised));
        for (plugin, counts) in [("first", &first), ("second", &second)] {
            tell(plugin, raised, counts);
        }
        self.missed = self.missed.max(missed);
        self.repeated = self.repeated.max(repeated);
        Ok((missed, repeated))
    }
}

/// Shops with their tenants, each with two plugins that hear every hook.
async fn open_shops(platform: &Platform, admin: &Admin) -> Result<(Vec<String>, Vec<String>)> {
    let wasm = guest("all-hooks")?;
    let (mut appids, mut tenants) = (Vec::new(), Vec::new());
    for _ in 0..SHOPS {
        let shop = platform.add_shop(NewShop::authorized())?;
        let issued = platform.issue_tokens(&shop.appid)?;
        let body = json!({"platform": "weixin", "kind": "authorized", "appid": shop.appid, "user_name": shop.user_name,
            "name": shop.appid, "access_token": issued.access(), "refresh_token": issued.refresh()});
        let tenant = admin.post("/api/v1/tenants", &body).await?["id"].as_str().context("no id")?.to_owned();
        for name in ["first", "second"] {
            let uploaded = admin.upload(&tenant, name, wasm.clone()).await?;
            let asked: Vec<&str> = uploaded["grants"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|grant| grant["name"].as_str())
                .collect();
            admin.install(&tenant, &uploaded, &asked, json!({})).await?;
        }
        appids.push(shop.appid);
        tenants.push(tenant);
    }
    Ok((appids, tenants))
}

/// A step that the order's state allows, of a kind that did not change since the last pass. Which address an order had before it
/// was `read` for the first time nobody can tell.
fn draw(
    dice: &mut StdRng,
    platform: &Platform,
    order: &str,
    changed: &mut Vec<i64>,
    read: bool,
) -> Result<Option<Step>> {
    let shown = platform.order(order).context("the platform lost an order")?;
    let detail = &shown["order_detail"];
    let status = shown["status"].as_i64().unwrap_or_default();
    let shipping = -1;
    let settled = detail["settle_info"]["settle_time"].is_number();
    let (kind, step) = match (dice.random_range(0..9), status) {
        (0..4, 10) => (0, Step::Pay),
        (4, 10) => (0, Step::Cancel { by: By::User }),
        (0, 20) => (shipping, Step::Ship { packages: vec![half(&shown)] }),
        (1..4, 20 | 21) => {
            (shipping, Step::ShipAll { delivery_id: "SF".to_owned(), waybill_id: "SF3262259346637".to_owned() })
        }
        (4, 20) => (5, Step::AllocateNumber),
        (0..4, 30) => (0, Step::Confirm { by: By::Timeout }),
        (0..3, 100) if !settled => (0, Step::Settle),
        (3, 100) => (0, Step::RefundAll),
        (5, 10 | 20) if read => {
            let address = Address { house_number: dice.random_range(1..1_000_000).to_string(), ..Address::default() };
            (2, Step::AskAddress { address })
        }
        (6 | 7, _) => (3, Step::WriteNote { notes: dice.random_range(0..1_000_000).to_string() }),
        _ => return Ok(None),
    };
    if kind != 0 && changed.contains(&kind) {
        return Ok(None);
    }
    changed.push(kind);
    Ok(Some(step))
}

/// One of the two units.
fn half(order: &Value) -> Package {
    let product = &order["order_detail"]["product_infos"][0];
    let text = |name: &str| product[name].as_str().unwrap_or_default().to_owned();
    Package {
        delivery_id: "ZTO".to_owned(),
        waybill_id: "ZTO78322".to_owned(),
        deliver_type: 1,
        product_infos: vec![Packed { product_id: text("product_id"), sku_id: text("sku_id"), product_cnt: 1 }],
    }
}

/// Waits for a pass of every tenant that has looked at every update that there is.
async fn reconciled(admin: &Admin, platform: &Platform, orders: &[String], tenants: &[String]) -> Result<()> {
    let updated = orders.iter().filter_map(|order| platform.order(order)?["update_time"].as_i64()).max().unwrap_or(0);
    for tenant in tenants {
        passed(admin, tenant, updated + 1).await?;
    }
    Ok(())
}

/// Waits until a tenant's incremental pass ended that looked at everything up to this time, unix seconds.
async fn passed(admin: &Admin, tenant: &str, until_s: i64) -> Result<()> {
    for _ in 0..PATIENCE {
        let shown = admin.get(&format!("/api/v1/tenants/{tenant}/reconciliation")).await?;
        let last = &shown["incremental"]["last"];
        if last["outcome"] == "done" && last["until"].as_i64().is_some_and(|until| until >= until_s) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    anyhow::bail!("the passes of {tenant} do not come to {until_s}")
}

/// Waits until the host has no unfinished event.
async fn idle(admin: &Admin) -> Result<()> {
    for _ in 0..PATIENCE {
        if admin.get("/readyz").await?["backlog"]["events"].as_i64() == Some(0) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    anyhow::bail!("the backlog does not reach zero")
}

/// Reconciled events of all tenants.
async fn made(admin: &Admin, tenants: &[String]) -> Result<usize> {
    let mut made = 0;
    for tenant in tenants {
        let events = admin.all(&format!("/api/v1/tenants/{tenant}/events")).await?;
        made += events.iter().filter(|event| event["source"] == "reconciled").count();
    }
    Ok(made)
}

/// What the platform raised, each event once, however often it was pushed.
fn raised(platform: &Platform) -> Counts {
    let mut raised = Counts::new();
    let mut last = None;
    for push in platform.ledger().pushes {
        let Some(event) = push.event else { continue };
        // The second copy of a doubled push follows the first.
        if last.as_ref() == Some(&event) {
            last = None;
            continue;
        }
        let ext_type = match event.event {
            fangshi_platform::OrderEvent::ExtInfo { ext_type } => Some(ext_type),
            _ => None,
        };
        *raised.entry((event.order_id.clone(), push.name, ext_type)).or_default() += 1;
        last = Some(event);
    }
    raised
}

/// By installation: what it was given, by its finished runs.
async fn seen(database: &Path) -> Result<BTreeMap<i64, Counts>> {
    let rows: Vec<(i64, String, String, Option<i64>, i64)> = sqlx::query_as(
        "SELECT r.installation_id, e.order_id, e.event, e.ext_type, count(*) FROM runs r JOIN events e ON e.seq = r.event_seq \
         WHERE r.state = 2 GROUP BY r.installation_id, e.order_id, e.event, e.ext_type",
    )
    .fetch_all(&open(database).await?)
    .await?;
    let mut seen: BTreeMap<i64, Counts> = BTreeMap::new();
    for (installation, order, event, ext_type, count) in rows {
        seen.entry(installation).or_default().insert((order, event, ext_type), count);
    }
    Ok(seen)
}

/// What the first and the second plugins of all shops saw.
fn halves(seen: &BTreeMap<i64, Counts>) -> (Counts, Counts) {
    let mut halves = (Counts::new(), Counts::new());
    // Installations are numbered as they were made: first, second, first, …
    for (place, counts) in seen.values().enumerate() {
        let half = if place % 2 == 0 { &mut halves.0 } else { &mut halves.1 };
        half.extend(counts.iter().map(|(key, count)| (key.clone(), *count)));
    }
    halves
}

async fn absorbed(database: &Path) -> Result<i64> {
    let absorbed = sqlx::query_scalar("SELECT count(*) FROM reconciled WHERE matched_by IS NOT NULL");
    Ok(absorbed.fetch_one(&open(database).await?).await?)
}

async fn open(database: &Path) -> Result<sqlx::SqlitePool> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database).read_only(true);
    Ok(sqlx::SqlitePool::connect_with(options).await?)
}

/// How many of the one are not in the other.
fn excess(of: &Counts, over: &Counts) -> i64 {
    of.iter().map(|(key, count)| (count - over.get(key).copied().unwrap_or(0)).max(0)).sum()
}

/// Prints the first few differences.
fn tell(plugin: &str, raised: &Counts, seen: &Counts) {
    let keys: std::collections::BTreeSet<_> = raised.keys().chain(seen.keys()).collect();
    let count = |of: &Counts, key| of.get(key).copied().unwrap_or(0);
    for key in keys.into_iter().filter(|key| count(raised, key) != count(seen, key)).take(5) {
        println!("{plugin} plugin: {key:?} raised {}, seen {}", count(raised, key), count(seen, key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_was_missed_and_another_that_was_repeated_do_not_cancel_out() {
        let noted = |times| Counts::from([(("1".to_owned(), "noted".to_owned(), Some(3)), times)]);
        let plugins = |times| (0..2 * SHOPS as i64).map(|id| (id, noted(times))).collect::<BTreeMap<_, _>>();
        let mut tally = Tally::default();
        assert_eq!(tally.look(&noted(1), &plugins(1)).unwrap(), (0, 0));
        assert_eq!(tally.look(&noted(2), &plugins(1)).unwrap(), (1, 0), "the second was missed");
        assert_eq!(tally.look(&noted(2), &plugins(2)).unwrap(), (0, 0), "the first was repeated");
        assert_eq!(tally, Tally { missed: 1, repeated: 0 });
        let mut tally = Tally::default();
        assert_eq!(tally.look(&noted(1), &plugins(2)).unwrap(), (0, 1));
        assert_eq!(tally.look(&noted(2), &plugins(2)).unwrap(), (0, 0));
        assert_eq!(tally, Tally { missed: 0, repeated: 1 });
        assert!(tally.look(&noted(1), &BTreeMap::new()).is_err(), "plugins that saw nothing");
    }
}
