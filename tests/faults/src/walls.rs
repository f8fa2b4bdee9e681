//! Hostile plugins: each is contained, the host's memory does not grow, and a healthy neighbour hardly notices.
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fangshi_guest_checks::Stage;
use fangshi_guest_checks::hostile::{self, Hostile};
use fangshi_harness::{Figures, guest, median};
use fangshi_lanes::Lanes;
use fangshi_platform::{NewOrder, NewShop, Platform, Settings, Step};
use fangshi_runtime::{Manifest, Plugin, Runtime, RuntimeConfig};
use serde_json::{Value, json};

use fangshi_faults::rooms::{Known, Rooms};

/// The platform's time for an answer.
const ANSWERS_AFTER: Duration = Duration::from_millis(20);
/// What the neighbour is offered of what it can do.
const OFFERED: f64 = 0.2;
const REPETITIONS: usize = 3;
/// Fuel of a hostile run among the thousands: it is about what is left behind, not about how long it takes.
const FUEL: u64 = 200_000;
const RSS_GROWTH: f64 = 5.0;
const P99_RATIO: f64 = 1.5;

/// `runs` hostile ones, and `events` of the neighbour a phase.
pub fn run(runs: usize, events: usize, figures: &mut Figures) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let contained = runtime.block_on(contained(figures));
    let growth = runtime.block_on(growth(runs, figures));
    let ratio = runtime.block_on(neighbour(events, figures));
    contained.and(growth).and(ratio)
}

fn sandbox() -> Result<Runtime> {
    Ok(Runtime::new(RuntimeConfig { max_concurrent_runs: 8, ..RuntimeConfig::default() })?)
}

/// Each guest once, with all that it may use: it must end as its file says.
async fn contained(figures: &mut Figures) -> Result<()> {
    let (runtime, stage, guests) = (sandbox()?, Stage::new()?, hostile::all()?);
    let mut contained = 0;
    for guest in &guests {
        let end = guest.play(&runtime, &stage).await?;
        match guest.check(&end) {
            Ok(()) => contained += 1,
            Err(stray) => println!("{}: {stray}", guest.name),
        }
    }
    figures.add("guests_contained", contained, "guests");
    figures.add("guests_tried", guests.len(), "guests");
    ensure!(contained == guests.len(), "{} guests were not contained", guests.len() - contained);
    Ok(())
}

/// What is loaded once and run again and again.
struct Loaded {
    guest: Hostile,
    plugin: Option<(Arc<Plugin>, Manifest)>,
}

/// Thousands of runs: the memory of the process afterwards over that when all guests had run.
async fn growth(runs: usize, figures: &mut Figures) -> Result<()> {
    let (runtime, stage) = (sandbox()?, Stage::new()?);
    let mut all = Vec::new();
    for mut guest in hostile::all()?.into_iter().filter(|guest| !guest.waits()) {
        guest.limits.fuel = guest.limits.fuel.min(FUEL);
        let plugin = match runtime.inspect(&guest.wasm) {
            Ok(manifest) => match runtime.load_bytes(guest.wasm.clone()).await {
                Ok(plugin) => Some((plugin, manifest)),
                // What the compiler refuses it refuses each time; once is enough.
                Err(_) => continue,
            },
            Err(_) => None,
        };
        all.push(Loaded { guest, plugin });
    }
    let mut before = 0;
    let warm = all.len() * 8;
    for (number, one) in all.iter().cycle().take(warm + runs).enumerate() {
        if number == warm {
            before = resident()?;
        }
        match &one.plugin {
            Some((plugin, manifest)) => {
                let (limits, script, pace) = (one.guest.limits.clone(), one.guest.script, one.guest.pace);
                let stage = Stage { limits, script, pace, ..stage.clone() };
                let played = stage.run(&runtime, plugin, manifest, &one.guest.hook).await?;
                hostile::within(&played.report, &one.guest.limits).with_context(|| one.guest.name.clone())?;
            }
            None => ensure!(runtime.inspect(&one.guest.wasm).is_err(), "{} was refused before", one.guest.name),
        }
    }
    let after = resident()?;
    let growth = (after as f64 - before as f64) / before as f64 * 100.0;
    println!("{runs} hostile runs: {before} KiB before, {after} KiB after");
    figures.add("hostile_runs", runs, "runs");
    figures.add("rss_growth_percent", format!("{growth:.2}"), "percent");
    ensure!(growth <= RSS_GROWTH, "the process grew by {growth:.2} %");
    Ok(())
}

/// Resident memory of this process, KiB.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.trim().trim_end_matches(" kB").parse().context("VmRSS")
}

/// Whom the neighbour is beside: one who burns fuel, and one who burns as good as none and has the host work instead, as long as
/// any limit lets it.
fn mean() -> Result<[Mean; 2]> {
    let spinning = Mean { figure: "", wasm: guest("spin")?, limits: json!({}) };
    let (wasm, limits) = (hostile::named("loop-setting-names")?, json!({"border_bytes": 256 << 20}));
    Ok([spinning, Mean { figure: "_host_work", wasm, limits }])
}

/// A plugin that means harm to its neighbours.
struct Mean {
    /// How the names of its figures end.
    figure: &'static str,
    wasm: Vec<u8>,
    limits: Value,
}

