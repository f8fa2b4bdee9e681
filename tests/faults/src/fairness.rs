//! Ten tenants with more to do than there are places: each gets its share of what is done, whatever it offers. Counted over the
//! first runs that end, while everybody still waits; no time is looked at.
use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use fangshi_database::TenantId;
use fangshi_harness::{Figures, guest};
use fangshi_platform::{Platform, Settings};
use serde_json::json;

use fangshi_faults::rooms::{Known, Rooms};

const TENANTS: u64 = 10;
/// What equal tenants are paid at least in common.
const JAIN_EQUAL: f64 = 0.95;
const JAIN_FLOOD: f64 = 0.9;

/// `events` in all.
pub fn run(events: u64, figures: &mut Figures) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let equal = shares(&[events / TENANTS; TENANTS as usize]).await?;
        let mut offered = [events / 10 / (TENANTS - 1); TENANTS as usize];
        offered[0] = events * 9 / 10;
        let flood = shares(&offered).await?;
        figures.add("jain_equal", format!("{equal:.3}"), "index");
        figures.add("jain_flood", format!("{flood:.3}"), "index");
        ensure!(equal >= JAIN_EQUAL, "equal tenants have unequal shares: {equal:.3}");
        ensure!(flood >= JAIN_FLOOD, "one tenant's flood moves the others: {flood:.3}");
        Ok(())
    })
}

/// Jain's index of what each tenant had done when the smallest could just have been done with its own.
async fn shares(offered: &[u64]) -> Result<f64> {
    let platform = Platform::start(Settings::default()).await?;
    let folder = tempfile::tempdir()?;
    let rooms = Rooms::open(&platform, folder.path()).await?;
    let wasm = guest("settings-only")?;
    let mut done: BTreeMap<TenantId, u64> = BTreeMap::new();
    for (number, count) in (0_u64..).zip(offered) {
        let (appid, user_name) = (format!("wxfair{number:012}"), format!("gh_fair{number:08}"));
        let shop = Known { appid: &appid, user_name: &user_name, access_token: "unused" };
        let tenant = rooms.tenant(shop, &wasm, json!({})).await?;
        rooms.many_paid(tenant, 3_700_000_000_000_000_000 + number * 1_000_000, *count).await?;
        done.insert(tenant, 0);
    }
    // Nine tenths of what the smallest offers, for each: until then everybody waits.
    let least = offered.iter().min().copied().unwrap_or_default();
    let counted = least * 9 / 10 * offered.len() as u64;
    let lanes = rooms.start().await?;
    let mut finished = lanes.finished();
    for _ in 0..counted {
        let one = finished.recv().await.context("news of a run were lost")?;
        ensure!(one.outcome == "done", "a run ended as {}", one.outcome);
        *done.entry(one.tenant).or_default() += 1;
    }
    lanes.stop(std::time::Duration::from_secs(60)).await;
    rooms.close().await;
    let done: Vec<f64> = done.into_values().map(|runs| runs as f64).collect();
    println!("offered {offered:?}, of the first {counted} done {done:?}");
    Ok(jain(&done))
}

/// 1 if all have the same, 1/n if one has everything.
fn jain(shares: &[f64]) -> f64 {
    let (sum, squares): (f64, f64) = (shares.iter().sum(), shares.iter().map(|share| share * share).sum());
    sum * sum / (shares.len() as f64 * squares)
}
