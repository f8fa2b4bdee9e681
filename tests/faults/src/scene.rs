//! What the fault tests with a whole host stand on: the fake platform, the real process, shops whose plugin keeps still and
//! shops whose plugin has effects, and callbacks that are pushed until they are acknowledged, as the platform does.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fangshi_harness::callbacks::{self, Callback, Paid, Shop};
use fangshi_harness::{HostConfig, HostProcess, guest, load};
use fangshi_platform::{CallbackSecrets, Fault, NewItem, NewOrder, NewShop, Platform, Settings, Step, Target};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::oracle::EFFECTS;

/// Shops whose plugin (`settings-only`) asks nothing of the platform.
const STILL: usize = 10;
/// Shops with a plugin (`one-unit`) that notes, ships and sends a code, and one (`reads-twice`) that reads beside it.
const BUSY: usize = 10;
const BUSY_GUESTS: [&str; 2] = ["one-unit", "reads-twice"];
/// Events of one order of a busy shop: they share its lane.
pub const EVENTS_AN_ORDER: usize = 2;
const CONNECTIONS: usize = 64;
/// Looks at the backlog, one every 100 ms, before it counts as stuck.
const PATIENCE: usize = 3_000;

/// I7: the platform waits no longer for an answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// How many callbacks of a batch have effects.
#[derive(Clone, Copy)]
pub struct Mix {
    pub still: usize,
    pub busy: usize,
}

pub struct Scene {
    pub runtime: Runtime,
    pub platform: Platform,
    pub folder: tempfile::TempDir,
    /// Seconds by which the host's clock is ahead of the machine's.
    pub ahead_s: i64,
    secrets: CallbackSecrets,
    still: Vec<Shop>,
    busy: Vec<Shop>,
    parking: Option<Shop>,
    next_order: u64,
    /// What the host answered with 200: order and CreateTime.
    pub acknowledged: Vec<(String, i64)>,
    /// What it did not, to be pushed again.
    pub waiting: Vec<Callback>,
    pub made: usize,
}

