//! The rooms behind HTTP, at work: what they are, and how they stop. They are opened by [`Ready`](super::ready::Ready).

use std::sync::Arc;
use std::time::Duration;

use fangshi_database::{Clock, Database};
use fangshi_journal::Journal;
use fangshi_lanes::{Lanes, Plans};
use fangshi_operations::Operations;
use fangshi_reconcile::Running;
use fangshi_runtime::Runtime;
use fangshi_tenants::{CallbackKeys, Tenants};

use super::onboarding::Sweeper;
use crate::config::Component;

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
    /// Stops: runs under way may end within `grace`, the rest is resumed by the next start. Refreshes, decodes and questions about
    /// authorization codes under way, whose answers are given once, have as long again to be kept, and [`FLIGHT`] at least; then
    /// the store is closed.
    pub async fn close(self, grace: Duration) {
        self.database.stopping();
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

    use super::super::ready::Ready;
    use super::super::walls::Raised;
    use super::*;
    use crate::config::Config;

    async fn open(config: &Config) -> Rooms {
        Ready::open(config).await.unwrap().start(config, Raised::not_at_all()).await.unwrap()
    }

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
        let rooms = open(&config).await;
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
        let rooms = open(&config).await;
        let issuer = rooms.operations.authorizer() as Arc<dyn Issuer>;
        assert_eq!(rooms.tenants.custody().access_token(shop, &issuer).await.unwrap().version, 1);
        rooms.close(Duration::from_secs(3_600)).await;
    }
}
