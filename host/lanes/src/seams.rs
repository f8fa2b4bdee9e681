//! The three things that lanes need from outside, each a small trait: plugins to run, the shop to call, and who is
//! subscribed. The real ones are thin; tests bring scripted ones.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use fangshi_journal::{Digest, TenantId};
use fangshi_operations::{Asker, Class, Decoded, Fault, Kind, Operation, Operations, Sent, Verdict};
use fangshi_runtime::{Plugin, RunHost, RunInput, RunReport, Runtime};
use fangshi_tenants::{InstallationState, SettingsSchema, Stop, Tenants};
use serde_json::Value;

use crate::config::RunLimits;
use crate::decide::choose::Standing;
use crate::decide::plan::Subscriber;
use crate::loading::Loading;
use crate::plans::{JOURNAL_BYTES_PER_HOUR, Plans, QUARANTINE_AFTER, RUNS_AT_ONCE, RUNS_PER_SECOND};

/// Loads plugins.
#[async_trait]
pub trait Guests: Send + Sync + 'static {
    /// Name, exact version and settings of the engine, recorded with every attempt.
    fn engine(&self) -> String;

    /// A version, ready to run, however long that takes. The error is for the journal and the operator.
    async fn load(&self, tenant: TenantId, version: Digest) -> Result<Arc<dyn Guest>, String>;

    /// The same for a run, which holds a place meanwhile: `None` if it takes longer than a moment. It goes on then, and whoever
    /// asks later has it.
    async fn load_soon(&self, tenant: TenantId, version: Digest) -> Result<Option<Arc<dyn Guest>>, String> {
        self.load(tenant, version).await.map(Some)
    }
}

/// A loaded plugin.
#[async_trait]
pub trait Guest: Send + Sync {
    /// Whether a group of order data is imported, so that the order is read before the hook.
    fn reads_order(&self) -> bool;

    /// The grants that the version asks for.
    fn asks(&self) -> &BTreeSet<String>;

    /// What the version says about its settings.
    fn settings_schema(&self) -> Option<&SettingsSchema> {
        None
    }

    /// One run in a fresh sandbox.
    async fn run(&self, input: RunInput, host: Box<dyn RunHost>) -> RunReport;
}

/// The platform, for one tenant's shop at a time, and the hosts outside that its merchant approved.
#[async_trait]
pub trait Shop: Send + Sync + 'static {
    /// Calls an operation: by this time, unix milliseconds, the request is let go, or nothing is sent.
    async fn call(
        &self,
        tenant: TenantId,
        op: &'static Operation,
        request: &Value,
        by: Option<i64>,
    ) -> Result<Value, Fault>;

    /// Reads an order.
    async fn read_order(&self, tenant: TenantId, order_id: &str) -> Result<Value, Fault>;

    /// Sends a request of `http.send` to a host that was approved, and reads at most so many bytes of its answer.
    async fn outside(&self, _: TenantId, _: &Value, _answer_bytes: u64) -> Result<Value, Fault> {
        Err(Fault::new(Class::Unreachable, Sent::NotSent, "nothing leads outside of this shop"))
    }

    /// The kept answer of an operation that decodes, if there is one that is still good for what `order` shows; nothing is
    /// sent for it. An error tells that a call can't be made now.
    async fn kept(
        &self,
        _: Asker,
        _: &'static Operation,
        _: &Value,
        _: Option<&Value>,
    ) -> Result<Option<Value>, Fault> {
        Ok(None)
    }

    /// Calls an operation that decodes, unless another call brought its answer meanwhile.
    async fn decode(&self, asker: Asker, op: &'static Operation, request: &Value) -> Result<Decoded, Fault> {
        let answer = self.call(asker.tenant, op, request, None).await?;
        Ok(Decoded { answer, kept: false })
    }

    /// Looks whether an effect without an outcome was applied. `intended_at`: unix seconds.
    async fn settle(
        &self,
        tenant: TenantId,
        op: &'static Operation,
        request: &Value,
        before: Option<&Value>,
        intended_at: i64,
    ) -> Result<Verdict, Fault>;
}

/// An installation as lanes see it.
#[derive(Debug, Clone)]
pub struct Seat {
    /// What planning needs of it.
    pub subscriber: Subscriber,
    /// Versions other than the one at work whose runs do not go on.
    pub stopped: BTreeMap<Digest, Stop>,
    /// Its grants.
    pub grants: BTreeSet<String>,
    /// Its settings, as set.
    pub settings: Arc<Value>,
    /// Names of those whose values are never shown.
    pub secrets: BTreeSet<String>,
    /// Its limits, as set.
    pub limits: Value,
}