impl Scene {
    /// The platform and the host's configuration; `extra` as in [`HostConfig`].
    pub fn new(seed: u64, extra: &str) -> Result<Scene> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let settings = Settings { seed, latency: Duration::from_millis(3), ..Settings::default() };
        let platform = runtime.block_on(Platform::start(settings))?;
        let shop = |_| platform.add_shop(NewShop::authorized()).map(|shop| named(&shop));
        let still = (0..STILL).map(shop).collect::<Result<_, _>>()?;
        let busy = (0..BUSY).map(shop).collect::<Result<_, _>>()?;
        let folder = tempfile::tempdir()?;
        let component = platform.component();
        let config = HostConfig::of(&platform, extra);
        config.write(folder.path())?;
        Ok(Scene {
            runtime,
            secrets: component.callback_secrets(),
            platform,
            folder,
            ahead_s: 0,
            still,
            busy,
            parking: None,
            next_order: 3_700_000_000_000_000_000,
            acknowledged: Vec::new(),
            waiting: Vec::new(),
            made: 0,
        })
    }

    /// Where the host keeps its data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The store's file.
    pub fn store(&self) -> PathBuf {
        self.data().join("fangshi.db")
    }

    /// Makes the shops tenants and installs their plugins.
    pub fn prepare(&self, host: &HostProcess) -> Result<()> {
        self.prepare_with(host, &BUSY_GUESTS)
    }

    /// The same with other plugins for busy shops.
    pub fn prepare_with(&self, host: &HostProcess, busy: &[&str]) -> Result<()> {
        self.give_ticket(host)?;
        for (shops, names) in [(&self.still, &["settings-only"][..]), (&self.busy, busy)] {
            let plugins = plugins(names)?;
            for shop in shops {
                self.install(host, shop, &plugins, &json!({}))?;
            }
        }
        Ok(())
    }

    /// A shop more, whose installations may have no effect: each of its events parks a run. Gives its tenant.
    pub fn add_parking(&mut self, host: &HostProcess) -> Result<String> {
        let shop = self.platform.add_shop(NewShop::authorized()).map(|shop| named(&shop))?;
        let tenant = self.install(host, &shop, &plugins(&BUSY_GUESTS[..1])?, &json!({"effects_per_hour": 0}))?;
        self.parking = Some(shop);
        Ok(tenant)
    }

    /// Makes a callback of that shop; it waits to be pushed.
    pub fn make_parking(&mut self) -> Result<()> {
        let now = now_s() + self.ahead_s;
        let shop = self.parking.as_ref().context("no shop parks")?;
        let order_id = self.platform.add_order(&shop.appid, NewOrder::default())?;
        self.platform.drive(&order_id, Step::Pay)?;
        let made = callbacks::told(&self.secrets, std::iter::once(Paid { shop, order_id, at: now }), now)?;
        self.made += made.len();
        self.waiting.extend(made);
        Ok(())
    }

    /// Makes a shop a tenant and installs plugins.
    fn install(&self, host: &HostProcess, shop: &Shop, plugins: &[Plugin<'_>], limits: &Value) -> Result<String> {
        let admin = host.admin();
        let issued = self.platform.issue_tokens(&shop.appid)?;
        // Codes belong to no order: an hour's worth of all of them counts as one.
        let tenant = json!({
            "platform": "weixin", "kind": "authorized", "appid": shop.appid, "user_name": shop.user_name,
            "name": shop.appid, "access_token": issued.access(), "refresh_token": issued.refresh(),
            "limits": {"effects_per_hour": 10_000},
        });
        self.runtime.block_on(async {
            let tenant = admin.post("/api/v1/tenants", &tenant).await?;
            let tenant = tenant["id"].as_str().context("no id of the tenant")?;
            for (name, wasm) in plugins {
                let uploaded = admin.upload(tenant, name, wasm.clone()).await?;
                let asked = uploaded["grants"].as_array().into_iter().flatten();
                let grants: Vec<&str> = asked.filter_map(|grant| grant["name"].as_str()).collect();
                let installation = json!({
                    "plugin": uploaded["plugin"], "version": uploaded["version"], "grants": grants,
                    "settings": {}, "limits": limits,
                });
                admin.post(&format!("/api/v1/tenants/{tenant}/installations"), &installation).await?;
            }
            Ok(tenant.to_owned())
        })
    }

    /// What the host asks the list of authorizers with: a restored store reads its tokens again.
    pub fn give_ticket(&self, host: &HostProcess) -> Result<()> {
        let push = callbacks::ticket(&self.secrets, &self.platform.issue_ticket(), now_s() + self.ahead_s)?;
        let taken = load::send_all(address(host)?, Arc::new(vec![push]), 1, true)?;
        ensure!(taken.accepted() == 1, "the host took no ticket");
        Ok(())
    }

    /// Makes callbacks of new orders; they wait to be pushed.
    pub fn make(&mut self, mix: Mix) -> Result<()> {
        let now = now_s() + self.ahead_s;
        let mut paid = Vec::new();
        for n in 0..mix.still {
            let order_id = (self.next_order + n as u64).to_string();
            paid.push(Paid { shop: &self.still[n % STILL], order_id, at: now });
        }
        self.next_order += mix.still as u64;
        for n in 0..mix.busy / EVENTS_AN_ORDER {
            let shop = &self.busy[n % BUSY];
            // Each event ships one unit. As many are left: what is sent twice is shipped twice, and not refused.
            let item = NewItem { sku_cnt: 2 * EVENTS_AN_ORDER as i64, ..NewItem::default() };
            let order = NewOrder { items: vec![item], ..NewOrder::default() };
            let order_id = self.platform.add_order(&shop.appid, order)?;
            self.platform.drive(&order_id, Step::Pay)?;
            // Between the others, as they come.
            for event in 0..EVENTS_AN_ORDER {
                let one = Paid { shop, order_id: order_id.clone(), at: now - event as i64 };
                let place = (n * EVENTS_AN_ORDER + event) * paid.len() / mix.busy.max(1);
                paid.insert(place, one);
            }
        }
        let made = callbacks::told(&self.secrets, paid.into_iter(), now)?;
        self.made += made.len();
        self.waiting.extend(made);
        Ok(())
    }

    /// Signs what waits anew, at the host's present time; what it tells stays as it was.
    pub fn sign_again(&mut self) -> Result<()> {
        let now = now_s() + self.ahead_s;
        let shops: Vec<&Shop> = self.still.iter().chain(&self.busy).chain(&self.parking).collect();
        let of = |callback: Callback| {
            let shop = shops.iter().find(|shop| shop.appid == callback.appid).copied();
            shop.map(|shop| Paid { shop, order_id: callback.order_id, at: callback.at })
        };
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting = callbacks::told(&self.secrets, waiting.into_iter().filter_map(of), now)?;
        Ok(())
    }

    /// Pushes what waits; whoever calls may kill the host meanwhile.
    pub fn push(&self, host: &HostProcess, stop_when_broken: bool) -> Result<Pushing> {
        let requests = Arc::new(self.waiting.iter().map(|callback| callback.request.clone()).collect::<Vec<_>>());
        let address = address(host)?;
        Ok(std::thread::spawn(move || load::send_all(address, requests, CONNECTIONS, stop_when_broken)))
    }

    /// Takes the answers in: what was not acknowledged waits on.
    pub fn pushed(&mut self, pushing: Pushing) -> Result<load::Report> {
        let report = pushing.join().map_err(|_| anyhow::anyhow!("the generator panicked"))??;
        let slowest = report.latencies.last().copied().unwrap_or_default();
        ensure!(
            slowest < ANSWERED_WITHIN,
            "a callback was answered after {slowest:?}: the platform waits no longer than 5 s"
        );
        let sent = std::mem::take(&mut self.waiting);
        for (number, callback) in sent.into_iter().enumerate() {
            match report.answers.get(number) {
                Some(Some(200)) => self.acknowledged.push((callback.order_id, callback.at)),
                _ => self.waiting.push(callback),
            }
        }
        Ok(report)
    }

    /// Pushes until everything is acknowledged.
    pub fn push_all(&mut self, host: &HostProcess) -> Result<()> {
        while !self.waiting.is_empty() {
            let pushing = self.push(host, false)?;
            let report = self.pushed(pushing)?;
            ensure!(report.accepted() > 0, "the healthy host acknowledges nothing");
        }
        Ok(())
    }

    /// Unfinished events.
    pub fn backlog(&self, host: &HostProcess) -> Result<i64> {
        let ready = self.runtime.block_on(host.admin().get("/readyz"))?;
        ready["backlog"]["events"].as_i64().context("no backlog in the answer of /readyz")
    }

    /// The platform fails for busy shops: for a quarter of them in every call, for the others in one kind of effect each. An order
    /// that can't be read keeps a run from its effects, and an effect that fails keeps it from those behind it. `times`: of
    /// each shop.
    pub fn fail(&self, fault: &Fault, times: u64) {
        let effects = EFFECTS.map(|(path, _, _)| path);
        for (number, shop) in self.busy.iter().enumerate() {
            let target = match number % (effects.len() + 1) {
                0 => Target::shop(&shop.appid),
                kind => Target::shop_path(&shop.appid, effects[kind - 1]),
            };
            self.platform.fail_next(target, times, fault.clone());
        }
    }

    /// Waits until the host has no unfinished event; gives how long it took.
    pub fn drain(&self, host: &HostProcess) -> Result<Duration> {
        let begun = std::time::Instant::now();
        for _ in 0..PATIENCE {
            if self.backlog(host)? == 0 {
                return Ok(begun.elapsed());
            }
            pause(100);
        }
        anyhow::bail!("the backlog does not reach zero: {} events", self.backlog(host)?)
    }
}

pub type Pushing = std::thread::JoinHandle<Result<load::Report>>;

/// A guest's name, and its component.
type Plugin<'n> = (&'n str, Vec<u8>);

fn plugins<'n>(names: &[&'n str]) -> Result<Vec<Plugin<'n>>> {
    names.iter().map(|name| Ok((*name, guest(name)?))).collect()
}

fn address(host: &HostProcess) -> Result<SocketAddr> {
    Ok(host.address.trim_start_matches("http://").trim_end_matches('/').parse()?)
}

fn named(shop: &fangshi_platform::Shop) -> Shop {
    Shop { appid: shop.appid.clone(), user_name: shop.user_name.clone() }
}

/// The machine's time, unix seconds.
pub fn now_s() -> i64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs() as i64)
}

/// Real time passes here on purpose: a fault must fall into the middle of the load.
#[allow(clippy::disallowed_methods)]
pub fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}
