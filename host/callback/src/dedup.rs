//! The key by which one event is recorded once (platform page 1.6).
//!
//! SHA-256 over the tenant, `Event`, the order id, `CreateTime` and the sorted scalar members of `order_info`, all as
//! text. So the four spellings of an event make one key, and a retry makes the same one, whatever its nonce, timestamp
//! and ciphertext. `FromUserName` + `CreateTime` alone would drop a buyer's second event of one second.
//!
//! What is none of the platform's order events (unknown ones, authorization events) is keyed by all its members: nobody
//! knows where such a message says what it is about, and two of them in one second would count as one. Scalars within
//! nested members count by their path. Empty text, null and absence are the same, since XML can't tell them apart, and
//! so are an element and a list of one.

use fangshi_tenants::TenantId;
use sha2::{Digest, Sha256};

use crate::message::{Facts, Message, ORDER_EVENTS};
use crate::node::Node;

/// Stored in a unique index; its making must not change. A new one would need a new first line.
const FORM: &[u8] = b"fangshi event key 3\n";
/// The first line of an unknown event that names an order: once it was keyed as the order events are.
const OTHER: &[u8] = b"fangshi event key 4\n";
/// Leading bytes that hold `CreateTime`, and those after them that hold the order id.
const TIME: usize = 5;
const ORDER: usize = 8;

/// The key of a message at a tenant (0 for the host's own events).
///
/// It begins with `CreateTime` and the order id, so that the index of keys grows at its end instead of everywhere at
/// once; 152 bits of the digest follow.
pub fn dedup_key(tenant: TenantId, message: &Message<'_>, facts: &Facts<'_>) -> [u8; 32] {
    let (form, keyed) = match message.order_info() {
        Some(order_info) if ORDER_EVENTS.contains(&facts.event) => (FORM, order_info),
        _ if facts.order_id.is_empty() => (FORM, message.root()),
        _ => (OTHER, message.root()),
    };
    let mut sha = Sha256::new();
    sha.update(form);
    sha.update(tenant.0.to_be_bytes());
    put(&mut sha, facts.event);
    put(&mut sha, facts.order_id);
    // Checked to be plain digits, so one time has one text.
    put(&mut sha, message.text("CreateTime").unwrap_or_default());
    scalars(&mut sha, &mut String::with_capacity(64), keyed);
    let digest = sha.finalize();
    let mut key = [0; 32];
    key[..TIME].copy_from_slice(&facts.created_at.to_be_bytes()[8 - TIME..]);
    let order: u64 = facts.order_id.parse().unwrap_or_default();
    key[TIME..][..ORDER].copy_from_slice(&order.to_be_bytes());
    key[TIME + ORDER..].copy_from_slice(&digest[..32 - TIME - ORDER]);
    key
}

/// Every text goes in with its length before it, so that no two lists of texts look alike.
fn put(sha: &mut Sha256, text: &str) {
    sha.update((text.len() as u64).to_be_bytes());
    sha.update(text.as_bytes());
}

fn scalars(sha: &mut Sha256, path: &mut String, node: &Node<'_>) {
    match node {
        Node::Scalar(text) if text.is_empty() => {}
        Node::Scalar(text) => {
            put(sha, path);
            put(sha, text);
        }
        Node::List(items) => {
            for (place, item) in items.iter().enumerate() {
                let end = path.len();
                if place > 0 {
                    path.push('/');
                    path.push_str(&place.to_string());
                }
                scalars(sha, path, item);
                path.truncate(end);
            }
        }
        Node::Object(members) => {
            for (name, value) in members {
                let end = path.len();
                path.push('/');
                path.push_str(name);
                scalars(sha, path, value);
                path.truncate(end);
            }
        }
    }
}
