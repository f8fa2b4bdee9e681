//! Rotation of the key-encryption key, cut off wherever it can be.

use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use fangshi_database::Clock;
use zeroize::Zeroizing;

use super::{Scene, authorized, kek, scene, tenants_of};
use crate::{Kek, KekError, KeyWrap, Place, Rotated, TenantId, Tenants, TenantsError, rotate};

const NOTE: Place = Place { table: "events", column: "body" };

/// A key kept elsewhere: slow, and out of reach after so many uses.
struct Remote {
    key: Kek,
    uses: AtomicI64,
}

impl Remote {
    fn new(key: Kek, uses: i64) -> Remote {
        Remote { key, uses: AtomicI64::new(uses) }
    }

    async fn reach(&self) -> Result<(), KekError> {
        tokio::task::yield_now().await;
        if self.uses.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(KekError::Unreached { id: self.key.id(), cause: "timeout".into() });
        }
        Ok(())
    }
}

#[async_trait]
impl KeyWrap for Remote {
    fn id(&self) -> String {
        self.key.id()
    }

    async fn wrap(&self, belongs: &[u8], secret: &[u8]) -> Result<Vec<u8>, KekError> {
        self.reach().await?;
        self.key.wrap(belongs, secret).await
    }

    async fn open(&self, belongs: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KekError> {
        self.reach().await?;
        self.key.open(belongs, wrapped).await
    }
}

fn next_kek() -> Kek {
    Kek::from_bytes(&[43; 32])
}

/// Five tenants, and something sealed for each.
async fn shops(scene: &Scene) -> Vec<(TenantId, Vec<u8>)> {
    let mut shops = Vec::new();
    for n in 0..5 {
        let new = authorized(&format!("wx{n}"), Some("access"), Some("refresh"));
        let id = scene.tenants.create(new).await.unwrap().id;
        shops.push((id, scene.tenants.vault().seal(id, NOTE, b"1", b"kept").unwrap()));
    }
    shops
}

async fn opens(scene: &Scene, key: impl KeyWrap + 'static, shops: &[(TenantId, Vec<u8>)]) {
    let tenants = Tenants::open(scene.db.clone(), key, None, scene.clock.clone()).await.unwrap();
    for (shop, sealed) in shops {
        assert_eq!(tenants.vault().unseal(*shop, NOTE, b"1", sealed).unwrap().as_slice(), b"kept");
        assert_eq!(tenants.get(*shop).unwrap().name, format!("shop wx{}", shop.0 - 1));
    }
}

async fn is_under(scene: &Scene, right: fn() -> Kek, wrong: fn() -> Kek, shops: &[(TenantId, Vec<u8>)]) {
    opens(scene, right(), shops).await;
    let refused = Tenants::open(scene.db.clone(), wrong(), None, Clock::system()).await.unwrap_err();
    assert!(matches!(&refused, TenantsError::WrongKey { wanted, .. } if *wanted == right().id()), "{refused}");
}

#[tokio::test]
async fn a_rotation_wraps_anew_and_reseals_nothing() {
    let scene = scene().await;
    let shops = shops(&scene).await;
    let sealed = |scene: &Scene| {
        let db = scene.db.clone();
        async move {
            sqlx::query_as::<_, (Vec<u8>, Vec<u8>)>("SELECT access, refresh FROM tokens WHERE kind = 'access'")
                .fetch_all(db.reader())
                .await
                .unwrap()
        }
    };
    let before = sealed(&scene).await;
    let old_wrapped: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT wrapped FROM data_keys").fetch_all(scene.db.reader()).await.unwrap();
    let rotated = rotate(&scene.db, &kek(), &next_kek(), &scene.clock).await.unwrap();
    assert_eq!(rotated, Rotated { old: kek().id(), new: next_kek().id(), keys: 6 });
    assert_eq!(sealed(&scene).await, before);
    is_under(&scene, next_kek, kek, &shops).await;
    let files = scene.raw_files();
    for wrapped in old_wrapped {
        assert!(!files.windows(wrapped.len()).any(|window| window == wrapped), "a key wrapped by the old one is left");
    }
    // And back, with what was made meanwhile.
    let tenants = Tenants::open(scene.db.clone(), next_kek(), None, scene.clock.clone()).await.unwrap();
    tenants.create(authorized("wxnew", None, None)).await.unwrap();
    assert_eq!(rotate(&scene.db, &next_kek(), &kek(), &scene.clock).await.unwrap().keys, 7);
    is_under(&scene, kek, next_kek, &shops).await;
}

#[tokio::test]
async fn a_key_that_fails_at_any_use_loses_nothing() {
    let scene = scene().await;
    let shops = shops(&scene).await;
    let mut failures = 0;
    for uses in 0.. {
        let outcome = rotate(&scene.db, &kek(), &Remote::new(next_kek(), uses), &scene.clock).await;
        let (wanted,): (String,) =
            sqlx::query_as("SELECT kek_id FROM key_check").fetch_one(scene.db.reader()).await.unwrap();
        match outcome {
            Ok(_) => break,
            Err(error) => assert!(matches!(error, TenantsError::Kek(KekError::Unreached { .. })), "{error}"),
        }
        failures += 1;
        // Before the flip under the old key; after it, in the reading back, under the new one.
        if wanted == kek().id() {
            is_under(&scene, kek, next_kek, &shops).await;
        } else {
            is_under(&scene, next_kek, kek, &shops).await;
            rotate(&scene.db, &next_kek(), &kek(), &scene.clock).await.unwrap();
        }
    }
    // 6 keys wrapped and opened, the check wrapped; then the check and 6 keys opened again.
    assert_eq!(failures, 13 + 7);
    for uses in 0..7 {
        assert!(rotate(&scene.db, &Remote::new(next_kek(), uses), &kek(), &scene.clock).await.is_err());
        is_under(&scene, next_kek, kek, &shops).await;
    }
}

#[tokio::test]
async fn a_store_that_fails_at_any_row_stays_as_it_was() {
    let scene = scene().await;
    let shops = shops(&scene).await;
    for tenant in 0..=5 {
        scene
            .sql(match tenant {
                0 => "CREATE TRIGGER fails BEFORE UPDATE ON data_keys WHEN old.tenant_id = 0 BEGIN SELECT raise(ABORT, 'full'); END",
                3 => "CREATE TRIGGER fails BEFORE UPDATE ON data_keys WHEN old.tenant_id = 3 BEGIN SELECT raise(ABORT, 'full'); END",
                5 => "CREATE TRIGGER fails BEFORE UPDATE ON key_check BEGIN SELECT raise(ABORT, 'full'); END",
                _ => continue,
            })
            .await;
        assert!(rotate(&scene.db, &kek(), &next_kek(), &scene.clock).await.is_err());
        scene.sql("DROP TRIGGER fails").await;
        is_under(&scene, kek, next_kek, &shops).await;
    }
    rotate(&scene.db, &kek(), &next_kek(), &scene.clock).await.unwrap();
    is_under(&scene, next_kek, kek, &shops).await;
}

#[tokio::test]
async fn a_wrong_or_the_same_key_rotates_nothing() {
    let scene = scene().await;
    let wrong = rotate(&scene.db, &next_kek(), &Kek::from_bytes(&[1; 32]), &scene.clock).await.unwrap_err();
    assert!(matches!(wrong, TenantsError::WrongKey { .. }), "{wrong}");
    let same = rotate(&scene.db, &kek(), &kek(), &scene.clock).await.unwrap_err();
    assert!(matches!(same, TenantsError::SameKey { .. }), "{same}");
    tenants_of(&scene.db, &scene.clock).await;
}

#[tokio::test]
async fn a_key_elsewhere_is_needed_for_starts_and_new_tenants_alone() {
    let scene = scene().await;
    let shops = shops(&scene).await;
    // The check and 6 data keys.
    let reached = Remote::new(kek(), 6);
    let refused = Tenants::open(scene.db.clone(), reached, None, scene.clock.clone()).await.unwrap_err();
    assert!(matches!(refused, TenantsError::Kek(KekError::Unreached { .. })), "not taken for a damaged key: {refused}");
    opens(&scene, Remote::new(kek(), 7), &shops).await;
    let tenants = Tenants::open(scene.db.clone(), Remote::new(kek(), 8), None, scene.clock.clone()).await.unwrap();
    let made = tenants.create(authorized("wxnew", None, None)).await.unwrap();
    let refused = tenants.create(authorized("wxmore", None, None)).await.unwrap_err();
    assert!(matches!(refused, TenantsError::Kek(KekError::Unreached { .. })), "{refused}");
    assert!(tenants.by_appid("wxmore").is_none());
    let sealed = tenants.vault().seal(made.id, NOTE, b"1", b"x").unwrap();
    assert_eq!(tenants.vault().unseal(made.id, NOTE, b"1", &sealed).unwrap().as_slice(), b"x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_make_tenants_at_once_without_sharing_a_key() {
    let scene = scene().await;
    let doors = [tenants_of(&scene.db, &scene.clock).await, tenants_of(&scene.db, &scene.clock).await];
    let made: Vec<_> = (0..20)
        .map(|n| {
            let tenants = doors[n % 2].clone();
            tokio::spawn(async move { tenants.create(authorized(&format!("wx{n}"), None, None)).await })
        })
        .collect();
    for task in made {
        task.await.unwrap().unwrap();
    }
    let again = tenants_of(&scene.db, &scene.clock).await;
    assert_eq!(again.list(None, 100).await.len(), 20, "every name opens under its own key");
}

/// Data keys are in memory as ciphers, and ciphers are wiped when dropped.
#[test]
fn keys_in_memory_are_wiped() {
    fn is_wiped<T: zeroize::ZeroizeOnDrop>() {}
    is_wiped::<chacha20poly1305::XChaCha20Poly1305>();
}