/// Who is subscribed.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// The installations of a tenant that are not removed, by id. Of a suspended tenant, all are held.
    async fn seats(&self, tenant: TenantId) -> Result<Arc<Vec<Seat>>, String>;

    /// How many faults in a row put an installation of the tenant into quarantine; 0: none ever does.
    fn quarantine_after(&self, _tenant: TenantId) -> u32 {
        0
    }

    /// How much of a tenant may go on; `None`: as much as of any other.
    fn throughput(&self, _tenant: TenantId) -> Option<Throughput> {
        None
    }
}

/// How much of a tenant may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throughput {
    /// Runs at once.
    pub runs_at_once: usize,
    /// Attempts that begin within a second.
    pub runs_per_second: u64,
    /// Bytes that its attempts make the journal keep within an hour.
    pub journal_bytes_per_hour: u64,
}

/// The installations of the tenants' registry, with the limits of their tenants.
pub struct Installed {
    tenants: Tenants,
    plans: Arc<Plans>,
}

impl Installed {
    /// Those of these tenants, by these plans.
    pub fn new(tenants: Tenants, plans: Arc<Plans>) -> Installed {
        Installed { tenants, plans }
    }
}

/// How long a run waits for its version to be loaded, from when the first run asked for it: from disk it takes a millisecond.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it is kept for the next run why a version could not be loaded: runs come back after two seconds, or when there is a
/// place for them.
const KEPT: Duration = Duration::from_secs(60);

/// Plugins in the real runtime, their code from the tenants' registry.
pub struct WasmGuests {
    runtime: Runtime,
    tenants: Tenants,
    loading: Loading<Arc<Plugin>>,
    /// What the versions declare: a version never changes.
    declared: RwLock<HashMap<Digest, Arc<Declared>>>,
}

/// What lanes need to know of a version besides its code.
struct Declared {
    asks: BTreeSet<String>,
    settings: Option<SettingsSchema>,
}

impl WasmGuests {
    /// The real guests.
    pub fn new(runtime: Runtime, tenants: Tenants) -> WasmGuests {
        WasmGuests { runtime, tenants, loading: Loading::new(PATIENCE, KEPT), declared: RwLock::default() }
    }

    async fn guest(&self, tenant: TenantId, version: Digest, plugin: Arc<Plugin>) -> Result<Arc<dyn Guest>, String> {
        let declared = self.declared(tenant, version).await?;
        Ok(Arc::new(WasmGuest { runtime: self.runtime.clone(), plugin, declared }))
    }

    async fn declared(&self, tenant: TenantId, version: Digest) -> Result<Arc<Declared>, String> {
        let known = self.declared.read().unwrap_or_else(PoisonError::into_inner).get(&version).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let record = self.tenants.registry().version(tenant, version).await.map_err(|error| error.to_string())?;
        let record = record.ok_or_else(|| format!("version {version} is not in the registry"))?;
        let asks = record.manifest.grants.into_iter().map(|grant| grant.name).collect();
        let declared = Arc::new(Declared { asks, settings: record.settings_schema });
        self.declared.write().unwrap_or_else(PoisonError::into_inner).insert(version, declared.clone());
        Ok(declared)
    }
}

struct WasmGuest {
    runtime: Runtime,
    plugin: Arc<Plugin>,
    declared: Arc<Declared>,
}

#[async_trait]
impl Guests for WasmGuests {
    fn engine(&self) -> String {
        self.runtime.recorded_engine().to_owned()
    }

    async fn load(&self, tenant: TenantId, version: Digest) -> Result<Arc<dyn Guest>, String> {
        let registry = self.tenants.registry();
        let loaded = self.runtime.load(version.0, || registry.wasm(tenant, version)).await;
        self.guest(tenant, version, loaded.map_err(|error| error.to_string())?).await
    }

    async fn load_soon(&self, tenant: TenantId, version: Digest) -> Result<Option<Arc<dyn Guest>>, String> {
        if let Some(plugin) = self.runtime.loaded_one(version.0).await {
            return self.guest(tenant, version, plugin).await.map(Some);
        }
        let (runtime, tenants) = (self.runtime.clone(), self.tenants.clone());
        let load = || async move {
            let registry = tenants.registry();
            let loaded = runtime.load(version.0, || registry.wasm(tenant, version)).await;
            loaded.map_err(|error| error.to_string())
        };
        match self.loading.wait(tenant, version, load).await? {
            Some(plugin) => self.guest(tenant, version, plugin).await.map(Some),
            None => Ok(None),
        }
    }
}