/// The 99th percentile of a neighbour's runs, from the durable event to the run's end, beside hostile runs at their cap over
/// the same alone; in turns.
async fn neighbour(events: usize, figures: &mut Figures) -> Result<()> {
    let settings = Settings { latency: ANSWERS_AFTER, ..Settings::default() };
    let platform = Platform::start(settings).await?;
    let code = tempfile::tempdir()?;
    let capacity = {
        let scene = Scene::open(&platform, code.path(), None).await?;
        let begun = Instant::now();
        scene.offer(events, None).await?;
        let rate = events as f64 / begun.elapsed().as_secs_f64();
        scene.close().await;
        rate
    };
    let every = Duration::from_secs_f64(1.0 / (capacity * OFFERED));
    println!("capacity of the neighbour {capacity:.0} runs/s, offered one every {} ms", every.as_millis());
    figures.add("neighbour_capacity", format!("{capacity:.0}"), "runs/s");
    let mean = mean()?;
    let (mut alone_all, mut beside_all) = (Vec::new(), [Vec::new(), Vec::new()]);
    for _ in 0..REPETITIONS {
        let p99 = async |mean: Option<&Mean>| {
            let scene = Scene::open(&platform, code.path(), mean.map(|mean| (mean, events as u64))).await?;
            let p99 = percentile(scene.offer(events, Some(every)).await?, 0.99);
            scene.close().await;
            anyhow::Ok(p99)
        };
        let alone = p99(None).await?;
        alone_all.push(alone);
        for (mean, beside_all) in mean.iter().zip(&mut beside_all) {
            let beside = p99(Some(mean)).await?;
            println!("p99 alone {alone:.1} ms, beside hostile runs{} {beside:.1} ms", mean.figure);
            beside_all.push(beside);
        }
    }
    figures.add("neighbour_p99_alone", format!("{:.1}", median(alone_all.clone())), "ms");
    let mut longest: f64 = 0.0;
    for (mean, beside_all) in mean.iter().zip(beside_all) {
        let ratio = median(beside_all.iter().zip(&alone_all).map(|(beside, alone)| beside / alone).collect());
        figures.add(&format!("neighbour_p99_beside{}", mean.figure), format!("{:.1}", median(beside_all)), "ms");
        figures.add(&format!("neighbour_p99_ratio{}", mean.figure), format!("{ratio:.2}"), "ratio");
        longest = longest.max(ratio);
    }
    ensure!(longest <= P99_RATIO, "a neighbour waits {longest:.2} times as long beside hostile plugins");
    Ok(())
}

/// A healthy tenant, whose plugin has one effect, and one that means harm in as many runs as it may have.
struct Scene<'a> {
    platform: &'a Platform,
    rooms: Rooms,
    lanes: Lanes,
    healthy: fangshi_database::TenantId,
    appid: String,
}

impl<'a> Scene<'a> {
    async fn open(platform: &'a Platform, code: &Path, mean: Option<(&Mean, u64)>) -> Result<Scene<'a>> {
        let rooms = Rooms::open(platform, code).await?;
        let shop = platform.add_shop(NewShop::authorized())?;
        let issued = platform.issue_tokens(&shop.appid)?;
        let known = Known { appid: &shop.appid, user_name: &shop.user_name, access_token: issued.access() };
        let healthy = rooms.tenant(known, &guest("one-effect")?, json!({"effects_per_hour": 10_000})).await?;
        let known = Known { appid: "wxhostile000000001", user_name: "gh_hostile00001", access_token: "unused" };
        if let Some((mean, events)) = mean {
            let hostile = rooms.tenant(known, &mean.wasm, mean.limits.clone()).await?;
            rooms.many_paid(hostile, 3_800_000_000_000_000_000, events).await?;
        }
        let lanes = rooms.start().await?;
        Ok(Scene { platform, rooms, lanes, healthy, appid: shop.appid })
    }

    /// Tells of so many orders, one every so often or all at once; how long each took, milliseconds.
    async fn offer(&self, events: usize, every: Option<Duration>) -> Result<Vec<f64>> {
        let mut orders = Vec::new();
        for _ in 0..events {
            let order = self.platform.add_order(&self.appid, NewOrder::default())?;
            self.platform.drive(&order, Step::Pay)?;
            orders.push(order);
        }
        let mut finished = self.lanes.finished();
        let healthy = self.healthy;
        let ended = tokio::spawn(async move {
            let mut ended = std::collections::HashMap::new();
            while ended.len() < events {
                let one = finished.recv().await.context("news of a run were lost")?;
                if one.tenant == healthy {
                    ensure!(one.outcome == "done", "the neighbour's run ended as {}", one.outcome);
                    ended.insert(one.order_id, Instant::now());
                }
            }
            Ok(ended)
        });
        let mut begun = Vec::new();
        let mut next = tokio::time::Instant::now();
        for order in &orders {
            if let Some(every) = every {
                tokio::time::sleep_until(next).await;
                next += every;
            }
            begun.push(Instant::now());
            self.rooms.paid(healthy, order).await?;
        }
        let ended = ended.await??;
        let times = orders.iter().zip(begun).filter_map(|(order, begun)| Some(*ended.get(order)? - begun));
        Ok(times.map(|time| time.as_secs_f64() * 1_000.0).collect())
    }

    async fn close(self) {
        self.lanes.stop(Duration::ZERO).await;
        self.rooms.close().await;
    }
}

fn percentile(mut times: Vec<f64>, share: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    let last = times.len().saturating_sub(1);
    times.get((last as f64 * share) as usize).copied().unwrap_or(f64::NAN)
}
