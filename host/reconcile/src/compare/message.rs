//! An event for a change that nobody announced, in the form that a callback of it would have had.

use fangshi_journal::{LaneKey, NewEvent, Source};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::judge::Told;

/// Stored in a unique index beside the keys of callbacks; its making must not change.
const FORM: &[u8] = b"fangshi reconciled event key 1\n";
/// Leading bytes that hold the time, as in the keys of callbacks.
const TIME: usize = 5;

/// Makes the event. `update_time` is that of the reading (unix seconds), `user_name` the shop's original id, `openid` the
/// buyer; `now` is in unix milliseconds. The body is the canonical JSON of a callback: members by name, every scalar text.
pub fn message(
    order: &LaneKey,
    told: &Told,
    update_time: i64,
    user_name: Option<&str>,
    openid: Option<&str>,
    now: i64,
) -> NewEvent {
    let (word, at) = (told.change.word, told.change.at);
    let mut info = Map::new();
    info.insert("order_id".into(), Value::from(&*order.order_id));
    if let Some((name, value)) = word.member() {
        info.insert(name.into(), Value::from(value.to_string()));
    }
    let mut body = Map::new();
    let members = [
        ("CreateTime", Some(at.to_string())),
        ("Event", Some(word.event().to_owned())),
        ("FromUserName", openid.map(str::to_owned)),
        ("MsgType", Some("event".to_owned())),
        ("ToUserName", user_name.map(str::to_owned)),
    ];
    body.extend(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?)))));
    body.insert("order_info".into(), Value::Object(info));
    NewEvent {
        tenant: order.tenant,
        event: word.event().to_owned(),
        order_id: order.order_id.to_string(),
        source: Source::Reconciled,
        ext_type: word.ext_type(),
        created_at: at,
        received_at: now,
        dedup: key(order, told, update_time),
        body: Value::Object(body).to_string().into_bytes(),
    }
}

/// One change of one reading is one event.
fn key(order: &LaneKey, told: &Told, update_time: i64) -> [u8; 32] {
    let (word, at) = (told.change.word, told.change.at);
    let mut sha = Sha256::new();
    sha.update(FORM);
    sha.update(order.tenant.0.to_be_bytes());
    for text in [&*order.order_id, word.event()] {
        sha.update((text.len() as u64).to_be_bytes());
        sha.update(text.as_bytes());
    }
    for number in [word.ext_type().unwrap_or(-1), word.member().map_or(-1, |(_, value)| value), at, update_time] {
        sha.update(number.to_be_bytes());
    }
    let digest = sha.finalize();
    let mut key = [0; 32];
    key[..TIME].copy_from_slice(&at.to_be_bytes()[8 - TIME..]);
    key[TIME..].copy_from_slice(&digest[..32 - TIME]);
    key
}
