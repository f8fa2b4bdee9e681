//! Who calls and who is pushed to: the third-party platform's component, and the shops.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::dice::Dice;
use crate::envelope::CallbackSecrets;

/// Set 131: orders, delivery, after-sale.
pub const ORDERS_SET: u16 = 131;
/// Set 130: shop basics; the calls about the shop's own phones need it.
pub const SHOP_SET: u16 = 130;

/// How a shop is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShopKind {
    /// Through the component.
    Authorized,
    /// By its own appid and secret (自研).
    SelfBuilt,
}

/// The ISV's component. Its secrets are shown by methods only.
#[derive(Clone)]
pub struct Component {
    /// Its appid.
    pub appid: String,
    pub(crate) appsecret: String,
    pub(crate) token: String,
    pub(crate) encoding_aes_key: String,
    /// 授权事件接收配置.
    pub authorization_url: Option<String>,
    /// 消息与事件接收配置; `$APPID$` stands for the shop's appid.
    pub message_url: Option<String>,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").field("appid", &self.appid).finish_non_exhaustive()
    }
}

impl Component {
    pub(crate) fn generate(dice: &mut Dice) -> Self {
        Component {
            appid: format!("wx{}", dice.hex(16)),
            appsecret: dice.hex(32),
            token: dice.letters(16),
            encoding_aes_key: dice.letters(43),
            authorization_url: None,
            message_url: None,
        }
    }

    /// The appsecret.
    pub fn appsecret(&self) -> &str {
        &self.appsecret
    }

    /// The token of its pushes.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The EncodingAESKey of its pushes.
    pub fn encoding_aes_key(&self) -> &str {
        &self.encoding_aes_key
    }

    /// What encrypts its pushes.
    pub fn callback_secrets(&self) -> CallbackSecrets {
        CallbackSecrets {
            token: self.token.clone(),
            encoding_aes_key: self.encoding_aes_key.clone(),
            appid: self.appid.clone(),
        }
    }
}

/// A shop to be added; what is left out is drawn by seed.
#[derive(Clone, Debug, Deserialize)]
pub struct NewShop {
    /// How it is connected.
    pub kind: ShopKind,
    /// Its appid.
    #[serde(default)]
    pub appid: Option<String>,
    /// Its original id, `gh_…`.
    #[serde(default)]
    pub user_name: Option<String>,
    /// Shown name.
    #[serde(default)]
    pub name: Option<String>,
    /// Permission sets that it grants (or has); none: 130 and 131.
    #[serde(default)]
    pub permission_sets: Option<BTreeSet<u16>>,
    /// Where a self-built shop's pushes go.
    #[serde(default)]
    pub callback_url: Option<String>,
    /// Whether the shop is in the rollout of virtual numbers.
    #[serde(default = "yes")]
    pub virtual_numbers: bool,
    /// Whether the component may act for it from the beginning, silently, as through the service market.
    #[serde(default = "yes")]
    pub authorized: bool,
    /// Whether the account is a shop at all: others authorize components too.
    #[serde(default = "yes")]
    pub store: bool,
}

fn yes() -> bool {
    true
}

impl NewShop {
    /// Connected through the component, with both permission sets.
    pub fn authorized() -> Self {
        NewShop {
            kind: ShopKind::Authorized,
            appid: None,
            user_name: None,
            name: None,
            permission_sets: None,
            callback_url: None,
            virtual_numbers: true,
            authorized: true,
            store: true,
        }
    }

    /// To be connected through the component, once its merchant authorizes.
    pub fn unauthorized() -> Self {
        NewShop { authorized: false, ..NewShop::authorized() }
    }

    /// Connected by its own credentials.
    pub fn self_built() -> Self {
        NewShop { kind: ShopKind::SelfBuilt, ..NewShop::authorized() }
    }

    /// With this appid.
    pub fn appid(mut self, appid: &str) -> Self {
        self.appid = Some(appid.to_owned());
        self
    }

    /// With only these permission sets.
    pub fn sets(mut self, sets: &[u16]) -> Self {
        self.permission_sets = Some(sets.iter().copied().collect());
        self
    }
}

/// One shop. Its secrets are shown by methods only.
#[derive(Clone)]
pub struct Shop {
    /// Its appid.
    pub appid: String,
    /// Its original id; `ToUserName` of its pushes.
    pub user_name: String,
    /// Shown name.
    pub name: String,
    /// How it is connected.
    pub kind: ShopKind,
    /// Granted permission sets.
    pub permission_sets: BTreeSet<u16>,
    /// Whether the component may act for it (self-built: always true).
    pub authorized: bool,
    /// Whether it is a shop: else an account of another kind.
    pub store: bool,
    /// Unix seconds of the authorization.
    pub auth_time: i64,
    /// Where a self-built shop's pushes go.
    pub callback_url: Option<String>,
    /// Whether decoding allocates virtual numbers.
    pub virtual_numbers: bool,
    pub(crate) appsecret: String,
    pub(crate) token: String,
    pub(crate) encoding_aes_key: String,
}

impl std::fmt::Debug for Shop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shop")
            .field("appid", &self.appid)
            .field("user_name", &self.user_name)
            .field("kind", &self.kind)
            .field("authorized", &self.authorized)
            .finish_non_exhaustive()
    }
}

impl Shop {
    pub(crate) fn generate(new: NewShop, dice: &mut Dice, number: usize, now_s: i64) -> Self {
        Shop {
            appid: new.appid.unwrap_or_else(|| format!("wx{}", dice.hex(16))),
            user_name: new.user_name.unwrap_or_else(|| format!("gh_{}", dice.hex(12))),
            name: new.name.unwrap_or_else(|| format!("小店{number}")),
            kind: new.kind,
            permission_sets: new.permission_sets.unwrap_or_else(|| BTreeSet::from([SHOP_SET, ORDERS_SET])),
            authorized: new.authorized || new.kind == ShopKind::SelfBuilt,
            store: new.store,
            auth_time: now_s,
            callback_url: new.callback_url,
            virtual_numbers: new.virtual_numbers,
            appsecret: dice.hex(32),
            token: dice.letters(16),
            encoding_aes_key: dice.letters(43),
        }
    }

    /// A self-built shop's appsecret.
    pub fn appsecret(&self) -> &str {
        &self.appsecret
    }

    /// The token of a self-built shop's pushes.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The EncodingAESKey of a self-built shop's pushes.
    pub fn encoding_aes_key(&self) -> &str {
        &self.encoding_aes_key
    }

    /// What encrypts a self-built shop's pushes.
    pub fn callback_secrets(&self) -> CallbackSecrets {
        CallbackSecrets {
            token: self.token.clone(),
            encoding_aes_key: self.encoding_aes_key.clone(),
            appid: self.appid.clone(),
        }
    }
}
