//! Ten tenants with more to do than there are places: each gets its share of what is done, whatever it offers and whatever its
//! plugin burns. Counted over the first runs that end, while everybody still waits; no time is looked at.
use anyhow::{Context, Result, ensure};
use fangshi_guest_checks::hostile;
use fangshi_harness::{Figures, guest};
use fangshi_platform::{Platform, Settings};
use serde_json::{Value, json};

use fangshi_faults::rooms::{Known, Rooms};

const TENANTS: u64 = 10;
/// What equal tenants are paid at least in common.
const JAIN_EQUAL: f64 = 0.95;
const JAIN_FLOOD: f64 = 0.9;
/// What a tenant may have done at most whose runs cost thirty times as much, of what the others have.
const BURNING_TURNS: f64 = 0.2;

/// `events` in all.
pub fn run(events: u64, figures: &mut Figures) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let small = guest("settings-only")?;
        let offered = |events| Offered { wasm: &small, limits: json!({}), ends: "done", events };
        let each = events / TENANTS;
        let equal = jain(&done(&(0..TENANTS).map(|_| offered(each)).collect::<Vec<_>>()).await?);
        figures.add("jain_equal", format!("{equal:.3}"), "index");
        let others = (1..TENANTS).map(|_| offered(events / 10 / (TENANTS - 1)));
        let flood = jain(&done(&[offered(events * 9 / 10)].into_iter().chain(others).collect::<Vec<_>>()).await?);
        figures.add("jain_flood", format!("{flood:.3}"), "index");

        // About 31 ms a run, by what the turns charge: as fuel, and as calls of the host for next to no fuel.
        let (spin, calls) = (guest("spin")?, hostile::named("loop-clock")?);
        let burning = [(&spin, json!({"fuel": 31_000_000})), (&calls, json!({"border_bytes": 1 << 20}))];
        let burning = burning.map(|(wasm, limits)| Offered { wasm, limits, ends: "limit", events: each });
        let others = (2..TENANTS).map(|_| offered(each));
        let done = done(&burning.into_iter().chain(others).collect::<Vec<_>>()).await?;
        let (burning, others) = done.split_at(2);
        let turns = mean(burning) / mean(others);

        figures.add("jain_beside_burning", format!("{:.3}", jain(others)), "index");
        figures.add("burning_turns", format!("{turns:.3}"), "ratio");
        ensure!(equal >= JAIN_EQUAL, "equal tenants have unequal shares: {equal:.3}");
        ensure!(flood >= JAIN_FLOOD, "one tenant's flood moves the others: {flood:.3}");
        ensure!(jain(others) >= JAIN_EQUAL, "tenants beside burning ones have unequal shares: {:.3}", jain(others));
        ensure!(turns <= BURNING_TURNS, "whose runs cost much has {turns:.3} times as many as the others: {burning:?}");
        Ok(())
    })
}

/// What a tenant brings.
struct Offered<'a> {
    wasm: &'a [u8],
    limits: Value,
    /// How each of its runs ends; those of whom something is expected are done.
    ends: &'static str,
    events: u64,
}

/// What each tenant had done when the smallest of those that are expected to could just have been done with its own.
async fn done(offered: &[Offered<'_>]) -> Result<Vec<f64>> {
    let platform = Platform::start(Settings::default()).await?;
    let folder = tempfile::tempdir()?;
    let rooms = Rooms::open(&platform, folder.path()).await?;
    let mut tenants = Vec::new();
    for (number, one) in (0_u64..).zip(offered) {
        let (appid, user_name) = (format!("wxfair{number:012}"), format!("gh_fair{number:08}"));
        let shop = Known { appid: &appid, user_name: &user_name, access_token: "unused" };
        let tenant = rooms.tenant(shop, one.wasm, one.limits.clone()).await?;
        rooms.many_paid(tenant, 3_700_000_000_000_000_000 + number * 1_000_000, one.events).await?;
        tenants.push(tenant);
    }
    // Nine tenths of what the smallest offers, for each: until then everybody waits.
    let expected: Vec<u64> = offered.iter().filter(|one| one.ends == "done").map(|one| one.events).collect();
    let least = expected.iter().min().copied().unwrap_or_default();
    let mut counted = least * 9 / 10 * expected.len() as u64;
    let mut done = vec![0.0; offered.len()];
    let lanes = rooms.start().await?;
    let mut finished = lanes.finished();
    while counted > 0 {
        let one = finished.recv().await.context("news of a run were lost")?;
        let place = tenants.iter().position(|tenant| *tenant == one.tenant).context("a run of nobody")?;
        let ends = offered[place].ends;
        ensure!(one.outcome == ends, "a run ended as {}", one.outcome);
        done[place] += 1.0;
        counted -= u64::from(ends == "done");
    }
    lanes.stop(std::time::Duration::from_secs(60)).await;
    rooms.close().await;
    let events: Vec<u64> = offered.iter().map(|one| one.events).collect();
    println!("offered {events:?}, of the first done {done:?}");
    Ok(done)
}

fn mean(shares: &[f64]) -> f64 {
    shares.iter().sum::<f64>() / shares.len() as f64
}

/// 1 if all have the same, 1/n if one has everything.
fn jain(shares: &[f64]) -> f64 {
    let (sum, squares): (f64, f64) = (shares.iter().sum(), shares.iter().map(|share| share * share).sum());
    sum * sum / (shares.len() as f64 * squares)
}
