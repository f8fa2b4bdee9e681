//! Tokens and links against the store: who is let in, and until when.

use fangshi_database::{TenantId, TokenId};
use secrecy::ExposeSecret;

use super::{contains, scene};
use crate::{AccessError, Door, NewToken, Role};

#[tokio::test]
async fn a_token_works_until_it_expires_or_is_revoked() {
    let scene = scene().await;
    let tenant = scene.authorized("wxa").await.id;
    let access = scene.tenants.access();
    let now = scene.clock.now();
    let new = |role| NewToken { role, label: "CANARY label".into(), expires_at: now + 10_000 };
    let (merchant, secret) = access.make_token(new(Role::Merchant(tenant))).await.unwrap();
    let (operator, other) = access.make_token(new(Role::Operator)).await.unwrap();
    let text = secret.expose_secret();
    assert!(text.starts_with("fsk_") && text.len() == 68);

    let found = access.recognise(text, Door::Api).await.unwrap().unwrap();
    assert_eq!((found.id, found.role, found.label.as_str()), (merchant.id, Role::Merchant(tenant), "CANARY label"));
    assert_eq!(access.recognise(text, Door::Page).await.unwrap(), None, "a bearer token is no session");
    assert_eq!(access.recognise(&text[..67], Door::Api).await.unwrap(), None);
    assert_eq!(access.recognise(&text.replace("fsk_", "fsl_"), Door::Api).await.unwrap(), None);
    // It lies nowhere; neither does its label.
    assert!(!contains(&scene.raw_files(), text) && !contains(&scene.raw_files(), &text[4..]));
    assert!(!contains(&scene.raw_files(), "CANARY"));

    access.revoke(operator.id).await.unwrap();
    access.revoke(operator.id).await.unwrap();
    assert_eq!(access.recognise(other.expose_secret(), Door::Api).await.unwrap(), None);
    scene.hand.advance(9_999);
    assert!(access.recognise(text, Door::Api).await.unwrap().is_some());
    scene.hand.advance(1);
    assert_eq!(access.recognise(text, Door::Api).await.unwrap(), None);
    let listed = access.tokens(None, 10).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1].revoked_at, Some(now));
    assert!(matches!(access.revoke(TokenId(99)).await, Err(AccessError::UnknownToken(_))));
    let told = scene.number("SELECT count(*) FROM audit WHERE action = 'access-token-revoked'").await;
    assert_eq!(told, 1, "the second time changes nothing");
}

#[tokio::test]
async fn the_last_use_is_noted_once_an_hour() {
    let scene = scene().await;
    let access = scene.tenants.access();
    let new = NewToken { role: Role::Operator, label: "x".into(), expires_at: i64::MAX };
    let (_, secret) = access.make_token(new).await.unwrap();
    let mut seen = vec![];
    for step in [0, 3_599_999, 1] {
        scene.hand.advance(step);
        access.recognise(secret.expose_secret(), Door::Api).await.unwrap().unwrap();
        seen.push(access.tokens(None, 1).await.unwrap()[0].last_used_at.unwrap() - 1_767_225_600_000);
    }
    assert_eq!(seen, [0, 0, 3_600_000]);
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let scene = scene().await;
    let tenant = scene.authorized("wxa").await.id;
    let access = scene.tenants.access();
    let new = |role, label: &str, expires_at| NewToken { role, label: label.into(), expires_at };
    for wrong in [
        new(Role::Merchant(TenantId(9)), "x", i64::MAX),
        new(Role::Merchant(TenantId::HOST), "x", i64::MAX),
        new(Role::Operator, "", i64::MAX),
        new(Role::Operator, &"x".repeat(101), i64::MAX),
        new(Role::Operator, "a\nb", i64::MAX),
        new(Role::Operator, "x", scene.clock.now()),
    ] {
        assert!(access.make_token(wrong.clone()).await.is_err(), "{wrong:?}");
    }
    assert!(access.make_link(TenantId(9), "x", 5).await.is_err());
    for minutes in [0, 7 * 24 * 60 + 1] {
        assert!(access.make_link(tenant, "x", minutes).await.is_err());
    }
    assert_eq!(scene.number("SELECT count(*) FROM access_tokens").await, 0);
}

#[tokio::test]
async fn a_link_lets_in_once_and_only_before_its_end() {
    let scene = scene().await;
    let tenant = scene.authorized("wxa").await.id;
    let access = scene.tenants.access();
    let (link, secret) = access.make_link(tenant, "CANARY purpose", 5).await.unwrap();
    let text = secret.expose_secret();
    assert_eq!(link.expires_at, scene.clock.now() + 300_000);
    assert!(!contains(&scene.raw_files(), text) && !contains(&scene.raw_files(), "CANARY"));

    // Looking does not use it up.
    for _ in 0..3 {
        assert!(access.is_open(text).await.unwrap());
    }
    // Of ten who enter at once, one does.
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let (access, text) = (access.clone(), text.to_owned());
        tasks.spawn(async move { access.enter(&text).await.unwrap() });
    }
    let mut sessions = vec![];
    while let Some(entered) = tasks.join_next().await {
        sessions.extend(entered.unwrap());
    }
    assert_eq!(sessions.len(), 1);
    assert!(!access.is_open(text).await.unwrap());
    let (session, cookie) = sessions.remove(0);
    assert_eq!(session.role, Role::Merchant(tenant));
    assert!(access.recognise(cookie.expose_secret(), Door::Page).await.unwrap().is_some());
    assert_eq!(
        access.recognise(cookie.expose_secret(), Door::Api).await.unwrap(),
        None,
        "a session is no bearer token"
    );
    assert!(access.tokens(None, 10).await.unwrap().is_empty(), "sessions are not listed among tokens");
    scene.hand.advance(2 * 3_600_000);
    assert_eq!(access.recognise(cookie.expose_secret(), Door::Page).await.unwrap(), None);

    let (_, late) = access.make_link(tenant, "x", 1).await.unwrap();
    scene.hand.advance(60_000);
    assert!(!access.is_open(late.expose_secret()).await.unwrap());
    assert!(access.enter(late.expose_secret()).await.unwrap().is_none());
    for text in ["", "fsl_", "fsl_00", cookie.expose_secret()] {
        assert!(access.enter(text).await.unwrap().is_none(), "{text:.4}");
    }
    let told = scene.number("SELECT count(*) FROM audit WHERE action = 'link-used'").await;
    assert_eq!(told, 1);
}
