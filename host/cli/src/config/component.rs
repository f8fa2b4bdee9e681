//! The third-party platform of `[weixin]`.

use secrecy::{ExposeSecret, SecretString};

use super::keys;
use super::reader::Reader;

/// The third-party platform's own credentials.
#[derive(Debug)]
pub struct Component {
    /// Its appid, wx….
    pub appid: String,
    /// Its appsecret.
    pub appsecret: SecretString,
    /// Signs callbacks.
    pub token: SecretString,
    /// Encrypts callbacks.
    pub encoding_aes_key: SecretString,
    /// Encrypted callbacks before the last change.
    pub previous_encoding_aes_key: Option<SecretString>,
}

/// All four of the component's credentials, or none.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Component> {
    let appid = reader.text(&keys::COMPONENT_APPID);
    let appid = appid.and_then(|found| {
        if found.value.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Some(found.value);
        }
        let shown = format!("\"{}\"", found.value);
        reader.wrong(&keys::COMPONENT_APPID, found.line, &shown);
        None
    });
    let appsecret = reader.secret(&keys::COMPONENT_APPSECRET).map(|found| found.value);
    let token = reader.secret(&keys::WEIXIN_TOKEN).map(|found| found.value);
    let current = aes_key(reader, &keys::AES_KEY);
    let previous = aes_key(reader, &keys::PREVIOUS_AES_KEY);
    let given = [appid.is_some(), appsecret.is_some(), token.is_some(), current.is_some(), previous.is_some()];
    if !given.contains(&true) {
        return None;
    }
    let needed = [
        (&keys::COMPONENT_APPID, appid.is_some()),
        (&keys::COMPONENT_APPSECRET, appsecret.is_some()),
        (&keys::WEIXIN_TOKEN, token.is_some()),
        (&keys::AES_KEY, current.is_some()),
    ];
    for (key, there) in needed {
        if !there && !reader.reported(&key.path()) {
            reader.missing(key, ", and needed since other component keys of [weixin] are given");
        }
    }
    Some(Component {
        appid: appid?,
        appsecret: appsecret?,
        token: token?,
        encoding_aes_key: current?,
        previous_encoding_aes_key: previous,
    })
}

fn aes_key(reader: &mut Reader<'_>, key: &keys::Key) -> Option<SecretString> {
    let found = reader.secret(key)?;
    let text = found.value.expose_secret();
    let right =
        text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/');
    if right {
        return Some(found.value);
    }
    let shown = format!("{} characters, or others than these", text.chars().count());
    reader.wrong(key, found.line, &shown);
    None
}