#[async_trait]
impl Guest for WasmGuest {
    fn reads_order(&self) -> bool {
        let is_data = |name: &String| fangshi_operations::interface(name).is_some_and(|one| one.kind == Kind::Data);
        self.declared.asks.iter().any(is_data)
    }

    fn asks(&self) -> &BTreeSet<String> {
        &self.declared.asks
    }

    fn settings_schema(&self) -> Option<&SettingsSchema> {
        self.declared.settings.as_ref()
    }

    async fn run(&self, input: RunInput, host: Box<dyn RunHost>) -> RunReport {
        self.runtime.run(&self.plugin, input, host).await
    }
}

#[async_trait]
impl Shop for Operations {
    async fn call(
        &self,
        tenant: TenantId,
        op: &'static Operation,
        request: &Value,
        by: Option<i64>,
    ) -> Result<Value, Fault> {
        Operations::call_by(self, tenant, op, request, by).await
    }

    async fn read_order(&self, tenant: TenantId, order_id: &str) -> Result<Value, Fault> {
        Operations::read_order(self, tenant, order_id).await
    }

    async fn outside(&self, tenant: TenantId, request: &Value, answer_bytes: u64) -> Result<Value, Fault> {
        Operations::outside(self, tenant, request, answer_bytes).await
    }

    async fn kept(
        &self,
        asker: Asker,
        op: &'static Operation,
        request: &Value,
        order: Option<&Value>,
    ) -> Result<Option<Value>, Fault> {
        Operations::kept(self, asker, op, request, order).await
    }

    async fn decode(&self, asker: Asker, op: &'static Operation, request: &Value) -> Result<Decoded, Fault> {
        Operations::decode(self, asker, op, request).await
    }

    async fn settle(
        &self,
        tenant: TenantId,
        op: &'static Operation,
        request: &Value,
        before: Option<&Value>,
        intended_at: i64,
    ) -> Result<Verdict, Fault> {
        Operations::settle(self, tenant, op, request, before, intended_at).await
    }
}

#[async_trait]
impl Directory for Installed {
    async fn seats(&self, tenant: TenantId) -> Result<Arc<Vec<Seat>>, String> {
        let Some(owner) = self.tenants.get(tenant) else {
            return Ok(Arc::default());
        };
        let limits = self.plans.of(owner.plan.as_deref(), &owner.limits);
        let installations = self.tenants.registry().installed(tenant).await.map_err(|error| error.to_string())?;
        let seats = installations
            .iter()
            .map(|installation| Seat {
                subscriber: Subscriber {
                    installation: installation.id,
                    standing: match installation.state {
                        InstallationState::Active if owner.is_active() && !installation.is_revoked() => Standing::Open,
                        InstallationState::Active | InstallationState::Paused => Standing::Held,
                        InstallationState::Removed => Standing::Gone,
                    },
                    echoes: RunLimits::stored(&installation.limits).echoes,
                },
                stopped: installation.stopped(),
                grants: installation.grants.clone(),
                settings: installation.settings.clone(),
                secrets: installation.secrets.clone(),
                limits: limits.pinned(&installation.limits),
            })
            .collect();
        Ok(Arc::new(seats))
    }

    fn quarantine_after(&self, tenant: TenantId) -> u32 {
        let Some(owner) = self.tenants.get(tenant) else { return 0 };
        let limits = self.plans.of(owner.plan.as_deref(), &owner.limits);
        u32::try_from(limits.get(QUARANTINE_AFTER)).unwrap_or(u32::MAX)
    }

    fn throughput(&self, tenant: TenantId) -> Option<Throughput> {
        let owner = self.tenants.get(tenant)?;
        let limits = self.plans.of(owner.plan.as_deref(), &owner.limits);
        Some(Throughput {
            runs_at_once: usize::try_from(limits.get(RUNS_AT_ONCE)).unwrap_or(usize::MAX),
            runs_per_second: limits.get(RUNS_PER_SECOND),
            journal_bytes_per_hour: limits.get(JOURNAL_BYTES_PER_HOUR),
        })
    }
}
