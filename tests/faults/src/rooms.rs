//! The rooms behind HTTP in this process: store, tenants, journal, sandbox, operations, lanes. For what is about turns and
//! times inside the host.
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use fangshi_database::{Clock, Database, Digest, OpenOptions, TenantId};
use fangshi_journal::{Journal, NewEvent, Source};
use fangshi_lanes::{Installed, Lanes, LanesConfig, Parts, Plans, QUARANTINE_AFTER, WasmGuests};
use fangshi_operations::{Operations, OperationsConfig};
use fangshi_platform::Platform;
use fangshi_runtime::{Runtime, RuntimeConfig, digest_of};
use fangshi_tenants::{
    ComponentCredentials, Credentials, GrantAsked, Kek, ManifestRecord, NewInstallation, NewTenant, Tenants,
};
use secrecy::SecretString;
use serde_json::{Value, json};

pub const PAY: &str = "channels_ec_order_pay";

/// Everything but the lanes, which are started when there is something to do.
pub struct Rooms {
    pub journal: Journal,
    database: Database,
    tenants: Tenants,
    runtime: Runtime,
    operations: Operations,
    clock: Clock,
    events: AtomicU32,
    folder: tempfile::TempDir,
}

/// A shop as the platform has it; without one nobody answers for it.
pub struct Known<'a> {
    pub appid: &'a str,
    pub user_name: &'a str,
    pub access_token: &'a str,
}

impl Rooms {
    /// A store without tenants; `platform` answers for its shops.
    pub async fn open(platform: &Platform, code_dir: &Path) -> Result<Rooms> {
        let folder = tempfile::tempdir()?;
        let clock = Clock::system();
        let database = Database::open(OpenOptions::new(folder.path())).await?;
        let component = platform.component();
        let component = ComponentCredentials {
            appid: component.appid.clone(),
            appsecret: SecretString::from(component.appsecret()),
        };
        let kek = Kek::from_bytes(&crate::KEY);
        let tenants = Tenants::open(database.clone(), kek, Some(component), clock.clone()).await?;
        let journal = Journal::open(database.clone(), tenants.clone(), clock.clone());
        // A key for tests: this folder holds code of test guests alone.
        let code_key = [1; 32].into();
        let config = RuntimeConfig { code_dir: Some(code_dir.to_owned()), code_key, ..RuntimeConfig::default() };
        let runtime = Runtime::new(config)?;
        let config = OperationsConfig { api_base: platform.base_url(), ..OperationsConfig::default() };
        let operations = Operations::new(config, tenants.clone())?;
        let events = AtomicU32::new(0);
        Ok(Rooms { journal, database, tenants, runtime, operations, clock, events, folder })
    }

    /// A tenant with one plugin, granted what it asks for.
    pub async fn tenant(&self, shop: Known<'_>, wasm: &[u8], limits: Value) -> Result<TenantId> {
        let new = NewTenant {
            platform: fangshi_tenants::Platform::Weixin,
            appid: shop.appid.to_owned(),
            user_name: Some(shop.user_name.to_owned()),
            name: shop.appid.to_owned(),
            credentials: Credentials::Authorized {
                access_token: Some(SecretString::from(shop.access_token)),
                expires_in: None,
                refresh_token: None,
            },
        };
        let tenant = self.tenants.create(new).await?.id;
        let manifest = self.runtime.inspect(wasm).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        let grants = manifest.grant_names();
        let asked = manifest.grants.into_iter().map(|one| GrantAsked { name: one.name, functions: one.functions });
        let record = ManifestRecord { hooks: manifest.hooks, grants: asked.collect() };
        let registry = self.tenants.registry();
        let added = registry.add_version(tenant, "plugin", Digest(digest_of(wasm)), record, wasm).await;
        let (plugin, version, _) = added.ok().context("the plugin is not taken")?;
        let new =
            NewInstallation { plugin, version: version.digest, grants, settings: json!({}), limits, schedules: vec![] };
        registry.install(tenant, new).await.ok().context("the plugin is not installed")?;
        Ok(tenant)
    }

    /// Records that an order was paid.
    pub async fn paid(&self, tenant: TenantId, order_id: &str) -> Result<()> {
        let mut dedup = [0; 32];
        dedup[..4].copy_from_slice(&self.events.fetch_add(1, Ordering::SeqCst).to_be_bytes());
        let now = self.clock.now_s();
        let body = json!({"Event": PAY, "CreateTime": now, "order_info": {"order_id": order_id, "pay_time": now}});
        let event = NewEvent {
            tenant,
            event: PAY.into(),
            order_id: order_id.into(),
            source: Source::Callback,
            ext_type: None,
            created_at: now,
            received_at: self.clock.now(),
            dedup,
            body: body.to_string().into_bytes(),
        };
        self.journal.record_event(event).await?;
        Ok(())
    }

    /// Records that a tenant's orders with numbers from `first` on were paid.
    pub async fn many_paid(&self, tenant: TenantId, first: u64, count: u64) -> Result<()> {
        let paid = (first..first + count).map(|number| async move { self.paid(tenant, &number.to_string()).await });
        futures_util::future::try_join_all(paid).await?;
        Ok(())
    }

    /// Starts the lanes as the host has them by default, but that nobody is put into quarantine: what fails goes on failing.
    pub async fn start(&self) -> Result<Lanes> {
        let everybody = [(QUARANTINE_AFTER.to_owned(), 0)].into();
        let plans = Plans { everybody, ..Plans::default() };
        let parts = Parts {
            journal: self.journal.clone(),
            directory: Arc::new(Installed::new(self.tenants.clone(), Arc::new(plans))),
            guests: Arc::new(WasmGuests::new(self.runtime.clone(), self.tenants.clone())),
            shop: Arc::new(self.operations.clone()),
            clock: self.clock.clone(),
            config: LanesConfig { sweep_every: None, weights: HashMap::new(), ..LanesConfig::default() },
        };
        Ok(Lanes::start(parts).await?)
    }

    /// Where the store lies.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Closes the store.
    pub async fn close(self) {
        self.database.close().await;
    }
}
