//! An address: whose keys open what is pushed to it, and with which appid the plaintext must close.

use fangshi_tenants::{CallbackKeys, Tenant, TenantKind};
use secrecy::{ExposeSecret, SecretString};

use crate::cipher;
use crate::key::{BadKey, KeyPair};
use crate::node::Node;
use crate::query::PushQuery;
use crate::refusal::Refusal;
use crate::signature;
use crate::window;

/// The outer body is flat; a little room for what the platform may add.
const ENVELOPE_DEPTH: usize = 4;

/// The secrets of one callback address, ready for use.
#[derive(Debug, Clone)]
pub struct Address {
    /// The appid that closes every plaintext here: the component's for authorized shops, a self-built shop's own.
    pub appid: String,
    token: SecretString,
    keys: KeyPair,
}

impl Address {
    /// Decodes the keys; an EncodingAESKey of another form is refused here, at the start or at the tenant's creation.
    pub fn new(appid: impl Into<String>, keys: &CallbackKeys) -> Result<Self, BadKey> {
        Ok(Self { appid: appid.into(), token: keys.token.clone(), keys: KeyPair::parse(keys)? })
    }

    /// The address of a self-built shop. Its keys may be changed at any time, so they are decoded for every push.
    pub(crate) fn of_self_built(tenant: &Tenant) -> Result<Self, Refusal> {
        let keys = tenant.callback_keys().filter(|_| tenant.kind == TenantKind::SelfBuilt);
        keys.and_then(|keys| Self::new(tenant.appid.as_str(), keys).ok()).ok_or(Refusal::KeysUnusable)
    }

    /// From the query and the body to the message: signature, window, decryption, appid, in this order. The
    /// timestamp is looked at after the signature, so that nobody else can make a shop look as if its clock were wrong.
    ///
    /// `now` in unix milliseconds, `window` in seconds.
    pub fn open(&self, query: &PushQuery<'_>, body: &[u8], now: i64, window: i64) -> Result<Vec<u8>, Refusal> {
        let envelope = Node::parse(body, ENVELOPE_DEPTH).map_err(Refusal::Envelope)?;
        let encrypt = envelope.into_text("Encrypt").ok_or(Refusal::NoEncrypt)?;
        let expected = signature::msg_signature(self.token.expose_secret(), &query.timestamp, &query.nonce, &encrypt);
        if !signature::verify(&expected, &query.msg_signature) {
            return Err(Refusal::Signature);
        }
        window::within(query.seconds, now, window)?;
        Ok(cipher::open(&self.keys, &encrypt, &self.appid)?.into_message())
    }

    /// The check that the platform makes when a self-built shop saves its address. The answer is the echo and nothing
    /// else, so its timestamp may be of any age.
    pub(crate) fn check<'a>(&self, query: crate::query::CheckQuery<'a>) -> Result<std::borrow::Cow<'a, str>, Refusal> {
        let expected = signature::url_signature(self.token.expose_secret(), &query.timestamp, &query.nonce);
        if signature::verify(&expected, &query.signature) { Ok(query.echostr) } else { Err(Refusal::Signature) }
    }
}
