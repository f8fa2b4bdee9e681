//! The rooms up to the point where plugins run. Between this and that the second wall is raised: a run that a crash cut off goes on
//! as soon as lanes start, before any callback.

use std::sync::Arc;

use anyhow::Context;
use fangshi_database::{Clock, Database, OpenOptions};
use fangshi_journal::Journal;
use fangshi_lanes::{Installed, Lanes, LanesConfig, Parts, Plans, WasmGuests};
use fangshi_operations::{Operations, OperationsConfig};
use fangshi_reconcile::Reconciler;
use fangshi_runtime::{Runtime, RuntimeConfig};
use fangshi_tenants::{ComponentCredentials, ErasedList, Tenants};

use super::code_key;
use super::onboarding::{Sweep, Sweeper};
use super::rooms::Rooms;
use super::walls::Raised;
use crate::compile::ChildCompiler;
use crate::config::Config;

/// Compiled plugins, in the data folder: made anew if lost.
const CODE_FOLDER: &str = "compiled";

/// Everything that lanes need, and no lanes: nothing of a plugin runs yet.
pub struct Ready {
    database: Database,
    tenants: Tenants,
    journal: Journal,
    operations: Operations,
    runtime: Runtime,
    plans: Arc<Plans>,
    clock: Clock,
}

impl Ready {
    /// Opens the rooms in the order in which they need each other. The error says which could not be opened and what to do.
    pub async fn open(config: &Config) -> anyhow::Result<Ready> {
        let database = Database::open(OpenOptions::new(&config.data_dir)).await?;
        let opened = Ready::open_on(&database, config, Clock::system()).await;
        if opened.is_err() {
            // Closed in order, so that the next start finds the folder free and the log written back.
            database.close().await;
        }
        opened
    }

    async fn open_on(database: &Database, config: &Config, clock: Clock) -> anyhow::Result<Ready> {
        let kek = crate::keys::of_config(database, config).await?;
        let component = config.component.as_ref().map(|component| ComponentCredentials {
            appid: component.appid.clone(),
            appsecret: component.appsecret.clone(),
        });
        let tenants = Tenants::open(database.clone(), kek, component, clock.clone()).await?;
        tenants.note_deletions_in(ErasedList::new(config.erased_file.clone()));
        if let Err(error) = tenants.note_deletions().await {
            tracing::error!(%error, "a restore would bring deleted tenants back");
        }
        let journal = Journal::open(database.clone(), tenants.clone(), clock.clone());
        let operations = OperationsConfig {
            api_base: config.api_base.clone(),
            outside: config.http.clone(),
            clock: clock.clone(),
            ..OperationsConfig::default()
        };
        let operations = Operations::new(operations, tenants.clone())?;
        let code_dir = config.data_dir.join(CODE_FOLDER);
        let code_key = code_key::keep(&tenants, &config.data_dir).context("the key of compiled plugins")?;
        let compiler =
            ChildCompiler::new(config.compile, config.seccomp).context("finding the program that compiles plugins")?;
        match compiler.try_out().await {
            Ok(()) => tracing::info!(limits = ?config.compile, "plugins are compiled in processes of their own"),
            Err(error) => tracing::error!(%error, "no plugin can be compiled: uploads will fail"),
        }
        let runtime = Runtime::new(RuntimeConfig {
            max_concurrent_runs: config.max_concurrent_runs,
            max_component_bytes: config.max_plugin_bytes,
            code_dir: Some(code_dir),
            code_key,
            compiler: Some(Arc::new(compiler)),
            ..RuntimeConfig::default()
        })?;
        let plans = Arc::new(config.plans.clone());
        tell_unknown_plans(&tenants, &plans).await;
        let database = database.clone();
        Ok(Ready { database, tenants, journal, operations, runtime, plans, clock })
    }

    /// Starts what runs plugins, behind the second wall.
    pub async fn start(self, config: &Config, _: Raised) -> anyhow::Result<Rooms> {
        let database = self.database.clone();
        let started = self.start_lanes(config).await;
        if started.is_err() {
            database.close().await;
        }
        started
    }

    async fn start_lanes(self, config: &Config) -> anyhow::Result<Rooms> {
        let Ready { database, tenants, journal, operations, runtime, plans, clock } = self;
        tracing::info!("runs that were cut off go on, and new ones begin");
        let lanes = Lanes::start(Parts {
            journal: journal.clone(),
            directory: Arc::new(Installed::new(tenants.clone(), plans.clone())),
            guests: Arc::new(WasmGuests::new(runtime.clone(), tenants.clone())),
            shop: Arc::new(operations.clone()),
            clock: clock.clone(),
            config: LanesConfig {
                max_concurrent_runs: config.max_concurrent_runs as usize,
                weights: config.tenant_weights.clone(),
                ..LanesConfig::default()
            },
        })
        .await?;
        let sweeper = config.component.as_ref().map(|_| {
            Sweeper::start(Sweep {
                tenants: tenants.clone(),
                lanes: lanes.clone(),
                platform: operations.authorizer(),
                walk_every: config.authorizer_walk,
            })
        });
        let reconciling = config.reconcile.clone().map(|settings| {
            let shop = Arc::new(operations.clone());
            Reconciler::new(journal.clone(), tenants.clone(), shop, clock.clone(), settings).start()
        });
        Ok(Rooms { database, tenants, journal, operations, sweeper, runtime, plans, lanes, reconciling, clock })
    }
}

/// A plan that left the config takes its tenants back to what everybody has.
async fn tell_unknown_plans(tenants: &Tenants, plans: &Plans) {
    for tenant in tenants.list(None, u32::MAX).await {
        if let Some(plan) = tenant.plan.as_deref().filter(|plan| !plans.named.contains_key(*plan)) {
            tracing::warn!(tenant = %tenant.id, plan, "the config has no such plan: the tenant has what everybody has");
        }
    }
}
