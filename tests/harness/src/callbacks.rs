//! Callbacks by the thousand: distinct, valid, encrypted beforehand, ready to be sent.
use anyhow::Result;
use fangshi_platform::{
    Body, CallbackSecrets, Envelope, EventMessage, OrderEvent, Outer, PushForm, Spelling, crypto::AesKey,
    encrypt_push_with,
};

use crate::{HostConfig, load};

/// A third-party platform that nobody answers for: its pushes are made here, and calls to it find no one.
pub fn component() -> (CallbackSecrets, HostConfig) {
    let secrets = CallbackSecrets {
        token: "token-of-the-component".to_owned(),
        encoding_aes_key: "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG".to_owned(),
        appid: "wxcomponent0000001".to_owned(),
    };
    let config = HostConfig {
        api_base: "http://127.0.0.1:9".to_owned(),
        component_appid: secrets.appid.clone(),
        component_appsecret: "unused".to_owned(),
        token: secrets.token.clone(),
        encoding_aes_key: secrets.encoding_aes_key.clone(),
        extra: String::new(),
    };
    (secrets, config)
}

/// A shop that callbacks are for.
#[derive(Clone, Debug)]
pub struct Shop {
    pub appid: String,
    pub user_name: String,
}

/// `count` shops with made-up names.
pub fn shops(count: usize) -> Vec<Shop> {
    (0..count).map(|n| Shop { appid: format!("wxshop{n:012}"), user_name: format!("gh_shop{n:08}") }).collect()
}

/// One callback and what it is about.
#[derive(Clone)]
pub struct Callback {
    pub appid: String,
    pub order_id: String,
    /// CreateTime, unix seconds.
    pub at: i64,
    /// The HTTP request, rendered.
    pub request: Vec<u8>,
}

/// A payment to be told of.
pub struct Paid<'a> {
    pub shop: &'a Shop,
    pub order_id: String,
    /// CreateTime, unix seconds.
    pub at: i64,
}

/// `count` payments, one an order, spread over the shops; ids go up from `first_order`.
pub fn payments(
    secrets: &CallbackSecrets,
    shops: &[Shop],
    count: usize,
    first_order: u64,
    now_s: i64,
) -> Result<Vec<Callback>> {
    let paid = (0..count).map(|n| {
        // As if they had happened at 10,000 a second until now.
        let at = now_s - ((count - n) / 10_000) as i64;
        Paid { shop: &shops[n % shops.len()], order_id: (first_order + n as u64).to_string(), at }
    });
    told(secrets, paid, now_s)
}

/// The callbacks of payments, signed at `now_s`. Forms alternate between XML and JSON, ids between numbers and texts.
pub fn told<'a>(secrets: &CallbackSecrets, paid: impl Iterator<Item = Paid<'a>>, now_s: i64) -> Result<Vec<Callback>> {
    let key = AesKey::parse(&secrets.encoding_aes_key)?;
    let callbacks = paid.enumerate().map(|(n, Paid { shop, order_id, at })| {
        let message = EventMessage {
            to_user_name: shop.user_name.clone(),
            from_user_name: "oWRGA7eC8hTdngzEnBSbFKBTVFcQ".to_owned(),
            create_time: at,
            order_id: order_id.clone(),
            event: OrderEvent::Pay { pay_time: at },
        };
        let form = PushForm {
            body: if n % 2 == 0 { Body::Xml } else { Body::Json },
            ids: if n % 3 == 0 { Spelling::Text } else { Spelling::Number },
            codes: Spelling::Number,
        };
        let mut random16 = [0; 16];
        random16[..8].copy_from_slice(&(n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        let envelope =
            Envelope { timestamp: now_s, nonce: (1_000_000_000 + n as u64).to_string(), random16, openid: None };
        let outer = Outer::ToUserName(&shop.user_name);
        let push = encrypt_push_with(&key, secrets, &message.spell(form), form.body, outer, &envelope);
        let target = format!("/callback/weixin/{}?{}", shop.appid, push.query);
        let appid = shop.appid.clone();
        Callback {
            appid,
            order_id,
            at,
            request: load::render("POST", &target, push.content_type, push.body.as_bytes()),
        }
    });
    Ok(callbacks.collect())
}

/// A push of the component's ticket, signed at `now_s`.
///
/// # Errors
/// The component's key is none.
pub fn ticket(secrets: &CallbackSecrets, ticket: &str, now_s: i64) -> Result<Vec<u8>> {
    let key = AesKey::parse(&secrets.encoding_aes_key)?;
    let appid = &secrets.appid;
    let message = format!(
        "<xml><AppId>{appid}</AppId><CreateTime>{now_s}</CreateTime><InfoType>component_verify_ticket</InfoType>\
         <ComponentVerifyTicket>{ticket}</ComponentVerifyTicket></xml>"
    );
    let envelope = Envelope { timestamp: now_s, nonce: "1000000000".to_owned(), random16: [7; 16], openid: None };
    let push = encrypt_push_with(&key, secrets, &message, Body::Xml, Outer::AppId(appid), &envelope);
    let target = format!("/callback/weixin/component?{}", push.query);
    Ok(load::render("POST", &target, push.content_type, push.body.as_bytes()))
}
