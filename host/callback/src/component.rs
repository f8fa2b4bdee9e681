//! The component's own messages: its ticket and changes of authorization (platform page 2.3).
//!
//! They become events too: of the tenant that an authorization is about, or of the host (tenant 0) when no such tenant
//! is known. The ticket goes into custody at once; what follows from a change of authorization is written down with its
//! event, for onboarding to do.
//!
//! A shop's order events never come here. Whoever sends them here has the wrong address in the platform's console, and
//! is told so.

use fangshi_journal::{NewEvent, Source};
use fangshi_tenants::{AuthorizationChange, ChangeKind, TenantId};
use secrecy::SecretString;

use crate::canonical::canonical;
use crate::dedup::dedup_key;
use crate::message::{Facts, Message, MessageError, checked_name};
use crate::node::Node;
use crate::refusal::Refusal;

const TICKET: &str = "ComponentVerifyTicket";

/// A component message on its way in.
#[derive(Debug)]
pub struct ComponentMessage {
    /// To be recorded first. A ticket is not in its body.
    pub event: NewEvent,
    /// To be kept after that.
    pub ticket: Option<SecretString>,
    /// To be written down with the event.
    pub change: Option<AuthorizationChange>,
}

/// Makes an event of a decrypted component message. `tenant_of` finds the tenant of an authorizer's appid; `now` in
/// unix milliseconds.
pub fn component_event(
    appid: &str,
    message: &[u8],
    tenant_of: impl FnOnce(&str) -> Option<TenantId>,
    now: i64,
) -> Result<ComponentMessage, Refusal> {
    let parsed = Message::parse(message).map_err(MessageError::from)?;
    let Some(info_type) = parsed.text("InfoType") else {
        let shop = parsed.text("Event").or_else(|| parsed.text("MsgType")).is_some();
        return Err(if shop { Refusal::WrongAddress } else { MessageError::Missing("InfoType").into() });
    };
    match parsed.text("AppId") {
        Some(named) if named == appid => {}
        Some(_) => return Err(Refusal::WrongShop),
        None => return Err(MessageError::Missing("AppId").into()),
    }
    let tenant = parsed.text("AuthorizerAppid").and_then(tenant_of).unwrap_or(TenantId::HOST);
    let facts =
        Facts { event: checked_name(info_type)?, created_at: parsed.created_at()?, order_id: "", ext_type: None };
    let ticket = match (info_type, parsed.text(TICKET)) {
        ("component_verify_ticket", None) => return Err(MessageError::Missing(TICKET).into()),
        (_, ticket) => ticket.map(|text| SecretString::from(text.to_owned())),
    };
    let change = change_of(&parsed, &facts);
    let mut event = NewEvent {
        tenant,
        event: facts.event.to_owned(),
        order_id: String::new(),
        source: Source::Callback,
        ext_type: None,
        created_at: facts.created_at,
        received_at: now,
        // The host's, whoever it is about: a retry may come after the shop became a tenant.
        dedup: dedup_key(TenantId::HOST, &parsed, &facts),
        body: Vec::new(),
    };
    event.body = match ticket {
        None => canonical(parsed.root()),
        // The ticket has one place, in custody. The journal keeps the message without it.
        Some(_) => canonical(&without(parsed.root(), TICKET)),
    };
    Ok(ComponentMessage { event, ticket, change })
}

/// What an event about an authorization says; nothing for others, and for one that names no account.
fn change_of(message: &Message<'_>, facts: &Facts<'_>) -> Option<AuthorizationChange> {
    let kind = match facts.event {
        "authorized" => ChangeKind::Authorized,
        "updateauthorized" => ChangeKind::Updated,
        "unauthorized" => ChangeKind::Unauthorized,
        _ => return None,
    };
    let text = |name: &str| message.text(name).filter(|text| !text.is_empty());
    let secret = |name: &str| text(name).map(|text| SecretString::from(text.to_owned()));
    Some(AuthorizationChange {
        appid: text("AuthorizerAppid")?.to_owned(),
        kind,
        created_at: facts.created_at,
        code: secret("AuthorizationCode"),
        pre_auth_code: secret("PreAuthCode"),
    })
}

fn without<'a>(root: &Node<'a>, name: &str) -> Node<'a> {
    match root {
        Node::Object(members) => Node::Object(members.iter().filter(|(member, _)| member != name).cloned().collect()),
        other => other.clone(),
    }
}
