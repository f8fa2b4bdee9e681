//! Deleting and exporting a tenant, and its budget of decodes.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use fangshi_database::WriteError;
use fangshi_tenants::ErasedList;
use serde_json::{Value, json};
use support::{Desk, guest};
use tokio::sync::{Notify, Semaphore};

#[tokio::test]
async fn a_tenant_is_exported_then_deleted_then_made_anew() {
    let desk = Desk::new().await;
    let id = desk.tenant("wxone").await;
    let at = format!("/api/v1/tenants/{id}");
    let version = desk.upload(&id, "noting", guest::noting()).await.json();
    let body = json!({"plugin": version["plugin"], "version": version["version"], "grants": ["notes"]});
    desk.post(&format!("{at}/installations"), body).await;
    desk.paid(&id, "3732676853715311104").await;

    let export = desk.get(&format!("{at}/export")).await;
    assert_eq!(export.status, StatusCode::OK);
    assert_eq!(export.headers["content-type"], "application/x-ndjson");
    let lines: Vec<Value> = export.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["line"].as_str().unwrap()).collect();
    assert_eq!(kinds[..4], ["tenant", "plugin", "version", "installation"]);
    assert!(kinds.contains(&"event") && kinds.contains(&"run"), "{kinds:?}");
    assert_eq!(lines.last().unwrap(), &json!({"line": "end", "lines": lines.len() - 1}));
    assert!(
        !export.text.contains("CANARY-access") && !export.text.contains("CANARY-refresh"),
        "tokens are no part of it"
    );
    assert!(export.text.contains("merchant_notes"), "calls are");

    let remove =
        async |query: &str| desk.with_token(Method::DELETE, &format!("{at}{query}"), None, Body::empty()).await;
    assert_eq!(remove("?appid=wxone").await.refusal(409), "tenant-active");
    let suspended = desk.json(Method::PATCH, &at, json!({"state": "suspended", "reason": "leaves"})).await.json();
    assert!(suspended["what_to_do"]["zh"].as_str().unwrap().contains("暂停"), "{suspended}");
    assert!(suspended["what_to_do"]["en"].as_str().unwrap().contains("active"), "{suspended}");
    assert_eq!(remove("").await.refusal(400), "invalid-query");
    assert_eq!(remove("?appid=wxtwo").await.refusal(422), "invalid-body");
    // A list of deletions that can't be kept.
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("erased");
    std::fs::create_dir(&list).unwrap();
    desk.tenants.note_deletions_in(ErasedList::new(list.clone()));
    assert_eq!(remove("?appid=wxone").await.refusal(503), "deletion-not-noted");
    assert_eq!(desk.get(&at).await.status, StatusCode::OK);
    std::fs::remove_dir(&list).unwrap();
    let deleted = remove("?appid=wxone").await;
    assert_eq!((deleted.status, deleted.json()["state"].as_str()), (StatusCode::ACCEPTED, Some("deleted")));
    assert_eq!(desk.get(&at).await.refusal(404), "no-such-tenant");
    assert_eq!(desk.get(&format!("{at}/export")).await.refusal(404), "no-such-tenant");
    assert_eq!(remove("?appid=wxone").await.refusal(404), "no-such-tenant");
    assert_ne!(desk.tenant("wxone").await, id, "a new tenant, not the old one");
}

#[tokio::test]
async fn the_budget_of_decodes_is_shown_and_set() {
    let desk = Desk::new().await;
    let id = desk.tenant("wxone").await;
    let at = format!("/api/v1/tenants/{id}");
    let shown = desk.get(&at).await.json()["decodes"].clone();
    assert_eq!((&shown["budget"], &shown["used"], &shown["left"]), (&json!(30), &json!(0), &json!(30)));
    assert_eq!((shown["next_day_at"].as_i64().unwrap() + 8 * 3_600_000) % 86_400_000, 0, "midnight in Shanghai");
    let changed = desk.json(Method::PATCH, &at, json!({"decode_budget": 5})).await.json();
    assert_eq!((&changed["decodes"]["budget"], &changed["decodes"]["left"]), (&json!(5), &json!(5)));
    desk.json(Method::PATCH, &at, json!({"decode_budget": -1})).await.refusal(422);
}

#[tokio::test]
async fn a_tenant_that_is_deleted_is_never_said_to_be_not() {
    let desk = Desk::new().await;
    let id = desk.tenant("wxone").await;
    let at = format!("/api/v1/tenants/{id}");
    desk.json(Method::PATCH, &at, json!({"state": "suspended", "reason": "leaves"})).await.json();
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("erased");
    desk.tenants.note_deletions_in(ErasedList::new(list.clone()));
    // The store takes its time, and the list is gone by then.
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
    let holding = {
        let (database, gate, begun) = (desk.database.clone(), Arc::clone(&gate), Arc::clone(&begun));
        tokio::spawn(async move {
            let held = database.writer().submit(move |_| {
                Box::pin(async move {
                    begun.notify_one();
                    let _ = gate.acquire().await;
                    Ok::<_, WriteError>(())
                })
            });
            held.await
        })
    };
    begun.notified().await;
    let path = format!("{at}?appid=wxone");
    let remove = desk.with_token(Method::DELETE, &path, None, Body::empty());
    let break_the_list = async {
        while !std::fs::read_to_string(&list).is_ok_and(|text| text.ends_with('\n')) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        std::fs::remove_file(&list).unwrap();
        std::fs::create_dir(&list).unwrap();
        gate.add_permits(1);
    };
    let (deleted, ()) = tokio::join!(remove, break_the_list);
    holding.await.unwrap().unwrap();
    assert_eq!(deleted.status, StatusCode::ACCEPTED, "{}", deleted.text);
    assert_eq!(desk.get(&at).await.refusal(404), "no-such-tenant");
    // The next look makes up for it.
    std::fs::remove_dir(&list).unwrap();
    desk.tenants.note_deletions().await.unwrap();
    assert!(std::fs::read_to_string(&list).unwrap().starts_with("done "));
}
