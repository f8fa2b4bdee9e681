//! The three things that lanes need from outside, each a small trait: plugins to run, the shop to call, and who is
//! subscribed. The real ones are thin; tests bring scripted ones.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use fangshi_journal::{Digest, TenantId};
use fangshi_operations::{Fault, Kind, Operation, Operations, Verdict};
use fangshi_runtime::{Plugin, RunHost, RunInput, RunReport, Runtime, RuntimeError};
use fangshi_tenants::{InstallationState, Tenants};
use serde_json::Value;

use crate::config::RunLimits;
use crate::decide::choose::Standing;
use crate::decide::plan::Subscriber;

/// Loads plugins.
#[async_trait]
pub trait Guests: Send + Sync + 'static {
    /// Name and exact version of the engine, recorded with every attempt.
    fn engine(&self) -> String;

    /// A version, ready to run. The error is for the journal and the operator.
    async fn load(&self, tenant: TenantId, version: Digest) -> Result<Arc<dyn Guest>, String>;
}

/// A loaded plugin.
#[async_trait]
pub trait Guest: Send + Sync {
    /// Whether a group of order data is imported, so that the order is read before the hook.
    fn reads_order(&self) -> bool;

    /// One run in a fresh sandbox.
    async fn run(&self, input: RunInput, host: Box<dyn RunHost>) -> RunReport;
}

/// The platform, for one tenant's shop at a time.
#[async_trait]
pub trait Shop: Send + Sync + 'static {
    /// Calls an operation.
    async fn call(&self, tenant: TenantId, op: &'static Operation, request: &Value) -> Result<Value, Fault>;

    /// Reads an order.
    async fn read_order(&self, tenant: TenantId, order_id: &str) -> Result<Value, Fault>;

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
    /// Its grants.
    pub grants: BTreeSet<String>,
    /// Its settings.
    pub settings: Arc<Value>,
    /// Its limits, as set.
    pub limits: Value,
}

/// Who is subscribed.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// The installations of a tenant that are not removed, by id. Of a suspended tenant, all are held.
    async fn seats(&self, tenant: TenantId) -> Result<Arc<Vec<Seat>>, String>;
}

/// Plugins in the real runtime, their code from the tenants' registry.
pub struct WasmGuests {
    runtime: Runtime,
    tenants: Tenants,
    /// Which versions read the order, by their manifests: a version never changes.
    reads_order: RwLock<HashMap<Digest, bool>>,
}

impl WasmGuests {
    /// The real guests.
    pub fn new(runtime: Runtime, tenants: Tenants) -> WasmGuests {
        WasmGuests { runtime, tenants, reads_order: RwLock::default() }
    }

    async fn reads_order(&self, tenant: TenantId, version: Digest) -> Result<bool, String> {
        let known = self.reads_order.read().unwrap_or_else(PoisonError::into_inner).get(&version).copied();
        if let Some(known) = known {
            return Ok(known);
        }
        let record = self.tenants.registry().version(tenant, version).await.map_err(|error| error.to_string())?;
        let record = record.ok_or_else(|| format!("version {version} is not in the registry"))?;
        let is_data = |name: &str| fangshi_operations::interface(name).is_some_and(|one| one.kind == Kind::Data);
        let reads = record.manifest.grants.iter().any(|grant| is_data(&grant.name));
        self.reads_order.write().unwrap_or_else(PoisonError::into_inner).insert(version, reads);
        Ok(reads)
    }
}

struct WasmGuest {
    runtime: Runtime,
    plugin: Arc<Plugin>,
    reads_order: bool,
}

#[async_trait]
impl Guests for WasmGuests {
    fn engine(&self) -> String {
        self.runtime.engine_version().to_owned()
    }

    async fn load(&self, tenant: TenantId, version: Digest) -> Result<Arc<dyn Guest>, String> {
        let registry = self.tenants.registry();
        let loaded: Result<Arc<Plugin>, RuntimeError> =
            self.runtime.load(version.0, || registry.wasm(tenant, version)).await;
        let plugin = loaded.map_err(|error| error.to_string())?;
        let reads_order = self.reads_order(tenant, version).await?;
        Ok(Arc::new(WasmGuest { runtime: self.runtime.clone(), plugin, reads_order }))
    }
}

#[async_trait]
impl Guest for WasmGuest {
    fn reads_order(&self) -> bool {
        self.reads_order
    }

    async fn run(&self, input: RunInput, host: Box<dyn RunHost>) -> RunReport {
        self.runtime.run(&self.plugin, input, host).await
    }
}

#[async_trait]
impl Shop for Operations {
    async fn call(&self, tenant: TenantId, op: &'static Operation, request: &Value) -> Result<Value, Fault> {
        Operations::call(self, tenant, op, request).await
    }

    async fn read_order(&self, tenant: TenantId, order_id: &str) -> Result<Value, Fault> {
        Operations::read_order(self, tenant, order_id).await
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
impl Directory for Tenants {
    async fn seats(&self, tenant: TenantId) -> Result<Arc<Vec<Seat>>, String> {
        let Some(owner) = self.get(tenant) else {
            return Ok(Arc::default());
        };
        let installations = self.registry().installed(tenant).await.map_err(|error| error.to_string())?;
        let seats = installations
            .iter()
            .map(|installation| Seat {
                subscriber: Subscriber {
                    installation: installation.id,
                    version: installation.version,
                    hooks: installation.hooks.clone(),
                    standing: match installation.state {
                        InstallationState::Active if owner.is_active() => Standing::Open,
                        InstallationState::Active | InstallationState::Paused => Standing::Held,
                        InstallationState::Removed => Standing::Gone,
                    },
                    created_at: installation.created_at,
                    echoes: RunLimits::stored(&installation.limits).echoes,
                },
                grants: installation.grants.clone(),
                settings: installation.settings.clone(),
                limits: installation.limits.clone(),
            })
            .collect();
        Ok(Arc::new(seats))
    }
}
