//! The start rules of the key-encryption key (DESIGN section 7).

use fangshi_database::Clock;

use super::{database, kek, scene};
use crate::{Kek, KekError, Tenants, TenantsError};

#[tokio::test]
async fn a_wrong_key_is_refused_and_the_wanted_one_named() {
    let scene = scene().await;
    let other = Kek::from_bytes(&[1; 32]);
    let refused = Tenants::open(scene.db.clone(), other, None, Clock::system()).await.unwrap_err();
    let text = refused.to_string();
    assert!(matches!(refused, TenantsError::WrongKey { .. }), "{text}");
    assert!(text.contains(&kek().id()) && text.contains("key_file"), "{text}");
    // The refusal changed nothing: the right key still opens.
    Tenants::open(scene.db.clone(), kek(), None, Clock::system()).await.unwrap();
}

#[tokio::test]
async fn a_key_is_made_only_for_a_store_that_was_never_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(&dir.path().join("data")).await;
    let file = dir.path().join("fangshi.key");
    let made = Kek::at_start(&db, &file).await.unwrap();
    assert!(file.exists());
    // Cut off before anything was sealed: the next start takes the same key.
    let again = Kek::at_start(&db, &file).await.unwrap();
    assert_eq!(again.id(), made.id());
    Tenants::open(db.clone(), made, None, Clock::system()).await.unwrap();

    std::fs::rename(&file, dir.path().join("mislaid")).unwrap();
    let refused = Kek::at_start(&db, &file).await.unwrap_err();
    let text = refused.to_string();
    assert!(matches!(&refused, KekError::Missing { wanted, .. } if *wanted == again.id()), "{text}");
    assert!(text.contains(&again.id()) && text.contains("key_file"), "{text}");
    assert!(!file.exists(), "no second key was made over a sealed store");

    std::fs::rename(dir.path().join("mislaid"), &file).unwrap();
    let found = Kek::at_start(&db, &file).await.unwrap();
    Tenants::open(db, found, None, Clock::system()).await.unwrap();
}

#[tokio::test]
async fn damaged_key_rows_are_named() {
    for (sql, what) in [
        ("UPDATE key_check SET check_value = zeroblob(length(check_value))", "key_check"),
        ("UPDATE data_keys SET wrapped = zeroblob(length(wrapped)) WHERE tenant_id = 1", "data key 1 of t1"),
        // A data key of another tenant does not open in its place.
        ("UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE tenant_id = 0)", "data key 1 of t1"),
    ] {
        let scene = scene().await;
        scene.authorized("wx1").await;
        scene.sql(sql).await;
        let refused = Tenants::open(scene.db.clone(), kek(), None, Clock::system()).await.unwrap_err();
        assert!(matches!(refused, TenantsError::DamagedKeys { .. }), "{refused}");
        assert!(refused.to_string().contains(what), "{refused}");
    }
}
