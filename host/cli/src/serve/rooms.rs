//! The rooms behind HTTP: opened in the order in which they need each other.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use fangshi_database::{Clock, Database, OpenOptions};
use fangshi_journal::Journal;
use fangshi_lanes::{Installed, Lanes, LanesConfig, Parts, Plans, WasmGuests};
use fangshi_operations::{Operations, OperationsConfig};
use fangshi_reconcile::{Reconciler, Running};
use fangshi_runtime::{Runtime, RuntimeConfig};
use fangshi_tenants::{CallbackKeys, ComponentCredentials, ErasedList, Tenants};

use super::code_key;
use super::onboarding::{Sweep, Sweeper};
use crate::compile::ChildCompiler;
use crate::config::{Component, Config};

/// Compiled plugins, in the data folder: made anew if lost.
const CODE_FOLDER: &str = "compiled";

/// Everything that works behind the HTTP server.
pub struct Rooms {
    /// The store.
    pub database: Database,
    /// Who.
    pub tenants: Tenants,
    /// What happened.
    pub journal: Journal,
    /// The way to the platform.
    pub operations: Operations,
    /// What makes shops tenants, if there is a third-party platform.
    pub sweeper: Option<Sweeper>,
    /// The sandbox.
    pub runtime: Runtime,
    /// What tenants may use.
    pub plans: Arc<Plans>,
    /// One run at a time per order.
    pub lanes: Lanes,
    /// What finds changes whose callback was lost, if it is on.
    pub reconciling: Option<Running>,
    /// The machine's clock.
    pub clock: Clock,
}

/// What a flight may take once none makes another call of the platform: the one under way with its time limit, or the wait for
/// a lease (20 s); then what it gave is written.
const FLIGHT: Duration = Duration::from_secs(35);

impl Rooms {
    /// Opens all of them. The error says which could not be opened and what to do.
    pub async fn open(config: &Config) -> anyhow::Result<Rooms> {
        let clock = Clock::system();
        let database = Database::open(OpenOptions::new(&config.data_dir)).await?;
        let opened = Rooms::open_on(&database, config, clock).await;
        if opened.is_err() {
            // Closed in order, so that the next start finds the folder free and the log written back.
            database.close().await;
        }
        opened
    }

    async fn open_on(database: &Database, config: &Config, clock: Clock) -> anyhow::Result<Rooms> {
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
        let database = database.clone();
        Ok(Rooms { database, tenants, journal, operations, sweeper, runtime, plans, lanes, reconciling, clock })
    }

    /// Stops: runs under way may end within `grace`, the rest is resumed by the next start. Refreshes, decodes and questions about
    /// authorization codes under way, whose answers are given once, have as long again to be kept, and [`FLIGHT`] at least; then
    /// the store is closed.
    pub async fn close(self, grace: Duration) {
        if let Some(sweeper) = self.sweeper {
            sweeper.stop().await;
        }
        if let Some(reconciling) = self.reconciling {
            reconciling.stop().await;
        }
        self.lanes.stop(grace).await;
        if !self.tenants.flights().land(grace.max(FLIGHT)).await {
            tracing::warn!("a call was cut off at the stop: the platform did not answer in time, or the store did not");
        }
        if let Err(error) = self.tenants.flush_refusals().await {
            tracing::warn!(%error, "counts of refused callbacks were lost at the stop");
        }
        self.database.close().await;
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

/// What protects the component's callbacks.
pub fn component_keys(component: &Component) -> CallbackKeys {
    CallbackKeys {
        token: component.token.clone(),
        encoding_aes_key: component.encoding_aes_key.clone(),
        previous_encoding_aes_key: component.previous_encoding_aes_key.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::mpsc;

    use fangshi_tenants::{Credentials, Issuer, NewTenant, Platform};
    use secrecy::SecretString;

    use super::*;

    /// A platform that is asked for one token, says so, and answers when it is told to.
    fn slow_platform() -> (String, tokio::sync::oneshot::Receiver<()>, mpsc::Sender<()>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let ((asked, was_asked), (answer, may_answer)) = (tokio::sync::oneshot::channel(), mpsc::channel());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"}") {
                let mut bytes = [0; 1024];
                let count = stream.read(&mut bytes).unwrap();
                seen.extend_from_slice(&bytes[..count]);
            }
            asked.send(()).unwrap();
            may_answer.recv().unwrap();
            let body = r#"{"access_token":"T","expires_in":7200}"#;
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        });
        (base, was_asked, answer)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_stop_keeps_the_answer_of_a_refresh_under_way() {
        let (base, was_asked, answer) = slow_platform();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fangshi.toml");
        let text = format!(
            "data_dir = \"data\"\n[operator]\ntoken = \"operator-token-of-the-tests-0123456789\"\n\
             [weixin]\napi_base = \"{base}\"\n[reconcile]\nstate = \"off\"\n"
        );
        std::fs::write(&file, text).unwrap();
        let config = Config::load(&file).unwrap();
        let rooms = Rooms::open(&config).await.unwrap();
        let new = NewTenant {
            platform: Platform::Weixin,
            appid: "wxown".into(),
            user_name: None,
            name: "shop".into(),
            credentials: Credentials::SelfBuilt {
                appsecret: SecretString::from("secret"),
                callback: CallbackKeys {
                    token: SecretString::from("token"),
                    encoding_aes_key: SecretString::from("key"),
                    previous_encoding_aes_key: None,
                },
            },
        };
        let shop = rooms.tenants.create(new).await.unwrap().id;
        let (tenants, issuer) = (rooms.tenants.clone(), rooms.operations.authorizer() as Arc<dyn Issuer>);
        let run = tokio::spawn(async move { tenants.custody().access_token(shop, &issuer).await.map(|_| ()) });
        was_asked.await.unwrap();
        run.abort();
        let closing = tokio::spawn(rooms.close(Duration::from_secs(3_600)));
        answer.send(()).unwrap();
        closing.await.unwrap();

        // The platform is gone: the token is the one that was under way.
        let rooms = Rooms::open(&config).await.unwrap();
        let issuer = rooms.operations.authorizer() as Arc<dyn Issuer>;
        assert_eq!(rooms.tenants.custody().access_token(shop, &issuer).await.unwrap().version, 1);
        rooms.close(Duration::from_secs(3_600)).await;
    }
}
