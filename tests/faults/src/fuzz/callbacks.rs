//! The way in from the platform: the query, the outer body, and what was inside the ciphertext.
use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use fangshi_callback::{Address, Message, Node, canonical, dedup_key, query};
use fangshi_database::TenantId;
use fangshi_platform::crypto;
use fangshi_tenants::CallbackKeys;
use secrecy::SecretString;

use super::Target;

/// Deeper than any message of the platform, as the host reads it.
const DEPTH: usize = fangshi_callback::DEPTH;

/// The query of a callback.
pub struct Query;

#[async_trait]
impl Target for Query {
    fn name(&self) -> &'static str {
        "callback-query"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        [
            &b"signature=899cf89e464efb63f54ddac96b0a0a235f53aa78&timestamp=1587959904&nonce=1263453184&openid=oWRGA7&encrypt_type=aes&msg_signature=9e87cfa5f6ba2a6ad9d1ddc3e1d9b3e3d1d0a9c1"[..],
            b"signature=a&timestamp=1&nonce=n&echostr=4375120948345356249",
            b"timestamp=%31&nonce=%6e&msg_signature=00&encrypt_type=aes",
        ]
        .map(<[u8]>::to_vec)
        .into()
    }

    async fn feed(&mut self, input: &[u8]) -> Result<()> {
        // An address is text before it is read.
        let Ok(text) = std::str::from_utf8(input) else { return Ok(()) };
        let _ = query::Query::parse(text).and_then(query::Query::into_push);
        let _ = query::Query::parse(text).and_then(query::Query::into_check);
        Ok(())
    }
}

/// The body of a callback, with a right query: outer XML or JSON, signature, ciphertext.
pub struct Body {
    address: Address,
}

impl Body {
    pub fn new() -> Result<Body> {
        let keys = CallbackKeys {
            token: SecretString::from("token-of-the-component"),
            encoding_aes_key: SecretString::from("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"),
            previous_encoding_aes_key: None,
        };
        Ok(Body { address: Address::new("wxcomponent0000001", &keys).ok().context("the key")? })
    }
}

#[async_trait]
impl Target for Body {
    fn name(&self) -> &'static str {
        "callback-body"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        [
            &b"<xml><ToUserName><![CDATA[gh_shop00000001]]></ToUserName><Encrypt><![CDATA[ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ==]]></Encrypt></xml>"[..],
            br#"{"ToUserName":"gh_shop00000001","Encrypt":"ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ=="}"#,
        ]
        .map(<[u8]>::to_vec)
        .into()
    }

    async fn feed(&mut self, input: &[u8]) -> Result<()> {
        // Signed, so that what is behind the signature is reached too.
        let encrypt = Node::parse(input, 2).ok().and_then(|node| node.into_text("Encrypt").map(String::from));
        let (timestamp, nonce) = ("1764642403", "1263453184");
        let signature = match &encrypt {
            Some(encrypt) => crypto::sign(&["token-of-the-component", timestamp, nonce, encrypt]),
            None => "0".repeat(40),
        };
        let text = format!("timestamp={timestamp}&nonce={nonce}&encrypt_type=aes&msg_signature={signature}");
        let query = query::Query::parse(&text).ok().and_then(|query| query.into_push().ok()).context("the query")?;
        let _ = self.address.open(&query, input, 1_764_642_403, 600);
        Ok(())
    }
}

/// What was decrypted: XML or JSON, made an event's members, canonical body and key.
pub struct Decrypted;

#[async_trait]
impl Target for Decrypted {
    fn name(&self) -> &'static str {
        "decrypted"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        [
            &b"<xml><ToUserName><![CDATA[gh_shop]]></ToUserName><FromUserName><![CDATA[oWRGA7]]></FromUserName><CreateTime>1764642403</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[channels_ec_order_pay]]></Event><order_info><order_id>3732676853715311104</order_id><pay_time>1764642403</pay_time></order_info></xml>"[..],
            br#"{"ToUserName":"gh_shop","FromUserName":"oWRGA7","CreateTime":1764642403,"MsgType":"event","Event":"channels_ec_order_ext_info_update","order_info":{"order_id":"3732676853715311104","type":4}}"#,
            br#"{"ToUserName":"gh_shop","CreateTime":"1764642403","MsgType":"event","Event":"channels_ec_order_cancel","order_info":{"order_id":3732676853715311104,"cancel_type":2}}"#,
        ]
        .map(<[u8]>::to_vec)
        .into()
    }

    async fn feed(&mut self, input: &[u8]) -> Result<()> {
        let Ok(message) = Message::parse(input) else { return Ok(()) };
        if let Ok(facts) = message.facts() {
            let _ = dedup_key(TenantId(1), &message, &facts);
        }
        // The canonical body is what is kept: it reads as itself.
        let body = canonical(message.root());
        let again = Node::parse(&body, DEPTH).map_err(|error| anyhow::anyhow!("a canonical body is {error}"))?;
        ensure!(canonical(&again) == body, "a canonical body is another one when it is read again");
        Ok(())
    }
}
