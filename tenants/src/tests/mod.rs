//! The crate against real SQLite files, with an issuer that plays the platform.

mod access;
mod accounts;
mod ahead;
mod audit;
mod clock;
mod custody;
mod decodes;
mod deletions;
mod directory;
mod endings;
mod kept;
mod keys;
mod leases;
mod life;
mod links;
mod onboarding;
mod pauses;
mod platform;
mod quarantine;
mod recovery;
mod redirects;
mod refused;
mod registry;
mod repeated_deletions;
mod restores;
mod rests;
mod rotation;
mod sealing;
mod simulation;
mod standing;
mod stops;
mod walks;

use std::path::Path;
use std::sync::Arc;

use fangshi_database::{Clock, Database, ManualClock, OpenOptions, TenantId, WriteError};
use secrecy::SecretString;
use sqlx::Executor;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use self::platform::FakePlatform;
use crate::{
    AccessToken, Action, AuditFilter, CallbackKeys, ComponentCredentials, Credentials, Issuer, Kek, NewTenant,
    Platform, Tenant, Tenants, TokenError,
};

/// A store with its tenants, a clock that stands still, and a platform that counts.
struct Scene {
    db: Database,
    tenants: Tenants,
    clock: Clock,
    hand: ManualClock,
    platform: Arc<FakePlatform>,
    dir: TempDir,
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

fn kek() -> Kek {
    Kek::from_bytes(&[42; 32])
}

async fn database(dir: &Path) -> Database {
    Database::open(OpenOptions::new(dir)).await.unwrap()
}

async fn tenants_of(db: &Database, clock: &Clock) -> Tenants {
    let component = ComponentCredentials { appid: "wxcomponent".into(), appsecret: secret("component-secret") };
    Tenants::open(db.clone(), kek(), Some(component), clock.clone()).await.unwrap()
}

async fn scene() -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let db = database(dir.path()).await;
    let (clock, hand) = Clock::manual();
    let tenants = tenants_of(&db, &clock).await;
    tenants.custody().keep_ticket(secret("ticket-1"), clock.now_s()).await.unwrap();
    Scene { db, tenants, clock, hand, platform: Arc::default(), dir }
}

fn authorized(appid: &str, access: Option<&str>, refresh: Option<&str>) -> NewTenant {
    NewTenant {
        platform: Platform::Weixin,
        appid: appid.to_owned(),
        user_name: Some(format!("gh_{appid}")),
        name: format!("shop {appid}"),
        credentials: Credentials::Authorized {
            access_token: access.map(secret),
            expires_in: None,
            refresh_token: refresh.map(secret),
        },
    }
}

fn self_built(appid: &str) -> NewTenant {
    NewTenant {
        credentials: Credentials::SelfBuilt {
            appsecret: secret(&format!("secret-{appid}")),
            callback: CallbackKeys {
                token: secret(&format!("callback-{appid}")),
                encoding_aes_key: secret(&format!("aes-{appid}")),
                previous_encoding_aes_key: None,
            },
        },
        ..authorized(appid, None, None)
    }
}

impl Scene {
    async fn authorized(&self, appid: &str) -> Arc<Tenant> {
        self.tenants.create(authorized(appid, None, Some("refresh-0"))).await.unwrap()
    }

    fn issuer(&self) -> Arc<dyn Issuer> {
        Arc::clone(&self.platform) as Arc<dyn Issuer>
    }

    async fn token(&self, tenant: TenantId) -> Result<AccessToken, TokenError> {
        self.tenants.custody().access_token(tenant, &self.issuer()).await
    }

    fn ask(&self, tenant: TenantId) -> JoinHandle<Result<AccessToken, TokenError>> {
        let (tenants, issuer) = (self.tenants.clone(), self.issuer());
        tokio::spawn(async move { tenants.custody().access_token(tenant, &issuer).await })
    }

    /// Waits until the platform was called that often.
    async fn called(&self, kind: &str, times: usize) {
        while self.platform.count(kind) < times {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    /// How many entries of the audit are of this action.
    async fn audited(&self, action: Action) -> usize {
        let filter = AuditFilter { limit: 1000, ..AuditFilter::default() };
        let entries = self.tenants.audit().list(&filter).await.unwrap();
        entries.iter().filter(|entry| entry.action == action.code()).count()
    }

    async fn sql(&self, sql: &'static str) {
        let outcome: Result<(), WriteError> =
            self.db.writer().submit(move |c| Box::pin(async move { Ok(c.execute(sql).await.map(|_| ())?) })).await;
        outcome.unwrap();
    }

    async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.db.reader()).await.unwrap()
    }

    /// Everything that the store has written, its log included.
    fn raw_files(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in std::fs::read_dir(self.dir.path()).unwrap() {
            bytes.extend(std::fs::read(entry.unwrap().path()).unwrap());
        }
        bytes
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
