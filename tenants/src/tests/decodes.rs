//! Decoded buyer data: shared, scarce, sealed, counted.

use std::sync::Arc;

use fangshi_database::{Digest, InstallationId, TenantId};
use serde_json::{Value, json};

use super::{Scene, contains, scene, tenants_of};
use crate::{Begun, Came, DecodeAsk, DecodeTicket, Decodes, ShownAddress, TenantPatch};

const DAY_MS: i64 = 86_400_000;

fn ask(tenant: TenantId, installation: i64, order: &str, address: &[u8]) -> DecodeAsk {
    DecodeAsk {
        tenant,
        installation: InstallationId(installation),
        order_id: order.to_owned(),
        address: ShownAddress { mark: Digest::of(address), number_until: None },
    }
}

fn answer(text: &str) -> Arc<Value> {
    Arc::new(json!({"address_info": {"user_name": text}}))
}

async fn live(decodes: &Decodes, ask: &DecodeAsk) -> DecodeTicket {
    match decodes.begin(ask).await.unwrap() {
        Begun::Live(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

async fn decoded(decodes: &Decodes, ask: &DecodeAsk, text: &str) {
    let ticket = live(decodes, ask).await;
    decodes.settle(&ticket, &Came::Answer(answer(text), None)).await.unwrap();
}

async fn used(scene: &Scene, tenant: TenantId) -> (u32, u32) {
    let usage = scene.tenants.decodes().usage(tenant).await.unwrap();
    (usage.used, usage.left())
}

#[tokio::test]
async fn an_answer_is_kept_sealed_and_shared_and_every_serving_is_recorded() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    let decodes = scene.tenants.decodes();
    let first = ask(shop, 1, "o1", b"a");
    assert_eq!(decodes.kept(&first).await.unwrap(), None);
    assert!(!decodes.is_kept(shop, "o1").await.unwrap());
    decoded(decodes, &first, "BUYER-CANARY").await;
    // Another installation of the tenant, after a start too.
    let again = tenants_of(&scene.db, &scene.clock).await;
    for installation in [2, 3] {
        let kept = again.decodes().kept(&ask(shop, installation, "o1", b"a")).await.unwrap();
        assert_eq!(kept.as_ref(), Some(&*answer("BUYER-CANARY")));
    }
    assert!(matches!(decodes.begin(&first).await.unwrap(), Begun::Kept(_)), "looked at again inside the write");
    assert_eq!(scene.number("SELECT count(*) FROM decodes WHERE live = 1 AND outcome = 1").await, 1);
    assert_eq!(scene.number("SELECT count(*) FROM decodes WHERE live = 0").await, 3);
    assert_eq!(used(&scene, shop).await, (1, 29), "only what the platform was asked counts");
    assert!(!contains(&scene.raw_files(), "BUYER-CANARY"));

    // Another shop's order of the same number is another order.
    let other = scene.authorized("wxb").await.id;
    assert_eq!(decodes.kept(&ask(other, 4, "o1", b"a")).await.unwrap(), None);
}

#[tokio::test]
async fn another_address_is_decoded_anew_and_the_old_answer_is_gone() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    let decodes = scene.tenants.decodes();
    decoded(decodes, &ask(shop, 1, "o1", b"a"), "old").await;
    let moved = ask(shop, 1, "o1", b"b");
    assert_eq!(decodes.kept(&moved).await.unwrap(), None);
    decoded(decodes, &moved, "new").await;
    assert_eq!(decodes.kept(&moved).await.unwrap().as_ref(), Some(&*answer("new")));
    assert_eq!(decodes.kept(&ask(shop, 1, "o1", b"a")).await.unwrap(), None);
    assert_eq!(scene.number("SELECT version FROM decoded").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_tasks_and_two_processes_one_calls() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    let others = [tenants_of(&scene.db, &scene.clock).await, tenants_of(&scene.db, &scene.clock).await];
    let tasks: Vec<_> = (0..64)
        .map(|n| {
            let decodes = others[n % 2].decodes().clone();
            tokio::spawn(async move { decodes.begin(&ask(shop, n as i64, "o1", b"a")).await.unwrap() })
        })
        .collect();
    let mut tickets = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Begun::Live(ticket) => tickets.push(ticket),
            Begun::Elsewhere => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(tickets.len(), 1);
    others[0].decodes().settle(&tickets.remove(0), &Came::Answer(answer("x"), None)).await.unwrap();
    let kept = others[1].decodes().begin(&ask(shop, 9, "o1", b"a")).await.unwrap();
    assert!(matches!(kept, Begun::Kept(_)), "{kept:?}");
}

#[tokio::test]
async fn a_lease_of_a_dead_process_ends_and_its_call_counts() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    let decodes = scene.tenants.decodes();
    let wanted = ask(shop, 1, "o1", b"a");
    let dead = live(decodes, &wanted).await;
    scene.hand.advance(29_999);
    assert!(matches!(decodes.begin(&wanted).await.unwrap(), Begun::Elsewhere));
    scene.hand.advance(1);
    let second = live(decodes, &wanted).await;
    assert_eq!(used(&scene, shop).await, (2, 28));
    // The first was only slow: its answer is served, and the row stays with whoever holds it now.
    decodes.settle(&dead, &Came::Answer(answer("late"), None)).await.unwrap();
    assert_eq!(decodes.kept(&wanted).await.unwrap(), None);
    decodes.settle(&second, &Came::Answer(answer("now"), None)).await.unwrap();
    assert_eq!(decodes.kept(&wanted).await.unwrap().as_ref(), Some(&*answer("now")));
}

#[tokio::test]
async fn the_budget_counts_answers_and_lost_answers_and_not_refusals() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    let decodes = scene.tenants.decodes();
    let patch = TenantPatch { decode_budget: Some(3), ..TenantPatch::default() };
    scene.tenants.update(shop, patch).await.unwrap();

    let refused = live(decodes, &ask(shop, 1, "o1", b"a")).await;
    decodes.settle(&refused, &Came::Refused).await.unwrap();
    assert_eq!(used(&scene, shop).await, (0, 3));
    let lost = live(decodes, &ask(shop, 1, "o1", b"a")).await;
    decodes.settle(&lost, &Came::Lost).await.unwrap();
    decoded(decodes, &ask(shop, 1, "o1", b"a"), "x").await;
    decoded(decodes, &ask(shop, 1, "o2", b"a"), "x").await;
    assert_eq!(used(&scene, shop).await, (3, 0));
    assert!(matches!(decodes.begin(&ask(shop, 1, "o3", b"a")).await.unwrap(), Begun::UsedUp));
    assert!(
        matches!(decodes.begin(&ask(shop, 1, "o1", b"a")).await.unwrap(), Begun::Kept(_)),
        "kept ones cost nothing"
    );

    let usage = decodes.usage(shop).await.unwrap();
    scene.hand.set(usage.until - 1);
    assert!(matches!(decodes.begin(&ask(shop, 1, "o3", b"a")).await.unwrap(), Begun::UsedUp));
    scene.hand.set(usage.until);
    assert_eq!(used(&scene, shop).await, (0, 3));
    decoded(decodes, &ask(shop, 1, "o3", b"a"), "x").await;
    assert_eq!(decodes.usage(shop).await.unwrap().until, usage.until + DAY_MS);

    let patch = TenantPatch { decode_budget: Some(0), ..TenantPatch::default() };
    assert_eq!(scene.tenants.update(shop, patch).await.unwrap().decode_budget, 0);
    assert!(matches!(decodes.begin(&ask(shop, 1, "o4", b"a")).await.unwrap(), Begun::UsedUp));
}

#[tokio::test]
async fn a_call_is_made_only_while_the_lease_is_ones_own() {
    let scene = scene().await;
    let shop = scene.authorized("wxa").await.id;
    let decodes = scene.tenants.decodes();
    let wanted = ask(shop, 1, "o1", b"a");
    let first = live(decodes, &wanted).await;
    // Prolonged on the way: nobody else gets in.
    scene.hand.advance(29_000);
    assert!(decodes.hold_on(&first).await.unwrap());
    scene.hand.advance(29_000);
    assert!(matches!(decodes.begin(&wanted).await.unwrap(), Begun::Elsewhere));
    // Too late: another call took its place, and stays in it.
    scene.hand.advance(1_000);
    let second = live(decodes, &wanted).await;
    assert!(!decodes.hold_on(&first).await.unwrap());
    assert!(decodes.hold_on(&second).await.unwrap());
    decodes.settle(&first, &Came::Refused).await.unwrap();
    assert!(decodes.hold_on(&second).await.unwrap());
    decodes.settle(&second, &Came::Answer(answer("B"), None)).await.unwrap();
    assert_eq!(used(&scene, shop).await, (1, 29), "what was not sent does not count");
}
