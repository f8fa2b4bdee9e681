//! Sends what is due: one task that picks, and one task for each attempt in flight.

use std::sync::Arc;
use std::time::Duration;

use crate::dice::Dice;
use crate::envelope::{EncryptedPush, Envelope, Outer, encrypt_push};
use crate::ledger::{AttemptEnd, PushAttempt};
use crate::outbox::Destination;
use crate::platform::Inner;
use crate::retry;
use crate::settings::EnvelopeTime;
use crate::shops::ShopKind;
use crate::state::State;
use crate::time::wall_ms;

/// Longest sleep between two looks at the outbox.
const NAP: Duration = Duration::from_secs(60);

pub(crate) async fn run(inner: Arc<Inner>) {
    let mut stop = inner.stop.subscribe();
    loop {
        let (jobs, next) = inner.quietly(|state, now_ms| {
            let most = state.settings.concurrent_pushes.max(1);
            let picked = state.outbox.pick(most, now_ms);
            let jobs: Vec<_> = picked.into_iter().map(|id| (id, prepare(state, id, now_ms))).collect();
            let next = [state.outbox.next_due(), state.next_timer()].into_iter().flatten().min();
            (jobs, next)
        });
        for (id, job) in jobs {
            tokio::spawn(deliver(Arc::clone(&inner), id, job));
        }
        // What is due already but not picked waits for an attempt to end, which wakes us.
        let nap = next
            .filter(|ms| *ms > inner.clock.now_ms())
            .and_then(|ms| inner.clock.real_until(ms))
            .unwrap_or(NAP)
            .clamp(Duration::from_millis(1), NAP);
        tokio::select! {
            () = inner.wake.notified() => {}
            () = tokio::time::sleep(nap) => {}
            _ = stop.changed() => return,
        }
    }
}

struct Job {
    url: String,
    push: EncryptedPush,
    deadline: Duration,
    at_ms: i64,
}

/// The request of one attempt; none if the URL is gone.
fn prepare(state: &mut State, id: u64, now_ms: i64) -> Option<Job> {
    let parcel = state.outbox.parcel(id)?.clone();
    let url = state.url_of(&parcel.to)?;
    let deadline = state.settings.push_deadline;
    if let Some(push) = parcel.same {
        return Some(Job { url, push, deadline, at_ms: now_ms });
    }
    let (attempt, body) = state.outbox.push(id).map(|p| (p.attempts.len() as u64, p.form.body))?;
    let mut dice = Dice::for_thing(state.settings.seed, "envelope", id * 16 + attempt);
    let random: Vec<u8> = dice.hex(16).into_bytes();
    let envelope = Envelope {
        timestamp: match state.settings.envelope_time {
            EnvelopeTime::Platform => now_ms / 1000,
            EnvelopeTime::Wall => wall_ms() / 1000,
        },
        nonce: dice.digits(10),
        random16: random.try_into().unwrap_or([b'0'; 16]),
        openid: parcel.openid,
    };
    let shop = match &parcel.to {
        Destination::Shop(appid) => Some(state.shops.get(appid)?),
        Destination::Authorization => None,
    };
    let secrets = match shop {
        Some(shop) if shop.kind == ShopKind::SelfBuilt => shop.callback_secrets(),
        _ => state.component.callback_secrets(),
    };
    let outer = match shop {
        Some(shop) => Outer::ToUserName(&shop.user_name),
        None => Outer::AppId(&state.component.appid),
    };
    let push = encrypt_push(&secrets, &parcel.text, body, outer, &envelope).ok()?;
    if parcel.repeats {
        state.outbox.parcel(id)?.same = Some(push.clone());
    }
    Some(Job { url, push, deadline, at_ms: now_ms })
}

async fn deliver(inner: Arc<Inner>, id: u64, job: Option<Job>) {
    let at_ms = job.as_ref().map_or_else(|| inner.clock.now_ms(), |job| job.at_ms);
    let (status, answer, end) = match job {
        None => (None, Vec::new(), AttemptEnd::NoConnection),
        Some(job) => match tokio::time::timeout(job.deadline, post(&inner.client, &job)).await {
            Err(_) => (None, Vec::new(), AttemptEnd::Timeout),
            Ok(Err(())) => (None, Vec::new(), AttemptEnd::NoConnection),
            Ok(Ok((status, body))) if retry::accepts(status, &body) => (Some(status), body, AttemptEnd::Accepted),
            Ok(Ok((status, body))) => (Some(status), body, AttemptEnd::Refused),
        },
    };
    let answer = String::from_utf8_lossy(&answer).chars().take(256).collect();
    let attempt = PushAttempt { number: 0, at_ms, status, answer, end };
    inner.with(|state, now_ms| state.outbox.ended(id, attempt, now_ms));
}

async fn post(client: &reqwest::Client, job: &Job) -> Result<(u16, Vec<u8>), ()> {
    let mark = if job.url.contains('?') { '&' } else { '?' };
    let answer = client
        .post(format!("{}{mark}{}", job.url, job.push.query))
        .header("content-type", job.push.content_type)
        .body(job.push.body.clone())
        .send()
        .await
        .map_err(|_| ())?;
    let status = answer.status().as_u16();
    Ok((status, answer.bytes().await.map_err(|_| ())?.to_vec()))
}
