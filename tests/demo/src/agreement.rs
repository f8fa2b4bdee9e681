//! Whether the platform's ledger and the host's journal agree: each order event pushed is one event, each run has
//! ended well, and each change that the platform applied is exactly one effect of one run. Two that agree on nothing agree as
//! well, so the changes have to be those of the story.
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use fangshi_platform::Push;
use serde_json::Value;

use crate::{
    lives::Promise,
    scene::Scene,
    story::{Story, settle},
};

/// What one side says, counted.
type Count = BTreeMap<String, usize>;

pub async fn check(scene: &Scene, promises: &[Promise], story: &mut Story) -> Result<()> {
    story.title("Do the platform's ledger and the host's journal agree?");
    settle(scene).await?;
    let ledger = scene.platform.ledger();
    for member in &scene.members {
        let tenant = &member.tenant;
        let appid = Some(member.shop.appid.as_str());

        for push in ledger.pushes.iter().filter(|push| push.appid.as_deref() == appid) {
            ensure!(
                push.attempts.last().is_some_and(|attempt| attempt.answer == "success" && attempt.status == Some(200)),
                "push {} of {:?} was not answered with success: {:?}",
                push.name,
                push.order_id(),
                push.attempts
            );
        }
        let pushed = events_of(ledger.pushes.iter().filter(|push| push.appid.as_deref() == appid));
        let mut recorded = Count::new();
        let mut raw = 0;
        for event in scene.admin.all(&format!("/api/v1/tenants/{tenant}/events")).await? {
            if is_authorization(text(&event["event"])) {
                continue;
            }
            ensure!(event["state"] == "finished", "event {} is {}", event["id"], event["state"]);
            let key = format!(
                "{} {} {:?} {}",
                text(&event["event"]),
                text(&event["order_id"]),
                event["ext_type"].as_i64(),
                event["created_at"]
            );
            if pushed.contains_key(&key) {
                count(&mut recorded, key);
            } else {
                raw += 1;
            }
        }
        let raw_pushed =
            ledger.pushes.iter().filter(|push| push.appid.as_deref() == appid && push.order_id().is_none());
        let raw_pushed = raw_pushed.filter(|push| !is_authorization(&push.name)).count();
        ensure!(pushed == recorded, "{tenant}: pushed {pushed:#?}, recorded {recorded:#?}");
        ensure!(raw == raw_pushed, "{tenant}: {raw_pushed} raw pushes, {raw} events that no push explains");

        let mut applied = Count::new();
        for call in
            ledger.calls.iter().filter(|call| call.applied && call.appid.as_deref() == appid && call.order_id.is_some())
        {
            count(
                &mut applied,
                format!("{} {}", call.operation.unwrap_or("-"), call.order_id.as_deref().unwrap_or("-")),
            );
        }
        let (mut effects, mut runs) = (Count::new(), 0);
        for run in scene.admin.all(&format!("/api/v1/tenants/{tenant}/runs")).await? {
            runs += 1;
            ensure!(run["state"] == "done", "run {} is {}: {}", run["id"], run["state"], run["reason"]);
            let detail = scene.admin.get(&format!("/api/v1/tenants/{tenant}/runs/{}", text(&run["id"]))).await?;
            for effect in detail["effects"].as_array().into_iter().flatten() {
                ensure!(effect["state"] == "applied", "effect {effect} did not succeed");
                count(
                    &mut effects,
                    format!("{} {}", platform_name(text(&effect["operation"])), text(&effect["order_id"])),
                );
            }
        }
        ensure!(applied == effects, "{tenant}: the platform applied {applied:#?}, the journal has {effects:#?}");
        let promised = promised(promises, &member.shop.appid);
        ensure!(!promised.is_empty(), "{tenant}: the story tells of no change");
        ensure!(effects == promised, "{tenant}: the plugins made {effects:#?}, the story tells of {promised:#?}");
        story.say(&format!(
            "{tenant}: {} pushes = {} events; {runs} runs, all done; {} effects applied once each",
            pushed.values().sum::<usize>() + raw_pushed,
            recorded.values().sum::<usize>() + raw,
            effects.values().sum::<usize>()
        ));
    }
    for Promise { order, note, .. } in promises {
        let shown = scene.platform.order(order).unwrap_or_default();
        let shown = shown["order_detail"]["ext_info"]["merchant_notes"].as_str().unwrap_or_default();
        ensure!(shown == *note, "order {order} has the note {shown:?}, and should have {note:?}");
    }
    story.say(
        "they agree: pushes and events one by one (name, order, type, time; those about no order by their number), no run but \
         done ones, and what the platform changed and the runs' effects by operation and order; these are the changes and \
         notes that the plugins are there for",
    );
    Ok(())
}

/// The events that pushes make. Pushes of one second that say the same, the members of `order_info` included, are one: the
/// platform gives nothing to tell them apart. The host shows its events without these members, so they only tell how many there
/// are of one name, order, type and time.
fn events_of<'a>(pushes: impl Iterator<Item = &'a Push>) -> Count {
    let (mut told, mut events) = (BTreeSet::new(), Count::new());
    for push in pushes {
        let Some(event) = &push.event else { continue };
        let key = format!("{} {} {:?} {}", push.name, event.order_id, push.ext_type(), event.create_time);
        if told.insert((key.clone(), event.event.member())) {
            count(&mut events, key);
        }
    }
    events
}

/// The changes that a shop's plugins have to make.
fn promised(promises: &[Promise], appid: &str) -> Count {
    let mut changes = Count::new();
    for promise in promises.iter().filter(|promise| promise.appid == appid) {
        for change in promise.changes {
            count(&mut changes, format!("{change} {}", promise.order));
        }
    }
    changes
}

fn count(counts: &mut Count, key: String) {
    *counts.entry(key).or_default() += 1;
}

/// An event about an authorization is the shop's once the shop is a tenant, and the host's own before.
fn is_authorization(name: &str) -> bool {
    matches!(name, "authorized" | "updateauthorized" | "unauthorized")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

/// The platform's name of an operation of the examples.
fn platform_name(operation: &str) -> &str {
    match operation {
        "notes/set-merchant-notes" => "changemerchantnotes",
        "address-decision/accept" => "acceptorderaddressmodifyapply",
        "address-decision/reject" => "rejectorderaddressmodifyapply",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use fangshi_platform::{Body, EventMessage, OrderEvent, PushForm, PushState, Spelling};

    use super::*;

    fn push(event: OrderEvent) -> Push {
        let message = EventMessage {
            to_user_name: "gh_1".to_owned(),
            from_user_name: "o1".to_owned(),
            create_time: 1_764_642_403,
            order_id: "3732676853715311104".to_owned(),
            event: event.clone(),
        };
        Push {
            id: 1,
            appid: None,
            name: event.name().to_owned(),
            event: Some(message),
            form: PushForm { body: Body::Xml, ids: Spelling::Number, codes: Spelling::Number },
            raised_ms: 0,
            state: PushState::Waiting,
            attempts: Vec::new(),
        }
    }

    #[test]
    fn two_parcels_of_one_second_are_two_events_and_one_push_doubled_is_one() {
        let parcel = |finish_delivery| push(OrderEvent::Deliver { finish_delivery });
        let pushes = [parcel(0), parcel(0), parcel(1), push(OrderEvent::WaitShipping)];
        let events = events_of(pushes.iter());
        assert_eq!(events.values().copied().collect::<Vec<_>>(), [2, 1], "{events:?}");
    }
}
