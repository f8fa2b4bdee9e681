//! A shop's message: bound to its tenant, then made an event.

use fangshi_journal::{NewEvent, Source};
use fangshi_tenants::Tenant;

use crate::canonical::canonical;
use crate::dedup::dedup_key;
use crate::message::{Message, MessageError};
use crate::refusal::Refusal;

/// Whether the message could be bound to the shop by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// `ToUserName` is the tenant's `user_name`.
    Bound,
    /// The tenant has no `user_name` to compare with. The event is taken, and counted: a push captured elsewhere
    /// could be replayed to such a tenant. The name is not learned from the message, since that would let the first
    /// replay decide; a person or the authorizer's info sets it.
    Unbound,
}

/// Makes an event of a decrypted message. `now` in unix milliseconds.
pub fn shop_event(tenant: &Tenant, message: &[u8], now: i64) -> Result<(NewEvent, Binding), Refusal> {
    let parsed = Message::parse(message).map_err(MessageError::from)?;
    let binding = bind(tenant.user_name.as_deref(), parsed.text("ToUserName"))?;
    let facts = parsed.facts()?;
    let event = NewEvent {
        tenant: tenant.id,
        event: facts.event.to_owned(),
        order_id: facts.order_id.to_owned(),
        source: Source::Callback,
        ext_type: facts.ext_type,
        created_at: facts.created_at,
        received_at: now,
        dedup: dedup_key(tenant.id, &parsed, &facts),
        body: canonical(parsed.root()),
    };
    Ok((event, binding))
}

/// `msg_signature` does not cover the path: without this, a push to one shop could be replayed to another one of the
/// same component (platform page 0.5).
fn bind(user_name: Option<&str>, to_user_name: Option<&str>) -> Result<Binding, Refusal> {
    match (user_name, to_user_name) {
        (_, None) => Err(Refusal::Message(MessageError::Missing("ToUserName"))),
        (None, Some(_)) => Ok(Binding::Unbound),
        (Some(ours), Some(theirs)) if ours == theirs => Ok(Binding::Bound),
        _ => Err(Refusal::WrongShop),
    }
}
